//! `roh submit`: publishes one task, and waits for its reply if told to.

use std::path::PathBuf;

use super::{CommandError, Exit};
use crate::config::Config;

/// What to publish, and where.
#[derive(Debug)]
pub struct Options {
    /// The configuration's file.
    pub config: PathBuf,
    /// What to call.
    pub code: Code,
    /// Positional arguments: a JSON array.
    pub args: String,
    /// Keyword arguments: a JSON object.
    pub kwargs: String,
    /// Whether to wait for the reply.
    pub reply: Reply,
}

/// What a submitted task calls.
#[derive(Debug, PartialEq, Eq)]
pub enum Code {
    /// `module.function` in the tenant's scripts.
    Task(String),
    /// A function of a script that goes with the message.
    Script {
        /// The script.
        file: PathBuf,
        /// The function.
        function: String,
    },
}

/// Whether to ask for a reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reply {
    /// Asks for one, waits for it and prints it.
    Wait,
    /// Asks for none.
    None,
}

/// Publishes a task.
///
/// # Errors
/// The configuration is wrong, or the broker is out of reach.
pub fn run(options: Options) -> Result<Exit, CommandError> {
    Config::load(&options.config)?;
    Err(CommandError::NotBuilt("submit"))
}
