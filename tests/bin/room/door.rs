//! Which of it is to be done, and how far the process goes in before.

use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::process::{Command, ExitCode, Stdio};
use std::sync::{OnceLock, mpsc};
use std::thread;
use std::time::Duration;

use roh::executor::lockdown::{self, Entered, Walls};
use roh::sandbox::PageMap;

use crate::attempts::{self, ATTEMPTS, Outside};
use crate::needs::{self, NEEDS};

/// Exit code of an attempt that failed, as it should.
const REFUSED: u8 = 3;

/// How long an orphan would live if nobody ended it.
const ORPHAN: Duration = Duration::from_secs(20);

/// What it holds in the room beside the three that it was given.
static PAGE_MAP: OnceLock<PageMap> = OnceLock::new();

pub(crate) fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["list"] => ATTEMPTS.iter().for_each(|(held, name, _)| println!("{held:?} {name}")),
        ["needs"] => NEEDS.iter().for_each(|(name, _)| println!("{name}")),
        ["image"] => io::stdout().write_all(&needs::compile()).unwrap(),
        ["walls"] => {
            let walls = close(lockdown::enter().unwrap());
            eprintln!("{walls}; {:?}", attempts::descriptors());
        }
        ["pages", mode] => {
            if mode == "closed" {
                close(lockdown::enter().unwrap());
            }
            eprint!("{:?}", attempts::told_of_its_pages().unwrap());
        }
        ["early"] => {
            let entered = lockdown::enter().unwrap();
            let (closed, is_closed) = mpsc::channel();
            let early = thread::spawn(move || is_closed.recv().map(|()| attempts::memfd()));
            close(entered);
            closed.send(()).unwrap();
            eprint!("{:?}", early.join().unwrap().unwrap());
        }
        ["orphan"] => leave_an_orphan(),
        ["wait"] => {
            close(lockdown::enter().unwrap());
            let socket = io::stdin().as_fd().try_clone_to_owned().map(UnixStream::from);
            socket.unwrap().write_all(b"!").unwrap();
            thread::sleep(ORPHAN);
            eprintln!("alive");
        }
        ["calls", first] => {
            close(lockdown::enter().unwrap());
            attempts::every_call(first.parse().unwrap());
        }
        [mode, name, outside] => return run(mode, name, outside),
        _ => panic!("{arguments:?}"),
    }
    ExitCode::SUCCESS
}

fn run(mode: &str, name: &str, outside: &str) -> ExitCode {
    let entered = (mode != "free").then(|| lockdown::enter().unwrap());
    if let Some((_, need)) = NEEDS.iter().find(|need| need.0 == name) {
        let image = needs::load();
        entered.map(close);
        need(&image);
        return ExitCode::SUCCESS;
    }
    let (_, _, attempt) = ATTEMPTS.iter().find(|attempt| attempt.1 == name).unwrap();
    if mode == "closed" {
        entered.map(close);
    }
    match attempt(&Outside::parse(outside)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprint!("{error}");
            ExitCode::from(REFUSED)
        }
    }
}

/// Shuts the door as executors do, which keep the account of their pages.
fn close(mut entered: Entered) -> Walls {
    if let Some(page_map) = entered.page_map.take() {
        PAGE_MAP.set(page_map).unwrap();
    }
    entered.close()
}

/// Starts an executor, waits until it is one, and ends before it.
#[expect(clippy::zombie_processes, reason = "the point is to end before the child")]
fn leave_an_orphan() {
    let (mut ours, theirs) = UnixStream::pair().unwrap();
    let image = io::stdout().as_fd().try_clone_to_owned().unwrap();
    let _left_behind = Command::new(std::env::current_exe().unwrap())
        .arg("wait")
        .stdin(Stdio::from(std::os::fd::OwnedFd::from(theirs)))
        .stdout(image)
        .spawn()
        .unwrap();
    ours.read_exact(&mut [0]).unwrap();
}
