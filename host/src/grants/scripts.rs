//! Finds the modules of a tenant's script folder by their dotted names, and nothing
//! outside of it.
//!
//! It keeps no contents: a changed file is seen by the next task.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use roh_abi::{Answer, RefusalKind};

use crate::task::{MAX_NAME_BYTES, TenantName};

/// Largest module, in bytes of source.
const MAX_MODULE_BYTES: u64 = 1 << 20;

/// Each tenant's script folder.
#[derive(Debug, Default)]
pub struct Scripts {
    folders: HashMap<TenantName, PathBuf>,
}

impl Scripts {
    /// The folders of the tenants that have one.
    pub fn new(folders: impl IntoIterator<Item = (TenantName, PathBuf)>) -> Scripts {
        Scripts { folders: folders.into_iter().collect() }
    }

    /// Looks up the module `name`, `pkg.mod`, of `tenant`.
    pub fn find(&self, tenant: &TenantName, name: &str) -> Answer {
        let Some(folder) = self.folders.get(tenant) else {
            return Answer::Missing;
        };
        // Each part becomes a file name, so it must not be able to lead elsewhere.
        if name.len() > MAX_NAME_BYTES || !name.split('.').all(crate::task::is_identifier) {
            return Answer::Missing;
        }
        let stem = name.replace('.', "/");
        let candidates = [(format!("{stem}/__init__.py"), true), (format!("{stem}.py"), false)];
        for (file, package) in candidates {
            match read(folder, &file) {
                Ok(source) => return Answer::Module { file, package, source },
                Err(Unreadable::Missing) => {}
                Err(Unreadable::Refused(why)) => {
                    return Answer::refused(RefusalKind::Failed, format!("{file} {why}"));
                }
            }
        }
        Answer::Missing
    }
}

enum Unreadable {
    Missing,
    /// Finishes a sentence that starts with the file's name.
    Refused(String),
}

fn read(folder: &Path, file: &str) -> Result<String, Unreadable> {
    let refused = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Unreadable::Missing,
        // The operating system's own words could hold a path of the host's.
        kind => Unreadable::Refused(format!("cannot be read: {kind}")),
    };
    let folder = folder.canonicalize().map_err(refused)?;
    let path = folder.join(file).canonicalize().map_err(refused)?;
    if !path.starts_with(&folder) {
        return Err(Unreadable::Refused("is a link that leads out of the script folder".into()));
    }
    // Opening a pipe would block for ever.
    if !path.metadata().map_err(refused)?.is_file() {
        return Err(Unreadable::Missing);
    }
    let mut bytes = Vec::new();
    File::open(&path)
        .and_then(|file| file.take(MAX_MODULE_BYTES + 1).read_to_end(&mut bytes))
        .map_err(refused)?;
    if bytes.len() as u64 > MAX_MODULE_BYTES {
        return Err(Unreadable::Refused("is larger than the limit of 1 MiB".into()));
    }
    String::from_utf8(bytes).map_err(|_| Unreadable::Refused("is not UTF-8".into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scripts(folder: &Path) -> (Scripts, TenantName) {
        let tenant = TenantName::new("t");
        (Scripts::new([(tenant.clone(), folder.to_owned())]), tenant)
    }

    #[test]
    fn finds_modules_and_packages_and_nothing_else() {
        let folder = tempfile::tempdir().expect("a folder");
        let write = |name: &str, text: &[u8]| {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().expect("in the folder")).expect("made");
            std::fs::write(path, text).expect("written");
        };
        write("a.py", b"x = 1");
        write("p/__init__.py", b"");
        write("p/m.py", b"y = 2");
        write("latin.py", b"\xff");
        write("large.py", &vec![b'#'; 1 + (1 << 20)]);
        std::os::unix::fs::symlink("/etc/passwd", folder.path().join("passwd.py")).expect("made");
        let (scripts, tenant) = scripts(folder.path());
        let find = |name: &str| scripts.find(&tenant, name);

        let found = |file: &str, package, source: &str| Answer::Module {
            file: file.into(),
            package,
            source: source.into(),
        };
        assert_eq!(find("a"), found("a.py", false, "x = 1"));
        assert_eq!(find("p"), found("p/__init__.py", true, ""));
        assert_eq!(find("p.m"), found("p/m.py", false, "y = 2"));
        for missing in ["b", "a.x", "", ".", "..", "p..m", "/etc/passwd", "p/m", "a\0"] {
            assert_eq!(find(missing), Answer::Missing, "{missing}");
        }
        for refused in ["latin", "large", "passwd"] {
            assert!(matches!(find(refused), Answer::Refused(_)), "{refused}");
        }
    }

    #[test]
    fn a_tenant_does_not_see_anothers_folder() {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("a.py"), "").expect("written");
        let (scripts, _) = scripts(folder.path());
        assert_eq!(scripts.find(&TenantName::new("other"), "a"), Answer::Missing);
    }
}
