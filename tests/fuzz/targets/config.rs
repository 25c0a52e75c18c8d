//! A configuration: understood, or refused with places and reasons, and without its secrets.

#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
mod fuzz {
    use std::collections::BTreeMap;
    use std::fmt::Write as _;
    use std::path::Path;
    use std::sync::LazyLock;
    use std::time::Duration;

    use roh::config::{
        Argument, Config, ConfigError, ExecutorKind, Hosts, Limits, LogFormat, Refused, Style,
        Tenant, fuzz as config,
    };
    use roh_fuzz::within;

    /// What reading one may hold at once: filters of `[log] level` can have patterns.
    const MEMORY: usize = 64 << 20;

    /// A password that must not be shown.
    const PASSWORD: &str = "hunter2";

    /// What relative paths lead to.
    static FOLDER: LazyLock<tempfile::TempDir> = LazyLock::new(|| {
        let folder = tempfile::tempdir().expect("a folder");
        let write = |name: &str, text: &str| {
            std::fs::write(folder.path().join(name), text).expect("written");
        };
        write("token", "0123456789abcdef\n");
        write("secret", "correct horse\n");
        write("url", "amqp://u:p@h\n");
        std::fs::create_dir(folder.path().join("dir")).expect("made");
        folder
    });

    libfuzzer_sys::fuzz_target!(|text: &str| {
        let file = FOLDER.path().join("roh.toml");
        within(MEMORY, || read(text, &file));
    });

    fn read(text: &str, file: &Path) {
        match config::parse(text, file) {
            Ok(config) => {
                let again = written(&config);
                let again = match config::parse(&again, file) {
                    Ok(again) => again,
                    Err(error) => panic!("{error}\n{again}"),
                };
                assert_eq!(format!("{again:?}"), format!("{config:?}"));
                assert_eq!(again.broker.url, config.broker.url);
                assert!(
                    config.management.listen.ip().is_loopback()
                        || config.management.token.is_some()
                );
                assert!(config.manager.prefetch() <= usize::from(u16::MAX));
                for source in &config.sources {
                    assert!(config.tenants.contains_key(&source.tenant));
                    assert!(source.exchange != config.dead_letter.exchange);
                }
            }
            Err(ConfigError::Refused(refused)) => shown(&refused, text),
            Err(error) => panic!("{error}"),
        }
    }

    fn shown(refused: &Refused, text: &str) {
        assert!(refused.count() > 0);
        for style in [Style::Plain, Style::Graphical] {
            let shown = refused.render(style);
            assert!(shown.contains("roh.toml"), "{shown}");
            assert!(!tells(text) || !shown.contains(PASSWORD), "{shown}");
        }
    }

    /// Whether the password stands in `text` once, and as the password in the broker's URL.
    fn tells(text: &str) -> bool {
        let Ok(table) = text.parse::<toml::Table>() else { return false };
        let url = table.get("broker").and_then(|broker| broker.get("url")?.as_str());
        text.matches(PASSWORD).count() == 1
            && url.is_some_and(|url| url.starts_with("amqp") && url.contains(":hunter2@"))
    }

    /// The configuration with all that is left to defaults, as TOML.
    fn written(config: &Config) -> String {
        let mut out = String::new();
        let mut line = |line: String| {
            out.push_str(&line);
            out.push('\n');
        };
        line("[node]".into());
        line(format!("name = {}", text(&config.node)));
        line(format!("data = {}", path(&config.data)));
        line(format!("[broker]\nurl = {}", text(&config.broker.url)));
        let manager = &config.manager;
        line(format!("[manager]\nwatermark = {}", manager.watermark));
        line(format!("waiting-limit = {}", manager.waiting_limit));
        line(format!("max-deliveries = {}", manager.max_deliveries));
        line(format!("drain-timeout = {}", duration(manager.drain_timeout)));
        let require: Vec<_> = config.sandbox.require.iter().map(|wall| text(wall.name())).collect();
        line(format!("[sandbox]\nrequire = [{}]", require.join(", ")));
        line(format!("executors = {}", config.sandbox.executors));
        let dead = &config.dead_letter;
        line(format!("[dead-letter]\nexchange = {}", text(&dead.exchange)));
        line(format!("queue = {}", text(&dead.queue)));
        line(format!("[management]\nlisten = {}", text(&config.management.listen.to_string())));
        if config.management.token.is_some() {
            line("token-file = 'token'".into());
        }
        let format = match config.log.format {
            LogFormat::Pretty => "pretty",
            LogFormat::Json => "json",
        };
        line(format!("[log]\nformat = {}\nlevel = {}", text(format), text(&config.log.level)));
        for source in &config.sources {
            line(format!("[[source]]\nexchange = {}", text(&source.exchange)));
            line(format!("queue = {}", text(&source.queue)));
            line(format!("routing-key = {}", text(&source.routing_key)));
            line(format!("tenant = {}", text(source.tenant.as_str())));
            line(format!("arguments = {}", arguments(&source.arguments)));
            line(format!("binding-arguments = {}", arguments(&source.binding_arguments)));
            line(format!("nowait = {}", source.nowait));
        }
        for (name, tenant) in &config.tenants {
            line(format!("[[tenant]]\nname = {}", text(name.as_str())));
            line(tenant_lines(tenant));
        }
        out
    }

    fn tenant_lines(tenant: &Tenant) -> String {
        let mut out = format!("share = {}\n", tenant.share);
        let mut line = |key: &str, value: Option<String>| {
            if let Some(value) = value {
                let _ = writeln!(out, "{key} = {value}");
            }
        };
        line("scripts", tenant.scripts.as_deref().map(path));
        line("watermark", tenant.watermark.map(|n| n.to_string()));
        line("waiting-limit", tenant.waiting_limit.map(|n| n.to_string()));
        let own = tenant.executor == ExecutorKind::Own;
        line("executor", Some(text(if own { "own" } else { "shared" })));
        line("limits", Some(limits(&tenant.limits)));
        let grants = &tenant.grants;
        let _ = writeln!(out, "[tenant.grants]\nhttp-rate = {}", grants.http_rate);
        let mut line = |key: &str, value: Option<String>| {
            if let Some(value) = value {
                let _ = writeln!(out, "{key} = {value}");
            }
        };
        let publish: Vec<_> = grants.publish.iter().map(|exchange| text(exchange)).collect();
        line("publish", Some(format!("[{}]", publish.join(", "))));
        let submit = |submit: roh::config::Submit| {
            format!("{{ depth = {}, fan-out = {} }}", submit.depth, submit.fan_out)
        };
        line("submit", grants.submit.map(submit));
        line("files", grants.files.as_deref().map(path));
        line("state", grants.state.map(|bytes| bytes.to_string()));
        let secrets: Vec<_> = grants
            .secrets
            .keys()
            .map(|name| format!("{} = {{ file = 'secret' }}", text(name)))
            .collect();
        line("secrets", Some(format!("{{ {} }}", secrets.join(", "))));
        for http in &grants.http {
            let _ = writeln!(out, "[[tenant.grants.http]]\nhost = {}", host(&http.hosts));
            let _ = writeln!(out, "ports = {:?}\nplain = {}", http.ports, http.plain);
            let _ = writeln!(out, "methods = {:?}", http.methods);
            let _ = writeln!(out, "request = {}\nresponse = {}", http.request, http.response);
            let _ = writeln!(out, "timeout = {}", duration(http.timeout));
        }
        out
    }

    fn host(hosts: &Hosts) -> String {
        match hosts {
            Hosts::Named(name) => text(name),
            Hosts::Below(name) => text(&format!("*.{name}")),
            // Its fields are private, its words are not.
            Hosts::At(addresses) => {
                let shown = format!("{addresses:?}");
                let after = |name: &str| {
                    let rest = shown.split_once(name).expect("a field").1;
                    rest.split([',', ' ']).next().expect("its value").to_owned()
                };
                text(&format!("{}/{}", after("first: "), after("prefix: ")))
            }
        }
    }

    fn limits(limits: &Limits) -> String {
        let Limits { memory, cpu, wall, output, message, result, calls, call_bytes, log_lines } =
            limits;
        let (cpu, wall) = (duration(*cpu), duration(*wall));
        format!(
            "{{ memory = {memory}, cpu = {cpu}, wall = {wall}, output = {output}, \
             message = {message}, result = {result}, calls = {calls}, \
             call-bytes = {call_bytes}, log-lines = {log_lines} }}"
        )
    }

    fn duration(duration: Duration) -> String {
        text(&format!("{}s {}ns", duration.as_secs(), duration.subsec_nanos()))
    }

    fn path(path: &Path) -> String {
        text(path.to_str().expect("it was text"))
    }

    /// JSON's strings are TOML's, but for one character.
    fn text(text: &str) -> String {
        serde_json::to_string(text).expect("text").replace('\x7f', "\\u007f")
    }

    fn arguments(arguments: &BTreeMap<String, Argument>) -> String {
        let pairs: Vec<_> = arguments
            .iter()
            .map(|(name, value)| format!("{} = {}", text(name), argument(value)))
            .collect();
        format!("{{ {} }}", pairs.join(", "))
    }

    fn argument(value: &Argument) -> String {
        match value {
            Argument::Bool(value) => value.to_string(),
            Argument::Int(value) => value.to_string(),
            Argument::Float(value) => format!("{value:?}").to_lowercase(),
            Argument::Text(value) => text(value),
            Argument::List(values) => {
                format!("[{}]", values.iter().map(argument).collect::<Vec<_>>().join(", "))
            }
            Argument::Table(table) => arguments(table),
        }
    }
}

#[cfg(not(fuzzing))]
fn main() {}
