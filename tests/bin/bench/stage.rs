//! Who is measured, and what it takes to start them: all on one broker.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use roh_tests::daemon::{Daemon, Settings, source_and_tenant};
use roh_tests::process::{Owned, bound_command, workspace};
use roh_tests::rabbit::Rabbit;
use rustix::process::Signal;
use tempfile::TempDir;

use crate::{Any, ECHO, LIMIT, WITHIN};

/// The tenant whose tasks run beside those that are measured, and may never end.
const LOOPS: &str = "loops";

const LOOPS_LIMITS: &str = "[tenant.limits]\ncpu = \"1h\"\nwall = \"1h\"\n";

/// What the node is called that has many tasks asleep, and its exchange and queues after it.
pub(crate) const ASLEEP: &str = "asleep";

/// Instances at once: what waits for a core costs little, and hides the way to the broker.
pub(crate) const WATERMARK: usize = 16;

/// That tenant's queue, and its exchange.
pub(crate) fn loops_queue() -> String {
    format!("bench.{LOOPS}")
}

/// Who runs the tasks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Who {
    Roh,
    /// ROH without executors.
    Within,
    Celery,
    /// Celery as well, asked from Python by the client that asks the others.
    CeleryByPika,
    /// Celery with a process for each task.
    Forking,
    /// Runs nothing.
    Echo,
    /// An interpreter that is started for each task, without a broker.
    Python,
}

impl Who {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Who::Roh => "roh",
            Who::Within => "without the wall",
            Who::Celery => "celery",
            Who::CeleryByPika => "celery, asked by pika",
            Who::Forking => "celery, a process each",
            Who::Echo => "nothing run",
            Who::Python => "a python process each",
        }
    }

    pub(crate) fn is_celery(self) -> bool {
        matches!(self, Who::Celery | Who::CeleryByPika | Who::Forking)
    }

    pub(crate) fn queue(self) -> &'static str {
        if self.is_celery() { "bench.celery" } else { "bench.tasks" }
    }
}

/// What it takes to start either.
pub(crate) struct Stage {
    pub(crate) rabbit: Rabbit,
    settings: Settings,
    /// The environment with Celery, if that is one of them.
    pub(crate) python: PathBuf,
    folder: TempDir,
}

/// One that runs, until it is dropped.
pub(crate) enum Worker {
    Roh(Daemon),
    Celery(Owned),
    Other(Owned),
}

impl Worker {
    pub(crate) fn pid(&mut self) -> u32 {
        match self {
            Worker::Roh(daemon) => daemon.pid(),
            Worker::Celery(process) | Worker::Other(process) => process.child().id(),
        }
    }

    /// Ends it, now that all is done. What was settled stays so.
    pub(crate) fn stop(mut self) -> Any<()> {
        let ended = match &mut self {
            Worker::Roh(daemon) => {
                daemon.sigterm();
                daemon.wait(LIMIT)
            }
            Worker::Celery(process) => {
                // It would take seconds to leave otherwise.
                process.signal(Signal::QUIT);
                process.wait(LIMIT)
            }
            Worker::Other(process) => {
                process.signal(Signal::TERM);
                process.wait(LIMIT)
            }
        };
        ended.map(|_| ()).ok_or_else(|| "it does not leave".into())
    }
}

impl Stage {
    pub(crate) fn set(python: PathBuf) -> Any<Stage> {
        let rabbit = Rabbit::start()?;
        let folder = tempfile::tempdir()?;
        fs::write(folder.path().join("bench.py"), "def add(x, y):\n    return x + y\n")?;
        let mut settings = Settings::new("bench", &rabbit.url(), "bench");
        settings.watermark = WATERMARK;
        settings.more = format!("[[tenant]]\nname = \"default\"\nscripts = {:?}\n", folder.path());
        settings.more += &source_and_tenant("bench", LOOPS, LOOPS_LIMITS);
        // It declares its queue.
        Worker::Roh(Daemon::start(&settings)).stop()?;
        Ok(Stage { rabbit, settings, python, folder })
    }

    /// Starts a node with room for so many instances at once, and waits until it is ready.
    pub(crate) fn start_large(&self, instances: usize) -> Daemon {
        let mut settings = Settings::new(ASLEEP, &self.rabbit.url(), ASLEEP);
        settings.watermark = instances;
        settings.more = "[limits]\nwall = \"10m\"\n".into();
        Daemon::start(&settings)
    }

    /// Starts one, and waits for nothing: what it does until it is known to be ready would count
    /// for nothing.
    pub(crate) fn start(&self, who: Who) -> Any<Worker> {
        Ok(match who {
            Who::Roh => Worker::Roh(Daemon::launch(&self.settings, &[])),
            Who::Within => {
                let config = self.settings.write(self.folder.path(), 0);
                let mut command = bound_command(std::env::current_exe()?);
                Worker::Other(Owned::spawn(command.arg(WITHIN).arg(config).stdin(Stdio::null()))?)
            }
            Who::Echo => {
                let mut command = bound_command(std::env::current_exe()?);
                command.args([ECHO, &self.rabbit.url(), Who::Echo.queue()]).stdin(Stdio::null());
                Worker::Other(Owned::spawn(&mut command)?)
            }
            Who::Python => return Err("it takes no tasks from a broker".into()),
            Who::Celery | Who::CeleryByPika | Who::Forking => {
                let log = fs::File::create(self.folder.path().join("celery.log"))?;
                let mut command = self.python_program();
                command
                    .args(["-m", "celery", "-A", "celery_app", "worker", "--pool=prefork"])
                    .args(["--concurrency=2", "--queues", Who::Celery.queue(), "--loglevel=error"])
                    .args(["--without-gossip", "--without-mingle", "--without-heartbeat"])
                    .stdout(log.try_clone()?)
                    .stderr(log);
                if who == Who::Forking {
                    command.arg("--max-tasks-per-child=1");
                }
                Worker::Celery(Owned::spawn(&mut command)?)
            }
        })
    }

    /// Milliseconds of each of so many tasks, one after the other, that a `client` in Python asks
    /// for.
    pub(crate) fn ask_from_python(&self, client: &str, trips: usize) -> Any<Vec<f64>> {
        let mut command = self.python_program();
        command.args(["round_trips.py", client, &trips.to_string()]).stdout(Stdio::piped());
        let mut process = Owned::spawn(&mut command)?;
        // The pipe has room for all that it prints.
        let status = process.wait(LIMIT).ok_or("the client in Python does not end")?;
        if !status.success() {
            return Err(format!("the client in Python: {status}").into());
        }
        let times = process.child().stdout.take().ok_or("it is piped")?;
        Ok(serde_json::from_reader(times)?)
    }

    /// A Python that has Celery, and pika, beside the programs of `tests/bench`.
    fn python_program(&self) -> Command {
        let mut command = bound_command(&self.python);
        command
            .current_dir(workspace().join("tests/bench"))
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("BENCH_BROKER", self.rabbit.url())
            .env("BENCH_QUEUE", Who::Celery.queue())
            .stdin(Stdio::null());
        command
    }
}
