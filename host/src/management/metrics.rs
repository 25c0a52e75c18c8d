//! What a node tells Prometheus, in OpenMetrics text. It names tenants and outcomes, which
//! are few; never a task. `docs/management.md` lists the same, and a test holds the two
//! together.

use std::collections::BTreeMap;
use std::fmt;

use axum::body::Body;
use axum::http::{HeaderValue, header};
use axum::response::Response;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, MetricEncoder};
use prometheus_client::metrics::MetricType::{self, Counter, Gauge};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;

use super::Vitals;
use crate::manager::view::{Snapshot, TaskView};
use crate::manager::{TenantTotals, Totals};
use crate::outcome::Status;
use crate::task::TenantName;

/// A node's numbers at one moment.
#[derive(Debug)]
pub(super) struct Metrics {
    totals: Totals,
    running: BTreeMap<TenantName, usize>,
    waiting: BTreeMap<TenantName, usize>,
    vitals: Vitals,
}

/// Whose number it is.
type Labels<'a> = Vec<(&'static str, &'a str)>;

impl Metrics {
    pub(super) fn new(totals: Totals, snapshot: &Snapshot, vitals: Vitals) -> Metrics {
        let count = |tasks: &[TaskView]| {
            // A tenant without tasks has none; that is a number, too.
            let mut counts: BTreeMap<_, _> =
                totals.0.keys().map(|tenant| (tenant.clone(), 0)).collect();
            for task in tasks {
                *counts.entry(task.tenant.clone()).or_default() += 1;
            }
            counts
        };
        let (running, waiting) = (count(&snapshot.running), count(&snapshot.waiting));
        Metrics { totals, running, waiting, vitals }
    }

    /// As Prometheus reads it.
    pub(super) fn respond(self) -> Response {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(self));
        let mut text = String::new();
        encode(&mut text, &registry).expect("a string takes all text");
        let mut response = Response::new(Body::from(text));
        let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
        response
    }

    fn by_outcome(&self) -> impl Iterator<Item = (Labels<'_>, f64)> {
        self.totals.0.iter().flat_map(|(tenant, totals)| {
            Status::ALL.into_iter().map(move |status| {
                let count = totals.tasks.get(&status).copied().unwrap_or_default();
                (vec![("tenant", tenant.as_str()), ("status", status.as_str())], count as f64)
            })
        })
    }

    fn by_tenant(
        &self,
        value: impl Fn(&TenantTotals) -> f64,
    ) -> impl Iterator<Item = (Labels<'_>, f64)> {
        let totals = self.totals.0.iter();
        totals.map(move |(tenant, totals)| (vec![("tenant", tenant.as_str())], value(totals)))
    }
}

fn counts(of: &BTreeMap<TenantName, usize>) -> impl Iterator<Item = (Labels<'_>, f64)> {
    of.iter().map(|(tenant, count)| (vec![("tenant", tenant.as_str())], *count as f64))
}

impl Collector for Metrics {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let Vitals { watermark, connected, executors, executor_restarts } = self.vitals;
        let mut page = Page(encoder);
        page.family(Counter, "roh_tasks", "Tasks that ended.", self.by_outcome())?;
        let cpu = self.by_tenant(|totals| totals.cpu.as_secs_f64());
        page.family(Counter, "roh_cpu_seconds", "Time on a core.", cpu)?;
        let wall = self.by_tenant(|totals| totals.wall.as_secs_f64());
        page.family(Counter, "roh_wall_seconds", "Time in an instance.", wall)?;
        let queued = self.by_tenant(|totals| totals.queued.as_secs_f64());
        page.family(Counter, "roh_queued_seconds", "Time waited at the node.", queued)?;
        let output = self.by_tenant(|totals| totals.output_bytes as f64);
        page.family(Counter, "roh_output_bytes", "Printed and returned.", output)?;
        let calls = self.by_tenant(|totals| totals.host_calls as f64);
        page.family(Counter, "roh_host_calls", "Requests of the host.", calls)?;
        let memory = self.by_tenant(|totals| totals.memory_bytes_max as f64);
        page.family(Gauge, "roh_memory_bytes_max", "The most that one task had.", memory)?;
        page.family(Gauge, "roh_running_tasks", "Tasks in an instance.", counts(&self.running))?;
        page.family(Gauge, "roh_waiting_tasks", "Tasks that wait.", counts(&self.waiting))?;
        page.single(Gauge, "roh_watermark", "Instances at once, at most.", watermark as f64)?;
        page.single(Gauge, "roh_connected", "1 while the broker delivers.", connected.into())?;
        page.single(Gauge, "roh_executors", "Executors that live.", executors as f64)?;
        let restarts = executor_restarts as f64;
        page.single(Counter, "roh_executor_restarts", "Executors replaced.", restarts)
    }
}

/// The text as far as it is written. A counter's name gets `_total` at its end; all numbers
/// are floats, as Prometheus keeps them.
struct Page<'a>(DescriptorEncoder<'a>);

impl Page<'_> {
    fn family<'a>(
        &mut self,
        kind: MetricType,
        name: &str,
        help: &str,
        values: impl Iterator<Item = (Labels<'a>, f64)>,
    ) -> fmt::Result {
        let mut family = self.0.encode_descriptor(name, help, None, kind)?;
        for (labels, value) in values {
            write(kind, family.encode_family(&labels)?, value)?;
        }
        Ok(())
    }

    fn single(&mut self, kind: MetricType, name: &str, help: &str, value: f64) -> fmt::Result {
        write(kind, self.0.encode_descriptor(name, help, None, kind)?, value)
    }
}

fn write(kind: MetricType, encoder: MetricEncoder<'_>, value: f64) -> fmt::Result {
    match kind {
        Counter => ConstCounter::new(value).encode(encoder),
        _ => ConstGauge::new(value).encode(encoder),
    }
}
