//! What each command does, one file for each. How its arguments are spelled is
//! [`crate::cli`]'s.

use std::io::{self, Write as _};
use std::path::PathBuf;

use crate::broker::BrokerError;
use crate::config::ConfigError;
use crate::executor::ExecutorsError;
use crate::grants::GrantsError;
use crate::management::BindError;
use crate::sandbox::image::ImageError;
use crate::telemetry::TelemetryError;

pub mod check;
pub mod client;
pub mod completions;
pub mod findings;
pub mod image;
pub mod recipe;
pub mod run;
pub mod serve;
pub mod status;
pub mod stop;
pub mod submit;

/// How a command ended, if it could do its duty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// It did what it was told; a task succeeded.
    Succeeded,
    /// A task ended otherwise, or was not found.
    Unsuccessful,
    /// Something needed is wrong or out of reach, and was reported.
    Unusable,
}

impl Exit {
    /// The process's exit code.
    pub fn code(self) -> u8 {
        match self {
            Exit::Succeeded => 0,
            Exit::Unsuccessful => 1,
            Exit::Unusable => 2,
        }
    }
}

/// For people or for programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the enum says what they are for")]
pub enum Format {
    Text,
    Json,
}

/// Why a command could not do its duty.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// The configuration can't be read, or is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A node's management did not do what it was asked to.
    #[error(transparent)]
    Client(client::ClientError),
    /// Standard output is closed or full.
    #[error("failed to write to standard output")]
    Output(#[source] io::Error),
    /// There is no interpreter image.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// There are no executors to run instances in.
    #[error(transparent)]
    Executors(#[from] ExecutorsError),
    /// What tenants are granted can't be made ready.
    #[error(transparent)]
    Grants(#[from] GrantsError),
    /// The broker is out of reach, or refuses what it is asked to do.
    #[error(transparent)]
    Broker(#[from] BrokerError),
    /// Logging can't be set up.
    #[error(transparent)]
    Telemetry(#[from] TelemetryError),
    /// A script can't be used.
    #[error("cannot use the script {path}: {why}", path = path.display())]
    Script {
        /// Where it should be.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// The system refuses something that the command can't do without.
    #[error("failed to {what}")]
    System {
        /// Finishes the sentence.
        what: String,
        /// Why.
        source: io::Error,
    },
    /// The management's address can't be listened on.
    #[error(transparent)]
    Management(#[from] BindError),
}

/// The threads that commands wait on; what computes has its own.
pub(crate) fn runtime() -> Result<tokio::runtime::Runtime, CommandError> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("roh-io")
        .enable_all()
        .build()
        .map_err(|source| CommandError::System { what: "start threads".into(), source })
}

impl From<client::ClientError> for CommandError {
    fn from(error: client::ClientError) -> CommandError {
        match error {
            client::ClientError::Config(error) => CommandError::Config(error),
            error => CommandError::Client(error),
        }
    }
}

/// Writes text to standard output; colours are stripped where they don't belong.
pub(crate) fn print(text: &str) -> Result<(), CommandError> {
    let mut out = anstream::stdout();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        // Whoever read it has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => result.map_err(CommandError::Output),
    }
}
