//! The names of modules and data files that scripts ask for, in a folder with links that the
//! fuzzer made: what is outside is neither read nor listed, and its path not told.

#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
mod fuzz {
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::path::{Component, Path, PathBuf};
    use std::sync::LazyLock;

    use roh::grants::fuzz as grants;
    use roh_abi::{Answer, Refusal};
    use roh_fuzz::within;

    /// What reading may hold at once: all files here are small.
    const MEMORY: usize = 1 << 20;

    /// What stands in each file inside, and in none outside.
    const INSIDE: &str = "inside\n";

    /// Most lines of one input.
    const MAX_LINES: usize = 16;

    /// `folder` is what is served. Beside it lie `secret.py`, and `folders` with one more,
    /// whose path starts like that of what is served.
    static OUTSIDE: LazyLock<tempfile::TempDir> = LazyLock::new(|| {
        let outside = roh_fuzz::folder();
        let write = |name: &str, text: &str| {
            let path = outside.path().join(name);
            fs::create_dir_all(path.parent().expect("a folder")).expect("made");
            fs::write(path, text).expect("written");
        };
        for inside in ["a.py", "a.txt", "p/__init__.py", "p/m.py", "p/q/b.txt"] {
            write(&format!("folder/{inside}"), INSIDE);
        }
        for secret in ["secret.py", "folders/secret.py", "p/__init__.py", "p/m.py"] {
            write(secret, "outside\n");
        }
        outside
    });

    libfuzzer_sys::fuzz_target!(|input: &str| {
        let folder = OUTSIDE.path().join("folder");
        let mut links = Links(Vec::new());
        for line in input.lines().take(MAX_LINES) {
            let Some((what, of)) = line.split_once(' ') else { continue };
            within(MEMORY, || match what {
                "link" => links.add(&folder, of),
                "module" => module(&folder, of),
                "file" => file(&folder, of),
                "names" => names(&folder, of),
                _ => {}
            });
        }
    });

    /// Links that were made, gone with it.
    struct Links(Vec<PathBuf>);

    impl Links {
        /// `NAME TARGET`. Only a name that is one file's is made, in `l/` or at the top.
        fn add(&mut self, folder: &Path, of: &str) {
            let Some((name, target)) = of.split_once(' ') else { return };
            let mut parts = Path::new(name).components();
            let one = matches!((parts.next(), parts.next()), (Some(Component::Normal(_)), None));
            let link = folder.join(name);
            if one && symlink(target, &link).is_ok() {
                self.0.push(link);
            }
        }
    }

    impl Drop for Links {
        fn drop(&mut self) {
            for link in &self.0 {
                fs::remove_file(link).expect("a link of ours");
            }
        }
    }

    fn module(folder: &Path, name: &str) {
        let answer = grants::module(folder, name);
        match answer {
            Ok(Answer::Module { file, package, source }) => {
                assert_eq!(source, INSIDE);
                let stem = name.replace('.', "/");
                let expected =
                    if package { format!("{stem}/__init__.py") } else { format!("{stem}.py") };
                assert_eq!(file, expected);
                is_inside(folder, &file);
            }
            Ok(Answer::Missing) => {
                let is_plain = |c: char| c.is_ascii_lowercase();
                let plain =
                    name.split('.').all(|part| !part.is_empty() && part.chars().all(is_plain));
                let file = folder.join(format!("{}.py", name.replace('.', "/")));
                assert!(!plain || !file.is_file(), "{name} is there");
            }
            answer => refused(folder, answer),
        }
    }

    fn file(folder: &Path, path: &str) {
        match grants::file(folder, path) {
            Ok(Answer::Bytes(bytes)) => {
                assert_eq!(bytes, INSIDE.as_bytes());
                is_inside(folder, path);
            }
            Ok(Answer::Missing) => {
                let plain = path.split('/').all(|part| !matches!(part, "" | "." | ".."));
                assert!(!plain || !folder.join(path).is_file(), "{path} is there");
            }
            answer => refused(folder, answer),
        }
    }

    fn names(folder: &Path, path: &str) {
        match grants::names(folder, path) {
            Ok(Answer::Names(names)) => {
                if !path.is_empty() {
                    is_inside(folder, path);
                }
                for name in names {
                    is_inside(folder, Path::new(path).join(name).to_str().expect("text"));
                }
            }
            Ok(Answer::Missing) => {}
            answer => refused(folder, answer),
        }
    }

    /// `path` consists of names, and leads to where it should.
    fn is_inside(folder: &Path, path: &str) {
        let path = Path::new(path);
        assert!(path.components().all(|part| matches!(part, Component::Normal(_))), "{path:?}");
        let (root, found) = (folder.canonicalize(), folder.join(path).canonicalize());
        assert!(found.expect("there").starts_with(root.expect("there")), "{path:?}");
    }

    /// A refusal has its reason, and tells nothing of where it all is.
    fn refused(folder: &Path, answer: Result<Answer, Refusal>) {
        let refusal = answer.expect_err("no other answer");
        assert!(!refusal.message.is_empty());
        let outside = folder.parent().and_then(Path::file_name).and_then(|name| name.to_str());
        assert!(!refusal.message.contains(outside.expect("a name")), "{}", refusal.message);
    }
}

#[cfg(not(fuzzing))]
fn main() {}
