//! `roh serve`: a node. Puts broker, manager, sandbox and management together, and
//! takes them apart again when it is told to leave.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::{CommandError, Exit, recipe};
use crate::broker::{Broker, DeliverySettler, Outbox};
use crate::config::{Config, ExecutorKind};
use crate::executor::{self, Executors, ExecutorsError, Plan};
use crate::grants::Grants;
use crate::heap;
use crate::management::{self, LiveNode, Submissions};
use crate::manager::{Manager, Runner};
use crate::outcome::Report;
use crate::sandbox::Job;
use crate::sandbox::image::Image;
use crate::systemd::{self, Notice};
use crate::task::Task;
use crate::telemetry;

/// What a node waits for beyond its drain timeout: interrupts to be heeded, and the
/// broker to confirm what is being settled. What it does not get by then is redelivered.
/// Longer than an executor may take to heed them.
const GRACE: Duration = Duration::from_secs(15);

/// How often what is free of the daemon's heap is given back.
const GIVE_BACK: Duration = Duration::from_secs(10);

/// What the node is told.
#[derive(Debug)]
pub struct Options {
    /// The configuration's file.
    pub config: PathBuf,
}

/// Runs a node until it is told to leave.
///
/// # Errors
/// The configuration is wrong, or something the node needs is out of reach.
pub fn run(options: Options) -> Result<Exit, CommandError> {
    let config = Config::load(&options.config)?;
    telemetry::init(&config.log)?;
    let runtime = super::runtime()?;
    // Taken first: a port in use shows at once, not after an image was built.
    let listener = runtime.block_on(management::bind(config.management.listen))?;
    let image = recipe::image()?;
    tracing::info!(node = config.node, version = env!("CARGO_PKG_VERSION"), "node starting");
    let exit = runtime.block_on(async {
        let executors = executors(&config, image).await?;
        if let Some(walls) = executors.walls() {
            tracing::info!(count = executors.alive(), %walls, "executors started");
        }
        serve(Arc::new(config), executors, listener).await
    });
    // Whatever still waits for something waits for nobody.
    runtime.shutdown_background();
    exit
}

/// Starts the executors of a node with this configuration.
pub(super) async fn executors(config: &Config, image: Image) -> Result<Executors, ExecutorsError> {
    let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    let watermark = config.manager.watermark;
    let own = config.tenants.iter().filter(|(_, tenant)| tenant.executor == ExecutorKind::Own);
    let own = own.map(|(name, tenant)| {
        (name.clone(), count(tenant.watermark.unwrap_or(watermark).min(watermark)))
    });
    let plan = Plan {
        program: executor::program(),
        image,
        shared: count(config.sandbox.executors),
        instances: count(watermark),
        own: own.collect(),
        limits: config.tenants.values().map(|tenant| tenant.limits).collect(),
        script_images: config.sandbox.script_images,
        require: config.sandbox.require.clone(),
    };
    Executors::start(plan).await
}

/// The executors, as the manager needs them: each task under its tenant's limits.
struct TenantRunner {
    config: Arc<Config>,
    executors: Arc<Executors>,
    grants: Arc<Grants>,
}

impl Runner for TenantRunner {
    async fn run(&self, task: Arc<Task>, stop: CancellationToken) -> Report {
        let name = &task.envelope.tenant;
        let share = self.config.tenants.get(name).map_or(1, |tenant| tenant.share);
        let mut job = Job::new(&task, self.config.limits(name), share);
        let session = Arc::new(self.grants.session(
            name,
            &task.envelope.id,
            task.envelope.depth,
            &job.limits,
        ));
        // It looks at files, and where they are may not answer. Cancel-safe: it holds nothing.
        job.image = tokio::select! {
            biased;
            key = session.script_key(&job.script) => key,
            () = stop.cancelled() => None,
            () = tokio::time::sleep(job.limits.wall) => None,
        };
        let mut report = self.executors.run(job, session.clone(), stop).await;
        session.finish(&mut report);
        report
    }
}

async fn serve(
    config: Arc<Config>,
    executors: Executors,
    listener: TcpListener,
) -> Result<Exit, CommandError> {
    let mut leave = Leave::new()?;
    let management = listener.local_addr().unwrap_or(config.management.listen);
    let outbox = Arc::new(Outbox::new(&config, "scripts")?);
    let grants = Arc::new(Grants::new(&config, management, outbox)?);
    // Not the scripts' own: they could hold it up.
    let submissions =
        Submissions::new(config.clone(), Arc::new(Outbox::new(&config, "management")?));
    let executors = Arc::new(executors);
    let runner = Arc::new(TenantRunner {
        config: config.clone(),
        executors: executors.clone(),
        grants: grants.clone(),
    });
    let (manager, handle) =
        Manager::new(&config.manager, &config.tenants, runner, Arc::new(DeliverySettler));
    let (settled, closed) = (CancellationToken::new(), CancellationToken::new());
    let mut manager = tokio::spawn(manager.run());

    // Before the broker: whoever asks is told that it is not there yet.
    let (connection, connected) = watch::channel(false);
    let node = LiveNode {
        manager: handle.clone(),
        executors,
        grants,
        submissions,
        watermark: config.manager.watermark,
        connected: connected.clone(),
    };
    let router = management::router(&config.node, node, config.management.token.clone());
    if let Ok(address) = listener.local_addr() {
        tracing::info!(%address, "management listening");
    }
    let server =
        tokio::spawn(management::serve(listener, router, closed.clone().cancelled_owned()));
    tokio::spawn(tell_systemd_when_ready(connected));
    tokio::spawn(give_back_memory());

    // Cancel-safe: a broker that is not there yet holds nothing of ours.
    let broker = tokio::select! {
        broker = Broker::connect(&config) => broker?,
        _ = leave.told() => return Ok(Exit::Succeeded),
    };
    let mut broker = tokio::spawn(broker.run(
        handle.clone(),
        handle.stop_consuming(),
        settled.clone(),
        connection,
    ));

    // Cancel-safe: all three are only waited for. The first should be the one.
    tokio::select! {
        _ = leave.told() => {}
        ended = &mut manager => return Ok(broken("manager", &ended)),
        ended = &mut broker => return Ok(broken("broker", &ended)),
    }
    tell_systemd(Notice::Stopping);
    let drain_timeout = config.manager.drain_timeout;
    // It has not ended: only a drain ends it.
    let _ = handle.drain(drain_timeout).await;
    tokio::select! {
        _ = &mut manager => {}
        code = leave.told() => {
            tracing::warn!("told to leave again, leaving at once");
            std::process::exit(code);
        }
        () = tokio::time::sleep(drain_timeout.saturating_add(GRACE)) => {
            tracing::warn!("leaving with deliveries that the broker does not let us settle");
        }
    }
    settled.cancel();
    // Cancel-safe: the first is only waited for.
    tokio::select! {
        closed = timeout(GRACE, broker) => if closed.is_err() {
            tracing::warn!("the broker does not let go of the connection, dropping it");
        },
        code = leave.told() => std::process::exit(code),
    }
    closed.cancel();
    // It bounds its own end.
    let _ = server.await;
    tracing::info!("node left");
    Ok(Exit::Succeeded)
}

/// A part of the node ended that should not have. The node can't do its duty without:
/// it ends as well, and whatever it held is delivered to others.
fn broken(part: &str, ended: &Result<(), tokio::task::JoinError>) -> Exit {
    let why = ended.as_ref().err().map_or("it returned".to_owned(), ToString::to_string);
    tracing::error!(part, why, "a part of the node ended, leaving");
    Exit::Unusable
}

/// The signals that tell a node to leave.
struct Leave {
    terminate: Signal,
    interrupt: Signal,
}

impl Leave {
    fn new() -> Result<Leave, CommandError> {
        let listen = |kind| {
            signal(kind).map_err(|source| CommandError::System {
                what: "listen for signals".into(),
                source,
            })
        };
        Ok(Leave {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
        })
    }

    /// Waits for the next one, and returns the exit code of a process that it ends.
    async fn told(&mut self) -> i32 {
        // Cancel-safe: a signal that is not received stays pending.
        tokio::select! {
            _ = self.terminate.recv() => 128 + SignalKind::terminate().as_raw_value(),
            _ = self.interrupt.recv() => 128 + SignalKind::interrupt().as_raw_value(),
        }
    }
}

/// Tasks that waited leave as much of the heap behind as they took, messages and all.
async fn give_back_memory() {
    loop {
        tokio::time::sleep(GIVE_BACK).await;
        heap::give_back();
    }
}

async fn tell_systemd_when_ready(mut connected: watch::Receiver<bool>) {
    // It fails only if the broker's task is gone, and then the node leaves.
    if connected.wait_for(|connected| *connected).await.is_ok() {
        tracing::info!("node ready");
        tell_systemd(Notice::Ready);
    }
}

fn tell_systemd(notice: Notice) {
    if let Err(error) = systemd::notify(notice) {
        tracing::warn!(%error, "systemd not told");
    }
}
