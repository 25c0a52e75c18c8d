//! Random tenants, shares, watermarks, durations and arrivals, in simulated time.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

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

#[test]
fn long_tasks_get_no_more_than_short_ones() {
    for slots in [1, 2, 3, 8] {
        for shares in [[1, 1], [1, 3], [3, 1]] {
            let spec = |share, millis| Spec {
                share,
                watermark: ANY,
                durations: vec![Duration::from_millis(millis)],
            };
            let mut world = World::flooded(slots, vec![spec(shares[0], 5000), spec(shares[1], 5)]);
            world.run(Duration::from_secs(300));
            for (tenant, due) in world.due().into_iter().enumerate() {
                let used = world.used(tenant) / 300.0;
                assert!((used - due).abs() < 0.1 * due, "{used} slots of {due}: {:?}", world.specs);
            }
        }
    }
}

#[test]
fn tenants_of_one_slot_each_take_turns_by_time() {
    // More of them than slots; every other one runs short tasks.
    let spec = |tenant| Spec {
        share: 1,
        watermark: 1,
        durations: vec![if tenant % 2 == 0 { LONGEST } else { Duration::from_millis(10) }],
    };
    let mut world = World::flooded(4, (0..10).map(spec).collect());
    world.run(Duration::from_secs(300));
    for tenant in 0..10 {
        let used = world.used(tenant);
        assert!((used - 120.0).abs() < 10.0, "{used} of 120 seconds");
    }
}

#[test]
fn few_short_tasks_get_their_share_beside_many_long_ones() {
    // All of one slot each, and of the short ones fewer than slots.
    let spec = |millis| Spec { durations: vec![Duration::from_millis(millis)], ..seconds(1, 1, 0) };
    let mut world = World::flooded(4, [10, 10, 10, 5000, 5000, 5000, 5000].map(spec).into());
    world.run(Duration::from_secs(300));
    world.check_due().expect("each its due");
}

/// One that waited long for its slot is behind by that, and keeps the slot for long. What it
/// is behind by is its own.
#[test]
fn nobody_inherits_what_somebody_else_is_behind_by() {
    let specs = [200, 200, 100_000, 1].map(|duration| seconds(1, ANY, duration));
    let mut world = World::new(8, specs.into());
    world.flood(0);
    world.flood(1);
    world.start();
    world.run(Duration::from_secs(10));
    world.push(2);
    for tenant in [0, 1] {
        world.specs[tenant] = seconds(1, ANY, 1);
    }
    world.run(Duration::from_secs(1000));
    assert_eq!(world.tenants[2].running, 1);
    // Another comes again and again, and wants what it can get for a minute.
    for _ in 0..10 {
        world.tenants.iter_mut().for_each(|tenant| tenant.used = Duration::ZERO);
        world.flood(3);
        world.run(Duration::from_secs(60));
        let [first, second, newcomer] = [0, 1, 3].map(|tenant| world.used(tenant));
        assert!(first.min(second) >= 0.9 * newcomer, "{first}, {second}, newcomer {newcomer}");
        world.tenants[3].floods = false;
        world.run(Duration::from_secs(60));
    }
}

/// Of three one needs little, and gets it when it needs it. The others have the rest, and are
/// neither ahead nor behind by that.
#[test]
fn who_needs_little_moves_nobody_away_from_progress() {
    let mut specs = vec![seconds(1, ANY, 1); 4];
    specs[2].durations = vec![Duration::from_millis(300)];
    let mut world = World::new(2, specs);
    world.flood(0);
    world.flood(1);
    world.start();
    for _ in 0..5000 {
        world.push(2);
        world.start();
        world.run(Duration::from_millis(1200));
    }
    // They come to hold a slot each, and to want no more, when somebody comes.
    for tenant in [0, 1] {
        world.specs[tenant] = seconds(1, 1, 60);
        world.shares.set(&name(tenant), 1, 1);
        world.tenants[tenant].floods = false;
    }
    while (0..2).any(|tenant| world.tenants[tenant].waiting > 0) {
        world.step();
    }
    world.run(Duration::from_secs(1));
    for tenant in [3, 0, 1] {
        world.specs[tenant] = seconds(1, ANY, 1);
        world.shares.set(&name(tenant), 1, ANY);
        world.flood(tenant);
    }
    world.tenants.iter_mut().for_each(|tenant| tenant.used = Duration::ZERO);
    world.run(Duration::from_secs(300));
    for tenant in [0, 1, 3] {
        let used = world.used(tenant);
        assert!((used - 200.0).abs() < 20.0, "{tenant}: {used} of 200 seconds");
    }
}

/// Now and then one has a slot for long, and the others are behind. Who needs little all the
/// while has nothing to do with that, if it may save something up.
#[test]
fn who_needs_little_need_not_wait_for_those_that_are_behind() {
    let late = |credit| {
        let mut specs = vec![seconds(1, 1, 1); 4];
        specs[2].durations = [5, 1, 1, 1].map(Duration::from_secs).into();
        specs[3].durations = vec![Duration::from_millis(100)];
        let mut world = World::new(2, specs);
        world.shares = world.shares.with_credit(credit);
        (0..3).for_each(|tenant| world.flood(tenant));
        world.start();
        let mut late = 0;
        for _ in 0..200 {
            world.run(Duration::from_millis(1600));
            world.push(3);
            late += usize::from(!world.step().contains(&3));
            while world.tenants[3].waiting > 0 {
                world.step();
            }
        }
        late
    };
    assert_eq!(late(4 * AHEAD), 0);
    assert!(late(Duration::ZERO) > 10, "without it waits often");
}

/// One of more tenants than slots always has something running, but less than it is due.
#[test]
fn who_uses_less_than_it_is_due_saves_nothing_up() {
    for (slots, share, watermark) in [(4, 1, 1), (4, 10, 1), (2, 30, 1), (4, 5, 2)] {
        let mut specs = vec![seconds(share, watermark, 1)];
        specs.extend(vec![seconds(1, 1, 1); 10]);
        let mut world = World::flooded(slots, specs);
        world.run(Duration::from_secs(2000));
        // From now on it takes what it gets.
        world.tenants.iter_mut().for_each(|tenant| tenant.used = Duration::ZERO);
        world.specs[0].watermark = ANY;
        world.shares.set(&name(0), share, ANY);
        world.flood(0);
        world.run(Duration::from_secs(100));
        for tenant in 1..=10 {
            let got = world.used(tenant);
            let due = 100.0 * slots as f64 / f64::from(share + 10);
            let off = 2.0 * (world.specs[0].durations[0] + AHEAD).as_secs_f64();
            assert!(got >= 0.9 * due - off, "{got} of {due}: {slots} slots, share {share}");
        }
    }
}

/// One has both slots while another waits, and keeps one while nobody does.
#[test]
fn what_is_free_does_not_pay_for_what_was_not() {
    let both = Spec { durations: [10, 31].map(Duration::from_secs).into(), ..seconds(1, ANY, 0) };
    let mut world = World::new(2, vec![both, seconds(1, ANY, 1)]);
    world.push(0);
    world.push(0);
    world.start();
    world.push(1);
    world.run(Duration::from_secs(32));
    world.specs[0] = seconds(1, ANY, 1);
    world.tenants = vec![Tenant::default(); 2];
    world.flood(1);
    world.flood(0);
    world.start();
    world.run(Duration::from_secs(60));
    let more = world.used(1) - world.used(0);
    assert!((6.0..14.0).contains(&more), "{more} more than the other, of 10");
}

#[test]
fn whoever_came_first_goes_first_if_all_else_is_equal() {
    let mut world = World::new(1, vec![seconds(1, ANY, 1); 5]);
    for tenant in [3, 1, 4, 1, 3, 0] {
        world.push(tenant);
    }
    let mut order = world.start();
    while world.next_end().is_some() {
        order.extend(world.step());
    }
    assert_eq!(order, [3, 1, 4, 0, 1, 3]);
}

/// To be early is each newcomer's own, whatever its share.
#[test]
fn newcomers_go_in_the_order_in_which_they_come() {
    let mut specs = vec![seconds(1, ANY, 1); 10];
    specs[5].share = 100;
    let mut world = World::new(2, specs);
    world.flood(0);
    world.flood(1);
    world.start();
    world.run(Duration::from_secs(10));
    let front = world.shares.front(0);
    for newcomer in 2..10 {
        world.push(newcomer);
        assert_eq!(world.shares.lanes[&name(newcomer)].pass, front, "it comes at their pass");
    }
    let mut order = Vec::new();
    while order.len() < 8 {
        order.extend(world.step().into_iter().filter(|tenant| *tenant > 1));
    }
    // Who has a larger share is less early.
    assert_eq!(order, [2, 3, 4, 6, 7, 8, 9, 5]);
}

/// Were it not cheap, this would not end.
#[test]
fn a_hundred_thousand_waiting_tasks_of_a_thousand_tenants_are_no_trouble() {
    let specs = (0..1000).map(|tenant| seconds(1 + tenant % 7, 1 + tenant as usize % 3, 1));
    let mut world = World::new(64, specs.collect());
    for task in 0..100_000 {
        world.push(task % 1000);
    }
    world.start();
    while world.next_end().is_some() {
        world.step();
    }
    assert!(world.tenants.iter().all(|tenant| tenant.waiting == 0 && tenant.starts == 100));
}

#[test]
fn what_is_charged_counts_as_time_in_a_slot() {
    let (work, more) = (Duration::from_millis(10), Duration::from_millis(20));
    let (mut shares, mut now) = (Shares::new(1, AHEAD), Instant::now());
    let tenants = [name(0), name(1)];
    let mut slots = [0u32; 2];
    for key in 0..6 {
        shares.push(now, &tenants[key % 2], key);
    }
    for key in 6..3006 {
        let of = shares.start_next(now).expect("both wait") % 2;
        slots[of] += 1;
        now += work;
        shares.ended(now, &tenants[of]);
        // One of them makes as much work again, and more, outside of its slots.
        if of == 0 {
            shares.charge(now, &tenants[0], more);
        }
        shares.push(now, &tenants[of], 2 * key + of);
    }
    // 30 ms each against 10 ms.
    let ratio = f64::from(slots[1]) / f64::from(slots[0]);
    assert!((2.9..3.1).contains(&ratio), "{slots:?}");
}

/// As long as nothing but its refund tells a tenant from another, it gets as much more.
#[test]
fn what_is_refunded_does_not_count_as_time_in_a_slot() {
    let mut world = World::flooded(1, vec![seconds(1, ANY, 1); 2]);
    world.run(Duration::from_secs(10));
    for _ in 0..100 {
        // It can't use the first half of each of its slots.
        let since = world.shares.clock(world.now);
        let of = usize::from(world.tenants[1].running > 0);
        world.run(Duration::from_millis(500));
        if of == 1 {
            world.shares.refund(world.now, &name(1), since);
        }
        world.step();
    }
    let (first, second) = (world.used(0), world.used(1));
    assert!((1.8..2.2).contains(&(second / first)), "{second} to {first}");
}

/// Many slots that could not be used while nobody wanted them.
#[test]
fn what_was_free_is_not_refunded() {
    let mut world = World::new(8, vec![seconds(1, ANY, 10), seconds(1, ANY, 1)]);
    let since = world.shares.clock(world.now);
    (0..8).for_each(|_| world.push(0));
    world.start();
    world.run(Duration::from_secs(5));
    (0..8).for_each(|_| world.shares.refund(world.now, &name(0), since));
    world.specs[0] = seconds(1, ANY, 1);
    world.tenants.iter_mut().for_each(|tenant| tenant.used = Duration::ZERO);
    world.flood(1);
    world.flood(0);
    world.run(Duration::from_secs(65));
    let ahead = world.used(0) - world.used(1);
    assert!(ahead < 50.0, "{ahead} ahead, of which 40 it had before the other came");
}

#[test]
fn what_is_charged_while_others_have_all_slots_counts() {
    let (work, more) = (Duration::from_millis(10), Duration::from_secs(3));
    let (mut shares, mut now) = (Shares::new(1, AHEAD), Instant::now());
    let tenants = [name(0), name(1)];
    shares.take(now, &tenants[0]);
    now += work;
    shares.push(now, &tenants[1], 1);
    shares.ended(now, &tenants[0]);
    assert_eq!(shares.start_next(now), Some(1));
    // Nobody is ready, but who has the slot could not use it.
    now += more;
    shares.charge(now, &tenants[0], more);
    shares.push(now, &tenants[0], 0);
    shares.push(now, &tenants[1], 1);
    shares.ended(now, &tenants[1]);
    assert_eq!(shares.start_next(now), Some(1));
}

#[test]
fn what_is_charged_while_nobody_waits_is_free() {
    let work = Duration::from_micros(300);
    let (mut shares, mut now) = (Shares::new(2, AHEAD), Instant::now());
    let tenants = [name(0), name(1)];
    // One always holds a slot, and never waits for another.
    shares.take(now, &tenants[0]);
    for _ in 0..100_000 {
        shares.take(now, &tenants[0]);
        now += work;
        shares.ended(now, &tenants[0]);
        shares.charge(now, &tenants[0], work);
    }
    // Then both want all that there is.
    for key in 0..100 {
        shares.push(now, &tenants[1 - key as usize % 2], 1_000_001 + key);
    }
    shares.ended(now, &tenants[0]);
    let mut slots = [0; 2];
    for _ in 0..10 {
        let both = [(); 2].map(|()| shares.start_next(now).expect("both wait") as usize % 2);
        now += AHEAD;
        for of in both {
            slots[of] += 1;
            shares.ended(now, &tenants[of]);
        }
    }
    assert!((9..=11).contains(&slots[0]), "{slots:?}");
}
