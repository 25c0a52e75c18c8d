//! `roh stop`: stops a task, or all of a node's.

use super::client::{Address, Client, Stopped};
use super::{CommandError, Exit, print};
use crate::task::TaskId;

/// What to stop, and where.
#[derive(Debug)]
pub struct Options {
    /// The node.
    pub address: Address,
    /// The tasks.
    pub tasks: Tasks,
}

/// Which tasks to stop.
#[derive(Debug, PartialEq, Eq)]
pub enum Tasks {
    /// Those of that id.
    One(TaskId),
    /// All that the node runs or holds.
    All,
}

/// Stops them.
///
/// # Errors
/// The node can't be reached, or refuses.
pub fn run(options: Options) -> Result<Exit, CommandError> {
    let client = Client::new(options.address)?;
    let count = match options.tasks {
        Tasks::All => client.stop_all()?,
        Tasks::One(id) => match client.stop(&id)? {
            Stopped::Count(count) => count,
            Stopped::NotFound => {
                print(&format!("no task {:?} is running or waiting\n", id.as_str()))?;
                return Ok(Exit::Unsuccessful);
            }
        },
    };
    print(&format!("stopped {count} {}\n", if count == 1 { "task" } else { "tasks" }))?;
    Ok(Exit::Succeeded)
}
