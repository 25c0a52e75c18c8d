//! Instances that wait for their tenant's next task, byte for byte as their image again.
//!
//! A new instance costs little, but every page that its task touches is a page fault, and to
//! take an instance apart is dear as well. So one whose task ended in good order is kept, with
//! the pages that it has by now, and what the task has changed in them is copied back from the
//! image. That is all there is to undo, as a guest has no other state: no table of an image
//! can be changed, and no global but the stack pointer (`image::build` makes sure), which is
//! compared, like the size of the memory.
//!
//! To go through the kernel's account of a whole memory is what takes longest. A page that the
//! account did not have before can only have come by a page fault, which the kernel counts for
//! each thread: where a task had none, its instance has the pages that it had before. Whether
//! that can be relied on is found out at the start; if not, the account is gone through.
//!
//! Whatever ended otherwise is taken apart, and so is all where the kernel does not tell which
//! pages were written to. An instance only ever serves the tenant that it began with.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};

use futures_util::FutureExt as _;
use wasmtime::{InstancePre, Memory, Store};

use super::guest::Guest;
use super::instance::Instance;
use super::page_map::PageMap;
use super::threads;
use crate::task::TenantName;

/// How many instances are kept, of all tenants together.
pub(super) const MOST: u32 = 32;

/// How much memory of its own a kept instance may have, in bytes. After trivial tasks it has
/// 150 pages of 4 KiB.
const MOST_BYTES: usize = 2 << 20;

/// Instances of one image.
pub(super) struct Warm {
    image: InstancePre<Instance>,
    /// `None` where nothing can be kept.
    undo: Option<Undo>,
    /// The one that has waited longest first.
    kept: Mutex<VecDeque<(TenantName, Guest)>>,
}

impl Warm {
    /// Keeps instances if there is a `page_map`.
    pub(super) fn new(image: InstancePre<Instance>, page_map: Option<PageMap>) -> Warm {
        let undo = page_map.and_then(|page_map| Undo::new(&image, page_map));
        Warm { image, undo, kept: Mutex::default() }
    }

    /// An instance for a task of `tenant`.
    pub(super) async fn take(
        &self,
        tenant: &TenantName,
        data: Instance,
    ) -> wasmtime::Result<Guest> {
        let kept = {
            let mut kept = self.kept();
            let newest = kept.iter().rposition(|(of, _)| of == tenant);
            newest.and_then(|newest| kept.remove(newest))
        };
        match kept {
            Some((_, mut guest)) => {
                guest.renew(data);
                Ok(guest)
            }
            None => Guest::start(&self.image, data).await,
        }
    }

    /// Takes back an instance whose task ended in good order, with as many page `faults` as the
    /// threads had that it ran on. It is kept if it can be made as it was.
    pub(super) fn put_back(&self, tenant: TenantName, mut guest: Guest, faults: u64) {
        let undo = self.undo.as_ref();
        let undone = undo.is_some_and(|undo| undo.undo(&mut guest, faults).is_some());
        if undone {
            guest.renew(Instance::idle());
            let mut kept = self.kept();
            kept.push_back((tenant, guest));
            let oldest = if kept.len() > MOST as usize { kept.pop_front() } else { None };
            drop(kept);
            // Now: it takes a while.
            drop(oldest);
        }
    }

    /// How many are kept, and how many of them differ from their image.
    pub(super) fn compared(&self) -> (usize, usize) {
        let kept = self.kept();
        let differs = |guest: &Guest| {
            let (memory, undo) = (guest.store.data().memory, self.undo.as_ref());
            memory.map(|memory| memory.data(&guest.store)) != undo.map(Undo::image)
        };
        (kept.len(), kept.iter().filter(|(_, guest)| differs(guest)).count())
    }

    fn kept(&self) -> MutexGuard<'_, VecDeque<(TenantName, Guest)>> {
        // Nothing panics while it holds the lock.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What it takes to undo all that a task did.
struct Undo {
    page_map: PageMap,
    /// Whether all faults are counted by which a memory gets pages of its own.
    counts: bool,
    /// An instance in which nothing ever ran: the image as it is.
    store: Store<Instance>,
    memory: Memory,
}

impl Undo {
    fn new(image: &InstancePre<Instance>, page_map: PageMap) -> Option<Undo> {
        let mut store = Store::new(image.module().engine(), Instance::idle());
        // A module that runs code of its own as it starts is none of our images: it may trap
        // here at once, for want of time.
        let instance = image.instantiate_async(&mut store).now_or_never()?.ok()?;
        let memory = instance.get_memory(&mut store, roh_abi::export::MEMORY)?;
        let counts = counts_faults(memory, &mut store, &page_map).unwrap_or(false);
        Some(Undo { page_map, counts, store, memory })
    }

    fn image(&self) -> &[u8] {
        self.memory.data(&self.store)
    }

    /// Makes `guest` as its image, if it can be.
    fn undo(&self, guest: &mut Guest, faults: u64) -> Option<()> {
        let image = self.image();
        let memory = guest.store.data().memory?;
        // Memory never shrinks.
        if memory.data_size(&guest.store) != image.len() || !guest.stack_is_empty() {
            return None;
        }
        let known = guest.own_pages.take().filter(|_| self.counts && faults == 0);
        let written = match known {
            Some(written) => written,
            None => self.page_map.written(memory.data_ptr(&guest.store), image.len()).ok()?,
        };
        if written.iter().map(Range::len).sum::<usize>() > MOST_BYTES {
            return None;
        }
        let bytes = memory.data_mut(&mut guest.store);
        for page in &written {
            let (bytes, image) = (bytes.get_mut(page.clone())?, image.get(page.clone())?);
            // A third of them are as they were, after a trivial task; to read is cheaper than to
            // write.
            if bytes != image {
                bytes.copy_from_slice(image);
            }
        }
        guest.own_pages = Some(written);
        Some(())
    }
}

/// Whether each page that is written to for the first time counts as a fault here, and is in
/// the account from then on: tried out all over a memory that nobody wrote to, on pages of the
/// image's file and on others. Not all that pass for Linux do so. It stays as it is.
fn counts_faults(memory: Memory, store: &mut Store<Instance>, page_map: &PageMap) -> Option<bool> {
    const TRIES: usize = 16;
    let (start, len) = (memory.data_ptr(&*store), memory.data_size(&*store));
    let apart = (len / TRIES).next_multiple_of(page_map.page()).max(page_map.page());
    let pages: Vec<usize> = (0..len).step_by(apart).collect();
    let told = |page_map: &PageMap| {
        let written = page_map.written(start, len).ok()?;
        let told = |page: &&usize| written.iter().any(|written| written.start == **page);
        Some(pages.iter().filter(told).count())
    };
    let content: Vec<u8> = pages.iter().map(|page| memory.data(&*store)[*page]).collect();
    let told_unwritten = told(page_map)?;
    let before = threads::faults()?;
    for (page, byte) in pages.iter().zip(&content) {
        memory.write(&mut *store, *page, &[*byte]).ok()?;
    }
    let faults = threads::faults()?.checked_sub(before)?;
    let all_told = told(page_map)? == pages.len() && told_unwritten < pages.len();
    Some(page_map.by_faults() && all_told && faults >= pages.len() as u64)
}

#[cfg(test)]
mod tests;
