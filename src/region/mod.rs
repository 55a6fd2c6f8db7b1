//! A region: one mapping, one header, checked views.
//!
//! A file region is complete before it gets its name, so nobody ever finds a half-made one. A memfd is sealed against
//! truncation before anyone else can get it. An anonymous region exists only for the process that made it and its
//! children. Of the protocols, this room uses only seats, which a copy frees, and the pair of a ring's ends, which a view
//! puts together.

mod copies;
mod file_state;
pub(crate) mod files;
pub(crate) mod header;
mod locks;
mod make;
mod provenance;
pub(crate) mod unused;
mod views;

use core::fmt;
use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use nix::sys::mman::MmapAdvise;

use crate::error::{OpenError, OsError, Reason, TypeFingerprint};
use crate::layout::{Header, Kind};
use crate::os::file;
use crate::os::mapping::{Access, Mapping};
use crate::os::owned::Owned;
use crate::os::socket;
use crate::wait::Wait;
pub(crate) use copies::Reading;
pub use file_state::FileState;
use files::Owner;
use header::FirstPage;
pub(crate) use make::SpaceRetries;
pub use unused::{in_use, remove_unused};
pub(crate) use views::Parts;

/// The user's choices about a region, except its geometry.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub mode: u32,
    pub owner: Option<u32>,
    pub prefault: bool,
    pub lock: bool,
    pub huge_pages: bool,
    pub watch_file: bool,
    /// How blocked calls wait at first.
    pub wait: Wait,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            mode: 0o600,
            owner: None,
            prefault: false,
            lock: false,
            huge_pages: false,
            watch_file: false,
            wait: Wait::default(),
        }
    }
}

impl Settings {
    /// Whose files this process may map.
    pub fn owner(&self) -> Owner {
        self.owner.map_or(Owner::Own, Owner::OwnOr)
    }

    /// Whose files this process may read.
    pub fn owner_to_read(&self) -> Owner {
        self.owner.map_or(Owner::Anyone, Owner::OwnOr)
    }
}

/// How the data area will be used: the advice that [`madvise(2)`] may get.
///
/// [`madvise(2)`]: https://man7.org/linux/man-pages/man2/madvise.2.html
///
/// # Examples
///
/// ```
/// # let channel = ringway::spsc::Channel::<u64>::options().capacity(4).anonymous()?;
/// # use ringway::Advice;
/// channel.region().advise(Advice::DontDump)?; // core dumps stay small
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Advice {
    /// In no special way.
    Normal,
    /// From front to back.
    Sequential,
    /// In random order.
    Random,
    /// Soon: read it in.
    WillNeed,
    /// Back it with transparent huge pages where the kernel can.
    HugePage,
    /// Leave it out of core dumps.
    DontDump,
}

/// Whether [`flush`](Region::flush) waits.
///
/// # Examples
///
/// ```
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("ticks");
/// # let channel = ringway::spsc::Channel::<u64>::create(&path, 4)?;
/// # use ringway::Flush;
/// channel.sender()?.send(&7)?;
/// channel.region().flush(Flush::Wait)?; // it is on the disk now
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Flush {
    /// Returns once the file holds everything stored before the call.
    Wait,
    /// Returns at once. The kernel writes in its own time, which Linux does even without this call.
    Start,
}

/// What holds the memory of a region that a [`Report`](crate::Report) is about.
///
/// # Examples
///
/// ```
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("ticks");
/// # let _channel = ringway::spsc::Channel::<u64>::create(&path, 4)?;
/// assert_eq!(ringway::Report::open(&path)?.memory, ringway::Memory::File);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Memory {
    /// A file that has, or had, a name.
    File,
    /// A memfd.
    Memfd,
    /// A memfd that stands for anonymous memory, because the kernel did not map that twice. A ring of records needs it
    /// twice. Linux refuses that for huge pages, emulators refuse it for all.
    AnonymousMemfd,
}

enum Backing {
    File {
        file: Owned,
        path: PathBuf,
    },
    Memfd(Owned),
    /// The file serves for its locks, and for the memory where that cannot be anonymous.
    Anonymous(Option<Owned>),
    Snapshot,
}

/// A mapped region whose header was checked: the memory behind a channel.
///
/// Any thread may call any method, in any process that has the channel.
///
/// # Examples
///
/// ```
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("ticks");
/// # let channel = ringway::spsc::Channel::<u64>::create(&path, 4)?;
/// let region = channel.region();
/// println!("{:?}: {} bytes in pages of {}", region.path(), region.size(), region.page_size());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Region {
    mapping: Arc<Mapping>,
    first_page: FirstPage,
    backing: Backing,
    /// Whether a lock has been seen to last as long as a mapping.
    keeps_locks: AtomicBool,
    /// Whether all pages are faulted in ahead, so that messages cause no page fault.
    prefault: bool,
    /// Whether blocked calls report that the file has lost its name.
    watch_file: bool,
    wait: Wait,
}

const MEMFD: &str = "memfd region";
const ANONYMOUS: &str = "anonymous region";

impl Region {
    fn new(mapping: Arc<Mapping>, first_page: FirstPage, backing: Backing, settings: &Settings) -> Self {
        let keeps_locks = AtomicBool::new(false);
        let Settings { prefault, watch_file, wait, .. } = *settings;
        Self { mapping, first_page, backing, keeps_locks, prefault, watch_file, wait }
    }

    /// Whether the region may not be written.
    pub(crate) fn read_only(&self) -> bool {
        self.mapping.access() == Access::ReadOnly
    }

    /// How blocked calls wait at first.
    pub(crate) fn wait(&self) -> Wait {
        self.wait
    }

    /// Faults the pages in, if the user asked for that: a forked child inherits the mapping without its pages.
    pub(crate) fn prefault_here(&self) -> Result<(), OsError> {
        if self.prefault { self.mapping.prefault() } else { Ok(()) }
    }

    /// The capacity, in slots, words or cells.
    pub(crate) fn capacity(&self) -> u64 {
        self.first_page.capacity
    }

    /// The size of the region, and of its file, in bytes: a whole number of pages.
    ///
    /// # Examples
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("ticks");
    /// # let channel = ringway::spsc::Channel::<u64>::create(&path, 4)?;
    /// assert_eq!(channel.region().size(), std::fs::metadata(&path)?.len());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn size(&self) -> u64 {
        self.first_page.region_len
    }

    /// The size of its pages in bytes.
    ///
    /// # Examples
    ///
    /// ```
    /// # let channel = ringway::spsc::Channel::<u64>::options().capacity(4).anonymous()?;
    /// let region = channel.region();
    /// println!("{} pages", region.size() / region.page_size());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn page_size(&self) -> u64 {
        self.first_page.page_size
    }

    /// The path of a file region. It was made absolute when it was given.
    ///
    /// # Examples
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("ticks");
    /// # let channel = ringway::spsc::Channel::<u64>::create(&path, 4)?;
    /// assert_eq!(channel.region().path(), Some(path.as_path()));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn path(&self) -> Option<&Path> {
        match &self.backing {
            Backing::File { path, .. } => Some(path),
            _ => None,
        }
    }

    /// The path, or what the region is.
    pub(crate) fn place(&self) -> String {
        match &self.backing {
            Backing::File { path, .. } => path.display().to_string(),
            Backing::Memfd(_) => MEMFD.into(),
            Backing::Anonymous(_) => ANONYMOUS.into(),
            Backing::Snapshot => "snapshot".into(),
        }
    }

    /// What holds the memory of a region that was opened by its path.
    pub(crate) fn memory(&self) -> Memory {
        match self.file().and_then(file::memfd_name) {
            Some(name) if name == file::ANONYMOUS.to_bytes() => Memory::AnonymousMemfd,
            Some(_) => Memory::Memfd,
            None => Memory::File,
        }
    }

    fn file(&self) -> Option<&Owned> {
        match &self.backing {
            Backing::File { file, .. } | Backing::Memfd(file) => Some(file),
            Backing::Anonymous(_) | Backing::Snapshot => None,
        }
    }

    /// Whether the memory is a private copy that no other process opened.
    pub(crate) fn is_snapshot(&self) -> bool {
        matches!(self.backing, Backing::Snapshot)
    }

    /// The boot, PID namespace and time namespace in which the region was made, as one number; 0 = unknown.
    pub(crate) fn origin(&self) -> u64 {
        self.first_page.origin
    }

    pub(crate) fn kind(&self) -> Kind {
        Kind::from_u32(self.first_page.kind).expect("a header that was checked")
    }

    /// The header, which was checked when the region was made or opened.
    pub(crate) fn header(&self) -> &Header {
        &self.first_page
    }

    /// The type that the region carries.
    pub(crate) fn carries(&self) -> TypeFingerprint {
        self.first_page.fingerprint()
    }

    /// The descriptor of a file or memfd. It closes on exec. To give one to a program that you start, see
    /// [`inheritable_fd`](Self::inheritable_fd); to give one to any other process, [`send_over`](Self::send_over). `None`
    /// if the region has no descriptor, or if somebody in this process closed it.
    ///
    /// # Examples
    ///
    /// ```
    /// use ringway::spsc;
    /// let channel = spsc::Channel::<u64>::options().capacity(4).memfd()?;
    /// let fd = channel.region().fd().ok_or("somebody closed it")?; // to be passed by other means than `send_over`
    /// let received = fd.try_clone_to_owned()?;
    /// assert!(spsc::Channel::<u64>::from_fd(received).is_ok());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.file()?.get().ok().map(|file| file.as_fd())
    }

    /// A descriptor that stays open across exec. Tell the new program its number: it opens it with
    /// [`from_inherited_fd`](crate::Options::from_inherited_fd).
    /// Every program that starts while it exists inherits it, so drop it once the intended one runs.
    ///
    /// # Errors
    ///
    /// The region is anonymous, the process has no descriptor left, or somebody in it closed the region's
    /// ([`Reason::DescriptorClosed`]).
    ///
    /// # Examples
    ///
    /// ```
    /// use std::os::fd::AsRawFd;
    /// let channel = ringway::spsc::Channel::<u64>::options().capacity(4).memfd()?;
    /// let inherited = channel.region().inheritable_fd()?;
    /// let mut command = std::process::Command::new("consumer");
    /// command.arg(inherited.as_raw_fd().to_string()); // spawn it, then drop `inherited`
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn inheritable_fd(&self) -> Result<OwnedFd, OpenError> {
        let copy = || file::inheritable(self.file().ok_or(Reason::Anonymous)?);
        files::at(&self.place(), copy())
    }

    /// Sends a memfd's descriptor over a Unix socket of any type, with one byte. The process at the other end opens it
    /// with [`from_socket`](crate::Options::from_socket).
    ///
    /// A process that gets the descriptor and ends before it takes a seat leaves no death in the region: whoever waits for
    /// it also looks at the socket, or uses [`wait_for_peer`](crate::spsc::Receiver::wait_for_peer) with a time-out.
    ///
    /// # Errors
    ///
    /// The region is no memfd, or somebody in this process closed its descriptor; `socket` is no connected Unix socket,
    /// or has no room and must not wait.
    ///
    /// # Examples
    ///
    /// ```
    /// use ringway::spsc;
    /// use std::os::unix::net::UnixStream;
    /// let (ours, theirs) = UnixStream::pair()?; // or accepted and connected, by two programs
    /// let channel = spsc::Channel::<u64>::options().capacity(4).memfd()?;
    /// channel.region().send_over(&ours)?;
    /// let there = spsc::Channel::<u64>::options().from_socket(&theirs)?; // in the other program
    /// assert_eq!(there.region().id(), channel.region().id());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn send_over(&self, socket: impl AsFd) -> Result<(), OpenError> {
        let send = || {
            // Of its own: by the time it is sent, somebody may have put another file under the region's number.
            let copy = match &self.backing {
                Backing::Memfd(file) => file::duplicate(file)?,
                Backing::File { .. } => return Err(Reason::NamedFile),
                Backing::Anonymous(_) | Backing::Snapshot => return Err(Reason::Anonymous),
            };
            Ok(socket::send(socket.as_fd(), copy.as_fd())?)
        };
        files::at(&self.place(), send())
    }

    /// Removes the file's name, if it still names this region. Attached processes go on using the region. Nobody else
    /// can open it, and its memory is freed when the last of them is gone.
    ///
    /// # Errors
    ///
    /// The region has no path, the path names another file by now, this process may not write the directory, or another
    /// program has locked the whole file.
    ///
    /// # Examples
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("ticks");
    /// # let channel = ringway::spsc::Channel::<u64>::create(&path, 4)?;
    /// channel.region().unlink()?;
    /// assert!(!path.exists());
    /// channel.sender()?.send(&7)?; // those attached go on
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn unlink(&self) -> io::Result<()> {
        match &self.backing {
            Backing::File { file, path } => self.unlink_on_purpose(path, file),
            _ => Err(io::Error::new(ErrorKind::NotFound, "the region has no path")),
        }
    }

    /// A number that no other region has. A copy has its original's number until it is
    /// [adopted](crate::Options::adopt).
    ///
    /// # Examples
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("ticks");
    /// # let channel = ringway::spsc::Channel::<u64>::create(&path, 4)?;
    /// # use ringway::spsc;
    /// let opened = spsc::Channel::<u64>::open(&path)?;
    /// assert_eq!(channel.region().id(), opened.region().id()); // the same memory
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn id(&self) -> u128 {
        let [high, low] = self.first_page.id;
        u128::from(high) << 64 | u128::from(low)
    }

    /// Writes the region's content to the file on disk (`msync(2)`). Other processes see every store without this.
    ///
    /// # Errors
    ///
    /// The disk failed.
    ///
    /// # Examples
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("ticks");
    /// # let channel = ringway::spsc::Channel::<u64>::create(&path, 4)?;
    /// # use ringway::Flush;
    /// channel.sender()?.send(&7)?;
    /// channel.region().flush(Flush::Start)?; // the kernel begins to write
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn flush(&self, flush: Flush) -> Result<(), OsError> {
        self.mapping.flush(flush == Flush::Wait)
    }

    /// How many of the region's `size() / page_size()` pages are in memory (`mincore(2)`).
    ///
    /// # Errors
    ///
    /// The kernel refuses the call.
    ///
    /// # Examples
    ///
    /// ```
    /// # let channel = ringway::spsc::Channel::<u64>::options().capacity(4).anonymous()?;
    /// let region = channel.region();
    /// println!("{} of {} pages are in memory", region.resident_pages()?, region.size() / region.page_size());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn resident_pages(&self) -> Result<usize, OsError> {
        self.mapping.resident_pages()
    }

    /// Advises the kernel how the data will be used (`madvise(2)`).
    ///
    /// # Errors
    ///
    /// The kernel does not support this advice, or not for this memory.
    ///
    /// # Examples
    ///
    /// ```
    /// # let channel = ringway::spsc::Channel::<u64>::options().capacity(4).anonymous()?;
    /// # use ringway::Advice;
    /// if let Err(error) = channel.region().advise(Advice::HugePage) {
    ///     eprintln!("no transparent huge pages: {error}");
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn advise(&self, advice: Advice) -> Result<(), OsError> {
        self.mapping.advise(match advice {
            Advice::Normal => MmapAdvise::MADV_NORMAL,
            Advice::Sequential => MmapAdvise::MADV_SEQUENTIAL,
            Advice::Random => MmapAdvise::MADV_RANDOM,
            Advice::WillNeed => MmapAdvise::MADV_WILLNEED,
            Advice::HugePage => MmapAdvise::MADV_HUGEPAGE,
            Advice::DontDump => MmapAdvise::MADV_DONTDUMP,
        })
    }
}

impl fmt::Debug for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Region").field("place", &self.place()).field("size", &self.size()).finish_non_exhaustive()
    }
}
