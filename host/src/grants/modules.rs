//! The modules of a tenant, and what the top levels of its scripts were told about them: a task
//! starts from a script's image only if its top level would be told the same now.
//!
//! Whether a file has changed is seen by what the system says of it, without reading it, unless
//! that is too young to rely on.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use roh_abi::{Answer, Refusal};

use super::Threads;
use super::files;
use super::folder::{Folder, Identity};
use crate::sandbox::{Digest, MOST_ANSWERS, digest};
use crate::task::is_module_name;

/// Modules that are remembered, over all scripts of a tenant.
const MOST: usize = 8192;

/// So many files can be looked at without holding up others on the same thread.
const FEW: usize = 8;

/// A file that changed so lately when it was read could change again, to the same size, and
/// still look the same: some systems tell time in steps that long.
const YOUNG: Duration = Duration::from_secs(2);

/// A tenant's modules.
pub(super) struct Modules {
    /// Without one there are none.
    folder: Option<Folder>,
    told: Mutex<Told>,
}

/// What top levels were told.
#[derive(Default)]
struct Told {
    scripts: HashMap<Digest, Script>,
    /// Modules, over all scripts.
    modules: usize,
    /// Goes up with each use.
    now: u64,
}

#[derive(Default)]
struct Script {
    /// In the order of their names.
    modules: Vec<Module>,
    used: u64,
}

/// A module, there or not, as it was when it was last looked at.
#[derive(Clone, Default)]
struct Module {
    name: String,
    answer: Digest,
    /// Of the files that it can be in.
    files: [Option<Identity>; 2],
    /// Whether it is bound to be the same as long as its files are.
    settled: bool,
}

impl Modules {
    /// Those in the folder at `path`.
    pub(super) fn of(path: Option<&Path>) -> Arc<Modules> {
        Arc::new(Modules { folder: path.map(Folder::new), told: Mutex::default() })
    }

    /// The answer to a request for the module `name`. If that comes from the top level of a
    /// `script`, it is remembered.
    pub(super) fn answer(&self, name: &str, script: Option<Digest>) -> Result<Answer, Refusal> {
        let script = script.filter(|_| is_module_name(name));
        if let Some(script) = script {
            // Who asks in the meantime what would be told is to look itself.
            self.told().remember(script, Module { name: name.to_owned(), ..Module::default() });
        }
        let (module, answer) = self.look(name);
        if let Some(script) = script {
            self.told().remember(script, module);
        }
        answer
    }

    /// What the top level of `script` would be told now of the modules that it asked for before,
    /// in the order of their names.
    pub(super) async fn would_be_told(
        self: &Arc<Modules>,
        script: Digest,
        threads: &Threads,
    ) -> Vec<(String, Digest)> {
        let modules = self.told().of(script);
        let told = if modules.len() <= FEW && modules.iter().all(|module| self.is_same(module)) {
            modules
        } else {
            let this = self.clone();
            let look = move || this.look_again(script, modules);
            // It only fails as the node ends; then there is no image.
            threads.run(look).await.unwrap_or_default()
        };
        told.into_iter().map(|module| (module.name, module.answer)).collect()
    }

    fn look_again(&self, script: Digest, mut modules: Vec<Module>) -> Vec<Module> {
        for module in &mut modules {
            if !self.is_same(module) {
                *module = self.look(&module.name).0;
                self.told().remember(script, module.clone());
            }
        }
        modules
    }

    /// Whether it is sure to be what it was.
    fn is_same(&self, module: &Module) -> bool {
        module.settled && self.files(&module.name) == module.files
    }

    fn files(&self, name: &str) -> [Option<Identity>; 2] {
        self.folder.as_ref().map_or([None; 2], |folder| files::module_files(folder, name))
    }

    fn look(&self, name: &str) -> (Module, Result<Answer, Refusal>) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        // Before it is read: if it changes meanwhile, it is not what was found.
        let files = self.files(name);
        let answer = match &self.folder {
            Some(folder) => files::module(folder, name),
            None => Ok(Answer::Missing),
        };
        let encoded = match &answer {
            Ok(answer) => roh_abi::encode(answer),
            Err(refusal) => roh_abi::encode(&Answer::Refused(refusal.clone())),
        };
        // What could not be read may be read the next time.
        let settled =
            answer.is_ok() && files.iter().flatten().all(|file| file.changed + YOUNG < now);
        let answer_hash = digest(&encoded);
        (Module { name: name.to_owned(), answer: answer_hash, files, settled }, answer)
    }

    fn told(&self) -> MutexGuard<'_, Told> {
        // Nothing panics while it holds the lock.
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Told {
    fn of(&mut self, script: Digest) -> Vec<Module> {
        self.now += 1;
        let Some(known) = self.scripts.get_mut(&script) else { return Vec::new() };
        known.used = self.now;
        known.modules.clone()
    }

    fn remember(&mut self, script: Digest, module: Module) {
        self.now += 1;
        let known = self.scripts.entry(script).or_default();
        known.used = self.now;
        match known.modules.binary_search_by(|known| known.name.cmp(&module.name)) {
            Ok(at) => known.modules[at] = module,
            Err(at) => {
                known.modules.insert(at, module);
                self.modules += 1;
                // Some of them were asked for long ago, and are not any more; or it will have no
                // image.
                if known.modules.len() > MOST_ANSWERS {
                    self.modules -= known.modules.len();
                    // With the room that it took.
                    known.modules = Vec::new();
                }
            }
        }
        if self.modules > MOST {
            // Some at once: it takes a while to find them.
            let mut all: Vec<_> = self.scripts.iter().map(|(&name, s)| (s.used, name)).collect();
            all.sort_unstable();
            for (_, oldest) in all {
                if self.modules <= MOST - MOST / 8 {
                    break;
                }
                let gone = self.scripts.remove(&oldest);
                self.modules -= gone.map_or(0, |script| script.modules.len());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    struct Scripts {
        modules: Arc<Modules>,
        folder: tempfile::TempDir,
    }

    impl Scripts {
        fn new() -> Scripts {
            let folder = tempfile::tempdir().expect("a folder");
            Scripts { modules: Modules::of(Some(folder.path())), folder }
        }

        /// As if it had been there for long, if it is `old`.
        fn write(&self, file: &str, text: &str, old: bool) {
            let path = self.folder.path().join(file);
            fs::create_dir_all(path.parent().expect("in the folder")).expect("made");
            fs::write(&path, text).expect("written");
            if old {
                for module in self.modules.told().scripts.values_mut().flat_map(|s| &mut s.modules)
                {
                    module.settled = true;
                }
            }
        }

        fn ask(&self, script: u8, name: &str) {
            let _ = self.modules.answer(name, Some([script; 16]));
        }

        fn told(&self, script: u8) -> Vec<(String, Digest)> {
            let threads = Threads::default();
            let told = self.modules.would_be_told([script; 16], &threads);
            tokio::runtime::Builder::new_current_thread().build().expect("a runtime").block_on(told)
        }
    }

    #[test]
    fn whatever_changes_what_a_top_level_would_be_told_is_seen() {
        let scripts = Scripts::new();
        scripts.write("m.py", "import a, b", false);
        scripts.write("a.py", "x = 1", false);
        for name in ["m", "a", "b"] {
            scripts.ask(1, name);
        }
        let mut before = scripts.told(1);
        let names: Vec<_> = before.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["a", "b", "m"]);
        assert_eq!(scripts.told(1), before);
        type Change = fn(&Scripts);
        let changes: [(&str, Change); 7] = [
            ("written to, of the same size", |s| s.write("a.py", "x = 2", false)),
            ("written to, and settled before", |s| s.write("a.py", "x = 33", true)),
            ("replaced", |s| {
                s.write("new", "x = 44", true);
                fs::rename(s.folder.path().join("new"), s.folder.path().join("a.py"))
                    .expect("done");
            }),
            ("came", |s| s.write("b.py", "", true)),
            ("is a package now", |s| s.write("b/__init__.py", "", true)),
            ("gone", |s| fs::remove_file(s.folder.path().join("m.py")).expect("done")),
            ("too large", |s| s.write("a.py", &"#".repeat(2 << 20), true)),
        ];
        for (what, change) in changes {
            change(&scripts);
            let after = scripts.told(1);
            assert_ne!(after, before, "{what}");
            assert_eq!(scripts.told(1), after, "{what}");
            before = after;
        }
        assert!(scripts.told(2).is_empty(), "another script asked for nothing");
    }

    #[test]
    fn a_file_that_is_old_enough_is_not_read_again() {
        let scripts = Scripts::new();
        scripts.write("m.py", "", false);
        scripts.ask(1, "m");
        let settled = || scripts.modules.told().scripts[&[1; 16]].modules[0].settled;
        assert!(!settled(), "it was written just now");
        let long_ago = SystemTime::now() - Duration::from_secs(60);
        let file = fs::File::options().write(true).open(scripts.folder.path().join("m.py"));
        file.expect("opened").set_modified(long_ago).expect("set");
        scripts.told(1);
        assert!(!settled(), "a file can be made to look old");
        std::thread::sleep(YOUNG + Duration::from_millis(100));
        scripts.told(1);
        assert!(settled());
    }

    #[test]
    fn no_more_is_remembered_than_there_is_room_for() {
        let scripts = Scripts::new();
        for script in 0..100 {
            for i in 0..MOST_ANSWERS {
                scripts.ask(script, &format!("m{i}"));
            }
        }
        assert_eq!(scripts.told(99).len(), MOST_ANSWERS);
        scripts.ask(99, "n");
        assert_eq!(scripts.told(99).len(), 1, "it begins anew after too many");
        assert!(scripts.told(0).is_empty());
        scripts.ask(200, &"m".repeat(1 << 20));
        assert!(scripts.told(200).is_empty(), "no module has such a name");
        let told = scripts.modules.told();
        assert!(told.modules <= MOST);
        assert_eq!(told.modules, told.scripts.values().map(|s| s.modules.len()).sum::<usize>());
    }
}
