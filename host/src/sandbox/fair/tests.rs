//! Instances that only yield, end, sleep or are dropped. Slices are counted, not timed.

use std::future::{pending, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::Wake;

use proptest::collection::vec;
use proptest::prelude::*;
use tokio::task::{JoinSet, yield_now};
use tokio::time::advance;

use super::*;

/// Tells whether it was woken.
#[derive(Default)]
struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Flag>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

impl Flag {
    fn was_woken(&self) -> bool {
        self.0.swap(false, Ordering::SeqCst)
    }
}

/// What an instance does in its next poll.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Does {
    /// Uses its slice up.
    Yields,
    Sleeps,
    Ends,
    Panics,
}

type Dynamic = Box<dyn Future<Output = ()> + Unpin>;

/// An instance that is polled by hand.
struct Instance {
    fair: Fair<Dynamic, Dynamic>,
    does: Arc<Mutex<Does>>,
    polls: Arc<AtomicUsize>,
    late: Arc<AtomicBool>,
    flag: Arc<Flag>,
}

impl Instance {
    fn new(cores: &Arc<Cores>, tenant: &str, share: u32) -> Instance {
        let meter = Arc::new(Meter::new());
        let does = Arc::new(Mutex::new(Does::Yields));
        let polls = Arc::new(AtomicUsize::new(0));
        let future = poll_fn({
            let (meter, does, polls) = (meter.clone(), does.clone(), polls.clone());
            move |_| {
                polls.fetch_add(1, Ordering::SeqCst);
                let does = *does.lock().expect("no panic");
                match does {
                    Does::Yields => meter.yields(),
                    Does::Sleeps => {}
                    Does::Ends => return Poll::Ready(()),
                    Does::Panics => panic!("on purpose"),
                }
                Poll::Pending
            }
        });
        let late = Arc::new(AtomicBool::new(false));
        let is_late = poll_fn({
            let late = late.clone();
            move |_| match late.load(Ordering::SeqCst) {
                true => Poll::Ready(()),
                false => Poll::Pending,
            }
        });
        let (future, is_late): (Dynamic, Dynamic) = (Box::new(future), Box::new(is_late));
        let fair = cores.share((&TenantName::new(tenant), share), meter, is_late, future);
        Instance { fair, does, polls, late, flag: Arc::default() }
    }

    /// Polls it; whether it computed.
    fn poll(&mut self, does: Does) -> bool {
        let before = self.polls.load(Ordering::SeqCst);
        *self.does.lock().expect("no panic") = does;
        let waker = Waker::from(self.flag.clone());
        let _ = Pin::new(&mut self.fair).poll(&mut Context::from_waker(&waker));
        self.polls.load(Ordering::SeqCst) > before
    }
}

#[test]
fn nobody_waits_while_there_are_cores_enough() {
    let cores = Cores::new(2, || ());
    let mut a = Instance::new(&cores, "a", 1);
    let mut b = Instance::new(&cores, "b", 1);
    for _ in 0..5 {
        assert!(a.poll(Does::Yields) && b.poll(Does::Yields));
        assert!(a.flag.was_woken() && b.flag.was_woken(), "both go on");
    }
    assert!(a.poll(Does::Sleeps) && b.poll(Does::Ends));
    assert!(!a.flag.was_woken() && !b.flag.was_woken());
    assert_eq!(cores.held(), 0);
}

#[test]
fn a_core_goes_to_whoever_waits_and_back() {
    let cores = Cores::new(1, || ());
    let mut a = Instance::new(&cores, "a", 1);
    let mut b = Instance::new(&cores, "b", 1);
    assert!(a.poll(Does::Yields));
    assert!(a.flag.was_woken());
    assert!(!b.poll(Does::Yields), "a has the core");
    assert!(!b.poll(Does::Yields), "however often it is polled");
    assert!(a.poll(Does::Yields));
    assert!(b.flag.was_woken() && !a.flag.was_woken());
    assert!(!a.poll(Does::Yields), "b has not been polled yet, but has the core");
    assert!(b.poll(Does::Sleeps));
    assert!(a.flag.was_woken() && a.poll(Does::Ends));
    assert_eq!(cores.held(), 0);
}

#[test]
fn slices_end_early_for_who_would_be_next_and_for_nobody_else() {
    let ended = Arc::new(AtomicUsize::new(0));
    let cores = Cores::new(1, {
        let ended = ended.clone();
        move || {
            ended.fetch_add(1, Ordering::SeqCst);
        }
    });
    let (a, b) = (TenantName::new("a"), TenantName::new("b"));
    let mut first = Instance::new(&cores, "a", 1);
    first.fair.line_up();
    cores.hurry(&a);
    assert!(first.poll(Does::Yields));
    assert_eq!(ended.load(Ordering::SeqCst), 0, "nobody waits");
    let mut second = Instance::new(&cores, "b", 1);
    second.fair.line_up();
    cores.hurry(&a);
    assert_eq!(ended.load(Ordering::SeqCst), 0, "a has a core, and asks for none");
    cores.hurry(&b);
    assert_eq!(ended.load(Ordering::SeqCst), 1);
    assert!(first.poll(Does::Yields) && second.poll(Does::Sleeps));
    assert!(first.poll(Does::Yields), "it waited for its turn, which ends nobody's slice");
    assert_eq!(ended.load(Ordering::SeqCst), 1);
    // One that comes back from a sleep is in line without anybody's help.
    assert!(!second.poll(Does::Yields));
    assert_eq!(ended.load(Ordering::SeqCst), 2);
}

#[test]
fn whoever_is_dropped_or_panics_leaves_its_core_to_the_next() {
    let cores = Cores::new(1, || ());
    let of = |tenant| Instance::new(&cores, tenant, 1);
    let (mut a, mut b, mut c, mut d, mut e) = (of("a"), of("b"), of("c"), of("d"), of("e"));
    assert!(a.poll(Does::Yields));
    assert!(![&mut b, &mut c, &mut d, &mut e].into_iter().any(|other| other.poll(Does::Yields)));
    drop(b);
    drop(a);
    assert!(c.flag.was_woken(), "a had the core, and b waited for it");
    drop(c);
    assert!(d.flag.was_woken(), "c had been given the core");
    assert!(catch_unwind(AssertUnwindSafe(|| d.poll(Does::Panics))).is_err());
    drop(d);
    assert!(e.flag.was_woken() && e.poll(Does::Ends));
    assert_eq!(cores.held(), 0);
}

#[test]
fn the_waker_of_the_last_poll_is_called() {
    let cores = Cores::new(1, || ());
    let mut a = Instance::new(&cores, "a", 1);
    let mut b = Instance::new(&cores, "b", 1);
    assert!(a.poll(Does::Yields) && !b.poll(Does::Yields));
    let old = mem::take(&mut b.flag);
    assert!(!b.poll(Does::Yields));
    assert!(a.poll(Does::Ends));
    assert!(b.flag.was_woken() && !old.was_woken());
}

#[test]
fn whoever_is_late_does_not_wait_for_its_turn() {
    let cores = Cores::new(1, || ());
    let mut a = Instance::new(&cores, "a", 1);
    let mut b = Instance::new(&cores, "b", 1);
    let mut c = Instance::new(&cores, "c", 1);
    assert!(a.poll(Does::Yields) && !b.poll(Does::Yields) && !c.poll(Does::Yields));
    c.late.store(true, Ordering::SeqCst);
    assert!(c.poll(Does::Sleeps), "out of turn");
    assert_eq!(cores.held(), 1);
    assert!(c.poll(Does::Yields) && c.poll(Does::Yields), "it waits for nobody any more");
    assert!(a.poll(Does::Ends) && b.flag.was_woken() && b.poll(Does::Ends));
    assert!(c.poll(Does::Ends));
    assert_eq!(cores.held(), 0);
}

proptest! {
    /// Whatever happens, as many compute as may, and who is woken has a core.
    #[test]
    fn cores_are_neither_lost_nor_made(
        count in 1..4usize,
        tenants in vec((0..3usize, 1..4u32), 1..10),
        steps in vec((0..10usize, 0..12u8), 0..200),
    ) {
        let cores = Cores::new(count, || ());
        let mut instances: Vec<_> = tenants
            .into_iter()
            .map(|(tenant, share)| Some(Instance::new(&cores, &tenant.to_string(), share)))
            .collect();
        for (nth, step) in steps {
            let nth = nth % instances.len();
            let Some(instance) = &mut instances[nth] else { continue };
            match step {
                0 => instances[nth] = None,
                1 => {
                    // One that ended is not polled again.
                    if instance.poll(Does::Ends) {
                        instances[nth] = None;
                    }
                }
                2..6 => _ = instance.poll(Does::Sleeps),
                _ => _ = instance.poll(Does::Yields),
            }
            let has = |has: fn(&Has) -> bool| {
                instances.iter().flatten().filter(|i| has(&i.fair.turn.has)).count()
            };
            let waiting = cores.turns().waiting.len();
            let given = has(|has| matches!(has, Has::Ticket(_))) - waiting;
            let held = has(|has| matches!(has, Has::Core)) + given;
            prop_assert_eq!(held, cores.held());
            prop_assert!(held <= count && (waiting == 0 || held == count));
        }
        // Those that were woken go on, and so do all in the end.
        while let Some(nth) = instances.iter().position(Option::is_some) {
            let woken = instances.iter().position(|instance| {
                instance.as_ref().is_some_and(|instance| instance.flag.was_woken())
            });
            let nth = woken.unwrap_or(nth);
            if instances[nth].as_mut().is_some_and(|instance| instance.poll(Does::Ends)) {
                instances[nth] = None;
            } else {
                prop_assert_eq!(cores.held(), count);
            }
        }
        prop_assert_eq!(cores.held(), 0);
    }
}

impl Cores {
    fn held(&self) -> usize {
        self.turns().shares.running()
    }
}

/// Runs busy instances, in all `slices`, and says how many each tenant had of those.
async fn busy(cores: usize, instances: &[(usize, u32)], slices: usize) -> Vec<usize> {
    let cores = Cores::new(cores, || ());
    let had = Arc::new(Mutex::new(vec![0; 3]));
    let mut running = JoinSet::new();
    for (tenant, share) in instances.iter().copied() {
        let (meter, had) = (Arc::new(Meter::new()), had.clone());
        let name = TenantName::new(&tenant.to_string());
        let future = poll_fn({
            let meter = meter.clone();
            move |cx| {
                let mut had = had.lock().expect("no panic");
                if had.iter().sum::<usize>() == slices {
                    return Poll::Ready(());
                }
                had[tenant] += 1;
                // Its first poll sets the clock.
                let _ = pin!(advance(SLICE)).poll(cx);
                meter.yields();
                Poll::Pending
            }
        });
        running.spawn(cores.share((&name, share), meter, pending::<()>(), future));
    }
    while running.join_next().await.is_some() {}
    assert_eq!(cores.held(), 0);
    let had = had.lock().expect("no panic");
    had.clone()
}

#[tokio::test(start_paused = true)]
async fn busy_tenants_compute_by_their_shares() {
    for cores in [1, 2, 3] {
        // However many instances each has.
        for counts in [[10, 10], [20, 4], [4, 20]] {
            let of = |tenant: usize, share| std::iter::repeat_n((tenant, share), counts[tenant]);
            let instances: Vec<_> = of(0, 1).chain(of(1, 3)).collect();
            let had = busy(cores, &instances, 4000).await;
            // One that has a core waits while another thread's is simulated: not all slices
            // are as long.
            assert!(had[0].abs_diff(1000) <= 100, "{had:?} on {cores}, {counts:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_single_instance_gets_its_share_and_no_more_than_a_core() {
    let one = |share| [&[(0, share)][..], &[(1, 1); 10]].concat();
    let had = busy(1, &one(3), 4000).await;
    assert!(had[0].abs_diff(3000) <= 20, "{had:?}");
    let had = busy(4, &one(3), 4000).await;
    assert!(had[0].abs_diff(1000) <= 20, "{had:?}");
}

#[tokio::test(start_paused = true)]
async fn whoever_wakes_up_has_the_next_slice() {
    let cores = Cores::new(1, || ());
    let mut busy = [(); 5].map(|()| Instance::new(&cores, "busy", 1));
    let mut rare = Instance::new(&cores, "rare", 1);
    for _ in 0..100 {
        assert!(busy.iter_mut().any(|instance| instance.poll(Does::Yields)));
        assert!(!rare.poll(Does::Sleeps));
        advance(SLICE).await;
        assert!(busy.iter_mut().any(|instance| instance.poll(Does::Yields)));
        assert!(rare.flag.was_woken() && rare.poll(Does::Sleeps));
    }
}

/// On real threads: each instance must come to its end, whoever else is dropped.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_wakeup_is_lost() {
    let cores = Cores::new(2, || ());
    let computing = Arc::new(AtomicUsize::new(0));
    let mut running = JoinSet::new();
    for nth in 0..200 {
        let meter = Arc::new(Meter::new());
        let future = {
            let (meter, computing) = (meter.clone(), computing.clone());
            async move {
                for round in 0..50 {
                    assert!(computing.fetch_add(1, Ordering::SeqCst) < 2);
                    std::hint::spin_loop();
                    computing.fetch_sub(1, Ordering::SeqCst);
                    // Sleeps at times.
                    if (nth + round) % 3 > 0 {
                        meter.yields();
                    }
                    yield_now().await;
                }
            }
        };
        let share = 1 + nth as u32 % 3;
        let name = TenantName::new(&share.to_string());
        let fair = cores.share((&name, share), meter, pending::<()>(), Box::pin(future));
        let handle = running.spawn(fair);
        if nth % 5 == 0 {
            handle.abort();
        }
        if nth % 10 == 0 {
            yield_now().await;
        }
    }
    while let Some(ended) = running.join_next().await {
        assert!(!ended.is_err_and(|error| error.is_panic()));
    }
    assert_eq!(cores.held(), 0);
}
