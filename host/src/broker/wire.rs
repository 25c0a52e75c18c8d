//! Stands between the socket and lapin, and mends message properties that lapin can't
//! read: it takes text that is not UTF-8 for a broken connection, and follows nested
//! headers to the end of its stack. Any client can send either, by mistake even (an id
//! from `uuid.bytes`), and the message would come again in each new session. So it would if
//! its headers made a frame longer than was agreed on, which RabbitMQ does not look at.
//!
//! Changes bytes in place, never their number, but for headers that are too long: those are left
//! out. Knows frames, the method that says how long they may be, the one that delivers a message,
//! and the header of its content; nothing of other methods, or of bodies.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_io::{AsyncRead, AsyncWrite};

/// Stands for each byte that is not UTF-8. No property has it otherwise.
pub(super) const SUBSTITUTE: char = '\u{1a}';

/// Deeper headers are left as bytes.
const MAX_DEPTH: usize = 16;
/// Bytes read at a time.
const CHUNK: usize = 64 << 10;

/// A stream from the broker whose content headers can be read.
pub(super) struct Mended<S> {
    stream: S,
    mender: Mender,
    chunk: Vec<u8>,
    /// Where the bytes begin that lapin has not taken yet.
    taken: usize,
}

impl<S> Mended<S> {
    /// Content headers are made to fit frames of `longest` bytes, or of what the broker says if that
    /// is less. Zero says that there is no limit.
    pub(super) fn new(stream: S, longest: u32) -> Mended<S> {
        Mended { stream, mender: Mender::new(longest), chunk: vec![0; CHUNK], taken: 0 }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Mended<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        while this.taken == this.mender.ready.len() {
            this.mender.ready.clear();
            this.taken = 0;
            let read = ready!(Pin::new(&mut this.stream).poll_read(cx, &mut this.chunk))?;
            if read == 0 {
                return Poll::Ready(Ok(0));
            }
            this.mender.push(&this.chunk[..read]);
        }
        let ready = &this.mender.ready[this.taken..];
        let count = ready.len().min(into.len());
        into[..count].copy_from_slice(&ready[..count]);
        this.taken += count;
        Poll::Ready(Ok(count))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Mended<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write_vectored(cx, slices)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_close(cx)
    }
}

/// Kind, channel and size: what each frame begins with.
const FRAME_PREFIX: usize = 7;
/// The frame that holds a method.
const METHOD: u8 = 1;
/// The frame that holds a message's properties.
const CONTENT_HEADER: u8 = 2;
/// Bodies and heartbeats. Any other kind is not AMQP, and lapin's to refuse.
const UNTOUCHED: [u8; 2] = [3, 8];
/// Class and method of `basic.deliver`.
const BASIC_DELIVER: [u8; 4] = [0, 60, 0, 60];
/// Those of `connection.tune`, and the maximum of channels; the frames' follows.
const CONNECTION_TUNE: ([u8; 4], usize) = ([0, 10, 0, 30], 2);
/// Class, weight and body size: what a content header begins with.
const OF_CONTENT: usize = 12;
/// What a content header may hold before its headers: what it is of, flags and two short strings; and
/// their length.
const BEFORE_HEADERS: usize = OF_CONTENT + 2 + 2 * 256 + 4;
/// And after them, with what ends a frame.
const MOST_AFTER_HEADERS: usize = 8 * 256 + 1 + 1 + 8 + 1;
/// Stands for headers that are too long: [`HEADERS_LEFT_OUT`] with the value true.
const LEFT_OUT: &[u8] = b"\0\0\0\x19\x16x-roh-headers-left-outt\x01";

/// The header of messages whose headers were too long for us, or for what is published of them.
pub(super) const HEADERS_LEFT_OUT: &str = "x-roh-headers-left-out";

/// Cuts a stream of bytes into frames, and mends methods and content headers.
struct Mender {
    /// How long a frame may be, in bytes, its prefix and end included.
    longest: usize,
    /// Bytes of a frame that can't be handed on before more have come.
    held: Vec<u8>,
    /// Bytes to come of headers that are left out of what is held.
    skipping: usize,
    /// Bytes to come of a frame that needs no mending.
    passing: usize,
    ready: Vec<u8>,
}

impl Mender {
    fn new(longest: u32) -> Mender {
        Mender {
            longest: frame_limit(longest),
            held: Vec::new(),
            skipping: 0,
            passing: 0,
            ready: Vec::new(),
        }
    }

    fn push(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            if self.passing > 0 {
                let count = self.passing.min(bytes.len());
                self.ready.extend_from_slice(&bytes[..count]);
                self.passing -= count;
                bytes = &bytes[count..];
                continue;
            }
            if self.skipping > 0 {
                let count = self.skipping.min(bytes.len());
                self.skipping -= count;
                bytes = &bytes[count..];
                continue;
            }
            let count = self.missing().min(bytes.len());
            self.held.extend_from_slice(&bytes[..count]);
            bytes = &bytes[count..];
            if self.missing() == 0 {
                self.release();
            }
        }
    }

    /// Bytes until it is known what to do with those that are held.
    fn missing(&self) -> usize {
        let needed = match self.held.first() {
            Some(&(METHOD | CONTENT_HEADER)) if self.held.len() >= FRAME_PREFIX => {
                if self.is_too_long() { FRAME_PREFIX + BEFORE_HEADERS } else { self.frame_len() }
            }
            _ => FRAME_PREFIX,
        };
        needed - self.held.len()
    }

    /// Whether it is a content header that is longer than agreed on.
    fn is_too_long(&self) -> bool {
        self.held[0] == CONTENT_HEADER && self.frame_len() > self.longest
    }

    /// With the prefix, and the octet that ends each frame.
    fn frame_len(&self) -> usize {
        let size = [self.held[3], self.held[4], self.held[5], self.held[6]];
        FRAME_PREFIX + u32::from_be_bytes(size) as usize + 1
    }

    fn release(&mut self) {
        match self.held[0] {
            METHOD => {
                let payload = &mut self.held[FRAME_PREFIX..];
                match longest_frame(payload) {
                    Some(longest) => self.longest = self.longest.min(frame_limit(longest)),
                    None => mend_method(payload),
                }
            }
            CONTENT_HEADER if self.is_too_long() => {
                match self.leave_headers_out() {
                    // The rest of it is to come.
                    Some(()) => return,
                    // It is lapin's to refuse.
                    None => self.passing = self.frame_len() - self.held.len(),
                }
            }
            CONTENT_HEADER => drop(mend_header(&mut self.held[FRAME_PREFIX..])),
            kind if UNTOUCHED.contains(&kind) => self.passing = self.frame_len() - FRAME_PREFIX,
            _ => self.passing = usize::MAX,
        }
        self.ready.append(&mut self.held);
    }

    /// Takes the headers out of a content header of which [`BEFORE_HEADERS`] bytes are held.
    fn leave_headers_out(&mut self) -> Option<()> {
        let (start, len) = headers(&mut self.held[FRAME_PREFIX..])?;
        let (start, end) = (FRAME_PREFIX + start, FRAME_PREFIX + start + len);
        let after =
            self.frame_len().checked_sub(end).filter(|after| *after <= MOST_AFTER_HEADERS)?;
        let size = u32::try_from(start - FRAME_PREFIX + LEFT_OUT.len() + after - 1).ok()?;
        // A frame that is too long, with so little after them, has more of them than are held.
        self.skipping = end.checked_sub(self.held.len())?;
        self.held.truncate(start);
        self.held.extend_from_slice(LEFT_OUT);
        self.held[FRAME_PREFIX - 4..FRAME_PREFIX].copy_from_slice(&size.to_be_bytes());
        Some(())
    }
}

/// Where in a content header its headers begin, and how many bytes they are, their length included.
fn headers(payload: &mut [u8]) -> Option<(usize, usize)> {
    let all = payload.len();
    let mut cursor = Cursor { rest: payload };
    cursor.take(OF_CONTENT)?;
    let flags = cursor.flags()?;
    for bit in [15, 14] {
        if flags & (1 << bit) != 0 {
            cursor.short_string()?;
        }
    }
    let start = all - cursor.rest.len();
    let len = cursor.u32().filter(|_| flags & (1 << 13) != 0)?;
    Some((start, 4 + len as usize))
}

/// How long frames may be that may have `longest` bytes, if that is not zero. AMQP has a least limit.
pub(super) fn frame_limit(longest: u32) -> usize {
    const LEAST: u32 = 4096;
    if longest == 0 { usize::MAX } else { longest.max(LEAST) as usize }
}

/// How long the broker says that frames may be, if this is where it does.
fn longest_frame(payload: &mut [u8]) -> Option<u32> {
    let mut cursor = Cursor { rest: payload };
    let (method, channels) = CONNECTION_TUNE;
    cursor.take(method.len()).filter(|got| **got == method)?;
    cursor.take(channels)?;
    cursor.u32()
}

/// Mends a delivery as far as it can be followed; lapin refuses the rest.
fn mend_method(payload: &mut [u8]) {
    let mut cursor = Cursor { rest: payload };
    if cursor.take(BASIC_DELIVER.len()).is_some_and(|method| method == BASIC_DELIVER) {
        let _ = cursor.delivery();
    }
}

/// Mends a content header as far as it can be followed; if that is not to its end, lapin
/// refuses the rest.
pub(super) fn mend_header(payload: &mut [u8]) -> Option<()> {
    let mut cursor = Cursor { rest: payload };
    cursor.take(OF_CONTENT).and_then(|_| cursor.properties())
}

/// What a property or a field of a table is made of.
struct Cursor<'a> {
    rest: &'a mut [u8],
}

impl<'a> Cursor<'a> {
    fn take(&mut self, count: usize) -> Option<&'a mut [u8]> {
        if count > self.rest.len() {
            return None;
        }
        let (taken, rest) = std::mem::take(&mut self.rest).split_at_mut(count);
        self.rest = rest;
        Some(taken)
    }

    /// Consumer tag, delivery tag and a flag, exchange, routing key.
    fn delivery(&mut self) -> Option<()> {
        self.short_string()?;
        self.take(8 + 1)?;
        self.short_string()?;
        self.short_string()
    }

    fn properties(&mut self) -> Option<()> {
        let flags = self.flags()?;
        // From the highest bit: content type and encoding, headers, delivery mode,
        // priority, correlation id, reply-to, expiration, message id, timestamp, type,
        // user id, app id, cluster id.
        for bit in (2..16).rev().filter(|bit| flags & (1 << bit) != 0) {
            match bit {
                13 => self.table(0)?,
                12 | 11 => drop(self.take(1)?),
                6 => drop(self.take(8)?),
                _ => self.short_string()?,
            }
        }
        Some(())
    }

    fn flags(&mut self) -> Option<u16> {
        let flags = self.take(2)?;
        Some(u16::from_be_bytes([flags[0], flags[1]]))
    }

    fn short_string(&mut self) -> Option<()> {
        let len = self.take(1)?[0].into();
        make_utf8(self.take(len)?);
        Some(())
    }

    fn table(&mut self, depth: usize) -> Option<()> {
        let mut fields = self.long()?;
        while !fields.rest.is_empty() {
            fields.short_string()?;
            fields.value(depth)?;
        }
        Some(())
    }

    fn value(&mut self, depth: usize) -> Option<()> {
        let kind = &mut self.take(1)?[0];
        match *kind {
            // A byte array looks the same from outside.
            b'A' | b'F' if depth >= MAX_DEPTH => {
                *kind = b'x';
                self.long().map(drop)
            }
            b'A' => {
                let mut values = self.long()?;
                while !values.rest.is_empty() {
                    values.value(depth + 1)?;
                }
                Some(())
            }
            b'F' => self.table(depth + 1),
            b'S' | b'x' => self.long().map(drop),
            b't' | b'b' | b'B' => self.take(1).map(drop),
            b's' | b'U' | b'u' => self.take(2).map(drop),
            b'I' | b'i' | b'f' => self.take(4).map(drop),
            b'D' => self.take(5).map(drop),
            b'L' | b'l' | b'd' | b'T' => self.take(8).map(drop),
            b'V' => Some(()),
            _ => None,
        }
    }

    /// What comes after its length in four bytes.
    fn long(&mut self) -> Option<Cursor<'a>> {
        let len = self.u32()?;
        self.take(len as usize).map(|rest| Cursor { rest })
    }

    fn u32(&mut self) -> Option<u32> {
        let bytes = self.take(4)?;
        Some(u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
    }
}

fn make_utf8(text: &mut [u8]) {
    let mut from = 0;
    while let Err(error) = std::str::from_utf8(&text[from..]) {
        let start = from + error.valid_up_to();
        let end = error.error_len().map_or(text.len(), |len| start + len);
        text[start..end].fill(SUBSTITUTE as u8);
        from = end;
    }
}

#[cfg(test)]
mod tests {
    use lapin::protocol::basic::parse_properties;
    use lapin::types::AMQPValue;

    use super::*;

    fn frame(kind: u8, payload: &[u8]) -> Vec<u8> {
        let mut frame = vec![kind, 0, 1];
        frame.extend(u32::try_from(payload.len()).expect("short").to_be_bytes());
        frame.extend(payload);
        frame.push(0xce);
        frame
    }

    /// A content header with these headers and this message id.
    fn header(table: &[u8], id: &[u8]) -> Vec<u8> {
        let mut payload = vec![0, 60, 0, 0, 0, 0, 0, 0, 0, 0, 0, 5];
        payload.extend(0b0010_0000_1000_0000_u16.to_be_bytes());
        payload.extend(u32::try_from(table.len()).expect("short").to_be_bytes());
        payload.extend(table);
        payload.push(u8::try_from(id.len()).expect("short"));
        payload.extend(id);
        frame(CONTENT_HEADER, &payload)
    }

    const LONGEST: u32 = 8192;

    fn mended(bytes: &[u8], step: usize) -> Vec<u8> {
        let mut mender = Mender::new(LONGEST);
        bytes.chunks(step).for_each(|chunk| mender.push(chunk));
        assert!(mender.held.is_empty());
        mender.ready
    }

    #[test]
    fn mends_what_is_not_utf8_and_nothing_else() {
        let table =
            b"\x02k\xff\x53\x00\x00\x00\x02\xff\xfe\x01n\x6c\x00\x00\x00\x00\x00\x00\x00\xff";
        let mut sent = frame(1, b"\xff method");
        let mut expected = sent.clone();
        sent.extend(header(table, b"a\xff\xe9\xc3\xa9\xc3"));
        let mut table = table.to_vec();
        table[2] = 0x1a;
        expected.extend(header(&table, b"a\x1a\x1a\xc3\xa9\x1a"));
        sent.extend(frame(1, b"\0\x3c\0\x3c\x01t\0\0\0\0\0\0\0\xff\0\x01e\x02\xffk"));
        expected.extend(frame(1, b"\0\x3c\0\x3c\x01t\0\0\0\0\0\0\0\xff\0\x01e\x02\x1ak"));
        for more in [frame(3, b"\xff\xfebody"), frame(8, b""), header(b"", b"ok")] {
            sent.extend(&more);
            expected.extend(&more);
        }
        for step in [1, 2, 7, 13, sent.len()] {
            assert_eq!(mended(&sent, step), expected, "{step} bytes at a time");
        }
    }

    #[test]
    fn flattens_headers_that_are_nested_too_deep() {
        let mut value = b"V".to_vec();
        for _ in 0..20_000 {
            let mut outer = b"A".to_vec();
            outer.extend(u32::try_from(value.len()).expect("short").to_be_bytes());
            outer.extend(&value);
            value = outer;
        }
        let mut table = b"\x01k".to_vec();
        table.extend(&value);
        let sent = header(&table, b"id");
        let mut mender = Mender::new(0);
        sent.chunks(4096).for_each(|chunk| mender.push(chunk));
        let got = mender.ready;
        let changed: Vec<usize> = (0..sent.len()).filter(|&at| sent[at] != got[at]).collect();
        assert_eq!(changed.len(), 1);
        assert_eq!((sent[changed[0]], got[changed[0]]), (b'A', b'x'));
    }

    #[test]
    fn leaves_out_headers_that_are_too_long() {
        let table = |len: usize| {
            let mut table = b"\x01kS".to_vec();
            table.extend(u32::try_from(len).expect("short").to_be_bytes());
            table.resize(table.len() + len, b'x');
            table
        };
        let left_out = header(&LEFT_OUT[4..], b"i\x1ad");
        let around = LONGEST as usize - header(&table(0), b"i\xffd").len();
        let fits = header(&table(around), b"iid");
        for step in [1, 7, 500, 100_000] {
            assert_eq!(mended(&fits, step), fits);
            for len in [around + 1, 20_000, 70_000] {
                let sent = header(&table(len), b"i\xffd");
                let body = frame(3, b"body");
                let got = mended(&[&sent[..], &body, &sent].concat(), step);
                assert!(got == [&left_out[..], &body, &left_out].concat(), "{len} by {step} bytes");
            }
        }
    }

    #[test]
    fn what_stands_for_headers_says_that_they_were_left_out() {
        let properties = [&[0b0010_0000, 0], LEFT_OUT].concat();
        let Ok((b"", properties)) = parse_properties(&properties[..]) else { panic!("unreadable") };
        let headers = properties.headers().as_ref().expect("headers").inner();
        assert_eq!(headers.get(HEADERS_LEFT_OUT), Some(&AMQPValue::Boolean(true)));
    }

    #[test]
    fn frames_are_as_long_as_the_broker_says() {
        let tune = |longest: u32| {
            let payload = [&[0, 10, 0, 30, 7, 255][..], &longest.to_be_bytes(), &[0, 60]].concat();
            frame(METHOD, &payload)
        };
        for (says, limit) in [(0, 8192), (131_072, 8192), (6000, 6000), (100, 4096)] {
            let mut mender = Mender::new(LONGEST);
            mender.push(&tune(says));
            assert_eq!((mender.longest, mender.ready), (limit, tune(says)));
        }
    }

    #[test]
    fn passes_on_what_it_does_not_understand() {
        for bytes in [
            b"AMQP\x00\x00\x09\x01 and whatever follows".to_vec(),
            frame(CONTENT_HEADER, b"short"),
            header(b"\x05trunc", b"\xff"),
            header(b"\x01k?", b"\xff"),
        ] {
            assert_eq!(mended(&bytes, 5), bytes);
        }
    }

    proptest::proptest! {
        #[test]
        fn never_changes_the_number_of_bytes(
            bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..600),
            step in 1_usize..64,
        ) {
            let sent = frame(CONTENT_HEADER, &bytes);
            proptest::prop_assert_eq!(mended(&sent, step).len(), sent.len());
        }

        /// A long content header fits, or is handed on as it is, and so is what follows it.
        #[test]
        fn leaves_out_headers_and_nothing_else(
            flags in proptest::num::u16::ANY,
            before in proptest::collection::vec(0..128_u8, 0..40),
            says in proptest::option::of(0_u32..30_000),
            headers in 8_000_usize..12_000,
            after in proptest::collection::vec(0..128_u8, 0..600),
            step in 1_usize..9_000,
        ) {
            let mut payload = vec![0, 60, 0, 0, 0, 0, 0, 0, 0, 0, 0, 5];
            payload.extend(flags.to_be_bytes());
            payload.extend(&before);
            payload.extend(says.unwrap_or(headers as u32).to_be_bytes());
            payload.resize(payload.len() + headers, b'h');
            payload.extend(&after);
            let (long, good) = (frame(CONTENT_HEADER, &payload), header(b"", b"ok"));
            let sent = [&long[..], &good].concat();
            let got = mended(&sent, step);
            proptest::prop_assert!(got == mended(&sent, sent.len()));
            let got = got.strip_suffix(&good[..]).expect("what follows");
            let as_it_was = got.len() == long.len();
            proptest::prop_assert!(as_it_was || got.len() <= LONGEST as usize);
            let rest = || &got[got.len() - after.len() - 1..];
            proptest::prop_assert!(as_it_was || says.is_some() || long.ends_with(rest()));
        }
    }
}
