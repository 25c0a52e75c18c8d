//! What is kept of scripts: images, as many as there is room for, and notes on others.
//!
//! Where room is short, those images stay that are used most. An image counts for more the less its
//! tenant has beside it, so that no tenant's many push out another's few; and what nobody uses any
//! more counts for nothing, whosever it is. To make an image costs several runs of its script, so
//! the one that comes must be worth twice what has to go.

use std::collections::HashMap;
use std::sync::Arc;

use indexmap::IndexMap;

use super::uses::Uses;
use super::{Building, Digest, Known, ScriptKey, Verdict};
use crate::task::TenantName;

/// How many notes are kept.
pub(super) const MOST_NOTES: usize = 1024;

/// How much they may take up together, in bytes.
pub(super) const NOTES_BYTES: usize = 4 << 20;

/// How many images are looked at, in turn, for the ones that are used least: to look at all would
/// take longer than to run the script.
const LOOKED_AT: usize = 128;

/// What an entry takes up, in bytes, beside its image and the answers that its script had.
pub(super) const OVERHEAD: usize = 256;

pub(super) type Name = (TenantName, Digest);

pub(super) struct Kept {
    /// For images, in bytes.
    budget: usize,
    pub(super) images: Shelf,
    pub(super) notes: Shelf,
    uses: Uses,
    /// Goes up with each use.
    now: u64,
    /// The next image that is looked at.
    next: usize,
}

/// Entries, and what they take up together.
#[derive(Default)]
pub(super) struct Shelf {
    pub(super) entries: IndexMap<Name, Entry>,
    pub(super) bytes: usize,
    /// Those of each tenant.
    of_tenants: HashMap<TenantName, usize>,
}

pub(super) struct Entry {
    pub(super) state: State,
    /// When it was last used.
    used: u64,
    pub(super) bytes: usize,
}

pub(super) enum State {
    /// A task loads it.
    Building(Arc<Building>),
    /// A task has loaded it.
    Known(Arc<Known>),
    /// Its image, of so many bytes, had no room.
    NoRoom(usize),
}

impl Shelf {
    fn put(&mut self, name: Name, entry: Entry) {
        self.remove(&name);
        self.bytes += entry.bytes;
        *self.of_tenants.entry(name.0.clone()).or_default() += entry.bytes;
        self.entries.insert(name, entry);
    }

    fn remove(&mut self, name: &Name) -> Option<Entry> {
        let gone = self.entries.swap_remove(name)?;
        self.bytes -= gone.bytes;
        if let Some(of_tenant) = self.of_tenants.get_mut(&name.0) {
            *of_tenant -= gone.bytes;
            if *of_tenant == 0 {
                self.of_tenants.remove(&name.0);
            }
        }
        Some(gone)
    }

    fn of_tenant(&self, tenant: &TenantName) -> usize {
        self.of_tenants.get(tenant).copied().unwrap_or_default()
    }
}

impl Kept {
    pub(super) fn new(budget: usize) -> Kept {
        let (images, notes) = Default::default();
        Kept { budget, images, notes, uses: Uses::default(), now: 0, next: 0 }
    }

    /// A task comes with that script: what is known of it, and how often it came lately.
    pub(super) fn come(&mut self, name: &Name) -> (Option<&State>, u8) {
        self.now += 1;
        let uses = self.uses.count(name);
        let entry = match self.images.entries.get_mut(name) {
            Some(entry) => Some(entry),
            None => self.notes.entries.get_mut(name),
        };
        let state = entry.map(|entry| {
            entry.used = self.now;
            &entry.state
        });
        (state, uses)
    }

    /// Whether there would be room for an image of that script, which came `uses` times lately.
    pub(super) fn is_worth_an_image(&mut self, name: &Name, key: &ScriptKey, uses: u8) -> bool {
        if key.later && uses < 2 {
            return false;
        }
        let bytes = match self.notes.entries.get(name).map(|note| &note.state) {
            Some(State::NoRoom(bytes)) => *bytes,
            _ => self.images.bytes.checked_div(self.images.entries.len()).unwrap_or_default(),
        };
        // To weigh it against others takes a while: not each time that it comes.
        let weigh = self.lacks(bytes) == 0 || uses.is_power_of_two();
        weigh && self.in_its_place(name, bytes, uses).is_some()
    }

    /// A task begins to load it.
    pub(super) fn building(&mut self, name: Name, building: Arc<Building>) {
        self.note(name, State::Building(building), OVERHEAD);
    }

    /// A task has loaded it.
    pub(super) fn known(&mut self, name: Name, known: Arc<Known>) {
        let told: usize =
            known.answers.iter().map(|answer| answer.0.len() + size_of_val(answer)).sum();
        let Verdict::Image(image) = &known.verdict else {
            return self.note(name, State::Known(known), OVERHEAD + told);
        };
        let bytes = OVERHEAD + told + image.bytes();
        let Some(gone) = self.in_its_place(&name, bytes, self.uses.of(&name)) else {
            return self.note(name, State::NoRoom(bytes), OVERHEAD);
        };
        for name in gone {
            self.goes(name);
        }
        self.notes.remove(&name);
        let entry = Entry { state: State::Known(known), used: self.now, bytes };
        self.images.put(name, entry);
    }

    /// An image goes. How large it was is kept.
    pub(super) fn goes(&mut self, name: Name) {
        if let Some(gone) = self.images.remove(&name) {
            self.note(name, State::NoRoom(gone.bytes), OVERHEAD);
        }
    }

    fn lacks(&self, bytes: usize) -> usize {
        self.images.bytes.saturating_add(bytes).saturating_sub(self.budget)
    }

    /// The images that would go if one of so many bytes came, of a script that has none and came
    /// `uses` times lately; `None` if it is not worth that.
    fn in_its_place(&mut self, name: &Name, bytes: usize, uses: u8) -> Option<Vec<Name>> {
        let mut lacks = self.lacks(bytes);
        if lacks == 0 {
            return Some(Vec::new());
        }
        if bytes > self.budget || uses < 2 {
            return None;
        }
        let worth = |uses: u8, of_tenant: usize| f64::from(uses) / of_tenant as f64;
        let images = &self.images.entries;
        let in_turn = (self.next..).map(|at| images.get_index(at % images.len()));
        let mut some: Vec<_> = in_turn
            .take(images.len().min(LOOKED_AT))
            .flatten()
            .map(|(name, image)| {
                (worth(self.uses.of(name), self.images.of_tenant(&name.0)), image, name)
            })
            .collect();
        self.next = (self.next + some.len()) % images.len().max(1);
        some.sort_unstable_by(|(a, one, _), (b, other, _)| {
            a.total_cmp(b).then(one.used.cmp(&other.used))
        });
        let mine = self.images.of_tenant(&name.0) + bytes;
        let (worth, mut given, mut gone) = (worth(uses, mine), 0.0, Vec::new());
        for (worth, image, name) in some {
            if lacks == 0 {
                break;
            }
            given += worth;
            lacks = lacks.saturating_sub(image.bytes);
            gone.push(name.clone());
        }
        (lacks == 0 && worth >= 2.0 * given).then_some(gone)
    }

    fn note(&mut self, name: Name, state: State, bytes: usize) {
        self.notes.put(name, Entry { state, used: self.now, bytes });
        while self.notes.bytes > NOTES_BYTES && self.forget(|note| note.bytes, 1) {}
        // Some at once: it takes a while to find them.
        while self.notes.entries.len() > MOST_NOTES && self.forget(|_| 1, MOST_NOTES / 8) {}
    }

    /// The tenant that has most of what is short gives way: so many notes that it has not used for
    /// longest. Whether it had one.
    fn forget(&mut self, takes: fn(&Entry) -> usize, count: usize) -> bool {
        // Not while others wait for it.
        let can_go = |(_, note): &(&Name, &Entry)| !matches!(note.state, State::Building(_));
        let mut tenants = HashMap::<_, (usize, Vec<_>)>::new();
        for (name, note) in self.notes.entries.iter().filter(can_go) {
            let (takes_up, notes) = tenants.entry(&name.0).or_default();
            *takes_up += takes(note);
            notes.push((note.used, name.clone()));
        }
        let Some((_, mut notes)) = tenants.into_values().max_by_key(|(most, _)| *most) else {
            return false;
        };
        notes.sort_unstable();
        for (_, name) in notes.into_iter().take(count) {
            self.notes.remove(&name);
        }
        true
    }
}
