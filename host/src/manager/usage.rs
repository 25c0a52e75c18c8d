//! What each tenant's tasks have used, summed for metrics and bills. It only adds up.
//!
//! A run counts if its outcome does: one that the node itself broke off, to leave or because
//! its session was lost, is repeated elsewhere and costs nobody twice.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::outcome::{Report, Status};
use crate::task::TenantName;

/// By tenant, since the node started. There are as many as are configured.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Totals(pub BTreeMap<TenantName, TenantTotals>);

/// One tenant's.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TenantTotals {
    /// How many tasks ended how. Each attempt at one that crashes is counted.
    pub tasks: BTreeMap<Status, u64>,
    /// Time on a core.
    pub cpu: Duration,
    /// Time in an instance.
    pub wall: Duration,
    /// Time that tasks waited at the node.
    pub queued: Duration,
    /// The most that one task had, in bytes.
    pub memory_bytes_max: u64,
    /// Bytes of what was printed and of results.
    pub output_bytes: u64,
    /// What was asked of the host, in requests.
    pub host_calls: u64,
}

impl Totals {
    /// Nothing yet, for each of these tenants.
    pub(super) fn of<'a>(tenants: impl Iterator<Item = &'a TenantName>) -> Totals {
        Totals(tenants.map(|tenant| (tenant.clone(), TenantTotals::default())).collect())
    }

    /// Adds a task that ended, or a message that was none.
    pub(super) fn add(&mut self, tenant: &TenantName, report: &Report) {
        let totals = self.0.entry(tenant.clone()).or_default();
        let tasks = totals.tasks.entry(report.outcome.status()).or_default();
        *tasks = tasks.saturating_add(1);
        let usage = &report.usage;
        totals.cpu = totals.cpu.saturating_add(usage.cpu);
        totals.wall = totals.wall.saturating_add(usage.wall);
        totals.queued = totals.queued.saturating_add(usage.queued);
        totals.memory_bytes_max = totals.memory_bytes_max.max(usage.memory_bytes);
        totals.output_bytes = totals.output_bytes.saturating_add(usage.output_bytes);
        totals.host_calls = totals.host_calls.saturating_add(usage.host_calls.into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::{Outcome, Usage};

    #[test]
    fn adds_up_by_tenant_and_never_overflows() {
        let second = Duration::from_secs(1);
        let mut report = Report::not_run(Outcome::Stopped);
        report.usage = Usage {
            wall: 3 * second,
            cpu: 2 * second,
            queued: second,
            memory_bytes: 7,
            output_bytes: u64::MAX - 1,
            host_calls: 5,
        };
        let (a, b) = (TenantName::new("a"), TenantName::new("b"));
        let mut totals = Totals::of([&a].into_iter());
        assert_eq!(totals.0[&a], TenantTotals::default());
        totals.add(&a, &report);
        totals.add(&a, &report);
        totals.add(&a, &Report::not_run(Outcome::Invalid("not JSON".into())));
        totals.add(&b, &Report::not_run(Outcome::Invalid("not JSON".into())));
        let expected = TenantTotals {
            tasks: BTreeMap::from([(Status::Stopped, 2), (Status::Invalid, 1)]),
            cpu: 4 * second,
            wall: 6 * second,
            queued: 2 * second,
            memory_bytes_max: 7,
            output_bytes: u64::MAX,
            host_calls: 10,
        };
        assert_eq!(totals.0[&a], expected);
        assert_eq!(totals.0[&b].tasks, BTreeMap::from([(Status::Invalid, 1)]));
    }
}
