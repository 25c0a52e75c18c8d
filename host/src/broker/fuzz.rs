//! Lets `tests/fuzz` reach what is private here. In no other build.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use futures_io::AsyncRead;
use lapin::BasicProperties;

use super::message::{self, Note, Room};
use super::wire::{self, Mended};
use crate::outcome::Status;
use crate::task::{Envelope, Refused, ReplyAddress, Task, TaskId, TenantName};

/// A stream of the broker's that comes in pieces of so many bytes.
struct Pieces<'a>(&'a [u8], usize);

impl AsyncRead for Pieces<'_> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        into: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let (piece, rest) = self.0.split_at(self.1.min(into.len()).min(self.0.len()));
        into[..piece.len()].copy_from_slice(piece);
        self.0 = rest;
        Poll::Ready(Ok(piece.len()))
    }
}

/// How long frames may be, in bytes.
pub const FRAME: u32 = 8192;

/// What lapin gets to read of `stream`.
pub fn mended(stream: &[u8], piece: usize) -> Vec<u8> {
    let mut mended = Mended::new(Pieces(stream, piece), FRAME);
    let (mut read, mut buffer) = (Vec::new(), [0; 512]);
    let mut context = Context::from_waker(Waker::noop());
    while let Poll::Ready(Ok(count @ 1..)) =
        Pin::new(&mut mended).poll_read(&mut context, &mut buffer)
    {
        read.extend_from_slice(&buffer[..count]);
    }
    read
}

/// Mends a content header, and says whether it could be followed to its end.
pub fn mend_header(payload: &mut [u8]) -> bool {
    wire::mend_header(payload).is_some()
}

/// What a message asks for.
pub fn task(
    body: &[u8],
    properties: &BasicProperties,
    tenant: &TenantName,
    queue: &Arc<str>,
    limit: u64,
) -> Result<Task, Box<Refused>> {
    message::task(body, properties, tenant, queue, limit)
}

/// The properties of a dead letter.
pub fn dead_letter(original: &BasicProperties, status: Status, reason: &str) -> BasicProperties {
    let note = Note { status, reason, node: "node", queue: "queue" };
    message::dead_letter(original, &note, Room::of_frame(FRAME))
}

/// The properties of a message that is tried again.
pub fn retry(original: &BasicProperties, envelope: &Envelope) -> BasicProperties {
    message::retry(original, envelope, Room::of_frame(FRAME))
}

/// The properties of a reply.
pub fn reply(id: &TaskId, to: &ReplyAddress) -> BasicProperties {
    message::reply(id, to)
}
