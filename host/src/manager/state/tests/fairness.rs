//! The state shares its slots as configured; that this is fair is tested where it is
//! decided, in `shares`.

use super::*;

/// Tenants with more to do than there is room for, in simulated time.
struct Crowd {
    state: State<()>,
    now: Instant,
    /// What runs: when it ends, its key, whose it is.
    running: BTreeSet<(Instant, Key, usize)>,
    durations: Vec<Duration>,
    /// Time in slots, by tenant.
    used: Vec<Duration>,
}

impl Crowd {
    fn new(watermark: usize, shares: &[u32], durations: Vec<Duration>) -> Crowd {
        let tenants = tenants(shares.iter().map(|share| (*share, None)));
        Crowd {
            state: State::new(&config(watermark, 5000), &tenants),
            now: Instant::now(),
            running: BTreeSet::new(),
            used: vec![Duration::ZERO; shares.len()],
            durations,
        }
    }

    fn deliver(&mut self, tenant: usize, count: usize) {
        for _ in 0..count {
            let task = task(envelope(task_id(0), tenant, 1, false), tenant);
            self.handle(Event::Delivered { session: SessionId(0), task, delivery: () });
        }
    }

    /// Goes on to the next end of a task, and says whose starts then.
    fn step(&mut self) -> Vec<usize> {
        let (end, key, tenant) = self.running.pop_first().expect("something runs");
        let passed = end - self.now;
        self.now = end;
        for of in self.running.iter().map(|(_, _, of)| *of).chain([tenant]) {
            self.used[of] += passed;
        }
        let report = Box::new(Report::not_run(Outcome::Stopped));
        self.handle(Event::Finished { key, report })
    }

    fn handle(&mut self, event: Event<()>) -> Vec<usize> {
        let mut started = Vec::new();
        for command in self.state.handle(self.now, event) {
            if let Command::Start { key, task } = command {
                let tenant = task.args.parse().expect("the tenant's index");
                self.running.insert((self.now + self.durations[tenant], key, tenant));
                started.push(tenant);
            }
        }
        started
    }
}

fn millis(count: usize) -> impl Strategy<Value = Vec<Duration>> {
    vec((1..3000u64).prop_map(Duration::from_millis), count)
}

proptest! {
    #[test]
    fn slot_time_goes_by_the_configured_shares(
        watermark in 1..5usize,
        (shares, durations) in (2..5usize).prop_flat_map(|n| (vec(1..20u32, n), millis(n))),
    ) {
        let mut crowd = Crowd::new(watermark, &shares, durations);
        for tenant in 0..shares.len() {
            crowd.deliver(tenant, 300);
        }
        let longest = Duration::from_secs(3) + AHEAD;
        for _ in 0..200 {
            crowd.step();
            let by_share = crowd.used.iter().zip(&shares).map(|(used, share)| *used / *share);
            let (most, least) = (by_share.clone().max(), by_share.min());
            // What the first tenant got ran before there was a choice.
            let bound = longest * 2 * watermark as u32 / *shares.iter().min().expect("some");
            prop_assert!(most <= least.map(|least| least + bound), "{:?} of {shares:?}", crowd.used);
        }
    }

    #[test]
    fn a_flood_does_not_delay_anothers_first_task(
        flooding in 1..4usize,
        watermark in 4..8usize,
        before in 0..100usize,
        durations in millis(4),
    ) {
        let mut crowd = Crowd::new(watermark, &[1; 4], durations);
        for tenant in 0..flooding {
            crowd.deliver(tenant, 300);
        }
        for _ in 0..before {
            crowd.step();
        }
        // So that whatever ends has had something of its slot since.
        while crowd.running.first().is_some_and(|(end, ..)| *end == crowd.now) {
            crowd.step();
        }
        crowd.deliver(3, 1);
        let holds = |tenant| crowd.running.iter().any(|(_, _, of)| *of == tenant);
        let mut without = (0..flooding).filter(|tenant| !holds(*tenant)).count();
        while !crowd.step().contains(&3) {
            prop_assert!(without > 0, "others with a slot go first");
            without -= 1;
        }
    }
}
