//! Script images: what the top level of a script made of an instance, for the tasks that come
//! after the one that ran it.
//!
//! The first task of a script makes its image on its way: it loads the script, under its own
//! limits, and before it goes on its memory is copied. Those that come meanwhile wait for that.
//! There is no image where the top level asked for what another task would not be told: about
//! its task, for random bytes, for anything but modules. Whether the modules are still what
//! they were, each job says.

use std::collections::HashMap;
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use roh_abi::{Script, TaskInfo};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use super::snapshot::Snapshot;
use crate::task::{TenantName, is_module_name};

/// How many scripts are known at once, with their images or without.
const MOST: usize = 1024;

/// What a script without an image takes up, in bytes, beside the answers that it had.
const OVERHEAD: usize = 256;

/// How many modules a top level may ask for, lest each task carry a long list.
pub(crate) const MOST_ANSWERS: usize = 256;

/// After a top level that failed, no image is tried for so long.
const RETRY: Duration = Duration::from_secs(1);

/// A short hash, of contents that only their tenant chooses.
pub(crate) type Digest = [u8; 16];

/// The hash of `bytes`.
pub(crate) fn digest(bytes: &[u8]) -> Digest {
    let hash = blake3::hash(bytes);
    std::array::from_fn(|i| hash.as_bytes()[i])
}

/// Says which script image a job can start from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScriptKey {
    /// Of the script: of its name, or of its source.
    pub(crate) script: Digest,
    /// What its top level would be told now when it asks for modules: their names, in order, and
    /// the hashes of the answers.
    pub(crate) answers: Vec<(String, Digest)>,
    /// Whether it is worth an image from its second task on only: it may come no second time.
    pub(crate) later: bool,
}

impl ScriptKey {
    /// Of a script whose top level asks for no module.
    pub fn alone(script: &Script) -> ScriptKey {
        let later = matches!(script, Script::Inline { .. });
        ScriptKey { script: digest(&roh_abi::encode(script)), answers: Vec::new(), later }
    }

    /// Whether a top level would be told now what it was told then. If that was `lately`, after
    /// this key was made, what this key does not know yet is as new as can be.
    fn would_be_told(&self, answers: &[(String, Digest)], lately: bool) -> bool {
        answers.iter().all(|(name, answer)| {
            match self.answers.binary_search_by(|(known, _)| known.cmp(name)) {
                Ok(at) => self.answers[at].1 == *answer,
                Err(_) => lately,
            }
        })
    }
}

/// A script's image.
#[derive(Debug)]
pub(super) struct ScriptImage {
    pub(super) memory: Arc<Snapshot>,
    /// What the top level printed, which is each task's as well.
    pub(super) printed: [Vec<u8>; 2],
    /// What the guest's monotonic clock showed at its end.
    pub(super) clock: Duration,
}

impl ScriptImage {
    fn bytes(&self) -> usize {
        let printed: usize = self.printed.iter().map(Vec::len).sum();
        self.memory.bytes() + printed
    }
}

/// All that are kept, up to so many bytes.
pub(super) struct Scripts {
    kept: Mutex<Kept>,
    budget: usize,
}

type Name = (TenantName, Digest);

#[derive(Default)]
struct Kept {
    scripts: HashMap<Name, Entry>,
    /// Of all entries.
    bytes: usize,
    /// Goes up with each use.
    now: u64,
}

struct Entry {
    state: State,
    /// When it was last used.
    used: u64,
    bytes: usize,
}

enum State {
    /// A task loads it.
    Building(Arc<Building>),
    /// A task has loaded it.
    Known(Arc<Known>),
    /// It came with one task so far.
    CameOnce,
}

/// What is known of a script.
struct Known {
    /// What its top level was told.
    answers: Vec<(String, Digest)>,
    verdict: Verdict,
}

/// What came of a top level.
enum Verdict {
    Image(Arc<ScriptImage>),
    /// Each task must run it.
    Never,
    /// It failed, then.
    Failed(Instant),
}

impl Known {
    /// What a task starts from; `None` if this says nothing of it.
    fn found(&self, key: &ScriptKey, lately: bool) -> Option<Found> {
        match &self.verdict {
            // A module has changed.
            _ if !key.would_be_told(&self.answers, lately) => None,
            Verdict::Image(image) => Some(Found::Image(image.clone())),
            Verdict::Never => Some(Found::Without),
            Verdict::Failed(at) => (lately || at.elapsed() < RETRY).then_some(Found::Without),
        }
    }
}

/// A script that a task loads, as others wait for it.
#[derive(Default)]
pub(super) struct Building {
    over: CancellationToken,
    known: OnceLock<Arc<Known>>,
}

impl Building {
    /// Waits until it is over. Cancel-safe.
    pub(super) async fn over(&self) {
        self.over.cancelled().await;
    }

    /// What who waited with that key starts from; `None` if it is to look again.
    pub(super) fn found(&self, key: &ScriptKey) -> Option<Found> {
        self.known.get()?.found(key, true)
    }
}

/// What a task starts from.
pub(super) enum Found {
    /// This image.
    Image(Arc<ScriptImage>),
    /// The interpreter image. What becomes of the script is kept.
    Build(Build),
    /// The interpreter image.
    Without,
    /// Not known yet: another task is about to find out.
    Wait(Arc<Building>),
}

impl Scripts {
    /// Keeps so many bytes of images.
    pub(super) fn new(budget: usize) -> Scripts {
        Scripts { kept: Mutex::default(), budget }
    }

    /// What a task of that tenant's script starts from.
    pub(super) fn find(self: &Arc<Scripts>, tenant: &TenantName, key: &ScriptKey) -> Found {
        if self.budget == 0 {
            return Found::Without;
        }
        let name = (tenant.clone(), key.script);
        let mut kept = self.lock();
        kept.now += 1;
        let now = kept.now;
        if let Some(entry) = kept.scripts.get_mut(&name) {
            entry.used = now;
            match &entry.state {
                State::Building(building) => return Found::Wait(building.clone()),
                State::Known(known) => {
                    if let Some(found) = known.found(key, false) {
                        return found;
                    }
                }
                State::CameOnce => {}
            }
        } else if key.later {
            kept.put(name, State::CameOnce, OVERHEAD, self.budget);
            return Found::Without;
        }
        let building = Arc::<Building>::default();
        kept.put(name.clone(), State::Building(building.clone()), OVERHEAD, self.budget);
        drop(kept);
        let (scripts, answers) = (self.clone(), Vec::new());
        Found::Build(Build { scripts, name, building, answers, random: false, verdict: None })
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        // Nothing panics while it holds the lock.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn put(&mut self, name: Name, state: State, bytes: usize, budget: usize) {
        self.bytes += bytes;
        let entry = Entry { state, used: self.now, bytes };
        if let Some(old) = self.scripts.insert(name, entry) {
            self.bytes -= old.bytes;
        }
        while self.bytes > budget && self.make_room(|entry| entry.bytes, 1) {}
        // Some at once: it takes a while to find them.
        while self.scripts.len() > MOST && self.make_room(|_| 1, MOST / 8) {}
    }

    /// The tenant that has most of what is short gives way: so many entries that it has not used
    /// for longest. Whether it had one.
    fn make_room(&mut self, takes: fn(&Entry) -> usize, count: usize) -> bool {
        let mut tenants = HashMap::<_, (usize, Vec<_>)>::new();
        for (name, entry) in self.scripts.iter().filter(|(_, entry)| entry.can_go()) {
            let (takes_up, entries) = tenants.entry(&name.0).or_default();
            *takes_up += takes(entry);
            entries.push((entry.used, name.clone()));
        }
        let Some((_, mut entries)) = tenants.into_values().max_by_key(|(most, _)| *most) else {
            return false;
        };
        entries.sort_unstable();
        for (_, name) in entries.into_iter().take(count) {
            if let Some(gone) = self.scripts.remove(&name) {
                self.bytes -= gone.bytes;
            }
        }
        true
    }
}

impl Entry {
    /// Not while others wait for it.
    fn can_go(&self) -> bool {
        !matches!(self.state, State::Building(_))
    }
}

/// A task loads a script, and others wait for what becomes of it. Dropped before it is known, the
/// load failed.
pub(super) struct Build {
    scripts: Arc<Scripts>,
    name: Name,
    building: Arc<Building>,
    answers: Vec<(String, Digest)>,
    /// Whether the guest had random bytes before the script ran.
    random: bool,
    verdict: Option<Verdict>,
}

impl Build {
    /// Others start from here, unless it takes up more than there may be of all images.
    pub(super) fn keep(mut self, image: ScriptImage) {
        let fits = image.bytes() < self.scripts.budget;
        self.verdict = Some(if fits { Verdict::Image(Arc::new(image)) } else { Verdict::Never });
    }

    /// Others can't start from here.
    pub(super) fn never(mut self) {
        self.verdict = Some(Verdict::Never);
    }
}

impl Drop for Build {
    fn drop(&mut self) {
        let answers = mem::take(&mut self.answers);
        let verdict = self.verdict.take().unwrap_or_else(|| Verdict::Failed(Instant::now()));
        let told: usize = answers.iter().map(|answer| answer.0.len() + size_of_val(answer)).sum();
        let image = match &verdict {
            Verdict::Image(image) => image.bytes(),
            Verdict::Never | Verdict::Failed(_) => 0,
        };
        let known = Arc::new(Known { answers, verdict });
        // Those that wait have it from there: there may be no room for it.
        let _ = self.building.known.set(known.clone());
        let (state, bytes) = (State::Known(known), OVERHEAD + told + image);
        let mut kept = self.scripts.lock();
        kept.put(self.name.clone(), state, bytes, self.scripts.budget);
        drop(kept);
        self.building.over.cancel();
    }
}

/// What is noted while a script's top level runs.
pub(super) struct Loading {
    /// Told if the script asks for it.
    pub(super) task: TaskInfo,
    /// `None` if it is no other task's business what becomes of it.
    build: Option<Build>,
}

impl Loading {
    pub(super) fn new(task: TaskInfo, build: Option<Build>) -> Loading {
        Loading { task, build }
    }

    /// The top level is over.
    pub(super) fn end(self) -> Option<Build> {
        self.build
    }

    /// It asked for something that another task could be told otherwise.
    pub(super) fn depends_on_its_task(&mut self) {
        // At once: others wait.
        if let Some(build) = self.build.take() {
            build.never();
        }
    }

    /// It had random bytes: the first are the guest's own.
    pub(super) fn was_random(&mut self) {
        match &mut self.build {
            Some(build) if !build.random => build.random = true,
            _ => self.depends_on_its_task(),
        }
    }

    /// It asked for a module.
    pub(super) fn was_answered(&mut self, name: String, answer: &[u8]) {
        let Some(build) = &mut self.build else { return };
        // What is no module's name is never one.
        if !is_module_name(&name) {
            return;
        }
        if build.answers.len() == MOST_ANSWERS {
            return self.depends_on_its_task();
        }
        build.answers.push((name, digest(answer)));
    }
}

#[cfg(test)]
mod tests;
