//! What is kept of scripts: images, as many as there is room for, and notes on others.
//!
//! Where room is short, those images stay that are used most. An image counts for more the less its
//! tenant has beside it, so that no tenant's many push out another's few; and what nobody has used
//! for long counts for nothing, whosever it is. To make an image costs several runs of its script,
//! so the one that comes must be worth twice what has to go.

use std::collections::HashMap;
use std::sync::Arc;

use indexmap::IndexMap;

use super::uses::{LATELY, Uses};
use super::{Answers, Building, Digest, Known, ScriptKey, Verdict};
use crate::task::TenantName;

/// How many notes are kept: where more scripts than that come in turn, one may be made an image
/// again and again that turns out to be larger than others, and to have no room.
pub(super) const MOST_NOTES: usize = 8192;

/// How much they may take up together, in bytes.
pub(super) const NOTES_BYTES: usize = 4 << 20;

/// How many images are looked at, in turn, for the ones that are used least: to look at all would
/// take longer than to run the script.
const LOOKED_AT: usize = 128;

/// An image that was not used while tasks came so often is not used any more.
const LONG: u64 = 16 * LATELY as u64;

/// What an entry takes up, in bytes, beside its image and the answers that its script had.
pub(super) const OVERHEAD: usize = 256;

pub(super) type Name = (TenantName, Digest);

pub(super) struct Kept {
    /// For images, in bytes.
    pub(super) budget: usize,
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
    /// It had an image of so many bytes, or had one made, and has none.
    NoImage { answers: Answers, bytes: usize },
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

    /// What one takes up, about.
    fn each(&self) -> usize {
        self.bytes.checked_div(self.entries.len()).unwrap_or_default()
    }
}

impl Kept {
    pub(super) fn new(budget: usize) -> Kept {
        let (images, notes, uses) = Default::default();
        Kept { budget, images, notes, uses, now: 0, next: 0 }
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
        if self.budget == 0 || key.later && uses < 2 {
            return false;
        }
        let bytes = match self.notes.entries.get(name).map(|note| &note.state) {
            Some(State::NoImage { bytes, .. }) => *bytes,
            _ => self.images.each(),
        };
        // To weigh it against others takes a while: not each time that it comes.
        let weigh = self.lacks(bytes) == 0 || uses.is_power_of_two();
        weigh && self.in_its_place(name, bytes, uses).is_some()
    }

    /// A task begins to load it.
    pub(super) fn building(&mut self, name: Name, building: Arc<Building>) {
        self.note(name, State::Building(building), OVERHEAD);
    }

    /// A task has loaded it. Whoever gets what goes for it is to drop that without the lock.
    pub(super) fn known(&mut self, name: Name, known: Arc<Known>) -> Vec<Entry> {
        let told = told_bytes(&known.answers);
        let Verdict::Image(image) = &known.verdict else {
            self.note(name, State::Known(known), OVERHEAD + told);
            return Vec::new();
        };
        let bytes = OVERHEAD + told + image.bytes();
        let Some(others) = self.in_its_place(&name, bytes, self.uses.of(&name)) else {
            let answers = known.answers.clone();
            self.note(name, State::NoImage { answers, bytes }, OVERHEAD + told);
            return Vec::new();
        };
        let gone = others.into_iter().filter_map(|other| self.goes(other)).collect();
        self.notes.remove(&name);
        let entry = Entry { state: State::Known(known), used: self.now, bytes };
        self.images.put(name, entry);
        gone
    }

    /// What is known of it is out of date. Whoever gets it is to drop it without the lock.
    pub(super) fn outdated(&mut self, name: &Name) -> Option<Entry> {
        self.notes.remove(name).or_else(|| self.goes(name.clone()))
    }

    /// An image goes. How large it was is kept.
    fn goes(&mut self, name: Name) -> Option<Entry> {
        let gone = self.images.remove(&name)?;
        if let State::Known(known) = &gone.state {
            let (answers, bytes) = (known.answers.clone(), gone.bytes);
            let takes = OVERHEAD + told_bytes(&answers);
            self.note(name, State::NoImage { answers, bytes }, takes);
        }
        Some(gone)
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
        if bytes > self.budget {
            return None;
        }
        let images = &self.images.entries;
        let enough = lacks.checked_div(self.images.each()).unwrap_or_default() * 2;
        let in_turn = (self.next..).map(|at| images.get_index(at % images.len()));
        let mut some: Vec<_> = in_turn
            .take(images.len().min(LOOKED_AT.max(enough)))
            .flatten()
            .map(|(name, image)| {
                let long_ago = self.now - image.used > LONG;
                let uses = if long_ago { 0 } else { self.uses.of(name).max(1) };
                (worth(uses, self.images.of_tenant(&name.0)), image, name)
            })
            .collect();
        self.next = (self.next + some.len()) % images.len().max(1);
        some.sort_unstable_by(|(a, one, _), (b, other, _)| {
            a.total_cmp(b).then(one.used.cmp(&other.used))
        });
        let its_worth = worth(uses, self.images.of_tenant(&name.0) + bytes);
        let (mut given, mut gone) = (0.0, Vec::new());
        for (worth, image, name) in some {
            if lacks == 0 {
                break;
            }
            given += worth;
            lacks = lacks.saturating_sub(image.bytes);
            gone.push(name.clone());
        }
        (lacks == 0 && its_worth >= 2.0 * given).then_some(gone)
    }

    fn note(&mut self, name: Name, state: State, bytes: usize) {
        self.notes.put(name, Entry { state, used: self.now, bytes });
        let too_many = |notes: &Shelf, eighths| {
            notes.entries.len() > MOST_NOTES / 8 * eighths
                || notes.bytes > NOTES_BYTES / 8 * eighths
        };
        // Some at once: it takes a while to find them.
        if too_many(&self.notes, 8) {
            while self.forget(|notes| too_many(notes, 7)) {}
        }
    }

    /// The tenant whose notes take up most gives way, with those that it has not used for longest,
    /// as long as there are `too_many`. Whether there may still be.
    fn forget(&mut self, too_many: impl Fn(&Shelf) -> bool) -> bool {
        // Not while others wait for it.
        let can_go = |(_, note): &(&Name, &Entry)| !matches!(note.state, State::Building(_));
        let all = || self.notes.entries.iter().filter(can_go);
        let Some(((most, _), _)) = all().max_by_key(|(name, _)| self.notes.of_tenant(&name.0))
        else {
            return false;
        };
        let of_most = all().filter(|((tenant, _), _)| tenant == most);
        let mut notes: Vec<_> = of_most.map(|(name, note)| (note.used, name.clone())).collect();
        notes.sort_unstable();
        for (_, name) in notes {
            if !too_many(&self.notes) {
                return false;
            }
            self.notes.remove(&name);
        }
        true
    }
}

/// What an image is worth that came so often lately, of a tenant that has so many bytes of images.
fn worth(uses: u8, of_tenant: usize) -> f64 {
    f64::from(uses) / of_tenant as f64
}

fn told_bytes(answers: &Answers) -> usize {
    answers.iter().map(|answer| answer.0.len() + size_of_val(answer)).sum()
}
