//! Measures ROH beside Celery, in turns, on one broker: how many trivial tasks a second, what
//! each costs in CPU time, and how long one takes from client to client. Prints medians, and the
//! least and the most of all rounds; `--json FILE` writes them down. `quick` does less. Beside the
//! two stands what a consumer takes that runs nothing: the way to the broker and back. With `wall`
//! the other one is ROH as well, but for the second wall: its instances are in the daemon's process.
//!
//! Both take the same tasks from the same client, which is none of theirs. Celery's are not kept
//! apart from each other in any way.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "that is what it is for")]

use std::collections::HashMap;
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use lapin::options::*;
use lapin::types::{AMQPValue, FieldTable};
use lapin::{
    BasicProperties, Channel, Connection, ConnectionProperties, Consumer, PublisherConfirm,
};
use roh_tests::daemon::{Daemon, Settings};
use roh_tests::process::{Owned, bound_command, workspace};
use roh_tests::rabbit::Rabbit;
use rustix::process::Signal;
use serde_json::{Value, json};
use tempfile::TempDir;

/// After this long without a reply something is wrong.
const LIMIT: Duration = Duration::from_secs(60);

/// Instances at once: what waits for a core costs little, and hides the way to the broker.
const WATERMARK: usize = 16;

/// What this program is started with to be a node without executors.
const WITHIN: &str = "within";

/// What it is started with to run nothing.
const ECHO: &str = "echo";

type Any<T> = Result<T, Box<dyn Error>>;

/// How much is measured.
#[derive(Debug, Clone, Copy)]
struct Extent {
    rounds: usize,
    tasks: usize,
    trips: usize,
}

const FULL: Extent = Extent { rounds: 5, tasks: 10_000, trips: 500 };
const QUICK: Extent = Extent { rounds: 3, tasks: 2_000, trips: 200 };

/// Who runs the tasks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Who {
    Roh,
    /// Without executors.
    Within,
    /// Runs nothing.
    Echo,
    Celery,
}

impl Who {
    fn name(self) -> &'static str {
        match self {
            Who::Roh => "roh",
            Who::Within => "without the wall",
            Who::Echo => "nothing run",
            Who::Celery => "celery",
        }
    }

    fn queue(self) -> &'static str {
        match self {
            Who::Roh | Who::Within | Who::Echo => "bench.tasks",
            Who::Celery => "bench.celery",
        }
    }
}

/// What it takes to start either.
struct Stage {
    rabbit: Rabbit,
    settings: Settings,
    /// The environment with Celery, if that is one of the two.
    python: PathBuf,
    folder: TempDir,
}

/// One that runs, until it is dropped.
enum Worker {
    Roh(Daemon),
    Other(Owned),
}

impl Worker {
    fn pid(&mut self) -> u32 {
        match self {
            Worker::Roh(daemon) => daemon.pid(),
            Worker::Other(process) => process.child().id(),
        }
    }

    /// Lets what runs end, and what was settled be.
    fn stop(mut self) -> Any<()> {
        let ended = match &mut self {
            Worker::Roh(daemon) => {
                daemon.sigterm();
                daemon.wait(LIMIT)
            }
            Worker::Other(process) => {
                process.signal(Signal::TERM);
                process.wait(LIMIT)
            }
        };
        ended.map(|_| ()).ok_or_else(|| "it does not leave".into())
    }
}

impl Stage {
    fn set(python: PathBuf) -> Any<Stage> {
        let rabbit = Rabbit::start()?;
        let folder = tempfile::tempdir()?;
        fs::write(folder.path().join("bench.py"), "def add(x, y):\n    return x + y\n")?;
        let mut settings = Settings::new("bench", &rabbit.url(), "bench");
        settings.watermark = WATERMARK;
        settings.more = format!("[[tenant]]\nname = \"default\"\nscripts = {:?}\n", folder.path());
        // It declares its queue.
        Worker::Roh(Daemon::start(&settings)).stop()?;
        Ok(Stage { rabbit, settings, python, folder })
    }

    fn start(&self, who: Who) -> Any<Worker> {
        Ok(match who {
            Who::Roh => Worker::Roh(Daemon::start(&self.settings)),
            Who::Within => {
                let config = self.settings.write(self.folder.path(), 0);
                let mut command = bound_command(std::env::current_exe()?);
                Worker::Other(Owned::spawn(command.arg(WITHIN).arg(config).stdin(Stdio::null()))?)
            }
            Who::Echo => {
                let mut command = bound_command(std::env::current_exe()?);
                command.args([ECHO, &self.rabbit.url(), Who::Echo.queue()]).stdin(Stdio::null());
                Worker::Other(Owned::spawn(&mut command)?)
            }
            Who::Celery => {
                let log = fs::File::create(self.folder.path().join("celery.log"))?;
                let mut command = bound_command(&self.python);
                command
                    .args(["-m", "celery", "-A", "celery_app", "worker", "--pool=prefork"])
                    .args(["--concurrency=2", "--queues", Who::Celery.queue(), "--loglevel=error"])
                    .args(["--without-gossip", "--without-mingle", "--without-heartbeat"])
                    .current_dir(workspace().join("tests/bench"))
                    .env("PYTHONDONTWRITEBYTECODE", "1")
                    .env("BENCH_BROKER", self.rabbit.url().replacen("amqp:", "pyamqp:", 1))
                    .env("BENCH_QUEUE", Who::Celery.queue())
                    .stdin(Stdio::null())
                    .stdout(log.try_clone()?)
                    .stderr(log);
                Worker::Other(Owned::spawn(&mut command)?)
            }
        })
    }
}

/// Publishes tasks and takes their replies.
struct Client {
    _connection: Connection,
    channel: Channel,
    reply_to: String,
    replies: Consumer,
}

impl Client {
    async fn connect(url: &str) -> Any<Client> {
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
        Ok(Client { _connection: connection, channel, reply_to, replies })
    }

    /// Publishes the task `number`, without waiting for the broker's word on it; a reply comes only
    /// if it is `wanted`.
    async fn ask(&self, who: Who, number: usize, wanted: bool) -> Any<PublisherConfirm> {
        let id = number.to_string();
        let mut properties = BasicProperties::default()
            .with_content_type("application/json".into())
            .with_delivery_mode(2)
            .with_correlation_id(id.clone().into());
        if wanted {
            properties = properties.with_reply_to(self.reply_to.clone().into());
        }
        let (exchange, key, body) = match who {
            Who::Roh | Who::Within | Who::Echo => {
                ("bench.exchange", "", json!({"task": "bench.add", "args": [number, 1]}))
            }
            Who::Celery => {
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
    async fn enqueue(&self, who: Who, tasks: usize, replies: bool) -> Any<()> {
        // So many are on their way at once.
        const PIPELINED: usize = 200;
        let sent = (0..tasks).map(|number| {
            let wanted = replies || number == 0 || number == tasks - 1;
            async move { Any::Ok(self.ask(who, number, wanted).await?.await?) }
        });
        let mut sent = futures_util::stream::iter(sent).buffered(PIPELINED);
        while let Some(confirmed) = sent.next().await {
            confirmed?;
        }
        Ok(())
    }

    /// Removes what is left to do.
    async fn forget(&self, who: Who) -> Any<()> {
        self.channel.queue_purge(who.queue().into(), QueuePurgeOptions::default()).await?;
        Ok(())
    }

    /// The number of the task that was replied to next, if it ended as it should.
    async fn reply(&mut self) -> Any<usize> {
        let reply = tokio::time::timeout(LIMIT, self.replies.next()).await?;
        let reply = reply.ok_or("the connection is gone")??;
        let id = reply.properties.correlation_id().as_ref().ok_or("a reply to nothing")?;
        let number: usize = id.as_str().parse()?;
        let body: Value = serde_json::from_slice(&reply.data)?;
        if body["result"] == json!(number + 1) { Ok(number) } else { Err(body.to_string().into()) }
    }
}

/// Tasks for each second, and CPU time of each in microseconds.
async fn throughput(
    stage: &Stage,
    client: &mut Client,
    who: Who,
    tasks: usize,
    replies: bool,
) -> Any<(f64, f64)> {
    client.enqueue(who, tasks, replies).await?;
    let mut worker = stage.start(who)?;
    // What it takes to start is not counted.
    client.reply().await?;
    let (began, cpu) = (Instant::now(), cpu_seconds(worker.pid()));
    for _ in 1..if replies { tasks } else { 2 } {
        client.reply().await?;
    }
    let (took, cpu) = (began.elapsed(), cpu_seconds(worker.pid()) - cpu);
    worker.stop()?;
    client.forget(who).await?;
    let counted = (tasks - 1) as f64;
    Ok((counted / took.as_secs_f64(), cpu / counted * 1e6))
}

/// Milliseconds from client to client: the median, and 99 of 100 are within.
async fn round_trips(
    stage: &Stage,
    client: &mut Client,
    who: Who,
    trips: usize,
) -> Any<(f64, f64)> {
    let worker = stage.start(who)?;
    let mut times = Vec::new();
    for number in 0..trips + trips / 10 {
        let began = Instant::now();
        let sent = client.ask(who, number, true).await?;
        client.reply().await?;
        times.push(began.elapsed().as_secs_f64() * 1e3);
        // The broker may say so only when the task was acked.
        sent.await?;
    }
    worker.stop()?;
    // The first warm up.
    let mut times = times.split_off(trips / 10);
    times.sort_by(f64::total_cmp);
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize];
    Ok((at(0.5), at(0.99)))
}

/// CPU time so far of a process and all that it started.
fn cpu_seconds(pid: u32) -> f64 {
    let ticks = rustix::param::clock_ticks_per_second() as f64;
    let mut processes = HashMap::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        // It may have ended meanwhile.
        let Ok(stat) = fs::read_to_string(entry.path().join("stat")) else { continue };
        let Some((_, fields)) = stat.rsplit_once(')') else { continue };
        let fields: Vec<f64> =
            fields.split_whitespace().map(|field| field.parse().unwrap_or_default()).collect();
        // Parent; user and system time; that of children which have ended.
        processes.insert(pid, (fields[1] as u32, fields[11..15].iter().sum::<f64>()));
    }
    let is_ours = |mut of: u32| loop {
        match processes.get(&of) {
            _ if of == pid => return true,
            Some((parent, _)) => of = *parent,
            None => return false,
        }
    };
    let ours = processes.iter().filter(|(of, _)| is_ours(**of));
    ours.map(|(_, (_, time))| time).sum::<f64>() / ticks
}

/// What was measured of one contestant, round by round.
#[derive(Default)]
struct Measured {
    values: Vec<f64>,
}

impl Measured {
    fn sorted(&self) -> Vec<f64> {
        let mut values = self.values.clone();
        values.sort_by(f64::total_cmp);
        values
    }

    fn median(&self) -> f64 {
        self.sorted()[self.values.len() / 2]
    }
}

const WHAT: [(&str, &str); 6] = [
    ("tasks with replies", "tasks/s"),
    ("CPU time of each", "µs"),
    ("tasks without replies", "tasks/s"),
    ("CPU time of each of those", "µs"),
    ("round trip, median", "ms"),
    ("round trip, p99", "ms"),
];

async fn measure(
    stage: &Stage,
    all: &[Who],
    extent: Extent,
) -> Any<HashMap<(Who, usize), Measured>> {
    let mut client = Client::connect(&stage.rabbit.url()).await?;
    let mut measured: HashMap<(Who, usize), Measured> = HashMap::new();
    for round in 1..=extent.rounds {
        for who in all.iter().copied() {
            eprintln!("bench: round {round} of {}: {}", extent.rounds, who.name());
            let client = &mut client;
            let with = throughput(stage, client, who, extent.tasks, true).await?;
            let without = throughput(stage, client, who, extent.tasks, false).await?;
            let trips = round_trips(stage, client, who, extent.trips).await?;
            for (what, (a, b)) in [with, without, trips].into_iter().enumerate() {
                measured.entry((who, what * 2)).or_default().values.push(a);
                measured.entry((who, what * 2 + 1)).or_default().values.push(b);
            }
        }
    }
    Ok(measured)
}

/// The first of `all` is compared with the second.
fn show(measured: &HashMap<(Who, usize), Measured>, all: &[Who]) -> Value {
    let mut table = comfy_table::Table::new();
    table.load_preset(comfy_table::presets::NOTHING);
    let names = all.iter().map(|who| who.name());
    let ratio = format!("{} / {}", all[0].name(), all[1].name());
    let header = ["", ""].into_iter().chain(names).chain([ratio.as_str()]);
    table.set_header(header);
    let mut json = serde_json::Map::new();
    for (what, (name, unit)) in WHAT.iter().enumerate() {
        let (mut row, mut values) = (vec![(*name).to_owned(), (*unit).to_owned()], json!({}));
        for who in all {
            let of = &measured[&(*who, what)];
            let sorted = of.sorted();
            let digits = if of.median() < 100.0 { 2 } else { 0 };
            let (least, most) = (sorted[0], sorted[sorted.len() - 1]);
            row.push(format!("{:.digits$} ({least:.digits$} to {most:.digits$})", of.median()));
            values[who.name()] = json!({"median": of.median(), "rounds": of.values});
        }
        let [ours, other] = [all[0], all[1]].map(|who| measured[&(who, what)].median());
        row.push(format!("{:.2}", ours / other));
        table.add_row(row);
        values["unit"] = json!(unit);
        values["ratio"] = json!(ours / other);
        json.insert((*name).to_owned(), values);
    }
    println!("{table}");
    json.into()
}

fn load() -> String {
    fs::read_to_string("/proc/loadavg").unwrap_or_default().trim().to_owned()
}

/// The environment with Celery, made if it is missing.
fn python() -> Any<PathBuf> {
    let folder = roh_tests::daemon::roh().with_file_name("..").canonicalize()?;
    let setup = Command::new(workspace().join("tests/bench/setup.sh"))
        .arg(folder)
        .stderr(Stdio::inherit())
        .output()?;
    if !setup.status.success() {
        return Err("Celery can't be installed: see above".into());
    }
    Ok(Path::new(String::from_utf8(setup.stdout)?.trim()).to_owned())
}

fn main() -> Any<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [within, config] = arguments.as_slice()
        && within == WITHIN
    {
        roh_tests::within::serve(Path::new(config));
        return Ok(());
    }
    if let [echo, url, queue] = arguments.as_slice()
        && echo == ECHO
    {
        roh_tests::echo::serve(url, queue);
        return Ok(());
    }
    let asked_for = |what: &str| arguments.iter().any(|argument| argument == what);
    let extent = if asked_for("quick") { QUICK } else { FULL };
    let (all, python) = match asked_for("wall") {
        true => (vec![Who::Roh, Who::Within], PathBuf::new()),
        false => (vec![Who::Roh, Who::Celery, Who::Echo], python()?),
    };
    let json = arguments.iter().skip_while(|argument| *argument != "--json").nth(1);
    let stage = Stage::set(python)?;
    let (cores, before) = (std::thread::available_parallelism()?, load());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let measured = runtime.block_on(measure(&stage, &all, extent))?;
    let results = show(&measured, &all);
    println!("{cores} cores, load before {before}, after {}; {extent:?}", load());
    if let Some(path) = json {
        let all = json!({"cores": cores, "load_before": before, "results": results});
        fs::write(path, serde_json::to_string_pretty(&all)? + "\n")?;
    }
    Ok(())
}
