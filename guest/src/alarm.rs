//! Raises TimeoutError in a script once the host says that a limit is near, so that its
//! `finally` blocks run before the limit ends it.
//!
//! The host writes into the flag that has RustPython call a trace function, which it looks
//! at with every call anyway: until then, this costs nothing. A loop that calls nothing
//! does not notice. Where Python lets no exception out, as of a `__del__`, it is raised again
//! outside.

use std::cell::{Cell, OnceCell};

use rustpython_vm::builtins::PyStrRef;
use rustpython_vm::frame::{FrameObject, FrameObjectRef};
use rustpython_vm::{AsObject, Py, PyObjectRef, PyResult, VirtualMachine};

/// Calls inside the standard library, which may not expect it, until it is raised there
/// and not in the script's own lines.
const PATIENCE: u32 = 1000;

thread_local! {
    /// The trace function: [`traced`].
    static ALARM: OnceCell<PyObjectRef> = const { OnceCell::new() };
    static PATIENCE_LEFT: Cell<u32> = const { Cell::new(PATIENCE) };
    /// Whether the innermost frame of the script's is marked: to raise it at its next line.
    static MARKED: Cell<bool> = const { Cell::new(false) };
    /// Whether the script was told, and may still be told again.
    static RAISED: Cell<bool> = const { Cell::new(false) };
}

/// The address of the flag.
pub(crate) fn flag(vm: &VirtualMachine) -> *mut bool {
    vm.use_tracing.as_ptr()
}

/// Makes it ready, before the script has a say.
pub(crate) fn arm(vm: &VirtualMachine) {
    let alarm =
        ALARM.with(|cell| cell.get_or_init(|| vm.new_function("alarm", traced).into()).clone());
    vm.trace_func.replace(alarm);
    vm.profile_func.replace(vm.new_function("alarm", profiled).into());
}

/// Silences it for good. Whether the script was told.
pub(crate) fn end(vm: &VirtualMachine) -> bool {
    disarm(vm);
    RAISED.replace(false)
}

/// What our Python needs of it.
pub(crate) fn functions(vm: &VirtualMachine) -> Vec<PyObjectRef> {
    vec![
        vm.new_function("alarm_after", after).into(),
        vm.new_function("alarm_armed", is_armed).into(),
        vm.new_function("alarm_disarm", disarm).into(),
        vm.new_function("alarm_due", is_due).into(),
        vm.new_function("alarm_raise", raise).into(),
    ]
}

/// Called when the host had the word: it may have taken its time.
pub(crate) fn look(vm: &VirtualMachine) {
    if is_due(vm) && !MARKED.get() {
        mark(vm.current_frame(), vm);
    }
}

/// `alarm_armed()`: whether the script traces nothing itself.
fn is_armed(vm: &VirtualMachine) -> bool {
    ALARM.with(|alarm| alarm.get().is_some_and(|alarm| alarm.is(&*vm.trace_func.borrow())))
}

/// `alarm_disarm()`: for a script that traces itself.
fn disarm(vm: &VirtualMachine) {
    vm.trace_func.replace(vm.ctx.none());
    vm.profile_func.replace(vm.ctx.none());
    vm.use_tracing.set(false);
}

/// `alarm_due()`: whether the host rang, and the script was not told yet.
fn is_due(vm: &VirtualMachine) -> bool {
    vm.use_tracing.get() && is_armed(vm)
}

/// `alarm_after(hook)`: the hook that Python hands exceptions to which get no further; the
/// alarm's is raised again then. No Python runs for it: at the end of a deep recursion none
/// could, and RustPython does not survive a hook that raises there.
fn after(hook: PyObjectRef, vm: &VirtualMachine) -> PyObjectRef {
    let tell = move |told: PyObjectRef, vm: &VirtualMachine| {
        let kind = told.get_attr("exc_type", vm);
        let result = hook.call((told,), vm);
        if kind.is_ok_and(|kind| kind.is(vm.ctx.exceptions.timeout_error)) {
            again(vm);
        }
        result
    };
    vm.new_function("hook", tell).into()
}

/// It was raised where nobody saw it.
fn again(vm: &VirtualMachine) {
    let traces = |function: &PyObjectRef| !vm.is_none(function);
    if !RAISED.get() || traces(&vm.trace_func.borrow()) || traces(&vm.profile_func.borrow()) {
        return;
    }
    RAISED.set(false);
    arm(vm);
    vm.use_tracing.set(true);
    mark(vm.current_frame(), vm);
}

/// `alarm_raise()`: tells the script, once.
fn raise(vm: &VirtualMachine) -> PyResult<()> {
    RAISED.set(true);
    disarm(vm);
    let class = vm.ctx.exceptions.timeout_error.to_owned();
    Err(vm.new_os_subtype_error(class, None, "a limit of the task is near").upcast())
}

/// Called by RustPython, once the flag is set, with each call of a Python function, and
/// with what happens in a marked frame.
fn traced(
    frame: FrameObjectRef,
    event: PyStrRef,
    _arg: PyObjectRef,
    vm: &VirtualMachine,
) -> PyResult<()> {
    match event.to_str() {
        _ if RAISED.get() => Ok(()),
        Some("line") => raise(vm),
        Some("call") if is_scripts(&frame, vm) => raise(vm),
        Some("call") => {
            let left = PATIENCE_LEFT.get().saturating_sub(1);
            PATIENCE_LEFT.set(left);
            if left == 0 {
                return raise(vm);
            }
            if !MARKED.get() {
                mark(frame.f_back(vm), vm);
            }
            Ok(())
        }
        Some("return") => {
            mark(frame.f_back(vm), vm);
            Ok(())
        }
        _ => Ok(()),
    }
}

/// Called by RustPython, once the flag is set, with each call of a native function also.
/// It cannot raise here.
fn profiled(frame: FrameObjectRef, event: PyStrRef, _arg: PyObjectRef, vm: &VirtualMachine) {
    if event.to_str() == Some("c_call") && !MARKED.get() && !RAISED.get() {
        mark(Some(frame), vm);
    }
}

/// Marks the first frame of the script's from here outwards, if there is one.
fn mark(mut frame: Option<FrameObjectRef>, vm: &VirtualMachine) {
    MARKED.set(true);
    while let Some(here) = frame {
        if is_scripts(&here, vm) {
            if let Some(alarm) = ALARM.with(|alarm| alarm.get().cloned()) {
                // Of frames, it cannot fail.
                let _ = here.as_object().set_attr("f_trace", alarm, vm);
            }
            return;
        }
        frame = here.f_back(vm);
    }
}

/// As `report.py` tells it.
fn is_scripts(frame: &Py<FrameObject>, vm: &VirtualMachine) -> bool {
    let code = frame.f_code();
    let file = code.source_path().as_str();
    !file.starts_with("<frozen ")
        && !file.starts_with("<roh ")
        && !vm.state.frozen.contains_key(file)
}
