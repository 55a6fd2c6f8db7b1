//! A test binary that is started anew, for processes that must not be copies of the test process.

use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use nix::unistd::Pid;

use super::child::{Child, die_with_parent};

/// The variable in which a re-executed test binary finds its role.
pub const ROLE: &str = "RINGWAY_TEST_ROLE";

/// Starts this test binary anew, to run `child_entry` in the given role.
pub fn exec(name: &str, role: &str, loud: bool) -> Child {
    let log = tempfile::tempfile().unwrap();
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["child_entry", "--exact", "--nocapture", "--test-threads=1", "--include-ignored"]);
    command.env(ROLE, role).stdin(Stdio::null()).stdout(Stdio::null());
    command.stderr(if loud { Stdio::inherit() } else { Stdio::from(log.try_clone().unwrap()) });
    let prepare = || {
        die_with_parent();
        Ok(())
    };
    // SAFETY: the call allocates nothing and takes no lock.
    unsafe { command.pre_exec(prepare) };
    #[allow(clippy::zombie_processes, reason = "`Child` reaps it, by its id")]
    let child = command.spawn().unwrap();
    Child::with_log(Pid::from_raw(child.id() as i32), name, Some(log))
}
