//! The management API of one node, over HTTP: what it runs, stop this, stop all, here is a
//! task, is it well, what was used. Every request is treated as hostile (`guard`), and every
//! connection is bounded (`server`).
//!
//! It decides nothing about tasks: it asks the manager.

use std::future::Future;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, PathRejection};
use axum::extract::{DefaultBodyLimit, Path, RawQuery, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::{from_fn_with_state, map_response};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use percent_encoding::percent_decode_str;
use tokio::sync::watch;

use crate::executor::Executors;
use crate::grants::{Grants, Progress};
use crate::manager::view::{Snapshot, TaskState, TaskView};
use crate::manager::{Gone, ManagerHandle, Totals};
use crate::task::TaskId;

#[cfg(fuzzing)]
pub mod fuzz;
mod guard;
mod metrics;
mod server;
mod submit;
#[cfg(test)]
mod tests;
mod wire;

use metrics::Metrics;
pub use server::{BindError, bind, serve};
pub use submit::Submissions;
use submit::SubmitError;
use wire::{Clock, error, json};

/// What the API asks of a node: a seam for its tests.
pub trait Node: Send + Sync + 'static {
    /// What runs and what waits.
    fn snapshot(&self) -> impl Future<Output = Result<Snapshot, Gone>> + Send;
    /// The latest task of that id, if it is held or ended lately.
    fn find(&self, id: &TaskId) -> impl Future<Output = Result<Option<TaskView>, Gone>> + Send;
    /// Stops the tasks of that id, and says how many those were.
    fn stop(&self, id: &TaskId) -> impl Future<Output = Result<usize, Gone>> + Send;
    /// Stops all tasks, and says how many those were.
    fn stop_all(&self) -> impl Future<Output = Result<usize, Gone>> + Send;
    /// What each tenant's tasks have used since the node started.
    fn totals(&self) -> impl Future<Output = Result<Totals, Gone>> + Send;
    /// How far a running task has come, if it says so.
    fn progress(&self, task: &TaskView) -> Option<Progress>;
    /// Where callers' tasks go.
    fn submissions(&self) -> &Submissions;
    /// How it is otherwise.
    fn vitals(&self) -> Vitals;
    /// Whether it takes tasks and can run them; if not, why.
    fn ready(&self) -> Result<(), &'static str>;
}

/// How a node is, its tasks aside.
#[derive(Debug, Clone, Copy)]
pub struct Vitals {
    /// Instances at once, at most.
    pub watermark: usize,
    /// Whether the broker delivers.
    pub connected: bool,
    /// Executors that live.
    pub executors: usize,
    /// Executors that took the place of one that died.
    pub executor_restarts: u64,
}

/// A node that runs.
pub struct LiveNode<D> {
    /// Knows the tasks.
    pub manager: ManagerHandle<D>,
    /// Run the tasks.
    pub executors: Arc<Executors>,
    /// Know what tasks say of themselves.
    pub grants: Arc<Grants>,
    /// Where callers' tasks go.
    pub submissions: Submissions,
    /// Instances at once, at most.
    pub watermark: usize,
    /// Whether the broker delivers.
    pub connected: watch::Receiver<bool>,
}

impl<D: Send + 'static> Node for LiveNode<D> {
    fn snapshot(&self) -> impl Future<Output = Result<Snapshot, Gone>> + Send {
        self.manager.snapshot()
    }

    fn find(&self, id: &TaskId) -> impl Future<Output = Result<Option<TaskView>, Gone>> + Send {
        self.manager.find(id)
    }

    fn stop(&self, id: &TaskId) -> impl Future<Output = Result<usize, Gone>> + Send {
        self.manager.stop(id)
    }

    fn stop_all(&self) -> impl Future<Output = Result<usize, Gone>> + Send {
        self.manager.stop_all()
    }

    fn totals(&self) -> impl Future<Output = Result<Totals, Gone>> + Send {
        self.manager.totals()
    }

    fn progress(&self, task: &TaskView) -> Option<Progress> {
        self.grants.progress(&task.tenant, &task.id)
    }

    fn submissions(&self) -> &Submissions {
        &self.submissions
    }

    fn vitals(&self) -> Vitals {
        Vitals {
            watermark: self.watermark,
            connected: *self.connected.borrow(),
            executors: self.executors.alive(),
            executor_restarts: self.executors.restarts(),
        }
    }

    fn ready(&self) -> Result<(), &'static str> {
        if self.manager.stop_consuming().is_cancelled() {
            return Err("the node is leaving");
        }
        if !*self.connected.borrow() {
            return Err("the broker does not deliver");
        }
        // One that died does not count: tasks that wait for the next hardly notice, and who
        // makes executors die must not make the node look dead.
        if !self.executors.serving() {
            return Err("no executor can be started");
        }
        Ok(())
    }
}

/// What the handlers share.
struct Api<N> {
    name: String,
    node: N,
}

/// The whole API for the node of that name. `token` is what its callers must bear; if
/// there is none, only callers on this machine are let in.
pub fn router<N: Node>(name: &str, node: N, token: Option<String>) -> Router {
    // Only one handler reads a body.
    let longest = node.submissions().longest();
    let api = Arc::new(Api { name: name.to_owned(), node });
    let guarded = Router::new()
        .route("/api/management", get(management::<N>))
        .route("/api/tasks", post(submit::<N>))
        .route("/api/tasks/{id}", get(task::<N>))
        .route("/api/tasks/{id}/stop", post(stop::<N>))
        .route("/api/stop", post(stop_all::<N>))
        .route("/metrics", get(metrics::<N>))
        .fallback(async || error(StatusCode::NOT_FOUND, "no such path"))
        .method_not_allowed_fallback(no_such_method)
        .layer(from_fn_with_state(guard::Token::new(token.as_deref()), guard::check_token));
    Router::new()
        .route("/healthz", get(async || json(StatusCode::OK, &serde_json::json!({"alive": true}))))
        .route("/readyz", get(ready::<N>))
        .method_not_allowed_fallback(no_such_method)
        .merge(guarded)
        .layer(from_fn_with_state(guard::Hosts::new(token.as_deref()), guard::check_origin))
        .layer(DefaultBodyLimit::max(longest))
        .layer(map_response(harden))
        .with_state(api)
}

async fn management<N: Node>(State(api): State<Arc<Api<N>>>) -> Result<Response, Refusal> {
    let snapshot = api.node.snapshot().await?;
    let progress = |task: &TaskView| api.node.progress(task);
    Ok(json(StatusCode::OK, &[wire::Node::new(&api.name, &snapshot, progress, &Clock::now())]))
}

async fn submit<N: Node>(
    State(api): State<Arc<Api<N>>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Refusal> {
    let tenant = query.as_deref().map(parse_tenant).transpose()?;
    let body = body.map_err(|unread| Refusal::Unread(unread.status()))?;
    let kind = headers.get(header::CONTENT_TYPE);
    let kind = kind.map(|kind| String::from_utf8_lossy(kind.as_bytes()).into_owned());
    let id = api.node.submissions().submit(tenant.as_deref(), kind, body.into()).await?;
    Ok(json(StatusCode::ACCEPTED, &serde_json::json!({"id": id.as_str()})))
}

async fn task<N: Node>(
    State(api): State<Arc<Api<N>>>,
    id: Result<Path<String>, PathRejection>,
) -> Result<Response, Refusal> {
    let id = parse_id(id)?;
    match api.node.find(&id).await? {
        Some(view) => {
            // One that ended may have left its id to another.
            let running = view.state == TaskState::Running;
            let progress = if running { api.node.progress(&view) } else { None };
            Ok(json(StatusCode::OK, &wire::Task::new(&view, progress, &Clock::now())))
        }
        None => Err(Refusal::NoSuchTask(id)),
    }
}

async fn stop<N: Node>(
    State(api): State<Arc<Api<N>>>,
    id: Result<Path<String>, PathRejection>,
) -> Result<Response, Refusal> {
    let id = parse_id(id)?;
    match api.node.stop(&id).await? {
        0 => Err(Refusal::NoSuchTask(id)),
        count => Ok(stopped(count)),
    }
}

async fn stop_all<N: Node>(State(api): State<Arc<Api<N>>>) -> Result<Response, Refusal> {
    Ok(stopped(api.node.stop_all().await?))
}

async fn metrics<N: Node>(State(api): State<Arc<Api<N>>>) -> Result<Response, Refusal> {
    let (totals, snapshot) = (api.node.totals().await?, api.node.snapshot().await?);
    Ok(Metrics::new(totals, &snapshot, api.node.vitals()).respond())
}

async fn ready<N: Node>(State(api): State<Arc<Api<N>>>) -> Response {
    match api.node.ready() {
        Ok(()) => json(StatusCode::OK, &serde_json::json!({"ready": true})),
        Err(reason) => error(StatusCode::SERVICE_UNAVAILABLE, reason),
    }
}

async fn no_such_method() -> Response {
    error(StatusCode::METHOD_NOT_ALLOWED, "no such method here")
}

fn stopped(count: usize) -> Response {
    json(StatusCode::OK, &serde_json::json!({"stopped": count}))
}

/// `tenant=NAME`, the one query that there is.
fn parse_tenant(query: &str) -> Result<String, Refusal> {
    let name = query.strip_prefix("tenant=").filter(|name| !name.contains('&'));
    let name = name.and_then(|name| percent_decode_str(name).decode_utf8().ok());
    Ok(name.ok_or(Refusal::BadQuery)?.into_owned())
}

/// axum has decoded the percent signs.
fn parse_id(id: Result<Path<String>, PathRejection>) -> Result<TaskId, Refusal> {
    let Path(id) = id.map_err(|_| Refusal::BadId("id is not UTF-8".into()))?;
    TaskId::parse(&id).map_err(|invalid| Refusal::BadId(invalid.0))
}

/// Answers are neither kept nor taken for something else.
async fn harden(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, header::HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, header::HeaderValue::from_static("nosniff"));
    response
}

/// Why a handler has nothing to give.
enum Refusal {
    BadId(String),
    BadQuery,
    /// The body, and with which status.
    Unread(StatusCode),
    Submit(SubmitError),
    NoSuchTask(TaskId),
    Gone,
}

impl From<Gone> for Refusal {
    fn from(Gone: Gone) -> Refusal {
        Refusal::Gone
    }
}

impl From<SubmitError> for Refusal {
    fn from(error: SubmitError) -> Refusal {
        Refusal::Submit(error)
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        match self {
            Refusal::BadId(reason) => error(StatusCode::BAD_REQUEST, &reason),
            Refusal::BadQuery => error(StatusCode::BAD_REQUEST, "the query is not \"tenant=NAME\""),
            Refusal::Unread(StatusCode::PAYLOAD_TOO_LARGE) => {
                error(StatusCode::PAYLOAD_TOO_LARGE, "the message is longer than any task's")
            }
            Refusal::Unread(status) => error(status, "the body cannot be read"),
            Refusal::Submit(refused) => error(status_of(&refused), &refused.to_string()),
            Refusal::NoSuchTask(id) => {
                error(StatusCode::NOT_FOUND, &format!("no task {:?} here", id.as_str()))
            }
            Refusal::Gone => error(StatusCode::SERVICE_UNAVAILABLE, "the node is leaving"),
        }
    }
}

fn status_of(refused: &SubmitError) -> StatusCode {
    match refused {
        SubmitError::NoSuchTenant(_) => StatusCode::NOT_FOUND,
        SubmitError::TooLong(_) => StatusCode::PAYLOAD_TOO_LARGE,
        SubmitError::Invalid(_) => StatusCode::BAD_REQUEST,
        SubmitError::Unpublished(_) => StatusCode::SERVICE_UNAVAILABLE,
        SubmitError::Unconfirmed(_) => StatusCode::GATEWAY_TIMEOUT,
    }
}
