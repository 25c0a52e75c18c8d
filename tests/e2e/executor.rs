//! Executors that die, that lie, that are kept apart: tasks end as they should all the
//! same, and the daemon goes on.

use std::io::Write as _;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use roh::config::Limits;
use roh::executor::{Executors, Plan};
use roh::outcome::{Outcome, Report};
use roh::sandbox::{Calls, Job, NoCalls, ScriptKey};
use roh::task::TenantName;
use roh_tests::clients::{Collector, Publisher, Tasks};
use roh_tests::daemon::{Daemon, Settings, image, roh};
use roh_tests::jobs::job;
use roh_tests::process::{own_bytes, poll, stat_of};
use roh_tests::rabbit::{Depth, Rabbit};
use rustix::fs::{Mode, OFlags};
use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio_util::sync::CancellationToken;

use crate::amqp::{SOON, run, unique};

crate::tests![
    no_task_is_lost_when_executors_are_killed_under_load,
    an_executor_that_lies_harms_nothing_but_its_own_runs,
    a_stopped_executor_is_given_up,
    an_executor_leaves_a_services_signals_to_its_daemon,
    an_executor_is_in_its_daemons_session_without_its_terminal,
    a_task_that_waits_has_few_pages_of_its_own,
    a_crowd_that_is_gone_leaves_little_behind,
    no_stack_stays_that_went_deep,
];

const LONG: Duration = Duration::from_secs(300);

fn no_task_is_lost_when_executors_are_killed_under_load(rabbit: &Rabbit) {
    const COUNT: usize = 3000;
    const KILLS: usize = 8;
    let (url, name) = (rabbit.url(), unique("killed"));
    let mut settings = Settings::new("node-a", &url, &name);
    settings.max_deliveries = 100;
    let mut daemon = Daemon::start(&settings);
    let replies = format!("{name}.replies");
    let mut collector = Collector::start(&url, &replies, COUNT, LONG);
    let tasks = Tasks { reply_to: Some(&replies), ..Tasks::default() };
    let publisher = Publisher::start(&url, &settings.exchange, COUNT, "task", tasks);
    let mut slowest = Duration::ZERO;
    for kill in 1..=KILLS {
        collector.wait_for(kill * 100);
        let executors = daemon.executors();
        let killed = executors[kill % executors.len()];
        kill_process(killed, Signal::KILL).expect("it is ours");
        let since = Instant::now();
        let replaced = poll(SOON, || {
            let now = daemon.executors();
            now.len() == executors.len() && !now.contains(&killed)
        });
        assert!(replaced, "no other executor after {kill} kills");
        slowest = slowest.max(since.elapsed());
    }
    publisher.finish(LONG);
    let replies = collector.finish();
    assert_eq!(replies.len(), COUNT);
    for reply in replies.values().flatten() {
        assert_eq!(reply["status"], "succeeded", "{reply}");
    }
    let empty = Some(Depth { ready: 0, unacked: 0 });
    assert!(poll(SOON, || rabbit.depth(&settings.queue).expect("a queue") == empty));
    assert_eq!(rabbit.depth(&settings.dead).expect("a queue"), empty);
    assert!(daemon.is_alive() && daemon.is_ready());
    let line =
        format!("executors: another was there within {slowest:.0?} of each of {KILLS} kills\n");
    let _ = std::io::stderr().write_all(line.as_bytes());
}

pub(crate) fn plan(program: std::path::PathBuf, limits: Limits) -> Plan {
    Plan { program, ..Plan::alone(image(), 4, limits) }
}

fn doubled(x: u32, limits: Limits) -> Job {
    job("def main(x):\n    print(x)\n    return x * 2\n", &format!("[{x}]"), limits)
}

fn an_executor_that_lies_harms_nothing_but_its_own_runs(_: &Rabbit) {
    const COUNT: u32 = 1000;
    let limits = Limits { wall: Duration::from_secs(2), ..Limits::default() };
    run(async move {
        let mangler = roh().with_file_name("roh-mangler");
        let executors = Arc::new(Executors::start(plan(mangler, limits)).await.unwrap());
        let (mut true_ones, mut crashed) = (0, 0);
        let mut runs = tokio::task::JoinSet::new();
        for x in 0..COUNT {
            if runs.len() == 4 {
                count(runs.join_next().await, &mut true_ones, &mut crashed);
            }
            let executors = executors.clone();
            runs.spawn(async move {
                let job = doubled(x, limits);
                let report = executors.run(job, Arc::new(NoCalls), CancellationToken::new()).await;
                (x, report)
            });
        }
        while let Some(ended) = runs.join_next().await {
            count(Some(ended), &mut true_ones, &mut crashed);
        }
        // Both happen, or nothing was tested.
        assert!(true_ones > COUNT / 4, "{true_ones} of {COUNT}");
        assert!(crashed > 0, "nothing was tampered with");
    });
}

type Ended = Result<(u32, Report), tokio::task::JoinError>;

fn count(ended: Option<Ended>, true_ones: &mut u32, crashed: &mut u32) {
    let (x, report) = ended.expect("one was running").expect("the daemon's side never panics");
    match report.outcome {
        Outcome::Succeeded(value) if value.get() == (x * 2).to_string() => *true_ones += 1,
        Outcome::Crashed(_) => *crashed += 1,
        // It may say of its own run whatever such a run can come to.
        _ => {}
    }
}

fn an_executor_leaves_a_services_signals_to_its_daemon(_: &Rabbit) {
    let limits = Limits::default();
    run(async move {
        let executors = Executors::start(plan(roh(), limits)).await.unwrap();
        let [pid] = executors.pids()[..] else { panic!("one executor") };
        let of = Pid::from_raw(pid.cast_signed()).unwrap();
        for signal in [Signal::TERM, Signal::INT, Signal::HUP] {
            kill_process(of, signal).unwrap();
            let job = doubled(2, limits);
            let report = executors.run(job, Arc::new(NoCalls), CancellationToken::new()).await;
            assert!(matches!(&report.outcome, Outcome::Succeeded(_)), "{signal:?}: {report:?}");
        }
        assert_eq!(executors.pids(), [pid]);
    });
}

fn an_executor_is_in_its_daemons_session_without_its_terminal(rabbit: &Rabbit) {
    /// Group, session and terminal of a process, as numbers.
    fn place(pid: u32) -> [String; 3] {
        let fields = stat_of(pid).unwrap();
        std::array::from_fn(|i| fields[2 + i].clone())
    }
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&master).unwrap();
    unlockpt(&master).unwrap();
    let terminal = ptsname(&master, Vec::new()).unwrap();
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
    let terminal = rustix::fs::open(terminal, flags, Mode::empty()).unwrap();
    let settings = Settings::new("node-a", &rabbit.url(), &unique("terminal"));
    let Some(mut daemon) = Daemon::start_in_terminal(&settings, terminal) else { return };
    let [_, daemons_session, daemons_terminal] = place(daemon.pid());
    assert_eq!(daemons_session, daemon.pid().to_string());
    assert_ne!(daemons_terminal, "0");
    let executors = daemon.executors();
    assert!(!executors.is_empty());
    for pid in executors.iter().map(|pid| pid.as_raw_nonzero().get().cast_unsigned()) {
        let [group, session, terminal] = place(pid);
        // What a terminal tells its foreground does not come at all.
        assert_eq!(group, pid.to_string());
        // In another, it could be in a control group of its own.
        assert_eq!(session, daemons_session);
        assert_eq!(terminal, "0");
    }
}

/// One that does not so much as die.
fn a_stopped_executor_is_given_up(_: &Rabbit) {
    let limits = Limits { wall: Duration::from_millis(500), ..Limits::default() };
    run(async move {
        let executors = Executors::start(plan(roh(), limits)).await.unwrap();
        let [pid] = executors.pids()[..] else { panic!("one executor") };
        let pid = Pid::from_raw(pid.cast_signed()).unwrap();
        kill_process(pid, Signal::STOP).unwrap();
        let run =
            |x| executors.run(doubled(x, limits), Arc::new(NoCalls), CancellationToken::new());
        let report = run(1).await;
        assert!(matches!(report.outcome, Outcome::Crashed(_)), "{report:?}");
        let report = run(2).await;
        assert!(matches!(&report.outcome, Outcome::Succeeded(_)), "{report:?}");
        assert_ne!(executors.pids(), [pid.as_raw_nonzero().get().cast_unsigned()]);
    });
}

/// Tells of each question, and answers none.
struct Silent(UnboundedSender<()>);

impl Calls for Silent {
    fn answer(&self, _: Vec<u8>) -> Pin<Box<dyn Future<Output = Vec<u8>> + Send + '_>> {
        self.0.send(()).expect("somebody listens");
        Box::pin(std::future::pending())
    }
}

/// Tasks that all wait at once in one executor.
struct Waiting {
    executors: Arc<Executors>,
    limits: Limits,
    calls: Arc<Silent>,
    asked: UnboundedReceiver<()>,
    stop: CancellationToken,
    runs: tokio::task::JoinSet<Report>,
}

impl Waiting {
    /// With room for so many.
    async fn start(most: u32) -> Waiting {
        let limits = Limits { wall: LONG, ..Limits::default() };
        let alone = Plan::alone(image(), most, limits);
        let plan = Plan { program: roh(), script_images: 1 << 20, ..alone };
        let executors = Arc::new(Executors::start(plan).await.unwrap());
        let (sender, asked) = unbounded_channel();
        let (calls, stop) = (Arc::new(Silent(sender)), CancellationToken::new());
        Waiting { executors, limits, calls, asked, stop, runs: tokio::task::JoinSet::new() }
    }

    /// Starts more of them, and returns once they wait.
    async fn start_more(&mut self, count: u32) {
        for _ in 0..count {
            let job = job("import roh\n\ndef main():\n    roh.progress(1)\n", "[]", self.limits);
            let job = Job { image: Some(ScriptKey::alone(&job.script)), ..job };
            let (executors, calls) = (self.executors.clone(), self.calls.clone());
            let stop = self.stop.clone();
            self.runs.spawn(async move { executors.run(job, calls, stop).await });
        }
        for _ in 0..count {
            let asks = tokio::time::timeout(SOON, self.asked.recv()).await;
            assert!(asks.is_ok(), "not all ask: {:?}", self.runs.try_join_next());
        }
    }

    /// Stops all of them.
    async fn stop(&mut self) {
        std::mem::take(&mut self.stop).cancel();
        while let Some(ended) = self.runs.join_next().await {
            let outcome = ended.expect("no panic").outcome;
            assert!(matches!(outcome, Outcome::Stopped), "{outcome:?}");
        }
    }

    /// Bytes of the executor that no file holds.
    fn own_bytes(&self) -> f64 {
        let [pid] = self.executors.pids()[..] else { panic!("one executor") };
        own_bytes(pid)
    }
}

fn a_task_that_waits_has_few_pages_of_its_own(_: &Rabbit) {
    if !cfg!(target_os = "linux") {
        // Nobody else tells.
        return;
    }
    const FIRST: u32 = 50;
    const MORE: u32 = 100;
    // It is some 470 KiB, most of it pages that it has written to.
    let most = 600_000.0 * (rustix::param::page_size() / 4096) as f64;
    run(async move {
        let mut waiting = Waiting::start(FIRST + MORE).await;
        waiting.start_more(FIRST).await;
        let first = waiting.own_bytes();
        waiting.start_more(MORE).await;
        let each = (waiting.own_bytes() - first) / f64::from(MORE);
        waiting.stop().await;
        assert!(each <= most, "{each} bytes each");
    });
}

fn a_crowd_that_is_gone_leaves_little_behind(_: &Rabbit) {
    if !cfg!(all(target_os = "linux", target_env = "gnu")) {
        // Others give memory back when they like.
        return;
    }
    const CROWD: u32 = 600;
    const TIMES: u32 = 5;
    // The end of its stack is kept with its slot.
    let most = 48_000.0 + rustix::param::page_size().max(16 << 10) as f64;
    run(async move {
        let mut waiting = Waiting::start(CROWD).await;
        let before = waiting.own_bytes();
        for _ in 0..TIMES {
            waiting.start_more(CROWD).await;
            waiting.stop().await;
        }
        let mut each = 0.0;
        let little = poll(SOON, || {
            each = (waiting.own_bytes() - before) / f64::from(CROWD);
            each < most
        });
        assert!(little, "{each} bytes for each of them");
    });
}

/// What the guest's code runs on is part of no task's memory limit.
fn no_stack_stays_that_went_deep(_: &Rabbit) {
    if !cfg!(target_os = "linux") {
        // Nobody else tells.
        return;
    }
    const TASKS: u32 = 64;
    // Takes more of the stack than of the memory, and ends in good order.
    const DEEP: &str = "
def nested(x):
    for _ in range(7_000):
        x = (x,)
    return x

def main():
    try:
        return nested(1) == nested(1)
    except RecursionError:
        pass
";
    let limits = Limits::default();
    run(async move {
        let plan = Plan { program: roh(), ..Plan::alone(image(), 4, limits) };
        let executors = Executors::start(plan).await.unwrap();
        let [pid] = executors.pids()[..] else { panic!("one executor") };
        let mut held = Vec::new();
        // An instance is kept for its tenant only.
        for tenants in [0..4, 4..TASKS] {
            for tenant in tenants {
                let tenant = TenantName::new(&format!("tenant-{tenant}"));
                let job = Job { tenant, ..job(DEEP, "[]", limits) };
                let report = executors.run(job, Arc::new(NoCalls), CancellationToken::new()).await;
                assert!(matches!(&report.outcome, Outcome::Succeeded(_)), "{report:?}");
            }
            held.push(own_bytes(pid));
        }
        let each = (held[1] - held[0]) / f64::from(TASKS - 4);
        assert!(each < 500_000.0, "{each} bytes each");
    });
}
