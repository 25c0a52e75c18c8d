//! Answers what scripts ask of the host, as far as their tenants are granted it, and does
//! what they ask for.
//!
//! Whoever asks is taken for hostile: an executor may ask for anything, in any number. It
//! knows nothing of instances, nor of the broker, which is the trait [`Publish`].

mod address;
mod files;
mod folder;
#[cfg(fuzzing)]
pub mod fuzz;
mod http;
mod log;
mod messages;
mod modules;
mod secrets;
mod state;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use futures_util::future::BoxFuture;
use roh_abi::{Answer, Refusal, RefusalKind, Request, Script};
use tokio::sync::Semaphore;
use tokio::task::JoinError;

pub use self::messages::{Publication, Publish, PublishError};

use self::folder::Folder;
use self::http::{Http, Network};
use self::log::Lines;
use self::messages::Submissions;
use self::modules::Modules;
use self::secrets::Secrets;
use self::state::Store;
use crate::config::{self, Config, ImageKind, Limits};
use crate::outcome::{Exception, Outcome, Report};
use crate::sandbox::{Calls, Digest, MAX_MESSAGE_BYTES, ScriptKey};
use crate::task::{TaskId, TenantName};

const TOO_MANY_BYTES: &str = "the task asked for more bytes than its limit \"call-bytes\"";

/// How many [`Threads`] are: a store commits one by one, a folder or a resolver may not answer, and
/// whoever waits for one would take the threads of all others.
const THREADS: usize = 16;

/// What the tenants of a node are granted.
pub struct Grants {
    tenants: HashMap<TenantName, Arc<Tenant>>,
    publisher: Arc<dyn Publish>,
    progress: Arc<Running>,
}

/// What one tenant is granted, ready to be used.
struct Tenant {
    name: TenantName,
    scripts: Arc<Modules>,
    /// Whether its tasks start from script images.
    images: bool,
    files: Option<Folder>,
    http: Option<Http>,
    publish: BTreeSet<String>,
    submit: Option<Submissions>,
    secrets: Secrets,
    state: Option<Arc<Store>>,
    threads: Threads,
}

/// What one tenant has, for a purpose, of the threads that the node has for what blocks.
struct Threads(Arc<Semaphore>);

/// How far the tasks have come that run and say so.
#[derive(Default)]
struct Running(Mutex<BTreeMap<(TenantName, TaskId), Progress>>);

/// How far a task has come, by its own account.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Progress {
    /// So much is done.
    pub done: f64,
    /// Of so much.
    pub total: Option<f64>,
}

/// Grants could not be made ready.
#[derive(Debug, thiserror::Error)]
pub enum GrantsError {
    /// The folder of the tenants' stores.
    #[error("cannot make the folder of [node] data, {}", path.display())]
    Folder {
        /// What is configured.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// TLS.
    #[error("cannot set up TLS")]
    Tls(#[from] rustls::Error),
}

impl Grants {
    /// What a configuration grants. `management` is where the node's own server listens,
    /// which scripts can't reach.
    ///
    /// # Errors
    /// What they need can't be made.
    pub fn new(
        config: &Config,
        management: SocketAddr,
        publisher: Arc<dyn Publish>,
    ) -> Result<Grants, GrantsError> {
        let granted =
            |of: fn(&config::Grants) -> bool| config.tenants.values().any(|t| of(&t.grants));
        let stores = match granted(|grants| grants.state.is_some()) {
            true => Some(
                state::make_folder(&config.data)
                    .map_err(|source| GrantsError::Folder { path: config.data.clone(), source })?,
            ),
            false => None,
        };
        let network = match granted(|grants| !grants.http.is_empty()) {
            true => Some(Arc::new(Network::new(management)?)),
            false => None,
        };
        let tenants = config.tenants.iter().map(|(name, tenant)| {
            let mut sources = config.sources.iter();
            let source = sources.find(|source| source.tenant == *name);
            let tenant = Tenant::new(name, tenant, source, network.as_ref(), stores.as_deref());
            (name.clone(), Arc::new(tenant))
        });
        Ok(Grants { tenants: tenants.collect(), publisher, progress: Arc::default() })
    }

    /// Nothing but a folder of scripts for one tenant.
    pub fn of_scripts(tenant: &TenantName, folder: &Path) -> Grants {
        let granted = Tenant { scripts: Modules::of(Some(folder)), ..Tenant::without(tenant) };
        Grants {
            tenants: HashMap::from([(tenant.clone(), Arc::new(granted))]),
            publisher: Arc::new(Nowhere),
            progress: Arc::default(),
        }
    }

    /// Answers one run of the task `id`, which is `depth` tasks from a client's and has
    /// these `limits`.
    pub fn session(&self, name: &TenantName, id: &TaskId, depth: u32, limits: &Limits) -> Session {
        let tenant = self.tenants.get(name).cloned();
        let lines = Lines::new(id.clone(), name.clone(), limits.log_lines);
        Session {
            tenant: tenant.unwrap_or_else(|| Arc::new(Tenant::without(name))),
            publisher: self.publisher.clone(),
            task: id.clone(),
            depth,
            limits: *limits,
            calls: AtomicU32::new(0),
            turn: tokio::sync::Mutex::new(Turn { bytes: 0, submitted: 0, lines }),
            script: OnceLock::new(),
            progress: self.progress.clone(),
        }
    }

    /// How far a running task has come, if it says so. Of two that run with one id, the
    /// one that spoke last.
    pub fn progress(&self, tenant: &TenantName, id: &TaskId) -> Option<Progress> {
        self.progress.lock().get(&(tenant.clone(), id.clone())).copied()
    }
}

impl Tenant {
    fn new(
        name: &TenantName,
        tenant: &config::Tenant,
        source: Option<&config::Source>,
        network: Option<&Arc<Network>>,
        stores: Option<&Path>,
    ) -> Tenant {
        let grants = &tenant.grants;
        Tenant {
            name: name.clone(),
            scripts: Modules::of(tenant.scripts.as_deref()),
            images: tenant.image == ImageKind::Script,
            files: grants.files.as_deref().map(Folder::new),
            http: network.and_then(|network| Http::new(name, grants, network.clone())),
            publish: grants.publish.clone(),
            submit: grants.submit.zip(source).map(|(limits, source)| Submissions {
                limits,
                exchange: source.exchange.clone(),
                routing_key: source.routing_key.clone(),
            }),
            secrets: Secrets::new(&grants.secrets),
            state: grants
                .state
                .zip(stores)
                .map(|(quota, folder)| Arc::new(Store::new(folder, name, quota))),
            threads: Threads::default(),
        }
    }

    fn without(name: &TenantName) -> Tenant {
        Tenant {
            name: name.clone(),
            scripts: Modules::of(None),
            images: false,
            files: None,
            http: None,
            publish: BTreeSet::new(),
            submit: None,
            secrets: Secrets::default(),
            state: None,
            threads: Threads::default(),
        }
    }

    /// Makes an answer that blocks.
    async fn blocking(
        &self,
        work: impl FnOnce() -> Result<Answer, Refusal> + Send + 'static,
    ) -> Result<Answer, Refusal> {
        self.threads.run(work).await.unwrap_or_else(|error| {
            tracing::error!(%error, "answer to a script failed");
            Err(refusal(RefusalKind::Failed, "the node failed"))
        })
    }
}

impl Threads {
    /// Does what blocks. If nobody waits for it any more, it goes on, and so does its thread.
    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, JoinError> {
        let permit = self.0.clone().acquire_owned().await.expect("never closed");
        let work = move || {
            let done = work();
            drop(permit);
            done
        };
        tokio::task::spawn_blocking(work).await
    }
}

impl Default for Threads {
    fn default() -> Threads {
        Threads(Arc::new(Semaphore::new(THREADS)))
    }
}

impl Running {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<(TenantName, TaskId), Progress>> {
        // Nothing panics while it holds the lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// There is no broker.
struct Nowhere;

impl Publish for Nowhere {
    fn publish(&self, _: Publication) -> BoxFuture<'_, Result<(), PublishError>> {
        Box::pin(std::future::ready(Err(PublishError::Unreachable)))
    }
}

/// Answers one run of a task, one request at a time.
pub struct Session {
    tenant: Arc<Tenant>,
    publisher: Arc<dyn Publish>,
    task: TaskId,
    depth: u32,
    limits: Limits,
    calls: AtomicU32,
    turn: tokio::sync::Mutex<Turn>,
    /// Whose top level's questions are remembered, if any.
    script: OnceLock<Digest>,
    progress: Arc<Running>,
}

/// What belongs to the request that is being answered.
struct Turn {
    /// Of all requests and answers so far.
    bytes: u64,
    submitted: u32,
    lines: Lines,
}

impl Session {
    /// Which image of `script` the run may start from: one whose top level would be told the
    /// same now. `None` if it is to run that itself.
    pub async fn script_key(&self, script: &Script) -> Option<ScriptKey> {
        let tenant = &self.tenant;
        if !tenant.images {
            return None;
        }
        let mut key = ScriptKey::alone(script);
        // Called once.
        let _ = self.script.set(key.script);
        key.answers = tenant.scripts.would_be_told(key.script, &tenant.threads).await;
        Some(key)
    }

    /// Takes the tenant's secrets out of what the task printed and raised and of why it
    /// broke, and notes what it asked for.
    pub fn finish(&self, report: &mut Report) {
        let secrets = &self.tenant.secrets;
        let output = usize::try_from(self.limits.output).unwrap_or(usize::MAX);
        secrets.redact_in(&mut report.stdout, output);
        secrets.redact_in(&mut report.stderr, output);
        match &mut report.outcome {
            Outcome::Failed(Exception { kind, message, traceback }) => {
                for text in [kind, message, traceback] {
                    secrets.redact_in(text, MAX_MESSAGE_BYTES);
                }
            }
            // An interpreter's panic says what it was given.
            Outcome::Crashed(reason) | Outcome::Invalid(reason) => {
                secrets.redact_in(reason, MAX_MESSAGE_BYTES);
            }
            Outcome::Succeeded(_)
            | Outcome::Timeout(..)
            | Outcome::OutOfMemory(_)
            | Outcome::Stopped => {}
        }
        report.usage.host_calls = self.calls.load(Ordering::Relaxed);
    }

    /// Counts a request in, and what its answer holds.
    async fn count(&self, request: &[u8]) -> Vec<u8> {
        let mut turn = self.turn.lock().await;
        let answer = match self.take(&mut turn, request.len()) {
            Ok(room) => match roh_abi::decode(request) {
                Ok(request) => self.decide(&mut turn, request, room).await,
                Err(error) => Err(refusal(RefusalKind::Invalid, error.to_string())),
            },
            Err(refusal) => Err(refusal),
        };
        let answer = roh_abi::encode(&answer.unwrap_or_else(Answer::Refused));
        turn.bytes = turn.bytes.saturating_add(answer.len() as u64);
        if turn.bytes > self.limits.call_bytes {
            return roh_abi::encode(&Answer::refused(RefusalKind::Limit, TOO_MANY_BYTES));
        }
        answer
    }

    /// Lets a request in, and says what is left for its answer.
    fn take(&self, turn: &mut Turn, request: usize) -> Result<u64, Refusal> {
        let Limits { calls, call_bytes, .. } = self.limits;
        if self.calls.load(Ordering::Relaxed) >= calls {
            let message = format!("the task reached its limit \"calls\" of {calls}");
            return Err(refusal(RefusalKind::Limit, message));
        }
        self.calls.fetch_add(1, Ordering::Relaxed);
        turn.bytes = turn.bytes.saturating_add(request as u64);
        call_bytes
            .checked_sub(turn.bytes)
            .ok_or_else(|| refusal(RefusalKind::Limit, TOO_MANY_BYTES))
    }

    async fn decide(
        &self,
        turn: &mut Turn,
        request: Request,
        room: u64,
    ) -> Result<Answer, Refusal> {
        let tenant = &self.tenant;
        let data = || tenant.files.clone().ok_or_else(|| files::none(&tenant.name));
        let store = || {
            let add = "add state = \"1MiB\" to [tenant.grants]";
            tenant.state.clone().ok_or_else(|| not_granted(&tenant.name, "state", add))
        };
        match request {
            Request::Module { name, top_level } => {
                let scripts = tenant.scripts.clone();
                let script = self.script.get().copied().filter(|_| top_level);
                tenant.blocking(move || scripts.answer(&name, script)).await
            }
            Request::Task => Err(refusal(RefusalKind::Invalid, "a task is known where it runs")),
            Request::File(path) => {
                let data = data()?;
                tenant.blocking(move || files::file(&data, &path)).await
            }
            Request::Folder(path) => {
                let data = data()?;
                tenant.blocking(move || files::folder(&data, &path)).await
            }
            Request::Http(request) => match &tenant.http {
                Some(http) => http.request(request, room).await.map(Answer::Http),
                None => {
                    let add = "add [[tenant.grants.http]] with the host";
                    Err(not_granted(&tenant.name, "http", add))
                }
            },
            Request::Publish { exchange, routing_key, content_type, body } => {
                self.publish_message(exchange, routing_key, content_type, body).await
            }
            Request::Submit { task, args, kwargs } => {
                self.submit(&mut turn.submitted, &task, &args, &kwargs).await
            }
            Request::Secret(name) => match tenant.secrets.get(&name) {
                Some(secret) => Ok(Answer::Text(secret.reveal().to_owned())),
                None => {
                    let add = format!("add {} to [tenant.grants.secrets]", quoted(&name));
                    Err(not_granted(&tenant.name, "secrets", &add))
                }
            },
            Request::StateGet(key) => {
                let store = store()?;
                tenant.blocking(move || store.get(&key)).await
            }
            Request::StateSet { key, value } => {
                let store = store()?;
                tenant.blocking(move || store.set(&key, &value)).await
            }
            Request::StateDelete(key) => {
                let store = store()?;
                tenant.blocking(move || store.delete(&key)).await
            }
            Request::StateKeys(prefix) => {
                let store = store()?;
                tenant.blocking(move || store.keys(&prefix)).await
            }
            Request::Progress { done, total } => self.note(Progress { done, total }),
            Request::Log { level, logger, message } => {
                turn.lines.write(level, &logger, &message, &tenant.secrets);
                Ok(Answer::Done)
            }
        }
    }

    fn note(&self, progress: Progress) -> Result<Answer, Refusal> {
        if !progress.done.is_finite() || !progress.total.is_none_or(f64::is_finite) {
            return Err(refusal(RefusalKind::Invalid, "progress is not a finite number"));
        }
        self.progress.lock().insert(self.key(), progress);
        Ok(Answer::Done)
    }

    fn key(&self) -> (TenantName, TaskId) {
        (self.tenant.name.clone(), self.task.clone())
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.progress.lock().remove(&self.key());
    }
}

impl Calls for Session {
    fn answer(&self, request: Vec<u8>) -> Pin<Box<dyn Future<Output = Vec<u8>> + Send + '_>> {
        Box::pin(async move { self.count(&request).await })
    }
}

fn refusal(kind: RefusalKind, message: impl Into<String>) -> Refusal {
    Refusal { kind, message: message.into() }
}

/// That `tenant` lacks a grant; `add` says what would change that.
fn not_granted(tenant: &TenantName, grant: &str, add: &str) -> Refusal {
    let tenant = quoted(tenant.as_str());
    let message = format!("tenant {tenant} lacks the grant \"{grant}\": {add}");
    refusal(RefusalKind::NotGranted, message)
}

/// What a script sent, as part of a sentence: escaped, and not too long.
fn quoted(text: &str) -> String {
    const LONGEST: usize = 200;
    match text.floor_char_boundary(LONGEST) {
        end if end < text.len() => format!("{:?}…", &text[..end]),
        _ => format!("{text:?}"),
    }
}
