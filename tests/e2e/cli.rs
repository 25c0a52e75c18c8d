//! The commands that talk to the broker, as a person runs them.

use std::fs;
use std::process::Output;

use roh_tests::daemon::{self, Daemon, Settings};
use roh_tests::process::free_port;
use roh_tests::rabbit::Rabbit;
use serde_json::Value;

use crate::amqp::{Client, run, unique};

crate::tests![
    check_tells_what_there_is_and_what_there_will_be,
    check_tells_what_differs,
    submit_prints_the_reply,
    submit_says_where_no_daemon_has_been,
    logs_hold_nothing_of_a_message,
];

fn printed(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    text(&output.stdout) + &text(&output.stderr)
}

fn check(settings: &Settings) -> (Option<i32>, String) {
    let folder = tempfile::tempdir().unwrap();
    let config = settings.write(folder.path(), free_port());
    let output = daemon::command(&["check", "--config", config.to_str().expect("UTF-8")]);
    (output.status.code(), printed(&output))
}

fn check_tells_what_there_is_and_what_there_will_be(rabbit: &Rabbit) {
    let settings = Settings::new("node-a", &rabbit.url(), &unique("check"));
    let (code, before) = check(&settings);
    assert_eq!(code, Some(0), "{before}");
    // Whatever the machine has of walls, it is said of each.
    for wall in ["seccomp", "landlock", "namespaces"] {
        let said = |line: &&str| line.contains("executors: ") && line.contains(wall);
        assert_eq!(before.lines().filter(said).count(), 1, "{wall}: {before}");
    }
    let daemon = Daemon::start(&settings);
    let (code, after) = check(&settings);
    assert_eq!(code, Some(0), "{after}");
    for (what, now) in [
        (format!("exchange {:?}", settings.exchange), "exists"),
        (format!("queue {:?}", settings.queue), "exists, 0 messages ready, 1 consumers"),
        (format!("exchange {:?}", settings.dead), "exists"),
        (format!("queue {:?}", settings.dead), "exists, 0 messages ready, 0 consumers"),
    ] {
        assert!(before.contains(&format!("{what} will be created")), "{before}");
        assert!(after.contains(&format!("{what} {now}")), "{after}");
    }
    drop(daemon);
}

fn check_tells_what_differs(rabbit: &Rabbit) {
    let settings = Settings::new("node-a", &rabbit.url(), &unique("differs"));
    run(async {
        let client = Client::connect(rabbit).await;
        let of = [("x-max-length", lapin::types::AMQPValue::LongInt(10))];
        client.queue(&settings.queue, false, crate::amqp::table(of)).await;
    });
    let (code, text) = check(&settings);
    assert_ne!(code, Some(0), "{text}");
    assert!(
        text.contains("differs: PRECONDITION_FAILED") && text.contains("x-max-length"),
        "{text}"
    );
}

/// Submits a script with one argument.
fn submit(settings: &Settings, script: &str, more: &[&str]) -> Output {
    let folder = tempfile::tempdir().unwrap();
    let config = settings.write(folder.path(), free_port());
    let file = folder.path().join("script.py");
    fs::write(&file, script).unwrap();
    let path = |path: &std::path::Path| path.to_str().expect("UTF-8").to_owned();
    let (config, file) = (path(&config), path(&file));
    let fixed = ["submit", "--config", &config, "--file", &file, "--args", "[21]"];
    daemon::command(&[&fixed, more].concat())
}

fn submit_prints_the_reply(rabbit: &Rabbit) {
    let settings = Settings::new("node-a", &rabbit.url(), &unique("submit"));
    let _daemon = Daemon::start(&settings);
    for (script, code, status) in [
        ("def main(x):\n    return x * 2\n", 0, "succeeded"),
        ("def main(x):\n    raise ValueError(x)\n", 1, "failed"),
    ] {
        let output = submit(&settings, script, &["--wait"]);
        assert_eq!(output.status.code(), Some(code), "{}", printed(&output));
        let reply: Value = serde_json::from_slice(&output.stdout).expect("one reply");
        assert_eq!(reply["status"], status, "{reply}");
    }
    let output = submit(&settings, "def main(x): pass\n", &[]);
    assert!(output.status.success(), "{}", printed(&output));
}

fn submit_says_where_no_daemon_has_been(rabbit: &Rabbit) {
    let settings = Settings::new("node-a", &rabbit.url(), &unique("nobody"));
    let output = submit(&settings, "def main(x): pass\n", &["--wait"]);
    assert!(!output.status.success());
    let text = printed(&output);
    assert!(text.contains(&format!("no exchange '{}'", settings.exchange)), "{text}");
}

/// What a client sends and what a task returns may be secret.
fn logs_hold_nothing_of_a_message(rabbit: &Rabbit) {
    let settings = Settings::new("node-a", &rabbit.url(), &unique("secret"));
    let daemon = Daemon::start(&settings);
    run(async {
        let client = Client::connect(rabbit).await;
        let body = br#"{"script": "def main():\n    raise ValueError('top-secret')\n"}"#;
        // The broker returns the reply, and the message is dead-lettered.
        let of = lapin::BasicProperties::default()
            .with_correlation_id("top-secret".into())
            .with_reply_to("no-such-queue".into());
        client.publish(&settings.exchange, "", body, of).await;
        client.take(&settings.dead).await;
    });
    assert!(!daemon.log().contains("top-secret"), "{}", daemon.log());
}
