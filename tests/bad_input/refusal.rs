//! What is refused: the error says what was found, and nothing is left behind.

use std::fmt::Debug;
use std::fs::{File, OpenOptions};
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};
use ringway::{OpenError, seqlock, spsc};
use tempfile::TempDir;

use crate::common::footprint::Footprint;

/// Makes `call` fail, and checks that it leaves nothing behind, in `dir` or in this process.
pub fn refused<T: Debug>(dir: Option<&Path>, mut call: impl FnMut() -> Result<T, OpenError>) -> OpenError {
    // The first call makes what a process makes only once, a table of the allocator for example.
    drop(call());
    let before = Footprint::now(dir);
    let error = call().expect_err("it is refused");
    assert_eq!(before, Footprint::now(dir), "{error}");
    assert!(error.to_string().starts_with(error.place()), "{error}");
    error
}

/// Checks an error's reason, and that its text says what it should.
macro_rules! assert_reason {
    ($error:expr, $pattern:pat $(if $guard:expr)?, $($says:expr),* $(,)?) => {{
        let error = $error;
        assert!(matches!(error.reason(), $pattern $(if $guard)?), "{error:?}");
        let text = error.to_string();
        $(assert!(text.contains(&$says.to_string()), "{text:?} does not say {:?}", $says.to_string());)*
    }};
}
pub(crate) use assert_reason;

pub type Spsc = spsc::Channel<u64>;

pub type Latest = seqlock::Channel<[u64; 4]>;

/// A good spsc region of 100 slots in a file of its own directory.
pub fn good() -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("region");
    Spsc::create(&path, 100).unwrap();
    (dir, path)
}

pub fn file(path: &Path) -> File {
    OpenOptions::new().read(true).write(true).open(path).unwrap()
}

/// A memfd with these bytes and seals.
pub fn memfd(contents: &[u8], seals: SealFlag) -> OwnedFd {
    let file = File::from(memfd_create(c"test", MFdFlags::MFD_ALLOW_SEALING).unwrap());
    file.write_all_at(contents, 0).unwrap();
    fcntl(&file, FcntlArg::F_ADD_SEALS(seals)).unwrap();
    file.into()
}

pub const SEALS: SealFlag = SealFlag::F_SEAL_SHRINK.union(SealFlag::F_SEAL_GROW).union(SealFlag::F_SEAL_SEAL);
