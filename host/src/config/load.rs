//! Reads a configuration file: fills in defaults, checks every value, and reports
//! all problems at once.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use toml::de::DeTable;

use super::grants;
use super::keys::{GRANTS, TENANT_LIMITS, nearest};
use super::problems::{ConfigError, Problem, Refused};
use super::reader::{Document, Section};
use super::values::{self, MEMORY};
use super::{
    Broker, Config, DeadLetter, ExecutorKind, ImageKind, Limits, Log, LogFormat, Management,
    ManagerConfig, Sandbox, Source, Tenant, Wall,
};
use crate::task::TenantName;

/// What AMQP can count to as a prefetch.
const MAX_PREFETCH: u32 = u16::MAX as u32;

/// What a message, a result or an output may be at most: what an instance can hold.
const MAX_SIZE: u64 = *MEMORY.end();

/// A token shorter than this can be guessed.
const MIN_TOKEN_CHARS: usize = 16;

/// Some 100 scripts of usual size.
const DEFAULT_SCRIPT_IMAGES: u64 = 64 << 20;

const MAX_EXECUTORS: u32 = 64;
const MAX_CALLS: u32 = 1_000_000;
const MAX_LOG_LINES: u32 = 1000;

const DEFAULT_TENANT: &str = "default";

pub(super) fn load(path: &Path) -> Result<Config, ConfigError> {
    let fail = |source| ConfigError::Read { path: path.to_owned(), source };
    let text = std::fs::read_to_string(path).map_err(fail)?;
    parse(&text, path)
}

/// Reads `text` as if it stood in the file `path`.
pub(super) fn parse(text: &str, path: &Path) -> Result<Config, ConfigError> {
    let (table, errors) = DeTable::parse_recoverable(text);
    let mut problems: Vec<_> = errors.iter().map(syntax_problem).collect();
    let document = Document::new(table.get_ref());
    let folder = path.parent().unwrap_or(Path::new(""));
    let config = build(&document, folder);
    // What a broken line leaves out of the tables would be reported as missing.
    if problems.is_empty() {
        problems = document.into_problems();
    }
    match config {
        Some(config) if problems.is_empty() => Ok(config),
        _ => {
            Err(ConfigError::Refused(Box::new(Refused::new(path, text, table.get_ref(), problems))))
        }
    }
}

fn syntax_problem(error: &toml::de::Error) -> Problem {
    let message = error.message();
    let (what, expected) = message.split_once(", expected ").unwrap_or((message, ""));
    let expected = match expected {
        "" => "expected TOML".to_owned(),
        expected => format!("expected {expected}"),
    };
    Problem { span: error.span().unwrap_or(0..0), message: what.to_owned(), expected, hint: None }
}

/// `None` only if a problem was reported for which there is no default.
fn build(document: &Document<'_>, folder: &Path) -> Option<Config> {
    let section = document.section("node");
    let node = section.read("name", values::name).unwrap_or_else(host_name);
    let data = read_path(&section, "data", folder).unwrap_or_else(state_folder);
    let broker = broker(document, folder);
    let sources = sources(document);
    let limits = limits(&document.section("limits"), Limits::default());
    let dead_letter = dead_letter(document, &sources);
    let tenants = tenants(document, folder, limits, &sources, &dead_letter);
    let manager = manager(&document.section("manager"), sources.len());
    let sandbox = sandbox(&document.section("sandbox"));
    let management = management(&document.section("management"), folder);
    let log = log(&document.section("log"));
    Some(Config {
        node,
        data,
        broker: broker?,
        sources: sources.into_iter().map(|(_, source)| source).collect(),
        manager,
        sandbox,
        tenants,
        dead_letter,
        management: management?,
        log,
    })
}

/// A node's name where none is given: the machine's.
pub fn host_name() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname")
        .map(|name| name.trim().to_owned())
        .ok()
        .filter(|name| !name.is_empty())
        .unwrap_or_else(|| "node".to_owned())
}

/// Where a node keeps what outlives it, if nothing is said: what systemd's
/// `StateDirectory=` made, else the user's folder for such things.
fn state_folder() -> PathBuf {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty());
    // Several folders are separated by colons.
    set("STATE_DIRECTORY")
        .and_then(|folders| std::env::split_paths(&folders).next())
        .or_else(|| set("XDG_STATE_HOME").map(|folder| Path::new(&folder).join("roh")))
        .or_else(|| std::env::home_dir().map(|home| home.join(".local/state/roh")))
        .unwrap_or_else(|| PathBuf::from("/var/lib/roh"))
}

fn broker(document: &Document<'_>, folder: &Path) -> Option<Broker> {
    let section = document.section("broker");
    let example = r#"url = "amqp://user:password@host:5672/vhost""#;
    match (section.has("url"), section.has("url-file")) {
        (true, true) => {
            let message = "both \"url\" and \"url-file\" in [broker]";
            section.report_as("url-file", message, "expected one of the two", None);
            None
        }
        (true, false) => section.read("url", values::broker_url).map(|url| Broker { url }),
        (false, true) => {
            let text = read_file(&section, "url-file", folder)?;
            match values::check_broker_url(text.trim()) {
                Ok(url) => Some(Broker { url }),
                Err(expected) => {
                    section.report_as("url-file", "no broker URL in \"url-file\"", expected, None);
                    None
                }
            }
        }
        (false, false) if section.is_present() => {
            let message = "neither \"url\" nor \"url-file\" in [broker]";
            section.report_as("url", message, "expected one of the two", Some(example.into()));
            None
        }
        (false, false) => {
            let hint = format!("add [broker] with {example}");
            section.report_as("url", "no [broker]", "expected the broker's address", Some(hint));
            None
        }
    }
}

/// The text of the file that `key` names.
fn read_file(section: &Section<'_>, key: &str, folder: &Path) -> Option<String> {
    let path = read_path(section, key, folder)?;
    std::fs::read_to_string(&path)
        .map_err(|error| {
            let message = format!("failed to read {}", path.display());
            section.report_as(key, message, format!("expected a readable file: {error}"), None);
        })
        .ok()
}

/// Relative paths start at the configuration file's folder.
pub(super) fn read_path(section: &Section<'_>, key: &str, folder: &Path) -> Option<PathBuf> {
    section.read(key, |value| match values::text(value)? {
        "" => Err("expected a path, not an empty string".into()),
        path => Ok(folder.join(path)),
    })
}

fn sources<'a>(document: &'a Document<'a>) -> Vec<(Section<'a>, Source)> {
    let mut sections = document.sections("source");
    if sections.is_empty() {
        sections.push(document.section("source").clone());
    }
    let sources: Vec<_> = sections.into_iter().map(|s| (s.clone(), source(&s))).collect();
    for (index, (section, source)) in sources.iter().enumerate() {
        let earlier = sources[..index].iter().map(|(_, earlier)| earlier);
        for other in earlier.filter(|earlier| earlier.queue == source.queue) {
            if other.exchange == source.exchange {
                let message =
                    format!("exchange {:?} and queue {:?} twice", source.exchange, source.queue);
                section.report_as("queue", message, "expected each pair once", None);
            } else if other.tenant != source.tenant {
                let message = format!(
                    "queue {:?} for two tenants, {:?} and {:?}",
                    source.queue,
                    other.tenant.as_str(),
                    source.tenant.as_str(),
                );
                section.report_as("queue", message, "expected a queue for each tenant", None);
            }
        }
    }
    sources
}

fn source(section: &Section<'_>) -> Source {
    let name = |key| section.read(key, values::amqp_name);
    Source {
        exchange: name("exchange").unwrap_or_else(|| "roh.tasks".into()),
        queue: name("queue").unwrap_or_else(|| "roh.tasks".into()),
        routing_key: section.read("routing-key", values::short_string).unwrap_or_default(),
        tenant: TenantName::new(
            section.read("tenant", values::name).as_deref().unwrap_or(DEFAULT_TENANT),
        ),
        arguments: section.read("arguments", values::arguments).unwrap_or_default(),
        binding_arguments: section.read("binding-arguments", values::arguments).unwrap_or_default(),
        nowait: section.read("nowait", values::boolean).unwrap_or(false),
    }
}

fn manager(section: &Section<'_>, sources: usize) -> ManagerConfig {
    let watermark = section.read("watermark", values::integer(1..=MAX_PREFETCH)).unwrap_or(8);
    let waiting = section.read("waiting-limit", values::integer(0..=MAX_PREFETCH)).unwrap_or(64);
    let prefetch = watermark + waiting;
    let key = if section.has("waiting-limit") { "waiting-limit" } else { "watermark" };
    let message = format!("watermark and waiting-limit make a prefetch count of {prefetch}");
    if prefetch > MAX_PREFETCH {
        section.report_as(key, message, format!("expected {MAX_PREFETCH} at most"), None);
    } else if (prefetch as usize) < sources {
        let expected = format!("expected at least 1 for each of the {sources} sources");
        section.report_as(key, message, expected, None);
    }
    ManagerConfig {
        watermark: watermark as usize,
        waiting_limit: waiting as usize,
        max_deliveries: section.read("max-deliveries", values::integer(1..=1000)).unwrap_or(5),
        drain_timeout: section
            .read("drain-timeout", values::duration)
            .unwrap_or(Duration::from_secs(30)),
    }
}

fn sandbox(section: &Section<'_>) -> Sandbox {
    const WALLS: [(&str, Wall); 3] = [
        (Wall::Seccomp.name(), Wall::Seccomp),
        (Wall::Landlock.name(), Wall::Landlock),
        (Wall::Namespaces.name(), Wall::Namespaces),
    ];
    let wall = values::one_of(&WALLS);
    Sandbox {
        require: section.read("require", values::list(wall)).unwrap_or_default(),
        executors: section.read("executors", values::integer(1..=MAX_EXECUTORS)).unwrap_or(1)
            as usize,
        script_images: section
            .read("script-images", values::size(0..=MAX_SIZE))
            .unwrap_or(DEFAULT_SCRIPT_IMAGES),
    }
}

fn limits(section: &Section<'_>, default: Limits) -> Limits {
    let size = |key, bounds: RangeInclusive<u64>| section.read(key, values::size(bounds));
    let duration = |key| section.read(key, values::duration);
    Limits {
        memory: size("memory", MEMORY).unwrap_or(default.memory),
        cpu: duration("cpu").unwrap_or(default.cpu),
        wall: duration("wall").unwrap_or(default.wall),
        output: size("output", 0..=MAX_SIZE).unwrap_or(default.output),
        message: size("message", 1..=MAX_SIZE).unwrap_or(default.message),
        result: size("result", 1..=MAX_SIZE).unwrap_or(default.result),
        calls: section.read("calls", values::integer(1..=MAX_CALLS)).unwrap_or(default.calls),
        call_bytes: size("call-bytes", 1..=MAX_SIZE).unwrap_or(default.call_bytes),
        log_lines: section
            .read("log-lines", values::integer(0..=MAX_LOG_LINES))
            .unwrap_or(default.log_lines),
    }
}

fn tenants(
    document: &Document<'_>,
    folder: &Path,
    defaults: Limits,
    sources: &[(Section<'_>, Source)],
    dead_letter: &DeadLetter,
) -> BTreeMap<TenantName, Tenant> {
    let sections = document.sections("tenant");
    // What is published there becomes a task, or passes for a dead one.
    let exchanges = sources.iter().map(|(_, source)| source.exchange.as_str());
    let ours: Vec<_> = exchanges.chain([dead_letter.exchange.as_str()]).collect();
    let mut tenants = BTreeMap::new();
    for section in &sections {
        let tenant = tenant(section, folder, defaults, &ours);
        let Some(name) = section.read("name", values::name) else {
            if !section.has("name") {
                section.report_as("name", "a tenant without a name", "expected \"name\"", None);
            }
            continue;
        };
        if tenants.insert(TenantName::new(&name), tenant).is_some() {
            section.report_as("name", format!("tenant {name:?} twice"), "expected it once", None);
        }
    }
    for (section, source) in sources {
        if sections.is_empty() {
            tenants.insert(source.tenant.clone(), Tenant::with_limits(defaults));
        } else if !tenants.contains_key(&source.tenant) {
            let names = tenants.keys().map(TenantName::as_str);
            unknown_tenant(section, source.tenant.as_str(), names.collect());
        }
    }
    tenants
}

fn unknown_tenant(section: &Section<'_>, name: &str, known: BTreeSet<&str>) {
    let hint = match nearest(name, known.iter().copied()) {
        Some(near) => Some(format!("did you mean {near:?}?")),
        None if section.has("tenant") => None,
        None => Some("name a tenant in [[source]]".into()),
    };
    let expected = format!("expected a [[tenant]] called {name:?}");
    section.report_as("tenant", format!("unknown tenant {name:?}"), expected, hint);
}

fn tenant(section: &Section<'_>, folder: &Path, defaults: Limits, ours: &[&str]) -> Tenant {
    let executor = values::one_of(&[("shared", ExecutorKind::Shared), ("own", ExecutorKind::Own)]);
    let image =
        values::one_of(&[("script", ImageKind::Script), ("interpreter", ImageKind::Interpreter)]);
    Tenant {
        scripts: read_folder(section, "scripts", folder, "a folder of Python modules"),
        share: section.read("share", values::integer(1..=1000)).unwrap_or(1),
        watermark: section
            .read("watermark", values::integer(1..=MAX_PREFETCH))
            .map(|watermark| watermark as usize),
        waiting_limit: section
            .read("waiting-limit", values::integer(0..=MAX_PREFETCH))
            .map(|limit| limit as usize),
        limits: limits(&section.subsection("limits", TENANT_LIMITS), defaults),
        executor: section.read("executor", executor).unwrap_or(ExecutorKind::Shared),
        image: section.read("image", image).unwrap_or(ImageKind::Script),
        grants: grants::read(&section.subsection("grants", GRANTS), folder, ours),
    }
}

/// A folder that is there.
pub(super) fn read_folder(
    section: &Section<'_>,
    key: &str,
    folder: &Path,
    expected: &str,
) -> Option<PathBuf> {
    let path = read_path(section, key, folder)?;
    if !path.is_dir() {
        let what = if path.exists() { "is not a folder" } else { "does not exist" };
        let message = format!("{} {what}", path.display());
        section.report_as(key, message, format!("expected {expected}"), None);
    }
    Some(path)
}

fn dead_letter(document: &Document<'_>, sources: &[(Section<'_>, Source)]) -> DeadLetter {
    let section = document.section("dead-letter");
    let name = |key| section.read(key, values::amqp_name).unwrap_or_else(|| "roh.dead".into());
    let dead = DeadLetter { exchange: name("exchange"), queue: name("queue") };
    // A dead letter that is consumed again dies again, for ever.
    for (key, name, taken) in [
        ("exchange", &dead.exchange, sources.iter().any(|(_, s)| s.exchange == dead.exchange)),
        ("queue", &dead.queue, sources.iter().any(|(_, s)| s.queue == dead.queue)),
    ] {
        if taken {
            let message = format!("dead letters would go back to the {key} {name:?} of a source");
            section.report_as(key, message, "expected a name that no [[source]] has", None);
        }
    }
    dead
}

fn management(section: &Section<'_>, folder: &Path) -> Option<Management> {
    let default = || ([127, 0, 0, 1], 8080).into();
    let listen: std::net::SocketAddr =
        section.read("listen", values::address).unwrap_or_else(default);
    if !section.has("token-file") {
        if !listen.ip().is_loopback() {
            let message = format!("{listen} is open to others, and there is no token");
            let hint = Some("add \"token-file\" to [management]".to_owned());
            section.report_as("listen", message, "expected a loopback address or a token", hint);
        }
        return Some(Management { listen, token: None });
    }
    let token = read_file(section, "token-file", folder)?.trim().to_owned();
    if token.chars().count() < MIN_TOKEN_CHARS || !token.bytes().all(|b| b.is_ascii_graphic()) {
        let expected = format!("expected {MIN_TOKEN_CHARS} or more printable ASCII characters");
        section.report_as("token-file", "no usable token in \"token-file\"", expected, None);
        return None;
    }
    Some(Management { listen, token: Some(token) })
}

fn log(section: &Section<'_>) -> Log {
    Log {
        format: section.read("format", values::log_format).unwrap_or(LogFormat::Pretty),
        level: section.read("level", values::log_level).unwrap_or_else(|| "info".into()),
    }
}
