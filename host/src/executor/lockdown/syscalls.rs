//! The system calls that are left, in all threads and for good.

use std::collections::BTreeMap;

use libc::c_long;
use seccompiler::{
    BackendError, BpfProgram, Error, SeccompAction, SeccompCmpArgLen, SeccompCmpOp,
    SeccompCondition, SeccompFilter, SeccompRule, apply_filter_all_threads,
};

use super::Applied;

/// A system call, and what must hold for its arguments, all of it; any will do if that is
/// nothing. Where a call has several rows, one of them must fit.
type Row = (c_long, Vec<Arg>);

/// The argument at `index` is `value` in the bits of `mask`.
#[derive(Debug, Clone, Copy)]
struct Arg {
    index: u8,
    mask: u64,
    value: u64,
}

/// What the kernel looks at where it takes an `int`.
const INT: u64 = 0xffff_ffff;

fn any(call: c_long) -> Row {
    (call, vec![])
}

fn when(call: c_long, args: &[(u8, u64, i32)]) -> Row {
    let arg = |&(index, mask, value): &(u8, u64, i32)| Arg {
        index,
        mask,
        value: u64::from(value.cast_unsigned()),
    };
    (call, args.iter().map(arg).collect())
}

/// The list. Whatever is not on it fails with `EPERM`, as if the user lacked the right to it:
/// libraries that try something else then, or do without, go on.
fn allowed(pid: i32) -> Vec<Row> {
    vec![
        // Descriptors that are there: the socket to the daemon, the log, and the account of
        // its memory. None is opened, and none is passed along with bytes: no sendmsg, no
        // recvmsg, no out-of-band data.
        any(libc::SYS_read),
        // The account of its own memory is read from where it tells of an instance.
        any(libc::SYS_pread64),
        any(libc::SYS_write),
        any(libc::SYS_writev),
        when(libc::SYS_recvfrom, &[(3, INT, 0)]),
        when(libc::SYS_recvfrom, &[(3, INT, libc::MSG_PEEK)]),
        when(libc::SYS_sendto, &[(3, INT, 0)]),
        when(libc::SYS_sendto, &[(3, INT, libc::MSG_NOSIGNAL)]),
        any(libc::SYS_shutdown),
        any(libc::SYS_close),
        when(libc::SYS_ioctl, &[(1, INT, FIONBIO)]),
        when(libc::SYS_fcntl, &[(1, INT, libc::F_GETFD)]),
        when(libc::SYS_fcntl, &[(1, INT, libc::F_GETFL)]),
        when(libc::SYS_fcntl, &[(1, INT, libc::F_DUPFD_CLOEXEC)]),
        // What tokio's runtime is made of, and what the threads that compute wait for. The pair
        // is for signals, of which there are none.
        any(libc::SYS_epoll_create1),
        any(libc::SYS_epoll_ctl),
        #[cfg(target_arch = "x86_64")]
        any(libc::SYS_epoll_wait),
        any(libc::SYS_epoll_pwait),
        any(libc::SYS_eventfd2),
        when(
            libc::SYS_socketpair,
            &[
                (0, INT, libc::AF_UNIX),
                (1, INT & !(libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK) as u64, libc::SOCK_STREAM),
            ],
        ),
        // Memory, for malloc, stacks, and the instances' own: never executable.
        when(libc::SYS_mmap, &[(2, libc::PROT_EXEC as u64, 0)]),
        when(libc::SYS_mprotect, &[(2, libc::PROT_EXEC as u64, 0)]),
        any(libc::SYS_munmap),
        any(libc::SYS_mremap),
        any(libc::SYS_madvise),
        any(libc::SYS_brk),
        // Threads, but no processes. The flags of clone3 can't be seen from here: see below.
        when(libc::SYS_clone, &[(0, INT & !libc::CLONE_DETACHED as u64, THREAD)]),
        any(libc::SYS_clone3),
        any(libc::SYS_set_robust_list),
        any(libc::SYS_rseq),
        any(libc::SYS_gettid),
        any(libc::SYS_sched_getaffinity),
        any(libc::SYS_sched_yield),
        // How a thread's own turns on a core are cut. Higher priorities would take a
        // capability.
        when(libc::SYS_sched_getattr, &[(0, INT, 0)]),
        when(libc::SYS_sched_setattr, &[(0, INT, 0)]),
        when(libc::SYS_prctl, &[(0, INT, libc::PR_SET_NAME)]),
        any(libc::SYS_exit),
        // Waiting. Of futexes the plain ones: the others are much code for no use of ours.
        when(libc::SYS_futex, &[(1, FUTEX_COMMAND, libc::FUTEX_WAIT)]),
        when(libc::SYS_futex, &[(1, FUTEX_COMMAND, libc::FUTEX_WAKE)]),
        when(libc::SYS_futex, &[(1, FUTEX_COMMAND, libc::FUTEX_WAIT_BITSET)]),
        when(libc::SYS_futex, &[(1, FUTEX_COMMAND, libc::FUTEX_WAKE_BITSET)]),
        // For one descriptor, without other signals meanwhile.
        when(libc::SYS_ppoll, &[(1, u64::MAX, 1), (3, u64::MAX, 0)]),
        any(libc::SYS_clock_nanosleep),
        any(libc::SYS_nanosleep),
        any(libc::SYS_restart_syscall),
        // Clocks: a thread's CPU time, and the others where the kernel maps none of them.
        any(libc::SYS_clock_gettime),
        // How many page faults a thread had.
        when(libc::SYS_getrusage, &[(0, INT, libc::RUSAGE_THREAD)]),
        // Seeds of hash tables, and what tasks draw.
        any(libc::SYS_getrandom),
        // A trap of WebAssembly arrives as a signal.
        any(libc::SYS_rt_sigaction),
        any(libc::SYS_rt_sigprocmask),
        any(libc::SYS_rt_sigreturn),
        any(libc::SYS_sigaltstack),
        // The end: in order, and by abort.
        any(libc::SYS_exit_group),
        any(libc::SYS_getpid),
        when(libc::SYS_tgkill, &[(0, INT, pid), (2, INT, libc::SIGABRT)]),
    ]
}

/// Seen as missing, not as forbidden: glibc then starts threads by clone, as it did before.
const MISSING: &[c_long] = &[libc::SYS_clone3];

/// The end of the process. No code of ours calls any of these, not even to find out whether
/// it may, so that a call is an attack: it is to get no second try, and to be seen. All else
/// that is not on the list does happen in good faith, such as looking for a file that
/// tells the number of cores.
const FATAL: &[c_long] = &[
    // Programs, and other processes' memory.
    libc::SYS_execve,
    libc::SYS_execveat,
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_pidfd_getfd,
    // What holes in the kernel are commonly reached through.
    libc::SYS_bpf,
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_userfaultfd,
    libc::SYS_perf_event_open,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_keyctl,
    // Ways to another view of the system.
    libc::SYS_unshare,
    libc::SYS_setns,
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_open_tree,
    libc::SYS_move_mount,
    libc::SYS_fsopen,
    libc::SYS_open_by_handle_at,
    // The kernel itself.
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_kexec_load,
    libc::SYS_reboot,
];

/// As glibc and musl start a thread. A process is started without most of these.
const THREAD: i32 = libc::CLONE_VM
    | libc::CLONE_FS
    | libc::CLONE_FILES
    | libc::CLONE_SIGHAND
    | libc::CLONE_THREAD
    | libc::CLONE_SYSVSEM
    | libc::CLONE_SETTLS
    | libc::CLONE_PARENT_SETTID
    | libc::CLONE_CHILD_CLEARTID;

const FUTEX_COMMAND: u64 = INT & !(libc::FUTEX_PRIVATE_FLAG | libc::FUTEX_CLOCK_REALTIME) as u64;

const FIONBIO: i32 = libc::FIONBIO as i32;

/// Leaves nothing but the list.
pub(super) fn filter() -> Applied {
    match programs().map(|programs| programs.iter().try_for_each(|p| apply_filter_all_threads(p))) {
        Ok(Ok(())) => Applied::Yes,
        Ok(Err(Error::Seccomp(error) | Error::Prctl(error))) => {
            Applied::No(format!("the kernel does not take it ({error})"))
        }
        Ok(Err(error)) => Applied::No(error.to_string()),
        Err(error) => Applied::No(error.to_string()),
    }
}

/// Of what several filters say of a call, the kernel does what is most severe. The last one
/// says most: it lets no further filter be added.
fn programs() -> Result<[BpfProgram; 3], BackendError> {
    let call = |calls: &[c_long]| calls.iter().map(|call| any(*call)).collect();
    let errno = |number: i32| SeccompAction::Errno(number.cast_unsigned());
    let pid = std::process::id().cast_signed();
    Ok([
        program(call(MISSING), errno(libc::ENOSYS), SeccompAction::Allow)?,
        program(call(FATAL), SeccompAction::KillProcess, SeccompAction::Allow)?,
        program(allowed(pid), SeccompAction::Allow, errno(libc::EPERM))?,
    ])
}

/// Does `action` with what is in `rows`, and `otherwise` with the rest. Calls of another
/// architecture's, such as those of 32 bits, kill the process.
fn program(
    rows: Vec<Row>,
    action: SeccompAction,
    otherwise: SeccompAction,
) -> Result<BpfProgram, BackendError> {
    let mut rules: BTreeMap<c_long, Vec<SeccompRule>> = BTreeMap::new();
    for (call, args) in rows {
        let rules = rules.entry(call).or_default();
        if !args.is_empty() {
            let conditions = args.into_iter().map(condition).collect::<Result<_, _>>()?;
            rules.push(SeccompRule::new(conditions)?);
        }
    }
    SeccompFilter::new(rules, otherwise, action, std::env::consts::ARCH.try_into()?)?.try_into()
}

fn condition(arg: Arg) -> Result<SeccompCondition, BackendError> {
    let fits = SeccompCmpOp::MaskedEq(arg.mask);
    SeccompCondition::new(arg.index, SeccompCmpArgLen::Qword, fits, arg.value)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_call_with_conditions_has_no_row_without() {
        let rows = allowed(1);
        let free: Vec<_> = rows.iter().filter(|(_, args)| args.is_empty()).map(|r| r.0).collect();
        let bound: BTreeSet<_> = rows.iter().filter(|(_, a)| !a.is_empty()).map(|r| r.0).collect();
        assert_eq!(free.len(), free.iter().collect::<BTreeSet<_>>().len(), "named twice");
        assert!(free.iter().all(|call| !bound.contains(call)));
    }

    #[test]
    fn what_is_fatal_is_not_allowed() {
        let rows = allowed(1);
        assert!(rows.iter().all(|(call, _)| !FATAL.contains(call)));
        // It is kept from working by the filter before.
        assert!(MISSING.iter().all(|missing| rows.iter().any(|(call, _)| call == missing)));
    }

    #[test]
    fn the_filters_compile() {
        // The kernel takes programs of 4,096 instructions at most.
        assert!(programs().expect("compiles").iter().all(|program| program.len() < 1_000));
    }
}
