//! The functions that cross between host and guest, and the memory they hand over.
//! Nothing here knows Python.
#![allow(unsafe_code, reason = "exports, imports and raw memory are what this file is for")]

use std::hint::black_box;
use std::mem::MaybeUninit;

use roh_abi::{ABI_VERSION, Answer, Call, Request, Script, decode, encode};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{heap, interpreter, script};

mod imports {
    #[link(wasm_import_module = "roh")]
    unsafe extern "C" {
        pub(super) fn request(ptr: *const u8, len: usize) -> i64;
        pub(super) fn answer(ptr: *mut u8, len: usize);
        pub(super) fn panicked(ptr: *const u8, len: usize);
    }
}

unsafe extern "C" {
    fn __wasm_call_ctors();
}

/// Asks the host for something.
pub(crate) fn ask(request: &Request) -> Answer {
    let request = encode(request);
    // SAFETY: the host only reads `request`, within its bounds.
    let len = unsafe { imports::request(request.as_ptr(), request.len()) };
    // It may be large, and so may the answer.
    drop(request);
    let len = usize::try_from(len).expect("the host answers with a length");
    let mut answer = vec![0; len];
    // SAFETY: the host writes `len` bytes, as many as there is room for.
    unsafe { imports::answer(answer.as_mut_ptr(), answer.len()) };
    receive(&answer)
}

/// Tells the host of Rust panics, which end in a trap that carries no message.
fn report_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let message = panic.to_string();
        // SAFETY: the host only reads `message`, within its bounds.
        unsafe { imports::panicked(message.as_ptr(), message.len()) };
    }));
}

/// Called once by the host, before anything else. Without it, the linker would have
/// every export construct the C library anew at each call.
#[unsafe(no_mangle)]
extern "C" fn _initialize() {
    // SAFETY: made by the linker; runs once, as the host calls this once.
    unsafe { __wasm_call_ctors() };
}

#[unsafe(no_mangle)]
extern "C" fn roh_abi_version() -> u32 {
    ABI_VERSION
}

#[unsafe(no_mangle)]
extern "C" fn roh_alloc(len: usize) -> *mut u8 {
    Box::leak(vec![0; len].into_boxed_slice()).as_mut_ptr()
}

#[unsafe(no_mangle)]
extern "C" fn roh_boot() {
    report_panics();
    interpreter::boot();
    #[cfg(feature = "profile")]
    crate::profile::forget();
    heap::fill_holes();
    wipe_stack::<{ 256 << 10 }>();
}

#[unsafe(no_mangle)]
extern "C" fn roh_load(ptr: *mut u8, len: usize) -> u64 {
    let script: Script = receive(&take(ptr, len));
    let loaded = give(&interpreter::with(|guest| script::load(guest, script)));
    wipe_stack::<{ 32 << 10 }>();
    loaded
}

#[unsafe(no_mangle)]
extern "C" fn roh_call(ptr: *mut u8, len: usize) -> u64 {
    let call: Call = receive(&take(ptr, len));
    let reply = interpreter::with(|guest| script::call(guest, call));
    #[cfg(feature = "profile")]
    crate::profile::print();
    give(&reply)
}

#[unsafe(no_mangle)]
extern "C" fn roh_alarm() -> *mut u8 {
    // What the host writes is a `true`.
    interpreter::with(|guest| guest.alarm()).cast()
}

#[cfg(not(feature = "plain"))]
#[unsafe(no_mangle)]
extern "C" fn roh_no_memory() -> *mut u8 {
    heap::no_memory().cast()
}

/// Overwrites what functions that have returned left on the stack, so far down. After a load, those
/// pages are again what they were after boot, which wipes more of them, and no part of a script's
/// image.
#[inline(never)]
fn wipe_stack<const BYTES: usize>() {
    let mut left = MaybeUninit::<[u8; BYTES]>::uninit();
    // SAFETY: a local variable, of that many bytes.
    unsafe { left.as_mut_ptr().cast::<u8>().write_bytes(0, BYTES) };
    black_box(&left);
}

fn take(ptr: *mut u8, len: usize) -> Vec<u8> {
    // SAFETY: the host passes on what `roh_alloc` returned for this length, once;
    // a boxed slice has a capacity equal to its length.
    unsafe { Vec::from_raw_parts(ptr, len, len) }
}

/// Leaked on purpose: the host reads it after the return.
fn give<T: Serialize>(message: &T) -> u64 {
    let bytes = Box::leak(encode(message).into_boxed_slice());
    (bytes.as_ptr() as u64) << 32 | bytes.len() as u64
}

fn receive<T: DeserializeOwned>(bytes: &[u8]) -> T {
    match decode(bytes) {
        Ok(message) => message,
        // The host and the guest were checked to be of one ABI version.
        Err(error) => panic!("the host's message is {error}"),
    }
}
