//! Publishes tasks and takes their replies, for whoever runs them.

use futures_util::StreamExt;
use lapin::options::*;
use lapin::types::{AMQPValue, FieldTable};
use lapin::{
    BasicProperties, Channel, Connection, ConnectionProperties, Consumer, PublisherConfirm,
};
use serde_json::{Value, json};

use crate::stage::{ASLEEP, Who, loops_queue};
use crate::{Any, LIMIT};

/// Publications that are on their way at once.
const PIPELINED: usize = 200;

/// Publishes tasks and takes their replies.
pub(crate) struct Client {
    _connection: Connection,
    channel: Channel,
    reply_to: String,
    replies: Consumer,
    /// What is measured now, as ids begin: a task that a contestant had not acked as it left runs
    /// once more, and its reply counts for nothing.
    run: u32,
}

impl Client {
    pub(crate) async fn connect(url: &str) -> Any<Client> {
        let connection = Connection::connect(url, ConnectionProperties::default()).await?;
        let channel = connection.create_channel().await?;
        channel.confirm_select(ConfirmSelectOptions::default()).await?;
        let options = QueueDeclareOptions { exclusive: true, ..QueueDeclareOptions::default() };
        let queue = channel.queue_declare("".into(), options, FieldTable::default()).await?;
        let reply_to = queue.name().to_string();
        let options = BasicConsumeOptions { no_ack: true, ..BasicConsumeOptions::default() };
        let none = FieldTable::default;
        let replies =
            channel.basic_consume(queue.name().clone(), "".into(), options, none()).await?;
        let options = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
        channel.queue_declare(Who::Celery.queue().into(), options, none()).await?;
        Ok(Client { _connection: connection, channel, reply_to, replies, run: 0 })
    }

    /// Publishes the task `number`, without waiting for the broker's word on it; a reply comes only
    /// if it is `wanted`.
    pub(crate) async fn ask(&self, who: Who, number: usize, wanted: bool) -> Any<PublisherConfirm> {
        let id = self.id(number);
        let mut properties = BasicProperties::default()
            .with_content_type("application/json".into())
            .with_delivery_mode(2)
            .with_correlation_id(id.clone().into());
        if wanted {
            properties = properties.with_reply_to(self.reply_to.clone().into());
        }
        let (exchange, key, body) = match who.is_celery() {
            false => ("bench.exchange", "", json!({"task": "bench.add", "args": [number, 1]})),
            true => {
                let mut headers = FieldTable::default();
                for (name, text) in
                    [("lang", "py"), ("task", "bench.add"), ("id", &id), ("root_id", &id)]
                {
                    headers.insert(name.into(), AMQPValue::LongString(text.into()));
                }
                headers.insert("ignore_result".into(), AMQPValue::Boolean(!wanted));
                properties = properties.with_headers(headers).with_content_encoding("utf-8".into());
                ("", Who::Celery.queue(), json!([[number, 1], {}, {}]))
            }
        };
        self.publish(exchange, key, &body, properties).await
    }

    /// The id of a task of what is measured now.
    fn id(&self, number: usize) -> String {
        format!("{}-{number}", self.run)
    }

    /// Publishes a message, without waiting for the broker's word on it.
    pub(crate) async fn publish(
        &self,
        exchange: &str,
        key: &str,
        body: &Value,
        properties: BasicProperties,
    ) -> Any<PublisherConfirm> {
        let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
        let body = body.to_string();
        let sent = self.channel.basic_publish(
            exchange.into(),
            key.into(),
            options,
            body.as_bytes(),
            properties,
        );
        Ok(sent.await?)
    }

    /// Publishes many, and waits until the broker has them all.
    pub(crate) async fn enqueue(&self, who: Who, tasks: usize, replies: bool) -> Any<()> {
        let wanted = |number| replies || number == 0 || number == tasks - 1;
        all((0..tasks).map(|number| self.ask(who, number, wanted(number)))).await
    }

    /// Removes what is left to do.
    pub(crate) async fn forget(&mut self, who: Who) -> Any<()> {
        self.purge(who.queue()).await?;
        self.next_run();
        Ok(())
    }

    /// Removes what waits in a queue; how many those were.
    pub(crate) async fn purge(&self, queue: &str) -> Any<usize> {
        let purged = self.channel.queue_purge(queue.into(), QueuePurgeOptions::default());
        Ok(purged.await? as usize)
    }

    /// What is measured from now on is something else.
    pub(crate) fn next_run(&mut self) {
        self.run += 1;
    }

    /// Publishes tasks, each with its exchange, and waits until the broker has them all. Each is
    /// to return its place among them and 1.
    pub(crate) async fn enqueue_all(
        &self,
        tasks: impl Iterator<Item = (String, Value)>,
    ) -> Any<()> {
        all(tasks.enumerate().map(async |(number, (exchange, body))| {
            let properties = BasicProperties::default()
                .with_delivery_mode(2)
                .with_correlation_id(self.id(number).into())
                .with_reply_to(self.reply_to.clone().into());
            self.publish(&exchange, "", &body, properties).await
        }))
        .await
    }

    /// Waits for so many replies.
    pub(crate) async fn replies(&mut self, count: usize) -> Any<()> {
        for _ in 0..count {
            self.reply().await?;
        }
        Ok(())
    }

    /// Enqueues so many tasks that sleep until `until`, in seconds since 1970.
    pub(crate) async fn enqueue_asleep(&self, tasks: usize, until: f64) -> Any<()> {
        let script = "import time\n\ndef main(number, until):\n    \
                      time.sleep(max(0, until - time.time()))\n    return number + 1\n";
        let exchange = format!("{ASLEEP}.exchange");
        let task = |number| (exchange.clone(), json!({"script": script, "args": [number, until]}));
        self.enqueue_all((0..tasks).map(task)).await
    }

    /// Enqueues as many tasks of the other tenant.
    pub(crate) async fn enqueue_beside(&self, script: &str, count: usize) -> Any<()> {
        let (body, exchange) = (json!({"script": script}), loops_queue());
        all((0..count).map(|_| self.publish(&exchange, "", &body, BasicProperties::default())))
            .await
    }

    /// Removes the loops, which whoever ran them no longer does.
    pub(crate) async fn forget_loops(&self, count: usize) -> Any<()> {
        let mut forgotten = 0;
        while forgotten < count {
            // The broker may not know yet that nobody holds them any more.
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            forgotten += self.purge(&loops_queue()).await?;
        }
        Ok(())
    }

    /// The number of the task that was replied to next, if it ended as it should.
    pub(crate) async fn reply(&mut self) -> Any<usize> {
        let (reply, number): (_, usize) = loop {
            let reply = tokio::time::timeout(LIMIT, self.replies.next()).await?;
            let reply = reply.ok_or("the connection is gone")??;
            let id = reply.properties.correlation_id().as_ref().ok_or("a reply to nothing")?;
            let (run, number) = id.as_str().split_once('-').ok_or("a reply to somebody else")?;
            if run == self.run.to_string() {
                let number = number.parse()?;
                break (reply, number);
            }
        };
        let body: Value = serde_json::from_slice(&reply.data)?;
        if body["result"] == json!(number + 1) { Ok(number) } else { Err(body.to_string().into()) }
    }
}

/// Waits until the broker has all that is `sent`, many of it at once.
async fn all(sent: impl Iterator<Item = impl Future<Output = Any<PublisherConfirm>>>) -> Any<()> {
    let confirmed = sent.map(async |sent| Any::Ok(sent.await?.await?));
    let mut confirmed = futures_util::stream::iter(confirmed).buffered(PIPELINED);
    while let Some(confirmed) = confirmed.next().await {
        confirmed?;
    }
    Ok(())
}
