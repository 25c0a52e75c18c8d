//! Whose turn it is: shares what only so many can hold at once among tenants. The manager
//! shares the node's slots in this way, the sandbox its cores. It knows keys and tenants,
//! and nothing of tasks. No clock, no I/O.
//!
//! A tenant's *pass* is the time that it held slots, up to now, divided by its share. A
//! tenant is *ready* if something of it waits and its watermark has room; a free slot goes
//! to the ready tenant with the lowest pass, each slot that it holds counted `ahead` longer.
//! Within a tenant, the lowest key goes first.
//!
//! **It is fair.** Whoever is chosen has the lowest pass but for `ahead`, and what is started
//! then takes some time D at most. So the passes of two tenants that are ready all the while
//! stay within `slots * (D + ahead) / share` of each other, however long that lasts, whether
//! tasks take a millisecond or seconds, and with more tenants than slots as well. `ahead` only
//! spreads the slots: without it the tenant behind would get each one, until its long tasks
//! have put it as far ahead.
//!
//! **Nobody starves.** The pass of who holds no slot stands still, that of everybody else
//! grows, by [`START`] for each start if by nothing else.
//!
//! **Nobody saves up.** *Progress* is the pass of a tenant that always gets what it is due: all
//! slots are due by share to those that hold some or want some, but none gets more than its
//! watermark, or than it wants. Whoever is not ready keeps what it is behind progress by, and
//! gets no further behind. Who had nothing to do comes back at the lowest pass of those that
//! are ready, or at its own if that is higher, and goes before the others until it has a slot,
//! unless they are behind it by more than half of `ahead` of a slot of its own. That only orders:
//! its pass is what it was. With a *credit*, it comes back by so much lower, but no further behind
//! progress: so much it can save up, once, and no more.
//!
//! Who gets at once what it is due in the long run, or has to wait for it, would make progress
//! run away from the passes of those that always want more, a little each time. So while
//! somebody is ready it is kept within them: not below all that have something to do, and not
//! above everybody.
//!
//! **What nobody else wanted is free.** While nobody is ready nobody lacks anything. Who holds
//! slots stays as far behind or ahead of progress as it was, which moves on with the mean of
//! them. So what somebody else had too much of, and went, is made up for while others hold
//! slots, at their pace; it is soon forgotten where nobody does.
//!
//! The passes of tenants that hold slots grow while nothing happens, the faster the more they
//! hold. So the ready ones are kept in groups that grow alike, in each of which the order
//! stands still; only the firsts of the groups are compared. Tenants with as many slots and
//! the same share are in one group, so those are few. As few are the groups of those whose
//! wishes come to as much for their share, and of all that have something to do.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::{Duration, Instant};

use crate::task::TenantName;

#[cfg(test)]
mod tests;

/// Nanoseconds, or a pass: [`SCALE`] for each nanosecond of a slot with a share of one. Both
/// are far from their end after a century with thousands of slots.
type Pass = i128;

/// Above any share, so that one nanosecond is never none.
const SCALE: Pass = 1 << 40;

/// What each start counts for, so that what ends at once is not free.
const START: Duration = Duration::from_micros(10);

/// What waits, tenant by tenant, and how much is held.
#[derive(Debug)]
pub(crate) struct Shares<K> {
    slots: usize,
    running: usize,
    ahead: Pass,
    credit: Pass,
    lanes: HashMap<TenantName, Lane<K>>,
    /// Those of them that hold slots, and their shares together.
    holders: BTreeSet<TenantName>,
    held_share: u64,
    ready: Ready<K>,
    /// Of those that are ready, however early they are.
    ready_lines: Lines,
    /// Of those that have something to do.
    active_lines: Lines,
    /// The highest pass of those that have nothing to do.
    most_idle: Pass,
    wishes: Wishes,
    /// The pass of who always gets what it is due.
    progress: Pass,
    /// The time of the last call.
    time: Option<Instant>,
    clock: Clock,
}

/// How long, up to now, somebody was ready.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Clock {
    /// In nanoseconds.
    contended: Pass,
    /// How far progress came in the rest of the time.
    free: Pass,
}

/// One tenant's.
#[derive(Debug)]
struct Lane<K> {
    share: u32,
    watermark: usize,
    waiting: BTreeSet<K>,
    running: usize,
    /// As of `charged`.
    pass: Pass,
    charged: Clock,
    /// How far behind progress it was when it was last ready, or began to hold slots; `None`
    /// if it is ready or has nothing to do.
    behind: Option<Pass>,
    /// By how much it goes before others of its pass: it had nothing to do, and was not given a
    /// slot since.
    early: Pass,
}

/// The lanes that are ready.
#[derive(Debug)]
struct Ready<K> {
    /// By how fast their passes grow; then by the pass, less what it has grown since time 0 and
    /// how early they are, and the first key.
    groups: BTreeMap<Pass, BTreeMap<(Pass, K), TenantName>>,
}

/// The passes of some lanes.
#[derive(Debug, Default)]
struct Lines {
    /// By how fast their passes grow; then the pass, less what it has grown since time 0, and
    /// how many lanes have it.
    groups: BTreeMap<Pass, BTreeMap<Pass, usize>>,
}

/// What those want that hold slots or wait for some: by how fast the pass of each grows if it
/// gets all that it wants, how many slots that is for all of them, and their shares together.
#[derive(Debug, Default)]
struct Wishes {
    groups: BTreeMap<Pass, (Pass, u64)>,
    share: u64,
}

impl<K: Copy + Ord> Shares<K> {
    /// Shares out so many slots.
    pub(crate) fn new(slots: usize, ahead: Duration) -> Shares<K> {
        Shares {
            slots,
            running: 0,
            ahead: nanos(ahead),
            credit: 0,
            lanes: HashMap::new(),
            holders: BTreeSet::new(),
            held_share: 0,
            ready: Ready { groups: BTreeMap::new() },
            ready_lines: Lines::default(),
            active_lines: Lines::default(),
            most_idle: Pass::MIN,
            wishes: Wishes::default(),
            progress: 0,
            time: None,
            clock: Clock::default(),
        }
    }

    /// The same, where who had nothing to do has up to `credit` of a slot saved up.
    pub(crate) fn with_credit(self, credit: Duration) -> Shares<K> {
        Shares { credit: nanos(credit), ..self }
    }

    /// Says what a tenant is due, and how many slots it may hold at once; without that its
    /// share is 1 and it may hold all of them.
    pub(crate) fn set(&mut self, tenant: &TenantName, share: u32, watermark: usize) {
        // Who may hold all slots wants more all the same.
        let watermark = if watermark < self.slots { watermark } else { usize::MAX };
        self.change(tenant, |lane| {
            lane.share = share.max(1);
            lane.watermark = watermark;
        });
    }

    /// Lets `key` wait.
    pub(crate) fn push(&mut self, now: Instant, tenant: &TenantName, key: K) {
        self.advance(now);
        self.change(tenant, |lane| lane.waiting.insert(key));
    }

    /// Takes the next key that may have a slot, if any may, and gives it one.
    pub(crate) fn start_next(&mut self, now: Instant) -> Option<K> {
        self.advance(now);
        if !self.has_room() {
            return None;
        }
        let tenant = self.ready.first(self.clock.contended + self.ahead)?.clone();
        self.start(&tenant, |lane| lane.waiting.pop_first())
    }

    /// Whether something of `tenant` waits that is before what another tenant holds a slot for,
    /// if that were to wait as well.
    pub(crate) fn is_before_a_holder(&mut self, now: Instant, tenant: &TenantName) -> bool {
        self.advance(now);
        let at = |lane: &Lane<K>, slope| {
            lane.pass_if_ready(self.clock, self.progress) + slope * self.ahead
        };
        let Some(waits) = self.lanes.get(tenant).filter(|lane| lane.is_ready()) else {
            return false;
        };
        let pass = at(waits, waits.slope()) - waits.early;
        let mut others = self.holders().filter(|(holder, _)| *holder != tenant);
        others.any(|(_, lane)| at(lane, lane.slope() - lane.weight()) >= pass)
    }

    /// Whether a slot is free.
    pub(crate) fn has_room(&self) -> bool {
        self.running < self.slots
    }

    /// Gives a slot out of turn, whether one is free or not.
    pub(crate) fn take(&mut self, now: Instant, tenant: &TenantName) {
        self.advance(now);
        self.start(tenant, |_| ());
    }

    /// Takes a key out that will not get a slot.
    pub(crate) fn remove(&mut self, now: Instant, tenant: &TenantName, key: K) {
        self.advance(now);
        self.change(tenant, |lane| lane.waiting.remove(&key));
    }

    /// Takes a slot back.
    pub(crate) fn ended(&mut self, now: Instant, tenant: &TenantName) {
        self.advance(now);
        self.running -= 1;
        self.change(tenant, |lane| lane.running -= 1);
    }

    /// Has `tenant` pay as for a slot that it held so long, up to now. What nobody else wanted is
    /// free: it pays if somebody is ready, or was just given the last slot.
    pub(crate) fn charge(&mut self, now: Instant, tenant: &TenantName, time: Duration) {
        self.advance(now);
        if self.ready.any() || !self.has_room() {
            self.change(tenant, |lane| lane.pass += nanos(time) * lane.weight());
        }
    }

    /// What time it is for passes.
    pub(crate) fn clock(&mut self, now: Instant) -> Clock {
        self.advance(now);
        self.clock
    }

    /// Has `tenant` not pay for a slot that it has held since then and could not use. What nobody
    /// else wanted meanwhile was free anyway.
    pub(crate) fn refund(&mut self, now: Instant, tenant: &TenantName, since: Clock) {
        self.advance(now);
        let contended = self.clock.contended - since.contended;
        if contended > 0 {
            self.change(tenant, |lane| lane.pass -= lane.weight() * contended);
        }
    }

    /// How many slots are held.
    #[cfg(test)]
    pub(crate) fn running(&self) -> usize {
        self.running
    }

    fn advance(&mut self, now: Instant) {
        let passed = nanos(now.saturating_duration_since(*self.time.get_or_insert(now)));
        self.time = self.time.max(Some(now));
        if self.ready.any() {
            self.clock.contended += passed;
            self.progress += passed * self.wishes.due(self.running);
            // Who is served before it is due, or after, makes it run ahead, or stay behind.
            if let Some((least, most)) = self.active_lines.range(self.clock) {
                self.progress = self.progress.clamp(least, most.max(self.most_idle));
            }
        } else {
            let (held, share) = match self.held_share {
                0 => (self.slots as Pass, 1),
                share => (self.running as Pass, share),
            };
            let free = passed * due(held, share);
            self.clock.free += free;
            self.progress += free;
        }
    }

    /// Gives a slot to `tenant`, for what `take` takes.
    fn start<R>(&mut self, tenant: &TenantName, take: impl FnOnce(&mut Lane<K>) -> R) -> R {
        self.running += 1;
        let result = self.change(tenant, |lane| {
            lane.running += 1;
            lane.pass += nanos(START) * lane.weight();
            take(lane)
        });
        self.progress += nanos(START) * due(1, self.wishes.share);
        result
    }

    /// The pass that a newcomer has at least: the lowest of those that it competes with, or
    /// `credit` less, but then not further behind progress.
    fn front(&self, credit: Pass) -> Pass {
        let least = self.ready_lines.range(self.clock).map_or(self.progress, |(least, _)| least);
        least.min(least.max(self.progress) - credit)
    }

    fn holders(&self) -> impl Iterator<Item = (&TenantName, &Lane<K>)> {
        self.holders.iter().filter_map(|tenant| self.lanes.get_key_value(tenant))
    }

    /// The one place that changes a lane, so that all that is kept of them together fits.
    fn change<R>(&mut self, tenant: &TenantName, change: impl FnOnce(&mut Lane<K>) -> R) -> R {
        let mut lane = self.lanes.remove(tenant).unwrap_or_else(Lane::new);
        self.leave(&lane, tenant);
        lane.charge(self.clock);
        let (was_idle, was_ready) = (lane.is_idle(), lane.is_ready());
        if was_idle {
            lane.pass = lane.pass.max(self.front(self.credit * lane.weight()));
        }
        let result = change(&mut lane);
        if lane.running > 0 || lane.is_idle() {
            lane.early = 0;
        } else if was_idle {
            lane.early = self.ahead * lane.weight() / 2;
        }
        if lane.is_ready() {
            lane.pass = lane.pass_if_ready(self.clock, self.progress);
            lane.behind = None;
        } else if lane.is_idle() {
            lane.behind = None;
            self.most_idle = self.most_idle.max(lane.pass);
        } else if was_ready || lane.behind.is_none() {
            lane.behind = Some((self.progress - lane.pass).max(0));
        }
        self.enter(&lane, tenant);
        self.lanes.insert(tenant.clone(), lane);
        result
    }

    fn enter(&mut self, lane: &Lane<K>, tenant: &TenantName) {
        self.ready.insert(lane, tenant);
        self.ready_lines.insert(lane.line().filter(|_| lane.is_ready()));
        self.active_lines.insert(lane.line());
        self.wishes.insert(lane);
        if lane.running > 0 {
            self.held_share += u64::from(lane.share);
            self.holders.insert(tenant.clone());
        }
    }

    fn leave(&mut self, lane: &Lane<K>, tenant: &TenantName) {
        self.ready.remove(lane);
        self.ready_lines.remove(lane.line().filter(|_| lane.is_ready()));
        self.active_lines.remove(lane.line());
        self.wishes.remove(lane);
        if lane.running > 0 {
            self.held_share -= u64::from(lane.share);
            self.holders.remove(tenant);
        }
    }
}

impl<K: Copy + Ord> Lane<K> {
    fn new() -> Lane<K> {
        Lane {
            share: 1,
            watermark: usize::MAX,
            waiting: BTreeSet::new(),
            running: 0,
            pass: 0,
            charged: Clock::default(),
            behind: None,
            early: 0,
        }
    }

    fn is_ready(&self) -> bool {
        !self.waiting.is_empty() && self.running < self.watermark
    }

    /// By how much the pass grows in a nanosecond with one slot.
    fn weight(&self) -> Pass {
        SCALE / Pass::from(self.share)
    }

    /// By how much it grows in a nanosecond.
    fn slope(&self) -> Pass {
        self.running as Pass * self.weight()
    }

    /// It has nothing to do.
    fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.running == 0
    }

    /// How many slots it would hold if there were enough.
    fn wish(&self) -> Pass {
        let wish = if self.waiting.is_empty() { 0 } else { self.watermark };
        self.running.max(wish) as Pass
    }

    /// The pass that it has, or would have if it were ready.
    fn pass_if_ready(&self, now: Clock, progress: Pass) -> Pass {
        let pass = self.pass_at(now);
        self.behind.map_or(pass, |behind| pass.max(progress - behind))
    }

    fn pass_at(&self, now: Clock) -> Pass {
        let slope = self.slope();
        self.pass + grown(slope, now) - grown(slope, self.charged)
    }

    fn charge(&mut self, now: Clock) {
        self.pass = self.pass_at(now);
        self.charged = now;
    }

    /// How fast the pass grows, and the pass less what it has grown since time 0; `None` if it
    /// has nothing to do.
    fn line(&self) -> Option<(Pass, Pass)> {
        let slope = self.slope();
        (!self.is_idle()).then(|| (slope, self.pass - grown(slope, self.charged)))
    }

    /// Where it is among the ready ones, if it is one of them.
    fn place(&self) -> Option<(Pass, (Pass, K))> {
        let first = self.waiting.first().filter(|_| self.is_ready())?;
        let slope = self.slope();
        Some((slope, (self.pass - self.early - slope * self.charged.contended, *first)))
    }
}

impl<K: Copy + Ord> Ready<K> {
    fn any(&self) -> bool {
        !self.groups.is_empty()
    }

    fn insert(&mut self, lane: &Lane<K>, tenant: &TenantName) {
        if let Some((slope, place)) = lane.place() {
            self.groups.entry(slope).or_default().insert(place, tenant.clone());
        }
    }

    fn remove(&mut self, lane: &Lane<K>) {
        if let Some((slope, place)) = lane.place()
            && let Entry::Occupied(mut group) = self.groups.entry(slope)
        {
            group.get_mut().remove(&place);
            if group.get().is_empty() {
                group.remove();
            }
        }
    }

    /// Whose pass, less how early it is, is the lowest at that time; the lower key if two are
    /// equal.
    fn first(&self, at: Pass) -> Option<&TenantName> {
        let firsts = self.groups.iter().filter_map(|(slope, group)| {
            let ((base, key), tenant) = group.first_key_value()?;
            Some((base + slope * at, key, tenant))
        });
        firsts.min().map(|(_, _, tenant)| tenant)
    }
}

impl Lines {
    fn insert(&mut self, line: Option<(Pass, Pass)>) {
        if let Some((slope, base)) = line {
            *self.groups.entry(slope).or_default().entry(base).or_default() += 1;
        }
    }

    fn remove(&mut self, line: Option<(Pass, Pass)>) {
        if let Some((slope, base)) = line
            && let Entry::Occupied(mut group) = self.groups.entry(slope)
        {
            if let Entry::Occupied(mut lanes) = group.get_mut().entry(base) {
                *lanes.get_mut() -= 1;
                if *lanes.get() == 0 {
                    lanes.remove();
                }
            }
            if group.get().is_empty() {
                group.remove();
            }
        }
    }

    /// The lowest pass and the highest.
    fn range(&self, now: Clock) -> Option<(Pass, Pass)> {
        let at = |slope: Pass, base: Pass| base + grown(slope, now);
        let ranges = self.groups.iter().filter_map(|(slope, group)| {
            let ((least, _), (most, _)) = (group.first_key_value()?, group.last_key_value()?);
            Some((at(*slope, *least), at(*slope, *most)))
        });
        ranges.reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)))
    }
}

/// By how much a pass has grown since time 0.
fn grown(slope: Pass, now: Clock) -> Pass {
    // Who holds nothing gets nothing for free.
    if slope == 0 { 0 } else { slope * now.contended + now.free }
}

impl Wishes {
    fn insert<K: Copy + Ord>(&mut self, lane: &Lane<K>) {
        if !lane.is_idle() {
            let wish = lane.wish();
            let (slots, share) = self.groups.entry(wish * lane.weight()).or_default();
            *slots += wish;
            *share += u64::from(lane.share);
            self.share += u64::from(lane.share);
        }
    }

    fn remove<K: Copy + Ord>(&mut self, lane: &Lane<K>) {
        if lane.is_idle() {
            return;
        }
        let wish = lane.wish();
        self.share -= u64::from(lane.share);
        if let Entry::Occupied(mut group) = self.groups.entry(wish * lane.weight()) {
            let (slots, share) = group.get_mut();
            *slots -= wish;
            *share -= u64::from(lane.share);
            if *share == 0 {
                group.remove();
            }
        }
    }

    /// What progress makes in a nanosecond if that many slots are held, and more are wanted.
    fn due(&self, running: usize) -> Pass {
        let (mut slots, mut shares) = (running as Pass, self.share);
        for (full, (wish, share)) in &self.groups {
            if *wish >= slots || *full > due(slots, shares) {
                break;
            }
            slots -= wish;
            shares -= share;
        }
        due(slots, shares)
    }
}

/// How fast the pass grows of those that hold so many slots, if each has by its share.
fn due(slots: Pass, shares: u64) -> Pass {
    slots * SCALE / Pass::from(shares)
}

fn nanos(duration: Duration) -> Pass {
    Pass::try_from(duration.as_nanos()).unwrap_or(Pass::MAX)
}
