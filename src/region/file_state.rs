//! Whether the path of a region still names the file that this process has mapped.
//!
//! A cleaner of temporary files, an update, or a user may remove the file or put another one in its place. Those
//! attached go on with the old one, and whoever comes later is somewhere else. The kernel tells nobody, so it is asked.
#![forbid(unsafe_code)]

use std::io;
use std::path::Path;

use super::files;
use super::provenance::differ;
use super::{Backing, Region};
use crate::layout::control::UNLINKED;
use crate::os::owned::Owned;
use crate::os::{file, identity};
use crate::sync::Ordering::Relaxed;

/// What the path of a region names now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FileState {
    /// The file that this process has mapped.
    Named,
    /// Not this file any more: a user of the region took its name away on purpose, by [`unlink`](Region::unlink). A
    /// user that opened it for reading only cannot say so.
    Unlinked,
    /// Nothing: somebody else removed or moved the file. Whoever comes now finds no region, or makes a new one.
    Removed,
    /// Another file. Whoever comes now is attached to that one. On overlayfs it may be the copy that a first writer
    /// makes of a file in a lower layer.
    Replaced,
    /// The region has no path, or this process may not look at it.
    Unknown,
}

impl FileState {
    /// Whether newcomers no longer come to this region, and nobody of its users wanted that.
    pub fn is_lost(self) -> bool {
        matches!(self, FileState::Removed | FileState::Replaced)
    }
}

impl Region {
    /// What the path names now: asks the kernel, with one system call. Any thread may ask.
    ///
    /// For a pair that runs for long: where this [is lost](FileState::is_lost), drop the channel and its ends, and call
    /// [`open_or_create`](crate::Options::open_or_create) again, on both sides. Where that finds a copy in the file's place,
    /// [`adopt`](crate::Options::adopt) it, or begin empty with [`recreate`](crate::Options::recreate). With
    /// [`watch_file`](crate::Options::watch_file), blocked calls find out by themselves.
    pub fn file_state(&self) -> FileState {
        let Backing::File { path, .. } = &self.backing else { return FileState::Unknown };
        let there = match identity::of_path(path) {
            Ok(there) => there,
            Err(_) => return FileState::Unknown,
        };
        match there {
            Some(there) if !differ(&there, &self.header.file) => FileState::Named,
            _ if self.parts().control.region.flags.relaxed() & UNLINKED != 0 => FileState::Unlinked,
            // The link is an inode of its own, and leads to the file for as long as it is there.
            Some(_) if file::is_link_to_open_file(path) => FileState::Unknown,
            Some(_) => FileState::Replaced,
            None => FileState::Removed,
        }
    }

    /// Whether this process asked to be told when the file has lost its name, and it has.
    pub(crate) fn is_lost(&self) -> bool {
        self.watch_file && self.file_state().is_lost()
    }

    /// Takes the name away, and lets everyone attached know that it was meant.
    pub(super) fn unlink_on_purpose(&self, path: &Path, file: &Owned) -> io::Result<()> {
        let writable = self.writable();
        // Said before the name is gone, so that nobody takes it for an accident, and only by who is about to do it.
        files::unlink(path, file, |meant| match &writable {
            Some(parts) if meant => _ = parts.control.region.flags.fetch_or(UNLINKED, Relaxed),
            Some(parts) => _ = parts.control.region.flags.fetch_and(!UNLINKED, Relaxed),
            None => {}
        })
    }
}
