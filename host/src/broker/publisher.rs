//! Publishes and waits for the broker's word on it. Does not decide what follows.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::{BasicProperties, Channel, Confirmation, Connection};
use tokio::sync::Semaphore;

use super::address::Address;
use super::error::{self, BrokerError};
use super::message::{Room, short};

/// Publications in flight at once. So many that are never confirmed stop all others.
const CHANNELS: usize = 32;

/// Without a confirm for this long, the log says so: a quorum queue may have lost its
/// majority, and whoever publishes to it waits.
const SLOW_CONFIRM: Duration = Duration::from_secs(30);

/// What the broker says of a publication.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Published {
    /// It has it, and will keep it as long as the queue does.
    Taken,
    /// No queue is bound there, or there is no such exchange.
    Unroutable,
    /// It, or a queue, would not have it.
    Refused(String),
}

/// A connection that only publishes, since the broker blocks such connections while it
/// is short of memory or disk.
///
/// Each channel carries one publication at a time: lapin gives a returned message to
/// whichever publication is confirmed next on its channel, which with several in flight
/// need not be the one that was returned.
pub(super) struct Publisher {
    connection: Connection,
    idle: Mutex<Vec<Channel>>,
    permits: Semaphore,
}

impl Publisher {
    pub(super) fn new(connection: Connection) -> Publisher {
        Publisher { connection, idle: Mutex::default(), permits: Semaphore::new(CHANNELS) }
    }

    pub(super) fn connection(&self) -> &Connection {
        &self.connection
    }

    /// How much fits the properties of what is published.
    pub(super) fn room(&self) -> Room {
        Room::of_frame(self.connection.configuration().frame_max())
    }

    /// Says goodbye; a connection that failed is closed already.
    pub(super) async fn close(&self) {
        let _ = self.connection.close(200, "bye".into()).await;
    }

    /// Publishes to `exchange` and waits for the broker's confirm, however long it takes:
    /// a broker in need holds confirms back, and the caller holds its delivery meanwhile.
    ///
    /// # Errors
    /// The connection failed.
    pub(super) async fn publish(
        &self,
        exchange: &str,
        routing_key: &str,
        body: &[u8],
        properties: BasicProperties,
    ) -> lapin::Result<Published> {
        let _permit = self.permits.acquire().await.expect("never closed");
        let channel = self.channel().await?;
        let published = {
            let publishing = publish_on(&channel, exchange, routing_key, body, properties);
            tokio::pin!(publishing);
            loop {
                match tokio::time::timeout(SLOW_CONFIRM, &mut publishing).await {
                    Ok(published) => break published,
                    Err(_) => tracing::warn!(exchange, ?routing_key, "broker does not confirm"),
                }
            }
        };
        match published {
            Ok(published) => {
                self.lock().push(channel);
                Ok(published)
            }
            Err(error) if error::is_nothing_there(&error) => Ok(Published::Unroutable),
            // The broker closed the channel over this one message: so it goes, not back.
            Err(error) if error::is_refusal(&error) => {
                Ok(Published::Refused(error::reason(&error)))
            }
            Err(error) => Err(error),
        }
    }

    async fn channel(&self) -> lapin::Result<Channel> {
        if let Some(channel) = self.lock().pop() {
            return Ok(channel);
        }
        let channel = self.connection.create_channel().await?;
        channel.confirm_select(ConfirmSelectOptions::default()).await?;
        Ok(channel)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Channel>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A publisher with a connection of its own, opened when it is first needed, and again
/// after it failed.
pub(super) struct LazyPublisher {
    pub(super) address: Address,
    /// As the broker lists it.
    pub(super) name: String,
    open: tokio::sync::Mutex<Option<Arc<Publisher>>>,
}

impl LazyPublisher {
    pub(super) fn new(address: Address, name: String) -> LazyPublisher {
        LazyPublisher { address, name, open: tokio::sync::Mutex::default() }
    }

    /// The publisher.
    ///
    /// # Errors
    /// The broker can't be reached.
    pub(super) async fn get(&self) -> Result<Arc<Publisher>, BrokerError> {
        let mut open = self.open.lock().await;
        if let Some(publisher) = &*open
            && publisher.connection.status().connected()
        {
            return Ok(publisher.clone());
        }
        let publisher = Arc::new(Publisher::new(self.address.connect(&self.name).await?));
        *open = Some(publisher.clone());
        Ok(publisher)
    }

    /// Opens another one next time.
    pub(super) async fn forget(&self, failed: &Arc<Publisher>) {
        let mut open = self.open.lock().await;
        // Another may have replaced it meanwhile.
        if open.as_ref().is_some_and(|publisher| Arc::ptr_eq(publisher, failed)) {
            *open = None;
        }
    }

    pub(super) async fn close(&self) {
        if let Some(publisher) = self.open.lock().await.take() {
            publisher.close().await;
        }
    }
}

/// Publishes on a channel in confirm mode that has nothing else in flight.
pub(super) async fn publish_on(
    channel: &Channel,
    exchange: &str,
    routing_key: &str,
    body: &[u8],
    properties: BasicProperties,
) -> lapin::Result<Published> {
    let options = BasicPublishOptions { mandatory: true, immediate: false };
    let confirm = channel
        .basic_publish(short(exchange), short(routing_key), options, body, properties)
        .await?
        .await?;
    Ok(match confirm {
        Confirmation::Ack(Some(_)) | Confirmation::Nack(Some(_)) => Published::Unroutable,
        Confirmation::Ack(None) | Confirmation::NotRequested => Published::Taken,
        Confirmation::Nack(None) => Published::Refused("refused by the queue".to_owned()),
    })
}
