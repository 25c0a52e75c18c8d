//! The wasmtime engine: what compiled code looks like, how many instances fit, and
//! the clock that cuts their time into slices.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use wasmtime::{Config, Engine, EngineWeak, InstanceAllocationStrategy, PoolingAllocationConfig};

/// How long an instance computes before another gets its core.
pub(super) const SLICE: Duration = Duration::from_millis(1);

/// Native stack of the guest's code, in bytes. RustPython raises `RecursionError` by its
/// other stack, in linear memory, which should be the first to run out. Memory is taken
/// only as deep as a script goes.
const WASM_STACK: usize = 4 << 20;

/// The fiber that the guest's code and, below it, our host functions run on, in bytes.
const FIBER_STACK: usize = 5 << 20;

/// How much of a fiber an instance leaves in memory for the next, in bytes: what most tasks use.
const KEPT_STACK: usize = 16 << 10;

/// So many tasks at once are a crowd. Of each instance, what wasmtime keeps of it is in the heap, a
/// quarter of a megabyte as far as it was used, and the next crowd would use other parts of it: so
/// what is free is given back once they are gone. To map and unmap each of them by itself, as the C
/// library would if told to, makes a task of many tenants' 13 % dearer.
const CROWD: usize = 256;

/// Memory images up to this size are mapped copy-on-write. The default of 16 MiB is
/// below ours, which would then be copied for each instance.
const DENSE_IMAGE: u64 = 256 << 20;

/// Settings that compiled code depends on: the same where it is made and where it runs.
fn code_settings() -> Config {
    let mut config = Config::new();
    config
        .epoch_interruption(true)
        .max_wasm_stack(WASM_STACK)
        .async_stack_size(FIBER_STACK)
        .memory_guaranteed_dense_image_size(DENSE_IMAGE)
        // A trap's Python traceback says more than wasm frames, which cost 20 MB of map.
        .wasm_backtrace_max_frames(None)
        .generate_address_map(false)
        .wasm_relaxed_simd(false)
        .wasm_multi_memory(false)
        .wasm_memory64(false);
    config
}

/// An engine that compiles images, and runs one instance at a time.
pub(super) fn compiling() -> wasmtime::Result<Engine> {
    Engine::new(&code_settings())
}

/// An engine that boots an interpreter before its snapshot: compiles fast, runs once.
pub(super) fn booting() -> wasmtime::Result<Engine> {
    let mut config = code_settings();
    config.epoch_interruption(false).cranelift_opt_level(wasmtime::OptLevel::None);
    Engine::new(&config)
}

/// An engine with room for `instances` at once, of `memory` bytes each at most.
pub(super) fn pooled(instances: u32, memory: u64) -> wasmtime::Result<Engine> {
    let memory = usize::try_from(memory).unwrap_or(usize::MAX);
    let mut pool = PoolingAllocationConfig::new();
    pool.total_core_instances(instances)
        .total_memories(instances)
        .total_tables(instances)
        .total_stacks(instances)
        .max_core_instance_size(1 << 20)
        .table_elements(100_000)
        .max_memory_size(memory)
        .async_stack_keep_resident(KEPT_STACK);
    let mut config = code_settings();
    // Beyond that an instance's stack goes back to the system with it, however deep it was.
    config.async_stack_zeroing(true);
    config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    Engine::new(&config)
}

/// A thread that advances the engine's epoch at every slice while anything runs, and sees when a
/// crowd is gone.
pub(super) struct Ticker {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    state: Mutex<TickerState>,
    changed: Condvar,
}

#[derive(Default)]
struct TickerState {
    /// Tasks, whether they have an instance yet or not.
    running: usize,
    /// The most of them that were seen at once since something was last given back.
    peak: usize,
    /// Whether some of a crowd are left.
    rest: bool,
    closing: bool,
}

impl TickerState {
    /// Whether half of a crowd has gone, or the rest of one, since this was last asked.
    fn take_gone(&mut self) -> bool {
        self.peak = self.peak.max(self.running);
        let half = self.peak >= CROWD && self.running <= self.peak / 2;
        let gone = half || (self.rest && self.running == 0);
        if gone {
            self.peak = self.running;
            self.rest = self.running > 0;
        }
        gone
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, TickerState> {
        // Nothing panics while it holds the lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until something runs; `false` when the ticker is closing. What a crowd has left is
    /// given back before.
    fn wait(&self) -> bool {
        let mut state = self.state();
        loop {
            if state.take_gone() {
                drop(state);
                crate::heap::give_back();
                state = self.state();
            } else if state.running > 0 || state.closing {
                return !state.closing;
            } else {
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
        }
    }
}

impl Ticker {
    /// Starts the thread for `engine`. It does `before_tick` before each.
    pub(super) fn start(
        engine: &Engine,
        before_tick: impl Fn() + Send + 'static,
    ) -> std::io::Result<Ticker> {
        let shared =
            Arc::new(Shared { state: Mutex::new(TickerState::default()), changed: Condvar::new() });
        let thread = std::thread::Builder::new().name("roh-epoch".into()).spawn({
            let (shared, engine) = (shared.clone(), engine.weak());
            move || {
                super::threads::take_short_turns();
                tick(&shared, &engine, before_tick);
            }
        })?;
        Ok(Ticker { shared, thread: Some(thread) })
    }

    /// Keeps the clock going for as long as the guard lives.
    pub(super) fn run(&self) -> Running {
        let mut state = self.shared.state();
        state.running += 1;
        // To tell of it costs more than the rest.
        if state.running == 1 {
            self.shared.changed.notify_one();
        }
        drop(state);
        Running(self.shared.clone())
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.shared.state().closing = true;
        self.shared.changed.notify_one();
        if let Some(thread) = self.thread.take() {
            // It only fails if the thread panicked, and then it is gone as well.
            let _ = thread.join();
        }
    }
}

fn tick(shared: &Shared, engine: &EngineWeak, before_tick: impl Fn()) {
    while shared.wait() {
        std::thread::sleep(SLICE);
        before_tick();
        match engine.upgrade() {
            Some(engine) => engine.increment_epoch(),
            None => return,
        }
    }
}

/// Keeps the [`Ticker`] ticking.
pub(super) struct Running(Arc<Shared>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.state().running -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::{CROWD, TickerState};

    #[test]
    fn a_crowd_is_seen_to_go_by_halves_and_at_its_end() {
        let seen = |counts: &[usize]| {
            let mut state = TickerState::default();
            let mut gone = Vec::new();
            for running in counts {
                state.running = *running;
                if state.take_gone() {
                    gone.push(*running);
                }
            }
            gone
        };
        assert_eq!(seen(&[CROWD, 0, 0]), [0]);
        assert_eq!(seen(&[600, 301, 300, 299, 150, 149, 1, 0, 0]), [300, 150, 0]);
        assert_eq!(seen(&[CROWD - 1, 0, CROWD - 1, 0]), [0; 0]);
        assert_eq!(seen(&[300, 200, 300, 200]), [0; 0]);
        assert_eq!(seen(&[300, 100, 300, 100, 0]), [100, 100, 0]);
    }
}
