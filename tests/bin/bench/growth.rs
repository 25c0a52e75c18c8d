//! What a task costs as there is more of something: scripts, bytes, tasks that wait, tenants.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use roh_tests::daemon::{Daemon, Settings, source_and_tenant};
use serde_json::{Value, json};

use crate::baseline::Baseline;
use crate::client::Client;
use crate::measures::{cpu_seconds, median};
use crate::stage::{Stage, WATERMARK, Worker};
use crate::{Any, LIMIT};

/// Its exchange and queues are called after it.
const NAME: &str = "growth";

/// Tasks that are counted at each point, unless they would be more than [`BYTES`] or fewer than
/// there are scripts or tenants.
const TASKS: usize = 5_000;

/// Bytes of arguments at each point, at most.
const BYTES: usize = 128 << 20;

/// Tasks that can wait at the node where that is not what grows: enough for each source of 1,000
/// tenants to have as many as run at once.
const WAITING: usize = 20_000;

/// Tasks that can wait at the node where that is what grows: what AMQP can count to, but for those
/// that run. More wait in the broker's queue.
const WAITING_MOST: usize = 65_000;

/// What there is more and more of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Scripts,
    Bytes,
    Waiting,
    Tenants,
}

/// What a task costs by how much there is of something.
pub(crate) struct Curve {
    /// What grows.
    pub(crate) name: &'static str,
    /// How much of it, and microseconds of CPU time of each task, round by round.
    pub(crate) points: Vec<(usize, Vec<f64>)>,
}

impl Curve {
    /// How much there is, and the median of what a task costs.
    pub(crate) fn medians(&self) -> impl Iterator<Item = (f64, f64)> {
        self.points.iter().map(|(at, rounds)| (*at as f64, median(rounds)))
    }
}

/// Measures all of it in turns, and prints the medians.
pub(crate) async fn measure(
    stage: &Stage,
    rounds: usize,
    recorded: Option<&Baseline>,
    calibration: Option<f64>,
) -> Any<Vec<Curve>> {
    let curves: [(_, _, &[usize]); 4] = [
        (Kind::Scripts, "distinct scripts", &[1, 10, 50, 500, 10_000]),
        (Kind::Bytes, "bytes of arguments", &[1, 16, 256, 4 << 10, 64 << 10, 1 << 20]),
        (Kind::Tenants, "tenants", &[1, 10, 100, 1_000]),
        (Kind::Waiting, "tasks that wait", &[1, 10, 100, 1_000, 10_000, 65_000, 100_000]),
    ];
    let folder = tempfile::tempdir()?;
    scripts(folder.path(), 10_000)?;
    // A node reads what was written just now for each task anew.
    tokio::time::sleep(Duration::from_secs(3)).await;
    let mut client = Client::connect(&stage.rabbit.url()).await?;
    let mut all: Vec<Curve> = Vec::new();
    for (_, name, points) in curves {
        all.push(Curve { name, points: points.iter().map(|at| (*at, Vec::new())).collect() });
    }
    for round in 1..=rounds {
        for ((kind, name, _), curve) in curves.iter().zip(&mut all) {
            eprintln!("bench: as work grows: round {round} of {rounds}: {name}");
            for (at, costs) in &mut curve.points {
                costs.push(cost(stage, &mut client, folder.path(), *kind, *at).await?);
            }
        }
    }
    show(&all, recorded.zip(calibration));
    Ok(all)
}

/// As it is written down.
pub(crate) fn json(curves: &[Curve]) -> Value {
    let curve = |curve: &Curve| {
        let point = |(at, rounds): &(usize, Vec<f64>)| json!({"at": at, "median": median(rounds), "rounds": rounds});
        let points: Vec<Value> = curve.points.iter().map(point).collect();
        (curve.name.to_owned(), json!({"unit": "µs of CPU time of each task", "points": points}))
    };
    curves.iter().map(curve).collect::<serde_json::Map<_, _>>().into()
}

fn show(curves: &[Curve], recorded: Option<(&Baseline, f64)>) {
    let mut table = comfy_table::Table::new();
    table.load_preset(comfy_table::presets::NOTHING);
    table.set_header(["as work grows: CPU time of each task in µs (/ recorded)"]);
    for curve in curves {
        let point = |(at, cost): (f64, f64)| {
            let worse = recorded.and_then(|(recorded, calibration)| {
                recorded.point(curve.name, at as usize, cost, calibration)
            });
            let worse = worse.map(|worse| format!(" ({worse:.2})")).unwrap_or_default();
            format!("{at}: {cost:.0}{worse}")
        };
        table.add_row([curve.name, &curve.medians().map(point).collect::<Vec<_>>().join("; ")]);
    }
    println!("\n{table}");
}

fn scripts(folder: &Path, count: usize) -> Any<()> {
    for number in 0..count {
        // No two are the same.
        let text = format!("NUMBER = {number}\n\n\ndef after(number, _):\n    return number + 1\n");
        fs::write(folder.join(format!("script_{number}.py")), text)?;
    }
    Ok(())
}

/// CPU time of a node for each task with a reply, in microseconds, where there is so much of `kind`.
/// Each script and tenant was seen before. All slots are held until the tasks are there, so that
/// it matters to nobody how fast they are published.
async fn cost(
    stage: &Stage,
    client: &mut Client,
    folder: &Path,
    kind: Kind,
    at: usize,
) -> Any<f64> {
    let tenants = if kind == Kind::Tenants { at } else { 1 };
    let settings = settings(stage, folder, kind, at, tenants);
    let mut daemon = Daemon::start(&settings);
    let argument = "x".repeat(if kind == Kind::Bytes { at } else { 1 });
    let message = |number: usize| {
        let script = if kind == Kind::Scripts { number % at } else { 0 };
        let task = format!("script_{script}.after");
        let exchange = format!("{NAME}.tenant-{}", number % tenants);
        (exchange, json!({"task": task, "args": [number, argument]}))
    };
    // As many are enqueued as are counted, and those that still wait then.
    let (tasks, distinct, wait) = match kind {
        Kind::Scripts | Kind::Tenants => (TASKS.max(at), at, 0),
        Kind::Bytes => (TASKS.min(BYTES / at), 1, 0),
        Kind::Waiting => (TASKS, 1, at),
    };
    client.enqueue_all((0..distinct).map(message)).await?;
    client.replies(distinct).await?;
    client.next_run();
    let holders = hold_slots(client, &daemon).await?;
    client.enqueue_all((0..tasks + wait).map(message)).await?;
    if wait > 0 {
        until(|| gauge(&daemon, "roh_waiting_tasks") == settings.waiting_limit).await?;
    }
    let before = cpu_seconds(daemon.pid());
    for holder in holders {
        daemon.stop_task(&holder);
    }
    client.replies(tasks).await?;
    let cost = (cpu_seconds(daemon.pid()) - before) / tasks as f64 * 1e6;
    Worker::Roh(daemon).stop()?;
    for tenant in 0..tenants {
        client.purge(&format!("{NAME}.tenant-{tenant}")).await?;
    }
    client.next_run();
    Ok(cost)
}

/// Has tasks that sleep on all slots of the node; their ids.
async fn hold_slots(client: &Client, daemon: &Daemon) -> Any<Vec<String>> {
    let ids: Vec<String> = (0..WATERMARK).map(|number| format!("holder-{number}")).collect();
    let script = "import time\n\ndef main():\n    time.sleep(600)\n";
    for id in &ids {
        let body = json!({"id": id, "script": script});
        client.publish(&format!("{NAME}.exchange"), "", &body, Default::default()).await?.await?;
    }
    until(|| gauge(daemon, "roh_running_tasks") == WATERMARK).await?;
    Ok(ids)
}

fn settings(stage: &Stage, folder: &Path, kind: Kind, at: usize, tenants: usize) -> Settings {
    let mut settings = Settings::new(NAME, &stage.rabbit.url(), NAME);
    settings.watermark = WATERMARK;
    // Those that take the slots of the holders wait meanwhile as well.
    settings.waiting_limit =
        WATERMARK + if kind == Kind::Waiting { at.min(WAITING_MOST) } else { WAITING };
    settings.more = format!(
        "[limits]\nmessage = \"2MiB\"\n\n\
         [[tenant]]\nname = \"default\"\nwatermark = {WATERMARK}\nwaiting-limit = 0\n\
         limits = {{ wall = \"15m\" }}\n"
    );
    if kind == Kind::Tenants {
        // It is the tenants that are to be seen, not where their images have no room any more.
        settings.more += "\n[sandbox]\nscript-images = \"2GiB\"\n";
    }
    for tenant in 0..tenants {
        let more = format!("scripts = {folder:?}");
        settings.more += &source_and_tenant(NAME, &format!("tenant-{tenant}"), &more);
    }
    settings
}

/// A number in what the node says of itself.
fn gauge(daemon: &Daemon, name: &str) -> usize {
    let metrics = daemon.metrics();
    let lines = metrics.lines().filter(|line| line.starts_with(name));
    lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum::<f64>() as usize
}

async fn until(holds: impl Fn() -> bool) -> Any<()> {
    let began = Instant::now();
    while !holds() {
        if began.elapsed() > LIMIT {
            return Err("the node does not hold what it should".into());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}
