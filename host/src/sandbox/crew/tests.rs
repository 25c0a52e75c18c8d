//! Crews whose futures count, wait or panic. What is waited for comes, or the test hangs.

use std::future::{pending, poll_fn};
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc;
use std::task::Poll;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::sleep;

use super::*;

/// More than there are threads in a crew.
const MANY: usize = 10;

fn crew(threads: usize) -> Crew {
    let crew = Crew::new().expect("a bell");
    for _ in 0..threads {
        crew.hire(Handle::current()).expect("a thread");
    }
    crew
}

/// Has a crew listen to the other end: for each byte that comes, a future sends it back.
fn echoes(crew: &Arc<Crew>) -> UnixStream {
    let (ours, theirs) = UnixStream::pair().expect("a pair");
    theirs.set_nonblocking(true).expect("a socket");
    let (socket, spawner) = (theirs.try_clone().expect("a socket"), Arc::downgrade(crew));
    let take_in = move || {
        let mut bytes = [0; 64];
        let (Ok(read @ 1..), Some(crew)) = ((&theirs).read(&mut bytes), spawner.upgrade()) else {
            return false;
        };
        for byte in bytes[..read].iter().copied() {
            let theirs = theirs.try_clone().expect("a socket");
            crew.spawn(async move { (&theirs).write_all(&[byte]).expect("somebody reads") });
        }
        true
    };
    crew.listen(socket.into(), take_in, || {}).expect("a socket");
    ours
}

#[tokio::test(flavor = "multi_thread")]
async fn each_future_is_polled_until_it_is_over() {
    let crew = crew(2);
    let (sender, mut over) = tokio::sync::mpsc::unbounded_channel();
    for number in 0..MANY {
        let sender = sender.clone();
        crew.spawn(async move {
            for _ in 0..number {
                tokio::task::yield_now().await;
                sleep(Duration::from_millis(1)).await;
            }
            sender.send(number).expect("somebody waits");
        });
    }
    let mut all = Vec::new();
    while all.len() < MANY {
        all.push(over.recv().await.expect("each has a sender"));
    }
    all.sort_unstable();
    assert!(all.into_iter().eq(0..MANY));
    // The last may still be on its way out.
    while !crew.0.line().all.is_empty() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_costs_nobody_a_thread() {
    let crew = crew(1);
    for _ in 0..MANY {
        let (sender, over) = oneshot::channel::<()>();
        crew.spawn(async move {
            let _sender = sender;
            panic!("on purpose");
        });
        assert!(over.await.is_err());
    }
    let (sender, over) = oneshot::channel();
    crew.spawn(async move { sender.send(()).expect("somebody waits") });
    over.await.expect("a thread");
}

#[tokio::test(flavor = "multi_thread")]
async fn with_it_go_all_futures() {
    let crew = crew(2);
    let mut waiting = Vec::new();
    for number in 0..MANY {
        let (sender, over) = oneshot::channel::<()>();
        let (started, has_started) = oneshot::channel();
        crew.spawn(async move {
            let _sender = sender;
            started.send(()).expect("somebody waits");
            if number % 2 == 0 {
                pending::<()>().await;
            }
            // Always in line, or on a thread.
            poll_fn(|cx| {
                cx.waker().wake_by_ref();
                Poll::<()>::Pending
            })
            .await;
        });
        has_started.await.expect("a thread");
        waiting.push(over);
    }
    drop(crew);
    for over in waiting {
        assert!(over.await.is_err());
    }
}

/// All that wakes a thread, over and over: a lost one would end the test as a timeout.
#[tokio::test(flavor = "multi_thread")]
async fn no_word_is_missed() {
    let crew = Arc::new(crew(2));
    let mut socket = echoes(&crew);
    socket.set_read_timeout(Some(Duration::from_secs(30))).expect("a socket");
    let talk = tokio::task::spawn_blocking(move || {
        for round in 0..20_000u32 {
            // More than there are threads, one by one, or none for a while.
            let bytes = vec![7; 1 + round as usize % 4];
            for byte in &bytes {
                socket.write_all(&[*byte]).expect("somebody reads");
            }
            let mut back = vec![0; bytes.len()];
            socket.read_exact(&mut back).expect("all come back");
            assert_eq!(back, bytes);
            if round % 1000 == 0 {
                thread::sleep(Duration::from_millis(5));
            }
        }
    });
    talk.await.expect("no panic");
}

/// The other end closes right after its last word, or a while later.
#[tokio::test(flavor = "multi_thread")]
async fn the_end_is_heard_though_it_comes_with_the_last_word() {
    for round in 0..500 {
        let crew = crew(2);
        let (mut ours, mut theirs) = UnixStream::pair().expect("a pair");
        theirs.set_nonblocking(true).expect("a socket");
        let (sender, heard) = mpsc::channel();
        let socket = theirs.try_clone().expect("a socket");
        let take_in = move || {
            let mut bytes = [0; 64];
            let Ok(read) = theirs.read(&mut bytes) else { return false };
            // After the end nobody may be there.
            let _ = sender.send(read);
            read == bytes.len()
        };
        crew.listen(socket.into(), take_in, || {}).expect("a socket");
        ours.write_all(&[1; 100]).expect("somebody reads");
        if round % 2 == 0 {
            thread::sleep(Duration::from_micros(round));
        }
        drop(ours);
        while heard.recv_timeout(Duration::from_secs(30)).expect("the end") > 0 {}
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_held_back_is_handed_out() {
    let crew = crew(2);
    let (_ours, theirs) = UnixStream::pair().expect("a pair");
    let held = Arc::new(Mutex::new(0));
    let (sender, mut out) = tokio::sync::mpsc::unbounded_channel();
    let hand_out = {
        let (held, sender) = (held.clone(), sender.clone());
        move || {
            // It is called once more at the end.
            let _ = sender.send(mem::take(&mut *held.lock().expect("no panic")));
        }
    };
    crew.listen(theirs.into(), || false, hand_out).expect("a socket");
    assert!(!crew.shared().may_hold(), "this thread is none of the crew");
    for round in 1..200 {
        for _ in 0..round % 20 {
            let (shared, held, sender) = (crew.shared(), held.clone(), sender.clone());
            crew.spawn(async move {
                if shared.may_hold() {
                    *held.lock().expect("no panic") += 1;
                } else {
                    sender.send(1).expect("a test");
                }
            });
        }
        let mut missing = round % 20;
        while missing > 0 {
            missing -= out.recv().await.expect("there is a sender");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_holds_back_what_it_has_to_say_before_one_that_may_take_long() {
    let crew = crew(1);
    let (started, has_started) = oneshot::channel();
    let (go, goes) = mpsc::channel::<()>();
    let (sender, may) = oneshot::channel();
    crew.spawn(async move {
        started.send(()).expect("somebody waits");
        goes.recv().expect("somebody sends");
    });
    has_started.await.expect("a thread");
    crew.spawn(tokio::task::yield_now());
    let shared = crew.shared();
    crew.spawn(async move { sender.send(shared.may_hold()).expect("somebody waits") });
    go.send(()).expect("it waits");
    assert!(!may.await.expect("a thread"), "the one that yielded is next");
}

/// What comes just as a thread goes on with a long future is left to those that have nothing to do.
#[tokio::test(flavor = "multi_thread")]
async fn word_does_not_wait_for_who_took_it_in() {
    let crew = Arc::new(crew(2));
    let socket = Arc::new(echoes(&crew));
    socket.set_read_timeout(Some(Duration::from_secs(30))).expect("a socket");
    for _ in 0..2000 {
        let (socket, (sender, over)) = (socket.clone(), oneshot::channel());
        crew.spawn(async move {
            { &*socket }.write_all(&[1]).expect("somebody reads");
            tokio::task::yield_now().await;
            // It blocks its thread until another has run what came.
            sender.send({ &*socket }.read_exact(&mut [0])).expect("somebody waits");
        });
        over.await.expect("a thread").expect("it comes back meanwhile");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn word_is_taken_in_for_those_that_compute() {
    let crew = Arc::new(crew(1));
    let mut socket = echoes(&crew);
    let over = Arc::new(AtomicBool::new(false));
    let (started, has_started) = oneshot::channel();
    crew.spawn({
        let over = over.clone();
        async move {
            started.send(()).expect("somebody waits");
            while !over.load(Ordering::SeqCst) {
                thread::yield_now();
            }
        }
    });
    has_started.await.expect("a thread");
    socket.write_all(&[1]).expect("somebody reads");
    let waits = || crew.0.line().next.len();
    assert_eq!(waits(), 0);
    let lookout = Lookout::start(&crew).expect("a thread");
    thread::sleep(Duration::from_millis(20));
    assert_eq!(waits(), 0, "nobody told it to listen");
    lookout.orders().listen_for(Duration::from_secs(3600));
    while waits() == 0 {
        thread::yield_now();
    }
    drop(lookout);
    over.store(true, Ordering::SeqCst);
    socket.read_exact(&mut [0]).expect("it comes back");
}

/// Both kinds of bells, where the system has both.
macro_rules! bells {
    ($kind:ident) => {
        mod $kind {
            use super::super::bell::$kind::Bell;
            use super::*;

            #[test]
            fn who_waits_is_called_though_the_call_came_before() {
                let bell = Bell::new().expect("a bell");
                for _ in 0..3 {
                    bell.ring();
                    assert_eq!(bell.wait(), Woken::Called);
                }
            }

            #[test]
            fn somebody_hears_of_each_byte() {
                let bell = Bell::new().expect("a bell");
                let (ours, theirs) = UnixStream::pair().expect("a pair");
                theirs.set_nonblocking(true).expect("a socket");
                bell.listen(&theirs).expect("a socket");
                let (sender, came) = mpsc::channel();
                let over = AtomicUsize::new(0);
                thread::scope(|scope| {
                    for _ in 0..3 {
                        let (sender, bell, theirs, over) = (sender.clone(), &bell, &theirs, &over);
                        scope.spawn(move || {
                            loop {
                                let woken = bell.wait();
                                if over.load(Ordering::SeqCst) > 0 {
                                    bell.ring();
                                    return;
                                }
                                let mut bytes = [0; 8];
                                if matches!(woken, Woken::ToListen { .. })
                                    && let Ok(read @ 1..) = { theirs }.read(&mut bytes)
                                {
                                    sender.send(read).expect("somebody waits");
                                }
                            }
                        });
                    }
                    for _ in 0..1000 {
                        { &ours }.write_all(&[1]).expect("somebody reads");
                        assert_eq!(came.recv_timeout(Duration::from_secs(30)), Ok(1));
                    }
                    over.store(1, Ordering::SeqCst);
                    bell.ring();
                });
            }
        }
    };
}

bells!(others);
#[cfg(target_os = "linux")]
bells!(linux);
