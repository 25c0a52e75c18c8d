//! What threads wait for that have nothing to do: for one of them to be called, and for a
//! socket. Of those that wait one comes for each, where the system can do that.

use std::io;
use std::os::fd::AsFd;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

#[cfg(target_os = "linux")]
pub(super) use self::linux::Bell;
#[cfg(not(target_os = "linux"))]
pub(super) use self::others::Bell;

/// Why a wait is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Woken {
    /// The bell was rung.
    Called,
    /// Something came over the socket, since somebody last looked; or it `ends`, perhaps after
    /// that.
    ToListen { ends: bool },
}

/// Whether something comes over `socket` within that time.
pub(super) fn comes(socket: &impl AsFd, within: Duration) -> bool {
    let mut waits = [PollFd::new(socket, PollFlags::IN)];
    let within = Timespec::try_from(within).ok();
    // It fails if a signal came: then nothing else did.
    poll(&mut waits, within.as_ref()).is_ok_and(|ready| ready > 0)
}

#[cfg(target_os = "linux")]
pub(super) mod linux {
    use std::os::fd::OwnedFd;

    use rustix::event::{EventfdFlags, epoll, eventfd};
    use rustix::io::{retry_on_intr, write};

    use super::*;

    const CALLED: u64 = 0;
    const TO_LISTEN: u64 = 1;

    /// Nothing more comes over the socket.
    const ENDS: epoll::EventFlags = epoll::EventFlags::RDHUP.union(epoll::EventFlags::HUP);

    /// Each change wakes one of the threads that wait, or the next that would.
    pub(in super::super) struct Bell {
        changes: OwnedFd,
        rung: OwnedFd,
    }

    impl Bell {
        pub(in super::super) fn new() -> io::Result<Bell> {
            let changes = epoll::create(epoll::CreateFlags::CLOEXEC)?;
            let rung = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
            let bell = Bell { changes, rung };
            bell.add(&bell.rung, CALLED)?;
            Ok(bell)
        }

        pub(in super::super) fn listen(&self, socket: &impl AsFd) -> io::Result<()> {
            self.add(socket, TO_LISTEN)
        }

        fn add(&self, to: &impl AsFd, what: u64) -> io::Result<()> {
            // Told of changes only, the kernel has no reason to wake a second thread while the
            // first is on its way. Nobody needs to read how often the bell was rung.
            let flags = epoll::EventFlags::IN | epoll::EventFlags::ET | ENDS;
            Ok(epoll::add(&self.changes, to, epoll::EventData::new_u64(what), flags)?)
        }

        pub(in super::super) fn ring(&self) {
            // It can't fail: the count has room for more than anybody lives to ring.
            let _ = write(&self.rung, &1u64.to_ne_bytes());
        }

        pub(in super::super) fn wait(&self) -> Woken {
            let mut event = [epoll::Event {
                flags: epoll::EventFlags::empty(),
                data: epoll::EventData::new_u64(CALLED),
            }];
            // It can't fail otherwise. If it did, each thread would look around without end.
            let _ = retry_on_intr(|| epoll::wait(&self.changes, &mut event, None));
            match event[0].data.u64() {
                TO_LISTEN => Woken::ToListen { ends: { event[0].flags }.intersects(ENDS) },
                _ => Woken::Called,
            }
        }
    }
}

/// Where the system can't choose one of several threads, all of them come.
#[cfg(any(test, not(target_os = "linux")))]
pub(super) mod others {
    use std::os::fd::OwnedFd;
    use std::os::unix::net::UnixStream;
    use std::sync::OnceLock;

    use rustix::io::{read, write};

    use super::*;

    pub(in super::super) struct Bell {
        rings: UnixStream,
        rung: UnixStream,
        socket: OnceLock<OwnedFd>,
    }

    impl Bell {
        pub(in super::super) fn new() -> io::Result<Bell> {
            let (rings, rung) = UnixStream::pair()?;
            rings.set_nonblocking(true)?;
            rung.set_nonblocking(true)?;
            Ok(Bell { rings, rung, socket: OnceLock::new() })
        }

        pub(in super::super) fn listen(&self, socket: &impl AsFd) -> io::Result<()> {
            let socket = socket.as_fd().try_clone_to_owned()?;
            self.socket.get_or_init(|| socket);
            // Those that wait already don't know of it.
            self.ring();
            Ok(())
        }

        pub(in super::super) fn ring(&self) {
            // If it is full, there is enough to wake everybody.
            let _ = write(&self.rings, &[1]);
        }

        pub(in super::super) fn wait(&self) -> Woken {
            let rung = || PollFd::new(&self.rung, PollFlags::IN);
            let (mut one, mut both);
            let waits: &mut [PollFd<'_>] = match self.socket.get() {
                None => {
                    one = [rung()];
                    &mut one
                }
                Some(socket) => {
                    both = [rung(), PollFd::new(socket, PollFlags::IN)];
                    &mut both
                }
            };
            // If it fails, because a signal came, say, the thread looks around once more.
            let _ = poll(waits, None);
            if waits[1..].iter().any(|socket| !socket.revents().is_empty()) {
                // It is told of again for as long as anything is left.
                return Woken::ToListen { ends: false };
            }
            let _ = read(&self.rung, &mut [0; 1]);
            Woken::Called
        }
    }
}
