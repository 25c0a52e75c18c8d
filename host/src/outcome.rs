//! How a task ended, and the reply that says so.
//!
//! It does not decide what becomes of the delivery: the manager does.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize, Serializer};
use serde_json::value::RawValue;

use crate::config::Limits;
use crate::task::TaskId;

/// How a task ended.
#[derive(Debug, Clone)]
pub enum Outcome {
    /// The function returned this value.
    Succeeded(Box<RawValue>),
    /// A Python exception reached the top, or the result was not JSON.
    Failed(Exception),
    /// A time limit was reached.
    Timeout(TimeLimit, Duration),
    /// The memory limit, in bytes, was reached.
    OutOfMemory(u64),
    /// An operator stopped it.
    Stopped,
    /// The instance trapped, or its process died. Says what is known.
    Crashed(String),
    /// Nothing was run: a malformed message, an unknown script or function.
    Invalid(String),
}

/// A Python exception that reached the top of a task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Exception {
    /// Name of its class.
    #[serde(rename = "type")]
    pub kind: String,
    /// What `str()` says of it.
    pub message: String,
    /// As Python prints it, in the script's own lines; empty where there is none.
    pub traceback: String,
}

/// Which of a task's time limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum TimeLimit {
    /// Time on a core.
    Cpu,
    /// Time since the instance started.
    Wall,
}

/// The outcome's name on the wire, in logs and in metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "the variants of Outcome say what they mean")]
pub enum Status {
    Succeeded,
    Failed,
    Timeout,
    OutOfMemory,
    Stopped,
    Crashed,
    Invalid,
}

impl Status {
    /// All there are.
    pub const ALL: [Status; 7] = [
        Status::Succeeded,
        Status::Failed,
        Status::Timeout,
        Status::OutOfMemory,
        Status::Stopped,
        Status::Crashed,
        Status::Invalid,
    ];

    /// As the wire spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Status::Succeeded => "succeeded",
            Status::Failed => "failed",
            Status::Timeout => "timeout",
            Status::OutOfMemory => "out-of-memory",
            Status::Stopped => "stopped",
            Status::Crashed => "crashed",
            Status::Invalid => "invalid",
        }
    }
}

impl Serialize for Status {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl Outcome {
    /// The end at a time limit.
    pub fn timeout(limit: TimeLimit, limits: &Limits) -> Outcome {
        match limit {
            TimeLimit::Cpu => Outcome::Timeout(limit, limits.cpu),
            TimeLimit::Wall => Outcome::Timeout(limit, limits.wall),
        }
    }

    /// The outcome's name.
    pub fn status(&self) -> Status {
        match self {
            Outcome::Succeeded(_) => Status::Succeeded,
            Outcome::Failed(_) => Status::Failed,
            Outcome::Timeout(..) => Status::Timeout,
            Outcome::OutOfMemory(_) => Status::OutOfMemory,
            Outcome::Stopped => Status::Stopped,
            Outcome::Crashed(_) => Status::Crashed,
            Outcome::Invalid(_) => Status::Invalid,
        }
    }

    /// What the reply's `error` holds; `None` if the task succeeded.
    pub fn error(&self) -> Option<Exception> {
        let (kind, message) = match self {
            Outcome::Succeeded(_) => return None,
            Outcome::Failed(exception) => return Some(exception.clone()),
            Outcome::Timeout(TimeLimit::Cpu, limit) => (
                "TimeoutError",
                format!("cpu limit of {} reached", humantime::format_duration(*limit)),
            ),
            Outcome::Timeout(TimeLimit::Wall, limit) => (
                "TimeoutError",
                format!("wall limit of {} reached", humantime::format_duration(*limit)),
            ),
            Outcome::OutOfMemory(limit) => (
                "MemoryError",
                format!("memory limit of {} reached", bytesize::ByteSize(*limit).display().iec()),
            ),
            Outcome::Stopped => ("Stopped", "stopped by an operator".to_owned()),
            Outcome::Crashed(reason) => ("Crashed", reason.clone()),
            Outcome::Invalid(reason) => ("Invalid", reason.clone()),
        };
        Some(Exception { kind: kind.to_owned(), message, traceback: String::new() })
    }

    /// One line that says why, for headers and logs; `None` if the task succeeded.
    pub fn reason(&self) -> Option<String> {
        self.error().map(|error| match self {
            Outcome::Failed(_) => format!("{}: {}", error.kind, error.message),
            _ => error.message,
        })
    }
}

/// All that is known of a task that ended.
#[derive(Debug, Clone)]
pub struct Report {
    /// How it ended.
    pub outcome: Outcome,
    /// What it printed, up to the output limit.
    pub stdout: String,
    /// What it wrote to its standard error, up to the same limit.
    pub stderr: String,
    /// What it used.
    pub usage: Usage,
}

impl Report {
    /// The report of a task that never started.
    pub fn not_run(outcome: Outcome) -> Report {
        Report { outcome, stdout: String::new(), stderr: String::new(), usage: Usage::default() }
    }
}

/// What a task used.
#[derive(Debug, Clone, Copy, Default, Serialize)]
#[serde(into = "WireUsage")]
pub struct Usage {
    /// From the instance's start to its end.
    pub wall: Duration,
    /// Time on a core.
    pub cpu: Duration,
    /// From the delivery to the instance's start.
    pub queued: Duration,
    /// The instance's linear memory at its end, which is its peak, in bytes.
    pub memory_bytes: u64,
    /// Bytes of what it printed and of its result.
    pub output_bytes: u64,
    /// What it asked of the host, in requests.
    pub host_calls: u32,
}

/// A reply as the contract spells it.
#[derive(Debug, Serialize)]
pub struct Reply<'a> {
    id: &'a TaskId,
    status: Status,
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Exception>,
    stdout: &'a str,
    stderr: &'a str,
    usage: Usage,
    node: &'a str,
}

/// What a task used, as replies and the management API spell it.
#[derive(Debug, Serialize)]
struct WireUsage {
    wall_ms: f64,
    cpu_ms: f64,
    queued_ms: f64,
    memory_bytes: u64,
    output_bytes: u64,
    host_calls: u32,
}

impl From<Usage> for WireUsage {
    fn from(usage: Usage) -> WireUsage {
        WireUsage {
            wall_ms: milliseconds(usage.wall),
            cpu_ms: milliseconds(usage.cpu),
            queued_ms: milliseconds(usage.queued),
            memory_bytes: usage.memory_bytes,
            output_bytes: usage.output_bytes,
            host_calls: usage.host_calls,
        }
    }
}

impl<'a> Reply<'a> {
    /// The reply for the task `id`, run on `node`.
    pub fn new(id: &'a TaskId, report: &'a Report, node: &'a str) -> Reply<'a> {
        Reply {
            id,
            status: report.outcome.status(),
            result: match &report.outcome {
                Outcome::Succeeded(value) => Some(value),
                _ => None,
            },
            error: report.outcome.error(),
            stdout: &report.stdout,
            stderr: &report.stderr,
            usage: report.usage,
            node,
        }
    }

    /// As one line of JSON.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("strings, numbers and valid JSON")
    }
}

/// Milliseconds with microseconds as their fraction.
fn milliseconds(duration: Duration) -> f64 {
    duration.as_micros() as f64 / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_statuses_are_all_there_are() {
        let place = |status| match status {
            Status::Succeeded => 0,
            Status::Failed => 1,
            Status::Timeout => 2,
            Status::OutOfMemory => 3,
            Status::Stopped => 4,
            Status::Crashed => 5,
            // The next one needs its place in ALL, or metrics don't know it.
            Status::Invalid => Status::ALL.len() - 1,
        };
        assert_eq!(Status::ALL.map(place), [0, 1, 2, 3, 4, 5, 6]);
    }
}
