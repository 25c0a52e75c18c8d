//! The threads that compute. Each polls whatever future is next in line, and in between looks for
//! word from outside; one that has nothing to do waits for either. To have another thread wait
//! for word, and hand on what it says, would cost more than a short task takes.
//!
//! Word to the outside is handed out by the same threads. To tell of each short task by itself
//! would wake whoever listens for each, which costs as much as the task: while more of them are
//! next in line, what they have to say is held back for a moment ([`HOLD`]), and what comes is
//! left alone for as long.

mod bell;
mod lookout;

use std::cell::Cell;
use std::collections::{HashMap, VecDeque};
use std::os::fd::OwnedFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};
use std::{io, mem, process, ptr, thread};

use async_task::{Runnable, Task};
use tokio::runtime::Handle;

use self::bell::{Bell, Woken};
pub(super) use self::lookout::Lookout;
use super::threads;

/// For how long a thread goes on with short tasks before it hands out what they have to say, and
/// looks for word: ten of them or so. It is little beside a slice, for which one that comes may
/// have to wait as well.
const HOLD: Duration = Duration::from_micros(500);

/// The threads, until this is dropped.
pub(super) struct Crew(Arc<Shared>);

/// What the threads of a crew share.
pub(super) struct Shared {
    line: Mutex<Line>,
    bell: Bell,
    source: OnceLock<Source>,
}

/// The futures that are not over.
#[derive(Default)]
struct Line {
    /// Those that are to be polled.
    next: VecDeque<InLine>,
    /// All of them, to be dropped at the end.
    all: HashMap<u64, Task<()>>,
    last: u64,
    /// Threads that wait, or are about to.
    waiting: usize,
    /// The bell was rung, and no thread has come yet.
    rung: bool,
    closed: bool,
}

/// A future that is to be polled.
struct InLine {
    runnable: Runnable,
    /// Whether it never was. All others may take a whole slice, as they once did.
    is_new: bool,
}

/// Where word comes from, and goes to.
struct Source {
    socket: OwnedFd,
    take_in: Mutex<TakeIn>,
    hand_out: Box<dyn Fn() + Send + Sync>,
}

/// Looks once whether word has come, and takes it in; whether there may be more.
type TakeIn = Box<dyn FnMut() -> bool + Send>;

thread_local! {
    /// The crew that the calling thread is of.
    static OF: Cell<*const Shared> = const { Cell::new(ptr::null()) };
    /// When it last handed out word and looked for it, or woke up; `None` on all other threads.
    static POSTED: Cell<Option<Instant>> = const { Cell::new(None) };
}

impl Crew {
    /// Nobody is in it yet.
    pub(super) fn new() -> io::Result<Crew> {
        let (line, bell, source) = (Mutex::default(), Bell::new()?, OnceLock::new());
        Ok(Crew(Arc::new(Shared { line, bell, source })))
    }

    /// Starts a thread. Its futures may use the clocks of `runtime`.
    pub(super) fn hire(&self, runtime: Handle) -> io::Result<()> {
        let shared = self.0.clone();
        let work = move || {
            threads::take_long_turns();
            let _clocks = runtime.enter();
            OF.set(Arc::as_ptr(&shared));
            shared.work();
        };
        thread::Builder::new().name("roh-compute".into()).spawn(work)?;
        Ok(())
    }

    /// Has `take_in` called when something has come over `socket`, which must not block, or when
    /// the other end was closed; and then again for as long as it says that there may be more: it
    /// is to read until there is not, or until the socket has less than it has room for. It must
    /// not panic. Once only.
    ///
    /// What futures held back when they were told that they [may](Shared::may_hold), `hand_out`
    /// sends. It is called soon after.
    pub(super) fn listen(
        &self,
        socket: OwnedFd,
        take_in: impl FnMut() -> bool + Send + 'static,
        hand_out: impl Fn() + Send + Sync + 'static,
    ) -> io::Result<()> {
        let (take_in, hand_out) = (Mutex::new(Box::new(take_in) as TakeIn), Box::new(hand_out));
        let source = self.0.source.get_or_init(|| Source { socket, take_in, hand_out });
        self.0.bell.listen(&source.socket)
    }

    /// What its threads share.
    pub(super) fn shared(&self) -> Arc<Shared> {
        self.0.clone()
    }

    /// Puts `future` in line.
    pub(super) fn spawn(&self, future: impl Future<Output = ()> + Send + 'static) {
        let mut line = self.0.line();
        line.last += 1;
        let over = Over { shared: self.0.clone(), number: line.last };
        let future = async move {
            let _over = over;
            future.await;
        };
        let shared = self.0.clone();
        let (runnable, task) = async_task::spawn(future, move |runnable| {
            shared.put(InLine { runnable, is_new: false });
        });
        let number = line.last;
        line.all.insert(number, task);
        drop(line);
        self.0.put(InLine { runnable, is_new: true });
    }
}

impl Drop for Crew {
    fn drop(&mut self) {
        let mut line = self.0.line();
        line.closed = true;
        let (next, all) = (mem::take(&mut line.next), mem::take(&mut line.all));
        drop(line);
        // What is dropped may put others in line, where they are dropped as well.
        drop(next);
        drop(all);
        // Who comes rings for the next.
        self.0.bell.ring();
    }
}

/// What a thread does next.
enum Next {
    Poll(Runnable),
    Look,
    Wait,
    End,
}

impl Shared {
    /// Whether what the calling thread's future has to say may wait: the thread comes to the next
    /// one, as no other has nothing to do; that is new, and may be as short; and nothing has waited
    /// for long.
    pub(super) fn may_hold(&self) -> bool {
        let comes_to_a_new_one = || {
            let line = self.line();
            line.waiting == 0 && line.next.front().is_some_and(|next| next.is_new)
        };
        has_posted_lately() && comes_to_a_new_one()
    }

    /// Hands out what is held back, if anything is.
    pub(super) fn hand_out(&self) {
        if let Some(source) = self.source.get() {
            (source.hand_out)();
        }
    }

    fn work(&self) {
        // Whether it has looked for word since it last polled.
        let mut looked = false;
        loop {
            match self.next(looked) {
                Next::Poll(runnable) => {
                    looked = false;
                    // Who waits for the future learns of it from what it drops.
                    let _ = catch_unwind(AssertUnwindSafe(|| runnable.run()));
                }
                Next::Look => {
                    POSTED.set(Some(Instant::now()));
                    self.hand_out();
                    self.take_in();
                    looked = true;
                }
                Next::Wait => {
                    let woken = self.bell.wait();
                    POSTED.set(Some(Instant::now()));
                    looked = matches!(woken, Woken::ToListen { .. });
                    let mut line = self.line();
                    line.waiting -= 1;
                    line.rung = false;
                    drop(line);
                    if let (Woken::ToListen { ends }, Some(source)) = (woken, self.source.get()) {
                        // If another reads already, it may have looked too early.
                        let take_in = source.take_in.lock();
                        let mut take_in = take_in.unwrap_or_else(PoisonError::into_inner);
                        while take_in_once(&mut take_in) {}
                        if ends {
                            // It may have come with the last words.
                            take_in_once(&mut take_in);
                        }
                    }
                }
                Next::End => return,
            }
        }
    }

    /// Takes in what has come. If another does already: what it leaves is told to who waits, or
    /// is found the next time.
    fn take_in(&self) {
        if let Some(source) = self.source.get()
            && let Ok(mut take_in) = source.take_in.try_lock()
        {
            while take_in_once(&mut take_in) {}
        }
    }

    /// What to do next, where one that has `looked` for word need not do so again. In this order:
    /// what is put in line while it looks rings for nobody, as it comes to it itself.
    fn next(&self, looked: bool) -> Next {
        let mut line = self.line();
        if line.closed {
            drop(line);
            self.bell.ring();
            return Next::End;
        }
        let goes_on = line.next.front().is_some_and(|next| next.is_new) && has_posted_lately();
        if !looked && !goes_on {
            return Next::Look;
        }
        let Some(InLine { runnable, .. }) = line.next.pop_front() else {
            line.waiting += 1;
            return Next::Wait;
        };
        let ring = line.calls_for_another();
        drop(line);
        if ring {
            self.bell.ring();
        }
        Next::Poll(runnable)
    }

    /// Puts a future in line that is to be polled.
    fn put(&self, next: InLine) {
        let mut line = self.line();
        if line.closed {
            drop(line);
            // Dropped with the lock, it could not put others in line.
            return drop(next);
        }
        line.next.push_back(next);
        // One of the crew comes to it itself, and soon: what puts another in line does so as its
        // slice ends, or after a top level, or looks for word.
        let is_ours = OF.get() == ptr::from_ref(self) && line.next.len() == 1;
        let ring = !is_ours && line.calls_for_another();
        drop(line);
        if ring {
            self.bell.ring();
        }
    }

    fn line(&self) -> MutexGuard<'_, Line> {
        // Nothing panics while it holds the lock.
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether the calling thread has handed out word and looked for it within the last moment.
fn has_posted_lately() -> bool {
    POSTED.get().is_some_and(|then| then.elapsed() < HOLD)
}

fn take_in_once(take_in: &mut TakeIn) -> bool {
    // Nobody would hear of what comes next.
    catch_unwind(AssertUnwindSafe(take_in)).unwrap_or_else(|_| process::abort())
}

impl Line {
    /// Whether to ring for another thread, which then comes, or finds that others came first.
    fn calls_for_another(&mut self) -> bool {
        let calls = !self.next.is_empty() && self.waiting > 0 && !self.rung;
        self.rung |= calls;
        calls
    }
}

/// Lets go of a future that is over, or dropped.
struct Over {
    shared: Arc<Shared>,
    number: u64,
}

impl Drop for Over {
    fn drop(&mut self) {
        let task = self.shared.line().all.remove(&self.number);
        if let Some(task) = task {
            task.detach();
        }
    }
}

#[cfg(test)]
mod tests;
