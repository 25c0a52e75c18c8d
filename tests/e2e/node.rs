//! A node whose manager is the test: it takes what the broker delivers, and settles it
//! as the test says.

use std::collections::BTreeMap;
use std::time::Duration;

use roh::broker::{Broker, Delivery, Inbox};
use roh::config::{self, Config, Source};
use roh::manager::settlement::{DeadLetter, Settlement};
use roh::manager::state::SessionId;
use roh::outcome::{Exception, Outcome, Report};
use roh::task::{Envelope, Refused, Task, TenantName};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::amqp::{SOON, unique};

/// What the broker told the manager.
#[derive(Debug)]
pub(crate) enum Arrival {
    Task(Box<Task>, Delivery),
    Refused(Box<Refused>, Delivery),
    Lost(SessionId),
}

#[derive(Clone)]
struct Recorder(mpsc::UnboundedSender<Arrival>);

impl Inbox for Recorder {
    async fn delivered(&self, task: Task, delivery: Delivery) {
        let _ = self.0.send(Arrival::Task(Box::new(task), delivery));
    }

    async fn refused(&self, refused: Box<Refused>, delivery: Delivery) {
        let _ = self.0.send(Arrival::Refused(refused, delivery));
    }

    async fn session_lost(&self, session: SessionId) {
        let _ = self.0.send(Arrival::Lost(session));
    }
}

/// A node with a broker and, for a manager, this test.
pub(crate) struct Node {
    pub(crate) config: Config,
    pub(crate) arrivals: mpsc::UnboundedReceiver<Arrival>,
    pub(crate) connected: watch::Receiver<bool>,
    pub(crate) stop_consuming: CancellationToken,
    settled: CancellationToken,
    running: JoinHandle<()>,
}

impl Node {
    pub(crate) async fn start(config: Config) -> Node {
        let connecting = tokio::time::timeout(SOON, Broker::connect(&config));
        let broker = connecting.await.expect("connected in time").unwrap();
        let (connection, connected) = watch::channel(false);
        let (sender, arrivals) = mpsc::unbounded_channel();
        let (stop_consuming, settled) = (CancellationToken::new(), CancellationToken::new());
        let running = tokio::spawn(broker.run(
            Recorder(sender),
            stop_consuming.clone(),
            settled.clone(),
            connection,
        ));
        Node { config, arrivals, connected, stop_consuming, settled, running }
    }

    pub(crate) async fn next(&mut self) -> Arrival {
        let next = tokio::time::timeout(SOON, self.arrivals.recv()).await;
        next.expect("something arrives").expect("the broker runs")
    }

    pub(crate) async fn next_task(&mut self) -> (Task, Delivery) {
        match self.next().await {
            Arrival::Task(task, delivery) => (*task, delivery),
            other => panic!("not a task: {other:?}"),
        }
    }

    pub(crate) async fn await_connected(&mut self, expected: bool) {
        let waiting = self.connected.wait_for(|connected| *connected == expected);
        tokio::time::timeout(SOON, waiting).await.expect("in time").expect("the broker runs");
    }

    pub(crate) async fn leave(self) {
        self.stop_consuming.cancel();
        self.settled.cancel();
        tokio::time::timeout(SOON, self.running).await.expect("leaves in time").unwrap();
    }

    pub(crate) fn source(&self) -> &Source {
        &self.config.sources[0]
    }

    pub(crate) fn dead(&self) -> &str {
        &self.config.dead_letter.queue
    }
}

/// A configuration whose names no other test uses.
pub(crate) fn config(url: &str, name: &str) -> Config {
    let name = unique(name);
    let source = Source {
        exchange: format!("{name}.exchange"),
        queue: format!("{name}.tasks"),
        routing_key: String::new(),
        tenant: TenantName::new("default"),
        arguments: BTreeMap::new(),
        binding_arguments: BTreeMap::new(),
        nowait: false,
    };
    let dead = format!("{name}.dead");
    Config {
        node: "node-a".into(),
        data: "no-data".into(),
        broker: config::Broker { url: url.to_owned() },
        sources: vec![source],
        manager: config::ManagerConfig {
            watermark: 2,
            waiting_limit: 4,
            max_deliveries: 5,
            drain_timeout: Duration::from_secs(5),
        },
        sandbox: config::Sandbox { require: Vec::new(), executors: 1, script_images: 0 },
        tenants: BTreeMap::new(),
        dead_letter: config::DeadLetter { exchange: dead.clone(), queue: dead },
        management: config::Management { listen: ([127, 0, 0, 1], 0).into(), token: None },
        log: config::Log { format: config::LogFormat::Pretty, level: "info".into() },
    }
}

pub(crate) fn failed() -> Outcome {
    Outcome::Failed(Exception {
        kind: "ValueError".into(),
        message: "bad".into(),
        traceback: "Traceback …".into(),
    })
}

pub(crate) fn succeeded() -> Outcome {
    Outcome::Succeeded(serde_json::from_str("42").unwrap())
}

pub(crate) fn finish(outcome: Outcome, dead_letter: DeadLetter) -> Settlement {
    Settlement::Finish { report: Box::new(Report::not_run(outcome)), dead_letter }
}

pub(crate) async fn settle(delivery: Delivery, envelope: &Envelope, settlement: &Settlement) {
    let settling = delivery.settle(envelope, settlement);
    tokio::time::timeout(SOON, settling).await.expect("settled in time");
}

pub(crate) const TASK: &[u8] = br#"{"task": "a.b"}"#;
