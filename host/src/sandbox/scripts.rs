//! Script images: what the top level of a script made of an instance, for the tasks that come
//! after the one that ran it.
//!
//! The first task of a script makes its image on its way: it loads the script, under its own
//! limits, and before it goes on its memory is copied. Those that come meanwhile wait for that.
//! There is no image where the top level asked for what another task would not be told: about
//! its task, for random bytes, for anything but modules. Whether the modules are still what
//! they were, each job says.

mod kept;
mod uses;

use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use roh_abi::{Script, TaskInfo};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use self::kept::{Kept, Name, State};
use super::snapshot::Packed;
use crate::task::{TenantName, is_module_name};

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

/// What a top level was told when it asked for modules: their names, and the hashes of the answers.
type Answers = Vec<(String, Digest)>;

/// Says which script image a job can start from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScriptKey {
    /// Of the script: of its name, or of its source.
    pub(crate) script: Digest,
    /// What its top level would be told now when it asks for modules: their names, in order, and
    /// the hashes of the answers.
    pub(crate) answers: Answers,
    /// Whether it is worth an image from its second task on only: it may come no second time.
    pub(crate) later: bool,
}

impl ScriptKey {
    /// Of a script whose top level asks for no module.
    pub fn alone(script: &Script) -> ScriptKey {
        let later = matches!(script, Script::Inline { .. });
        ScriptKey { script: digest(&roh_abi::encode(script)), answers: Vec::new(), later }
    }

    /// Whether a top level would be told now what it was told then.
    fn would_be_told(&self, answers: &Answers) -> Told {
        let mut all = Told::Same;
        for (name, answer) in answers {
            match self.answers.binary_search_by(|(known, _)| known.cmp(name)) {
                Ok(at) if self.answers[at].1 == *answer => {}
                Ok(_) => return Told::Otherwise,
                Err(_) => all = Told::Unknown,
            }
        }
        all
    }
}

/// What a top level would be told now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Told {
    /// What it was told.
    Same,
    /// Something else: a module has changed.
    Otherwise,
    /// The key does not know all that it asked for. It may be older than the answers, or the daemon
    /// may have forgotten some.
    Unknown,
}

/// A script's image.
#[derive(Debug)]
pub(super) struct ScriptImage {
    pub(super) memory: Packed,
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

/// All that is known of scripts.
pub(super) struct Scripts {
    kept: Mutex<Kept>,
}

/// What is known of a script.
struct Known {
    answers: Answers,
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
    /// What a task starts from; `None` if this says nothing of it. If its script was loaded
    /// `lately`, after the key was made, what the key does not know is as new as can be.
    fn found(&self, key: &ScriptKey, lately: bool) -> Option<Found> {
        let told = key.would_be_told(&self.answers);
        if told == Told::Otherwise || told == Told::Unknown && !lately {
            return None;
        }
        match &self.verdict {
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
        Scripts { kept: Mutex::new(Kept::new(budget)) }
    }

    /// What a task of that tenant's script starts from.
    pub(super) fn find(self: &Arc<Scripts>, tenant: &TenantName, key: &ScriptKey) -> Found {
        let name = (tenant.clone(), key.script);
        let mut kept = self.lock();
        let (state, uses) = kept.come(&name);
        let outdated = match state {
            Some(State::Building(building)) => return Found::Wait(building.clone()),
            Some(State::Known(known)) => {
                if let Some(found) = known.found(key, false) {
                    return found;
                }
                // What it asks now is known the next time; if not, it asks for something else each
                // time, and its image is made anew now and then.
                let unknown = key.would_be_told(&known.answers) == Told::Unknown;
                if unknown && !uses.is_power_of_two() {
                    return Found::Without;
                }
                true
            }
            Some(State::NoImage { answers, .. }) => key.would_be_told(answers) == Told::Otherwise,
            None => false,
        };
        let gone = if outdated { kept.outdated(&name) } else { None };
        let building = kept.is_worth_an_image(&name, key, uses).then(Arc::<Building>::default);
        if let Some(building) = &building {
            kept.building(name.clone(), building.clone());
        }
        drop(kept);
        drop(gone);
        let Some(building) = building else { return Found::Without };
        let (scripts, answers) = (self.clone(), Vec::new());
        Found::Build(Build { scripts, name, building, answers, random: false, verdict: None })
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        // Nothing panics while it holds the lock.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A task loads a script, and others wait for what becomes of it. Dropped before it is known, the
/// load failed.
pub(super) struct Build {
    scripts: Arc<Scripts>,
    name: Name,
    building: Arc<Building>,
    answers: Answers,
    /// Whether the guest had random bytes before the script ran.
    random: bool,
    verdict: Option<Verdict>,
}

impl Build {
    /// Others start from here: those that wait for it at least.
    pub(super) fn keep(mut self, image: ScriptImage) {
        self.verdict = Some(Verdict::Image(Arc::new(image)));
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
        let known = Arc::new(Known { answers, verdict });
        // Those that wait have it from there: there may be no room for it.
        let _ = self.building.known.set(known.clone());
        let gone = self.scripts.lock().known(self.name.clone(), known);
        drop(gone);
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
