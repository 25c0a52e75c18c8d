//! Reads what is in a folder of the node's, and nothing outside of it, for scripts that
//! know no path of the node's and are told none.
//!
//! It keeps no contents: a changed file is seen by the next request.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{Mode, OFlags};

/// Names in one folder that are listed at most.
const MAX_NAMES: usize = 10_000;

/// A folder of scripts or of data.
#[derive(Debug, Clone)]
pub(super) struct Folder(PathBuf);

/// What tells a file, with what is in it, from all others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Identity {
    device: u64,
    inode: u64,
    bytes: u64,
    modified: Duration,
    /// When it last changed in any way: its content, its name, who may read it.
    pub(super) changed: Duration,
}

/// Why something is not read.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Unreadable {
    /// It is not there.
    Missing,
    /// Finishes a sentence that starts with its name.
    Refused(String),
}

impl From<io::Error> for Unreadable {
    fn from(error: io::Error) -> Unreadable {
        match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Unreadable::Missing,
            // The operating system's own words could hold a path of the host's.
            kind => Unreadable::Refused(format!("cannot be read: {kind}")),
        }
    }
}

impl Folder {
    pub(super) fn new(path: &Path) -> Folder {
        Folder(path.to_owned())
    }

    /// The bytes of a file, at most `limit`.
    pub(super) fn read(&self, file: &str, limit: u64) -> Result<Vec<u8>, Unreadable> {
        let path = self.find(file)?;
        // Without waiting: opening a pipe would block for ever. And no link: there was
        // none in this path when it was looked at.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let opened = rustix::fs::open(&path, flags, Mode::empty()).map_err(io::Error::from)?;
        let opened = File::from(opened);
        if !opened.metadata()?.is_file() {
            return Err(Unreadable::Missing);
        }
        let mut bytes = Vec::new();
        opened.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > limit {
            let limit = bytesize::ByteSize(limit).display().iec();
            return Err(Unreadable::Refused(format!("is larger than the limit of {limit}")));
        }
        Ok(bytes)
    }

    /// Which file that is, if it is there. Cheap: nothing is opened, and where links lead to is
    /// not checked.
    pub(super) fn identity(&self, file: &str) -> Option<Identity> {
        let found = self.0.join(file).metadata().ok()?;
        let time = |seconds: i64, nanos: i64| {
            let whole = Duration::from_secs(u64::try_from(seconds).unwrap_or(0));
            whole + Duration::from_nanos(u64::try_from(nanos).unwrap_or(0))
        };
        Some(Identity {
            device: found.dev(),
            inode: found.ino(),
            bytes: found.size(),
            modified: time(found.mtime(), found.mtime_nsec()),
            changed: time(found.ctime(), found.ctime_nsec()),
        })
    }

    /// The names in a folder, in order, those of folders with a slash at their end. What
    /// could not be read is not listed.
    pub(super) fn names(&self, folder: &str) -> Result<Vec<String>, Unreadable> {
        let (root, path) = (self.0.canonicalize()?, self.find(folder)?);
        let mut names = Vec::new();
        for entry in path.read_dir()? {
            let entry = entry?;
            let (Ok(mut name), Ok(target)) =
                (entry.file_name().into_string(), entry.path().canonicalize())
            else {
                continue;
            };
            if !target.starts_with(&root) {
                continue;
            }
            if names.len() == MAX_NAMES {
                return Err(Unreadable::Refused(format!("has more than {MAX_NAMES} names")));
            }
            if target.is_dir() {
                name.push('/');
            }
            names.push(name);
        }
        names.sort_unstable();
        Ok(names)
    }

    /// Where `path` leads to. It must consist of names alone.
    fn find(&self, path: &str) -> Result<PathBuf, Unreadable> {
        let is_name = |part: &str| !matches!(part, "" | "." | "..") && !part.contains('\0');
        if !path.is_empty() && !path.split('/').all(is_name) {
            return Err(Unreadable::Missing);
        }
        let root = self.0.canonicalize()?;
        let found = root.join(path).canonicalize()?;
        if !found.starts_with(&root) {
            return Err(Unreadable::Refused("is a link that leads out of its folder".into()));
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn folder() -> (tempfile::TempDir, Folder) {
        let outside = tempfile::tempdir().expect("a folder");
        let path = outside.path().join("data");
        std::fs::create_dir_all(path.join("b/c")).expect("made");
        std::fs::write(outside.path().join("secret"), "x").expect("written");
        std::fs::write(path.join("a.txt"), "hello").expect("written");
        std::fs::write(path.join("b/d"), "").expect("written");
        symlink("a.txt", path.join("link")).expect("made");
        symlink("../secret", path.join("out")).expect("made");
        symlink("..", path.join("up")).expect("made");
        symlink("no-such", path.join("broken")).expect("made");
        let folder = Folder::new(&path);
        (outside, folder)
    }

    #[test]
    fn reads_files_below_itself_alone() {
        let (_kept, folder) = folder();
        assert_eq!(folder.read("a.txt", 5).as_deref(), Ok(&b"hello"[..]));
        assert_eq!(folder.read("link", 5).as_deref(), Ok(&b"hello"[..]));
        assert_eq!(folder.read("b/d", 0).as_deref(), Ok(&b""[..]));
        for missing in
            ["", "b", "b/", "/a.txt", "./a.txt", "../secret", "b/../a.txt", "a.txt/x", "a\0", "x"]
        {
            assert_eq!(folder.read(missing, 5), Err(Unreadable::Missing), "{missing:?}");
        }
        let long = "x".repeat(5000);
        for (refused, why) in [
            ("a.txt", "larger than the limit of 4"),
            ("out", "leads out of its folder"),
            ("up/secret", "leads out of its folder"),
            (&long, "cannot be read: "),
        ] {
            let Err(Unreadable::Refused(said)) = folder.read(refused, 4) else { panic!("{why}") };
            assert!(said.contains(why), "{said}");
            assert!(!said.contains("/tmp"), "{said}");
        }
    }

    #[test]
    fn never_waits_for_a_pipe() {
        let (kept, folder) = folder();
        let pipe = kept.path().join("data/pipe");
        rustix::fs::mknodat(
            rustix::fs::CWD,
            &pipe,
            rustix::fs::FileType::Fifo,
            Mode::RUSR | Mode::WUSR,
            0,
        )
        .expect("made");
        assert_eq!(folder.read("pipe", 4), Err(Unreadable::Missing));
    }

    #[test]
    fn lists_what_is_below_itself_alone() {
        let (_kept, folder) = folder();
        assert_eq!(folder.names("").expect("listed"), ["a.txt", "b/", "link"]);
        assert_eq!(folder.names("b").expect("listed"), ["c/", "d"]);
        assert_eq!(folder.names("b/c").expect("listed"), [""; 0]);
        for missing in ["x", "a.txt", "..", "/", "b/"] {
            assert_eq!(folder.names(missing), Err(Unreadable::Missing), "{missing:?}");
        }
        assert!(matches!(folder.names("up"), Err(Unreadable::Refused(_))));
    }
}
