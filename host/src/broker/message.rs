//! What is read from a message's properties, and what is written into those of
//! replies, dead letters and retries. Publishes nothing.

use std::sync::Arc;

use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable, LongString, MAX_SHORT_STRING_LENGTH, ShortString};

use super::wire::{HEADERS_LEFT_OUT, SUBSTITUTE, frame_limit};
use crate::grants::Publication;
use crate::outcome::Status;
use crate::task::{Envelope, Invalid, Properties, Refused, ReplyAddress, Task, TaskId, TenantName};

/// Tasks between the message's and a client's.
const DEPTH: &str = "x-roh-depth";
/// How many earlier attempts at the task crashed.
const DELIVERIES: &str = "x-roh-deliveries";
/// Longest reason in a dead letter.
const MAX_REASON_BYTES: usize = 4096;
/// Longest headers of a client's in what we publish.
const MAX_HEADER_BYTES: usize = 96 << 10;
/// What a frame of properties takes beside a reason and a client's headers, at most: eight short
/// strings, our own headers with three more and a node's name, and what is of a fixed size.
const OTHER_BYTES: usize = 3584;
/// Written to disk by a durable queue.
const PERSISTENT: u8 = 2;

/// What a message of `queue` asks for, for `tenant`; at most `limit` bytes of its body are read.
pub(super) fn task(
    body: &[u8],
    properties: &BasicProperties,
    tenant: &TenantName,
    queue: &Arc<str>,
    limit: u64,
) -> Result<Task, Box<Refused>> {
    let task = Task::parse(body, read(properties), tenant, queue, limit);
    let Some(property) = not_text(properties) else { return task };
    let envelope = match task {
        Ok(task) => task.envelope,
        Err(refused) => refused.envelope,
    };
    Err(Box::new(Refused { envelope, reason: Invalid(format!("{property} is not UTF-8")) }))
}

/// What a task needs of its message's properties.
fn read(properties: &BasicProperties) -> Properties {
    let text = |value: &Option<ShortString>| value.as_ref().map(|text| text.as_str().to_owned());
    Properties {
        content_type: text(properties.content_type()),
        message_id: text(properties.message_id()),
        correlation_id: text(properties.correlation_id()),
        reply_to: text(properties.reply_to()),
        earlier_attempts: count(properties, DELIVERIES),
        depth: count(properties, DEPTH),
    }
}

/// The first property that held bytes which are not text, by name.
fn not_text(properties: &BasicProperties) -> Option<&'static str> {
    let of_tasks = [
        ("content-type", properties.content_type()),
        ("message-id", properties.message_id()),
        ("correlation-id", properties.correlation_id()),
        ("reply-to", properties.reply_to()),
    ];
    of_tasks.into_iter().find_map(|(name, value)| {
        value.as_ref().is_some_and(|text| text.as_str().contains(SUBSTITUTE)).then_some(name)
    })
}

/// The count in a header. Anyone can write it: what is not a count counts as none.
fn count(properties: &BasicProperties, name: &str) -> u32 {
    let value = properties.headers().as_ref().and_then(|headers| headers.inner().get(name));
    let count = match value {
        Some(AMQPValue::ShortShortInt(n)) => i64::from(*n),
        Some(AMQPValue::ShortShortUInt(n)) => i64::from(*n),
        Some(AMQPValue::ShortInt(n)) => i64::from(*n),
        Some(AMQPValue::ShortUInt(n)) => i64::from(*n),
        Some(AMQPValue::LongInt(n)) => i64::from(*n),
        Some(AMQPValue::LongUInt(n)) => i64::from(*n),
        Some(AMQPValue::LongLongInt(n)) => *n,
        _ => 0,
    };
    u32::try_from(count.max(0)).unwrap_or(u32::MAX)
}

/// The properties of the reply to `to` that says what became of the task `id`.
pub(super) fn reply(id: &TaskId, to: &ReplyAddress) -> BasicProperties {
    BasicProperties::default()
        .with_content_type("application/json".into())
        .with_delivery_mode(PERSISTENT)
        .with_correlation_id(short(&to.correlation_id))
        // The same each time a task is redelivered and replied to again.
        .with_message_id(short(id.as_str()))
        .with_type("roh.reply".into())
}

/// The properties of a publication.
pub(super) fn of_publication(publication: &Publication) -> BasicProperties {
    let mut headers = FieldTable::default();
    headers.insert("x-roh-tenant".into(), text(publication.tenant.as_str()));
    if let Some(task) = &publication.task {
        headers.insert("x-roh-task".into(), text(task.as_str()));
    }
    if let Some(depth) = publication.depth {
        headers.insert(DEPTH.into(), AMQPValue::LongLongInt(depth.into()));
    }
    BasicProperties::default()
        .with_content_type(short(&publication.content_type))
        .with_delivery_mode(PERSISTENT)
        .with_message_id(short(publication.message_id.as_str()))
        .with_headers(headers)
}

/// How much of others' goes into properties, which must fit one frame: what a client could just fit,
/// with ours added does not.
#[derive(Debug, Clone, Copy)]
pub(super) struct Room {
    /// Bytes of a client's headers. If there are more, all are left out.
    headers: usize,
    /// Bytes of a reason.
    reason: usize,
}

impl Room {
    /// In frames that may have so many bytes.
    pub(super) fn of_frame(longest: u32) -> Room {
        let longest = frame_limit(longest);
        let reason = MAX_REASON_BYTES.min(longest / 8);
        Room { headers: MAX_HEADER_BYTES.min(longest - reason - OTHER_BYTES), reason }
    }
}

/// Why a message is dead-lettered.
pub(super) struct Note<'a> {
    pub(super) status: Status,
    pub(super) reason: &'a str,
    pub(super) node: &'a str,
    pub(super) queue: &'a str,
}

/// The original's properties, for the dead-letter exchange.
pub(super) fn dead_letter(
    original: &BasicProperties,
    note: &Note<'_>,
    room: Room,
) -> BasicProperties {
    let mut headers = safe_headers(original, room);
    // Who publishes it once more starts from zero.
    headers.retain(|(name, _)| name.as_str() != DELIVERIES);
    if let Some(expiration) = original.expiration() {
        // As a property it would remove the dead letter, too.
        set(&mut headers, "x-roh-expiration", text(expiration.as_str()));
    }
    set(&mut headers, "x-roh-status", text(note.status.as_str()));
    set(&mut headers, "x-roh-reason", text(bounded(note.reason, room)));
    set(&mut headers, "x-roh-node", text(note.node));
    set(&mut headers, "x-roh-queue", text(note.queue));
    rebuild(original, headers).with_delivery_mode(PERSISTENT)
}

/// The original's properties, for its own queue, with the attempt counted that `envelope` is of.
pub(super) fn retry(
    original: &BasicProperties,
    envelope: &Envelope,
    room: Room,
) -> BasicProperties {
    let mut headers = safe_headers(original, room);
    set(&mut headers, DELIVERIES, AMQPValue::LongLongInt(envelope.attempt.into()));
    if envelope.depth > 0 {
        // With or without the others.
        set(&mut headers, DEPTH, AMQPValue::LongLongInt(envelope.depth.into()));
    }
    let properties = rebuild(original, headers).with_delivery_mode(PERSISTENT);
    match original.expiration() {
        Some(expiration) => properties.with_expiration(expiration.clone()),
        None => properties,
    }
}

type Headers = Vec<(ShortString, AMQPValue)>;

/// The original's headers, without what makes the broker do something of its own, and
/// with what could not stay a property.
fn safe_headers(original: &BasicProperties, room: Room) -> Headers {
    let mut headers = Headers::new();
    if let Some(table) = original.headers() {
        let size: usize =
            table.inner().iter().map(|(name, value)| name.as_str().len() + 1 + size(value)).sum();
        if size > room.headers {
            set(&mut headers, HEADERS_LEFT_OUT, AMQPValue::Boolean(true));
        } else {
            headers.extend(table.inner().iter().map(|(name, value)| {
                // Sender-selected distribution: more routing keys.
                let name = match name.as_str() {
                    "CC" => "x-roh-cc".into(),
                    "BCC" => "x-roh-bcc".into(),
                    _ => name.clone(),
                };
                (name, value.clone())
            }));
        }
    }
    if let Some(user) = original.user_id() {
        // The broker holds the property against the user that publishes: us.
        set(&mut headers, "x-roh-user-id", text(user.as_str()));
    }
    headers
}

/// Everything of the original but headers, user-id, expiration and delivery mode.
fn rebuild(original: &BasicProperties, headers: Headers) -> BasicProperties {
    let mut table = FieldTable::default();
    for (name, value) in headers {
        table.insert(name, value);
    }
    let mut copy = BasicProperties::default().with_headers(table);
    macro_rules! keep {
        ($($get:ident $with:ident),*) => {
            $(if let Some(value) = original.$get() {
                copy = copy.$with(value.clone());
            })*
        };
    }
    keep!(content_type with_content_type, content_encoding with_content_encoding,
        priority with_priority, correlation_id with_correlation_id, reply_to with_reply_to,
        message_id with_message_id, timestamp with_timestamp, kind with_type,
        app_id with_app_id, cluster_id with_cluster_id);
    copy
}

fn set(headers: &mut Headers, name: &str, value: AMQPValue) {
    headers.retain(|(other, _)| other.as_str() != name);
    headers.push((name.into(), value));
}

fn text(text: &str) -> AMQPValue {
    AMQPValue::LongString(LongString::from(text))
}

/// As much of it as fits a dead letter.
fn bounded(reason: &str, room: Room) -> &str {
    &reason[..reason.floor_char_boundary(room.reason)]
}

/// Cuts what AMQP could not carry; ids and queues that came from it always fit.
pub(super) fn short(text: &str) -> ShortString {
    text[..text.floor_char_boundary(MAX_SHORT_STRING_LENGTH)].into()
}

/// Bytes of a value in a table, its type's included.
fn size(value: &AMQPValue) -> usize {
    1 + match value {
        AMQPValue::Void => 0,
        AMQPValue::Boolean(_) | AMQPValue::ShortShortInt(_) | AMQPValue::ShortShortUInt(_) => 1,
        AMQPValue::ShortInt(_) | AMQPValue::ShortUInt(_) => 2,
        AMQPValue::LongInt(_) | AMQPValue::LongUInt(_) | AMQPValue::Float(_) => 4,
        AMQPValue::DecimalValue(_) => 5,
        AMQPValue::LongLongInt(_) | AMQPValue::Double(_) | AMQPValue::Timestamp(_) => 8,
        AMQPValue::ShortString(text) => 1 + text.as_str().len(),
        AMQPValue::LongString(text) => 4 + text.len(),
        AMQPValue::ByteArray(bytes) => 4 + bytes.as_slice().len(),
        AMQPValue::FieldArray(values) => 4 + values.as_slice().iter().map(size).sum::<usize>(),
        AMQPValue::FieldTable(table) => {
            4 + table
                .inner()
                .iter()
                .map(|(name, value)| name.as_str().len() + 1 + size(value))
                .sum::<usize>()
        }
    }
}

#[cfg(test)]
mod tests {
    use cookie_factory::gen_simple;
    use lapin::protocol::basic::gen_properties;

    use super::*;

    fn envelope(attempt: u32, depth: u32) -> Envelope {
        Envelope {
            id: TaskId::parse("t").expect("short"),
            tenant: TenantName::new("t"),
            queue: "q".into(),
            reply: None,
            attempt,
            depth,
        }
    }

    const ROOM: Room = Room { headers: MAX_HEADER_BYTES, reason: MAX_REASON_BYTES };

    fn table(entries: &[(&str, AMQPValue)]) -> FieldTable {
        let mut table = FieldTable::default();
        for (name, value) in entries {
            table.insert((*name).into(), value.clone());
        }
        table
    }

    fn note(reason: &str) -> Note<'_> {
        Note { status: Status::Failed, reason, node: "node-a", queue: "tasks" }
    }

    fn header<'a>(properties: &'a BasicProperties, name: &str) -> Option<&'a AMQPValue> {
        properties.headers().as_ref().and_then(|headers| headers.inner().get(name))
    }

    #[test]
    fn reads_counts_and_nothing_else() {
        for (value, expected) in [
            (AMQPValue::LongLongInt(3), 3),
            (AMQPValue::LongInt(2), 2),
            (AMQPValue::ShortShortUInt(7), 7),
            (AMQPValue::LongLongInt(-1), 0),
            (AMQPValue::LongLongInt(i64::MAX), u32::MAX),
            (text("many"), 0),
            (AMQPValue::Void, 0),
        ] {
            let headers = table(&[(DELIVERIES, value.clone()), (DEPTH, value.clone())]);
            let read = read(&BasicProperties::default().with_headers(headers));
            assert_eq!((read.earlier_attempts, read.depth), (expected, expected), "{value:?}");
        }
        let read = read(&BasicProperties::default());
        assert_eq!((read.earlier_attempts, read.depth), (0, 0));
    }

    #[test]
    fn what_a_script_publishes_says_whose_it_is_and_how_deep() {
        let task = TaskId::parse("parent").expect("short");
        let publication = Publication {
            exchange: "e".into(),
            routing_key: "k".into(),
            body: Vec::new(),
            content_type: "text/plain".into(),
            message_id: TaskId::parse("m").expect("short"),
            depth: Some(2),
            tenant: crate::task::TenantName::new("acme"),
            task: Some(task),
        };
        let properties = of_publication(&publication);
        assert_eq!(header(&properties, "x-roh-tenant"), Some(&text("acme")));
        assert_eq!(header(&properties, "x-roh-task"), Some(&text("parent")));
        let read = read(&properties);
        assert_eq!((read.depth, read.message_id.as_deref()), (2, Some("m")));
        let message = Publication { depth: None, task: None, ..publication };
        let properties = of_publication(&message);
        assert_eq!(header(&properties, DEPTH), None);
        assert_eq!(header(&properties, "x-roh-task"), None);
    }

    #[test]
    fn dead_letters_lose_what_would_reroute_expire_or_be_refused() {
        let original = BasicProperties::default()
            .with_message_id("m".into())
            .with_reply_to("answers".into())
            .with_user_id("alice".into())
            .with_expiration("1000".into())
            .with_delivery_mode(1)
            .with_priority(4)
            .with_headers(table(&[
                ("CC", AMQPValue::FieldArray(vec![text("other")].into())),
                ("BCC", AMQPValue::FieldArray(vec![text("third")].into())),
                ("x-death", AMQPValue::FieldArray(vec![].into())),
                ("trace", text("t")),
                ("x-roh-status", text("forged")),
                (DELIVERIES, AMQPValue::LongLongInt(5)),
            ]));
        let letter = dead_letter(&original, &note("ValueError: bad"), ROOM);
        assert_eq!(letter.user_id(), &None);
        assert_eq!(letter.expiration(), &None);
        assert_eq!(letter.delivery_mode(), &Some(2));
        assert_eq!(letter.priority(), &Some(4));
        assert_eq!(letter.message_id(), &Some("m".into()));
        assert_eq!(letter.reply_to(), &Some("answers".into()));
        for (name, value) in [
            ("x-roh-user-id", "alice"),
            ("x-roh-expiration", "1000"),
            ("x-roh-status", "failed"),
            ("x-roh-reason", "ValueError: bad"),
            ("x-roh-node", "node-a"),
            ("x-roh-queue", "tasks"),
            ("trace", "t"),
        ] {
            assert_eq!(header(&letter, name), Some(&text(value)), "{name}");
        }
        for name in ["CC", "BCC", DELIVERIES] {
            assert_eq!(header(&letter, name), None, "{name}");
        }
        for name in ["x-roh-cc", "x-roh-bcc", "x-death"] {
            assert!(header(&letter, name).is_some(), "{name}");
        }
    }

    #[test]
    fn retries_count_and_keep_their_expiration() {
        let original = BasicProperties::default()
            .with_user_id("alice".into())
            .with_expiration("1000".into())
            .with_headers(table(&[("CC", AMQPValue::Void), (DELIVERIES, AMQPValue::LongInt(1))]));
        let again = retry(&original, &envelope(2, 0), ROOM);
        assert_eq!(read(&again).earlier_attempts, 2);
        assert_eq!(again.expiration(), &Some("1000".into()));
        assert_eq!(again.user_id(), &None);
        assert_eq!(header(&again, "x-roh-user-id"), Some(&text("alice")));
        assert_eq!(header(&again, "CC"), None);
    }

    #[test]
    fn retries_stay_as_deep_as_they_were() {
        let room = Room::of_frame(4096);
        let headers = table(&[(DEPTH, AMQPValue::LongLongInt(3)), ("more", text("more"))]);
        let original = BasicProperties::default().with_headers(headers);
        let again = retry(&original, &envelope(1, 3), room);
        assert_eq!(header(&again, "more"), None);
        assert_eq!(read(&again).depth, 3);
    }

    /// With everything as long as AMQP, or the configuration, lets it be.
    #[test]
    fn all_fits_a_frame_of_any_size() {
        let long = "x".repeat(MAX_SHORT_STRING_LENGTH);
        let name = || ShortString::from(long.as_str());
        for longest in [0, 1, 4096, 4097, 5000, 8192, 16 << 10, 128 << 10] {
            let room = Room::of_frame(longest);
            for headers in [0, room.headers, room.headers + 1] {
                // What the names, kinds and lengths of the three take.
                let taken = 4 + 5 + 10;
                let fit = headers.max(taken) <= room.headers;
                let long_one = text(&"h".repeat(headers.saturating_sub(taken)));
                let (cc, bcc) = (("CC", AMQPValue::Void), ("BCC", AMQPValue::Void));
                let headers = table(&[cc, bcc, ("long", long_one)]);
                let original = BasicProperties::default()
                    .with_content_type(name())
                    .with_content_encoding(name())
                    .with_headers(headers)
                    .with_delivery_mode(2)
                    .with_priority(9)
                    .with_correlation_id(name())
                    .with_reply_to(name())
                    .with_expiration(name())
                    .with_message_id(name())
                    .with_timestamp(1)
                    .with_type(name())
                    .with_user_id(name())
                    .with_app_id(name())
                    .with_cluster_id(name());
                let reason = "r".repeat(10_000);
                let (status, node, queue) = (Status::OutOfMemory, &long[..], &long[..]);
                let note = Note { status, reason: &reason, node, queue };
                let letter = dead_letter(&original, &note, room);
                let again = retry(&original, &envelope(u32::MAX, u32::MAX), room);
                for properties in [letter, again] {
                    assert_eq!(header(&properties, HEADERS_LEFT_OUT).is_none(), fit);
                    let written = gen_simple(gen_properties(&properties), Vec::new());
                    // The frame's prefix and end; class, weight and size of the body.
                    let bytes = 8 + 12 + written.expect("it can be written").len();
                    assert!(bytes <= frame_limit(longest), "{bytes} of {longest}");
                }
            }
        }
    }

    #[test]
    fn reasons_are_cut_between_characters() {
        let reason = "é".repeat(MAX_REASON_BYTES);
        let letter = dead_letter(&BasicProperties::default(), &note(&reason), ROOM);
        assert_eq!(header(&letter, "x-roh-reason"), Some(&text(&reason[..MAX_REASON_BYTES])));
    }

    #[test]
    fn headers_that_leave_no_room_for_ours_are_left_out() {
        let original = BasicProperties::default()
            .with_headers(table(&[("big", text(&"x".repeat(MAX_HEADER_BYTES)))]));
        let letter = dead_letter(&original, &note("why"), ROOM);
        assert_eq!(header(&letter, "big"), None);
        assert_eq!(header(&letter, "x-roh-headers-left-out"), Some(&AMQPValue::Boolean(true)));
        assert_eq!(header(&letter, "x-roh-reason"), Some(&text("why")));
    }
}
