//! Who runs the tests, and what another user may reach.

use std::fs::File;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

/// A user who owns nothing.
pub const NOBODY: u32 = 65534;

pub fn root() -> bool {
    nix::unistd::geteuid().is_root()
}

/// A path to `dir` that this process and its children can use after they have become another user. The directories
/// above may be closed to that user: `TMPDIR` often has mode 0700. The path holds while the file is open.
pub fn by_descriptor(dir: &Path) -> (File, PathBuf) {
    let file = File::open(dir).unwrap();
    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
    (file, path.into())
}
