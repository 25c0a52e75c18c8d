//! Shows ROH at work: starts a private RabbitMQ and a daemon, submits a mix of tasks
//! over AMQP, well-behaved and hostile, and says what became of each. Exits 0 only if
//! every task ended as it should.

use std::collections::HashMap;
use std::error::Error;
use std::io::Write;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use comfy_table::{Cell, Color, Table};
use futures_util::StreamExt;
use lapin::options::{
    BasicConsumeOptions, BasicPublishOptions, ConfirmSelectOptions, QueueDeclareOptions,
};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties};
use roh_tests::daemon::{Daemon, Settings};
use roh_tests::process::workspace;
use roh_tests::rabbit::Rabbit;
use serde_json::{Value, json};

/// After this long a missing reply counts as lost.
const LIMIT: Duration = Duration::from_secs(60);

/// A task, and how it must end.
struct Scene {
    title: &'static str,
    message: Value,
    status: &'static str,
    /// Part of the result or of the error.
    detail: &'static str,
}

fn scene(title: &'static str, message: Value, status: &'static str, detail: &'static str) -> Scene {
    Scene { title, message, status, detail }
}

fn scenes() -> Vec<Scene> {
    vec![
        scene("a greeting", json!({"task": "hello.main", "args": ["you"]}), "succeeded", "Hello"),
        scene(
            "a customer's pricing rule",
            json!({"task": "pricing.price",
                   "args": [{"items": [{"sku": "T1", "quantity": 12, "unit": 250}], "since": 2019}]}),
            "succeeded",
            "every twelfth free",
        ),
        scene(
            "a package of modules",
            json!({"task": "shop.invoice.total", "args": [[["tea", 2, "3.50"]], "DE"]}),
            "succeeded",
            "8.33",
        ),
        scene(
            "text analysis",
            json!({"task": "words.analyse", "args": [["The cat sat.", "A cat ran!"]]}),
            "succeeded",
            "\"cat\"",
        ),
        scene(
            "asyncio, three waits at once",
            json!({"task": "pipeline.main", "args": [["a", "b", "c"]]}),
            "succeeded",
            "\"all_at_once\":true",
        ),
        scene(
            "a script in the message",
            json!({"script": "def main(n):\n    return sum(range(n))\n", "args": [1000]}),
            "succeeded",
            "499500",
        ),
        scene("an endless loop", json!({"task": "misbehave.endless_loop"}), "timeout", "cpu limit"),
        scene(
            "a loop that swallows every exception",
            json!({"task": "misbehave.swallow_everything"}),
            "timeout",
            "cpu limit",
        ),
        scene(
            "a sleep beyond its timeout",
            json!({"script": "import time\ndef main():\n    time.sleep(60)\n", "timeout": "1s"}),
            "timeout",
            "wall limit",
        ),
        scene("a memory bomb", json!({"task": "misbehave.memory_bomb"}), "out-of-memory", "limit"),
        scene(
            "reads /etc/passwd",
            json!({"task": "misbehave.read_a_file"}),
            "failed",
            "No such file",
        ),
        scene(
            "starts a program",
            json!({"task": "misbehave.start_a_program"}),
            "failed",
            "not available inside",
        ),
        scene("opens a connection", json!({"task": "misbehave.call_home"}), "failed", "no network"),
        scene(
            "looks at the environment",
            json!({"task": "misbehave.look_around"}),
            "succeeded",
            r#"{"environment":{}}"#,
        ),
        scene("no such function", json!({"task": "hello.nobody"}), "invalid", "no function"),
        scene("an unknown field", json!({"task": "hello.main", "argz": []}), "invalid", "argz"),
        scene("the last one, after all that", json!({"task": "hello.main"}), "succeeded", "Hello"),
    ]
}

fn main() -> Result<ExitCode, Box<dyn Error>> {
    say("starting a private RabbitMQ (10 seconds)");
    let rabbit = Rabbit::start()?;
    say("starting a daemon: 4 tasks at once, 1 second of CPU and 64 MiB each");
    let settings = Settings {
        more: format!(
            "[limits]\ncpu = \"1s\"\n\n[[tenant]]\nname = \"default\"\nscripts = {:?}\n",
            workspace().join("examples")
        ),
        ..Settings::new("demo", &rabbit.url(), "demo")
    };
    let mut daemon = Daemon::start(&settings);
    let scenes = scenes();
    say(&format!("submitting {} tasks to exchange {:?}", scenes.len(), settings.exchange));
    let runtime = tokio::runtime::Runtime::new()?;
    let started = Instant::now();
    let replies = runtime.block_on(play(&rabbit.url(), &settings.exchange, &scenes))?;
    let elapsed = started.elapsed();
    let as_expected = show(&scenes, &replies);
    say(&format!("{as_expected} of {} as they should, in {elapsed:.1?}", scenes.len()));
    say("telling the daemon to leave");
    daemon.sigterm();
    let left = daemon.wait(LIMIT).is_some_and(|status| status.success());
    Ok(if left && as_expected == scenes.len() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn say(text: &str) {
    // Whoever closed standard error does not want to know.
    let _ = writeln!(std::io::stderr(), "demo: {text}");
}

/// What came back for a task, and when.
struct Answer {
    reply: Value,
    after: Duration,
}

/// Publishes all scenes and waits for their replies, by correlation id.
async fn play(
    url: &str,
    exchange: &str,
    scenes: &[Scene],
) -> Result<HashMap<String, Answer>, Box<dyn Error>> {
    let connection = Connection::connect(url, ConnectionProperties::default()).await?;
    let channel = connection.create_channel().await?;
    channel.confirm_select(ConfirmSelectOptions::default()).await?;
    let options = QueueDeclareOptions { exclusive: true, ..QueueDeclareOptions::default() };
    let queue = channel.queue_declare("".into(), options, FieldTable::default()).await?;
    let options = BasicConsumeOptions { no_ack: true, ..BasicConsumeOptions::default() };
    let mut consumer = channel
        .basic_consume(queue.name().clone(), "".into(), options, FieldTable::default())
        .await?;
    let started = Instant::now();
    for (i, scene) in scenes.iter().enumerate() {
        publish(&channel, exchange, queue.name().as_str(), i, &scene.message).await?;
    }
    let mut answers = HashMap::new();
    while answers.len() < scenes.len() {
        let left = LIMIT.saturating_sub(started.elapsed());
        // A reply that does not come is shown as such.
        let Ok(Some(delivery)) = tokio::time::timeout(left, consumer.next()).await else { break };
        let delivery = delivery?;
        let id = delivery.properties.correlation_id().as_ref().map(|id| id.as_str().to_owned());
        let answer =
            Answer { reply: serde_json::from_slice(&delivery.data)?, after: started.elapsed() };
        answers.insert(id.unwrap_or_default(), answer);
    }
    connection.close(200, "done".into()).await?;
    Ok(answers)
}

async fn publish(
    channel: &Channel,
    exchange: &str,
    reply_to: &str,
    id: usize,
    message: &Value,
) -> Result<(), lapin::Error> {
    let properties = BasicProperties::default()
        .with_content_type("application/json".into())
        .with_correlation_id(id.to_string().into())
        .with_reply_to(reply_to.into());
    let body = message.to_string();
    let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
    channel
        .basic_publish(exchange.into(), "".into(), options, body.as_bytes(), properties)
        .await?
        .await?;
    Ok(())
}

/// Prints the table; returns how many tasks ended as they should.
fn show(scenes: &[Scene], answers: &HashMap<String, Answer>) -> usize {
    let mut table = Table::new();
    table.load_preset(comfy_table::presets::NOTHING);
    table.set_header(["task", "status", "cpu", "reply after", "what came back"]);
    let mut as_expected = 0;
    for (i, scene) in scenes.iter().enumerate() {
        let Some(Answer { reply, after }) = answers.get(&i.to_string()) else {
            table.add_row([Cell::new(scene.title), Cell::new("no reply").fg(Color::Red)]);
            continue;
        };
        let status = reply["status"].as_str().unwrap_or_default();
        let detail = match &reply["error"]["message"] {
            Value::String(message) => message.clone(),
            _ => reply["result"].to_string(),
        };
        let fine = status == scene.status && detail.contains(scene.detail);
        as_expected += usize::from(fine);
        table.add_row([
            Cell::new(scene.title),
            Cell::new(status).fg(if fine { Color::Green } else { Color::Red }),
            Cell::new(format!("{:.1} ms", reply["usage"]["cpu_ms"].as_f64().unwrap_or_default())),
            Cell::new(format!("{:.0?}", after)),
            Cell::new(detail.chars().take(60).collect::<String>()),
        ]);
    }
    // The exit code tells as well.
    let _ = writeln!(std::io::stdout(), "{table}");
    as_expected
}
