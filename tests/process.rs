//! Child processes that end with their owner, and waiting for what they do.

use std::ffi::OsStr;
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// How often a condition is looked at again.
const POLL: Duration = Duration::from_millis(20);

/// A child that is killed when its owner drops it.
#[derive(Debug)]
pub struct Owned(Child);

impl Owned {
    /// Starts it.
    ///
    /// # Errors
    /// The program can't be started.
    pub fn spawn(command: &mut Command) -> io::Result<Owned> {
        command.spawn().map(Owned)
    }

    /// Sends it a signal, unless it is gone.
    pub fn signal(&mut self, signal: Signal) {
        if self.0.try_wait().is_ok_and(|ended| ended.is_none())
            && let Some(pid) = Pid::from_raw(self.0.id().cast_signed())
        {
            // Not waited for yet, so the id is still its own.
            let _ = kill_process(pid, signal);
        }
    }

    /// How it ended, if it did.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.0.try_wait().expect("our child")
    }

    /// Waits for its end, at most so long.
    pub fn wait(&mut self, limit: Duration) -> Option<ExitStatus> {
        let mut status = None;
        poll(limit, || {
            status = self.ended();
            status.is_some()
        });
        status
    }

    /// The child itself.
    pub fn child(&mut self) -> &mut Child {
        &mut self.0
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A command whose process the kernel kills when the thread that started it ends, so
/// that an interrupted test run leaves none behind. An ordinary one where the system
/// offers no such thing.
pub fn bound_command(program: impl AsRef<OsStr>) -> Command {
    match find_program("setpriv") {
        Some(setpriv) => {
            let mut command = Command::new(setpriv);
            command.args(["--pdeathsig", "KILL", "--"]).arg(program);
            command
        }
        None => Command::new(program),
    }
}

/// Looks at a condition until it holds; says whether it did in time.
pub fn poll(limit: Duration, mut condition: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + limit;
    loop {
        if condition() {
            return true;
        }
        if Instant::now() >= deadline {
            return false;
        }
        thread::sleep(POLL);
    }
}

/// A port of the loopback interface that nobody listened on a moment ago.
pub fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .and_then(|listener| listener.local_addr())
        .expect("a free port on loopback")
        .port()
}

/// The first of that name on `PATH`.
pub fn find_program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|dir| dir.join(name)).find(|file| file.is_file())
}

/// The top of the workspace.
pub fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ is in the workspace")
}

/// The fields of `/proc/PID/stat` from the third on, which is the state.
///
/// # Errors
/// There is no such process.
pub fn stat_of(pid: u32) -> io::Result<Vec<String>> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The second is the program's name in parentheses, and may hold some.
    let (_, fields) = stat.rsplit_once(')').ok_or(io::ErrorKind::InvalidData)?;
    Ok(fields.split_whitespace().map(str::to_owned).collect())
}

/// Bytes that a file in `/proc/PID` has under these names, together.
///
/// # Errors
/// There is no such file, or not all of the names are in it.
pub fn bytes_of(pid: u32, file: &str, names: &[&str]) -> io::Result<f64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/{file}"))?;
    let lines = text.lines().filter(|line| names.iter().any(|name| line.starts_with(name)));
    let sizes = lines.filter_map(|line| line.split_whitespace().nth(1)?.parse::<f64>().ok());
    let sizes: Vec<f64> = sizes.collect();
    if sizes.len() == names.len() {
        Ok(sizes.iter().sum::<f64>() * 1024.0)
    } else {
        Err(io::Error::other(format!("{file} of {pid} lacks one of {names:?}")))
    }
}

/// Bytes of a process that no file holds.
///
/// # Panics
/// There is no such process, or the system is not Linux.
pub fn own_bytes(pid: u32) -> f64 {
    bytes_of(pid, "status", &["RssAnon:", "VmSwap:"]).expect("Linux tells")
}
