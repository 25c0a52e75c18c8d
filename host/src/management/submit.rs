//! Takes tasks from callers, and publishes them to the exchange of their tenant, as a client
//! of the broker does. It runs none: a node that consumes there does.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use crate::config::{Config, Source};
use crate::grants::{Publication, Publish, PublishError};
use crate::task::{Invalid, Properties, Task, TaskId};

/// How long a task may wait for the broker's confirm: less than a connection lives.
const CONFIRM_LIMIT: Duration = Duration::from_secs(5);

/// Where callers' tasks go.
pub struct Submissions {
    config: Arc<Config>,
    publisher: Arc<dyn Publish>,
}

/// Why a task is not submitted.
#[derive(Debug, thiserror::Error)]
pub(super) enum SubmitError {
    #[error("no source of tenant {0:?} here")]
    NoSuchTenant(String),
    #[error("the message is longer than {0} bytes")]
    TooLong(u64),
    #[error(transparent)]
    Invalid(#[from] Invalid),
    #[error("cannot publish the task: {0}")]
    Unpublished(#[from] PublishError),
    #[error(
        "the broker did not confirm task {0:?} within {CONFIRM_LIMIT:?}; it may have it all the same"
    )]
    Unconfirmed(TaskId),
}

impl Submissions {
    /// To the sources of this configuration.
    pub fn new(config: Arc<Config>, publisher: Arc<dyn Publish>) -> Submissions {
        Submissions { config, publisher }
    }

    /// The longest message that any tenant's task may be, in bytes.
    pub(super) fn longest(&self) -> usize {
        let tenants = self.config.sources.iter().map(|source| &source.tenant);
        let longest = tenants.map(|tenant| self.config.limits(tenant).message).max().unwrap_or(0);
        usize::try_from(longest).unwrap_or(usize::MAX)
    }

    /// Publishes the task message `body` for `tenant`, or for the first source's, and waits
    /// until the broker has it. The task's id.
    pub(super) async fn submit(
        &self,
        tenant: Option<&str>,
        content_type: Option<String>,
        body: Vec<u8>,
    ) -> Result<TaskId, SubmitError> {
        let is_theirs = |source: &&Source| tenant.is_none_or(|name| source.tenant.as_str() == name);
        let no_such_tenant = || SubmitError::NoSuchTenant(tenant.unwrap_or_default().to_owned());
        let source = self.config.sources.iter().find(is_theirs).ok_or_else(no_such_tenant)?;
        let Source { tenant, exchange, routing_key, .. } = source;
        let limit = self.config.limits(tenant).message;
        if body.len() as u64 > limit {
            return Err(SubmitError::TooLong(limit));
        }
        // As whoever consumes it would.
        let properties = Properties { content_type, ..Properties::default() };
        let id = match Task::parse(&body, properties, tenant, &"".into(), limit) {
            Ok(task) => task.envelope.id,
            Err(refused) => return Err(refused.reason.into()),
        };
        let publication = Publication {
            exchange: exchange.clone(),
            routing_key: routing_key.clone(),
            body,
            content_type: "application/json".to_owned(),
            message_id: id.clone(),
            depth: None,
            tenant: tenant.clone(),
            task: None,
        };
        match timeout(CONFIRM_LIMIT, self.publisher.publish(publication)).await {
            Ok(Ok(())) => Ok(id),
            Ok(Err(error)) => Err(error.into()),
            Err(_) => Err(SubmitError::Unconfirmed(id)),
        }
    }
}
