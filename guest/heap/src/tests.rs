//! Whether blocks are as promised, and whether memory that is out is found again.

use proptest::prelude::*;

use super::*;

/// Gives so many bytes and no more.
struct Limited {
    left: Cell<usize>,
}

// SAFETY: it is the system's, or nothing.
unsafe impl GlobalAlloc for Limited {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let Some(left) = self.left.get().checked_sub(layout.size()) else {
            return ptr::null_mut();
        };
        self.left.set(left);
        // SAFETY: as promised to us.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        self.left.set(self.left.get() + layout.size());
        // SAFETY: as promised to us.
        unsafe { System.dealloc(block, layout) };
    }
}

fn heap(bytes: usize) -> Heap<Limited> {
    Heap::new(Limited { left: Cell::new(bytes) })
}

fn bytes(size: usize) -> Layout {
    Layout::from_size_align(size, 1).expect("small")
}

/// Blocks of a size, until memory is out.
fn fill(heap: &Heap<Limited>, size: usize) -> Vec<*mut u8> {
    // SAFETY: the size is not zero.
    let blocks = std::iter::from_fn(|| {
        Some(unsafe { heap.alloc(bytes(size)) }).filter(|block| !block.is_null())
    });
    blocks.collect()
}

fn free(heap: &Heap<Limited>, blocks: impl IntoIterator<Item = *mut u8>, size: usize) {
    for block in blocks {
        // SAFETY: the caller has it from `fill`, and gives it once.
        unsafe { heap.dealloc(block, bytes(size)) };
    }
}

#[test]
fn what_was_small_can_become_large_and_small_again() {
    let heap = heap(20 * CHUNK);
    let small = fill(&heap, 32);
    assert_eq!(small.len(), 20 * ((CHUNK - STEP) / 32));
    assert_eq!(heap.beneath.left.get(), 0);
    free(&heap, small, 32);
    let large = fill(&heap, CHUNK * 3 / 2);
    assert_eq!(large.len(), 13);
    free(&heap, large, CHUNK * 3 / 2);
    assert_eq!(fill(&heap, 512).len(), 20 * ((CHUNK - STEP) / 512));
}

#[test]
fn memory_that_is_out_is_found_again_for_what_is_large() {
    // SAFETY: no size is zero.
    let ways: [fn(&Heap<Limited>, *mut u8) -> *mut u8; 3] = [
        |heap, _| unsafe { heap.alloc(bytes(3 * CHUNK)) },
        |heap, _| unsafe { heap.alloc_zeroed(bytes(3 * CHUNK)) },
        |heap, block| unsafe { heap.realloc(block, bytes(CHUNK), 3 * CHUNK) },
    ];
    for way in ways {
        let heap = heap(4 * CHUNK);
        // SAFETY: as above.
        let block = unsafe { heap.alloc(bytes(CHUNK)) };
        let small = fill(&heap, 32);
        assert!(way(&heap, block).is_null());
        free(&heap, small, 32);
        assert!(!way(&heap, block).is_null());
    }
}

#[test]
fn holes_are_used_for_what_is_smaller_and_joined_for_what_is_larger() {
    let heap = heap(4 * CHUNK);
    let size = (CHUNK - STEP) / 33;
    let blocks = fill(&heap, size);
    assert_eq!(blocks.len(), 4 * 33);
    // Every other one, so that no two are neighbours.
    let holes = blocks.into_iter().step_by(2).collect::<Vec<_>>();
    let there = holes.len();
    free(&heap, holes, size);
    let small = fill(&heap, 32);
    assert_eq!(small.len(), there * (size / 32));
    free(&heap, small, 32);
    let blocks = fill(&heap, size);
    assert_eq!(blocks.len(), there);
    free(&heap, blocks, size);
    assert_eq!(fill(&heap, SMALL).len(), 0, "no hole is as large");
}

#[test]
fn what_is_free_is_not_used_once_it_is_forgotten() {
    let heap = heap(100 * CHUNK);
    // SAFETY: the size is not zero.
    let block = unsafe { heap.alloc(bytes(40)) };
    free(&heap, [block], 40);
    heap.forget_free();
    assert!(!fill(&heap, 40).contains(&block));
}

#[test]
fn neighbours_that_are_free_are_used_for_what_is_as_large_as_all_of_them() {
    // Of 32 bytes, two make just one of 64, twenty more than what is small.
    for together in [2, 20] {
        let heap = heap(4 * CHUNK);
        let blocks = fill(&heap, 32);
        let runs = blocks.chunks_exact(together + 1).flat_map(|run| run.iter().skip(1)).copied();
        let runs = runs.collect::<Vec<_>>();
        let room = runs.len() / together * (together * 32 / 64);
        free(&heap, runs, 32);
        // Of blocks at the end of one chunk and the beginning of the next, two are not neighbours.
        let had = fill(&heap, 64).len();
        assert!((room - 4..=room).contains(&had), "{had} of {room}");
    }
}

#[test]
fn nothing_is_cut_from_a_chunk_that_is_forgotten() {
    let heap = heap(100 * CHUNK);
    // SAFETY: the size is not zero.
    let block = unsafe { heap.alloc(bytes(40)) };
    heap.forget_free();
    let chunk = block.addr()..block.addr() + CHUNK - STEP;
    assert!(!fill(&heap, 40).iter().any(|block| chunk.contains(&block.addr())));
}

#[test]
fn what_gets_smaller_finds_room() {
    for (before, after) in [(600, 300), (512, 300), (CHUNK, 300)] {
        let heap = heap(4 * CHUNK);
        let blocks = fill(&heap, before);
        let _rest = fill(&heap, 8);
        // SAFETY: it lives as long as the heap. What filled it has said that memory was out.
        unsafe { *heap.failed() = false };
        // SAFETY: each has that size.
        let moved =
            blocks.iter().map(|block| unsafe { heap.realloc(*block, bytes(before), after) });
        let moved = moved.collect::<Vec<_>>();
        assert!(moved.iter().all(|block| !block.is_null()));
        // SAFETY: as above.
        assert!(!unsafe { *heap.failed() });
        free(&heap, moved, after);
    }
}

#[test]
fn says_that_memory_was_out_only_if_none_was_found() {
    let heap = heap(4 * CHUNK);
    // SAFETY: the size is not zero; it lives as long as the heap.
    let (ask, failed) = (|size| unsafe { heap.alloc(bytes(size)) }, || unsafe { *heap.failed() });
    let chunk = 4 * ((CHUNK - STEP) / 32);
    let small = (0..chunk).map(|_| ask(32)).collect::<Vec<_>>();
    free(&heap, small, 32);
    assert!(!ask(3 * CHUNK).is_null());
    assert!(!failed());
    assert!(ask(3 * CHUNK).is_null());
    assert!(failed());
}

/// What a program does with a heap.
#[derive(Debug, Clone)]
enum Step {
    Alloc { size: usize, align: usize, zeroed: bool },
    Free(prop::sample::Index),
    Realloc(prop::sample::Index, usize),
    FreeHalf,
}

fn step() -> impl Strategy<Value = Step> {
    let size = || prop_oneof![6 => 1..SMALL + STEP, 1 => 1..4 * CHUNK];
    prop_oneof![
        800 => (size(), 0..6_u32, any::<bool>())
            .prop_map(|(size, align, zeroed)| Step::Alloc { size, align: 1 << align, zeroed }),
        400 => any::<prop::sample::Index>().prop_map(Step::Free),
        200 => (any::<prop::sample::Index>(), size()).prop_map(|(which, size)| Step::Realloc(which, size)),
        // Seldom, so that memory is out meanwhile.
        5 => Just(Step::FreeHalf),
    ]
}

/// A block in use, full of bytes of its own.
struct Used {
    block: *mut u8,
    layout: Layout,
    mark: u8,
}

impl Used {
    fn new(block: *mut u8, layout: Layout, mark: u8) -> Used {
        assert_eq!(block.addr() % layout.align(), 0);
        // SAFETY: it was allocated so.
        unsafe { block.write_bytes(mark, layout.size()) };
        Used { block, layout, mark }
    }

    fn holds(&self, mark: u8, size: usize) {
        // SAFETY: it is as large as its layout says.
        let held = unsafe { std::slice::from_raw_parts(self.block, self.layout.size()) };
        assert!(held.iter().take(size).all(|byte| *byte == mark), "somebody wrote into a block");
    }
}

proptest! {
    /// Blocks keep what is written into them, and once all are free, all memory can be had as one.
    /// What got smaller where memory was out may have lost some: it is tried by every other case.
    #[test]
    fn blocks_belong_to_one_and_come_back(limit in 1..10_usize, steps in prop::collection::vec(step(), 1..2_000)) {
        let heap = heap(limit * CHUNK);
        let mut used = Vec::<Used>::new();
        let shrinks = limit % 2 == 0;
        for (mark, step) in steps.into_iter().enumerate() {
            let mark = mark as u8;
            // SAFETY: what is in `used` was allocated with its layout, and no size is zero.
            unsafe {
                match step {
                    Step::Alloc { size, align, zeroed } => {
                        let layout = Layout::from_size_align(size, align).expect("small");
                        let block = if zeroed { heap.alloc_zeroed(layout) } else { heap.alloc(layout) };
                        if !block.is_null() {
                            if zeroed {
                                Used { block, layout, mark: 0 }.holds(0, size);
                            }
                            used.push(Used::new(block, layout, mark));
                        }
                    }
                    Step::Free(which) if !used.is_empty() => {
                        let one = used.swap_remove(which.index(used.len()));
                        one.holds(one.mark, usize::MAX);
                        heap.dealloc(one.block, one.layout);
                    }
                    Step::Realloc(which, size) if !used.is_empty() => {
                        let which = which.index(used.len());
                        let Used { block, layout, mark: before } = used[which];
                        let size = if shrinks { size } else { size.max(layout.size()) };
                        let moved = heap.realloc(block, layout, size);
                        if !moved.is_null() {
                            let new = Layout::from_size_align(size, layout.align()).expect("small");
                            Used { block: moved, layout: new, mark }.holds(before, layout.size());
                            used[which] = Used::new(moved, new, mark);
                        }
                    }
                    Step::FreeHalf => {
                        for one in used.split_off(used.len() / 2) {
                            one.holds(one.mark, usize::MAX);
                            heap.dealloc(one.block, one.layout);
                        }
                    }
                    Step::Free(_) | Step::Realloc(..) => {}
                }
            }
        }
        for one in used {
            one.holds(one.mark, usize::MAX);
            // SAFETY: as above.
            unsafe { heap.dealloc(one.block, one.layout) };
        }
        let all = bytes(limit * CHUNK);
        // SAFETY: it is not zero, and freed as it was allocated.
        unsafe {
            let block = heap.alloc(all);
            prop_assert!(shrinks || !block.is_null(), "{} of {} bytes came back", heap.beneath.left.get(), all.size());
            if !block.is_null() {
                heap.dealloc(block, all);
            }
        }
    }
}
