//! The room that an executor is: native code, run in processes that are locked down as
//! executors are, gets nothing of what it tries, and can do what it has to.

#![expect(clippy::print_stdout, reason = "what a machine can't show is said")]

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::os::fd::OwnedFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Command, ExitStatus, Stdio};

use roh_tests::process::Owned;
use roh_tests::rabbit::Rabbit;
use rustix::process::Signal;
use tempfile::TempDir;

crate::tests![
    native_code_gets_nothing_in_the_room,
    what_is_not_held_by_seccomp_alone_is_held_without_it,
    the_room_leaves_what_executors_need,
    no_system_call_is_left_but_those_listed,
    executors_end_with_their_daemon,
    only_the_child_of_a_daemon_enters,
    executors_hold_nothing,
    executors_do_not_learn_where_in_the_machine_their_pages_are,
    the_door_shuts_for_every_thread,
];

/// Read by attempts from their parent's memory.
static CANARY: [u8; 8] = *b"canary!!";

const SIGSYS: i32 = Signal::SYS.as_raw();

/// What a process in the room has to do with: an image, and something outside to reach for.
struct Room {
    folder: TempDir,
    image: std::path::PathBuf,
    tcp: TcpListener,
    _udp: UdpSocket,
    _named: UnixListener,
    _abstract: UnixListener,
}

/// How a process ended, and what it said.
#[derive(Debug)]
struct Ended {
    status: ExitStatus,
    log: String,
    answer: String,
}

impl Room {
    fn new() -> Room {
        let folder = tempfile::tempdir().unwrap();
        let image = folder.path().join("image");
        let compiled = program().arg("image").stdout(File::create(&image).unwrap()).status();
        assert!(compiled.unwrap().success());
        let tcp = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let name = SocketAddr::from_abstract_name(folder.path().as_os_str().as_bytes()).unwrap();
        Room {
            image,
            _udp: UdpSocket::bind(tcp.local_addr().unwrap()).unwrap(),
            tcp,
            _named: UnixListener::bind(folder.path().join("socket")).unwrap(),
            _abstract: UnixListener::bind_addr(&name).unwrap(),
            folder,
        }
    }

    fn attempt(&self, mode: &str, name: &str) -> Ended {
        let port = self.tcp.local_addr().unwrap().port();
        let canary = CANARY.as_ptr() as usize;
        let folder = self.folder.path().to_str().unwrap();
        self.run(program().args([mode, name, &format!("{port} {canary} {folder}")]))
    }

    /// Starts a process as a daemon does its executors, says `ping`, and awaits its end.
    fn run(&self, command: &mut Command) -> Ended {
        let (mut ours, theirs) = UnixStream::pair().unwrap();
        ours.write_all(b"ping").unwrap();
        let output = command
            .stdin(OwnedFd::from(theirs))
            .stdout(File::open(&self.image).unwrap())
            .stderr(Stdio::piped())
            .env_clear()
            .process_group(0)
            .spawn()
            .unwrap()
            .wait_with_output()
            .unwrap();
        // The command holds the other end until it is given another.
        command.stdin(Stdio::null());
        let mut answer = Vec::new();
        // It may have left without reading.
        let _ = ours.read_to_end(&mut answer);
        Ended {
            status: output.status,
            log: String::from_utf8_lossy(&output.stderr).into_owned(),
            answer: String::from_utf8_lossy(&answer).into_owned(),
        }
    }
}

impl Ended {
    fn well(&self) -> bool {
        self.status.success()
    }

    /// An attempt was refused, and said so.
    fn refused(&self) -> bool {
        self.status.code() == Some(3)
    }

    /// Seccomp refused it, or ended the process for it. What is asked of the kernel without
    /// seccomp is refused with this number, too, but seldom.
    fn refused_by_seccomp(&self) -> bool {
        let how = |number| self.log.contains(&format!("(os error {number})"));
        let clone3_is_said_to_be_missing = how(38);
        self.status.signal() == Some(SIGSYS)
            || self.refused() && (how(1) || clone3_is_said_to_be_missing)
    }
}

const PROGRAM: &str = env!("CARGO_BIN_EXE_roh-room");

fn program() -> Command {
    Command::new(PROGRAM)
}

fn lines(command: &str) -> Vec<String> {
    let output = program().arg(command).output().unwrap();
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

fn native_code_gets_nothing_in_the_room(_: &Rabbit) {
    let room = Room::new();
    let attempts = lines("list");
    assert!(attempts.len() > 70, "{attempts:?}");
    for name in attempts.iter().map(|line| line.split_once(' ').unwrap().1) {
        // Only what works outside shows something by failing inside.
        let free = room.attempt("free", name);
        if free.refused() {
            println!("not possible here without the room either: {name}: {}", free.log);
        } else {
            assert!(free.well(), "{name}: {free:?}");
        }
        let closed = room.attempt("closed", name);
        assert!(closed.refused_by_seccomp(), "{name}: {closed:?}");
    }
}

fn what_is_not_held_by_seccomp_alone_is_held_without_it(_: &Rabbit) {
    let room = Room::new();
    let walls = room.run(program().arg("walls"));
    println!("{}", walls.log.trim());
    if walls.log.contains("without landlock") || walls.log.contains("without namespaces") {
        println!("skipped: not all walls stand here");
        return;
    }
    for line in lines("list") {
        if let ("Twice", name) = line.split_once(' ').unwrap() {
            let entered = room.attempt("entered", name);
            assert!(entered.refused(), "{name}: {entered:?}");
        }
    }
}

fn the_room_leaves_what_executors_need(_: &Rabbit) {
    let room = Room::new();
    for name in lines("needs") {
        for mode in ["free", "closed"] {
            let ended = room.attempt(mode, &name);
            let signal = Signal::ABORT.as_raw();
            let fine = match name.as_str() {
                "abort" | "a stack that runs out" => ended.status.signal() == Some(signal),
                "tokio runs tasks and timers and talks over the socket" => {
                    ended.well() && ended.answer == "pong"
                }
                "the log is written" => ended.well() && ended.log == "written",
                _ => ended.well(),
            };
            assert!(fine, "{mode}, {name}: {ended:?}");
        }
    }
}

fn no_system_call_is_left_but_those_listed(_: &Rabbit) {
    let room = Room::new();
    let mut fatal = BTreeSet::new();
    let mut first = 0;
    loop {
        let ended = room.run(program().args(["calls", &first.to_string()]));
        assert!(!ended.log.contains("got through"), "{ended:?}");
        if ended.well() {
            break;
        }
        // The last that it named ended it; go on behind that.
        assert_eq!(ended.status.signal(), Some(SIGSYS), "{ended:?}");
        let last: usize = ended.log.lines().last().unwrap().parse().unwrap();
        assert!(fatal.insert(last));
        first = last + 1;
    }
    assert!(fatal.len() > 20, "{fatal:?}");
}

fn executors_end_with_their_daemon(_: &Rabbit) {
    // The log ends when the last process that holds it does.
    let ended = Room::new().run(program().arg("orphan"));
    assert!(ended.well(), "{ended:?}");
    assert_eq!(ended.log, "", "it lived on");
}

fn only_the_child_of_a_daemon_enters(_: &Rabbit) {
    let room = Room::new();
    let by_hand = program().arg("walls").stdin(Stdio::null()).output().unwrap();
    let log = String::from_utf8_lossy(&by_hand.stderr);
    assert!(log.contains("learn who made standard input"), "{log}");
    // The shell is its parent, and did not make the socket.
    let script = "\"$0\" walls; :";
    let adopted = room.run(Command::new("/bin/sh").args(["-c", script, PROGRAM]));
    assert!(adopted.log.contains("end with the daemon"), "{adopted:?}");
}

fn executors_hold_nothing(_: &Rabbit) {
    let room = Room::new();
    // A descriptor that somebody forgot to close. The shell becomes the executor.
    let script = "exec \"$0\" walls 7</dev/null";
    let leaky = room.run(Command::new("/bin/sh").args(["-c", script, PROGRAM]));
    // The account of its pages is all that it has beside the three that it was given.
    let held = leaky.log.trim().rsplit_once("; ").map(|(_, held)| held);
    let held: Vec<u32> = serde_json::from_str(held.expect("a list")).expect("of numbers");
    // Opened after all others were closed, it is not the one that was left open.
    assert!(leaky.well() && held.len() == 1 && !held.contains(&7), "{leaky:?}");

    let (mut ours, theirs) = UnixStream::pair().unwrap();
    let mut waiting = Owned::spawn(
        program().arg("wait").stdin(OwnedFd::from(theirs)).stdout(File::open(&room.image).unwrap()),
    )
    .unwrap();
    ours.read_exact(&mut [0]).unwrap();
    let of = format!("/proc/{}/", waiting.child().id());
    let of = |file| fs::read_to_string(of.clone() + file).unwrap();
    let fields = |text: &str| -> Vec<String> {
        text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
    };
    let (status, limits) = (fields(&of("status")), fields(&of("limits")));
    for line in ["NoNewPrivs: 1", "Seccomp: 2", "Threads: 1", "Umask: 0777"] {
        assert!(status.iter().any(|have| have == line), "{line}: {status:?}");
    }
    for set in ["CapInh", "CapPrm", "CapEff", "CapAmb"] {
        assert!(status.contains(&format!("{set}: 0000000000000000")), "{set}: {status:?}");
    }
    for limit in ["core file size 0 0", "file size 0 0", "open files 32 32", "locked memory 0 0"] {
        assert!(limits.iter().any(|have| have.starts_with(&format!("Max {limit}"))), "{limits:?}");
    }
}

fn executors_do_not_learn_where_in_the_machine_their_pages_are(_: &Rabbit) {
    let room = Room::new();
    // Whether the page is there, and whether it says where.
    let free = room.run(program().args(["pages", "free"]));
    if free.log != "(true, true)" {
        println!("nor do processes outside: {}", free.log);
    }
    let closed = room.run(program().args(["pages", "closed"]));
    assert!(closed.well() && closed.log == "(true, false)", "{closed:?}");
}

fn the_door_shuts_for_every_thread(_: &Rabbit) {
    let ended = Room::new().run(program().arg("early"));
    assert!(ended.log.contains("code: 1,"), "{ended:?}");
}
