//! Runs what the state machine decides: starts instances, interrupts them, settles.

pub mod settlement;
