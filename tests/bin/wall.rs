//! Measures what the second wall costs: the same jobs in a sandbox within this process, and
//! in an executor, in turns; as they start from the interpreter image, and from that of their
//! script. Prints medians and their ratios.

#![expect(clippy::print_stdout, reason = "that is what it is for")]

use std::sync::Arc;
use std::time::Instant;

use roh::config::{ImageKind, Limits};
use roh::executor::{Executors, Plan};
use roh::outcome::{Outcome, Report};
use roh::sandbox::{Capacity, Job, NoCalls, Sandbox, ScriptKey};
use roh_tests::daemon::{image, roh};
use roh_tests::jobs::{job, run_in, runtime, sandbox};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

const ROUNDS: usize = 31;
const JOBS: u32 = 500;
const AT_ONCE: u32 = 8;

const SCRIPT: &str = "def main(x, y):\n    return x + y\n";

/// The two ways to run a job.
enum Way {
    Inside(Sandbox),
    Executor(Executors),
}

impl Way {
    async fn run(&self, job: Job) -> Report {
        match self {
            Way::Inside(sandbox) => run_in(sandbox, job).await,
            Way::Executor(executors) => {
                executors.run(job, Arc::new(NoCalls), CancellationToken::new()).await
            }
        }
    }
}

/// Seconds for each job: one at a time, and many at once.
struct Round {
    alone: f64,
    at_once: f64,
}

async fn round(way: &Arc<Way>, kind: ImageKind) -> Round {
    let started = Instant::now();
    for x in 0..JOBS {
        // In a task of its own, as the daemon does.
        let way = way.clone();
        let run = tokio::spawn(async move { check(way.run(sum(x, kind)).await, x) });
        run.await.expect("no panic");
    }
    let alone = started.elapsed().as_secs_f64() / f64::from(JOBS);
    let started = Instant::now();
    let mut runs = JoinSet::new();
    for first in 0..AT_ONCE {
        let way = way.clone();
        runs.spawn(async move {
            for x in (first..JOBS).step_by(AT_ONCE as usize) {
                check(way.run(sum(x, kind)).await, x);
            }
        });
    }
    runs.join_all().await;
    Round { alone, at_once: started.elapsed().as_secs_f64() / f64::from(JOBS) }
}

fn sum(x: u32, kind: ImageKind) -> Job {
    let job = job(SCRIPT, &format!("[{x}, 1]"), Limits::default());
    let image = (kind == ImageKind::Script).then(|| ScriptKey::alone(&job.script));
    Job { image, ..job }
}

fn check(report: Report, x: u32) {
    match report.outcome {
        Outcome::Succeeded(value) if value.get() == (x + 1).to_string() => {}
        outcome => panic!("{outcome:?}"),
    }
}

fn median(mut of: Vec<f64>) -> f64 {
    of.sort_by(f64::total_cmp);
    of[of.len() / 2]
}

fn main() {
    runtime().block_on(async {
        let limits = Limits::default();
        let threads = std::thread::available_parallelism().expect("a number").get();
        let threads = u32::try_from(threads).expect("a few");
        let memory = limits.memory;
        let script_images = 1 << 20;
        let inside = sandbox(Capacity { instances: AT_ONCE, threads, memory, script_images });
        let plan = Plan { program: roh(), ..Plan::alone(image(), AT_ONCE, limits) };
        let plan = Plan { script_images, ..plan };
        let executors = Executors::start(plan).await.expect("executors");
        let ways = [Arc::new(Way::Inside(inside)), Arc::new(Way::Executor(executors))];
        println!("a trivial task, medians of {ROUNDS} rounds of {JOBS}, in turns:");
        compare(&ways, "from the interpreter image", ImageKind::Interpreter).await;
        compare(&ways, "from the image of its script", ImageKind::Script).await;
    });
}

async fn compare(ways: &[Arc<Way>; 2], from: &str, kind: ImageKind) {
    let mut rounds = [Vec::new(), Vec::new()];
    for number in 0..=ROUNDS {
        for (way, rounds) in ways.iter().zip(&mut rounds) {
            let measured = round(way, kind).await;
            // The first warms up.
            if number > 0 {
                rounds.push(measured);
            }
        }
    }
    let medians = |which: fn(&Round) -> f64| {
        rounds.each_ref().map(|rounds| median(rounds.iter().map(which).collect()) * 1e6)
    };
    for (name, [inside, executor]) in [
        ("one at a time", medians(|round| round.alone)),
        ("eight at once", medians(|round| round.at_once)),
    ] {
        let ratio = executor / inside;
        println!(
            "  {from}, {name}: {inside:.0} µs inside, {executor:.0} µs in an executor: {ratio:.2}"
        );
    }
}
