//! What can go wrong with the broker, and whether a person must mend it.

use std::error::Error as _;
use std::fmt;

use lapin::ErrorKind;
use lapin::protocol::{AMQPErrorKind, AMQPHardError, AMQPSoftError};

/// A step that the broker, or the way to it, did not let us take.
#[derive(Debug, Clone, thiserror::Error)]
#[error("cannot {step} {address}: {reason}")]
pub struct BrokerError {
    step: String,
    address: String,
    reason: String,
    mended_by: MendedBy,
}

/// What it takes until the step may succeed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MendedBy {
    /// A network or a broker that comes back.
    Time,
    /// Someone who changes the configuration or the broker.
    Person,
}

impl BrokerError {
    pub(super) fn new(
        step: impl Into<String>,
        address: &impl fmt::Display,
        reason: impl Into<String>,
        mended_by: MendedBy,
    ) -> BrokerError {
        let (step, address, reason) = (step.into(), address.to_string(), reason.into());
        BrokerError { step, address, reason, mended_by }
    }

    /// Reads what lapin says of a failed step, `declare queue "x" on` say.
    pub(super) fn from_lapin(
        step: impl Into<String>,
        address: &impl fmt::Display,
        error: &lapin::Error,
    ) -> BrokerError {
        BrokerError::new(step, address, reason(error), mended_by(error))
    }

    /// Why, alone.
    pub(super) fn reason(&self) -> &str {
        &self.reason
    }

    /// What it takes until the step may succeed.
    pub fn mended_by(&self) -> MendedBy {
        self.mended_by
    }
}

/// The broker's own words where there are any.
pub(super) fn reason(error: &lapin::Error) -> String {
    match error.kind() {
        ErrorKind::ProtocolError(error) => error.get_message().to_string(),
        ErrorKind::IOError(error) => {
            // Say the system's sentence, and the one beneath it only if it adds something.
            let text = error.to_string();
            match error.source().map(ToString::to_string) {
                Some(source) if !text.contains(&source) => format!("{text}: {source}"),
                _ => text,
            }
        }
        _ => error.to_string(),
    }
}

/// The broker refused this one request and keeps the connection: the request is at fault.
pub(super) fn is_refusal(error: &lapin::Error) -> bool {
    error.is_amqp_soft_error()
}

/// What the request names does not exist.
pub(super) fn is_nothing_there(error: &lapin::Error) -> bool {
    is_kind(error, AMQPErrorKind::Soft(AMQPSoftError::NOTFOUND))
}

/// The broker tripped over the request and closed the connection.
pub(super) fn is_internal(error: &lapin::Error) -> bool {
    is_kind(error, AMQPErrorKind::Hard(AMQPHardError::INTERNALERROR))
}

fn is_kind(error: &lapin::Error, kind: AMQPErrorKind) -> bool {
    matches!(error.kind(), ErrorKind::ProtocolError(error) if *error.kind() == kind)
}

fn mended_by(error: &lapin::Error) -> MendedBy {
    let ErrorKind::ProtocolError(error) = error.kind() else { return tls_trouble(error) };
    match error.kind() {
        AMQPErrorKind::Soft(
            AMQPSoftError::ACCESSREFUSED
            | AMQPSoftError::PRECONDITIONFAILED
            | AMQPSoftError::RESOURCELOCKED,
        )
        | AMQPErrorKind::Hard(
            AMQPHardError::NOTALLOWED
            | AMQPHardError::NOTIMPLEMENTED
            | AMQPHardError::COMMANDINVALID
            | AMQPHardError::SYNTAXERROR,
        ) => MendedBy::Person,
        _ => MendedBy::Time,
    }
}

/// A certificate that is not trusted stays so: rustls calls it invalid data, and the
/// lack of any certificate to trust is an error of no kind.
fn tls_trouble(error: &lapin::Error) -> MendedBy {
    use std::io::ErrorKind::{InvalidData, InvalidInput, Other};
    match error.kind() {
        ErrorKind::IOError(error) if matches!(error.kind(), InvalidData | InvalidInput | Other) => {
            MendedBy::Person
        }
        ErrorKind::InvalidProtocolVersion(_) | ErrorKind::AuthProviderError(_) => MendedBy::Person,
        _ => MendedBy::Time,
    }
}
