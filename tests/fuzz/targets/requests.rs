//! What a script asks of the daemon, byte for byte as an executor passes it on: each request
//! has an answer of its kind, within the task's limits, and nothing beyond the grants is done.

#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
mod fuzz {
    use std::future::ready;
    use std::net::SocketAddr;
    use std::pin::Pin;
    use std::sync::{Arc, LazyLock};

    use roh::config::{Config, Limits};
    use roh::grants::{Grants, Publication, Publish, PublishError};
    use roh::outcome::{Exception, Outcome, Report};
    use roh::sandbox::Calls;
    use roh::task::{Properties, Task, TaskId, TenantName};
    use roh_abi::{Answer, RefusalKind, Request, Script};
    use roh_fuzz::{block_on, limits, pieces, within};

    /// What requests may hold at once, with the store's cache and what TLS needs.
    const MEMORY: usize = 16 << 20;

    const SECRET: &str = "hunter2-hunter2";

    /// Of all grants something. Nobody listens where requests may go.
    const CONFIG: &str = r#"
        [node]
        data = "state"
        [broker]
        url = "amqp://h"
        [[source]]
        exchange = "tasks"
        tenant = "t"
        [[tenant]]
        name = "t"
        scripts = "files"
        [tenant.grants]
        files = "files"
        state = "1KiB"
        publish = ["events"]
        submit = { depth = 2, fan-out = 2 }
        http-rate = 1000
        secrets.KEY.file = "secret"
        [[tenant.grants.http]]
        host = "127.0.0.1"
        ports = [1]
        plain = true
        timeout = "1s"
    "#;

    struct Node {
        grants: Grants,
        _folder: tempfile::TempDir,
    }

    static NODE: LazyLock<Node> = LazyLock::new(|| {
        let folder = roh_fuzz::folder();
        std::fs::create_dir(folder.path().join("files")).expect("made");
        for (name, text) in [("files/a.py", "x = 1"), ("secret", SECRET), ("roh.toml", CONFIG)] {
            std::fs::write(folder.path().join(name), text).expect("written");
        }
        let config = Config::load(&folder.path().join("roh.toml"));
        let config = config.unwrap_or_else(|error| panic!("{error}"));
        let management = SocketAddr::from(([127, 0, 0, 1], 8080));
        let grants = Grants::new(&config, management, Arc::new(Broker)).expect("made");
        Node { grants, _folder: folder }
    });

    libfuzzer_sys::fuzz_target!(|input: &[u8]| {
        LazyLock::force(&NODE);
        within(MEMORY, || block_on(ask(input)));
    });

    /// Takes only what may come to it.
    struct Broker;

    impl Publish for Broker {
        fn publish(
            &self,
            it: Publication,
        ) -> Pin<Box<dyn Future<Output = Result<(), PublishError>> + Send + '_>> {
            match it.depth {
                Some(depth) => {
                    assert_eq!((it.exchange.as_str(), depth), ("tasks", 1));
                    let (tenant, queue) = (TenantName::new("t"), "q".into());
                    let read = Task::parse(&it.body, Properties::default(), &tenant, &queue, 100);
                    assert!(read.is_ok(), "no node takes what was submitted");
                }
                None => assert_eq!(it.exchange, "events"),
            }
            assert!(it.routing_key.len().max(it.content_type.len()) <= 255);
            Box::pin(ready(if it.body.len().is_multiple_of(2) {
                Ok(())
            } else {
                Err(PublishError::Unroutable)
            }))
        }
    }

    /// Each piece is a request.
    async fn ask(input: &[u8]) {
        let limits = limits();
        let id = TaskId::parse("i").expect("short");
        let session = NODE.grants.session(&TenantName::new("t"), &id, 0, &limits);
        let script = Script::Module { name: "a".into() };
        session.script_key(&script).await.expect("images are made by default");
        let (mut calls, mut bytes, mut submitted) = (0, 0, 0);
        for piece in pieces(input) {
            let request: Option<Request> = roh_abi::decode(piece).ok();
            let encoded = session.answer(piece.to_vec()).await;
            let answer: Answer = roh_abi::decode(&encoded).expect("an answer");
            calls += 1;
            bytes += (piece.len() + encoded.len()) as u64;
            let limit = matches!(&answer, Answer::Refused(no) if no.kind == RefusalKind::Limit);
            // A refusal for want of room needs some itself.
            assert!(limit || bytes <= limits.call_bytes);
            assert!(limit || calls <= limits.calls);
            if let Answer::Refused(no) = &answer {
                assert!(!no.message.is_empty() && !no.message.contains("/dev/shm"), "{no:?}");
                assert!(request.is_some() || limit || no.kind == RefusalKind::Invalid);
                continue;
            }
            let request = request.expect("what is no request is refused");
            let again: Request = roh_abi::decode(&roh_abi::encode(&request)).expect("the same");
            assert_eq!(format!("{again:?}"), format!("{request:?}"));
            submitted += u32::from(matches!(request, Request::Submit { .. }));
            assert!(submitted <= 2);
            fits(&request, &answer);
        }
        finish(&session, input, &limits);
    }

    /// The answer is one to this request, and within what is granted.
    fn fits(request: &Request, answer: &Answer) {
        let fits = match (request, answer) {
            (Request::Module { name, .. }, Answer::Module { source, .. }) => {
                (name.as_str(), source.as_str()) == ("a", "x = 1")
            }
            (Request::File(path), Answer::Bytes(bytes)) => {
                (path.as_str(), &bytes[..]) == ("a.py", b"x = 1")
            }
            (Request::Folder(path), Answer::Names(names)) => path.is_empty() && names == &["a.py"],
            (Request::Secret(name), Answer::Text(value)) => {
                (name.as_str(), value.as_str()) == ("KEY", SECRET)
            }
            (Request::StateGet(key), Answer::Bytes(value)) => key.len() + value.len() <= 1 << 10,
            (Request::StateKeys(prefix), Answer::Names(keys)) => {
                keys.is_sorted() && keys.iter().all(|key| key.starts_with(prefix))
            }
            (Request::StateSet { key, value }, Answer::Done) => key.len() + value.len() <= 1 << 10,
            (Request::Progress { done, .. }, Answer::Done) => done.is_finite(),
            (Request::Publish { exchange, .. }, Answer::Done) => exchange == "events",
            (Request::Submit { .. }, Answer::Text(id)) => !id.is_empty(),
            (Request::StateDelete(_) | Request::Log { .. }, Answer::Done) => true,
            (
                Request::Module { .. }
                | Request::File(_)
                | Request::Folder(_)
                | Request::StateGet(_)
                | Request::StateDelete(_),
                Answer::Missing,
            ) => true,
            _ => false,
        };
        assert!(fits, "{request:?}: {answer:?}");
    }

    /// No secret is in what a task leaves behind, and that is no longer than it may be.
    fn finish(session: &roh::grants::Session, input: &[u8], limits: &Limits) {
        let text = || String::from_utf8_lossy(input).into_owned();
        let exception = Exception { kind: text(), message: text(), traceback: text() };
        let mut report = Report {
            stdout: text(),
            stderr: text(),
            ..Report::not_run(Outcome::Failed(exception))
        };
        session.finish(&mut report);
        let error = report.outcome.error().expect("it failed");
        for text in [&error.kind, &error.message, &error.traceback, &report.stdout, &report.stderr]
        {
            assert!(!text.contains(SECRET), "{text}");
        }
        assert!(report.usage.host_calls <= limits.calls);
    }
}

#[cfg(not(fuzzing))]
fn main() {}
