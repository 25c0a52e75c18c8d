//! Makes an image: boots the guest, takes a snapshot of its memory, compiles that.

use std::path::Path;
use std::sync::Arc;

use roh_abi::{ABI_VERSION, Call, Loaded, Reply, Script, TaskInfo, export};
use tokio_util::sync::CancellationToken;
use wasmtime::{Engine, Module, Mutability, Store, Val};
use wasmtime_wizer::{InstanceState, SnapshotVal, ValType, Wizer};

use super::{ImageError, Progress, Stage};
use crate::config::{Limits, MEMORY};
use crate::sandbox::guest::{Addresses, Guest, linker};
use crate::sandbox::instance::Instance;
use crate::sandbox::{NoCalls, engine};

/// A compiled image, and what it says of itself.
pub(super) struct Built {
    pub(super) code: Vec<u8>,
    pub(super) python: String,
    pub(super) memory_bytes: u64,
}

/// Builds the image of `guest`, which was read from `path`.
pub(super) fn build(
    engine: &Engine,
    path: &Path,
    guest: &[u8],
    progress: Progress,
) -> Result<Built, ImageError> {
    let failed = |source| ImageError::Build { path: path.to_owned(), source };
    let snapshot =
        snapshot(guest, progress).map_err(|error| match error.downcast::<OtherVersion>() {
            Ok(OtherVersion(found)) => ImageError::Version { path: path.to_owned(), found },
            Err(error) => failed(error),
        })?;
    progress(Stage::Compiling);
    let module = Module::new(engine, &snapshot).map_err(failed)?;
    let code = module.serialize().map_err(failed)?;
    let (python, memory_bytes) = block_on(try_out(&module)).map_err(failed)?;
    Ok(Built { code, python, memory_bytes })
}

/// Polls a future that waits for nothing outside: the guest boots without sleeping.
fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a runtime without I/O needs nothing of the system")
        .block_on(future)
}

/// The guest was built for another version of the boundary.
#[derive(Debug, thiserror::Error)]
#[error("another version of the boundary: {0}")]
struct OtherVersion(u32);

/// The guest with its memory as it is once Python has booted.
fn snapshot(guest: &[u8], progress: Progress) -> wasmtime::Result<Vec<u8>> {
    progress(Stage::Preparing);
    let mut wizer = Wizer::new();
    wizer.init_func(export::BOOT);
    let (context, instrumented) = wizer.instrument(guest)?;
    let module = Module::new(&engine::booting()?, &instrumented)?;
    progress(Stage::Booting);
    block_on(async {
        let mut booted = Booted::boot(&module).await?;
        only_the_stack_pointer_changes(&module)?;
        wizer.snapshot(&context, &mut booted).await
    })
}

/// A task's traces are undone in an instance's memory and nowhere else: see `sandbox::warm`. So
/// there must be nowhere else. What changes tables or drops segments is refused by wizer
/// already; the globals that can change it exports, each by a name of its own.
fn only_the_stack_pointer_changes(instrumented: &Module) -> wasmtime::Result<()> {
    let change = |global: &str| global.starts_with("__wizer_global_");
    let globals = instrumented.exports().filter(|export| change(export.name())).count();
    let pointer = instrumented.get_export(export::STACK_POINTER);
    let is_it =
        pointer.is_some_and(|it| it.global().is_some_and(|it| it.mutability() == Mutability::Var));
    match (globals, is_it) {
        (1, true) => Ok(()),
        _ => Err(wasmtime::format_err!(
            "the guest has {globals} globals that change, and is to have one, {:?}",
            export::STACK_POINTER
        )),
    }
}

/// Memory to boot in, in bytes: more than enough.
const BOOT_MEMORY: u64 = 1 << 30;

/// An instance's data outside of any task: no scripts, and that much `memory`.
fn no_task(memory: u64) -> Instance {
    let limits = Limits { memory, ..Limits::default() };
    Instance::new(Arc::new(NoCalls), &limits, CancellationToken::new())
}

/// A guest that has booted and now holds still.
struct Booted {
    store: Store<Instance>,
    instance: wasmtime::Instance,
}

impl Booted {
    async fn boot(module: &Module) -> wasmtime::Result<Booted> {
        let mut store = Store::new(module.engine(), no_task(BOOT_MEMORY));
        store.limiter(|instance| &mut instance.memory_limit);
        let instance = linker(module)?.instantiate_async(&mut store, module).await?;
        let version = instance.get_typed_func::<(), i32>(&mut store, export::ABI_VERSION)?;
        let version = version.call_async(&mut store, ()).await?.cast_unsigned();
        if version != ABI_VERSION {
            return Err(OtherVersion(version).into());
        }
        // What a linker calls a reactor's constructor.
        for function in ["_initialize", export::BOOT] {
            if let Ok(function) = instance.get_typed_func::<(), ()>(&mut store, function) {
                function.call_async(&mut store, ()).await.map_err(|error| {
                    let data = store.data_mut();
                    let said = data.panic.take().unwrap_or_else(|| data.stderr.take());
                    error.context(format!("Python does not boot: {said}"))
                })?;
            }
        }
        Ok(Booted { store, instance })
    }
}

impl InstanceState for Booted {
    async fn global_get(&mut self, name: &str, _: ValType) -> SnapshotVal {
        let global = self.instance.get_global(&mut self.store, name);
        match global.expect("wizer exports the globals that it asks for").get(&mut self.store) {
            Val::I32(x) => SnapshotVal::I32(x),
            Val::I64(x) => SnapshotVal::I64(x),
            Val::F32(x) => SnapshotVal::F32(x),
            Val::F64(x) => SnapshotVal::F64(x),
            Val::V128(x) => SnapshotVal::V128(x.as_u128()),
            _ => unreachable!("wizer refuses globals that hold references"),
        }
    }

    async fn memory_contents(&mut self, name: &str, contents: impl FnOnce(&[u8]) + Send) {
        let memory = self.instance.get_memory(&mut self.store, name);
        contents(memory.expect("wizer exports the memory that it asks for").data(&self.store));
    }
}

/// Runs a first script in the image, in the least memory that a task may have: an image
/// that can't is not kept. Returns the interpreter's version and the memory that it
/// starts with.
async fn try_out(module: &Module) -> wasmtime::Result<(String, u64)> {
    let image = linker(module)?.instantiate_pre(module)?;
    // One that counts takes more, for its counts.
    let memory = if cfg!(feature = "counting-guest") { BOOT_MEMORY } else { *MEMORY.start() };
    let mut guest = Guest::start(&image, Addresses::default(), no_task(memory)).await?;
    let memory_bytes = guest.memory_bytes();
    let script = Script::Inline {
        file: "version.py".into(),
        source: "import sys\ndef main():\n    return sys.version\n".into(),
    };
    let loaded: Loaded = guest.call(export::LOAD, &script, 0).await?;
    let call = Call {
        task: TaskInfo::default(),
        reseed: false,
        function: "main".into(),
        args: "[]".into(),
        kwargs: "{}".into(),
        result_limit: 1 << 16,
    };
    match (loaded, guest.call(export::CALL, &call, call.result_limit).await?) {
        (Loaded::Ready { .. }, Reply::Returned(json)) => {
            Ok((serde_json::from_str(&json).unwrap_or(json), memory_bytes))
        }
        other => Err(wasmtime::format_err!("a first script ended with {other:?}")),
    }
}
