//! Memory of the caller. No call may touch what lies on both sides of it.

/// How many values lie on each side.
const GUARDS: usize = 64;

/// Values that may be overwritten, between others that may not.
pub struct Guarded<T: Copy + PartialEq> {
    all: Vec<T>,
    guard: T,
}

impl<T: Copy + PartialEq> Guarded<T> {
    pub fn new(len: usize, guard: T) -> Self {
        Self { all: vec![guard; len + 2 * GUARDS], guard }
    }

    /// The values that may be overwritten.
    pub fn middle(&mut self) -> &mut [T] {
        let end = self.all.len() - GUARDS;
        &mut self.all[GUARDS..end]
    }
}

impl<T: Copy + PartialEq> Drop for Guarded<T> {
    fn drop(&mut self) {
        for side in [&self.all[..GUARDS], &self.all[self.all.len() - GUARDS..]] {
            assert!(side.iter().all(|value| *value == self.guard), "memory beside the buffer was overwritten");
        }
    }
}
