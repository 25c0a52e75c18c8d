//! What sessions answer, with grants and without.

use std::sync::atomic::AtomicUsize;

use tokio::sync::Notify;

use super::*;

/// A configuration with these `grants` for the tenant `t`, and its folder.
pub(super) fn config(grants: &str) -> (tempfile::TempDir, Config) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("roh.toml");
    for (name, text) in [("a.txt", "hello"), ("m.py", "x = 1"), ("token", "hunter2\n")] {
        std::fs::write(folder.path().join(name), text).expect("written");
    }
    let text = format!(
        "[node]\ndata = 'state'\n[broker]\nurl = 'amqp://h'\n\
         [[source]]\ntenant = 'other'\nexchange = 'other'\nqueue = 'other'\n\
         [[source]]\ntenant = 't'\nexchange = 'first'\nqueue = 'first'\nrouting-key = 'key'\n\
         [[source]]\ntenant = 't'\nexchange = 'second'\nqueue = 'second'\n\
         [[tenant]]\nname = 'other'\n[[tenant]]\nname = 't'\nscripts = '.'\n\
         [tenant.grants]\n{grants}\n"
    );
    std::fs::write(&path, text).expect("written");
    let config = Config::load(&path).unwrap_or_else(|error| panic!("{error}"));
    (folder, config)
}

/// A broker that keeps what it is given.
#[derive(Default)]
struct Broker {
    published: Mutex<Vec<Publication>>,
    answer: Mutex<Option<PublishError>>,
    /// Confirms are held back until it is told.
    held: Option<Notify>,
    at_once: AtomicUsize,
    most_at_once: AtomicUsize,
}

impl Publish for Broker {
    fn publish(&self, publication: Publication) -> BoxFuture<'_, Result<(), PublishError>> {
        Box::pin(async move {
            let at_once = self.at_once.fetch_add(1, Ordering::SeqCst) + 1;
            self.most_at_once.fetch_max(at_once, Ordering::SeqCst);
            match &self.held {
                Some(held) => held.notified().await,
                None => tokio::task::yield_now().await,
            }
            self.at_once.fetch_sub(1, Ordering::SeqCst);
            self.published.lock().expect("not poisoned").push(publication);
            self.answer.lock().expect("not poisoned").clone().map_or(Ok(()), Err)
        })
    }
}

/// A node with one tenant that matters.
struct Node {
    grants: Grants,
    broker: Arc<Broker>,
    limits: Limits,
    _folder: tempfile::TempDir,
}

impl Node {
    fn with(grants: &str) -> Node {
        Node::of(grants, Broker::default())
    }

    fn of(grants: &str, broker: Broker) -> Node {
        let (folder, config) = config(grants);
        let broker = Arc::new(broker);
        let management = config.management.listen;
        let grants = Grants::new(&config, management, broker.clone()).expect("made");
        Node { grants, broker, limits: Limits::default(), _folder: folder }
    }

    fn session(&self) -> Session {
        self.at_depth(0)
    }

    fn at_depth(&self, depth: u32) -> Session {
        self.grants.session(&TenantName::new("t"), &id(), depth, &self.limits)
    }

    fn published(&self) -> Vec<Publication> {
        std::mem::take(&mut *self.broker.published.lock().expect("not poisoned"))
    }
}

fn id() -> TaskId {
    TaskId::parse("id").expect("short")
}

async fn ask(session: &Session, request: Request) -> Answer {
    roh_abi::decode(&session.answer(roh_abi::encode(&request)).await).expect("an answer")
}

async fn refused(session: &Session, request: Request) -> (RefusalKind, String) {
    let shown = format!("{request:?}");
    match ask(session, request).await {
        Answer::Refused(Refusal { kind, message }) => (kind, message),
        answer => panic!("{shown}: {answer:?}"),
    }
}

fn publish(exchange: &str) -> Request {
    Request::Publish {
        exchange: exchange.into(),
        routing_key: "k".into(),
        content_type: "text/plain".into(),
        body: b"hello".to_vec(),
    }
}

fn submit(task: &str, args: &str, kwargs: &str) -> Request {
    Request::Submit { task: task.into(), args: args.into(), kwargs: kwargs.into() }
}

fn get(url: &str) -> Request {
    Request::Http(roh_abi::HttpRequest {
        method: "GET".into(),
        url: url.into(),
        headers: Vec::new(),
        body: Vec::new(),
        timeout_ms: None,
    })
}

fn set(key: &str, value: &[u8]) -> Request {
    Request::StateSet { key: key.into(), value: value.into() }
}

fn log(message: &str) -> Request {
    Request::Log { level: 20, logger: "l".into(), message: message.into() }
}

fn module(name: &str) -> Request {
    Request::Module { name: name.into(), top_level: true }
}

#[tokio::test]
async fn a_script_that_lacks_a_grant_is_told_which() {
    let node = Node::with("");
    let session = node.session();
    for (request, grant, add) in [
        (Request::File("a.txt".into()), "files", "files = "),
        (Request::Folder(String::new()), "files", "files = "),
        (get("https://h/"), "http", "[[tenant.grants.http]]"),
        (publish("e\n"), "publish", "\"e\\n\" to publish in [tenant.grants]"),
        (submit("a.b", "[]", "{}"), "submit", "submit = true"),
        (Request::Secret("S".into()), "secrets", "\"S\" to [tenant.grants.secrets]"),
        (Request::StateGet("k".into()), "state", "state = "),
        (set("k", b""), "state", "state = "),
        (Request::StateDelete("k".into()), "state", "state = "),
        (Request::StateKeys(String::new()), "state", "state = "),
    ] {
        let (kind, message) = refused(&session, request).await;
        assert_eq!(kind, RefusalKind::NotGranted);
        let expected = format!("tenant \"t\" lacks the grant \"{grant}\": add ");
        assert!(message.starts_with(&expected) && message.contains(add), "{message}");
    }
    // What needs no grant.
    let found = Answer::Module { file: "m.py".into(), package: false, source: "x = 1".into() };
    assert_eq!(ask(&session, module("m")).await, found);
    assert_eq!(ask(&session, module("n")).await, Answer::Missing);
    assert_eq!(ask(&session, log("x")).await, Answer::Done);
    assert_eq!(node.published(), []);
}

#[tokio::test]
async fn a_tenant_that_nobody_knows_has_nothing() {
    let node = Node::with("");
    let session = node.grants.session(&TenantName::new("x"), &id(), 0, &node.limits);
    assert_eq!(ask(&session, module("m")).await, Answer::Missing);
    let (kind, _) = refused(&session, Request::File("a.txt".into())).await;
    assert_eq!(kind, RefusalKind::NotGranted);
}

#[tokio::test]
async fn files_are_read_and_no_path_is_told() {
    let node = Node::with("files = '.'");
    let session = node.session();
    let file = |path: &str| Request::File(path.into());
    assert_eq!(ask(&session, file("a.txt")).await, Answer::Bytes(b"hello".into()));
    assert_eq!(ask(&session, file("../a.txt")).await, Answer::Missing);
    let names = ["a.txt", "m.py", "roh.toml", "token"].map(str::to_owned);
    let listed = ask(&session, Request::Folder(String::new())).await;
    assert_eq!(listed, Answer::Names(names.into()));
    let (kind, message) = refused(&session, file(&"x".repeat(5000))).await;
    assert_eq!(kind, RefusalKind::Failed);
    assert!(message.starts_with("\"/data/xxx") && !message.contains("/tmp"), "{message}");
    assert!(message.len() < 300, "{message}");
}

#[tokio::test]
async fn secrets_are_told_and_taken_out_of_what_is_printed() {
    let node = Node::with("secrets = { TOKEN = { file = 'token' } }");
    let session = node.session();
    let secret = |name: &str| Request::Secret(name.into());
    assert_eq!(ask(&session, secret("TOKEN")).await, Answer::Text("hunter2".into()));
    assert_eq!(refused(&session, secret("token")).await.0, RefusalKind::NotGranted);
    let text = || "a hunter2".to_owned();
    let exception = Exception { kind: text(), message: text(), traceback: text() };
    for outcome in [Outcome::Failed(exception), Outcome::Crashed(text()), Outcome::Invalid(text())]
    {
        let mut report = Report::not_run(outcome);
        (report.stdout, report.stderr) = (text(), text());
        session.finish(&mut report);
        assert!(!format!("{report:?}").contains("hunter2"), "{report:?}");
        assert_eq!(report.stdout, "a [secret TOKEN]");
        assert!(report.outcome.reason().is_some_and(|reason| reason.contains("[secret TOKEN]")));
        assert_eq!(report.usage.host_calls, 2);
    }
}

#[tokio::test]
async fn state_outlives_the_task_and_has_a_quota() {
    let node = Node::with("state = 10");
    assert_eq!(ask(&node.session(), set("k", b"123")).await, Answer::Done);
    let session = node.session();
    assert_eq!(ask(&session, Request::StateGet("k".into())).await, Answer::Bytes(b"123".into()));
    assert_eq!(
        ask(&session, Request::StateKeys(String::new())).await,
        Answer::Names(vec!["k".into()])
    );
    assert_eq!(refused(&session, set("l", b"1234567")).await.0, RefusalKind::Limit);
    assert_eq!(ask(&session, Request::StateDelete("k".into())).await, Answer::Done);
    assert_eq!(ask(&session, Request::StateGet("k".into())).await, Answer::Missing);
}

#[tokio::test]
async fn messages_go_to_granted_exchanges_alone() {
    let node = Node::with("publish = ['e']");
    let session = node.session();
    assert_eq!(ask(&session, publish("e")).await, Answer::Done);
    let [sent] = &node.published()[..] else { panic!("one message") };
    assert_eq!((sent.exchange.as_str(), sent.routing_key.as_str()), ("e", "k"));
    assert_eq!((sent.content_type.as_str(), &sent.body[..]), ("text/plain", &b"hello"[..]));
    assert_eq!((sent.depth, sent.tenant.as_str(), &sent.task), (None, "t", &Some(id())));
    for exchange in ["", "E", "e ", "first", "roh.dead", "amq.fanout"] {
        assert_eq!(refused(&session, publish(exchange)).await.0, RefusalKind::NotGranted);
    }
    let (kind, message) = refused(
        &session,
        Request::Publish {
            exchange: "e".into(),
            routing_key: "k".repeat(256),
            content_type: String::new(),
            body: Vec::new(),
        },
    )
    .await;
    assert_eq!(kind, RefusalKind::Invalid);
    assert_eq!(message, "routing key has 256 bytes, more than 255");
    assert_eq!(node.published(), []);
    for (error, expected) in [
        (PublishError::Unroutable, "cannot publish to exchange \"e\": it reaches no queue"),
        (PublishError::Refused("full".into()), "the broker refused it: full"),
        (PublishError::Unreachable, "the broker is out of reach"),
    ] {
        *node.broker.answer.lock().expect("not poisoned") = Some(error);
        let (kind, message) = refused(&session, publish("e")).await;
        assert_eq!(kind, RefusalKind::Failed);
        assert!(message.contains(expected), "{message}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_confirm_that_does_not_come_is_not_waited_for() {
    let broker = Broker { held: Some(Notify::new()), ..Broker::default() };
    let node = Node::of("publish = ['e']", broker);
    let (kind, message) = refused(&node.session(), publish("e")).await;
    assert_eq!(kind, RefusalKind::TimedOut);
    assert!(message.contains("did not confirm a message to exchange \"e\" within 10s"));
}

#[tokio::test]
async fn a_task_submits_tasks_to_its_tenants_first_source() {
    let node = Node::with("submit = true");
    let session = node.at_depth(1);
    let Answer::Text(id) = ask(&session, submit("a.b", "[1, 2]", r#"{"x": "y"}"#)).await else {
        panic!("no id")
    };
    let [sent] = &node.published()[..] else { panic!("one message") };
    assert_eq!((sent.exchange.as_str(), sent.routing_key.as_str()), ("first", "key"));
    assert_eq!((sent.message_id.as_str(), sent.depth), (id.as_str(), Some(2)));
    assert_eq!(sent.content_type, "application/json");
    let body = std::str::from_utf8(&sent.body).expect("text");
    assert_eq!(body, r#"{"task":"a.b","args":[1, 2],"kwargs":{"x": "y"}}"#);
    for (task, args, kwargs, expected) in [
        ("a", "[]", "{}", "not of the form"),
        ("a.b", "{}", "{}", "args is not an array"),
        ("a.b", "[]", "[]", "kwargs is not an object"),
        ("a.b", "[", "{}", "args are not JSON"),
        ("a.b", r#"[], "timeout": "1s""#, "{}", "args are not JSON"),
        ("a.b", "[]", r#"{}, "script": """#, "kwargs are not JSON"),
    ] {
        let (kind, message) = refused(&session, submit(task, args, kwargs)).await;
        assert_eq!(kind, RefusalKind::Invalid);
        assert!(message.contains(expected), "{message}");
    }
    let long = format!("[\"{}\"]", "x".repeat(1 << 20));
    let (kind, message) = refused(&session, submit("a.b", &long, "{}")).await;
    assert_eq!(kind, RefusalKind::Invalid);
    assert!(message.contains("more than the limit of 1.0 MiB"), "{message}");
    assert_eq!(node.published(), []);
}

#[tokio::test]
async fn tasks_breed_to_a_depth_and_a_number_and_no_further() {
    let node = Node::with("submit = { depth = 2, fan-out = 3 }");
    let task = || submit("a.b", "[]", "{}");
    let session = node.at_depth(1);
    for _ in 0..3 {
        assert!(matches!(ask(&session, task()).await, Answer::Text(_)));
    }
    let (kind, message) = refused(&session, task()).await;
    assert_eq!((kind, message.as_str()), (RefusalKind::Limit, "a task may submit 3 tasks at most"));
    for depth in [2, 3, u32::MAX] {
        let (kind, message) = refused(&node.at_depth(depth), task()).await;
        assert_eq!(kind, RefusalKind::Limit);
        assert!(message.contains("to a depth of 2"), "{message}");
    }
    assert_eq!(node.published().len(), 3);
}

#[tokio::test]
async fn calls_are_counted_whatever_they_are() {
    let mut node = Node::with("publish = ['e']");
    node.limits.calls = 3;
    let session = node.session();
    assert_eq!(ask(&session, publish("e")).await, Answer::Done);
    assert_eq!(refused(&session, publish("x")).await.0, RefusalKind::NotGranted);
    for garbage in [vec![], vec![0xff; 100]] {
        let answer = session.answer(garbage).await;
        let Answer::Refused(refusal) = roh_abi::decode(&answer).expect("an answer") else {
            panic!("not refused")
        };
        let expected = match session.calls.load(Ordering::Relaxed) {
            3 if refusal.kind == RefusalKind::Limit => "limit \"calls\" of 3",
            _ => "not a message of ABI version",
        };
        assert!(refusal.message.contains(expected), "{refusal:?}");
    }
    assert_eq!(refused(&session, publish("e")).await.0, RefusalKind::Limit);
    assert_eq!(node.published().len(), 1);
    assert_eq!(ask(&node.session(), publish("e")).await, Answer::Done);
}

#[tokio::test]
async fn bytes_are_counted_both_ways() {
    let mut node = Node::with("state = 1000\npublish = ['e']");
    node.limits.call_bytes = 300;
    assert_eq!(ask(&node.session(), set("k", &[0; 200])).await, Answer::Done);
    let session = node.session();
    let key = || Request::StateGet("k".into());
    assert!(matches!(ask(&session, key()).await, Answer::Bytes(_)));
    let (kind, message) = refused(&session, key()).await;
    assert_eq!((kind, message.as_str()), (RefusalKind::Limit, TOO_MANY_BYTES));
    assert_eq!(refused(&session, publish("e")).await.0, RefusalKind::Limit);
    // A request beyond the limit is not carried out.
    let long = Request::Publish {
        exchange: "e".into(),
        routing_key: String::new(),
        content_type: String::new(),
        body: vec![0; 300],
    };
    assert_eq!(refused(&node.session(), long).await.0, RefusalKind::Limit);
    assert_eq!(node.published(), []);
}

#[tokio::test]
async fn a_session_answers_one_request_at_a_time() {
    let node = Node::with("publish = ['e']");
    let session = node.session();
    let answers = (0..10).map(|_| ask(&session, publish("e")));
    let answers = futures_util::future::join_all(answers).await;
    assert!(answers.iter().all(|answer| *answer == Answer::Done));
    assert_eq!(node.broker.most_at_once.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn progress_is_shown_while_the_task_runs() {
    let node = Node::with("");
    let session = node.session();
    let (tenant, task) = (TenantName::new("t"), id());
    assert_eq!(node.grants.progress(&tenant, &task), None);
    for (done, total) in [(0.0, None), (1.5, Some(3.0))] {
        assert_eq!(ask(&session, Request::Progress { done, total }).await, Answer::Done);
        assert_eq!(node.grants.progress(&tenant, &task), Some(Progress { done, total }));
    }
    for (done, total) in [(f64::NAN, None), (1.0, Some(f64::INFINITY))] {
        let (kind, _) = refused(&session, Request::Progress { done, total }).await;
        assert_eq!(kind, RefusalKind::Invalid);
    }
    assert_eq!(node.grants.progress(&TenantName::new("other"), &task), None);
    drop(session);
    assert_eq!(node.grants.progress(&tenant, &task), None);
}

#[tokio::test]
async fn a_tenant_has_so_many_threads_at_once() {
    let tenant = Arc::new(Tenant::without(&TenantName::new("t")));
    let (starting, mut started) = tokio::sync::mpsc::unbounded_channel();
    let (end, ends) = std::sync::mpsc::channel::<()>();
    let ends = Arc::new(Mutex::new(ends));
    let start = || {
        let (tenant, starting, ends) = (tenant.clone(), starting.clone(), ends.clone());
        tokio::spawn(async move {
            let work = move || {
                starting.send(()).expect("waited for");
                ends.lock().expect("no panic").recv().expect("it comes");
                Ok(Answer::Done)
            };
            tenant.blocking(work).await
        })
    };
    let runs: Vec<_> = (0..THREADS).map(|_| start()).collect();
    for _ in 0..THREADS {
        started.recv().await.expect("it starts");
    }
    // Nobody waits for these any more, but they go on.
    runs.iter().for_each(|run| run.abort());
    let last = start();
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert_eq!(tenant.threads.0.available_permits(), 0);
    assert!(started.is_empty());
    for _ in 0..=THREADS {
        end.send(()).expect("waited for");
    }
    assert_eq!(last.await.expect("no panic"), Ok(Answer::Done));
}
