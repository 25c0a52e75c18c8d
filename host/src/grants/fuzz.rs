//! Lets `tests/fuzz` reach what is private here. In no other build.

use std::path::Path;

use roh_abi::{Answer, Refusal};

use super::files;
use super::folder::Folder;

/// The module `name` of the scripts in `folder`.
pub fn module(folder: &Path, name: &str) -> Result<Answer, Refusal> {
    files::module(&Folder::new(folder), name)
}

/// The data file `path` of those in `folder`.
pub fn file(folder: &Path, path: &str) -> Result<Answer, Refusal> {
    files::file(&Folder::new(folder), path)
}

/// The names at `path` in the data files in `folder`.
pub fn names(folder: &Path, path: &str) -> Result<Answer, Refusal> {
    files::folder(&Folder::new(folder), path)
}
