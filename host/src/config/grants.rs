//! What a tenant's scripts may ask the host for: by default, nothing.
//!
//! The types, and how they are read. What a grant comes to when a script uses it is
//! decided in [`crate::grants`].

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io::Read;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use toml::de::DeValue;

use super::keys::{HTTP, SECRET, SUBMIT};
use super::load::{read_folder, read_path};
use super::reader::Section;
use super::values::{self, Expected};

/// What one HTTP request or response may hold at most.
const MAX_HTTP_BYTES: u64 = 64 << 20;
/// How long one HTTP request may take at most.
const MAX_HTTP_TIMEOUT: Duration = Duration::from_secs(600);
/// What a tenant's store may hold at most.
const MAX_STATE_BYTES: u64 = 1 << 30;
/// Nobody's secret is longer, and it is looked for in all that a task prints.
const MAX_SECRET_BYTES: u64 = 16 << 10;
/// A shorter one would be found in texts that have nothing to do with it.
const MIN_SECRET_BYTES: usize = 6;
/// Longest name of a secret: it stands where the secret stood.
const MAX_SECRET_NAME: usize = 64;
/// A wider range of addresses is most of a network that somebody else has, too.
const MIN_PREFIX: (u8, u8) = (8, 16);
/// The methods that can be granted. `CONNECT` and `TRACE` make sense to proxies alone.
const METHODS: &[(&str, &str)] = &[
    ("GET", "GET"),
    ("HEAD", "HEAD"),
    ("POST", "POST"),
    ("PUT", "PUT"),
    ("PATCH", "PATCH"),
    ("DELETE", "DELETE"),
    ("OPTIONS", "OPTIONS"),
];

/// What a tenant's scripts may ask the host for.
#[derive(Debug, Clone)]
pub struct Grants {
    /// Where HTTP requests may go.
    pub http: Vec<HttpGrant>,
    /// HTTP requests per second, of all its tasks; twice as many at once.
    pub http_rate: u32,
    /// Exchanges that may be published to.
    pub publish: BTreeSet<String>,
    /// Whether tasks may submit tasks, and how many.
    pub submit: Option<Submit>,
    /// By name.
    pub secrets: BTreeMap<String, Secret>,
    /// The folder of data files.
    pub files: Option<PathBuf>,
    /// What the tenant's store may hold, in bytes.
    pub state: Option<u64>,
}

impl Default for Grants {
    fn default() -> Grants {
        Grants {
            http: Vec::new(),
            http_rate: 10,
            publish: BTreeSet::new(),
            submit: None,
            secrets: BTreeMap::new(),
            files: None,
            state: None,
        }
    }
}

/// Where some HTTP requests may go, and what they may take.
#[derive(Debug, Clone)]
pub struct HttpGrant {
    /// To whom.
    pub hosts: Hosts,
    /// To which of their ports.
    pub ports: Vec<u16>,
    /// Whether `http://` is allowed beside `https://`.
    pub plain: bool,
    /// In upper case.
    pub methods: Vec<&'static str>,
    /// Bytes of a request's body.
    pub request: u64,
    /// Bytes of a response's headers and body.
    pub response: u64,
    /// From the request to the response's last byte, redirects included.
    pub timeout: Duration,
}

/// Hosts of HTTP requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hosts {
    /// The one of this name.
    Named(String),
    /// All whose names end in a dot and this: `example.com` for `*.example.com`.
    Below(String),
    /// Those with these addresses, whatever the addresses are.
    At(Addresses),
}

/// A range of IP addresses: all that share the first bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Addresses {
    first: IpAddr,
    prefix: u8,
}

impl Addresses {
    /// Whether `address` is one of them. An IPv4 address in the clothes of an IPv6 one
    /// is not one of IPv4's.
    pub fn contain(&self, address: IpAddr) -> bool {
        match (self.first, address) {
            (IpAddr::V4(first), IpAddr::V4(address)) => {
                let other = first.to_bits() ^ address.to_bits();
                other.checked_shr(32 - u32::from(self.prefix)).unwrap_or(0) == 0
            }
            (IpAddr::V6(first), IpAddr::V6(address)) => {
                let other = first.to_bits() ^ address.to_bits();
                other.checked_shr(128 - u32::from(self.prefix)).unwrap_or(0) == 0
            }
            _ => false,
        }
    }

    /// Reads `192.0.2.0/24`, or a single address.
    fn parse(text: &str) -> Option<Result<Addresses, Expected>> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let first: IpAddr = address.trim_matches(['[', ']']).parse().ok()?;
        let (least, most) = match first {
            IpAddr::V4(_) => (MIN_PREFIX.0, 32),
            IpAddr::V6(_) => (MIN_PREFIX.1, 128),
        };
        let expected = || format!("expected a prefix from /{least} to /{most}");
        let prefix = match prefix {
            Some(prefix) => prefix.parse().ok().filter(|prefix| (least..=most).contains(prefix)),
            None => Some(most),
        };
        let Some(prefix) = prefix else { return Some(Err(expected())) };
        let rest = match first {
            IpAddr::V4(first) => u128::from(first.to_bits()) << 96 << prefix,
            IpAddr::V6(first) => first.to_bits().checked_shl(prefix.into()).unwrap_or(0),
        };
        if rest != 0 {
            return Some(Err(format!("expected no bits in {first} beyond the first {prefix}")));
        }
        Some(Ok(Addresses { first, prefix }))
    }
}

/// How far tasks that tasks submit may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Submit {
    /// Tasks that were submitted by tasks that were submitted, and so on.
    pub depth: u32,
    /// How many tasks one may submit.
    pub fan_out: u32,
}

impl Default for Submit {
    fn default() -> Submit {
        Submit { depth: 3, fan_out: 100 }
    }
}

/// A secret's value. It shows up nowhere by accident.
#[derive(Clone)]
pub struct Secret(Arc<str>);

impl Secret {
    pub(crate) fn new(value: &str) -> Secret {
        Secret(value.into())
    }

    /// For whoever may know it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// Reads `[tenant.grants]`. The exchanges in `ours` can't be published to.
pub(super) fn read(section: &Section<'_>, folder: &Path, ours: &[&str]) -> Grants {
    let default = Grants::default();
    Grants {
        http: section.subsections("http", HTTP).iter().filter_map(http).collect(),
        http_rate: section
            .read("http-rate", values::integer(1..=1000))
            .unwrap_or(default.http_rate),
        publish: publish(section, ours),
        submit: submit(section),
        secrets: section
            .entries("secrets", SECRET)
            .into_iter()
            .filter_map(|(name, section)| Some((name.to_owned(), secret(name, &section, folder)?)))
            .collect(),
        files: read_folder(section, "files", folder, "a folder of data files"),
        state: section.read("state", values::size(1..=MAX_STATE_BYTES)),
    }
}

fn http(section: &Section<'_>) -> Option<HttpGrant> {
    if !section.has("host") {
        let hint = Some("add host = \"api.example.com\"".to_owned());
        section.report_as("host", "an HTTP grant without a host", "expected \"host\"", hint);
    }
    let hosts = section.read("host", hosts);
    let ports = section.read("ports", values::list(values::integer(1..=u16::MAX.into())));
    let plain = section.read("plain", values::boolean).unwrap_or(false);
    if plain && !section.has("ports") {
        let hint = Some("add ports = [80]".to_owned());
        let message = "\"plain\" without \"ports\"";
        section.report_as("plain", message, "expected the ports of http://", hint);
    }
    let methods = section.read("methods", values::list(values::one_of(METHODS)));
    for (key, empty) in [
        ("ports", ports.as_ref().is_some_and(Vec::is_empty)),
        ("methods", methods.as_ref().is_some_and(Vec::is_empty)),
    ] {
        if empty {
            section.report(key, "expected at least one", None);
        }
    }
    let size = |key| section.read(key, values::size(0..=MAX_HTTP_BYTES)).unwrap_or(1 << 20);
    let (request, response) = (size("request"), size("response"));
    let timeout = section.read("timeout", |value| match values::duration(value)? {
        timeout if timeout > MAX_HTTP_TIMEOUT => Err("expected 10 minutes at most".into()),
        timeout => Ok(timeout),
    });
    Some(HttpGrant {
        hosts: hosts?,
        ports: ports.map_or_else(
            || vec![443],
            |ports| ports.into_iter().filter_map(|port| u16::try_from(port).ok()).collect(),
        ),
        plain,
        methods: methods.unwrap_or_else(|| vec!["GET", "HEAD"]),
        request,
        response,
        timeout: timeout.unwrap_or(Duration::from_secs(10)),
    })
}

/// A host's name, `*.` and a domain, an address, or a range of addresses.
fn hosts(value: &DeValue<'_>) -> Result<Hosts, Expected> {
    let text = values::short_string(value)?.to_ascii_lowercase();
    if let Some(addresses) = Addresses::parse(&text) {
        return addresses.map(Hosts::At);
    }
    let (name, below) = match text.strip_prefix("*.") {
        Some(name) => (name, true),
        None => (text.as_str(), false),
    };
    let label = |label: &str| {
        !label.is_empty()
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    let last = name.rsplit('.').next().unwrap_or_default();
    // URLs take what ends in a number for an IPv4 address, in one of many spellings.
    let number = last.starts_with(|c: char| c.is_ascii_digit());
    match (name.split('.').all(label) && !number, below) {
        (true, true) => Ok(Hosts::Below(name.to_owned())),
        (true, false) => Ok(Hosts::Named(name.to_owned())),
        (false, _) => Err("expected a host's name in ASCII, \"*.\" and a domain, an IP address, \
                           or a range such as \"192.0.2.0/24\""
            .into()),
    }
}

fn publish(section: &Section<'_>, ours: &[&str]) -> BTreeSet<String> {
    let exchange = |value: &DeValue<'_>| match values::short_string(value)?.as_str() {
        "" => Err("expected the names of exchanges, none of them empty".into()),
        name if ours.contains(&name) => {
            Err(format!("expected no exchange of ROH's own, as {name:?} is: tasks are submitted"))
        }
        name => Ok(name.to_owned()),
    };
    section.read("publish", values::list(exchange)).unwrap_or_default().into_iter().collect()
}

fn submit(section: &Section<'_>) -> Option<Submit> {
    let expected = "expected true, or a table with depth and fan-out";
    let default = Submit::default();
    let kind = section.read("submit", |value| match value {
        DeValue::Table(_) => Ok(None),
        value => values::boolean(value).map(Some).map_err(|_| expected.into()),
    })?;
    if let Some(granted) = kind {
        return granted.then_some(default);
    }
    let limits = section.subsection("submit", SUBMIT);
    Some(Submit {
        depth: limits.read("depth", values::integer(1..=100)).unwrap_or(default.depth),
        fan_out: limits.read("fan-out", values::integer(1..=10_000)).unwrap_or(default.fan_out),
    })
}

/// Reads a secret's value from its file or variable. No part of it is in any problem.
fn secret(name: &str, section: &Section<'_>, folder: &Path) -> Option<Secret> {
    let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.');
    if name.is_empty() || name.len() > MAX_SECRET_NAME || !name.bytes().all(fits) {
        let expected = format!(
            "expected at most {MAX_SECRET_NAME} letters and digits, \"_\", \"-\" or \".\" as its name"
        );
        section.report_as("file", "a secret whose name can't be one", expected, None);
        return None;
    }
    let (key, value) = match (section.has("file"), section.has("env")) {
        (true, false) => ("file", read_secret_file(section, folder)?),
        (false, true) => {
            let variable = section.read("env", |value| values::text(value).map(str::to_owned))?;
            let value = std::env::var(&variable).map_err(|_| {
                let message = format!("no variable {variable:?} for the secret {name:?}");
                section.report_as("env", message, "expected a variable that holds text", None);
            });
            ("env", value.ok()?)
        }
        // What is no table at all was reported as such.
        (false, false) if !section.is_present() => return None,
        _ => {
            let message = format!("not one source for the secret {name:?}");
            section.report_as("file", message, "expected one of \"file\" and \"env\"", None);
            return None;
        }
    };
    if value.len() < MIN_SECRET_BYTES {
        let message = format!("the secret {name:?} is too short to be kept out of output");
        section.report_as(key, message, format!("expected {MIN_SECRET_BYTES} bytes or more"), None);
        return None;
    }
    Some(Secret::new(&value))
}

/// The file's text without the line break that editors put at its end.
fn read_secret_file(section: &Section<'_>, folder: &Path) -> Option<String> {
    let path = read_path(section, "file", folder)?;
    let mut bytes = Vec::new();
    let read = std::fs::File::open(&path)
        .and_then(|file| file.take(MAX_SECRET_BYTES + 1).read_to_end(&mut bytes));
    let wrong = match (read, String::from_utf8(bytes)) {
        (Err(error), _) => format!("expected a readable file: {error}"),
        (Ok(_), Ok(text)) if text.len() as u64 <= MAX_SECRET_BYTES => {
            let text = text.strip_suffix('\n').unwrap_or(&text);
            return Some(text.strip_suffix('\r').unwrap_or(text).to_owned());
        }
        (Ok(_), Err(_)) => "expected text in UTF-8".to_owned(),
        (Ok(_), Ok(_)) => "expected 16KiB at most".to_owned(),
    };
    section.report_as("file", format!("failed to read {}", path.display()), wrong, None);
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Hosts, Expected> {
        hosts(&DeValue::String(text.into()))
    }

    #[test]
    fn a_host_is_a_name_a_domain_or_addresses() {
        let below = Hosts::Below("example.com".into());
        assert_eq!(parse("API.example.com"), Ok(Hosts::Named("api.example.com".into())));
        assert_eq!(parse("*.example.com"), Ok(below));
        for addresses in ["127.0.0.1", "10.0.0.0/8", "::1", "[::1]", "fd00::/16", "2001:db8::/32"] {
            assert!(matches!(parse(addresses), Ok(Hosts::At(_))), "{addresses}");
        }
        for (wrong, expected) in [
            ("", "expected a host's name"),
            ("*", "expected a host's name"),
            ("*.*.com", "expected a host's name"),
            ("a..b", "expected a host's name"),
            ("example.com.", "expected a host's name"),
            ("example.com:443", "expected a host's name"),
            ("https://example.com", "expected a host's name"),
            ("bücher.example", "expected a host's name in ASCII"),
            ("127.1", "expected a host's name"),
            ("2130706433", "expected a host's name"),
            ("0x7f.1", "expected a host's name"),
            ("0.0.0.0/0", "expected a prefix from /8 to /32"),
            ("::/0", "expected a prefix from /16 to /128"),
            ("10.0.0.0/33", "expected a prefix from /8 to /32"),
            ("10.0.0.1/8", "expected no bits in 10.0.0.1 beyond the first 8"),
            ("fd00::1/64", "expected no bits in fd00::1 beyond the first 64"),
        ] {
            let refused = parse(wrong).expect_err(wrong);
            assert!(refused.contains(expected), "{wrong}: {refused}");
        }
    }

    #[test]
    fn a_range_holds_what_shares_its_first_bits() {
        for (range, inside, outside) in [
            ("10.0.0.0/8", "10.255.0.1", "11.0.0.0"),
            ("192.168.1.128/25", "192.168.1.128", "192.168.1.127"),
            ("127.0.0.1", "127.0.0.1", "127.0.0.2"),
            ("127.0.0.1", "127.0.0.1", "::ffff:127.0.0.1"),
            ("fd00::/64", "fd00::1", "fd00:0:0:1::"),
            ("::1", "::1", "::2"),
            ("::1", "::1", "127.0.0.1"),
        ] {
            let Ok(Hosts::At(range)) = parse(range) else { panic!("{range}") };
            assert!(range.contain(inside.parse().expect(inside)), "{inside}");
            assert!(!range.contain(outside.parse().expect(outside)), "{outside}");
        }
    }
}
