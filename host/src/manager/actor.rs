//! Carries out what the state decides: a tokio task that owns the [`State`], starts
//! and interrupts instances, and has deliveries settled. It decides nothing itself,
//! and awaits nothing but what comes in, so nobody who waits for it can block it.

use std::any::Any;
use std::collections::{BTreeMap, HashMap};
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, debug, debug_span, error, info, warn};

use super::settlement::Settlement;
use super::state::{Command, Event, Key, SessionId, State};
use super::usage::Totals;
use super::view::{Snapshot, TaskView};
use crate::config::{ManagerConfig, Tenant};
use crate::outcome::{Outcome, Report};
use crate::task::{Envelope, Refused, Task, TaskId, TenantName};

#[cfg(test)]
mod tests;

/// Requests that may wait for the manager; it answers each in microseconds.
const REQUESTS: usize = 64;

/// Runs tasks: the sandbox.
pub trait Runner: Send + Sync + 'static {
    /// Runs a task to its end, whatever that is. Once `stop` is cancelled it ends soon,
    /// as [`Outcome::Stopped`] if it would have gone on.
    fn run(&self, task: Arc<Task>, stop: CancellationToken) -> impl Future<Output = Report> + Send;
}

/// Settles deliveries: the broker.
pub trait Settler: Send + Sync + 'static {
    /// What it takes to settle one.
    type Delivery: Send + 'static;

    /// Settles a delivery. Returns once that is done, or its session is gone.
    fn settle(
        &self,
        envelope: Envelope,
        delivery: Self::Delivery,
        settlement: Settlement,
    ) -> impl Future<Output = ()> + Send;
}

/// The manager's task.
pub struct Manager<R, S: Settler> {
    state: State<S::Delivery>,
    runner: Arc<R>,
    settler: Arc<S>,
    requests: mpsc::Receiver<Request<S::Delivery>>,
    /// What runs and what is being settled; each returns the event of its end.
    jobs: JoinSet<Event<S::Delivery>>,
    /// Interrupts what runs.
    stops: HashMap<Key, CancellationToken>,
    stop_consuming: CancellationToken,
    /// When a drain interrupts what still runs.
    drain_deadline: Option<Instant>,
    drained: bool,
}

/// Talks to the manager. Every call waits for its turn, and fails once it has ended.
#[derive(Debug)]
pub struct ManagerHandle<D> {
    requests: mpsc::Sender<Request<D>>,
    stop_consuming: CancellationToken,
}

/// The manager has ended: it drained.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the manager has ended")]
pub struct Gone;

#[derive(Debug)]
enum Request<D> {
    Event(Event<D>),
    Stop(TaskId, oneshot::Sender<usize>),
    StopAll(oneshot::Sender<usize>),
    Snapshot(oneshot::Sender<Snapshot>),
    Find(TaskId, oneshot::Sender<Option<TaskView>>),
    Totals(oneshot::Sender<Totals>),
    Drain(Duration),
}

impl<D> ManagerHandle<D> {
    /// Hands over a task. If the manager has ended, the delivery is dropped unsettled.
    ///
    /// # Errors
    /// The manager has ended.
    pub async fn delivered(
        &self,
        session: SessionId,
        task: Arc<Task>,
        delivery: D,
    ) -> Result<(), Gone> {
        self.send(Request::Event(Event::Delivered { session, task, delivery })).await
    }

    /// Hands over a message that is no task. If the manager has ended, the delivery is
    /// dropped unsettled.
    ///
    /// # Errors
    /// The manager has ended.
    pub async fn refused(
        &self,
        session: SessionId,
        refused: Box<Refused>,
        delivery: D,
    ) -> Result<(), Gone> {
        self.send(Request::Event(Event::Refused { session, refused, delivery })).await
    }

    /// Says that a session is gone. Nothing of it may be handed over afterwards.
    ///
    /// # Errors
    /// The manager has ended.
    pub async fn session_lost(&self, session: SessionId) -> Result<(), Gone> {
        self.send(Request::Event(Event::SessionLost(session))).await
    }

    /// Stops the waiting and running tasks of that id, and says how many those were.
    ///
    /// # Errors
    /// The manager has ended.
    pub async fn stop(&self, id: &TaskId) -> Result<usize, Gone> {
        self.ask(|reply| Request::Stop(id.clone(), reply)).await
    }

    /// Stops all waiting and running tasks, and says how many those were.
    ///
    /// # Errors
    /// The manager has ended.
    pub async fn stop_all(&self) -> Result<usize, Gone> {
        self.ask(Request::StopAll).await
    }

    /// What runs and what waits.
    ///
    /// # Errors
    /// The manager has ended.
    pub async fn snapshot(&self) -> Result<Snapshot, Gone> {
        self.ask(Request::Snapshot).await
    }

    /// The latest task of that id, if it is held or ended lately.
    ///
    /// # Errors
    /// The manager has ended.
    pub async fn find(&self, id: &TaskId) -> Result<Option<TaskView>, Gone> {
        self.ask(|reply| Request::Find(id.clone(), reply)).await
    }

    /// What each tenant's tasks have used since the node started.
    ///
    /// # Errors
    /// The manager has ended.
    pub async fn totals(&self) -> Result<Totals, Gone> {
        self.ask(Request::Totals).await
    }

    /// Starts the drain; [`Manager::run`] returns at its end. What still runs after
    /// `timeout` is interrupted. The earliest end holds if it is called again.
    ///
    /// # Errors
    /// The manager has ended.
    pub async fn drain(&self, timeout: Duration) -> Result<(), Gone> {
        self.send(Request::Drain(timeout)).await
    }

    /// Cancelled once the node must take no more deliveries.
    pub fn stop_consuming(&self) -> CancellationToken {
        self.stop_consuming.clone()
    }

    async fn send(&self, request: Request<D>) -> Result<(), Gone> {
        self.requests.send(request).await.map_err(|_| Gone)
    }

    async fn ask<T>(
        &self,
        request: impl FnOnce(oneshot::Sender<T>) -> Request<D>,
    ) -> Result<T, Gone> {
        let (reply, answer) = oneshot::channel();
        self.send(request(reply)).await?;
        answer.await.map_err(|_| Gone)
    }
}

// Derived, it would ask for `D: Clone`, and a delivery must not be.
impl<D> Clone for ManagerHandle<D> {
    fn clone(&self) -> ManagerHandle<D> {
        let ManagerHandle { requests, stop_consuming } = self;
        ManagerHandle { requests: requests.clone(), stop_consuming: stop_consuming.clone() }
    }
}

impl<R: Runner, S: Settler> Manager<R, S> {
    /// A manager that holds nothing, and the handle to it.
    pub fn new(
        config: &ManagerConfig,
        tenants: &BTreeMap<TenantName, Tenant>,
        runner: Arc<R>,
        settler: Arc<S>,
    ) -> (Manager<R, S>, ManagerHandle<S::Delivery>) {
        let (sender, requests) = mpsc::channel(REQUESTS);
        let stop_consuming = CancellationToken::new();
        let handle = ManagerHandle { requests: sender, stop_consuming: stop_consuming.clone() };
        let manager = Manager {
            state: State::new(config, tenants),
            runner,
            settler,
            requests,
            jobs: JoinSet::new(),
            stops: HashMap::new(),
            stop_consuming,
            drain_deadline: None,
            drained: false,
        };
        (manager, handle)
    }

    /// Works until it has drained, or until nothing is left to do and nobody holds a
    /// handle any more.
    pub async fn run(mut self) {
        while !self.drained {
            let event = tokio::select! {
                // What ended comes first: it makes room for what is asked next.
                biased;
                // Cancel-safe: a job that ended stays in the set until it is returned.
                Some(ended) = self.jobs.join_next() => match ended {
                    Ok(event) => event,
                    Err(error) => {
                        // Panics are caught within; the runtime is shutting down.
                        error!(%error, "job lost");
                        continue;
                    }
                },
                // Cancel-safe: made anew from the deadline.
                () = sleep_until(self.drain_deadline.unwrap_or_else(Instant::now)),
                    if self.drain_deadline.is_some() =>
                {
                    self.drain_deadline = None;
                    info!(running = self.stops.len(), "drain timeout reached, interrupting");
                    Event::DrainExpired
                }
                // Cancel-safe: says so of itself.
                Some(request) = self.requests.recv() => match self.answer(request) {
                    Some(event) => event,
                    None => continue,
                },
                else => break,
            };
            if let Event::Finished { key, .. } = &event {
                self.stops.remove(key);
            }
            for command in self.state.handle(Instant::now().into_std(), event) {
                self.carry_out(command);
            }
        }
    }

    /// Answers what asks for an answer, and returns the event in the request. Whoever
    /// does not wait for the answer any more need not get it.
    fn answer(&mut self, request: Request<S::Delivery>) -> Option<Event<S::Delivery>> {
        match request {
            Request::Event(event) => Some(event),
            Request::Stop(id, reply) => {
                let _ = reply.send(self.state.stoppable(&id));
                Some(Event::Stop(id))
            }
            Request::StopAll(reply) => {
                let _ = reply.send(self.state.stoppable_in_all());
                Some(Event::StopAll)
            }
            Request::Snapshot(reply) => {
                let _ = reply.send(self.state.snapshot());
                None
            }
            Request::Find(id, reply) => {
                let _ = reply.send(self.state.find(&id));
                None
            }
            Request::Totals(reply) => {
                let _ = reply.send(self.state.totals().clone());
                None
            }
            Request::Drain(timeout) => {
                // A timeout beyond the clock's range is none.
                let deadline = Instant::now().checked_add(timeout);
                self.drain_deadline = self.drain_deadline.into_iter().chain(deadline).min();
                Some(Event::Drain)
            }
        }
    }

    fn carry_out(&mut self, command: Command<S::Delivery>) {
        match command {
            Command::Start { key, task } => self.start(key, task),
            Command::Interrupt(key) => {
                if let Some(stop) = self.stops.get(&key) {
                    stop.cancel();
                }
            }
            Command::Settle { key, envelope, delivery, settlement } => {
                self.settle(key, envelope, delivery, settlement);
            }
            Command::StopConsuming => {
                info!(running = self.stops.len(), "draining");
                self.stop_consuming.cancel();
            }
            Command::Drained => {
                info!("drained");
                self.drained = true;
            }
        }
    }

    fn start(&mut self, key: Key, task: Arc<Task>) {
        let stop = CancellationToken::new();
        self.stops.insert(key, stop.clone());
        let span = task_span(&task.envelope);
        let runner = self.runner.clone();
        let run = async move {
            debug!("task started");
            // A panic must not take the slot and the delivery with it.
            let run = AssertUnwindSafe(async move { runner.run(task, stop).await });
            let report = run.catch_unwind().await.unwrap_or_else(|panic| {
                let reason = format!("the sandbox panicked: {}", panic_message(&*panic));
                Report::not_run(Outcome::Crashed(reason))
            });
            debug!(status = %report.outcome.status(), "task ended");
            Event::Finished { key, report: Box::new(report) }
        };
        self.jobs.spawn(run.instrument(span));
    }

    fn settle(
        &mut self,
        key: Key,
        envelope: Envelope,
        delivery: S::Delivery,
        settlement: Settlement,
    ) {
        let span = task_span(&envelope);
        span.in_scope(|| self.log_trouble(&envelope, &settlement));
        let settler = self.settler.clone();
        let settle = async move {
            let settle =
                AssertUnwindSafe(
                    async move { settler.settle(envelope, delivery, settlement).await },
                );
            match settle.catch_unwind().await {
                Ok(()) => debug!("delivery settled"),
                // The broker redelivers it when the session ends.
                Err(panic) => error!(panic = panic_message(&*panic), "settling panicked"),
            }
            Event::Settled(key)
        };
        self.jobs.spawn(settle.instrument(span));
    }

    /// Logs what heals itself and still should not happen.
    fn log_trouble(&self, envelope: &Envelope, settlement: &Settlement) {
        let Envelope { id, tenant, attempt, .. } = envelope;
        match settlement {
            Settlement::Retry { reason } => {
                warn!(task = ?id, %tenant, attempt, reason, "task crashed, to be retried");
            }
            Settlement::Finish { report, .. } => {
                if let Outcome::Crashed(reason) = &report.outcome {
                    warn!(task = ?id, %tenant, attempt, reason, "task crashed, given up");
                }
            }
            Settlement::Requeue if !self.stop_consuming.is_cancelled() => {
                warn!(task = ?id, %tenant, "delivery beyond the prefetch count, requeued");
            }
            Settlement::Requeue => {}
        }
    }
}

fn task_span(envelope: &Envelope) -> tracing::Span {
    debug_span!("task", id = ?envelope.id, tenant = %envelope.tenant, attempt = envelope.attempt)
}

fn panic_message(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message")
}
