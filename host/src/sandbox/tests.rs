//! The sandbox against small guests made by hand, which do what Python's would not.

use std::time::Duration;

use super::*;

/// A guest that says `ready` to every load, allocates at 1024, and has `call` for the
/// body of `roh_call`. A reply of 42 lies at 16.
fn guest(call: &str) -> Vec<u8> {
    let text = format!(
        r#"(module
            (import "wasi_snapshot_preview1" "poll_oneoff"
                (func $poll (param i32 i32 i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "fd_write"
                (func $write (param i32 i32 i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "path_open"
                (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "random_get"
                (func $random (param i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
            (import "roh" "panicked" (func $panicked (param i32 i32)))
            (import "roh" "answer" (func $answer (param i32 i32)))
            (memory (export "memory") 1)
            (global $stack (export "__stack_pointer") (mut i32) (i32.const 60000))
            (data (i32.const 0) "\00\00")
            (data (i32.const 16) "\00\0242")
            (data (i32.const 32) "\00\03{{x}}")
            (data (i32.const 48) "it broke")
            (data (i32.const 64) "\00\ff\01")
            (func (export "roh_alloc") (param i32) (result i32) (i32.const 1024))
            (func (export "roh_load") (param i32 i32) (result i64) (i64.const 2))
            (func $forever (loop $again (br $again)))
            (func $deeper (call $deeper))
            (func $grow (loop $again
                (br_if $again (i32.ne (memory.grow (i32.const 1)) (i32.const -1)))))
            (func (export "roh_call") (param i32 i32) (result i64) {call})
        )"#
    );
    wat::parse_str(text).expect("valid text")
}

/// What `roh_call` returns for the reply of `len` bytes at `ptr`.
fn reply(ptr: u64, len: u64) -> String {
    format!("(i64.const {})", ptr << 32 | len)
}

fn sandbox(call: &str) -> Sandbox {
    let engine = engine::pooled(16, 2 << 20).expect("an engine");
    let module = Module::new(&engine, guest(call)).expect("a module");
    Sandbox::start(Ready::of_module(&module, 2).expect("linked")).expect("a sandbox")
}

fn limits() -> Limits {
    Limits {
        memory: 1 << 20,
        cpu: Duration::from_millis(50),
        wall: Duration::from_secs(30),
        output: 4,
        message: 100,
        result: 100,
        ..Limits::default()
    }
}

pub(crate) fn job(limits: Limits) -> Job {
    Job {
        tenant: TenantName::new("t"),
        share: 1,
        id: "i".into(),
        attempt: 1,
        script: Script::Module { name: "m".into() },
        image: None,
        function: "f".into(),
        args: "[]".into(),
        kwargs: "{}".into(),
        limits,
    }
}

async fn run(call: &str, limits: Limits) -> Report {
    run_in(&sandbox(call), job(limits), CancellationToken::new()).await
}

async fn run_in(sandbox: &Sandbox, job: Job, stop: CancellationToken) -> Report {
    let (sender, report) = tokio::sync::oneshot::channel();
    sandbox.spawn(job, Arc::new(NoCalls), stop, |report, _| {
        let _ = sender.send(report);
    });
    report.await.expect("every job has a report")
}

#[tokio::test]
async fn returns_the_value_and_what_was_printed_up_to_the_limit() {
    let report = run(
        &format!(
            r#"(i32.store (i32.const 200) (i32.const 48))
               (i32.store (i32.const 204) (i32.const 8))
               (drop (call $write (i32.const 1) (i32.const 200) (i32.const 1) (i32.const 300)))
               {}"#,
            reply(16, 4)
        ),
        limits(),
    )
    .await;
    assert!(matches!(&report.outcome, Outcome::Succeeded(value) if value.get() == "42"));
    assert_eq!((report.stdout.as_str(), report.stderr.as_str()), ("it b", ""));
    assert_eq!(report.usage.memory_bytes, 65536);
}

#[tokio::test]
async fn an_endless_loop_reaches_the_cpu_limit_or_the_wall_limit_whichever_is_less() {
    let endless = "(call $forever) (i64.const 0)";
    let report = run(endless, limits()).await;
    assert!(matches!(report.outcome, Outcome::Timeout(TimeLimit::Cpu, _)), "{report:?}");
    assert!(report.usage.cpu >= Duration::from_millis(50), "{report:?}");
    let wall = Limits { cpu: Duration::from_secs(30), wall: Duration::from_millis(20), ..limits() };
    let report = run(endless, wall).await;
    assert!(matches!(report.outcome, Outcome::Timeout(TimeLimit::Wall, _)), "{report:?}");
}

/// Sleeps for an hour.
const SLEEP: &str = r#"
    (i64.store (i32.const 224) (i64.const 3600000000000))
    (i32.store (i32.const 216) (i32.const 1))
    (drop (call $poll (i32.const 200) (i32.const 400) (i32.const 1) (i32.const 500)))
    (i64.const 0)"#;

#[tokio::test]
async fn sleep_reaches_the_wall_limit_and_uses_no_cpu() {
    let report = run(SLEEP, Limits { wall: Duration::from_millis(100), ..limits() }).await;
    assert!(matches!(report.outcome, Outcome::Timeout(TimeLimit::Wall, _)), "{report:?}");
    assert!(report.usage.cpu < Duration::from_millis(50), "{report:?}");
}

#[tokio::test]
async fn both_a_sleeping_and_a_busy_task_can_be_stopped() {
    for call in [SLEEP, "(call $forever) (i64.const 0)"] {
        let limits = Limits { cpu: Duration::from_secs(3600), ..limits() };
        let stop = CancellationToken::new();
        let task = tokio::spawn({
            let (sandbox, stop) = (sandbox(call), stop.clone());
            async move { run_in(&sandbox, job(limits), stop).await }
        });
        // Long enough to be in the midst of it; were it not, it would be stopped as well.
        tokio::time::sleep(Duration::from_millis(50)).await;
        stop.cancel();
        let report = task.await.expect("no panic");
        assert!(matches!(report.outcome, Outcome::Stopped), "{call}");
    }
}

#[tokio::test]
async fn endless_loops_do_not_keep_another_task_from_its_turn() {
    let sandbox = Arc::new(sandbox(
        // Function 0 loops, any other returns: its name's length is the first byte.
        &format!(
            r#"(if (i32.eq (i32.load8_u (i32.const 1024)) (i32.const 4)) (then (call $forever)))
               {}"#,
            reply(16, 4)
        ),
    ));
    let limits = Limits { cpu: Duration::from_secs(3600), ..limits() };
    let stop = CancellationToken::new();
    let endless: Vec<_> = (0..10)
        .map(|_| {
            let (sandbox, stop) = (sandbox.clone(), stop.clone());
            let job = Job { function: "loop".into(), ..job(limits) };
            tokio::spawn(async move { run_in(&sandbox, job, stop).await })
        })
        .collect();
    let report = run_in(&sandbox, job(limits), CancellationToken::new()).await;
    assert!(matches!(report.outcome, Outcome::Succeeded(_)), "{report:?}");
    stop.cancel();
    for task in endless {
        let report = task.await.expect("no panic");
        assert!(matches!(report.outcome, Outcome::Stopped), "{report:?}");
    }
}

#[tokio::test]
async fn endless_loops_of_two_tenants_compute_by_their_shares() {
    let sandbox = Arc::new(sandbox("(call $forever) (i64.const 0)"));
    let stop = CancellationToken::new();
    let run = |tenant, share, cpu| {
        let (sandbox, stop) = (sandbox.clone(), stop.clone());
        let limits = Limits { cpu, ..limits() };
        let job = Job { tenant: TenantName::new(tenant), share, ..job(limits) };
        tokio::spawn(async move { run_in(&sandbox, job, stop).await.usage.cpu })
    };
    let small = [(); 8].map(|()| run("small", 1, Duration::from_secs(3600)));
    let large = [(); 4].map(|()| run("large", 3, Duration::from_millis(300)));
    let mut cpu = [Duration::ZERO; 2];
    for task in large {
        cpu[1] += task.await.expect("no panic");
    }
    stop.cancel();
    for task in small {
        cpu[0] += task.await.expect("no panic");
    }
    // Not by tasks: of those, the small one has more.
    assert!(cpu[0] * 2 < cpu[1] && cpu[0] * 5 > cpu[1], "{cpu:?}");
}

#[tokio::test]
async fn tells_apart_how_an_instance_breaks() {
    let status = |call: &'static str| async move {
        let report = run(call, limits()).await;
        (report.outcome.status().as_str(), report.outcome.reason().unwrap_or_default())
    };
    let (name, reason) = status("(call $grow) (unreachable)").await;
    assert_eq!((name, reason.as_str()), ("out-of-memory", "memory limit of 1.0 MiB reached"));
    let (name, reason) = status("(unreachable)").await;
    assert!(name == "crashed" && reason.contains("unreachable"), "{name}: {reason}");
    let panic = "(call $panicked (i32.const 48) (i32.const 8)) (unreachable)";
    let (name, reason) = status(panic).await;
    assert!(name == "crashed" && reason.contains("it broke"), "{name}: {reason}");
    // Whatever panics once memory has run out does so for want of it.
    let panic = "(call $grow) (call $panicked (i32.const 48) (i32.const 8)) (unreachable)";
    let (name, reason) = status(panic).await;
    assert!(name == "out-of-memory", "{name}: {reason}");
    let (name, reason) = status("(call $deeper) (i64.const 0)").await;
    assert!(name == "failed" && reason.starts_with("RecursionError"), "{name}: {reason}");
    // The other stack, in memory: below its end there is nothing, and only then it is that.
    let below = "(global.set $stack (i32.const -100))
                 (i32.store (global.get $stack) (i32.const 1)) (i64.const 0)";
    let (name, reason) = status(below).await;
    assert!(name == "failed" && reason.starts_with("RecursionError"), "{name}: {reason}");
    let (name, reason) = status("(i32.store (i32.const -100) (i32.const 1)) (i64.const 0)").await;
    assert!(name == "crashed" && reason.contains("out of bounds"), "{name}: {reason}");
    let (name, reason) = status("(call $exit (i32.const 3)) (i64.const 0)").await;
    assert!(name == "failed" && reason.starts_with("SystemExit"), "{name}: {reason}");
}

#[tokio::test]
async fn a_guest_that_lies_crashes_and_nothing_else() {
    for (call, expected) in [
        (reply(65530, 100), "outside of its memory"),
        (reply(0xffff_ffff, 100), "outside of its memory"),
        (reply(0, 0xffff_ffff), "more than it may"),
        (reply(1024, 0), "not a message"),
        (reply(32, 5), "result is not JSON"),
        (reply(64, 3 + 255), "result is longer"),
        ("(call $answer (i32.const 0) (i32.const 9)) (i64.const 0)".into(), "outside"),
        ("(call $panicked (i32.const -1) (i32.const -1)) (i64.const 0)".into(), "outside"),
    ] {
        let report = run(&call, limits()).await;
        let reason = report.outcome.reason().unwrap_or_default();
        assert_eq!(report.outcome.status().as_str(), "crashed", "{call}: {reason}");
        assert!(reason.contains(expected), "{call}: {reason}");
    }
}

#[tokio::test]
async fn calls_that_are_refused_or_point_nowhere_return_an_error_number() {
    // Returns the reply 42 if the call gives the number expected, else traps.
    let check = |call: &str, errno: i32| {
        let reply = reply(16, 4);
        format!(
            "(if (result i64) (i32.eq {call} (i32.const {errno})) (then {reply}) (else unreachable))"
        )
    };
    let zeros = "(i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) \
                 (i64.const 0) (i64.const 0) (i32.const 0) (i32.const 0)";
    for (call, errno) in [
        (format!("(call $open {zeros})"), 76),
        ("(call $random (i32.const 65000) (i32.const 1000))".into(), 21),
        ("(call $random (i32.const 0) (i32.const -1))".into(), 28),
        ("(call $write (i32.const 5) (i32.const 0) (i32.const 0) (i32.const 0))".into(), 8),
        ("(call $write (i32.const 1) (i32.const -8) (i32.const 2) (i32.const 0))".into(), 21),
        ("(call $write (i32.const 1) (i32.const 0) (i32.const -1) (i32.const 0))".into(), 28),
        ("(call $poll (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0))".into(), 28),
        ("(call $poll (i32.const -1) (i32.const 0) (i32.const 9) (i32.const 0))".into(), 21),
    ] {
        let report = run(&check(&call, errno), limits()).await;
        assert!(matches!(report.outcome, Outcome::Succeeded(_)), "{call}: {report:?}");
    }
}

#[tokio::test]
async fn an_instance_never_sees_what_another_left() {
    // Fails unless the byte at 2000 is 0, then sets it.
    let call = format!(
        r#"(if (i32.load8_u (i32.const 2000)) (then unreachable))
           (i32.store8 (i32.const 2000) (i32.const 1))
           {}"#,
        reply(16, 4)
    );
    let sandbox = sandbox(&call);
    for _ in 0..50 {
        let report = run_in(&sandbox, job(limits()), CancellationToken::new()).await;
        assert!(matches!(report.outcome, Outcome::Succeeded(_)), "{report:?}");
    }
}
