//! What the host keeps for one instance while it lives: its limits, what it printed,
//! and why it was interrupted.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use wasmtime::{Memory, ResourceLimiter, UpdateDeadline};

use roh_abi::{Answer, RefusalKind};

use super::guest::Addresses;
use super::meter::Meter;
use super::scripts::Loading;
use super::{Calls, NoCalls};
use crate::config::Limits;
use crate::outcome::TimeLimit;

/// Longest panic message kept, in bytes.
pub(super) const MAX_PANIC_BYTES: usize = 4096;

/// The data in an instance's store.
pub(super) struct Instance {
    /// Answers what the script asks for.
    pub(super) calls: Arc<dyn Calls>,
    pub(super) meter: Arc<Meter>,
    pub(super) stdout: Capture,
    pub(super) stderr: Capture,
    pub(super) memory_limit: MemoryLimit,
    /// Cancelled when the task is to end before its time.
    pub(super) stop: CancellationToken,
    /// The guest's memory; `None` only while it is being instantiated.
    pub(super) memory: Option<Memory>,
    /// The answer to the guest's last request, encoded.
    pub(super) answer: Vec<u8>,
    /// What the guest said when it panicked.
    pub(super) panic: Option<String>,
    pub(super) started: Instant,
    /// What the guest's monotonic clock showed then.
    pub(super) clock: Duration,
    pub(super) addresses: Addresses,
    /// The limit that the guest was told to be near.
    pub(super) rung: Option<TimeLimit>,
    /// What goes on while the script's top level runs; `None` once it has.
    pub(super) loading: Option<Loading>,
    /// Requests so far.
    pub(super) calls_made: u32,
    /// Bytes of requests and answers so far.
    call_bytes: u64,
    limits: Limits,
}

/// Why the host ended an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Interrupt {
    #[error("cpu limit reached")]
    Cpu,
    #[error("wall limit reached")]
    Wall,
    #[error("stopped")]
    Stop,
    #[error("the script ended its process with code {0}")]
    Exit(i32),
}

impl Instance {
    pub(super) fn new(calls: Arc<dyn Calls>, limits: &Limits, stop: CancellationToken) -> Instance {
        Instance {
            calls,
            meter: Arc::new(Meter::new()),
            stdout: Capture::new(limits.output),
            stderr: Capture::new(limits.output),
            memory_limit: MemoryLimit::new(limits.memory),
            stop,
            memory: None,
            answer: Vec::new(),
            panic: None,
            started: Instant::now(),
            clock: Duration::ZERO,
            addresses: Addresses::default(),
            rung: None,
            loading: None,
            calls_made: 0,
            call_bytes: 0,
            limits: *limits,
        }
    }

    /// Of an instance that has no task.
    pub(super) fn idle() -> Instance {
        Instance::new(Arc::new(NoCalls), &Limits::default(), CancellationToken::new())
    }

    /// What the guest's monotonic clock shows.
    pub(super) fn monotonic(&self) -> Duration {
        self.clock.saturating_add(self.started.elapsed())
    }

    /// When the wall limit ends it; `None` if that is too far off to matter.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.started.checked_add(self.limits.wall)
    }

    /// When the alarm rings for the wall limit, if there is one that has not rung.
    pub(super) fn alarm_time(&self) -> Option<Instant> {
        let silent = self.addresses.alarm.is_some() && self.rung.is_none();
        silent.then(|| self.started.checked_add(before(self.limits.wall))).flatten()
    }

    /// The limit that is near, if the alarm has not rung yet.
    pub(super) fn near_limit(&self) -> Option<TimeLimit> {
        if self.rung.is_some() {
            None
        } else if self.meter.cpu() >= before(self.limits.cpu) {
            Some(TimeLimit::Cpu)
        } else if self.started.elapsed() >= before(self.limits.wall) {
            Some(TimeLimit::Wall)
        } else {
            None
        }
    }

    /// Counts a request of that many bytes, unless that is more than the task may ask.
    pub(super) fn count_call(&mut self, bytes: usize) -> Result<(), Answer> {
        if self.calls_made >= self.limits.calls {
            let message =
                format!("the task's limit of {} host calls is reached", self.limits.calls);
            return Err(Answer::refused(RefusalKind::Limit, message));
        }
        self.calls_made += 1;
        self.count_answer(bytes)
    }

    /// Counts an answer of that many bytes.
    pub(super) fn count_answer(&mut self, bytes: usize) -> Result<(), Answer> {
        self.call_bytes = self.call_bytes.saturating_add(bytes as u64);
        if self.call_bytes > self.limits.call_bytes {
            let limit = bytesize::ByteSize(self.limits.call_bytes).display().iec().to_string();
            let message = format!("the task's limit of {limit} in host calls is reached");
            return Err(Answer::refused(RefusalKind::Limit, message));
        }
        Ok(())
    }

    /// Whether it panicked over more memory than can be asked for.
    pub(super) fn asked_for_too_much(&self) -> bool {
        self.panic.as_ref().is_some_and(|panic| panic.contains("capacity overflow"))
    }

    /// Called at the end of each time slice: whether it may go on.
    pub(super) fn end_slice(&self) -> Result<UpdateDeadline, Interrupt> {
        if self.stop.is_cancelled() {
            Err(Interrupt::Stop)
        } else if self.meter.cpu() >= self.limits.cpu {
            Err(Interrupt::Cpu)
        } else if self.started.elapsed() >= self.limits.wall {
            Err(Interrupt::Wall)
        } else {
            // Whoever's turn it is goes first, then one more slice.
            self.meter.yields();
            Ok(UpdateDeadline::Yield(1))
        }
    }
}

/// When the alarm rings for a limit: early enough for a script to clean up.
fn before(limit: Duration) -> Duration {
    const LONGEST_MARGIN: Duration = Duration::from_millis(250);
    limit - (limit / 10).min(LONGEST_MARGIN)
}

/// Bytes that the guest wrote, up to a limit; the rest is dropped.
pub(super) struct Capture {
    bytes: Vec<u8>,
    limit: usize,
    /// All that was written, whether it was kept or not.
    written: u64,
}

impl Capture {
    fn new(limit: u64) -> Capture {
        Capture {
            bytes: Vec::new(),
            limit: usize::try_from(limit).unwrap_or(usize::MAX),
            written: 0,
        }
    }

    pub(super) fn write(&mut self, bytes: &[u8]) {
        self.written = self.written.saturating_add(bytes.len() as u64);
        let room = self.limit - self.bytes.len();
        self.bytes.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    /// Bytes that were written, whether they were kept or not.
    pub(super) fn written(&self) -> u64 {
        self.written
    }

    /// All that was written, if it was all kept.
    pub(super) fn whole(&self) -> Option<&[u8]> {
        (self.written == self.bytes.len() as u64).then_some(&self.bytes)
    }

    /// As text: a character that the limit cut in two is left out, and what is not
    /// UTF-8 is replaced.
    pub(super) fn take(&mut self) -> String {
        let mut bytes = std::mem::take(&mut self.bytes);
        if bytes.len() == self.limit {
            let cut = match std::str::from_utf8(&bytes) {
                Err(error) if error.error_len().is_none() => error.valid_up_to(),
                _ => bytes.len(),
            };
            bytes.truncate(cut);
        }
        String::from_utf8(bytes)
            .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
    }
}

/// Holds an instance's memory under its limit, and remembers that it was reached.
pub(super) struct MemoryLimit {
    bytes: u64,
    reached: bool,
}

impl MemoryLimit {
    fn new(bytes: u64) -> MemoryLimit {
        MemoryLimit { bytes, reached: false }
    }

    /// Whether the guest asked for more than it may have.
    pub(super) fn reached(&self) -> bool {
        self.reached
    }
}

impl ResourceLimiter for MemoryLimit {
    fn memory_growing(
        &mut self,
        _current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let allowed =
            desired as u64 <= self.bytes && maximum.is_none_or(|maximum| desired <= maximum);
        self.reached |= !allowed;
        Ok(allowed)
    }

    fn table_growing(
        &mut self,
        current: usize,
        _desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        // The guest's table has its size from the start on.
        Ok(current == 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn captures_up_to_its_limit_and_cuts_no_character() {
        let mut capture = Capture::new(4);
        capture.write(b"ab");
        capture.write("é!".as_bytes());
        assert_eq!(capture.take(), "abé");
        let mut capture = Capture::new(3);
        capture.write("abé".as_bytes());
        capture.write(b"more");
        assert_eq!(capture.take(), "ab");
        let mut capture = Capture::new(100);
        capture.write(b"a\xffb");
        assert_eq!(capture.take(), "a\u{fffd}b");
    }
}
