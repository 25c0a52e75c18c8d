//! What becomes of a delivery once its task's outcome is known.
//!
//! The manager decides it, the broker carries it out.

use crate::outcome::{Outcome, Report};
use crate::task::Envelope;

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
    /// If its reply reaches nobody: then nothing else is left to tell of it.
    UnlessReplied,
    No,
}

impl Settlement {
    /// The table of outcomes: what becomes of a task that ended with this report.
    pub fn of(envelope: &Envelope, report: Box<Report>, max_deliveries: u32) -> Settlement {
        let dead_letter = match (&report.outcome, &envelope.reply) {
            (Outcome::Succeeded(_) | Outcome::Stopped, _) => DeadLetter::No,
            // Whoever asked for a reply learns of it from the reply.
            (Outcome::Failed(_) | Outcome::Timeout(..) | Outcome::OutOfMemory(_), Some(_)) => {
                DeadLetter::UnlessReplied
            }
            (Outcome::Failed(_) | Outcome::Timeout(..) | Outcome::OutOfMemory(_), None) => {
                DeadLetter::Yes
            }
            (Outcome::Crashed(reason), _) if envelope.attempt < max_deliveries => {
                return Settlement::Retry { reason: reason.clone() };
            }
            (Outcome::Crashed(_) | Outcome::Invalid(_), _) => DeadLetter::Yes,
        };
        Settlement::Finish { report, dead_letter }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::outcome::{Exception, TimeLimit};
    use crate::task::{ReplyAddress, TaskId, TenantName};

    #[derive(Debug, PartialEq)]
    enum Expect {
        Ack,
        DeadLetter,
        Retry,
    }
    use Expect::{Ack, DeadLetter as Dead, Retry};

    fn settle(outcome: &Outcome, attempt: u32, reply: Option<ReplyAddress>) -> Expect {
        let envelope = Envelope {
            id: TaskId::generate(),
            tenant: TenantName::new("t"),
            queue: "q".into(),
            reply,
            attempt,
            depth: 0,
        };
        let report = Box::new(Report::not_run(outcome.clone()));
        match Settlement::of(&envelope, report, 3) {
            Settlement::Finish { report, dead_letter } => {
                assert_eq!(report.outcome.status(), outcome.status());
                if dead_letter == super::DeadLetter::Yes { Dead } else { Ack }
            }
            Settlement::Retry { .. } => Retry,
            Settlement::Requeue => panic!("no outcome is requeued"),
        }
    }

    #[test]
    fn every_outcome_is_settled_as_the_table_says() {
        let value = serde_json::value::to_raw_value(&1).expect("a number");
        let raised = Exception { kind: "E".into(), message: "m".into(), traceback: String::new() };
        // outcome, attempt of 3, without a reply address, with one
        let table = [
            (Outcome::Succeeded(value), 1, Ack, Ack),
            (Outcome::Failed(raised), 1, Dead, Ack),
            (Outcome::Timeout(TimeLimit::Cpu, Duration::ZERO), 1, Dead, Ack),
            (Outcome::OutOfMemory(1), 1, Dead, Ack),
            (Outcome::Stopped, 1, Ack, Ack),
            (Outcome::Crashed("trap".into()), 1, Retry, Retry),
            (Outcome::Crashed("trap".into()), 2, Retry, Retry),
            (Outcome::Crashed("trap".into()), 3, Dead, Dead),
            (Outcome::Crashed("trap".into()), 4, Dead, Dead),
            (Outcome::Invalid("no such script".into()), 1, Dead, Dead),
        ];
        for (outcome, attempt, without, with) in table {
            let address = ReplyAddress { queue: "r".into(), correlation_id: "c".into() };
            assert_eq!(settle(&outcome, attempt, None), without, "{outcome:?}");
            assert_eq!(settle(&outcome, attempt, Some(address)), with, "{outcome:?}");
        }
    }
}
