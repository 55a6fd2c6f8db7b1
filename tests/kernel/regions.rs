//! Regions on every backing, as files, mappings and memory.

use std::fs::File;
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;
use std::path::Path;

use ringway::{Channel, Options, Region, seqlock, spsc};

use crate::common::backing::Backing;

pub type Spsc = spsc::Channel<u64>;

pub type Latest = seqlock::Channel<[u64; 4]>;

/// Makes a channel. Its file, if it has one, is alone in a directory in `dir`.
pub fn on<C: Channel>(backing: Backing, options: &Options<C>, dir: impl AsRef<Path>) -> C {
    backing.make(options, tempfile::Builder::new().tempdir_in(dir).unwrap().keep().join("region"))
}

pub fn open_file(region: &Region) -> File {
    File::open(region.path().unwrap()).unwrap()
}

/// What the file behind a region holds, as `read(2)` sees it.
pub fn contents(region: &Region) -> Vec<u8> {
    let number = region.fd().unwrap().as_raw_fd();
    let mut all = vec![0; region.size() as usize];
    let file = File::open(format!("/proc/self/fd/{number}")).unwrap();
    file.read_exact_at(&mut all, 0).unwrap();
    all
}
