//! `roh run`: one task from a file, without a broker.

use std::path::PathBuf;

use super::{CommandError, Exit, Format};
use crate::config::Limits;

/// What to run, and how.
#[derive(Debug)]
pub struct Options {
    /// The script.
    pub file: PathBuf,
    /// The function to call.
    pub function: String,
    /// Positional arguments: a JSON array.
    pub args: String,
    /// Keyword arguments: a JSON object.
    pub kwargs: String,
    /// A result for people, or a whole reply.
    pub format: Format,
    /// What the task may use.
    pub limits: Limits,
}

/// Runs one task.
///
/// # Errors
/// The script can't be read, or there is no image.
pub fn run(_options: Options) -> Result<Exit, CommandError> {
    Err(CommandError::NotBuilt("run"))
}
