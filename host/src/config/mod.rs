//! What a node is told to do: the typed configuration, checked and complete.
//!
//! Nothing downstream asks whether a value is there: defaults are filled in here.
//! `docs/config.md` is the reference.

#[cfg(fuzzing)]
pub mod fuzz;
mod grants;
mod keys;
mod load;
mod problems;
mod reader;
#[cfg(test)]
mod tests;
mod values;

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub use grants::{Addresses, Grants, Hosts, HttpGrant, Secret, Submit};
pub use load::host_name;
pub use problems::{ConfigError, Refused, Style};
pub use values::{MEMORY, parse_duration, parse_memory, parse_size};

use serde::{Deserialize, Serialize};

use crate::task::{Lowered, TenantName};

/// A whole configuration file.
#[derive(Debug, Clone)]
pub struct Config {
    /// The node's name, in replies, dead letters and lists.
    pub node: String,
    /// Where it keeps what outlives it.
    pub data: PathBuf,
    /// Where the broker is.
    pub broker: Broker,
    /// Where tasks come from; at least one.
    pub sources: Vec<Source>,
    /// How many tasks are run and held.
    pub manager: ManagerConfig,
    /// Where instances run.
    pub sandbox: Sandbox,
    /// By name; every source's tenant is in here.
    pub tenants: BTreeMap<TenantName, Tenant>,
    /// Where messages go that can't be settled otherwise.
    pub dead_letter: DeadLetter,
    /// The HTTP server.
    pub management: Management,
    /// How the node logs.
    pub log: Log,
}

impl Config {
    /// Reads the configuration from a file.
    ///
    /// # Errors
    /// The file can't be read; or everything that is wrong with it.
    pub fn load(path: &Path) -> Result<Config, ConfigError> {
        load::load(path)
    }

    /// What a task of that tenant may use, before its message lowers it.
    pub fn limits(&self, tenant: &TenantName) -> Limits {
        self.tenants.get(tenant).map(|tenant| tenant.limits).unwrap_or_default()
    }
}

/// The broker's address, which holds its password.
#[derive(Clone)]
pub struct Broker {
    /// `amqp://` or `amqps://`, with user and password.
    pub url: String,
}

/// An exchange, a queue and their binding, consumed for one tenant.
#[derive(Debug, Clone)]
pub struct Source {
    /// Declared durable and fanout.
    pub exchange: String,
    /// Declared durable.
    pub queue: String,
    /// Of the binding.
    pub routing_key: String,
    /// Whose tasks these are.
    pub tenant: TenantName,
    /// Of the queue's declaration, `x-queue-type` say.
    pub arguments: BTreeMap<String, Argument>,
    /// Of the binding.
    pub binding_arguments: BTreeMap<String, Argument>,
    /// Declares and binds without waiting for the broker's answer.
    pub nowait: bool,
}

/// A value in an AMQP table.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "the variants are TOML's types")]
pub enum Argument {
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    List(Vec<Argument>),
    Table(BTreeMap<String, Argument>),
}

/// How many tasks a node runs and holds.
#[derive(Debug, Clone)]
pub struct ManagerConfig {
    /// Instances at once.
    pub watermark: usize,
    /// Tasks that wait at the node, unsettled.
    pub waiting_limit: usize,
    /// Attempts at a task that crashes, before it is dead-lettered.
    pub max_deliveries: u32,
    /// How long running tasks may go on once the node is told to leave.
    pub drain_timeout: Duration,
}

impl ManagerConfig {
    /// Deliveries held at once: the prefetch count, over all sources.
    pub fn prefetch(&self) -> usize {
        self.watermark + self.waiting_limit
    }
}

/// Where instances run.
#[derive(Debug, Clone)]
pub struct Sandbox {
    /// What the kernel must hold executors with, or the node does not start.
    pub require: Vec<Wall>,
    /// Executor processes that tenants share.
    pub executors: usize,
    /// Script images that each executor keeps, in bytes.
    pub script_images: u64,
}

/// What the kernel holds an executor with, where it can.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wall {
    /// System calls that are not on a short list fail.
    Seccomp,
    /// No path can be opened, no address connected to, no process outside signalled.
    Landlock,
    /// A network, an IPC space and a file system of its own, with nothing in them.
    Namespaces,
}

impl Wall {
    /// All of them, the most effective first.
    pub const ALL: [Wall; 3] = [Wall::Seccomp, Wall::Landlock, Wall::Namespaces];

    /// As the configuration calls it.
    pub const fn name(self) -> &'static str {
        match self {
            Wall::Seccomp => "seccomp",
            Wall::Landlock => "landlock",
            Wall::Namespaces => "namespaces",
        }
    }
}

impl fmt::Display for Wall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What one task may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Linear memory of its instance, in bytes.
    pub memory: u64,
    /// Time on a core.
    pub cpu: Duration,
    /// Time from its start to its end.
    pub wall: Duration,
    /// Bytes kept of its standard output, and as many of its standard error.
    pub output: u64,
    /// Bytes of a task message.
    pub message: u64,
    /// Bytes of its result, as JSON.
    pub result: u64,
    /// How often it may ask the host for something.
    pub calls: u32,
    /// Bytes of all that it asks for and is answered.
    pub call_bytes: u64,
    /// Its lines in the node's log, per second.
    pub log_lines: u32,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            memory: 64 << 20,
            cpu: Duration::from_secs(5),
            wall: Duration::from_secs(30),
            output: 256 << 10,
            message: 1 << 20,
            result: 1 << 20,
            calls: 1000,
            call_bytes: 16 << 20,
            log_lines: 10,
        }
    }
}

impl Limits {
    /// These limits, where a task's message does not say less.
    pub fn lowered_by(&self, lowered: &Lowered) -> Limits {
        let less = |limit: u64, lowered: Option<u64>| limit.min(lowered.unwrap_or(limit));
        let sooner =
            |limit: Duration, lowered: Option<Duration>| limit.min(lowered.unwrap_or(limit));
        Limits {
            memory: less(self.memory, lowered.memory),
            cpu: sooner(self.cpu, lowered.cpu),
            wall: sooner(self.wall, lowered.wall),
            output: less(self.output, lowered.output),
            result: less(self.result, lowered.result),
            ..*self
        }
    }
}

/// Whose tasks run: scripts, limits and a share of the node.
#[derive(Debug, Clone)]
pub struct Tenant {
    /// Folder of its modules; without one, only inline scripts run.
    pub scripts: Option<PathBuf>,
    /// Weight against other tenants while several wait.
    pub share: u32,
    /// Its instances at once; the node's watermark if absent.
    pub watermark: Option<usize>,
    /// Its tasks that wait at the node; without one, as many as the node has room for.
    pub waiting_limit: Option<usize>,
    /// What each of its tasks may use.
    pub limits: Limits,
    /// Which process its instances run in.
    pub executor: ExecutorKind,
    /// What its tasks start from.
    pub image: ImageKind,
    /// What its scripts may ask the host for.
    pub grants: Grants,
}

impl Tenant {
    /// Deliveries of its sources held at once, if that is not up to the node alone.
    pub fn prefetch(&self, node: &ManagerConfig) -> Option<usize> {
        self.waiting_limit.map(|limit| self.watermark.unwrap_or(node.watermark) + limit)
    }

    /// A tenant for which nothing is said but its limits.
    pub fn with_limits(limits: Limits) -> Tenant {
        Tenant {
            scripts: None,
            share: 1,
            watermark: None,
            waiting_limit: None,
            limits,
            executor: ExecutorKind::Shared,
            image: ImageKind::Script,
            grants: Grants::default(),
        }
    }
}

/// Which executor process a tenant's instances run in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExecutorKind {
    /// One of those that tenants share.
    Shared,
    /// One that no other tenant has.
    Own,
}

/// What a tenant's tasks start from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImageKind {
    /// What the top level of their script has made of the interpreter, once.
    Script,
    /// The interpreter; each runs the top level of its script.
    Interpreter,
}

/// Where messages go that ROH gave up on.
#[derive(Debug, Clone)]
pub struct DeadLetter {
    /// Declared durable and fanout.
    pub exchange: String,
    /// Declared durable, bound to the exchange.
    pub queue: String,
}

/// The HTTP server.
#[derive(Clone)]
pub struct Management {
    /// Address and port.
    pub listen: SocketAddr,
    /// The bearer token, needed for anything but loopback.
    pub token: Option<String>,
}

/// How the node logs.
#[derive(Debug, Clone)]
pub struct Log {
    /// For people or for machines.
    pub format: LogFormat,
    /// A `tracing` filter, `info` say.
    pub level: String,
}

/// For people or for machines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "named after what they are")]
pub enum LogFormat {
    Pretty,
    Json,
}

impl std::fmt::Debug for Broker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The URL holds a password.
        f.debug_struct("Broker").finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Management {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Management").field("listen", &self.listen).finish_non_exhaustive()
    }
}
