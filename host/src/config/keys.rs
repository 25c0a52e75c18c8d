//! Every key that a configuration may hold, with its type and its default.
//!
//! `docs/config.md` lists the same, and a test holds the two together. Reading the
//! values is not done here.

/// A key of the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Key {
    /// The table it stands in, written as its header: `[node]`, `[[source]]`.
    pub(super) table: &'static str,
    /// Its name.
    pub(super) name: &'static str,
    /// What its value is, in a word or two.
    pub(super) kind: &'static str,
    /// Its default as TOML; else, in words in brackets, what happens without it.
    pub(super) default: &'static str,
}

const fn key(
    table: &'static str,
    name: &'static str,
    kind: &'static str,
    default: &'static str,
) -> Key {
    Key { table, name, kind, default }
}

/// Tables by the name they have in the file, with the header that makes them.
pub(super) const TABLES: &[(&str, &str)] = &[
    ("node", "[node]"),
    ("broker", "[broker]"),
    ("source", "[[source]]"),
    ("manager", "[manager]"),
    ("sandbox", "[sandbox]"),
    ("limits", "[limits]"),
    ("tenant", "[[tenant]]"),
    ("dead-letter", "[dead-letter]"),
    ("management", "[management]"),
    ("log", "[log]"),
];

/// Headers of the tables that stand within a tenant's.
pub(super) const TENANT_LIMITS: &str = "[tenant.limits]";
pub(super) const GRANTS: &str = "[tenant.grants]";
pub(super) const HTTP: &str = "[[tenant.grants.http]]";
pub(super) const SUBMIT: &str = "[tenant.grants.submit]";
pub(super) const SECRET: &str = "[tenant.grants.secrets.NAME]";

/// In the order of the reference.
pub(super) const KEYS: &[Key] = &[
    key("[node]", "name", "string", "(the host's name)"),
    key("[node]", "data", "path", "(systemd's state folder, else `~/.local/state/roh`)"),
    key("[broker]", "url", "string", "(this or `url-file`)"),
    key("[broker]", "url-file", "path", "(this or `url`)"),
    key("[[source]]", "exchange", "string", r#""roh.tasks""#),
    key("[[source]]", "queue", "string", r#""roh.tasks""#),
    key("[[source]]", "routing-key", "string", r#""""#),
    key("[[source]]", "tenant", "string", r#""default""#),
    key("[[source]]", "arguments", "table", "{}"),
    key("[[source]]", "binding-arguments", "table", "{}"),
    key("[[source]]", "nowait", "boolean", "false"),
    key("[manager]", "watermark", "integer", "8"),
    key("[manager]", "waiting-limit", "integer", "64"),
    key("[manager]", "max-deliveries", "integer", "5"),
    key("[manager]", "drain-timeout", "duration", r#""30s""#),
    key("[sandbox]", "require", "array", "[]"),
    key("[sandbox]", "executors", "integer", "1"),
    key("[sandbox]", "script-images", "size", r#""64MiB""#),
    key("[limits]", "memory", "size", r#""64MiB""#),
    key("[limits]", "cpu", "duration", r#""5s""#),
    key("[limits]", "wall", "duration", r#""30s""#),
    key("[limits]", "output", "size", r#""256KiB""#),
    key("[limits]", "message", "size", r#""1MiB""#),
    key("[limits]", "result", "size", r#""1MiB""#),
    key("[limits]", "calls", "integer", "1000"),
    key("[limits]", "call-bytes", "size", r#""16MiB""#),
    key("[limits]", "log-lines", "integer", "10"),
    key("[[tenant]]", "name", "string", "(required)"),
    key("[[tenant]]", "scripts", "path", "(inline scripts only)"),
    key("[[tenant]]", "share", "integer", "1"),
    key("[[tenant]]", "watermark", "integer", "(the node's)"),
    key("[[tenant]]", "waiting-limit", "integer", "(the node's)"),
    key("[[tenant]]", "executor", "string", r#""shared""#),
    key("[[tenant]]", "image", "string", r#""script""#),
    key("[[tenant]]", "limits", "table", "(as `[limits]`)"),
    key("[[tenant]]", "grants", "table", "(nothing)"),
    key(GRANTS, "http", "array of tables", "(nothing)"),
    key(GRANTS, "http-rate", "integer", "10"),
    key(GRANTS, "publish", "array", "[]"),
    key(GRANTS, "submit", "boolean or table", "(no)"),
    key(GRANTS, "secrets", "table", "{}"),
    key(GRANTS, "files", "path", "(nothing)"),
    key(GRANTS, "state", "size", "(nothing)"),
    key(HTTP, "host", "string", "(required)"),
    key(HTTP, "ports", "array", "[443]"),
    key(HTTP, "plain", "boolean", "false"),
    key(HTTP, "methods", "array", r#"["GET", "HEAD"]"#),
    key(HTTP, "request", "size", r#""1MiB""#),
    key(HTTP, "response", "size", r#""1MiB""#),
    key(HTTP, "timeout", "duration", r#""10s""#),
    key(SUBMIT, "depth", "integer", "3"),
    key(SUBMIT, "fan-out", "integer", "100"),
    key(SECRET, "file", "path", "(this or `env`)"),
    key(SECRET, "env", "string", "(this or `file`)"),
    key("[dead-letter]", "exchange", "string", r#""roh.dead""#),
    key("[dead-letter]", "queue", "string", r#""roh.dead""#),
    key("[management]", "listen", "address", r#""127.0.0.1:8080""#),
    key("[management]", "token-file", "path", "(no token)"),
    key("[log]", "format", "string", r#""pretty""#),
    key("[log]", "level", "string", r#""info""#),
];

/// The names of the keys in the table with this header. `[tenant.limits]` has those
/// of `[limits]`.
pub(super) fn names(header: &str) -> impl Iterator<Item = &'static str> {
    let header = if header == TENANT_LIMITS { "[limits]" } else { header };
    KEYS.iter().filter(move |key| key.table == header).map(|key| key.name)
}

/// The candidate most like `name`, if one is like it at all.
pub(super) fn nearest<'a>(
    name: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    candidates
        .into_iter()
        .map(|candidate| (strsim::normalized_damerau_levenshtein(name, candidate), candidate))
        .filter(|(likeness, _)| *likeness >= 0.5)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate)
}
