//! A tenant's store: keys and values that outlive its tasks, in a file of its own, up to
//! a quota that holds exactly.
//!
//! All of it blocks: it is called on threads that may.

use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};
use roh_abi::{Answer, Refusal, RefusalKind};

use super::refusal;
use crate::task::TenantName;

/// Longest key in bytes.
const MAX_KEY_BYTES: usize = 512;
/// Keys that are listed at most.
const MAX_KEYS: usize = 10_000;
/// What the engine may keep in memory of one tenant's file.
const CACHE_BYTES: usize = 1 << 20;

const VALUES: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("values");
/// One entry, [`BYTES`].
const TOTALS: TableDefinition<'_, &str, u64> = TableDefinition::new("totals");
/// The sum over all keys and values.
const BYTES: &str = "bytes";

/// What stands in a file's name as it is.
const NAME: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_');

/// Makes the folder of all stores, which nobody else can look into.
pub(super) fn make_folder(data: &Path) -> io::Result<PathBuf> {
    let folder = data.join("state");
    DirBuilder::new().recursive(true).mode(0o700).create(&folder)?;
    std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o700))?;
    Ok(folder)
}

/// One tenant's store.
pub(super) struct Store {
    tenant: TenantName,
    path: PathBuf,
    quota: u64,
    file: Mutex<File>,
}

#[derive(Default)]
struct File {
    /// Opened at first use, and again after it failed.
    open: Option<Database>,
    /// Whether the log says that it can't be used.
    complained: bool,
}

/// What went wrong in the file.
type Broken = redb::Error;

enum Set {
    Done,
    /// It would take so many bytes.
    TooMuch(u64),
}

impl Store {
    /// The store of `tenant` in `folder`. Nothing is opened yet: what is wrong with the
    /// file is that tenant's trouble alone.
    pub(super) fn new(folder: &Path, tenant: &TenantName, quota: u64) -> Store {
        let mut name = utf8_percent_encode(tenant.as_str(), NAME).to_string();
        if name.len() > 200 {
            name = format!("%{}", blake3::hash(tenant.as_str().as_bytes()).to_hex());
        }
        let path = folder.join(format!("{name}.redb"));
        Store { tenant: tenant.clone(), path, quota, file: Mutex::default() }
    }

    pub(super) fn get(&self, key: &str) -> Result<Answer, Refusal> {
        let found = self.with(|file| {
            let reading = file.begin_read()?;
            let values = reading.open_table(VALUES)?;
            Ok(values.get(key)?.map(|value| value.value().to_vec()))
        })?;
        Ok(found.map_or(Answer::Missing, Answer::Bytes))
    }

    pub(super) fn set(&self, key: &str, value: &[u8]) -> Result<Answer, Refusal> {
        if key.len() > MAX_KEY_BYTES {
            let message = format!("key has {} bytes, more than {MAX_KEY_BYTES}", key.len());
            return Err(refusal(RefusalKind::Invalid, message));
        }
        let added = key.len() as u64 + value.len() as u64;
        let set = self.with(|file| {
            let writing = file.begin_write()?;
            let set = {
                let mut values = writing.open_table(VALUES)?;
                let old = values.insert(key, value)?;
                let old = old.map_or(0, |old| key.len() as u64 + old.value().len() as u64);
                let mut totals = writing.open_table(TOTALS)?;
                let before = totals.get(BYTES)?.map_or(0, |bytes| bytes.value());
                let total = before.saturating_sub(old).saturating_add(added);
                // What was too much already may still shrink: a quota can be lowered.
                if total > self.quota && total > before {
                    Set::TooMuch(total)
                } else {
                    totals.insert(BYTES, total)?;
                    Set::Done
                }
            };
            match set {
                Set::Done => writing.commit()?,
                Set::TooMuch(_) => writing.abort()?,
            }
            Ok(set)
        })?;
        match set {
            Set::Done => Ok(Answer::Done),
            Set::TooMuch(total) => {
                let message =
                    format!("state would take {total} bytes, more than its {}", self.quota);
                Err(refusal(RefusalKind::Limit, message))
            }
        }
    }

    pub(super) fn delete(&self, key: &str) -> Result<Answer, Refusal> {
        let deleted = self.with(|file| {
            let writing = file.begin_write()?;
            let deleted = {
                let mut values = writing.open_table(VALUES)?;
                let old = values.remove(key)?.map(|old| key.len() + old.value().len());
                let mut totals = writing.open_table(TOTALS)?;
                let before = totals.get(BYTES)?.map_or(0, |bytes| bytes.value());
                totals.insert(BYTES, before.saturating_sub(old.unwrap_or(0) as u64))?;
                old.is_some()
            };
            writing.commit()?;
            Ok(deleted)
        })?;
        Ok(if deleted { Answer::Done } else { Answer::Missing })
    }

    pub(super) fn keys(&self, prefix: &str) -> Result<Answer, Refusal> {
        let keys = self.with(|file| {
            let reading = file.begin_read()?;
            let values = reading.open_table(VALUES)?;
            let mut keys = Vec::new();
            for entry in values.range(prefix..)? {
                let (key, _) = entry?;
                // One more than can be listed tells that there are too many.
                if !key.value().starts_with(prefix) || keys.len() > MAX_KEYS {
                    break;
                }
                keys.push(key.value().to_owned());
            }
            Ok(keys)
        })?;
        if keys.len() > MAX_KEYS {
            let message = format!("more than {MAX_KEYS} keys start so");
            return Err(refusal(RefusalKind::Limit, message));
        }
        Ok(Answer::Names(keys))
    }

    fn with<T>(&self, work: impl FnOnce(&Database) -> Result<T, Broken>) -> Result<T, Refusal> {
        let mut file = self.lock();
        let result = match file.open.take() {
            Some(open) => Ok(open),
            None => self.open(),
        }
        .and_then(|open| Ok((work(&open)?, open)));
        match result {
            Ok((result, open)) => {
                // It is kept only as long as all goes well: after a failure the engine
                // wants it opened anew.
                *file = File { open: Some(open), complained: false };
                Ok(result)
            }
            Err(error) => {
                if !std::mem::replace(&mut file.complained, true) {
                    let (tenant, path) = (self.tenant.as_str(), self.path.display());
                    tracing::error!(tenant, %path, %error, "state of a tenant cannot be used");
                }
                Err(refusal(RefusalKind::Failed, "the tenant's state cannot be used"))
            }
        }
    }

    fn open(&self) -> Result<Database, Broken> {
        let database = Database::builder().set_cache_size(CACHE_BYTES).create(&self.path)?;
        // Whoever reads finds the tables there.
        let writing = database.begin_write()?;
        writing.open_table(VALUES)?;
        writing.open_table(TOTALS)?;
        writing.commit()?;
        Ok(database)
    }

    fn lock(&self) -> MutexGuard<'_, File> {
        self.file.lock().unwrap_or_else(|poisoned| {
            // The engine panicked over a file; what was open is gone.
            self.file.clear_poison();
            poisoned.into_inner()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store(folder: &Path, tenant: &str, quota: u64) -> Store {
        let folder = make_folder(folder).expect("made");
        Store::new(&folder, &TenantName::new(tenant), quota)
    }

    fn kind(answer: Result<Answer, Refusal>) -> RefusalKind {
        answer.expect_err("refused").kind
    }

    #[test]
    fn keeps_what_it_is_given() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = store(folder.path(), "t", 100);
        assert_eq!(store.get("a"), Ok(Answer::Missing));
        assert_eq!(store.delete("a"), Ok(Answer::Missing));
        assert_eq!(store.keys(""), Ok(Answer::Names(Vec::new())));
        for (key, value) in [("a", "1"), ("b/x", "2"), ("b/y", ""), ("ü", "3"), ("", "4")] {
            assert_eq!(store.set(key, value.as_bytes()), Ok(Answer::Done));
            assert_eq!(store.get(key), Ok(Answer::Bytes(value.into())));
        }
        let names = |names: &[&str]| Ok(Answer::Names(names.iter().map(|n| (*n).into()).collect()));
        assert_eq!(store.keys("b/"), names(&["b/x", "b/y"]));
        assert_eq!(store.keys(""), names(&["", "a", "b/x", "b/y", "ü"]));
        assert_eq!(store.delete("b/x"), Ok(Answer::Done));
        assert_eq!(store.get("b/x"), Ok(Answer::Missing));
        drop(store);
        assert_eq!(self::store(folder.path(), "t", 100).get("a"), Ok(Answer::Bytes("1".into())));
        assert_eq!(self::store(folder.path(), "u", 100).get("a"), Ok(Answer::Missing));
    }

    #[test]
    fn the_quota_holds_to_the_byte() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = store(folder.path(), "t", 10);
        assert_eq!(store.set("k", b"123456789"), Ok(Answer::Done));
        assert_eq!(kind(store.set("k", b"1234567890")), RefusalKind::Limit);
        assert_eq!(kind(store.set("l", b"")), RefusalKind::Limit);
        assert_eq!(store.get("k"), Ok(Answer::Bytes(b"123456789".into())));
        assert_eq!(store.set("k", b"12345"), Ok(Answer::Done));
        assert_eq!(store.set("l", b"123"), Ok(Answer::Done));
        assert_eq!(kind(store.set("m", b"")), RefusalKind::Limit);
        assert_eq!(store.delete("l"), Ok(Answer::Done));
        assert_eq!(store.delete("l"), Ok(Answer::Missing));
        assert_eq!(store.set("m", b"123"), Ok(Answer::Done));
        drop(store);
        // It may shrink under a lower quota, and grow no more.
        let store = self::store(folder.path(), "t", 5);
        assert_eq!(kind(store.set("k", b"123456")), RefusalKind::Limit);
        assert_eq!(store.set("k", b"1234"), Ok(Answer::Done));
    }

    #[test]
    fn keys_are_bounded() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = store(folder.path(), "t", 10_000);
        assert_eq!(store.set(&"k".repeat(512), b""), Ok(Answer::Done));
        assert_eq!(kind(store.set(&"k".repeat(513), b"")), RefusalKind::Invalid);
    }

    #[test]
    fn tenants_have_files_of_their_own_that_nobody_else_reads() {
        let folder = tempfile::tempdir().expect("a folder");
        let long = "x".repeat(255);
        let tenants = ["a", "../a", "a/b", "a%2Fb", ".", "ü", &long, &long[1..]];
        for tenant in tenants {
            let store = store(folder.path(), tenant, 100);
            assert_eq!(store.get("k"), Ok(Answer::Missing), "{tenant}");
            assert_eq!(store.set("k", b"v"), Ok(Answer::Done));
        }
        let state = folder.path().join("state");
        assert_eq!(state.read_dir().expect("listed").count(), tenants.len());
        let mode = state.metadata().expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
    }

    #[test]
    fn a_broken_file_is_its_tenants_trouble_until_it_is_mended() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = make_folder(folder.path()).expect("made").join("t.redb");
        for broken in [&b"not a database"[..], &[0; 8192], b""] {
            std::fs::write(&path, broken).expect("written");
            let store = store(folder.path(), "t", 100);
            let used = store.set("k", b"v");
            // An empty file is a new one.
            if broken.is_empty() {
                assert_eq!(used, Ok(Answer::Done));
                continue;
            }
            assert_eq!(kind(used), RefusalKind::Failed);
            assert_eq!(kind(store.get("k")), RefusalKind::Failed);
            std::fs::remove_file(&path).expect("removed");
            assert_eq!(store.set("k", b"v"), Ok(Answer::Done));
        }
    }
}
