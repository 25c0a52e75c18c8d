//! What the configuration takes, what it refuses, and how it says so.

use std::fs;
use std::path::Path;
use std::time::Duration;

use super::keys::{GRANTS, HTTP, KEYS, SUBMIT};
use super::*;

const BROKER: &str = "[broker]\nurl = 'amqp://u:hunter2@h'\n";

fn parse(text: &str) -> Result<Config, ConfigError> {
    load::parse(text, Path::new("roh.toml"))
}

fn accepted(text: &str) -> Config {
    parse(text).unwrap_or_else(|error| panic!("{text}\n{error}"))
}

fn refused(text: &str) -> Refused {
    match parse(text).expect_err(text) {
        ConfigError::Refused(refused) => *refused,
        other => panic!("{other}"),
    }
}

fn refusal(text: &str) -> String {
    refused(text).to_string()
}

#[test]
fn a_broker_alone_is_enough() {
    let config = accepted(BROKER);
    assert_eq!(config.broker.url, "amqp://u:hunter2@h");
    assert!(!config.node.is_empty());
    let [source] = &config.sources[..] else { panic!("one source") };
    assert_eq!((source.exchange.as_str(), source.queue.as_str()), ("roh.tasks", "roh.tasks"));
    assert_eq!(config.manager.prefetch(), 72);
    let tenant = &config.tenants[&TenantName::new("default")];
    assert_eq!((tenant.scripts.as_ref(), tenant.share, tenant.watermark), (None, 1, None));
    assert_eq!(tenant.limits, Limits::default());
    assert_eq!(config.management.listen.to_string(), "127.0.0.1:8080");
}

#[test]
fn the_documented_defaults_are_the_real_ones() {
    let (mut tables, mut written) = (BROKER.to_owned(), BROKER.to_owned());
    let mut header = "";
    for key in KEYS.iter().filter(|key| !key.default.starts_with('(')) {
        if key.table != header {
            header = key.table;
            // The filter leaves out all that has no default: some tables need more.
            let needed = match header {
                "[[tenant]]" => "name = 'default'\n",
                "[[tenant.grants.http]]" => "host = 'h'\n",
                _ => "",
            };
            tables += &format!("{header}\n{needed}");
            written += &format!("{header}\n{needed}");
        }
        written += &format!("{} = {}\n", key.name, key.default);
    }
    assert_eq!(format!("{:?}", accepted(&written)), format!("{:?}", accepted(&tables)));
}

#[test]
fn a_tenants_limits_override_the_nodes_one_by_one() {
    let config = accepted(&format!(
        "{BROKER}[[source]]\ntenant = 'a'\n[limits]\ncpu = '1s'\nmemory = 67108864\n\
         [[tenant]]\nname = 'a'\n[tenant.limits]\nwall = '1m 30s'\n[[tenant]]\nname = 'b'\n"
    ));
    let limits = |name| config.tenants[&TenantName::new(name)].limits;
    assert_eq!(limits("a").cpu, Duration::from_secs(1));
    assert_eq!(limits("a").memory, 64 << 20);
    assert_eq!(limits("a").wall, Duration::from_secs(90));
    assert_eq!(limits("b").wall, Duration::from_secs(30));
}

#[test]
fn a_message_can_lower_limits_and_not_raise_them() {
    let lowered = Lowered {
        memory: Some(1 << 30),
        cpu: Some(Duration::from_secs(1)),
        output: Some(0),
        ..Lowered::default()
    };
    let limits = Limits::default();
    let expected = Limits { cpu: Duration::from_secs(1), output: 0, ..limits };
    assert_eq!(limits.lowered_by(&lowered), expected);
}

#[test]
fn arguments_are_what_toml_says_they_are() {
    let config = accepted(&format!(
        "{BROKER}[[source]]\narguments = {{ x-queue-type = 'quorum', n = 0x10, l = [true, 1.5] }}"
    ));
    let arguments = &config.sources[0].arguments;
    assert_eq!(arguments["x-queue-type"], Argument::Text("quorum".into()));
    assert_eq!(arguments["n"], Argument::Int(16));
    let list = vec![Argument::Bool(true), Argument::Float(1.5)];
    assert_eq!(arguments["l"], Argument::List(list));
}

#[test]
fn tenants_that_sources_name_are_made_if_none_is_listed() {
    let config = accepted(&format!("{BROKER}[[source]]\ntenant = 'acme'\n"));
    assert_eq!(config.tenants.keys().map(TenantName::as_str).collect::<Vec<_>>(), ["acme"]);
}

#[test]
fn says_what_is_wrong_where_and_what_was_expected() {
    for (text, expected) in [
        // Tables and keys.
        ("[brokr]\n", "roh.toml:3:2: unknown table \"brokr\""),
        ("[brokr]\n", "hint: did you mean [broker]?"),
        ("watermark = 3\n", "unknown key \"watermark\" in [broker]"),
        ("watermark = 3\n", "hint: \"watermark\" belongs in [manager]"),
        ("[manager]\nwatermrk = 3", "roh.toml:4:1: unknown key \"watermrk\" in [manager]"),
        ("[manager]\nwatermrk = 3", "expected one of watermark, waiting-limit, max-deliv"),
        ("[manager]\nwatermrk = 3", "hint: did you mean \"watermark\"?"),
        ("[manager]\nwaiting_limit = 3", "hint: did you mean \"waiting-limit\"?"),
        ("[source]\nqueue = 'q'", "hint: write [[source]], once for each"),
        ("[[node]]\nname = 'q'", "[node] is not a table"),
        ("[[tenant]]\nname = 'default'\n[tenant.limits]\nmem = 1", "did you mean \"memory\"?"),
        // Values.
        ("[manager]\nwatermark = 'x'", "roh.toml:4:13: invalid value for \"watermark\" in [man"),
        ("[manager]\nwatermark = 'x'", "\n    watermark = 'x'\n"),
        ("[manager]\nwatermark = 'x'", "expected an integer from 1 to 65535, not a string"),
        ("[manager]\nwatermark = 0", "expected an integer from 1 to 65535"),
        ("[manager]\nwaiting-limit = -1", "expected an integer from 0 to 65535"),
        ("[manager]\nwatermark = 99999999999999999999", "expected an integer from 1"),
        ("[manager]\nwatermark = 65535", "prefetch count of 65599"),
        ("[manager]\nwaiting-limit = 65535", "roh.toml:4:17: watermark and waiting-limit make"),
        ("[manager]\ndrain-timeout = '0s'", "expected more than no time at all"),
        ("[manager]\ndrain-timeout = '2000 years'", "expected a year at most"),
        ("[manager]\ndrain-timeout = 30", "expected a duration such as \"30s\", not an integer"),
        ("[limits]\nmemory = '47MiB'", "expected a size from 48MiB to 4GiB"),
        ("[limits]\nmemory = '4097MiB'", "expected a size from 48MiB to 4GiB"),
        ("[limits]\nmessage = 0", "expected a size from 1B to 4GiB"),
        ("[limits]\nmemory = 'much'", "expected a size such as \"64MiB\""),
        ("[limits]\ncpu = 'soon'", "expected a duration such as \"30s\""),
        ("[[tenant]]\nname = 'default'\nshare = 1001", "expected an integer from 1 to 1000"),
        ("[log]\nformat = 'xml'", "expected \"pretty\" or \"json\""),
        ("[log]\nlevel = 'roh=loud'", "expected a filter such as"),
        ("[node]\nname = ' '", "expected a name in printable characters"),
        ("[management]\nlisten = 'localhost:8080'", "expected an IP address and a port"),
        // Sources.
        ("[[source]]\nqueue = ''", "expected a name, not an empty string"),
        ("[[source]]\nqueue = 'amq.q'", "the broker keeps \"amq.\" to itself"),
        ("[[source]]\nnowait = 1", "expected true or false, not an integer"),
        ("[[source]]\narguments = { a = 2026-01-01 }", "AMQP arguments can't be dates"),
        ("[[source]]\n[[source]]", "exchange \"roh.tasks\" and queue \"roh.tasks\" twice"),
        ("[[source]]\n[[source]]\nexchange = 'e'\ntenant = 't'", "\"roh.tasks\" for two tenants"),
        ("[[source]]\nexchange = 'roh.dead'", "dead letters would go back to the exchange"),
        ("[dead-letter]\nqueue = 'roh.tasks'", "dead letters would go back to the queue"),
        (
            "[[source]]\nqueue='b'\n[[source]]\n[manager]\nwatermark = 1\nwaiting-limit = 0",
            "expected at least 1 for each of the 2 sources",
        ),
        // Tenants.
        ("[[source]]\ntenant = 'acne'\n[[tenant]]\nname = 'acme'", "did you mean \"acme\"?"),
        ("[[tenant]]\nname = 'z'", "expected a [[tenant]] called \"default\""),
        ("[[tenant]]\nname = 'default'\n[[tenant]]\nname = 'default'", "\"default\" twice"),
        ("[[tenant]]\nshare = 1", "a tenant without a name"),
        ("[[tenant]]\nname = 'default'\nscripts = 'no-such'", "no-such does not exist"),
        ("[[tenant]]\nname = 'default'\nexecutor = 'mine'", "expected \"shared\" or \"own\""),
        ("[limits]\ncalls = 0", "expected an integer from 1 to 1000000"),
        ("[sandbox]\nrequire = ['selinux']", "\"seccomp\" or \"landlock\" or \"namespaces\""),
        ("[sandbox]\nrequire = 'seccomp'", "expected an array, not a string"),
        ("[sandbox]\nexecutors = 65", "expected an integer from 1 to 64"),
        // Management.
        ("[management]\nlisten = '0.0.0.0:80'", "0.0.0.0:80 is open to others"),
        ("[management]\ntoken-file = 'no-such'", "failed to read no-such"),
        // Not TOML.
        ("[manager]\nwatermark = \n", "roh.toml:4:"),
        ("[manager]\n[manager]\n", "roh.toml:4:"),
    ] {
        let refusal = refusal(&format!("{BROKER}{text}"));
        assert!(refusal.contains(expected), "{text}\n----\n{refusal}\n---- lacks\n{expected}");
    }
    let long = format!("{BROKER}[[source]]\nqueue = '{}'", "q".repeat(256));
    assert!(refusal(&long).contains("expected at most 255 bytes, not 256"));
}

#[test]
fn says_what_is_wrong_with_grants() {
    for (text, expected) in [
        ("htp = []", "hint: did you mean \"http\"?"),
        ("http = true", "\"http\" is not a list"),
        ("http = [{}]", "an HTTP grant without a host"),
        ("http = [{host = 'a b'}]", "expected a host's name in ASCII"),
        ("http = [{host = 'h', port = 1}]", "unknown key \"port\" in [[tenant.grants.http]]"),
        ("http = [{host = 'h', ports = []}]", "expected at least one"),
        ("http = [{host = 'h', ports = [0]}]", "expected an integer from 1 to 65535"),
        ("http = [{host = 'h', plain = true}]", "hint: add ports = [80]"),
        ("http = [{host = 'h', methods = ['get']}]", "expected \"GET\" or"),
        ("http = [{host = 'h', timeout = '1h'}]", "expected 10 minutes at most"),
        ("publish = ['']", "expected the names of exchanges"),
        ("publish = ['roh.tasks']", "expected no exchange of ROH's own"),
        ("publish = ['roh.dead']", "expected no exchange of ROH's own"),
        ("submit = 3", "expected true, or a table"),
        ("submit = { depth = 0 }", "expected an integer from 1 to 100"),
        ("submit = { width = 1 }", "unknown key \"width\" in [tenant.grants.submit]"),
        ("files = 'no-such'", "no-such does not exist"),
        ("state = '2GiB'", "expected a size from 1B to 1GiB"),
        ("secrets = { A = {} }", "not one source for the secret \"A\""),
        ("secrets = { 'A B' = { env = 'X' } }", "a secret whose name can't be one"),
        ("secrets = { A = { env = 'ROH_NO_SUCH' } }", "no variable \"ROH_NO_SUCH\""),
        ("secrets = { A = { file = 'no-such' } }", "failed to read no-such"),
        ("secrets = { A = { value = 'x' } }", "unknown key \"value\" in [tenant.grants.secr"),
    ] {
        let text = format!("{BROKER}[[tenant]]\nname = 'default'\n[tenant.grants]\n{text}\n");
        let refusal = refusal(&text);
        assert!(refusal.contains(expected), "{text}\n----\n{refusal}\n---- lacks\n{expected}");
    }
}

#[test]
fn a_secret_is_read_and_never_shown() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let path = folder.path().join("token");
    let text = |more: &str| {
        format!(
            "{BROKER}[[tenant]]\nname = 'default'\n[tenant.grants.secrets]\n\
             TOKEN = {{ file = '{}' }}\n{more}",
            path.display()
        )
    };
    fs::write(&path, "swordfish\r\n").expect("writes");
    let config = accepted(&text(""));
    let secrets = &config.tenants[&TenantName::new("default")].grants.secrets;
    assert_eq!(secrets["TOKEN"].reveal(), "swordfish");
    assert!(!format!("{config:?}").contains("swordfish"));
    for wrong in
        ["B = 'swordfish'", "B = { value = 'swordfish' }", "B = ['swordfish']", "B.c = 'swordfish'"]
    {
        let refused = refused(&text(wrong));
        for shown in [refused.render(Style::Plain), refused.render(Style::Graphical)] {
            assert!(!shown.contains("swordfish"), "{wrong}: {shown}");
        }
    }
    fs::write(&path, "short\n").expect("writes");
    assert!(refusal(&text("")).contains("expected 6 bytes or more"));
    fs::write(&path, "x".repeat(1 + (16 << 10))).expect("writes");
    assert!(refusal(&text("")).contains("expected 16KiB at most"));
}

#[test]
fn the_broker_needs_exactly_one_address() {
    for (text, expected) in [
        ("", "roh.toml:1:1: no [broker]"),
        ("[broker]\n", "neither \"url\" nor \"url-file\""),
        ("[broker]\nurl = 'amqp://h'\nurl-file = 'f'\n", "both \"url\" and \"url-file\""),
        ("[broker]\nurl = 'http://h'\n", "starts with amqp:// or amqps://"),
        ("[broker]\nurl = 'amqp://u:p@/v'\n", "expected a URL such as amqp://"),
        ("[broker]\nurl-file = 'no-such'\n", "failed to read no-such"),
        ("broker = 'amqp://h'\n", "[broker] is not a table"),
    ] {
        let refusal = refusal(text);
        assert!(refusal.contains(expected), "{text}: {refusal}");
    }
}

#[test]
fn reports_five_errors_at_once_in_the_order_of_the_file() {
    let refused = refused(
        "[broker]\nurl = 'amqp://u:hunter2@h'\n\n[manager]\nwatermrk = 3\n\n\
         [limits]\nmemory = '1MiB'\ncpu = 5\n\n[[source]]\ntenant = 'acne'\n\n\
         [[tenant]]\nname = 'acme'\nscripts = 'no-such'\n",
    );
    assert_eq!(refused.count(), 5);
    assert_eq!(
        refused.render(Style::Plain),
        "\
roh.toml:5:1: unknown key \"watermrk\" in [manager]
    watermrk = 3
  expected one of watermark, waiting-limit, max-deliveries, drain-timeout
  hint: did you mean \"watermark\"?
roh.toml:8:10: invalid value for \"memory\" in [limits]
    memory = '1MiB'
  expected a size from 48MiB to 4GiB
roh.toml:9:7: invalid value for \"cpu\" in [limits]
    cpu = 5
  expected a duration such as \"30s\", not an integer
roh.toml:12:10: unknown tenant \"acne\"
    tenant = 'acne'
  expected a [[tenant]] called \"acne\"
  hint: did you mean \"acme\"?
roh.toml:16:11: no-such does not exist
    scripts = 'no-such'
  expected a folder of Python modules"
    );
    let graphical = refused.render(Style::Graphical);
    for expected in ["roh.toml:5:1", "roh.toml:8:10", "roh.toml:9:7", "roh.toml:12:10"] {
        assert!(graphical.contains(expected), "{graphical}");
    }
}

#[test]
fn never_shows_the_brokers_password() {
    for text in [
        "[broker]\nurl = 'http://u:hunter2@h'\n",
        "[broker]\nurl = 'hunter2'\n",
        "[broker]\nurl = 'amqp://u:hunter2@h'\nurl-fil = 'x'\n",
        "[broker]\nurl = 'amqp://u:hunter2@h\n",
        "[broker]\nurl = amqp://u:hunter2@h\n",
        "[broker]\nurl = \"\"\"amqp://u:\\\n  hunter2@\"\"\"\nx = 1\n",
        "[broker]\nurl = 'amqp://hunter2:hunter2'\nx = 1\n",
        "[broker]\nurl = 'amqp://u:hun@ter2@h'\nx = 1 # hunter2\n".trim_end_matches(" # hunter2\n"),
        "[broker]\nurl = 'amqp:/u:hunter2@h/?x=http://h'\n",
        "broker = { url = 'amqp:/u:hunter2@h/?x=http://h', x = 1 }\n",
        "[broker]\npassword = 'hunter2'\n",
        "[broker]\npassword = hunter2\n",
        "[broker]\npass = 'hunter2'\n",
        "broker = { url = 'amqp://u:hunter2@h', x = 1 }\n",
        "broker = 'amqp://u:hunter2@h'\n",
        "[broker\nurl = 'amqp://u:hunter2@h'\n",
        "[manager]\nurl = 'amqp://u:hunter2@h'\n",
        "[broker]\nurl = 'amqp://u:hunter2@h'\n[[broker]]\nurl = 'amqp://u:hunter2@h'",
    ] {
        let refused = refused(text);
        for shown in [
            refused.render(Style::Plain),
            refused.render(Style::Graphical),
            format!("{:?}", refused.render(Style::Plain)),
        ] {
            assert!(!shown.contains("unter2"), "{text}: {shown}");
        }
    }
    let config = accepted(BROKER);
    assert!(!format!("{config:?}").contains("hunter2"));
}

#[test]
fn paths_start_at_the_files_folder() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let path = |name| folder.path().join(name);
    fs::create_dir(path("scripts")).expect("creates");
    fs::write(path("url"), "amqps://u:hunter2@h:5671/v\n").expect("writes");
    fs::write(path("token"), " 0123456789abcdef\n").expect("writes");
    let write = |management: &str| {
        fs::write(
            path("roh.toml"),
            format!(
                "broker.url-file = 'url'\n[[tenant]]\nname = 'default'\nscripts = 'scripts'\n\
                 [management]\nlisten = '[::]:0'\n{management}"
            ),
        )
        .expect("writes");
    };
    write("token-file = 'token'\n");
    let config = Config::load(&path("roh.toml")).expect("valid");
    assert_eq!(config.broker.url, "amqps://u:hunter2@h:5671/v");
    assert_eq!(config.management.token.as_deref(), Some("0123456789abcdef"));
    let tenant = &config.tenants[&TenantName::new("default")];
    assert_eq!(tenant.scripts.as_deref(), Some(path("scripts").as_path()));

    for (token, url, expected) in [
        ("short", "amqp://h", "no usable token in \"token-file\""),
        ("0123456789 abcdef", "amqp://h", "no usable token in \"token-file\""),
        ("0123456789abcdef", "hunter2", "no broker URL in \"url-file\""),
    ] {
        fs::write(path("token"), token).expect("writes");
        fs::write(path("url"), url).expect("writes");
        let error = Config::load(&path("roh.toml")).expect_err(expected).to_string();
        assert!(error.contains(expected) && !error.contains("hunter2"), "{error}");
    }
}

#[test]
fn a_missing_file_is_named() {
    let error = Config::load(Path::new("no-such.toml")).expect_err("missing");
    assert_eq!(error.to_string(), "failed to read the configuration no-such.toml");
}

#[test]
fn the_reference_lists_the_keys_of_the_code() {
    let mut table = "";
    let mut listed = Vec::new();
    for line in include_str!("../../../docs/config.md").lines() {
        if let Some(header) = line.strip_prefix("## ") {
            table = header.trim_matches('`');
        } else if let Some(row) = line.strip_prefix("| `") {
            let cells: Vec<_> = row.split(" | ").collect();
            // A value stands in backquotes, words in brackets may hold some.
            let default = match cells[2].strip_prefix('`') {
                Some(value) => value.trim_end_matches('`'),
                None => cells[2],
            };
            listed.push((table, cells[0].trim_end_matches('`'), cells[1], default));
        }
    }
    let known: Vec<_> = KEYS.iter().map(|k| (k.table, k.name, k.kind, k.default)).collect();
    assert_eq!(listed, known);
}

#[test]
fn the_example_of_tenants_is_accepted_and_complete() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/tenants.toml");
    let config = Config::load(&path).unwrap_or_else(|error| panic!("{error}"));
    let names: Vec<_> = config.tenants.keys().map(TenantName::as_str).collect();
    assert_eq!(names, ["acme", "globex", "playground"]);
    let acme = &config.tenants[&TenantName::new("acme")];
    assert_eq!((acme.share, acme.watermark), (3, Some(6)));
    assert_eq!((acme.grants.http.len(), acme.grants.state), (3, Some(1 << 20)));
    assert_eq!(config.sandbox.require, [Wall::Seccomp, Wall::Landlock]);
    let text = fs::read_to_string(&path).expect("reads");
    let shown = ["[sandbox]", "[limits]", "[[tenant]]", GRANTS, HTTP, SUBMIT];
    for key in KEYS.iter().filter(|key| shown.contains(&key.table)) {
        // As a key, as one of an inline table, or as the table that it is.
        let written = [
            format!("\n{} = ", key.name),
            format!(" {} = ", key.name),
            format!("\n[tenant.{}]\n", key.name),
            format!("\n[tenant.grants.{}]\n", key.name),
            format!("\n[[tenant.grants.{}]]\n", key.name),
        ];
        let is_there = written.iter().any(|written| text.contains(written.as_str()));
        assert!(is_there, "{} of {}", key.name, key.table);
    }
}

#[test]
fn the_references_examples_are_accepted() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let path = |name| folder.path().join(name);
    fs::write(path("broker-url"), "amqps://roh:password@rabbit:5671/prod").expect("writes");
    fs::write(path("management-token"), "0123456789abcdef").expect("writes");
    fs::create_dir_all(path("scripts/acme")).expect("creates");
    fs::create_dir_all(path("scripts/globex")).expect("creates");
    fs::create_dir_all(path("data/acme")).expect("creates");
    fs::write(path("acme-token"), "0123456789abcdef\n").expect("writes");
    let mut examples = 0;
    for part in include_str!("../../../docs/config.md").split("```toml\n").skip(1) {
        let (example, _) = part.split_once("```").expect("closed");
        fs::write(path("roh.toml"), example).expect("writes");
        let config = Config::load(&path("roh.toml")).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(config.manager.watermark, 8);
        examples += 1;
    }
    assert_eq!(examples, 2);
}
