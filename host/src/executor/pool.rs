//! All executors of a node: which of them runs what, and another in the place of one
//! that died.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use super::lockdown::Walls;
use super::process::{Death, Process, Size, StartError, Watch};
use super::wire;
use crate::config::{Limits, Wall};
use crate::outcome::{Outcome, Report};
use crate::sandbox::image::Image;
use crate::sandbox::{Calls, Job};
use crate::task::TenantName;

/// Between attempts at an executor that can't be started: the first, and the longest.
const RETRY: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(10));

/// From the start of an executor to that of the next in its place, at least: whatever it
/// is that kills them, starting others must not take all of the machine.
const INTERVAL: Duration = Duration::from_millis(200);

/// Mappings of memory that an instance takes up, of as many as the kernel lets a process have: its
/// memory, its stack, and what guards them. It is five, but for one that grows.
const MAPS_EACH: u64 = 6;

/// Those that the rest of an executor takes up, and to spare: its kept instances have 800.
const MAPS_OF_REST: u64 = 3_000;

/// Where the kernel says how many a process may have.
const MAX_MAP_COUNT: &str = "/proc/sys/vm/max_map_count";

/// Instances that one process has addresses for, each with 4 GiB and what guards them.
const MOST_BY_ADDRESSES: u32 = 20_000;

/// How many instances one executor can hold, as this system is set up.
pub fn most_instances() -> u32 {
    let maps = std::fs::read_to_string(MAX_MAP_COUNT).ok();
    maps.and_then(|maps| maps.trim().parse().ok()).map_or(MOST_BY_ADDRESSES, most_by_maps)
}

fn most_by_maps(max_map_count: u64) -> u32 {
    let most = max_map_count.saturating_sub(MAPS_OF_REST) / MAPS_EACH;
    u32::try_from(most).unwrap_or(u32::MAX).clamp(1, MOST_BY_ADDRESSES)
}

/// What a node's executors are to be.
pub struct Plan {
    /// The program to start, which is this one.
    pub program: PathBuf,
    /// What instances start from.
    pub image: Image,
    /// Executors that tenants share, at least: there are more if so many can't hold all instances.
    pub shared: u32,
    /// Instances at once, over all shared executors.
    pub instances: u32,
    /// Tenants with executors of their own, as few as can hold them, and their instances at once.
    pub own: BTreeMap<TenantName, u32>,
    /// Of all tenants: they bound what an executor may say.
    pub limits: Vec<Limits>,
    /// Script images that each executor keeps, in bytes.
    pub script_images: u64,
    /// Walls without which an executor is not to be.
    pub require: Vec<Wall>,
}

impl Plan {
    /// One executor, for whoever needs no more.
    pub fn alone(image: Image, instances: u32, limits: Limits) -> Plan {
        Plan {
            program: super::program(),
            image,
            shared: 1,
            instances,
            own: BTreeMap::new(),
            limits: vec![limits],
            script_images: 0,
            require: Vec::new(),
        }
    }
}

/// A node's executors can't be had.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct ExecutorsError(#[from] StartError);

/// A node's executors. Dropped, they end, and so does what they run.
pub struct Executors {
    shared: Group,
    own: BTreeMap<TenantName, Group>,
    restarts: Arc<AtomicU64>,
}

/// Executors that are as good as each other.
struct Group {
    places: Vec<Place>,
    /// Changes when an executor came, or when a run ended.
    changed: watch::Sender<()>,
}

/// A place for one executor, taken by another when it dies.
struct Place {
    process: watch::Receiver<Occupant>,
    keeper: JoinHandle<()>,
}

/// Who is in a place.
enum Occupant {
    /// A live executor.
    Live(Arc<Process>),
    /// One died, and another is on its way.
    Coming,
    /// None could be started; it is tried again.
    Failing,
}

impl Drop for Place {
    fn drop(&mut self) {
        // With it goes the child.
        self.keeper.abort();
    }
}

/// How an executor is made.
struct Recipe {
    program: PathBuf,
    image: Image,
    longest: u64,
    require: Vec<Wall>,
    /// Executors that took the place of one that died.
    restarts: Arc<AtomicU64>,
}

impl Recipe {
    async fn start(&self, size: Size) -> Result<(Arc<Process>, Watch), StartError> {
        let Recipe { program, image, longest, require, .. } = self;
        let started = Process::start(program, image.code()?, size, *longest).await?;
        let walls = started.0.walls.clone();
        match walls.missing().find(|(wall, _)| require.contains(wall)) {
            Some((wall, why)) => Err(StartError::Wall { wall, why: why.to_owned() }),
            None => Ok(started),
        }
    }
}

impl Executors {
    /// Starts all of them, and waits until they are ready.
    ///
    /// # Errors
    /// One of them can't be set up.
    pub async fn start(plan: Plan) -> Result<Executors, ExecutorsError> {
        let Plan { program, image, shared, instances, own, limits, script_images, require } = plan;
        let memory = limits.iter().map(|limits| limits.memory).max().unwrap_or_default();
        let restarts = Arc::new(AtomicU64::new(0));
        let recipe = Arc::new(Recipe {
            program,
            image,
            longest: wire::longest_message(&limits),
            require,
            restarts: restarts.clone(),
        });
        let threads = std::thread::available_parallelism().map_err(StartError::Spawn)?.get();
        let threads = u32::try_from(threads).unwrap_or(u32::MAX);
        let start = async |count: u32, instances: u32| {
            let count = count.max(instances.div_ceil(most_instances())).max(1);
            // So much that together they have room for all, and all cores.
            let (instances, threads) = (instances.div_ceil(count), threads.div_ceil(count));
            let size = Size { instances, threads, memory, script_images };
            Group::start(&recipe, count, size).await
        };
        let shared = start(shared, instances).await?;
        let mut groups = BTreeMap::new();
        for (tenant, instances) in own {
            groups.insert(tenant, start(1, instances).await?);
        }
        Ok(Executors { shared, own: groups, restarts })
    }

    /// What holds the executors in: the same for all, and `None` while there is none.
    pub fn walls(&self) -> Option<Walls> {
        self.places().find_map(Place::live).map(|process| process.walls.clone())
    }

    /// The executors' process ids, as far as they live.
    pub fn pids(&self) -> Vec<u32> {
        self.places().filter_map(Place::live).map(|process| process.pid).collect()
    }

    /// How many live.
    pub fn alive(&self) -> usize {
        self.places().filter_map(Place::live).count()
    }

    /// How many took the place of one that died.
    pub fn restarts(&self) -> u64 {
        self.restarts.load(Ordering::Relaxed)
    }

    /// Whether every task finds an executor, now or in a moment: one that died is replaced
    /// at once, unless none can be started.
    pub fn serving(&self) -> bool {
        let mut groups = self.groups();
        groups.all(|group| group.places.iter().any(|place| !place.fails()))
    }

    fn places(&self) -> impl Iterator<Item = &Place> {
        self.groups().flat_map(|group| &group.places)
    }

    fn groups(&self) -> impl Iterator<Item = &Group> {
        std::iter::once(&self.shared).chain(self.own.values())
    }

    /// Runs `job` to its end, whatever that is; `calls` answers what its script asks for.
    /// Cancelling `stop` ends it soon, as [`Outcome::Stopped`] if it would have gone on.
    pub async fn run(&self, job: Job, calls: Arc<dyn Calls>, stop: CancellationToken) -> Report {
        let group = self.own.get(&job.tenant).unwrap_or(&self.shared);
        let report = group.run(job, calls, stop).await;
        group.changed.send_replace(());
        report
    }
}

impl Group {
    async fn start(recipe: &Arc<Recipe>, count: u32, size: Size) -> Result<Group, StartError> {
        let changed = watch::Sender::new(());
        let mut places = Vec::new();
        for _ in 0..count {
            let first = recipe.start(size).await?;
            places.push(Place::keep(recipe.clone(), size, first, changed.clone()));
        }
        Ok(Group { places, changed })
    }

    async fn run(&self, job: Job, calls: Arc<dyn Calls>, stop: CancellationToken) -> Report {
        let mut job = Box::new(job);
        let mut changed = self.changed.subscribe();
        let mut running = loop {
            changed.mark_unchanged();
            if let Some(process) = self.free(&job.tenant) {
                match process.run(job, calls.clone()) {
                    Ok(running) => break running,
                    Err(back) => job = back,
                }
                // It died just now, or another job came first: it is not chosen again.
                continue;
            }
            // Cancel-safe: nothing was handed over yet.
            tokio::select! {
                // It never fails: the sender is ours.
                _ = changed.changed() => {}
                () = stop.cancelled() => return Report::not_run(Outcome::Stopped),
            }
        };
        // Cancel-safe: a report that came stays until it is taken.
        let report = tokio::select! {
            report = running.ended() => report,
            () = stop.cancelled() => {
                running.stop();
                running.ended().await
            }
        };
        report
            .unwrap_or_else(|how| Report::not_run(Outcome::Crashed(format!("its executor {how}"))))
    }

    /// A live executor that has room: of those the one with the fewest runs of that tenant,
    /// which so spreads over all cores, and of those the one with the fewest of all.
    fn free(&self, tenant: &TenantName) -> Option<Arc<Process>> {
        let with_room = |place: &Place| {
            let process = place.live()?;
            Some((process.running(tenant)?, process))
        };
        let places = self.places.iter().filter_map(with_room);
        places.min_by_key(|(running, _)| *running).map(|(_, process)| process)
    }
}

impl Place {
    fn live(&self) -> Option<Arc<Process>> {
        match &*self.process.borrow() {
            Occupant::Live(process) => Some(process.clone()),
            Occupant::Coming | Occupant::Failing => None,
        }
    }

    fn fails(&self) -> bool {
        matches!(*self.process.borrow(), Occupant::Failing)
    }

    /// Keeps an executor in this place.
    fn keep(
        recipe: Arc<Recipe>,
        size: Size,
        (process, mut watched): (Arc<Process>, Watch),
        changed: watch::Sender<()>,
    ) -> Place {
        let (sender, receiver) = watch::channel(Occupant::Live(process));
        let keeper = tokio::spawn(async move {
            loop {
                let started = Instant::now();
                let Death { pid, how, last_words } = watched.ended().await;
                sender.send_replace(Occupant::Coming);
                tracing::error!(pid, how, ?last_words, "executor died, starting another");
                sleep_until(started + INTERVAL).await;
                let mut delay = RETRY.0;
                watched = loop {
                    match recipe.start(size).await {
                        Ok((process, watch)) => {
                            tracing::info!(pid = process.pid, "executor started");
                            recipe.restarts.fetch_add(1, Ordering::Relaxed);
                            sender.send_replace(Occupant::Live(process));
                            changed.send_replace(());
                            break watch;
                        }
                        Err(error) => {
                            sender.send_replace(Occupant::Failing);
                            let cause = std::error::Error::source(&error).map(ToString::to_string);
                            tracing::error!(%error, cause, retry_in = ?delay, "no executor");
                            sleep(delay).await;
                            delay = (delay * 2).min(RETRY.1);
                        }
                    }
                };
            }
        });
        Place { process: receiver, keeper }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_holds_what_the_kernel_has_mappings_and_addresses_for() {
        for (max_map_count, most) in
            [(65_530, 10_421), (3_006, 1), (0, 1), (1 << 20, 20_000), (u64::MAX, 20_000)]
        {
            assert_eq!(most_by_maps(max_map_count), most, "{max_map_count}");
        }
    }
}
