//! What scripts notice of their images, on a real daemon: the top level runs once, and yet no
//! task notices another.

use std::fs;

use lapin::BasicProperties;
use roh_tests::daemon::{Daemon, Settings, source_and_tenant};
use roh_tests::rabbit::Rabbit;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::amqp::{Client, run, unique};

crate::tests![
    a_top_level_runs_once_and_its_tasks_share_nothing,
    tasks_that_come_at_once_wait_for_one_top_level,
    a_change_is_seen_by_the_next_task,
    what_is_the_tasks_own_is_not_in_an_image,
    scripts_and_tenants_can_do_without,
];

/// A daemon of the tenants `default`, `plain`, which wants no images, and `bare`, which has no
/// scripts.
struct Stage {
    folder: TempDir,
    exchange: String,
    /// The exchange of `plain`.
    plain: String,
    /// That of `bare`.
    bare: String,
    _daemon: Daemon,
}

impl Stage {
    fn set(rabbit: &Rabbit) -> Stage {
        let (folder, name) = (tempfile::tempdir().expect("a folder"), unique("images"));
        fs::create_dir(folder.path().join("data")).expect("made");
        fs::write(folder.path().join("data/a.txt"), "data").expect("written");
        let mut settings = Settings::new("node-a", &rabbit.url(), &name);
        settings.watermark = 8;
        let path = folder.path().to_str().expect("UTF-8");
        settings.more = format!(
            "[[tenant]]\nname = \"default\"\nscripts = \"{path}\"\n\
             [tenant.grants]\nfiles = \"{path}/data\"\n"
        );
        let plain = format!("scripts = \"{path}\"\nimage = \"interpreter\"");
        settings.more += &source_and_tenant(&name, "plain", &plain);
        settings.more += &source_and_tenant(&name, "bare", "");
        let _daemon = Daemon::start(&settings);
        let (exchange, plain, bare) =
            (settings.exchange, format!("{name}.plain"), format!("{name}.bare"));
        Stage { folder, exchange, plain, bare, _daemon }
    }

    /// In place of what was there: no task sees a half of it.
    fn write(&self, file: &str, source: &str) {
        let new = self.folder.path().join("new");
        fs::write(&new, source).expect("written");
        fs::rename(new, self.folder.path().join(file)).expect("renamed");
    }
}

/// The replies to `count` calls of a task that are all there at once.
async fn replies(client: &Client, exchange: &str, task: &Value, count: usize) -> Vec<Value> {
    let reply_to = client.reply_queue().await;
    let body = serde_json::to_vec(task).expect("JSON");
    for number in 0..count {
        let of = BasicProperties::default()
            .with_message_id(format!("id-{number}").into())
            .with_reply_to(reply_to.as_str().into());
        client.publish(exchange, "", &body, of).await;
    }
    let mut replies = Vec::new();
    for _ in 0..count {
        let message = client.take(&reply_to).await;
        let reply: Value = serde_json::from_slice(&message.delivery.data).expect("JSON");
        assert_eq!(reply["status"], "succeeded", "{reply}");
        replies.push(reply);
    }
    replies
}

/// The results of `count` calls, one after the other.
async fn results(client: &Client, exchange: &str, task: &Value, count: usize) -> Vec<Value> {
    let mut results = Vec::new();
    for _ in 0..count {
        results.push(replies(client, exchange, task, 1).await.remove(0)["result"].take());
    }
    results
}

fn all_equal(values: &[Value]) -> bool {
    values.iter().all(|value| *value == values[0])
}

fn all_distinct(values: &[Value]) -> bool {
    let texts: std::collections::BTreeSet<_> = values.iter().map(Value::to_string).collect();
    texts.len() == values.len()
}

/// The time at which the top level ran tells one run of it from another.
fn a_top_level_runs_once_and_its_tasks_share_nothing(rabbit: &Rabbit) {
    let stage = Stage::set(rabbit);
    let source = r#"
import random, sys, time
RAN_AT = str(time.time_ns())
STARTED = time.monotonic()
SEEN = []
print("loaded")
print("complained", file=sys.stderr)
time.sleep(0.05)

def main():
    SEEN.append(1)
    print("called")
    elapsed = time.monotonic() - STARTED
    return [RAN_AT, len(SEEN), random.random(), 0.05 <= elapsed < 20]

def left():
    import roh
    return 29 < roh.task.remaining() <= 30
"#;
    stage.write("m.py", source);
    run(async {
        let client = Client::connect(rabbit).await;
        for task in [json!({"task": "m.main"}), json!({"script": source})] {
            // What comes with its task is worth no image the first time.
            results(&client, &stage.exchange, &task, 1).await;
            let mut replies = Vec::new();
            for _ in 0..6 {
                replies.extend(self::replies(&client, &stage.exchange, &task, 1).await);
            }
            let part = |i: usize| replies.iter().map(|r| r["result"][i].clone()).collect();
            let (ran_at, seen, random, time): (Vec<_>, Vec<_>, Vec<_>, Vec<_>) =
                (part(0), part(1), part(2), part(3));
            assert!(all_equal(&ran_at), "{ran_at:?}");
            assert!(seen.iter().all(|seen| *seen == 1), "{seen:?}");
            assert!(all_distinct(&random), "{random:?}");
            assert!(time.iter().all(|time| *time == true), "{replies:?}");
            for reply in &replies {
                assert_eq!(reply["stdout"], "loaded\ncalled\n");
                assert_eq!(reply["stderr"], "complained\n");
            }
        }
        // What is not there at boot is looked for among the tenant's own modules first.
        let source = "import configparser, time\nRAN_AT = str(time.time_ns())\n\
                      def main():\n    return RAN_AT\n";
        let ran_at = results(&client, &stage.bare, &json!({"script": source}), 6).await;
        assert!(all_equal(&ran_at[1..]), "{ran_at:?}");
        let left = results(&client, &stage.exchange, &json!({"task": "m.left"}), 2).await;
        assert_eq!(left, [true, true], "whatever the clock showed when the image was made");
    });
}

fn tasks_that_come_at_once_wait_for_one_top_level(rabbit: &Rabbit) {
    let stage = Stage::set(rabbit);
    let source = "import n\ndef main():\n    return n.RAN_AT\n";
    let slow = "import time\nRAN_AT = str(time.time_ns())\ntime.sleep(0.3)\n";
    stage.write("m.py", source);
    stage.write("n.py", slow);
    run(async {
        let client = Client::connect(rabbit).await;
        let replies = replies(&client, &stage.exchange, &json!({"task": "m.main"}), 24).await;
        let results: Vec<_> = replies.iter().map(|reply| reply["result"].clone()).collect();
        assert!(all_equal(&results), "{results:?}");
        let usage = |reply: &Value| reply["usage"]["host_calls"].as_u64().expect("a number");
        assert_eq!(replies.iter().map(usage).sum::<u64>(), 2, "one asked for the modules");
    });
}

fn a_change_is_seen_by_the_next_task(rabbit: &Rabbit) {
    let stage = Stage::set(rabbit);
    let main = |x: u32| format!("import n\ndef main():\n    return [{x}, n.Y]\n");
    stage.write("m.py", &main(0));
    stage.write("n.py", "Y = 0\n");
    run(async {
        let client = Client::connect(rabbit).await;
        let task = json!({"task": "m.main"});
        for x in 1..10 {
            stage.write("m.py", &main(x));
            let found = results(&client, &stage.exchange, &task, 3).await;
            assert!(found.iter().all(|found| *found == json!([x, x - 1])), "{x}: {found:?}");
            stage.write("n.py", &format!("Y = {x}\n"));
            let found = results(&client, &stage.exchange, &task, 3).await;
            assert!(found.iter().all(|found| *found == json!([x, x])), "{x}: {found:?}");
        }
        // One that was looked for and not there.
        let source = "try:\n    import o\nexcept ImportError:\n    o = None\n\
                      def main():\n    return o is None\n";
        stage.write("p.py", source);
        let task = json!({"task": "p.main"});
        assert_eq!(results(&client, &stage.exchange, &task, 2).await, [true, true]);
        stage.write("o.py", "");
        assert_eq!(results(&client, &stage.exchange, &task, 2).await, [false, false]);
    });
}

fn what_is_the_tasks_own_is_not_in_an_image(rabbit: &Rabbit) {
    let stage = Stage::set(rabbit);
    let tops = [
        ("a", "import roh\nOWN = roh.task.id"),
        ("b", "import uuid\nOWN = str(uuid.uuid4())"),
        ("c", "import secrets\nOWN = secrets.token_hex()"),
        ("d", "OWN = open('/data/a.txt').read() + str(__import__('time').time_ns())"),
        ("e", "import logging, time\nlogging.info('x')\nOWN = str(time.time_ns())"),
    ];
    run(async {
        let client = Client::connect(rabbit).await;
        for (name, top) in tops {
            stage.write(&format!("{name}.py"), &format!("{top}\ndef main():\n    return OWN\n"));
            let task = json!({"task": format!("{name}.main")});
            let replies = replies(&client, &stage.exchange, &task, 4).await;
            let results: Vec<_> = replies.iter().map(|reply| reply["result"].clone()).collect();
            assert!(all_distinct(&results), "{name}: {results:?}");
            if name == "a" {
                assert!(replies.iter().all(|reply| reply["result"] == reply["id"]));
            }
        }
    });
}

fn scripts_and_tenants_can_do_without(rabbit: &Rabbit) {
    let stage = Stage::set(rabbit);
    let source = "import time\nRAN_AT = str(time.time_ns())\ndef main():\n    return RAN_AT\n";
    stage.write("m.py", source);
    stage.write("n.py", &format!("__roh_image__ = \"interpreter\"\n{source}"));
    stage.write("o.py", &format!("__roh_image__ = \"script\"\n{source}"));
    stage.write("p.py", &format!("__roh_image__ = \"none\"\n{source}"));
    run(async {
        let client = Client::connect(rabbit).await;
        let results = async |exchange: &str, task| {
            results(&client, exchange, &json!({ "task": task }), 3).await
        };
        assert!(all_equal(&results(&stage.exchange, "m.main").await));
        assert!(all_equal(&results(&stage.exchange, "o.main").await));
        assert!(all_distinct(&results(&stage.plain, "m.main").await));
        assert!(all_distinct(&results(&stage.plain, "o.main").await));
        assert!(all_distinct(&results(&stage.exchange, "n.main").await));
        let reply_to = client.reply_queue().await;
        let of = BasicProperties::default();
        let reply = client.ask(&stage.exchange, &reply_to, br#"{"task": "p.main"}"#, of).await;
        let message = "__roh_image__ is neither \"script\" nor \"interpreter\"";
        assert_eq!(reply["error"]["message"], message, "{reply}");
    });
}
