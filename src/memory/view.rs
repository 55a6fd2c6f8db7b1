//! A view of a structure of atomics, or of many in a row.

use core::any::Any;
use core::ops::Deref;
use core::ptr::NonNull;
use std::sync::Arc;

/// Whatever must stay alive for a view to be valid: the mapping.
pub(crate) type Keep = Arc<dyn Any + Send + Sync>;

/// A structure of atomics in shared memory.
pub(crate) struct View<T: ?Sized> {
    ptr: NonNull<T>,
    keep: Keep,
}

// SAFETY: W2: a view is an address of atomics, valid for as long as `keep` lives, from any thread.
unsafe impl<T: Sync + ?Sized> Send for View<T> {}
// SAFETY: as for `Send`.
unsafe impl<T: Sync + ?Sized> Sync for View<T> {}

impl<T: ?Sized> View<T> {
    /// # Safety
    ///
    /// `T` is nothing but atomics, and W1, W2 (for `keep`) and W3 hold.
    pub unsafe fn new(ptr: NonNull<T>, keep: Keep) -> Self {
        Self { ptr, keep }
    }

    /// A view of a part of it.
    pub fn part<U: ?Sized>(&self, part: impl FnOnce(&T) -> &U) -> View<U> {
        // W1 to W3 hold for a part as they do for the whole.
        View { ptr: NonNull::from(part(self)), keep: self.keep.clone() }
    }
}

impl<T: ?Sized> Deref for View<T> {
    type Target = T;

    #[inline(always)]
    fn deref(&self) -> &T {
        #[cfg(test)]
        super::steps::count();
        // SAFETY: W1, W2: mapped for as long as `self`; only atomics, which others may write.
        unsafe { self.ptr.as_ref() }
    }
}

impl<T: ?Sized> Clone for View<T> {
    fn clone(&self) -> Self {
        Self { ptr: self.ptr, keep: self.keep.clone() }
    }
}

#[cfg(loom)]
impl<T: 'static> View<T> {
    pub fn on_heap(value: T) -> Self {
        /// loom checks each access itself.
        struct Shared<T>(T);
        // SAFETY: loom runs all of a model's threads in one, in turns.
        unsafe impl<T> Send for Shared<T> {}
        // SAFETY: as for `Send`.
        unsafe impl<T> Sync for Shared<T> {}
        let keep = Arc::new(Shared(value));
        Self { ptr: NonNull::from(&keep.0), keep }
    }
}
