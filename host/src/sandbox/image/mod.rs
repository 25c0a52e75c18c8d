//! The interpreter image: Python booted, its common modules imported, compiled for
//! this machine. Found in the cache, or built and kept there.

mod build;
mod cache;

use std::fs::File;
use std::path::PathBuf;

use roh_abi::ABI_VERSION;
use serde::{Deserialize, Serialize};
use wasmtime::{Engine, Module};

use super::engine;

/// What a cache entry says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// What it was made from and for; also its name in the cache.
    pub key: String,
    /// Version of ROH that made it.
    pub roh: String,
    /// Version of the boundary between host and guest.
    pub abi: u32,
    /// The interpreter's own words for its version.
    pub python: String,
    /// Size of the guest that it was made from, in bytes.
    pub guest_bytes: u64,
    /// Memory that an instance starts with, in bytes.
    pub memory_bytes: u64,
    /// Size of the compiled code, in bytes.
    pub code_bytes: u64,
    /// BLAKE3 hash of the compiled code.
    pub code_hash: String,
}

/// An image, checked and ready to be loaded.
#[derive(Debug)]
pub struct Image {
    /// What it is.
    pub manifest: Manifest,
    /// Where it is.
    pub path: PathBuf,
    file: File,
}

/// What an image is made from: the guest, and where images are kept.
#[derive(Debug, Clone)]
pub struct Recipe {
    /// The guest, a WebAssembly module.
    pub guest: PathBuf,
    /// The folder of the cache.
    pub cache: PathBuf,
}

/// There is no image, and none can be made.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// The guest can't be read.
    #[error("cannot read the guest {path}; build it with \"just guest\", or name it with ROH_GUEST", path = path.display())]
    Guest {
        /// Where it should be.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The guest was built for another host.
    #[error("the guest {path} speaks version {found} of the boundary, and this roh version {ABI_VERSION}; build it anew with \"just guest\"", path = path.display())]
    Version {
        /// Where it is.
        path: PathBuf,
        /// Its version.
        found: u32,
    },
    /// Building it failed.
    #[error("cannot build an image from the guest {path}", path = path.display())]
    Build {
        /// Where it is.
        path: PathBuf,
        /// Why.
        source: wasmtime::Error,
    },
    /// The cache can't be used.
    #[error("cannot use the image cache {path}: {why}; name another folder with ROH_CACHE_DIR", path = path.display())]
    Cache {
        /// The folder, or what in it is at fault.
        path: PathBuf,
        /// Why.
        why: String,
    },
}

/// What is being done while an image is built. Each takes some seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Another process builds the same image.
    Waiting,
    /// The guest is compiled, without optimisation, to run once.
    Preparing,
    /// Python boots and imports its common modules.
    Booting,
    /// The snapshot is compiled for this machine.
    Compiling,
}

/// Told of each [`Stage`] as it begins.
pub type Progress<'a> = &'a (dyn Fn(Stage) + Sync);

impl Image {
    /// The image of `recipe` from the cache, built first if it is missing or damaged.
    /// Takes under 100 ms if it is there, half a minute if not.
    pub fn open_or_build(recipe: &Recipe, progress: Progress) -> Result<Image, ImageError> {
        if let Some(image) = Image::open(recipe)? {
            return Ok(image);
        }
        let guest = std::fs::read(&recipe.guest).map_err(unreadable(recipe))?;
        let engine = compiling_engine(recipe)?;
        let key = key(&engine, blake3::hash(&guest));
        let cache = cache::Cache::open(&recipe.cache)?;
        let _lock = cache.lock(&key, &|| progress(Stage::Waiting))?;
        // Another process may have built it while this one waited.
        if let Some(image) = cache.get(&key) {
            return Ok(image);
        }
        let built = build::build(&engine, &recipe.guest, &guest, progress)?;
        cache.put(&key, &guest, &built)?;
        cache.get(&key).ok_or_else(|| ImageError::Cache {
            path: recipe.cache.clone(),
            why: "an image that was just written cannot be read back".into(),
        })
    }

    /// The image of `recipe` if the cache holds it. Changes nothing.
    pub fn open(recipe: &Recipe) -> Result<Option<Image>, ImageError> {
        // In pieces: to free as much at once would have malloc keep all that is freed later.
        let mut guest = blake3::Hasher::new();
        File::open(&recipe.guest)
            .and_then(|file| guest.update_reader(file).map(drop))
            .map_err(unreadable(recipe))?;
        let key = key(&compiling_engine(recipe)?, guest.finalize());
        let no_cache = |error: std::io::Error| ImageError::Cache {
            path: recipe.cache.clone(),
            why: error.to_string(),
        };
        match recipe.cache.try_exists().map_err(no_cache)? {
            true => Ok(cache::Cache::open(&recipe.cache)?.get(&key)),
            false => Ok(None),
        }
    }

    /// The file of its compiled code, for [`Ready::load`](super::Ready::load).
    ///
    /// # Errors
    /// The process has too many files open.
    pub fn code(&self) -> std::io::Result<File> {
        self.file.try_clone()
    }
}

/// Loads an image's code into `engine`.
pub(super) fn load(code: File, engine: &Engine) -> wasmtime::Result<Module> {
    // SAFETY: the file was written by this program, as its hash in a manifest of a folder
    // that nobody else may write to says, and it was opened before the hash was taken. An
    // executor gets it from the daemon, which did all that.
    #[expect(unsafe_code, reason = "loading compiled code is unsafe by nature")]
    unsafe {
        Module::deserialize_open_file(engine, code)
    }
}

fn unreadable(recipe: &Recipe) -> impl FnOnce(std::io::Error) -> ImageError {
    |source| ImageError::Guest { path: recipe.guest.clone(), source }
}

fn compiling_engine(recipe: &Recipe) -> Result<Engine, ImageError> {
    engine::compiling().map_err(|source| ImageError::Build { path: recipe.guest.clone(), source })
}

/// What an image is made and checked by. It grows with each change of `build`, so that no
/// image made before serves.
const FORMAT: u32 = 1;

/// Names an image by all that it depends on: the guest, this program, the engine with
/// its settings, and the machine's CPU features.
fn key(engine: &Engine, guest: blake3::Hash) -> String {
    let mut hasher = KeyHasher(blake3::Hasher::new());
    hasher.0.update(env!("CARGO_PKG_VERSION").as_bytes());
    hasher.0.update(&FORMAT.to_le_bytes());
    hasher.0.update(&ABI_VERSION.to_le_bytes());
    std::hash::Hash::hash(&engine.precompile_compatibility_hash(), &mut hasher);
    hasher.0.update(guest.as_bytes());
    hasher.0.finalize().to_hex()[..32].to_owned()
}

/// Lets what only knows std's hashers feed BLAKE3.
struct KeyHasher(blake3::Hasher);

impl std::hash::Hasher for KeyHasher {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn finish(&self) -> u64 {
        u64::from_le_bytes(std::array::from_fn(|i| self.0.finalize().as_bytes()[i]))
    }
}
