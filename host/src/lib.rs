//! ROH: a distributed Python task manager. Tasks come from a RabbitMQ fanout
//! exchange; each runs in a WebAssembly instance of its own.
//!
//! ARCHITECTURE.md tells how data flows and in which order to read the modules.

pub mod broker;
pub mod cli;
pub mod commands;
pub mod config;
pub mod executor;
pub mod grants;
mod heap;
pub mod management;
pub mod manager;
pub mod outcome;
pub mod sandbox;
mod shares;
pub mod systemd;
pub mod task;
pub mod telemetry;
