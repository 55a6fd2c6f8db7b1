//! The atomics the protocols use: the real ones, or loom's under `--cfg loom`.
//!
//! Under loom every operation first calls [`model::step`], where a model may end the participant that
//! runs it: from then on nothing it does reaches memory, as after `SIGKILL`.

use core::marker::PhantomData;
use core::ops::Deref;

#[cfg(not(loom))]
use core::sync::atomic as raw;
#[cfg(loom)]
use model as raw;

#[cfg(not(loom))]
use core::sync::atomic::compiler_fence;
pub(crate) use raw::{Ordering, fence};

/// Marks words that may be written.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Writable {}

/// Marks words of memory that may be mapped read-only: they have no stores, and the only loads that the language
/// promises there, relaxed ones.
#[derive(Clone, Copy, Debug)]
pub(crate) enum ReadOnly {}

/// An atomic in shared memory. One that is [`Writable`] can do all that an atomic can.
#[repr(transparent)]
#[derive(Debug)]
pub(crate) struct Word<A, M = Writable> {
    atomic: A,
    access: PhantomData<fn(M)>,
}

pub(crate) type AtomicU32<M = Writable> = Word<raw::AtomicU32, M>;
pub(crate) type AtomicU64<M = Writable> = Word<raw::AtomicU64, M>;

impl<A> Deref for Word<A> {
    type Target = A;

    #[inline(always)]
    fn deref(&self) -> &A {
        &self.atomic
    }
}

impl<M> AtomicU64<M> {
    /// Orders nothing.
    #[inline(always)]
    pub fn relaxed(&self) -> u64 {
        self.atomic.load(Ordering::Relaxed)
    }

    /// What an acquire load does, but good for read-only memory (see "Atomic accesses to read-only memory" in
    /// [`core::sync::atomic`]). On x86-64, the fence is no instruction.
    #[inline(always)]
    pub fn acquire(&self) -> u64 {
        let value = self.relaxed();
        fence(Ordering::Acquire);
        value
    }
}

#[cfg(loom)]
impl AtomicU64 {
    pub fn new(value: u64) -> Self {
        Self { atomic: raw::AtomicU64::new(value), access: PhantomData }
    }
}

#[cfg(loom)]
impl AtomicU32 {
    pub fn new(value: u32) -> Self {
        Self { atomic: raw::AtomicU32::new(value), access: PhantomData }
    }
}

/// The cheap half of the pair whose dear half is `membarrier`: keeps the compiler from moving the
/// wake-up check before the publication. The processor is kept from it by the sleeper's
/// `membarrier`, or by a full fence if this process could not register (`fences`).
///
/// loom knows no `membarrier`; what the pair amounts to is a full fence on both sides.
#[inline(always)]
pub(crate) fn light_barrier(fences: bool) {
    #[cfg(not(loom))]
    if fences {
        fence(Ordering::SeqCst)
    } else {
        compiler_fence(Ordering::SeqCst)
    }
    #[cfg(loom)]
    {
        let _ = fences;
        fence(Ordering::SeqCst)
    }
}

#[cfg(loom)]
pub(crate) mod model {
    //! loom's atomics with a death before any operation.

    pub(crate) use loom::sync::atomic::Ordering;
    use std::cell::Cell;

    /// What a participant that dies unwinds with.
    pub(crate) struct Died;

    loom::thread_local! {
        /// Operations left to live, counted down; `None`: immortal.
        static LEFT: Cell<Option<u64>> = Cell::new(None);
    }

    /// Lets the calling participant live for `operations` more atomic operations.
    pub(crate) fn live_for(operations: u64) {
        LEFT.with(|left| left.set(Some(operations)));
    }

    /// Whether the calling participant can still do anything.
    pub(crate) fn alive() -> bool {
        LEFT.with(Cell::get) != Some(0)
    }

    /// False once the participant is dead: the operation must not reach memory.
    fn step() -> bool {
        match LEFT.with(Cell::get) {
            None => true,
            Some(0) if std::thread::panicking() => false,
            Some(0) => std::panic::resume_unwind(Box::new(Died)),
            Some(left) => {
                LEFT.with(|cell| cell.set(Some(left - 1)));
                true
            }
        }
    }

    pub(crate) fn fence(order: Ordering) {
        if step() {
            loom::sync::atomic::fence(order);
        }
    }

    macro_rules! atomic {
        ($name:ident, $value:ty) => {
            #[derive(Debug)]
            pub(crate) struct $name(loom::sync::atomic::$name);

            impl $name {
                pub(crate) fn new(value: $value) -> Self {
                    Self(loom::sync::atomic::$name::new(value))
                }
                pub(crate) fn load(&self, order: Ordering) -> $value {
                    if step() { self.0.load(order) } else { 0 }
                }
                pub(crate) fn store(&self, value: $value, order: Ordering) {
                    if step() {
                        self.0.store(value, order);
                    }
                }
                pub(crate) fn fetch_max(&self, value: $value, order: Ordering) -> $value {
                    if step() { self.0.fetch_max(value, order) } else { 0 }
                }
                pub(crate) fn fetch_or(&self, value: $value, order: Ordering) -> $value {
                    if step() { self.0.fetch_or(value, order) } else { 0 }
                }
                pub(crate) fn fetch_and(&self, value: $value, order: Ordering) -> $value {
                    if step() { self.0.fetch_and(value, order) } else { 0 }
                }
                pub(crate) fn compare_exchange(
                    &self,
                    current: $value,
                    new: $value,
                    success: Ordering,
                    failure: Ordering,
                ) -> Result<$value, $value> {
                    if step() { self.0.compare_exchange(current, new, success, failure) } else { Err(0) }
                }
            }
        };
    }

    atomic!(AtomicU32, u32);
    atomic!(AtomicU64, u64);
}
