//! Listens in the stead of a crew whose threads compute, and would not look up soon. On a thread
//! of its own: the system lets one that was awake just now wait for its next look at who
//! computes, which may be milliseconds off, and the sandbox's clock must not wait.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use std::{io, thread};

use super::{Crew, Shared, bell, take_in_once, threads};

/// At most so long at a time, to see whether it is to end.
const AT_ONCE: Duration = Duration::from_millis(1);

/// A thread that listens when it is told to.
pub(in super::super) struct Lookout {
    orders: Arc<Orders>,
    thread: Option<JoinHandle<()>>,
}

/// Tells a [`Lookout`] to listen.
pub(in super::super) struct Orders {
    order: Mutex<Order>,
    changed: Condvar,
}

#[derive(Clone, Copy)]
enum Order {
    Rest,
    ListenUntil(Instant),
    End,
}

impl Lookout {
    /// Of `crew`. It rests at first.
    pub(in super::super) fn start(crew: &Crew) -> io::Result<Lookout> {
        let orders = Arc::new(Orders { order: Mutex::new(Order::Rest), changed: Condvar::new() });
        let (shared, obeys) = (crew.0.clone(), orders.clone());
        let work = move || {
            threads::take_short_turns();
            while let Some(time) = obeys.wait() {
                shared.listen_for(time.min(AT_ONCE));
            }
        };
        let thread = thread::Builder::new().name("roh-listen".into()).spawn(work)?;
        Ok(Lookout { orders, thread: Some(thread) })
    }

    pub(in super::super) fn orders(&self) -> Arc<Orders> {
        self.orders.clone()
    }
}

impl Drop for Lookout {
    fn drop(&mut self) {
        self.orders.give(Order::End);
        if let Some(thread) = self.thread.take() {
            // It only fails if the thread panicked, and then it is gone as well.
            let _ = thread.join();
        }
    }
}

impl Orders {
    /// From now on for so long.
    pub(in super::super) fn listen_for(&self, time: Duration) {
        self.give(Order::ListenUntil(Instant::now() + time));
    }

    fn give(&self, order: Order) {
        let mut current = self.lock();
        match *current {
            Order::End => return,
            Order::ListenUntil(_) => {}
            Order::Rest => self.changed.notify_one(),
        }
        *current = order;
    }

    /// Waits until it is to listen; how long. `None` once it is to end.
    fn wait(&self) -> Option<Duration> {
        let mut order = self.lock();
        loop {
            match *order {
                Order::End => return None,
                Order::ListenUntil(end) => match end.checked_duration_since(Instant::now()) {
                    Some(time) if !time.is_zero() => return Some(time),
                    _ => *order = Order::Rest,
                },
                Order::Rest => {
                    order = self.changed.wait(order).unwrap_or_else(PoisonError::into_inner);
                }
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Order> {
        // Nothing panics while it holds the lock.
        self.order.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shared {
    /// Takes in, on the calling thread, what comes within that time.
    fn listen_for(&self, time: Duration) {
        let Some(source) = self.source.get() else { return thread::sleep(time) };
        let end = Instant::now() + time;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let comes = !left.is_zero() && bell::comes(&source.socket, left);
            match source.take_in.try_lock() {
                Ok(mut take_in) if comes => take_in_once(&mut take_in),
                // Nothing came; or another reads, which may take longer than that.
                _ => return thread::sleep(end.saturating_duration_since(Instant::now())),
            };
        }
    }
}
