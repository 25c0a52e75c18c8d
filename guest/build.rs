//! Lays out the guest's memory when it is linked for wasm.

/// Of the shadow stack, in bytes. RustPython raises RecursionError when it is nearly
/// used up, which must happen before the host's limit of the native stack is reached.
const STACK: usize = 512 * 1024;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if std::env::var("CARGO_CFG_TARGET_FAMILY").as_deref() == Ok("wasm") {
        println!("cargo::rustc-link-arg-cdylib=-zstack-size={STACK}");
        // The stack ends at address 0: an overflow traps, it writes over nothing.
        println!("cargo::rustc-link-arg-cdylib=--stack-first");
        // From it, the host tells such a trap from others.
        println!("cargo::rustc-link-arg-cdylib=--export=__stack_pointer");
    }
}
