//! Arguments as clap reads them, and what the commands get instead. Every value is
//! parsed here, once; nothing is opened or connected.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use serde_json::value::RawValue;

use crate::broker::client::Wait;
use crate::commands::client::Address;
use crate::commands::{Format, check, run, serve, status, stop, submit};
use crate::config::{Limits, parse_duration, parse_memory, parse_size};
use crate::task::{TaskId, parse_task_name};

const ABOUT: &str = "\
A distributed Python task manager: takes tasks from a RabbitMQ fanout exchange and runs
each one in a WebAssembly instance of its own.";

const AFTER: &str = "\
Examples:
  roh run hello.py --args '[\"world\"]'           one task, no broker
  roh serve --config roh.toml                   a node
  roh submit --config roh.toml --task reports.daily --args '[2026]' --wait
  roh status                                    what the node on this machine does

Exit codes:
  0  it did what it was told; a task succeeded
  1  a task ended otherwise, or was not found
  2  wrong usage or configuration, or something needed was out of reach";

#[derive(Debug, Parser)]
#[command(name = "roh", version, about = ABOUT, after_help = AFTER)]
#[command(arg_required_else_help = true, max_term_width = 100)]
pub(super) struct Cli {
    /// When to use colour; NO_COLOR is heeded, too.
    #[arg(long, global = true, value_enum, default_value_t, value_name = "WHEN")]
    pub(super) color: Color,

    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Debug, Clone, Copy, Default, ValueEnum)]
pub(super) enum Color {
    #[default]
    Auto,
    Always,
    Never,
}

impl Color {
    pub(super) fn into_choice(self) -> anstream::ColorChoice {
        match self {
            Color::Auto => anstream::ColorChoice::Auto,
            Color::Always => anstream::ColorChoice::Always,
            Color::Never => anstream::ColorChoice::Never,
        }
    }
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    Run(RunArgs),
    Serve(ServeArgs),
    Submit(SubmitArgs),
    Status(StatusArgs),
    Stop(StopArgs),
    Check(CheckArgs),
    /// Build the interpreter image, or tell what it is
    #[command(subcommand, arg_required_else_help = true)]
    Image(Image),
    /// What executors are started as; nothing for people
    #[command(hide = true)]
    Executor,
    /// Print a completion script for a shell
    #[command(after_help = "Example:\n  roh completions bash > /etc/bash_completion.d/roh")]
    Completions {
        /// The shell.
        shell: Shell,
    },
}

#[derive(Debug, Subcommand)]
pub(super) enum Image {
    /// Build the interpreter image into the cache, if it is not there
    ///
    /// `roh run` and `roh serve` do so by themselves at their first start.
    Build,
    /// Tell what the interpreter image is: versions, sizes, key
    Info,
}

/// What a call gets, in JSON.
#[derive(Debug, Args)]
struct CallArgs {
    /// Positional arguments: a JSON array.
    #[arg(long, value_name = "JSON", default_value = "[]", value_parser = json_array)]
    args: String,

    /// Keyword arguments: a JSON object.
    #[arg(long, value_name = "JSON", default_value = "{}", value_parser = json_object)]
    kwargs: String,
}

/// Run one task from a file, without a broker
///
/// The function's result goes to standard output as JSON; what the task prints to
/// standard output and standard error is passed on.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  roh run hello.py
  roh run rules.py --function price --args '[3]' --kwargs '{\"customer\": \"acme\"}'
  roh run untrusted.py --json --cpu 1s --memory 64MiB

It exits 0 if the task succeeded, 1 for any other outcome, 2 for anything else.")]
pub(super) struct RunArgs {
    /// The script: a file of Python.
    file: PathBuf,

    /// The function to call.
    #[arg(long, value_name = "NAME", default_value = "main")]
    function: String,

    #[command(flatten)]
    call: CallArgs,

    /// Print one reply object as JSON, as a client would get it, and nothing else.
    #[arg(long)]
    json: bool,

    /// Limit of the instance's memory [default: 64MiB].
    #[arg(long, value_name = "SIZE", value_parser = parse_memory)]
    memory: Option<u64>,

    /// Limit of the time on a core [default: 5s].
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    cpu: Option<Duration>,

    /// Limit of the time from start to end [default: 30s].
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    wall: Option<Duration>,

    /// Limit of the output that is kept [default: 256KiB].
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    output: Option<u64>,
}

impl From<RunArgs> for run::Options {
    fn from(args: RunArgs) -> run::Options {
        let default = Limits::default();
        run::Options {
            file: args.file,
            function: args.function,
            args: args.call.args,
            kwargs: args.call.kwargs,
            format: format(args.json),
            limits: Limits {
                memory: args.memory.unwrap_or(default.memory),
                cpu: args.cpu.unwrap_or(default.cpu),
                wall: args.wall.unwrap_or(default.wall),
                output: args.output.unwrap_or(default.output),
                ..default
            },
        }
    }
}

/// Run a node: take tasks from the broker until told to leave
///
/// SIGTERM and Ctrl-C drain: nothing more is taken, what runs may finish within
/// `drain-timeout`, the rest goes back to the queue. A second one ends at once.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  roh serve --config roh.toml")]
pub(super) struct ServeArgs {
    /// The configuration; docs/config.md is its reference.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
}

impl From<ServeArgs> for serve::Options {
    fn from(args: ServeArgs) -> serve::Options {
        serve::Options { config: args.config }
    }
}

/// Publish a task, and wait for its reply if told to
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  roh submit --config roh.toml --task reports.daily --args '[2026]'
  roh submit --config roh.toml --file hello.py --wait

With --wait it prints the reply, and exits 0 if the task succeeded, 1 if not.")]
pub(super) struct SubmitArgs {
    /// The configuration of a node: its broker, and its first source's exchange.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,

    /// A function in the tenant's scripts.
    #[arg(long, value_name = "MODULE.FUNCTION", value_parser = task_name)]
    #[arg(required_unless_present = "file", conflicts_with = "file")]
    task: Option<String>,

    /// A script that goes with the message.
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,

    /// The function to call in the script.
    #[arg(long, value_name = "NAME", default_value = "main", conflicts_with = "task")]
    function: String,

    #[command(flatten)]
    call: CallArgs,

    /// Wait for the reply and print it.
    #[arg(long)]
    wait: bool,
}

impl From<SubmitArgs> for submit::Options {
    fn from(args: SubmitArgs) -> submit::Options {
        let code = match (args.task, args.file) {
            (Some(task), _) => submit::Code::Task(task),
            (None, file) => submit::Code::Script {
                file: file.expect("clap requires one of the two"),
                function: args.function,
            },
        };
        submit::Options {
            config: args.config,
            code,
            args: args.call.args,
            kwargs: args.call.kwargs,
            wait: if args.wait { Wait::Forever } else { Wait::No },
        }
    }
}

/// Where a node's management is.
#[derive(Debug, Args)]
struct AddressArgs {
    /// Where the node listens [default: ROH_URL, else http://127.0.0.1:8080].
    #[arg(long, value_name = "URL")]
    url: Option<String>,

    /// A file that holds the node's token [default: ROH_TOKEN_FILE, if set].
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,

    /// The node's configuration, to take both from.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["url", "token_file"])]
    config: Option<PathBuf>,
}

impl From<AddressArgs> for Address {
    fn from(args: AddressArgs) -> Address {
        match args.config {
            Some(config) => Address::OfConfig(config),
            // Not left to clap: a variable that is set would conflict with --config.
            None => Address::Url {
                url: args
                    .url
                    .or_else(|| std::env::var("ROH_URL").ok())
                    .unwrap_or_else(|| "http://127.0.0.1:8080".into()),
                token_file: args
                    .token_file
                    .or_else(|| std::env::var_os("ROH_TOKEN_FILE").map(PathBuf::from)),
            },
        }
    }
}

/// Show what a node runs and what waits there
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  roh status
  roh status --url http://node-a:8080 --token-file token
  roh status --config roh.toml --json")]
pub(super) struct StatusArgs {
    #[command(flatten)]
    address: AddressArgs,

    /// Print the node's answer as it is.
    #[arg(long)]
    json: bool,
}

impl From<StatusArgs> for status::Options {
    fn from(args: StatusArgs) -> status::Options {
        status::Options { address: args.address.into(), format: format(args.json) }
    }
}

/// Stop a task, or all of a node's tasks
///
/// A stopped task's outcome is `stopped`; it is not run again.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  roh stop 019aa2b4-77d1-7c21-a5d7-0c8e6f1c3c55
  roh stop --all

It exits 1 if the node holds no task of that id.")]
pub(super) struct StopArgs {
    /// The task's id.
    #[arg(required_unless_present = "all", conflicts_with = "all", value_parser = task_id)]
    id: Option<TaskId>,

    /// Stop every task that the node runs or holds.
    #[arg(long)]
    all: bool,

    #[command(flatten)]
    address: AddressArgs,
}

impl From<StopArgs> for stop::Options {
    fn from(args: StopArgs) -> stop::Options {
        stop::Options {
            address: args.address.into(),
            tasks: args.id.map_or(stop::Tasks::All, stop::Tasks::One),
        }
    }
}

/// Check a configuration, its broker and this machine, and tell what a node would do
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  roh check --config roh.toml")]
pub(super) struct CheckArgs {
    /// The configuration.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
}

impl From<CheckArgs> for check::Options {
    fn from(args: CheckArgs) -> check::Options {
        check::Options { config: args.config }
    }
}

fn format(json: bool) -> Format {
    if json { Format::Json } else { Format::Text }
}

fn json_array(text: &str) -> Result<String, String> {
    match serde_json::from_str::<Vec<&RawValue>>(text) {
        Ok(_) => Ok(text.to_owned()),
        Err(error) => Err(format!("expected a JSON array such as '[1, \"two\"]': {error}")),
    }
}

fn json_object(text: &str) -> Result<String, String> {
    match serde_json::from_str::<BTreeMap<String, &RawValue>>(text) {
        Ok(_) => Ok(text.to_owned()),
        Err(error) => Err(format!("expected a JSON object such as '{{\"x\": 1}}': {error}")),
    }
}

fn task_name(text: &str) -> Result<String, String> {
    parse_task_name(text).map(|_| text.to_owned()).map_err(|error| error.0)
}

fn task_id(text: &str) -> Result<TaskId, String> {
    TaskId::parse(text).map_err(|error| error.0)
}
