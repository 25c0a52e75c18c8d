//! Runs each task in a WebAssembly instance of its own, under its limits.
//!
//! What goes in and what comes out are plain values: a [`Job`] and a
//! [`Report`]. Nothing here knows of the broker or of the manager.

mod engine;
mod guest;
pub mod image;
mod instance;
mod memory;
mod meter;
mod scripts;
#[cfg(test)]
mod tests;
mod wasi;

use std::sync::Arc;

use roh_abi::{Call, Load, Loaded, export};
use serde_json::value::RawValue;
use tokio::runtime::{Handle, Runtime};
use tokio_util::sync::CancellationToken;
use wasmtime::{InstancePre, Module, Trap};

use self::guest::Guest;
use self::image::Image;
use self::instance::{Instance, Interrupt};
use self::meter::Metered;
pub use self::scripts::Scripts;
use crate::config::Limits;
use crate::outcome::{Exception, Outcome, Report, TimeLimit, Usage};
use crate::task::{Code, Task, TenantName};

/// Longest message of an exception, and longest traceback, in bytes.
const MAX_MESSAGE_BYTES: usize = 64 << 10;

/// File name of an inline script, as tracebacks show it.
const INLINE_FILE: &str = "script.py";

/// One task, as the sandbox sees it.
#[derive(Debug, Clone)]
pub struct Job {
    /// Whose scripts it sees.
    pub tenant: TenantName,
    /// The script to make ready.
    pub load: Load,
    /// The function of it to call.
    pub function: String,
    /// Positional arguments: a JSON array.
    pub args: String,
    /// Keyword arguments: a JSON object.
    pub kwargs: String,
    /// What it may use.
    pub limits: Limits,
}

impl Job {
    /// The job that `task` asks for, under its tenant's `limits`.
    pub fn new(task: &Task, mut limits: Limits) -> Job {
        if let Some(timeout) = task.timeout {
            limits.wall = limits.wall.min(timeout);
        }
        let (load, function) = match &task.code {
            Code::Module { module, function } => (Load::Module { name: module.clone() }, function),
            Code::Inline { source, function } => {
                (Load::Inline { file: INLINE_FILE.into(), source: source.clone() }, function)
            }
        };
        Job {
            tenant: task.envelope.tenant.clone(),
            load,
            function: function.clone(),
            args: task.args.clone(),
            kwargs: task.kwargs.clone(),
            limits,
        }
    }
}

/// The sandbox could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// The engine, or the image in it.
    #[error("cannot set up the sandbox")]
    Engine(#[from] wasmtime::Error),
    /// The threads that it computes on.
    #[error("cannot start the sandbox's threads")]
    Threads(#[from] std::io::Error),
}

/// Makes instances of one image and runs jobs in them.
///
/// It computes on threads of its own: a busy script never delays the broker's
/// heartbeats.
pub struct Sandbox {
    shared: Arc<Shared>,
    /// Only gone while this is dropped.
    runtime: Option<Runtime>,
    compute: Handle,
}

struct Shared {
    image: InstancePre<Instance>,
    scripts: Arc<Scripts>,
    ticker: engine::Ticker,
}

impl Sandbox {
    /// Sets up room for `instances` at once, of `memory` bytes each at most.
    pub fn new(
        image: &Image,
        scripts: Scripts,
        instances: u32,
        memory: u64,
    ) -> Result<Sandbox, SandboxError> {
        let engine = engine::pooled(instances, memory)?;
        Sandbox::of_module(&image.module(&engine)?, scripts)
    }

    fn of_module(module: &Module, scripts: Scripts) -> Result<Sandbox, SandboxError> {
        let image = guest::linker(module)?.instantiate_pre(module)?;
        let ticker = engine::Ticker::start(module.engine())?;
        let shared = Shared { image, scripts: Arc::new(scripts), ticker };
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .thread_name("roh-compute")
            // New tasks and timers get their turn after each slice: tokio's defaults
            // let 61 go by, which at a slice's length is an age.
            .global_queue_interval(1)
            .event_interval(1)
            .enable_time()
            .build()?;
        Ok(Sandbox {
            shared: Arc::new(shared),
            compute: runtime.handle().clone(),
            runtime: Some(runtime),
        })
    }

    /// Runs `job` to its end, whatever that is. Cancelling `stop` ends it as
    /// [`Outcome::Stopped`] within a time slice.
    ///
    /// Dropping the future stops the task as well, but tells nobody.
    pub async fn run(&self, job: Job, stop: CancellationToken) -> Report {
        let shared = self.shared.clone();
        let stop_on_drop = stop.clone().drop_guard();
        let task = self.compute.spawn(async move { shared.run(job, stop).await });
        let report = match task.await {
            Ok(report) => report,
            Err(error) => Report::not_run(Outcome::Crashed(format!("the sandbox failed: {error}"))),
        };
        // It is over: there is nothing left to stop.
        stop_on_drop.disarm();
        report
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        // A busy instance would hold up an orderly end for as long as it may run.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Shared {
    async fn run(&self, job: Job, stop: CancellationToken) -> Report {
        let _running = self.ticker.run();
        let data = Instance::new(job.tenant.clone(), self.scripts.clone(), &job.limits, stop);
        let meter = data.meter.clone();
        let started = data.started;
        let mut report = Metered::new(meter.clone(), self.run_instance(job, data)).await;
        report.usage.cpu = meter.cpu();
        report.usage.wall = started.elapsed();
        report
    }

    /// The report lacks its times.
    async fn run_instance(&self, job: Job, data: Instance) -> Report {
        let limits = job.limits;
        let mut guest = match Guest::start(&self.image, data).await {
            Ok(guest) => guest,
            Err(error) => {
                let reason = format!("cannot make an instance: {error:#}");
                return Report::not_run(Outcome::Crashed(reason));
            }
        };
        let outcome = match load_and_call(&mut guest, job).await {
            Ok(Outcome::Failed(exception))
                if exception.kind == "MemoryError" && guest.store.data().memory_limit.reached() =>
            {
                Outcome::OutOfMemory(limits.memory)
            }
            Ok(outcome) => outcome,
            Err(error) => why_it_ended(&error, &mut guest, &limits),
        };
        let memory_bytes = guest.memory_bytes();
        let instance = guest.store.data_mut();
        Report {
            outcome,
            stdout: instance.stdout.take(),
            stderr: instance.stderr.take(),
            usage: Usage { memory_bytes, ..Usage::default() },
        }
    }
}

async fn load_and_call(guest: &mut Guest, job: Job) -> wasmtime::Result<Outcome> {
    match guest.call(export::LOAD, &job.load, 0).await? {
        Loaded::Ready => {}
        Loaded::NoModule => return Ok(Outcome::Invalid(no_module(&job))),
        Loaded::Raised(exception) => return Ok(failed(exception)),
    }
    let result_limit = u32::try_from(job.limits.result).unwrap_or(u32::MAX);
    let function = job.function.clone();
    let call = Call { function: job.function, args: job.args, kwargs: job.kwargs, result_limit };
    Ok(match guest.call(export::CALL, &call, result_limit).await? {
        roh_abi::Reply::Returned(json) => match RawValue::from_string(json) {
            Ok(value) => Outcome::Succeeded(value),
            Err(_) => Outcome::Crashed("the guest's result is not JSON".into()),
        },
        roh_abi::Reply::Raised(exception) => failed(exception),
        roh_abi::Reply::NoFunction => Outcome::Invalid(match &job.load {
            Load::Module { name } => format!("script {name:?} has no function {function:?}"),
            Load::Inline { .. } => format!("the script has no function {function:?}"),
        }),
    })
}

fn no_module(job: &Job) -> String {
    match &job.load {
        Load::Module { name } => format!("tenant {:?} has no script {name:?}", job.tenant.as_str()),
        Load::Inline { .. } => "the script is gone".to_owned(),
    }
}

fn failed(exception: roh_abi::Exception) -> Outcome {
    let cut = |mut text: String| {
        if text.len() > MAX_MESSAGE_BYTES {
            text.truncate(text.floor_char_boundary(MAX_MESSAGE_BYTES));
            text.push('…');
        }
        text
    };
    Outcome::Failed(Exception {
        kind: cut(exception.kind),
        message: cut(exception.message),
        traceback: cut(exception.traceback),
    })
}

/// The outcome of an instance that ended without a reply.
fn why_it_ended(error: &wasmtime::Error, guest: &mut Guest, limits: &Limits) -> Outcome {
    if let Some(interrupt) = error.downcast_ref::<Interrupt>() {
        return match interrupt {
            Interrupt::Cpu => Outcome::Timeout(TimeLimit::Cpu, limits.cpu),
            Interrupt::Wall => Outcome::Timeout(TimeLimit::Wall, limits.wall),
            Interrupt::Stop => Outcome::Stopped,
            Interrupt::Exit(_) => Outcome::Failed(Exception {
                kind: "SystemExit".into(),
                message: interrupt.to_string(),
                traceback: String::new(),
            }),
        };
    }
    let trap = error.downcast_ref::<Trap>();
    let too_deep = match trap {
        Some(Trap::StackOverflow) => true,
        Some(Trap::MemoryOutOfBounds) => guest.stack_ran_out(),
        _ => false,
    };
    let instance = guest.store.data();
    match trap {
        Some(_) if too_deep => Outcome::Failed(Exception {
            kind: "RecursionError".into(),
            message: "maximum recursion depth exceeded".into(),
            traceback: String::new(),
        }),
        // Rust aborts when an allocation fails, without a panic.
        Some(Trap::UnreachableCodeReached)
            if instance.panic.is_none() && instance.memory_limit.reached() =>
        {
            Outcome::OutOfMemory(limits.memory)
        }
        _ => Outcome::Crashed(match (&instance.panic, trap) {
            (Some(panic), _) => format!("the interpreter panicked: {panic}"),
            (None, Some(trap)) => format!("the instance trapped: {trap}"),
            (None, None) => format!("the instance failed: {error:#}"),
        }),
    }
}
