//! Allocates small blocks from lists of free ones, one list for each size. That is quicker than
//! searching, and no block has a header. What is large comes from the allocator beneath.
//!
//! A free block is not joined with its neighbours, so a program that frees many blocks of one size
//! can't use them for another, until memory is out. Then larger ones are cut up, and if there is none,
//! all free neighbours are joined. That takes time by how many there are; whoever lives at the limit
//! may pay it often.
#![allow(unsafe_code, reason = "it is an allocator")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::{Cell, UnsafeCell};
use std::ptr;

/// What sizes of small blocks are multiples of, and what they are aligned to, in bytes.
const STEP: usize = size_of::<Free>();
const _: () = assert!(STEP >= align_of::<u64>(), "see `dealloc`");

/// The largest of small blocks, in bytes.
const SMALL: usize = 512;

/// Small blocks are cut from chunks of this size, in bytes.
const CHUNK: usize = 16 << 10;

/// Lists of free blocks: one for each small size, and, in place of that of size zero, [`LARGER`].
const LISTS: usize = SMALL / STEP + 1;

/// The list of free blocks that are larger than small ones.
const LARGER: usize = 0;

/// An allocator for one thread, which takes memory from another.
pub struct Heap<A = System> {
    beneath: A,
    lists: UnsafeCell<Lists>,
    /// Whether there was no memory for something.
    failed: Cell<bool>,
}

/// All that is free. What is cut next is in no list.
struct Lists {
    free: [*mut Free; LISTS],
    /// Where the next block is cut from.
    rest: *mut u8,
    /// How much of it there is, in bytes.
    left: usize,
}

/// What is written into a free block.
struct Free {
    next: *mut Free,
    /// In bytes. Of a small block it is only read while blocks are joined, which writes it first.
    size: usize,
}

const NOTHING_FREE: Lists =
    Lists { free: [ptr::null_mut(); LISTS], rest: ptr::null_mut(), left: 0 };

// SAFETY: there is one thread.
#[cfg(all(target_family = "wasm", not(target_feature = "atomics")))]
unsafe impl<A> Sync for Heap<A> {}

impl<A: GlobalAlloc> Heap<A> {
    /// An allocator that has nothing yet. The one beneath must not call back into it.
    pub const fn new(beneath: A) -> Heap<A> {
        Heap { beneath, lists: UnsafeCell::new(NOTHING_FREE), failed: Cell::new(false) }
    }

    /// Never uses again what is free now, so that blocks to come lie in chunks of their own.
    pub fn forget_free(&self) {
        // SAFETY: it is `Sync` only where there is one thread; nobody else has a reference to the lists.
        unsafe { *self.lists.get() = NOTHING_FREE };
    }

    /// Where it says, for good, that there was no memory for something.
    pub const fn failed(&self) -> *mut bool {
        self.failed.as_ptr()
    }

    /// Cuts a block from the rest of a chunk.
    #[cold]
    #[inline(never)]
    unsafe fn cut(&self, list: usize) -> *mut u8 {
        // SAFETY: as in `forget_free`; what is cut belongs to nobody else.
        unsafe {
            let lists = &mut *self.lists.get();
            let size = list * STEP;
            if lists.left < size && !lists.refill(list, &self.beneath) {
                lists.join(&self.beneath);
                if !lists.refill(list, &self.beneath) {
                    self.failed.set(true);
                    return ptr::null_mut();
                }
            }
            let block = lists.rest;
            lists.rest = block.add(size);
            lists.left -= size;
            block
        }
    }

    /// Has the allocator beneath give what is large.
    #[inline]
    unsafe fn ask(&self, ask: impl Fn(&A) -> *mut u8) -> *mut u8 {
        let block = ask(&self.beneath);
        // SAFETY: as in `forget_free`.
        if block.is_null() { unsafe { self.join_and_ask(ask) } } else { block }
    }

    /// Joins what is free, as memory is out, and has the allocator beneath try again.
    #[cold]
    #[inline(never)]
    unsafe fn join_and_ask(&self, ask: impl Fn(&A) -> *mut u8) -> *mut u8 {
        // SAFETY: as in `forget_free`.
        unsafe { (*self.lists.get()).join(&self.beneath) };
        let block = ask(&self.beneath);
        if block.is_null() {
            self.failed.set(true);
        }
        block
    }
}

impl Lists {
    /// Puts a free block on the list of its size.
    unsafe fn put(&mut self, block: *mut Free, size: usize) {
        // SAFETY: the caller says that it is free, and as large as a `Free` at least.
        unsafe {
            let list = if size <= SMALL { size / STEP } else { LARGER };
            *block = Free { next: self.free[list], size };
            self.free[list] = block;
        }
    }

    /// Takes a free block from a list, and says how large it is.
    unsafe fn take(&mut self, list: usize) -> Option<(*mut Free, usize)> {
        let block = self.free[list];
        if block.is_null() {
            return None;
        }
        // SAFETY: blocks on lists are free, and say which is next.
        unsafe {
            self.free[list] = (*block).next;
            Some((block, if list == LARGER { (*block).size } else { list * STEP }))
        }
    }

    /// Puts what is left of a chunk on the list of its size: it is a multiple of steps.
    unsafe fn put_rest(&mut self) {
        if self.left > 0 {
            // SAFETY: it is free.
            unsafe { self.put(self.rest.cast(), self.left) };
            self.left = 0;
        }
    }

    /// Finds something to cut blocks of a list from: what is large, a new chunk, what is small. What
    /// is left of the last goes to the list of its size.
    unsafe fn refill<A: GlobalAlloc>(&mut self, list: usize, beneath: &A) -> bool {
        // SAFETY: as in `take`; a chunk has a size, and more than a step of it.
        unsafe {
            self.put_rest();
            let found = self.take(LARGER).or_else(|| {
                let chunk = beneath.alloc(chunk());
                if chunk.is_null() {
                    return (list..LISTS).find_map(|list| self.take(list));
                }
                Some((chunk.add(STEP).cast(), CHUNK - STEP))
            });
            let Some((block, size)) = found else { return false };
            (self.rest, self.left) = (block.cast(), size);
            true
        }
    }

    /// Puts free neighbours together, and gives back chunks of which nothing is in use. Between two
    /// chunks the unused step of one lies, so that what is put together is of one chunk.
    unsafe fn join<A: GlobalAlloc>(&mut self, beneath: &A) {
        // SAFETY: what is on lists is free; a whole chunk was allocated as it is given back.
        unsafe {
            self.put_rest();
            let mut all = ptr::null_mut();
            for list in 0..LISTS {
                while let Some((block, size)) = self.take(list) {
                    *block = Free { next: all, size };
                    all = block;
                }
            }
            let mut block = sorted(all);
            while !block.is_null() {
                let Free { mut next, mut size } = *block;
                while !next.is_null() && block.byte_add(size) == next {
                    size += (*next).size;
                    next = (*next).next;
                }
                if size == CHUNK - STEP {
                    beneath.dealloc(block.byte_sub(STEP).cast(), chunk());
                } else {
                    self.put(block, size);
                }
                block = next;
            }
        }
    }
}

/// Sorts blocks by where they are, without memory for it.
unsafe fn sorted(mut list: *mut Free) -> *mut Free {
    // Lists that are sorted, of 1, 2, 4 blocks and so on, as digits of how many there are so far.
    let mut digits = [ptr::null_mut::<Free>(); usize::BITS as usize];
    // SAFETY: each block is on one list, which ends.
    unsafe {
        while !list.is_null() {
            let mut one = list;
            list = (*list).next;
            (*one).next = ptr::null_mut();
            for digit in &mut digits {
                if digit.is_null() {
                    *digit = one;
                    break;
                }
                one = merged(*digit, one);
                *digit = ptr::null_mut();
            }
        }
        digits.into_iter().fold(ptr::null_mut(), |all, digit| merged(all, digit))
    }
}

/// Two sorted lists as one.
unsafe fn merged(mut a: *mut Free, mut b: *mut Free) -> *mut Free {
    let mut first = ptr::null_mut();
    let mut end = &raw mut first;
    // SAFETY: as in `sorted`.
    unsafe {
        while !a.is_null() && !b.is_null() {
            let least = if a < b { &mut a } else { &mut b };
            *end = *least;
            end = &raw mut (**least).next;
            *least = *end;
        }
        *end = if a.is_null() { b } else { a };
    }
    first
}

const fn chunk() -> Layout {
    match Layout::from_size_align(CHUNK, STEP) {
        Ok(layout) => layout,
        Err(_) => panic!("a step is a power of two"),
    }
}

/// The list of blocks for what is allocated so, if it is small.
#[inline]
const fn list_of(layout: Layout) -> Option<usize> {
    if layout.size() <= SMALL && layout.align() <= STEP {
        Some(layout.size().div_ceil(STEP))
    } else {
        None
    }
}

// SAFETY: blocks are aligned to a step, as large as their list says, and on a list or in use.
unsafe impl<A: GlobalAlloc> GlobalAlloc for Heap<A> {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as in `forget_free`, and as the caller promises; sizes are not zero.
        unsafe {
            let Some(list) = list_of(layout) else {
                return self.ask(|beneath| beneath.alloc(layout));
            };
            match (*self.lists.get()).take(list) {
                Some((block, _)) => block.cast(),
                None => self.cut(list),
            }
        }
    }

    #[inline]
    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe {
            let Some(list) = list_of(layout) else {
                return self.beneath.dealloc(block, layout);
            };
            // RustPython's `array` gives back less than it took, aligned to what a number needs: the
            // rest of such a block is lost, and no more.
            let lists = &mut *self.lists.get();
            let block = block.cast::<Free>();
            (*block).next = lists.free[list];
            lists.free[list] = block;
        }
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as above.
        unsafe {
            if list_of(layout).is_none() {
                return self.ask(|beneath| beneath.alloc_zeroed(layout));
            }
            let block = self.alloc(layout);
            if !block.is_null() {
                block.write_bytes(0, layout.size());
            }
            block
        }
    }

    #[inline]
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: as above; the caller promises that the size is not too large for a layout.
        unsafe {
            let new = Layout::from_size_align_unchecked(size, layout.align());
            match (list_of(layout), list_of(new)) {
                (Some(a), Some(b)) if a == b => return block,
                (None, None) => {
                    return self.ask(|beneath| beneath.realloc(block, layout, size));
                }
                _ => {}
            }
            let failed = self.failed.get();
            let moved = self.alloc(new);
            if moved.is_null() {
                if size > layout.size() {
                    return moved;
                }
                // What gets smaller has its memory already: what it has too much is lost.
                self.failed.set(failed);
                return block;
            }
            moved.copy_from_nonoverlapping(block, layout.size().min(size));
            self.dealloc(block, layout);
            moved
        }
    }
}

#[cfg(test)]
mod tests;
