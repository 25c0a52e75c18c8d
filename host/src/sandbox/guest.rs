//! The guest's exports as typed calls. Whatever the guest returns is a claim: lengths
//! are bounded, bytes are decoded, JSON is checked.

use std::ops::Range;
use std::sync::Arc;

use futures_util::FutureExt as _;
use roh_abi::{Answer, DecodeError, Request, export, import};
use serde::Serialize;
use serde::de::DeserializeOwned;
use wasmtime::{Caller, Global, InstancePre, Linker, Module, Store, TypedFunc};

use super::instance::{Instance, MAX_PANIC_BYTES};
use super::memory::{Memory, OutOfBounds, Span};
use super::snapshot::Snapshot;

/// Most bytes of a reply beside the result: an exception and its traceback.
const REPLY_OVERHEAD: u32 = 1 << 20;

/// Everything that the guest may import, linked.
pub(super) fn linker(module: &Module) -> wasmtime::Result<Linker<Instance>> {
    let mut linker = Linker::new(module.engine());
    super::wasi::link(&mut linker, module)?;
    linker
        .func_wrap_async(import::MODULE, import::REQUEST, |caller, (ptr, len)| {
            Box::new(request(caller, Span { ptr, len }))
        })?
        .func_wrap(import::MODULE, import::ANSWER, answer)?
        .func_wrap(import::MODULE, import::PANICKED, panicked)?;
    // One that counts holds on to functions that nobody calls, and so to what they import.
    #[cfg(feature = "counting-guest")]
    linker.define_unknown_imports_as_traps(module)?;
    Ok(linker)
}

/// Passes on what the script asks for, and waits for the answer without holding a thread.
async fn request(mut caller: Caller<'_, Instance>, request: Span) -> wasmtime::Result<i64> {
    let mut memory = Memory::of(&mut caller);
    let (request, instance) = memory.split(request)?;
    // Once the top level has run, nobody here needs to know.
    let asked = match &instance.loading {
        Some(_) => roh_abi::decode::<Request>(request).ok(),
        None => None,
    };
    if let Some(loading) = &mut instance.loading
        && !matches!(asked, Some(Request::Module { .. }))
    {
        loading.depends_on_its_task();
    }
    let answer = match (instance.count_call(request.len()), &instance.loading, &asked) {
        (Err(refusal), ..) => roh_abi::encode(&refusal),
        (Ok(()), Some(loading), Some(Request::Task)) => {
            roh_abi::encode(&Answer::Task(loading.task.clone()))
        }
        (Ok(()), ..) => {
            let calls = instance.calls.clone();
            let answer = calls.answer(request.to_vec());
            let answer = super::wait::until(&mut caller, answer).await?;
            match caller.data_mut().count_answer(answer.len()) {
                Ok(()) => answer,
                Err(refusal) => roh_abi::encode(&refusal),
            }
        }
    };
    let instance = caller.data_mut();
    if let (Some(loading), Some(Request::Module { name, .. })) = (&mut instance.loading, asked) {
        loading.was_answered(name, &answer);
    }
    let len = answer.len() as i64;
    instance.answer = answer;
    Ok(len)
}

fn answer(mut caller: Caller<Instance>, ptr: i32, len: i32) -> wasmtime::Result<()> {
    let answer = std::mem::take(&mut caller.data_mut().answer);
    if len.cast_unsigned() as usize != answer.len() {
        return Err(OutOfBounds.into());
    }
    Ok(Memory::of(&mut caller).write(ptr, &answer)?)
}

fn panicked(mut caller: Caller<Instance>, ptr: i32, len: i32) -> wasmtime::Result<()> {
    let len = len.cast_unsigned().min(MAX_PANIC_BYTES as u32).cast_signed();
    let memory = Memory::of(&mut caller);
    let message = String::from_utf8_lossy(memory.bytes(Span { ptr, len })?).into_owned();
    caller.data_mut().panic = Some(message);
    Ok(())
}

/// The guest broke the boundary's rules.
#[derive(Debug, thiserror::Error)]
pub(super) enum Breach {
    #[error("the guest does not export {0:?}")]
    NoExport(&'static str),
    #[error("the guest waits before it has a task")]
    Waits,
    #[error(transparent)]
    OutOfBounds(#[from] OutOfBounds),
    #[error("the guest's reply is {0}")]
    Undecodable(#[from] DecodeError),
    #[error("the guest's reply has {0} bytes, more than it may")]
    ReplyTooLong(u32),
}

/// A live instance of the guest.
pub(super) struct Guest {
    pub(super) store: Store<Instance>,
    instance: wasmtime::Instance,
    /// The pointer of its stack in linear memory, and what it was at first.
    stack: Option<(Global, i32)>,
    alloc: TypedFunc<i32, i32>,
    /// What it is to be made as after its task; `None` for the interpreter image.
    pub(super) image: Option<Arc<Snapshot>>,
    /// The pages of its memory that it had to itself when they were last looked for.
    pub(super) own_pages: Option<Vec<Range<usize>>>,
    /// Page faults of its task until it had this instance: not the guest's doing.
    pub(super) faults_before: u64,
    /// Page faults of its tasks while they had it, all together.
    pub(super) faults: u64,
}

impl Guest {
    /// Makes an instance from its image. None of its code runs yet, so no limit of its task's and
    /// nobody's word can end it here.
    pub(super) async fn start(
        image: &InstancePre<Instance>,
        addresses: Addresses,
        mut data: Instance,
    ) -> wasmtime::Result<Guest> {
        data.addresses = addresses;
        let mut store = Store::new(image.module().engine(), data);
        store.limiter(|instance| &mut instance.memory_limit);
        store.set_epoch_deadline(1);
        store.epoch_deadline_callback(|mut store| {
            super::wait::ring_if_near(&mut store);
            Ok(store.data().end_slice()?)
        });
        let instance = image.instantiate_async(&mut store).await?;
        let memory = instance
            .get_memory(&mut store, export::MEMORY)
            .ok_or(Breach::NoExport(export::MEMORY))?;
        store.data_mut().memory = Some(memory);
        let alloc = instance.get_typed_func(&mut store, export::ALLOC)?;
        let stack = instance.get_global(&mut store, export::STACK_POINTER);
        let stack = stack.and_then(|stack| Some((stack, stack.get(&mut store).i32()?)));
        let (image, own_pages) = (None, None);
        Ok(Guest { store, instance, stack, alloc, image, own_pages, faults_before: 0, faults: 0 })
    }

    /// Gives it to another task. What the last one left in its memory is not looked at.
    pub(super) fn renew(&mut self, data: Instance) {
        let instance = self.store.data_mut();
        let before = std::mem::replace(instance, data);
        instance.memory = before.memory;
        instance.addresses = before.addresses;
        self.store.set_epoch_deadline(1);
    }

    /// Whether the task's limit of memory kept it from getting some. To be refused more is no such
    /// thing yet, where the guest says itself whether it found some among what is free.
    pub(super) fn had_no_memory(&self) -> bool {
        let instance = self.store.data();
        instance.memory_limit.reached()
            && instance.memory.zip(instance.addresses.no_memory).is_none_or(|(memory, address)| {
                memory.data(&self.store).get(address as usize) == Some(&1)
            })
    }

    /// Makes its memory `len` bytes large, unless it is that or more.
    pub(super) async fn grow_to(&mut self, len: usize) -> wasmtime::Result<()> {
        let memory = self.store.data().memory.ok_or(Breach::NoExport(export::MEMORY))?;
        let missing = len.saturating_sub(memory.data_size(&self.store)) as u64;
        let units = missing.div_ceil(memory.page_size(&self.store));
        memory.grow_async(&mut self.store, units).await?;
        Ok(())
    }

    /// Whether its stack in linear memory is as it was at first.
    pub(super) fn stack_is_empty(&mut self) -> bool {
        self.stack.is_some_and(|(stack, top)| stack.get(&mut self.store).i32() == Some(top))
    }

    /// Hands `message` to the export `name` and reads its reply, which may hold
    /// `payload` bytes beside what an exception takes.
    pub(super) async fn call<M: Serialize, R: DeserializeOwned>(
        &mut self,
        name: &'static str,
        message: &M,
        payload: u32,
    ) -> wasmtime::Result<R> {
        let store = &mut self.store;
        let message = roh_abi::encode(message);
        let len = i32::try_from(message.len()).map_err(|_| OutOfBounds)?;
        let ptr = self.alloc.call_async(&mut *store, len).await?;
        let memory = store.data().memory.ok_or(Breach::NoExport(export::MEMORY))?;
        memory.write(&mut *store, ptr.cast_unsigned() as usize, &message)?;
        drop(message);
        let function = self.instance.get_typed_func::<(i32, i32), i64>(&mut *store, name)?;
        let reply = function.call_async(&mut *store, (ptr, len)).await?.cast_unsigned();
        let (ptr, len) = ((reply >> 32) as u32, reply as u32);
        if len > payload.saturating_add(REPLY_OVERHEAD) {
            return Err(Breach::ReplyTooLong(len).into());
        }
        let (start, end) = (ptr as usize, ptr as usize + len as usize);
        let bytes = memory.data(&*store).get(start..end).ok_or(OutOfBounds)?;
        Ok(roh_abi::decode(bytes).map_err(Breach::from)?)
    }

    /// Whether its stack in linear memory ran out. An access below its end, at address 0,
    /// traps as one out of bounds.
    pub(super) fn stack_ran_out(&mut self) -> bool {
        /// A function that calls no other need not have moved the pointer past the end.
        const NEAR_THE_END: i32 = 16 << 10;
        let pointer = self.instance.get_global(&mut self.store, export::STACK_POINTER);
        let pointer = pointer.and_then(|pointer| pointer.get(&mut self.store).i32());
        pointer.is_some_and(|pointer| pointer < NEAR_THE_END)
    }

    /// Leaves something on its stack.
    #[cfg(test)]
    pub(super) fn set_stack(&mut self, pointer: i32) {
        let (stack, _) = self.stack.expect("it has one");
        stack.set(&mut self.store, pointer.into()).expect("it can be changed");
    }

    /// Size of its linear memory in bytes. It never shrinks, so this is its peak.
    pub(super) fn memory_bytes(&self) -> u64 {
        self.store.data().memory.map_or(0, |memory| memory.data_size(&self.store) as u64)
    }
}

/// Where in its memory a guest and the host tell each other something. One made by hand, in a test,
/// may do without.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Addresses {
    /// Of the byte that the host sets once a limit is near.
    pub(super) alarm: Option<u32>,
    /// Of the byte that the guest sets when it finds no memory for something.
    pub(super) no_memory: Option<u32>,
}

impl Addresses {
    /// Asks an instance that is made for it: they are the same for all of an image, and whoever
    /// answers is as its image no more. One that waits for something is none of our images.
    pub(super) fn of(image: &InstancePre<Instance>) -> wasmtime::Result<Addresses> {
        let mut store = Store::new(image.module().engine(), Instance::idle());
        store.set_epoch_deadline(1);
        let instance = image.instantiate_async(&mut store).now_or_never();
        let instance = instance.ok_or(Breach::Waits)??;
        let mut address = |function| -> wasmtime::Result<Option<u32>> {
            let Some(function) = instance.get_func(&mut store, function) else { return Ok(None) };
            let function = function.typed::<(), i32>(&store)?;
            let address = function.call_async(&mut store, ()).now_or_never();
            let address = address.ok_or(Breach::Waits)??;
            Ok(Some(address.cast_unsigned()))
        };
        let (alarm, no_memory) = (address(export::ALARM)?, address(export::NO_MEMORY)?);
        Ok(Addresses { alarm, no_memory })
    }
}
