//! Publishes what scripts publish, or callers of the node's API, on a connection of their own:
//! nothing that they think of holds up a reply, or ends the session.

use futures_util::future::BoxFuture;

use super::address::Address;
use super::error::BrokerError;
use super::message;
use super::publisher::{LazyPublisher, Published};
use crate::config::Config;
use crate::grants::{Publication, Publish, PublishError};

/// Publishes what somebody else made.
pub struct Outbox(LazyPublisher);

impl Outbox {
    /// Opens no connection until there is something to publish. The broker lists it as one
    /// of the node's for `whom`.
    ///
    /// # Errors
    /// The URL is none.
    pub fn new(config: &Config, whom: &str) -> Result<Outbox, BrokerError> {
        let address = Address::parse(&config.broker.url)?;
        Ok(Outbox(LazyPublisher::new(address, format!("{} ({whom})", config.node))))
    }

    async fn publish(&self, publication: Publication) -> Result<(), PublishError> {
        let unreachable = |reason: &str| {
            tracing::debug!(reason, "broker does not take a publication");
            PublishError::Unreachable
        };
        let publisher = self.0.get().await.map_err(|error| unreachable(error.reason()))?;
        let properties = message::of_publication(&publication);
        let Publication { exchange, routing_key, body, .. } = &publication;
        match publisher.publish(exchange, routing_key, body, properties).await {
            Ok(Published::Taken) => Ok(()),
            Ok(Published::Unroutable) => Err(PublishError::Unroutable),
            Ok(Published::Refused(why)) => Err(PublishError::Refused(why)),
            Err(error) => {
                self.0.forget(&publisher).await;
                Err(unreachable(&super::error::reason(&error)))
            }
        }
    }
}

impl Publish for Outbox {
    fn publish(&self, publication: Publication) -> BoxFuture<'_, Result<(), PublishError>> {
        Box::pin(self.publish(publication))
    }
}
