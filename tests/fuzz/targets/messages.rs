//! A message as the broker delivers it, properties and body: a task, or a reason why not.

#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
mod fuzz {
    use std::sync::Arc;

    use lapin::BasicProperties;
    use lapin::protocol::basic::{gen_properties, parse_properties};
    use lapin::types::AMQPValue;
    use roh::broker::fuzz as broker;
    use roh::outcome::Status;
    use roh::task::{Code, Refused, Task, TenantName};
    use serde_json::Value;

    /// A message's limit, so that it can be reached.
    const LIMIT: usize = 2000;

    /// What reading one may hold at once, with both parsers' copies of it.
    const MEMORY: usize = 4 << 20;

    libfuzzer_sys::fuzz_target!(|input: &[u8]| roh_fuzz::within(MEMORY, || message(input)));

    /// `input` is the properties, from their flags on, and what follows them is the body.
    fn message(input: &[u8]) {
        stream(input);
        // Class, weight, size of the body.
        let mut header = [&[0; 12], input].concat();
        let followed = broker::mend_header(&mut header);
        let mended = &header[12..];
        let parsed = parse_properties(mended);
        assert!(!followed || parsed.is_ok(), "lapin can't read what was mended");
        if let Ok((rest, _)) = parse_properties(input) {
            let properties = input.len() - rest.len();
            for (sent, mended) in input.iter().zip(mended).take(properties) {
                // What is nested too deep becomes bytes.
                let flattened = matches!(sent, b'A' | b'F') && *mended == b'x';
                assert!(sent == mended || flattened, "mended what was well");
            }
        }
        let Ok((body, properties)) = parsed else { return };
        let (tenant, queue) = (TenantName::new("t"), Arc::from("q"));
        let read = |body: &[u8]| broker::task(body, &properties, &tenant, &queue, LIMIT as u64);
        let envelope = match read(body) {
            Ok(task) => {
                assert!(body.len() <= LIMIT);
                accepted(&task, read);
                task.envelope
            }
            Err(refused) => {
                let Refused { envelope, reason } = *refused;
                assert!(!reason.0.trim().is_empty());
                letter(&properties, &reason.0);
                envelope
            }
        };
        assert!((1..=255).contains(&envelope.id.as_str().len()));
        if let Some(to) = &envelope.reply {
            assert!(!to.queue.is_empty());
            can_be_sent(&broker::reply(&envelope.id, to));
        }
        let again = broker::retry(&properties, &envelope);
        can_be_sent(&again);
        assert_eq!(again.user_id(), &None);
        let next = broker::task(body, &again, &tenant, &queue, LIMIT as u64);
        let next = next.map_or_else(|refused| refused.envelope, |task| task.envelope);
        assert_eq!(next.attempt, envelope.attempt.saturating_add(1));
        assert_eq!(next.depth, envelope.depth);
    }

    /// Any bytes may come, cut anywhere.
    fn stream(input: &[u8]) {
        let whole = broker::mended(input, usize::MAX);
        assert!(whole.len() <= input.len());
        for piece in [1, 7] {
            assert_eq!(broker::mended(input, piece), whole, "{piece} bytes at a time");
        }
    }

    fn accepted(task: &Task, read: impl Fn(&[u8]) -> Result<Task, Box<Refused>>) {
        let json = |text: &str| serde_json::from_str::<Value>(text);
        // A number may be one that Python takes and serde_json does not: 1e999.
        assert!(json(&task.args).map_or(true, |args| args.is_array()));
        assert!(json(&task.kwargs).map_or(true, |kwargs| kwargs.is_object()));
        let is_name = |name: &str| {
            !name.is_empty()
                && !name.starts_with(|c: char| c.is_ascii_digit())
                && !name.contains(|c: char| c.is_ascii_punctuation() && c != '_' || c.is_control())
        };
        let text = |text: &str| serde_json::to_string(text).expect("text");
        let (code, function) = match &task.code {
            Code::Module { module, function } => {
                assert!(module.split('.').all(is_name), "{module:?}");
                (format!("\"task\":{}", text(&format!("{module}.{function}"))), function)
            }
            Code::Inline { source, function } => {
                (format!("\"script\":{},\"task\":{}", text(source), text(function)), function)
            }
        };
        assert!(is_name(function), "{function:?}");
        let limits = &task.limits;
        assert!(limits.memory.is_none_or(|bytes| bytes >= 48 << 20));
        assert!([limits.cpu, limits.wall].into_iter().flatten().all(|time| !time.is_zero()));
        // Once more, from what was understood.
        let time = |time: Option<std::time::Duration>| {
            time.map(|time| format!("{}s {}ns", time.as_secs(), time.subsec_nanos()))
        };
        let sizes = [limits.memory, limits.output, limits.result];
        let [memory, output, result] = sizes.map(|size| serde_json::json!(size));
        let [cpu, wall] = [limits.cpu, limits.wall].map(|limit| serde_json::json!(time(limit)));
        let (args, kwargs) = (&task.args, &task.kwargs);
        let body = format!(
            "{{{code},\"args\":{args},\"kwargs\":{kwargs},\"limits\":{{\"memory\":{memory},\
             \"cpu\":{cpu},\"wall\":{wall},\"output\":{output},\"result\":{result}}}}}"
        );
        if body.len() <= LIMIT {
            let again = read(body.as_bytes()).unwrap_or_else(|refused| {
                panic!("{body} is refused: {}", refused.reason);
            });
            assert_eq!(again.code, task.code);
            assert_eq!((&again.args, &again.kwargs), (args, kwargs));
            assert_eq!(again.limits, task.limits);
        }
    }

    /// A dead letter says why, and can be published.
    fn letter(original: &BasicProperties, reason: &str) {
        let letter = broker::dead_letter(original, Status::Invalid, reason);
        let headers = letter.headers().as_ref().expect("headers").inner();
        let Some(AMQPValue::LongString(said)) = headers.get("x-roh-reason") else {
            panic!("no reason");
        };
        let said = std::str::from_utf8(said.as_bytes()).expect("UTF-8");
        assert!(!said.is_empty() && reason.starts_with(said));
        assert!(["CC", "BCC"].iter().all(|name| !headers.contains_key(*name)));
        assert_eq!((letter.user_id(), letter.expiration()), (&None, &None));
        can_be_sent(&letter);
    }

    /// What lapin writes fits a frame, and it can read it again.
    fn can_be_sent(properties: &BasicProperties) {
        let written = cookie_factory::gen_simple(gen_properties(properties), Vec::new());
        let written = written.expect("properties that can be written");
        // Its prefix and end; class, weight and size of the body.
        assert!(written.len() + 8 + 12 <= broker::FRAME as usize, "{} bytes", written.len());
        let Ok((rest, read)) = parse_properties(&written[..]) else { panic!("unreadable") };
        assert!(rest.is_empty());
        assert_eq!(format!("{read:?}"), format!("{properties:?}"));
    }
}

#[cfg(not(fuzzing))]
fn main() {}
