//! The API as its callers see it: good ones, careless ones and hostile ones.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Request};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tower::ServiceExt;

use super::*;
use crate::manager::TenantTotals;
use crate::manager::view::{Ending, TaskState};
use crate::outcome::{Status, Usage};
use crate::task::TenantName;

mod submit;

const TOKEN: &str = "0123456789abcdef";

/// A node that runs `a`, which is at 3 of 10, holds `b/ü` and knows that `c` timed out.
struct Fake {
    ready: Result<(), &'static str>,
    gone: bool,
    stopped: Mutex<Vec<String>>,
    submissions: Submissions,
}

impl Default for Fake {
    fn default() -> Fake {
        let submissions = submit::to(Arc::default());
        Fake { ready: Ok(()), gone: false, stopped: Mutex::default(), submissions }
    }
}

fn view(id: &str, state: TaskState) -> TaskView {
    let received = Instant::now();
    let ending = Ending {
        status: Status::Timeout,
        reason: Some("cpu limit of 5s reached".into()),
        usage: Usage {
            wall: Duration::from_micros(5_001_500),
            cpu: Duration::from_secs(5),
            queued: Duration::from_millis(1),
            memory_bytes: 48 << 20,
            output_bytes: 12,
            host_calls: 3,
        },
        at: received,
    };
    TaskView {
        id: TaskId::parse(id).expect("valid"),
        task: Some("m.f".into()),
        tenant: TenantName::new("acme"),
        queue: "q".into(),
        attempt: 1,
        state,
        received,
        started: (state != TaskState::Waiting).then_some(received),
        ending: (state == TaskState::Ended).then_some(ending),
    }
}

impl Node for Arc<Fake> {
    async fn snapshot(&self) -> Result<Snapshot, Gone> {
        if self.gone {
            return Err(Gone);
        }
        Ok(Snapshot {
            running: vec![view("a", TaskState::Running)],
            waiting: vec![view("b/ü", TaskState::Waiting)],
        })
    }

    async fn find(&self, id: &TaskId) -> Result<Option<TaskView>, Gone> {
        Ok(match id.as_str() {
            "a" => Some(view("a", TaskState::Running)),
            "b/ü" => Some(view("b/ü", TaskState::Waiting)),
            "c" => Some(view("c", TaskState::Ended)),
            _ => None,
        })
    }

    async fn stop(&self, id: &TaskId) -> Result<usize, Gone> {
        self.stopped.lock().expect("not poisoned").push(id.to_string());
        Ok(usize::from(["a", "b/ü"].contains(&id.as_str())))
    }

    async fn stop_all(&self) -> Result<usize, Gone> {
        Ok(2)
    }

    async fn totals(&self) -> Result<Totals, Gone> {
        let used = TenantTotals {
            tasks: BTreeMap::from([(Status::Succeeded, 3), (Status::OutOfMemory, 1)]),
            cpu: Duration::from_millis(1500),
            wall: Duration::from_secs(60),
            queued: Duration::from_micros(250),
            memory_bytes_max: 48 << 20,
            output_bytes: 12,
            host_calls: 5,
        };
        Ok(Totals(BTreeMap::from([
            (TenantName::new("acme"), used),
            (TenantName::new("evil\"}\n# EOF"), TenantTotals::default()),
        ])))
    }

    fn progress(&self, _: &TaskView) -> Option<Progress> {
        Some(Progress { done: 3.0, total: Some(10.0) })
    }

    fn submissions(&self) -> &Submissions {
        &self.submissions
    }

    fn vitals(&self) -> Vitals {
        Vitals { watermark: 8, connected: true, executors: 2, executor_restarts: 1 }
    }

    fn ready(&self) -> Result<(), &'static str> {
        self.ready
    }
}

struct Answer {
    status: u16,
    headers: HeaderMap,
    body: Value,
}

/// Asks as `curl` on the same machine would, with these headers on top.
async fn ask(router: Router, method: &str, uri: &str, headers: &[(&str, &str)]) -> Answer {
    send(router, method, uri, headers, "").await
}

/// As [`ask`], with this body.
async fn send(
    router: Router,
    method: &str,
    uri: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Answer {
    let mut request = Request::builder().method(method).uri(uri);
    if !headers.iter().any(|(name, _)| *name == "host") {
        request = request.header("host", "127.0.0.1:8080");
    }
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Body::from(body.to_owned())).expect("valid");
    let response = router.oneshot(request).await.expect("infallible");
    let (parts, body) = response.into_parts();
    let body = to_bytes(body, usize::MAX).await.expect("in memory");
    let text = String::from_utf8(body.to_vec()).expect("text");
    let body = match parts.headers["content-type"].as_bytes() {
        b"application/json" => serde_json::from_str(&text).expect("JSON"),
        _ => Value::String(text),
    };
    Answer { status: parts.status.as_u16(), headers: parts.headers, body }
}

fn open() -> Router {
    router("node-a", Arc::new(Fake::default()), None)
}

fn guarded() -> Router {
    router("node-a", Arc::new(Fake::default()), Some(TOKEN.into()))
}

#[tokio::test]
async fn lists_what_runs_and_what_waits() {
    let answer = ask(open(), "GET", "/api/management", &[]).await;
    assert_eq!(answer.status, 200);
    let [node] = &answer.body.as_array().expect("an array")[..] else { panic!("one node") };
    assert_eq!(node["node"], "node-a");
    let task = node["running_tasks"][0].as_object().expect("an object");
    let keys = "age_ms attempt id progress queue received_at started_at state task tenant";
    let mut found: Vec<_> = task.keys().map(String::as_str).collect();
    found.sort_unstable();
    assert_eq!(found.join(" "), keys);
    assert_eq!((&task["id"], &task["state"]), (&json!("a"), &json!("running")));
    assert_eq!((&task["task"], &task["attempt"]), (&json!("m.f"), &json!(1)));
    assert!(humantime::parse_rfc3339(task["started_at"].as_str().expect("started")).is_ok());
    assert_eq!(task["progress"].to_string(), r#"{"done":3,"total":10}"#);
    assert_eq!(node["waiting_tasks"][0]["state"], "waiting");
    assert_eq!(node["waiting_tasks"][0].get("progress"), None);
    assert_eq!(node["waiting_tasks"][0]["started_at"], Value::Null);
    assert_eq!(answer.headers["cache-control"], "no-store");
    assert_eq!(answer.headers["x-content-type-options"], "nosniff");
    assert_eq!(answer.headers["content-type"], "application/json");
}

#[tokio::test]
async fn finds_a_task_by_its_id() {
    assert_eq!(ask(open(), "GET", "/api/tasks/a", &[]).await.body["state"], "running");
    assert_eq!(ask(open(), "GET", "/api/tasks/b%2F%C3%BC", &[]).await.body["id"], "b/ü");
    let ended = ask(open(), "GET", "/api/tasks/c", &[]).await.body;
    assert_eq!((&ended["state"], &ended["status"]), (&json!("ended"), &json!("timeout")));
    assert_eq!(ended["reason"], "cpu limit of 5s reached");
    assert_eq!(ended.get("progress"), None);
    let usage = json!({
        "wall_ms": 5001.5, "cpu_ms": 5000.0, "queued_ms": 1.0,
        "memory_bytes": 48 << 20, "output_bytes": 12, "host_calls": 3,
    });
    assert_eq!(ended["usage"], usage);
}

#[test]
fn progress_is_as_the_script_said() {
    let of = |done, total| {
        let running = view("a", TaskState::Running);
        let task = wire::Task::new(&running, Some(Progress { done, total }), &Clock::now());
        serde_json::to_value(&task).expect("JSON")["progress"].to_string()
    };
    for (done, total, expected) in [
        (3.0, Some(10.0), r#"{"done":3,"total":10}"#),
        (0.25, None, r#"{"done":0.25}"#),
        (-0.0, Some(-1.0), r#"{"done":0,"total":-1}"#),
        (
            f64::MAX,
            Some(2.0_f64.powi(53)),
            r#"{"done":1.7976931348623157e+308,"total":9007199254740992}"#,
        ),
    ] {
        assert_eq!(of(done, total), expected);
    }
}

/// The metrics of a page, by name: their kinds and the names of their labels.
fn families(page: &str) -> BTreeMap<String, (String, String)> {
    let (mut kind, mut found) = ("", BTreeMap::new());
    for line in page.lines() {
        if let Some(of) = line.strip_prefix("# TYPE ") {
            kind = of.split(' ').nth(1).expect("a kind");
        } else if !line.starts_with('#') {
            let name = &line[..line.find(['{', ' ']).expect("a name")];
            let labels = ["tenant", "status"]
                .map(|label| if line.contains(&format!("{label}=\"")) { label } else { "" });
            let labels = labels.join(" ").trim().to_owned();
            found.insert(name.to_owned(), (kind.to_owned(), labels));
        }
    }
    found
}

#[tokio::test]
async fn metrics_are_what_the_reference_lists() {
    let answer = ask(open(), "GET", "/metrics", &[]).await;
    assert_eq!(answer.status, 200);
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    assert_eq!(answer.headers["content-type"], kind);
    let reference = include_str!("../../../docs/management.md");
    let rows = reference.lines().filter_map(|line| {
        let row = line.strip_prefix("| `roh_")?.replace(['`', ','], "");
        let cells: Vec<_> = row.split('|').map(str::trim).collect();
        let (kind, labels) = (cells[1].to_owned(), cells[2].to_owned());
        Some((format!("roh_{}", cells[0]), (kind, labels)))
    });
    assert_eq!(families(answer.body.as_str().expect("text")), rows.collect());
}

#[tokio::test]
async fn metrics_say_what_each_tenant_used() {
    let answer = ask(open(), "GET", "/metrics", &[]).await;
    let page = answer.body.as_str().expect("text");
    for line in [
        r#"roh_tasks_total{tenant="acme",status="succeeded"} 3.0"#,
        r#"roh_tasks_total{tenant="acme",status="failed"} 0.0"#,
        r#"roh_tasks_total{tenant="acme",status="out-of-memory"} 1.0"#,
        r#"roh_cpu_seconds_total{tenant="acme"} 1.5"#,
        r#"roh_wall_seconds_total{tenant="acme"} 60.0"#,
        r#"roh_queued_seconds_total{tenant="acme"} 0.00025"#,
        r#"roh_output_bytes_total{tenant="acme"} 12.0"#,
        r#"roh_host_calls_total{tenant="acme"} 5.0"#,
        r#"roh_memory_bytes_max{tenant="acme"} 50331648.0"#,
        r#"roh_running_tasks{tenant="acme"} 1.0"#,
        r#"roh_waiting_tasks{tenant="acme"} 1.0"#,
        r#"roh_waiting_tasks{tenant="evil\"}\n# EOF"} 0.0"#,
        "roh_watermark 8.0",
        "roh_connected 1.0",
        "roh_executors 2.0",
        "roh_executor_restarts_total 1.0",
    ] {
        assert!(page.lines().any(|other| other == line), "{line} is not in\n{page}");
    }
    assert_eq!(page.lines().filter(|line| *line == "# EOF").count(), 1, "{page}");
    assert!(page.ends_with("\n# EOF\n"), "{page}");
    assert!(!page.contains("b/ü") && !page.contains(r#""a""#), "an id of a task:\n{page}");
}

#[tokio::test]
async fn stops_one_or_all() {
    let one = ask(open(), "POST", "/api/tasks/b%2F%C3%BC/stop", &[]).await;
    assert_eq!((one.status, one.body), (200, json!({"stopped": 1})));
    let all = ask(open(), "POST", "/api/stop", &[]).await;
    assert_eq!((all.status, all.body), (200, json!({"stopped": 2})));
}

#[tokio::test]
async fn every_refusal_is_a_json_error() {
    let long = format!("/api/tasks/{}", "x".repeat(256));
    for (method, uri, status, expected) in [
        ("GET", "/api/tasks/z", 404, "no task \"z\" here"),
        ("POST", "/api/tasks/z/stop", 404, "no task \"z\" here"),
        ("GET", "/api/tasks/%1B", 404, "no task \"\\u{1b}\" here"),
        ("GET", &long, 400, "id has 256 bytes, more than 255"),
        ("GET", "/api/tasks/%FF", 400, "id is not UTF-8"),
        ("GET", "/api/stop", 405, "no such method here"),
        ("POST", "/api/management", 405, "no such method here"),
        ("GET", "/api/tasks", 405, "no such method here"),
        ("POST", "/healthz", 405, ""),
        ("GET", "/", 404, "no such path"),
        ("GET", "/api/tasks/../management", 404, "no such path"),
    ] {
        let answer = ask(open(), method, uri, &[]).await;
        assert_eq!(answer.status, status, "{method} {uri}: {}", answer.body);
        let error = answer.body["error"].as_str().expect("an error");
        assert!(error.contains(expected), "{method} {uri}: {error}");
        assert_eq!(answer.headers["x-content-type-options"], "nosniff");
    }
}

#[tokio::test]
async fn a_token_is_needed_for_everything_but_the_probes() {
    for uri in ["/healthz", "/readyz"] {
        assert_eq!(ask(guarded(), "GET", uri, &[]).await.status, 200);
    }
    for (authorization, status) in [
        (None, 401),
        (Some("Bearer "), 401),
        (Some("Bearer 0123456789abcdeg"), 401),
        (Some("Bearer 0123456789abcde"), 401),
        (Some("Basic 0123456789abcdef"), 401),
        (Some("0123456789abcdef"), 401),
        (Some("bearer 0123456789abcdef"), 200),
        (Some("Bearer 0123456789abcdef"), 200),
    ] {
        let headers: Vec<_> = authorization.iter().map(|value| ("authorization", *value)).collect();
        let answer = ask(guarded(), "GET", "/api/management", &headers).await;
        assert_eq!(answer.status, status, "{authorization:?}");
        if status == 401 {
            assert_eq!(answer.headers["www-authenticate"], "Bearer realm=\"roh\"");
        }
    }
    for (method, uri) in [("POST", "/api/stop"), ("GET", "/nowhere"), ("GET", "/metrics")] {
        assert_eq!(ask(guarded(), method, uri, &[]).await.status, 401, "{uri}");
    }
}

#[tokio::test]
async fn a_refused_request_stops_nothing() {
    let node = Arc::new(Fake::default());
    let api = router("node-a", node.clone(), None);
    let evil = [("origin", "https://evil.example")];
    assert_eq!(ask(api, "POST", "/api/tasks/a/stop", &evil).await.status, 403);
    assert!(node.stopped.lock().expect("not poisoned").is_empty());
}

#[tokio::test]
async fn without_a_token_only_loopback_names_are_served() {
    for (host, status) in [
        ("localhost", 200),
        ("LOCALHOST:8080", 200),
        ("127.0.0.1:8080", 200),
        ("127.1.2.3", 200),
        ("[::1]:8080", 200),
        ("evil.example:8080", 403),
        ("localhost.evil.example", 403),
        ("127.0.0.1.evil.example", 403),
        ("user@localhost", 403),
        ("10.0.0.1", 403),
        ("", 403),
    ] {
        for uri in ["/api/management", "/readyz"] {
            let answer = ask(open(), "GET", uri, &[("host", host)]).await;
            assert_eq!(answer.status, status, "{host} {uri}");
        }
    }
    let absolute = ask(open(), "GET", "http://evil.example/api/management", &[]).await;
    assert_eq!(absolute.status, 403);
    let twice = [("host", "localhost"), ("host", "evil.example")];
    assert_eq!(ask(open(), "GET", "/healthz", &twice).await.status, 403);
    let bearer = ("authorization", "Bearer 0123456789abcdef");
    let elsewhere = [("host", "node-a.example"), bearer];
    assert_eq!(ask(guarded(), "GET", "/api/management", &elsewhere).await.status, 200);
}

#[tokio::test]
async fn requests_of_other_sites_are_refused() {
    for (origin, status) in [
        ("http://127.0.0.1:8080", 200),
        ("http://127.0.0.1:3000", 403),
        ("http://localhost:8080", 403),
        ("https://evil.example", 403),
        ("null", 403),
    ] {
        let answer = ask(open(), "POST", "/api/stop", &[("origin", origin)]).await;
        assert_eq!(answer.status, status, "{origin}");
    }
    let bearer = ("authorization", "Bearer 0123456789abcdef");
    let evil = [("origin", "https://evil.example"), bearer];
    assert_eq!(ask(guarded(), "POST", "/api/stop", &evil).await.status, 403);
}

#[tokio::test]
async fn is_ready_only_while_it_takes_tasks() {
    let waiting = Fake { ready: Err("the broker does not deliver"), ..Fake::default() };
    let answer = ask(router("n", Arc::new(waiting), None), "GET", "/readyz", &[]).await;
    assert_eq!(
        (answer.status, &answer.body["error"]),
        (503, &json!("the broker does not deliver"))
    );
    for uri in ["/api/management", "/metrics"] {
        let leaving = Fake { gone: true, ..Fake::default() };
        let answer = ask(router("n", Arc::new(leaving), None), "GET", uri, &[]).await;
        assert_eq!((answer.status, &answer.body["error"]), (503, &json!("the node is leaving")));
    }
}

/// Starts a server; it ends with the sender.
async fn start(api: Router) -> (std::net::SocketAddr, tokio::sync::oneshot::Sender<()>) {
    let listener = bind("127.0.0.1:0".parse().expect("valid")).await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    tokio::spawn(serve(listener, api, async {
        let _ = stopped.await;
    }));
    (address, stop)
}

async fn talk(address: std::net::SocketAddr, text: &str) -> String {
    let mut stream = TcpStream::connect(address).await.expect("listens");
    stream.write_all(text.as_bytes()).await.expect("takes it");
    let mut answer = Vec::new();
    // The server may close before it has read all of it.
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8(answer).expect("text")
}

#[tokio::test]
async fn serves_one_request_a_connection_and_ends_when_told() {
    let (address, stop) = start(open()).await;
    let answer = talk(address, "GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n").await;
    assert!(
        answer.starts_with("HTTP/1.1 200") && answer.ends_with(r#"{"alive":true}"#),
        "{answer}"
    );
    let body = "POST /api/stop HTTP/1.1\r\nhost: localhost\r\ncontent-length: 99999999999\r\n\r\nx";
    assert!(talk(address, body).await.starts_with("HTTP/1.1 200"));
    let long = format!("GET /{} HTTP/1.1\r\nhost: localhost\r\n\r\n", "x".repeat(20_000));
    assert!(!talk(address, &long).await.starts_with("HTTP/1.1 200"));
    drop(stop);
    let deadline = Instant::now() + Duration::from_secs(10);
    while TcpStream::connect(address).await.is_ok() {
        assert!(Instant::now() < deadline, "still listens");
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_port_in_use_names_the_setting() {
    let listener = bind("127.0.0.1:0".parse().expect("valid")).await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    let error = bind(address).await.expect_err("in use").to_string();
    assert_eq!(
        error,
        format!("failed to listen on {address}, which is \"listen\" in [management]")
    );
}

#[tokio::test(start_paused = true)]
async fn silent_connections_are_closed_and_make_room() {
    let (address, _stop) = start(open()).await;
    let mut silent = Vec::new();
    for _ in 0..70 {
        silent.push(TcpStream::connect(address).await.expect("the backlog takes it"));
    }
    // All places are taken until the first ones' time is up.
    let answer = talk(address, "GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[tokio::test]
async fn the_client_and_the_server_understand_each_other() {
    use crate::commands::client::{Address, Client, Stopped};
    let (address, _stop) = start(open()).await;
    let answers = tokio::task::spawn_blocking(move || {
        let url = Address::Url { url: address.to_string(), token_file: None };
        let client = Client::new(url).expect("no file to read");
        let stop = |id| client.stop(&TaskId::parse(id).expect("valid")).expect("answers");
        (client.management().expect("answers"), stop("b/ü"), stop("z"), client.stop_all())
    });
    let (listing, one, none, all) = answers.await.expect("no panic");
    assert!(listing.contains(r#""node":"node-a""#), "{listing}");
    assert_eq!((one, none, all.expect("answers")), (Stopped::Count(1), Stopped::NotFound, 2));
}

#[tokio::test]
async fn the_client_bears_the_token_of_its_file() {
    use crate::commands::client::{Address, Client};
    let (address, _stop) = start(guarded()).await;
    let folder = tempfile::tempdir().expect("temporary folder");
    let file = folder.path().join("token");
    std::fs::write(&file, format!("{TOKEN}\n")).expect("writes");
    let asked = tokio::task::spawn_blocking(move || {
        let ask = |token_file| {
            let url = Address::Url { url: format!("http://{address}/"), token_file };
            Client::new(url).expect("readable").management().map_err(|error| error.to_string())
        };
        (ask(Some(file)), ask(None))
    });
    let (with, without) = asked.await.expect("no panic");
    assert!(with.is_ok(), "{with:?}");
    assert!(without.expect_err("no token").contains("it wants another token"));
}
