//! Directories on one file system or another.

use std::path::PathBuf;

use tempfile::TempDir;

/// A directory on the disk of the build.
pub fn disk_dir() -> TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap()
}

/// A directory in memory.
pub fn shm_dir() -> TempDir {
    tempfile::tempdir_in("/dev/shm").unwrap()
}

pub fn file_in(dir: &TempDir) -> PathBuf {
    dir.path().join("region")
}
