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
    ("limits", "[limits]"),
    ("tenant", "[[tenant]]"),
    ("dead-letter", "[dead-letter]"),
    ("management", "[management]"),
    ("log", "[log]"),
];

/// Keys that hold a table of their own.
pub(super) const TENANT_LIMITS: &str = "limits";

/// In the order of the reference.
pub(super) const KEYS: &[Key] = &[
    key("[node]", "name", "string", "(the host's name)"),
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
    key("[limits]", "memory", "size", r#""64MiB""#),
    key("[limits]", "cpu", "duration", r#""5s""#),
    key("[limits]", "wall", "duration", r#""30s""#),
    key("[limits]", "output", "size", r#""256KiB""#),
    key("[limits]", "message", "size", r#""1MiB""#),
    key("[limits]", "result", "size", r#""1MiB""#),
    key("[[tenant]]", "name", "string", "(required)"),
    key("[[tenant]]", "scripts", "path", "(inline scripts only)"),
    key("[[tenant]]", "share", "integer", "1"),
    key("[[tenant]]", "watermark", "integer", "(the node's)"),
    key("[[tenant]]", TENANT_LIMITS, "table", "(as `[limits]`)"),
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
    let header = if header == "[tenant.limits]" { "[limits]" } else { header };
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
