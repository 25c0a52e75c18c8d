//! The actor with a fake sandbox and a fake broker, under paused time.

use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use super::*;
use crate::manager::settlement::DeadLetter;
use crate::manager::view::TaskState;
use crate::outcome::Status;
use crate::task::{Code, Invalid, Lowered};

/// Runs a task as its function's name says.
#[derive(Default)]
struct FakeRunner {
    running: AtomicUsize,
    most: AtomicUsize,
    started: AtomicUsize,
}

impl Runner for FakeRunner {
    async fn run(&self, task: Arc<Task>, stop: CancellationToken) -> Report {
        self.started.fetch_add(1, Ordering::SeqCst);
        let running = self.running.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(running, Ordering::SeqCst);
        let outcome = match task.code.to_string().as_str() {
            "panic" => panic!("on purpose"),
            // Ends by itself, however long it takes to.
            "deaf" => {
                sleep(Duration::from_secs(100)).await;
                succeeded()
            }
            _ => tokio::select! {
                () = sleep(Duration::from_secs(10)) => succeeded(),
                () = stop.cancelled() => Outcome::Stopped,
            },
        };
        self.running.fetch_sub(1, Ordering::SeqCst);
        Report::not_run(outcome)
    }
}

fn succeeded() -> Outcome {
    Outcome::Succeeded(serde_json::value::to_raw_value(&1).expect("a number"))
}

/// Tells the test what was settled; a settlement takes a second.
struct FakeSettler(UnboundedSender<(TaskId, Settlement)>);

impl Settler for FakeSettler {
    /// Whether settling it panics.
    type Delivery = Panics;

    async fn settle(&self, envelope: Envelope, delivery: Panics, settlement: Settlement) {
        sleep(Duration::from_secs(1)).await;
        self.0.send((envelope.id, settlement)).expect("the test listens");
        assert_eq!(delivery, Panics::No);
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Panics {
    Yes,
    No,
}

struct Node {
    handle: ManagerHandle<Panics>,
    running: JoinHandle<()>,
    runner: Arc<FakeRunner>,
    settled: UnboundedReceiver<(TaskId, Settlement)>,
    began: Instant,
}

const SESSION: SessionId = SessionId(1);

impl Node {
    fn start() -> Node {
        let drain_timeout = Duration::from_secs(30);
        let config =
            ManagerConfig { watermark: 2, waiting_limit: 8, max_deliveries: 2, drain_timeout };
        let (settler, settled) = unbounded_channel();
        let runner = Arc::new(FakeRunner::default());
        let settler = Arc::new(FakeSettler(settler));
        let (manager, handle) = Manager::new(&config, &BTreeMap::new(), runner.clone(), settler);
        let running = tokio::spawn(manager.run());
        Node { handle, running, runner, settled, began: Instant::now() }
    }

    async fn deliver(&self, id: &str, function: &str) {
        self.deliver_as(id, function, Panics::No).await;
    }

    async fn deliver_as(&self, id: &str, function: &str, delivery: Panics) {
        let code = Code::Inline { source: String::new(), function: function.into() };
        let task = Arc::new(Task {
            envelope: envelope(id),
            code,
            args: "[]".into(),
            kwargs: "{}".into(),
            limits: Lowered::default(),
        });
        self.handle.delivered(SESSION, task, delivery).await.expect("manager is there");
    }

    /// The next settlement: id, what became of it, and seconds since the start.
    async fn settled(&mut self) -> (String, String, u64) {
        let (id, settlement) = in_time(self.settled.recv()).await.expect("manager is there");
        let what = match settlement {
            Settlement::Finish { report, dead_letter: DeadLetter::No } => {
                report.outcome.status().to_string()
            }
            Settlement::Finish { report, .. } => format!("dead {}", report.outcome.status()),
            Settlement::Retry { reason } => format!("retry: {reason}"),
            Settlement::Requeue => "requeue".to_owned(),
        };
        (id.to_string(), what, self.began.elapsed().as_secs())
    }

    async fn expect(&mut self, expected: &[(&str, &str, u64)]) {
        let mut settled = Vec::new();
        for _ in expected {
            settled.push(self.settled().await);
        }
        settled.sort();
        let settled: Vec<_> =
            settled.iter().map(|(id, what, at)| (id.as_str(), what.as_str(), *at)).collect();
        assert_eq!(settled, expected);
    }

    /// Whether the manager has ended, with nothing settled that nobody expected.
    async fn expect_end(mut self) {
        in_time(self.running).await.expect("no panic");
        assert!(in_time(self.settled.recv()).await.is_none());
        assert_eq!(self.handle.snapshot().await.err(), Some(Gone));
        assert_eq!(self.handle.drain(Duration::ZERO).await, Err(Gone));
        assert_eq!(self.handle.session_lost(SESSION).await, Err(Gone));
    }

    async fn state_of(&self, id: &str) -> Option<TaskState> {
        let found = self.handle.find(&task_id(id)).await.expect("manager is there");
        found.map(|task| task.state)
    }
}

/// Fails instead of hanging; the time is paused, so it costs none.
async fn in_time<T>(future: impl Future<Output = T>) -> T {
    timeout(Duration::from_secs(1000), future).await.expect("should have come by now")
}

fn task_id(id: &str) -> TaskId {
    TaskId::parse(id).expect("short")
}

fn envelope(id: &str) -> Envelope {
    Envelope {
        id: task_id(id),
        tenant: TenantName::new("t"),
        queue: "q".into(),
        reply: None,
        attempt: 1,
        depth: 0,
    }
}

#[tokio::test(start_paused = true)]
async fn runs_no_more_than_the_watermark_at_once() {
    let mut node = Node::start();
    for id in ["a", "b", "c", "d", "e"] {
        node.deliver(id, "sleep").await;
    }
    let snapshot = node.handle.snapshot().await.expect("manager is there");
    assert_eq!((snapshot.running.len(), snapshot.waiting.len()), (2, 3));
    assert_eq!(snapshot.running[0].task.as_deref(), Some("sleep"));
    node.expect(&[
        ("a", "succeeded", 11),
        ("b", "succeeded", 11),
        ("c", "succeeded", 21),
        ("d", "succeeded", 21),
        ("e", "succeeded", 31),
    ])
    .await;
    assert_eq!(node.runner.most.load(Ordering::SeqCst), 2);
    let totals = node.handle.totals().await.expect("manager is there");
    let totals = &totals.0[&TenantName::new("t")];
    assert_eq!(totals.tasks, BTreeMap::from([(Status::Succeeded, 5)]));
    assert_eq!(totals.queued, Duration::from_secs(10 + 10 + 20));
}

#[tokio::test(start_paused = true)]
async fn a_waiting_task_is_stopped_before_it_starts() {
    let mut node = Node::start();
    for id in ["a", "b", "c"] {
        node.deliver(id, "sleep").await;
    }
    assert_eq!(node.handle.stop(&task_id("c")).await, Ok(1));
    assert_eq!(node.handle.stop(&task_id("c")).await, Ok(0), "it is being settled");
    assert_eq!(node.handle.stop(&task_id("nobody")).await, Ok(0));
    assert_eq!(node.state_of("c").await, Some(TaskState::Settling));
    node.expect(&[("c", "stopped", 1)]).await;
    node.expect(&[("a", "succeeded", 11), ("b", "succeeded", 11)]).await;
    assert_eq!(node.runner.started.load(Ordering::SeqCst), 2);
    assert_eq!(node.state_of("c").await, Some(TaskState::Ended));
}

#[tokio::test(start_paused = true)]
async fn stop_all_ends_running_and_waiting_tasks() {
    let mut node = Node::start();
    for id in ["a", "b", "c"] {
        node.deliver(id, "sleep").await;
    }
    assert_eq!(node.handle.stop_all().await, Ok(3));
    node.expect(&[("a", "stopped", 1), ("b", "stopped", 1), ("c", "stopped", 1)]).await;
}

#[tokio::test(start_paused = true)]
async fn a_drain_requeues_waiting_tasks_and_waits_for_running_ones() {
    let mut node = Node::start();
    for id in ["a", "b", "c"] {
        node.deliver(id, "sleep").await;
    }
    let stop_consuming = node.handle.stop_consuming();
    assert!(!stop_consuming.is_cancelled());
    node.handle.drain(Duration::from_secs(30)).await.expect("manager is there");
    in_time(stop_consuming.cancelled()).await;
    node.deliver("late", "sleep").await;
    node.expect(&[("c", "requeue", 1), ("late", "requeue", 1)]).await;
    node.expect(&[("a", "succeeded", 11), ("b", "succeeded", 11)]).await;
    node.expect_end().await;
}

#[tokio::test(start_paused = true)]
async fn a_drain_that_expires_requeues_what_it_interrupts() {
    let mut node = Node::start();
    node.deliver("a", "sleep").await;
    node.deliver("deaf", "deaf").await;
    node.handle.drain(Duration::MAX).await.expect("manager is there");
    node.handle.drain(Duration::from_secs(3)).await.expect("manager is there");
    node.handle.drain(Duration::from_secs(5)).await.expect("manager is there");
    // What ends by itself after all is not run again.
    node.expect(&[("a", "requeue", 4), ("deaf", "succeeded", 101)]).await;
    node.expect_end().await;
}

#[tokio::test(start_paused = true)]
async fn an_idle_node_drains_at_once() {
    let node = Node::start();
    node.handle.drain(Duration::from_secs(30)).await.expect("manager is there");
    node.expect_end().await;
}

#[tokio::test(start_paused = true)]
async fn a_runner_that_panics_is_a_crash() {
    let mut node = Node::start();
    for id in ["a", "b", "c"] {
        node.deliver(id, "panic").await;
    }
    let retried = "retry: the sandbox panicked: on purpose";
    node.expect(&[("a", retried, 1), ("b", retried, 1), ("c", retried, 1)]).await;
    let ending = node.handle.find(&task_id("a")).await.expect("manager is there");
    let ending = ending.and_then(|task| task.ending).expect("it ended");
    assert_eq!(ending.status, Status::Crashed);
}

#[tokio::test(start_paused = true)]
async fn a_settler_that_panics_is_survived() {
    let mut node = Node::start();
    node.deliver_as("a", "sleep", Panics::Yes).await;
    node.expect(&[("a", "succeeded", 11)]).await;
    node.handle.drain(Duration::from_secs(30)).await.expect("manager is there");
    node.expect_end().await;
}

#[tokio::test(start_paused = true)]
async fn a_lost_session_interrupts_and_forgets_its_tasks() {
    let mut node = Node::start();
    for id in ["a", "deaf", "c"] {
        node.deliver(id, if id == "deaf" { id } else { "sleep" }).await;
    }
    node.handle.session_lost(SESSION).await.expect("manager is there");
    assert_eq!(node.state_of("c").await, None);
    assert_eq!(node.handle.stop_all().await, Ok(0));
    // Both slots become free again, the second when the abandoned task has ended.
    for id in ["again", "again2"] {
        node.deliver(id, "sleep").await;
    }
    node.expect(&[("again", "succeeded", 11), ("again2", "succeeded", 21)]).await;
    node.handle.drain(Duration::ZERO).await.expect("manager is there");
    assert_eq!(node.state_of("deaf").await, Some(TaskState::Running));
    node.expect_end().await;
}

#[tokio::test(start_paused = true)]
async fn a_message_that_is_no_task_is_dead_lettered() {
    let mut node = Node::start();
    let refused = Box::new(Refused { envelope: envelope("a"), reason: Invalid("not JSON".into()) });
    node.handle.refused(SESSION, refused, Panics::No).await.expect("manager is there");
    node.expect(&[("a", "dead invalid", 1)]).await;
}

#[tokio::test(start_paused = true)]
async fn works_to_the_end_when_nobody_holds_a_handle() {
    let mut node = Node::start();
    node.deliver("a", "sleep").await;
    let (other, _) = mpsc::channel(1);
    node.handle.requests = other;
    node.expect(&[("a", "succeeded", 11)]).await;
    in_time(node.running).await.expect("no panic");
}
