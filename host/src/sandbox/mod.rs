//! Runs each task in a WebAssembly instance that it has to itself, under its limits.
//!
//! What goes in and what comes out are plain values: a [`Job`] and a
//! [`Report`]. Nothing here knows of the broker or of the manager.

mod crew;
mod engine;
mod fair;
#[cfg(fuzzing)]
pub mod fuzz;
mod guest;
pub mod image;
mod instance;
mod memory;
mod meter;
mod page_map;
mod scripts;
mod snapshot;
#[cfg(test)]
pub(crate) mod tests;
mod threads;
mod wait;
mod warm;
mod wasi;

use std::fs::File;
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use roh_abi::{Call, Loaded, Script, TaskInfo, export};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use wasmtime::{InstancePre, Module, Trap};

use self::crew::{Crew, Lookout};
use self::fair::Cores;
use self::guest::Guest;
use self::instance::{Instance, Interrupt};
use self::meter::Metered;
pub use self::page_map::PageMap;
pub use self::scripts::ScriptKey;
use self::scripts::{Build, Found, Loading, ScriptImage, Scripts};
pub(crate) use self::scripts::{Digest, MOST_ANSWERS, digest};
use self::warm::Warm;
use crate::config::Limits;
use crate::outcome::{Exception, Outcome, Report, TimeLimit, Usage};
use crate::task::{Code, Task, TenantName};

/// Longest message of an exception, and longest traceback, in bytes.
pub(crate) const MAX_MESSAGE_BYTES: usize = 64 << 10;

/// File name of an inline script, as tracebacks show it.
const INLINE_FILE: &str = "script.py";

/// How long after its time an instance that is to end may wait for its turn on a core, which
/// may come seldom: then it ends out of turn, before the daemon takes the executor for stuck.
/// If each did so at once, a tenant of many tasks with next to no time would take the cores
/// from all others.
const LATE: Duration = Duration::from_secs(2);

/// How long another thread listens once all threads computed and went on with it: they do not
/// look up soon. While a short task runs beside long ones, not all go on; its next word comes when
/// they do again.
const LATELY: Duration = Duration::from_millis(10);

/// Answers what scripts ask of the host: an encoded [`roh_abi::Request`] is followed by
/// an encoded [`roh_abi::Answer`]. The sandbox looks into neither.
pub trait Calls: Send + Sync + 'static {
    /// The answer. A script that is ended meanwhile drops the future.
    fn answer(&self, request: Vec<u8>) -> Pin<Box<dyn Future<Output = Vec<u8>> + Send + '_>>;
}

/// Answers nothing: there is no module, and all else is refused.
#[derive(Debug, Clone, Copy)]
pub struct NoCalls;

impl Calls for NoCalls {
    fn answer(&self, _: Vec<u8>) -> Pin<Box<dyn Future<Output = Vec<u8>> + Send + '_>> {
        Box::pin(std::future::ready(roh_abi::encode(&roh_abi::Answer::Missing)))
    }
}

/// One task, as the sandbox sees it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Job {
    /// Whose task it is: tenants share the cores.
    pub tenant: TenantName,
    /// Weight of that tenant against others.
    pub share: u32,
    /// The task's id.
    pub id: String,
    /// Which attempt at it this is, from 1.
    pub attempt: u32,
    /// The script to make ready.
    pub script: Script,
    /// Says what image of that script is good enough to start from. `None` to run its top level
    /// for this task alone.
    pub image: Option<ScriptKey>,
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
    /// The job that `task` asks for, under the `limits` and with the `share` of its tenant. It
    /// starts from the interpreter image.
    pub fn new(task: &Task, limits: Limits, share: u32) -> Job {
        let limits = limits.lowered_by(&task.limits);
        let (script, function) = match &task.code {
            Code::Module { module, function } => {
                (Script::Module { name: module.clone() }, function)
            }
            Code::Inline { source, function } => {
                (Script::Inline { file: INLINE_FILE.into(), source: source.clone() }, function)
            }
        };
        let envelope = &task.envelope;
        Job {
            tenant: envelope.tenant.clone(),
            share,
            id: envelope.id.as_str().to_owned(),
            attempt: envelope.attempt,
            script,
            image: None,
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

/// When to tell of a run that is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tell {
    /// At once.
    Now,
    /// It may wait until [`Sandbox::listen`]'s `hand_out` is called: others may end as soon.
    Soon,
}

/// Makes instances of one image and runs jobs in them.
///
/// It computes on threads of its own: a busy script never delays the broker's
/// heartbeats.
pub struct Sandbox {
    shared: Arc<Shared>,
    crew: Crew,
    _lookout: Lookout,
}

struct Shared {
    warm: Warm,
    scripts: Arc<Scripts>,
    ticker: engine::Ticker,
    cores: Arc<Cores>,
    /// Nothing is in line there any more once the sandbox is dropped, which so can be.
    crew: Arc<crew::Shared>,
}

/// How much a sandbox does at once.
#[derive(Debug, Clone, Copy)]
pub struct Capacity {
    /// Instances that run.
    pub instances: u32,
    /// Threads that compute.
    pub threads: u32,
    /// Memory of one instance, in bytes, at most.
    pub memory: u64,
    /// Script images that are kept, in bytes.
    pub script_images: u64,
}

impl Capacity {
    /// Instances that there can be: those that run, those that are kept, one that never runs,
    /// and on each thread one whose end was reported and that still is to be kept or taken
    /// apart.
    fn in_pool(&self) -> u32 {
        self.instances.saturating_add(warm::MOST + 1).saturating_add(self.threads.max(1))
    }
}

/// An image that is loaded, with room for its instances. No thread runs yet.
pub struct Ready {
    image: InstancePre<Instance>,
    page_map: Option<PageMap>,
    threads: usize,
    script_images: u64,
}

impl Ready {
    /// Loads the image in `code` and makes room for its instances. `code` must be what
    /// [`image::Image::code`] gave: it becomes instructions of this process. Without a
    /// `page_map` of this process each task costs a new instance, several times as much.
    pub fn load(
        code: File,
        page_map: Option<PageMap>,
        capacity: Capacity,
    ) -> Result<Ready, SandboxError> {
        let engine = engine::pooled(capacity.in_pool(), capacity.memory)?;
        let module = image::load(code, &engine)?;
        // Where it needs a file of its own, that is made now: later it could not be.
        module.initialize_copy_on_write_image()?;
        let script_images = capacity.script_images;
        Ok(Ready { page_map, script_images, ..Ready::of_module(&module, capacity.threads)? })
    }

    fn of_module(module: &Module, threads: u32) -> Result<Ready, SandboxError> {
        let image = guest::linker(module)?.instantiate_pre(module)?;
        Ok(Ready { image, page_map: None, threads: threads.max(1) as usize, script_images: 0 })
    }
}

impl Sandbox {
    /// Starts its threads. The calling tokio runtime must go on for as long as there are jobs:
    /// it tells them the time, and nothing else.
    ///
    /// # Panics
    /// Not called from a runtime with clocks.
    pub fn start(ready: Ready) -> Result<Sandbox, SandboxError> {
        let Ready { image, page_map, threads, script_images } = ready;
        let engine = image.module().engine().clone();
        // Nothing ticks yet.
        let warm = Warm::new(image, page_map)?;
        let cores = Cores::new(threads, {
            let engine = engine.weak();
            move || {
                if let Some(engine) = engine.upgrade() {
                    engine.increment_epoch();
                }
            }
        });
        let crew = Crew::new()?;
        let lookout = Lookout::start(&crew)?;
        let ticker = engine::Ticker::start(&engine, {
            let (orders, cores, crew) = (lookout.orders(), cores.clone(), crew.shared());
            // Before the tick: at it, none of them computes for a moment.
            move || {
                // Of those that are next one may take long, after all.
                crew.hand_out();
                if cores.all_go_on() {
                    orders.listen_for(LATELY);
                }
            }
        })?;
        for _ in 0..threads {
            crew.hire(Handle::current())?;
        }
        let scripts = Scripts::new(usize::try_from(script_images).unwrap_or(usize::MAX));
        let scripts = Arc::new(scripts);
        let shared = Shared { warm, scripts, ticker, cores, crew: crew.shared() };
        Ok(Sandbox { shared: Arc::new(shared), crew, _lookout: lookout })
    }

    /// Has `take_in` called by one of its threads when something has come over `socket`, which
    /// must not block, or when the other end was closed; and then again for as long as it says
    /// that there may be more: it is to read until there is not, or until the socket has less than
    /// it has room for. It must not panic. Once only.
    ///
    /// Has `hand_out` called soon after a run ended of which it said [`Tell::Soon`].
    pub fn listen(
        &self,
        socket: OwnedFd,
        take_in: impl FnMut() -> bool + Send + 'static,
        hand_out: impl Fn() + Send + Sync + 'static,
    ) -> std::io::Result<()> {
        self.crew.listen(socket, take_in, hand_out)
    }

    /// Runs `job` to its end, whatever that is, and hands its report to `ended`. Cancelling
    /// `stop` ends it as [`Outcome::Stopped`] at its next time slice.
    pub fn spawn(
        &self,
        job: Job,
        calls: Arc<dyn Calls>,
        stop: CancellationToken,
        ended: impl FnOnce(Report, Tell) + Send + 'static,
    ) {
        let (shared, running) = (self.shared.clone(), self.shared.ticker.run());
        let (tenant, share) = (job.tenant.clone(), job.share);
        let data = Instance::new(calls, &job.limits, stop.clone());
        let (meter, deadline) = (data.meter.clone(), data.deadline());
        let late = Box::pin(async move {
            // Both may be dropped: they hold nothing.
            tokio::select! {
                () = stop.cancelled() => {}
                () = wait::at(deadline) => {}
            }
            tokio::time::sleep(LATE).await;
        });
        let ended = Ended(Some(ended));
        let run = Metered::new(meter.clone(), {
            let shared = self.shared.clone();
            async move {
                let _running = running;
                shared.run(job, data, ended).await
            }
        });
        let run = shared.cores.share((&tenant, share), meter, late, run);
        let hurry = run.hurries();
        self.crew.spawn(async move {
            if let Some(ended) = run.await {
                shared.put_back(tenant, ended);
            }
        });
        hurry();
    }

    /// Compares the instances that wait for another task with their image, byte for byte, `most`
    /// of those that came last: how many wait, and how many of those compared differ, which is
    /// none. For tests: it takes milliseconds for each.
    pub fn kept(&self, most: usize) -> (usize, usize) {
        self.shared.warm.compared(most)
    }
}

/// Who is told how a run ended, whatever happens to it.
struct Ended<F: FnOnce(Report, Tell)>(Option<F>);

impl<F: FnOnce(Report, Tell)> Ended<F> {
    fn report(mut self, report: Report, when: Tell) {
        if let Some(ended) = self.0.take() {
            ended(report, when);
        }
    }
}

impl<F: FnOnce(Report, Tell)> Drop for Ended<F> {
    fn drop(&mut self) {
        if let Some(ended) = self.0.take() {
            ended(Report::not_run(Outcome::Crashed("the sandbox panicked".into())), Tell::Now);
        }
    }
}

impl Shared {
    /// The instance, if it came to its end in good order, and its page faults.
    async fn run(
        &self,
        job: Job,
        data: Instance,
        ended: Ended<impl FnOnce(Report, Tell)>,
    ) -> Option<(Guest, u64)> {
        let (meter, started) = (data.meter.clone(), data.started);
        let (mut report, guest) = self.run_instance(job, data).await;
        report.usage.cpu = meter.cpu();
        report.usage.wall = started.elapsed();
        // Before the report goes its way, of which the task has no part.
        let guest = guest.map(|guest| (guest, meter.faults()));
        ended.report(report, if self.crew.may_hold() { Tell::Soon } else { Tell::Now });
        guest
    }

    /// Cleans up after a run that has no core any more: whose turn it is need not wait for that,
    /// above all not the next task of the same tenant. No await: what has ended holds its place
    /// in the pool no longer than it has a thread.
    fn put_back(&self, tenant: TenantName, (guest, faults): (Guest, u64)) {
        self.cores.clean_up(&tenant, || self.warm.put_back(tenant.clone(), guest, faults));
    }

    /// The report, which lacks its times, and the instance if it came to its end in good order.
    async fn run_instance(&self, job: Job, data: Instance) -> (Report, Option<Guest>) {
        let limits = job.limits;
        let mut guest = match self.make_ready(&job, data).await {
            Ok(guest) => guest,
            Err(outcome) => return (Report::not_run(outcome), None),
        };
        let ended = self.load_and_call(&mut guest, job).await;
        let in_order = !matches!(ended, Ok(Outcome::Crashed(_)) | Err(_));
        let outcome = match ended {
            Ok(Outcome::Failed(exception))
                if exception.kind == "MemoryError" && guest.had_no_memory() =>
            {
                Outcome::OutOfMemory(limits.memory)
            }
            Ok(Outcome::Failed(exception)) if exception.kind == "TimeoutError" => {
                match guest.store.data().rung {
                    Some(limit) => Outcome::timeout(limit, &limits),
                    None => Outcome::Failed(exception),
                }
            }
            Ok(outcome) => outcome,
            Err(error) => why_it_ended(&error, &mut guest, &limits),
        };
        let memory_bytes = guest.memory_bytes();
        let instance = guest.store.data_mut();
        let result_bytes = match &outcome {
            Outcome::Succeeded(value) => value.get().len() as u64,
            _ => 0,
        };
        let printed = instance.stdout.written().saturating_add(instance.stderr.written());
        let report = Report {
            outcome,
            stdout: instance.stdout.take(),
            stderr: instance.stderr.take(),
            usage: Usage {
                memory_bytes,
                output_bytes: printed.saturating_add(result_bytes),
                host_calls: instance.calls_made,
                ..Usage::default()
            },
        };
        (report, in_order.then_some(guest))
    }

    /// An instance for `job`, from the image of its script if there is one; if not, it is still
    /// to be loaded.
    async fn make_ready(&self, job: &Job, mut data: Instance) -> Result<Guest, Outcome> {
        let found = self.find_image(job, &data).await;
        let found = found.map_err(|interrupt| interrupted(interrupt, &job.limits))?;
        let (from, build) = match found {
            Found::Image(image) => (Some(image), None),
            Found::Build(build) => (None, Some(build)),
            Found::Without | Found::Wait(_) => (None, None),
        };
        match &from {
            Some(image) => {
                data.clock = image.clock;
                data.stdout.write(&image.printed[0]);
                data.stderr.write(&image.printed[1]);
            }
            None => data.loading = Some(Loading::new(task_info(job, &data), build)),
        }
        let from = from.as_ref().map(|image| &image.memory);
        let guest = self.warm.take(&job.tenant, from, data).await;
        guest.map_err(|error| Outcome::Crashed(format!("cannot make an instance: {error:#}")))
    }

    /// What `job` starts from. If another task loads its script, waits for that.
    async fn find_image(&self, job: &Job, data: &Instance) -> Result<Found, Interrupt> {
        let key = job.image.as_ref().filter(|_| self.warm.takes_snapshots());
        let Some(key) = key else { return Ok(Found::Without) };
        loop {
            let found = match self.scripts.find(&job.tenant, key) {
                Found::Wait(building) => {
                    // Cancel-safe: it holds nothing.
                    wait::wait(data, building.over()).await?;
                    match building.found(key) {
                        Some(found) => found,
                        None => continue,
                    }
                }
                found => found,
            };
            return Ok(match found {
                // A task may have less memory than the others of its tenant.
                Found::Image(image) if image.memory.memory_bytes() as u64 > job.limits.memory => {
                    Found::Without
                }
                found => found,
            });
        }
    }

    async fn load_and_call(&self, guest: &mut Guest, job: Job) -> wasmtime::Result<Outcome> {
        if guest.store.data().loading.is_some() {
            let loaded = guest.call(export::LOAD, &job.script, 0).await;
            let build = guest.store.data_mut().loading.take().and_then(Loading::end);
            match loaded? {
                Loaded::Ready { image } => match build {
                    Some(build) if image => self.keep_image(guest, build),
                    Some(build) => build.never(),
                    None => {}
                },
                Loaded::NoModule => return Ok(Outcome::Invalid(no_module(&job))),
                Loaded::Raised(exception) => return Ok(failed(exception)),
            }
        }
        let result_limit = u32::try_from(job.limits.result).unwrap_or(u32::MAX);
        let task = task_info(&job, guest.store.data());
        let reseed = guest.image.is_some();
        let Job { function, args, kwargs, .. } = job;
        let call = Call { function, args, kwargs, result_limit, task, reseed };
        Ok(match guest.call(export::CALL, &call, result_limit).await? {
            roh_abi::Reply::Returned(json) if json.len() as u64 > job.limits.result => {
                Outcome::Crashed("the guest's result is longer than it may be".into())
            }
            roh_abi::Reply::Returned(json) => match RawValue::from_string(json) {
                Ok(value) => Outcome::Succeeded(value),
                Err(_) => Outcome::Crashed("the guest's result is not JSON".into()),
            },
            roh_abi::Reply::Raised(exception) => failed(exception),
            roh_abi::Reply::NoFunction => Outcome::Invalid(match &job.script {
                Script::Module { name } => {
                    format!("script {name:?} has no function {:?}", call.function)
                }
                Script::Inline { .. } => format!("the script has no function {:?}", call.function),
            }),
        })
    }

    /// Keeps the image of the script that `guest` has just loaded. Where it came near a limit,
    /// which may be this task's alone, another is to try.
    fn keep_image(&self, guest: &mut Guest, build: Build) {
        let instance = guest.store.data();
        let near = instance.rung.is_some() || guest.had_no_memory();
        let (stdout, stderr) = (instance.stdout.whole(), instance.stderr.whole());
        let (Some(stdout), Some(stderr), false) = (stdout, stderr, near) else { return };
        let printed = [stdout.to_vec(), stderr.to_vec()];
        let clock = instance.monotonic();
        match self.warm.snapshot(guest) {
            Some(memory) => {
                build.keep(ScriptImage { memory, printed, clock });
            }
            None => build.never(),
        }
    }
}

/// What the script of `job` may know of its task, in that instance.
fn task_info(job: &Job, data: &Instance) -> TaskInfo {
    let deadline = data.clock.saturating_add(job.limits.wall);
    TaskInfo {
        id: job.id.clone(),
        attempt: job.attempt,
        tenant: job.tenant.as_str().to_owned(),
        deadline_ms: u64::try_from(deadline.as_millis()).unwrap_or(u64::MAX),
    }
}

fn no_module(job: &Job) -> String {
    match &job.script {
        Script::Module { name } => {
            format!("tenant {:?} has no script {name:?}", job.tenant.as_str())
        }
        Script::Inline { .. } => "the script is gone".to_owned(),
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

fn interrupted(interrupt: Interrupt, limits: &Limits) -> Outcome {
    match interrupt {
        Interrupt::Cpu => Outcome::timeout(TimeLimit::Cpu, limits),
        Interrupt::Wall => Outcome::timeout(TimeLimit::Wall, limits),
        Interrupt::Stop => Outcome::Stopped,
        Interrupt::Exit(_) => Outcome::Failed(Exception {
            kind: "SystemExit".into(),
            message: interrupt.to_string(),
            traceback: String::new(),
        }),
    }
}

/// The outcome of an instance that ended without a reply.
fn why_it_ended(error: &wasmtime::Error, guest: &mut Guest, limits: &Limits) -> Outcome {
    if let Some(interrupt) = error.downcast_ref::<Interrupt>() {
        return interrupted(*interrupt, limits);
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
        // Rust aborts when an allocation fails, and much panics that gets no memory.
        Some(Trap::UnreachableCodeReached)
            if guest.had_no_memory() || instance.asked_for_too_much() =>
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
