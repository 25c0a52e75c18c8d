//! Time on a core, and page faults: measured around each poll of an instance's future, by the
//! clock and the counter of the thread that polls it.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

use super::threads;

/// Marks that no thread is polling the instance.
const OFF_CORE: u64 = u64::MAX;

/// How long an instance has been on a core.
///
/// One thread at a time polls an instance and reads its meter; the atomics only carry
/// the values from one polling thread to the next.
#[derive(Debug)]
pub(super) struct Meter {
    /// Nanoseconds of the slices that ended.
    ended: AtomicU64,
    /// The polling thread's CPU clock, in nanoseconds, when this slice began.
    began: AtomicU64,
    /// Page faults of the slices that ended.
    faults: AtomicU64,
    /// The polling thread's, when this slice began.
    faults_began: AtomicU64,
    /// Whether its slice was over and it would have gone on, when it was last polled.
    yielded: AtomicBool,
}

impl Meter {
    pub(super) fn new() -> Meter {
        Meter {
            ended: AtomicU64::new(0),
            began: AtomicU64::new(OFF_CORE),
            faults: AtomicU64::new(0),
            faults_began: AtomicU64::new(0),
            yielded: AtomicBool::new(false),
        }
    }

    /// Time on a core so far, this slice included if the caller is on it.
    pub(super) fn cpu(&self) -> Duration {
        let ended = self.ended.load(Ordering::Relaxed);
        let slice = match self.began.load(Ordering::Relaxed) {
            OFF_CORE => 0,
            began => thread_cpu().saturating_sub(began),
        };
        Duration::from_nanos(ended + slice)
    }

    /// Page faults so far, as its thread sees it. More than there were if they can't be counted.
    pub(super) fn faults(&self) -> u64 {
        let began = self.faults_began.load(Ordering::Relaxed);
        let slice = threads::faults().and_then(|now| now.checked_sub(began));
        self.faults.load(Ordering::Relaxed).saturating_add(slice.unwrap_or(u64::MAX))
    }

    /// Says that its slice is over and that it would go on.
    pub(super) fn yields(&self) {
        self.yielded.store(true, Ordering::Relaxed);
    }

    /// Whether that was said since it was last asked.
    pub(super) fn took_yield(&self) -> bool {
        self.yielded.swap(false, Ordering::Relaxed)
    }

    fn enter(&self) {
        self.faults_began.store(threads::faults().unwrap_or(u64::MAX), Ordering::Relaxed);
        self.began.store(thread_cpu(), Ordering::Relaxed);
    }

    fn leave(&self) {
        let total = u64::try_from(self.cpu().as_nanos()).unwrap_or(u64::MAX);
        self.ended.store(total, Ordering::Relaxed);
        self.began.store(OFF_CORE, Ordering::Relaxed);
        self.faults.store(self.faults(), Ordering::Relaxed);
    }
}

/// CPU time of the calling thread, in nanoseconds.
fn thread_cpu() -> u64 {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    u64::try_from(now.tv_sec).unwrap_or(0) * 1_000_000_000 + u64::try_from(now.tv_nsec).unwrap_or(0)
}

/// A future whose polls a [`Meter`] measures.
pub(super) struct Metered<F> {
    meter: Arc<Meter>,
    future: Pin<Box<F>>,
}

impl<F: Future> Metered<F> {
    pub(super) fn new(meter: Arc<Meter>, future: F) -> Metered<F> {
        Metered { meter, future: Box::pin(future) }
    }
}

impl<F: Future> Future for Metered<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        self.meter.enter();
        let poll = self.future.as_mut().poll(cx);
        // What is over was asked for its time as it ended; to look costs system calls.
        if poll.is_pending() {
            self.meter.leave();
        }
        poll
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each poll is another thread's, and touches a page that nobody touched before.
    #[test]
    #[cfg(target_os = "linux")]
    fn counts_the_page_faults_of_all_threads() {
        use std::task::Waker;

        const PAGES: usize = 16;
        // Even if a page is a huge one.
        const APART: usize = 4 << 20;
        let meter = Arc::new(Meter::new());
        let mut memory = vec![0u8; PAGES * APART];
        // The allocator has used the first.
        let mut page = 1;
        let mut run = Metered::new(meter.clone(), async move {
            loop {
                std::hint::black_box(&mut memory)[page * APART] = 1;
                page += 1;
                tokio::task::yield_now().await;
            }
        });
        for polls in 1..PAGES as u64 {
            std::thread::scope(|scope| {
                let poll = || Pin::new(&mut run).poll(&mut Context::from_waker(Waker::noop()));
                let polled = scope.spawn(poll).join().expect("no panic");
                assert!(polled.is_pending());
            });
            let faults = meter.faults.load(Ordering::Relaxed);
            assert!((polls..1_000_000).contains(&faults), "{faults} in {polls} polls");
        }
    }

    #[tokio::test]
    async fn counts_work_and_not_waiting() {
        let meter = Arc::new(Meter::new());
        Metered::new(meter.clone(), async {
            let mut x = 1u64;
            for i in 0..3_000_000u64 {
                x = std::hint::black_box(x.wrapping_mul(31).wrapping_add(i));
            }
            tokio::time::sleep(Duration::from_millis(300)).await;
        })
        .await;
        let cpu = meter.cpu();
        assert!(cpu > Duration::from_micros(100), "{cpu:?}");
        assert!(cpu < Duration::from_millis(290), "{cpu:?}");
    }
}
