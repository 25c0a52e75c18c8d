//! Lets an instance wait without a thread: for a moment to come, or for the host's
//! answer. A stop and the wall limit end the wait; shortly before the limit the guest's
//! alarm rings.

use tokio::time::{Instant, sleep_until};
use wasmtime::{AsContextMut, Caller};

use super::instance::{Instance, Interrupt};
use crate::outcome::TimeLimit;

/// Sleeps until `wake`, or until the alarm rings: then the sleep is cut short, so that
/// the script can be told.
pub(super) async fn sleep(
    caller: &mut Caller<'_, Instance>,
    wake: Option<Instant>,
) -> Result<(), Interrupt> {
    let wakes = [wake, caller.data().alarm_time()].into_iter().flatten().min();
    wait(caller.data(), at(wakes)).await?;
    ring_if_near(caller);
    Ok(())
}

/// Waits for `answer`. The alarm rings on the way, and the wait goes on.
pub(super) async fn until<T>(
    caller: &mut Caller<'_, Instance>,
    answer: impl Future<Output = T>,
) -> Result<T, Interrupt> {
    tokio::pin!(answer);
    if let Some(alarm) = caller.data().alarm_time() {
        // Cancel-safe: the answer is only borrowed, the clock made anew.
        let early = tokio::select! {
            biased;
            early = wait(caller.data(), &mut answer) => Some(early?),
            () = sleep_until(alarm) => None,
        };
        if let Some(early) = early {
            return Ok(early);
        }
        ring_if_near(caller);
    }
    wait(caller.data(), answer).await
}

/// Waits for `done`, unless the task is to end before.
pub(super) async fn wait<T>(
    instance: &Instance,
    done: impl Future<Output = T>,
) -> Result<T, Interrupt> {
    // All three may be dropped half-way: they hold nothing.
    tokio::select! {
        biased;
        () = instance.stop.cancelled() => Err(Interrupt::Stop),
        () = at(instance.deadline()) => Err(Interrupt::Wall),
        done = done => Ok(done),
    }
}

/// Comes at that moment, or never.
pub(super) async fn at(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep_until(moment).await,
        None => std::future::pending().await,
    }
}

/// Sets the guest's alarm once a limit is near. Where the guest is does not matter: it
/// only ever reads that byte.
pub(super) fn ring_if_near(store: &mut impl AsContextMut<Data = Instance>) {
    let mut store = store.as_context_mut();
    let Some(limit) = store.data().near_limit() else { return };
    ring(&mut store, limit);
}

fn ring(store: &mut impl AsContextMut<Data = Instance>, limit: TimeLimit) {
    let mut store = store.as_context_mut();
    let instance = store.data_mut();
    instance.rung = Some(limit);
    if let (Some(memory), Some(address)) = (instance.memory, instance.addresses.alarm)
        && let Some(byte) = memory.data_mut(&mut store).get_mut(address as usize)
    {
        *byte = 1;
    }
}
