//! A task, and the message that asks for it. Parsed once, here; nothing downstream
//! checks again.
//!
//! It knows nothing of AMQP: the broker hands over the properties it needs.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// Longest id in bytes: that of an AMQP short string.
const MAX_ID_BYTES: usize = 255;

/// Longest name of a module or a function in bytes.
pub(crate) const MAX_NAME_BYTES: usize = 500;

/// The least memory that an instance can have: the interpreter alone fills most of it.
pub(crate) const LEAST_MEMORY: u64 = 48 << 20;

/// A task's id, as the client chose it or as the node made it. Not unique: a client
/// may send one twice, and a redelivery keeps it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct TaskId(Arc<str>);

impl TaskId {
    /// Takes the id that a client chose: 1 to 255 bytes.
    pub fn parse(id: &str) -> Result<TaskId, Invalid> {
        match id.len() {
            1..=MAX_ID_BYTES => Ok(TaskId(id.into())),
            0 => Err(Invalid("id is empty".into())),
            n => Err(Invalid(format!("id has {n} bytes, more than {MAX_ID_BYTES}"))),
        }
    }

    /// Makes a new one.
    pub fn generate() -> TaskId {
        TaskId(uuid::Uuid::now_v7().to_string().into())
    }

    /// The id's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for TaskId {
    /// Quoted and escaped, for logs: a client chose it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A tenant's name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TenantName(Arc<str>);

impl TenantName {
    /// The tenant of that name.
    pub fn new(name: &str) -> TenantName {
        TenantName(name.into())
    }

    /// The name's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TenantName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Where a task came from and where its reply goes; known even if its body is not
/// one that ROH understands.
#[derive(Debug, Clone)]
pub struct Envelope {
    /// The task's id.
    pub id: TaskId,
    /// Whose task it is.
    pub tenant: TenantName,
    /// The queue that it came from.
    pub queue: Arc<str>,
    /// Who waits for a reply.
    pub reply: Option<ReplyAddress>,
    /// Which attempt this is, from 1; grows when ROH redelivers it after a crash.
    pub attempt: u32,
    /// Tasks between it and a client's: 0 for a client's own, 1 for one that such a task
    /// submitted, and so on.
    pub depth: u32,
}

/// Where a reply goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplyAddress {
    /// Routing key on the default exchange: a queue's name.
    pub queue: String,
    /// Echoed: the client's, else the task's id.
    pub correlation_id: String,
}

/// One request to call a Python function.
#[derive(Debug, Clone)]
pub struct Task {
    /// Where it came from and where its reply goes.
    pub envelope: Envelope,
    /// What to call.
    pub code: Code,
    /// Positional arguments: a JSON array.
    pub args: String,
    /// Keyword arguments: a JSON object.
    pub kwargs: String,
    /// Lowers the tenant's limits.
    pub limits: Lowered,
}

/// What of a tenant's limits a task's message lowers for the task. A limit that is higher
/// than the tenant's changes nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Lowered {
    /// Linear memory of its instance, in bytes.
    pub memory: Option<u64>,
    /// Time on a core.
    pub cpu: Option<Duration>,
    /// Time from its start to its end.
    pub wall: Option<Duration>,
    /// Bytes kept of its standard output, and as many of its standard error.
    pub output: Option<u64>,
    /// Bytes of its result, as JSON.
    pub result: Option<u64>,
}

/// What a task calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Code {
    /// A function of a module in the tenant's script folder.
    Module {
        /// Dotted name, each part an identifier.
        module: String,
        /// The function's name.
        function: String,
    },
    /// A function of the source that came with the message.
    Inline {
        /// Python source.
        source: String,
        /// The function's name.
        function: String,
    },
}

impl fmt::Display for Code {
    /// As a list of tasks shows it: `module.function`, or the function alone for an
    /// inline script.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Code::Module { module, function } => write!(f, "{module}.{function}"),
            Code::Inline { function, .. } => f.write_str(function),
        }
    }
}

/// Why a message is not a task: one sentence for its sender.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Invalid(pub String);

/// The properties of a message that matter to a task, as the broker delivered them.
#[derive(Debug, Clone, Default)]
pub struct Properties {
    /// MIME type; `application/json` or absent.
    pub content_type: Option<String>,
    /// The task's id, if set.
    pub message_id: Option<String>,
    /// Echoed in the reply.
    pub correlation_id: Option<String>,
    /// Queue that waits for the reply.
    pub reply_to: Option<String>,
    /// Earlier attempts that ended in a crash.
    pub earlier_attempts: u32,
    /// Tasks between it and a client's.
    pub depth: u32,
}

/// A message that is not a task, with what is known of it.
#[derive(Debug, Clone)]
pub struct Refused {
    /// As far as it could be told.
    pub envelope: Envelope,
    /// Why.
    pub reason: Invalid,
}

/// The body of a task message, as it is on the wire.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct TaskMessage<'a> {
    #[serde(default)]
    task: Option<String>,
    #[serde(default)]
    script: Option<String>,
    #[serde(default, borrow)]
    args: Option<&'a RawValue>,
    #[serde(default, borrow)]
    kwargs: Option<&'a RawValue>,
    #[serde(default)]
    id: Option<String>,
    #[serde(default)]
    timeout: Option<String>,
    #[serde(default)]
    limits: Option<LimitsMessage>,
}

/// A message's `limits`, spelled as in the configuration.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct LimitsMessage {
    #[serde(default)]
    memory: Option<Size>,
    #[serde(default)]
    cpu: Option<String>,
    #[serde(default)]
    wall: Option<String>,
    #[serde(default)]
    output: Option<Size>,
    #[serde(default)]
    result: Option<Size>,
}

/// A size: text, or a number of bytes.
#[derive(Debug, Deserialize)]
#[serde(untagged, expecting = "expected a size such as \"64MiB\"")]
enum Size {
    Bytes(u64),
    Text(String),
}

impl Task {
    /// Reads a message of `queue` for `tenant`, at most `limit` bytes of it.
    ///
    /// # Errors
    /// What is known of the message, with a sentence for its sender.
    pub fn parse(
        body: &[u8],
        properties: Properties,
        tenant: &TenantName,
        queue: &Arc<str>,
        limit: u64,
    ) -> Result<Task, Box<Refused>> {
        let message = read_message(body, properties.content_type.as_deref(), limit);
        let body_id = match &message {
            Ok(message) => message.id.as_deref().map(TaskId::parse).transpose(),
            Err(_) => Ok(None),
        };
        // AMQP bounds the property; an empty one counts as absent.
        let property_id = properties
            .message_id
            .as_deref()
            .filter(|id| !id.is_empty())
            .map(TaskId::parse)
            .transpose();
        let id = match (&property_id, &body_id) {
            (Ok(Some(id)), _) | (_, Ok(Some(id))) => id.clone(),
            _ => TaskId::generate(),
        };
        let envelope = Envelope {
            reply: properties.reply_to.filter(|queue| !queue.is_empty()).map(|queue| {
                ReplyAddress {
                    queue,
                    correlation_id: properties
                        .correlation_id
                        .unwrap_or_else(|| id.as_str().to_owned()),
                }
            }),
            id,
            tenant: tenant.clone(),
            queue: queue.clone(),
            attempt: properties.earlier_attempts.saturating_add(1),
            depth: properties.depth,
        };
        let checked = message.and_then(|message| {
            property_id?;
            body_id?;
            message.check()
        });
        match checked {
            Ok(Checked { code, args, kwargs, limits }) => {
                Ok(Task { envelope, code, args, kwargs, limits })
            }
            Err(reason) => Err(Box::new(Refused { envelope, reason })),
        }
    }
}

fn read_message<'a>(
    body: &'a [u8],
    content_type: Option<&str>,
    limit: u64,
) -> Result<TaskMessage<'a>, Invalid> {
    if body.len() as u64 > limit {
        let (len, limit) = (body.len(), bytesize::ByteSize(limit).display().iec());
        return Err(Invalid(format!("message has {len} bytes, more than the limit of {limit}")));
    }
    if let Some(kind) = content_type {
        let essence = kind.split(';').next().unwrap_or_default().trim();
        if !essence.is_empty() && !essence.eq_ignore_ascii_case("application/json") {
            return Err(Invalid(format!(
                "content-type is {essence:?}, expected \"application/json\""
            )));
        }
    }
    let text = std::str::from_utf8(body)
        .map_err(|error| Invalid(format!("body is not UTF-8 at byte {}", error.valid_up_to())))?;
    // serde would take an array for a struct.
    if !text.trim_start().starts_with('{') {
        return Err(match serde_json::from_str::<&RawValue>(text) {
            Ok(_) => Invalid("body is not a JSON object".into()),
            Err(error) => Invalid(format!("body is not JSON: {error}")),
        });
    }
    serde_json::from_str(text).map_err(|error| {
        Invalid(match error.classify() {
            serde_json::error::Category::Data => format!("body is not a task: {error}"),
            _ => format!("body is not JSON: {error}"),
        })
    })
}

struct Checked {
    code: Code,
    args: String,
    kwargs: String,
    limits: Lowered,
}

impl TaskMessage<'_> {
    fn check(self) -> Result<Checked, Invalid> {
        let code = match (self.script, self.task) {
            (Some(source), function) => {
                let function = function.unwrap_or_else(|| "main".to_owned());
                if function.len() > MAX_NAME_BYTES {
                    return Err(too_long(function.len()));
                }
                if !is_identifier(&function) {
                    return Err(Invalid(format!(
                        "task {function:?} is not a function's name; with a script it must be"
                    )));
                }
                Code::Inline { source, function }
            }
            (None, Some(task)) => parse_task_name(&task)?,
            (None, None) => {
                return Err(Invalid("message has neither \"task\" nor \"script\"".into()));
            }
        };
        let args = raw_or(self.args, "args", '[', "an array", "[]")?;
        let kwargs = raw_or(self.kwargs, "kwargs", '{', "an object", "{}")?;
        let timeout = duration(self.timeout.as_deref(), "timeout")?;
        let mut limits = self.limits.unwrap_or_default().check()?;
        limits.wall = [limits.wall, timeout].into_iter().flatten().min();
        Ok(Checked { code, args, kwargs, limits })
    }
}

/// Reads `module.function`.
///
/// # Errors
/// A sentence that says what the name should look like.
pub fn parse_task_name(task: &str) -> Result<Code, Invalid> {
    if task.len() > MAX_NAME_BYTES {
        return Err(too_long(task.len()));
    }
    match task.rsplit_once('.') {
        Some((module, function))
            if is_identifier(function) && module.split('.').all(is_identifier) =>
        {
            Ok(Code::Module { module: module.to_owned(), function: function.to_owned() })
        }
        _ => Err(Invalid(format!("task {task:?} is not of the form \"module.function\""))),
    }
}

fn too_long(len: usize) -> Invalid {
    Invalid(format!("task has a name of {len} bytes, more than {MAX_NAME_BYTES}"))
}

impl LimitsMessage {
    fn check(self) -> Result<Lowered, Invalid> {
        let lowered = Lowered {
            memory: size(self.memory, "limits.memory")?,
            cpu: duration(self.cpu.as_deref(), "limits.cpu")?,
            wall: duration(self.wall.as_deref(), "limits.wall")?,
            output: size(self.output, "limits.output")?,
            result: size(self.result, "limits.result")?,
        };
        if lowered.memory.is_some_and(|memory| memory < LEAST_MEMORY) {
            let least = bytesize::ByteSize(LEAST_MEMORY).display().iec();
            return Err(Invalid(format!("limits.memory is less than {least}, which Python needs")));
        }
        Ok(lowered)
    }
}

fn size(size: Option<Size>, field: &str) -> Result<Option<u64>, Invalid> {
    match size {
        None => Ok(None),
        Some(Size::Bytes(bytes)) => Ok(Some(bytes)),
        Some(Size::Text(text)) => match text.parse::<bytesize::ByteSize>() {
            Ok(size) => Ok(Some(size.as_u64())),
            Err(_) => Err(Invalid(format!("{field} {text:?} is not like \"64MiB\""))),
        },
    }
}

fn duration(text: Option<&str>, field: &str) -> Result<Option<Duration>, Invalid> {
    let Some(text) = text else { return Ok(None) };
    match humantime::parse_duration(text) {
        Ok(duration) if !duration.is_zero() => Ok(Some(duration)),
        Ok(_) => Err(Invalid(format!("{field} is zero"))),
        Err(error) => Err(Invalid(format!("{field} {text:?} is not like \"10s\": {error}"))),
    }
}

fn raw_or(
    value: Option<&RawValue>,
    name: &str,
    opening: char,
    expected: &str,
    default: &str,
) -> Result<String, Invalid> {
    match value.map(RawValue::get) {
        None | Some("null") => Ok(default.to_owned()),
        Some(text) if text.starts_with(opening) => Ok(text.to_owned()),
        Some(_) => Err(Invalid(format!("{name} is not {expected}"))),
    }
}

/// Whether a module can have that name, `pkg.mod`.
pub(crate) fn is_module_name(name: &str) -> bool {
    name.len() <= MAX_NAME_BYTES && name.split('.').all(is_identifier)
}

/// Whether Python could take this for a name: no dots, slashes or leading digits.
pub(crate) fn is_identifier(name: &str) -> bool {
    let mut chars = name.chars();
    chars.next().is_some_and(|first| first == '_' || first.is_alphabetic())
        && chars.all(|c| c == '_' || c.is_alphanumeric())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(body: &str) -> Result<Task, Box<Refused>> {
        parse_with(body, Properties::default())
    }

    fn parse_with(body: &str, properties: Properties) -> Result<Task, Box<Refused>> {
        Task::parse(body.as_bytes(), properties, &TenantName::new("t"), &"q".into(), 1000)
    }

    fn reason(body: &str) -> String {
        parse(body).expect_err(body).reason.0
    }

    #[test]
    fn reads_a_module_task() {
        let task = parse(
            r#"{"task": "a.b.c", "args": [1], "kwargs": {"x": 2}, "id": "i", "timeout": "10s"}"#,
        )
        .expect("valid");
        assert_eq!(task.code, Code::Module { module: "a.b".into(), function: "c".into() });
        assert_eq!((task.args.as_str(), task.kwargs.as_str()), ("[1]", r#"{"x": 2}"#));
        assert_eq!(task.envelope.id.as_str(), "i");
        assert_eq!(task.limits.wall, Some(Duration::from_secs(10)));
        assert_eq!(task.envelope.attempt, 1);
    }

    #[test]
    fn an_inline_script_calls_main_unless_told_otherwise() {
        let task = parse(r#"{"script": "x = 1"}"#).expect("valid");
        assert_eq!(task.code, Code::Inline { source: "x = 1".into(), function: "main".into() });
        assert_eq!((task.args.as_str(), task.kwargs.as_str()), ("[]", "{}"));
    }

    #[test]
    fn a_message_lowers_limits() {
        let task = parse(
            r#"{"task": "a.b", "timeout": "3s", "limits":
               {"memory": "50MiB", "cpu": "1s", "wall": "2s", "output": 0, "result": "1KiB"}}"#,
        )
        .expect("valid");
        let expected = Lowered {
            memory: Some(50 << 20),
            cpu: Some(Duration::from_secs(1)),
            wall: Some(Duration::from_secs(2)),
            output: Some(0),
            result: Some(1024),
        };
        assert_eq!(task.limits, expected);
        assert_eq!(parse(r#"{"task": "a.b"}"#).expect("valid").limits, Lowered::default());
    }

    #[test]
    fn the_message_id_wins_over_the_bodys_id() {
        let properties = Properties {
            message_id: Some("m".into()),
            reply_to: Some("r".into()),
            ..Properties::default()
        };
        let task = parse_with(r#"{"task": "a.b", "id": "i"}"#, properties).expect("valid");
        assert_eq!(task.envelope.id.as_str(), "m");
        let reply = task.envelope.reply.expect("asked for");
        assert_eq!(reply, ReplyAddress { queue: "r".into(), correlation_id: "m".into() });
    }

    #[test]
    fn a_refused_message_still_knows_where_its_reply_goes() {
        let properties = Properties {
            message_id: Some("m".into()),
            correlation_id: Some("c".into()),
            reply_to: Some("r".into()),
            ..Properties::default()
        };
        let refused = parse_with("nonsense", properties).expect_err("not JSON");
        assert_eq!(refused.envelope.id.as_str(), "m");
        let reply = refused.envelope.reply.expect("asked for");
        assert_eq!(reply, ReplyAddress { queue: "r".into(), correlation_id: "c".into() });
    }

    #[test]
    fn says_what_is_wrong_with_a_message() {
        for (body, expected) in [
            ("nonsense", "body is not JSON"),
            ("[1]", "body is not a JSON object"),
            ("{}", "neither \"task\" nor \"script\""),
            (r#"{"task": "a.b", "arg": []}"#, "unknown field `arg`"),
            (r#"{"task": "main"}"#, "not of the form \"module.function\""),
            (r#"{"task": "../etc.passwd"}"#, "not of the form \"module.function\""),
            (r#"{"task": "a..b"}"#, "not of the form \"module.function\""),
            (r#"{"task": 3}"#, "invalid type: integer `3`, expected a string"),
            (r#"{"task": "a.b", "args": {}}"#, "args is not an array"),
            (r#"{"task": "a.b", "kwargs": []}"#, "kwargs is not an object"),
            (r#"{"task": "a.b", "timeout": "soon"}"#, "timeout \"soon\" is not like \"10s\""),
            (r#"{"task": "a.b", "timeout": "0s"}"#, "timeout is zero"),
            (r#"{"task": "a.b", "limits": 3}"#, "invalid type: integer `3`"),
            (r#"{"task": "a.b", "limits": {"disk": 3}}"#, "unknown field `disk`"),
            (r#"{"task": "a.b", "limits": {"cpu": "0s"}}"#, "limits.cpu is zero"),
            (r#"{"task": "a.b", "limits": {"wall": "x"}}"#, "limits.wall \"x\" is not like"),
            (r#"{"task": "a.b", "limits": {"output": true}}"#, "expected a size such as"),
            (r#"{"task": "a.b", "limits": {"result": "x"}}"#, "limits.result \"x\" is not like"),
            (r#"{"task": "a.b", "limits": {"memory": 1}}"#, "limits.memory is less than 48.0 MiB"),
            (r#"{"task": "a.b", "id": ""}"#, "id is empty"),
            (r#"{"task": "a.b"} x"#, "trailing characters"),
            (r#"{"script": "", "task": "a.b"}"#, "not a function's name"),
        ] {
            let reason = reason(body);
            assert!(reason.contains(expected), "{body}: {reason}");
        }
        let name = format!("a.{}", "b".repeat(MAX_NAME_BYTES));
        for body in [
            format!(r#"{{"task": "{name}"}}"#),
            format!(r#"{{"task": "{}", "script": ""}}"#, "b".repeat(501)),
        ] {
            assert!(reason(&body).contains("more than 500"), "{body}");
        }
        let long = format!(r#"{{"script": "{}"}}"#, "x".repeat(1000));
        assert!(reason(&long).contains("more than the limit"), "{}", reason(&long));
    }

    #[test]
    fn refuses_other_content_types() {
        let of = |kind: &str| {
            let properties =
                Properties { content_type: Some(kind.into()), ..Properties::default() };
            parse_with(r#"{"task": "a.b"}"#, properties)
        };
        assert!(of("application/json; charset=utf-8").is_ok());
        assert!(of("application/x-python-serialize").is_err());
    }
}
