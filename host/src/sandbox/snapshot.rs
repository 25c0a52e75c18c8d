//! What an instance's memory holds at rest, as what sets it apart from the interpreter image.

use std::ops::Range;

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
}
