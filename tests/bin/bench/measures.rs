//! What is measured: each of these does one round of one contestant.

use std::collections::HashMap;
use std::fs;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use roh::config::Limits;
use roh::executor::{Executors, Plan};
use roh::outcome::Outcome;
use roh::sandbox::{Job, NoCalls, ScriptKey};
use roh_tests::daemon::{image, roh};
use roh_tests::jobs::job;
use roh_tests::process::{bytes_of, stat_of};
use tokio_util::sync::CancellationToken;

use crate::Any;
use crate::client::Client;
use crate::stage::{Stage, Who, Worker, loops_queue};

/// Tasks for each second, and CPU time of each in microseconds, beyond what a start takes: the
/// first replies are seen late by a client that has to share the machine.
pub(crate) async fn throughput(
    stage: &Stage,
    client: &mut Client,
    who: Who,
    tasks: usize,
    replies: bool,
    start: &Start,
) -> Any<(f64, f64)> {
    client.enqueue(who, tasks, replies).await?;
    let began = Instant::now();
    let mut worker = stage.start(who)?;
    client.replies(if replies { tasks } else { 2 }).await?;
    let (took, cpu) = (began.elapsed().saturating_sub(start.took), cpu_seconds(worker.pid()));
    worker.stop()?;
    client.forget(who).await?;
    // The first was done when it had started.
    let counted = (tasks - 1) as f64;
    Ok((counted / took.as_secs_f64(), (cpu - start.cpu) / counted * 1e6))
}

/// Milliseconds from client to client: the median, and 99 of 100 are within.
type Trips = (f64, f64);

/// Those of the client that is the same for all, and those of clients in Python.
pub(crate) async fn round_trips(
    stage: &Stage,
    client: &mut Client,
    who: Who,
    trips: usize,
    from_python: bool,
) -> Any<(Trips, Vec<(Who, Trips)>)> {
    // Celery's own, and one that is none of theirs.
    let clients: &[_] = match who {
        _ if !from_python => &[],
        Who::Celery => &[(Who::Celery, "celery"), (Who::CeleryByPika, "pika-celery")],
        _ => &[(who, "pika")],
    };
    let worker = stage.start(who)?;
    let of = |times: Vec<f64>| (median(&times), within(0.99, times));
    let ours = of(one_by_one(client, who, trips).await?);
    let mut all = Vec::new();
    for (asked, with) in clients {
        all.push((*asked, of(stage.ask_from_python(with, trips)?)));
    }
    worker.stop()?;
    client.forget(who).await?;
    Ok((ours, all))
}

/// Milliseconds within which 99 of 100 of one tenant's tasks are back, one after the other, while
/// another tenant has endless loops on more than all cores.
pub(crate) async fn beside_loops(stage: &Stage, client: &mut Client, trips: usize) -> Any<f64> {
    let loops = 2 * std::thread::available_parallelism()?.get();
    client.enqueue_beside("def main():\n    while True:\n        pass\n", loops).await?;
    let worker = stage.start(Who::Roh)?;
    let times = one_by_one(client, Who::Roh, trips).await?;
    // It would wait for the loops.
    drop(worker);
    client.forget_loops(loops).await?;
    Ok(within(0.99, times))
}

/// Milliseconds within which 99 of 100 of one tenant's tasks are back, one after the other, while
/// another tenant has more short tasks waiting than are done.
pub(crate) async fn beside_short(stage: &Stage, client: &mut Client, trips: usize) -> Any<f64> {
    // On two cores some thirty are done meanwhile.
    client.enqueue_beside("def main():\n    pass\n", 100 * trips).await?;
    let worker = stage.start(Who::Roh)?;
    let times = one_by_one(client, Who::Roh, trips).await?;
    worker.stop()?;
    if client.purge(&loops_queue()).await? == 0 {
        return Err("there were too few short tasks".into());
    }
    client.forget(Who::Roh).await?;
    Ok(within(0.99, times))
}

/// Milliseconds of each of so many tasks, after some that warm up.
async fn one_by_one(client: &mut Client, who: Who, trips: usize) -> Any<Vec<f64>> {
    let mut times = Vec::new();
    for number in 0..trips + trips / 10 {
        let began = Instant::now();
        let sent = client.ask(who, number, true).await?;
        client.reply().await?;
        times.push(began.elapsed().as_secs_f64() * 1e3);
        // The broker may say so only when the task was acked.
        sent.await?;
    }
    Ok(times.split_off(trips / 10))
}

/// What it takes to start.
pub(crate) struct Start {
    /// Until a task is done that waited, with all that can be kept kept.
    pub(crate) took: Duration,
    /// CPU time until then, in seconds.
    cpu: f64,
    /// Bytes that are resident a second later.
    pub(crate) resident: f64,
    /// Bytes that it has to itself then.
    pub(crate) private: f64,
}

/// Starts one.
pub(crate) async fn start(stage: &Stage, client: &mut Client, who: Who) -> Any<Start> {
    client.ask(who, 0, true).await?.await?;
    let began = Instant::now();
    let mut worker = stage.start(who)?;
    client.reply().await?;
    let (took, cpu) = (began.elapsed(), cpu_seconds(worker.pid()));
    tokio::time::sleep(Duration::from_secs(1)).await;
    let (resident, private) = (resident(worker.pid()), private(worker.pid()));
    worker.stop()?;
    client.forget(who).await?;
    Ok(Start { took, cpu, resident, private })
}

/// Microseconds of a trivial task in an executor, from its start to its outcome: the median of so
/// many, one after the other, of a script that is warm.
pub(crate) async fn in_executor(tasks: usize) -> Any<f64> {
    const WARM_UP: usize = 200;
    let limits = Limits::default();
    let plan = Plan { program: roh(), script_images: 1 << 20, ..Plan::alone(image(), 1, limits) };
    let executors = Executors::start(plan).await?;
    let mut times = Vec::new();
    for number in 0..WARM_UP + tasks {
        let job = job("def main(x, y):\n    return x + y\n", &format!("[{number}, 1]"), limits);
        let job = Job { image: Some(ScriptKey::alone(&job.script)), ..job };
        let report = executors.run(job, Arc::new(NoCalls), CancellationToken::new()).await;
        match report.outcome {
            Outcome::Succeeded(value) if value.get() == (number + 1).to_string() => {}
            outcome => return Err(format!("{outcome:?}").into()),
        }
        times.push(report.usage.wall.as_secs_f64() * 1e6);
    }
    Ok(median(&times[WARM_UP..]))
}

/// Microseconds of an interpreter's process that does next to nothing: the median of so many, one
/// after the other.
pub(crate) fn python_process(stage: &Stage, tasks: usize) -> Any<f64> {
    let mut times = Vec::new();
    for _ in 0..tasks {
        let began = Instant::now();
        let ran = Command::new(&stage.python)
            .args(["-I", "-S", "-c", "print(1+1)"])
            .stdin(Stdio::null())
            .output()?;
        times.push(began.elapsed().as_secs_f64() * 1e6);
        if ran.stdout != b"2\n" {
            return Err("python can't add".into());
        }
    }
    Ok(median(&times))
}

/// What it takes to have tasks asleep.
pub(crate) struct Asleep {
    /// Bytes of memory of each that nothing else has.
    pub(crate) private: f64,
    /// Bytes of page tables of each.
    pub(crate) page_tables: f64,
    /// The slowest answer of `/healthz` meanwhile.
    pub(crate) slowest: Duration,
}

/// Has so many tasks asleep at once in one node, all of which must end well.
pub(crate) async fn asleep(stage: &Stage, client: &mut Client, tasks: usize) -> Any<Asleep> {
    // CPU time of a node within a second in which nothing is started, at most.
    const AT_REST: f64 = 0.1;
    // Time enough for all to be started, and to look at their memory, which takes a while.
    let start = Duration::from_secs(5) + tasks as u32 * Duration::from_micros(3500);
    let sleep = start + Duration::from_secs(5) + tasks as u32 * Duration::from_millis(1);
    let mut daemon = stage.start_large(tasks);
    let before = (private(daemon.pid()), page_tables(daemon.pid()));
    let (began, now) = (Instant::now(), SystemTime::now().duration_since(UNIX_EPOCH)?);
    client.enqueue_asleep(tasks, (now + sleep).as_secs_f64()).await?;
    let mut slowest = Duration::ZERO;
    while began.elapsed() < start {
        let asked = Instant::now();
        if !daemon.is_alive() {
            return Err("it does not answer".into());
        }
        slowest = slowest.max(asked.elapsed());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // To the node a task runs from the moment that it was handed over, started or not.
    let mut used = f64::NEG_INFINITY;
    while cpu_seconds(daemon.pid()) - used >= AT_REST && began.elapsed() < sleep {
        used = cpu_seconds(daemon.pid());
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    let after = (private(daemon.pid()), page_tables(daemon.pid()));
    let all = format!(" {tasks}.0");
    let metrics = daemon.metrics();
    let mut lines = metrics.lines().filter(|line| line.starts_with("roh_running_tasks"));
    if !lines.any(|line| line.ends_with(&all)) || began.elapsed() > sleep {
        return Err("not all of them are asleep at once".into());
    }
    client.replies(tasks).await?;
    Worker::Roh(daemon).stop()?;
    let each = |before: f64, after: f64| (after - before) / tasks as f64;
    let (private, page_tables) = (each(before.0, after.0), each(before.1, after.1));
    Ok(Asleep { private, page_tables, slowest })
}

/// The unit of which more is better.
pub(crate) const RATE: &str = "tasks/s";

/// The value in the middle.
pub(crate) fn median(values: &[f64]) -> f64 {
    within(0.5, values.to_vec())
}

/// The least value that this share of `values` does not exceed.
pub(crate) fn within(share: f64, mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[((values.len() - 1) as f64 * share) as usize]
}

/// A process and all that it started, with the fields of their `/proc/PID/stat` from the third on.
fn family(pid: u32) -> HashMap<u32, Vec<f64>> {
    let mut processes = HashMap::<u32, Vec<f64>>::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        // It may have ended meanwhile.
        let Ok(fields) = stat_of(pid) else { continue };
        let fields = fields.iter().map(|field| field.parse().unwrap_or_default()).collect();
        processes.insert(pid, fields);
    }
    let is_ours = |of: &u32| {
        let mut of = *of;
        loop {
            match processes.get(&of) {
                _ if of == pid => return true,
                Some(fields) => of = fields[1] as u32,
                None => return false,
            }
        }
    };
    let ours: Vec<u32> = processes.keys().copied().filter(is_ours).collect();
    ours.into_iter().filter_map(|pid| processes.remove_entry(&pid)).collect()
}

/// CPU time so far of a process and all that it started, children that ended among them.
pub(crate) fn cpu_seconds(pid: u32) -> f64 {
    let ticks = rustix::param::clock_ticks_per_second() as f64;
    family(pid).values().map(|fields| fields[11..15].iter().sum::<f64>()).sum::<f64>() / ticks
}

/// Bytes that a process and all that it started have resident; what they share counts for each.
fn resident(pid: u32) -> f64 {
    family(pid).values().map(|fields| fields[21]).sum::<f64>() * rustix::param::page_size() as f64
}

/// Bytes of memory that a process and all that it started take from the machine beside files on disk
/// that they have mapped: how much of those is resident is up to the kernel, which has them anyway.
/// What they share counts once.
fn private(pid: u32) -> f64 {
    sizes(pid, "smaps_rollup", &["Pss_Anon:", "Pss_Shmem:", "SwapPss:"])
}

/// Bytes of the page tables of a process and all that it started.
fn page_tables(pid: u32) -> f64 {
    sizes(pid, "status", &["VmPTE:"])
}

/// Bytes that such a file in `/proc/PID` has under these names, of a process and all that it
/// started.
fn sizes(pid: u32, file: &str, names: &[&str]) -> f64 {
    // It may have ended meanwhile.
    let of = |pid: u32| bytes_of(pid, file, names).unwrap_or_default();
    family(pid).into_keys().map(of).sum()
}
