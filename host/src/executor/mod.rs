//! Runs instances in processes of their own: *executors*. One that is broken out of, or
//! that dies, takes its own instances with it and nothing else.
//!
//! `child` is what goes on in such a process, `lockdown` what it gives up before it sees
//! a task, `process` is one as the daemon sees it, and [`Executors`] are all of a node.

mod child;
mod ends;
pub mod lockdown;
mod pool;
mod process;
mod runs;
mod wire;

pub use child::{main, program};
pub use pool::{Executors, ExecutorsError, Plan, most_instances};
#[cfg(fuzzing)]
pub use process::fuzz;
