//! Reads single values: sizes, durations, names, addresses. Each failure says what
//! was expected.
//!
//! It knows no keys and reports no positions.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::time::Duration;

use toml::de::{DeTable, DeValue};
use tracing_subscriber::EnvFilter;

use super::{Argument, LogFormat};
use crate::task::LEAST_MEMORY;

/// What one instance's linear memory may be: from what the interpreter needs to all that
/// wasm32 can address.
pub const MEMORY: RangeInclusive<u64> = LEAST_MEMORY..=(4 << 30);

/// A year: an instant so far ahead can still be computed.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 3600);

/// Longest name in bytes: that of an AMQP short string.
const MAX_NAME_BYTES: usize = 255;

/// What was expected instead of what is there.
pub(super) type Expected = String;

/// Reads a size such as `64MiB`.
///
/// # Errors
/// Says what a size looks like.
pub fn parse_size(text: &str) -> Result<u64, String> {
    text.parse::<bytesize::ByteSize>()
        .map(|size| size.as_u64())
        .map_err(|_| "expected a size such as \"64MiB\"".into())
}

/// Reads the memory limit of an instance.
///
/// # Errors
/// Says what a size looks like, or what the bounds are.
pub fn parse_memory(text: &str) -> Result<u64, String> {
    parse_size(text).and_then(|size| within(size, MEMORY))
}

/// Reads a duration such as `30s`: more than nothing, at most a year.
///
/// # Errors
/// Says what a duration looks like, or what the bounds are.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(duration) if duration.is_zero() => Err("expected more than no time at all".into()),
        Ok(duration) if duration > LONGEST => Err("expected a year at most".into()),
        Ok(duration) => Ok(duration),
        Err(_) => Err("expected a duration such as \"30s\" or \"1m 30s\"".into()),
    }
}

fn within(size: u64, bounds: RangeInclusive<u64>) -> Result<u64, Expected> {
    if bounds.contains(&size) {
        return Ok(size);
    }
    let show = |bytes: u64| match bytes {
        0..1024 => format!("{bytes}B"),
        _ => bytesize::ByteSize(bytes)
            .display()
            .iec()
            .to_string()
            .replace(".0 ", "")
            .replace(' ', ""),
    };
    Err(format!("expected a size from {} to {}", show(*bounds.start()), show(*bounds.end())))
}

pub(super) fn text<'a>(value: &'a DeValue<'_>) -> Result<&'a str, Expected> {
    value.as_str().ok_or_else(|| format!("expected a string, not {}", article(value)))
}

pub(super) fn boolean(value: &DeValue<'_>) -> Result<bool, Expected> {
    value.as_bool().ok_or_else(|| format!("expected true or false, not {}", article(value)))
}

pub(super) fn integer(
    bounds: RangeInclusive<u32>,
) -> impl Fn(&DeValue<'_>) -> Result<u32, Expected> {
    move |value| {
        let (low, high) = (bounds.start(), bounds.end());
        match value {
            DeValue::Integer(number) => u32::from_str_radix(number.as_str(), number.radix())
                .ok()
                .filter(|number| bounds.contains(number))
                .ok_or_else(|| format!("expected an integer from {low} to {high}")),
            other => {
                Err(format!("expected an integer from {low} to {high}, not {}", article(other)))
            }
        }
    }
}

/// A size, as text or as a number of bytes.
pub(super) fn size(bounds: RangeInclusive<u64>) -> impl Fn(&DeValue<'_>) -> Result<u64, Expected> {
    move |value| {
        let bytes = match value {
            DeValue::String(text) => parse_size(text)?,
            DeValue::Integer(number) => u64::from_str_radix(number.as_str(), number.radix())
                .map_err(|_| "expected a size such as \"64MiB\"".to_owned())?,
            other => {
                return Err(format!("expected a size such as \"64MiB\", not {}", article(other)));
            }
        };
        within(bytes, bounds.clone())
    }
}

pub(super) fn duration(value: &DeValue<'_>) -> Result<Duration, Expected> {
    match value {
        DeValue::String(text) => parse_duration(text),
        other => Err(format!("expected a duration such as \"30s\", not {}", article(other))),
    }
}

/// The name of an exchange or a queue.
pub(super) fn amqp_name(value: &DeValue<'_>) -> Result<String, Expected> {
    let name = short_string(value)?;
    match name.as_str() {
        "" => Err("expected a name, not an empty string".into()),
        name if name.starts_with("amq.") => {
            Err("expected another name: the broker keeps \"amq.\" to itself".into())
        }
        _ => Ok(name),
    }
}

/// What AMQP calls a short string.
pub(super) fn short_string(value: &DeValue<'_>) -> Result<String, Expected> {
    let text = text(value)?;
    if text.len() > MAX_NAME_BYTES {
        return Err(format!("expected at most {MAX_NAME_BYTES} bytes, not {}", text.len()));
    }
    Ok(text.to_owned())
}

/// A node's or tenant's name: it ends up in headers, logs and metrics.
pub(super) fn name(value: &DeValue<'_>) -> Result<String, Expected> {
    let name = short_string(value)?;
    if name.trim().is_empty() || name.chars().any(char::is_control) {
        return Err("expected a name in printable characters".into());
    }
    Ok(name)
}

pub(super) fn broker_url(value: &DeValue<'_>) -> Result<String, Expected> {
    check_broker_url(text(value)?)
}

/// Checks the shape alone; the broker's client parses it. No part of the URL is in
/// the error: it may be the password.
pub(super) fn check_broker_url(url: &str) -> Result<String, Expected> {
    let rest = url.strip_prefix("amqp://").or_else(|| url.strip_prefix("amqps://"));
    let Some(rest) = rest else {
        return Err("expected a URL that starts with amqp:// or amqps://".into());
    };
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    let host = authority.rsplit('@').next().unwrap_or_default();
    if host.is_empty() || host.starts_with(':') || url.contains(char::is_whitespace) {
        return Err("expected a URL such as amqp://user:password@host:5672/vhost".into());
    }
    Ok(url.to_owned())
}

pub(super) fn address(value: &DeValue<'_>) -> Result<SocketAddr, Expected> {
    text(value)?
        .parse()
        .map_err(|_| "expected an IP address and a port such as \"127.0.0.1:8080\"".into())
}

pub(super) fn log_format(value: &DeValue<'_>) -> Result<LogFormat, Expected> {
    one_of(&[("pretty", LogFormat::Pretty), ("json", LogFormat::Json)])(value)
}

pub(super) fn log_level(value: &DeValue<'_>) -> Result<String, Expected> {
    let level = text(value)?;
    EnvFilter::builder()
        .parse(level)
        .map(|_| level.to_owned())
        .map_err(|_| "expected a filter such as \"info\" or \"warn,roh=debug\"".into())
}

/// A list whose items `convert` takes.
pub(super) fn list<'a, T>(
    convert: impl Fn(&'a DeValue<'a>) -> Result<T, Expected>,
) -> impl FnOnce(&'a DeValue<'a>) -> Result<Vec<T>, Expected> {
    move |value| match value {
        DeValue::Array(values) => values.iter().map(|value| convert(value.get_ref())).collect(),
        other => Err(format!("expected an array, not {}", article(other))),
    }
}

/// One of a few words.
pub(super) fn one_of<T: Copy>(
    words: &'static [(&'static str, T)],
) -> impl Fn(&DeValue<'_>) -> Result<T, Expected> {
    move |value| {
        let text = text(value)?;
        words.iter().find(|(word, _)| *word == text).map(|(_, meant)| *meant).ok_or_else(|| {
            let words: Vec<_> = words.iter().map(|(word, _)| format!("{word:?}")).collect();
            format!("expected {}", words.join(" or "))
        })
    }
}

/// A table of AMQP arguments.
pub(super) fn arguments(value: &DeValue<'_>) -> Result<BTreeMap<String, Argument>, Expected> {
    match value {
        DeValue::Table(table) => argument_table(table),
        other => Err(format!("expected a table, not {}", article(other))),
    }
}

fn argument_table(table: &DeTable<'_>) -> Result<BTreeMap<String, Argument>, Expected> {
    table
        .iter()
        .map(|(key, value)| {
            let key = key.get_ref().to_string();
            if key.len() > MAX_NAME_BYTES {
                return Err(format!("expected argument names of at most {MAX_NAME_BYTES} bytes"));
            }
            let value = argument(value.get_ref()).map_err(|e| format!("{e} (argument {key:?})"))?;
            Ok((key, value))
        })
        .collect()
}

fn argument(value: &DeValue<'_>) -> Result<Argument, Expected> {
    Ok(match value {
        DeValue::String(text) => Argument::Text(text.to_string()),
        DeValue::Boolean(value) => Argument::Bool(*value),
        DeValue::Integer(number) => Argument::Int(
            i64::from_str_radix(number.as_str(), number.radix())
                .map_err(|_| "expected an integer of 64 bits".to_owned())?,
        ),
        DeValue::Float(number) => {
            Argument::Float(number.as_str().parse().map_err(|_| "expected a number".to_owned())?)
        }
        DeValue::Array(values) => Argument::List(
            values.iter().map(|value| argument(value.get_ref())).collect::<Result<_, _>>()?,
        ),
        DeValue::Table(table) => Argument::Table(argument_table(table)?),
        DeValue::Datetime(_) => return Err("AMQP arguments can't be dates here".into()),
    })
}

/// The value's type with its article.
pub(super) fn article(value: &DeValue<'_>) -> String {
    let kind = value.type_str();
    let article = if kind.starts_with(['a', 'i']) { "an" } else { "a" };
    format!("{article} {kind}")
}
