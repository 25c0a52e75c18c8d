//! WASI preview 1 as the guest's libc needs it: clocks, random, output and sleep.
//! Everything else says no.
//!
//! Source: the wasi_snapshot_preview1 witx documents.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;
use wasmtime::{Caller, Linker, Module, Val};

use super::instance::{Instance, Interrupt};
use super::memory::{Memory, Span};

/// The namespace of these functions.
pub(super) const MODULE: &str = "wasi_snapshot_preview1";

/// Most buffers in one write, and events in one poll, as POSIX has it.
const MAX_VECTORS: u32 = 1024;

/// Most random bytes in one call.
const MAX_RANDOM: u32 = 1 << 20;

/// What a call returns to the guest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i32)]
enum Errno {
    Success = 0,
    BadDescriptor = 8,
    Fault = 21,
    Invalid = 28,
    Io = 29,
    NotSupported = 58,
    Seek = 70,
    NotCapable = 76,
}

type Done = Result<(), Errno>;

impl From<super::memory::OutOfBounds> for Errno {
    fn from(_: super::memory::OutOfBounds) -> Errno {
        Errno::Fault
    }
}

fn errno(done: Done) -> i32 {
    done.err().unwrap_or(Errno::Success) as i32
}

/// Calls that are refused whatever their arguments, and how. The guest's libc wants
/// them to be there; no script needs them.
const REFUSED: &[(&str, Errno)] = &[
    ("fd_close", Errno::BadDescriptor),
    ("fd_fdstat_set_flags", Errno::BadDescriptor),
    ("fd_filestat_set_size", Errno::BadDescriptor),
    // Says that there are no folders to begin with.
    ("fd_prestat_dir_name", Errno::BadDescriptor),
    ("fd_prestat_get", Errno::BadDescriptor),
    ("fd_readdir", Errno::BadDescriptor),
    ("fd_seek", Errno::Seek),
    ("fd_sync", Errno::BadDescriptor),
    ("path_create_directory", Errno::NotCapable),
    ("path_filestat_get", Errno::NotCapable),
    ("path_filestat_set_times", Errno::NotCapable),
    ("path_link", Errno::NotCapable),
    ("path_open", Errno::NotCapable),
    ("path_readlink", Errno::NotCapable),
    ("path_remove_directory", Errno::NotCapable),
    ("path_rename", Errno::NotCapable),
    ("path_unlink_file", Errno::NotCapable),
];

/// Adds what `module` imports from WASI.
///
/// # Errors
/// An import that is neither implemented nor refused here is left undefined, and
/// instantiation says so.
pub(super) fn link(linker: &mut Linker<Instance>, module: &Module) -> wasmtime::Result<()> {
    for import in module.imports().filter(|import| import.module() == MODULE) {
        let refused = REFUSED.iter().find(|(name, _)| *name == import.name());
        if let (Some(&(name, errno)), Some(ty)) = (refused, import.ty().func()) {
            linker.func_new(MODULE, name, ty.clone(), move |_, _, results| {
                results.fill(Val::I32(errno as i32));
                Ok(())
            })?;
        }
    }
    linker
        .func_wrap(MODULE, "args_sizes_get", nothing_there)?
        .func_wrap(MODULE, "environ_sizes_get", nothing_there)?
        .func_wrap(MODULE, "args_get", |_: i32, _: i32| Errno::Success as i32)?
        .func_wrap(MODULE, "environ_get", |_: i32, _: i32| Errno::Success as i32)?
        .func_wrap(MODULE, "clock_res_get", |caller: Caller<_>, clock, out| {
            errno(clock_res_get(caller, clock, out))
        })?
        .func_wrap(MODULE, "clock_time_get", |caller: Caller<_>, clock, _: i64, out| {
            errno(clock_time_get(caller, clock, out))
        })?
        .func_wrap(MODULE, "random_get", |caller: Caller<_>, ptr, len| {
            errno(random_get(caller, ptr, len))
        })?
        .func_wrap(MODULE, "fd_write", |caller: Caller<_>, fd, iovs, n, out| {
            errno(fd_write(caller, fd, iovs, n, out))
        })?
        .func_wrap(MODULE, "fd_read", |caller: Caller<_>, fd, _: i32, _: i32, out| {
            errno(fd_read(caller, fd, out))
        })?
        .func_wrap(MODULE, "fd_fdstat_get", |caller: Caller<_>, fd, out| {
            errno(fd_fdstat_get(caller, fd, out))
        })?
        .func_wrap(MODULE, "fd_filestat_get", |caller: Caller<_>, fd, out| {
            errno(fd_filestat_get(caller, fd, out))
        })?
        .func_wrap_async(MODULE, "sched_yield", |_: Caller<Instance>, ()| {
            Box::new(async {
                tokio::task::yield_now().await;
                Errno::Success as i32
            })
        })?
        .func_wrap_async(MODULE, "poll_oneoff", |caller: Caller<_>, (subs, events, n, out)| {
            Box::new(
                async move { Ok(errno(poll_oneoff(caller, Poll { subs, events, n, out }).await?)) },
            )
        })?
        .func_wrap(MODULE, "proc_exit", |code: i32| -> wasmtime::Result<()> {
            Err(Interrupt::Exit(code).into())
        })?;
    Ok(())
}

/// No arguments, no environment: zero of them, in zero bytes.
fn nothing_there(mut caller: Caller<Instance>, count: i32, bytes: i32) -> i32 {
    let mut memory = Memory::of(&mut caller);
    errno((|| Ok(memory.write_u32(count, 0).and_then(|()| memory.write_u32(bytes, 0))?))())
}

#[derive(Debug, Clone, Copy)]
enum Clock {
    /// Since 1970.
    Real,
    /// Since the instance started, so that it tells nothing of the host's uptime; where it
    /// started from a script image, since the instance started that this was taken of.
    Monotonic,
    /// What the instance used.
    Cpu,
}

impl Clock {
    fn parse(id: i32) -> Result<Clock, Errno> {
        match id {
            0 => Ok(Clock::Real),
            1 => Ok(Clock::Monotonic),
            2 | 3 => Ok(Clock::Cpu),
            _ => Err(Errno::Invalid),
        }
    }

    fn now(self, instance: &Instance) -> Duration {
        match self {
            Clock::Real => SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default(),
            Clock::Monotonic => instance.monotonic(),
            Clock::Cpu => instance.meter.cpu(),
        }
    }
}

fn clock_res_get(mut caller: Caller<Instance>, clock: i32, out: i32) -> Done {
    Clock::parse(clock)?;
    Ok(Memory::of(&mut caller).write_u64(out, 1)?)
}

fn clock_time_get(mut caller: Caller<Instance>, clock: i32, out: i32) -> Done {
    let now = nanos(Clock::parse(clock)?.now(caller.data()));
    Ok(Memory::of(&mut caller).write_u64(out, now)?)
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

fn random_get(mut caller: Caller<Instance>, ptr: i32, len: i32) -> Done {
    if len.cast_unsigned() > MAX_RANDOM {
        return Err(Errno::Invalid);
    }
    if let Some(loading) = &mut caller.data_mut().loading {
        loading.was_random();
    }
    let mut memory = Memory::of(&mut caller);
    getrandom::fill(memory.bytes_mut(Span { ptr, len })?).map_err(|_| Errno::Io)
}

fn fd_write(mut caller: Caller<Instance>, fd: i32, iovs: i32, count: i32, out: i32) -> Done {
    let count = vectors(count)?;
    if !matches!(fd, 1 | 2) {
        return Err(Errno::BadDescriptor);
    }
    let mut memory = Memory::of(&mut caller);
    let mut written = 0u32;
    for i in 0..count {
        let (buffer, instance) = memory.split(memory.span_at(iovs, i)?)?;
        let capture = if fd == 1 { &mut instance.stdout } else { &mut instance.stderr };
        capture.write(buffer);
        // What the limit drops counts as written: a script does not notice.
        written = written.saturating_add(buffer.len() as u32);
    }
    Ok(memory.write_u32(out, written)?)
}

fn vectors(count: i32) -> Result<u32, Errno> {
    match count.cast_unsigned() {
        count @ 0..=MAX_VECTORS => Ok(count),
        _ => Err(Errno::Invalid),
    }
}

/// Standard input is empty.
fn fd_read(mut caller: Caller<Instance>, fd: i32, out: i32) -> Done {
    match fd {
        0 => Ok(Memory::of(&mut caller).write_u32(out, 0)?),
        _ => Err(Errno::BadDescriptor),
    }
}

/// The standard streams are of no known type and may be written to, no more.
fn fd_fdstat_get(mut caller: Caller<Instance>, fd: i32, out: i32) -> Done {
    const RIGHT_READ: u64 = 1 << 1;
    const RIGHT_WRITE: u64 = 1 << 6;
    let rights = match fd {
        0 => RIGHT_READ,
        1 | 2 => RIGHT_WRITE,
        _ => return Err(Errno::BadDescriptor),
    };
    let mut stat = [0; 24];
    stat[8..16].copy_from_slice(&rights.to_le_bytes());
    Ok(Memory::of(&mut caller).write(out, &stat)?)
}

fn fd_filestat_get(mut caller: Caller<Instance>, fd: i32, out: i32) -> Done {
    match fd {
        0..=2 => Ok(Memory::of(&mut caller).write(out, &[0; 64])?),
        _ => Err(Errno::BadDescriptor),
    }
}

/// The arguments of `poll_oneoff`.
struct Poll {
    subs: i32,
    events: i32,
    n: i32,
    out: i32,
}

/// One thing that the guest waits for.
struct Subscription {
    user_data: u64,
    what: Awaited,
}

enum Awaited {
    /// A moment; `None` if it is too far off to come.
    Clock(Option<Instant>),
    /// A file descriptor to read (1) or to write (2): there is none to wait for.
    Descriptor(u8),
}

/// Sleeps until the first of the subscribed moments, without holding a thread.
async fn poll_oneoff(mut caller: Caller<'_, Instance>, poll: Poll) -> Result<Done, Interrupt> {
    let subscriptions = match read_subscriptions(&mut caller, &poll) {
        Ok(subscriptions) => subscriptions,
        Err(errno) => return Ok(Err(errno)),
    };
    let at_once = subscriptions.iter().any(|s| matches!(s.what, Awaited::Descriptor(_)));
    let moments = subscriptions.iter().filter_map(|s| match s.what {
        Awaited::Clock(at) => at,
        Awaited::Descriptor(_) => None,
    });
    let first = moments.min();
    if !at_once {
        super::wait::sleep(&mut caller, first).await?;
    }
    let now = Instant::now();
    // A sleep that was cut short is over, too: the guest's C library wants its event.
    let is_over = |at: Option<Instant>| at.is_some_and(|at| at <= now) || !at_once && at == first;
    Ok(write_events(&mut caller, &poll, &subscriptions, is_over))
}

const SUBSCRIPTION_BYTES: u32 = 48;
const EVENT_BYTES: u32 = 32;

fn read_subscriptions(
    caller: &mut Caller<'_, Instance>,
    poll: &Poll,
) -> Result<Vec<Subscription>, Errno> {
    let count = vectors(poll.n)?;
    if count == 0 {
        return Err(Errno::Invalid);
    }
    let memory = Memory::of(caller);
    let bytes = memory.array(poll.subs, count, SUBSCRIPTION_BYTES)?;
    let now = Instant::now();
    let field = |sub: &[u8], at: usize| u64::from_le_bytes(std::array::from_fn(|i| sub[at + i]));
    bytes
        .chunks_exact(SUBSCRIPTION_BYTES as usize)
        .map(|sub| {
            let what = match sub[8] {
                0 => {
                    let clock = Clock::parse(field(sub, 16) as u32 as i32)?;
                    let timeout = Duration::from_nanos(field(sub, 24));
                    let absolute = field(sub, 40) & 1 == 1;
                    let wait = match absolute {
                        true => timeout.saturating_sub(clock.now(memory.instance())),
                        false => timeout,
                    };
                    Awaited::Clock(now.checked_add(wait))
                }
                kind @ (1 | 2) => Awaited::Descriptor(kind),
                _ => return Err(Errno::Invalid),
            };
            Ok(Subscription { user_data: field(sub, 0), what })
        })
        .collect()
}

fn write_events(
    caller: &mut Caller<'_, Instance>,
    poll: &Poll,
    subscriptions: &[Subscription],
    is_over: impl Fn(Option<Instant>) -> bool,
) -> Done {
    let mut events = Vec::new();
    for subscription in subscriptions {
        let (errno, kind) = match subscription.what {
            Awaited::Clock(at) if is_over(at) => (Errno::Success, 0),
            Awaited::Clock(_) => continue,
            Awaited::Descriptor(kind) => (Errno::NotSupported, kind),
        };
        let mut event = [0; EVENT_BYTES as usize];
        event[..8].copy_from_slice(&subscription.user_data.to_le_bytes());
        event[8..10].copy_from_slice(&(errno as u16).to_le_bytes());
        event[10] = kind;
        events.extend_from_slice(&event);
    }
    let count = events.len() as u32 / EVENT_BYTES;
    let mut memory = Memory::of(caller);
    memory.write(poll.events, &events)?;
    Ok(memory.write_u32(poll.out, count)?)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::Arc;

    use tokio_util::sync::CancellationToken;
    use wasmtime::Store;

    use super::*;
    use crate::config::Limits;
    use crate::sandbox::{NoCalls, engine, guest};

    /// What the guest imports: a test with the guest at hand holds it against the same list.
    const IMPORTS: &str = include_str!("imports.txt");

    #[test]
    fn a_guest_can_import_what_is_listed_and_nothing_else() {
        let listed: BTreeSet<_> = IMPORTS.lines().collect();
        let import = |(module, name)| format!("(import {module:?} {name:?} (func))");
        let imports = listed.iter().filter_map(|line| line.split_once(' ')).map(import);
        let text = format!("(module {})", imports.collect::<String>());
        let engine = engine::compiling().expect("an engine");
        let module = wat::parse_str(text).expect("valid text");
        let module = Module::new(&engine, module).expect("a module");
        let data = Instance::new(Arc::new(NoCalls), &Limits::default(), CancellationToken::new());
        let mut store = Store::new(&engine, data);
        let linker = guest::linker(&module).expect("linked");
        let defined = linker.iter(&mut store).map(|(module, name, _)| format!("{module} {name}"));
        let refused = REFUSED.iter().map(|(name, _)| format!("{MODULE} {name}"));
        let all: BTreeSet<_> = defined.chain(refused).collect();
        assert_eq!(all, listed.into_iter().map(str::to_owned).collect());
    }
}
