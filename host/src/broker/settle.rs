//! Carries out what the manager decided about a delivery. Decides nothing but what
//! becomes of a message that the broker would not take.

use std::time::Duration;

use lapin::options::{BasicAckOptions, BasicNackOptions};

use super::Delivery;
use super::direct;
use super::error::{BrokerError, MendedBy};
use super::message::{self, Note};
use super::publisher::Published;
use crate::manager::settlement::{DeadLetter, Settlement};
use crate::outcome::{Reply, Report, Status};
use crate::task::Envelope;

/// Between attempts at a dead letter that the broker refuses: the first, and the longest.
const REFUSED_DELAY: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(30));

/// The session is at its end, and told why: the broker will deliver the message again.
struct Lost;

impl Delivery {
    /// Settles the delivery. Returns when that is done, or when its session is lost, in
    /// which case the broker delivers the message again.
    pub async fn settle(self, envelope: &Envelope, settlement: &Settlement) {
        // Cancel-safe: what is given up here is given up by the broker, too.
        tokio::select! {
            () = self.session.lost() => {}
            done = self.try_settle(envelope, settlement) => {
                if let Err(Lost) = done {
                    tracing::debug!(task = ?envelope.id, "session lost before a delivery was settled");
                }
            }
        }
    }

    async fn try_settle(&self, envelope: &Envelope, settlement: &Settlement) -> Result<(), Lost> {
        match settlement {
            Settlement::Finish { report, dead_letter } => {
                self.finish(envelope, report, *dead_letter).await?;
                self.ack().await
            }
            Settlement::Retry { reason } => {
                self.retry(envelope, reason).await?;
                self.ack().await
            }
            Settlement::Requeue => self.requeue().await,
        }
    }

    /// Tells whoever must know of a task's end, before the delivery is acked.
    async fn finish(
        &self,
        envelope: &Envelope,
        report: &Report,
        dead_letter: DeadLetter,
    ) -> Result<(), Lost> {
        let status = report.outcome.status();
        let reason = report.outcome.reason().unwrap_or_default();
        match (self.reply(envelope, report).await?, dead_letter) {
            (Published::Refused(why), _) => {
                let reason = format!("reply refused: {why}; {reason}");
                self.dead_letter(envelope, status, reason.trim_end_matches("; ")).await
            }
            (_, DeadLetter::Yes) | (Published::Unroutable, DeadLetter::UnlessReplied) => {
                self.dead_letter(envelope, status, &reason).await
            }
            (Published::Taken, DeadLetter::UnlessReplied) | (_, DeadLetter::No) => Ok(()),
        }
    }

    /// [`Published::Taken`] if nobody asked for one.
    async fn reply(&self, envelope: &Envelope, report: &Report) -> Result<Published, Lost> {
        let Some(to) = &envelope.reply else { return Ok(Published::Taken) };
        let session = &self.session;
        let body = Reply::new(&envelope.id, report, &session.node).to_json();
        let properties = message::reply(&envelope.id, to);
        let published = if direct::is_direct(&to.queue) {
            session.direct.publish(&to.queue, body.as_bytes(), properties).await
        } else {
            session.publisher.publish("", &to.queue, body.as_bytes(), properties).await.map_err(
                |error| BrokerError::from_lapin("publish a reply on", &session.address, &error),
            )
        };
        match &published {
            Ok(Published::Taken) => {}
            Ok(Published::Unroutable) => {
                tracing::debug!(task = ?envelope.id, queue = ?to.queue, "nobody waits for a reply");
            }
            Ok(Published::Refused(why)) => {
                tracing::debug!(task = ?envelope.id, queue = ?to.queue, ?why, "reply refused");
            }
            Err(_) => {}
        }
        published.map_err(|error| {
            session.fail(error);
            Lost
        })
    }

    async fn dead_letter(
        &self,
        envelope: &Envelope,
        status: Status,
        reason: &str,
    ) -> Result<(), Lost> {
        let session = &self.session;
        let exchange = &session.dead_letter_exchange;
        let note = Note { status, reason, node: &session.node, queue: &envelope.queue };
        let properties = message::dead_letter(&self.properties, &note, session.publisher.room());
        let mut delay = REFUSED_DELAY.0;
        let why = loop {
            let properties = properties.clone();
            match session.publisher.publish(exchange, "", &self.body, properties).await {
                Ok(Published::Taken) => return Ok(()),
                Ok(Published::Unroutable) => {
                    break "it is gone, or no queue is bound to it".to_owned();
                }
                Err(error) => break super::error::reason(&error),
                // A full queue, or no right to publish: another session would not mend
                // it, and end everybody's tasks. The one delivery waits for a person, as
                // long as the broker lets a consumer hold it.
                Ok(Published::Refused(why)) => {
                    tracing::error!(task = ?envelope.id, exchange, why, retry_in = ?delay, "dead letter refused");
                    tokio::time::sleep(delay).await;
                    delay = (delay * 2).min(REFUSED_DELAY.1);
                }
            }
        };
        // Acked, the message would vanish. The next session declares the pair anew.
        let step = format!("dead-letter to exchange {exchange:?} on");
        session.fail(BrokerError::new(step, &session.address, why, MendedBy::Time));
        Err(Lost)
    }

    async fn retry(&self, envelope: &Envelope, reason: &str) -> Result<(), Lost> {
        let session = &self.session;
        let queue = &envelope.queue;
        let properties = message::retry(&self.properties, envelope, session.publisher.room());
        match session.publisher.publish("", queue, &self.body, properties).await {
            Ok(Published::Taken) => {
                tracing::debug!(task = ?envelope.id, attempt = envelope.attempt, reason, "task goes back to its queue after a crash");
                Ok(())
            }
            // A full queue. Requeued instead, nothing would count its attempts.
            Ok(Published::Refused(why)) => {
                let reason = format!("{reason}; another attempt was refused: {why}");
                self.dead_letter(envelope, Status::Crashed, &reason).await
            }
            Ok(Published::Unroutable) => {
                session.fail(BrokerError::new(
                    format!("return a task to queue {:?} on", &**queue),
                    &session.address,
                    "the queue is gone",
                    MendedBy::Time,
                ));
                Err(Lost)
            }
            Err(error) => {
                session.fail_with("return a task to its queue on", &error);
                Err(Lost)
            }
        }
    }

    async fn ack(&self) -> Result<(), Lost> {
        self.settled("ack a delivery on", self.acker.ack(BasicAckOptions::default()).await)
    }

    async fn requeue(&self) -> Result<(), Lost> {
        let options = BasicNackOptions { requeue: true, multiple: false };
        self.settled("requeue a delivery on", self.acker.nack(options).await)
    }

    fn settled(&self, step: &str, answer: lapin::Result<bool>) -> Result<(), Lost> {
        match answer {
            Ok(true) => Ok(()),
            // Its channel is gone, and whoever noticed ends the session.
            Ok(false) => Err(Lost),
            Err(error) => {
                self.session.fail_with(step, &error);
                Err(Lost)
            }
        }
    }
}
