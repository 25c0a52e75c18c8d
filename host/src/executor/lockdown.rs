//! What an executor process gives up, in itself, before it is handed a single task.
//!
//! Someone who broke out of an instance finds a process that computes, talks to the daemon
//! over the one socket that it has, and can do nothing else: it has no other descriptors, no
//! rights, no files, no network, no way to start a program or to make memory executable.
//!
//! What every Linux can do is done always, and [`enter`] fails if it can't be. The rest are
//! walls, for which the kernel may have no support or no permission; [`Walls`] says which of
//! them stand. Each holds without the others.

#[cfg(target_os = "linux")]
mod rights;
#[cfg(target_os = "linux")]
mod syscalls;

use std::fmt;
use std::io;

use serde::{Deserialize, Serialize};

use crate::config::Wall;
use crate::sandbox::PageMap;

/// Whether a wall stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Applied {
    /// It does.
    Yes,
    /// It does not, or not all of it; and why, in a phrase.
    No(String),
}

/// Which walls stand around an executor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Walls {
    /// [`Wall::Seccomp`].
    pub seccomp: Applied,
    /// [`Wall::Landlock`].
    pub landlock: Applied,
    /// [`Wall::Namespaces`].
    pub namespaces: Applied,
}

impl Walls {
    /// Whether `wall` stands.
    pub fn of(&self, wall: Wall) -> &Applied {
        match wall {
            Wall::Seccomp => &self.seccomp,
            Wall::Landlock => &self.landlock,
            Wall::Namespaces => &self.namespaces,
        }
    }

    /// Those that stand.
    pub fn standing(&self) -> impl Iterator<Item = Wall> {
        Wall::ALL.into_iter().filter(|wall| *self.of(*wall) == Applied::Yes)
    }

    /// Those that don't stand, and why.
    pub fn missing(&self) -> impl Iterator<Item = (Wall, &str)> {
        Wall::ALL.into_iter().filter_map(|wall| match self.of(wall) {
            Applied::Yes => None,
            Applied::No(why) => Some((wall, why.as_str())),
        })
    }
}

/// One line: `seccomp, landlock; without namespaces: the kernel does not support them`.
impl fmt::Display for Walls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let standing: Vec<_> = self.standing().map(Wall::name).collect();
        let missing = self.missing().map(|(wall, why)| format!("without {wall}: {why}"));
        let parts = [standing.join(", ")].into_iter().filter(|part| !part.is_empty());
        f.write_str(&parts.chain(missing).collect::<Vec<_>>().join("; "))
    }
}

/// What every Linux can do could not be done: the process must not become an executor.
#[derive(Debug, thiserror::Error)]
#[error("failed to {what}")]
pub struct LockdownError {
    what: &'static str,
    source: io::Error,
}

/// A process that holds nothing any more but the right to map code; see [`Entered::close`].
#[derive(Debug)]
#[must_use = "the door is still open"]
pub struct Entered {
    landlock: Applied,
    namespaces: Applied,
    /// The account of its memory, where there is one: opened before there are no files.
    pub page_map: Option<PageMap>,
}

/// Gives up all but what it takes to map the image: the first thing that an executor does,
/// while it has one thread. Standard input must be a socket that its parent made, standard
/// output the image, standard error a pipe; all other descriptors are closed.
///
/// The kernel kills the process when its parent's *thread* that started it ends: a daemon
/// must start its executors from a thread that lives as long as it does itself.
///
/// # Errors
/// Something that every Linux can do failed, or the parent is gone.
pub fn enter() -> Result<Entered, LockdownError> {
    #[cfg(target_os = "linux")]
    {
        rights::give_up()
    }
    #[cfg(not(target_os = "linux"))]
    {
        Ok(Entered { landlock: only_linux(), namespaces: only_linux(), page_map: None })
    }
}

impl Entered {
    /// Shuts the door, for all threads: after the image is mapped and before any task. From
    /// here on, memory that can be written never becomes code.
    pub fn close(self) -> Walls {
        #[cfg(target_os = "linux")]
        let seccomp = syscalls::filter();
        #[cfg(not(target_os = "linux"))]
        let seccomp = only_linux();
        Walls { seccomp, landlock: self.landlock, namespaces: self.namespaces }
    }
}

#[cfg(not(target_os = "linux"))]
fn only_linux() -> Applied {
    Applied::No("only Linux has it".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn walls_are_said_in_one_line() {
        let mut walls = Walls {
            seccomp: Applied::Yes,
            landlock: Applied::Yes,
            namespaces: Applied::No("not permitted".into()),
        };
        assert_eq!(walls.to_string(), "seccomp, landlock; without namespaces: not permitted");
        walls.namespaces = Applied::Yes;
        assert_eq!(walls.to_string(), "seccomp, landlock, namespaces");
        let none = || Applied::No("old kernel".into());
        let walls = Walls { seccomp: none(), landlock: none(), namespaces: Applied::Yes };
        assert_eq!(
            walls.to_string(),
            "namespaces; without seccomp: old kernel; without landlock: old kernel"
        );
    }

    /// The test's own process has more than one thread, so it is never locked down.
    #[test]
    #[cfg(target_os = "linux")]
    fn a_process_of_several_threads_is_refused() {
        let (alive, waits) = std::sync::mpsc::channel::<()>();
        let other = std::thread::spawn(move || waits.recv());
        let error = enter().expect_err("two threads");
        assert_eq!(error.to_string(), "failed to find the process with a single thread");
        drop(alive);
        let _ = other.join();
    }
}
