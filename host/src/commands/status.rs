//! `roh status`: what a node runs and what waits there.

use std::fmt::{self, Write as _};
use std::time::Duration;

use comfy_table::{ContentArrangement, Table, presets};
use serde::Deserialize;
use serde_json::Number;

use super::client::{Address, Client};
use super::{CommandError, Exit, Format, print};

/// Whom to ask, and how to show it.
#[derive(Debug)]
pub struct Options {
    /// The node.
    pub address: Address,
    /// A table, or the answer as it is.
    pub format: Format,
}

/// One node of the answer.
#[derive(Debug, Deserialize)]
struct Node {
    node: String,
    running_tasks: Vec<Task>,
    waiting_tasks: Vec<Task>,
}

#[derive(Debug, Deserialize)]
struct Task {
    id: String,
    task: Option<String>,
    tenant: String,
    state: String,
    queue: String,
    attempt: u32,
    age_ms: u64,
    progress: Option<Progress>,
}

/// As the node spells it: however large a number, its text is short.
#[derive(Debug, Deserialize)]
struct Progress {
    done: Number,
    total: Option<Number>,
}

impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.total {
            Some(total) => write!(f, "{}/{total}", self.done),
            None => write!(f, "{}", self.done),
        }
    }
}

/// Shows what the node does.
///
/// # Errors
/// The node can't be reached, or refuses.
pub fn run(options: Options) -> Result<Exit, CommandError> {
    let client = Client::new(options.address)?;
    let answer = client.management()?;
    match options.format {
        Format::Json => print(&format!("{}\n", answer.trim_end()))?,
        Format::Text => print(&show(&client.parse::<Vec<Node>>(&answer)?))?,
    }
    Ok(Exit::Succeeded)
}

fn show(nodes: &[Node]) -> String {
    let mut text = String::new();
    for node in nodes {
        let (running, waiting) = (node.running_tasks.len(), node.waiting_tasks.len());
        let _ = writeln!(text, "{}: {running} running, {waiting} waiting", printable(&node.node));
        if running + waiting > 0 {
            let _ = writeln!(text, "{}", table(node).trim_fmt());
        }
    }
    text
}

fn table(node: &Node) -> Table {
    let tasks = || node.running_tasks.iter().chain(&node.waiting_tasks);
    let with_progress = tasks().any(|task| task.progress.is_some());
    let mut header = vec!["ID", "TASK", "TENANT", "STATE", "QUEUE", "ATTEMPT", "AGE"];
    header.extend(with_progress.then_some("PROGRESS"));
    let mut table = Table::new();
    table
        .load_preset(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_header(header);
    for task in tasks() {
        let mut row = vec![
            printable(&task.id),
            task.task.as_deref().map(printable).unwrap_or_default(),
            printable(&task.tenant),
            printable(&task.state),
            printable(&task.queue),
            task.attempt.to_string(),
            age(Duration::from_millis(task.age_ms)),
        ];
        let progress = || task.progress.as_ref().map(ToString::to_string).unwrap_or_default();
        row.extend(with_progress.then(progress));
        table.add_row(row);
    }
    table
}

/// Ids come from clients: they must not steer an operator's terminal.
fn printable(text: &str) -> String {
    text.chars()
        .flat_map(|c| if c.is_control() { c.escape_default().collect() } else { vec![c] })
        .collect()
}

/// Two units at most: `1m 30s`, `350ms`.
fn age(age: Duration) -> String {
    let rounded = match age.as_millis() {
        0..1000 => Duration::from_millis(age.as_millis() as u64),
        _ => Duration::from_secs(age.as_secs()),
    };
    let text = humantime::format_duration(rounded).to_string();
    text.split(' ').take(2).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_a_line_for_each_task() {
        let nodes: Vec<Node> = serde_json::from_str(
            r#"[{"node": "node-a", "running_tasks": [{"id": "a\u001b[2J", "task": "m.f",
                "tenant": "acme", "state": "running", "queue": "q", "attempt": 1,
                "started_at": null, "age_ms": 90123}], "waiting_tasks": [{"id": "b", "task": null,
                "tenant": "acme", "state": "waiting", "queue": "q", "attempt": 2, "age_ms": 7}]},
                {"node": "node-b", "running_tasks": [], "waiting_tasks": []}]"#,
        )
        .expect("valid");
        let shown: Vec<_> = show(&nodes).lines().map(|line| line.trim_end().to_owned()).collect();
        assert_eq!(
            shown,
            [
                "node-a: 1 running, 1 waiting",
                " ID          TASK  TENANT  STATE    QUEUE  ATTEMPT  AGE",
                " a\\u{1b}[2J  m.f   acme    running  q      1        1m 30s",
                " b                 acme    waiting  q      2        7ms",
                "node-b: 0 running, 0 waiting",
            ]
        );
    }

    #[test]
    fn shows_progress_if_a_task_says_so() {
        let task = |id, progress| {
            format!(
                r#"{{"id": "{id}", "task": "m.f", "tenant": "acme", "state": "running",
                    "queue": "q", "attempt": 1, "age_ms": 7{progress}}}"#
            )
        };
        let tasks = [
            task("a", r#", "progress": {"done": 3, "total": 10}"#),
            task("b", r#", "progress": {"done": 0.5}"#),
            task("c", r#", "progress": {"done": -1e300, "total": 1e300}"#),
            task("d", ""),
        ];
        let node = format!(
            r#"{{"node": "node-a", "running_tasks": [{}], "waiting_tasks": []}}"#,
            tasks.join(", ")
        );
        let nodes: Vec<Node> = serde_json::from_str(&format!("[{node}]")).expect("valid");
        let shown = show(&nodes);
        let last = shown.lines().skip(1).map(|line| line.split("  ").last().unwrap_or_default());
        let last: Vec<_> = last.map(str::trim).collect();
        assert_eq!(last, ["PROGRESS", "3/10", "0.5", "-1e+300/1e+300", "7ms"]);
    }

    #[test]
    fn ages_are_short() {
        for (ms, expected) in [(0, "0s"), (350, "350ms"), (59_999, "59s"), (90_061_000, "1day 1h")]
        {
            assert_eq!(age(Duration::from_millis(ms)), expected);
        }
    }
}
