//! A connection to the management API: whatever is sent, nobody is let in without the token,
//! or from another machine where there is none, and each answer is one whole answer.

#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
mod fuzz {
    use std::collections::BTreeMap;
    use std::future::ready;
    use std::path::Path;
    use std::pin::Pin;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::{Arc, LazyLock};
    use std::time::Instant;

    use roh::config::{Config, fuzz as config};
    use roh::grants::{Progress, Publication, Publish, PublishError};
    use roh::management::{Node, Submissions, Vitals, fuzz as management, router};
    use roh::manager::view::{Snapshot, TaskState, TaskView};
    use roh::manager::{Gone, TenantTotals, Totals};
    use roh::task::{Properties, Task, TaskId, TenantName};
    use roh_fuzz::{block_on, within};
    use serde_json::Value;

    const TOKEN: &str = "0123456789abcdef";

    /// Longest task message.
    const MESSAGE: u64 = 100;

    static CONFIG: LazyLock<Arc<Config>> = LazyLock::new(|| {
        let text = format!("[broker]\nurl = 'amqp://h'\n[limits]\nmessage = {MESSAGE}");
        let config = config::parse(&text, Path::new("roh.toml"));
        config.unwrap_or_else(|error| panic!("{error}")).into()
    });

    /// What a connection may hold at once: its buffers, and the other end of the pipe.
    const MEMORY: usize = 1 << 20;

    libfuzzer_sys::fuzz_target!(|sent: &[u8]| {
        LazyLock::force(&CONFIG);
        within(MEMORY, || {
            block_on(async {
                exchange(sent, None).await;
                exchange(sent, Some(TOKEN)).await;
            });
        });
    });

    /// Counts what is asked of a node and its broker.
    #[derive(Clone, Default)]
    struct Count(Arc<AtomicUsize>);

    impl Count {
        fn add(&self) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Takes tasks, and nothing else.
    impl Publish for Count {
        fn publish(
            &self,
            it: Publication,
        ) -> Pin<Box<dyn Future<Output = Result<(), PublishError>> + Send + '_>> {
            self.add();
            assert_eq!(it.exchange, "roh.tasks");
            let (tenant, queue) = (TenantName::new("default"), "q".into());
            let read = Task::parse(&it.body, Properties::default(), &tenant, &queue, MESSAGE);
            assert!(read.is_ok(), "no node takes what was submitted");
            let taken = it.body.len().is_multiple_of(2);
            Box::pin(ready(if taken { Ok(()) } else { Err(PublishError::Unreachable) }))
        }
    }

    struct Asked {
        count: Count,
        submissions: Submissions,
    }

    fn view(id: &TaskId) -> TaskView {
        TaskView {
            id: id.clone(),
            task: Some("m.f".into()),
            tenant: TenantName::new("t"),
            queue: "q".into(),
            attempt: 1,
            state: TaskState::Waiting,
            received: Instant::now(),
            started: None,
            ending: None,
        }
    }

    impl Node for Asked {
        async fn snapshot(&self) -> Result<Snapshot, Gone> {
            self.count.add();
            let id = TaskId::parse("a").expect("short");
            Ok(Snapshot { running: vec![view(&id)], waiting: Vec::new() })
        }

        async fn find(&self, id: &TaskId) -> Result<Option<TaskView>, Gone> {
            self.count.add();
            Ok((id.as_str().len() % 2 == 1).then(|| view(id)))
        }

        async fn stop(&self, id: &TaskId) -> Result<usize, Gone> {
            self.count.add();
            if id.as_str() == "gone" { Err(Gone) } else { Ok(id.as_str().len() % 2) }
        }

        async fn stop_all(&self) -> Result<usize, Gone> {
            self.count.add();
            Ok(2)
        }

        async fn totals(&self) -> Result<Totals, Gone> {
            self.count.add();
            Ok(Totals(BTreeMap::from([(TenantName::new("t"), TenantTotals::default())])))
        }

        fn progress(&self, _: &TaskView) -> Option<Progress> {
            None
        }

        fn submissions(&self) -> &Submissions {
            &self.submissions
        }

        fn vitals(&self) -> Vitals {
            Vitals { watermark: 1, connected: true, executors: 1, executor_restarts: 0 }
        }

        fn ready(&self) -> Result<(), &'static str> {
            Err("not yet")
        }
    }

    async fn exchange(sent: &[u8], token: Option<&str>) {
        let count = Count::default();
        let submissions = Submissions::new(CONFIG.clone(), Arc::new(count.clone()));
        let node = Asked { count: count.clone(), submissions };
        let got = management::exchange(sent, router("node", node, token.map(str::to_owned))).await;
        let asked = count.0.load(Ordering::Relaxed);
        // One request for each connection; metrics asks for two things.
        assert!(asked <= 2, "{asked} requests");
        let says = |what: &str| {
            sent.windows(what.len()).any(|part| part.eq_ignore_ascii_case(what.as_bytes()))
        };
        if asked > 0 {
            match token {
                Some(token) => {
                    // Its own case is not compared, so this is less than what is asked for.
                    assert!(says(token) && says("authorization:") && says("bearer "));
                }
                None => assert!(["127.", "localhost", "::", "0:"].iter().any(|name| says(name))),
            }
        }
        let status = check(&got);
        if asked > 0 {
            assert!(matches!(status, Some(200 | 202 | 404 | 503)), "{status:?}");
        }
    }

    /// The status of an answer, which is one, and whole; `None` if there is none.
    fn check(got: &[u8]) -> Option<u16> {
        if got.is_empty() {
            return None;
        }
        let end = got.windows(4).position(|part| part == b"\r\n\r\n").expect("an end of headers");
        let (head, body) = (std::str::from_utf8(&got[..end]).expect("text"), &got[end + 4..]);
        let mut lines = head.split("\r\n");
        let first = lines.next().expect("a first line");
        let status = first.strip_prefix("HTTP/1.1 ").or_else(|| first.strip_prefix("HTTP/1.0 "));
        let status: u16 =
            status.and_then(|s| s.get(..3)).and_then(|s| s.parse().ok()).expect(first);
        if status == 100 {
            // Go on, it says, and then it answers.
            return check(body);
        }
        let headers: BTreeMap<_, _> =
            lines.map(|line| line.split_once(": ").expect("a name and a value")).collect();
        let len = headers.get("content-length").and_then(|len| len.parse::<usize>().ok());
        let len = len.unwrap_or_else(|| panic!("no length: {head}"));
        // Nothing follows it. To HEAD, nothing is all.
        assert!(body.len() == len || body.is_empty(), "{head}");
        let Some(kind) = headers.get("content-type") else {
            // What hyper itself refuses.
            assert!(matches!(status, 400 | 413 | 414 | 431), "{head}");
            return Some(status);
        };
        assert_eq!(headers.get("cache-control"), Some(&"no-store"), "{head}");
        assert_eq!(headers.get("x-content-type-options"), Some(&"nosniff"), "{head}");
        if *kind == "application/json" && !body.is_empty() {
            let body: Value = serde_json::from_slice(body).expect("JSON");
            let reason = body.get("error").and_then(Value::as_str);
            assert_eq!(
                status >= 400,
                reason.is_some_and(|reason| !reason.is_empty()) || body.get("ready").is_some(),
                "{body}"
            );
        }
        Some(status)
    }
}

#[cfg(not(fuzzing))]
fn main() {}
