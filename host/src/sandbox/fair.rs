//! Shares the cores among tenants: an instance computes only while it holds one, and hands
//! it on after its time slice if it is another's turn, by [`Shares`]. Who comes new and would
//! be next need not wait for that: all slices end at once.
//!
//! What is charged is the time that a core was held: nobody else had it meanwhile.

use std::collections::HashMap;
use std::mem;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use tokio::time::Instant;

use super::engine::SLICE;
use super::meter::Meter;
use crate::shares::Shares;
use crate::task::TenantName;

#[cfg(test)]
mod tests;

/// The cores of a sandbox.
pub(super) struct Cores {
    turns: Mutex<Turns>,
    /// Ends the time slices of all that compute.
    end_slices: Box<dyn Fn() + Send + Sync>,
}

/// Who holds a core and who waits for one. None is free while somebody waits.
#[derive(Debug)]
struct Turns {
    shares: Shares<Ticket>,
    last: Ticket,
    /// Wakes those that wait.
    waiting: HashMap<Ticket, Waker>,
}

/// One wish for a core.
type Ticket = u64;

impl Cores {
    /// As many as there are threads to compute on. `end_slices` is to let each instance that
    /// computes be asked soon whether it would go on.
    pub(super) fn new(cores: usize, end_slices: impl Fn() + Send + Sync + 'static) -> Arc<Cores> {
        let (shares, waiting) = (Shares::new(cores, SLICE), HashMap::new());
        let turns = Mutex::new(Turns { shares, last: 0, waiting });
        Arc::new(Cores { turns, end_slices: Box::new(end_slices) })
    }

    /// Has `future`, an instance of that tenant, polled only while it has a core. `meter` says
    /// whether it would rather have gone on when a poll returned. Once `late` is over, it does
    /// not wait for its turn any more.
    pub(super) fn share<F: Future + Unpin, L: Future + Unpin>(
        self: &Arc<Cores>,
        (tenant, share): (&TenantName, u32),
        meter: Arc<Meter>,
        late: L,
        future: F,
    ) -> Fair<F, L> {
        self.turns().shares.set(tenant, share, usize::MAX);
        let turn = Turn { cores: self.clone(), tenant: tenant.clone(), has: Has::Nothing };
        Fair { future, late: Some(late), meter, turn }
    }

    /// Ends all slices, if that tenant waits for a core and is the next to get one.
    pub(super) fn hurry(&self, tenant: &TenantName) {
        // A guard in the condition would be held while the slices are ended.
        let is_next = self.turns().shares.is_next(Instant::now().into_std(), tenant);
        if is_next {
            (self.end_slices)();
        }
    }

    fn turns(&self) -> MutexGuard<'_, Turns> {
        // Nothing panics while it holds the lock.
        self.turns.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Turns {
    /// Gives a free core to whose turn it is.
    fn next(&mut self, now: Instant) -> Option<(Ticket, Waker)> {
        let ticket = self.shares.start_next(now.into_std())?;
        self.waiting.remove_entry(&ticket)
    }
}

/// A future that waits for a core before each poll.
pub(super) struct Fair<F, L> {
    future: F,
    /// `None` if it is over.
    late: Option<L>,
    meter: Arc<Meter>,
    turn: Turn,
}

impl<F, L> Fair<F, L> {
    /// Puts it in line for a core before it is polled for the first time, which must follow.
    pub(super) fn line_up(&mut self) {
        self.turn.ask(Waker::noop());
    }
}

impl<F: Future + Unpin, L: Future + Unpin> Future for Fair<F, L> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let Fair { future, late, meter, turn } = &mut *self;
        if !turn.has_come(cx.waker()) {
            if late.as_mut().is_some_and(|late| Pin::new(late).poll(cx).is_pending()) {
                return Poll::Pending;
            }
            *late = None;
            turn.take();
        }
        let poll = Pin::new(future).poll(cx);
        if poll.is_pending() && meter.took_yield() {
            if turn.ask(cx.waker()) {
                cx.waker().wake_by_ref();
            }
        } else {
            turn.leave();
        }
        poll
    }
}

/// An instance's place among those that compute.
struct Turn {
    cores: Arc<Cores>,
    tenant: TenantName,
    has: Has,
}

#[derive(Debug, Default)]
enum Has {
    #[default]
    Nothing,
    /// It waits; or it has been given a core, and its waker was called.
    Ticket(Ticket),
    Core,
}

impl Turn {
    /// Whether it has a core now; if not, `waker` will be called.
    fn has_come(&mut self, waker: &Waker) -> bool {
        match self.has {
            Has::Core => true,
            Has::Nothing => {
                let has_come = self.ask(waker);
                if !has_come {
                    self.cores.hurry(&self.tenant);
                }
                has_come
            }
            Has::Ticket(ticket) => {
                if let Some(waiting) = self.cores.turns().waiting.get_mut(&ticket) {
                    waiting.clone_from(waker);
                    return false;
                }
                self.has = Has::Core;
                true
            }
        }
    }

    /// Asks for a core, in exchange for the one it may have. Whether it has one now; if not,
    /// `waker` will be called.
    fn ask(&mut self, waker: &Waker) -> bool {
        let now = Instant::now();
        let has_core = matches!(self.has, Has::Core);
        let mut turns = self.cores.turns();
        if has_core && turns.waiting.is_empty() {
            return true;
        }
        if !has_core && turns.shares.has_room() {
            turns.shares.take(now.into_std(), &self.tenant);
            self.has = Has::Core;
            return true;
        }
        turns.last += 1;
        let ticket = turns.last;
        turns.waiting.insert(ticket, waker.clone());
        turns.shares.push(now.into_std(), &self.tenant, ticket);
        // In this order: it never had nothing to do, and keeps what it is behind by.
        if has_core {
            turns.shares.ended(now.into_std(), &self.tenant);
        }
        let next = turns.next(now);
        drop(turns);
        self.has = Has::Ticket(ticket);
        match next {
            Some((next, _)) if next == ticket => self.has = Has::Core,
            Some((_, other)) => other.wake(),
            None => {}
        }
        matches!(self.has, Has::Core)
    }

    /// Takes a core out of turn, if it still waits for one.
    fn take(&mut self) {
        if let Has::Ticket(ticket) = mem::replace(&mut self.has, Has::Core) {
            let now = Instant::now();
            let mut turns = self.cores.turns();
            if turns.waiting.remove(&ticket).is_some() {
                turns.shares.remove(now.into_std(), &self.tenant, ticket);
                turns.shares.take(now.into_std(), &self.tenant);
            }
        }
    }

    /// Gives back what it has.
    fn leave(&mut self) {
        let now = Instant::now();
        let mut turns = self.cores.turns();
        match mem::take(&mut self.has) {
            Has::Nothing => return,
            Has::Ticket(ticket) if turns.waiting.remove(&ticket).is_some() => {
                turns.shares.remove(now.into_std(), &self.tenant, ticket);
            }
            // It may have been given a core that it does not know of yet.
            Has::Ticket(_) | Has::Core => turns.shares.ended(now.into_std(), &self.tenant),
        }
        let next = turns.next(now);
        drop(turns);
        if let Some((_, other)) = next {
            other.wake();
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.leave();
    }
}
