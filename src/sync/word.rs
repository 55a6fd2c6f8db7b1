//! Atomics in shared memory, which say by their type whether they may be written.

use core::marker::PhantomData;
use core::ops::Deref;

use super::form::{self, Ordering, fence};

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

pub(crate) type AtomicU32<M = Writable> = Word<form::AtomicU32, M>;
pub(crate) type AtomicU64<M = Writable> = Word<form::AtomicU64, M>;

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

#[cfg(any(loom, test))]
impl AtomicU64 {
    pub fn new(value: u64) -> Self {
        Self { atomic: form::AtomicU64::new(value), access: PhantomData }
    }
}

impl AtomicU32 {
    pub fn new(value: u32) -> Self {
        Self { atomic: form::AtomicU32::new(value), access: PhantomData }
    }
}
