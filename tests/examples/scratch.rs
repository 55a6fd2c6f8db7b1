//! Files with something in them.

use std::fs::{self};
use std::path::PathBuf;

use tempfile::TempDir;

pub fn scratch() -> TempDir {
    tempfile::tempdir().expect("a temporary directory")
}

pub fn random_bytes(len: usize) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(len as u64);
    let mut bytes = vec![0; len];
    random.fill(&mut bytes);
    bytes
}

pub fn file_of(dir: &TempDir, bytes: &[u8]) -> PathBuf {
    let path = dir.path().join("input");
    fs::write(&path, bytes).expect("room for the input");
    path
}

pub const LENGTHS: [usize; 6] = [0, 1, 4095, 4096, 4097, 5_000_017];
