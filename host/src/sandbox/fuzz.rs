//! Lets `tests/fuzz` reach what is private here. In no other build.

use super::*;

/// A sandbox whose guest is a module given as it is, one instance at a time.
pub struct Bench(Shared);

impl Bench {
    /// Compiles `guest`, whose memory may grow to so many bytes.
    pub fn new(guest: &[u8], memory: u64) -> Result<Bench, SandboxError> {
        let engine = engine::pooled(1, memory)?;
        let Ready { image, .. } = Ready::of_module(&Module::new(&engine, guest)?, 1)?;
        // It does not tick: time slices have no end.
        let ticker = engine::Ticker::start(&engine, || ())?;
        let warm = Warm::new(image, None)?;
        let scripts = Arc::new(Scripts::new(1 << 20));
        let (cores, crew) = (Cores::new(1, || ()), Crew::new()?.shared());
        Ok(Bench(Shared { warm, scripts, ticker, cores, crew }))
    }

    /// Runs `job` in a new instance, on this thread.
    pub async fn run(&self, job: Job, calls: Arc<dyn Calls>) -> Report {
        let data = Instance::new(calls, &job.limits, CancellationToken::new());
        self.0.run_instance(job, data).await.0
    }
}
