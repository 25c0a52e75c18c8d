//! What the fuzz targets share: a bound on what an input may have allocated.

use std::alloc::System;

use cap::Cap;

/// Counts what Rust code allocates. Beyond its limit an allocation fails, which aborts.
#[global_allocator]
static ALLOCATED: Cap<System> = Cap::new(System, usize::MAX);

/// Does `work`, which may hold `bytes` at once beyond what is held already.
pub fn within<T>(bytes: usize, work: impl FnOnce() -> T) -> T {
    let limit = |bytes| ALLOCATED.set_limit(bytes).expect("more than is allocated");
    limit(ALLOCATED.allocated() + bytes);
    let done = work();
    limit(usize::MAX);
    done
}
