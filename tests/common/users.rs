//! Who runs the tests, and what another user may reach.

use std::fs::File;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

/// A user who owns nothing.
pub const NOBODY: u32 = 65534;

pub fn root() -> bool {
    nix::unistd::geteuid().is_root()
}

/// A path to `dir` that holds for this process and its children when they have become another user, to whom the
/// directories above may be closed (`TMPDIR` often is of mode 0700). Good while the file is open.
pub fn by_descriptor(dir: &Path) -> (File, PathBuf) {
    let file = File::open(dir).unwrap();
    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
    (file, path.into())
}
