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
//! **Nobody saves up.** Who had nothing to do comes back at the lowest pass of those that are
//! ready or hold slots, or at its own if that is higher: it is the next, and no more than that.
//! Who holds slots and competes for no other, at its watermark say, keeps what it was behind
//! by, but the pass moves on with the mean of those ready.
//!
//! That is not quite so yet: the mean stands still where those ready hold nothing, so who always
//! holds something and uses less than it is due can fall behind for long, and get ahead of the
//! others for as long later; and newcomers come back at its pass.
//!
//! **What nobody else wanted is free.** While nobody is ready nobody lacks anything: passes
//! stand still, and who holds slots comes back with what it was behind or ahead by, moved on
//! with the mean of those that hold some. So what somebody else had too much of, and went, is
//! made up for while others hold slots, at their pace; it is soon forgotten where nobody does.
//!
//! The passes of tenants that hold slots grow while nothing happens, the faster the more they
//! hold. So the ready ones are kept in groups that grow alike, in each of which the order
//! stands still; only the firsts of the groups are compared. Tenants with as many slots and
//! the same share are in one group, so those are few.

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
    lanes: HashMap<TenantName, Lane<K>>,
    /// Those of them that hold slots, and their shares together.
    holders: BTreeSet<TenantName>,
    held_share: u64,
    ready: Ready<K>,
    /// How far the mean of the passes has come, of whoever was ready or else held slots.
    progress: Pass,
    /// How far from `progress` was who started last.
    last: Pass,
    /// The time of the last call.
    time: Option<Instant>,
    /// For how long somebody was ready, in nanoseconds.
    now: Pass,
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
    charged: Pass,
    /// How far it was from `progress` when it was last ready, or began to hold slots; `None`
    /// if it is ready or has nothing to do.
    standing: Option<Pass>,
}

/// The lanes that are ready.
#[derive(Debug)]
struct Ready<K> {
    /// By how fast their passes grow; then by the pass, less what it has grown since time 0,
    /// and the first key.
    groups: BTreeMap<Pass, BTreeMap<(Pass, K), TenantName>>,
    /// Of all of them.
    running: usize,
    share: u64,
}

impl<K: Copy + Ord> Shares<K> {
    /// Shares out so many slots.
    pub(crate) fn new(slots: usize, ahead: Duration) -> Shares<K> {
        Shares {
            slots,
            running: 0,
            ahead: nanos(ahead),
            lanes: HashMap::new(),
            holders: BTreeSet::new(),
            held_share: 0,
            ready: Ready { groups: BTreeMap::new(), running: 0, share: 0 },
            progress: 0,
            last: 0,
            time: None,
            now: 0,
        }
    }

    /// Says what a tenant is due, and how many slots it may hold at once; without that its
    /// share is 1 and it may hold all of them.
    pub(crate) fn set(&mut self, tenant: &TenantName, share: u32, watermark: usize) {
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
        let (_, tenant) = self.ready.first(self.now + self.ahead)?;
        let tenant = tenant.clone();
        self.start(&tenant, |lane| lane.waiting.pop_first())
    }

    /// Whether something of `tenant` waits that is before what another tenant holds a slot for,
    /// if that were to wait as well.
    pub(crate) fn is_before_a_holder(&mut self, now: Instant, tenant: &TenantName) -> bool {
        self.advance(now);
        let at = |lane: &Lane<K>, slope| {
            lane.pass_if_ready(self.now, self.progress) + slope * self.ahead
        };
        let Some(waits) = self.lanes.get(tenant).filter(|lane| lane.is_ready()) else {
            return false;
        };
        let pass = at(waits, waits.slope());
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

    /// How many slots are held.
    #[cfg(test)]
    pub(crate) fn running(&self) -> usize {
        self.running
    }

    fn advance(&mut self, now: Instant) {
        let passed = nanos(now.saturating_duration_since(*self.time.get_or_insert(now)));
        self.time = self.time.max(Some(now));
        let (held, share) = match (self.ready.share, self.held_share) {
            (0, 0) => (self.slots, 1),
            (0, held) => (self.running, held),
            (ready, _) => (self.ready.running, ready),
        };
        self.progress += passed * held as Pass * SCALE / Pass::from(share);
        if self.ready.share > 0 {
            self.now += passed;
        }
    }

    /// Gives a slot to `tenant`, for what `take` takes.
    fn start<R>(&mut self, tenant: &TenantName, take: impl FnOnce(&mut Lane<K>) -> R) -> R {
        self.running += 1;
        let (result, pass) = self.change(tenant, |lane| {
            let pass = lane.pass;
            lane.running += 1;
            lane.pass += nanos(START) * lane.weight();
            (take(lane), pass)
        });
        self.last = pass - self.progress;
        result
    }

    /// The pass that a newcomer has at least: the lowest of those that compete or may come to.
    fn front(&self) -> Pass {
        let ready = self.ready.first(self.now).map(|(pass, _)| pass);
        let held = self.holders().map(|(_, lane)| lane.pass_if_ready(self.now, self.progress));
        held.chain(ready).min().unwrap_or(self.progress + self.last)
    }

    fn holders(&self) -> impl Iterator<Item = (&TenantName, &Lane<K>)> {
        self.holders.iter().filter_map(|tenant| self.lanes.get_key_value(tenant))
    }

    /// The one place that changes a lane, so that all that is kept of them together fits.
    fn change<R>(&mut self, tenant: &TenantName, change: impl FnOnce(&mut Lane<K>) -> R) -> R {
        let mut lane = self.lanes.remove(tenant).unwrap_or_else(|| Lane::new(self.slots));
        self.leave(&lane, tenant);
        lane.charge(self.now);
        if lane.is_idle() {
            lane.pass = lane.pass.max(self.front());
        }
        let was_ready = lane.is_ready();
        let result = change(&mut lane);
        if lane.is_ready() {
            lane.pass = lane.pass_if_ready(self.now, self.progress);
            lane.standing = None;
        } else if lane.is_idle() {
            lane.standing = None;
        } else if was_ready || lane.standing.is_none() {
            lane.standing = Some(lane.pass - self.progress);
        }
        self.enter(&lane, tenant);
        self.lanes.insert(tenant.clone(), lane);
        result
    }

    fn enter(&mut self, lane: &Lane<K>, tenant: &TenantName) {
        self.ready.insert(lane, tenant);
        if lane.running > 0 {
            self.held_share += u64::from(lane.share);
            self.holders.insert(tenant.clone());
        }
    }

    fn leave(&mut self, lane: &Lane<K>, tenant: &TenantName) {
        self.ready.remove(lane);
        if lane.running > 0 {
            self.held_share -= u64::from(lane.share);
            self.holders.remove(tenant);
        }
    }
}

impl<K: Copy + Ord> Lane<K> {
    fn new(watermark: usize) -> Lane<K> {
        Lane {
            share: 1,
            watermark,
            waiting: BTreeSet::new(),
            running: 0,
            pass: 0,
            charged: 0,
            standing: None,
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

    /// The pass that it has, or would have if it were ready.
    fn pass_if_ready(&self, now: Pass, progress: Pass) -> Pass {
        let pass = self.pass + self.slope() * (now - self.charged);
        self.standing.map_or(pass, |standing| pass.max(progress + standing))
    }

    fn charge(&mut self, now: Pass) {
        self.pass += self.slope() * (now - self.charged);
        self.charged = now;
    }

    /// Where it is among the ready ones, if it is one of them.
    fn place(&self) -> Option<(Pass, (Pass, K))> {
        let first = self.waiting.first().filter(|_| self.is_ready())?;
        let slope = self.slope();
        Some((slope, (self.pass - slope * self.charged, *first)))
    }
}

impl<K: Copy + Ord> Ready<K> {
    fn insert(&mut self, lane: &Lane<K>, tenant: &TenantName) {
        if let Some((slope, place)) = lane.place() {
            self.groups.entry(slope).or_default().insert(place, tenant.clone());
            self.running += lane.running;
            self.share += u64::from(lane.share);
        }
    }

    fn remove(&mut self, lane: &Lane<K>) {
        if let Some((slope, place)) = lane.place() {
            if let Some(group) = self.groups.get_mut(&slope) {
                group.remove(&place);
                if group.is_empty() {
                    self.groups.remove(&slope);
                }
            }
            self.running -= lane.running;
            self.share -= u64::from(lane.share);
        }
    }

    /// The lowest pass at that time, and whose it is; the lower key if two are equal.
    fn first(&self, at: Pass) -> Option<(Pass, &TenantName)> {
        let firsts = self.groups.iter().filter_map(|(slope, group)| {
            let ((base, key), tenant) = group.first_key_value()?;
            Some((base + slope * at, key, tenant))
        });
        firsts.min().map(|(pass, _, tenant)| (pass, tenant))
    }
}

fn nanos(duration: Duration) -> Pass {
    Pass::try_from(duration.as_nanos()).unwrap_or(Pass::MAX)
}
