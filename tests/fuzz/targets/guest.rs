//! What an instance hands its host: replies, requests, and pointers with every call.

#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
mod fuzz {
    use std::pin::Pin;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::{Arc, LazyLock};

    use roh::executor::fuzz as executor;
    use roh::outcome::Outcome;
    use roh::sandbox::{Calls, fuzz::Bench};
    use roh_fuzz::{block_on, job, limits, within};

    /// What a run may hold at once on the host's side, where strings may be as long as the
    /// guest's memory, and replies a megabyte more than a result.
    const MEMORY: usize = 8 << 20;

    static BENCH: LazyLock<Bench> = LazyLock::new(|| {
        let guest = wat::parse_str(include_str!("guest.wat")).expect("WebAssembly");
        Bench::new(&guest, limits().memory).expect("a sandbox")
    });

    libfuzzer_sys::fuzz_target!(|input: &[u8]| {
        LazyLock::force(&BENCH);
        within(MEMORY, || block_on(run(input)));
    });

    /// Answers the first request with the input, and others with what they ask.
    struct Script {
        input: Vec<u8>,
        asked: AtomicUsize,
    }

    impl Calls for Script {
        fn answer(&self, request: Vec<u8>) -> Pin<Box<dyn Future<Output = Vec<u8>> + Send + '_>> {
            let first = self.asked.fetch_add(1, Ordering::Relaxed) == 0;
            let answer = if first { self.input.clone() } else { request };
            Box::pin(async {
                tokio::task::yield_now().await;
                answer
            })
        }
    }

    async fn run(input: &[u8]) {
        let job = job(limits());
        let script = Arc::new(Script { input: input.to_vec(), asked: AtomicUsize::new(0) });
        let report = BENCH.run(job.clone(), script.clone()).await;
        let asked = script.asked.load(Ordering::Relaxed);
        // Those beyond the bytes that it may ask are counted, and not passed on.
        assert!(asked <= report.usage.host_calls as usize);
        assert!(report.usage.host_calls <= job.limits.calls);
        if let Outcome::Crashed(why) = &report.outcome {
            assert!(!why.is_empty());
        }
        // The daemon believes what an honest executor says of any guest.
        let said = [executor::say(report.clone())];
        let heard = executor::hear(&said, false, std::slice::from_ref(&job), script).await;
        let heard = heard.expect("a pair of sockets");
        assert_eq!(heard.broken, None);
        let [Some(heard)] = &heard.reports[..] else { panic!("no report") };
        assert_eq!(heard.outcome.status(), report.outcome.status());
        assert_eq!((&heard.stdout, &heard.stderr), (&report.stdout, &report.stderr));
    }
}

#[cfg(not(fuzzing))]
fn main() {}
