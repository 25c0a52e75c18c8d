//! A node that runs instances in its own process: what there would be without the second wall.
//! For benchmarks of what that costs.

use std::path::Path;
use std::sync::Arc;

use roh::broker::{Broker, DeliverySettler, Outbox};
use roh::config::{Config, Limits};
use roh::grants::Grants;
use roh::manager::{Manager, Runner};
use roh::outcome::Report;
use roh::sandbox::{Capacity, Job, Sandbox};
use roh::task::Task;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::jobs::{run_with, runtime, sandbox};

/// Runs tasks as a daemon does, but for the executors.
struct Within {
    config: Arc<Config>,
    sandbox: Sandbox,
    grants: Grants,
}

impl Runner for Within {
    async fn run(&self, task: Arc<Task>, stop: CancellationToken) -> Report {
        let envelope = &task.envelope;
        let tenant = &envelope.tenant;
        let share = self.config.tenants.get(tenant).map_or(1, |tenant| tenant.share);
        let mut job = Job::new(&task, self.config.limits(tenant), share);
        let session = self.grants.session(tenant, &envelope.id, envelope.depth, &job.limits);
        let session = Arc::new(session);
        job.image = session.script_key(&job.script).await;
        let mut report = run_with(&self.sandbox, job, session.clone(), stop).await;
        session.finish(&mut report);
        report
    }
}

/// Takes tasks, as this configuration has it, until it is sent SIGTERM.
///
/// # Panics
/// It can't.
pub fn serve(config: &Path) {
    let config = Arc::new(Config::load(config).expect("a configuration"));
    runtime().block_on(async {
        let mut told = signal(SignalKind::terminate()).expect("signals");
        let count = |number: usize| u32::try_from(number).expect("a few");
        let sandbox = sandbox(Capacity {
            instances: count(config.manager.watermark),
            threads: count(std::thread::available_parallelism().expect("a number").get()),
            memory: Limits::default().memory,
            script_images: config.sandbox.script_images,
        });
        let outbox = Arc::new(Outbox::new(&config, "scripts").expect("a URL"));
        let grants = Grants::new(&config, config.management.listen, outbox).expect("grants");
        let runner = Arc::new(Within { config: config.clone(), sandbox, grants });
        let (manager, handle) =
            Manager::new(&config.manager, &config.tenants, runner, Arc::new(DeliverySettler));
        let manager = tokio::spawn(manager.run());
        let broker = Broker::connect(&config).await.expect("a broker");
        let (settled, (connection, _connected)) = (CancellationToken::new(), watch::channel(false));
        let stop_consuming = handle.stop_consuming();
        let broker =
            tokio::spawn(broker.run(handle.clone(), stop_consuming, settled.clone(), connection));
        told.recv().await;
        let _ = handle.drain(config.manager.drain_timeout).await;
        manager.await.expect("no panic");
        settled.cancel();
        broker.await.expect("no panic");
    });
}
