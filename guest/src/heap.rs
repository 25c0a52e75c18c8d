//! Where in the heap a task's objects lie: together, so that it writes to few pages, each of which
//! an instance has to itself.
#![allow(unsafe_code, reason = "what this file does, it does by hand: allocating")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::hint::black_box;

use roh_heap::Heap;

// The plain build compares with the standard library's alone.
#[cfg_attr(not(feature = "plain"), global_allocator)]
static HEAP: Heap = Heap::new(System);

/// Larger than any hole there is, in bytes.
const LARGEST: usize = 4 << 20;

/// Holes of this size, in bytes, are several pages: what lies in one of those lies together.
const LARGE: usize = 16 << 10;

/// The least that is allocated, in bytes.
const LEAST: usize = 8;

/// Where it says, for good, that no memory was found for something.
#[cfg(not(feature = "plain"))]
pub(crate) fn no_memory() -> *mut bool {
    HEAP.failed()
}

/// Takes all small holes between objects for good, and what is left over of large ones, so that what
/// is allocated from now on lies in large ones, or beyond them all. So do small objects' chunks, each
/// of which fits into the least of those. The memory may grow by [`LARGEST`], which is free then.
pub(crate) fn fill_holes() {
    HEAP.forget_free();
    let mut large = Vec::with_capacity(LARGEST / LARGE);
    // SAFETY: it is freed as it was allocated, and written to by nobody.
    let beyond = unsafe {
        let beyond = black_box(System.alloc(layout(LARGEST)));
        assert!(!beyond.is_null(), "there is memory at boot");
        System.dealloc(beyond, layout(LARGEST));
        beyond.addr()
    };
    for size in halves(LARGEST / 2, LARGE) {
        while large.len() < large.capacity()
            && let Some(hole) = hole(size, beyond)
        {
            large.push((hole, size));
        }
    }
    assert!(large.len() < large.capacity(), "all that are large are spared");
    for size in halves(LARGE / 2, LEAST) {
        while hole(size, beyond).is_some() {}
    }
    for (hole, size) in large {
        // SAFETY: as it was allocated.
        unsafe { System.dealloc(hole, layout(size)) };
    }
}

/// Allocates so many bytes, if that is possible below an address.
fn hole(size: usize, below: usize) -> Option<*mut u8> {
    // SAFETY: the size is not zero, and it is freed as it was allocated.
    unsafe {
        // Else the compiler may see that nobody uses it.
        let hole = black_box(System.alloc(layout(size)));
        if hole.is_null() {
            return None;
        }
        if hole.addr() < below {
            return Some(hole);
        }
        System.dealloc(hole, layout(size));
        None
    }
}

/// From one power of two down to another.
fn halves(from: usize, to: usize) -> impl Iterator<Item = usize> {
    std::iter::successors(Some(from), |size| Some(size / 2)).take_while(move |size| *size >= to)
}

fn layout(size: usize) -> Layout {
    Layout::from_size_align(size, LEAST).expect("a power of two")
}
