//! An executor that nobody started: the test says what it says.

use super::super::lockdown::Applied;
use super::super::wire::Ended;
use super::*;
use crate::outcome::Outcome;
use crate::sandbox::NoCalls;
use crate::sandbox::tests::job;

const INSTANCES: u32 = 2;

/// An executor that nobody started, and its end of the wire.
fn process() -> (Arc<Process>, Rest, Theirs) {
    let walls = Walls { seccomp: Applied::Yes, landlock: Applied::Yes, namespaces: Applied::Yes };
    let (ours, theirs) = UnixStream::pair().expect("a pair");
    let (to, rest) = outlet(&ours, wire::unwritten(INSTANCES)).expect("an end");
    theirs.set_nonblocking(true).expect("a socket");
    let theirs = (Frames::default(), inlet(theirs).expect("an end"));
    (Process::new(0, walls, INSTANCES, to), rest, theirs)
}

type Theirs = (Frames, Inlet);

async fn next((frames, theirs): &mut Theirs) -> ToExecutor {
    frames.receive(theirs, u64::MAX).await.expect("whole").expect("a message")
}

fn stopped(id: u64) -> FromExecutor {
    let report = Report::not_run(Outcome::Stopped);
    FromExecutor::Ended(RunId(id), Box::new(Ended::new(report)))
}

#[tokio::test]
async fn one_that_ends_runs_without_reading_of_them_is_not_listening() {
    let (process, _rest, _unread) = process();
    let mut handed = 0;
    let refused = loop {
        match process.run(Box::new(job(Limits::default())), Arc::new(NoCalls)) {
            Ok(_) => process.take(stopped(handed)).expect("its run"),
            Err(_) => break handed,
        }
        handed += 1;
    };
    assert!(refused as usize >= wire::unwritten(INSTANCES), "{refused}");
    assert!(process.kill.is_cancelled());
    assert_eq!(process.fault.get(), Some(&"does not listen"));
    // Nobody chooses it any more, though it is not dead yet.
    assert_eq!(process.running(&job(Limits::default()).tenant), None);
    assert_eq!(process.runs.lock().len(), 0);
}

#[tokio::test]
async fn it_has_no_more_runs_than_instances() {
    let (process, _rest, _unread) = process();
    let run = || process.run(Box::new(job(Limits::default())), Arc::new(NoCalls));
    let runs: Vec<_> = (0..INSTANCES).map(|_| run().expect("room")).collect();
    assert_eq!((process.running(&job(Limits::default()).tenant), runs.len()), (None, 2));
    assert!(run().is_err());
    process.take(stopped(0)).expect("its run");
    assert!(run().is_ok());
    assert!(!process.kill.is_cancelled());
}

#[tokio::test]
async fn a_run_has_one_call_open_and_no_more_calls_than_its_limit() {
    let (process, rest, mut theirs) = process();
    tokio::spawn(rest.write());
    let limits = Limits { calls: 100, ..Limits::default() };
    let _running = process.run(Box::new(job(limits)), Arc::new(NoCalls)).expect("alive");
    assert!(matches!(next(&mut theirs).await, ToExecutor::Run(RunId(0), _)));
    let call = || FromExecutor::Call(RunId(0), Vec::new());
    for _ in 0..limits.calls {
        process.take(call()).expect("the one before is answered");
        // The daemon's side of it has not run yet.
        assert!(matches!(process.take(call()), Err(Breach::OutOfTurn)));
        assert!(matches!(next(&mut theirs).await, ToExecutor::Answer(RunId(0), _)));
    }
    assert!(matches!(process.take(call()), Err(Breach::BeyondLimits(_))));
    let other = FromExecutor::Call(RunId(1), Vec::new());
    assert!(matches!(process.take(other), Err(Breach::NotItsRun)));
    process.take(stopped(0)).expect("its run");
    assert!(matches!(process.take(stopped(0)), Err(Breach::NotItsRun)));
}

#[tokio::test(start_paused = true)]
async fn one_that_does_not_report_the_end_of_a_run_in_time_is_late() {
    let (process, _rest, _unread) = process();
    let wall = Duration::from_secs(60);
    let limits = Limits { wall, ..Limits::default() };
    let run = || process.run(Box::new(job(limits)), Arc::new(NoCalls)).expect("room");
    let (started, _running) = (Instant::now(), run());
    late(&process).await;
    let took = started.elapsed();
    assert!((wall + GRACE..=wall + GRACE + PATROL).contains(&took), "{took:?}");
    process.take(stopped(0)).expect("its run");
    // One that is told to end has no more time for it than that.
    let (told, running) = (Instant::now(), run());
    running.stop();
    late(&process).await;
    let took = told.elapsed();
    assert!((GRACE..=GRACE + PATROL).contains(&took), "{took:?}");
    // A run that ended is not late.
    process.take(stopped(1)).expect("its run");
    assert!(timeout(wall * 2, late(&process)).await.is_err());
}
