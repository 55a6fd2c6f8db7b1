//! The processor that a process runs on.

use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;

/// Keeps this process on one of the processors it may use. `choose` is given their number and says which. A tracer and
/// the process it traces take turns, which is ten times as fast on one processor.
pub fn be_on_one_processor(choose: impl FnOnce(usize) -> usize) {
    let me = Pid::from_raw(0);
    let Ok(allowed) = sched_getaffinity(me) else { return };
    let processors: Vec<usize> = (0..CpuSet::count()).filter(|cpu| allowed.is_set(*cpu).unwrap_or(false)).collect();
    let mut one = CpuSet::new();
    if one.set(processors[choose(processors.len())]).is_ok() {
        let _ = sched_setaffinity(me, &one);
    }
}
