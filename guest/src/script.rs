//! Loads a script and calls one of its functions: what happens to a task in here.

use roh_abi::{Call, Loaded, Reply, Script};
use rustpython_vm::builtins::{PyBaseExceptionRef, PyModule, PyStr};
use rustpython_vm::function::FuncArgs;
use rustpython_vm::{AsObject, PyObject, PyObjectRef, PyResult, VirtualMachine};

use crate::exception::{self, plain};
use crate::interpreter::Guest;
use crate::{json_in, json_out};

/// What a script sets to `"interpreter"` if its top level is to run for each task.
const IMAGE: &str = "__roh_image__";

/// Makes a script ready, running its top level.
pub(crate) fn load(guest: &Guest, script: Script) -> Loaded {
    guest.reseed();
    guest.interpreter.enter(|vm| {
        let module = match script {
            Script::Module { name } => guest.helpers.import_script.call((name,), vm),
            Script::Inline { file, source } => guest.helpers.run_inline.call((file, source), vm),
        };
        guest.flush(vm);
        let image = module.and_then(|module| match vm.is_none(&module) {
            true => Ok(None),
            false => Ok(Some((image(&module, vm)?, module))),
        });
        match image {
            Ok(None) => Loaded::NoModule,
            Ok(Some((image, module))) => {
                guest.script.replace(Some(module));
                Loaded::Ready { image }
            }
            Err(exception) => Loaded::Raised(exception::describe(guest, &exception, vm)),
        }
    })
}

/// Whether other tasks may start from what the top level has made of the instance.
fn image(script: &PyObject, vm: &VirtualMachine) -> PyResult<bool> {
    // Another object that it put in its place in `sys.modules` may have anything of any name.
    let Some(module) = script.downcast_ref::<PyModule>() else { return Ok(true) };
    let Some(image) = module.dict().get_item_opt(IMAGE, vm)? else { return Ok(true) };
    match image.downcast_ref::<PyStr>().and_then(|image| image.to_str()) {
        Some("script") => Ok(true),
        Some("interpreter") => Ok(false),
        _ => Err(vm.new_value_error(format!(r#"{IMAGE} is neither "script" nor "interpreter""#))),
    }
}

/// Calls a function of the script that was loaded.
pub(crate) fn call(guest: &Guest, mut call: Call) -> Reply {
    if call.reseed {
        guest.reseed();
    }
    guest.task.replace(Some(std::mem::take(&mut call.task)));
    guest.interpreter.enter(|vm| {
        let script = guest.script.borrow().clone();
        let script = script.expect("the host calls only after a load that was ready");
        let limit = call.result_limit as usize;
        let function = match function(&script, &call.function, vm) {
            Ok(Some(function)) => function,
            Ok(None) => return Reply::NoFunction,
            Err(exception) => return raised(guest, &exception, vm),
        };
        let arguments = match arguments(&call, vm) {
            Ok(arguments) => arguments,
            Err(message) => return Reply::Raised(plain("ValueError", message)),
        };
        // The texts are in Python objects now: the task may need their memory.
        drop(call);
        let result = function.call(arguments, vm).and_then(|result| awaited(guest, result, vm));
        guest.flush(vm);
        match result {
            Ok(result) => match json_out::write(&result, "result", limit, vm) {
                Ok(json) => Reply::Returned(json),
                Err(refusal) => Reply::Raised(plain(refusal.kind, refusal.message)),
            },
            Err(exception) => raised(guest, &exception, vm),
        }
    })
}

fn function(script: &PyObject, name: &str, vm: &VirtualMachine) -> PyResult<Option<PyObjectRef>> {
    let found = match script.downcast_ref::<PyModule>() {
        // In its dictionary only: `__class__` and the like are no functions of its.
        Some(module) => module.dict().get_item_opt(name, vm)?,
        // A script may put any object in its place in `sys.modules`.
        None => vm.get_attribute_opt(script, vm.ctx.intern_str(name))?,
    };
    Ok(found.filter(|object| object.is_callable()))
}

fn arguments(call: &Call, vm: &VirtualMachine) -> Result<FuncArgs, String> {
    let args = json_in::array(&call.args, vm).map_err(|error| format!("args: {error}"))?;
    let kwargs = json_in::object(&call.kwargs, vm).map_err(|error| format!("kwargs: {error}"))?;
    Ok(FuncArgs::new(args, kwargs))
}

fn awaited(guest: &Guest, result: PyObjectRef, vm: &VirtualMachine) -> PyResult {
    if result.class().is(vm.ctx.types.coroutine_type) {
        guest.helpers.run_coroutine.call((result,), vm)
    } else {
        Ok(result)
    }
}

fn raised(guest: &Guest, exception: &PyBaseExceptionRef, vm: &VirtualMachine) -> Reply {
    Reply::Raised(exception::describe(guest, exception, vm))
}
