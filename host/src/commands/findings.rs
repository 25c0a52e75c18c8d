//! What a check found, line by line: ok, warning or error. It checks nothing itself.

use clap::builder::styling::{AnsiColor, Style};

use super::{CommandError, Exit, print};

/// How good or bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// As it should be.
    Ok,
    /// A node would work, but not as well as it could.
    Warning,
    /// A node would not work.
    Error,
}

/// Prints findings as they come, and remembers the worst.
#[derive(Debug)]
pub struct Findings {
    worst: Severity,
}

impl Default for Findings {
    fn default() -> Findings {
        Findings { worst: Severity::Ok }
    }
}

impl Findings {
    /// Prints one finding; further lines of `text` are advice.
    ///
    /// # Errors
    /// Standard output is closed.
    pub fn add(&mut self, severity: Severity, text: &str) -> Result<(), CommandError> {
        self.worst = self.worst.max(severity);
        print(&line(severity, text))
    }

    /// What the whole check comes to.
    pub fn exit(&self) -> Exit {
        match self.worst {
            Severity::Ok | Severity::Warning => Exit::Succeeded,
            Severity::Error => Exit::Unusable,
        }
    }
}

fn line(severity: Severity, text: &str) -> String {
    let (word, color) = match severity {
        Severity::Ok => ("ok", AnsiColor::Green),
        Severity::Warning => ("warning", AnsiColor::Yellow),
        Severity::Error => ("error", AnsiColor::Red),
    };
    let style = Style::new().fg_color(Some(color.into()));
    let text = text.trim_end().replace('\n', "\n         ");
    format!("{style}{word:<7}{style:#}  {text}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_up_findings_and_their_advice() {
        let plain =
            |severity, text| anstream::adapter::strip_str(&line(severity, text)).to_string();
        assert_eq!(plain(Severity::Ok, "broker: connected"), "ok       broker: connected\n");
        assert_eq!(plain(Severity::Error, "a\nb\n"), "error    a\n         b\n");
    }

    #[test]
    fn only_an_error_makes_the_check_fail() {
        for (worst, exit) in [
            (Severity::Ok, Exit::Succeeded),
            (Severity::Warning, Exit::Succeeded),
            (Severity::Error, Exit::Unusable),
        ] {
            assert_eq!(Findings { worst }.exit(), exit);
        }
    }
}
