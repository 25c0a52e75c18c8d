//! What the host and the guest say to each other: names of exports and imports,
//! and the serde types that cross the boundary, encoded with postcard.
//!
//! It knows nothing of Python, of wasmtime or of the broker. A change to anything
//! in here is a change of [`ABI_VERSION`].

use serde::{Deserialize, Serialize};

/// Version of this boundary. An image that was built for another one is refused.
pub const ABI_VERSION: u32 = 1;

/// Names of the guest's exports. `ptr` and `len` are bytes in its linear memory.
pub mod export {
    /// `() -> u32`: the [`ABI_VERSION`](super::ABI_VERSION) the guest was built with.
    pub const ABI_VERSION: &str = "roh_abi_version";
    /// `(len: u32) -> ptr`: room for a message of the host's; the guest frees it.
    pub const ALLOC: &str = "roh_alloc";
    /// `()`: boots the interpreter and imports the common modules. Run once, before
    /// the snapshot.
    pub const BOOT: &str = "roh_boot";
    /// `(ptr, len) -> ptr << 32 | len`: takes a [`Load`](super::Load), returns a
    /// [`Loaded`](super::Loaded).
    pub const LOAD: &str = "roh_load";
    /// `(ptr, len) -> ptr << 32 | len`: takes a [`Call`](super::Call), returns a
    /// [`Reply`](super::Reply).
    pub const CALL: &str = "roh_call";
    /// Global `i32`: the top of the guest's stack in its memory, which grows down to 0.
    pub const STACK_POINTER: &str = "__stack_pointer";
    /// The linear memory.
    pub const MEMORY: &str = "memory";
}

/// Names of the host's functions in the namespace [`MODULE`](import::MODULE).
pub mod import {
    /// The one namespace beside WASI.
    pub const MODULE: &str = "roh";
    /// `(name_ptr, name_len) -> i64`: looks a script module up by its dotted name.
    /// The length of an encoded [`ModuleAnswer`](super::ModuleAnswer), kept at the
    /// host until [`MODULE_READ`] fetches it.
    pub const MODULE_FIND: &str = "module_find";
    /// `(ptr, len)`: copies the answer of the last [`MODULE_FIND`] to `ptr`; `len`
    /// must be what it returned.
    pub const MODULE_READ: &str = "module_read";
    /// `(ptr, len)`: the message of a Rust panic in the guest, right before the trap.
    pub const PANICKED: &str = "panicked";
}

/// Host to guest: make a script ready, running its top level.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Load {
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

/// Guest to host: how a [`Load`] ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Loaded {
    /// The script's top level ran to its end.
    Ready,
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

/// Host to guest: the answer to a look-up of a script module.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ModuleAnswer {
    /// The tenant has no such module.
    Missing,
    /// It has one, and it can't be served: too large, not UTF-8, unreadable.
    Refused(String),
    /// Its source.
    Found {
        /// File name relative to the script folder, for tracebacks.
        file: String,
        /// Whether it is a package (an `__init__.py`).
        package: bool,
        /// Python source.
        source: String,
    },
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

impl std::fmt::Display for DecodeError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "not a message of ABI version {ABI_VERSION}")
    }
}

impl std::error::Error for DecodeError {}
