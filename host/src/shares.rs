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
//! **Nobody saves up.** Who had nothing to do comes back at the lowest pass of those ready,
//! or at its own if that is higher: it is the next, and no more than that. Who holds slots
//! and competes for no other, at its watermark say, keeps what it was behind by, but the
//! pass moves on with the mean of those ready. And while nobody is ready nobody lacks
//! anything: what was before is forgotten.
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
    ready: Ready<K>,
    /// Grows when somebody becomes ready and nobody was: passes of earlier rounds mean nothing.
    round: u64,
    /// When all began.
    origin: Option<Instant>,
    /// Since then, in nanoseconds.
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
    /// The last round that it was ready in.
    round: u64,
    /// How far it was from `progress` when it was last ready; `None` if it had nothing to
    /// do since.
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
    /// How far the mean of the passes has come, whoever was ready at the time.
    progress: Pass,
}

impl<K: Copy + Ord> Shares<K> {
    /// Shares out so many slots.
    pub(crate) fn new(slots: usize, ahead: Duration) -> Shares<K> {
        Shares {
            slots,
            running: 0,
            ahead: nanos(ahead),
            lanes: HashMap::new(),
            ready: Ready { groups: BTreeMap::new(), running: 0, share: 0, progress: 0 },
            round: 0,
            origin: None,
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
        self.running += 1;
        self.change(&tenant, |lane| {
            lane.start();
            lane.waiting.pop_first()
        })
    }

    /// Whether something of `tenant` waits that will get the next slot.
    pub(crate) fn is_next(&mut self, now: Instant, tenant: &TenantName) -> bool {
        self.advance(now);
        self.ready.first(self.now + self.ahead).is_some_and(|(_, first)| first == tenant)
    }

    /// Whether a slot is free.
    pub(crate) fn has_room(&self) -> bool {
        self.running < self.slots
    }

    /// Gives a slot out of turn, whether one is free or not.
    pub(crate) fn take(&mut self, now: Instant, tenant: &TenantName) {
        self.advance(now);
        self.running += 1;
        self.change(tenant, Lane::start);
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
        let origin = *self.origin.get_or_insert(now);
        let now = nanos(now.saturating_duration_since(origin)).max(self.now);
        self.ready.advance(now - self.now);
        self.now = now;
    }

    /// The one place that changes a lane, so that `ready` always fits.
    fn change<R>(&mut self, tenant: &TenantName, change: impl FnOnce(&mut Lane<K>) -> R) -> R {
        let lane = self.lanes.entry(tenant.clone()).or_insert_with(|| Lane::new(self.slots));
        let was_ready = lane.is_ready();
        self.ready.remove(lane);
        lane.charge(self.now);
        let result = change(lane);
        match (was_ready, lane.is_ready()) {
            (false, true) => {
                let front = self.ready.first(self.now).map(|(pass, _)| pass);
                lane.pass = match (front, lane.standing) {
                    (None, _) => {
                        self.round += 1;
                        lane.pass
                    }
                    (Some(front), _) if lane.round != self.round => front,
                    (Some(_), Some(standing)) => lane.pass.max(self.ready.progress + standing),
                    (Some(front), None) => lane.pass.max(front),
                };
                lane.round = self.round;
            }
            (true, false) => lane.standing = Some(lane.pass - self.ready.progress),
            _ => {}
        }
        if lane.waiting.is_empty() && lane.running == 0 {
            lane.standing = None;
        }
        self.ready.insert(lane, tenant);
        result
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
            round: 0,
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

    fn start(&mut self) {
        self.running += 1;
        self.pass += nanos(START) * self.weight();
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

    fn advance(&mut self, passed: Pass) {
        if self.share > 0 {
            self.progress += passed * self.running as Pass * SCALE / Pass::from(self.share);
        }
    }
}

fn nanos(duration: Duration) -> Pass {
    Pass::try_from(duration.as_nanos()).unwrap_or(Pass::MAX)
}
