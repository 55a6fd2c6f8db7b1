//! Forked children for this crate's own tests. Each is killed and reaped when its handle is dropped.

use nix::libc;
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::waitpid;
use nix::unistd::{ForkResult, Pid, fork, pause};

/// A child that did its work and sleeps.
pub(crate) struct Forked(Pid);

impl Forked {
    /// Forks a child that does `work` and then sleeps until it is killed.
    pub fn new(work: impl FnOnce()) -> Self {
        // SAFETY: the child runs on with a copy of this thread alone. It uses the C allocator, which survives a fork, and
        // takes no lock of another test.
        match unsafe { fork() }.unwrap() {
            ForkResult::Parent { child } => Self(child),
            ForkResult::Child => {
                set_pdeathsig(Signal::SIGKILL).unwrap();
                if std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)).is_err() {
                    // SAFETY: ends the child without the destructors and exit handlers of its parent.
                    unsafe { libc::_exit(101) }
                }
                loop {
                    pause();
                }
            }
        }
    }
}

impl Drop for Forked {
    fn drop(&mut self) {
        kill(self.0, Signal::SIGKILL).unwrap();
        waitpid(self.0, None).unwrap();
    }
}
