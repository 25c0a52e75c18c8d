//! The guest's linear memory, read and written with bounds checked: whatever the guest
//! passes as a pointer or a length is a claim.

use wasmtime::Caller;

use super::instance::Instance;

/// A place in the guest's memory, as the guest names it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Span {
    pub(super) ptr: i32,
    pub(super) len: i32,
}

/// The guest named a place outside of its memory.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("the guest points outside of its memory")]
pub(super) struct OutOfBounds;

/// The memory of the guest that calls, and the host's data of its instance.
pub(super) struct Memory<'a> {
    bytes: &'a mut [u8],
    instance: &'a mut Instance,
}

impl<'a> Memory<'a> {
    /// That of the calling guest; empty while it is being instantiated.
    pub(super) fn of(caller: &'a mut Caller<'_, Instance>) -> Memory<'a> {
        let memory = match caller.data().memory {
            Some(memory) => Some(memory),
            // A guest that runs before its snapshot: nobody has looked yet.
            None => caller.get_export(roh_abi::export::MEMORY).and_then(|e| e.into_memory()),
        };
        match memory {
            Some(memory) => {
                let (bytes, instance) = memory.data_and_store_mut(caller);
                Memory { bytes, instance }
            }
            None => Memory { bytes: &mut [], instance: caller.data_mut() },
        }
    }

    pub(super) fn instance(&self) -> &Instance {
        self.instance
    }

    pub(super) fn bytes(&self, span: Span) -> Result<&[u8], OutOfBounds> {
        self.bytes.get(range(span.ptr, span.len.cast_unsigned().into())?).ok_or(OutOfBounds)
    }

    pub(super) fn bytes_mut(&mut self, span: Span) -> Result<&mut [u8], OutOfBounds> {
        self.bytes.get_mut(range(span.ptr, span.len.cast_unsigned().into())?).ok_or(OutOfBounds)
    }

    /// `count` items of `size` bytes from `ptr` on.
    pub(super) fn array(&self, ptr: i32, count: u32, size: u32) -> Result<&[u8], OutOfBounds> {
        self.bytes.get(range(ptr, u64::from(count) * u64::from(size))?).ok_or(OutOfBounds)
    }

    /// The bytes of `span`, and beside them the host's data.
    pub(super) fn split(&mut self, span: Span) -> Result<(&[u8], &mut Instance), OutOfBounds> {
        let range = range(span.ptr, span.len.cast_unsigned().into())?;
        Ok((self.bytes.get(range).ok_or(OutOfBounds)?, self.instance))
    }

    /// The `index`th pair of pointer and length in the array at `ptr`.
    pub(super) fn span_at(&self, ptr: i32, index: u32) -> Result<Span, OutOfBounds> {
        let item = self.array(ptr, index + 1, 8)?.rchunks_exact(8).next().ok_or(OutOfBounds)?;
        let field = |at: usize| i32::from_le_bytes(std::array::from_fn(|i| item[at + i]));
        Ok(Span { ptr: field(0), len: field(4) })
    }

    pub(super) fn write(&mut self, ptr: i32, data: &[u8]) -> Result<(), OutOfBounds> {
        let range = range(ptr, data.len() as u64)?;
        self.bytes.get_mut(range).ok_or(OutOfBounds)?.copy_from_slice(data);
        Ok(())
    }

    pub(super) fn write_u32(&mut self, ptr: i32, value: u32) -> Result<(), OutOfBounds> {
        self.write(ptr, &value.to_le_bytes())
    }

    pub(super) fn write_u64(&mut self, ptr: i32, value: u64) -> Result<(), OutOfBounds> {
        self.write(ptr, &value.to_le_bytes())
    }
}

fn range(ptr: i32, len: u64) -> Result<std::ops::Range<usize>, OutOfBounds> {
    let start = u64::from(ptr.cast_unsigned());
    let index = |at: u64| usize::try_from(at).map_err(|_| OutOfBounds);
    Ok(index(start)?..index(start + len)?)
}
