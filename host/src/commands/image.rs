//! `roh image`: builds the interpreter image, or tells what it is.

use super::{CommandError, Exit};

/// Builds the image into the cache, if it is not there.
///
/// # Errors
/// It can't be built or stored.
pub fn build() -> Result<Exit, CommandError> {
    Err(CommandError::NotBuilt("image build"))
}

/// Tells what the image is.
///
/// # Errors
/// There is none, or it can't be read.
pub fn info() -> Result<Exit, CommandError> {
    Err(CommandError::NotBuilt("image info"))
}
