//! Where RustPython believes its stack to be.
#![allow(unsafe_code, reason = "the linker puts a function in another's place")]

/// How much less stack RustPython believes to have than there is, in bytes. `build.rs` gives it
/// on top.
///
/// It raises `RecursionError` 32 KiB before the end of what it knows of. What then ends the recursion
/// has to do with that, and may not: objects that are freed one within another take some of it for
/// every fifty, beside what writes of each that its finalizer failed.
const SPARE: usize = 64 << 10;

unsafe extern "C" {
    /// The stack pointer, of the crate psm.
    safe fn __real_rust_psm_stack_pointer() -> *mut u8;
}

/// What RustPython takes for it: it compares it with an end that it believes to be at address 0.
/// `build.rs` has the linker take this one for the other wherever it is called. The parser calls it
/// too, by the crate stacker: it believes that of the 1 MiB pieces of heap that it has for a stack, and
/// leaves when 100 KiB are left of one, there is as much less.
// SAFETY: the name is nobody else's, and psm's own function has this type.
#[unsafe(no_mangle)]
extern "C" fn __wrap_rust_psm_stack_pointer() -> *mut u8 {
    __real_rust_psm_stack_pointer().map_addr(|address| address.saturating_sub(SPARE))
}
