//! The real daemon on a real broker with stock clients: nothing is lost, nothing is done
//! by halves, and it says what it does.

use std::collections::BTreeSet;
use std::process::Command;
use std::time::Duration;

use lapin::BasicProperties;
use roh::config::Config;
use roh_tests::clients::{Collector, Publisher, Tasks, python};
use roh_tests::daemon::{Daemon, Settings, image, roh};
use roh_tests::process::{free_port, own_bytes, poll, workspace};
use roh_tests::rabbit::{Depth, Rabbit};
use serde_json::{Value, json};

use crate::amqp::{Client, run, unique};

crate::tests![
    two_daemons_share_five_thousand_tasks,
    no_task_is_lost_when_a_daemon_is_killed_and_the_broker_restarts,
    shows_running_and_waiting_tasks_and_stops_a_waiting_one,
    a_running_task_can_be_stopped,
    sigterm_finishes_what_runs_and_gives_back_what_waits,
    a_drain_that_takes_too_long_gives_back_what_runs,
    a_second_signal_ends_the_daemon_at_once,
    a_backlog_that_is_gone_leaves_little_behind,
    the_seed_topology_works_with_a_prefetch_of_one,
    two_queues_on_one_exchange_each_get_a_copy,
    takes_tasks_over_tls,
    answers_and_leaves_while_the_broker_is_not_there,
    wrong_credentials_end_the_daemon,
    a_queue_with_other_arguments_ends_the_daemon,
    the_example_publishers_show_their_replies,
];

const LONG: Duration = Duration::from_secs(300);
const EMPTY: Option<Depth> = Some(Depth { ready: 0, unacked: 0 });

/// A task that sleeps so many seconds.
pub(crate) fn sleeper(seconds: f64) -> String {
    let script = "import time\ndef main(s):\n    time.sleep(s)\n    return s\n";
    json!({ "script": script, "args": [seconds] }).to_string()
}

fn two_daemons_share_five_thousand_tasks(rabbit: &Rabbit) {
    const COUNT: usize = 5000;
    let (url, name) = (rabbit.url(), unique("share"));
    let first = Settings::new("node-a", &url, &name);
    let _first = Daemon::start(&first);
    let _second = Daemon::start(&Settings::new("node-b", &url, &name));
    let replies = format!("{name}.replies");
    let collector = Collector::start(&url, &replies, COUNT, LONG);
    let tasks = Tasks { reply_to: Some(&replies), ..Tasks::default() };
    Publisher::start(&url, &first.exchange, COUNT, "task", tasks).finish(LONG);
    let replies = collector.finish();

    assert_eq!(replies.len(), COUNT);
    let mut nodes = BTreeSet::new();
    for (id, of_one) in &replies {
        let [reply] = of_one.as_slice() else { panic!("{id} has {} replies", of_one.len()) };
        assert_eq!(reply["status"], "succeeded", "{reply}");
        assert_eq!(reply["result"], 42, "{reply}");
        nodes.insert(reply["node"].as_str().expect("a name").to_owned());
    }
    assert_eq!(nodes.into_iter().collect::<Vec<_>>(), ["node-a", "node-b"]);
    assert!(poll(Duration::from_secs(20), || rabbit.depth(&first.queue).unwrap() == EMPTY));
}

fn no_task_is_lost_when_a_daemon_is_killed_and_the_broker_restarts(_: &Rabbit) {
    const COUNT: usize = 5000;
    let mut rabbit = Rabbit::start().unwrap();
    let (url, name) = (rabbit.url(), unique("survive"));
    let first = Settings::new("node-a", &url, &name);
    let mut killed = Daemon::start(&first);
    let _survivor = Daemon::start(&Settings::new("node-b", &url, &name));
    let replies = format!("{name}.replies");
    let mut collector = Collector::start(&url, &replies, COUNT, LONG);
    let tasks = Tasks { reply_to: Some(&replies), ..Tasks::default() };
    let publisher = Publisher::start(&url, &first.exchange, COUNT, "task", tasks);
    collector.wait_for(1000);
    killed.kill9();
    collector.wait_for(2000);
    rabbit.stop();
    rabbit.start_again().unwrap();
    publisher.finish(LONG);
    let replies = collector.finish();

    let missing: Vec<String> = (0..COUNT)
        .map(|number| format!("task-{number}"))
        .filter(|id| !replies.contains_key(id))
        .collect();
    assert!(missing.is_empty(), "{} lost: {missing:?}", missing.len());
    assert!(replies.values().flatten().all(|reply| reply["status"] == "succeeded"));
    assert!(poll(Duration::from_secs(30), || rabbit.depth(&first.queue).unwrap() == EMPTY));
    assert_eq!(rabbit.depth(&first.dead).unwrap(), EMPTY);
}

/// Starts a daemon with room for two, gives it six sleeping tasks and waits until it has
/// taken them all.
fn two_running_four_waiting(
    rabbit: &Rabbit,
    name: &str,
    seconds: f64,
    drain_timeout: &'static str,
) -> (Settings, Daemon, String) {
    let (url, name) = (rabbit.url(), unique(name));
    let mut settings = Settings::new("node-a", &url, &name);
    (settings.watermark, settings.drain_timeout) = (2, drain_timeout);
    let daemon = Daemon::start(&settings);
    let replies = format!("{name}.replies");
    run(async {
        let client = Client::connect(rabbit).await;
        client.queue(&replies, false, Default::default()).await;
        client.close().await;
    });
    let body = sleeper(seconds);
    let tasks = Tasks { reply_to: Some(&replies), body: Some(&body) };
    Publisher::start(&url, &settings.exchange, 6, "sleeper", tasks).finish(LONG);
    let taken = poll(Duration::from_secs(20), || {
        let now = daemon.management();
        (now.running.len(), now.waiting.len()) == (2, 4)
    });
    assert!(taken, "{:?}", daemon.management());
    (settings, daemon, replies)
}

fn shows_running_and_waiting_tasks_and_stops_a_waiting_one(rabbit: &Rabbit) {
    let (settings, daemon, replies) = two_running_four_waiting(rabbit, "show", 5.0, "30s");
    let now = daemon.management();
    let victim = now.waiting[3]["id"].as_str().expect("an id").to_owned();
    assert_eq!(now.waiting[3]["queue"], settings.queue.as_str());
    assert_eq!(daemon.stop_task(&victim), 200);
    let collector = Collector::start(&rabbit.url(), &replies, 6, LONG);
    let done = poll(Duration::from_secs(60), || {
        let now = daemon.management();
        assert!(now.running.len() <= 2, "{now:?}");
        assert!(now.running.iter().all(|task| task["id"] != victim.as_str()), "{now:?}");
        now.running.is_empty() && now.waiting.is_empty()
    });
    assert!(done);
    for (id, of_one) in collector.finish() {
        let expected = if id == victim { "stopped" } else { "succeeded" };
        assert_eq!(of_one.len(), 1, "{id}");
        assert_eq!(of_one[0]["status"], expected, "{id}");
    }
    assert!(poll(Duration::from_secs(20), || rabbit.depth(&settings.queue).unwrap() == EMPTY));
}

fn sigterm_finishes_what_runs_and_gives_back_what_waits(rabbit: &Rabbit) {
    let (settings, mut daemon, replies) = two_running_four_waiting(rabbit, "term", 10.0, "30s");
    daemon.sigterm();
    let status = daemon.wait(Duration::from_secs(60)).expect("leaves in time");
    assert_eq!(status.code(), Some(0), "{}", daemon.log());
    let of_all = Collector::start(&rabbit.url(), &replies, 2, LONG).finish();
    assert_eq!(of_all.len(), 2, "{of_all:?}");
    assert!(of_all.values().flatten().all(|reply| reply["status"] == "succeeded"), "{of_all:?}");
    let depth = rabbit.depth(&settings.queue).unwrap();
    assert_eq!(depth, Some(Depth { ready: 4, unacked: 0 }));
}

const ALL_READY: Option<Depth> = Some(Depth { ready: 6, unacked: 0 });

fn a_running_task_can_be_stopped(rabbit: &Rabbit) {
    let (_, daemon, replies) = two_running_four_waiting(rabbit, "stop", 25.0, "30s");
    let victim = daemon.management().running[0]["id"].as_str().expect("an id").to_owned();
    assert_eq!(daemon.stop_task(&victim), 200);
    let stopped = Collector::start(&rabbit.url(), &replies, 1, LONG).finish();
    assert_eq!(stopped[&victim][0]["status"], "stopped");
    assert_eq!(daemon.stop_task("no-such-task"), 404);
}

fn a_drain_that_takes_too_long_gives_back_what_runs(rabbit: &Rabbit) {
    let (settings, mut daemon, _) = two_running_four_waiting(rabbit, "expire", 25.0, "1s");
    daemon.sigterm();
    let status = daemon.wait(Duration::from_secs(20)).expect("leaves in time");
    assert_eq!(status.code(), Some(0), "{}", daemon.log());
    assert_eq!(rabbit.depth(&settings.queue).unwrap(), ALL_READY);
}

fn a_second_signal_ends_the_daemon_at_once(rabbit: &Rabbit) {
    let (settings, mut daemon, _) = two_running_four_waiting(rabbit, "twice", 25.0, "30s");
    daemon.sigterm();
    // Signals of a kind don't queue up: the second must find the first taken.
    assert!(poll(Duration::from_secs(10), || daemon.management().waiting.is_empty()));
    daemon.sigterm();
    let status = daemon.wait(Duration::from_secs(10)).expect("leaves at once");
    assert_eq!(status.code(), Some(143), "{}", daemon.log());
    assert!(poll(Duration::from_secs(20), || rabbit.depth(&settings.queue).unwrap() == ALL_READY));
}

/// Publishes one task and returns its reply.
pub(crate) fn ask(rabbit: &Rabbit, exchange: &str, body: &[u8], of: BasicProperties) -> Value {
    let mut reply = Value::Null;
    run(async {
        let client = Client::connect(rabbit).await;
        let queue = client.reply_queue().await;
        reply = client.ask(exchange, &queue, body, of).await;
        client.close().await;
    });
    reply
}

/// As in `examples/seed.toml`, but for the broker's address.
fn the_seed_topology_works_with_a_prefetch_of_one(rabbit: &Rabbit) {
    let mut settings = Settings::new("node-a", &rabbit.url(), &unique("seed"));
    let seed = Config::load(&workspace().join("examples/seed.toml")).unwrap();
    let [source] = seed.sources.as_slice() else { panic!("{:?}", seed.sources) };
    assert_eq!((source.exchange.as_str(), source.queue.as_str()), ("test_exchange_1", "my_queue"));
    assert_eq!(seed.manager.prefetch(), 1);
    (settings.exchange, settings.queue) = (source.exchange.clone(), source.queue.clone());
    (settings.watermark, settings.waiting_limit) =
        (seed.manager.watermark, seed.manager.waiting_limit);
    let daemon = Daemon::start(&settings);
    let body = sleeper(0.2);
    let tasks = Tasks { body: Some(&body), ..Tasks::default() };
    Publisher::start(&rabbit.url(), &settings.exchange, 5, "seed", tasks).finish(LONG);
    let gone = poll(Duration::from_secs(30), || {
        let now = daemon.management();
        assert!(now.running.len() <= 1 && now.waiting.is_empty(), "{now:?}");
        now.running.is_empty() && rabbit.depth("my_queue").unwrap() == EMPTY
    });
    assert!(gone, "{:?}", rabbit.depth("my_queue"));
}

fn two_queues_on_one_exchange_each_get_a_copy(rabbit: &Rabbit) {
    let name = unique("copies");
    let mut settings = Settings::new("node-a", &rabbit.url(), &name);
    let second = format!("{name}.second");
    let exchange = settings.exchange.clone();
    settings.more = format!(
        "[[source]]\nexchange = \"{exchange}\"\nqueue = \"{second}\"\nrouting-key = \"any\"\n\
         nowait = true\narguments = {{ x-queue-type = \"quorum\" }}\n"
    );
    let _daemon = Daemon::start(&settings);
    let replies = format!("{name}.replies");
    let collector = Collector::start(&rabbit.url(), &replies, 10, LONG);
    let tasks = Tasks { reply_to: Some(&replies), ..Tasks::default() };
    Publisher::start(&rabbit.url(), &exchange, 10, "copy", tasks).finish(LONG);
    let replies = collector.finish();
    assert_eq!(replies.len(), 10);
    assert!(replies.values().all(|of_one| of_one.len() == 2));
}

fn a_backlog_that_is_gone_leaves_little_behind(rabbit: &Rabbit) {
    if !cfg!(all(target_os = "linux", target_env = "gnu")) {
        // Others give memory back when they like.
        return;
    }
    const COUNT: usize = 3000;
    const LEN: usize = 32_000;
    // Not by the daemon, where that leaves much behind at first.
    image();
    let (url, name) = (rabbit.url(), unique("backlog"));
    let mut settings = Settings::new("node-a", &url, &name);
    (settings.watermark, settings.waiting_limit) = (1, COUNT);
    settings.more = "[limits]\nwall = \"10m\"\n".into();
    let mut daemon = Daemon::start(&settings);
    let pid = daemon.pid();
    let before = own_bytes(pid);
    let first = sleeper(600.0);
    let tasks = Tasks { body: Some(&first), ..Tasks::default() };
    Publisher::start(&url, &settings.exchange, 1, "first", tasks).finish(LONG);
    assert!(poll(LONG, || daemon.management().running.len() == 1));
    let large = json!({ "script": "def main(text):\n    pass\n", "args": ["x".repeat(LEN)] });
    let large = large.to_string();
    let tasks = Tasks { body: Some(&large), ..Tasks::default() };
    Publisher::start(&url, &settings.exchange, COUNT, "large", tasks).finish(LONG);
    assert!(poll(LONG, || daemon.management().waiting.len() == COUNT));
    let held = own_bytes(pid) - before;
    assert!(held > (COUNT * LEN) as f64, "{held} bytes");
    assert_eq!(daemon.stop_task("first-0"), 200);
    assert!(poll(LONG, || rabbit.depth(&settings.queue).unwrap() == EMPTY));
    let mut left = held;
    let little = poll(LONG, || {
        left = own_bytes(pid) - before;
        left < held / 4.0
    });
    assert!(little, "{left} bytes of {held}");
}

fn takes_tasks_over_tls(rabbit: &Rabbit) {
    let Some((url, certificate)) = rabbit.tls_url() else { return };
    let settings = Settings::new("node-a", &url, &unique("tls"));
    let environment = [("SSL_CERT_FILE", certificate.to_str().expect("UTF-8"))];
    let daemon = Daemon::launch(&settings, &environment);
    assert!(poll(LONG, || daemon.is_ready()), "{}", daemon.log());
    let body = br#"{"script": "def main():\n    return 'safe'\n"}"#;
    let reply = ask(rabbit, &settings.exchange, body, BasicProperties::default());
    assert_eq!(reply["result"], "safe");
}

fn answers_and_leaves_while_the_broker_is_not_there(_: &Rabbit) {
    let url = format!("amqp://guest:guest@127.0.0.1:{}", free_port());
    let mut daemon = Daemon::launch(&Settings::new("node-a", &url, &unique("absent")), &[]);
    assert!(poll(LONG, || daemon.is_alive()), "{}", daemon.log());
    assert!(!daemon.is_ready());
    let now = daemon.management();
    assert!(now.running.is_empty() && now.waiting.is_empty(), "{now:?}");
    daemon.sigterm();
    let status = daemon.wait(Duration::from_secs(20)).expect("leaves in time");
    assert_eq!(status.code(), Some(0), "{}", daemon.log());
}

fn ends_at_once(settings: &Settings) -> String {
    let mut daemon = Daemon::launch(settings, &[]);
    let status = daemon.wait(LONG).expect("ends by itself");
    assert!(!status.success());
    daemon.log()
}

fn wrong_credentials_end_the_daemon(rabbit: &Rabbit) {
    let url = rabbit.url().replace("guest:guest", "guest:wrong-secret");
    let log = ends_at_once(&Settings::new("node-a", &url, &unique("credentials")));
    assert!(log.contains("ACCESS_REFUSED"), "{log}");
    assert!(!log.contains("wrong-secret"), "{log}");
}

fn a_queue_with_other_arguments_ends_the_daemon(rabbit: &Rabbit) {
    let settings = Settings::new("node-a", &rabbit.url(), &unique("arguments"));
    run(async {
        let client = Client::connect(rabbit).await;
        let of = [("x-max-length", lapin::types::AMQPValue::LongInt(10))];
        client.queue(&settings.queue, false, crate::amqp::table(of)).await;
    });
    let log = ends_at_once(&settings);
    for part in [settings.queue.as_str(), "x-max-length"] {
        assert!(log.contains(part), "{log}");
    }
}

/// Both wait for the replies to tasks of their own and print a table of them.
fn the_example_publishers_show_their_replies(rabbit: &Rabbit) {
    let settings = Settings::new("node-a", &rabbit.url(), &unique("publishers"));
    let _daemon = Daemon::start(&settings);
    let task = r#"{"script": "def main(x):\n    return x * 2\n", "args": [21]}"#;
    let examples = workspace().join("examples");
    let mut python = Command::new(python());
    python.arg(examples.join("publisher.py"));
    let mut rust = Command::new(roh().with_file_name("roh-publisher"));
    for publisher in [&mut python, &mut rust] {
        let shown = publisher
            .args(["--url", &rabbit.url(), "--exchange", &settings.exchange, task])
            .output()
            .expect("the publisher starts");
        let table = String::from_utf8_lossy(&shown.stdout);
        assert!(shown.status.success(), "{table}{}", String::from_utf8_lossy(&shown.stderr));
        let row = table.lines().nth(1).expect("a reply");
        assert!(
            row.contains("succeeded") && row.contains("node-a") && row.ends_with("42"),
            "{row}"
        );
    }
}
