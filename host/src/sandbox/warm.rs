//! Instances that wait for their tenant's next task, byte for byte as their image again.
//!
//! A new instance costs little, but every page that its task touches is a page fault, and to
//! take an instance apart is dear as well. So one whose task ended in good order is kept, with
//! the pages that it has by now, and what the task has changed in them is copied back from the
//! image: the interpreter's, or that of its script, which is the interpreter's with some pages
//! changed ([`Snapshot`]). That is all there is to undo, as a guest has no other state: no table of an image
//! can be changed, and no global but the stack pointer (`image::build` makes sure), which is
//! compared, like the size of the memory.
//!
//! To go through the kernel's account of a whole memory is what takes longest. A page that the
//! account did not have before can only have come by a page fault, which the kernel counts for
//! each thread: where a task had none, its instance has the pages that it had before. Whether
//! that can be relied on is found out at the start; if not, the account is gone through.
//!
//! The stack that the guest's code runs on stays with its instance as well, as deep as a task ever
//! went. Nobody reads what is left there, but it takes memory, and is part of no task's limit. So
//! page faults that the memory's own pages don't account for are taken to be the stack's, and count
//! as memory that an instance has. Where faults are not counted, stacks stay as they are.
//!
//! Whatever ended otherwise is taken apart, and so is all where the kernel does not tell which
//! pages were written to. An instance only ever serves the tenant that it began with.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::FutureExt as _;
use wasmtime::{InstancePre, Memory, Store};

use super::guest::{Addresses, Guest};
use super::instance::Instance;
use super::memory::OutOfBounds;
use super::page_map::PageMap;
use super::snapshot::{self, Packed, Snapshot};
use super::threads;
use crate::task::TenantName;

/// How many instances are kept, of all tenants together.
pub(super) const MOST: u32 = 128;

/// How much memory of its own a kept instance may have beside its script's image, in bytes, its stack
/// among it. After trivial tasks it has 100 pages of 4 KiB.
const MOST_BYTES: usize = 2 << 20;

/// How many pages tasks may have touched without having them counted as the stack's: those that they
/// read of the image, and what wasmtime and we keep for them.
const NOT_THE_STACKS: u64 = 256;

/// How much all of them may have together, in bytes.
const MOST_IN_ALL: usize = 64 << 20;

/// How large a script's image may be, in bytes.
const LARGEST_IMAGE: usize = 16 << 20;

/// Instances of one interpreter image.
pub(super) struct Warm {
    image: InstancePre<Instance>,
    addresses: Addresses,
    /// `None` where nothing can be kept.
    undo: Option<Undo>,
    /// The one that has waited longest first.
    kept: Mutex<VecDeque<Kept>>,
}

/// An instance that waits for a task.
struct Kept {
    tenant: TenantName,
    guest: Guest,
    /// What it has of memory of its own.
    bytes: usize,
}

impl Warm {
    /// Keeps instances if there is a `page_map`.
    pub(super) fn new(
        image: InstancePre<Instance>,
        page_map: Option<PageMap>,
    ) -> wasmtime::Result<Warm> {
        let addresses = Addresses::of(&image)?;
        let undo = page_map.and_then(|page_map| Undo::new(&image, page_map));
        Ok(Warm { image, addresses, undo, kept: Mutex::default() })
    }

    /// Whether there can be script images.
    pub(super) fn takes_snapshots(&self) -> bool {
        self.undo.is_some()
    }

    /// An instance for a task of `tenant` that starts from the script image `from`, or else from
    /// the interpreter image.
    pub(super) async fn take(
        &self,
        tenant: &TenantName,
        from: Option<&Packed>,
        data: Instance,
    ) -> wasmtime::Result<Guest> {
        let unpacked = |packed: &Packed| packed.unpack(self.undo.as_ref()?.image());
        let from = from.map(|packed| unpacked(packed).ok_or(OutOfBounds)).transpose()?;
        let of_tenant = self.take_kept(tenant, from.as_ref());
        if let (Some(mut guest), Some(undo)) = (of_tenant, &self.undo) {
            let as_wanted = is_of(&guest, from.as_ref());
            if as_wanted || undo.change(&mut guest, from.as_deref()).is_some() {
                guest.image = from;
                guest.renew(data);
                // To ask is a system call, and where nothing was copied there is little to be told.
                guest.faults_before = if as_wanted { 0 } else { guest.store.data().meter.faults() };
                return Ok(guest);
            }
        }
        let mut guest = Guest::start(&self.image, self.addresses, data).await?;
        if let (Some(snapshot), Some(undo)) = (&from, &self.undo) {
            guest.grow_to(snapshot.len).await?;
            undo.apply(&mut guest, snapshot).ok_or(OutOfBounds)?;
            guest.image = from;
        }
        guest.faults_before = guest.store.data().meter.faults();
        Ok(guest)
    }

    /// One that is kept for `tenant`: as it is wanted, or the oldest if there is no room for
    /// more, so that each script has its own as long as there is.
    fn take_kept(&self, tenant: &TenantName, from: Option<&Arc<Snapshot>>) -> Option<Guest> {
        let len = self.undo.as_ref()?.len_of(from.map(Arc::as_ref)) as u64;
        let mut kept = self.kept();
        let of_tenant = |k: &Kept| k.tenant == *tenant;
        let wanted = kept.iter().rposition(|k| of_tenant(k) && is_of(&k.guest, from));
        let any = || {
            let one_more = MOST_BYTES + from.map_or(0, |from| from.bytes());
            let full = kept.len() >= MOST as usize || in_all(&kept) + one_more > MOST_IN_ALL;
            let fits = |k: &Kept| of_tenant(k) && k.guest.memory_bytes() == len;
            if full { kept.iter().position(fits) } else { None }
        };
        let found = wanted.or_else(any)?;
        kept.remove(found).map(|kept| kept.guest)
    }

    /// What sets `guest`, which is at rest, apart from the interpreter image, as which it is made
    /// after its task from now on: `None` if that is too much, or can't be told.
    pub(super) fn snapshot(&self, guest: &mut Guest) -> Option<Packed> {
        let undo = self.undo.as_ref()?;
        let snapshot = Arc::new(undo.snapshot(guest)?);
        let packed = Packed::pack(&snapshot, undo.image());
        guest.image = Some(snapshot);
        Some(packed)
    }

    /// Takes back an instance whose task ended in good order, with as many page `faults` as the
    /// threads had that it ran on. It is kept if it can be made as it was.
    pub(super) fn put_back(&self, tenant: TenantName, mut guest: Guest, faults: u64) {
        let of_guest = faults.saturating_sub(guest.faults_before);
        guest.faults = guest.faults.saturating_add(of_guest);
        let Some(bytes) = self.undo.as_ref().and_then(|undo| undo.undo(&mut guest, faults)) else {
            return;
        };
        guest.renew(Instance::idle());
        let mut kept = self.kept();
        kept.push_back(Kept { tenant, guest, bytes });
        let mut in_all = in_all(&kept);
        let mut too_many = Vec::new();
        while kept.len() > MOST as usize || in_all > MOST_IN_ALL {
            let Some(oldest) = kept.pop_front() else { break };
            in_all -= oldest.bytes;
            too_many.push(oldest);
        }
        drop(kept);
        // Now: it takes a while.
        drop(too_many);
    }

    /// How many are kept, and how many of the last `most` of them differ from their image.
    pub(super) fn compared(&self, most: usize) -> (usize, usize) {
        let kept = self.kept();
        let is_as_its_image = |guest: &Guest| {
            let memory = guest.store.data().memory.map(|memory| memory.data(&guest.store));
            let (Some(memory), Some(undo)) = (memory, &self.undo) else { return false };
            match &guest.image {
                Some(snapshot) => snapshot.is(memory, undo.image()),
                None => memory == undo.image(),
            }
        };
        let last = kept.iter().rev().take(most);
        (kept.len(), last.filter(|kept| !is_as_its_image(&kept.guest)).count())
    }

    fn kept(&self) -> MutexGuard<'_, VecDeque<Kept>> {
        // Nothing panics while it holds the lock.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What they have of memory of their own, together.
fn in_all(kept: &VecDeque<Kept>) -> usize {
    kept.iter().map(|kept| kept.bytes).sum()
}

/// Whether `guest` is made as that image after its tasks.
fn is_of(guest: &Guest, image: Option<&Arc<Snapshot>>) -> bool {
    guest.image.as_ref().map(Arc::as_ptr) == image.map(Arc::as_ptr)
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

    /// How large a memory is that is as a script image, or as the interpreter's, in bytes.
    fn len_of(&self, snapshot: Option<&Snapshot>) -> usize {
        snapshot.map_or(self.image().len(), |snapshot| snapshot.len)
    }

    /// Makes `guest` as its image, if it can be. How much memory it has of its own then, in
    /// bytes.
    fn undo(&self, guest: &mut Guest, faults: u64) -> Option<usize> {
        if !guest.stack_is_empty() {
            return None;
        }
        let snapshot = guest.image.clone();
        // Memory never shrinks.
        if guest.memory_bytes() != self.len_of(snapshot.as_deref()) as u64 {
            return None;
        }
        let known = guest.own_pages.take().filter(|_| self.counts && faults == 0);
        let written = match known {
            Some(written) => written,
            None => self.written(guest)?,
        };
        let own: usize = written.iter().map(Range::len).sum();
        let own = if self.counts { own.max(self.touched(guest)) } else { own };
        if own > snapshot.as_ref().map_or(0, |snapshot| snapshot.bytes()) + MOST_BYTES {
            return None;
        }
        self.restore(guest, snapshot.as_deref(), written)?;
        Some(own)
    }

    /// How much its tasks have touched of what may be `guest`'s own, in bytes.
    fn touched(&self, guest: &Guest) -> usize {
        let pages = usize::try_from(guest.faults.saturating_sub(NOT_THE_STACKS));
        pages.unwrap_or(usize::MAX).saturating_mul(self.page_map.page())
    }

    /// Makes `guest`, which was undone, as another image.
    fn change(&self, guest: &mut Guest, to: Option<&Snapshot>) -> Option<()> {
        let written = guest.own_pages.take()?;
        self.restore(guest, to, written)
    }

    /// Makes `guest`, which is new and of that size, as a script image.
    fn apply(&self, guest: &mut Guest, snapshot: &Snapshot) -> Option<()> {
        self.restore(guest, Some(snapshot), Vec::new())?;
        // Nobody has looked for the pages that it wrote to as it was started.
        guest.own_pages = None;
        Some(())
    }

    fn restore(
        &self,
        guest: &mut Guest,
        to: Option<&Snapshot>,
        written: Vec<Range<usize>>,
    ) -> Option<()> {
        let memory = guest.store.data().memory?.data_mut(&mut guest.store);
        if memory.len() != self.len_of(to) {
            return None;
        }
        guest.own_pages = Some(snapshot::restore(memory, self.image(), to, written)?);
        Some(())
    }

    fn snapshot(&self, guest: &mut Guest) -> Option<Snapshot> {
        if !guest.stack_is_empty() {
            return None;
        }
        let written = self.written(guest)?;
        let memory = guest.store.data().memory?.data(&guest.store);
        Snapshot::take(memory, self.image(), written, LARGEST_IMAGE)
    }

    /// The pages of its memory that can differ from the interpreter image.
    fn written(&self, guest: &Guest) -> Option<Vec<Range<usize>>> {
        let memory = guest.store.data().memory?;
        let (start, len) = (memory.data_ptr(&guest.store), memory.data_size(&guest.store));
        self.page_map.written(start, len).ok()
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
