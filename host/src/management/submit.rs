//! Takes tasks from callers, and publishes them to the exchange of their tenant, as a client
//! of the broker does. It runs none: a node that consumes there does.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use crate::config::Config;
use crate::grants::{Publication, Publish, PublishError};
use crate::task::{Invalid, Properties, Task, TaskId, TenantName};

/// How long a task may wait for the broker's confirm: less than a connection lives.
const CONFIRM_LIMIT: Duration = Duration::from_secs(5);

/// Where callers' tasks go.
pub struct Submissions {
    /// The first source of each tenant, in the configuration's order.
    sources: Vec<Source>,
    publisher: Arc<dyn Publish>,
}

struct Source {
    tenant: TenantName,
    exchange: String,
    routing_key: String,
    /// Longest message, in bytes.
    limit: u64,
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
    pub fn new(config: &Config, publisher: Arc<dyn Publish>) -> Submissions {
        let mut sources = Vec::<Source>::new();
        for source in &config.sources {
            if sources.iter().all(|other| other.tenant != source.tenant) {
                let tenant = config.tenants.get(&source.tenant);
                sources.push(Source {
                    tenant: source.tenant.clone(),
                    exchange: source.exchange.clone(),
                    routing_key: source.routing_key.clone(),
                    limit: tenant.map(|tenant| tenant.limits).unwrap_or_default().message,
                });
            }
        }
        Submissions { sources, publisher }
    }

    /// The longest message that any tenant's task may be, in bytes.
    pub(super) fn longest(&self) -> usize {
        let longest = self.sources.iter().map(|source| source.limit).max().unwrap_or(0);
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
        let source = match tenant {
            Some(name) => self.sources.iter().find(|source| source.tenant.as_str() == name),
            None => self.sources.first(),
        };
        let no_such_tenant = || SubmitError::NoSuchTenant(tenant.unwrap_or_default().to_owned());
        let Source { tenant, exchange, routing_key, limit } = source.ok_or_else(no_such_tenant)?;
        if body.len() as u64 > *limit {
            return Err(SubmitError::TooLong(*limit));
        }
        // As whoever consumes it would.
        let properties = Properties { content_type, ..Properties::default() };
        let id = match Task::parse(&body, properties, tenant, &"".into(), *limit) {
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
