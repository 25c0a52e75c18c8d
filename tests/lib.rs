//! What the end-to-end tests share: a private RabbitMQ, daemons, clients.

pub mod clients;
pub mod daemon;
pub mod echo;
pub mod jobs;
pub mod process;
pub mod rabbit;
pub mod within;
