//! How a channel's region is made or opened: one builder for every kind.
#![forbid(unsafe_code)]

use core::marker::PhantomData;
use std::os::fd::OwnedFd;
use std::path::Path;

use super::Channel;
use crate::error::OpenError;
use crate::os::mapping::Access;
use crate::region::files;
use crate::region::header::Spec;
use crate::region::{Full, Region, Settings, unused};

/// How a region is made or opened. Made by a channel's `options()`.
///
/// ```
/// use ringway::spsc;
/// let channel = spsc::Channel::<u64>::options().capacity(64).prefault(true).memfd()?;
/// # Ok::<(), ringway::OpenError>(())
/// ```
#[derive(Debug)]
#[must_use = "options do nothing until a region is made or opened with them"]
pub struct Options<C> {
    settings: Settings,
    wanted: Wanted,
    channel: PhantomData<fn() -> C>,
}

/// What the user said of the values and of their number.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wanted {
    /// In the unit of the kind.
    pub capacity: Option<u64>,
    pub type_name: Option<String>,
    /// Size and alignment of a value, in bytes, where no type says them.
    pub layout: Option<(usize, usize)>,
}

impl Wanted {
    /// The name that was given, or else the type's own without its path.
    pub fn name_of<T>(&self) -> String {
        self.type_name.clone().unwrap_or_else(short_type_name::<T>)
    }
}

impl<C> Clone for Options<C> {
    fn clone(&self) -> Self {
        Self { settings: self.settings.clone(), wanted: self.wanted.clone(), channel: PhantomData }
    }
}

impl<C> Options<C> {
    pub(crate) fn new() -> Self {
        Self { settings: Settings::default(), wanted: Wanted::default(), channel: PhantomData }
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.settings
    }

    pub(super) fn with_capacity(mut self, capacity: u64) -> Self {
        self.wanted.capacity = Some(capacity);
        self
    }

    pub(super) fn with_layout(mut self, size: usize, align: usize) -> Self {
        self.wanted.layout = Some((size, align));
        self
    }

    /// Permissions of a file or memfd that is made, whatever the umask. Default: `0o600`.
    pub fn mode(mut self, mode: u32) -> Self {
        self.settings.mode = mode;
        self
    }

    /// A user whose files may be opened, besides the caller's own. That user can truncate the file under those who have
    /// mapped it. Default: nobody.
    pub fn owner(mut self, uid: u32) -> Self {
        self.settings.owner = Some(uid);
        self
    }

    /// Faults every page in now, and again when a forked child takes a seat, so that no message does later.
    /// Default: no.
    pub fn prefault(mut self, yes: bool) -> Self {
        self.settings.prefault = yes;
        self
    }

    /// Locks the region in memory (`mlock(2)`), within `RLIMIT_MEMLOCK`. Default: no.
    pub fn lock(mut self, yes: bool) -> Self {
        self.settings.lock = yes;
        self
    }

    /// Backs a memfd or anonymous region with huge pages, which the system must have reserved.
    /// The header and the control words then take a huge page each. Default: no.
    pub fn huge_pages(mut self, yes: bool) -> Self {
        self.settings.huge_pages = yes;
        self
    }

    /// Lets blocked calls find out that the file has lost its name: they then fail with `FileLost`, for whoever comes
    /// now cannot come to this region. Not told is what a user of the region did on purpose, by
    /// [`unlink`](crate::Region::unlink). See [`file_state`](crate::Region::file_state) for what to do then. A blocked
    /// call asks the kernel after 4 ms, and then every 20 ms. Where the peer has left, every call asks, and says
    /// `FileLost` instead of `Closed`. Default: no.
    ///
    /// ```
    /// use ringway::{RecvError, spsc};
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("ticks");
    /// let options = spsc::Channel::<u64>::options().capacity(64).watch_file(true);
    /// let mut rx = options.open_or_create(&path)?.receiver()?;
    /// # std::fs::remove_file(&path)?;
    /// // A cleaner of temporary files removed it, and the sender was started anew.
    /// let mut tx = options.open_or_create(&path)?.sender()?;
    /// tx.send(&7)?;
    /// let tick = loop {
    ///     match rx.recv() {
    ///         Err(RecvError::FileLost) => rx = options.open_or_create(&path)?.receiver()?,
    ///         other => break other?,
    ///     }
    /// };
    /// assert_eq!(tick, 7);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn watch_file(mut self, yes: bool) -> Self {
        self.settings.watch_file = yes;
        self
    }

    /// [`in_use`](crate::in_use), with these options: of them, [`owner`](Self::owner) counts, and without it any owner
    /// will do.
    ///
    /// # Errors
    ///
    /// See there.
    pub fn in_use(&self, path: impl AsRef<Path>) -> Result<bool, OpenError> {
        unused::ask(&files::absolute(path.as_ref())?, self.settings.owner_to_read())
    }

    /// [`remove_unused`](crate::remove_unused), with these options: of them, [`owner`](Self::owner) counts.
    ///
    /// # Errors
    ///
    /// See there.
    pub fn remove_unused(&self, path: impl AsRef<Path>) -> Result<(), OpenError> {
        unused::remove(&files::absolute(path.as_ref())?, self.settings.owner())
    }

    /// The name by which both sides know the type, of at most 64 bytes. Default: the type's own without
    /// its path, so that the same struct written in two programs matches. Give it a version when you
    /// change what the fields mean.
    pub fn type_name(mut self, name: impl Into<String>) -> Self {
        self.wanted.type_name = Some(name.into());
        self
    }
}

impl<C: Channel> Options<C> {
    /// What `make` makes of the path.
    fn make_at(
        &self,
        path: &Path,
        make: impl FnOnce(&Path, &Spec, &Settings) -> Result<Region, OpenError>,
    ) -> Result<C, OpenError> {
        let path = files::absolute(path)?;
        self.make(&path.display().to_string(), |spec, settings| make(&path, spec, settings))
    }

    fn make(
        &self,
        place: &str,
        make: impl FnOnce(&Spec, &Settings) -> Result<Region, OpenError>,
    ) -> Result<C, OpenError> {
        let spec = C::spec(&self.wanted);
        let spec = spec.map_err(|reason| OpenError::new(place, reason))?;
        let region = make(&spec, &self.settings)?;
        Ok(C::from_region(region, spec))
    }

    /// Makes the region in a new file, of the mode given and with all its memory reserved. The file is
    /// filled in before it gets its name. It stays until someone removes it.
    ///
    /// # Errors
    ///
    /// The path exists, in whatever form; there is no room; a limit of the process; a capacity or type
    /// that cannot be.
    pub fn create(&self, path: impl AsRef<Path>) -> Result<C, OpenError> {
        self.make_at(path.as_ref(), Region::create)
    }

    /// Opens the region in an existing file. A capacity that was given must be the region's.
    ///
    /// # Errors
    ///
    /// The path is missing, or is no regular file of an accepted owner; the file is no region of this
    /// kind, type, machine and version, or was altered or truncated; it is a copy of a region, or was last made in
    /// another boot of the machine ([`Reason::Copy`](crate::Reason::Copy)).
    pub fn open(&self, path: impl AsRef<Path>) -> Result<C, OpenError> {
        self.make_at(path.as_ref(), |path, spec, settings| Region::open(path, spec, settings, Access::Shared))
    }

    /// Opens the region in a file, or makes it where there is none. Any number of processes may do so at
    /// once: one makes it.
    ///
    /// # Errors
    ///
    /// Those of [`create`](Self::create) and [`open`](Self::open).
    pub fn open_or_create(&self, path: impl AsRef<Path>) -> Result<C, OpenError> {
        self.make_at(path.as_ref(), Region::open_or_create)
    }

    /// Makes the region in a new file, in the place of one that nobody is attached to: what lay in that is
    /// lost. To go on with what lies there instead, see [`open_or_create`](Self::open_or_create).
    ///
    /// # Errors
    ///
    /// [`Reason::InUse`](crate::Reason::InUse), and those of [`create`](Self::create) and [`remove_unused`](crate::remove_unused). The old
    /// file is removed last: after an error it is still there. So there must be room for both.
    pub fn recreate(&self, path: impl AsRef<Path>) -> Result<C, OpenError> {
        self.make_at(path.as_ref(), Region::recreate)
    }

    /// Makes the region in memory without a name, for this process and those it forks.
    ///
    /// # Errors
    ///
    /// There is no memory; a limit of the process; a capacity or type that cannot be.
    pub fn anonymous(&self) -> Result<C, OpenError> {
        self.make("anonymous region", Region::anonymous)
    }

    /// Makes the region in a memfd, sealed against any change of size, for those who inherit or receive
    /// its descriptor. The right backing where the peer is not trusted.
    ///
    /// # Errors
    ///
    /// There is no memory or descriptor; a limit of the process; a capacity or type that cannot be.
    pub fn memfd(&self) -> Result<C, OpenError> {
        self.make("memfd region", Region::memfd)
    }

    /// Opens the region behind a descriptor that was inherited or received, and takes the descriptor.
    ///
    /// # Errors
    ///
    /// It is no sealed memfd, or holds no region of this kind, type, machine and version, or a copy of one.
    pub fn from_fd(&self, fd: OwnedFd) -> Result<C, OpenError> {
        self.make("memfd region", |spec, settings| Region::from_fd(fd, spec, settings, Access::Shared))
    }

    /// Copies the region in a file, as it is now, into private memory: a channel of its own, whose seats
    /// are free and from which the messages can be received without the region noticing. The path may be one of `/proc`
    /// that leads to a memfd, `/proc/PID/fd/N`.
    ///
    /// A copy of a ring in use holds the messages that lay in it from the beginning of the copying to its
    /// end; one of a seqlock, its latest value.
    ///
    /// A file that is itself a copy of a region ([`Reason::Copy`](crate::Reason::Copy)), that has holes, or that belongs to a user who is not
    /// named by [`owner`](Self::owner) is read through the file, and nothing is mapped. Of such a file the messages are kept
    /// up to the first place that contradicts what came before, and without the last one before such a place. If the
    /// region was in use while the file was copied, or the machine crashed, one of these may even so be part one message,
    /// part another: no word in the file tells. Copy a region in use with this call and not with `cp`.
    ///
    /// # Errors
    ///
    /// Those of [`open`](Self::open), but the file need only be readable, and may belong to anyone; there is no memory;
    /// of a seqlock that was copied in use no value is whole ([`Reason::NothingWhole`](crate::Reason::NothingWhole)).
    pub fn open_snapshot(&self, path: impl AsRef<Path>) -> Result<C, OpenError> {
        let path = files::absolute(path.as_ref())?;
        let mut is_image = false;
        let opened = self.make(&path.display().to_string(), |spec, settings| {
            let reading = Region::read(&path, spec, settings)?;
            is_image = reading.is_image;
            Ok(reading.region)
        })?;
        if !is_image {
            return opened.copy();
        }
        files::at(&path.display().to_string(), opened.salvage())?;
        Ok(opened)
    }

    /// Makes a copy a region of its own, in the file's place, and opens it; opens a region that is no copy. To be
    /// called where [`open`](Self::open) says [`Reason::Copy`](crate::Reason::Copy) and what lies in the file is to go on: after a reboot,
    /// with a restored backup, with a region that came in a container's image.
    ///
    /// The new region has the file's owner, permissions and group, and a number of its own. If the file's owner may not
    /// give a file to its group, the group is the process's, and has no permissions. Its seats are free. It holds what
    /// [`open_snapshot`](Self::open_snapshot) of a copy would hold: read there what can be told of its messages. The file
    /// is replaced in one step, when all that can fail has been done. Any number of processes may do so at once: one
    /// makes the region and the others open it.
    ///
    /// # Errors
    ///
    /// Those of [`create`](Self::create), [`open`](Self::open) and [`open_snapshot`](Self::open_snapshot).
    pub fn adopt(&self, path: impl AsRef<Path>) -> Result<C, OpenError> {
        let path = files::absolute(path.as_ref())?;
        let place = path.display().to_string();
        let spec = C::spec(&self.wanted);
        let spec = spec.map_err(|reason| OpenError::new(place.as_str(), reason))?;
        let mut full = Full::default();
        // Each turn but the last means that another put a file in its place meanwhile, or is about to.
        for _ in 0..1000 {
            let begun = match Region::begin_adoption(&path, &spec, &self.settings) {
                Err(error) if full.may_pass(&error) => continue,
                begun => begun?,
            };
            let Some((region, adoption)) = begun else { return self.open(&path) };
            let channel = C::from_region(region, spec.clone());
            files::at(&place, channel.salvage())?;
            if adoption.finish()? {
                return Ok(channel);
            }
        }
        self.open(&path)
    }
}

/// A kind of channel whose readers hold no seat, so that whoever may not write can read.
pub trait ReadOnlyChannel: Channel {}

impl<C: ReadOnlyChannel> Options<C> {
    /// Opens a file for its readers only: the mapping, and the descriptor, cannot be written.
    ///
    /// # Errors
    ///
    /// Those of [`open`](Self::open); the file need only be readable.
    pub fn open_read_only(&self, path: impl AsRef<Path>) -> Result<C, OpenError> {
        self.make_at(path.as_ref(), |path, spec, settings| Region::open(path, spec, settings, Access::ReadOnly))
    }

    /// Opens a descriptor for its readers only: the mapping cannot be written.
    ///
    /// # Errors
    ///
    /// Those of [`from_fd`](Self::from_fd).
    pub fn from_fd_read_only(&self, fd: OwnedFd) -> Result<C, OpenError> {
        self.make("memfd region", |spec, settings| Region::from_fd(fd, spec, settings, Access::ReadOnly))
    }
}

/// A type's name without the paths in it: `a::b::C<d::E>` becomes `C<E>`.
pub(crate) fn short_type_name<T>() -> String {
    let full = core::any::type_name::<T>();
    let mut short = String::new();
    let mut word = String::new();
    for c in full.chars() {
        if c.is_alphanumeric() || c == '_' {
            word.push(c);
        } else if c == ':' {
            word.clear();
        } else {
            short.push_str(&word);
            word.clear();
            short.push(c);
        }
    }
    short + &word
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_left_out_of_names() {
        assert_eq!(short_type_name::<u64>(), "u64");
        assert_eq!(short_type_name::<Settings>(), "Settings");
        assert_eq!(short_type_name::<Option<Settings>>(), "Option<Settings>");
        assert_eq!(short_type_name::<[core::num::Wrapping<u8>; 4]>(), "[Wrapping<u8>; 4]");
    }
}
