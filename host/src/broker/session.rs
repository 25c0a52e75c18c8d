//! One life of our connections: opened together, lost together, closed together.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures_util::StreamExt;
use lapin::message::Delivery as Message;
use lapin::options::{BasicCancelOptions, BasicConsumeOptions, BasicQosOptions};
use lapin::types::FieldTable;
use lapin::{Channel, Connection, Consumer, Event};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::address::Address;
use super::direct::DirectReplies;
use super::error::{self, BrokerError, MendedBy};
use super::message::{self, short};
use super::publisher::Publisher;
use super::{Delivery, Inbox, Plan, SourcePlan, topology};
use crate::manager::state::SessionId;

/// How long a connection may take to say goodbye.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// What settling a delivery needs of its session; every delivery holds it.
pub(super) struct Session {
    pub(super) id: SessionId,
    pub(super) address: Address,
    pub(super) node: String,
    pub(super) dead_letter_exchange: String,
    pub(super) publisher: Publisher,
    pub(super) direct: DirectReplies,
    consuming: Connection,
    /// One for each source. Kept open, since closing one gives up its deliveries.
    channels: Vec<Channel>,
    lost: CancellationToken,
    why: OnceLock<BrokerError>,
}

/// A session that has not consumed yet.
pub(super) struct Opened(pub(super) Arc<Session>);

/// How a session came to its end.
pub(super) enum Ended {
    /// As told; nothing is unsettled.
    Closed,
    /// Whatever was unsettled is delivered again, to anyone.
    Lost(BrokerError),
}

impl Session {
    /// Connects twice and declares everything.
    pub(super) async fn open(id: SessionId, plan: &Plan) -> Result<Opened, BrokerError> {
        let address = &plan.address;
        let consuming = address.connect(&plan.node).await?;
        let publishing = address.connect(&format!("{} (publishing)", plan.node)).await?;
        let new_channel = async || {
            consuming
                .create_channel()
                .await
                .map_err(|e| BrokerError::from_lapin("open a channel on", address, &e))
        };
        topology::declare_dead_letter(&new_channel().await?, address, &plan.dead_letter).await?;
        let mut channels = Vec::new();
        for source in &plan.sources {
            let channel = new_channel().await?;
            topology::declare_source(&channel, address, &source.source).await?;
            // The broker applies it to each consumer to come. Being answered, it also
            // brings to light what `nowait` left in the dark.
            channel.basic_qos(source.prefetch, BasicQosOptions { global: false }).await.map_err(
                |error| {
                    let step = format!("set up queue {:?} on", source.source.queue);
                    BrokerError::from_lapin(step, address, &error)
                },
            )?;
            channels.push(channel);
        }
        let session = Arc::new(Session {
            id,
            address: address.clone(),
            node: plan.node.clone(),
            dead_letter_exchange: plan.dead_letter.exchange.clone(),
            publisher: Publisher::new(publishing),
            direct: DirectReplies::new(address.clone(), &plan.node),
            consuming,
            channels,
            lost: CancellationToken::new(),
            why: OnceLock::new(),
        });
        Ok(Opened(session))
    }

    /// Ends the session; only the first reason counts.
    pub(super) fn fail(&self, error: BrokerError) {
        // Nothing to do if it was set before: that reason stands.
        let _ = self.why.set(error);
        self.lost.cancel();
    }

    /// As [`Session::fail`], for what lapin says of a step.
    pub(super) fn fail_with(&self, step: impl Into<String>, error: &lapin::Error) {
        self.fail(BrokerError::from_lapin(step, &self.address, error));
    }

    /// Returns once the session is lost. Cancel-safe.
    pub(super) async fn lost(&self) {
        self.lost.cancelled().await;
    }

    /// Fails the session when one of its connections does.
    async fn watch(&self) {
        let mut events = futures_util::stream::select(
            self.consuming.events_listener(),
            self.publisher.connection().events_listener(),
        );
        while let Some(event) = events.next().await {
            match event {
                // Of one channel: whoever uses it learns of it.
                Event::Error(error) if error::is_refusal(&error) => {}
                Event::Error(error) => {
                    return self.fail_with("keep the connection to", &error);
                }
                Event::ConnectionBlocked(reason) => {
                    tracing::warn!(%reason, "broker is short of resources and takes no replies");
                }
                Event::ConnectionUnblocked => tracing::info!("broker takes replies again"),
                _ => {}
            }
        }
    }

    /// Says goodbye on all connections. What is still unsettled goes back to its queue.
    async fn close(&self) {
        let goodbye = async {
            // A connection that failed is closed already.
            let consuming = self.consuming.close(200, "bye".into());
            tokio::join!(consuming, self.publisher.close(), self.direct.close())
        };
        if tokio::time::timeout(CLOSE_TIMEOUT, goodbye).await.is_err() {
            tracing::debug!(session = self.id.0, "broker did not answer our goodbye");
        }
    }
}

impl Opened {
    pub(super) fn id(&self) -> SessionId {
        self.0.id
    }

    /// Passes deliveries on until told to stop, then waits until all are settled.
    ///
    /// Returns when nothing of the session reaches the inbox any more.
    pub(super) async fn run<I: Inbox>(
        self,
        plan: &Plan,
        inbox: &I,
        stop_consuming: &CancellationToken,
        settled: &CancellationToken,
        connected: impl FnOnce(),
    ) -> Ended {
        let session = self.0;
        let mut watch = JoinSet::new();
        watch.spawn({
            let session = session.clone();
            async move { session.watch().await }
        });
        let mut consumers = JoinSet::new();
        for (channel, source) in session.channels.iter().zip(&plan.sources) {
            match subscribe(&session, channel, source).await {
                Ok(consumer) => {
                    let (session, source) = (session.clone(), source.clone());
                    let consuming =
                        Consuming { session, source, channel: channel.clone(), consumer };
                    consumers.spawn(consuming.run(inbox.clone(), stop_consuming.clone()));
                }
                Err(error) => session.fail(error),
            }
        }
        if session.why.get().is_none() {
            connected();
        }
        loop {
            // Cancel-safe: all three are only waited for.
            tokio::select! {
                () = session.lost.cancelled() => break,
                () = settled.cancelled() => break,
                // One that returns was told to, or has failed the session itself.
                Some(ended) = consumers.join_next() => if let Err(panic) = ended {
                    let why = panic.to_string();
                    let error =
                        BrokerError::new("consume on", &session.address, why, MendedBy::Time);
                    session.fail(error);
                },
            }
        }
        // From here on the inbox gets nothing more of this session; what a consumer still
        // had in hand goes back to its queue with the rest.
        consumers.shutdown().await;
        session.close().await;
        session.why.get().cloned().map_or(Ended::Closed, Ended::Lost)
    }
}

async fn subscribe(
    session: &Session,
    channel: &Channel,
    source: &SourcePlan,
) -> Result<Consumer, BrokerError> {
    let tag = short(&format!("roh {}", session.node));
    let queue = &source.source.queue;
    channel
        .basic_consume(short(queue), tag, BasicConsumeOptions::default(), FieldTable::default())
        .await
        .map_err(|error| {
            let step = format!("consume queue {queue:?} on");
            BrokerError::from_lapin(step, &session.address, &error)
        })
}

/// One source's consumer.
struct Consuming {
    session: Arc<Session>,
    source: SourcePlan,
    channel: Channel,
    consumer: Consumer,
}

impl Consuming {
    async fn run<I: Inbox>(mut self, inbox: I, stop: CancellationToken) {
        let mut stopping = false;
        loop {
            // Cancel-safe: `next` takes nothing until it is ready, and the token is only
            // waited for.
            tokio::select! {
                () = stop.cancelled(), if !stopping => {
                    stopping = true;
                    self.cancel().await;
                }
                next = self.consumer.next() => match next {
                    Some(Ok(message)) => self.deliver(message, &inbox).await,
                    Some(Err(error)) => {
                        let step = format!("consume queue {:?} on", self.source.source.queue);
                        return self.session.fail_with(step, &error);
                    }
                    None if stopping => return,
                    None => return self.session.fail(self.cancelled_by_broker()),
                },
            }
        }
    }

    /// Asks for no more; what was sent before the broker's answer still comes.
    async fn cancel(&self) {
        let options = BasicCancelOptions::default();
        if let Err(error) = self.channel.basic_cancel(self.consumer.tag(), options).await {
            let step = format!("stop consuming queue {:?} on", self.source.source.queue);
            self.session.fail_with(step, &error);
        }
    }

    async fn deliver<I: Inbox>(&self, message: Message, inbox: &I) {
        let source = &self.source;
        let task = message::task(
            &message.data,
            &message.properties,
            &source.source.tenant,
            &source.queue,
            source.message_limit,
        );
        let delivery = Delivery {
            session: self.session.clone(),
            acker: message.acker,
            body: message.data,
            properties: message.properties,
        };
        match task {
            Ok(task) => inbox.delivered(task, delivery).await,
            Err(refused) => inbox.refused(refused, delivery).await,
        }
    }

    fn cancelled_by_broker(&self) -> BrokerError {
        BrokerError::new(
            format!("consume queue {:?} on", self.source.source.queue),
            &self.session.address,
            "the broker cancelled the consumer: the queue was deleted or moved",
            MendedBy::Time,
        )
    }
}
