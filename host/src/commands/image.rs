//! `roh image`: builds the interpreter image, or tells what it is.

use std::fmt::Write as _;

use bytesize::ByteSize;

use super::recipe::{self, recipe};
use super::{CommandError, Exit, print};
use crate::sandbox::image::Image;

/// Builds the image into the cache, if it is not there.
///
/// # Errors
/// It can't be built or stored.
pub fn build() -> Result<Exit, CommandError> {
    let image = recipe::image()?;
    print(&format!("{}\n", image.path.display()))?;
    Ok(Exit::Succeeded)
}

/// Tells what the image is.
///
/// # Errors
/// The guest or the cache can't be read.
pub fn info() -> Result<Exit, CommandError> {
    let recipe = recipe();
    match Image::open(&recipe)? {
        Some(image) => {
            print(&describe(&image, &recipe.guest.display().to_string()))?;
            Ok(Exit::Succeeded)
        }
        None => {
            let cache = recipe.cache.display();
            print(&format!("no image in {cache} yet; `roh image build` makes it\n"))?;
            Ok(Exit::Unsuccessful)
        }
    }
}

fn describe(image: &Image, guest: &str) -> String {
    let manifest = &image.manifest;
    let size = |bytes| ByteSize(bytes).display().iec().to_string();
    let rows = [
        ("python", manifest.python.replace('\n', " ")),
        ("roh", manifest.roh.clone()),
        ("abi", manifest.abi.to_string()),
        ("guest", format!("{guest} ({})", size(manifest.guest_bytes))),
        ("image", format!("{} ({})", image.path.display(), size(manifest.code_bytes))),
        ("memory", format!("{} at an instance's start", size(manifest.memory_bytes))),
        ("key", manifest.key.clone()),
    ];
    rows.iter().fold(String::new(), |mut text, (name, value)| {
        // Writing to a string does not fail.
        let _ = writeln!(text, "{name:<8}{value}");
        text
    })
}
