//! Takes tasks and replies as if each had run, without running anything: what a way to the
//! broker and back costs by itself. For benchmarks.

use futures_util::StreamExt;
use lapin::options::{BasicAckOptions, BasicConsumeOptions, BasicPublishOptions, BasicQosOptions};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Connection, ConnectionProperties};
use serde_json::{Value, json};

use crate::jobs::runtime;

/// Deliveries that it may hold.
const PREFETCH: u16 = 80;

/// Does so for `add(x, y)` from that queue, until it is ended.
///
/// # Panics
/// The connection fails.
pub fn serve(url: &str, queue: &str) {
    runtime().block_on(async {
        let connection = Connection::connect(url, ConnectionProperties::default());
        let connection = connection.await.expect("a broker");
        let channel = connection.create_channel().await.expect("a channel");
        channel.basic_qos(PREFETCH, BasicQosOptions::default()).await.expect("qos");
        let options = BasicConsumeOptions::default();
        let tasks = channel.basic_consume(queue.into(), "".into(), options, FieldTable::default());
        let mut tasks = tasks.await.expect("a queue");
        while let Some(task) = tasks.next().await {
            let task = task.expect("a connection");
            let body: Value = serde_json::from_slice(&task.data).expect("JSON");
            let result = body["args"][0].as_u64().unwrap_or_default() + 1;
            let properties = &task.properties;
            if let (Some(to), Some(id)) = (properties.reply_to(), properties.correlation_id()) {
                let reply = BasicProperties::default().with_correlation_id(id.clone());
                let body = json!({ "result": result }).to_string();
                let options = BasicPublishOptions::default();
                channel
                    .basic_publish("".into(), to.clone(), options, body.as_bytes(), reply)
                    .await
                    .expect("a connection");
            }
            task.ack(BasicAckOptions::default()).await.expect("a connection");
        }
    });
}
