//! The choice among tenants: by share, with no credit for what was not used.

use super::*;

/// Tenants with more to do than there is room for.
struct Crowd {
    state: State<()>,
    now: Instant,
    /// Oldest first.
    running: Vec<(Key, usize)>,
    /// Starts by tenant.
    started: Vec<usize>,
}

impl Crowd {
    /// A node whose slots are all taken by another tenant, until [`Crowd::open`].
    fn new(watermark: usize, shares: &[u32]) -> Crowd {
        let tenants = tenants(shares.iter().map(|share| (*share, None)));
        let mut crowd = Crowd::with(watermark, &tenants);
        crowd.started.push(0);
        crowd.deliver(shares.len(), watermark);
        crowd
    }

    fn with(watermark: usize, tenants: &BTreeMap<TenantName, Tenant>) -> Crowd {
        Crowd {
            state: State::new(&config(watermark, 5000), tenants),
            now: Instant::now(),
            running: Vec::new(),
            started: vec![0; tenants.len()],
        }
    }

    fn open(&mut self) {
        let blocker = self.started.len() - 1;
        while let Some(nth) = self.running.iter().position(|(_, tenant)| *tenant == blocker) {
            self.finish(nth);
        }
    }

    fn deliver(&mut self, tenant: usize, count: usize) {
        for _ in 0..count {
            let task = task(envelope(task_id(0), tenant, 1, false), tenant);
            self.handle(Event::Delivered { session: SessionId(0), task, delivery: () });
        }
    }

    fn finish(&mut self, nth: usize) {
        let (key, _) = self.running.remove(nth % self.running.len());
        self.handle(Event::Finished { key, report: Box::new(Report::not_run(Outcome::Stopped)) });
    }

    fn finish_of(&mut self, tenant: usize) {
        let nth = self.running.iter().position(|(_, of)| *of == tenant);
        self.finish(nth.expect("runs one"));
    }

    fn handle(&mut self, event: Event<()>) {
        for command in self.state.handle(self.now, event) {
            if let Command::Start { key, task } = command {
                let tenant = task.args.parse().expect("the tenant's index");
                self.running.push((key, tenant));
                self.started[tenant] += 1;
            }
        }
    }

    /// Starts per share differ by one start at most, between any two tenants.
    fn check_shares(&self, shares: &[u32]) -> Result<(), TestCaseError> {
        let starts = || self.started.iter().zip(shares).map(|(n, share)| (*n as f64, *share));
        for (n, share) in starts() {
            for (other_n, other_share) in starts() {
                let apart = (n / f64::from(share) - other_n / f64::from(other_share)).abs();
                let one_start = 1.0 / f64::from(share.min(other_share));
                prop_assert!(apart <= one_start + 1e-6, "{:?} of {shares:?}", self.started);
            }
        }
        Ok(())
    }
}

proptest! {
    #[test]
    fn busy_tenants_start_by_their_shares(
        shares in vec(1..20u32, 2..5),
        watermark in 1..5usize,
        finishes in vec(0..64usize, 1..200),
    ) {
        let mut crowd = Crowd::new(watermark, &shares);
        let backlog = finishes.len() + watermark;
        for tenant in 0..shares.len() {
            crowd.deliver(tenant, backlog);
        }
        crowd.open();
        for nth in finishes {
            crowd.check_shares(&shares)?;
            crowd.finish(nth);
        }
    }

    #[test]
    fn a_flood_does_not_delay_anothers_first_task(
        flooding in 1..4usize,
        watermark in 1..5usize,
        before in vec(0..64usize, 0..100),
    ) {
        let mut crowd = Crowd::new(watermark, &vec![1; flooding + 1]);
        for tenant in 0..flooding {
            crowd.deliver(tenant, 300);
        }
        crowd.open();
        for nth in before {
            crowd.finish(nth);
        }
        crowd.started.fill(0);
        crowd.deliver(flooding, 1);
        while crowd.started[flooding] == 0 {
            crowd.finish(0);
        }
        let others: usize = crowd.started[..flooding].iter().sum();
        prop_assert!(others <= flooding, "{others} others went first");
    }

    #[test]
    fn idling_earns_no_credit(watermark in 1..5usize, before in 1..200usize) {
        let mut crowd = Crowd::new(watermark, &[1, 1]);
        crowd.deliver(0, 400);
        crowd.open();
        for _ in 0..before {
            crowd.finish(0);
        }
        crowd.started.fill(0);
        crowd.deliver(1, 400);
        for _ in 0..100 {
            crowd.finish(0);
            prop_assert!(crowd.started[0].abs_diff(crowd.started[1]) <= 1, "{:?}", crowd.started);
        }
    }

    #[test]
    fn being_at_its_watermark_earns_no_credit(before in 1..200usize) {
        // Tenant 1 may run two at once, and its first two are long.
        let mut crowd = Crowd::with(3, &tenants([(1, None), (1, Some(2))]));
        crowd.deliver(1, 200);
        crowd.deliver(0, 400);
        for _ in 0..before {
            crowd.finish_of(0);
        }
        crowd.started.fill(0);
        for _ in 0..50 {
            crowd.finish(0);
            prop_assert!(crowd.started[0] + 3 >= crowd.started[1], "{:?}", crowd.started);
        }
    }
}
