//! One executor, as the daemon sees it: a child process that is told to run jobs, and
//! whatever it says is checked against what it was told. A word out of turn is its end.

#[cfg(fuzzing)]
pub mod fuzz;
#[cfg(test)]
mod tests;

use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Stdio;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::process::{Child, ChildStderr, Command};
use tokio::sync::oneshot;
use tokio::task::{AbortHandle, JoinHandle};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::ends::{Inlet, Outlet, Rest, Unsent, inlet, outlet};
use super::lockdown::Walls;
use super::runs::Runs;
use super::wire::{self, Breach, Frames, FromExecutor, Hello, ReadError, RunId, ToExecutor};
use crate::config::{Limits, Wall};
use crate::outcome::Report;
use crate::sandbox::{Calls, Job};
use crate::task::TenantName;

/// How long an executor may take to get ready.
const READY_LIMIT: Duration = Duration::from_secs(10);

/// What an executor may take, beyond a job's wall limit or beyond being told to stop it,
/// to report its end. One that takes longer is past doing its duty.
const GRACE: Duration = Duration::from_secs(10);

/// How often that is looked at. A timer for each run would cost each a wake-up.
const PATROL: Duration = Duration::from_secs(1);

/// How long an executor that closed its end, or was killed, may take to die, and its last
/// words to come.
const END_LIMIT: Duration = Duration::from_millis(200);

/// What is kept of an executor's last words, in bytes.
const LAST_WORDS: usize = 2048;

/// What is read of its words in all, in bytes: one that talks on is not listened to.
const WORDS: u64 = 1 << 20;

/// Why an executor could not be had.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("cannot start an executor")]
    Spawn(#[from] std::io::Error),
    #[error("the executor cannot be set up: {0}")]
    Failed(String),
    #[error("the executor does not get ready: {0}")]
    NotReady(String),
    #[error("the executor lacks {wall}, which [sandbox] requires: {why}")]
    Wall { wall: Wall, why: String },
}

type Tail = JoinHandle<String>;

/// How much an executor does at once.
#[derive(Debug, Clone, Copy)]
pub(super) struct Size {
    pub(super) instances: u32,
    /// Threads that compute: in its room, it could not see how many cores it is granted.
    pub(super) threads: u32,
    /// Memory of each instance at most, in bytes.
    pub(super) memory: u64,
    /// Script images that are kept, in bytes.
    pub(super) script_images: u64,
}

/// A live executor.
pub(super) struct Process {
    /// Its process id.
    pub(super) pid: u32,
    /// What holds it in, as it said before its first job.
    pub(super) walls: Walls,
    /// How many runs it has room for.
    instances: usize,
    /// Bounded: an executor can end runs, and ask for more, without reading a word.
    to: Outlet,
    /// Whoever waits for one is told when it is over.
    runs: Runs<Run>,
    next_run: AtomicU64,
    /// Cancelled to end it.
    kill: CancellationToken,
    /// Why it was ended, if it was.
    fault: OnceLock<&'static str>,
    /// How it ended, once it has.
    death: OnceLock<String>,
}

struct Run {
    tenant: TenantName,
    limits: Limits,
    started: Instant,
    /// When its executor is past doing its duty; `None` if that is too far off to matter.
    deadline: Option<Instant>,
    calls: Arc<dyn Calls>,
    /// How many calls it made.
    made: u32,
    /// The call that it waits for.
    call: Option<Call>,
    ended: oneshot::Sender<Report>,
}

/// A call that is being answered.
struct Call(AbortHandle);

impl Drop for Call {
    fn drop(&mut self) {
        // Nobody waits for the answer any more.
        self.0.abort();
    }
}

/// How an executor ended: of itself, by a signal, or because it broke the rules.
pub(super) struct Death {
    pub(super) pid: u32,
    /// Finishes the sentence "its executor …".
    pub(super) how: String,
    /// What it wrote on standard error at last.
    pub(super) last_words: String,
}

/// An executor's end, to be awaited by whoever replaces it.
pub(super) struct Watch {
    child: Child,
    last_words: Tail,
    from: (Frames, Inlet),
    rest: Rest,
    process: Watched,
    longest: u64,
}

/// A process that is watched: when that ends, so do its runs, and what is done for them.
struct Watched(Arc<Process>);

impl Drop for Watched {
    fn drop(&mut self) {
        self.0.runs.lock().clear();
    }
}

/// A run that was handed to an executor.
pub(super) struct Running {
    id: RunId,
    process: Arc<Process>,
    ended: oneshot::Receiver<Report>,
}

impl Process {
    /// Starts one of `program`, with `code` for its image, and waits until it is ready.
    pub(super) async fn start(
        program: &Path,
        code: std::fs::File,
        size: Size,
        longest: u64,
    ) -> Result<(Arc<Process>, Watch), StartError> {
        let (ours, theirs) = UnixStream::pair()?;
        // The kernel kills it when this thread ends, so this must be one of the runtime's own,
        // which last; `clippy.toml` keeps them from being given away.
        let mut child = Command::new(program)
            .arg("executor")
            .env_clear()
            // A Ctrl-C in a terminal is for the daemon. But not a session of its own: to Linux that
            // can be another control group, and threads that compute give way within theirs only.
            .process_group(0)
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::from(code))
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let last_words = tokio::spawn(tail(child.stderr.take().expect("it was asked for")));
        let pid = child.id().unwrap_or_default();
        let (to, rest) = outlet(&ours, wire::unwritten(size.instances))?;
        let (mut frames, mut read) = (Frames::default(), inlet(ours)?);
        let Size { instances, threads, memory, script_images } = size;
        let hello = Hello { version: wire::VERSION, threads, instances, memory, script_images };
        // Short enough for the socket to take it at once; if it fails, so does reading.
        let _ = to.send(&ToExecutor::Hello(hello));
        let answer = frames.receive(&mut read, longest);
        let walls = match timeout(READY_LIMIT, answer).await {
            Ok(Ok(Some(FromExecutor::Ready { version: wire::VERSION, walls }))) => walls,
            Ok(Ok(Some(FromExecutor::Failed(why)))) => return Err(StartError::Failed(why)),
            answer => {
                let broken = match answer {
                    Ok(Ok(Some(FromExecutor::Ready { version, .. }))) => {
                        Some(Breach::Version(version).to_string())
                    }
                    Ok(Ok(Some(_))) => Some(Breach::OutOfTurn.to_string()),
                    Ok(Ok(None)) => None,
                    Ok(Err(error)) => Some(error.to_string()),
                    Err(_) => Some(format!("it takes more than {READY_LIMIT:?}")),
                };
                let Death { how, last_words, .. } =
                    Death::of(pid, &mut child, last_words, broken).await;
                return Err(StartError::NotReady(format!("it {how}: {last_words}")));
            }
        };
        let process = Process::new(pid, walls, instances, to);
        let (from, watched) = ((frames, read), Watched(process.clone()));
        Ok((process, Watch { child, last_words, from, rest, process: watched, longest }))
    }

    /// One that was not told anything yet.
    fn new(pid: u32, walls: Walls, instances: u32, to: Outlet) -> Arc<Process> {
        Arc::new(Process {
            pid,
            walls,
            instances: instances as usize,
            to,
            runs: Runs::default(),
            next_run: AtomicU64::new(0),
            kill: CancellationToken::new(),
            fault: OnceLock::new(),
            death: OnceLock::new(),
        })
    }

    /// Hands it a job, unless it is dead or has no room. The run counts until it is known to
    /// be over.
    pub(super) fn run(
        self: &Arc<Process>,
        job: Box<Job>,
        calls: Arc<dyn Calls>,
    ) -> Result<Running, Box<Job>> {
        let id = RunId(self.next_run.fetch_add(1, Ordering::Relaxed));
        let (sender, ended) = oneshot::channel();
        let started = Instant::now();
        let run = Run {
            tenant: job.tenant.clone(),
            limits: job.limits,
            started,
            deadline: started.checked_add(job.limits.wall.saturating_add(GRACE)),
            calls,
            made: 0,
            call: None,
            ended: sender,
        };
        {
            let mut runs = self.runs.lock();
            // Another may have come first since somebody looked.
            if runs.len() >= self.instances {
                return Err(job);
            }
            runs.insert(id, run);
        }
        let message = ToExecutor::Run(id, job);
        match (self.tell(&message), message) {
            (Err(_), ToExecutor::Run(_, job)) => {
                self.runs.lock().remove(&id);
                Err(job)
            }
            _ => Ok(Running { id, process: self.clone(), ended }),
        }
    }

    /// Has a message written to it, unless it is dead. One that does not listen is as good as
    /// dead.
    fn tell(&self, message: &ToExecutor) -> Result<(), Unsent> {
        let sent = self.to.send(message);
        if sent == Err(Unsent::Full) {
            self.end("does not listen");
        }
        sent
    }

    /// Ends it, for the reason that finishes the sentence "its executor …".
    fn end(&self, why: &'static str) {
        // The first reason is the reason.
        let _ = self.fault.set(why);
        self.kill.cancel();
    }

    /// How many runs it has of that tenant, and of all; `None` if it takes no more.
    pub(super) fn running(&self, tenant: &TenantName) -> Option<(usize, usize)> {
        let over = self.to.is_closed() || self.kill.is_cancelled();
        let runs = self.runs.lock();
        let of_tenant = runs.values().filter(|run| run.tenant == *tenant);
        (!over && runs.len() < self.instances).then(|| (of_tenant.count(), runs.len()))
    }

    /// Takes a message in.
    fn take(self: &Arc<Process>, message: FromExecutor) -> Result<(), Breach> {
        match message {
            FromExecutor::Ready { .. } | FromExecutor::Failed(_) => Err(Breach::OutOfTurn),
            FromExecutor::Call(id, request) => self.call(id, request),
            FromExecutor::Ended(id, ended) => {
                let run = self.runs.lock().remove(&id).ok_or(Breach::NotItsRun)?;
                let report = ended.check(&run.limits, run.started.elapsed())?;
                // Whoever waited may have gone.
                let _ = run.ended.send(report);
                Ok(())
            }
        }
    }

    fn call(self: &Arc<Process>, id: RunId, request: Vec<u8>) -> Result<(), Breach> {
        let mut runs = self.runs.lock();
        let run = runs.get_mut(&id).ok_or(Breach::NotItsRun)?;
        if run.call.is_some() {
            return Err(Breach::OutOfTurn);
        }
        if run.made >= run.limits.calls {
            return Err(Breach::BeyondLimits("its calls"));
        }
        run.made += 1;
        let (calls, process) = (run.calls.clone(), self.clone());
        let call = tokio::spawn(async move {
            let answer = calls.answer(request).await;
            let mut runs = process.runs.lock();
            let Some(run) = runs.get_mut(&id) else { return };
            // Before it can know the answer, and ask again.
            run.call = None;
            // If it is dead, its runs end.
            let _ = process.tell(&ToExecutor::Answer(id, answer));
        });
        run.call = Some(Call(call.abort_handle()));
        Ok(())
    }
}

impl Running {
    /// Waits for the end of the run; if its executor died before, says how. Cancel-safe.
    pub(super) async fn ended(&mut self) -> Result<Report, String> {
        let died = |_| self.process.death.get().cloned().unwrap_or_else(|| "died".to_owned());
        (&mut self.ended).await.map_err(died)
    }

    /// Has it end before its time.
    pub(super) fn stop(&self) {
        if let Some(run) = self.process.runs.lock().get_mut(&self.id) {
            let soon = Instant::now() + GRACE;
            run.deadline = Some(run.deadline.map_or(soon, |deadline| deadline.min(soon)));
        }
        // If the executor is dead, so is the run.
        let _ = self.process.tell(&ToExecutor::Stop(self.id));
    }
}

impl Watch {
    /// Talks with the executor until it is dead, and makes sure that it is. Its runs are
    /// over then.
    pub(super) async fn ended(self) -> Death {
        let Watch { mut child, last_words, from, rest, process, longest } = self;
        let process = &process.0;
        // Not cancel-safe, none of them, and none is gone on with.
        let broken = tokio::select! {
            heard = listen(from, process, longest) => heard.err().map(|error| match error {
                ReadError::Breach(breach) => format!("broke the rules: {breach}"),
                ReadError::Io(error) => format!("cannot be heard: {error}"),
            }),
            // It closes its end as it dies: how it died says more.
            _ = rest.write() => None,
            () = late(process) => Some("did not do as it was told".to_owned()),
            () = process.kill.cancelled() => {
                process.fault.get().map(|&fault| fault.to_owned())
            }
        };
        let death = Death::of(process.pid, &mut child, last_words, broken).await;
        // Set once: here.
        let _ = process.death.set(death.how.clone());
        death
    }
}

/// Waits until a run is late.
async fn late(process: &Process) {
    let is_late = |run: &Run| run.deadline.is_some_and(|deadline| deadline <= Instant::now());
    while !process.runs.lock().values().any(is_late) {
        sleep(PATROL).await;
    }
}

async fn listen(
    (mut frames, mut from): (Frames, Inlet),
    process: &Arc<Process>,
    longest: u64,
) -> Result<(), ReadError> {
    while let Some(message) = frames.receive(&mut from, longest).await? {
        process.take(message)?;
    }
    Ok(())
}

impl Death {
    /// Ends the executor if it is not dead, and says how it ended: because it was `broken`,
    /// or of itself.
    async fn of(pid: u32, child: &mut Child, last_words: Tail, broken: Option<String>) -> Death {
        if broken.is_some() {
            // If that fails, it is dead already.
            let _ = child.start_kill();
        }
        let mut ended = timeout(END_LIMIT, child.wait()).await;
        if ended.is_err() {
            let _ = child.start_kill();
            ended = timeout(END_LIMIT, child.wait()).await;
        }
        let how = broken.unwrap_or_else(|| match ended {
            Ok(Ok(status)) => match status.signal() {
                Some(signal) => format!("was ended by signal {signal}"),
                None => format!("ended with {status}"),
            },
            Ok(Err(error)) => format!("ended, nobody knows how: {error}"),
            // The kernel may hold it for a while: whoever waits for its runs need not.
            Err(_) => "was killed and has not died yet".to_owned(),
        });
        let last_words = timeout(END_LIMIT, last_words).await;
        let last_words = last_words.ok().and_then(Result::ok).unwrap_or_default();
        Death { pid, how, last_words }
    }
}

/// The end of what an executor writes on standard error: nothing, unless it panics.
async fn tail(stderr: ChildStderr) -> String {
    let (mut stderr, mut kept, mut buffer) = (stderr.take(WORDS), Vec::new(), [0; 1024]);
    while let Ok(read @ 1..) = stderr.read(&mut buffer).await {
        kept.extend_from_slice(&buffer[..read]);
        kept.drain(..kept.len().saturating_sub(LAST_WORDS));
    }
    String::from_utf8_lossy(&kept).trim().to_owned()
}
