//! What goes on in an executor: it enters its room, and then runs the jobs that come in.

use std::fs::File;
use std::io::{ErrorKind, Write as _};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::pin::Pin;
use std::process::ExitCode;
use std::sync::Arc;

use rustix::buffer::spare_capacity;
use rustix::io::retry_on_intr;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use super::ends::{Outlet, outlet};
use super::lockdown::{self, Entered, LockdownError, Walls};
use super::runs::Runs;
use super::wire::{self, Breach, Ended, Frames, FromExecutor, Hello, ReadError, RunId, ToExecutor};
use crate::sandbox::{Calls, Capacity, Job, Ready, Sandbox, SandboxError, Tell};
use crate::telemetry;

/// Where an executor's program is: this one, even if another took its place on the disk.
pub fn program() -> PathBuf {
    let this = PathBuf::from("/proc/self/exe");
    if this.exists() { this } else { std::env::current_exe().unwrap_or_else(|_| "roh".into()) }
}

/// The whole life of an executor: standard input is a socket to its daemon, standard
/// output the file of the image's code. It ends when the daemon does.
pub fn main() -> ExitCode {
    match live() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // The daemon keeps it for its log; there is nobody else to tell.
            let _ = writeln!(std::io::stderr(), "{}", telemetry::chain(&error));
            ExitCode::FAILURE
        }
    }
}

/// Why an executor ended before its daemon did.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Lockdown(#[from] LockdownError),
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error(transparent)]
    Io(#[from] std::io::Error),
    #[error(transparent)]
    Breach(#[from] Breach),
}

fn live() -> Result<(), Failure> {
    let entered = lockdown::enter()?;
    let io = |source: rustix::io::Errno| std::io::Error::from(source);
    let socket = rustix::io::dup(rustix::stdio::stdin()).map_err(io)?;
    let code = rustix::io::dup(rustix::stdio::stdout()).map_err(io)?;
    let socket = UnixStream::from(socket);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let ended = runtime.block_on(async move {
        // A service manager may tell all processes at once: it is the daemon that heeds it,
        // and lets tasks end. Who listens is not ended by default.
        let heard = [SignalKind::terminate(), SignalKind::interrupt(), SignalKind::hangup()];
        let _unheeded = heard.map(signal);
        let mut ears = Ears { socket, frames: Frames::default() };
        // Until then there is nothing else to do, and before the daemon knows that we are ready
        // it says nothing else.
        let Some(ToExecutor::Hello(hello)) = ears.wait()? else {
            return Err(Breach::OutOfTurn.into());
        };
        // The daemon hands out no more runs than there are instances, and each has one call
        // open at most: that bounds what waits.
        let (to, rest) = outlet(&ears.socket, usize::MAX)?;
        let (first, sandbox) = match set_up(hello, code.into(), entered) {
            Ok((walls, sandbox)) => {
                (FromExecutor::Ready { version: wire::VERSION, walls }, Some(sandbox))
            }
            Err(why) => (FromExecutor::Failed(why), None),
        };
        // Short enough for the socket to take it at once; if it fails, nobody is there.
        let _ = to.send(&first);
        let Some(sandbox) = sandbox else { return Ok(()) };
        let (over, is_over) = oneshot::channel();
        listen(Room { sandbox, runs: Arc::default(), to }, ears, over)?;
        // Neither is gone on with.
        tokio::select! {
            error = rest.write() => Err(error.into()),
            Ok(result) = is_over => Ok(result?),
        }
    });
    // The process ends. If its clocks did before, instances that sleep would panic.
    std::mem::forget(runtime);
    ended
}

/// Has the room's sandbox listen to the daemon, until that is gone. The sandbox is never dropped
/// then, as the room holds it and it the room: the process ends with it.
fn listen(
    room: Room,
    mut ears: Ears,
    over: oneshot::Sender<Result<(), ReadError>>,
) -> std::io::Result<()> {
    let (room, mut over) = (Arc::new(room), Some(over));
    let hears = room.clone();
    let socket = ears.socket.try_clone()?.into();
    let to = room.to.clone();
    let take_in = move || {
        let end = match room.hear(&mut ears) {
            Ok(Heard::Some) => return true,
            Ok(Heard::All) => return false,
            Ok(Heard::End) => Ok(()),
            Err(error) => Err(error),
        };
        if let Some(over) = over.take() {
            // If nobody waits for it, the process ends already.
            let _ = over.send(end);
        }
        false
    };
    hears.sandbox.listen(socket, take_in, move || to.hand_out())
}

/// What a look at the socket brought.
enum Heard {
    /// Something, and perhaps there is more.
    Some,
    /// All that has come, or nothing.
    All,
    /// The daemon is gone.
    End,
}

/// What comes from the daemon.
struct Ears {
    socket: UnixStream,
    frames: Frames,
}

impl Ears {
    /// The next message, as long as the socket blocks; `None` at the end.
    fn wait(&mut self) -> Result<Option<ToExecutor>, ReadError> {
        loop {
            match self.frames.next(u64::MAX)? {
                None if self.read()? => {}
                message => return Ok(message),
            }
        }
    }

    fn read(&mut self) -> std::io::Result<bool> {
        self.frames.read(|bytes| {
            Ok(retry_on_intr(|| rustix::io::read(&self.socket, spare_capacity(bytes)))?)
        })
    }
}

/// Loads the image, and gives up everything else before the first thread is started.
fn set_up(hello: Hello, code: File, mut entered: Entered) -> Result<(Walls, Sandbox), String> {
    if hello.version != wire::VERSION {
        return Err(Breach::Version(hello.version).to_string());
    }
    let failed = |error: SandboxError| telemetry::chain(&error);
    let Hello { instances, threads, memory, script_images, .. } = hello;
    let capacity = Capacity { instances, threads, memory, script_images };
    let ready = Ready::load(code, entered.page_map.take(), capacity).map_err(failed)?;
    let walls = entered.close();
    let sandbox = Sandbox::start(ready).map_err(failed)?;
    Ok((walls, sandbox))
}

/// What an executor holds.
struct Room {
    sandbox: Sandbox,
    runs: Arc<Runs<Run>>,
    to: Outlet,
}

struct Run {
    stop: CancellationToken,
    /// Where the answer to its open call goes.
    answer: Option<oneshot::Sender<Vec<u8>>>,
}

impl Room {
    /// Looks once whether word has come, and does as it is told.
    fn hear(&self, ears: &mut Ears) -> Result<Heard, ReadError> {
        match ears.read() {
            Ok(true) => {}
            Ok(false) => return Ok(Heard::End),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(Heard::All),
            Err(error) => return Err(error.into()),
        }
        let is_full = ears.frames.is_full();
        while let Some(message) = ears.frames.next(u64::MAX)? {
            self.obey(message)?;
        }
        Ok(if is_full { Heard::Some } else { Heard::All })
    }

    fn obey(&self, message: ToExecutor) -> Result<(), Breach> {
        match message {
            ToExecutor::Hello(_) => return Err(Breach::OutOfTurn),
            ToExecutor::Run(id, job) => self.run(id, *job),
            ToExecutor::Stop(id) => {
                if let Some(run) = self.runs.lock().get(&id) {
                    run.stop.cancel();
                }
            }
            ToExecutor::Answer(id, answer) => {
                let waiting = self.runs.lock().get_mut(&id).and_then(|run| run.answer.take());
                if let Some(waiting) = waiting {
                    // The run may have come to its end meanwhile.
                    let _ = waiting.send(answer);
                }
            }
        }
        Ok(())
    }

    fn run(&self, id: RunId, job: Job) {
        let stop = CancellationToken::new();
        self.runs.lock().insert(id, Run { stop: stop.clone(), answer: None });
        let (runs, to) = (self.runs.clone(), self.to.clone());
        let calls = Arc::new(Caller { id, runs: runs.clone(), to: to.clone() });
        self.sandbox.spawn(job, calls, stop, move |report, when| {
            runs.lock().remove(&id);
            let ended = FromExecutor::Ended(id, Box::new(Ended::new(report)));
            // It fails only if the daemon is gone, and then nobody needs it.
            let _ = match when {
                Tell::Now => to.send(&ended),
                Tell::Soon => to.hold(&ended),
            };
        });
    }
}

/// Passes a run's calls on to the daemon.
struct Caller {
    id: RunId,
    runs: Arc<Runs<Run>>,
    to: Outlet,
}

impl Calls for Caller {
    fn answer(&self, request: Vec<u8>) -> Pin<Box<dyn Future<Output = Vec<u8>> + Send + '_>> {
        let (sender, answer) = oneshot::channel();
        if let Some(run) = self.runs.lock().get_mut(&self.id) {
            run.answer = Some(sender);
        }
        let _ = self.to.send(&FromExecutor::Call(self.id, request));
        // Without a daemon this process ends, before anything notices.
        Box::pin(async move { answer.await.unwrap_or_default() })
    }
}
