//! `roh serve`: a node.

use std::path::PathBuf;

use super::{CommandError, Exit};
use crate::config::Config;

/// What the node is told.
#[derive(Debug)]
pub struct Options {
    /// The configuration's file.
    pub config: PathBuf,
}

/// Runs a node until it is told to leave.
///
/// # Errors
/// The configuration is wrong, or something the node needs is out of reach.
pub fn run(options: Options) -> Result<Exit, CommandError> {
    Config::load(&options.config)?;
    Err(CommandError::NotBuilt("serve"))
}
