//! Measures ROH beside Celery, in turns, on one broker: how many trivial tasks a second, what
//! each costs in CPU time, how long one takes from client to client, and what a start takes. Prints
//! medians, and the least and the most of all rounds; then what Python takes that computes, and what
//! a task costs as work grows. `full --to FOLDER` writes all of it down there, with plots. `quick`
//! does less; the others are parts.
//!
//! Beside ROH's medians stands what they are of those recorded in `docs`, if there are any.
//!
//! All take the same tasks from the same client, which is none of theirs, and then from those in
//! Python that their users have. Celery's are not kept apart from each other in any way, so what can
//! be had with a process for each task stands beside, and what a consumer takes that runs nothing:
//! the way to the broker and back. With `wall` the other one is ROH as well, but for the second
//! wall: its instances are in the daemon's process.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "that is what it is for")]

mod baseline;
mod client;
mod cpu;
mod growth;
mod measures;
mod plots;
mod stage;

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use roh_tests::process::workspace;
use serde_json::{Value, json};

use self::baseline::Baseline;
use self::client::Client;
use self::measures::{RATE, median};
use self::stage::{Stage, Who};

const USAGE: &str = "usage: roh-bench [full [--to FOLDER] | quick | cpu | growth | wall [quick]]";

/// The file that results are written to.
const RECORD: &str = "benchmarks.json";

/// Each has many points, and tells of what differs by much.
const GROWTH_ROUNDS: usize = 3;

/// After this long without a reply something is wrong.
const LIMIT: Duration = Duration::from_secs(60);

/// What this program is started with to be a node without executors.
const WITHIN: &str = "within";

/// What it is started with to run nothing.
const ECHO: &str = "echo";

type Any<T> = Result<T, Box<dyn Error>>;

/// How much is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Extent {
    rounds: usize,
    tasks: usize,
    /// Tasks with a process for each.
    forks: usize,
    trips: usize,
    /// Tasks that are asleep at once.
    asleep: usize,
}

const FULL: Extent = Extent { rounds: 5, tasks: 10_000, forks: 100, trips: 500, asleep: 10_000 };
/// It is small differences that count, and one round differs from the next by more.
const WALL: Extent = Extent { rounds: 15, ..FULL };
const QUICK: Extent = Extent { rounds: 3, tasks: 2_000, forks: 10, trips: 100, asleep: 1_000 };

/// One thing that is measured, and what came out, round by round.
struct Row {
    name: &'static str,
    unit: &'static str,
    of: BTreeMap<Who, Vec<f64>>,
}

#[derive(Default)]
struct Results(Vec<Row>);

impl Results {
    fn add(&mut self, who: Who, (name, unit): (&'static str, &'static str), value: f64) {
        let rows = &mut self.0;
        let found = rows.iter().position(|row| row.name == name).unwrap_or_else(|| {
            rows.push(Row { name, unit, of: BTreeMap::new() });
            rows.len() - 1
        });
        rows[found].of.entry(who).or_default().push(value);
    }

    fn median(&self, (name, _): (&str, &str), who: Who) -> Option<f64> {
        let row = self.0.iter().find(|row| row.name == name)?;
        row.of.get(&who).map(|rounds| median(rounds))
    }

    /// Prints them, `ours` compared with `other` and with what was `recorded`, the rest beside.
    fn show(&self, ours: Who, other: Who, recorded: Option<&Baseline>) -> Value {
        let mut table = comfy_table::Table::new();
        table.load_preset(comfy_table::presets::NOTHING);
        let ratio = format!("{} / {}", ours.name(), other.name());
        table.set_header(["", "", ours.name(), other.name(), &ratio, "/ recorded", "beside"]);
        let calibration = self.median(ALONE, Who::Python);
        let mut json = serde_json::Map::new();
        for Row { name, unit, of } in &self.0 {
            let cell = |values: &Vec<f64>| {
                let digits = if median(values) < 100.0 { 2 } else { 0 };
                let (least, most) =
                    (measures::within(0.0, values.clone()), measures::within(1.0, values.clone()));
                format!("{:.digits$} ({least:.digits$} to {most:.digits$})", median(values))
            };
            let cell_of = |who| of.get(&who).map(cell).unwrap_or_default();
            let ratio = of.get(&ours).zip(of.get(&other)).map(|(a, b)| median(a) / median(b));
            let worse = recorded.and_then(|recorded| {
                recorded.row((name, unit), median(of.get(&ours)?), calibration?)
            });
            let beside = of.iter().filter(|(who, _)| ![ours, other].contains(who));
            let beside = beside.map(|(who, values)| format!("{} {}", who.name(), cell(values)));
            table.add_row([
                (*name).to_owned(),
                (*unit).to_owned(),
                cell_of(ours),
                cell_of(other),
                ratio.map(|ratio| format!("{ratio:.2}")).unwrap_or_default(),
                worse.map(|worse| format!("{worse:.2}")).unwrap_or_default(),
                beside.collect::<Vec<_>>().join("; "),
            ]);
            let rounds = of.iter().map(|(who, rounds)| {
                (who.name().to_owned(), json!({"median": median(rounds), "rounds": rounds}))
            });
            let mut values: serde_json::Map<_, _> = rounds.collect();
            values.insert("unit".into(), json!(unit));
            values.insert("ratio".into(), json!(ratio));
            json.insert((*name).to_owned(), values.into());
        }
        println!("{table}");
        json.into()
    }
}

const WITH: [(&str, &str); 2] = [("tasks with replies", RATE), ("CPU time of each", "µs")];
const WITHOUT: [(&str, &str); 2] =
    [("tasks without replies", RATE), ("CPU time of each of those", "µs")];
const TRIPS: [(&str, &str); 2] = [("round trip, median", "ms"), ("round trip, p99", "ms")];
const PYTHON_TRIPS: [(&str, &str); 2] =
    [("round trip from Python, median", "ms"), ("round trip from Python, p99", "ms")];
const START: (&str, &str) = ("start to first task done", "ms");
const IDLE: [(&str, &str); 2] = [("resident memory, idle", "MiB"), ("private memory, idle", "MiB")];
const SHORT: (&str, &str) = ("round trip beside short tasks, p99", "ms");
const LOOPS: (&str, &str) = ("round trip beside endless loops, p99", "ms");
const ALONE: (&str, &str) = ("a task by itself, without a broker", "µs");

const ASLEEP: [(&str, &str); 3] = [
    ("private memory of one asleep", "KiB"),
    ("page tables of one asleep", "KiB"),
    ("slowest answer of /healthz meanwhile", "ms"),
];

async fn measure(stage: &Stage, all: &[Who], extent: Extent) -> Any<Results> {
    let mut client = Client::connect(&stage.rabbit.url()).await?;
    let (client, mut results) = (&mut client, Results::default());
    let compared = all.contains(&Who::Celery);
    for round in 1..=extent.rounds {
        for who in all.iter().copied() {
            eprintln!("bench: round {round} of {}: {}", extent.rounds, who.name());
            let mut add = |who, rows: [_; 2], (a, b)| {
                results.add(who, rows[0], a);
                results.add(who, rows[1], b);
            };
            match who {
                Who::Forking => {
                    let start = measures::start(stage, client, who).await?;
                    let (tasks, _) =
                        measures::throughput(stage, client, who, extent.forks, true, &start)
                            .await?;
                    results.add(who, WITH[0], tasks);
                    continue;
                }
                Who::Python => {
                    results.add(who, ALONE, measures::python_process(stage, extent.trips)?);
                    continue;
                }
                _ => {}
            }
            let (start, tasks) = (measures::start(stage, client, who).await?, extent.tasks);
            add(who, WITH, measures::throughput(stage, client, who, tasks, true, &start).await?);
            add(
                who,
                WITHOUT,
                measures::throughput(stage, client, who, tasks, false, &start).await?,
            );
            let (trips, from_python) =
                measures::round_trips(stage, client, who, extent.trips, compared).await?;
            add(who, TRIPS, trips);
            for (asked, trips) in from_python {
                add(asked, PYTHON_TRIPS, trips);
            }
            if who != Who::Echo {
                let mib = |bytes| bytes / f64::from(1 << 20);
                add(who, IDLE, (mib(start.resident), mib(start.private)));
                results.add(who, START, start.took.as_secs_f64() * 1e3);
            }
            if who == Who::Roh {
                let p99 = measures::beside_short(stage, client, extent.trips).await?;
                results.add(who, SHORT, p99);
                let p99 = measures::beside_loops(stage, client, extent.trips).await?;
                results.add(who, LOOPS, p99);
                results.add(who, ALONE, measures::in_executor(extent.tasks).await?);
            }
        }
    }
    if compared {
        eprintln!("bench: {} tasks asleep at once", extent.asleep);
        let asleep = measures::asleep(stage, client, extent.asleep).await?;
        results.add(Who::Roh, ASLEEP[0], asleep.private / 1024.0);
        results.add(Who::Roh, ASLEEP[1], asleep.page_tables / 1024.0);
        results.add(Who::Roh, ASLEEP[2], asleep.slowest.as_secs_f64() * 1e3);
    }
    Ok(results)
}

fn load() -> String {
    fs::read_to_string("/proc/loadavg").unwrap_or_default().trim().to_owned()
}

/// What the machine is, in a few words.
fn machine() -> Value {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let line = |path: &str, name: &str| {
        let text = read(path);
        let line = text.lines().find(|line| line.starts_with(name));
        line.and_then(|line| line.split_once(':')).map(|(_, value)| value.trim().to_owned())
    };
    json!({
        "cores": std::thread::available_parallelism().ok(),
        "processor": line("/proc/cpuinfo", "model name"),
        "memory": line("/proc/meminfo", "MemTotal"),
        "kernel": read("/proc/sys/kernel/osrelease").trim(),
    })
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

/// Of a Python; of none, nothing.
fn version(python: &Path) -> String {
    let ran = Command::new(python).arg("--version").stdin(Stdio::null()).output();
    ran.map(|ran| String::from_utf8_lossy(&ran.stdout).trim().to_owned()).unwrap_or_default()
}

fn main() -> Any<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        [WITHIN, config] => {
            roh_tests::within::serve(Path::new(config));
            return Ok(());
        }
        [ECHO, url, queue] => {
            roh_tests::echo::serve(url, queue);
            return Ok(());
        }
        _ => {}
    }
    let (folder, words) = match words.as_slice() {
        ["full", "--to", folder] => (Some(Path::new(*folder)), &words[..1]),
        words => (None, words),
    };
    let extent = match words {
        [] | ["full" | "cpu" | "growth"] => FULL,
        ["quick"] | ["wall", "quick"] => QUICK,
        ["wall"] => WALL,
        ["-h" | "--help"] => {
            println!("{USAGE}");
            return Ok(());
        }
        _ => {
            eprintln!("{USAGE}");
            std::process::exit(2);
        }
    };
    let part = |name: &str| matches!(words, [] | ["full"]) || words == [name];
    let all: &[Who] = match words {
        ["wall", ..] => &[Who::Roh, Who::Within],
        ["cpu" | "growth"] => &[],
        _ => &[Who::Roh, Who::Celery, Who::Echo, Who::Forking, Who::Python],
    };
    let python = if all.contains(&Who::Celery) || part("cpu") { python()? } else { PathBuf::new() };
    let (version, machine, before) = (version(&python), machine(), load());
    let recorded = Baseline::read(&version)?;
    let recorded = recorded.as_ref();
    let mut json = json!({
        "machine": machine, "python": version, "load": {"before": before},
    });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (mut results, mut curves) = (Results::default(), Vec::new());
    if part("cpu") {
        json["python_that_computes"] =
            runtime.block_on(cpu::measure(&python, cpu::plain()?, extent.rounds, recorded))?;
    }
    if words != ["cpu"] {
        let stage = Stage::set(python)?;
        if let [ours, other, ..] = all {
            results = runtime.block_on(measure(&stage, all, extent))?;
            json["results"] = results.show(*ours, *other, recorded.filter(|_| extent == FULL));
        }
        if part("growth") {
            let calibration = results.median(ALONE, Who::Python);
            let curves_of = growth::measure(&stage, GROWTH_ROUNDS, recorded, calibration);
            curves = runtime.block_on(curves_of)?;
            json["as_work_grows"] = growth::json(&curves);
        }
    }
    let after = load();
    println!("\n{machine}, {version}, load before {before}, after {after}; {extent:?}");
    json["load"]["after"] = after.into();
    if let Some(folder) = folder {
        fs::write(folder.join(RECORD), serde_json::to_string_pretty(&json)? + "\n")?;
        plots::beside(&folder.join("benchmarks.svg"), &results)?;
        plots::growth(&folder.join("growth.svg"), &curves)?;
    }
    Ok(())
}
