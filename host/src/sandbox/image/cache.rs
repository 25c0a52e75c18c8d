//! Keeps images in a folder that only this user may write to. An entry is two files:
//! the compiled code, and a manifest with its hash, which is written last.
//!
//! An entry that is truncated, foreign or of another version counts as missing.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::build::Built;
use super::{Image, ImageError, Manifest};

/// Entries kept; older ones are removed when one is added.
const MAX_ENTRIES: usize = 4;

/// Largest manifest, in bytes.
const MAX_MANIFEST_BYTES: u64 = 1 << 16;

pub(super) struct Cache {
    folder: PathBuf,
}

impl Cache {
    /// Opens the cache, making its folder if need be.
    pub(super) fn open(folder: &Path) -> Result<Cache, ImageError> {
        let cache = Cache { folder: folder.to_owned() };
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)
            .map_err(|error| cache.error(error))?;
        let metadata = folder.metadata().map_err(|error| cache.error(error))?;
        // Who can write here can have their own code run as ours.
        if let Err(why) = ours_alone(&metadata) {
            return Err(cache.error(why));
        }
        Ok(cache)
    }

    /// The entry `key` if it is whole and ours.
    pub(super) fn get(&self, key: &str) -> Option<Image> {
        match self.read(key) {
            Ok(image) => Some(image),
            Err(Unusable::Missing) => None,
            Err(Unusable::Damaged(why)) => {
                tracing::warn!(key, why, "ignoring a damaged image in the cache");
                None
            }
        }
    }

    fn read(&self, key: &str) -> Result<Image, Unusable> {
        let manifest = open_ours(&self.manifest_path(key))?;
        let manifest: Manifest =
            serde_json::from_reader(io::Read::take(manifest, MAX_MANIFEST_BYTES)).map_err(
                |error| Unusable::Damaged(format!("its manifest is not readable: {error}")),
            )?;
        if manifest.key != key {
            return Err(Unusable::Damaged("its manifest is another image's".into()));
        }
        let path = self.code_path(key);
        let file = open_ours(&path)?;
        let mut hasher = blake3::Hasher::new();
        // Of the open file, not of the path: it is this file that will be loaded.
        hasher.update_reader(&file)?;
        if hasher.finalize().to_hex().as_str() != manifest.code_hash {
            return Err(Unusable::Damaged(
                "its code does not have the hash of its manifest".into(),
            ));
        }
        Ok(Image { manifest, path, file })
    }

    /// Keeps `built` as the entry `key`.
    pub(super) fn put(&self, key: &str, guest: &[u8], built: &Built) -> Result<(), ImageError> {
        let manifest = Manifest {
            key: key.to_owned(),
            roh: env!("CARGO_PKG_VERSION").to_owned(),
            abi: roh_abi::ABI_VERSION,
            python: built.python.clone(),
            guest_bytes: guest.len() as u64,
            memory_bytes: built.memory_bytes,
            code_bytes: built.code.len() as u64,
            code_hash: blake3::hash(&built.code).to_hex().to_string(),
        };
        let json = serde_json::to_vec_pretty(&manifest).expect("strings and numbers");
        self.write(&self.code_path(key), &built.code)
            .and_then(|()| self.write(&self.manifest_path(key), &json))
            .map_err(|error| self.error(error))?;
        self.prune(key);
        Ok(())
    }

    /// Writes a whole file or none.
    fn write(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let temporary = path.with_extension("new");
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&temporary)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        std::fs::rename(&temporary, path)
    }

    /// Removes all but the newest entries. What can't be removed stays: it only takes
    /// room. A daemon that has an entry open keeps it.
    fn prune(&self, keep: &str) {
        let Ok(entries) = self.folder.read_dir() else { return };
        let mut manifests: Vec<_> = entries
            .flatten()
            .map(|entry| entry.path())
            .filter(|path| path.extension().is_some_and(|e| e == "json"))
            .filter(|path| path.file_stem().is_some_and(|stem| stem != keep))
            .filter_map(|path| Some((path.metadata().ok()?.modified().ok()?, path)))
            .collect();
        manifests.sort();
        let surplus = (manifests.len() + 1).saturating_sub(MAX_ENTRIES);
        for (_, manifest) in &manifests[..surplus] {
            // Not the lock: another process may hold it.
            for extension in ["json", "cwasm"] {
                let _ = std::fs::remove_file(manifest.with_extension(extension));
            }
        }
    }

    /// Holds the right to build the entry `key`, among all processes, until it is
    /// dropped. Calls `waiting` if another has it.
    pub(super) fn lock(&self, key: &str, waiting: &dyn Fn()) -> Result<File, ImageError> {
        let path = self.folder.join(key).with_extension("lock");
        let lock = || {
            let file = OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(false)
                .mode(0o600)
                .open(&path)?;
            match file.try_lock() {
                Ok(()) => {}
                Err(std::fs::TryLockError::WouldBlock) => {
                    waiting();
                    file.lock()?;
                }
                Err(std::fs::TryLockError::Error(error)) => return Err(error),
            }
            Ok(file)
        };
        lock().map_err(|error: io::Error| self.error(error))
    }

    fn code_path(&self, key: &str) -> PathBuf {
        self.folder.join(key).with_extension("cwasm")
    }

    fn manifest_path(&self, key: &str) -> PathBuf {
        self.folder.join(key).with_extension("json")
    }

    fn error(&self, why: impl std::fmt::Display) -> ImageError {
        ImageError::Cache { path: self.folder.clone(), why: why.to_string() }
    }
}

/// Why an entry can't be used.
enum Unusable {
    Missing,
    Damaged(String),
}

impl From<io::Error> for Unusable {
    fn from(error: io::Error) -> Unusable {
        match error.kind() {
            io::ErrorKind::NotFound => Unusable::Missing,
            _ => Unusable::Damaged(error.to_string()),
        }
    }
}

/// Opens a file that this user owns and nobody else may write to.
fn open_ours(path: &Path) -> Result<File, Unusable> {
    // A link could lead to a file of somebody else's choice.
    let no_follow = rustix::fs::OFlags::NOFOLLOW.bits();
    let file = OpenOptions::new().read(true).custom_flags(no_follow.cast_signed()).open(path)?;
    ours_alone(&file.metadata()?).map_err(|why| Unusable::Damaged(why.into()))?;
    Ok(file)
}

fn ours_alone(metadata: &std::fs::Metadata) -> Result<(), &'static str> {
    if metadata.uid() != rustix::process::geteuid().as_raw() {
        Err("it belongs to another user")
    } else if metadata.mode() & 0o022 != 0 {
        Err("others may write to it")
    } else {
        Ok(())
    }
}
