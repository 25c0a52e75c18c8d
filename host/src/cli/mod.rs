//! The command line: parses arguments, calls one command, shows its error and exits.
//!
//! What the commands do is in [`crate::commands`].

mod args;
#[cfg(test)]
mod tests;

use std::error::Error;
use std::fmt::Write as _;
use std::io::{IsTerminal, Write as _};
use std::process::ExitCode;

use clap::builder::styling::{AnsiColor, Style as Ansi};
use clap::{CommandFactory, Parser};

use crate::commands::{self, CommandError, Exit};
use crate::config::{ConfigError, Style};
use args::{Cli, Command, Image};

/// Runs the command that the process was called with.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    cli.color.into_choice().write_global();
    if matches!(cli.command, Command::Executor) {
        return crate::executor::main();
    }
    let exit = dispatch(cli.command).unwrap_or_else(|error| {
        // Where nothing can be shown, the exit code still tells.
        let _ = anstream::stderr().write_all(explain(&error, style()).as_bytes());
        Exit::Unusable
    });
    ExitCode::from(exit.code())
}

fn dispatch(command: Command) -> Result<Exit, CommandError> {
    match command {
        Command::Run(args) => commands::run::run(args.into()),
        Command::Serve(args) => commands::serve::run(args.into()),
        Command::Submit(args) => commands::submit::run(args.into()),
        Command::Status(args) => commands::status::run(args.into()),
        Command::Stop(args) => commands::stop::run(args.into()),
        Command::Check(args) => commands::check::run(args.into()),
        Command::Image(Image::Build) => commands::image::build(),
        Command::Image(Image::Info) => commands::image::info(),
        Command::Executor => unreachable!("it is no command of a person's"),
        Command::Completions { shell } => commands::completions::run(shell, Cli::command()),
    }
}

fn style() -> Style {
    if std::io::stderr().is_terminal() { Style::Graphical } else { Style::Plain }
}

/// The error and its causes, for standard error.
fn explain(error: &CommandError, style: Style) -> String {
    let red = Ansi::new().bold().fg_color(Some(AnsiColor::Red.into()));
    let mut text = format!("{red}error:{red:#} ");
    if let CommandError::Config(ConfigError::Refused(refused)) = error {
        let problems = if refused.count() == 1 { "problem" } else { "problems" };
        let (count, shown) = (refused.count(), refused.render(style));
        let _ = write!(text, "the configuration has {count} {problems}\n\n{}\n", shown.trim_end());
        return text;
    }
    let _ = write!(text, "{error}");
    let mut cause = error.source();
    while let Some(error) = cause {
        let _ = write!(text, "\n  caused by: {error}");
        cause = error.source();
    }
    text.push('\n');
    text
}
