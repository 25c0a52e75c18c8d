//! What an executor says, which is taken for hostile: frames, calls, reports.

#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
mod fuzz {
    use std::pin::Pin;
    use std::sync::Arc;
    use std::time::Duration;

    use roh::config::Limits;
    use roh::executor::fuzz as executor;
    use roh::outcome::{Outcome, Reply, Report};
    use roh::sandbox::Calls;
    use roh::task::TaskId;
    use roh_fuzz::{block_on, job, limits, pieces, within};
    use serde_json::Value;

    /// What the daemon may hold at once beside what an executor sent: two buffers of 64 KiB,
    /// runs, tasks.
    const MEMORY: usize = 256 << 10;

    libfuzzer_sys::fuzz_target!(|input: &[u8]| {
        let (patient, said) = said(input);
        // A frame's body, its message, what is made of that, each as it grows.
        within(MEMORY + 16 * input.len(), || block_on(hear(&said, patient)));
    });

    /// The first byte says how the rest is said: as it is, or in pieces, each after its length
    /// in one byte and sent as a frame of its own, waiting for answers or not.
    fn said(input: &[u8]) -> (bool, Vec<Vec<u8>>) {
        let Some((how, rest)) = input.split_first() else { return (false, Vec::new()) };
        let frame = |body: &[u8]| [&(body.len() as u32).to_le_bytes(), body].concat();
        match how % 4 {
            0 | 2 => (false, vec![rest.to_vec()]),
            1 => (false, pieces(rest).map(frame).collect()),
            _ => (true, pieces(rest).map(frame).collect()),
        }
    }

    /// Answers with what it was asked, a little later.
    struct Echo;

    impl Calls for Echo {
        fn answer(&self, request: Vec<u8>) -> Pin<Box<dyn Future<Output = Vec<u8>> + Send + '_>> {
            Box::pin(async {
                tokio::task::yield_now().await;
                request
            })
        }
    }

    async fn hear(said: &[Vec<u8>], patient: bool) {
        // The second may print nothing and have no result but a digit.
        let jobs = [limits(), Limits { output: 0, result: 1, calls: 1, ..limits() }].map(job);
        let heard = executor::hear(said, patient, &jobs, Arc::new(Echo)).await;
        let heard = heard.expect("a pair of sockets");
        assert_eq!(heard.reports.len(), jobs.len());
        assert!(heard.broken.is_none_or(|why| !why.is_empty()));
        for (report, job) in heard.reports.into_iter().zip(&jobs) {
            let Some(report) = report else { continue };
            within_limits(&report, &job.limits);
            // What was believed once is believed again.
            let again = [executor::say(report.clone())];
            let job = std::slice::from_ref(job);
            let again = executor::hear(&again, false, job, Arc::new(Echo)).await;
            let again = again.expect("a pair of sockets");
            assert_eq!(again.broken, None);
            let [Some(again)] = &again.reports[..] else { panic!("no report") };
            assert_eq!(format!("{:?}", again.outcome), format!("{:?}", report.outcome));
            assert_eq!((&again.stdout, &again.stderr), (&report.stdout, &report.stderr));
        }
    }

    fn within_limits(report: &Report, limits: &Limits) {
        // A byte that is not UTF-8 becomes a character of three.
        assert!(report.stdout.len().max(report.stderr.len()) as u64 <= 3 * limits.output);
        match &report.outcome {
            Outcome::Succeeded(value) => assert!(value.get().len() as u64 <= limits.result),
            outcome => {
                let error = outcome.error().expect("it did not succeed");
                for text in [&error.kind, &error.message, &error.traceback] {
                    assert!(text.len() <= (64 << 10) + 3);
                }
            }
        }
        let usage = &report.usage;
        assert!(usage.cpu.max(usage.wall) < Duration::from_secs(60), "{usage:?}");
        assert!(usage.memory_bytes <= limits.memory);
        let reply = Reply::new(&TaskId::generate(), report, "node").to_json();
        let reply: Value = match serde_json::from_str(&reply) {
            Ok(reply) => reply,
            // Python takes numbers that serde_json does not.
            Err(error) if error.to_string().contains("out of range") => return,
            Err(error) => panic!("{error}: {reply}"),
        };
        assert_eq!(reply["status"], report.outcome.status().as_str());
    }
}

#[cfg(not(fuzzing))]
fn main() {}
