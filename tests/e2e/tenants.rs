//! Tenants beside each other: what they get while all of them want everything, and what
//! their scripts may ask for.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::sync::PoisonError;
use std::time::{Duration, Instant};
use std::{fs, thread};

use lapin::BasicProperties;
use lapin::types::FieldTable;
use roh_tests::daemon::{Daemon, Settings, source_and_tenant};
use roh_tests::process::free_port;
use roh_tests::rabbit::Rabbit;
use serde_json::{Value, json};

use crate::amqp::{Client, run, unique};
use crate::hostile::ONE_AT_A_TIME;

crate::tests![
    two_floods_share_slots_and_cores_by_share_and_a_third_gets_in,
    scripts_get_what_is_granted_and_nothing_else,
];

/// How long the floods last; `ROH_FLOOD_SECONDS` makes it longer, to measure.
const FLOOD: Duration = Duration::from_secs(15);

/// Tasks of each flood that wait at the broker, at least.
const BACKLOG: u32 = 40;

async fn ask(client: &Client, exchange: &str, replies: &str, task: &Value) -> Value {
    client.ask(exchange, replies, task.to_string().as_bytes(), BasicProperties::default()).await
}

fn two_floods_share_slots_and_cores_by_share_and_a_third_gets_in(rabbit: &Rabbit) {
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let seconds = std::env::var("ROH_FLOOD_SECONDS").ok().and_then(|text| text.parse().ok());
    let flood = seconds.map_or(FLOOD, Duration::from_secs);
    let name = unique("floods");
    let mut settings = Settings::new("node-a", &rabbit.url(), &name);
    (settings.watermark, settings.waiting_limit) = (8, 64);
    // The two ends of a kind: one flood of tasks that are soon over, one of tasks that take
    // all that they may.
    // Both are short against the flood: a task's time counts at its end, all of it.
    let loops = "[tenant.limits]\ncpu = \"100ms\"";
    settings.more = "[[tenant]]\nname = \"default\"\n".to_owned()
        + &source_and_tenant(&name, "one", &format!("share = 1\n{loops}"))
        + &source_and_tenant(&name, "three", &format!("share = 3\n{loops}"));
    let daemon = Daemon::start(&settings);
    let endless = json!({"script": "def main():\n    while True:\n        pass\n"});
    let brief = json!({"script": "def main():\n    return sum(range(300_000))\n"});
    run(async {
        let client = Client::connect(rabbit).await;
        let reply_to = client.reply_queue().await;
        let hello = json!({"script": "def main():\n    return 1\n"});
        let mut waits = Vec::new();
        let started = Instant::now();
        let mut before = None;
        while started.elapsed() < flood {
            // The larger share first: if the other had all slots to itself until this one comes, it
            // would have to make up for that, on a slow machine for all of the flood.
            for (tenant, body) in [("three", &brief), ("one", &endless)] {
                let queue = format!("{name}.{tenant}");
                while client.count(&queue).await.0 < BACKLOG {
                    for _ in 0..BACKLOG {
                        let body = body.to_string();
                        client.publish(&queue, "", body.as_bytes(), Default::default()).await;
                    }
                }
            }
            // From when both floods have come.
            if started.elapsed() > flood / 5 && before.is_none() {
                before = Some([usage(&daemon, "one"), usage(&daemon, "three")]);
                waits.clear();
            }
            let reply = ask(&client, &settings.exchange, &reply_to, &hello).await;
            assert_eq!(reply["result"], 1, "{reply}");
            let usage = |key: &str| reply["usage"][key].as_f64().expect("a number");
            waits.push((usage("queued_ms"), usage("wall_ms")));
        }
        let before = before.expect("measured on the way");
        let after = [usage(&daemon, "one"), usage(&daemon, "three")];
        let ratio = |of: fn(&Usage) -> f64| {
            let used = [0, 1].map(|tenant| of(&after[tenant]) - of(&before[tenant]));
            used[1] / used[0]
        };
        let (slots, cores) = (ratio(|usage| usage.slots), ratio(|usage| usage.cores));
        let most = |of: fn(&(f64, f64)) -> f64| waits.iter().map(of).fold(0.0, f64::max);
        let line = format!(
            "floods: shares 1 and 3 got slot time 1 to {slots:.2}, CPU time 1 to {cores:.2}; the third \
             tenant's {} tasks waited {:.1} ms for a slot at most and took {:.1} ms at most\n",
            waits.len(),
            most(|wait| wait.0),
            most(|wait| wait.1),
        );
        let _ = std::io::stderr().write_all(line.as_bytes());
        // A short flood is a coarse measure.
        assert!((2.2..4.0).contains(&slots), "{line}");
        assert!((2.2..4.0).contains(&cores), "{line}");
    });
}

/// Seconds that a tenant's ended tasks had.
struct Usage {
    slots: f64,
    cores: f64,
}

fn usage(daemon: &Daemon, tenant: &str) -> Usage {
    let metrics = daemon.metrics();
    let value = |name: &str| {
        let start = format!("{name}{{tenant=\"{tenant}\"}} ");
        let line = metrics.lines().find_map(|line| line.strip_prefix(&start));
        line.map_or(0.0, |value| value.parse().expect("a number"))
    };
    Usage { slots: value("roh_wall_seconds_total"), cores: value("roh_cpu_seconds_total") }
}

/// A server that answers every request: `/to/URL` with a redirect there, all else with
/// `hello`. Ends with the process.
fn server() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let port = listener.local_addr().expect("bound").port();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let mut request = [0; 4096];
            let read = stream.read(&mut request).unwrap_or(0);
            let text = String::from_utf8_lossy(&request[..read]).into_owned();
            let path = text.split(' ').nth(1).unwrap_or_default().to_owned();
            let answer = match path.strip_prefix("/to/") {
                Some(url) => format!("302 Found\r\nlocation: {url}\r\ncontent-length: 0"),
                None => "200 OK\r\ncontent-length: 5".to_owned(),
            };
            let body = if path.starts_with("/to/") { "" } else { "hello" };
            let _ = write!(stream, "HTTP/1.1 {answer}\r\nconnection: close\r\n\r\n{body}");
        }
    });
    port
}

/// Tries each thing, and returns what came of it by name: the result, or the exception.
const TRY: &str = r#"
import importlib, logging, roh, roh.http, roh.amqp

def attempt(f):
    try:
        return f()
    except Exception as error:
        return f"{type(error).__name__}: {error}"

def main(good, bad, exchange, other, secret):
    def state():
        roh.state["n"] = roh.state.get("n", 0) + 1
        return roh.state["n"]
    def read():
        with open("/data/words.txt") as file:
            return file.read()
    print("it is", attempt(lambda: roh.secret(secret)))
    return {
        "http": attempt(lambda: roh.http.get(good).text),
        "not http": [attempt(lambda url=url: roh.http.get(url).text) for url in bad],
        "post": attempt(lambda: roh.http.post(good).text),
        "publish": attempt(lambda: roh.amqp.publish(exchange, "", {"x": 1})),
        "not publish": attempt(lambda: roh.amqp.publish(other, "", b"")),
        "submit": attempt(lambda: len(roh.submit("tasks.add", 1, y=2)) > 0),
        "secret": attempt(lambda: len(roh.secret(secret))),
        "not secret": attempt(lambda: roh.secret("NO_SUCH")),
        "read": attempt(read),
        "write": attempt(lambda: open("/data/words.txt", "w")),
        "not read": attempt(lambda: open("/data/../secret").read()),
        "state": attempt(state),
        "task": [roh.task.tenant, roh.task.attempt, roh.task.remaining() > 0],
    }
"#;

fn scripts_get_what_is_granted_and_nothing_else(rabbit: &Rabbit) {
    let name = unique("grants");
    let folder = tempfile::tempdir().expect("a folder");
    let path = |of: &str| folder.path().join(of).display().to_string();
    fs::create_dir(path("data")).expect("made");
    fs::create_dir(path("scripts")).expect("made");
    fs::write(path("data/words.txt"), "some words").expect("written");
    fs::write(path("key"), "correct horse").expect("written");
    fs::write(path("secret"), "not for scripts").expect("written");
    fs::write(path("scripts/tasks.py"), "def add(x, y):\n    return x + y\n").expect("written");
    let (port, management) = (server(), free_port());
    let grants = format!(
        r#"scripts = "{scripts}"

[tenant.grants]
publish = ["{name}.events"]
submit = true
files = "{data}"
state = "64KiB"

[tenant.grants.secrets]
KEY = {{ file = "{key}" }}

[[tenant.grants.http]]
host = "127.0.0.1"
ports = [{port}, {management}]
plain = true
"#,
        scripts = path("scripts"),
        data = path("data"),
        key = path("key"),
    );
    let mut settings = Settings::new("node-a", &rabbit.url(), &name);
    settings.data = Some(path("state"));
    settings.more = "[[tenant]]\nname = \"default\"\n".to_owned()
        + &source_and_tenant(&name, "granted", &grants);
    run(async {
        let client = Client::connect(rabbit).await;
        let events = client.queue(&format!("{name}.events"), true, FieldTable::default()).await;
        client.exchange_to(&format!("{name}.events"), &events).await;
        let _daemon = Daemon::start_on(&settings, management);
        let reply_to = client.reply_queue().await;
        let good = format!("http://127.0.0.1:{port}/");
        // All of them are the management's, or lead to it; and the machine's own by name.
        let bad = [
            format!("http://127.0.0.1:{management}/healthz"),
            format!("http://localhost:{management}/healthz"),
            format!("http://[::1]:{management}/healthz"),
            format!("http://[::ffff:127.0.0.1]:{management}/healthz"),
            format!("http://2130706433:{management}/healthz"),
            format!("http://0x7f.1:{management}/healthz"),
            format!("http://127.1:{management}/healthz"),
            format!("{good}to/http://127.0.0.1:{management}/healthz"),
            format!("{good}to/http://localhost:{port}/"),
            format!("http://localhost:{port}/"),
            format!("https://127.0.0.1:{port}/"),
        ];
        let args = json!([good, bad, format!("{name}.events"), "amq.fanout", "KEY"]);
        let task = json!({"script": TRY, "args": args});

        let reply = ask(&client, &format!("{name}.granted"), &reply_to, &task).await;
        let result = &reply["result"];
        for (what, expected) in [
            ("http", json!("hello")),
            ("publish", Value::Null),
            ("submit", json!(true)),
            ("secret", json!("correct horse".len())),
            ("read", json!("some words")),
            ("state", json!(1)),
            ("task", json!(["granted", 1, true])),
        ] {
            assert_eq!(result[what], expected, "{what}: {reply}");
        }
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        for (url, answer) in bad.iter().zip(result["not http"].as_array().expect("a list")) {
            let refused =
                ["NotGranted: ", "HostError: "].iter().any(|no| text(answer).starts_with(no));
            assert!(refused, "{url}: {answer}");
        }
        for (what, expected) in [
            ("post", "NotGranted: "),
            ("not publish", "NotGranted: "),
            ("not secret", "NotGranted: "),
            ("write", "PermissionError: "),
            ("not read", "FileNotFoundError: "),
        ] {
            assert!(text(&result[what]).starts_with(expected), "{what}: {reply}");
        }
        assert_eq!(reply["stdout"], "it is [secret KEY]\n");
        assert!(reply["usage"]["host_calls"].as_u64() > Some(10), "{reply}");
        let event = client.take(&events).await;
        assert_eq!(event.delivery.data, br#"{"x":1}"#);

        // What one tenant has, another has not.
        let reply = ask(&client, &settings.exchange, &reply_to, &task).await;
        for (what, grant) in [
            ("http", "http"),
            ("publish", "publish"),
            ("submit", "submit"),
            ("secret", "secrets"),
            ("read", "files"),
            ("state", "state"),
        ] {
            let answer = text(&reply["result"][what]);
            assert!(answer.starts_with("NotGranted: "), "{what}: {reply}");
            assert!(answer.contains(&format!("\"{grant}\"")), "{what}: {reply}");
        }
    });
}
