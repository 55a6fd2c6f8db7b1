//! Time stamps of a few nanoseconds, comparable between processes where the processor counts time itself.

use std::sync::LazyLock;

use quanta::Clock;

/// Made before the fork, so that all processes scale alike.
static CLOCK: LazyLock<Clock> = LazyLock::new(Clock::new);

/// A clock of one's own.
pub fn clock() -> Clock {
    CLOCK.clone()
}

/// What the clock shows, in its own unit, once everything before has been executed.
#[inline(always)]
pub fn stamp(clock: &Clock) -> u64 {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: every such processor has the instruction.
    unsafe {
        std::arch::x86_64::_mm_lfence();
    }
    clock.raw()
}

/// Nanoseconds of one unit of the clock.
pub fn nanoseconds(clock: &Clock) -> f64 {
    const MANY: u64 = 1 << 40;
    clock.delta_as_nanos(0, MANY) as f64 / MANY as f64
}
