//! What is wrong with a configuration file, and how it is shown: every problem with
//! its file, line, column, snippet and what was expected.
//!
//! The broker's password is masked before anything is shown. It finds no problems
//! itself.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

use miette::{Diagnostic, GraphicalReportHandler, GraphicalTheme, LabeledSpan, NamedSource};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file is not there, or not readable.
    #[error("failed to read the configuration {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The file is there, and wrong.
    #[error(transparent)]
    Refused(Box<Refused>),
}

/// Everything that is wrong with a configuration file.
#[derive(Debug)]
pub struct Refused {
    path: PathBuf,
    /// Secrets are masked, bytes count as in the file.
    masked: String,
    problems: Vec<Problem>,
}

/// One thing that is wrong.
#[derive(Debug, Clone)]
pub(super) struct Problem {
    /// Where, in bytes.
    pub(super) span: Range<usize>,
    /// What is wrong.
    pub(super) message: String,
    /// What was expected there.
    pub(super) expected: String,
    /// What to do about it, where that can be guessed.
    pub(super) hint: Option<String>,
}

/// For people at a terminal, or for logs and other programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the enum says what they are for")]
pub enum Style {
    Graphical,
    Plain,
}

impl Refused {
    /// The problems that were found in `text`, by position.
    pub(super) fn new(path: &Path, text: &str, table: &DeTable<'_>, found: Vec<Problem>) -> Self {
        let mut problems = found;
        problems.sort_by_key(|problem| problem.span.start);
        let masked = mask(text, table);
        for problem in &mut problems {
            problem.span = clamp(&masked, &problem.span);
        }
        Refused { path: path.to_owned(), masked, problems }
    }

    /// How many problems there are.
    pub fn count(&self) -> usize {
        self.problems.len()
    }

    /// All problems, ready to be printed.
    pub fn render(&self, style: Style) -> String {
        match style {
            Style::Plain => self.to_string(),
            Style::Graphical => self.render_graphical(),
        }
    }

    fn render_graphical(&self) -> String {
        let handler = GraphicalReportHandler::new_themed(GraphicalTheme::unicode()).with_width(100);
        let name = self.path.display().to_string();
        let mut out = String::new();
        for problem in &self.problems {
            let shown = Shown { problem, source: NamedSource::new(&name, self.masked.clone()) };
            if handler.render_report(&mut out, &shown).is_err() {
                return self.to_string();
            }
        }
        out
    }

    fn position(&self, problem: &Problem) -> (usize, usize) {
        let before = &self.masked[..problem.span.start];
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        let column = before[line_start..].chars().count() + 1;
        (before.matches('\n').count() + 1, column)
    }

    fn snippet(&self, problem: &Problem) -> &str {
        let start = self.masked[..problem.span.start].rfind('\n').map_or(0, |at| at + 1);
        self.masked[start..].lines().next().unwrap_or_default().trim()
    }
}

impl fmt::Display for Refused {
    /// The plain style: narrow, and the position first, as compilers do.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            let (line, column) = self.position(problem);
            write!(f, "{}:{line}:{column}: {}", self.path.display(), problem.message)?;
            let snippet = self.snippet(problem);
            if !snippet.is_empty() {
                write!(f, "\n    {snippet}")?;
            }
            write!(f, "\n  {}", problem.expected)?;
            if let Some(hint) = &problem.hint {
                write!(f, "\n  hint: {hint}")?;
            }
        }
        Ok(())
    }
}

impl std::error::Error for Refused {}

/// One problem as miette wants it.
#[derive(Debug)]
struct Shown<'a> {
    problem: &'a Problem,
    source: NamedSource<String>,
}

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.problem.message)
    }
}

impl std::error::Error for Shown<'_> {}

impl Diagnostic for Shown<'_> {
    fn help(&self) -> Option<Box<dyn fmt::Display + '_>> {
        self.problem.hint.as_ref().map(|hint| Box::new(hint) as Box<dyn fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn miette::SourceCode> {
        Some(&self.source)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let label = Some(self.problem.expected.clone());
        let span = self.problem.span.clone();
        Some(Box::new(std::iter::once(LabeledSpan::new_with_span(label, span))))
    }
}

/// Moves a span's ends to where characters start.
fn clamp(text: &str, span: &Range<usize>) -> Range<usize> {
    let floor = |at: usize| (0..=at.min(text.len())).rev().find(|at| text.is_char_boundary(*at));
    let start = floor(span.start).unwrap_or(0);
    start..floor(span.end).unwrap_or(0).max(start)
}

/// Replaces what may be a secret by stars, byte for byte, so that positions hold.
///
/// Lines are looked at as text, too: a file that can't be parsed is shown as well.
fn mask(text: &str, table: &DeTable<'_>) -> String {
    let mut bytes = text.as_bytes().to_vec();
    let mut line_start = 0;
    for line in text.split_inclusive('\n') {
        let secret = line.split_once('=').filter(|(key, _)| may_be_secret(key));
        let from = match secret {
            Some((key, _)) => line_start + key.len() + 1,
            None => line_start,
        };
        mask_url(&mut bytes, from..line_start + line.len(), secret.is_some());
        line_start += line.len();
    }
    // Text in several lines or in an inline table is found by where it was parsed.
    if let Some(broker) = table.get("broker").and_then(|broker| broker.get_ref().as_table()) {
        for (key, value) in broker.iter().filter(|(key, _)| *key.get_ref() != "url-file") {
            let secret = value.get_ref().is_str() || may_be_secret(key.get_ref());
            mask_url(&mut bytes, value.span(), secret);
        }
    }
    // Someone may have written a secret where its file's name should be.
    for span in table.iter().flat_map(|(_, value)| secret_texts(value, Within::Anything)) {
        mask_url(&mut bytes, span, true);
    }
    String::from_utf8(bytes).unwrap_or_default()
}

/// Whether a value stands in a table of secrets.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Within {
    Anything,
    Secrets,
}

/// Where texts stand in tables called `secrets` that name no file and no variable.
fn secret_texts(value: &Spanned<DeValue<'_>>, within: Within) -> Vec<Range<usize>> {
    match value.get_ref() {
        DeValue::String(_) if within == Within::Secrets => vec![value.span()],
        DeValue::Array(values) => {
            values.iter().flat_map(|value| secret_texts(value, within)).collect()
        }
        DeValue::Table(table) => table
            .iter()
            .filter(|(key, _)| !matches!(&**key.get_ref(), "file" | "env"))
            .flat_map(|(key, value)| match &**key.get_ref() {
                "secrets" => secret_texts(value, Within::Secrets),
                _ => secret_texts(value, within),
            })
            .collect(),
        _ => Vec::new(),
    }
}

fn may_be_secret(key: &str) -> bool {
    let key = key.trim().to_lowercase();
    !key.ends_with("file")
        && ["url", "uri", "password", "secret", "token"].iter().any(|word| key.contains(word))
}

/// Masks from a URL's scheme to its last `@`; a secret that is no such URL, all of it
/// but its quotes.
fn mask_url(bytes: &mut [u8], span: Range<usize>, secret: bool) {
    let Some(part) = bytes.get_mut(span) else { return };
    // What is no scheme may be the secret, "://" within it or after it.
    let in_scheme = |byte: &u8| {
        byte.is_ascii_alphanumeric() || byte.is_ascii_whitespace() || b"+-.\"'".contains(byte)
    };
    let scheme = part
        .windows(3)
        .position(|window| window == b"://")
        .filter(|&at| !secret || part[..at].iter().all(in_scheme))
        .map(|at| at + 3);
    let at = part.iter().rposition(|byte| *byte == b'@');
    let range = match (scheme, at) {
        (Some(scheme), Some(at)) if scheme < at => scheme..at,
        (Some(scheme), _) if secret => scheme..part.len(),
        (None, _) if secret => 0..part.len(),
        _ => return,
    };
    for byte in &mut part[range] {
        if !byte.is_ascii_whitespace() && !matches!(byte, b'"' | b'\'') {
            *byte = b'*';
        }
    }
}
