//! Whether the path of a region still names the file that this process has mapped.
//!
//! A cleaner of temporary files, an update, or a user may remove the file or put another one in its place. Attached
//! processes go on with the old file, and later ones do not find it. The kernel notifies nobody, so a process has to
//! ask.
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
///
/// # Examples
///
/// ```
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("ticks");
/// # let channel = ringway::spsc::Channel::<u64>::create(&path, 4)?;
/// # use ringway::FileState;
/// assert_eq!(channel.region().file_state(), FileState::Named);
/// std::fs::remove_file(&path)?; // a cleaner of temporary files
/// assert_eq!(channel.region().file_state(), FileState::Removed);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FileState {
    /// The file that this process has mapped.
    Named,
    /// No longer this file: a user of the region removed its name on purpose, with [`unlink`](Region::unlink). If that
    /// user had opened it read-only, the state is [`Removed`](Self::Removed) or [`Replaced`](Self::Replaced) instead.
    Unlinked,
    /// Nothing: somebody else removed or moved the file. A process that comes now finds no region, or makes a new one.
    Removed,
    /// Another file. A process that comes now attaches to that one. On overlayfs it may be the copy that the first
    /// writer makes of a file in a lower layer.
    Replaced,
    /// The region has no path, or this process may not look at it.
    Unknown,
}

impl FileState {
    /// Whether newcomers no longer reach this region, and none of its users intended that.
    ///
    /// # Examples
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("ticks");
    /// # let channel = ringway::spsc::Channel::<u64>::create(&path, 4)?;
    /// channel.region().unlink()?;
    /// assert!(!channel.region().file_state().is_lost()); // it was done on purpose
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn is_lost(self) -> bool {
        matches!(self, FileState::Removed | FileState::Replaced)
    }
}

impl Region {
    /// What the path names now. Asks the kernel, with one system call. Any thread may call it.
    ///
    /// Use it for a long-running pair. If the file [is lost](FileState::is_lost), drop the channel and its ends, and
    /// call [`open_or_create`](crate::Options::open_or_create) again, on both sides. If that finds a copy in the file's
    /// place, [`adopt`](crate::Options::adopt) it, or start empty with [`recreate`](crate::Options::recreate). With
    /// [`watch_file`](crate::Options::watch_file), blocked calls notice the loss themselves.
    ///
    /// # Examples
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("ticks");
    /// # let channel = ringway::spsc::Channel::<u64>::create(&path, 4)?;
    /// # use ringway::spsc;
    /// std::fs::remove_file(&path)?; // a cleaner of temporary files
    /// if channel.region().file_state().is_lost() {
    ///     let channel = spsc::Channel::<u64>::open_or_create(&path, 4)?; // on both sides
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn file_state(&self) -> FileState {
        let Backing::File { path, .. } = &self.backing else { return FileState::Unknown };
        let there = match identity::of_path(path) {
            Ok(there) => there,
            Err(_) => return FileState::Unknown,
        };
        match there {
            Some(there) if !differ(&there.into(), &self.first_page.file) => FileState::Named,
            _ if self.parts().control.region.flags.relaxed() & UNLINKED != 0 => FileState::Unlinked,
            // The link is an inode of its own. As long as it exists, it leads to the file.
            Some(_) if file::is_link_to_open_file(path) => FileState::Unknown,
            Some(_) => FileState::Replaced,
            None => FileState::Removed,
        }
    }

    /// Whether this process watches the file.
    pub(crate) fn is_watched(&self) -> bool {
        self.watch_file
    }

    /// Whether this process watches the file, and the file has lost its name.
    pub(crate) fn is_lost(&self) -> bool {
        self.watch_file && self.file_state().is_lost()
    }

    /// Removes the name, and tells all attached processes that this was intended.
    pub(super) fn unlink_on_purpose(&self, path: &Path, file: &Owned) -> io::Result<()> {
        let writable = self.writable();
        // Announced before the name is gone, so that nobody takes it for an accident, and only by the process that is
        // about to remove it.
        files::unlink(path, file, |unlinked| match &writable {
            Some(parts) if unlinked => _ = parts.control.region.flags.fetch_or(UNLINKED, Relaxed),
            Some(parts) => _ = parts.control.region.flags.fetch_and(!UNLINKED, Relaxed),
            None => {}
        })
    }
}
