//! What the host and the guest say to each other: names of exports and imports,
//! and the serde types that cross the boundary, encoded with postcard.
//!
//! It knows nothing of Python, of wasmtime or of the broker. A change to anything
//! in here is a change of [`ABI_VERSION`].

use std::fmt;

use serde::de::{Error as _, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

/// Version of this boundary. An image that was built for another one is refused.
pub const ABI_VERSION: u32 = 3;

/// Names of the guest's exports. `ptr` and `len` are bytes in its linear memory.
pub mod export {
    /// `() -> u32`: the [`ABI_VERSION`](super::ABI_VERSION) the guest was built with.
    pub const ABI_VERSION: &str = "roh_abi_version";
    /// `(len: u32) -> ptr`: room for a message of the host's; the guest frees it.
    pub const ALLOC: &str = "roh_alloc";
    /// `()`: boots the interpreter and imports the common modules. Run once, before
    /// the snapshot.
    pub const BOOT: &str = "roh_boot";
    /// `(ptr, len) -> ptr << 32 | len`: takes a [`Script`](super::Script) to make ready,
    /// running its top level; returns a [`Loaded`](super::Loaded). It asks for random bytes
    /// once, before the script runs.
    pub const LOAD: &str = "roh_load";
    /// `(ptr, len) -> ptr << 32 | len`: takes a [`Call`](super::Call), returns a
    /// [`Reply`](super::Reply).
    pub const CALL: &str = "roh_call";
    /// `() -> ptr`: where the host writes a 1, in one byte, once a limit is near: the
    /// interpreter then raises `TimeoutError` in the script as soon as it can.
    pub const ALARM: &str = "roh_alarm";
    /// `() -> ptr`: where the guest sets a 1, in one byte, once it found no memory for something,
    /// not even among what is free. That it may not grow is no such thing yet.
    pub const NO_MEMORY: &str = "roh_no_memory";
    /// Global `i32`: the top of the guest's stack in its memory, which grows down to 0.
    pub const STACK_POINTER: &str = "__stack_pointer";
    /// The linear memory.
    pub const MEMORY: &str = "memory";
}

/// Names of the host's functions in the namespace [`MODULE`](import::MODULE).
pub mod import {
    /// The one namespace beside WASI.
    pub const MODULE: &str = "roh";
    /// `(ptr, len) -> i64`: asks the host for something, an encoded
    /// [`Request`](super::Request). The length of the encoded
    /// [`Answer`](super::Answer), kept at the host until [`ANSWER`] fetches it.
    pub const REQUEST: &str = "request";
    /// `(ptr, len)`: copies the answer to the last [`REQUEST`] to `ptr`; `len` must be
    /// what it returned.
    pub const ANSWER: &str = "answer";
    /// `(ptr, len)`: the message of a Rust panic in the guest, right before the trap.
    pub const PANICKED: &str = "panicked";
}

/// What a script may know of its task: `roh.task`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskInfo {
    /// The task's id.
    pub id: String,
    /// Which attempt at it this is, from 1.
    pub attempt: u32,
    /// Whose task it is.
    pub tenant: String,
    /// When its time is over, by the instance's monotonic clock, in milliseconds.
    pub deadline_ms: u64,
}

/// Host to guest: a script to make ready. It says nothing of the task, as other tasks may
/// start from what becomes of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Script {
    /// A module of the tenant's script folder, found through the host.
    Module {
        /// Dotted name, `pkg.mod`.
        name: String,
    },
    /// Source that came with the task.
    Inline {
        /// File name to show in tracebacks.
        file: String,
        /// Python source.
        source: String,
    },
}

/// Guest to host: how it went to make a [`Script`] ready.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Loaded {
    /// The script's top level ran to its end.
    Ready {
        /// Whether the script lets other tasks start from here.
        image: bool,
    },
    /// The tenant has no module of that name.
    NoModule,
    /// A Python exception reached the top.
    Raised(Exception),
}

/// Host to guest: call a function of the script that was loaded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Call {
    /// Name of the function, a plain identifier.
    pub function: String,
    /// Positional arguments: a JSON array.
    pub args: String,
    /// Keyword arguments: a JSON object.
    pub kwargs: String,
    /// Largest result in bytes of JSON.
    pub result_limit: u32,
    /// What the script may know of its task.
    pub task: TaskInfo,
    /// Whether other tasks start from here as well, so that random numbers must differ.
    pub reseed: bool,
}

/// Guest to host: how a [`Call`] ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reply {
    /// The function returned; its value as JSON.
    Returned(String),
    /// A Python exception reached the top, or the result could not be JSON.
    Raised(Exception),
    /// The script has no function of that name.
    NoFunction,
}

/// A Python exception.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exception {
    /// Name of its class: builtins bare (`ValueError`), others qualified by module.
    pub kind: String,
    /// What `str()` says of it.
    pub message: String,
    /// As Python prints it, with frames of the script only.
    pub traceback: String,
}

/// Guest to host: what a script asks for. Each needs a grant but the first and the last
/// three.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Request {
    /// A module of the tenant's script folder: [`Answer::Module`] or [`Answer::Missing`].
    Module {
        /// Its dotted name.
        name: String,
        /// Whether the script's top level still runs: what becomes of that depends on the
        /// answer.
        top_level: bool,
    },
    /// A data file of the tenant, by its path below `/data`, without a leading slash:
    /// [`Answer::Bytes`] or [`Answer::Missing`].
    File(String),
    /// The names in a folder of data files, `""` for all of it, folders with a slash at
    /// their end: [`Answer::Names`] or [`Answer::Missing`].
    Folder(String),
    /// An HTTP request: [`Answer::Http`].
    Http(HttpRequest),
    /// A message to an exchange, confirmed by the broker: [`Answer::Done`].
    Publish {
        /// The exchange.
        exchange: String,
        /// The routing key.
        routing_key: String,
        /// MIME type of the body.
        content_type: String,
        /// The body.
        #[serde(with = "serde_bytes")]
        body: Vec<u8>,
    },
    /// A task of the same tenant: [`Answer::Text`], its id.
    Submit {
        /// `module.function`.
        task: String,
        /// Positional arguments: a JSON array.
        args: String,
        /// Keyword arguments: a JSON object.
        kwargs: String,
    },
    /// A secret by its name: [`Answer::Text`].
    Secret(String),
    /// A value of the tenant's store: [`Answer::Bytes`] or [`Answer::Missing`].
    StateGet(String),
    /// Keeps a value in the tenant's store: [`Answer::Done`].
    StateSet {
        /// Its key.
        key: String,
        /// The value.
        #[serde(with = "serde_bytes")]
        value: Vec<u8>,
    },
    /// Removes a value from the tenant's store: [`Answer::Done`] or [`Answer::Missing`].
    StateDelete(String),
    /// The keys of the tenant's store that start so: [`Answer::Names`].
    StateKeys(String),
    /// How far the task has come, shown to operators: [`Answer::Done`].
    Progress {
        /// So much is done.
        done: f64,
        /// Of so much.
        total: Option<f64>,
    },
    /// A line for the node's log: [`Answer::Done`].
    Log {
        /// As Python's `logging` numbers it.
        level: u8,
        /// The logger's name.
        logger: String,
        /// The message, formatted.
        message: String,
    },
    /// What its task is: [`Answer::Task`]. Once the top level has run, the guest knows.
    Task,
}

/// An HTTP request of a script.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HttpRequest {
    /// `GET`, say.
    pub method: String,
    /// Absolute, `http` or `https`.
    pub url: String,
    /// In this order; names may repeat. [`MAX_HEADERS`] of them at most.
    #[serde(deserialize_with = "few")]
    pub headers: Vec<(String, String)>,
    /// Empty for none.
    #[serde(with = "serde_bytes")]
    pub body: Vec<u8>,
    /// Lowers the host's own limit.
    pub timeout_ms: Option<u32>,
}

/// Headers of an [`HttpRequest`] at most. In memory, each takes many times what it takes in
/// a message.
pub const MAX_HEADERS: usize = 1000;

/// Decodes no more than [`MAX_HEADERS`].
fn few<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<(String, String)>, D::Error> {
    struct Few;

    impl<'de> Visitor<'de> for Few {
        type Value = Vec<(String, String)>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "{MAX_HEADERS} headers at most")
        }

        fn visit_seq<S: SeqAccess<'de>>(self, mut seq: S) -> Result<Self::Value, S::Error> {
            let mut headers = Vec::new();
            while let Some(header) = seq.next_element()? {
                if headers.len() == MAX_HEADERS {
                    return Err(S::Error::invalid_length(headers.len() + 1, &self));
                }
                headers.push(header);
            }
            Ok(headers)
        }
    }

    from.deserialize_seq(Few)
}

/// The answer to an [`HttpRequest`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HttpResponse {
    /// 200, say.
    pub status: u16,
    /// Where it came from, after redirects.
    pub url: String,
    /// In this order; names may repeat and are in lower case.
    pub headers: Vec<(String, String)>,
    /// The whole body.
    #[serde(with = "serde_bytes")]
    pub body: Vec<u8>,
}

/// Host to guest: the answer to a [`Request`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Answer {
    /// It is done.
    Done,
    /// There is no such thing.
    Missing,
    /// A module's source.
    Module {
        /// File name relative to the script folder, for tracebacks.
        file: String,
        /// Whether it is a package (an `__init__.py`).
        package: bool,
        /// Python source.
        source: String,
    },
    /// A file, or a value.
    Bytes(#[serde(with = "serde_bytes")] Vec<u8>),
    /// A secret, or an id.
    Text(String),
    /// Names, or keys, in order.
    Names(Vec<String>),
    /// A response.
    Http(HttpResponse),
    /// No.
    Refused(Refusal),
    /// What a script may know of its task.
    Task(TaskInfo),
}

/// Why the host does not do what a script asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// What kind of no it is, which is the class of the exception.
    pub kind: RefusalKind,
    /// One sentence for whoever wrote the script.
    pub message: String,
}

/// Kinds of refusals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum RefusalKind {
    /// The tenant lacks the grant: `roh.NotGranted`, a `PermissionError`.
    NotGranted,
    /// A limit is reached: `roh.LimitReached`, an `OSError`.
    Limit,
    /// What was asked makes no sense: `ValueError`.
    Invalid,
    /// It was tried and failed: `roh.HostError`, an `OSError`.
    Failed,
    /// It was tried and took too long: `TimeoutError`.
    TimedOut,
}

impl Answer {
    /// A refusal.
    pub fn refused(kind: RefusalKind, message: impl Into<String>) -> Answer {
        Answer::Refused(Refusal { kind, message: message.into() })
    }
}

/// Encodes a message of this crate.
pub fn encode<T: Serialize>(message: &T) -> Vec<u8> {
    postcard::to_stdvec(message).expect("plain data without maps of unknown length")
}

/// Decodes a message of this crate; the error says nothing of its contents.
pub fn decode<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, DecodeError> {
    match postcard::take_from_bytes(bytes) {
        Ok((message, [])) => Ok(message),
        Ok(_) | Err(_) => Err(DecodeError),
    }
}

/// The bytes are not a message of this [`ABI_VERSION`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DecodeError;

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not a message of ABI version {ABI_VERSION}")
    }
}

impl std::error::Error for DecodeError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_of_too_many_headers_is_none() {
        for (count, is_one) in [(MAX_HEADERS, true), (MAX_HEADERS + 1, false)] {
            let request = Request::Http(HttpRequest {
                method: "GET".into(),
                url: "http://x".into(),
                headers: vec![(String::new(), String::new()); count],
                body: Vec::new(),
                timeout_ms: None,
            });
            let decoded = decode::<Request>(&encode(&request));
            assert_eq!(decoded.is_ok(), is_one, "{count}");
        }
    }
}
