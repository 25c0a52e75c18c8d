//! What becomes of a delivery once its task's outcome is known.
//!
//! The manager decides it, the broker carries it out.

use crate::outcome::Report;

/// What becomes of a delivery.
#[derive(Debug, Clone)]
pub enum Settlement {
    /// The task is over: reply if one was asked for, dead-letter if told to, each
    /// confirmed by the broker, then ack.
    Finish {
        /// What the reply and the dead letter say.
        report: Box<Report>,
        /// Whether the message goes to the dead-letter exchange, too.
        dead_letter: DeadLetter,
    },
    /// The task crashed and may be tried again: publish it to its queue with one more
    /// attempt counted, confirmed, then ack. A classic queue counts nothing itself.
    Retry {
        /// Why, for the log.
        reason: String,
    },
    /// The task goes back to its queue as if it had never been taken.
    Requeue,
}

/// Whether a finished task's message is dead-lettered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "named after what they mean")]
pub enum DeadLetter {
    Yes,
    No,
}
