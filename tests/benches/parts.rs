//! The parts of a task's way, each by itself: the manager's state, reading a message and writing
//! its reply, a run within this process and one over the wire to an executor, a script's image.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use futures_util::StreamExt;
use roh::config::{Limits, ManagerConfig, Tenant};
use roh::executor::{Executors, Plan};
use roh::manager::state::{Command, Event, Key, SessionId, State};
use roh::outcome::{Outcome, Reply, Report};
use roh::sandbox::{Capacity, Job, NoCalls, ScriptKey};
use roh::task::{Properties, Task, TenantName};
use roh_tests::daemon::{image, roh};
use roh_tests::jobs::{job, run_in, runtime, sandbox};
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;

const WATERMARK: usize = 16;
const SCRIPT: &str = "def main(x, y):\n    return x + y\n";
const MESSAGE: &[u8] = br#"{"task": "rules.add", "args": [1, 2]}"#;

/// Runs at once, where one is measured.
const AT_ONCE: usize = 8;

/// For script images, in bytes.
const IMAGES: u64 = 64 << 20;

fn task(tenant: &TenantName, id: usize) -> Task {
    let properties = Properties {
        message_id: Some(format!("task-{id}")),
        reply_to: Some("replies".into()),
        ..Properties::default()
    };
    Task::parse(MESSAGE, properties, tenant, &Arc::from("tasks"), 1 << 20).expect("a task")
}

fn succeeded() -> Box<Report> {
    let three = serde_json::value::to_raw_value(&3).expect("a number");
    Box::new(Report::not_run(Outcome::Succeeded(three)))
}

/// A manager that never runs out of tasks: as many run as may, and `waiting` more wait, of
/// `tenants`.
struct Manager {
    state: State<()>,
    /// One more than it holds, so that no two that it holds have the same id.
    tasks: Vec<Arc<Task>>,
    delivered: usize,
    running: Vec<Key>,
}

impl Manager {
    fn new(tenants: usize, waiting: usize) -> Manager {
        let config = ManagerConfig {
            watermark: WATERMARK,
            waiting_limit: waiting,
            max_deliveries: 5,
            drain_timeout: Duration::ZERO,
        };
        let names: Vec<_> =
            (0..tenants).map(|at| TenantName::new(&format!("tenant-{at}"))).collect();
        let with_limits =
            |name: &TenantName| (name.clone(), Tenant::with_limits(Limits::default()));
        let all: BTreeMap<_, _> = names.iter().map(with_limits).collect();
        let tasks = (0..=WATERMARK + waiting).map(|id| Arc::new(task(&names[id % tenants], id)));
        let tasks = tasks.collect();
        let state = State::new(&config, &all);
        let mut manager = Manager { state, tasks, delivered: 0, running: Vec::new() };
        for _ in 0..WATERMARK + waiting {
            manager.deliver();
        }
        manager
    }

    fn deliver(&mut self) {
        let task = self.tasks[self.delivered % self.tasks.len()].clone();
        self.delivered += 1;
        self.handle(Event::Delivered { session: SessionId(1), task, delivery: () });
    }

    fn handle(&mut self, event: Event<()>) {
        for command in self.state.handle(Instant::now(), event) {
            match command {
                Command::Start { key, .. } => self.running.push(key),
                Command::Settle { key, .. } => self.handle(Event::Settled(key)),
                _ => {}
            }
        }
    }

    /// A task ends, its delivery is settled, the next one starts, and another is delivered.
    fn turn(&mut self, report: Box<Report>) {
        let key = self.running.remove(0);
        self.handle(Event::Finished { key, report });
        self.deliver();
    }
}

fn manager(criterion: &mut Criterion) {
    for (name, tenants, waiting) in [
        ("of one tenant, none waits", 1, 0),
        ("of one tenant, 10,000 wait", 1, 10_000),
        ("of 1,000 tenants, 10,000 wait", 1_000, 10_000),
    ] {
        let mut manager = Manager::new(tenants, waiting);
        criterion.bench_function(&format!("manager: a task {name}"), |bencher| {
            bencher.iter_batched(succeeded, |report| manager.turn(report), BatchSize::SmallInput);
        });
    }
}

fn codec(criterion: &mut Criterion) {
    let tenant = TenantName::new("default");
    criterion.bench_function("codec: a task is read", |bencher| {
        bencher.iter(|| task(black_box(&tenant), 1));
    });
    let (task, report) = (task(&tenant, 1), succeeded());
    criterion.bench_function("codec: a reply is written", |bencher| {
        bencher.iter(|| Reply::new(&task.envelope.id, black_box(&report), "node").to_json());
    });
}

/// The same job each time, or one of a script of its own.
fn sum(source: &str, from_image: bool) -> Job {
    let job = job(source, "[1, 2]", Limits::default());
    let image = from_image.then(|| ScriptKey::alone(&job.script));
    Job { image, ..job }
}

fn check(report: &Report) {
    assert!(matches!(&report.outcome, Outcome::Succeeded(value) if value.get() == "3"));
}

/// Seconds of so many runs, [`AT_ONCE`] at a time: what one takes counts, and little of what it
/// takes to wake the threads that run it.
fn runs<F: Future<Output = Report>>(
    runtime: &Runtime,
    count: u64,
    run: impl Fn(u64) -> F,
) -> Duration {
    let began = Instant::now();
    runtime.block_on(async {
        let mut runs = futures_util::stream::iter((0..count).map(run)).buffer_unordered(AT_ONCE);
        while let Some(report) = runs.next().await {
            check(&report);
        }
    });
    began.elapsed()
}

fn instances(criterion: &mut Criterion) {
    let runtime = runtime();
    let (limits, threads, instances) = (Limits::default(), 1, AT_ONCE as u32);
    let capacity = Capacity { instances, threads, memory: limits.memory, script_images: IMAGES };
    let sandbox = {
        let _clocks = runtime.enter();
        sandbox(capacity)
    };
    for (name, from_image) in [("the interpreter image", false), ("its script's image", true)] {
        criterion.bench_function(&format!("instance: a run from {name}"), |bencher| {
            bencher.iter_custom(|count| {
                runs(&runtime, count, |_| run_in(&sandbox, sum(SCRIPT, from_image)))
            });
        });
    }
    let mut scripts = 0;
    criterion.bench_function("instance: two runs of a new script, and its image", |bencher| {
        bencher.iter_custom(|count| {
            scripts += count;
            let (sandbox, last) = (&sandbox, scripts);
            runs(&runtime, count, |number| async move {
                // An image is made as it runs for the second time.
                let source = format!("{SCRIPT}\n# {}\n", last - number);
                check(&run_in(sandbox, sum(&source, true)).await);
                run_in(sandbox, sum(&source, true)).await
            })
        });
    });
    drop(sandbox);
    let plan =
        Plan { program: roh(), script_images: IMAGES, ..Plan::alone(image(), instances, limits) };
    let executors = runtime.block_on(Executors::start(plan)).expect("executors");
    criterion.bench_function("wire: a run from its script's image, in an executor", |bencher| {
        bencher.iter_custom(|count| {
            runs(&runtime, count, |_| {
                let job = sum(SCRIPT, true);
                executors.run(job, Arc::new(NoCalls), CancellationToken::new())
            })
        });
    });
    drop(executors);
    runtime.shutdown_background();
}

criterion_group! {
    name = parts;
    config = Criterion::default().noise_threshold(0.05).without_plots();
    targets = manager, codec, instances
}
criterion_main!(parts);
