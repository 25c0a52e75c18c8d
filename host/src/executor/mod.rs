//! Executors: the processes, apart from the daemon, that instances live in.

pub mod lockdown;
