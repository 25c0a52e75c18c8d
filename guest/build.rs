//! Lays out the guest's memory when it is linked for wasm.

/// Of the shadow stack, in bytes. RustPython, which takes it for `stack::SPARE` less,
/// raises RecursionError when that is nearly used up, which must happen before the host's
/// limit of the native stack is reached.
const STACK: usize = 576 * 1024;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if std::env::var("CARGO_CFG_TARGET_FAMILY").as_deref() == Ok("wasm") {
        println!("cargo::rustc-link-arg-cdylib=-zstack-size={STACK}");
        // The stack ends at address 0: an overflow traps, it writes over nothing.
        println!("cargo::rustc-link-arg-cdylib=--stack-first");
        println!("cargo::rustc-link-arg-cdylib=--wrap=rust_psm_stack_pointer");
        // From it, the host tells such a trap from others.
        println!("cargo::rustc-link-arg-cdylib=--export=__stack_pointer");
    }
}
