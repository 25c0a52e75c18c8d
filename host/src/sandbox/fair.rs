//! Shares the cores among tenants: an instance computes only while it holds one, and hands
//! it on after its time slice if it is another's turn, by [`Shares`]. Who comes new and is
//! before one that computes need not wait for that: all are asked at once whether they would
//! go on. So they are at each tick of the sandbox's clock, whenever their slices began; but
//! with nobody new, a slice has to be over first.
//!
//! What is charged is the time that a core was held, though for some of it the thread may have
//! had something else to do; and the time that it took to clean up afterwards, without a core, if
//! that kept anybody from one.

use std::collections::HashMap;
use std::mem;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use tokio::time::Instant;

use super::engine::SLICE;
use super::meter::Meter;
use super::threads;
use crate::shares::{Clock, Shares};
use crate::task::TenantName;

#[cfg(test)]
mod tests;

/// How long at least all that compute are left alone. To be asked costs them microseconds.
const LET_BE: Duration = SLICE.checked_div(10).unwrap();

/// From when on a slice counts as over. All are asked at the same ticks, so that slices are
/// half as long to half as long again, and as long as [`SLICE`] in the middle.
const OVER: Duration = SLICE.checked_div(2).unwrap();

/// What a tenant that computes little has saved up at most. Those that compute all the time can be
/// that far behind what they are due, where one before them could not be asked for a while, as it
/// filled or freed memory: it need not wait until they have made up for that.
const CREDIT: Duration = SLICE.saturating_mul(4);

/// The cores of a sandbox.
pub(super) struct Cores {
    turns: Mutex<Turns>,
    count: usize,
    /// How many of them are computed on by who has had a whole slice.
    going_on: AtomicUsize,
    /// How many threads compute or clean up.
    busy: AtomicUsize,
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
    /// When those were given a core that don't know of it yet.
    given: HashMap<Ticket, Clock>,
    /// When all slices were ended last.
    hurried: Option<Instant>,
}

/// One wish for a core.
type Ticket = u64;

impl Cores {
    /// As many as there are threads to compute on. `end_slices` is to let each instance that
    /// computes be asked soon whether it would go on.
    pub(super) fn new(count: usize, end_slices: impl Fn() + Send + Sync + 'static) -> Arc<Cores> {
        let shares = Shares::new(count, SLICE).with_credit(CREDIT);
        let (waiting, given) = (HashMap::new(), HashMap::new());
        let turns = Mutex::new(Turns { shares, last: 0, waiting, given, hurried: None });
        let (going_on, busy) = (AtomicUsize::new(0), AtomicUsize::new(0));
        Arc::new(Cores { turns, count, going_on, busy, end_slices: Box::new(end_slices) })
    }

    /// Whether on all of them somebody computes who was asked before, and went on.
    pub(super) fn all_go_on(&self) -> bool {
        self.going_on.load(Ordering::Relaxed) >= self.count
    }

    /// Has `future`, an instance of that tenant, polled only while it has a core. It is in line
    /// for one from now on, so it must be polled, or dropped. `meter` says whether it would
    /// rather have gone on when a poll returned. Once `late` is over, it does not wait for its
    /// turn any more.
    pub(super) fn share<F: Future + Unpin, L: Future + Unpin>(
        self: &Arc<Cores>,
        (tenant, share): (&TenantName, u32),
        meter: Arc<Meter>,
        late: L,
        future: F,
    ) -> Fair<F, L> {
        self.turns().shares.set(tenant, share, usize::MAX);
        let waker = Waker::noop().clone();
        let state =
            State { has: Has::Nothing, began: Instant::now(), idle: None, woken: false, waker };
        let turn = Turn { cores: self.clone(), tenant: tenant.clone(), state: Mutex::new(state) };
        turn.ask(&mut turn.state());
        Fair { future, late: Some(late), meter, goes_on: false, place: Place(Arc::new(turn)) }
    }

    /// Cleans up, which takes a thread and no core. `tenant` pays for it.
    pub(super) fn clean_up(&self, tenant: &TenantName, clean: impl FnOnce()) {
        let busy = Counted::new(&self.busy);
        let began = Instant::now();
        clean();
        let now = Instant::now();
        self.turns().shares.charge(now.into_std(), tenant, now.duration_since(began));
        drop(busy);
    }

    /// Ends all slices, if what `tenant` has in line is before what another computes; or if it
    /// `has_core`, and there is no thread for it.
    fn hurry(&self, tenant: &TenantName, has_core: bool) {
        if has_core && self.busy.load(Ordering::Relaxed) < self.count {
            return;
        }
        let now = Instant::now();
        let mut turns = self.turns();
        let left_alone = turns.hurried.is_none_or(|last| now.duration_since(last) >= LET_BE);
        if left_alone && (has_core || turns.shares.is_before_a_holder(now.into_std(), tenant)) {
            turns.hurried = Some(now);
            drop(turns);
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
        self.given.insert(ticket, self.shares.clock(now.into_std()));
        self.waiting.remove_entry(&ticket)
    }

    /// Whether a slice that began then is over.
    fn is_over(&self, began: Instant, now: Instant) -> bool {
        now.duration_since(began) >= OVER || self.hurried.is_some_and(|hurried| hurried >= began)
    }
}

/// A future that waits for a core before each poll. Once it is woken it is in line for one,
/// though there may be no thread free to poll it.
pub(super) struct Fair<F, L> {
    future: F,
    /// `None` if it is over.
    late: Option<L>,
    meter: Arc<Meter>,
    /// Whether its slice was over and it would have gone on, when it was last polled.
    goes_on: bool,
    /// The last to be dropped: to take an instance apart is work as well.
    place: Place,
}

impl<F, L> Fair<F, L> {
    /// Hurries those that compute, if it goes before them. Once it is to be polled: the thread
    /// whose slice ends should find it.
    pub(super) fn hurries(&self) -> impl FnOnce() + use<F, L> {
        let turn = self.place.0.clone();
        let has_core = matches!(turn.state().has, Has::Core);
        move || turn.cores.hurry(&turn.tenant, has_core)
    }
}

impl<F: Future + Unpin, L: Future + Unpin> Future for Fair<F, L> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let Fair { future, late, meter, goes_on, place: Place(turn) } = &mut *self;
        let mut is_late = |cx: &mut Context<'_>| {
            let is_late = late.as_mut().is_none_or(|late| Pin::new(late).poll(cx).is_ready());
            if is_late {
                *late = None;
            }
            is_late
        };
        if !turn.has_come(cx.waker()) {
            if !is_late(cx) {
                return Poll::Pending;
            }
            turn.take();
        }
        let going_on = goes_on.then(|| Counted::new(&turn.cores.going_on));
        let busy = Counted::new(&turn.cores.busy);
        let poll = Pin::new(future).poll(&mut Context::from_waker(&turn.clone().into()));
        drop((going_on, busy));
        if poll.is_pending() {
            *goes_on = meter.took_yield();
            if *goes_on {
                threads::let_others();
            }
            let waits = turn.rest(*goes_on);
            // Polled again, it takes a core out of turn.
            if waits && is_late(cx) {
                cx.waker().wake_by_ref();
            }
        } else {
            turn.leave();
        }
        poll
    }
}

/// One more, until this is dropped.
struct Counted<'a>(&'a AtomicUsize);

impl Counted<'_> {
    fn new(count: &AtomicUsize) -> Counted<'_> {
        count.fetch_add(1, Ordering::Relaxed);
        Counted(count)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// An instance's place among those that compute, which it has until this is dropped.
struct Place(Arc<Turn>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.leave();
    }
}

/// Waits in its instance's stead, and is what wakes it.
struct Turn {
    cores: Arc<Cores>,
    tenant: TenantName,
    /// Locked before the cores' turns are.
    state: Mutex<State>,
}

struct State {
    has: Has,
    /// When its slice began, if it has a core.
    began: Instant,
    /// Since when it has a core and waits for a thread.
    idle: Option<Clock>,
    /// Whether it was woken while it had a core.
    woken: bool,
    /// Has it polled.
    waker: Waker,
}

#[derive(Debug)]
enum Has {
    /// It sleeps.
    Nothing,
    /// It waits; or it has been given a core, and its waker was called.
    Ticket(Ticket),
    Core,
    /// The core that it had when it would have gone on, as it was nobody else's turn.
    OldCore,
    /// It is over, and wants nothing any more.
    Gone,
}

impl State {
    /// It has a core from now on.
    fn begin(&mut self, now: Instant) {
        self.has = Has::Core;
        self.began = now;
    }
}

impl Wake for Turn {
    fn wake(self: Arc<Turn>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Turn>) {
        let mut state = self.state();
        match state.has {
            Has::Nothing => {}
            Has::Core | Has::OldCore => {
                state.woken = true;
                return;
            }
            Has::Ticket(_) | Has::Gone => return,
        }
        let has_come = self.ask(&mut state);
        let waker = state.waker.clone();
        drop(state);
        // In this order: the thread whose slice ends finds it.
        waker.wake();
        self.cores.hurry(&self.tenant, has_come);
    }
}

impl Turn {
    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it holds the lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether it has a core now; if not, `waker` will be called.
    fn has_come(&self, waker: &Waker) -> bool {
        let mut state = self.state();
        state.waker.clone_from(waker);
        state.woken = false;
        if let Has::Ticket(ticket) = state.has {
            let mut turns = self.cores.turns();
            if let Some(waiting) = turns.waiting.get_mut(&ticket) {
                waiting.clone_from(waker);
                return false;
            }
            state.has = Has::Core;
            state.idle = turns.given.remove(&ticket);
        }
        let now = Instant::now();
        if let Some(since) = state.idle.take() {
            self.cores.turns().shares.refund(now.into_std(), &self.tenant, since);
        }
        match state.has {
            Has::Core => {
                state.began = now;
                true
            }
            // Others may have come since then, whose hurry it would not notice.
            Has::Nothing | Has::OldCore => {
                let has_come = self.ask(&mut state);
                state.idle = None;
                has_come
            }
            Has::Ticket(_) | Has::Gone => false,
        }
    }

    /// Asks for a core, in exchange for the one it may have. Whether it has one now; if not,
    /// its waker will be called.
    fn ask(&self, state: &mut State) -> bool {
        let now = Instant::now();
        let has_core = matches!(state.has, Has::Core | Has::OldCore);
        let mut turns = self.cores.turns();
        if has_core && (turns.waiting.is_empty() || !turns.is_over(state.began, now)) {
            state.has = Has::OldCore;
            state.idle = Some(turns.shares.clock(now.into_std()));
            return true;
        }
        if !has_core && turns.shares.has_room() {
            turns.shares.take(now.into_std(), &self.tenant);
            state.begin(now);
            state.idle = Some(turns.shares.clock(now.into_std()));
            return true;
        }
        turns.last += 1;
        let ticket = turns.last;
        turns.waiting.insert(ticket, state.waker.clone());
        turns.shares.push(now.into_std(), &self.tenant, ticket);
        // In this order: it never had nothing to do, and keeps what it is behind by.
        if has_core {
            turns.shares.ended(now.into_std(), &self.tenant);
        }
        state.has = Has::Ticket(ticket);
        match turns.next(now) {
            Some((next, _)) if next == ticket => {
                state.begin(now);
                state.idle = turns.given.remove(&ticket);
            }
            Some((_, other)) => {
                drop(turns);
                other.wake();
            }
            None => {}
        }
        matches!(state.has, Has::Core)
    }

    /// Takes a core out of turn, if it still waits for one.
    fn take(&self) {
        let mut state = self.state();
        if let Has::Ticket(ticket) = state.has {
            let now = Instant::now();
            let mut turns = self.cores.turns();
            state.begin(now);
            turns.given.remove(&ticket);
            if turns.waiting.remove(&ticket).is_some() {
                turns.shares.remove(now.into_std(), &self.tenant, ticket);
                turns.shares.take(now.into_std(), &self.tenant);
            }
        }
    }

    /// It was polled, and is not over: it would go on if `yielded`, or sleeps unless it was
    /// woken meanwhile. Whether it waits for a core.
    fn rest(&self, yielded: bool) -> bool {
        let mut state = self.state();
        if !mem::take(&mut state.woken) && !yielded {
            self.give_back(&mut state, Has::Nothing);
            return false;
        }
        let has_come = self.ask(&mut state);
        if has_come {
            state.waker.wake_by_ref();
        }
        !has_come
    }

    /// It is over, or dropped.
    fn leave(&self) {
        let mut state = self.state();
        self.give_back(&mut state, Has::Gone);
        // Whoever still holds this as a waker does not hold the instance.
        let waker = mem::replace(&mut state.waker, Waker::noop().clone());
        drop(state);
        drop(waker);
    }

    fn give_back(&self, state: &mut State, then: Has) {
        let now = Instant::now();
        let mut turns = self.cores.turns();
        match mem::replace(&mut state.has, then) {
            Has::Nothing | Has::Gone => return,
            Has::Ticket(ticket) if turns.waiting.remove(&ticket).is_some() => {
                turns.shares.remove(now.into_std(), &self.tenant, ticket);
            }
            has => {
                // It was given a core that it does not know of yet.
                if let Has::Ticket(ticket) = has {
                    turns.given.remove(&ticket);
                }
                turns.shares.ended(now.into_std(), &self.tenant);
            }
        }
        let next = turns.next(now);
        drop(turns);
        if let Some((_, other)) = next {
            other.wake();
        }
    }
}
