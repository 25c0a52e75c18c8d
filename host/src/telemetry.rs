//! Sets up logging: to standard error, for people or for machines. What is logged is
//! up to everyone else.

use std::error::Error;
use std::io;

use anstream::AutoStream;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::ParseError;

use crate::config::{Log, LogFormat};

/// What is left out unless the filter names it. The broker module says itself what goes
/// wrong, and these would add whole messages of the clients'.
const QUIET: &str = "lapin=off,rustls_platform_verifier=off";

/// Why there are no logs.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum TelemetryError {
    #[error("failed to understand the log filter {filter:?} of {origin}")]
    Filter { filter: String, origin: &'static str, source: ParseError },
    #[error("failed to set up logging")]
    Setup(#[source] Box<dyn Error + Send + Sync>),
}

/// Starts logging, for the whole process and once. `RUST_LOG` overrides the level.
///
/// # Errors
/// The filter is not one, or logging was started before.
pub fn init(log: &Log) -> Result<(), TelemetryError> {
    let overriding = std::env::var("RUST_LOG").ok().filter(|filter| !filter.trim().is_empty());
    let (filter, origin) = match overriding {
        Some(filter) => (filter, "RUST_LOG"),
        None => (log.level.clone(), "the configuration"),
    };
    let filter = EnvFilter::builder()
        .parse(format!("{QUIET},{filter}"))
        .map_err(|source| TelemetryError::Filter { filter, origin, source })?;
    let colors = AutoStream::choice(&io::stderr()) != anstream::ColorChoice::Never;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
    match log.format {
        LogFormat::Pretty => builder.with_ansi(colors).try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    }
    .map_err(TelemetryError::Setup)
}

/// An error and its causes, in one line.
pub(crate) fn chain(error: &dyn Error) -> String {
    std::iter::successors(error.source(), |&error| error.source())
        .fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}
