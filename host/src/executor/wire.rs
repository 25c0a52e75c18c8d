//! What a daemon and its executor say to each other: frames of a length and a message,
//! over a socket pair. The daemon takes nothing that it reads here on trust.
//!
//! A frame is the length of its body in four bytes, the least first, then the body: a
//! message in postcard.

use std::io;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tokio::io::{AsyncRead, AsyncReadExt};

use super::lockdown::Walls;
use crate::config::Limits;
use crate::outcome::{Exception, Outcome, Report, TimeLimit, Usage};
use crate::sandbox::{Job, MAX_MESSAGE_BYTES};

/// Version of these messages. Both ends are of one binary; a version that differs means
/// that they are not.
pub(super) const VERSION: u32 = 2;

/// Room in a message for all but what the limits bound.
const OVERHEAD: u64 = 64 << 10;

/// Room for what is read at once, in bytes, at least.
const BUFFER: usize = 64 << 10;

/// One run of a job, as the daemon numbers it. No number is used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) struct RunId(pub(super) u64);

/// Daemon to executor.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum ToExecutor {
    /// The first message.
    Hello(Hello),
    /// Run a job.
    Run(RunId, Box<Job>),
    /// End a run before its time.
    Stop(RunId),
    /// The answer to the open call of a run: an encoded [`roh_abi::Answer`].
    Answer(RunId, #[serde(with = "serde_bytes")] Vec<u8>),
}

/// What an executor needs to know before it enters its room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Hello {
    /// The daemon's [`VERSION`].
    pub(super) version: u32,
    /// Threads to compute on.
    pub(super) threads: u32,
    /// Instances at once.
    pub(super) instances: u32,
    /// Memory of each at most, in bytes.
    pub(super) memory: u64,
    /// Script images that are kept, in bytes.
    pub(super) script_images: u64,
}

/// Executor to daemon.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum FromExecutor {
    /// The first message: it takes jobs, within these walls.
    Ready { version: u32, walls: Walls },
    /// The first message, and the last: it can't be set up.
    Failed(String),
    /// A run's script asks for something: an encoded [`roh_abi::Request`]. It waits for the
    /// answer before it asks again.
    Call(RunId, #[serde(with = "serde_bytes")] Vec<u8>),
    /// A run is over.
    Ended(RunId, Box<Ended>),
}

/// A [`Report`], as an executor claims it.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Ended {
    how: How,
    stdout: String,
    stderr: String,
    cpu: Duration,
    wall: Duration,
    memory_bytes: u64,
    output_bytes: u64,
    host_calls: u32,
}

#[derive(Debug, Serialize, Deserialize)]
enum How {
    Succeeded(String),
    Failed { kind: String, message: String, traceback: String },
    Timeout(TimeLimit),
    OutOfMemory,
    Stopped,
    Crashed(String),
    Invalid(String),
}

/// The executor broke the rules: it is not what was started.
#[derive(Debug, thiserror::Error)]
pub(super) enum Breach {
    #[error("a frame of {0} bytes, more than there can be")]
    TooLong(u64),
    #[error("a message that can't be decoded")]
    Undecodable,
    #[error("version {0} of the wire")]
    Version(u32),
    #[error("a message out of turn")]
    OutOfTurn,
    #[error("word of a run that it does not have")]
    NotItsRun,
    #[error("a report beyond the limits: {0}")]
    BeyondLimits(&'static str),
}

/// Why there is no next message.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReadError {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error(transparent)]
    Breach(#[from] Breach),
}

/// A message as a whole frame.
pub(super) fn frame<M: Serialize>(message: &M) -> Vec<u8> {
    let frame = postcard::to_extend(message, vec![0; 4]).expect("plain data in memory");
    let mut frame: Vec<u8> = frame;
    // Above this, reading fails as it would for any frame that is too long.
    let len = u32::try_from(frame.len() - 4).unwrap_or(u32::MAX);
    frame[..4].copy_from_slice(&len.to_le_bytes());
    frame
}

/// What came over a socket, to be taken out as messages. It takes up memory for what came,
/// not for what was announced.
#[derive(Debug, Default)]
pub(super) struct Frames {
    bytes: Vec<u8>,
    /// How many of them were taken out.
    taken: usize,
}

impl Frames {
    /// The next message, of `limit` bytes at most, if all of it has come.
    pub(super) fn next<M: DeserializeOwned>(&mut self, limit: u64) -> Result<Option<M>, Breach> {
        let Some((len, rest)) = self.bytes[self.taken..].split_first_chunk() else {
            return Ok(None);
        };
        let len = u32::from_le_bytes(*len);
        if u64::from(len) > limit {
            return Err(Breach::TooLong(len.into()));
        }
        let Some(body) = rest.get(..len as usize) else { return Ok(None) };
        let message = match postcard::take_from_bytes(body) {
            Ok((message, [])) => message,
            _ => return Err(Breach::Undecodable),
        };
        self.taken += size_of_val(&len) + body.len();
        Ok(Some(message))
    }

    /// Takes in what one call of `read` adds, which says how many bytes that were: none at the
    /// end, which must not be within a frame. Whether it was not the end.
    pub(super) fn read(
        &mut self,
        read: impl FnOnce(&mut Vec<u8>) -> io::Result<usize>,
    ) -> io::Result<bool> {
        self.make_room();
        let came = read(&mut self.bytes)?;
        self.goes_on(came)
    }

    /// Whether all the room was taken up by what came: there may be more.
    pub(super) fn is_full(&self) -> bool {
        self.bytes.len() == self.bytes.capacity()
    }

    /// The next message, as [`Frames::next`], once it has come; `None` at the end. Not
    /// cancel-safe where `from` is not.
    pub(super) async fn receive<M: DeserializeOwned>(
        &mut self,
        from: &mut (impl AsyncRead + Unpin),
        limit: u64,
    ) -> Result<Option<M>, ReadError> {
        loop {
            if let Some(message) = self.next(limit)? {
                return Ok(Some(message));
            }
            self.make_room();
            let came = from.read_buf(&mut self.bytes).await?;
            if !self.goes_on(came)? {
                return Ok(None);
            }
        }
    }

    fn goes_on(&self, came: usize) -> io::Result<bool> {
        if came == 0 && self.bytes.len() > self.taken {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(came > 0)
    }

    fn make_room(&mut self) {
        if self.taken == self.bytes.len() && self.bytes.capacity() > 2 * BUFFER {
            // A long message must not take up its memory for good.
            self.bytes = Vec::new();
        } else {
            self.bytes.drain(..self.taken);
        }
        self.taken = 0;
        self.bytes.reserve(BUFFER);
    }
}

/// How many messages can wait to be written to an executor that keeps to the rules, and by
/// it: for each instance the end of a run and the answer to its call, and the next run with
/// its end. That one has no call open before all of them were read.
pub(super) fn unwritten(instances: u32) -> usize {
    4 * (instances as usize).max(1)
}

/// The longest message of an executor whose jobs have these limits.
pub(super) fn longest_message(limits: &[Limits]) -> u64 {
    let of = |limits: &Limits| {
        // A byte that is not UTF-8 becomes a character of three.
        let report = limits.result.saturating_add(limits.output.saturating_mul(6));
        report.saturating_add(4 * MAX_MESSAGE_BYTES as u64).max(limits.call_bytes)
    };
    limits.iter().map(of).max().unwrap_or(0).saturating_add(OVERHEAD)
}

impl Ended {
    pub(super) fn new(report: Report) -> Ended {
        let Report { outcome, stdout, stderr, usage } = report;
        let how = match outcome {
            Outcome::Succeeded(value) => How::Succeeded(String::from(Box::<str>::from(value))),
            Outcome::Failed(Exception { kind, message, traceback }) => {
                How::Failed { kind, message, traceback }
            }
            Outcome::Timeout(limit, _) => How::Timeout(limit),
            Outcome::OutOfMemory(_) => How::OutOfMemory,
            Outcome::Stopped => How::Stopped,
            Outcome::Crashed(why) => How::Crashed(why),
            Outcome::Invalid(why) => How::Invalid(why),
        };
        Ended {
            how,
            stdout,
            stderr,
            cpu: usage.cpu,
            wall: usage.wall,
            memory_bytes: usage.memory_bytes,
            output_bytes: usage.output_bytes,
            host_calls: usage.host_calls,
        }
    }

    /// The report, if it is one that a job with these `limits` can have after `wall`.
    pub(super) fn check(self, limits: &Limits, wall: Duration) -> Result<Report, Breach> {
        let printed = limits.output.saturating_mul(3);
        if self.stdout.len() as u64 > printed || self.stderr.len() as u64 > printed {
            return Err(Breach::BeyondLimits("output"));
        }
        let text = |text: String| {
            // Cut at a character, with three dots for what is missing.
            if text.len() > MAX_MESSAGE_BYTES + '…'.len_utf8() {
                return Err(Breach::BeyondLimits("a text"));
            }
            Ok(text)
        };
        let outcome = match self.how {
            How::Succeeded(json) if json.len() as u64 > limits.result => {
                return Err(Breach::BeyondLimits("the result"));
            }
            How::Succeeded(json) => match RawValue::from_string(json) {
                Ok(value) => Outcome::Succeeded(value),
                Err(_) => return Err(Breach::BeyondLimits("the result is no JSON")),
            },
            How::Failed { kind, message, traceback } => Outcome::Failed(Exception {
                kind: text(kind)?,
                message: text(message)?,
                traceback: text(traceback)?,
            }),
            How::Timeout(limit) => Outcome::timeout(limit, limits),
            How::OutOfMemory => Outcome::OutOfMemory(limits.memory),
            How::Stopped => Outcome::Stopped,
            How::Crashed(why) => Outcome::Crashed(text(why)?),
            How::Invalid(why) => Outcome::Invalid(text(why)?),
        };
        Ok(Report {
            outcome,
            stdout: self.stdout,
            stderr: self.stderr,
            usage: Usage {
                // One instance has one thread at a time.
                cpu: self.cpu.min(wall),
                wall: self.wall.min(wall),
                memory_bytes: self.memory_bytes.min(limits.memory),
                output_bytes: self.output_bytes,
                host_calls: self.host_calls,
                ..Usage::default()
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits() -> Limits {
        Limits { output: 4, result: 4, ..Limits::default() }
    }

    fn check(outcome: Outcome, stdout: &str) -> Result<Report, Breach> {
        let stdout = stdout.to_owned();
        let report = Report { stdout, ..Report::not_run(outcome) };
        let frame = frame(&Ended::new(report));
        let ended: Ended = postcard::from_bytes(&frame[4..]).expect("what was written");
        ended.check(&limits(), Duration::from_secs(1))
    }

    fn value(json: &str) -> Outcome {
        Outcome::Succeeded(RawValue::from_string(json.to_owned()).expect("JSON"))
    }

    #[test]
    fn a_report_comes_through_unless_it_is_beyond_the_limits() {
        let report = check(value("1234"), "abcd").expect("within");
        assert!(matches!(&report.outcome, Outcome::Succeeded(json) if json.get() == "1234"));
        assert_eq!(report.stdout, "abcd");
        assert!(matches!(check(value("12345"), ""), Err(Breach::BeyondLimits(_))));
        assert!(matches!(check(value("1"), "0123456789abc"), Err(Breach::BeyondLimits(_))));
        let long = "x".repeat(MAX_MESSAGE_BYTES + 4);
        assert!(matches!(check(Outcome::Crashed(long), ""), Err(Breach::BeyondLimits(_))));
    }

    #[test]
    fn a_result_that_is_no_json_is_a_breach() {
        let ended =
            Ended { how: How::Succeeded("}{".into()), ..Ended::new(Report::not_run(value("1"))) };
        let checked = ended.check(&limits(), Duration::ZERO);
        assert!(matches!(checked, Err(Breach::BeyondLimits(_))));
    }

    #[test]
    fn usage_is_no_more_than_it_can_be() {
        let ended = Ended {
            cpu: Duration::MAX,
            wall: Duration::MAX,
            memory_bytes: u64::MAX,
            ..Ended::new(Report::not_run(Outcome::Stopped))
        };
        let usage = ended.check(&limits(), Duration::from_secs(2)).expect("a report").usage;
        assert_eq!((usage.cpu, usage.wall), (Duration::from_secs(2), Duration::from_secs(2)));
        assert_eq!(usage.memory_bytes, limits().memory);
    }

    #[tokio::test]
    async fn takes_out_whole_frames_and_nothing_else() {
        let whole = [frame(&RunId(1)), frame(&RunId(2))].concat();
        let (mut frames, mut from) = (Frames::default(), whole.as_slice());
        for message in [Some(RunId(1)), Some(RunId(2)), None] {
            assert_eq!(frames.receive::<RunId>(&mut from, 100).await.expect("whole"), message);
        }
        for (bytes, what) in [
            (&[5, 0, 0, 0, 1][..], "cut short"),
            (&[5, 0, 0], "cut shorter"),
            (&[2, 0, 0, 0, 1, 1], "more than a message"),
            (&[0, 0, 0, 0], "less than a message"),
            (&[255, 255, 255, 255, 1], "too long"),
        ] {
            let mut from = bytes;
            let message = Frames::default().receive::<RunId>(&mut from, 100).await;
            assert!(message.is_err(), "{what}");
        }
    }

    #[test]
    fn frames_may_come_in_any_pieces_and_leave_no_room_behind() {
        let long = vec![7u8; 1 << 20];
        let whole = [frame(&RunId(1)), frame(&long), frame(&RunId(2))].concat();
        let mut frames = Frames::default();
        let mut pieces = [1, 4, 10_000, 300_000, usize::MAX].into_iter().cycle();
        let (mut rest, mut came) = (whole.as_slice(), Vec::new());
        while !rest.is_empty() {
            let piece = pieces.next().expect("endless").min(rest.len());
            let read = |bytes: &mut Vec<u8>| {
                let room = bytes.capacity() - bytes.len();
                let now;
                (now, rest) = rest.split_at(piece.min(room));
                bytes.extend_from_slice(now);
                Ok(now.len())
            };
            frames.read(read).expect("no end");
            // What is announced is not yet made room for.
            assert!(frames.bytes.capacity() <= 2 * (frames.bytes.len() + BUFFER));
            if came.len() == 1 {
                came.extend(frames.next::<Vec<u8>>(u64::MAX).expect("whole").map(Some));
            }
            if came.len() != 1 {
                let next = frames.next::<RunId>(100).expect("whole");
                came.extend(next.map(|_| None));
            }
        }
        assert_eq!(came, [None, Some(long), None]);
        assert!(!frames.read(|_| Ok(0)).expect("no frame is begun"));
        assert!(frames.bytes.capacity() <= 2 * BUFFER);
    }
}
