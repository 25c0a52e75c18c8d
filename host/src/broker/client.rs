//! The broker from a command's side: submits one task, or looks at what is there.
//! Consumes no tasks and declares nothing that outlives the command.

use std::fmt;
use std::time::Duration;

use futures_util::StreamExt;
use lapin::options::{
    BasicConsumeOptions, ConfirmSelectOptions, ExchangeDeclareOptions, QueueDeclareOptions,
};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Channel, Connection, Consumer, ExchangeKind};

use super::address::Address;
use super::error::{self, BrokerError, MendedBy};
use super::message::short;
use super::publisher::{Published, publish_on};
use super::topology::Declare;
use crate::config::{Config, Source};
use crate::task::TaskId;

/// One task message to publish.
#[derive(Debug, Clone)]
pub struct Submission {
    /// The task's id: its message's, and what its reply is known by.
    pub id: TaskId,
    /// The message: JSON as the contract has it.
    pub body: String,
    /// Whether to wait for the reply.
    pub wait: Wait,
}

/// Whether a command waits for its task's reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// It is done once the broker has the task.
    No,
    /// As long as it takes.
    Forever,
    /// At most this long. The task goes on without us.
    For(Duration),
}

/// What became of a submission.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Submitted {
    /// The broker has the task.
    Queued,
    /// The reply's body: JSON as the contract has it.
    Replied(Vec<u8>),
    /// The broker has the task, and no reply came in time.
    NoReply,
}

/// Publishes a task to a source's exchange, and waits for the reply if told to.
/// Cancel-safe: to give up is to drop it, which closes the connection and with it the
/// queue that a reply would have come to.
///
/// # Errors
/// The broker can't be reached or would not have it; no queue is bound to the exchange.
pub async fn submit(
    url: &str,
    source: &Source,
    submission: &Submission,
) -> Result<Submitted, BrokerError> {
    let address = Address::parse(url)?;
    let connection = address.connect("submit").await?;
    let Submission { id, body, wait } = submission;
    let failed = |step: &str, e: lapin::Error| BrokerError::from_lapin(step, &address, &e);
    let channel = open(&connection).await.map_err(|e| failed("open a channel on", e))?;
    channel
        .confirm_select(ConfirmSelectOptions::default())
        .await
        .map_err(|e| failed("open a channel on", e))?;
    let mut properties = BasicProperties::default()
        .with_content_type("application/json".into())
        .with_delivery_mode(2)
        .with_message_id(short(id.as_str()))
        .with_correlation_id(short(id.as_str()));
    let mut replies = None;
    if *wait != Wait::No {
        let (queue, consumer) =
            reply_queue(&channel).await.map_err(|e| failed("open a queue for the reply on", e))?;
        properties = properties.with_reply_to(queue);
        replies = Some(consumer);
    }
    let step = format!("submit to exchange {:?} on", source.exchange);
    let body = body.as_bytes();
    let published = publish_on(&channel, &source.exchange, &source.routing_key, body, properties)
        .await
        .map_err(|e| failed(&step, e))?;
    let refused = |why: String| BrokerError::new(step.as_str(), &address, why, MendedBy::Person);
    match published {
        Published::Taken => {}
        Published::Unroutable => {
            let why = "no queue is bound to it: has a daemon with this configuration started?";
            return Err(refused(why.to_owned()));
        }
        Published::Refused(why) => return Err(refused(why)),
    }
    let submitted = match replies {
        None => Submitted::Queued,
        Some(replies) => await_reply(replies, id, *wait)
            .await
            .map_err(|e| failed("receive the reply from", e))?,
    };
    // The task is queued or done, whatever becomes of our goodbye.
    let _ = connection.close(200, "bye".into()).await;
    Ok(submitted)
}

/// A queue that ends with our connection.
async fn reply_queue(channel: &Channel) -> lapin::Result<(lapin::types::ShortString, Consumer)> {
    let options = QueueDeclareOptions {
        exclusive: true,
        auto_delete: true,
        ..QueueDeclareOptions::default()
    };
    let queue = channel.queue_declare("".into(), options, FieldTable::default()).await?;
    let name = queue.name().clone();
    let options = BasicConsumeOptions { no_ack: true, ..BasicConsumeOptions::default() };
    let consumer =
        channel.basic_consume(name.clone(), "".into(), options, FieldTable::default()).await?;
    Ok((name, consumer))
}

async fn await_reply(mut replies: Consumer, id: &TaskId, wait: Wait) -> lapin::Result<Submitted> {
    let reply = async {
        loop {
            match replies.next().await {
                Some(Ok(reply))
                    if reply
                        .properties
                        .correlation_id()
                        .as_ref()
                        .is_some_and(|correlation| correlation.as_str() == id.as_str()) =>
                {
                    return Ok(Submitted::Replied(reply.data));
                }
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(error),
                None => {
                    return Err(std::io::Error::from(std::io::ErrorKind::ConnectionReset).into());
                }
            }
        }
    };
    match wait {
        Wait::No | Wait::Forever => reply.await,
        Wait::For(limit) => {
            tokio::time::timeout(limit, reply).await.unwrap_or(Ok(Submitted::NoReply))
        }
    }
}

/// One thing that the daemon needs of the broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// An exchange or a queue, by name.
    pub what: String,
    /// How it is found.
    pub state: State,
}

/// How something that the daemon needs is found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// As it should be.
    Exists,
    /// A queue as it should be.
    Queue {
        /// Ready to be delivered.
        messages: u32,
        /// Those who take from it now.
        consumers: u32,
    },
    /// Not there yet: the daemon will create it.
    Missing,
    /// There, and not what the configuration says. In the broker's words.
    Differs(String),
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            State::Exists => f.write_str("exists"),
            State::Queue { messages, consumers } => {
                write!(f, "exists, {messages} messages ready, {consumers} consumers")
            }
            State::Missing => f.write_str("will be created"),
            State::Differs(why) => write!(f, "differs: {why}"),
        }
    }
}

/// Looks for each exchange and queue of the configuration, and changes nothing.
///
/// # Errors
/// The broker can't be reached, or would not have us.
pub async fn check(config: &Config) -> Result<Vec<Finding>, BrokerError> {
    let address = Address::parse(&config.broker.url)?;
    let connection = address.connect(&format!("{} (check)", config.node)).await?;
    let look = Look { connection: &connection, address: &address };
    let mut findings = Vec::new();
    let nothing = std::collections::BTreeMap::new();
    let dead = &config.dead_letter;
    let pairs = config
        .sources
        .iter()
        .map(|source| (&source.exchange, &source.queue, &source.arguments))
        .chain([(&dead.exchange, &dead.queue, &nothing)]);
    for (exchange, queue, arguments) in pairs {
        for finding in [look.exchange(exchange).await?, look.queue(queue, arguments).await?] {
            if !findings.contains(&finding) {
                findings.push(finding);
            }
        }
    }
    // All was found out, whatever becomes of our goodbye.
    let _ = connection.close(200, "bye".into()).await;
    Ok(findings)
}

/// Asks about one thing at a time, on a channel of its own: a "no" closes the channel.
struct Look<'a> {
    connection: &'a Connection,
    address: &'a Address,
}

impl Look<'_> {
    async fn exchange(&self, name: &str) -> Result<Finding, BrokerError> {
        let what = format!("exchange {name:?}");
        let options = ExchangeDeclareOptions { passive: true, ..Default::default() };
        let declared = self
            .channel()
            .await?
            .exchange_declare(short(name), ExchangeKind::Fanout, options, FieldTable::default())
            .await;
        let state = match declared {
            // To declare what exists changes nothing, and tells whether it is the same.
            Ok(()) => {
                let channel = &self.channel().await?;
                let declare = Declare { channel, address: self.address, nowait: false };
                differs(declare.exchange(name).await)?.unwrap_or(State::Exists)
            }
            Err(error) => self.missing(&what, &error)?,
        };
        Ok(Finding { what, state })
    }

    async fn queue(
        &self,
        name: &str,
        arguments: &std::collections::BTreeMap<String, crate::config::Argument>,
    ) -> Result<Finding, BrokerError> {
        let what = format!("queue {name:?}");
        let options = QueueDeclareOptions { passive: true, ..Default::default() };
        let declared =
            self.channel().await?.queue_declare(short(name), options, FieldTable::default()).await;
        let state = match declared {
            Ok(queue) => {
                let (messages, consumers) = (queue.message_count(), queue.consumer_count());
                let channel = &self.channel().await?;
                let declare = Declare { channel, address: self.address, nowait: false };
                differs(declare.queue(name, arguments).await)?
                    .unwrap_or(State::Queue { messages, consumers })
            }
            Err(error) => self.missing(&what, &error)?,
        };
        Ok(Finding { what, state })
    }

    async fn channel(&self) -> Result<Channel, BrokerError> {
        open(self.connection)
            .await
            .map_err(|error| BrokerError::from_lapin("open a channel on", &self.address, &error))
    }

    fn missing(&self, what: &str, error: &lapin::Error) -> Result<State, BrokerError> {
        if error::is_nothing_there(error) {
            return Ok(State::Missing);
        }
        if error::is_refusal(error) {
            return Ok(State::Differs(error::reason(error)));
        }
        let step = format!("look for {what} on");
        Err(BrokerError::from_lapin(step, &self.address, error))
    }
}

/// What the broker has against declaring something that exists.
fn differs(declared: Result<(), BrokerError>) -> Result<Option<State>, BrokerError> {
    match declared {
        Ok(()) => Ok(None),
        Err(error) if error.mended_by() == MendedBy::Person => {
            Ok(Some(State::Differs(error.reason().to_owned())))
        }
        Err(error) => Err(error),
    }
}

async fn open(connection: &Connection) -> lapin::Result<Channel> {
    connection.create_channel().await
}
