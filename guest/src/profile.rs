//! For a build that counts what is run how often (`build-guest.sh --profile`): prints the counts when
//! a task is done. No other build has it.
#![allow(unsafe_code, reason = "the counters are the compiler's, and no Rust object")]
#![allow(clippy::print_stdout, reason = "it is how they get out")]

use std::fmt::Write as _;

/// What comes before the counts on standard output, after what the script printed.
const MARK: &str = "\nroh-profile: ";

/// Forgets what was counted until now.
pub(crate) fn forget() {
    minicov::reset_coverage();
}

/// Prints what was counted, in hexadecimal digits.
pub(crate) fn print() {
    let mut counts = Vec::new();
    // SAFETY: this is the only thread.
    let captured = unsafe { minicov::capture_coverage(&mut counts) };
    captured.expect("what it is written to grows");
    let mut digits = String::with_capacity(2 * counts.len());
    for byte in counts {
        write!(digits, "{byte:02x}").expect("as does this");
    }
    println!("{MARK}{digits}");
}
