//! Finds the guest and the image cache on this machine, and shows what goes on while
//! an image is built.

use std::io::{IsTerminal, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use crate::sandbox::image::{Image, ImageError, Recipe, Stage};

/// The guest's file name.
const GUEST: &str = "roh_guest.wasm";

/// Where this machine has the guest and the cache.
///
/// The guest is what `ROH_GUEST` names, else the first there is: beside the program,
/// one folder up (where a build leaves it), in `lib/roh` or `share/roh` next to the
/// program's folder.
/// The cache is what `ROH_CACHE_DIR` names, else systemd's `CacheDirectory=`, else
/// `roh` in the user's cache folder.
pub fn recipe() -> Recipe {
    Recipe { guest: guest(), cache: cache() }
}

fn guest() -> PathBuf {
    if let Some(path) = set("ROH_GUEST") {
        return path;
    }
    let program = std::env::current_exe().and_then(|path| path.canonicalize()).unwrap_or_default();
    let folder = program.parent().unwrap_or(Path::new("."));
    let places = ["", "..", "../lib/roh", "../share/roh"];
    let mut candidates = places.iter().map(|place| folder.join(place).join(GUEST));
    candidates.find(|path| path.exists()).unwrap_or_else(|| folder.join(GUEST))
}

fn cache() -> PathBuf {
    set("ROH_CACHE_DIR")
        .or_else(|| set("CACHE_DIRECTORY"))
        .or_else(|| set("XDG_CACHE_HOME").map(|folder| folder.join("roh")))
        .or_else(|| std::env::home_dir().map(|home| home.join(".cache/roh")))
        .unwrap_or_else(|| PathBuf::from("roh-cache"))
}

/// A variable that is set to something.
fn set(name: &str) -> Option<PathBuf> {
    std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from)
}

/// The image, built first if it is missing, with a display of how that goes.
///
/// # Errors
/// As of [`Image::open_or_build`].
pub fn image() -> Result<Image, ImageError> {
    let display = Display::default();
    let image = Image::open_or_build(&recipe(), &|stage| display.begin(stage));
    display.end();
    image
}

/// A line on standard error for each stage; on a terminal it moves.
#[derive(Default)]
struct Display(Mutex<Option<ProgressBar>>);

impl Display {
    fn begin(&self, stage: Stage) {
        self.end();
        let text = match stage {
            Stage::Waiting => "waiting for another roh to build the interpreter image",
            Stage::Preparing => "building the interpreter image, once: 1/3 preparing Python",
            Stage::Booting => "building the interpreter image, once: 2/3 booting Python",
            Stage::Compiling => "building the interpreter image, once: 3/3 compiling for this CPU",
        };
        if !std::io::stderr().is_terminal() {
            // Nobody to tell if it fails.
            let _ = writeln!(std::io::stderr(), "{text}");
            return;
        }
        let style = ProgressStyle::with_template("{spinner} {msg} {elapsed}")
            .expect("the template is right");
        let bar = ProgressBar::new_spinner().with_style(style).with_message(text);
        bar.enable_steady_tick(Duration::from_millis(100));
        *self.bar() = Some(bar);
    }

    fn end(&self) {
        if let Some(bar) = self.bar().take() {
            bar.finish();
        }
    }

    fn bar(&self) -> std::sync::MutexGuard<'_, Option<ProgressBar>> {
        // A bar is whole even if whoever drew it panicked.
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}
