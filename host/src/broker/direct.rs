//! Replies to `amq.rabbitmq.reply-to`: the names in it are made by the broker, but can
//! be made up by a client, and at some of those RabbitMQ ends the connection that
//! publishes to them. So these have a connection of their own, and a name that ends it
//! is found out; else its task would be delivered, and end it, for ever.

use std::sync::Arc;

use lapin::BasicProperties;
use tokio::sync::Mutex;

use super::address::Address;
use super::error::{self, BrokerError};
use super::publisher::{Published, Publisher};

/// What the names of direct reply-to start with.
const PREFIX: &str = "amq.rabbitmq.reply-to";

/// Publishes to names of direct reply-to.
pub(super) struct DirectReplies {
    address: Address,
    name: String,
    /// Opened when the first client asks for such a reply.
    shared: Mutex<Option<Arc<Publisher>>>,
}

/// Whether a reply goes to such a name.
pub(super) fn is_direct(queue: &str) -> bool {
    queue.starts_with(PREFIX)
}

impl DirectReplies {
    pub(super) fn new(address: Address, node: &str) -> DirectReplies {
        DirectReplies {
            address,
            name: format!("{node} (direct replies)"),
            shared: Mutex::default(),
        }
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
        let shared = self.shared().await?;
        if let Ok(published) = shared.publish("", queue, body, properties.clone()).await {
            return Ok(published);
        }
        self.forget(&shared).await;
        // Others' replies fail together with one that ends the connection. Alone, each
        // shows whether it was the one.
        let alone = Publisher::new(self.address.connect(&self.name).await?);
        let published = match alone.publish("", queue, body, properties).await {
            // A name that the broker did not make: nobody listens there.
            Err(error) if error::is_internal(&error) => Ok(Published::Unroutable),
            Err(error) => Err(BrokerError::from_lapin("publish a reply on", &self.address, &error)),
            Ok(published) => Ok(published),
        };
        alone.close().await;
        published
    }

    async fn shared(&self) -> Result<Arc<Publisher>, BrokerError> {
        let mut shared = self.shared.lock().await;
        if let Some(publisher) = &*shared {
            return Ok(publisher.clone());
        }
        let publisher = Arc::new(Publisher::new(self.address.connect(&self.name).await?));
        *shared = Some(publisher.clone());
        Ok(publisher)
    }

    async fn forget(&self, failed: &Arc<Publisher>) {
        let mut shared = self.shared.lock().await;
        // Another may have replaced it meanwhile.
        if shared.as_ref().is_some_and(|publisher| Arc::ptr_eq(publisher, failed)) {
            *shared = None;
        }
    }

    pub(super) async fn close(&self) {
        if let Some(publisher) = self.shared.lock().await.take() {
            publisher.close().await;
        }
    }
}
