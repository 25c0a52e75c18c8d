//! Publishes tasks to ROH and waits for their replies.

use std::collections::HashSet;
use std::error::Error;
use std::io::{self, Write};
use std::time::Duration;

use futures_util::StreamExt;
use lapin::options::{
    BasicConsumeOptions, BasicPublishOptions, ConfirmSelectOptions, QueueDeclareOptions,
};
use lapin::types::{FieldTable, ShortString};
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties};
use serde_json::{Value, json};

const USAGE: &str = "\
Publishes tasks to ROH and waits for their replies.

Usage: roh-publisher [--url URL] [--exchange NAME] [TASK ...]

A TASK is the message itself, in JSON:
  roh-publisher '{\"task\": \"reports.daily\", \"args\": [2026]}'
Without any, it publishes a few that need no script folder.
";

/// How long the replies may take.
const PATIENCE: Duration = Duration::from_secs(60);

struct Arguments {
    url: String,
    exchange: String,
    tasks: Vec<Value>,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let Some(Arguments { url, exchange, tasks }) = parse(std::env::args().skip(1))? else {
        io::stdout().write_all(USAGE.as_bytes())?;
        return Ok(());
    };
    let connection = Connection::connect(&url, ConnectionProperties::default()).await?;
    let channel = connection.create_channel().await?;
    // With it, the broker says for each task whether it has it.
    channel.confirm_select(ConfirmSelectOptions::default()).await?;
    // The broker names the queue, and removes it when we leave.
    let options = QueueDeclareOptions { exclusive: true, ..QueueDeclareOptions::default() };
    let replies = channel.queue_declare("".into(), options, FieldTable::default()).await?;

    let mut waiting = HashSet::new();
    for task in &tasks {
        waiting.insert(publish(&channel, &exchange, replies.name(), task).await?);
    }
    tokio::time::timeout(PATIENCE, show_replies(&channel, replies.name(), waiting))
        .await
        .map_err(|_| "not all tasks were replied to in time")??;
    connection.close(200, "bye".into()).await?;
    Ok(())
}

/// Publishes a task and returns its id once the broker has it.
async fn publish(
    channel: &Channel,
    exchange: &str,
    reply_to: &ShortString,
    task: &Value,
) -> Result<String, Box<dyn Error>> {
    let id = uuid::Uuid::new_v4().to_string();
    let properties = BasicProperties::default()
        .with_content_type("application/json".into())
        .with_delivery_mode(2)
        .with_message_id(id.as_str().into())
        .with_correlation_id(id.as_str().into())
        .with_reply_to(reply_to.clone());
    let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
    let confirmation = channel
        .basic_publish(exchange.into(), "".into(), options, task.to_string().as_bytes(), properties)
        .await?
        .await?;
    if !confirmation.is_ack() || confirmation.take_message().is_some() {
        return Err(format!("no queue of exchange {exchange:?} took the task").into());
    }
    Ok(id)
}

async fn show_replies(
    channel: &Channel,
    queue: &ShortString,
    mut waiting: HashSet<String>,
) -> Result<(), Box<dyn Error>> {
    let options = BasicConsumeOptions { no_ack: true, ..BasicConsumeOptions::default() };
    let mut replies =
        channel.basic_consume(queue.clone(), "".into(), options, FieldTable::default()).await?;
    let mut out = io::stdout();
    writeln!(out, "{:8}  {:13}  {:>8}  {:12}  RESULT", "ID", "STATUS", "WALL MS", "NODE")?;
    while !waiting.is_empty() {
        let reply = replies.next().await.ok_or("the broker went away")??;
        let reply: Value = serde_json::from_slice(&reply.data)?;
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let id = text(&reply["id"]);
        // At least once: a reply can come twice.
        if !waiting.remove(&id) {
            continue;
        }
        let result = match reply.get("error") {
            None => reply["result"].to_string(),
            Some(error) => format!("{}: {}", text(&error["type"]), text(&error["message"])),
        };
        let (status, node) = (text(&reply["status"]), text(&reply["node"]));
        let wall = reply["usage"]["wall_ms"].as_f64().unwrap_or_default();
        writeln!(out, "{:.8}  {status:13}  {wall:8.1}  {node:12}  {result}", id)?;
    }
    Ok(())
}

/// `None` if help was asked for.
fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Option<Arguments>, Box<dyn Error>> {
    let mut parsed = Arguments {
        url: "amqp://guest:guest@localhost:5672/%2F".to_owned(),
        exchange: "roh.tasks".to_owned(),
        tasks: Vec::new(),
    };
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "-h" | "--help" => return Ok(None),
            "--url" => parsed.url = arguments.next().ok_or("--url needs a value")?,
            "--exchange" => parsed.exchange = arguments.next().ok_or("--exchange needs a value")?,
            option if option.starts_with('-') => {
                return Err(format!("unknown option {option}; see --help").into());
            }
            task => parsed.tasks.push(serde_json::from_str(task)?),
        }
    }
    if parsed.tasks.is_empty() {
        parsed.tasks = vec![
            json!({"script": "def main(name):\n    return f'Hello, {name}!'\n", "args": ["ROH"]}),
            json!({"script": "def main():\n    raise ValueError('as it should be')\n"}),
            json!({"script": "def main():\n    while True:\n        pass\n", "timeout": "1s"}),
        ];
    }
    Ok(Some(parsed))
}
