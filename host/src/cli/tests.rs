//! What the command line takes, and what it says of what it doesn't.

use std::time::Duration;

use super::*;
use crate::commands::client::Address;
use crate::commands::{Format, run, status, stop, submit};

fn parse(args: &str) -> Result<Command, String> {
    let args = std::iter::once("roh").chain(args.split_whitespace());
    Cli::try_parse_from(args).map(|cli| cli.command).map_err(|error| {
        assert_eq!(error.exit_code(), if error.use_stderr() { 2 } else { 0 });
        error.to_string()
    })
}

#[test]
fn the_definition_is_consistent() {
    Cli::command().debug_assert();
}

#[test]
fn run_has_the_limits_of_the_configuration_by_default() {
    let Ok(Command::Run(args)) = parse("run f.py --cpu 1s --memory 128MiB --args [1,{}] --json")
    else {
        panic!("run")
    };
    let options = run::Options::from(args);
    assert_eq!(options.function, "main");
    assert_eq!((options.args.as_str(), options.kwargs.as_str()), ("[1,{}]", "{}"));
    assert_eq!(options.format, Format::Json);
    assert_eq!(options.limits.cpu, Duration::from_secs(1));
    assert_eq!(options.limits.memory, 128 << 20);
    assert_eq!(options.limits.wall, Duration::from_secs(30));
}

#[test]
fn submit_takes_a_task_or_a_file() {
    let code = |args| match parse(args) {
        Ok(Command::Submit(args)) => submit::Options::from(args).code,
        other => panic!("{other:?}"),
    };
    let task = code("submit --config c --task a.b");
    assert_eq!(task, submit::Code::Task("a.b".into()));
    let script = code("submit --config c --file f.py --function g");
    assert_eq!(script, submit::Code::Script { file: "f.py".into(), function: "g".into() });
}

#[test]
fn status_and_stop_say_where_the_node_is() {
    let Ok(Command::Status(args)) = parse("status --url http://h:1 --token-file t") else {
        panic!("status")
    };
    let address = Address::Url { url: "http://h:1".into(), token_file: Some("t".into()) };
    assert_eq!(status::Options::from(args).address, address);
    let Ok(Command::Stop(args)) = parse("stop --all --config roh.toml") else { panic!("stop") };
    let options = stop::Options::from(args);
    assert_eq!(options.address, Address::OfConfig("roh.toml".into()));
    assert_eq!(options.tasks, stop::Tasks::All);
}

#[test]
fn says_what_is_wrong_with_the_arguments() {
    for (args, expected) in [
        ("run f.py --args {}", "expected a JSON array such as '[1, \"two\"]'"),
        ("run f.py --kwargs []", "expected a JSON object such as '{\"x\": 1}'"),
        ("run f.py --args [1", "EOF while parsing"),
        ("run f.py --memory 1MiB", "expected a size from 48MiB to 4GiB"),
        ("run f.py --memory much", "expected a size such as \"64MiB\""),
        ("run f.py --cpu 0s", "expected more than no time at all"),
        ("run f.py --cpu 5", "expected a duration such as \"30s\""),
        ("run", "<FILE>"),
        ("submit --config c", "--task <MODULE.FUNCTION>"),
        ("submit --config c --task f", "not of the form \"module.function\""),
        ("submit --config c --task a.b --file f", "cannot be used with"),
        ("stop", "<ID>"),
        ("stop x --all", "cannot be used with"),
        ("status --config c --url u", "cannot be used with"),
        ("serve", "--config <FILE>"),
        ("serv", "serve"),
    ] {
        let error = parse(args).expect_err(args);
        assert!(error.contains(expected), "{args}: {error}");
    }
}

#[test]
fn every_command_shows_an_example_and_the_exit_codes_are_told() {
    let help = Cli::command().render_long_help().to_string();
    assert!(help.contains("Exit codes:"), "{help}");
    for command in Cli::command().get_subcommands_mut().filter(|command| !command.is_hide_set()) {
        if !["image", "help"].contains(&command.get_name()) {
            let help = command.render_long_help().to_string();
            assert!(help.contains("Example"), "{help}");
        }
    }
}

#[test]
fn an_error_is_shown_with_its_causes() {
    let error =
        ConfigError::Read { path: "roh.toml".into(), source: std::io::Error::other("no luck") };
    let shown = explain(&error.into(), Style::Plain);
    assert_eq!(
        anstream::adapter::strip_str(&shown).to_string(),
        "error: failed to read the configuration roh.toml\n  caused by: no luck\n"
    );
}
