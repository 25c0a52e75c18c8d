//! Random sequences of events against the invariants of the manager; its fairness is
//! tested in a module of its own.
//!
//! [`World`] is what a broker, a sandbox and an operator would see: it follows every
//! delivery by its serial number and says beforehand what has to become of it.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::manager::settlement::DeadLetter;
use crate::outcome::{Exception, Status, TimeLimit};
use crate::task::{Code, Invalid, Lowered, ReplyAddress};

mod fairness;

const MAX_DELIVERIES: u32 = 3;

/// A delivery; the ledger learns if it is dropped instead of settled.
#[derive(Debug)]
struct Token {
    serial: usize,
    dropped: Rc<RefCell<BTreeSet<usize>>>,
}

impl Drop for Token {
    fn drop(&mut self) {
        self.dropped.borrow_mut().insert(self.serial);
    }
}

#[derive(Debug, Clone)]
enum Step {
    Deliver {
        tenant: usize,
        session: usize,
        id: usize,
        attempt: u32,
        reply: bool,
    },
    Refuse {
        session: usize,
    },
    /// Of what runs, the one picked ends like this; `None`: as an interruption ends it.
    Finish(usize, Option<Outcome>),
    /// For a key that does not run, or never did.
    FinishStray(u64),
    Settle(usize),
    SettleStray(u64),
    Stop(usize),
    StopAll,
    Lose(usize),
    Drain,
    Expire,
}

fn outcomes() -> impl Strategy<Value = Outcome> {
    let value = serde_json::value::to_raw_value(&1).expect("a number");
    let raised = Exception { kind: "E".into(), message: "m".into(), traceback: String::new() };
    prop::sample::select(vec![
        Outcome::Succeeded(value),
        Outcome::Failed(raised),
        Outcome::Timeout(TimeLimit::Wall, Duration::ZERO),
        Outcome::OutOfMemory(1),
        Outcome::Stopped,
        Outcome::Crashed("trap".into()),
        Outcome::Invalid("no such script".into()),
    ])
}

fn steps(most: usize) -> impl Strategy<Value = Vec<Step>> {
    let deliver = (0..3usize, 0..2usize, 0..6usize, 1..=MAX_DELIVERIES, any::<bool>()).prop_map(
        |(tenant, session, id, attempt, reply)| Step::Deliver {
            tenant,
            session,
            id,
            attempt,
            reply,
        },
    );
    let step = prop_oneof![
        40 => deliver,
        2 => (0..2usize).prop_map(|session| Step::Refuse { session }),
        20 => (0..64usize, prop::option::of(outcomes())).prop_map(|(nth, how)| Step::Finish(nth, how)),
        2 => (0..50u64).prop_map(Step::FinishStray),
        20 => (0..64usize).prop_map(Step::Settle),
        2 => (0..50u64).prop_map(Step::SettleStray),
        5 => (0..6usize).prop_map(Step::Stop),
        1 => Just(Step::StopAll),
        2 => (0..2usize).prop_map(Step::Lose),
        1 => Just(Step::Drain),
        1 => Just(Step::Expire),
    ];
    vec(step, 0..most)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Waiting,
    Running,
    /// It runs, and its session is gone.
    Abandoned,
    Settling,
    Gone,
}

/// What is to become of a delivery, in so far as it can be told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Finish(Status, DeadLetter),
    Retry,
    Requeue,
}

#[derive(Debug)]
struct Model {
    tenant: usize,
    session: SessionId,
    id: usize,
    attempt: u32,
    reply: bool,
    place: Place,
    key: Option<Key>,
    received: Instant,
    started: Option<Instant>,
    stopped: bool,
    interrupted: bool,
    settled: bool,
    lost: bool,
}

struct World {
    state: State<Token>,
    now: Instant,
    watermark: usize,
    tenant_watermarks: Vec<usize>,
    prefetch: usize,
    models: Vec<Model>,
    sessions: [SessionId; 2],
    dropped: Rc<RefCell<BTreeSet<usize>>>,
    draining: bool,
    /// `Drained` came.
    drained: bool,
    /// What the event at hand must lead to, by serial number.
    settles: BTreeMap<usize, Fate>,
    interrupts: BTreeSet<usize>,
    /// What is to be summed up.
    totals: Totals,
}

fn pick(serials: &[usize], nth: usize) -> Option<usize> {
    (!serials.is_empty()).then(|| serials[nth % serials.len()])
}

fn tenant(index: usize) -> TenantName {
    TenantName::new(&format!("tenant-{index}"))
}

fn task_id(index: usize) -> TaskId {
    TaskId::parse(&format!("id-{index}")).expect("short")
}

fn envelope(id: TaskId, of: usize, attempt: u32, reply: bool) -> Envelope {
    let reply =
        reply.then(|| ReplyAddress { queue: "r".into(), correlation_id: id.as_str().into() });
    Envelope { id, tenant: tenant(of), queue: "q".into(), reply, attempt, depth: 0 }
}

/// A task that carries its serial number as its arguments.
fn task(envelope: Envelope, serial: usize) -> Arc<Task> {
    let code = Code::Module { module: "m".into(), function: "f".into() };
    let limits = Lowered::default();
    Arc::new(Task { envelope, code, args: serial.to_string(), kwargs: "{}".into(), limits })
}

fn config(watermark: usize, waiting_limit: usize) -> ManagerConfig {
    let drain_timeout = Duration::from_secs(30);
    ManagerConfig { watermark, waiting_limit, max_deliveries: MAX_DELIVERIES, drain_timeout }
}

fn tenants(of: impl IntoIterator<Item = (u32, Option<usize>)>) -> BTreeMap<TenantName, Tenant> {
    let limits = crate::config::Limits::default();
    of.into_iter()
        .enumerate()
        .map(|(i, (share, watermark))| {
            (tenant(i), Tenant { share, watermark, ..Tenant::with_limits(limits) })
        })
        .collect()
}

impl World {
    fn new(watermark: usize, waiting_limit: usize, tenant_watermarks: Vec<usize>) -> World {
        let config = config(watermark, waiting_limit);
        let tenants = tenants(tenant_watermarks.iter().map(|w| (1, Some(*w))));
        World {
            state: State::new(&config, &tenants),
            now: Instant::now(),
            watermark,
            tenant_watermarks,
            prefetch: config.prefetch(),
            models: Vec::new(),
            sessions: [SessionId(0), SessionId(1)],
            dropped: Rc::default(),
            draining: false,
            drained: false,
            settles: BTreeMap::new(),
            interrupts: BTreeSet::new(),
            totals: Totals::of(tenants.keys()),
        }
    }

    fn serials(&self, of: impl Fn(&Model) -> bool) -> Vec<usize> {
        (0..self.models.len()).filter(|serial| of(&self.models[*serial])).collect()
    }

    fn count(&self, place: Place) -> usize {
        self.serials(|model| model.place == place).len()
    }

    /// A new delivery, and the token for it.
    fn add(
        &mut self,
        session: usize,
        id: usize,
        tenant: usize,
        attempt: u32,
        reply: bool,
    ) -> Token {
        let serial = self.models.len();
        self.models.push(Model {
            tenant,
            session: self.sessions[session],
            id,
            attempt,
            reply,
            place: Place::Waiting,
            key: None,
            received: self.now,
            started: None,
            stopped: false,
            interrupted: false,
            settled: false,
            lost: false,
        });
        Token { serial, dropped: self.dropped.clone() }
    }

    fn fate(&self, serial: usize, status: Status) -> Fate {
        let model = &self.models[serial];
        let unless_replied = if model.reply { DeadLetter::UnlessReplied } else { DeadLetter::Yes };
        match status {
            Status::Stopped if model.interrupted && !model.stopped => Fate::Requeue,
            Status::Crashed if model.stopped => Fate::Finish(Status::Stopped, DeadLetter::No),
            Status::Succeeded | Status::Stopped => Fate::Finish(status, DeadLetter::No),
            Status::Failed | Status::Timeout | Status::OutOfMemory => {
                Fate::Finish(status, unless_replied)
            }
            Status::Crashed if model.attempt < MAX_DELIVERIES => Fate::Retry,
            Status::Crashed | Status::Invalid => Fate::Finish(status, DeadLetter::Yes),
        }
    }

    /// Notes what the step must lead to, and makes the event of it.
    fn event(&mut self, step: Step) -> Option<Event<Token>> {
        Some(match step {
            Step::Deliver { tenant, session, id, attempt, reply } => {
                let held = self.count(Place::Waiting) + self.count(Place::Running);
                let delivery = self.add(session, id, tenant, attempt, reply);
                if self.draining || held >= self.prefetch {
                    self.settles.insert(delivery.serial, Fate::Requeue);
                }
                let task = task(envelope(task_id(id), tenant, attempt, reply), delivery.serial);
                Event::Delivered { session: self.sessions[session], task, delivery }
            }
            Step::Refuse { session } => {
                let delivery = self.add(session, 0, 0, 1, true);
                let fate = Fate::Finish(Status::Invalid, DeadLetter::Yes);
                self.settles.insert(delivery.serial, fate);
                let envelope = envelope(task_id(0), 0, 1, true);
                let refused = Box::new(Refused { envelope, reason: Invalid("not JSON".into()) });
                Event::Refused { session: self.sessions[session], refused, delivery }
            }
            Step::Finish(nth, outcome) => return self.finish(nth, outcome),
            Step::FinishStray(key) => {
                let stray = |m: &Model| m.key == Some(Key(key)) && m.started.is_some();
                let in_use = self
                    .serials(|m| stray(m) && matches!(m.place, Place::Running | Place::Abandoned));
                if !in_use.is_empty() {
                    return None;
                }
                let report = Box::new(Report::not_run(Outcome::Stopped));
                Event::Finished { key: Key(key), report }
            }
            Step::Settle(nth) => {
                let settling = self.serials(|m| m.place == Place::Settling);
                let serial = pick(&settling, nth)?;
                self.models[serial].place = Place::Gone;
                Event::Settled(self.models[serial].key.expect("settled by key"))
            }
            Step::SettleStray(key) => {
                let key = Key(key);
                let in_use = |m: &Model| m.key == Some(key) && m.place == Place::Settling;
                if !self.serials(in_use).is_empty() {
                    return None;
                }
                Event::Settled(key)
            }
            Step::Stop(id) => {
                self.stop(|model| model.id == id, self.state.stoppable(&task_id(id)));
                Event::Stop(task_id(id))
            }
            Step::StopAll => {
                self.stop(|_| true, self.state.stoppable_in_all());
                Event::StopAll
            }
            Step::Lose(session) => self.lose(session),
            Step::Drain => {
                if !self.draining {
                    for serial in self.serials(|m| m.place == Place::Waiting) {
                        self.settles.insert(serial, Fate::Requeue);
                    }
                }
                Event::Drain
            }
            Step::Expire => {
                if self.draining {
                    for serial in self.serials(|m| m.place == Place::Running && !m.interrupted) {
                        self.interrupt(serial);
                    }
                }
                Event::DrainExpired
            }
        })
    }

    fn finish(&mut self, nth: usize, outcome: Option<Outcome>) -> Option<Event<Token>> {
        let has_instance = |m: &Model| matches!(m.place, Place::Running | Place::Abandoned);
        let serial = pick(&self.serials(has_instance), nth)?;
        let outcome = outcome.unwrap_or(Outcome::Stopped);
        let fate = self.fate(serial, outcome.status());
        let model = &mut self.models[serial];
        if model.place == Place::Abandoned {
            model.place = Place::Gone;
        } else {
            self.settles.insert(serial, fate);
        }
        let key = self.models[serial].key.expect("started by key");
        Some(Event::Finished { key, report: Box::new(Report::not_run(outcome)) })
    }

    fn stop(&mut self, of: impl Fn(&Model) -> bool, announced: usize) {
        let waiting = self.serials(|m| of(m) && m.place == Place::Waiting);
        let running = self.serials(|m| of(m) && m.place == Place::Running);
        assert_eq!(announced, waiting.len() + running.len(), "tasks announced as stoppable");
        for serial in waiting {
            self.settles.insert(serial, Fate::Finish(Status::Stopped, DeadLetter::No));
        }
        for serial in running {
            self.models[serial].stopped = true;
            if !self.models[serial].interrupted {
                self.interrupt(serial);
            }
        }
    }

    fn lose(&mut self, session: usize) -> Event<Token> {
        let lost = self.sessions[session];
        self.sessions[session] = SessionId(lost.0 + 2);
        for serial in self.serials(|m| m.session == lost) {
            let model = &mut self.models[serial];
            model.lost = true;
            match model.place {
                Place::Running if !model.interrupted => {
                    model.place = Place::Abandoned;
                    self.interrupt(serial);
                }
                Place::Running => model.place = Place::Abandoned,
                Place::Waiting | Place::Settling => model.place = Place::Gone,
                Place::Abandoned | Place::Gone => {}
            }
        }
        Event::SessionLost(lost)
    }

    fn interrupt(&mut self, serial: usize) {
        self.models[serial].interrupted = true;
        self.interrupts.insert(serial);
    }

    fn step(&mut self, step: Step) {
        self.now += Duration::from_millis(1);
        let drains = matches!(step, Step::Drain) && !self.draining;
        let Some(event) = self.event(step) else { return };
        let commands = self.state.handle(self.now, event);
        let mut stopped_consuming = false;
        for command in commands {
            match command {
                Command::Start { key, task } => self.started(key, &task),
                Command::Interrupt(key) => {
                    let serial = self.serials(|m| m.key == Some(key))[0];
                    assert!(self.interrupts.remove(&serial), "{key:?} interrupted");
                }
                Command::Settle { key, envelope, delivery, settlement } => {
                    self.settled(key, &envelope, delivery, settlement);
                }
                Command::StopConsuming => stopped_consuming = true,
                Command::Drained => {
                    assert!(!self.drained, "Drained twice");
                    assert!(self.is_over(), "Drained too early");
                    self.drained = true;
                }
            }
        }
        assert_eq!(stopped_consuming, drains);
        self.draining |= drains;
        assert!(self.settles.is_empty(), "not settled: {:?}", self.settles);
        assert!(self.interrupts.is_empty(), "not interrupted: {:?}", self.interrupts);
        self.check();
    }

    fn started(&mut self, key: Key, task: &Task) {
        let serial: usize = task.args.parse().expect("a serial number");
        let model = &self.models[serial];
        assert!(!self.draining, "started in a drain");
        assert_eq!((model.place, model.key), (Place::Waiting, None), "start of {serial}");
        assert!(self.serials(|m| m.key == Some(key)).is_empty(), "{key:?} is not new");
        let before = self
            .serials(|m| m.tenant == model.tenant && m.place == Place::Waiting)
            .into_iter()
            .find(|earlier| *earlier < serial && !self.settles.contains_key(earlier));
        assert_eq!(before, None, "waited longer than {serial}");
        let model = &mut self.models[serial];
        (model.place, model.key, model.started) = (Place::Running, Some(key), Some(self.now));
    }

    fn settled(&mut self, key: Key, envelope: &Envelope, token: Token, settlement: Settlement) {
        let serial = token.serial;
        std::mem::forget(token);
        let fate = match settlement {
            Settlement::Retry { .. } => Fate::Retry,
            Settlement::Requeue => Fate::Requeue,
            Settlement::Finish { report, dead_letter } => {
                let model = &self.models[serial];
                let queued = model.started.unwrap_or(self.now) - model.received;
                assert_eq!(report.usage.queued, queued, "time queued of {serial}");
                Fate::Finish(report.outcome.status(), dead_letter)
            }
        };
        assert_eq!(self.settles.remove(&serial), Some(fate), "settlement of {serial}");
        self.sum_up(serial, fate);
        let model = &mut self.models[serial];
        assert_eq!(envelope.id, task_id(model.id));
        assert!(!model.settled, "{serial} settled twice");
        assert!(model.key.is_none_or(|started_as| started_as == key), "key of {serial}");
        (model.settled, model.place, model.key) = (true, Place::Settling, Some(key));
    }

    fn sum_up(&mut self, serial: usize, fate: Fate) {
        let status = match fate {
            Fate::Finish(status, _) => status,
            Fate::Retry => Status::Crashed,
            Fate::Requeue => return,
        };
        let model = &self.models[serial];
        let totals = self.totals.0.entry(tenant(model.tenant)).or_default();
        *totals.tasks.entry(status).or_default() += 1;
        totals.queued += model.started.unwrap_or(self.now) - model.received;
    }

    fn is_over(&self) -> bool {
        self.models.iter().all(|model| model.place == Place::Gone)
    }

    /// What holds after every event.
    fn check(&self) {
        let has_instance = |m: &Model| matches!(m.place, Place::Running | Place::Abandoned);
        let running = self.serials(has_instance).len();
        assert!(running <= self.watermark, "{running} run");
        let held = self.count(Place::Waiting) + self.count(Place::Running);
        assert!(held <= self.prefetch, "{held} held");
        for (tenant, watermark) in self.tenant_watermarks.iter().enumerate() {
            let running_of = self.serials(|m| has_instance(m) && m.tenant == tenant).len();
            assert!(running_of <= *watermark, "{running_of} of tenant {tenant} run");
            let idles = running < self.watermark && running_of < *watermark;
            let waits = self.serials(|m| m.place == Place::Waiting && m.tenant == tenant);
            assert!(!idles || waits.is_empty(), "{waits:?} wait while there is room");
        }
        for serial in &*self.dropped.borrow() {
            assert!(self.models[*serial].lost, "{serial} dropped");
        }
        assert!(self.drained || !self.draining || !self.is_over(), "not Drained");
        assert_eq!(*self.state.totals(), self.totals);
        self.check_views(running);
    }

    fn check_views(&self, running: usize) {
        let snapshot = self.state.snapshot();
        assert_eq!(snapshot.running.len(), running);
        assert_eq!(snapshot.waiting.len(), self.count(Place::Waiting));
        for id in 0..6 {
            let found = self.state.find(&task_id(id)).map(|task| task.state);
            let of = |place| !self.serials(|m| m.id == id && m.place == place).is_empty();
            match found {
                Some(TaskState::Waiting) => assert!(of(Place::Waiting)),
                Some(TaskState::Running) => assert!(of(Place::Running) || of(Place::Abandoned)),
                Some(TaskState::Settling) => assert!(of(Place::Settling)),
                Some(TaskState::Ended) => assert!(of(Place::Gone)),
                None => assert!(!of(Place::Waiting) && !of(Place::Running)),
            }
        }
    }

    fn steps(&mut self, steps: Vec<Step>) {
        for step in steps {
            self.step(step);
        }
    }

    /// Everything must end, and every delivery be settled or redelivered.
    fn end(mut self) {
        while self.count(Place::Running) + self.count(Place::Abandoned) > 0 {
            self.step(Step::Finish(0, None));
        }
        while self.count(Place::Settling) > 0 {
            self.step(Step::Settle(0));
        }
        assert!(self.drained, "never drained");
        for (serial, model) in self.models.iter().enumerate() {
            assert!(model.settled || model.lost, "{serial} neither settled nor redelivered");
        }
        let stray = self.state.handle(self.now, Event::DrainExpired);
        assert!(stray.is_empty(), "{stray:?} after Drained");
    }
}

proptest! {
    #[test]
    fn the_invariants_hold_whatever_happens(
        watermark in 1..5usize,
        waiting_limit in 0..6usize,
        tenant_watermarks in vec(1..5usize, 3),
        serving in steps(150),
        draining in steps(20),
        expired in steps(20),
    ) {
        let mut world = World::new(watermark, waiting_limit, tenant_watermarks);
        world.steps(serving);
        world.step(Step::Drain);
        world.steps(draining);
        world.step(Step::Expire);
        world.steps(expired);
        world.end();
    }
}
