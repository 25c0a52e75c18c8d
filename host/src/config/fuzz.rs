//! Lets `tests/fuzz` reach what is private here. In no other build.

use std::path::Path;

use super::{Config, ConfigError, load};

/// Reads `text` as if it stood in the file `path`.
pub fn parse(text: &str, path: &Path) -> Result<Config, ConfigError> {
    load::parse(text, path)
}
