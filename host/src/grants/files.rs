//! The modules that a tenant's tasks import, and the data files that they open.

use roh_abi::{Answer, Refusal, RefusalKind};

use super::folder::{Folder, Identity, Unreadable};
use super::{not_granted, quoted, refusal};
use crate::task::{TenantName, is_module_name};

/// Largest module, in bytes of source.
const MAX_MODULE_BYTES: u64 = 1 << 20;
/// Largest data file.
const MAX_FILE_BYTES: u64 = 16 << 20;

/// Looks up the module `name`, `pkg.mod`.
pub(super) fn module(scripts: &Folder, name: &str) -> Result<Answer, Refusal> {
    let Some(files) = candidates(name) else { return Ok(Answer::Missing) };
    for (file, package) in files.into_iter().zip([true, false]) {
        let refused = |why: &str| refusal(RefusalKind::Failed, format!("{file} {why}"));
        match scripts.read(&file, MAX_MODULE_BYTES) {
            Ok(bytes) => {
                let source = String::from_utf8(bytes).map_err(|_| refused("is not UTF-8"))?;
                return Ok(Answer::Module { file, package, source });
            }
            Err(Unreadable::Missing) => {}
            Err(Unreadable::Refused(why)) => return Err(refused(&why)),
        }
    }
    Ok(Answer::Missing)
}

/// The files that the module `name` can be in, as far as they are there. As long as these stay
/// the same, so does what [`module`] finds.
pub(super) fn module_files(scripts: &Folder, name: &str) -> [Option<Identity>; 2] {
    candidates(name).map_or([None; 2], |files| files.map(|file| scripts.identity(&file)))
}

/// The first that is there is the module: a package, or a file of its own.
fn candidates(name: &str) -> Option<[String; 2]> {
    if !is_module_name(name) {
        return None;
    }
    let stem = name.replace('.', "/");
    Some([format!("{stem}/__init__.py"), format!("{stem}.py")])
}

/// Reads a data file.
pub(super) fn file(data: &Folder, path: &str) -> Result<Answer, Refusal> {
    answer(path, data.read(path, MAX_FILE_BYTES).map(Answer::Bytes))
}

/// Lists a folder of data files.
pub(super) fn folder(data: &Folder, path: &str) -> Result<Answer, Refusal> {
    answer(path, data.names(path).map(Answer::Names))
}

fn answer(path: &str, read: Result<Answer, Unreadable>) -> Result<Answer, Refusal> {
    read.or_else(|unreadable| match unreadable {
        Unreadable::Missing => Ok(Answer::Missing),
        Unreadable::Refused(why) => {
            let path = quoted(&format!("/data/{path}"));
            Err(refusal(RefusalKind::Failed, format!("{path} {why}")))
        }
    })
}

/// That the tenant has no data files.
pub(super) fn none(tenant: &TenantName) -> Refusal {
    not_granted(tenant, "files", "add files = \"FOLDER\" to [tenant.grants]")
}

#[cfg(test)]
mod tests {
    use super::*;

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
        let scripts = Folder::new(folder.path());
        let find = |name: &str| module(&scripts, name);

        let found = |file: &str, package, source: &str| {
            Ok(Answer::Module { file: file.into(), package, source: source.into() })
        };
        assert_eq!(find("a"), found("a.py", false, "x = 1"));
        assert_eq!(find("p"), found("p/__init__.py", true, ""));
        assert_eq!(find("p.m"), found("p/m.py", false, "y = 2"));
        for missing in ["b", "a.x", "", ".", "..", "p..m", "/etc/passwd", "p/m", "a\0"] {
            assert_eq!(find(missing), Ok(Answer::Missing), "{missing}");
        }
        for refused in ["latin", "large", "passwd"] {
            let refusal = find(refused).expect_err(refused);
            assert_eq!(refusal.kind, RefusalKind::Failed);
            assert!(refusal.message.starts_with(&format!("{refused}.py is ")), "{refusal:?}");
        }
    }
}
