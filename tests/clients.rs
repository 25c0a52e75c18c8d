//! Stock Python clients, in processes of their own. Does not install Python or pika:
//! `tests/setup.sh` does.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{ChildStdout, Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::process::{Owned, bound_command, workspace};

/// A Python that has pika: the one that is named, that of `tests/setup.sh`, Debian's.
///
/// # Panics
/// None has it.
pub fn python() -> PathBuf {
    let named = std::env::var_os("ROH_PYTHON").map(PathBuf::from);
    let ours = workspace().join("target/pika/bin/python");
    named
        .into_iter()
        .chain([ours, PathBuf::from("/usr/bin/python3")])
        .find(|python| {
            let import =
                Command::new(python).args(["-c", "import pika"]).stderr(Stdio::null()).status();
            import.is_ok_and(|status| status.success())
        })
        .expect("a Python with pika: run tests/setup.sh, or set ROH_PYTHON")
}

/// Publishes tasks, in the background.
#[derive(Debug)]
pub struct Publisher(Owned);

impl Publisher {
    /// Publishes `count` tasks with ids `{prefix}-0` and so on, to be replied to `reply_to`.
    ///
    /// # Panics
    /// Python can't be started.
    pub fn start(
        url: &str,
        exchange: &str,
        count: usize,
        prefix: &str,
        of: Tasks<'_>,
    ) -> Publisher {
        let mut command = script("publish.py");
        command.args([url, exchange, &count.to_string(), "--prefix", prefix]);
        if let Some(queue) = of.reply_to {
            command.args(["--reply-to", queue]);
        }
        if let Some(body) = of.body {
            command.args(["--body", body]);
        }
        Publisher(Owned::spawn(&mut command).expect("python starts"))
    }

    /// Waits until all are confirmed.
    ///
    /// # Panics
    /// They are not, in that time.
    pub fn finish(mut self, limit: Duration) {
        let status = self.0.wait(limit).expect("all tasks are published in time");
        assert!(status.success(), "publish.py: {status}");
    }
}

/// What the published tasks are.
#[derive(Debug, Clone, Copy, Default)]
pub struct Tasks<'a> {
    /// Where the reply goes.
    pub reply_to: Option<&'a str>,
    /// The message; a script that returns 42 if absent.
    pub body: Option<&'a str>,
}

/// Publishes a message whose properties are not text where they should be.
///
/// # Panics
/// Python can't be started, or does not get it through.
pub fn publish_odd(url: &str, exchange: &str, reply_to: &str) {
    let status = script("odd.py").args([url, exchange, reply_to]).status().expect("python starts");
    assert!(status.success(), "odd.py: {status}");
}

/// Collects replies, in the background.
#[derive(Debug)]
pub struct Collector {
    process: Owned,
    output: BufReader<ChildStdout>,
}

impl Collector {
    /// Collects from a durable queue until `count` tasks were replied to. Returns once
    /// the queue is there.
    ///
    /// # Panics
    /// Python can't be started, or does not get as far.
    pub fn start(url: &str, queue: &str, count: usize, limit: Duration) -> Collector {
        let mut command = script("collect.py");
        command.args([url, queue, &count.to_string(), &limit.as_secs().to_string()]);
        command.stdout(Stdio::piped());
        let mut process = Owned::spawn(&mut command).expect("python starts");
        let mut output = BufReader::new(process.child().stdout.take().expect("piped"));
        let mut line = String::new();
        output.read_line(&mut line).expect("readable");
        assert_eq!(line, "ready\n", "collect.py has its queue");
        Collector { process, output }
    }

    /// Waits until so many tasks, to the hundred, were replied to.
    ///
    /// # Panics
    /// They are not, in its time.
    pub fn wait_for(&mut self, count: usize) {
        let mut line = String::new();
        while line.trim().parse().unwrap_or(0) < count {
            line.clear();
            self.output.read_line(&mut line).expect("readable");
            assert!(!line.is_empty() && !line.starts_with('{'), "ended before {count} replies");
        }
    }

    /// Waits until it is done: the replies to each task.
    ///
    /// # Panics
    /// It failed.
    pub fn finish(mut self) -> BTreeMap<String, Vec<Value>> {
        let mut text = String::new();
        while !text.starts_with('{') {
            text.clear();
            let read = self.output.read_line(&mut text).expect("readable");
            assert!(read > 0, "collect.py ended without its replies");
        }
        let status = self.process.wait(Duration::from_secs(10)).expect("ends with its output");
        assert!(status.success(), "collect.py: {status}");
        serde_json::from_str(&text).expect("JSON of replies")
    }
}

fn script(name: &str) -> Command {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("clients").join(name);
    let mut command = bound_command(python());
    command.arg(path).stdin(Stdio::null());
    command
}
