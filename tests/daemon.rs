//! The daemon under test: the built `roh` binary with a configuration file.

use std::fs::{self, File};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Output, Stdio};
use std::time::Duration;

use roh::sandbox::image::{Image, Recipe};
use rustix::process::{Pid, Signal};
use serde_json::Value;
use tempfile::TempDir;

use crate::process::{Owned, bound_command, find_program, free_port, poll};

/// The first start may have to build the image.
const READY_LIMIT: Duration = Duration::from_secs(300);

/// The binary under test: `ROH_BIN`, or the one that was built beside this test.
///
/// # Panics
/// It is not there.
pub fn roh() -> PathBuf {
    let named = std::env::var_os("ROH_BIN").map(PathBuf::from);
    let beside = || {
        // In target/PROFILE, where the demo is; the tests are in deps below it.
        let program = std::env::current_exe().expect("our own path");
        let mut folders = program.ancestors().skip(1).take(2).map(|folder| folder.join("roh"));
        folders.find(|path| path.is_file()).unwrap_or_else(|| program.with_file_name("roh"))
    };
    let path = named.unwrap_or_else(beside);
    assert!(path.is_file(), "{} is missing: build it, or set ROH_BIN", path.display());
    path
}

/// The guest that it uses.
pub fn guest() -> PathBuf {
    match std::env::var_os("ROH_GUEST") {
        Some(named) => named.into(),
        None => roh().with_file_name("../roh_guest.wasm"),
    }
}

/// The interpreter image that the binary under test uses, built first if it is missing.
///
/// # Panics
/// There is none.
pub fn image() -> Image {
    let recipe = Recipe { guest: guest(), ..roh::commands::recipe::recipe() };
    Image::open_or_build(&recipe, &|_| {}).expect("an image")
}

/// Runs a command of `roh` to its end.
///
/// # Panics
/// It can't be started.
pub fn command(arguments: &[&str]) -> Output {
    Command::new(roh()).args(arguments).stdin(Stdio::null()).output().expect("roh starts")
}

/// What a daemon is configured with; the rest is as by default.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Of the node.
    pub node: String,
    /// The broker's URL.
    pub url: String,
    /// Where tasks are published.
    pub exchange: String,
    /// Where they wait.
    pub queue: String,
    /// Exchange and queue of those that can't be settled otherwise.
    pub dead: String,
    /// Instances at once.
    pub watermark: usize,
    /// Tasks that wait.
    pub waiting_limit: usize,
    /// The folder of tenants' stores.
    pub data: Option<String>,
    /// Attempts at a task that crashes.
    pub max_deliveries: u32,
    /// How long running tasks may go on when it is told to leave.
    pub drain_timeout: &'static str,
    /// More TOML, in sections of its own.
    pub more: String,
}

impl Settings {
    /// A node with room for a few tasks. Exchange and queues are named after `name`.
    pub fn new(node: &str, url: &str, name: &str) -> Settings {
        Settings {
            node: node.to_owned(),
            url: url.to_owned(),
            exchange: format!("{name}.exchange"),
            queue: format!("{name}.tasks"),
            dead: format!("{name}.dead"),
            watermark: 4,
            waiting_limit: 64,
            data: None,
            max_deliveries: 5,
            drain_timeout: "30s",
            more: String::new(),
        }
    }

    /// Writes a configuration file whose management listens on that port.
    ///
    /// # Panics
    /// The folder can't be written to.
    pub fn write(&self, folder: &Path, port: u16) -> PathBuf {
        let path = folder.join("roh.toml");
        fs::write(&path, self.toml(port)).expect("written");
        path
    }

    fn toml(&self, port: u16) -> String {
        let Settings {
            node,
            url,
            exchange,
            queue,
            dead,
            watermark,
            waiting_limit,
            data,
            max_deliveries,
            drain_timeout,
            more,
        } = self;
        let data = data.as_ref().map(|data| format!("data = {data:?}\n")).unwrap_or_default();
        format!(
            r#"[node]
name = "{node}"
{data}
[broker]
url = "{url}"

[[source]]
exchange = "{exchange}"
queue = "{queue}"

[manager]
watermark = {watermark}
waiting-limit = {waiting_limit}
max-deliveries = {max_deliveries}
drain-timeout = "{drain_timeout}"

[dead-letter]
exchange = "{dead}"
queue = "{dead}"

[management]
listen = "127.0.0.1:{port}"

{more}
"#
        )
    }
}

/// A tenant, named so, and its source: exchange and queue `{name}.{tenant}`. `more` is the
/// rest of the tenant's.
pub fn source_and_tenant(name: &str, tenant: &str, more: &str) -> String {
    format!(
        r#"
[[source]]
exchange = "{name}.{tenant}"
queue = "{name}.{tenant}"
tenant = "{tenant}"

[[tenant]]
name = "{tenant}"
{more}
"#
    )
}

/// A daemon. Killed when dropped; its log is shown if the test is failing then.
#[derive(Debug)]
pub struct Daemon {
    process: Owned,
    folder: TempDir,
    port: u16,
}

impl Daemon {
    /// Starts a daemon and waits until it takes tasks.
    ///
    /// # Panics
    /// It does not get as far.
    pub fn start(settings: &Settings) -> Daemon {
        Daemon::launch(settings, &[]).until_ready()
    }

    /// The same, with its management on that port.
    ///
    /// # Panics
    /// It does not get as far.
    pub fn start_on(settings: &Settings, port: u16) -> Daemon {
        Daemon::launch_on(settings, &[], port).until_ready()
    }

    fn until_ready(mut self) -> Daemon {
        let ready = poll(READY_LIMIT, || self.is_ready() || self.process.ended().is_some());
        assert!(ready && self.is_ready(), "the daemon does not get ready:\n{}", self.log());
        self
    }

    /// Starts a daemon and waits for nothing.
    ///
    /// # Panics
    /// It can't be started.
    pub fn launch(settings: &Settings, environment: &[(&str, &str)]) -> Daemon {
        Daemon::launch_on(settings, environment, free_port())
    }

    fn launch_on(settings: &Settings, environment: &[(&str, &str)], port: u16) -> Daemon {
        let mut command = bound_command(roh());
        command.envs(environment.iter().copied()).stdin(Stdio::null());
        Daemon::spawn(command, settings, port)
    }

    /// Starts one in a session of its own, of which that is the terminal, and waits until it takes
    /// tasks. `None` without the `setsid` program.
    ///
    /// # Panics
    /// It does not get as far.
    pub fn start_in_terminal(settings: &Settings, terminal: OwnedFd) -> Option<Daemon> {
        let mut command = bound_command(find_program("setsid")?);
        command.arg("-c").arg(roh()).stdin(terminal);
        Some(Daemon::spawn(command, settings, free_port()).until_ready())
    }

    /// Starts one by a command that lacks the arguments, and writes all that it prints to its log.
    fn spawn(mut command: Command, settings: &Settings, port: u16) -> Daemon {
        let folder = tempfile::tempdir().expect("a folder");
        let config = settings.write(folder.path(), port);
        let log = File::create(folder.path().join("log")).expect("created");
        command
            .args(["serve", "--config"])
            .arg(&config)
            .stdout(log.try_clone().expect("duplicated"))
            .stderr(log);
        let process = Owned::spawn(&mut command).expect("roh starts");
        Daemon { process, folder, port }
    }

    /// Its process id.
    pub fn pid(&mut self) -> u32 {
        self.process.child().id()
    }

    /// Whether it says that it takes tasks.
    pub fn is_ready(&self) -> bool {
        ureq::get(self.address("/readyz")).call().is_ok()
    }

    /// Whether it answers at all.
    pub fn is_alive(&self) -> bool {
        ureq::get(self.address("/healthz")).call().is_ok()
    }

    /// What it says of its tasks: its own part of `GET /api/management`.
    ///
    /// # Panics
    /// It does not answer as the contract has it.
    pub fn management(&self) -> Management {
        let mut answer = ureq::get(self.address("/api/management")).call().expect("an answer");
        let nodes: Value = answer.body_mut().read_json().expect("JSON");
        let tasks = |state: &str| nodes[0][state].as_array().cloned().expect("a list of tasks");
        Management { running: tasks("running_tasks"), waiting: tasks("waiting_tasks") }
    }

    /// Its `GET /metrics`.
    ///
    /// # Panics
    /// It does not answer.
    pub fn metrics(&self) -> String {
        let mut answer = ureq::get(self.address("/metrics")).call().expect("an answer");
        answer.body_mut().read_to_string().expect("text")
    }

    /// Asks it to stop a task; says with which HTTP status it answers.
    ///
    /// # Panics
    /// It does not answer.
    pub fn stop_task(&self, id: &str) -> u16 {
        match ureq::post(self.address(&format!("/api/tasks/{id}/stop"))).send_empty() {
            Ok(answer) => answer.status().as_u16(),
            Err(ureq::Error::StatusCode(status)) => status,
            Err(error) => panic!("{error}"),
        }
    }

    /// Ends it as a power failure would.
    pub fn kill9(&mut self) {
        self.process.signal(Signal::KILL);
        self.process.wait(Duration::from_secs(10));
    }

    /// Asks it to leave.
    pub fn sigterm(&mut self) {
        self.process.signal(Signal::TERM);
    }

    /// Its executors: all children that it has.
    pub fn executors(&mut self) -> Vec<Pid> {
        let threads = fs::read_dir(format!("/proc/{}/task", self.process.child().id()));
        let threads = threads.into_iter().flatten().flatten();
        let children =
            threads.filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok());
        let pids = children.collect::<Vec<_>>().join(" ");
        pids.split_whitespace().filter_map(|pid| Pid::from_raw(pid.parse().ok()?)).collect()
    }

    /// How it ended; `None` if it has not, in that time.
    pub fn wait(&mut self, limit: Duration) -> Option<ExitStatus> {
        self.process.wait(limit)
    }

    /// All that it printed.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    fn address(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if std::thread::panicking() {
            use std::io::Write;
            let _ = writeln!(std::io::stderr(), "--- the daemon's log:\n{}---", self.log());
        }
    }
}

/// What a daemon says of its tasks.
#[derive(Debug, Clone)]
pub struct Management {
    /// In an instance.
    pub running: Vec<Value>,
    /// Not started yet.
    pub waiting: Vec<Value>,
}
