//! What scripts publish, and the tasks that they submit.

use futures_util::future::BoxFuture;
use roh_abi::{Answer, Refusal, RefusalKind};
use serde::Serialize;
use serde_json::value::RawValue;
use tokio::time::{Duration, timeout};

use super::{Session, not_granted, quoted, refusal};
use crate::config::Submit;
use crate::task::{Properties, Task, TaskId, TenantName};

/// How long a publication may wait for the broker's confirm.
const CONFIRM_LIMIT: Duration = Duration::from_secs(10);
/// What AMQP calls a short string.
const MAX_SHORT_BYTES: usize = 255;

/// A message that a script publishes, or a task from the node's API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Publication {
    /// The exchange, 255 bytes at most.
    pub exchange: String,
    /// The routing key, 255 bytes at most.
    pub routing_key: String,
    /// The body.
    pub body: Vec<u8>,
    /// MIME type of the body, 255 bytes at most.
    pub content_type: String,
    /// A new one; of a task, its id.
    pub message_id: TaskId,
    /// Of a task: how far it is from a client's.
    pub depth: Option<u32>,
    /// Whose script it is, or whose task.
    pub tenant: TenantName,
    /// The task that publishes it, if one does.
    pub task: Option<TaskId>,
}

/// Why a message is not published.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PublishError {
    /// There is no such exchange, or no queue is bound to it there.
    #[error("it reaches no queue")]
    Unroutable,
    /// The broker, or a queue, would not have it.
    #[error("the broker refused it: {0}")]
    Refused(String),
    /// The broker is out of reach.
    #[error("the broker is out of reach")]
    Unreachable,
}

/// Publishes for scripts, and for the node's API: the broker.
pub trait Publish: Send + Sync + 'static {
    /// Publishes it, and waits for the broker's confirm. May be dropped on the way.
    fn publish(&self, publication: Publication) -> BoxFuture<'_, Result<(), PublishError>>;
}

/// Where a tenant's tasks go that its tasks submit.
#[derive(Debug, Clone)]
pub(super) struct Submissions {
    pub(super) limits: Submit,
    pub(super) exchange: String,
    pub(super) routing_key: String,
}

#[derive(Serialize)]
struct TaskBody<'a> {
    task: &'a str,
    args: &'a RawValue,
    kwargs: &'a RawValue,
}

impl Session {
    pub(super) async fn publish_message(
        &self,
        exchange: String,
        routing_key: String,
        content_type: String,
        body: Vec<u8>,
    ) -> Result<Answer, Refusal> {
        let tenant = &self.tenant;
        if !tenant.publish.contains(&exchange) {
            let add = format!("add {} to publish in [tenant.grants]", quoted(&exchange));
            return Err(not_granted(&tenant.name, "publish", &add));
        }
        for (what, text) in [("routing key", &routing_key), ("content type", &content_type)] {
            if text.len() > MAX_SHORT_BYTES {
                let message = format!("{what} has {} bytes, more than 255", text.len());
                return Err(refusal(RefusalKind::Invalid, message));
            }
        }
        let message_id = TaskId::generate();
        self.publish(exchange, routing_key, content_type, body, message_id, None).await?;
        Ok(Answer::Done)
    }

    /// Submits a task; `submitted` counts those of this run.
    pub(super) async fn submit(
        &self,
        submitted: &mut u32,
        task: &str,
        args: &str,
        kwargs: &str,
    ) -> Result<Answer, Refusal> {
        let tenant = &self.tenant;
        let Some(submissions) = &tenant.submit else {
            let add = "add submit = true to [tenant.grants]";
            return Err(not_granted(&tenant.name, "submit", add));
        };
        let Submit { depth, fan_out } = submissions.limits;
        if self.depth >= depth {
            let message =
                format!("tasks may submit tasks to a depth of {depth}, which this one has");
            return Err(refusal(RefusalKind::Limit, message));
        }
        if *submitted >= fan_out {
            let message = format!("a task may submit {fan_out} tasks at most");
            return Err(refusal(RefusalKind::Limit, message));
        }
        let body = self.task_body(task, args, kwargs)?;
        *submitted += 1;
        let id = TaskId::generate();
        let Submissions { exchange, routing_key, .. } = submissions.clone();
        let (kind, depth) = ("application/json".to_owned(), Some(self.depth + 1));
        self.publish(exchange, routing_key, kind, body, id.clone(), depth).await?;
        Ok(Answer::Text(id.as_str().to_owned()))
    }

    /// The task message, if it is one that this node would take.
    fn task_body(&self, task: &str, args: &str, kwargs: &str) -> Result<Vec<u8>, Refusal> {
        let invalid = |message: String| refusal(RefusalKind::Invalid, message);
        let json = |name: &str, text: &str| {
            serde_json::from_str::<Box<RawValue>>(text)
                .map_err(|error| invalid(format!("{name} are not JSON: {error}")))
        };
        let (args, kwargs) = (json("args", args)?, json("kwargs", kwargs)?);
        let body = serde_json::to_vec(&TaskBody { task, args: &args, kwargs: &kwargs })
            .expect("strings and valid JSON");
        let (tenant, limit) = (&self.tenant.name, self.limits.message);
        match Task::parse(&body, Properties::default(), tenant, &"".into(), limit) {
            Ok(_) => Ok(body),
            Err(refused) => Err(invalid(refused.reason.0)),
        }
    }

    async fn publish(
        &self,
        exchange: String,
        routing_key: String,
        content_type: String,
        body: Vec<u8>,
        message_id: TaskId,
        depth: Option<u32>,
    ) -> Result<(), Refusal> {
        let to = quoted(&exchange);
        let publication = Publication {
            exchange,
            routing_key,
            body,
            content_type,
            message_id,
            depth,
            tenant: self.tenant.name.clone(),
            task: Some(self.task.clone()),
        };
        match timeout(CONFIRM_LIMIT, self.publisher.publish(publication)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => {
                let message = format!("cannot publish to exchange {to}: {error}");
                Err(refusal(RefusalKind::Failed, message))
            }
            Err(_) => {
                let message = format!(
                    "the broker did not confirm a message to exchange {to} within {CONFIRM_LIMIT:?}; \
                     it may have it all the same"
                );
                Err(refusal(RefusalKind::TimedOut, message))
            }
        }
    }
}
