//! One builder for all kinds of channel. It makes or opens the channel's region.
#![forbid(unsafe_code)]

use core::marker::PhantomData;
use std::os::fd::{AsFd, OwnedFd, RawFd};
use std::path::Path;

use super::Channel;
use crate::error::{OpenError, Reason};
use crate::os::mapping::Access;
use crate::os::socket;
use crate::region::files;
use crate::region::header::Spec;
use crate::region::{Region, Settings, SpaceRetries, unused};
use crate::wait::Wait;

/// How to make or open a region. A channel's `options()` returns one. Any thread may use it.
///
/// # Examples
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
pub struct Wanted {
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

    /// Permissions of a new file or memfd, whatever the umask. Default: `0o600`.
    ///
    /// # Examples
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("ticks");
    /// use ringway::spsc;
    /// use std::os::unix::fs::PermissionsExt;
    /// let ticks = spsc::Channel::<u64>::options().capacity(4).mode(0o640).create(&path)?;
    /// assert_eq!(std::fs::metadata(&path)?.permissions().mode() & 0o777, 0o640);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn mode(mut self, mode: u32) -> Self {
        self.settings.mode = mode;
        self
    }

    /// A user whose files may be opened, besides the caller's own. That user can truncate the file while others have it
    /// mapped. Default: nobody.
    ///
    /// # Examples
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("ticks");
    /// # let channel = ringway::spsc::Channel::<u64>::create(&path, 4)?;
    /// # let uid_of_the_service = nix::unistd::getuid().as_raw();
    /// use ringway::spsc;
    /// let ticks = spsc::Channel::<u64>::options().owner(uid_of_the_service).open(&path)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn owner(mut self, uid: u32) -> Self {
        self.settings.owner = Some(uid);
        self
    }

    /// Faults every page in now, and again when a forked child takes a seat, so that no message causes a page fault
    /// later. Default: no.
    ///
    /// # Examples
    ///
    /// ```
    /// use ringway::spsc;
    /// let ticks = spsc::Channel::<u64>::options().capacity(4).prefault(true).anonymous()?;
    /// println!("{} pages are there already", ticks.region().resident_pages()?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn prefault(mut self, yes: bool) -> Self {
        self.settings.prefault = yes;
        self
    }

    /// Locks the region in memory (`mlock(2)`), within `RLIMIT_MEMLOCK`: beyond it, the call that makes or opens the region
    /// fails with [`Reason::LockLimit`](crate::Reason::LockLimit). Default: no.
    ///
    /// # Examples
    ///
    /// ```
    /// use ringway::spsc;
    /// let options = spsc::Channel::<u64>::options().capacity(4);
    /// let ticks = match options.clone().lock(true).anonymous() {
    ///     Ok(locked) => locked,
    ///     Err(error) => {
    ///         eprintln!("{error}"); // says how much RLIMIT_MEMLOCK must be
    ///         options.anonymous()?
    ///     }
    /// };
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn lock(mut self, yes: bool) -> Self {
        self.settings.lock = yes;
        self
    }

    /// Backs a memfd or anonymous region with huge pages, which the system must have reserved.
    /// The header and the control words then take a huge page each. If there are too few, the call that makes the region
    /// fails with [`Reason::NoHugePages`](crate::Reason::NoHugePages). Default: no.
    ///
    /// # Examples
    ///
    /// ```
    /// use ringway::spsc;
    /// let options = spsc::Channel::<u64>::options().capacity(1 << 16);
    /// let ticks = match options.clone().huge_pages(true).memfd() {
    ///     Ok(huge) => huge,
    ///     Err(error) => {
    ///         eprintln!("{error}"); // says how many bytes the system has not reserved
    ///         options.memfd()?
    ///     }
    /// };
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn huge_pages(mut self, yes: bool) -> Self {
        self.settings.huge_pages = yes;
        self
    }

    /// How the blocked calls of every endpoint wait that is claimed from this channel, until
    /// [`set_wait`](crate::spsc::Receiver::set_wait) says otherwise. Default: [`Wait::default`].
    ///
    /// # Examples
    ///
    /// ```
    /// use ringway::{Wait, spsc};
    /// let ticks = spsc::Channel::<u64>::options().capacity(4).wait(Wait::Spin).anonymous()?;
    /// assert_eq!(ticks.receiver()?.wait(), Wait::Spin);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn wait(mut self, wait: Wait) -> Self {
        self.settings.wait = wait;
        self
    }

    /// Makes blocked calls notice that the file has lost its name. They then fail with `FileLost`, because a new peer
    /// cannot reach this region. If a user of the region removed the name on purpose, with
    /// [`unlink`](crate::Region::unlink), that is not reported. See [`file_state`](crate::Region::file_state) for what
    /// to do then. A blocked call asks the kernel after 4 ms, and then every 20 ms. If the peer has left, every call
    /// asks, and returns `FileLost` instead of `Closed`. Default: no.
    ///
    /// # Examples
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

    /// [`in_use`](crate::in_use) with these options. Only [`owner`](Self::owner) matters; without it, any owner is
    /// accepted.
    ///
    /// # Errors
    ///
    /// See there.
    ///
    /// # Examples
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("ticks");
    /// # let channel = ringway::spsc::Channel::<u64>::create(&path, 4)?;
    /// # let uid_of_the_service = nix::unistd::getuid().as_raw();
    /// let options = ringway::Report::options().owner(uid_of_the_service); // refuses the files of others
    /// assert!(options.in_use(&path)?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn in_use(&self, path: impl AsRef<Path>) -> Result<bool, OpenError> {
        unused::is_in_use(&files::absolute(path.as_ref())?, self.settings.owner_to_read())
    }

    /// [`remove_unused`](crate::remove_unused) with these options. Only [`owner`](Self::owner) matters.
    ///
    /// # Errors
    ///
    /// See there.
    ///
    /// # Examples
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("ticks");
    /// # let channel = ringway::spsc::Channel::<u64>::create(&path, 4)?;
    /// # let uid_of_the_service = nix::unistd::getuid().as_raw();
    /// drop(channel);
    /// ringway::Report::options().owner(uid_of_the_service).remove_unused(&path)?;
    /// assert!(!path.exists());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn remove_unused(&self, path: impl AsRef<Path>) -> Result<(), OpenError> {
        unused::remove(&files::absolute(path.as_ref())?, self.settings.owner())
    }

    /// The name by which both sides know the type, of at most 64 bytes. Default: the type's own name without its path,
    /// so that the same struct written in two programs matches. Add a version to it when you change what the fields
    /// mean.
    ///
    /// # Examples
    ///
    /// ```
    /// use ringway::{Reason, spsc};
    /// let old = spsc::Channel::<u64>::options().capacity(4).type_name("price in cents").memfd()?;
    /// let new = spsc::Channel::<u64>::options().type_name("price in mills");
    /// let error = new.from_fd(old.region().inheritable_fd()?).unwrap_err();
    /// assert!(matches!(error.reason(), Reason::Type { .. }));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn type_name(mut self, name: impl Into<String>) -> Self {
        self.wanted.type_name = Some(name.into());
        self
    }
}

impl<C: Channel> Options<C> {
    /// Calls `make` with the absolute path.
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

    /// Makes the region in a new file, with the given mode and with all its memory reserved. The file is complete
    /// before it gets its name. It stays until someone removes it.
    ///
    /// # Errors
    ///
    /// The path exists, in whatever form; there is no room; the process is at a limit; the capacity or type is
    /// impossible.
    ///
    /// # Examples
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("ticks");
    /// use ringway::{Reason, spsc};
    /// let options = spsc::Channel::<u64>::options().capacity(4);
    /// let ticks = options.create(&path)?;
    /// assert!(matches!(options.create(&path).unwrap_err().reason(), Reason::Exists));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn create(&self, path: impl AsRef<Path>) -> Result<C, OpenError> {
        self.make_at(path.as_ref(), Region::create)
    }

    /// Opens the region in an existing file. If a capacity was given, the region must have it.
    ///
    /// # Errors
    ///
    /// The path is missing, or is not a regular file of an accepted owner; the file is not a region of this kind, type,
    /// machine and version, or was altered or truncated; it is a copy of a region, or was made in another boot of the
    /// machine ([`Reason::Copy`](crate::Reason::Copy)).
    ///
    /// # Examples
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("ticks");
    /// # let channel = ringway::spsc::Channel::<u64>::create(&path, 4)?;
    /// use ringway::{Reason, spsc};
    /// assert!(spsc::Channel::<u64>::options().open(&path).is_ok());
    /// let other = spsc::Channel::<u64>::options().capacity(5).open(&path).unwrap_err();
    /// assert!(matches!(other.reason(), Reason::OtherCapacity { found: 4, expected: 5 }));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn open(&self, path: impl AsRef<Path>) -> Result<C, OpenError> {
        self.make_at(path.as_ref(), |path, spec, settings| Region::open(path, spec, settings, Access::Shared))
    }

    /// Opens the region in a file, or makes it if there is none. Any number of processes may do so at once: one makes
    /// it, and the others open it.
    ///
    /// # Errors
    ///
    /// Those of [`create`](Self::create) and [`open`](Self::open).
    ///
    /// # Examples
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("ticks");
    /// use ringway::spsc;
    /// let options = spsc::Channel::<u64>::options().capacity(4);
    /// let mut tx = options.open_or_create(&path)?.sender()?; // in either process, in either order
    /// let mut rx = options.open_or_create(&path)?.receiver()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn open_or_create(&self, path: impl AsRef<Path>) -> Result<C, OpenError> {
        self.make_at(path.as_ref(), Region::open_or_create)
    }

    /// Makes the region in a new file, in place of one that nobody is attached to. The old content is lost. To keep it,
    /// see [`open_or_create`](Self::open_or_create).
    ///
    /// The old file is removed last, so there must be room for both, and after an error the old file is still there.
    ///
    /// # Errors
    ///
    /// [`Reason::InUse`](crate::Reason::InUse), and those of [`create`](Self::create) and
    /// [`remove_unused`](crate::remove_unused).
    ///
    /// # Examples
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("ticks");
    /// # let channel = ringway::spsc::Channel::<u64>::create(&path, 4)?;
    /// use ringway::{Reason, spsc};
    /// let larger = spsc::Channel::<u64>::options().capacity(8);
    /// assert!(matches!(larger.recreate(&path).unwrap_err().reason(), Reason::InUse));
    /// drop(channel);
    /// assert_eq!(larger.recreate(&path)?.capacity(), 8);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn recreate(&self, path: impl AsRef<Path>) -> Result<C, OpenError> {
        self.make_at(path.as_ref(), Region::recreate)
    }

    /// Makes the region in memory without a name, for this process and those that it forks.
    ///
    /// A ring of records needs its memory mapped twice. Where the kernel does not map anonymous memory twice (huge
    /// pages; emulators), the memory is a memfd's, whose descriptor no call gives away
    /// ([`Memory::AnonymousMemfd`](crate::Memory::AnonymousMemfd)).
    ///
    /// # Errors
    ///
    /// There is no memory; the process is at a limit; the capacity or type is impossible.
    ///
    /// # Examples
    ///
    /// ```
    /// use ringway::spsc;
    /// let ticks = spsc::Channel::<u64>::options().capacity(4).anonymous()?;
    /// assert!(ticks.region().fd().is_none()); // only children that are forked from now on have it
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn anonymous(&self) -> Result<C, OpenError> {
        self.make("anonymous region", Region::anonymous)
    }

    /// Makes the region in a memfd, sealed against any change of size, for processes that inherit or receive its
    /// descriptor. The right backing for a peer that is not trusted.
    ///
    /// # Errors
    ///
    /// There is no memory or descriptor; the process is at a limit; the capacity or type is impossible.
    ///
    /// # Examples
    ///
    /// ```
    /// use ringway::spsc;
    /// use std::os::unix::net::UnixStream;
    /// let ticks = spsc::Channel::<u64>::options().capacity(4).memfd()?;
    /// let fd = ticks.region().inheritable_fd()?; // for a program that is started now
    /// let (socket, theirs) = UnixStream::pair()?; // or accepted from a program that runs already
    /// ticks.region().send_over(&socket)?; // for that one
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn memfd(&self) -> Result<C, OpenError> {
        self.make("memfd region", Region::memfd)
    }

    /// Opens the region behind a descriptor that was inherited or received, and takes the descriptor.
    ///
    /// # Errors
    ///
    /// It is not a sealed memfd, or does not hold a region of this kind, type, machine and version, or holds a copy of
    /// one.
    ///
    /// # Examples
    ///
    /// ```
    /// use ringway::spsc;
    /// let options = spsc::Channel::<u64>::options().capacity(4); // refuses another capacity
    /// let made = options.memfd()?;
    /// let opened = options.from_fd(made.region().inheritable_fd()?)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn from_fd(&self, fd: OwnedFd) -> Result<C, OpenError> {
        self.make("memfd region", |spec, settings| Region::from_fd(fd, spec, settings, Access::Shared))
    }

    /// Opens the region behind a descriptor that this process was started with, by its number. Whoever started it made
    /// the descriptor with [`inheritable_fd`](crate::Region::inheritable_fd). The region uses a descriptor of its own; the
    /// number stays open, but no program that this process starts inherits it any more.
    ///
    /// # Errors
    ///
    /// Those of [`from_fd`](Self::from_fd); no file is open under this number.
    ///
    /// # Examples
    ///
    /// ```
    /// use ringway::spsc;
    /// use std::os::fd::AsRawFd;
    /// let channel = spsc::Channel::<u64>::options().capacity(4).memfd()?;
    /// let inherited = channel.region().inheritable_fd()?;
    /// let number = inherited.as_raw_fd(); // which a program that is started now is told
    /// let there = spsc::Channel::<u64>::options().from_inherited_fd(number)?; // in that program
    /// assert_eq!(there.region().id(), channel.region().id());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn from_inherited_fd(&self, number: RawFd) -> Result<C, OpenError> {
        self.make("memfd region", |spec, settings| Region::from_inherited_fd(number, spec, settings))
    }

    /// Receives a descriptor over a Unix socket, and opens the region behind it. The process at the other end sends it
    /// with [`send_over`](crate::Region::send_over). This waits for it, unless the socket must not wait. It takes one
    /// byte from the socket, and the rest of the message if the socket has messages.
    ///
    /// A process that ends after this and before it takes a seat leaves no death in the region: whoever waits for it also
    /// looks at the socket, or uses [`wait_for_peer`](crate::spsc::Sender::wait_for_peer) with a time-out.
    ///
    /// # Errors
    ///
    /// Those of [`from_fd`](Self::from_fd); `socket` is no connected Unix socket, or is closed; no descriptor came with
    /// the byte, or this process has no room for one.
    ///
    /// # Examples
    ///
    /// ```
    /// use ringway::bytes;
    /// use std::os::unix::net::UnixStream;
    /// # let (ours, theirs) = UnixStream::pair()?;
    /// # let answers = bytes::Channel::options().capacity_bytes(1 << 16).memfd()?;
    /// # answers.region().send_over(&ours)?;
    /// // `theirs` is connected to a program that calls `send_over`. A capacity leaves it no choice.
    /// let mut tx = bytes::Channel::options().capacity_bytes(1 << 16).from_socket(&theirs)?.sender()?;
    /// tx.send(b"an answer")?;
    /// # assert_eq!(answers.receiver()?.recv()?, b"an answer");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn from_socket(&self, socket: impl AsFd) -> Result<C, OpenError> {
        let received = socket::receive(socket.as_fd()).map_err(Reason::from);
        self.from_fd(files::at("descriptor from a socket", received)?)
    }

    /// Copies the region in a file, as it is now, into private memory. The copy is a channel of its own with free
    /// seats: its messages can be received without affecting the region. The path may be a link of `/proc` to a memfd
    /// (`/proc/PID/fd/N`).
    ///
    /// A copy of a ring in use holds the messages that were in it for as long as the copying took. A copy of a seqlock
    /// holds its latest value.
    ///
    /// A file is read instead of mapped if it is itself a copy of a region ([`Reason::Copy`](crate::Reason::Copy)), has
    /// holes, or belongs to a user that [`owner`](Self::owner) does not name. The messages of such a file are kept up
    /// to the first place that contradicts what came before it, except the last message before that place. If the
    /// region was in use while the file was copied, or the machine crashed, one of them may still be part one message
    /// and part another: nothing in the file shows that. So copy a region in use with this call and not with `cp`.
    ///
    /// # Errors
    ///
    /// Those of [`open`](Self::open), but the file need only be readable, and may belong to anyone; there is no memory;
    /// no value is whole in a seqlock that was copied in use ([`Reason::NothingWhole`](crate::Reason::NothingWhole)).
    ///
    /// # Examples
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("ticks");
    /// # let channel = ringway::spsc::Channel::<u64>::create(&path, 4)?;
    /// use ringway::spsc;
    /// channel.sender()?.send(&7)?;
    /// let copy = spsc::Channel::<u64>::options().open_snapshot(&path)?;
    /// assert_eq!(copy.receiver()?.recv()?, 7);
    /// assert_eq!(channel.receiver()?.len(), 1); // the region was not touched
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
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

    /// Turns a copy into a region of its own, in the file's place, and opens it. If the file is no copy, just opens it.
    /// Call it if [`open`](Self::open) returns [`Reason::Copy`](crate::Reason::Copy) and you want to go on with the
    /// file's content: after a reboot, with a restored backup, or with a region from a container's image.
    ///
    /// The new region has the file's owner, permissions and group, and a number of its own. If the file's owner may not
    /// give a file to its group, the group is the process's, and has no permissions. Its seats are free. It holds what
    /// an [`open_snapshot`](Self::open_snapshot) of the copy would hold; see there for what is known about the
    /// messages. The file is replaced in one step, after everything else that can fail. Any number of processes may do
    /// so at once: one makes the region, and the others open it.
    ///
    /// # Errors
    ///
    /// Those of [`create`](Self::create), [`open`](Self::open) and [`open_snapshot`](Self::open_snapshot).
    ///
    /// # Examples
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("ticks");
    /// # let channel = ringway::spsc::Channel::<u64>::create(&path, 4)?;
    /// use ringway::{Reason, spsc};
    /// channel.sender()?.send(&7)?;
    /// let restored = path.with_extension("restored");
    /// std::fs::copy(&path, &restored)?; // a backup
    /// let options = spsc::Channel::<u64>::options();
    /// assert!(matches!(options.open(&restored).unwrap_err().reason(), Reason::Copy { .. }));
    /// assert_eq!(options.adopt(&restored)?.receiver()?.recv()?, 7);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn adopt(&self, path: impl AsRef<Path>) -> Result<C, OpenError> {
        let path = files::absolute(path.as_ref())?;
        let place = path.display().to_string();
        let spec = C::spec(&self.wanted);
        let spec = spec.map_err(|reason| OpenError::new(place.as_str(), reason))?;
        let mut retries = SpaceRetries::default();
        // Another iteration means that another process replaced the file meanwhile, or is about to.
        for _ in 0..1000 {
            let begun = match Region::begin_adoption(&path, &spec, &self.settings) {
                Err(error) if retries.should_retry(&error) => continue,
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

/// A kind of channel whose readers hold no seat, so that a process that may not write can read.
///
/// # Examples
///
/// ```
/// use ringway::{OpenError, ReadOnlyChannel, seqlock};
/// fn watch<C: ReadOnlyChannel>(path: impl AsRef<std::path::Path>) -> Result<C, OpenError> {
///     C::options().open_read_only(path)
/// }
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("ticks");
/// seqlock::Channel::<u64>::create(&path)?.writer()?.write(&7)?;
/// assert_eq!(watch::<seqlock::Channel<u64>>(&path)?.reader().read()?, 7);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait ReadOnlyChannel: Channel {}

impl<C: ReadOnlyChannel> Options<C> {
    /// Opens a file for readers only: neither the mapping nor the descriptor can be written.
    ///
    /// # Errors
    ///
    /// Those of [`open`](Self::open); the file need only be readable.
    ///
    /// # Examples
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("ticks");
    /// use ringway::seqlock;
    /// seqlock::Channel::<u64>::create(&path)?.writer()?.write(&7)?;
    /// let state = seqlock::Channel::<u64>::options().open_read_only(&path)?;
    /// assert_eq!(state.reader().read()?, 7);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn open_read_only(&self, path: impl AsRef<Path>) -> Result<C, OpenError> {
        self.make_at(path.as_ref(), |path, spec, settings| Region::open(path, spec, settings, Access::ReadOnly))
    }

    /// Opens a descriptor for readers only: the mapping cannot be written.
    ///
    /// # Errors
    ///
    /// Those of [`from_fd`](Self::from_fd).
    ///
    /// # Examples
    ///
    /// ```
    /// use ringway::seqlock;
    /// let made = seqlock::Channel::<u64>::options().memfd()?;
    /// let state = seqlock::Channel::<u64>::options().from_fd_read_only(made.region().inheritable_fd()?)?;
    /// assert!(state.writer().is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
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
