//! What an intruder would try. Each is made as a system call, so that no library is in
//! between that tries something else first.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Error};
use std::mem::size_of_val;
use std::net::{TcpStream, UdpSocket};
use std::os::fd::{AsRawFd, IntoRawFd};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::Command;

use libc::c_long;

/// What stands against an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Held {
    /// Two things: seccomp, and one of namespaces, Landlock, capabilities and limits.
    Twice,
    /// Seccomp alone.
    Once,
}
use Held::{Once, Twice};

/// What there is to reach.
pub(crate) struct Outside {
    /// A port of the loopback interface, for TCP and UDP, that the parent listens on.
    port: u16,
    /// Where 8 bytes of the parent's lie in its memory: `canary!!`.
    canary: usize,
    parent: i32,
    /// A folder that can be written. The socket `socket` in it is listened on, as is the
    /// abstract one of the folder's name.
    folder: PathBuf,
}

impl Outside {
    pub(crate) fn parse(text: &str) -> Outside {
        let mut parts = text.splitn(3, ' ');
        let mut part = || parts.next().unwrap();
        Outside {
            port: part().parse().unwrap(),
            canary: part().parse().unwrap(),
            parent: std::os::unix::process::parent_id().cast_signed(),
            folder: part().into(),
        }
    }
}

type Attempt = fn(&Outside) -> io::Result<()>;

pub(crate) const ATTEMPTS: &[(Held, &str, Attempt)] = &[
    // Files.
    (Twice, "read a file", |_| File::open("/etc/passwd").map(drop)),
    (Twice, "read the environment", |_| File::open("/proc/self/environ").map(drop)),
    (Twice, "open a device", |_| File::open("/dev/null").map(drop)),
    (Twice, "list the root", |_| match fs::read_dir("/")?.count() {
        0 => Err(Error::other("there is nothing")),
        _ => Ok(()),
    }),
    (Twice, "list the working directory", |_| fs::read_dir(".").map(drop)),
    (Twice, "create a file", |out| File::create(out.folder.join("new")).map(drop)),
    (Twice, "create a file in the root", |_| {
        File::create("/roh-room")?;
        fs::remove_file("/roh-room")
    }),
    (Twice, "create a nameless file", |_| {
        OpenOptions::new().write(true).custom_flags(libc::O_TMPFILE).open("/tmp").map(drop)
    }),
    (Twice, "look at a file", |_| fs::metadata("/etc/passwd").map(drop)),
    (Twice, "read a link", |_| fs::read_link("/proc/self/exe").map(drop)),
    (Twice, "open the image anew", |_| File::open("/proc/self/fd/1").map(drop)),
    (Twice, "openat2", |_| {
        let how = [0_u64; 3];
        call(libc::SYS_openat2, &[AT, at(c"/etc/passwd"), at(&how), size_of_val(&how)]).map(drop)
    }),
    (Twice, "a handle of a file", |_| {
        let mut handle = [0_u8; 136];
        handle[0] = 128;
        let mut mount = 0_i32;
        let args = [AT, at(c"/etc/passwd"), into(&mut handle), into(&mut mount), 0];
        call(libc::SYS_name_to_handle_at, &args).map(drop)
    }),
    (Once, "watch files", |_| call(libc::SYS_inotify_init1, &[0]).map(drop)),
    (Once, "an anonymous file", |_| memfd().map(drop)),
    // The network.
    (Once, "an IPv4 socket", |_| socket(libc::AF_INET, libc::SOCK_STREAM).map(drop)),
    (Once, "an IPv6 socket", |_| socket(libc::AF_INET6, libc::SOCK_DGRAM).map(drop)),
    (Once, "a unix socket", |_| socket(libc::AF_UNIX, libc::SOCK_STREAM).map(drop)),
    (Once, "a netlink socket", |_| socket(libc::AF_NETLINK, libc::SOCK_RAW).map(drop)),
    (Once, "a vsock socket", |_| socket(libc::AF_VSOCK, libc::SOCK_STREAM).map(drop)),
    (Once, "a socket to the kernel's ciphers", |_| {
        socket(libc::AF_ALG, libc::SOCK_SEQPACKET).map(drop)
    }),
    (Twice, "a packet socket", |_| socket(libc::AF_PACKET, libc::SOCK_RAW).map(drop)),
    (Twice, "a raw socket", |_| {
        let args = [libc::AF_INET, libc::SOCK_RAW, libc::IPPROTO_ICMP].map(|arg| arg as usize);
        call(libc::SYS_socket, &args).map(drop)
    }),
    (Once, "a pair of sockets for datagrams", |_| {
        let mut pair = [0_i32; 2];
        let args = [libc::AF_UNIX as usize, libc::SOCK_DGRAM as usize, 0, into(&mut pair)];
        call(libc::SYS_socketpair, &args).map(drop)
    }),
    (Twice, "connect by TCP", |out| TcpStream::connect(("127.0.0.1", out.port)).map(drop)),
    (Twice, "send by UDP", |out| {
        UdpSocket::bind("0.0.0.0:0")?.send_to(b"x", ("127.0.0.1", out.port)).map(drop)
    }),
    (Twice, "connect to a unix socket", |out| {
        UnixStream::connect(out.folder.join("socket")).map(drop)
    }),
    (Twice, "connect to an abstract socket", |out| {
        use std::os::linux::net::SocketAddrExt;
        use std::os::unix::ffi::OsStrExt;
        let name = out.folder.as_os_str().as_bytes();
        let address = std::os::unix::net::SocketAddr::from_abstract_name(name)?;
        UnixStream::connect_addr(&address).map(drop)
    }),
    (Once, "pass a descriptor to the daemon", |_| {
        let bytes = [at(b"x"), 1];
        // A control message of SCM_RIGHTS with descriptor 1.
        let control = [20_u64, libc::SOL_SOCKET as u64 | (libc::SCM_RIGHTS as u64) << 32, 1];
        let message = [0, 0, at(&bytes), 1, at(&control), size_of_val(&control), 0];
        call(libc::SYS_sendmsg, &[0, at(&message), 0]).map(drop)
    }),
    (Once, "receive a descriptor", |_| {
        let mut buffer = [0_u8; 8];
        let bytes = [into(&mut buffer), 8];
        let mut message = [0, 0, at(&bytes), 1, 0, 0, 0];
        call(libc::SYS_recvmsg, &[0, into(&mut message), 0]).map(drop)
    }),
    (Once, "send out of band", |_| {
        call(libc::SYS_sendto, &[0, at(b"x"), 1, libc::MSG_OOB as usize, 0, 0]).map(drop)
    }),
    (Once, "set an option of the socket", |_| {
        let args = [0, libc::SOL_SOCKET as usize, libc::SO_SNDBUF as usize, at(&4096_i32), 4];
        call(libc::SYS_setsockopt, &args).map(drop)
    }),
    // Programs and processes.
    (Twice, "execute a program", |_| {
        let arguments = [at(c"true"), 0];
        call(libc::SYS_execve, &[at(c"/bin/true"), at(&arguments), 0]).map(drop)
    }),
    (Twice, "execute a file", |_| {
        let file = File::open("/bin/true")?;
        let arguments = [at(c"true"), 0];
        let empty = libc::AT_EMPTY_PATH as usize;
        let args = [file.as_raw_fd() as usize, at(c""), at(&arguments), 0, empty];
        call(libc::SYS_execveat, &args).map(drop)
    }),
    (Twice, "run a command", |_| Command::new("/bin/true").status().map(drop)),
    (Once, "fork", |_| child(call(libc::SYS_clone, &[libc::SIGCHLD as usize, 0, 0, 0, 0]))),
    #[cfg(target_arch = "x86_64")]
    (Once, "fork, as it once was", |_| child(call(libc::SYS_fork, &[]))),
    (Once, "fork by clone3", |_| {
        let mut how = [0_u64; 8];
        how[4] = libc::SIGCHLD as u64;
        child(call(libc::SYS_clone3, &[at(&how), size_of_val(&how)]))
    }),
    (Twice, "a child in namespaces of its own", |_| {
        let flags = libc::CLONE_NEWUSER | libc::CLONE_NEWNET | libc::SIGCHLD;
        child(call(libc::SYS_clone, &[flags as usize, 0, 0, 0, 0]))
    }),
    (Once, "be traced", |_| call(libc::SYS_ptrace, &[0, 0, 0, 0]).map(drop)),
    (Twice, "signal the daemon", |out| call(libc::SYS_kill, &[out.parent as usize, 0]).map(drop)),
    (Once, "signal itself", |_| {
        let own = std::process::id() as usize;
        call(libc::SYS_tgkill, &[own, own, libc::SIGURG as usize]).map(drop)
    }),
    (Once, "a descriptor of the daemon", |out| {
        call(libc::SYS_pidfd_open, &[out.parent as usize, 0]).map(drop)
    }),
    (Twice, "take a descriptor from the daemon", |out| {
        let daemon = call(libc::SYS_pidfd_open, &[out.parent as usize, 0])?;
        call(libc::SYS_pidfd_getfd, &[daemon, 0, 0]).map(drop)
    }),
    (Twice, "read the daemon's memory", |out| {
        let mut canary = [0_u8; 8];
        let local = [into(&mut canary), 8];
        let remote = [out.canary, 8];
        let args = [out.parent as usize, at(&local), 1, at(&remote), 1, 0];
        call(libc::SYS_process_vm_readv, &args)?;
        found(&canary)
    }),
    (Twice, "read the daemon's memory as a file", |out| {
        use std::os::unix::fs::FileExt;
        let mut canary = [0_u8; 8];
        let memory = File::open(format!("/proc/{}/mem", out.parent))?;
        memory.read_exact_at(&mut canary, out.canary as u64)?;
        found(&canary)
    }),
    (Twice, "open the memory of the first process", |_| File::open("/proc/1/mem").map(drop)),
    (Once, "change the daemon's limits", |out| {
        let nofile = libc::RLIMIT_NOFILE as usize;
        let mut limit = [0_u64; 2];
        call(libc::SYS_prlimit64, &[out.parent as usize, nofile, 0, into(&mut limit)])?;
        call(libc::SYS_prlimit64, &[out.parent as usize, nofile, at(&limit), 0]).map(drop)
    }),
    (Twice, "raise its own limits", |_| {
        // More than an executor has, and less than others do.
        let limit = [64_u64, 64];
        let nofile = libc::RLIMIT_NOFILE as usize;
        call(libc::SYS_prlimit64, &[0, nofile, at(&limit), 0]).map(drop)
    }),
    (Twice, "raise its priority", |_| {
        call(libc::SYS_setpriority, &[0, 0, -5_isize as usize]).map(drop)
    }),
    (Once, "outlive the daemon", |_| {
        call(libc::SYS_prctl, &[libc::PR_SET_PDEATHSIG as usize, 0]).map(drop)
    }),
    (Once, "become dumpable", |_| {
        call(libc::SYS_prctl, &[libc::PR_SET_DUMPABLE as usize, 1]).map(drop)
    }),
    // Code.
    (Once, "map memory to write and execute", |_| map(RW | libc::PROT_EXEC).map(drop)),
    (Once, "make memory executable", |_| {
        let page = map(RW)?;
        call(libc::SYS_mprotect, &[page, PAGE, RX as usize]).map(drop)
    }),
    (Once, "make memory executable with a key", |_| {
        let page = map(RW)?;
        call(libc::SYS_pkey_mprotect, &[page, PAGE, RX as usize, usize::MAX]).map(drop)
    }),
    (Once, "make code writable", |_| {
        let code = main_code() & !(PAGE - 1);
        call(libc::SYS_mprotect, &[code, PAGE, (RX | RW) as usize]).map(drop)
    }),
    (Once, "map the image to execute", |_| {
        let private = libc::MAP_PRIVATE as usize;
        call(libc::SYS_mmap, &[0, PAGE, RX as usize, private, 1, 0]).map(drop)
    }),
    (Once, "execute an anonymous file", |_| {
        let args = [0, PAGE, RX as usize, libc::MAP_PRIVATE as usize, memfd()?, 0];
        call(libc::SYS_mmap, &args).map(drop)
    }),
    (Once, "let all that is read be executed", |_| {
        call(libc::SYS_personality, &[0x040_0000])?;
        map(RW).map(drop)
    }),
    (Once, "shared memory to execute", |_| {
        let memory = call(libc::SYS_shmget, &[0, PAGE, 0o700])?;
        let attached = call(libc::SYS_shmat, &[memory, 0, libc::SHM_EXEC as usize]);
        call(libc::SYS_shmctl, &[memory, libc::IPC_RMID as usize, 0])?;
        attached.map(drop)
    }),
    // Its own pages.
    (Once, "ask for its pages with a pattern", |_| {
        let map = page_map()?;
        let page = main_code() & !(PAGE - 1);
        let mut regions = [0_u64; 3];
        // struct pm_scan_arg: its size, flags, from, to, the end, regions and how many, how
        // many pages, what is inverted, must be, may be, and is to be told: PAGE_IS_PRESENT.
        let (from, to) = (page as u64, (page + PAGE) as u64);
        let regions = into(&mut regions) as u64;
        let mut scan = [96, 0, from, to, 0, regions, 1, 0, 0, 0, 0, 1 << 3];
        call(libc::SYS_ioctl, &[map as usize, PAGEMAP_SCAN, into(&mut scan)]).map(drop)
    }),
    // Another view of the system.
    (Twice, "new namespaces", |_| {
        call(libc::SYS_unshare, &[(libc::CLONE_NEWUSER | libc::CLONE_NEWNET) as usize]).map(drop)
    }),
    (Twice, "the daemon's namespaces", |out| {
        let network = File::open(format!("/proc/{}/ns/net", out.parent))?;
        call(libc::SYS_setns, &[network.as_raw_fd() as usize, 0]).map(drop)
    }),
    (Twice, "mount", |out| {
        let at_folder = std::ffi::CString::new(out.folder.to_str().unwrap()).unwrap();
        call(libc::SYS_mount, &[at(c"none"), at(&*at_folder), at(c"tmpfs"), 0, 0])?;
        call(libc::SYS_umount2, &[at(&*at_folder), libc::MNT_DETACH as usize]).map(drop)
    }),
    (Twice, "open a file system", |_| call(libc::SYS_fsopen, &[at(c"tmpfs"), 0]).map(drop)),
    (Twice, "change the root", |_| call(libc::SYS_chroot, &[at(c"/")]).map(drop)),
    // Rights.
    (Twice, "become another user", |_| call(libc::SYS_setuid, &[65_534]).map(drop)),
    (Twice, "become another group", |_| call(libc::SYS_setgid, &[65_534]).map(drop)),
    (Twice, "leave its groups", |_| call(libc::SYS_setgroups, &[0, 0]).map(drop)),
    (Twice, "take a capability", |_| {
        let mut header = [0x2008_0522_u32, 0];
        let sys_admin = 1_u32 << 21;
        let sets = [sys_admin, sys_admin, 0, 0, 0, 0];
        call(libc::SYS_capset, &[into(&mut header), at(&sets)]).map(drop)
    }),
    // The kernel's wide corners.
    (Once, "io_uring", |_| {
        let mut parameters = [0_u64; 15];
        call(libc::SYS_io_uring_setup, &[1, into(&mut parameters)]).map(drop)
    }),
    (Once, "userfaultfd", |_| call(libc::SYS_userfaultfd, &[1]).map(drop)),
    (Twice, "a program in the kernel", |_| {
        // BPF_MAP_CREATE of an array with one element.
        let map = [2_u32, 4, 4, 1, 0, 0, 0, 0, 0, 0, 0, 0];
        call(libc::SYS_bpf, &[0, at(&map), size_of_val(&map)]).map(drop)
    }),
    (Once, "performance counters", |_| {
        // The task's clock, in user space only.
        let mut event = [0_u64; 16];
        event[0] = 1 | 128 << 32;
        event[1] = 1;
        event[5] = 1 << 5 | 1 << 6;
        call(libc::SYS_perf_event_open, &[into(&mut event), 0, usize::MAX, usize::MAX, 0]).map(drop)
    }),
    (Once, "a key", |_| {
        let process = -2_isize as usize;
        call(libc::SYS_add_key, &[at(c"user"), at(c"room"), at(b"x"), 1, process]).map(drop)
    }),
    (Once, "a filter of its own", |_| {
        // Whether the action "allow" is available.
        call(libc::SYS_seccomp, &[2, 0, at(&0x7fff_0000_u32)]).map(drop)
    }),
    (Once, "a timer that signals", |_| {
        let mut timer = 0_i32;
        call(libc::SYS_timer_create, &[0, 0, into(&mut timer)]).map(drop)
    }),
    (Once, "a message queue", |_| {
        let queue = call(libc::SYS_msgget, &[0, 0o600])?;
        call(libc::SYS_msgctl, &[queue, libc::IPC_RMID as usize, 0]).map(drop)
    }),
    (Once, "a futex that lends priority", |_| {
        let mut lock = 0_u32;
        call(libc::SYS_futex, &[into(&mut lock), libc::FUTEX_LOCK_PI as usize, 0, 0]).map(drop)
    }),
    (Once, "pages into a pipe", |_| {
        let bytes = [at(b"spliced"), 7];
        call(libc::SYS_vmsplice, &[2, at(&bytes), 1, 0]).map(drop)
    }),
    (Once, "signals for a descriptor", |_| {
        let own = std::process::id() as usize;
        call(libc::SYS_fcntl, &[0, libc::F_SETOWN as usize, own]).map(drop)
    }),
    #[cfg(target_arch = "x86_64")]
    (Once, "a call of the 32-bit kind", |_| {
        let pid: i32;
        // SAFETY: getpid, which takes nothing and changes nothing but its result.
        unsafe { std::arch::asm!("int 0x80", inlateout("eax") 20 => pid) };
        if pid > 0 { Ok(()) } else { Err(Error::from_raw_os_error(-pid)) }
    }),
    #[cfg(target_arch = "x86_64")]
    (Once, "segments of its own", |_| {
        let mut table = [0_u8; 64];
        call(libc::SYS_modify_ldt, &[0, into(&mut table), 64]).map(drop)
    }),
];

const PAGE: usize = 4096;
/// `_IOWR('f', 16, struct pm_scan_arg)`
const PAGEMAP_SCAN: usize = 0xc060_6610;
const RW: i32 = libc::PROT_READ | libc::PROT_WRITE;
const RX: i32 = libc::PROT_READ | libc::PROT_EXEC;
const AT: usize = libc::AT_FDCWD as usize;

/// A system call; what it takes is up to the caller.
fn call(number: c_long, arguments: &[usize]) -> io::Result<usize> {
    let mut a = [0; 6];
    a[..arguments.len()].copy_from_slice(arguments);
    // SAFETY: whoever calls passes pointers to what lives until it returns and is as large
    // as the kernel takes it to be.
    match unsafe { libc::syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]) } {
        -1 => Err(Error::last_os_error()),
        result => Ok(result.cast_unsigned() as usize),
    }
}

/// Where it is, for the kernel to read.
fn at<T: ?Sized>(it: &T) -> usize {
    std::ptr::from_ref(it).cast::<u8>() as usize
}

/// Where it is, for the kernel to write.
fn into<T: ?Sized>(it: &mut T) -> usize {
    std::ptr::from_mut(it).cast::<u8>() as usize
}

fn socket(family: i32, kind: i32) -> io::Result<usize> {
    call(libc::SYS_socket, &[family as usize, kind as usize, 0])
}

pub(crate) fn memfd() -> io::Result<usize> {
    call(libc::SYS_memfd_create, &[at(c"room"), 0])
}

fn map(protection: i32) -> io::Result<usize> {
    let flags = (libc::MAP_PRIVATE | libc::MAP_ANONYMOUS) as usize;
    call(libc::SYS_mmap, &[0, PAGE, protection as usize, flags, usize::MAX, 0])
}

fn main_code() -> usize {
    crate::door::main as *const () as usize
}

fn found(canary: &[u8]) -> io::Result<()> {
    match canary {
        b"canary!!" => Ok(()),
        _ => Err(Error::other("read something else")),
    }
}

/// Ends the child, in which there is nothing but this thread, and waits for it.
fn child(forked: io::Result<usize>) -> io::Result<()> {
    match forked? {
        0 => call(libc::SYS_exit_group, &[0]).map(drop),
        pid => call(libc::SYS_wait4, &[pid, 0, 0, 0]).map(drop),
    }
}

/// The calls that are left whatever their arguments, and clone3, which is answered as if it
/// did not exist. Written down a second time, so that one more is noticed.
const LEFT: &[c_long] = &[
    libc::SYS_brk,
    libc::SYS_clock_gettime,
    libc::SYS_clock_nanosleep,
    libc::SYS_clone3,
    libc::SYS_close,
    libc::SYS_epoll_create1,
    libc::SYS_epoll_ctl,
    libc::SYS_epoll_pwait,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_epoll_wait,
    libc::SYS_eventfd2,
    libc::SYS_exit,
    libc::SYS_exit_group,
    libc::SYS_getpid,
    libc::SYS_getrandom,
    libc::SYS_gettid,
    libc::SYS_madvise,
    libc::SYS_mremap,
    libc::SYS_munmap,
    libc::SYS_nanosleep,
    libc::SYS_pread64,
    libc::SYS_read,
    libc::SYS_restart_syscall,
    libc::SYS_rseq,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sched_getaffinity,
    libc::SYS_sched_yield,
    libc::SYS_set_robust_list,
    libc::SYS_shutdown,
    libc::SYS_sigaltstack,
    libc::SYS_write,
    libc::SYS_writev,
    // uretprobe and uprobe: the kernel hides them from filters, and answers them with SIGILL
    // to whoever is not one of its own trampolines.
    #[cfg(target_arch = "x86_64")]
    335,
    #[cfg(target_arch = "x86_64")]
    336,
];

/// Beyond all that there are, for a while.
const BEYOND: c_long = 600;

/// With this added, x86-64 takes a call to be of its kind with short pointers.
const X32: c_long = 0x4000_0000;

/// Makes each system call from `first` on but those in [`LEFT`]: says which it makes, and
/// if it was let through.
pub(crate) fn every_call(first: c_long) {
    let numbers = (0..BEYOND).chain(X32..X32 + BEYOND).filter(|number| *number >= first);
    for number in numbers.filter(|number| !LEFT.contains(number)) {
        eprintln!("{number}");
        match call(number, &[usize::MAX; 6]) {
            Err(error) if error.raw_os_error() == Some(libc::EPERM) => {}
            other => eprintln!("{number} got through: {other:?}"),
        }
    }
}

/// The account of its pages: what an executor keeps, or what whoever is free opens.
fn page_map() -> io::Result<i32> {
    match descriptors().first() {
        Some(kept) => Ok(*kept as i32),
        None => Ok(File::open("/proc/self/pagemap")?.into_raw_fd()),
    }
}

/// Whether the account tells where in the machine a page is, or even that it is there.
pub(crate) fn told_of_its_pages() -> io::Result<(bool, bool)> {
    let mut entry = [0_u64];
    let at = (main_code() / PAGE) * 8;
    call(libc::SYS_pread64, &[page_map()? as usize, into(&mut entry), 8, at])?;
    let frame = entry[0] & ((1 << 55) - 1);
    Ok((entry[0] >> 63 == 1, frame != 0))
}

/// Descriptors beyond the three that an executor has.
pub(crate) fn descriptors() -> Vec<usize> {
    (3..64).filter(|fd| call(libc::SYS_fcntl, &[*fd, libc::F_GETFD as usize]).is_ok()).collect()
}
