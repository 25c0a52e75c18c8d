//! Instances that only yield, end, sleep or are dropped. Slices are counted, not timed.

use std::cell::Cell;
use std::future::{pending, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use futures_util::FutureExt as _;
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
    meanwhile: Meanwhile,
}

/// What happens while it computes next.
type Meanwhile = Arc<Mutex<Option<Box<dyn FnOnce()>>>>;

/// Lets time pass, in the middle of a poll as well.
fn pass(time: Duration) {
    let _ = advance(time).now_or_never();
}

impl Instance {
    fn new(cores: &Arc<Cores>, tenant: &str, share: u32) -> Instance {
        let meter = Arc::new(Meter::new());
        let does = Arc::new(Mutex::new(Does::Yields));
        let polls = Arc::new(AtomicUsize::new(0));
        let meanwhile = Meanwhile::default();
        let future = poll_fn({
            let (meter, does, polls) = (meter.clone(), does.clone(), polls.clone());
            let meanwhile = meanwhile.clone();
            move |_| {
                polls.fetch_add(1, Ordering::SeqCst);
                if let Some(happens) = meanwhile.lock().expect("no panic").take() {
                    happens();
                }
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
        // It is to be polled, as if it were spawned.
        let flag = Arc::new(Flag(AtomicBool::new(true)));
        Instance { fair, does, polls, late, flag, meanwhile }
    }

    /// Polls it; whether it computed.
    fn poll(&mut self, does: Does) -> bool {
        let before = self.polls.load(Ordering::SeqCst);
        *self.does.lock().expect("no panic") = does;
        self.flag.was_woken();
        let waker = Waker::from(self.flag.clone());
        let _ = Pin::new(&mut self.fair).poll(&mut Context::from_waker(&waker));
        self.polls.load(Ordering::SeqCst) > before
    }

    /// Polls it while something happens; whether it computed.
    fn poll_while(&mut self, happens: impl FnOnce() + 'static, does: Does) -> bool {
        *self.meanwhile.lock().expect("no panic") = Some(Box::new(happens));
        let polled = self.poll(does);
        *self.meanwhile.lock().expect("no panic") = None;
        polled
    }

    /// What it would be woken by.
    fn waker(&self) -> Waker {
        self.fair.place.0.clone().into()
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

#[tokio::test(start_paused = true)]
async fn a_core_goes_to_whoever_waits_and_back() {
    let cores = Cores::new(1, || ());
    let mut a = Instance::new(&cores, "a", 1);
    assert!(a.poll(Does::Yields));
    assert!(a.flag.was_woken());
    let mut b = Instance::new(&cores, "b", 1);
    assert!(!b.poll(Does::Yields), "a has the core");
    assert!(!b.poll(Does::Yields), "however often it is polled");
    assert!(a.poll(Does::Yields), "its slice is not over");
    advance(OVER).await;
    assert!(!a.poll(Does::Yields), "b has come since");
    assert!(b.flag.was_woken() && !a.flag.was_woken());
    assert!(!a.poll(Does::Yields), "b has not been polled yet, but has the core");
    assert!(b.poll(Does::Sleeps));
    assert!(a.flag.was_woken() && a.poll(Does::Ends));
    assert_eq!(cores.held(), 0);
}

/// Cores, and how often all slices were ended early.
fn counted(cores: usize) -> (Arc<Cores>, Arc<AtomicUsize>) {
    let ended = Arc::new(AtomicUsize::new(0));
    let count = ended.clone();
    let end_slices = move || {
        count.fetch_add(1, Ordering::SeqCst);
    };
    (Cores::new(cores, end_slices), ended)
}

#[tokio::test(start_paused = true)]
async fn slices_end_early_for_who_comes_before_one_that_computes() {
    let (cores, ended) = counted(1);
    let ended = || ended.load(Ordering::SeqCst);
    let (a, b) = (TenantName::new("a"), TenantName::new("b"));
    let mut first = Instance::new(&cores, "a", 1);
    cores.hurry(&a, false);
    assert!(first.poll(Does::Yields));
    assert_eq!(ended(), 0, "nobody waits");
    let mut same = Instance::new(&cores, "a", 1);
    cores.hurry(&a, false);
    assert_eq!(ended(), 0, "it waits for its own tenant");
    let mut second = Instance::new(&cores, "b", 1);
    cores.hurry(&b, false);
    assert_eq!(ended(), 1);
    cores.hurry(&b, false);
    assert_eq!(ended(), 1, "once is enough");
    advance(Duration::from_micros(1)).await;
    assert!(!first.poll(Does::Yields) && second.poll(Does::Sleeps) && same.poll(Does::Yields));
    // One that comes back from a sleep hurries without anybody's help.
    advance(LET_BE).await;
    second.waker().wake();
    assert_eq!(ended(), 2);
    assert!(!second.poll(Does::Yields) && !first.poll(Does::Yields));
    advance(Duration::from_micros(1)).await;
    assert!(!same.poll(Does::Yields));
    // It has had so much that others waited for, and saves up for some of it only.
    assert!(second.poll_while(|| pass(SLICE + CREDIT), Does::Sleeps));
    advance(LET_BE).await;
    second.waker().wake();
    assert_eq!(ended(), 2, "it must wait");
}

/// One tenant computes without end, another sends tasks of just under a slice.
#[tokio::test(start_paused = true)]
async fn who_ends_slices_early_gets_no_more_than_its_share() {
    for (short, long) in [(1, 1), (1, 10), (10, 1)] {
        for idles in [1, 5, 10, 20] {
            let (cores, ended) = counted(1);
            let (used, idle) = (SLICE * 9 / 10, SLICE * idles / 10);
            let mut busy = Instance::new(&cores, "busy", long);
            let mut had = Duration::ZERO;
            let began = Instant::now();
            for _ in 0..1000 {
                let sender = Rc::new(Cell::new(None));
                let comes = {
                    let (cores, ended, sender) = (cores.clone(), ended.clone(), sender.clone());
                    move || {
                        pass(idle);
                        let before = ended.load(Ordering::SeqCst);
                        let new = Instance::new(&cores, "sends", short);
                        cores.hurry(&TenantName::new("sends"), false);
                        sender.set(Some(new));
                        if ended.load(Ordering::SeqCst) == before {
                            pass(SLICE.saturating_sub(idle));
                        }
                    }
                };
                assert!(busy.poll_while(comes, Does::Yields));
                let mut sender = sender.take().expect("it came");
                while busy.poll_while(|| pass(SLICE), Does::Yields) {}
                had += used;
                assert!(sender.poll_while(move || pass(used), Does::Ends));
            }
            let share = f64::from(short) / f64::from(short + long);
            let saved_up = CREDIT.as_secs_f64();
            let of_all = (had.as_secs_f64() - saved_up) / began.elapsed().as_secs_f64();
            assert!(of_all <= share * 1.02, "{of_all} of the core, at {short} to {long}");
        }
    }
}

/// Each time that one of them is given the core, its thread has something else to do at first.
#[tokio::test(start_paused = true)]
async fn who_waits_for_a_thread_does_not_pay_for_its_core() {
    let cores = Cores::new(1, || ());
    let mut slices = [0; 2];
    let mut instances = ["a", "b"].map(|tenant| Instance::new(&cores, tenant, 1));
    for _ in 0..1000 {
        for (nth, instance) in instances.iter_mut().enumerate() {
            if nth == 1 && instance.flag.was_woken() {
                advance(3 * SLICE).await;
            }
            slices[nth] += usize::from(instance.poll_while(|| pass(SLICE), Does::Yields));
        }
    }
    let [first, second] = slices.map(|slices| slices as f64);
    assert!((0.95..1.05).contains(&(first / second)), "{first} to {second}");
}

/// While a thread cleans up, there may be none for who is given a core.
#[tokio::test(start_paused = true)]
async fn slices_end_early_for_who_has_a_core_and_no_thread() {
    let (cores, ended) = counted(2);
    let ended = move || ended.load(Ordering::SeqCst);
    let mut busy = Instance::new(&cores, "a", 1);
    let (new, of) = (cores.clone(), ended.clone());
    let comes = move || {
        let hurry = || Instance::new(&new, "b", 1).fair.hurries()();
        hurry();
        assert_eq!(of(), 0, "a thread comes");
        new.clean_up(&TenantName::new("c"), hurry);
        assert_eq!(of(), 1);
    };
    assert!(busy.poll_while(comes, Does::Yields));
    assert_eq!(ended(), 1);
}

/// All are asked at the same time, whenever their slices began.
#[tokio::test(start_paused = true)]
async fn a_slice_is_cut_short_for_who_is_new_and_for_nobody_else() {
    let (cores, ended) = counted(2);
    let mut busy = [(); 3].map(|()| Instance::new(&cores, "busy", 1));
    assert!(busy[0].poll(Does::Yields) && busy[1].poll(Does::Yields));
    advance(SLICE).await;
    assert!(!busy[0].poll(Does::Yields) && busy[2].poll(Does::Yields));
    advance(OVER / 2).await;
    assert!(!busy[1].poll(Does::Yields) && busy[0].poll(Does::Yields), "1 began earlier");
    assert!(busy[2].poll(Does::Yields), "1 waits, but did not come just now");
    let mut new = Instance::new(&cores, "new", 1);
    cores.hurry(&TenantName::new("new"), false);
    assert_eq!(ended.load(Ordering::SeqCst), 1);
    assert!(!busy[2].poll(Does::Yields) && new.poll(Does::Yields));
    assert!(new.poll(Does::Yields), "it is not before itself");
}

#[test]
fn whoever_is_dropped_or_panics_leaves_its_core_to_the_next() {
    let cores = Cores::new(1, || ());
    let of = |tenant| Instance::new(&cores, tenant, 1);
    let (a, mut b, mut c, mut d, mut e) = (of("a"), of("b"), of("c"), of("d"), of("e"));
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
    assert!(!b.poll(Does::Yields));
    let old = mem::take(&mut b.flag);
    assert!(!b.poll(Does::Yields));
    assert!(a.poll(Does::Ends));
    assert!(b.flag.was_woken() && !old.was_woken());
}

#[tokio::test(start_paused = true)]
async fn whoever_is_woken_is_in_line_before_it_is_polled() {
    let cores = Cores::new(1, || ());
    let mut a = Instance::new(&cores, "a", 1);
    assert!(a.poll(Does::Sleeps));
    let mut b = Instance::new(&cores, "b", 1);
    a.waker().wake();
    assert!(a.flag.was_woken());
    a.waker().wake();
    assert!(!a.flag.was_woken(), "once is enough");
    assert!(b.poll(Does::Yields), "b had the core");
    advance(OVER).await;
    assert!(!b.poll(Does::Yields), "it is a's turn");
    assert!(a.flag.was_woken() && a.poll(Does::Sleeps));
    assert!(b.flag.was_woken());
}

#[test]
fn whoever_is_woken_while_it_computes_goes_on() {
    let cores = Cores::new(1, || ());
    let mut a = Instance::new(&cores, "a", 1);
    let waker = a.waker();
    let mut polls = 0;
    let mut fair = cores.share(
        (&TenantName::new("b"), 1),
        Arc::new(Meter::new()),
        pending::<()>(),
        poll_fn(move |cx| {
            polls += 1;
            cx.waker().wake_by_ref();
            if polls < 3 { Poll::Pending } else { Poll::Ready(()) }
        }),
    );
    assert!(a.poll(Does::Ends));
    for round in 0..3 {
        let flag = Arc::new(Flag::default());
        let poll = Pin::new(&mut fair).poll(&mut Context::from_waker(&flag.clone().into()));
        assert_eq!((poll.is_ready(), flag.was_woken()), (round == 2, round < 2));
    }
    // Nor does who is over ask for anything.
    waker.wake();
    assert_eq!(cores.held(), 0);
    drop((a, fair));
    assert_eq!(cores.held(), 0);
}

#[tokio::test(start_paused = true)]
async fn whoever_yields_is_asked_whether_it_is_late() {
    let cores = Cores::new(1, || ());
    let mut a = Instance::new(&cores, "a", 1);
    let mut b = Instance::new(&cores, "b", 1);
    a.late.store(true, Ordering::SeqCst);
    advance(SLICE).await;
    assert!(a.poll(Does::Yields));
    assert!(b.flag.was_woken(), "it is b's turn");
    assert!(a.flag.was_woken() && a.poll(Does::Ends), "out of turn");
    assert!(b.poll(Does::Ends));
    assert_eq!(cores.held(), 0);
}

#[tokio::test(start_paused = true)]
async fn whoever_is_late_does_not_wait_for_its_turn() {
    let cores = Cores::new(1, || ());
    let mut a = Instance::new(&cores, "a", 1);
    assert!(a.poll(Does::Yields));
    let mut b = Instance::new(&cores, "b", 1);
    let mut c = Instance::new(&cores, "c", 1);
    assert!(!b.poll(Does::Yields) && !c.poll(Does::Yields));
    c.late.store(true, Ordering::SeqCst);
    assert!(c.poll(Does::Sleeps), "out of turn");
    assert_eq!(cores.held(), 1);
    assert!(c.poll(Does::Yields) && c.poll(Does::Yields), "it waits for nobody any more");
    assert!(c.poll(Does::Ends));
    advance(OVER).await;
    assert!(!a.poll(Does::Ends) && b.flag.was_woken() && b.poll(Does::Ends));
    assert!(a.flag.was_woken() && a.poll(Does::Ends));
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
                2..5 => _ = instance.poll(Does::Sleeps),
                5..7 => instance.waker().wake(),
                _ => _ = instance.poll(Does::Yields),
            }
            let has = |has: fn(&Has) -> bool| {
                instances.iter().flatten().filter(|i| has(&i.fair.place.0.state().has)).count()
            };
            let waiting = cores.turns().waiting.len();
            let given = has(|has| matches!(has, Has::Ticket(_))) - waiting;
            let held = has(|has| matches!(has, Has::Core | Has::OldCore)) + given;
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
        assert!(!rare.poll(Does::Sleeps));
        assert!(busy.iter_mut().any(|instance| instance.poll(Does::Yields)));
        advance(SLICE).await;
        assert!(!busy.iter_mut().any(|instance| instance.poll(Does::Yields)));
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
