//! The threads that compute, as the system sees them: how it schedules them, and what it
//! counts for them.

use std::time::Duration;

/// Has the calling thread give way at once to whoever else of its control group wakes up on its
/// core: it computes for milliseconds on end, and all that others do on the way of a task from the
/// broker and back takes microseconds. In return it may have long turns, but [`let_others`] gives
/// up the rest of one: beside a program of the group that computes all the time, it has less than
/// half of the core. Where the system does not know of turns, nothing changes. Where no control
/// groups for CPU time are set up, Linux makes one of each session (`autogroup`).
pub(super) fn take_long_turns() {
    // By default others have 0.7 to 3 ms: what is more than that makes the difference, and what is
    // much more would only be given up. With 10 ms the way of a task through its executor took
    // longer.
    take_turns(Duration::from_millis(4));
}

/// Has the calling thread come at once when it wakes up, whoever of its control group computes: it
/// works for microseconds.
pub(crate) fn take_short_turns() {
    // The least that Linux takes.
    take_turns(Duration::from_micros(100));
}

/// Linux heeds it since 6.12: of those that wait for a core, it takes the one whose turn would be
/// over first, and lets it go before one that computes if its turns are shorter.
fn take_turns(turn: Duration) {
    #[cfg(target_os = "linux")]
    {
        const SIZE: u32 = size_of::<libc::sched_attr>() as u32;
        let mut attributes = libc::sched_attr {
            size: SIZE,
            sched_policy: 0,
            sched_flags: 0,
            sched_nice: 0,
            sched_priority: 0,
            sched_runtime: 0,
            sched_deadline: 0,
            sched_period: 0,
        };
        // SAFETY: the kernel writes as many bytes as it is told, all of them numbers.
        #[expect(unsafe_code, reason = "no library has it")]
        let known =
            unsafe { libc::syscall(libc::SYS_sched_getattr, 0, &raw mut attributes, SIZE, 0) == 0 };
        // Who runs it may have asked for something else.
        if known && attributes.sched_policy == libc::SCHED_OTHER as u32 {
            attributes.sched_runtime = u64::try_from(turn.as_nanos()).unwrap_or(u64::MAX);
            attributes.sched_flags = 0;
            // SAFETY: the kernel reads as many bytes as `size` says, and keeps none of them.
            #[expect(unsafe_code, reason = "no library has it")]
            unsafe {
                // If it fails, the thread computes all the same.
                libc::syscall(libc::SYS_sched_setattr, 0, &raw const attributes, 0);
            }
        }
    }
}

/// Lets those go first who wait for the calling thread's core. The system itself looks after
/// them only at its own ticks, which may be milliseconds apart. Meanwhile the instance keeps its
/// core, and is charged for it, as for any time for which the system takes the core away.
pub(super) fn let_others() {
    std::thread::yield_now();
}

/// How often the calling thread has touched a page that it could not use as it was; `None` if
/// that is not to be known. Without huge pages, a page of a private mapping becomes its own in
/// no other way.
pub(super) fn faults() -> Option<u64> {
    #[cfg(target_os = "linux")]
    {
        let mut usage = std::mem::MaybeUninit::<libc::rusage>::zeroed();
        // SAFETY: all zeros is a valid value, and the kernel writes numbers.
        #[expect(unsafe_code, reason = "no library has it for a single thread")]
        let usage = unsafe {
            let result = libc::getrusage(libc::RUSAGE_THREAD, usage.as_mut_ptr());
            (result == 0).then(|| usage.assume_init())?
        };
        u64::try_from(usage.ru_minflt + usage.ru_majflt).ok()
    }
    #[cfg(not(target_os = "linux"))]
    {
        None
    }
}
