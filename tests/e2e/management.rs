//! What a node says of its tasks, its tenants and itself, on the real parts.

use std::collections::BTreeMap;
use std::os::unix::fs::symlink;
use std::time::Duration;

use lapin::BasicProperties;
use roh::config::Limits;
use roh::executor::Executors;
use roh_tests::daemon::{Daemon, Settings, command, roh};
use roh_tests::process::{free_port, poll};
use roh_tests::rabbit::Rabbit;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::amqp::{Client, SOON, run, unique};
use crate::executor::plan;

crate::tests![
    what_the_replies_of_two_tenants_tell_adds_up_in_the_metrics,
    metrics_tell_how_the_node_is,
    a_running_task_shows_its_progress_and_an_ended_one_its_usage,
    tasks_can_be_submitted_by_http_and_what_is_none_is_refused,
    executors_that_can_not_be_started_are_said_to_be_missing,
];

/// The values of a page by their names and labels.
fn metrics(daemon: &Daemon) -> BTreeMap<String, f64> {
    let page = daemon.metrics();
    let values = page.lines().filter(|line| !line.starts_with('#'));
    let values = values.map(|line| line.rsplit_once(' ').expect("a name and a value"));
    values.map(|(name, value)| (name.to_owned(), value.parse().expect("a number"))).collect()
}

/// Sends all of these tasks, and waits for their replies.
fn replies(rabbit: &Rabbit, exchange: &str, tasks: &[&Value]) -> Vec<Value> {
    let mut replies = Vec::new();
    run(async {
        let client = Client::connect(rabbit).await;
        let queue = client.reply_queue().await;
        for task in tasks {
            let of = BasicProperties::default().with_reply_to(queue.as_str().into());
            client.publish(exchange, "", task.to_string().as_bytes(), of).await;
        }
        for _ in tasks {
            let reply = client.take(&queue).await.delivery.data;
            replies.push(serde_json::from_slice(&reply).expect("a reply"));
        }
        client.close().await;
    });
    replies
}

const PRINTS: &str = "import time
def main():
    print('x' * 100)
    time.sleep(0.05)
";
const COMPUTES: &str = "import roh, time
def main():
    roh.progress(1)
    time.sleep(0.1)
    return sum(range(100_000))
";
const RAISES: &str = "def main():
    raise ValueError
";

fn what_the_replies_of_two_tenants_tell_adds_up_in_the_metrics(rabbit: &Rabbit) {
    let name = unique("metrics");
    let mut settings = Settings::new("node-a", &rabbit.url(), &name);
    settings.more = format!(
        "[[source]]\nexchange = \"{name}.acme\"\nqueue = \"{name}.acme\"\ntenant = \"acme\"\n"
    );
    // So that most of them wait.
    settings.watermark = 1;
    let daemon = Daemon::start(&settings);
    let before = metrics(&daemon);
    assert_eq!(before[r#"roh_tasks_total{tenant="acme",status="succeeded"}"#], 0.0);

    let [prints, computes, raises] =
        [PRINTS, COMPUTES, RAISES].map(|script| json!({"script": script}));
    let malformed = json!({"no": "task"});
    let acme = format!("{name}.acme");
    for (tenant, exchange, tasks) in [
        ("default", &settings.exchange, [&prints, &prints, &prints, &raises, &malformed]),
        ("acme", &acme, [&computes, &computes, &raises, &raises, &raises]),
    ] {
        let (mut statuses, mut used) = (BTreeMap::new(), BTreeMap::new());
        let mut memory = 0.0_f64;
        for reply in replies(rabbit, exchange, &tasks) {
            let status = reply["status"].as_str().expect("a status").to_owned();
            *statuses.entry(status).or_insert(0.0) += 1.0;
            let usage = |key: &str| reply["usage"][key].as_f64().expect("a number");
            for (metric, value) in [
                ("roh_cpu_seconds_total", usage("cpu_ms") / 1e3),
                ("roh_wall_seconds_total", usage("wall_ms") / 1e3),
                ("roh_queued_seconds_total", usage("queued_ms") / 1e3),
                ("roh_output_bytes_total", usage("output_bytes")),
                ("roh_host_calls_total", usage("host_calls")),
            ] {
                *used.entry(metric).or_insert(0.0) += value;
            }
            memory = memory.max(usage("memory_bytes"));
        }
        // A task counts before its reply goes out.
        let now = metrics(&daemon);
        for (status, count) in statuses {
            let metric = format!(r#"roh_tasks_total{{tenant="{tenant}",status="{status}"}}"#);
            assert_eq!(now[&metric], count, "{metric}");
        }
        for (metric, sum) in used {
            let metric = format!(r#"{metric}{{tenant="{tenant}"}}"#);
            // Replies tell microseconds.
            assert!((now[&metric] - sum).abs() < 1e-4, "{metric}: {} for {sum}", now[&metric]);
            assert!(sum > 0.0 || metric.contains("host_calls"), "{metric} tests nothing");
        }
        assert_eq!(now[&format!(r#"roh_memory_bytes_max{{tenant="{tenant}"}}"#)], memory);
    }
    let now = metrics(&daemon);
    assert_eq!(now[r#"roh_host_calls_total{tenant="acme"}"#], 2.0);
    assert_eq!(now[r#"roh_tasks_total{tenant="default",status="invalid"}"#], 1.0);
}

fn metrics_tell_how_the_node_is(rabbit: &Rabbit) {
    let mut daemon = Daemon::start(&Settings::new("node-a", &rabbit.url(), &unique("vitals")));
    let executors = daemon.executors();
    let count = executors.len() as f64;
    let now = metrics(&daemon);
    assert_eq!((now["roh_connected"], now["roh_watermark"]), (1.0, 4.0));
    assert_eq!((now["roh_executors"], now["roh_executor_restarts_total"]), (count, 0.0));
    kill_process(executors[0], Signal::KILL).expect("it is ours");
    let replaced = poll(SOON, || {
        let now = metrics(&daemon);
        (now["roh_executors"], now["roh_executor_restarts_total"]) == (count, 1.0)
    });
    assert!(replaced, "{}", daemon.metrics());
}

fn a_running_task_shows_its_progress_and_an_ended_one_its_usage(rabbit: &Rabbit) {
    let settings = Settings::new("node-a", &rabbit.url(), &unique("progress"));
    let port = free_port();
    let daemon = Daemon::start_on(&settings, port);
    let url = format!("http://127.0.0.1:{port}");
    let task = || -> Value {
        let answer = ureq::get(format!("{url}/api/tasks/slow")).call();
        answer.expect("an answer").body_mut().read_json().expect("JSON")
    };
    let status = || {
        let shown = command(&["status", "--url", &url]);
        String::from_utf8(shown.stdout).expect("text")
    };
    let script = "import roh, time\ndef main():\n    roh.progress(3, 10)\n    time.sleep(60)\n";
    run(async {
        let client = Client::connect(rabbit).await;
        let of = BasicProperties::default().with_message_id("slow".into());
        let body = json!({"script": script, "timeout": "1m"}).to_string();
        client.publish(&settings.exchange, "", body.as_bytes(), of).await;
        client.close().await;
    });
    let of_ten = json!({"done": 3, "total": 10});
    let shown = || daemon.management().running.iter().any(|task| task["progress"] == of_ten);
    assert!(poll(SOON, shown), "{:?}", daemon.management());
    assert_eq!(task()["progress"], of_ten);
    let table = status();
    assert!(table.contains("PROGRESS") && table.contains("3/10"), "{table}");

    assert_eq!(daemon.stop_task("slow"), 200);
    assert!(poll(SOON, || task()["state"] == "ended"), "{}", task());
    let ended = task();
    assert_eq!(ended["status"], "stopped", "{ended}");
    assert_eq!(ended.get("progress"), None, "{ended}");
    assert_eq!(ended["usage"]["host_calls"], 1, "{ended}");
    assert!(ended["usage"]["wall_ms"].as_f64() > Some(0.0), "{ended}");
    assert!(!status().contains("PROGRESS"));
}

fn tasks_can_be_submitted_by_http_and_what_is_none_is_refused(rabbit: &Rabbit) {
    let name = unique("submitted");
    let mut settings = Settings::new("node-a", &rabbit.url(), &name);
    settings.more = format!(
        "[[source]]\nexchange = \"{name}.acme\"\nqueue = \"{name}.acme\"\ntenant = \"acme\"\n"
    );
    let port = free_port();
    let daemon = Daemon::start_on(&settings, port);
    let url = format!("http://127.0.0.1:{port}/api/tasks");
    let submit = |query: &str, headers: &[(&str, &str)], body: &str| -> (u16, Value) {
        let request = ureq::post(format!("{url}{query}")).content_type("application/json");
        let request = headers.iter().fold(request, |all, (name, value)| all.header(*name, *value));
        let request = request.config().http_status_as_error(false).build();
        let mut answer = request.send(body).expect("an answer");
        (answer.status().as_u16(), answer.body_mut().read_json().expect("JSON"))
    };
    let find = |id: &str| -> Option<Value> {
        let mut answer = ureq::get(format!("{url}/{id}")).call().ok()?;
        Some(answer.body_mut().read_json().expect("JSON"))
    };

    let script = "def main(x):\n    return x\n";
    let named = json!({"script": script, "args": [1], "id": "mine"}).to_string();
    let failing = json!({"script": script}).to_string();
    for (query, body, queue, tenant, status) in [
        ("", &named, &settings.queue, "default", "succeeded"),
        ("?tenant=acme", &failing, &format!("{name}.acme"), "acme", "failed"),
    ] {
        let (code, answer) = submit(query, &[], body);
        assert_eq!(code, 202, "{answer}");
        let id = answer["id"].as_str().expect("an id");
        assert!(*body != named || id == "mine", "{answer}");
        let ended = || find(id).is_some_and(|task| task["state"] == "ended");
        assert!(poll(SOON, ended), "{:?}", find(id));
        let task = find(id).expect("it ended lately");
        assert_eq!(
            (&task["queue"], &task["tenant"], &task["status"]),
            (&json!(queue), &json!(tenant), &json!(status)),
        );
    }
    let ended = || {
        metrics(&daemon)
            .iter()
            .filter(|(name, _)| name.starts_with("roh_tasks"))
            .fold(0.0, |sum, (_, count)| sum + count)
    };
    assert_eq!(ended(), 2.0);

    let evil = [("origin", "https://evil.example")];
    for (query, headers, body, expected) in [
        ("", &[][..], r#"{"task": "no module"}"#, 400),
        ("?tenant=nobody", &[], &named, 404),
        ("", &evil, &named, 403),
    ] {
        let (code, answer) = submit(query, headers, body);
        assert_eq!(code, expected, "{answer}");
        assert!(answer["error"].is_string(), "{answer}");
    }
    // What was published would be ahead of this one.
    let (_, last) = submit("", &[], &failing);
    let last = last["id"].as_str().expect("an id");
    assert!(poll(SOON, || find(last).is_some_and(|task| task["state"] == "ended")));
    assert_eq!(ended(), 3.0);
}

fn executors_that_can_not_be_started_are_said_to_be_missing(_: &Rabbit) {
    let folder = tempfile::tempdir().expect("a folder");
    let program = folder.path().join("roh");
    symlink(roh(), &program).expect("linked");
    run(async {
        let executors = Executors::start(plan(program.clone(), Limits::default())).await.unwrap();
        let numbers = || (executors.alive(), executors.restarts(), executors.serving());
        assert_eq!(numbers(), (1, 0, true));
        let [pid] = executors.pids()[..] else { panic!("one executor") };
        std::fs::remove_file(&program).expect("removed");
        kill_process(Pid::from_raw(pid.cast_signed()).unwrap(), Signal::KILL).unwrap();
        await_that(|| numbers() == (0, 0, false)).await;
        symlink(roh(), &program).expect("linked");
        await_that(|| numbers() == (1, 1, true)).await;
    });
}

async fn await_that(condition: impl Fn() -> bool) {
    let waiting = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(SOON, waiting).await.expect("it comes to that");
}
