//! What a process and a directory hold. It is compared before an operation and after it.

use std::collections::BTreeMap;
use std::fs::{File, read_dir, read_link, read_to_string};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;

use crate::case::Place;
use crate::common::proc::parse_maps;

#[derive(Debug)]
pub struct Left {
    /// The names of the files, and the blocks they take.
    files: Vec<(String, u64)>,
    /// The locks on the files: name, first byte, length, and whether the lock is exclusive.
    locks: Vec<(String, i64, i64, bool)>,
    /// What the descriptors refer to, by their numbers.
    descriptors: Vec<(String, PathBuf)>,
    /// The text of `/proc/self/maps`. It is parsed only if it differs, because that takes long.
    maps: String,
}

impl Left {
    pub fn now(place: &Place) -> Self {
        let (mut files, mut locks) = (vec![], vec![]);
        for name in place.names() {
            let file = File::open(place.dir().join(&name)).unwrap();
            files.push((name.clone(), file.metadata().unwrap().blocks()));
            locks.extend(locks_on(&file).into_iter().map(|(start, len, alone)| (name.clone(), start, len, alone)));
        }
        files.sort();
        let descriptors = read_dir("/proc/self/fd").unwrap().map(|entry| {
            let entry = entry.unwrap();
            // The descriptor by which this reads the directory is gone by then.
            (entry.file_name().into_string().unwrap(), read_link(entry.path()).unwrap_or_default())
        });
        Self { files, locks, descriptors: descriptors.collect(), maps: read_to_string("/proc/self/maps").unwrap() }
    }

    /// Fails if anything came, or if anything but locks went. The locks of a process that was ended are gone.
    #[track_caller]
    pub fn assert_is(&self, before: &Self) {
        assert_eq!(self.files, before.files, "files");
        let [new, gone] =
            [only_in(&self.descriptors, &before.descriptors), only_in(&before.descriptors, &self.descriptors)];
        assert!(new.is_empty() && gone.is_empty(), "descriptors left open: {new:?}, or closed: {gone:?}");
        let new = only_in(&self.locks, &before.locks);
        assert!(new.is_empty(), "locks left behind: {new:?}");
        if self.maps != before.maps {
            let [mut now, before] = [self, before].map(Self::mapped);
            if now != before {
                now.retain(|what, size| before.get(what) != Some(size));
                panic!("mappings left behind, or taken away: {now:x?}, before: {before:x?}");
            }
        }
    }

    /// Bytes and number of mappings, by what is mapped.
    fn mapped(&self) -> BTreeMap<String, (u64, usize)> {
        let mut mapped = BTreeMap::<String, (u64, usize)>::new();
        for map in parse_maps(&self.maps) {
            let entry = mapped.entry(format!("{} {}", map.perms, map.what)).or_default();
            *entry = (entry.0 + map.len(), entry.1 + 1);
        }
        // The stack grows while it is used.
        mapped.retain(|what, _| !what.ends_with("[stack]"));
        mapped
    }
}

fn only_in<'a, T: PartialEq>(these: &'a [T], those: &[T]) -> Vec<&'a T> {
    these.iter().filter(|one| !those.contains(one)).collect()
}

/// Every part of a file that anybody has locked. (`/proc/locks` misses some while others come and go.)
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
