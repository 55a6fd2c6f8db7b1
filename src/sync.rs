//! The atomics the protocols use: the real ones, or loom's under `--cfg loom`.
//!
//! Under loom every operation first calls [`model::step`], where a model may end the participant that
//! runs it: from then on nothing it does reaches memory, as after `SIGKILL`.

#[cfg(not(loom))]
pub(crate) use core::sync::atomic::{AtomicU32, AtomicU64, Ordering, compiler_fence, fence};

#[cfg(loom)]
pub(crate) use model::{AtomicU32, AtomicU64, Ordering, fence};

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
