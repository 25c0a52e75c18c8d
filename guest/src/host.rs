//! What scripts ask the host for, as Python functions: the module `roh._host`.
//!
//! The host decides. Here, its answer becomes a value, or its refusal an exception.

use roh_abi::{Answer, HttpRequest, Refusal, RefusalKind, Request};
use rustpython_vm::builtins::{
    PyBaseExceptionRef, PyBytesRef, PyDictRef, PyStrRef, PyTupleRef, PyUtf8StrRef,
};
use rustpython_vm::function::ArgIntoFloat;
use rustpython_vm::{AsObject, PyObjectRef, PyResult, VirtualMachine};

use crate::{alarm, boundary, interpreter, json_in, json_out};

/// Of a log message, and of a logger's name, in bytes.
const LONGEST: usize = 8 * 1024;

/// All of them.
pub(crate) fn functions(vm: &VirtualMachine) -> Vec<PyObjectRef> {
    vec![
        vm.new_function("task", task).into(),
        vm.new_function("progress", progress).into(),
        vm.new_function("secret", secret).into(),
        vm.new_function("submit", submit).into(),
        vm.new_function("publish", publish).into(),
        vm.new_function("http", http).into(),
        vm.new_function("state_get", state_get).into(),
        vm.new_function("state_set", state_set).into(),
        vm.new_function("state_delete", state_delete).into(),
        vm.new_function("state_keys", state_keys).into(),
        vm.new_function("to_json", to_json).into(),
        vm.new_function("from_json", from_json).into(),
    ]
}

fn ask(request: &Request, vm: &VirtualMachine) -> PyResult<Answer> {
    let answer = boundary::ask(request);
    alarm::look(vm);
    match answer {
        Answer::Refused(refusal) => Err(raised(refusal, vm)),
        answer => Ok(answer),
    }
}

/// For a request that is answered with nothing.
fn tell(request: &Request, vm: &VirtualMachine) -> PyResult<()> {
    match ask(request, vm)? {
        Answer::Done => Ok(()),
        other => astray(&other),
    }
}

fn raised(refusal: Refusal, vm: &VirtualMachine) -> PyBaseExceptionRef {
    let class = match refusal.kind {
        RefusalKind::NotGranted => interpreter::with(|guest| guest.helpers.not_granted.clone()),
        RefusalKind::Limit => interpreter::with(|guest| guest.helpers.limit_reached.clone()),
        RefusalKind::Failed => interpreter::with(|guest| guest.helpers.host_error.clone()),
        RefusalKind::Invalid => vm.ctx.exceptions.value_error.to_owned(),
        RefusalKind::TimedOut => vm.ctx.exceptions.timeout_error.to_owned(),
    };
    let message = vm.ctx.new_str(refusal.message);
    // A class of ours that the script broke raises what it raises.
    vm.invoke_exception(&class, vec![message.into()]).unwrap_or_else(|broken| broken)
}

fn astray(answer: &Answer) -> ! {
    // Without what it holds, which may be a secret.
    panic!("the host's answer is to another question: {:?}", std::mem::discriminant(answer))
}

/// `host_find(name)`: `None`, or `(file, is_package, source)`.
pub(crate) fn host_find(name: PyStrRef, vm: &VirtualMachine) -> PyResult {
    let Some(utf8) = name.to_str() else {
        return Ok(vm.ctx.none());
    };
    let top_level = interpreter::with(|guest| guest.task.borrow().is_none());
    match boundary::ask(&Request::Module { name: utf8.to_owned(), top_level }) {
        Answer::Missing => Ok(vm.ctx.none()),
        Answer::Refused(refusal) => Err(vm.new_import_error(refusal.message, name)),
        Answer::Module { file, package, source } => {
            Ok(vm.new_tuple((file, package, source)).as_object().to_owned())
        }
        other => astray(&other),
    }
}

/// `data_file(path)`: its bytes, or `None`.
pub(crate) fn data_file(path: PyUtf8StrRef, vm: &VirtualMachine) -> PyResult<Option<PyBytesRef>> {
    bytes_or_none(&Request::File(path.as_str().to_owned()), vm)
}

/// `data_folder(path)`: its names, folders with a slash at their end, or `None`.
pub(crate) fn data_folder(path: PyUtf8StrRef, vm: &VirtualMachine) -> PyResult {
    match ask(&Request::Folder(path.as_str().to_owned()), vm)? {
        Answer::Missing => Ok(vm.ctx.none()),
        Answer::Names(names) => Ok(list(names, vm)),
        other => astray(&other),
    }
}

/// `log(level, logger, message)`. A log that the host refuses is no error of the script's.
pub(crate) fn log(level: i64, logger: PyStrRef, message: PyStrRef) {
    let cut = |text: PyStrRef| {
        let text = text.to_string_lossy();
        text[..text.floor_char_boundary(LONGEST)].to_owned()
    };
    let level = level.clamp(0, u8::MAX.into()) as u8;
    boundary::ask(&Request::Log { level, logger: cut(logger), message: cut(message) });
}

/// `(id, attempt, tenant, its deadline on the monotonic clock)`
fn task(vm: &VirtualMachine) -> PyResult {
    // Not kept where it is asked for: other tasks may start from what the top level leaves.
    let task = match interpreter::with(|guest| guest.task.borrow().clone()) {
        Some(task) => task,
        None => match ask(&Request::Task, vm)? {
            Answer::Task(task) => task,
            other => astray(&other),
        },
    };
    let deadline = task.deadline_ms as f64 / 1000.0;
    Ok(vm.new_tuple((task.id, task.attempt, task.tenant, deadline)).into())
}

fn progress(done: ArgIntoFloat, total: Option<ArgIntoFloat>, vm: &VirtualMachine) -> PyResult<()> {
    tell(&Request::Progress { done: done.into(), total: total.map(f64::from) }, vm)
}

fn secret(name: PyUtf8StrRef, vm: &VirtualMachine) -> PyResult<String> {
    match ask(&Request::Secret(name.as_str().to_owned()), vm)? {
        Answer::Text(secret) => Ok(secret),
        other => astray(&other),
    }
}

fn submit(
    task: PyUtf8StrRef,
    args: PyTupleRef,
    kwargs: PyDictRef,
    vm: &VirtualMachine,
) -> PyResult<String> {
    let request = Request::Submit {
        task: task.as_str().to_owned(),
        args: json(args.as_object(), "args", vm)?,
        kwargs: json(kwargs.as_object(), "kwargs", vm)?,
    };
    match ask(&request, vm)? {
        Answer::Text(id) => Ok(id),
        other => astray(&other),
    }
}

fn publish(
    exchange: PyUtf8StrRef,
    routing_key: PyUtf8StrRef,
    content_type: PyUtf8StrRef,
    body: PyBytesRef,
    vm: &VirtualMachine,
) -> PyResult<()> {
    let request = Request::Publish {
        exchange: exchange.as_str().to_owned(),
        routing_key: routing_key.as_str().to_owned(),
        content_type: content_type.as_str().to_owned(),
        body: body.as_bytes().to_vec(),
    };
    tell(&request, vm)
}

/// `(status, url, headers, content)`
fn http(
    method: PyUtf8StrRef,
    url: PyUtf8StrRef,
    headers: Vec<PyTupleRef>,
    body: PyBytesRef,
    timeout_ms: Option<u32>,
    vm: &VirtualMachine,
) -> PyResult {
    let headers = headers.iter().map(|header| match header.as_slice() {
        [name, value] => Ok((name.try_to_value(vm)?, value.try_to_value(vm)?)),
        _ => Err(vm.new_type_error("a header is a name and a value")),
    });
    let request = Request::Http(HttpRequest {
        method: method.as_str().to_owned(),
        url: url.as_str().to_owned(),
        headers: headers.collect::<PyResult<_>>()?,
        body: body.as_bytes().to_vec(),
        timeout_ms,
    });
    match ask(&request, vm)? {
        Answer::Http(response) => {
            let headers = response.headers.into_iter().map(|header| vm.new_tuple(header).into());
            let headers = vm.ctx.new_list(headers.collect());
            let content = vm.ctx.new_bytes(response.body);
            Ok(vm.new_tuple((response.status, response.url, headers, content)).into())
        }
        other => astray(&other),
    }
}

/// Bytes of JSON, or `None`.
fn state_get(key: PyUtf8StrRef, vm: &VirtualMachine) -> PyResult<Option<PyBytesRef>> {
    bytes_or_none(&Request::StateGet(key.as_str().to_owned()), vm)
}

fn state_set(key: PyUtf8StrRef, value: PyBytesRef, vm: &VirtualMachine) -> PyResult<()> {
    let value = value.as_bytes().to_vec();
    tell(&Request::StateSet { key: key.as_str().to_owned(), value }, vm)
}

/// Whether there was one.
fn state_delete(key: PyUtf8StrRef, vm: &VirtualMachine) -> PyResult<bool> {
    match ask(&Request::StateDelete(key.as_str().to_owned()), vm)? {
        Answer::Done => Ok(true),
        Answer::Missing => Ok(false),
        other => astray(&other),
    }
}

fn state_keys(prefix: PyUtf8StrRef, vm: &VirtualMachine) -> PyResult {
    match ask(&Request::StateKeys(prefix.as_str().to_owned()), vm)? {
        Answer::Names(keys) => Ok(list(keys, vm)),
        other => astray(&other),
    }
}

/// `to_json(value, name)`: bytes of JSON, as for results; messages call it `name`.
fn to_json(value: PyObjectRef, name: PyUtf8StrRef, vm: &VirtualMachine) -> PyResult<PyBytesRef> {
    Ok(vm.ctx.new_bytes(json(&value, name.as_str(), vm)?.into_bytes()))
}

/// `from_json(bytes)`: what they say, as for arguments.
fn from_json(json: PyBytesRef, vm: &VirtualMachine) -> PyResult {
    let text = std::str::from_utf8(json.as_bytes());
    let text = text.map_err(|_| vm.new_value_error("not JSON: not UTF-8"))?;
    json_in::value(text, vm).map_err(|error| vm.new_value_error(error))
}

fn json(value: &rustpython_vm::PyObject, name: &str, vm: &VirtualMachine) -> PyResult<String> {
    // The host has limits of its own, and the instance its memory.
    json_out::write(value, name, usize::MAX, vm).map_err(|refusal| refusal.raised(vm))
}

fn bytes_or_none(request: &Request, vm: &VirtualMachine) -> PyResult<Option<PyBytesRef>> {
    match ask(request, vm)? {
        Answer::Missing => Ok(None),
        Answer::Bytes(bytes) => Ok(Some(vm.ctx.new_bytes(bytes))),
        other => astray(&other),
    }
}

fn list(names: Vec<String>, vm: &VirtualMachine) -> PyObjectRef {
    vm.ctx.new_list(names.into_iter().map(|name| vm.ctx.new_str(name).into()).collect()).into()
}
