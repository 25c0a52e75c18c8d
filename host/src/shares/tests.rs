//! Random tenants, shares, watermarks, durations and arrivals, in simulated time.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

mod stories;

const AHEAD: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(5);

const ANY: usize = usize::MAX;

#[derive(Debug, Clone)]
struct Spec {
    share: u32,
    watermark: usize,
    /// Of its tasks, again and again.
    durations: Vec<Duration>,
}

/// Slots, what runs in them, and what everybody had of them.
struct World {
    specs: Vec<Spec>,
    slots: usize,
    shares: Shares<u64>,
    now: Instant,
    /// What runs: when it ends, and whose it is.
    ends: BinaryHeap<Reverse<(Instant, usize)>>,
    tenants: Vec<Tenant>,
    /// Whose each key is.
    keys: Vec<usize>,
}

#[derive(Default, Clone)]
struct Tenant {
    /// It always has more to do.
    floods: bool,
    waiting: usize,
    running: usize,
    starts: usize,
    /// Time in slots, and what its starts count for.
    used: Duration,
}

fn name(tenant: usize) -> TenantName {
    TenantName::new(&format!("tenant-{tenant}"))
}

impl World {
    fn new(slots: usize, specs: Vec<Spec>) -> World {
        let mut shares = Shares::new(slots, AHEAD);
        for (tenant, spec) in specs.iter().enumerate() {
            shares.set(&name(tenant), spec.share, spec.watermark);
        }
        let now = Instant::now();
        let tenants = vec![Tenant::default(); specs.len()];
        let (ends, keys) = (BinaryHeap::new(), Vec::new());
        World { specs, slots, shares, now, ends, tenants, keys }
    }

    fn flooded(slots: usize, specs: Vec<Spec>) -> World {
        let mut world = World::new(slots, specs);
        for tenant in 0..world.specs.len() {
            world.flood(tenant);
        }
        world.start();
        world
    }

    fn flood(&mut self, tenant: usize) {
        self.tenants[tenant].floods = true;
        for _ in 0..=self.slots {
            self.push(tenant);
        }
    }

    fn push(&mut self, tenant: usize) {
        let key = self.keys.len() as u64;
        self.keys.push(tenant);
        self.tenants[tenant].waiting += 1;
        self.shares.push(self.now, &name(tenant), key);
    }

    /// Starts what may start, and says whose that was.
    fn start(&mut self) -> Vec<usize> {
        let mut started = Vec::new();
        while let Some(key) = self.shares.start_next(self.now) {
            let of = self.keys[key as usize];
            let (spec, tenant) = (&self.specs[of], &mut self.tenants[of]);
            let duration = spec.durations[tenant.starts % spec.durations.len()];
            self.ends.push(Reverse((self.now + duration, of)));
            tenant.waiting -= 1;
            tenant.running += 1;
            tenant.starts += 1;
            tenant.used += START;
            started.push(of);
        }
        self.check();
        for tenant in &started {
            if self.tenants[*tenant].floods {
                self.push(*tenant);
            }
        }
        started
    }

    /// What holds whenever nothing more may start.
    fn check(&self) {
        let running: usize = self.tenants.iter().map(|tenant| tenant.running).sum();
        assert!(running <= self.slots, "{running} run");
        for (tenant, spec) in self.tenants.iter().zip(&self.specs) {
            assert!(tenant.running <= spec.watermark, "{} of {spec:?}", tenant.running);
        }
        let ready = (0..self.specs.len()).find(|tenant| self.is_ready(*tenant));
        assert!(ready.is_none() || running == self.slots, "{ready:?} waits while a slot is free");
    }

    fn is_ready(&self, tenant: usize) -> bool {
        let Tenant { waiting, running, .. } = self.tenants[tenant];
        waiting > 0 && running < self.specs[tenant].watermark
    }

    fn advance(&mut self, to: Instant) {
        let passed = to - self.now;
        self.now = to;
        for tenant in &mut self.tenants {
            tenant.used += passed * tenant.running as u32;
        }
    }

    fn next_end(&self) -> Option<Instant> {
        self.ends.peek().map(|Reverse((end, _))| *end)
    }

    /// Goes on to the next end, and says whose tasks start then.
    fn step(&mut self) -> Vec<usize> {
        let Reverse((end, tenant)) = self.ends.pop().expect("something runs");
        self.advance(end);
        self.tenants[tenant].running -= 1;
        self.shares.ended(self.now, &name(tenant));
        self.start()
    }

    fn run(&mut self, time: Duration) {
        let until = self.now + time;
        while self.next_end().is_some_and(|end| end <= until) {
            self.step();
        }
        self.advance(until);
    }

    /// In seconds.
    fn used(&self, tenant: usize) -> f64 {
        self.tenants[tenant].used.as_secs_f64()
    }

    fn used_by_share(&self, tenant: usize) -> f64 {
        self.used(tenant) / f64::from(self.specs[tenant].share)
    }

    /// How far apart the passes of tenants can get that are ready all the while.
    fn bound(&self) -> f64 {
        let least = self.specs.iter().map(|spec| spec.share).min().unwrap_or(1);
        self.slots as f64 * (LONGEST + AHEAD + START).as_secs_f64() / f64::from(least)
    }

    /// Since the beginning all flooded: each had what it was due, give or take what the slots
    /// can hold at once.
    fn check_due(&self) -> Result<(), TestCaseError> {
        let due = self.due();
        let used: f64 = (0..due.len()).map(|tenant| self.used(tenant)).sum();
        for (tenant, due) in due.iter().enumerate() {
            let due = due / self.due().iter().sum::<f64>() * used;
            let off = (self.used(tenant) - due).abs();
            let may = 0.02 * due + self.slots as f64 * (LONGEST + AHEAD).as_secs_f64();
            prop_assert!(off <= may, "{} of {due}: {:?}", self.used(tenant), self.specs);
        }
        Ok(())
    }

    /// The slots that each is due if all flood: by share, up to its watermark; what that
    /// leaves is shared by the others.
    fn due(&self) -> Vec<f64> {
        let mut due = vec![None; self.specs.len()];
        loop {
            let slots = self.slots as f64 - due.iter().flatten().sum::<f64>();
            let open: Vec<usize> = (0..due.len()).filter(|tenant| due[*tenant].is_none()).collect();
            let shares: u32 = open.iter().map(|tenant| self.specs[*tenant].share).sum();
            let by_share = |spec: &Spec| slots * f64::from(spec.share) / f64::from(shares);
            let capped = |spec: &Spec| spec.watermark as f64 <= by_share(spec);
            let any_capped = open.iter().any(|tenant| capped(&self.specs[*tenant]));
            for tenant in open {
                let spec = &self.specs[tenant];
                if !any_capped {
                    due[tenant] = Some(by_share(spec));
                } else if capped(spec) {
                    due[tenant] = Some(spec.watermark as f64);
                }
            }
            if due.iter().all(Option::is_some) {
                return due.into_iter().flatten().collect();
            }
        }
    }
}

fn duration() -> impl Strategy<Value = Duration> {
    prop_oneof![
        Just(Duration::ZERO),
        (1..1000u64).prop_map(Duration::from_micros),
        Just(Duration::from_millis(1)),
        (1..1000u64).prop_map(Duration::from_millis),
        Just(LONGEST),
    ]
}

fn spec(watermark: impl Strategy<Value = usize>) -> impl Strategy<Value = Spec> {
    // Some task of each takes its time, or the simulated time would stand still.
    (1..20u32, watermark, vec(duration(), 0..4), 50..5000u64).prop_map(
        |(share, watermark, mut durations, millis)| {
            durations.push(Duration::from_millis(millis));
            Spec { share, watermark, durations }
        },
    )
}

fn seconds(share: u32, watermark: usize, seconds: u64) -> Spec {
    Spec { share, watermark, durations: vec![Duration::from_secs(seconds)] }
}

proptest! {
    #[test]
    fn slot_time_goes_by_share_whatever_the_durations(
        slots in 1..9usize,
        specs in vec(spec(Just(ANY)), 2..12),
    ) {
        let mut world = World::flooded(slots, specs);
        for _ in 0..1000 {
            world.step();
            let passes = (0..world.specs.len()).map(|tenant| world.used_by_share(tenant));
            let (most, least) = (passes.clone().fold(0.0, f64::max), passes.fold(f64::MAX, f64::min));
            prop_assert!(most - least <= world.bound(), "{least} to {most}: {:?}", world.specs);
        }
    }

    #[test]
    fn slot_time_goes_by_share_up_to_the_watermarks(
        slots in 1..9usize,
        specs in vec(spec(1..5usize), 2..16),
    ) {
        let mut world = World::flooded(slots, specs);
        world.run(Duration::from_secs(300));
        world.check_due()?;
    }

    #[test]
    fn every_task_starts_in_time_whatever_arrives(
        slots in 1..5usize,
        specs in vec(spec(1..5usize), 2..8),
        arrivals in vec((0..8usize, 1..20usize, 0..4000u64), 1..100),
    ) {
        let mut world = World::new(slots, specs);
        // What it runs may end first, then the others catch up with all that they are behind.
        let shares: u32 = world.specs.iter().map(|spec| spec.share).sum();
        let bound = slots as f64 * LONGEST.as_secs_f64() + 2.0 * f64::from(shares) * world.bound();
        // What all had used when it became ready, or last started something.
        let mut since = vec![None; world.specs.len()];
        let mut arrivals = arrivals.into_iter().peekable();
        let mut next = world.now;
        while arrivals.peek().is_some() || world.next_end().is_some() {
            let started = match arrivals.next_if(|_| world.next_end().is_none_or(|end| next < end)) {
                Some((tenant, count, gap)) => {
                    world.advance(next);
                    next += Duration::from_millis(gap);
                    for _ in 0..count {
                        world.push(tenant % world.specs.len());
                    }
                    world.start()
                }
                None => world.step(),
            };
            let used: f64 = (0..since.len()).map(|tenant| world.used(tenant)).sum();
            for (tenant, since) in since.iter_mut().enumerate() {
                match since {
                    _ if !world.is_ready(tenant) => *since = None,
                    Some(since) if !started.contains(&tenant) => {
                        let waited = used - *since;
                        prop_assert!(waited <= bound, "{tenant}: {waited}, {:?}", world.specs);
                    }
                    _ => *since = Some(used),
                }
            }
        }
        prop_assert!(world.tenants.iter().all(|tenant| tenant.waiting == 0));
    }

    /// However the others come and go, over and over.
    #[test]
    fn whoever_always_wants_more_gets_its_share_at_least(
        slots in 1..5usize,
        specs in vec(spec(prop_oneof![Just(ANY), 1..5usize]), 2..5),
        pattern in vec((0..5usize, 1..20usize, 0..4000u64), 1..20),
        credit in prop_oneof![Just(Duration::ZERO), duration()],
    ) {
        let mut world = World::new(slots, specs);
        world.shares = world.shares.with_credit(credit);
        world.specs[0].watermark = ANY;
        world.shares.set(&name(0), world.specs[0].share, ANY);
        world.flood(0);
        world.start();
        let shares: u32 = world.specs.iter().map(|spec| spec.share).sum();
        for _ in 0..100 {
            for (tenant, count, gap) in &pattern {
                let tenant = 1 + tenant % (world.specs.len() - 1);
                if world.tenants[tenant].waiting < 40 {
                    (0..*count).for_each(|_| world.push(tenant));
                }
                world.start();
                world.run(Duration::from_millis(*gap));
            }
            let all: f64 = (0..world.specs.len()).map(|tenant| world.used(tenant)).sum();
            let due = f64::from(world.specs[0].share) / f64::from(shares) * all;
            let saved_up = credit.as_secs_f64() * (world.specs.len() - 1) as f64;
            let may = f64::from(world.specs[0].share) * world.bound() + saved_up;
            prop_assert!(world.used(0) >= due - may, "{} of {due}: {:?}", world.used(0), world.specs);
        }
    }

    #[test]
    fn a_newcomer_goes_before_all_who_hold_a_slot(
        slots in 1..9usize,
        specs in vec(spec(Just(ANY)), 2..8),
        before in 0..300usize,
    ) {
        let mut world = World::new(slots, specs);
        let newcomer = world.specs.len() - 1;
        for tenant in 0..newcomer {
            world.flood(tenant);
        }
        world.start();
        for _ in 0..before {
            world.step();
        }
        // So that whatever ends has had something of its slot since.
        while world.next_end() == Some(world.now) {
            world.step();
        }
        world.push(newcomer);
        let mut owed = world.tenants[..newcomer].iter().filter(|other| other.running == 0).count();
        while !world.step().contains(&newcomer) {
            prop_assert!(owed > 0, "the newcomer waits: {:?}", world.specs);
            owed -= 1;
        }
    }

    #[test]
    fn neither_idling_nor_a_watermark_earns_credit(
        slots in 1..9usize,
        before in 0..1000u64,
        watermark in 0..3usize,
    ) {
        let mut world = World::new(slots, vec![seconds(1, ANY, 1), seconds(1, watermark.max(1), 1)]);
        world.flood(0);
        match watermark {
            // Then it idles.
            0 => world.push(1),
            _ => world.flood(1),
        }
        world.start();
        world.run(Duration::from_millis(before * 100));
        let before = world.used(0) - world.used(1);
        // From now on it takes what it gets.
        world.specs[1].watermark = ANY;
        world.shares.set(&name(1), 1, ANY);
        world.flood(1);
        for _ in 0..20 * slots {
            world.step();
            let caught_up = before - (world.used(0) - world.used(1));
            prop_assert!(caught_up <= 3.0 * slots as f64, "{caught_up} caught up");
        }
    }

    #[test]
    fn what_nobody_wanted_is_not_held_against_who_took_it(
        slots in 1..9usize,
        before in 1..100u64,
    ) {
        let mut world = World::new(slots, vec![seconds(1, ANY, before), seconds(1, ANY, 1)]);
        for _ in 0..slots {
            world.push(0);
        }
        world.start();
        world.run(Duration::from_secs(before));
        world.specs[0] = seconds(1, ANY, 1);
        world.tenants = vec![Tenant::default(); 2];
        world.flood(1);
        world.flood(0);
        world.start();
        world.run(Duration::from_secs(100));
        world.check_due()?;
    }
}
