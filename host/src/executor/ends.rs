//! One end of the wire. Whoever sends a message writes it, if the socket takes it at once: to
//! hand it to another thread costs more than to write it. A task writes the rest. A message may
//! also be held back, to be written along with the next.
//!
//! Tokio's own sockets wake their task as well whenever the other end has read something, and
//! could be written to once more. That happens with every message, and is of use only while
//! something waits to be written. The ends of its pipes wait for one thing only, and take any
//! descriptor.

use std::collections::VecDeque;
use std::io::{self, Write as _};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};

use serde::Serialize;
use tokio::net::unix::pipe;
use tokio::sync::Notify;

use super::wire;

/// What comes from the other end.
pub(super) type Inlet = pipe::Receiver;

/// Sends messages, in the order in which they are sent. Never waits.
#[derive(Clone)]
pub(super) struct Outlet(Arc<Shared>);

/// Writes what the socket did not take at once. Once it is dropped nothing can be sent.
pub(super) struct Rest(Arc<Shared>);

/// A message was not sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unsent {
    /// As many as may are waiting to be written.
    Full,
    /// Nothing is written any more.
    Closed,
}

struct Shared {
    /// Does not block.
    socket: UnixStream,
    waiting: Mutex<Waiting>,
    /// The socket did not take all.
    changed: Notify,
}

/// What was sent and is not written yet.
struct Waiting {
    bytes: Vec<u8>,
    /// How many of them were written.
    written: usize,
    /// Where each message ends that is not wholly written.
    ends: VecDeque<usize>,
    /// Messages that may wait.
    most: usize,
    /// Whether [`Rest`] goes on with it as soon as the socket can take more.
    is_late: bool,
    closed: bool,
}

/// What sends over `socket`, which blocks no more. At most `most` messages wait to be written.
pub(super) fn outlet(socket: &UnixStream, most: usize) -> io::Result<(Outlet, Rest)> {
    socket.set_nonblocking(true)?;
    let (bytes, ends) = (Vec::new(), VecDeque::new());
    let waiting = Waiting { bytes, written: 0, ends, most, is_late: false, closed: false };
    let waiting = Mutex::new(waiting);
    let shared = Shared { socket: socket.try_clone()?, waiting, changed: Notify::new() };
    let shared = Arc::new(shared);
    Ok((Outlet(shared.clone()), Rest(shared)))
}

/// What comes over `socket`, which must not block.
pub(super) fn inlet(socket: UnixStream) -> io::Result<Inlet> {
    Inlet::from_owned_fd_unchecked(socket.into())
}

impl Outlet {
    /// Sends a message, after those that were held back.
    pub(super) fn send(&self, message: &impl Serialize) -> Result<(), Unsent> {
        let frame = wire::frame(message);
        let mut waiting = self.0.waiting();
        waiting.push(frame)?;
        self.0.write(waiting);
        Ok(())
    }

    /// Holds a message back, until others are sent or [`Outlet::hand_out`] is called.
    pub(super) fn hold(&self, message: &impl Serialize) -> Result<(), Unsent> {
        let frame = wire::frame(message);
        self.0.waiting().push(frame)
    }

    /// Sends what was held back, unless somebody sends just now, and that with it; or holds back
    /// more, and hands it out soon. It never waits for them.
    pub(super) fn hand_out(&self) {
        match self.0.waiting.try_lock() {
            Ok(waiting) => self.0.write(waiting),
            Err(TryLockError::Poisoned(waiting)) => self.0.write(waiting.into_inner()),
            Err(TryLockError::WouldBlock) => {}
        }
    }

    /// Whether nothing can be sent any more.
    pub(super) fn is_closed(&self) -> bool {
        self.0.waiting().closed
    }
}

impl Rest {
    /// Goes on until the socket fails.
    pub(super) async fn write(self) -> io::Error {
        loop {
            self.0.changed.notified().await;
            if let Err(error) = self.0.write_rest().await {
                return error;
            }
        }
    }
}

impl Drop for Rest {
    fn drop(&mut self) {
        self.0.waiting().closed = true;
    }
}

impl Shared {
    /// Writes what the socket takes at once.
    fn write(&self, mut waiting: MutexGuard<'_, Waiting>) {
        if waiting.ends.is_empty() || waiting.is_late || waiting.closed {
            return;
        }
        // If it fails, it fails again for who writes the rest, who then says so.
        let _ = waiting.write(|bytes| (&self.socket).write(bytes));
        if !waiting.ends.is_empty() {
            waiting.is_late = true;
            drop(waiting);
            self.changed.notify_one();
        }
    }

    /// Writes all, however long the socket takes.
    async fn write_rest(&self) -> io::Result<()> {
        let socket = self.socket.try_clone()?.into();
        let socket = pipe::Sender::from_owned_fd_unchecked(socket)?;
        loop {
            socket.writable().await?;
            let mut waiting = self.waiting();
            match waiting.write(|bytes| socket.try_write(bytes)) {
                Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Err(error),
                _ => {}
            }
            if waiting.ends.is_empty() {
                waiting.is_late = false;
                return Ok(());
            }
        }
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        // Nothing panics while it holds the lock.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    fn push(&mut self, frame: Vec<u8>) -> Result<(), Unsent> {
        if self.closed {
            return Err(Unsent::Closed);
        }
        if self.ends.len() >= self.most {
            return Err(Unsent::Full);
        }
        if self.bytes.is_empty() {
            self.bytes = frame;
        } else {
            self.bytes.extend(frame);
        }
        self.ends.push_back(self.bytes.len());
        Ok(())
    }

    fn write(&mut self, write: impl FnOnce(&[u8]) -> io::Result<usize>) -> io::Result<()> {
        self.written += write(&self.bytes[self.written..])?;
        while self.ends.pop_front_if(|end| *end <= self.written).is_some() {}
        // Not each time, as what is left is moved.
        if self.written > self.bytes.len() / 2 {
            self.bytes.drain(..self.written);
            for end in &mut self.ends {
                *end -= self.written;
            }
            self.written = 0;
        }
        if self.bytes.is_empty() {
            // A long message must not take up its memory for good.
            self.bytes = Vec::new();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::super::wire::Frames;
    use super::*;

    /// More than a socket takes at once.
    const LONG: usize = 3 << 20;

    /// Both ends; at most `most` messages wait in ours.
    fn pair(most: usize) -> (Outlet, Rest, Theirs) {
        let (ours, theirs) = UnixStream::pair().expect("a pair");
        let (to, rest) = outlet(&ours, most).expect("an end");
        theirs.set_nonblocking(true).expect("a socket");
        (to, rest, (Frames::default(), inlet(theirs).expect("an end")))
    }

    type Theirs = (Frames, Inlet);

    async fn next((frames, theirs): &mut Theirs) -> Vec<u8> {
        frames.receive(theirs, u64::MAX).await.expect("whole").expect("a message")
    }

    #[tokio::test]
    async fn what_is_sent_comes_whole_and_in_order() {
        let (to, rest, mut theirs) = pair(100);
        let writes = tokio::spawn(rest.write());
        let messages = || (0..40u8).map(|i| vec![i; if i % 10 == 3 { LONG } else { 5 }]);
        for message in messages() {
            assert_eq!(to.send(&message), Ok(()));
        }
        for message in messages() {
            assert!(next(&mut theirs).await == message);
            // Some while others wait, and some while none does.
            to.send(&vec![0u8; 5]).expect("room");
        }
        for _ in 0..40 {
            assert_eq!(next(&mut theirs).await, [0; 5]);
        }
        assert!(!to.is_closed());
        drop(theirs);
        // The first that is sent after the end is the first to notice.
        to.send(&0).expect("nobody knows yet");
        let error = writes.await.expect("no panic");
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
        assert!(to.is_closed());
        assert_eq!(to.send(&0), Err(Unsent::Closed));
    }

    #[tokio::test]
    async fn what_is_held_back_comes_with_the_next_or_when_it_is_handed_out() {
        let (to, _rest, mut theirs) = pair(4);
        let has_come = |theirs: &mut Theirs| next(theirs).now_or_never();
        for message in [1u8, 2] {
            assert_eq!(to.hold(&vec![message]), Ok(()));
            assert_eq!(has_come(&mut theirs), None);
        }
        assert_eq!(to.send(&vec![3u8]), Ok(()));
        for message in [1u8, 2, 3] {
            assert_eq!(next(&mut theirs).await, [message]);
        }
        for message in [4u8, 5, 6, 7] {
            assert_eq!(to.hold(&vec![message]), Ok(()));
        }
        assert_eq!(to.hold(&vec![8u8]), Err(Unsent::Full));
        to.hand_out();
        for message in [4u8, 5, 6, 7] {
            assert_eq!(next(&mut theirs).await, [message]);
        }
        to.hand_out();
        assert_eq!(has_come(&mut theirs), None);
        assert_eq!(to.hold(&vec![9u8]), Ok(()));
    }

    #[tokio::test]
    async fn no_more_wait_than_may() {
        let (to, rest, mut theirs) = pair(2);
        let writes = tokio::spawn(rest.write());
        let message = vec![1u8; LONG];
        for result in [Ok(()), Ok(()), Err(Unsent::Full)] {
            assert_eq!(to.send(&message), result);
            tokio::task::yield_now().await;
        }
        for _ in 0..2 {
            assert!(next(&mut theirs).await == message);
        }
        writes.abort();
    }
}
