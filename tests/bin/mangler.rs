//! Stands between a daemon and a real executor and lies in the executor's name: once the
//! executor is ready, bytes on their way to the daemon are changed, lost, made up, said
//! twice. Started as an executor is; the real one is the `roh` beside it.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::{Read, Result, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};
use std::thread;

/// One in so many pieces is tampered with.
const RARE: u64 = 40;

fn main() -> Result<()> {
    let daemon = UnixStream::from(rustix::io::dup(rustix::stdio::stdin())?);
    let (ours, theirs) = UnixStream::pair()?;
    let roh = std::env::current_exe()?.with_file_name("roh");
    let mut executor = Command::new(roh)
        .arg("executor")
        .env_clear()
        .stdin(Stdio::from(OwnedFd::from(theirs)))
        .spawn()?;
    let (mut from_daemon, mut to_executor) = (daemon.try_clone()?, ours.try_clone()?);
    thread::spawn(move || std::io::copy(&mut from_daemon, &mut to_executor));
    let ended = lie(ours, daemon);
    // It is past its use, or dead.
    let _ = executor.kill();
    let _ = executor.wait();
    ended
}

fn lie(mut executor: UnixStream, mut daemon: UnixStream) -> Result<()> {
    let mut buffer = vec![0; 4096];
    // The first frame is the truth: that it is ready.
    executor.read_exact(&mut buffer[..4])?;
    let len = u32::from_le_bytes(std::array::from_fn(|i| buffer[i])) as usize;
    executor.read_exact(&mut buffer[4..4 + len])?;
    daemon.write_all(&buffer[..4 + len])?;
    loop {
        let read = executor.read(&mut buffer)?;
        let piece = &mut buffer[..read];
        if piece.is_empty() {
            return Ok(());
        }
        let at = random() as usize % piece.len();
        match random() % RARE {
            0 => piece[at] ^= 1 << (random() % 8),
            1 => daemon.write_all(&piece[..at])?,
            2 => piece.fill_with(|| random() as u8),
            3 => daemon.write_all(piece)?,
            4 => {
                // A frame that claims to be of any length.
                daemon.write_all(&(random() as u32).to_le_bytes())?;
            }
            _ => {}
        }
        daemon.write_all(piece)?;
    }
}

/// Of the standard library's own randomness, which is enough to lie with.
fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}
