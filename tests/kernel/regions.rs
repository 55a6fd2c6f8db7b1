//! Regions on every backing, as files, mappings and memory.

use std::fs::File;
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;
use std::path::Path;

use ringway::{Channel, Options, Region, seqlock, spsc};

pub type Spsc = spsc::Channel<u64>;

pub type Latest = seqlock::Channel<[u64; 4]>;

pub const BACKINGS: [&str; 3] = ["anonymous", "memfd", "file"];

/// Makes a channel on each backing; the file lies in `dir`.
pub fn on<C: Channel>(backing: &str, options: &Options<C>, dir: impl AsRef<Path>) -> C {
    match backing {
        "anonymous" => options.anonymous(),
        "memfd" => options.memfd(),
        _ => options.create(tempfile::Builder::new().tempdir_in(dir).unwrap().keep().join("region")),
    }
    .unwrap()
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
