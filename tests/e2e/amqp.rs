//! A plain client for tests: publishes, fetches, looks into queues.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use lapin::message::BasicGetMessage;
use lapin::options::*;
use lapin::types::{AMQPValue, FieldTable, ShortString};
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties};
use roh_tests::rabbit::Rabbit;
use serde_json::Value;

/// How long anything may take that should happen at once, on a busy machine.
pub(crate) const SOON: Duration = Duration::from_secs(20);

/// A prefix that no other test's names have.
pub(crate) fn unique(name: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("{name}-{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

/// Runs an async test on a few threads, as the daemon does.
pub(crate) fn run(test: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap()
        .block_on(test);
}

pub(crate) fn table<const N: usize>(entries: [(&str, AMQPValue); N]) -> FieldTable {
    let mut table = FieldTable::default();
    for (name, value) in entries {
        table.insert(name.into(), value);
    }
    table
}

pub(crate) fn text(text: &str) -> AMQPValue {
    AMQPValue::LongString(text.into())
}

/// A message's header as text.
pub(crate) fn header(properties: &BasicProperties, name: &str) -> Option<String> {
    match properties.headers().as_ref()?.inner().get(name)? {
        AMQPValue::LongString(text) => Some(text.to_string()),
        AMQPValue::LongLongInt(number) => Some(number.to_string()),
        other => Some(format!("{other:?}")),
    }
}

pub(crate) struct Client {
    connection: Connection,
    pub(crate) channel: Channel,
}

impl Client {
    pub(crate) async fn connect(rabbit: &Rabbit) -> Client {
        Client::connect_to(&rabbit.url()).await
    }

    pub(crate) async fn connect_to(url: &str) -> Client {
        let connection = Connection::connect(url, ConnectionProperties::default()).await.unwrap();
        let channel = connection.create_channel().await.unwrap();
        channel.confirm_select(ConfirmSelectOptions::default()).await.unwrap();
        Client { connection, channel }
    }

    /// A queue of this client, gone with its connection.
    pub(crate) async fn reply_queue(&self) -> String {
        self.queue("", true, FieldTable::default()).await
    }

    pub(crate) async fn queue(&self, name: &str, exclusive: bool, arguments: FieldTable) -> String {
        let options = QueueDeclareOptions {
            exclusive,
            durable: !exclusive,
            ..QueueDeclareOptions::default()
        };
        let queue = self.channel.queue_declare(name.into(), options, arguments).await.unwrap();
        queue.name().to_string()
    }

    /// An exchange for everything that goes to it to end in `queue`.
    pub(crate) async fn exchange_to(&self, exchange: &str, queue: &str) {
        let (none, kind) = (FieldTable::default(), lapin::ExchangeKind::Fanout);
        let options = ExchangeDeclareOptions { auto_delete: true, ..Default::default() };
        self.channel.exchange_declare(exchange.into(), kind, options, none.clone()).await.unwrap();
        let options = QueueBindOptions::default();
        self.channel
            .queue_bind(queue.into(), exchange.into(), "".into(), options, none)
            .await
            .unwrap();
    }

    pub(crate) async fn delete_queue(&self, name: &str) {
        self.channel.queue_delete(name.into(), QueueDeleteOptions::default()).await.unwrap();
    }

    /// Publishes, and insists that a queue took it.
    pub(crate) async fn publish(
        &self,
        exchange: &str,
        key: &str,
        body: &[u8],
        of: BasicProperties,
    ) {
        let options = BasicPublishOptions { mandatory: true, immediate: false };
        let confirm = self
            .channel
            .basic_publish(exchange.into(), key.into(), options, body, of.with_delivery_mode(2))
            .await
            .unwrap()
            .await
            .unwrap();
        assert!(confirm.is_ack());
        assert!(confirm.take_message().is_none(), "unroutable: {exchange:?} {key:?}");
    }

    /// Takes the next message, for which it may have to wait.
    pub(crate) async fn take(&self, queue: &str) -> BasicGetMessage {
        let taking = async {
            loop {
                let options = BasicGetOptions { no_ack: true };
                if let Some(message) = self.channel.basic_get(queue.into(), options).await.unwrap()
                {
                    return message;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(SOON, taking).await.unwrap_or_else(|_| panic!("{queue:?} stays empty"))
    }

    /// Publishes a task, and takes its reply from `replies`.
    pub(crate) async fn ask(
        &self,
        exchange: &str,
        replies: &str,
        body: &[u8],
        of: BasicProperties,
    ) -> Value {
        self.publish(exchange, "", body, of.with_reply_to(replies.into())).await;
        serde_json::from_slice(&self.take(replies).await.delivery.data).unwrap()
    }

    /// Messages that are ready, and consumers.
    pub(crate) async fn count(&self, queue: &str) -> (u32, u32) {
        let options = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
        let found =
            self.channel.queue_declare(queue.into(), options, FieldTable::default()).await.unwrap();
        (found.message_count(), found.consumer_count())
    }

    /// Waits until so many messages are ready and so many consumers are there.
    pub(crate) async fn await_count(&self, queue: &str, expected: (u32, u32)) {
        let mut last = (0, 0);
        let waiting = async {
            loop {
                last = self.count(queue).await;
                if last == expected {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        let waited = tokio::time::timeout(SOON, waiting).await;
        assert!(waited.is_ok(), "{queue:?} has {last:?}, not {expected:?} (messages, consumers)");
    }

    pub(crate) async fn close(self) {
        self.connection.close(200, ShortString::from("bye")).await.unwrap();
    }
}

/// Arguments of a queue in the configuration.
pub(crate) fn arguments<const N: usize>(
    entries: [(&str, roh::config::Argument); N],
) -> BTreeMap<String, roh::config::Argument> {
    entries.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}
