//! Takes tasks from RabbitMQ and settles them: consumes, replies, dead-letters, acks.
//! The only module that names lapin. Decides neither what runs nor what is settled how.
//!
//! All connections live and die together, as a *session*. A session that is lost is
//! followed by another; what was unsettled in it, the broker delivers again.

mod address;
pub mod client;
mod direct;
mod error;
#[cfg(fuzzing)]
pub mod fuzz;
mod message;
mod outbox;
mod publisher;
mod reactor;
mod session;
mod settle;
mod topology;
mod wire;

use std::sync::Arc;
use std::time::{Duration, Instant};

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use lapin::{Acker, BasicProperties};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

pub use self::error::{BrokerError, MendedBy};
pub use self::outbox::Outbox;

use self::address::Address;
use self::session::{Ended, Opened, Session};
use crate::config::{Config, DeadLetter, Source};
use crate::manager::settlement::Settlement;
use crate::manager::state::SessionId;
use crate::manager::{ManagerHandle, Settler};
use crate::task::{Envelope, Refused, Task};

/// Between attempts at a session: grows from the first to the last, times a random
/// factor of up to two, so that a cluster's nodes do not all knock at once.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(5));
/// A session that lasted as long was in order.
const STABLE: Duration = Duration::from_secs(10);

/// A message that the broker delivered and that is not settled yet. Dropped without
/// being settled, it stays unsettled until its session ends.
pub struct Delivery {
    session: Arc<Session>,
    acker: Acker,
    body: Vec<u8>,
    properties: BasicProperties,
}

impl Delivery {
    /// The session that it can be settled in.
    pub fn session(&self) -> SessionId {
        self.session.id
    }
}

impl std::fmt::Debug for Delivery {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Delivery").field("session", &self.session.id).finish_non_exhaustive()
    }
}

/// Where deliveries go: the manager, or a test in its place.
pub trait Inbox: Clone + Send + Sync + 'static {
    /// A task arrived.
    fn delivered(&self, task: Task, delivery: Delivery) -> impl Future<Output = ()> + Send;

    /// A message arrived that is not a task.
    fn refused(&self, refused: Box<Refused>, delivery: Delivery)
    -> impl Future<Output = ()> + Send;

    /// Deliveries of this session can no longer be settled, and no more will come.
    fn session_lost(&self, session: SessionId) -> impl Future<Output = ()> + Send;
}

/// A manager that has ended takes nothing: what it is handed stays unsettled, and goes
/// back to its queue when the session ends.
impl Inbox for ManagerHandle<Delivery> {
    async fn delivered(&self, task: Task, delivery: Delivery) {
        let _ = self.delivered(delivery.session(), Arc::new(task), delivery).await;
    }

    async fn refused(&self, refused: Box<Refused>, delivery: Delivery) {
        let _ = self.refused(delivery.session(), refused, delivery).await;
    }

    async fn session_lost(&self, session: SessionId) {
        let _ = self.session_lost(session).await;
    }
}

/// Settles what the manager decided. Each delivery brings what that takes.
#[derive(Debug, Clone, Copy, Default)]
pub struct DeliverySettler;

impl Settler for DeliverySettler {
    type Delivery = Delivery;

    async fn settle(&self, envelope: Envelope, delivery: Delivery, settlement: Settlement) {
        delivery.settle(&envelope, &settlement).await;
    }
}

/// What every session is opened with.
struct Plan {
    node: String,
    address: Address,
    dead_letter: DeadLetter,
    sources: Vec<SourcePlan>,
}

#[derive(Clone)]
struct SourcePlan {
    source: Source,
    /// The source's, shared by its tasks.
    queue: Arc<str>,
    /// Unsettled deliveries at most.
    prefetch: u16,
    /// Bytes of a message at most: its tenant's.
    message_limit: u64,
}

impl Plan {
    fn new(config: &Config) -> Result<Plan, BrokerError> {
        let tenants: Vec<_> = config.sources.iter().map(|source| &source.tenant).collect();
        let most = |name: &_| config.tenants.get(name)?.prefetch(&config.manager);
        let prefetch = topology::split_prefetch(config.manager.prefetch(), &tenants, most);
        let sources = config.sources.iter().zip(prefetch).map(|(source, prefetch)| SourcePlan {
            source: source.clone(),
            queue: source.queue.as_str().into(),
            prefetch,
            message_limit: config.limits(&source.tenant).message,
        });
        Ok(Plan {
            node: config.node.clone(),
            address: Address::parse(&config.broker.url)?,
            dead_letter: config.dead_letter.clone(),
            sources: sources.collect(),
        })
    }
}

/// A node's link to its broker.
pub struct Broker {
    plan: Plan,
    backoff: Backoff,
    opened: Opened,
    sessions: u64,
}

impl Broker {
    /// Opens the first session. Consumes nothing yet. Waits as long as the broker can't
    /// be reached; cancel-safe.
    ///
    /// # Errors
    /// Only what a person must mend: the URL, credentials, certificates, or an exchange
    /// or queue that exists and is not what the configuration says.
    pub async fn connect(config: &Config) -> Result<Broker, BrokerError> {
        let plan = Plan::new(config)?;
        let mut backoff = Backoff::new();
        let opened = loop {
            match Session::open(SessionId(0), &plan).await {
                Ok(opened) => break opened,
                Err(error) if error.mended_by() == MendedBy::Person => return Err(error),
                Err(error) => backoff.wait_after(&error).await,
            }
        };
        tracing::info!(broker = %plan.address, "connected to the broker");
        Ok(Broker { plan, backoff, opened, sessions: 1 })
    }

    /// Passes deliveries on to `inbox`, over as many sessions as it takes.
    ///
    /// Once `stop_consuming` is cancelled it asks the broker for no more. Once `settled`
    /// is cancelled, which must come later, it closes the connections and returns. Lost
    /// sessions are not replaced from the moment that it is told to stop.
    ///
    /// `connected` says whether tasks are being taken: for a readiness probe.
    pub async fn run<I: Inbox>(
        self,
        inbox: I,
        stop_consuming: CancellationToken,
        settled: CancellationToken,
        connected: watch::Sender<bool>,
    ) {
        let Broker { plan, mut backoff, mut opened, mut sessions } = self;
        loop {
            let (id, since) = (opened.id(), Instant::now());
            let ended = opened
                .run(&plan, &inbox, &stop_consuming, &settled, || {
                    connected.send_replace(true);
                })
                .await;
            connected.send_replace(false);
            let Ended::Lost(error) = ended else { return };
            inbox.session_lost(id).await;
            match error.mended_by() {
                MendedBy::Time => tracing::warn!(%error, "broker session lost"),
                MendedBy::Person => tracing::error!(%error, "broker session lost"),
            }
            if stop_consuming.is_cancelled() {
                return;
            }
            // One that opens and fails at once must not hammer the broker.
            if since.elapsed() > STABLE {
                backoff = Backoff::new();
            }
            // Cancel-safe: a session that is being opened holds no deliveries.
            let reopened = tokio::select! {
                reopened = reopen(&plan, &mut sessions, &mut backoff) => reopened,
                () = stop_consuming.cancelled() => return,
            };
            opened = reopened;
            tracing::info!(broker = %plan.address, "connected to the broker again");
        }
    }
}

async fn reopen(plan: &Plan, sessions: &mut u64, backoff: &mut Backoff) -> Opened {
    tokio::time::sleep(backoff.next()).await;
    loop {
        let id = SessionId(*sessions);
        *sessions += 1;
        match Session::open(id, plan).await {
            Ok(opened) => return opened,
            Err(error) => backoff.wait_after(&error).await,
        }
    }
}

/// Waits longer after each failure in a row.
struct Backoff(ExponentialBackoff);

impl Backoff {
    fn new() -> Backoff {
        let (min, max) = BACKOFF;
        let delays = ExponentialBuilder::default()
            .with_min_delay(min)
            .with_max_delay(max)
            .with_jitter()
            .without_max_times();
        Backoff(delays.build())
    }

    fn next(&mut self) -> Duration {
        self.0.next().unwrap_or(BACKOFF.1)
    }

    async fn wait_after(&mut self, error: &BrokerError) {
        let retry_in = self.next();
        match error.mended_by() {
            MendedBy::Time => tracing::warn!(%error, ?retry_in, "no broker session"),
            MendedBy::Person => tracing::error!(%error, ?retry_in, "no broker session"),
        }
        tokio::time::sleep(retry_in).await;
    }
}
