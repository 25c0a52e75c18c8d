//! `roh completions`: a completion script for a shell.

use clap_complete::Shell;

use super::{CommandError, Exit, print};

/// Prints the script for `command`, the whole command line.
///
/// # Errors
/// Standard output is closed.
pub fn run(shell: Shell, mut command: clap::Command) -> Result<Exit, CommandError> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command, "roh", &mut script);
    print(&String::from_utf8_lossy(&script))?;
    Ok(Exit::Succeeded)
}
