//! Tries, from native code, what someone would try who broke out of an instance; and does
//! what an executor has to be able to do. `tests/e2e/room.rs` starts it, as a daemon would:
//!
//! - `list` prints the attempts, and `needs` what has to work, one a line;
//! - `image` prints the compiled module that is standard output from then on;
//! - `free|entered|closed NAME OUTSIDE` does one of them: in an ordinary process, in one that
//!   went through `lockdown::enter`, and in an executor. It exits with 0 if that worked, and
//!   with 3 and the reason if it was refused;
//! - `calls FIRST` makes every system call from FIRST on but those that are left;
//! - `walls` prints which walls stand, and which descriptors are open;
//! - `early` tries something on a thread that was there before the door was shut;
//! - `wait` says when it is an executor, and waits; `orphan` leaves such a one behind.

#![cfg_attr(
    target_os = "linux",
    expect(unsafe_code, reason = "an intruder makes system calls, and maps code"),
    expect(clippy::unwrap_used, reason = "what fails here fails the test"),
    expect(clippy::print_stdout, clippy::print_stderr, reason = "it talks to the test")
)]

#[cfg(target_os = "linux")]
#[path = "room/attempts.rs"]
mod attempts;
#[cfg(target_os = "linux")]
#[path = "room/door.rs"]
mod door;
#[cfg(target_os = "linux")]
#[path = "room/needs.rs"]
mod needs;

fn main() -> std::process::ExitCode {
    #[cfg(target_os = "linux")]
    {
        door::main()
    }
    #[cfg(not(target_os = "linux"))]
    {
        std::process::ExitCode::FAILURE
    }
}
