//! What the host keeps for one instance while it lives: its limits, what it printed,
//! and why it was interrupted.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use wasmtime::{Memory, ResourceLimiter, UpdateDeadline};

use super::meter::Meter;
use super::scripts::Scripts;
use crate::config::Limits;
use crate::task::TenantName;

/// Longest panic message kept, in bytes.
pub(super) const MAX_PANIC_BYTES: usize = 4096;

/// The data in an instance's store.
pub(super) struct Instance {
    pub(super) tenant: TenantName,
    pub(super) scripts: Arc<Scripts>,
    pub(super) meter: Arc<Meter>,
    pub(super) stdout: Capture,
    pub(super) stderr: Capture,
    pub(super) memory_limit: MemoryLimit,
    /// Cancelled when the task is to end before its time.
    pub(super) stop: CancellationToken,
    /// The guest's memory; `None` only while it is being instantiated.
    pub(super) memory: Option<Memory>,
    /// The answer to the guest's last look-up of a module, encoded.
    pub(super) answer: Vec<u8>,
    /// What the guest said when it panicked.
    pub(super) panic: Option<String>,
    pub(super) started: Instant,
    cpu_limit: Duration,
    wall_limit: Duration,
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
    pub(super) fn new(
        tenant: TenantName,
        scripts: Arc<Scripts>,
        limits: &Limits,
        stop: CancellationToken,
    ) -> Instance {
        Instance {
            tenant,
            scripts,
            meter: Arc::new(Meter::new()),
            stdout: Capture::new(limits.output),
            stderr: Capture::new(limits.output),
            memory_limit: MemoryLimit::new(limits.memory),
            stop,
            memory: None,
            answer: Vec::new(),
            panic: None,
            started: Instant::now(),
            cpu_limit: limits.cpu,
            wall_limit: limits.wall,
        }
    }

    /// When the wall limit ends it; `None` if that is too far off to matter.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.started.checked_add(self.wall_limit)
    }

    /// Called at the end of each time slice: whether it may go on.
    pub(super) fn end_slice(&self) -> Result<UpdateDeadline, Interrupt> {
        if self.stop.is_cancelled() {
            Err(Interrupt::Stop)
        } else if self.meter.cpu() >= self.cpu_limit {
            Err(Interrupt::Cpu)
        } else if self.started.elapsed() >= self.wall_limit {
            Err(Interrupt::Wall)
        } else {
            // The others on this core go first, then one more slice.
            Ok(UpdateDeadline::Yield(1))
        }
    }
}

/// Bytes that the guest wrote, up to a limit; the rest is dropped.
pub(super) struct Capture {
    bytes: Vec<u8>,
    limit: usize,
}

impl Capture {
    fn new(limit: u64) -> Capture {
        Capture { bytes: Vec::new(), limit: usize::try_from(limit).unwrap_or(usize::MAX) }
    }

    pub(super) fn write(&mut self, bytes: &[u8]) {
        let room = self.limit - self.bytes.len();
        self.bytes.extend_from_slice(&bytes[..bytes.len().min(room)]);
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
