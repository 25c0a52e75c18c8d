//! Turns a Python exception into what the host is told of it.

use roh_abi::Exception;
use rustpython_vm::builtins::{PyBaseExceptionRef, PyStr, PyTuple};
use rustpython_vm::{AsObject, PyObject, VirtualMachine};

use crate::alarm;
use crate::interpreter::Guest;

/// Of a message or a traceback, in bytes: more than this is not for reading. With what
/// is said of the rest it stays below the host's 64 KiB, which would cut the end off.
const LONGEST: usize = 63 * 1024;

/// Describes an exception, whatever state the script left the interpreter in.
pub(crate) fn describe(
    guest: &Guest,
    exception: &PyBaseExceptionRef,
    vm: &VirtualMachine,
) -> Exception {
    // What is left to do takes little, and must not be disturbed.
    let alarmed = alarm::end(vm);
    if exception.fast_isinstance(vm.ctx.exceptions.memory_error) {
        guest.free_reserve();
    }
    described_in_python(guest, exception, alarmed, vm).unwrap_or_else(|| bare(exception, vm))
}

/// An exception of the guest's own making, for which no Python ran.
pub(crate) fn plain(kind: &str, message: String) -> Exception {
    let (kind, message) = (shortened(kind), shortened(&message));
    let traceback = shortened(&format!("{kind}: {message}\n"));
    Exception { kind, message, traceback }
}

fn described_in_python(
    guest: &Guest,
    exception: &PyBaseExceptionRef,
    alarmed: bool,
    vm: &VirtualMachine,
) -> Option<Exception> {
    let description = guest.helpers.describe.call((exception.clone(), alarmed), vm).ok()?;
    match description.downcast_ref::<PyTuple>()?.as_slice() {
        [kind, message, traceback] => Some(Exception {
            kind: text(kind)?,
            message: text(message)?,
            traceback: text(traceback)?,
        }),
        _ => None,
    }
}

/// For when Python cannot describe it: out of memory, or `traceback` was tampered with.
fn bare(exception: &PyBaseExceptionRef, vm: &VirtualMachine) -> Exception {
    let message = match exception.args().as_slice() {
        [only] => only.downcast_ref::<PyStr>().map(|s| shortened(&s.to_string_lossy())),
        _ => None,
    };
    let kind = shortened(&exception.class().name());
    if exception.fast_isinstance(vm.ctx.exceptions.memory_error) {
        // Even a short text may be more than there is.
        return Exception { traceback: String::new(), message: message.unwrap_or_default(), kind };
    }
    plain(&kind, message.unwrap_or_default())
}

fn text(object: &PyObject) -> Option<String> {
    let text = object.downcast_ref::<PyStr>()?;
    Some(shortened(&text.to_string_lossy()))
}

/// Keeps the start and the end, where a traceback says most.
fn shortened(text: &str) -> String {
    if text.len() <= LONGEST {
        return text.to_owned();
    }
    let head = text.floor_char_boundary(LONGEST / 2);
    let tail = text.ceil_char_boundary(text.len() - LONGEST / 2);
    format!("{}\n… {} bytes left out …\n{}", &text[..head], tail - head, &text[tail..])
}
