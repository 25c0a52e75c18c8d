//! The Python interpreter inside an instance: boots once before the snapshot, then
//! loads one script and calls one of its functions for each task.
//!
//! It keeps no state of the host's from before the snapshot, and decides nothing
//! about limits, retries or tenants.
#![cfg(target_family = "wasm")]

mod alarm;
mod boundary;
mod exception;
mod heap;
mod host;
mod interpreter;
mod json_in;
mod json_out;
#[cfg(feature = "profile")]
mod profile;
mod script;
mod stack;
