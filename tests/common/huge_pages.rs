//! The machine's pool of huge pages.

use std::fs;

use super::users::root;

const POOL: &str = "/proc/sys/vm/nr_hugepages";

/// How many huge pages the pool has. `None` if the kernel knows of none.
pub fn in_pool() -> Option<u64> {
    Some(fs::read_to_string(POOL).ok()?.trim().parse().unwrap())
}

/// A pool that was enlarged. Dropping it makes the pool what it was.
pub struct Enlarged(u64);

impl Enlarged {
    /// Adds huge pages to the pool, or says why it cannot.
    pub fn by(more: u64) -> Result<Self, &'static str> {
        let before = in_pool().ok_or("the kernel has none")?;
        if !root() {
            return Err("not root, who can reserve some");
        }
        let pool = Self(before);
        let wanted = before + more;
        let written = fs::write(POOL, wanted.to_string()).is_ok();
        if written && in_pool() >= Some(wanted) { Ok(pool) } else { Err("none could be reserved") }
    }
}

impl Drop for Enlarged {
    fn drop(&mut self) {
        fs::write(POOL, self.0.to_string()).unwrap();
    }
}
