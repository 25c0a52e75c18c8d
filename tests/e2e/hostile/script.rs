//! A script of the corpus, how its task is to end, and how a reply says that one did.
//!
//! A script's first line says what it tries. The lines below, `# key: value`, say how it
//! must end: `expect` (statuses, several only if the clock or chance decides), `error` (its
//! type), `says` (in its message), `result`; and how it is called: `args`, `kwargs`,
//! `profile` (of limits). A script in `leak/` has two functions, `plant` and `look`; `plant`
//! says how the former ends, `distinct` that no two results of the latter may be the same.
//!
//! `crashed` is for scripts that break the interpreter from within, by bytecode made by hand
//! or objects that nothing initialised: Python can't raise what it does not survive. What
//! such bytecode does differs from one build of the interpreter to the next.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use roh_tests::process::workspace;
use serde_json::value::RawValue;
use serde_json::{Value, json};

/// A tenant of hostile scripts, by which a header says what limits its script needs.
pub(super) struct Profile {
    pub(super) name: &'static str,
    pub(super) watermark: usize,
    pub(super) cpu: &'static str,
    pub(super) wall: &'static str,
}

/// Together one less than the node's watermark, so that the neighbour always finds a slot.
pub(super) const PROFILES: [Profile; 3] = [
    Profile { name: "brief", watermark: 4, cpu: "300ms", wall: "20s" },
    // For scripts that take their time to fill the memory.
    Profile { name: "patient", watermark: 2, cpu: "3s", wall: "60s" },
    // For scripts that wait.
    Profile { name: "asleep", watermark: 1, cpu: "300ms", wall: "500ms" },
];
pub(super) const WATERMARK: usize = 8;

/// A script of the corpus, with what its header says.
pub(super) struct Script {
    /// `class/name`
    pub(super) name: String,
    pub(super) source: String,
    pub(super) profile: &'static Profile,
    /// The statuses that it may end with.
    expect: Vec<String>,
    /// The types that its error may have.
    errors: Option<Vec<String>>,
    /// What its error's message holds.
    says: Option<String>,
    /// What it returns, if it succeeds.
    result: Option<Value>,
    pub(super) args: Value,
    pub(super) kwargs: Value,
    /// Leaks only: the statuses that setting the canary may end with.
    pub(super) plant: Vec<String>,
    /// Leaks only: whether no two tasks may return the same.
    pub(super) distinct: bool,
}

impl Script {
    fn read(path: &Path) -> Script {
        let source = fs::read_to_string(path).expect("readable");
        let part = |of: &Path| of.file_stem().expect("a name").to_string_lossy().into_owned();
        let name = format!("{}/{}", part(path.parent().expect("a class")), part(path));
        let mut script = Script {
            profile: &PROFILES[0],
            expect: Vec::new(),
            errors: None,
            says: None,
            result: None,
            args: json!([]),
            kwargs: json!({}),
            plant: vec!["succeeded".to_owned()],
            distinct: false,
            name,
            source,
        };
        script.read_header();
        script
    }

    /// The lines `# key: value` that follow the first line, which is for people.
    fn read_header(&mut self) {
        let name = &self.name;
        let several = |value: &str| value.split('|').map(str::to_owned).collect();
        let parsed = |value: &str| {
            serde_json::from_str(value).unwrap_or_else(|error| panic!("{name}: {value}: {error}"))
        };
        for line in self.source.lines().skip(1) {
            let Some((key, value)) = line.strip_prefix("# ").and_then(|line| line.split_once(": "))
            else {
                break;
            };
            match key {
                "expect" => self.expect = several(value),
                "error" => self.errors = Some(several(value)),
                "says" => self.says = Some(value.to_owned()),
                "result" => self.result = Some(parsed(value)),
                "args" => self.args = parsed(value),
                "kwargs" => self.kwargs = parsed(value),
                "plant" => self.plant = several(value),
                "distinct" => self.distinct = parsed(value) == true,
                "profile" => {
                    let found = PROFILES.iter().find(|profile| profile.name == value);
                    self.profile = found.unwrap_or_else(|| panic!("{name}: profile {value:?}"));
                }
                _ => panic!("{name}: unknown key {key:?}"),
            }
        }
        assert!(!self.expect.is_empty(), "{name} does not say how it ends");
    }

    pub(super) fn task(&self, function: &str) -> Vec<u8> {
        let task = json!({
            "script": self.source,
            "task": function,
            "args": self.args,
            "kwargs": self.kwargs,
        });
        task.to_string().into_bytes()
    }

    /// What is wrong with a reply, if anything is.
    pub(super) fn fault(&self, reply: &Reply) -> Option<String> {
        let status = reply.text(&["status"]);
        if !self.expect.contains(&status) {
            return Some(format!("ended as {status}, not {:?}", self.expect));
        }
        if let Some(kinds) = &self.errors
            && status == "failed"
            && !kinds.contains(&reply.text(&["error", "type"]))
        {
            return Some(format!("failed otherwise than by {kinds:?}"));
        }
        if let Some(words) = &self.says
            && !reply.text(&["error", "message"]).contains(words)
        {
            return Some(format!("does not say {words:?}"));
        }
        let result = reply.value("result");
        if let Some(expected) = &self.result
            && status == "succeeded"
            && result.as_ref() != Some(expected)
        {
            return Some(format!("did not return {expected}"));
        }
        None
    }
}

/// A reply whose result may be a number that no other type holds.
pub(super) struct Reply(BTreeMap<String, Box<RawValue>>);

impl Reply {
    pub(super) fn parse(body: &[u8]) -> Reply {
        let parsed = serde_json::from_slice(body);
        Reply(parsed.unwrap_or_else(|e| panic!("{e}: {}", String::from_utf8_lossy(body))))
    }

    pub(super) fn value(&self, key: &str) -> Option<Value> {
        serde_json::from_str(self.0.get(key)?.get()).ok()
    }

    /// The text at the end of that path; empty if there is none.
    pub(super) fn text(&self, path: &[&str]) -> String {
        let (key, rest) = path.split_first().expect("a path");
        let value = self.value(key).unwrap_or_default();
        let end = rest.iter().fold(&value, |value, key| &value[key]);
        end.as_str().unwrap_or_default().to_owned()
    }

    /// Most of it, for people.
    pub(super) fn shown(&self) -> String {
        let mut shown = String::new();
        for (key, value) in &self.0 {
            let value = value.get();
            let start = &value[..value.floor_char_boundary(400)];
            write!(shown, "{key}={start} ").expect("writing to a string");
        }
        shown
    }
}

/// The scripts of a class.
pub(super) fn class(name: &str) -> Vec<Script> {
    let folder = workspace().join("tests/hostile").join(name);
    let entries = folder.read_dir().expect("a class of scripts");
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "py"));
    paths.sort();
    assert!(!paths.is_empty(), "{name} has no scripts");
    paths.iter().map(|path| Script::read(path)).collect()
}
