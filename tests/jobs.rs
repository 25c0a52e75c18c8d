//! Jobs for executors and sandboxes that are used without a broker, and such a sandbox.

use std::sync::Arc;

use roh::config::Limits;
use roh::outcome::Report;
use roh::sandbox::{Calls, Capacity, Job, NoCalls, PageMap, Ready, Sandbox};
use roh::task::TenantName;
use roh_abi::Script;
use tokio::runtime::Runtime;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use crate::daemon::image;

/// A call of `main` in `source`, with `args` as JSON.
pub fn job(source: &str, args: &str, limits: Limits) -> Job {
    let tenant = TenantName::new("default");
    Job {
        tenant,
        share: 1,
        id: "t".into(),
        attempt: 1,
        script: Script::Inline { file: "script.py".into(), source: source.into() },
        image: None,
        function: "main".into(),
        args: args.into(),
        kwargs: "{}".into(),
        limits,
    }
}

/// A sandbox within this process, which keeps instances if the kernel lets it.
pub fn sandbox(capacity: Capacity) -> Sandbox {
    let code = image().code().expect("a file");
    let ready = Ready::load(code, PageMap::open().ok(), capacity).expect("an image");
    Sandbox::start(ready).expect("threads")
}

/// Threads to wait on, as many as a daemon has.
///
/// # Panics
/// They can't be started.
pub fn runtime() -> Runtime {
    let mut threads = tokio::runtime::Builder::new_multi_thread();
    threads.worker_threads(2).enable_all().build().expect("threads")
}

/// Runs `job`, whose script may ask for nothing, in `sandbox`.
pub async fn run_in(sandbox: &Sandbox, job: Job) -> Report {
    run_with(sandbox, job, Arc::new(NoCalls), CancellationToken::new()).await
}

/// Runs `job` in `sandbox`; `calls` answers what its script asks for.
///
/// # Panics
/// It has no report.
pub async fn run_with(
    sandbox: &Sandbox,
    job: Job,
    calls: Arc<dyn Calls>,
    stop: CancellationToken,
) -> Report {
    let (sender, report) = oneshot::channel();
    sandbox.spawn(job, calls, stop, |report, _| {
        let _ = sender.send(report);
    });
    report.await.expect("every job has a report")
}
