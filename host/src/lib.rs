//! ROH: a distributed Python task manager. Tasks come from a RabbitMQ fanout
//! exchange; each runs in a WebAssembly instance of its own.
//!
//! The modules stand in reading order; ARCHITECTURE.md tells how data flows.

pub mod broker;
pub mod cli;
pub mod commands;
pub mod config;
pub mod management;
pub mod manager;
pub mod outcome;
pub mod sandbox;
pub mod systemd;
pub mod task;
pub mod telemetry;
