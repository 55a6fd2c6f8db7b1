//! What a process and a directory hold: compared before an operation and after it.

use std::fs::File;
use std::os::unix::fs::MetadataExt;

use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;

use crate::case::Place;
use crate::support::Footprint;

#[derive(Debug)]
pub struct Left {
    /// Files, descriptors and mappings.
    footprint: Footprint,
    /// Blocks of the files, by inode.
    blocks: Vec<(u64, u64)>,
    /// Locks on them: inode, first byte, length and whether it is exclusive.
    locks: Vec<(u64, i64, i64, bool)>,
}

impl Left {
    pub fn now(place: &Place) -> Self {
        let (mut blocks, mut locks) = (vec![], vec![]);
        for entry in std::fs::read_dir(place.dir()).unwrap() {
            let file = File::open(entry.unwrap().path()).unwrap();
            let metadata = file.metadata().unwrap();
            blocks.push((metadata.ino(), metadata.blocks()));
            locks.extend(locks_on(&file).into_iter().map(|(start, len, alone)| (metadata.ino(), start, len, alone)));
        }
        blocks.sort();
        Self { footprint: Footprint::now(Some(place.dir())), blocks, locks }
    }

    /// Nothing came, and nothing but locks went: those of a process that was ended are gone.
    #[track_caller]
    pub fn assert_is(&self, before: &Self) {
        let same = self.footprint == before.footprint && self.blocks == before.blocks;
        let locks = self.locks.iter().all(|lock| before.locks.contains(lock));
        assert!(same && locks, "left behind: {}", self.differences(before));
    }

    /// The lines of one's text that the other does not have.
    fn differences(&self, before: &Self) -> String {
        let [now, then] = [self, before].map(|left| format!("{left:#?}"));
        let only = |sign: char, here: &str, there: &str| -> String {
            here.lines()
                .filter(|line| !there.lines().any(|other| other == *line))
                .map(|line| format!("{sign}{} ", line.trim()))
                .collect()
        };
        let lines = only('+', &now, &then) + &only('-', &then, &now);
        if lines.is_empty() { format!("{self:?}, before: {before:?}") } else { lines }
    }
}

/// Every stretch of a file that anybody has locked. (`/proc/locks` misses some while others come and go.)
fn locks_on(file: &File) -> Vec<(i64, i64, bool)> {
    let (mut locks, mut from) = (vec![], 0);
    loop {
        let (l_type, l_whence) = (libc::F_WRLCK as i16, libc::SEEK_SET as i16);
        let mut found = libc::flock { l_type, l_whence, l_start: from, l_len: 0, l_pid: 0 };
        fcntl(file, FcntlArg::F_OFD_GETLK(&mut found)).unwrap();
        if found.l_type == libc::F_UNLCK as i16 {
            return locks;
        }
        locks.push((found.l_start, found.l_len, found.l_type == libc::F_WRLCK as i16));
        if found.l_len == 0 || found.l_start == i64::MAX {
            return locks;
        }
        from = found.l_start + found.l_len;
    }
}
