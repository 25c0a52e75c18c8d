//! Tasks that callers submit: where they go, and which are refused.

use futures_util::future::BoxFuture;

use super::*;
use crate::config::Config;
use crate::grants::{Publication, Publish, PublishError};

/// A broker that keeps what it is given, says no or says nothing.
#[derive(Default)]
pub(super) struct Broker {
    published: Mutex<Vec<Publication>>,
    refuses: Option<PublishError>,
    silent: bool,
}

impl Publish for Broker {
    fn publish(&self, publication: Publication) -> BoxFuture<'_, Result<(), PublishError>> {
        Box::pin(async move {
            if self.silent {
                std::future::pending::<()>().await;
            }
            self.published.lock().expect("not poisoned").push(publication);
            self.refuses.clone().map_or(Ok(()), Err)
        })
    }
}

/// Two tenants, `first` with messages of 100 bytes, and `second ü` with two sources.
pub(super) fn to(broker: Arc<Broker>) -> Submissions {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("roh.toml");
    let text = "[broker]\nurl = 'amqp://h'\n\
                [[source]]\ntenant = 'first'\nexchange = 'e1'\nqueue = 'q1'\nrouting-key = 'k'\n\
                [[source]]\ntenant = 'second ü'\nexchange = 'e2'\nqueue = 'q2'\n\
                [[source]]\ntenant = 'second ü'\nexchange = 'e3'\nqueue = 'q3'\n\
                [[tenant]]\nname = 'first'\n[tenant.limits]\nmessage = 100\n\
                [[tenant]]\nname = 'second ü'\n[tenant.limits]\nmessage = 200\n";
    std::fs::write(&path, text).expect("written");
    let config = Config::load(&path).unwrap_or_else(|error| panic!("{error}"));
    Submissions::new(Arc::new(config), broker)
}

fn with(broker: Broker) -> (Router, Arc<Broker>) {
    let broker = Arc::new(broker);
    let node = Fake { submissions: to(broker.clone()), ..Fake::default() };
    (router("node-a", Arc::new(node), None), broker)
}

fn published(broker: &Broker) -> Vec<Publication> {
    std::mem::take(&mut *broker.published.lock().expect("not poisoned"))
}

#[tokio::test]
async fn a_task_goes_to_the_first_source_of_its_tenant() {
    let (api, broker) = with(Broker::default());
    for (uri, body, exchange, key, tenant) in [
        ("/api/tasks", r#"{"task": "m.f"}"#, "e1", "k", "first"),
        ("/api/tasks?tenant=first", r#"{"task": "m.f", "id": "mine"}"#, "e1", "k", "first"),
        ("/api/tasks?tenant=second%20%C3%BC", r#"{"script": "x"}"#, "e2", "", "second ü"),
    ] {
        let answer = send(api.clone(), "POST", uri, &[], body).await;
        assert_eq!(answer.status, 202, "{uri}: {}", answer.body);
        let [sent] = &published(&broker)[..] else { panic!("{uri}: one message") };
        assert_eq!(answer.body, json!({"id": sent.message_id.as_str()}));
        assert_eq!((&sent.exchange[..], &sent.routing_key[..]), (exchange, key));
        assert_eq!((&sent.body[..], &sent.content_type[..]), (body.as_bytes(), "application/json"));
        assert_eq!((sent.tenant.as_str(), sent.depth, &sent.task), (tenant, None, &None));
        assert_eq!(sent.message_id.as_str() == "mine", body.contains("mine"));
    }
}

#[tokio::test]
async fn what_is_no_task_is_not_published() {
    let (api, broker) = with(Broker::default());
    let (task, long) = (r#"{"task": "m.f"}"#, format!(r#"{{"script": "{}"}}"#, "x".repeat(100)));
    let longest = "x".repeat(201);
    let form = [("content-type", "application/x-www-form-urlencoded")];
    for (uri, headers, body, status, expected) in [
        ("/api/tasks", &[][..], "", 400, "body is not JSON"),
        ("/api/tasks", &[], "[]", 400, "body is not a JSON object"),
        ("/api/tasks", &[], r#"{"task": "m.f", "tsak": 1}"#, 400, "tsak"),
        ("/api/tasks", &[], r#"{"task": "m.f", "id": ""}"#, 400, "id is empty"),
        ("/api/tasks", &form, task, 400, "expected \"application/json\""),
        ("/api/tasks", &[], &long, 413, "longer than 100 bytes"),
        ("/api/tasks?tenant=second%20%C3%BC", &[], &longest, 413, "longer than any task's"),
        ("/api/tasks?tenant=third%0A", &[], task, 404, "no source of tenant \"third\\n\" here"),
        ("/api/tasks?tenant=", &[], task, 404, "no source of tenant \"\" here"),
        ("/api/tasks?", &[], task, 400, "the query is not"),
        ("/api/tasks?queue=q1", &[], task, 400, "the query is not"),
        ("/api/tasks?tenant=first&tenant=second", &[], task, 400, "the query is not"),
        ("/api/tasks?tenant=%FF", &[], task, 400, "the query is not"),
    ] {
        let answer = send(api.clone(), "POST", uri, headers, body).await;
        assert_eq!(answer.status, status, "{uri} {body}: {}", answer.body);
        let error = answer.body["error"].as_str().expect("an error");
        assert!(error.contains(expected), "{uri} {body}: {error}");
    }
    assert_eq!(published(&broker), []);
}

#[tokio::test]
async fn who_may_not_stop_tasks_may_not_submit_any() {
    let broker = Arc::new(Broker::default());
    let node = Arc::new(Fake { submissions: to(broker.clone()), ..Fake::default() });
    let (open, guarded) =
        (router("n", node.clone(), None), router("n", node, Some(TOKEN.to_owned())));
    let bearer = ("authorization", "Bearer 0123456789abcdef");
    let evil = ("origin", "https://evil.example");
    for (api, headers, status) in [
        (&open, &[][..], 202),
        (&open, &[evil], 403),
        (&open, &[("host", "evil.example")], 403),
        (&guarded, &[], 401),
        (&guarded, &[("authorization", "Bearer 0123456789abcdeg")], 401),
        (&guarded, &[bearer, evil], 403),
        (&guarded, &[bearer], 202),
    ] {
        let answer = send(api.clone(), "POST", "/api/tasks", headers, r#"{"task": "m.f"}"#).await;
        assert_eq!(answer.status, status, "{headers:?}");
        assert_eq!(published(&broker).len(), usize::from(status == 202), "{headers:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_task_that_the_broker_does_not_take_is_not_accepted() {
    let refuses = |error| Broker { refuses: Some(error), ..Broker::default() };
    for (broker, status, expected) in [
        (refuses(PublishError::Unreachable), 503, "the broker is out of reach"),
        (refuses(PublishError::Unroutable), 503, "it reaches no queue"),
        (refuses(PublishError::Refused("full".into())), 503, "the broker refused it: full"),
        (Broker { silent: true, ..Broker::default() }, 504, "did not confirm task \"mine\""),
    ] {
        let (api, _) = with(broker);
        let body = r#"{"task": "m.f", "id": "mine"}"#;
        let answer = send(api, "POST", "/api/tasks", &[], body).await;
        assert_eq!(answer.status, status, "{}", answer.body);
        let error = answer.body["error"].as_str().expect("an error");
        assert!(error.contains(expected), "{error}");
    }
}
