//! What an instance's memory holds at rest, as what sets it apart from the interpreter image.

use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// A page of an image: where it is in the memory, and what it holds.
type Page<'a> = (Range<usize>, &'a [u8]);

/// The memory of an instance that holds still: pages that differ from the interpreter image.
#[derive(Debug)]
pub(super) struct Snapshot {
    /// Size of the memory, in bytes.
    pub(super) len: usize,
    /// In order. The last may be less than a page.
    pages: Vec<Range<usize>>,
    /// Of all of them, one after another.
    content: Vec<u8>,
}

impl Snapshot {
    /// Of `memory`, which can differ from its `image` in the pages `written` only; `None` if
    /// that takes more than `most` bytes. A memory that grew was zero beyond its image.
    pub(super) fn take(
        memory: &[u8],
        image: &[u8],
        written: Vec<Range<usize>>,
        most: usize,
    ) -> Option<Snapshot> {
        let mut snapshot = Snapshot { len: memory.len(), pages: Vec::new(), content: Vec::new() };
        for page in written {
            let content = memory.get(page.clone())?;
            if !is_as(content, image.get(page.clone())) {
                if snapshot.content.len() + content.len() > most {
                    return None;
                }
                snapshot.content.extend_from_slice(content);
                snapshot.pages.push(page);
            }
        }
        snapshot.content.shrink_to_fit();
        Some(snapshot)
    }

    /// Bytes that it holds.
    pub(super) fn bytes(&self) -> usize {
        self.content.len() + self.pages.len() * size_of::<Range<usize>>()
    }

    /// Whether that is what `memory` holds, in every byte: takes milliseconds.
    pub(super) fn is(&self, memory: &[u8], image: &[u8]) -> bool {
        let mut from = 0;
        let pages = self.pages().all(|(page, content)| {
            let between = is_image(memory, image, from..page.start);
            from = page.end;
            between && memory.get(page) == Some(content)
        });
        pages && memory.len() == self.len && is_image(memory, image, from..self.len)
    }

    fn pages(&self) -> impl Iterator<Item = Page<'_>> {
        let mut rest = self.content.as_slice();
        self.pages.iter().map(move |page| {
            let content = rest.split_off(..page.len()).unwrap_or_default();
            (page.clone(), content)
        })
    }
}

/// A snapshot put by: of its pages, only the blocks that differ from the interpreter image. In most
/// that is a few counts of references.
#[derive(Debug)]
pub(super) struct Packed {
    len: usize,
    /// Those that differ, and which of their [`blocks`] do: the first has the lowest bit.
    pages: Vec<(Range<usize>, u64)>,
    /// Of those blocks, one after another.
    content: Vec<u8>,
    /// As long as an instance is made of it, or from it.
    unpacked: Mutex<Weak<Snapshot>>,
}

/// Blocks of a page, or of what is left of one.
const BLOCKS: usize = u64::BITS as usize;

/// The blocks of `page`: their numbers, and where they are in it.
fn blocks(page: &Range<usize>) -> impl Iterator<Item = (usize, Range<usize>)> {
    let (len, block) = (page.len(), page.len().div_ceil(BLOCKS).max(1));
    (0..len).step_by(block).map(move |start| start..(start + block).min(len)).enumerate()
}

impl Packed {
    pub(super) fn pack(snapshot: &Arc<Snapshot>, image: &[u8]) -> Packed {
        let (mut pages, mut content) = (Vec::with_capacity(snapshot.pages.len()), Vec::new());
        for (page, bytes) in snapshot.pages() {
            let (mut differ, of_image) = (0, image.get(page.clone()));
            for (number, block) in blocks(&page) {
                let of_image = of_image.map(|of_image| &of_image[block.clone()]);
                if !is_as(&bytes[block.clone()], of_image) {
                    differ |= 1 << number;
                    content.extend_from_slice(&bytes[block]);
                }
            }
            pages.push((page, differ));
        }
        content.shrink_to_fit();
        let unpacked = Mutex::new(Arc::downgrade(snapshot));
        Packed { len: snapshot.len, pages, content, unpacked }
    }

    /// The snapshot, the same for all who have it at once; `image` is the one that it was packed
    /// with.
    pub(super) fn unpack(&self, image: &[u8]) -> Option<Arc<Snapshot>> {
        // Nothing panics while it holds the lock.
        let mut unpacked = self.unpacked.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(snapshot) = unpacked.upgrade() {
            return Some(snapshot);
        }
        let size = self.pages.iter().map(|(page, _)| page.len()).sum();
        let (mut content, mut packed) = (Vec::with_capacity(size), self.content.as_slice());
        for (page, differ) in &self.pages {
            let start = content.len();
            // Where the image has nothing it is zero.
            content.extend_from_slice(image.get(page.clone()).unwrap_or_default());
            content.resize(start + page.len(), 0);
            for (_, block) in blocks(page).filter(|(number, _)| differ & (1 << number) != 0) {
                let bytes = packed.split_off(..block.len())?;
                content[start..][block].copy_from_slice(bytes);
            }
        }
        let pages = self.pages.iter().map(|(page, _)| page.clone()).collect();
        let snapshot = Arc::new(Snapshot { len: self.len, pages, content });
        *unpacked = Arc::downgrade(&snapshot);
        Some(snapshot)
    }

    /// Bytes that it holds.
    pub(super) fn bytes(&self) -> usize {
        self.content.len() + self.pages.len() * size_of::<(Range<usize>, u64)>()
    }

    /// Size of the memory, in bytes.
    pub(super) fn memory_bytes(&self) -> usize {
        self.len
    }
}

/// Makes `memory` as `snapshot`, which is as long, or as the `image` itself. It can differ from
/// the image in the pages `written`, and afterwards in those that are returned.
pub(super) fn restore(
    memory: &mut [u8],
    image: &[u8],
    snapshot: Option<&Snapshot>,
    written: Vec<Range<usize>>,
) -> Option<Vec<Range<usize>>> {
    let mut pages = snapshot.into_iter().flat_map(Snapshot::pages).peekable();
    let mut own = Vec::with_capacity(written.len());
    for page in written {
        while let Some((new, content)) = pages.next_if(|(next, _)| next.start < page.start) {
            memory.get_mut(new.clone())?.copy_from_slice(content);
            own.push(new);
        }
        let content = match pages.next_if(|(next, _)| next.start == page.start) {
            Some((_, content)) => Some(content),
            None => image.get(page.clone()),
        };
        let bytes = memory.get_mut(page.clone())?;
        // Most of them are as they were; to read is cheaper than to write.
        if !is_as(bytes, content) {
            match content {
                Some(content) => bytes.copy_from_slice(content),
                None => bytes.fill(0),
            }
        }
        own.push(page);
    }
    for (new, content) in pages {
        memory.get_mut(new.clone())?.copy_from_slice(content);
        own.push(new);
    }
    Some(own)
}

/// Whether `memory` is as its image in that range.
fn is_image(memory: &[u8], image: &[u8], range: Range<usize>) -> bool {
    let (within, beyond) = (range.start.min(image.len()), range.end.min(image.len()));
    memory.get(within..beyond) == image.get(within..beyond)
        && memory.get(range.start.max(beyond)..range.end).is_some_and(|rest| is_as(rest, None))
}

/// Whether `bytes` are those of an image, which is zero where it has none.
fn is_as(bytes: &[u8], image: Option<&[u8]>) -> bool {
    match image {
        Some(image) => bytes == image,
        None => bytes.iter().all(|byte| *byte == 0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_a_memory_from_all_that_differ_in_one_byte() {
        let image: Vec<u8> = (0..20_000).map(|i| i as u8).collect();
        let mut memory = image.clone();
        memory.resize(40_000, 0);
        for at in [4096, 9000, 19_999, 20_000, 30_000] {
            memory[at] ^= 1;
        }
        let written = (0..10).map(|page| page * 4096..(page * 4096 + 4096).min(memory.len()));
        let snapshot = Snapshot::take(&memory, &image, written.collect(), usize::MAX);
        let snapshot = snapshot.expect("fits");
        assert!(snapshot.is(&memory, &image));
        for at in [0, 4095, 4096, 8191, 8192, 16_000, 19_998, 19_999, 20_000, 29_000, 39_999] {
            memory[at] ^= 2;
            assert!(!snapshot.is(&memory, &image), "{at}");
            memory[at] ^= 2;
        }
        assert!(!snapshot.is(&memory[..39_999], &image));
        memory.push(0);
        assert!(!snapshot.is(&memory, &image));
    }

    #[test]
    fn unpacks_what_was_packed() {
        const PAGE: usize = 4096;
        let image: Vec<u8> = (0..8 * PAGE).map(|i| (i / 7) as u8).collect();
        let mut memory = image.clone();
        memory.resize(12 * PAGE + 100, 0);
        // Nothing, a byte, the first and the last of blocks and pages, all of a page; and beyond
        // the image, where it ends within a page.
        for at in [PAGE + 63, PAGE + 64, 2 * PAGE, 3 * PAGE - 1, 9 * PAGE, 12 * PAGE + 99] {
            memory[at] ^= 1;
        }
        memory[5 * PAGE..6 * PAGE].iter_mut().for_each(|byte| *byte ^= 255);
        let pages = |from: usize, to| {
            (from..to).map(|page| page * PAGE..(page * PAGE + PAGE).min(12 * PAGE + 100))
        };
        let snapshot = Snapshot::take(&memory, &image, pages(0, 13).collect(), usize::MAX);
        let snapshot = Arc::new(snapshot.expect("fits"));
        let packed = Packed::pack(&snapshot, &image);
        assert!(packed.bytes() < 2 * PAGE, "{}", packed.bytes());
        let same = packed.unpack(&image).expect("it holds together");
        assert!(Arc::ptr_eq(&same, &snapshot), "there is one as long as somebody has it");
        drop((same, snapshot));
        let unpacked = packed.unpack(&image).expect("it holds together");
        assert!(unpacked.is(&memory, &image));
        assert!(Arc::ptr_eq(&unpacked, &packed.unpack(&image).expect("it holds together")));
        let mut restored = image.clone();
        restored.resize(memory.len(), 0);
        restore(&mut restored, &image, Some(&unpacked), Vec::new()).expect("fits");
        assert!(restored == memory);
    }
}
