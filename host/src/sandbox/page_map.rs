//! Which pages of a memory are not the image's any more, by the kernel's own account.
//!
//! An instance's memory is a private mapping of the image, a file. The page that is written to
//! is replaced by a copy, which belongs to no file, and stays until it is unmapped: that is
//! what the kernel tells apart. Where the image has only zeros there may be no file; then any
//! page that is there counts as written to.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt as _;

/// What the kernel has to say of a page: a number of 64 bits.
const ENTRY: usize = size_of::<u64>();

/// Its bits, from Linux' `pagemap.rst`: the page is in memory; it is out in swap, or on its
/// way from one place to another; it belongs to a file.
const PRESENT: u64 = 1 << 63;
const SWAPPED: u64 = 1 << 62;
const OF_FILE: u64 = 1 << 61;

/// How many pages are asked for at once.
const AT_ONCE: usize = 512;

/// The account of this process' pages.
#[derive(Debug)]
pub struct PageMap {
    file: File,
    /// Of a page, in bytes.
    page: usize,
    /// Whether the process has no huge pages.
    by_faults: bool,
}

impl PageMap {
    /// Opens it, and has the process go without huge pages, of which it tells too little. Where
    /// in the machine the pages are is not told to a process without capabilities, and not
    /// needed.
    ///
    /// # Errors
    /// The system has none, or does not show it: only Linux does.
    pub fn open() -> io::Result<PageMap> {
        File::open("/proc/self/pagemap").map(|file| PageMap::opened(file.into()))
    }

    /// It was opened already, by this process.
    pub(crate) fn opened(file: OwnedFd) -> PageMap {
        // In the background the system would put huge pages in the place of some that were
        // written to and of others that were not.
        #[cfg(target_os = "linux")]
        let by_faults = rustix::thread::disable_transparent_huge_pages(true).is_ok();
        #[cfg(not(target_os = "linux"))]
        let by_faults = false;
        PageMap { file: file.into(), page: rustix::param::page_size(), by_faults }
    }

    /// Of a page, in bytes.
    pub(super) fn page(&self) -> usize {
        self.page
    }

    /// Whether a page becomes a memory's own by a page fault only.
    pub(super) fn by_faults(&self) -> bool {
        self.by_faults
    }

    /// The pages of the `len` bytes at `memory`, counted from there, that may hold anything
    /// else than what the file has. `memory` begins with a page.
    pub(super) fn written(&self, memory: *const u8, len: usize) -> io::Result<Vec<Range<usize>>> {
        let (first, pages) = (memory.addr() / self.page, len.div_ceil(self.page));
        let mut written = Vec::new();
        let mut entries = [0; AT_ONCE * ENTRY];
        for start in (0..pages).step_by(AT_ONCE) {
            let entries = &mut entries[..(pages - start).min(AT_ONCE) * ENTRY];
            self.file.read_exact_at(entries, ((first + start) * ENTRY) as u64)?;
            for (page, entry) in (start..).zip(entries.chunks_exact(ENTRY)) {
                let entry = u64::from_ne_bytes(std::array::from_fn(|i| entry[i]));
                if entry & (PRESENT | SWAPPED) != 0 && entry & OF_FILE == 0 {
                    written.push(page * self.page..((page + 1) * self.page).min(len));
                }
            }
        }
        Ok(written)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The kernel's account of a private mapping, by what it is used for.
    #[test]
    #[cfg(target_os = "linux")]
    fn pages_count_once_they_are_written_to_and_not_when_they_are_read() {
        use rustix::fs::{MemfdFlags, ftruncate, memfd_create};
        use rustix::mm::{MapFlags, ProtFlags, mmap};

        let map = PageMap::open().expect("Linux has it");
        let page = map.page;
        let file = memfd_create("image", MemfdFlags::CLOEXEC).expect("a file in memory");
        ftruncate(&file, 8 * page as u64).expect("it grows");
        let (prot, flags) = (ProtFlags::READ | ProtFlags::WRITE, MapFlags::PRIVATE);
        // SAFETY: a new mapping, at a place that the kernel picks, which is never unmapped.
        #[expect(unsafe_code, reason = "memory like an instance's is mapped by hand")]
        let memory = unsafe {
            let start = mmap(std::ptr::null_mut(), 8 * page, prot, flags, &file, 0);
            std::slice::from_raw_parts_mut(start.expect("mapped").cast::<u8>(), 8 * page)
        };
        let written = |memory: &[u8]| map.written(memory.as_ptr(), memory.len()).expect("told");
        assert!(written(memory).is_empty());
        assert!(memory.iter().all(|byte| *byte == 0), "now each was read");
        assert!(written(memory).is_empty());
        for at in [0, 3 * page + 7, 8 * page - 1] {
            memory[at] = 1;
        }
        let pages = [0..page, 3 * page..4 * page, 7 * page..8 * page];
        assert_eq!(written(memory), pages);
        // Less than whole pages: what is asked for is all that is told.
        let most = 7 * page + 1;
        assert_eq!(written(&memory[..most]).last(), Some(&(7 * page..most)));
        assert!(written(&memory[page..3 * page]).is_empty());
    }
}
