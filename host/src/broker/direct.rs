//! Replies to `amq.rabbitmq.reply-to`: the names in it are made by the broker, but can
//! be made up by a client, and at some of those RabbitMQ ends the connection that
//! publishes to them. So these have a connection of their own, and a name that ends it
//! is found out; else its task would be delivered, and end it, for ever.

use lapin::BasicProperties;

use super::address::Address;
use super::error::{self, BrokerError};
use super::publisher::{LazyPublisher, Published, Publisher};

/// What the names of direct reply-to start with.
const PREFIX: &str = "amq.rabbitmq.reply-to";

/// Publishes to names of direct reply-to.
pub(super) struct DirectReplies(LazyPublisher);

/// Whether a reply goes to such a name.
pub(super) fn is_direct(queue: &str) -> bool {
    queue.starts_with(PREFIX)
}

impl DirectReplies {
    pub(super) fn new(address: Address, node: &str) -> DirectReplies {
        DirectReplies(LazyPublisher::new(address, format!("{node} (direct replies)")))
    }

    /// Publishes a reply and waits for the broker's confirm.
    ///
    /// # Errors
    /// The broker can't be reached.
    pub(super) async fn publish(
        &self,
        queue: &str,
        body: &[u8],
        properties: BasicProperties,
    ) -> Result<Published, BrokerError> {
        let LazyPublisher { address, name, .. } = &self.0;
        let shared = self.0.get().await?;
        if let Ok(published) = shared.publish("", queue, body, properties.clone()).await {
            return Ok(published);
        }
        self.0.forget(&shared).await;
        // Others' replies fail together with one that ends the connection. Alone, each
        // shows whether it was the one.
        let alone = Publisher::new(address.connect(name).await?);
        let published = match alone.publish("", queue, body, properties).await {
            // A name that the broker did not make: nobody listens there.
            Err(error) if error::is_internal(&error) => Ok(Published::Unroutable),
            Err(error) => Err(BrokerError::from_lapin("publish a reply on", address, &error)),
            Ok(published) => Ok(published),
        };
        alone.close().await;
        published
    }

    pub(super) async fn close(&self) {
        self.0.close().await;
    }
}
