//! The corpus of hostile scripts in `tests/hostile/` on a real daemon, with a tenant that
//! behaves beside them: each script ends as its header says, and no task sees anything of
//! another. How the neighbour fared is reported, not asserted.
//!
//! To run it alone: `cargo test -p roh-tests --release hostile`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use lapin::options::{BasicConsumeOptions, BasicPublishOptions};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Consumer};
use roh::config::Limits;
use roh::sandbox::{Capacity, ScriptKey};
use roh::task::TenantName;
use roh_tests::daemon::{Daemon, Settings, source_and_tenant};
use roh_tests::jobs::{job, run_in, sandbox};
use roh_tests::process::poll;
use roh_tests::rabbit::Rabbit;
use serde_json::json;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use crate::amqp::{Client, SOON, run, unique};

mod script;

use self::script::{PROFILES, Profile, Reply, Script, WATERMARK, class};

crate::tests![
    every_script_ends_as_its_header_says,
    nothing_is_left_for_the_next_task,
    what_is_kept_is_as_its_image
];

/// How long the whole corpus may take on a busy machine.
const LONG: Duration = Duration::from_secs(600);

/// The neighbour's tasks while nothing else runs.
const ALONE: usize = 2000;

/// How often each canary is set and looked for.
const ROUNDS: usize = 6;

/// Each of the tests that load the machine or measure it wants it to itself.
pub(crate) static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// A daemon with the hostile tenants and their neighbour, whose tenant is `default`.
struct Stage {
    daemon: Daemon,
    name: String,
    settings: Settings,
    _folder: TempDir,
}

impl Stage {
    fn set(rabbit: &Rabbit, name: &str) -> Stage {
        let name = unique(name);
        let folder = tempfile::tempdir().expect("a folder");
        for tenant in ["neighbour", "hostile"] {
            fs::create_dir(folder.path().join(tenant)).expect("made");
        }
        // What the hostile ones would like to import.
        let secret = "def main(x):\n    return x\n";
        fs::write(folder.path().join("neighbour/secret.py"), secret).expect("written");
        let mut settings = Settings::new("node-a", &rabbit.url(), &name);
        settings.watermark = WATERMARK;
        settings.more = tenants(&name, folder.path());
        let daemon = Daemon::start(&settings);
        Stage { daemon, name, settings, _folder: folder }
    }

    fn exchange(&self, profile: &Profile) -> String {
        format!("{}.{}", self.name, profile.name)
    }

    /// Nothing may be left of what ran, and nothing may have broken.
    fn assert_idle(&self, rabbit: &Rabbit) {
        let idle = poll(SOON, || {
            let now = self.daemon.management();
            now.running.is_empty() && now.waiting.is_empty()
        });
        assert!(idle, "{:?}", self.daemon.management());
        for profile in &PROFILES {
            let depth = rabbit.depth(&self.exchange(profile)).expect("an answer").expect("a queue");
            assert_eq!((depth.ready, depth.unacked), (0, 0), "{}", profile.name);
        }
    }
}

fn tenants(name: &str, folder: &Path) -> String {
    let folder = folder.to_str().expect("UTF-8");
    let mut toml = format!("[[tenant]]\nname = \"default\"\nscripts = \"{folder}/neighbour\"\n");
    for Profile { name: tenant, watermark, cpu, wall } in &PROFILES {
        let more = format!(
            r#"scripts = "{folder}/hostile"
watermark = {watermark}

[tenant.limits]
memory = "64MiB"
output = "64KiB"
cpu = "{cpu}"
wall = "{wall}""#
        );
        toml += &source_and_tenant(name, tenant, &more);
    }
    toml
}

/// A client whose replies come as soon as they are there.
struct Asker {
    client: Client,
    reply_to: String,
    replies: Consumer,
}

impl Asker {
    async fn connect(rabbit: &Rabbit) -> Asker {
        let client = Client::connect(rabbit).await;
        let reply_to = client.reply_queue().await;
        let options = BasicConsumeOptions { no_ack: true, ..BasicConsumeOptions::default() };
        let replies = client
            .channel
            .basic_consume(reply_to.as_str().into(), "".into(), options, FieldTable::default())
            .await
            .unwrap();
        Asker { client, reply_to, replies }
    }

    /// Publishes a task, and waits for no confirm: its reply is enough.
    async fn ask(&self, exchange: &str, id: &str, body: &[u8]) {
        let of = BasicProperties::default()
            .with_message_id(id.into())
            .with_reply_to(self.reply_to.as_str().into());
        let options = BasicPublishOptions::default();
        let channel = &self.client.channel;
        drop(channel.basic_publish(exchange.into(), "".into(), options, body, of).await.unwrap());
    }

    async fn answer(&mut self) -> Reply {
        let next = tokio::time::timeout(LONG, self.replies.next()).await.expect("a reply in time");
        Reply::parse(&next.expect("the connection lives").unwrap().data)
    }

    /// The replies to so many tasks, by their ids.
    async fn answers(&mut self, count: usize) -> BTreeMap<String, Reply> {
        let mut answers = BTreeMap::new();
        while answers.len() < count {
            let reply = self.answer().await;
            let id = reply.text(&["id"]);
            assert!(answers.insert(id.clone(), reply).is_none(), "{id} was answered twice");
        }
        answers
    }

    /// One task of the neighbour's: how long it took to be answered.
    async fn round_trip(&mut self, exchange: &str) -> Duration {
        let sent = Instant::now();
        self.ask(exchange, "neighbour", br#"{"task": "secret.main", "args": [42]}"#).await;
        let reply = self.answer().await;
        let took = sent.elapsed();
        assert_eq!(reply.value("result"), Some(json!(42)), "{}", reply.shown());
        took
    }
}

fn every_script_ends_as_its_header_says(rabbit: &Rabbit) {
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let classes = ["cpu", "memory", "time", "escape", "confusion"].map(|name| (name, class(name)));
    let stage = Stage::set(rabbit, "hostile");
    let mut faults = Vec::new();
    run(async {
        let mut neighbour = Asker::connect(rabbit).await;
        let exchange = &stage.settings.exchange;
        for _ in 0..ALONE / 10 {
            neighbour.round_trip(exchange).await;
        }
        let mut alone = Vec::new();
        while alone.len() < ALONE {
            alone.push(neighbour.round_trip(exchange).await);
        }

        let mut hostile = Asker::connect(rabbit).await;
        let scripts = || classes.iter().flat_map(|(_, scripts)| scripts);
        let over = CancellationToken::new();
        let started = Instant::now();
        let corpus = async {
            for script in scripts() {
                let exchange = stage.exchange(script.profile);
                hostile.ask(&exchange, &script.name, &script.task("main")).await;
            }
            let answers = hostile.answers(scripts().count()).await;
            over.cancel();
            answers
        };
        let tasks = async {
            let mut beside = Vec::new();
            while !over.is_cancelled() {
                beside.push(neighbour.round_trip(exchange).await);
            }
            beside
        };
        let (answers, beside) = tokio::join!(corpus, tasks);
        let counts = classes.each_ref().map(|(name, scripts)| format!("{name} {}", scripts.len()));
        say(&format!("hostile: {} in {:.1?}", counts.join(", "), started.elapsed()));
        say(&compared(alone, beside));

        for script in scripts() {
            let reply = &answers[&script.name];
            if let Some(fault) = script.fault(reply) {
                faults.push(format!("{}: {fault}\n  {}", script.name, reply.shown()));
            }
        }
    });
    stage.assert_idle(rabbit);
    assert!(faults.is_empty(), "{} scripts:\n{}", faults.len(), faults.join("\n"));
}

/// What the neighbour noticed.
fn compared(mut alone: Vec<Duration>, mut beside: Vec<Duration>) -> String {
    let mut report = "neighbour:".to_owned();
    let mut tail = [0.0; 2];
    for (i, (name, times)) in
        [("alone", &mut alone), ("beside", &mut beside)].iter_mut().enumerate()
    {
        times.sort();
        let at =
            |share: f64| times[((times.len() - 1) as f64 * share) as usize].as_secs_f64() * 1e3;
        tail[i] = at(0.99);
        write!(report, " {name} p50 {:.2} ms, p99 {:.2} ms of {};", at(0.5), tail[i], times.len())
            .expect("writing to a string");
    }
    write!(report, " p99 times {:.2}", tail[1] / tail[0]).expect("writing to a string");
    report
}

fn say(line: &str) {
    writeln!(std::io::stdout(), "{line}").expect("somebody reads the report");
}

/// Each script of the corpus in a sandbox within this process: an instance that is kept for the
/// next task has every byte of its image, the interpreter's or that of its script, whatever ran
/// in it. The tenants are many, so that each script's instance is kept, and goes on to serve the
/// script again.
fn what_is_kept_is_as_its_image(_: &Rabbit) {
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let mebi = 1 << 20;
    let limits = Limits {
        memory: 64 * mebi,
        cpu: Duration::from_millis(200),
        wall: Duration::from_millis(500),
        ..Limits::default()
    };
    let (memory, script_images) = (limits.memory, 64 << 20);
    let capacity = Capacity { instances: 4, threads: 2, memory, script_images };
    const ALL: usize = usize::MAX;
    let (mut served, mut most) = (0, 0);
    run(async {
        let sandbox = sandbox(capacity);
        for class in ["escape", "confusion", "leak", "memory", "cpu", "time"].map(class) {
            for (number, script) in class.iter().enumerate() {
                for function in ["main", "plant", "look", "plant", "main", "look"] {
                    if !script.source.contains(&format!("def {function}(")) {
                        continue;
                    }
                    let mut job = job(&script.source, &script.args.to_string(), limits);
                    job.kwargs = script.kwargs.to_string();
                    job.function = function.to_owned();
                    if number % 3 > 0 {
                        // From its second task on there is one.
                        job.image = Some(ScriptKey::alone(&job.script));
                    }
                    job.tenant = TenantName::new(&format!("t{}", number % 16));
                    run_in(&sandbox, job).await;
                    served += 1;
                    // What came back since the last time, this task's or, if that is still cleaned
                    // up, the one before; all of them each time would take minutes.
                    let (kept, differ) = sandbox.kept(if served % 8 == 0 { ALL } else { 3 });
                    assert_eq!(differ, 0, "after {function} of {}", script.name);
                    most = most.max(kept);
                }
            }
        }
    });
    assert!(served > 100 && most > 8, "{served} tasks, {most} kept at most");
}

/// Each script sets its canaries in one task, and looks for them in tasks of its own tenant
/// and of the neighbour's: over and over, so that instances have served their tenant before.
fn nothing_is_left_for_the_next_task(rabbit: &Rabbit) {
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let scripts = class("leak");
    let stage = Stage::set(rabbit, "leak");
    let mut faults = BTreeSet::new();
    let mut seen: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    run(async {
        let mut asker = Asker::connect(rabbit).await;
        for _ in 0..ROUNDS {
            for script in &scripts {
                let exchange = stage.exchange(script.profile);
                asker.ask(&exchange, &script.name, &script.task("plant")).await;
            }
            for (id, reply) in asker.answers(scripts.len()).await {
                let script = scripts.iter().find(|script| script.name == id).expect("ours");
                if !script.plant.contains(&reply.text(&["status"])) {
                    faults.insert(format!("{id}: cannot plant\n  {}", reply.shown()));
                }
            }
            let looks =
                |script: &Script| [stage.exchange(script.profile), stage.settings.exchange.clone()];
            for script in &scripts {
                for exchange in looks(script) {
                    let id = format!("{} of {exchange}", script.name);
                    asker.ask(&exchange, &id, &script.task("look")).await;
                }
            }
            let mut answers = asker.answers(scripts.len() * 2).await;
            for script in &scripts {
                for exchange in looks(script) {
                    let id = format!("{} of {exchange}", script.name);
                    let reply = answers.remove(&id).expect("each was answered");
                    let printed = reply.text(&["stdout"]) + &reply.text(&["stderr"]);
                    let result = reply.value("result").unwrap_or_default().to_string();
                    let again = !seen.entry(&script.name).or_default().insert(result);
                    let fault = script
                        .fault(&reply)
                        .or_else(|| (!printed.is_empty()).then(|| "printed".to_owned()))
                        .or_else(|| (again && script.distinct).then(|| "is not new".to_owned()));
                    if let Some(fault) = fault {
                        faults.insert(format!("{id}: {fault}\n  {}", reply.shown()));
                    }
                }
            }
        }
    });
    stage.assert_idle(rabbit);
    let faults: Vec<_> = faults.into_iter().collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}
