//! Decides what runs, what waits and what becomes of each delivery.
//! No clock, no I/O, no await, no logging: events in, commands out.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::mem;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::settlement::Settlement;
use super::usage::Totals;
use super::view::{Ending, Snapshot, TaskState, TaskView};
use crate::config::{ManagerConfig, Tenant};
use crate::outcome::{Outcome, Report};
use crate::shares::Shares;
use crate::task::{Envelope, Refused, Task, TaskId, TenantName};

#[cfg(test)]
mod tests;

/// Ended tasks that are remembered for whoever asks.
const REMEMBERED: usize = 1000;

/// Longest reason that is remembered, in characters: an exception may say a lot.
const REMEMBERED_REASON: usize = 500;

/// What a running task counts for in advance: as long as tasks typically are, so that
/// tenants' slots are spread, and short enough to even out within seconds.
const AHEAD: Duration = Duration::from_secs(1);

/// One delivery at this node. The state hands them out, in order of arrival.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(u64);

/// One life of a connection to the broker: its deliveries can be settled in it alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(pub u64);

/// What happened. `D` is what it takes to settle a delivery; it passes through.
#[derive(Debug)]
pub enum Event<D> {
    /// A task arrived.
    Delivered {
        /// The session that delivered it.
        session: SessionId,
        /// The task.
        task: Arc<Task>,
        /// Settles it.
        delivery: D,
    },
    /// A message arrived that is no task.
    Refused {
        /// The session that delivered it.
        session: SessionId,
        /// What is known of it.
        refused: Box<Refused>,
        /// Settles it.
        delivery: D,
    },
    /// A task that was started ended.
    Finished {
        /// Which.
        key: Key,
        /// How.
        report: Box<Report>,
    },
    /// A settlement is over: done, or its session is gone.
    Settled(Key),
    /// An operator stops the tasks of that id.
    Stop(TaskId),
    /// An operator stops all tasks.
    StopAll,
    /// A session is gone, and the broker redelivers what was not settled. Nothing of
    /// that session comes after.
    SessionLost(SessionId),
    /// The node is told to leave.
    Drain,
    /// Running tasks had their time to end in a drain.
    DrainExpired,
}

/// What is to be done.
#[derive(Debug)]
pub enum Command<D> {
    /// Run a task; [`Event::Finished`] says how it ended.
    Start {
        /// Which.
        key: Key,
        /// The task.
        task: Arc<Task>,
    },
    /// Make a running task end soon. Given once at most for a key.
    Interrupt(Key),
    /// Settle a delivery; [`Event::Settled`] says that it is over.
    Settle {
        /// Which.
        key: Key,
        /// Where it came from and where its reply goes.
        envelope: Envelope,
        /// Settles it, once: it was moved here.
        delivery: D,
        /// How.
        settlement: Settlement,
    },
    /// Take no more deliveries from the broker.
    StopConsuming,
    /// The node is told to leave, and nothing runs, waits or is being settled any more.
    /// Comes once.
    Drained,
}

/// What the node holds.
#[derive(Debug)]
pub struct State<D> {
    prefetch: usize,
    max_deliveries: u32,
    mode: Mode,
    last_key: u64,
    /// Waiting and running tasks.
    tasks: BTreeMap<Key, Held<D>>,
    /// The keys of `tasks` by task id, which need not be unique.
    by_id: HashMap<TaskId, BTreeSet<Key>>,
    /// How many of `tasks` are abandoned.
    abandoned: usize,
    /// Who runs and whose turn is next.
    slots: Shares<Key>,
    /// Deliveries on their way out, and the session each needs for that.
    settling: HashMap<Key, SessionId>,
    /// The tasks that ended last, oldest first.
    recent: VecDeque<(Key, TaskView)>,
    totals: Totals,
    /// What the event at hand has led to.
    commands: Vec<Command<D>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Serving,
    Draining,
    Drained,
}

/// A task that waits or runs.
#[derive(Debug)]
struct Held<D> {
    task: Arc<Task>,
    session: SessionId,
    received: Instant,
    /// When it was started; it waits if it was not.
    started: Option<Instant>,
    interrupted: Interrupted,
    /// `None` if its session is gone: it is abandoned, and only its slot is left to free.
    delivery: Option<D>,
}

/// Who, if anyone, made a running task end before its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Interrupted {
    No,
    /// It counts as ended.
    ByOperator,
    /// It goes back to its queue.
    ByDrain,
}

impl<D> State<D> {
    /// An empty node.
    pub fn new(config: &ManagerConfig, tenants: &BTreeMap<TenantName, Tenant>) -> State<D> {
        let mut slots = Shares::new(config.watermark, AHEAD);
        for (name, tenant) in tenants {
            slots.set(name, tenant.share, tenant.watermark.unwrap_or(config.watermark));
        }
        State {
            prefetch: config.prefetch(),
            max_deliveries: config.max_deliveries,
            mode: Mode::Serving,
            last_key: 0,
            tasks: BTreeMap::new(),
            by_id: HashMap::new(),
            abandoned: 0,
            slots,
            settling: HashMap::new(),
            recent: VecDeque::new(),
            totals: Totals::of(tenants.keys()),
            commands: Vec::new(),
        }
    }

    /// Takes an event in and says what is to be done, in this order. Events for keys
    /// that are not, or no longer, held lead to nothing.
    #[must_use]
    pub fn handle(&mut self, now: Instant, event: Event<D>) -> Vec<Command<D>> {
        match event {
            Event::Delivered { session, task, delivery } => {
                self.deliver(now, session, task, delivery);
            }
            Event::Refused { session, refused, delivery } => {
                self.refuse(now, session, *refused, delivery);
            }
            Event::Finished { key, report } => self.finish(now, key, report),
            Event::Settled(key) => {
                self.settling.remove(&key);
            }
            Event::Stop(id) => {
                for key in self.by_id.get(&id).cloned().unwrap_or_default() {
                    self.stop(now, key);
                }
            }
            Event::StopAll => {
                for key in self.tasks.keys().copied().collect::<Vec<_>>() {
                    self.stop(now, key);
                }
            }
            Event::SessionLost(session) => self.lose(now, session),
            Event::Drain => self.drain(now),
            Event::DrainExpired => self.expire(),
        }
        self.start_waiting(now);
        if self.mode == Mode::Draining && self.tasks.is_empty() && self.settling.is_empty() {
            self.mode = Mode::Drained;
            self.commands.push(Command::Drained);
        }
        mem::take(&mut self.commands)
    }

    fn deliver(&mut self, now: Instant, session: SessionId, task: Arc<Task>, delivery: D) {
        let key = self.next_key();
        // What is being settled does not count: the broker may send the next delivery
        // before we hear that the ack went out. An abandoned task holds no delivery.
        let full = self.tasks.len() - self.abandoned >= self.prefetch;
        if full || self.mode != Mode::Serving {
            let envelope = task.envelope.clone();
            self.settle(key, session, envelope, delivery, Settlement::Requeue);
            return;
        }
        let Envelope { id, tenant, .. } = &task.envelope;
        self.slots.push(now, tenant, key);
        self.by_id.entry(id.clone()).or_default().insert(key);
        let held = Held {
            task,
            session,
            received: now,
            started: None,
            interrupted: Interrupted::No,
            delivery: Some(delivery),
        };
        self.tasks.insert(key, held);
    }

    fn refuse(&mut self, now: Instant, session: SessionId, refused: Refused, delivery: D) {
        let key = self.next_key();
        let Refused { envelope, reason } = refused;
        let report = Box::new(Report::not_run(Outcome::Invalid(reason.0)));
        self.remember(now, key, view(&envelope, None, now, None), &report);
        let settlement = Settlement::of(&envelope, report, self.max_deliveries);
        self.settle(key, session, envelope, delivery, settlement);
    }

    fn finish(&mut self, now: Instant, key: Key, report: Box<Report>) {
        if self.tasks.get(&key).is_some_and(|held| held.started.is_some())
            && let Some(held) = self.release(now, key)
        {
            self.conclude(now, key, held, report);
        }
    }

    /// Stops one task, if it is not abandoned.
    fn stop(&mut self, now: Instant, key: Key) {
        match self.tasks.get(&key) {
            Some(Held { started: Some(_), delivery: Some(_), .. }) => {
                self.interrupt(key, Interrupted::ByOperator);
            }
            Some(Held { started: None, .. }) => {
                if let Some(held) = self.release(now, key) {
                    let report = Box::new(Report::not_run(Outcome::Stopped));
                    self.conclude(now, key, held, report);
                }
            }
            _ => {}
        }
    }

    fn lose(&mut self, now: Instant, session: SessionId) {
        self.settling.retain(|_, of| *of != session);
        for key in self.keys(|held| held.session == session && held.started.is_none()) {
            self.release(now, key);
        }
        for key in self.keys(|held| held.session == session && held.delivery.is_some()) {
            // No operator asked for it, and no report of it will be used.
            self.interrupt(key, Interrupted::ByDrain);
            if let Some(held) = self.tasks.get_mut(&key) {
                held.delivery = None;
                self.abandoned += 1;
            }
        }
    }

    fn drain(&mut self, now: Instant) {
        if self.mode != Mode::Serving {
            return;
        }
        self.mode = Mode::Draining;
        self.commands.push(Command::StopConsuming);
        for key in self.keys(|held| held.started.is_none()) {
            if let Some(Held { task, session, delivery: Some(delivery), .. }) =
                self.release(now, key)
            {
                let envelope = task.envelope.clone();
                self.settle(key, session, envelope, delivery, Settlement::Requeue);
            }
        }
    }

    fn expire(&mut self) {
        if self.mode == Mode::Draining {
            for key in self.keys(|held| held.interrupted == Interrupted::No) {
                self.interrupt(key, Interrupted::ByDrain);
            }
        }
    }

    fn start_waiting(&mut self, now: Instant) {
        while let Some(key) = self.slots.start_next(now) {
            let held = self.tasks.get_mut(&key).expect("what waits is held");
            held.started = Some(now);
            self.commands.push(Command::Start { key, task: held.task.clone() });
        }
    }

    /// Interrupts a running task, once; an operator's word counts more than a drain's.
    fn interrupt(&mut self, key: Key, by: Interrupted) {
        if let Some(held) = self.tasks.get_mut(&key) {
            if held.interrupted == Interrupted::No {
                self.commands.push(Command::Interrupt(key));
            }
            if held.interrupted != Interrupted::ByOperator {
                held.interrupted = by;
            }
        }
    }

    /// Takes a task out of everything that knows it as waiting or running.
    fn release(&mut self, now: Instant, key: Key) -> Option<Held<D>> {
        let held = self.tasks.remove(&key)?;
        let Envelope { id, tenant, .. } = &held.task.envelope;
        if let Some(keys) = self.by_id.get_mut(id) {
            keys.remove(&key);
            if keys.is_empty() {
                self.by_id.remove(id);
            }
        }
        match held.started {
            Some(_) => self.slots.ended(now, tenant),
            None => self.slots.remove(now, tenant, key),
        }
        if held.delivery.is_none() {
            self.abandoned -= 1;
        }
        Some(held)
    }

    /// Settles a released task by its report, unless it is abandoned.
    fn conclude(&mut self, now: Instant, key: Key, held: Held<D>, mut report: Box<Report>) {
        let seen = held.view();
        let Held { task, session, received, started, interrupted, delivery } = held;
        let Some(delivery) = delivery else { return };
        let envelope = task.envelope.clone();
        if let (Interrupted::ByOperator, Outcome::Crashed(_)) = (interrupted, &report.outcome) {
            // Nobody is to run it again.
            report.outcome = Outcome::Stopped;
        }
        // It may have ended by itself right before the interruption: that counts.
        let settlement = match (interrupted, &report.outcome) {
            (Interrupted::ByDrain, Outcome::Stopped) => Settlement::Requeue,
            _ => {
                report.usage.queued = started.unwrap_or(now).duration_since(received);
                self.remember(now, key, seen, &report);
                Settlement::of(&envelope, report, self.max_deliveries)
            }
        };
        self.settle(key, session, envelope, delivery, settlement);
    }

    fn settle(
        &mut self,
        key: Key,
        session: SessionId,
        envelope: Envelope,
        delivery: D,
        settlement: Settlement,
    ) {
        self.settling.insert(key, session);
        self.commands.push(Command::Settle { key, envelope, delivery, settlement });
    }

    /// What is to be known of a task that ended.
    fn remember(&mut self, now: Instant, key: Key, mut seen: TaskView, report: &Report) {
        self.totals.add(&seen.tenant, report);
        let reason = report.outcome.reason();
        seen.state = TaskState::Ended;
        seen.ending = Some(Ending {
            status: report.outcome.status(),
            reason: reason.map(|reason| reason.chars().take(REMEMBERED_REASON).collect()),
            usage: report.usage,
            at: now,
        });
        if self.recent.len() == REMEMBERED {
            self.recent.pop_front();
        }
        self.recent.push_back((key, seen));
    }

    fn next_key(&mut self) -> Key {
        self.last_key += 1;
        Key(self.last_key)
    }

    fn keys(&self, of: impl Fn(&Held<D>) -> bool) -> Vec<Key> {
        self.tasks.iter().filter(|(_, held)| of(held)).map(|(key, _)| *key).collect()
    }
}

/// What others may ask.
impl<D> State<D> {
    /// How many tasks [`Event::Stop`] would stop.
    pub fn stoppable(&self, id: &TaskId) -> usize {
        let keys = self.by_id.get(id).into_iter().flatten();
        keys.filter(|key| self.tasks[key].delivery.is_some()).count()
    }

    /// How many tasks [`Event::StopAll`] would stop.
    pub fn stoppable_in_all(&self) -> usize {
        self.tasks.len() - self.abandoned
    }

    /// What runs and what waits.
    pub fn snapshot(&self) -> Snapshot {
        let (running, waiting) =
            self.tasks.values().map(Held::view).partition(|task| task.started.is_some());
        Snapshot { running, waiting }
    }

    /// What each tenant's tasks have used so far.
    pub fn totals(&self) -> &Totals {
        &self.totals
    }

    /// The latest task of that id, if it is held or among those that ended lately.
    pub fn find(&self, id: &TaskId) -> Option<TaskView> {
        if let Some(key) = self.by_id.get(id).and_then(|keys| keys.last()) {
            return Some(self.tasks[key].view());
        }
        let (key, ended) = self.recent.iter().rev().find(|(_, ended)| ended.id == *id)?;
        let state = match self.settling.contains_key(key) {
            true => TaskState::Settling,
            false => TaskState::Ended,
        };
        Some(TaskView { state, ..ended.clone() })
    }
}

impl<D> Held<D> {
    fn view(&self) -> TaskView {
        let Task { envelope, code, .. } = &*self.task;
        view(envelope, Some(code.to_string()), self.received, self.started)
    }
}

fn view(
    envelope: &Envelope,
    task: Option<String>,
    received: Instant,
    started: Option<Instant>,
) -> TaskView {
    TaskView {
        id: envelope.id.clone(),
        task,
        tenant: envelope.tenant.clone(),
        queue: envelope.queue.clone(),
        attempt: envelope.attempt,
        state: if started.is_some() { TaskState::Running } else { TaskState::Waiting },
        received,
        started,
        ending: None,
    }
}
