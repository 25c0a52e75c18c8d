//! What an executor does all day, which nothing may take from it.

use std::hash::{BuildHasher, RandomState};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::runtime::{Builder, Runtime};
use wasmtime::{
    Config, Engine, InstanceAllocationStrategy, Linker, Module, PoolingAllocationConfig, Store,
    UpdateDeadline,
};

/// As many instances as there is room for in the pool.
const INSTANCES: u32 = 8;

const MODULE: &str = r#"
    (module
      (import "room" "nap" (func $nap))
      (memory (export "memory") 17 1024)
      (data (i32.const 65536) "a part of the image")
      (func (export "fine") (result i32)
        (drop (memory.grow (i32.const 16)))
        (memory.fill (i32.const 70000) (i32.const 1) (i32.const 200000))
        (call $nap)
        (i32.load8_u (i32.const 65536)))
      (func (export "unreachable") unreachable)
      (func (export "division") (drop (i32.div_s (i32.const 1) (i32.load (i32.const 0)))))
      (func (export "bounds") (drop (i32.load (i32.const 0x7ffffff0))))
      (func $deep (export "stack") (call $deep) (call $deep))
      (func (export "endless") (loop (br 0))))"#;

type Need = fn(&Image);

pub(crate) const NEEDS: &[(&str, Need)] = &[
    ("threads start, allocate, sleep and end", |_| threads()),
    ("tokio runs tasks and timers and talks over the socket", |_| tokio()),
    ("instances run, sleep, trap and are interrupted", instances),
    ("the log is written", |_| eprint!("written")),
    ("panics unwind", |_| assert!(std::panic::catch_unwind(|| panic!("no harm")).is_err())),
    ("clocks and random numbers", |_| clocks()),
    ("abort", |_| std::process::abort()),
    ("a stack that runs out", |_| assert_ne!(descend(1), 0)),
];

/// What is mapped before the door is shut.
pub(crate) struct Image {
    engine: Engine,
    module: Module,
}

pub(crate) fn compile() -> Vec<u8> {
    engine().precompile_module(&wat::parse_str(MODULE).unwrap()).unwrap()
}

pub(crate) fn load() -> Image {
    let engine = engine();
    let file = io::stdout().as_fd().try_clone_to_owned().unwrap();
    // SAFETY: the test wrote it with `compile`, and to no other end.
    let module = unsafe { Module::deserialize_open_file(&engine, file.into()) }.unwrap();
    Image { engine, module }
}

fn engine() -> Engine {
    let mut pool = PoolingAllocationConfig::new();
    pool.total_core_instances(INSTANCES)
        .total_memories(INSTANCES)
        .total_tables(INSTANCES)
        .total_stacks(INSTANCES)
        .max_memory_size(64 << 20);
    let mut config = Config::new();
    config.epoch_interruption(true).allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    Engine::new(&config).unwrap()
}

fn threads() {
    let threads: Vec<_> = (0..16)
        .map(|i| {
            thread::Builder::new()
                .name(format!("room-{i}"))
                .spawn(move || {
                    // In the thread's own arena, and large enough for maps of their own.
                    let blocks: Vec<Vec<u8>> = (0..100).map(|n| vec![1; n * 10_000]).collect();
                    thread::sleep(Duration::from_millis(1));
                    blocks.iter().map(Vec::len).sum::<usize>()
                })
                .unwrap()
        })
        .collect();
    assert!(threads.into_iter().all(|thread| thread.join().unwrap() == 49_500_000));
    assert!(thread::available_parallelism().is_ok());
}

fn runtime() -> Runtime {
    Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

fn tokio() {
    let socket = UnixStream::from(io::stdin().as_fd().try_clone_to_owned().unwrap());
    socket.set_nonblocking(true).unwrap();
    runtime().block_on(async {
        let mut socket = tokio::net::UnixStream::from_std(socket).unwrap();
        let mut word = [0; 4];
        socket.read_exact(&mut word).await.unwrap();
        assert_eq!(&word, b"ping");
        let nap = Duration::from_millis(5);
        let never = tokio::time::timeout(nap, std::future::pending::<()>());
        never.await.unwrap_err();
        let tasks: Vec<_> = (0..100).map(|_| tokio::spawn(tokio::time::sleep(nap))).collect();
        for task in tasks {
            task.await.unwrap();
        }
        tokio::task::spawn_blocking(|| thread::sleep(Duration::from_millis(1))).await.unwrap();
        socket.write_all(b"po").await.unwrap();
        let (_, mut half) = socket.split();
        let pieces = [io::IoSlice::new(b"n"), io::IoSlice::new(b"g")];
        assert_eq!(half.write_vectored(&pieces).await.unwrap(), 2);
        half.shutdown().await.unwrap();
    });
}

fn instances(image: &Image) {
    let mut linker = Linker::new(&image.engine);
    linker
        .func_wrap_async("room", "nap", |_, ()| {
            Box::new(tokio::time::sleep(Duration::from_millis(1)))
        })
        .unwrap();
    let image = Arc::new(linker.instantiate_pre(&image.module).unwrap());
    let engine = image.module().engine().clone();
    let ends = Arc::new(AtomicBool::new(false));
    let ticker = thread::spawn({
        let (engine, ends) = (engine.clone(), ends.clone());
        move || {
            while !ends.load(Ordering::Relaxed) {
                thread::sleep(Duration::from_millis(1));
                engine.increment_epoch();
            }
        }
    });
    let call = move |function: &'static str| {
        let (image, engine) = (image.clone(), engine.clone());
        async move {
            let mut store = Store::new(&engine, 0);
            store.set_epoch_deadline(1);
            // Yields at each slice, and is ended after some.
            store.epoch_deadline_callback(|mut context| {
                *context.data_mut() += 1;
                match *context.data() {
                    1..10 => Ok(UpdateDeadline::Yield(1)),
                    _ => Err(wasmtime::Error::msg("interrupted")),
                }
            });
            let instance = image.instantiate_async(&mut store).await.unwrap();
            if function == "fine" {
                let function = instance.get_typed_func::<(), i32>(&mut store, function).unwrap();
                assert_eq!(function.call_async(&mut store, ()).await.unwrap(), i32::from(b'a'));
                String::new()
            } else {
                let function = instance.get_typed_func::<(), ()>(&mut store, function).unwrap();
                let error = function.call_async(&mut store, ()).await.unwrap_err();
                format!("{error:?}")
            }
        }
    };
    runtime().block_on(async {
        // More rounds than the pool has places, so that each is used again and again.
        for _ in 0..30 {
            let tasks: Vec<_> = (0..INSTANCES).map(|_| tokio::spawn(call("fine"))).collect();
            for task in tasks {
                task.await.unwrap();
            }
        }
        for (function, why) in [
            ("unreachable", "unreachable"),
            ("division", "divide by zero"),
            ("bounds", "out of bounds"),
            ("stack", "call stack exhausted"),
            ("endless", "interrupted"),
        ] {
            let error = tokio::spawn(call(function)).await.unwrap();
            assert!(error.contains(why), "{function}: {error}");
        }
    });
    ends.store(true, Ordering::Relaxed);
    ticker.join().unwrap();
}

fn clocks() {
    // Of the thread: a system call even where clocks are mapped.
    let used = clock_gettime(ClockId::ThreadCPUTime);
    assert!(used.tv_sec > 0 || used.tv_nsec > 0);
    // The first of a process are drawn from the kernel.
    assert_ne!(RandomState::new().hash_one(1), RandomState::new().hash_one(1));
}

fn descend(depth: usize) -> usize {
    let room = std::hint::black_box([depth; 1024]);
    if room[0] == usize::MAX { 0 } else { descend(room[1] + 1) + room[2] }
}
