//! The waiting queue and who is next: both watermarks, and a fair choice among
//! tenants. It knows keys and tenants, and nothing of tasks or deliveries.
//!
//! The choice is stride scheduling: every start moves its tenant's *pass* on by
//! `STRIDE / share`, and the tenant with the lowest pass goes next.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::state::Key;
use crate::config::Tenant;
use crate::task::TenantName;

/// A point in virtual time. At `STRIDE` a start it does not end in a node's life.
type Pass = u128;

/// One start of a tenant with a share of one; above any share, so that no stride is 0.
const STRIDE: Pass = 1 << 32;

/// What waits, tenant by tenant, and how much runs.
#[derive(Debug)]
pub(super) struct WaitingQueue {
    /// The node's.
    watermark: usize,
    running: usize,
    lanes: HashMap<TenantName, Lane>,
    /// Lanes that are ready, by their pass.
    ready: BTreeSet<(Pass, TenantName)>,
    /// The pass of the last lane chosen; no ready lane is behind it.
    virtual_time: Pass,
}

/// One tenant's tasks.
#[derive(Debug)]
struct Lane {
    stride: Pass,
    watermark: usize,
    /// In order of arrival, which is the order of keys.
    waiting: BTreeSet<Key>,
    running: usize,
    pass: Pass,
}

impl Lane {
    fn new(share: u32, watermark: usize) -> Lane {
        let stride = STRIDE / Pass::from(share.max(1));
        Lane { stride, watermark, waiting: BTreeSet::new(), running: 0, pass: 0 }
    }

    fn is_ready(&self) -> bool {
        !self.waiting.is_empty() && self.running < self.watermark
    }
}

impl WaitingQueue {
    pub(super) fn new(watermark: usize, tenants: &BTreeMap<TenantName, Tenant>) -> WaitingQueue {
        let lanes = tenants.iter().map(|(name, tenant)| {
            (name.clone(), Lane::new(tenant.share, tenant.watermark.unwrap_or(watermark)))
        });
        WaitingQueue {
            watermark,
            running: 0,
            lanes: lanes.collect(),
            ready: BTreeSet::new(),
            virtual_time: 0,
        }
    }

    /// Lets a task wait.
    pub(super) fn push(&mut self, tenant: &TenantName, key: Key) {
        self.change(tenant, |lane| lane.waiting.insert(key));
    }

    /// Takes the next task that may start, if any may, and counts it as running.
    pub(super) fn start_next(&mut self) -> Option<Key> {
        if self.running >= self.watermark {
            return None;
        }
        let (pass, tenant) = self.ready.first()?.clone();
        self.virtual_time = pass;
        self.running += 1;
        self.change(&tenant, |lane| {
            lane.running += 1;
            lane.pass += lane.stride;
            lane.waiting.pop_first()
        })
    }

    /// Takes a task out that will not start.
    pub(super) fn remove(&mut self, tenant: &TenantName, key: Key) {
        self.change(tenant, |lane| lane.waiting.remove(&key));
    }

    /// Frees the slot of a task that ran.
    pub(super) fn ended(&mut self, tenant: &TenantName) {
        self.running -= 1;
        self.change(tenant, |lane| lane.running -= 1);
    }

    /// The one place that changes a lane, so that `ready` always fits.
    fn change<R>(&mut self, tenant: &TenantName, change: impl FnOnce(&mut Lane) -> R) -> R {
        let lane = self.lanes.entry(tenant.clone()).or_insert_with(|| Lane::new(1, self.watermark));
        if lane.is_ready() {
            self.ready.remove(&(lane.pass, tenant.clone()));
        }
        let result = change(lane);
        if lane.is_ready() {
            // Neither idling nor being at its watermark earns a tenant credit.
            lane.pass = lane.pass.max(self.virtual_time);
            self.ready.insert((lane.pass, tenant.clone()));
        }
        result
    }
}
