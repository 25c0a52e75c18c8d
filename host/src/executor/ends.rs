//! One end of the wire. Whoever sends a message writes it, if the socket takes it at once: to
//! hand it to another thread costs more than to write it. A task writes the rest.
//!
//! Tokio's own sockets wake their task as well whenever the other end has read something, and
//! could be written to once more. That happens with every message, and is of use only while
//! something waits to be written. The ends of its pipes wait for one thing only, and take any
//! descriptor.

use std::collections::VecDeque;
use std::io::{self, Write as _};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Serialize;
use tokio::io::AsyncWriteExt;
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
    /// There is something to write again.
    changed: Notify,
}

struct Waiting {
    /// Whole frames, but for the first. That one stays while it is being written, so that
    /// nothing overtakes it.
    frames: VecDeque<Vec<u8>>,
    most: usize,
    closed: bool,
}

/// What sends over `socket`, which blocks no more. At most `most` messages wait to be written.
pub(super) fn outlet(socket: &UnixStream, most: usize) -> io::Result<(Outlet, Rest)> {
    socket.set_nonblocking(true)?;
    let waiting = Mutex::new(Waiting { frames: VecDeque::new(), most, closed: false });
    let shared = Shared { socket: socket.try_clone()?, waiting, changed: Notify::new() };
    let shared = Arc::new(shared);
    Ok((Outlet(shared.clone()), Rest(shared)))
}

/// What comes over `socket`, which must not block.
pub(super) fn inlet(socket: UnixStream) -> io::Result<Inlet> {
    Inlet::from_owned_fd_unchecked(socket.into())
}

impl Outlet {
    pub(super) fn send(&self, message: &impl Serialize) -> Result<(), Unsent> {
        let mut frame = wire::frame(message);
        let mut waiting = self.0.waiting();
        if waiting.closed {
            return Err(Unsent::Closed);
        }
        if waiting.frames.len() >= waiting.most {
            return Err(Unsent::Full);
        }
        if waiting.frames.is_empty() {
            // If it fails, it fails again for who writes the rest, who then says so.
            let written = (&self.0.socket).write(&frame).unwrap_or(0);
            if written == frame.len() {
                return Ok(());
            }
            frame.drain(..written);
        }
        waiting.frames.push_back(frame);
        drop(waiting);
        self.0.changed.notify_one();
        Ok(())
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
            let frame = self.0.waiting().frames.front_mut().map(std::mem::take);
            let Some(frame) = frame else {
                self.0.changed.notified().await;
                continue;
            };
            if let Err(error) = self.0.write(&frame).await {
                return error;
            }
            self.0.waiting().frames.pop_front();
        }
    }
}

impl Drop for Rest {
    fn drop(&mut self) {
        self.0.waiting().closed = true;
    }
}

impl Shared {
    async fn write(&self, bytes: &[u8]) -> io::Result<()> {
        let socket = self.socket.try_clone()?.into();
        pipe::Sender::from_owned_fd_unchecked(socket)?.write_all(bytes).await
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        // Nothing panics while it holds the lock.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
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
