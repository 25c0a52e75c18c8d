//! What the fuzz targets share: a bound on what an input may have allocated, a runtime, a
//! folder, and a job.

use std::alloc::System;
use std::panic;
use std::path::Path;
use std::sync::Once;
use std::time::Duration;

use cap::Cap;
use roh::config::Limits;
use roh::sandbox::Job;
use roh::task::TenantName;
use roh_abi::Script;
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};

/// Counts what Rust code allocates. Beyond its limit an allocation fails, which aborts.
#[global_allocator]
static ALLOCATED: Cap<System> = Cap::new(System, usize::MAX);

thread_local! {
    static RUNTIME: Runtime = Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime of this thread alone");
}

/// Does `work`, which may hold `bytes` at once beyond what is held already.
pub fn within<T>(bytes: usize, work: impl FnOnce() -> T) -> T {
    static LIFTED: Once = Once::new();
    LIFTED.call_once(|| {
        let abort = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            // A trace takes memory, too.
            limit(usize::MAX);
            abort(info);
        }));
    });
    limit(ALLOCATED.allocated() + bytes);
    let done = work();
    limit(usize::MAX);
    done
}

fn limit(bytes: usize) {
    ALLOCATED.set_limit(bytes).expect("more than is allocated");
}

/// Waits for `work` on this thread.
pub fn block_on<T>(work: impl Future<Output = T>) -> T {
    RUNTIME.with(|runtime| runtime.block_on(work))
}

/// A folder for small files, in memory where there is such a place.
pub fn folder() -> TempDir {
    let memory = Path::new("/dev/shm");
    let folder = match memory.is_dir() {
        true => tempfile::tempdir_in(memory),
        false => tempfile::tempdir(),
    };
    folder.expect("a folder")
}

/// The pieces of `input`, each after its length in one byte.
pub fn pieces(mut input: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let (len, rest) = input.split_first()?;
        let (piece, rest) = rest.split_at(usize::from(*len).min(rest.len()));
        input = rest;
        Some(piece)
    })
}

/// Limits so low that inputs of a few bytes reach them.
pub fn limits() -> Limits {
    Limits {
        memory: 1 << 20,
        cpu: Duration::from_secs(5),
        wall: Duration::from_millis(5),
        output: 16,
        message: 100,
        result: 16,
        calls: 8,
        call_bytes: 8 << 10,
        log_lines: 1,
    }
}

/// A job with these limits.
pub fn job(limits: Limits) -> Job {
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
