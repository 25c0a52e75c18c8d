//! What the process is and owns: descriptors, limits, namespaces, capabilities, paths.

#![expect(unsafe_code, reason = "descriptors are closed, namespaces and terminals left, by number")]

use std::fs;
use std::io;
use std::os::fd::{OwnedFd, RawFd};

use landlock::{
    ABI, Access, AccessFs, AccessNet, LandlockStatus, Ruleset, RulesetAttr, RulesetError,
    RulesetStatus, Scope,
};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::ioctl::{NoArg, Opcode, ioctl};
use rustix::mount::{
    MountFlags, MountPropagationFlags, UnmountFlags, mount, mount_change, unmount,
};
use rustix::net::sockopt::socket_peercred;
use rustix::process::{
    DumpableBehavior, Pid, Resource, Rlimit, Signal, chdir, getppid, getrlimit, pivot_root,
    set_dumpable_behavior, set_parent_process_death_signal, setrlimit, umask,
};
use rustix::thread::{
    CapabilitySet, CapabilitySets, UnshareFlags, remove_capability_from_bounding_set,
    set_capabilities, set_no_new_privs, unshare_unsafe,
};

use super::{Applied, Entered, LockdownError};
use crate::sandbox::PageMap;

/// Limits that nothing raises again. Not among them: `NPROC`, which counts what else the
/// user runs, and not at all if that is root; `AS` and `DATA`, since wasmtime reserves far
/// more than it uses.
const LIMITS: &[(Resource, u64)] = &[
    // A core would hold what tasks had in memory.
    (Resource::Core, 0),
    // Not a byte into any file, whatever descriptor turned up.
    (Resource::Fsize, 0),
    // Enough for the socket, the image, the log, and what tokio opens for itself.
    (Resource::Nofile, 32),
    (Resource::Memlock, 0),
    (Resource::Msgqueue, 0),
    (Resource::Nice, 0),
    (Resource::Rtprio, 0),
];

/// The newest of Landlock that we know; the kernel's own may be older, or newer.
const LANDLOCK: ABI = ABI::V10;

/// All but the system calls. The order matters: each step needs what later ones take away.
pub(super) fn give_up() -> Result<Entered, LockdownError> {
    must("find the process with a single thread", alone())?;
    let parent = must("learn who made standard input", parent())?;
    must("close descriptors", close_all_but_three())?;
    must("leave the terminal", leave_terminal())?;
    let own = own_folder();
    umask(Mode::RWXU | Mode::RWXG | Mode::RWXO);
    for (resource, most) in LIMITS {
        must("lower the limits", limit(*resource, *most))?;
    }
    let namespaces = applied(leave_namespaces());
    must("leave the working directory", chdir("/"))?;
    must("drop all capabilities", drop_capabilities())?;
    must("forswear new privileges", set_no_new_privs(true))?;
    // Without capabilities it does not tell where in the machine the pages are.
    let page_map = own.and_then(|own| page_map(&own));
    // Nobody of the same user reads its memory, and /proc/self belongs to root.
    must("become undumpable", set_dumpable_behavior(DumpableBehavior::NotDumpable))?;
    must("end with the daemon", end_with(parent))?;
    let landlock = applied(landlock());
    Ok(Entered { landlock, namespaces, page_map: page_map.map(PageMap::opened).ok() })
}

/// Leaves the terminal of the daemon's session, if there is one: who has it can type into it. Only
/// who leads a session gets another.
fn leave_terminal() -> io::Result<()> {
    if has_terminal()? {
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
        let terminal = rustix::fs::open("/dev/tty", flags, Mode::empty())?;
        // SAFETY: the request takes no argument.
        unsafe { ioctl(terminal, NoArg::<{ libc::TIOCNOTTY as Opcode }>::new()) }?;
    }
    Ok(())
}

/// By the terminal's number, the fifth word after the program's name in parentheses.
fn has_terminal() -> io::Result<bool> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    let words = stat.rsplit_once(')').map(|(_, after)| after.split_whitespace());
    let number = words.and_then(|mut words| words.nth(4)).ok_or(io::ErrorKind::InvalidData)?;
    Ok(number != "0")
}

/// This process' own folder, while there are folders.
fn own_folder() -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::open("/proc/self", flags, Mode::empty())
}

/// The account of this process' pages, in its `own` folder.
fn page_map(own: &OwnedFd) -> rustix::io::Result<OwnedFd> {
    rustix::fs::openat(own, "pagemap", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
}

fn must<T>(
    what: &'static str,
    result: Result<T, impl Into<io::Error>>,
) -> Result<T, LockdownError> {
    result.map_err(|error| LockdownError { what, source: error.into() })
}

fn applied(result: Result<(), String>) -> Applied {
    result.map_or_else(Applied::No, |()| Applied::Yes)
}

/// Namespaces, capabilities and Landlock are a thread's own, and inherited by those that it
/// starts: another one would stay outside.
fn alone() -> io::Result<()> {
    match fs::read_dir("/proc/self/task")?.count() {
        1 => Ok(()),
        threads => Err(io::Error::other(format!("it has {threads}"))),
    }
}

/// The process that made the socket which is our standard input.
fn parent() -> io::Result<Pid> {
    Ok(socket_peercred(rustix::stdio::stdin())?.pid)
}

fn close_all_but_three() -> io::Result<()> {
    let listing = fs::read_dir("/proc/self/fd")?;
    let listed = listing.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?;
    // By now the listing's own is closed.
    for path in listed.iter().filter(|path| path.is_symlink()) {
        let number = path.file_name().and_then(|name| name.to_str()?.parse::<RawFd>().ok());
        if let Some(descriptor @ 3..) = number {
            // SAFETY: nothing in this process owns a descriptor yet: it came by exec, has
            // one thread, and has just begun.
            unsafe { rustix::io::close(descriptor) }
        }
    }
    Ok(())
}

fn limit(resource: Resource, most: u64) -> rustix::io::Result<()> {
    let most = getrlimit(resource).maximum.map_or(most, |maximum| maximum.min(most));
    setrlimit(resource, Rlimit { current: Some(most), maximum: Some(most) })
}

/// Moves into a network, an IPC space and a file system in which there is nothing.
///
/// A PID namespace is not among them, since only a child would be in it; signals to others
/// and looks into them are what Landlock, seccomp and the lack of capabilities prevent.
fn leave_namespaces() -> Result<(), String> {
    let own = UnshareFlags::NEWNET
        | UnshareFlags::NEWIPC
        | UnshareFlags::NEWUTS
        | UnshareFlags::NEWCGROUP
        | UnshareFlags::NEWNS;
    // SAFETY: `FILES` is not among the flags.
    unsafe { unshare_unsafe(own | UnshareFlags::NEWUSER) }
        // As root it may work without a user namespace where those are switched off.
        .or_else(|_| {
            // SAFETY: as above.
            unsafe { unshare_unsafe(own) }
        })
        .map_err(|error| format!("the system does not let it have its own ({error})"))?;
    empty_file_system().map_err(|error| format!("cannot leave the file system ({error})"))
}

/// Puts an empty, read-only file system in place of the root, and lets go of the old one.
fn empty_file_system() -> rustix::io::Result<()> {
    // Nothing of this must reach the namespace that we come from.
    mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)?;
    // Any folder will do as the place; this one is there, or we would not have come so far.
    let flags = MountFlags::RDONLY | MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    mount("none", "/proc", "tmpfs", flags, c"size=4k,nr_inodes=1,mode=0555")?;
    chdir("/proc")?;
    // The old root comes to lie upon the new one, and is taken away.
    pivot_root(".", ".")?;
    unmount(".", UnmountFlags::DETACH)
}

/// The effective, permitted and inheritable sets, and with them the ambient one.
fn drop_capabilities() -> rustix::io::Result<()> {
    // The bounding set can be lowered only with a capability, and would only matter to a
    // program that is executed. The first that the kernel does not know ends the loop.
    let _ = (0..u64::BITS)
        .map(|bit| CapabilitySet::from_bits_retain(1 << bit))
        .try_for_each(remove_capability_from_bounding_set);
    let none = CapabilitySet::empty();
    set_capabilities(None, CapabilitySets { effective: none, permitted: none, inheritable: none })
}

/// After capabilities changed, which takes the death signal back.
fn end_with(parent: Pid) -> rustix::io::Result<()> {
    set_parent_process_death_signal(Some(Signal::KILL))?;
    // It may have ended before it was asked for.
    if getppid() == Some(parent) { Ok(()) } else { Err(Errno::SRCH) }
}

/// Handles every right that Landlock knows of, and grants none.
fn landlock() -> Result<(), String> {
    let restrict = || -> Result<_, RulesetError> {
        Ruleset::default()
            .handle_access(AccessFs::from_all(LANDLOCK))?
            .handle_access(AccessNet::from_all(LANDLOCK))?
            .scope(Scope::from_all(LANDLOCK))?
            .create()?
            .restrict_self()
    };
    let status = restrict().map_err(|error| error.to_string())?;
    match (status.ruleset, status.landlock) {
        // No kernel has all that the crate knows of; each has had the files from the start.
        (RulesetStatus::FullyEnforced | RulesetStatus::PartiallyEnforced, _) => Ok(()),
        (_, LandlockStatus::NotEnabled) => Err("it is switched off in the kernel".into()),
        _ => Err("the kernel does not support it".into()),
    }
}
