//! The JSON that the management API speaks. What it means is the manager's.

use std::time::{Duration, Instant, SystemTime};

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use serde::Serialize;
use serde_json::Number;

use crate::grants;
use crate::manager::view::{Snapshot, TaskView};
use crate::outcome::{Status, Usage};

/// One node: an element of `GET /api/management`.
#[derive(Debug, Serialize)]
pub(super) struct Node<'a> {
    node: &'a str,
    running_tasks: Vec<Task<'a>>,
    waiting_tasks: Vec<Task<'a>>,
}

/// One task.
#[derive(Debug, Serialize)]
pub(super) struct Task<'a> {
    id: &'a str,
    task: Option<&'a str>,
    tenant: &'a str,
    state: &'static str,
    queue: &'a str,
    attempt: u32,
    received_at: String,
    started_at: Option<String>,
    age_ms: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    progress: Option<Progress>,
    #[serde(flatten)]
    ending: Option<Ending<'a>>,
}

#[derive(Debug, Serialize)]
struct Ending<'a> {
    ended_at: String,
    status: Status,
    reason: Option<&'a str>,
    usage: Usage,
}

/// How far a task has come, by its own account.
#[derive(Debug, Serialize)]
struct Progress {
    done: Number,
    #[serde(skip_serializing_if = "Option::is_none")]
    total: Option<Number>,
}

/// The same moment on both clocks: a task's times are instants, the wire's are dates.
pub(super) struct Clock {
    instant: Instant,
    date: SystemTime,
}

impl Clock {
    pub(super) fn now() -> Clock {
        Clock { instant: Instant::now(), date: SystemTime::now() }
    }

    fn since(&self, then: Instant) -> Duration {
        self.instant.saturating_duration_since(then)
    }

    fn date(&self, then: Instant) -> String {
        let date = self.date.checked_sub(self.since(then)).unwrap_or(SystemTime::UNIX_EPOCH);
        humantime::format_rfc3339_millis(date).to_string()
    }
}

impl<'a> Node<'a> {
    pub(super) fn new(
        name: &'a str,
        snapshot: &'a Snapshot,
        progress: impl Fn(&TaskView) -> Option<grants::Progress>,
        clock: &Clock,
    ) -> Node<'a> {
        let Snapshot { running, waiting } = snapshot;
        Node {
            node: name,
            running_tasks: running.iter().map(|v| Task::new(v, progress(v), clock)).collect(),
            waiting_tasks: waiting.iter().map(|v| Task::new(v, None, clock)).collect(),
        }
    }
}

impl<'a> Task<'a> {
    pub(super) fn new(
        view: &'a TaskView,
        progress: Option<grants::Progress>,
        clock: &Clock,
    ) -> Task<'a> {
        Task {
            id: view.id.as_str(),
            task: view.task.as_deref(),
            tenant: view.tenant.as_str(),
            state: view.state.as_str(),
            queue: &view.queue,
            attempt: view.attempt,
            received_at: clock.date(view.received),
            started_at: view.started.map(|started| clock.date(started)),
            age_ms: clock.since(view.received).as_millis() as u64,
            progress: progress.and_then(Progress::new),
            ending: view.ending.as_ref().map(|ending| Ending {
                ended_at: clock.date(ending.at),
                status: ending.status,
                reason: ending.reason.as_deref(),
                usage: ending.usage,
            }),
        }
    }
}

impl Progress {
    fn new(of: grants::Progress) -> Option<Progress> {
        Some(Progress { done: number(of.done)?, total: of.total.and_then(number) })
    }
}

/// Whole numbers as whole numbers: a script that said 3 is not shown as 3.0.
fn number(value: f64) -> Option<Number> {
    const EXACT: f64 = (1u64 << f64::MANTISSA_DIGITS) as f64;
    match value.fract() == 0.0 && value.abs() <= EXACT {
        true => Some((value as i64).into()),
        false => Number::from_f64(value),
    }
}

/// An answer.
pub(super) fn json(status: StatusCode, body: &impl Serialize) -> Response {
    let text = serde_json::to_string(body).expect("strings and numbers make JSON");
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    let kind = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

/// The answer to what is refused: `{"error": "…"}`.
pub(super) fn error(status: StatusCode, reason: &str) -> Response {
    json(status, &serde_json::json!({ "error": reason }))
}
