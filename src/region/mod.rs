//! A region: one mapping, one header, checked views.
//!
//! A file region is filled in before it has a name, so nobody ever finds a half-made one; a memfd is
//! sealed against truncation before anybody else can have it; an anonymous one is there only for the
//! children of the process that made it. None of this knows a protocol.

pub(crate) mod header;
mod unused;

use core::fmt;
use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use nix::errno::Errno;
use nix::sys::mman::MmapAdvise;
use nix::sys::resource::Resource;
use zerocopy::{FromZeros, IntoBytes};

use crate::error::OsError;
use crate::layout::{ATTACHED, Control, FIRST, Header, Kind, WORD};
use crate::open_error::{OpenError, Reason};
use crate::os::file::{self, Unnamed};
use crate::os::lock::{self, Lock, try_lock};
use crate::os::mapping::{Access, Mapping, Shape, Source};
use crate::os::process;
use crate::os::usage::limit;
use crate::protocol::seat;
use crate::sync::Ordering::Relaxed;
use crate::words::{View, Words};
use header::Spec;
pub use unused::{in_use, remove_unused};

/// What the user may choose about a region besides its geometry.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub mode: u32,
    pub owner: Option<u32>,
    pub prefault: bool,
    pub lock: bool,
    pub huge_pages: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self { mode: 0o600, owner: None, prefault: false, lock: false, huge_pages: false }
    }
}

impl Settings {
    fn owner(&self) -> u32 {
        self.owner.unwrap_or_else(|| nix::unistd::geteuid().as_raw())
    }
}

/// How the data area will be used: what [`madvise(2)`] may be told.
///
/// [`madvise(2)`]: https://man7.org/linux/man-pages/man2/madvise.2.html
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Advice {
    /// No special way.
    Normal,
    /// From front to back.
    Sequential,
    /// In no order.
    Random,
    /// Soon: read it in.
    WillNeed,
    /// Back it with transparent huge pages where the kernel can.
    HugePage,
    /// Leave it out of core dumps.
    DontDump,
}

/// Whether [`flush`](Region::flush) waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flush {
    /// Returns when the file holds what was stored before the call.
    Wait,
    /// Returns at once; the kernel writes in its own time, which Linux does without being asked.
    Start,
}

enum Backing {
    File {
        file: File,
        path: PathBuf,
    },
    Memfd(File),
    /// Nobody else can have the file: it is there for its locks.
    Anonymous(Option<File>),
    Snapshot,
}

/// A mapped region whose header was checked: what can be asked of the memory behind a channel.
///
/// Any thread may call any of it, in any process that has the channel.
pub struct Region {
    mapping: Arc<Mapping>,
    header: Header,
    backing: Backing,
    /// What tells the file that has the locks from every other.
    file_id: Option<(u64, u64)>,
    /// Whether a lock was seen to last as long as a mapping.
    keeps_locks: AtomicBool,
    /// Whether messages shall cause no page fault.
    prefault: bool,
}

const MEMFD: &str = "memfd region";
const ANONYMOUS: &str = "anonymous region";

impl Region {
    fn new(mapping: Arc<Mapping>, header: Header, backing: Backing, settings: &Settings) -> Self {
        let mut region = Self {
            mapping,
            header,
            backing,
            file_id: None,
            keeps_locks: AtomicBool::new(false),
            prefault: settings.prefault,
        };
        region.file_id = region.lock_file().and_then(|file| file::id_of(file).ok());
        region
    }

    /// Makes the file `path`, whole or not at all.
    pub(crate) fn create(path: &Path, spec: &Spec, settings: &Settings) -> Result<Self, OpenError> {
        file::at(&path.display().to_string(), Self::create_inner(path, spec, settings))
    }

    fn create_inner(path: &Path, spec: &Spec, settings: &Settings) -> Result<Self, Reason> {
        if settings.huge_pages {
            return Err(Reason::HugePagesUnsupported);
        }
        if path.symlink_metadata().is_ok() {
            return Err(Reason::Exists);
        }
        let unnamed = Unnamed::beside(path)?;
        let page = file::page_size(unnamed.file())?;
        let header = new_header(spec, page)?;
        file::reserve(unnamed.file(), settings.mode, header.region_len)?;
        let mapping = fill_in(Source::File(unnamed.file()), &header, spec, settings)?;
        // A file system without locks has regions that nobody can tell to be unused.
        let _ = try_lock(unnamed.file(), Lock::Shared, ATTACHED);
        let file = unnamed.link(path)?;
        Ok(Self::new(mapping, header, Backing::File { file, path: path.to_owned() }, settings))
    }

    /// Opens the file `path` if everything about it is as it should be.
    pub(crate) fn open(path: &Path, spec: &Spec, settings: &Settings, access: Access) -> Result<Self, OpenError> {
        file::at(&path.display().to_string(), Self::open_inner(path, spec, settings, access))
    }

    fn open_inner(path: &Path, spec: &Spec, settings: &Settings, access: Access) -> Result<Self, Reason> {
        let file = unused::enter(path, access == Access::Shared, settings.owner())?;
        let header = read_header(&file, spec)?;
        let mapping = attach(&file, &header, spec, settings, access)?;
        Ok(Self::new(mapping, header, Backing::File { file, path: path.to_owned() }, settings))
    }

    /// Opens the file `path` for reading, whatever kind of channel it is.
    pub(crate) fn inspect(path: &Path) -> Result<(Self, Kind), OpenError> {
        let open = || {
            let settings = Settings::default();
            let file = unused::enter(path, false, settings.owner())?;
            let spec = copy_header(&file)?.spec()?;
            let header = read_header(&file, &spec)?;
            let mapping = attach(&file, &header, &spec, &settings, Access::ReadOnly)?;
            let backing = Backing::File { file, path: path.to_owned() };
            Ok((Self::new(mapping, header, backing, &settings), spec.kind))
        };
        file::at(&path.display().to_string(), open())
    }

    /// Opens the file `path`, or makes it where it is missing; however many do so at once, one makes it
    /// and the others open that.
    pub(crate) fn open_or_create(path: &Path, spec: &Spec, settings: &Settings) -> Result<Self, OpenError> {
        // Each turn but the last means that the file came or went in between.
        for _ in 0..1000 {
            match Self::open(path, spec, settings, Access::Shared) {
                Err(error) if matches!(error.reason(), Reason::Missing) => {}
                opened => return opened,
            }
            match Self::create(path, spec, settings) {
                Err(error) if matches!(error.reason(), Reason::Exists) => {}
                created => return created,
            }
        }
        Self::open(path, spec, settings, Access::Shared)
    }

    /// Makes the file `path` anew, unless someone is attached to the one there.
    pub(crate) fn recreate(path: &Path, spec: &Spec, settings: &Settings) -> Result<Self, OpenError> {
        for _ in 0..1000 {
            match Self::create(path, spec, settings) {
                Err(error) if matches!(error.reason(), Reason::Exists) => {}
                created => return created,
            }
            match unused::remove(path, settings.owner()) {
                Err(error) if matches!(error.reason(), Reason::Missing) => {}
                Err(error) => return Err(error),
                Ok(()) => {}
            }
        }
        Self::create(path, spec, settings)
    }

    /// A region for this process and the children it forks.
    pub(crate) fn anonymous(spec: &Spec, settings: &Settings) -> Result<Self, OpenError> {
        let make = || {
            if settings.huge_pages && spec.mirrored {
                // The kernel mirrors no huge pages without a file, so they get one that nobody can have.
                let (mapping, header, file) = make_memfd(spec, settings)?;
                return Ok(Self::new(mapping, header, Backing::Anonymous(Some(file)), settings));
            }
            let huge = settings.huge_pages;
            let page = if huge { file::huge_page()? } else { file::base_page()? };
            let header = new_header(spec, page)?;
            if !huge {
                file::check_memory(header.region_len)?;
            }
            let mapping = fill_in(Source::Anonymous { huge }, &header, spec, settings)?;
            Ok(Self::new(mapping, header, Backing::Anonymous(file::for_locks()), settings))
        };
        file::at(ANONYMOUS, make())
    }

    /// A region behind a descriptor that can be inherited or sent, and never truncated.
    pub(crate) fn memfd(spec: &Spec, settings: &Settings) -> Result<Self, OpenError> {
        let (mapping, header, file) = file::at(MEMFD, make_memfd(spec, settings))?;
        Ok(Self::new(mapping, header, Backing::Memfd(file), settings))
    }

    /// Opens a region behind a descriptor that was inherited or received. It must be sealed.
    pub(crate) fn from_fd(fd: OwnedFd, spec: &Spec, settings: &Settings, access: Access) -> Result<Self, OpenError> {
        let file = File::from(fd);
        let open = || {
            let metadata = file.metadata().map_err(|source| OsError { call: "fstat", source })?;
            if !metadata.is_file() {
                return Err(Reason::NotAFile { found: "a descriptor of something else" });
            }
            let seals = file::seals(&file).map_or(0, |seals| seals.bits() as u32);
            let expected = file::SEALS.bits() as u32;
            if seals & expected != expected {
                return Err(Reason::Unsealed { found: seals, expected });
            }
            // Seals do not keep a peer from punching a hole, and the kernel may have no huge page to fill it.
            if file::page_size(&file)? != file::base_page()? && !settings.huge_pages {
                return Err(Reason::HugePagesUnasked);
            }
            let header = read_header(&file, spec)?;
            let mapping = attach(&file, &header, spec, settings, access)?;
            Ok((mapping, header))
        };
        let (mapping, header) = file::at(MEMFD, open())?;
        Ok(Self::new(mapping, header, Backing::Memfd(file), settings))
    }

    /// A private copy of this region, word by word, with nobody in its seats. What was written meanwhile
    /// may be in it or not, or in part.
    ///
    /// A mapping with `MAP_PRIVATE` would not do: a page shows what others store until it is first
    /// written, and a mirrored one would be copied twice.
    pub(crate) fn copy(&self, spec: &Spec) -> Result<Self, OpenError> {
        let make = || {
            let shape = shape(&self.header, spec);
            file::check_memory(shape.len as u64)?;
            let mapping = Mapping::new(Source::Anonymous { huge: false }, shape, Access::Shared)?;
            mapping.write_header(self.header.as_bytes());
            mapping.protect_header()?;
            Ok(Self::new(Arc::new(mapping), self.header, Backing::Snapshot, &Settings::default()))
        };
        let copy = file::at(&self.place(), make())?;
        let (from, to) = (self.control(), copy.control());
        for (from, to) in from.seats.iter().zip(&to.seats) {
            seat::copy_vacant(from, to);
        }
        // `told` stays 0: whoever receives from the copy is to hear where it ends.
        to.latest.store(from.latest.load(Relaxed), Relaxed);
        copy.data().copy_from(&self.data(), self.header.data_len as usize / WORD);
        Ok(copy)
    }

    /// Whether nothing may be stored.
    pub(crate) fn read_only(&self) -> bool {
        self.mapping.access() == Access::ReadOnly
    }

    /// Faults the pages in again if that was asked for: a forked child inherits the mapping without them.
    pub(crate) fn prefault_here(&self) -> Result<(), OsError> {
        if self.prefault { self.mapping.prefault() } else { Ok(()) }
    }

    /// The control page.
    pub(crate) fn control(&self) -> View<Control> {
        control(&self.mapping)
    }

    /// The data area, and its mirror if it has one.
    pub(crate) fn data(&self) -> Words {
        let Shape { page, len, mirror } = self.mapping.shape();
        // SAFETY: W1: the data begins two pages in, aligned, and reaches to the end of the mapping. W2: the
        // view keeps the mapping. W3: as in `control`. W4: nothing hands out references to payload.
        unsafe { Words::new(self.mapping.data().cast(), (len - 2 * page + mirror) / WORD, self.mapping.clone()) }
    }

    /// Slots, words or cells.
    pub(crate) fn capacity(&self) -> u64 {
        self.header.capacity
    }

    /// Size of the region in bytes, a whole number of pages: that of its file.
    pub fn size(&self) -> u64 {
        self.header.region_len
    }

    /// Size of its pages in bytes.
    pub fn page_size(&self) -> u64 {
        self.header.page_size
    }

    /// The path of a file region, as it was given.
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

    fn file(&self) -> Option<&File> {
        match &self.backing {
            Backing::File { file, .. } | Backing::Memfd(file) => Some(file),
            Backing::Anonymous(_) | Backing::Snapshot => None,
        }
    }

    /// The file that has the region's locks.
    fn lock_file(&self) -> Option<&File> {
        match &self.backing {
            Backing::File { file, .. } | Backing::Memfd(file) => Some(file),
            Backing::Anonymous(file) => file.as_ref(),
            Backing::Snapshot => None,
        }
    }

    /// Whether this still is the file that has the locks. If somebody closed its descriptor, another file may
    /// have its number.
    fn has_locks(&self, file: &File) -> bool {
        self.file_id.is_some() && file::id_of(file).ok() == self.file_id
    }

    /// The file that has the locks, opened anew.
    pub(crate) fn reopen(&self) -> Result<File, OsError> {
        let gone = || OsError::new("open(/proc/thread-self/fd)", Errno::EBADF);
        let own = self.lock_file().ok_or_else(gone)?;
        let file = if self.has_locks(own) {
            file::reopen(own, false)?
        } else {
            let path = self.path().ok_or_else(gone)?;
            file::open_checked(path, false, None).map_err(|_| gone())?
        };
        if self.has_locks(&file) { Ok(file) } else { Err(gone()) }
    }

    /// Whether any open file has locked the byte; `None` where nobody can say. Asked from a file opened for it: the
    /// region's own descriptor may be closed and its number taken, even by a file that holds a lock. That can only be
    /// one of this process, so it does for the locks of `others`, when no more files can be opened.
    pub(crate) fn is_locked(&self, byte: u64, others: bool) -> Option<bool> {
        let ask = |file: &File| {
            let locked = lock::is_locked(file, byte).ok()?;
            self.has_locks(file).then_some(locked)
        };
        match self.reopen() {
            Ok(file) => ask(&file),
            Err(_) => self.lock_file().filter(|_| others).and_then(ask),
        }
    }

    /// Whether a lock was seen to last as long as a mapping of the file.
    pub(crate) fn keeps_locks(&self) -> bool {
        self.keeps_locks.load(Relaxed)
    }

    pub(crate) fn found_to_keep_locks(&self) {
        self.keeps_locks.store(true, Relaxed);
    }

    /// Whether the memory is a copy that no other process opened.
    pub(crate) fn is_snapshot(&self) -> bool {
        matches!(self.backing, Backing::Snapshot)
    }

    /// Boot and PID namespace in which the region was made; 0: not known.
    pub(crate) fn home(&self) -> u64 {
        self.header.home
    }

    /// What was checked when the region was made or opened.
    pub(crate) fn header(&self) -> &Header {
        &self.header
    }

    /// The descriptor of a file or memfd, to be sent over a Unix socket (`SCM_RIGHTS`). It is closed on
    /// exec; for a program to be started see [`inheritable_fd`](Self::inheritable_fd).
    pub fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.file().map(|file| file.as_fd())
    }

    /// A descriptor that stays open across exec, for the program to open with
    /// [`from_fd`](crate::Options::from_fd). Every program started while it exists inherits it, so drop
    /// it once the one it is meant for runs.
    ///
    /// # Errors
    ///
    /// The region is anonymous, or the process has no descriptor left.
    pub fn inheritable_fd(&self) -> Result<OwnedFd, OpenError> {
        let copy = || file::inheritable(self.file().ok_or(Reason::Anonymous)?);
        file::at(&self.place(), copy())
    }

    /// Removes the file's name, if it still names this region. Those attached go on; nobody new can open
    /// it, and the memory is freed when the last of them is gone.
    ///
    /// # Errors
    ///
    /// The region has no path, the path names another file by now, or the directory may not be written.
    pub fn unlink(&self) -> io::Result<()> {
        match &self.backing {
            Backing::File { file, path } => file::unlink(path, file),
            _ => Err(io::Error::new(ErrorKind::NotFound, "the region has no path")),
        }
    }

    /// Has the kernel write what was stored to the file on disk (`msync(2)`). What other processes see
    /// does not depend on it.
    ///
    /// # Errors
    ///
    /// The disk's.
    pub fn flush(&self, flush: Flush) -> Result<(), OsError> {
        self.mapping.flush(flush == Flush::Wait)
    }

    /// How many of the region's pages are in memory (`mincore(2)`), of `size() / page_size()`.
    ///
    /// # Errors
    ///
    /// The kernel may deny it.
    pub fn resident_pages(&self) -> Result<usize, OsError> {
        self.mapping.resident_pages()
    }

    /// Tells the kernel how the data will be used (`madvise(2)`).
    ///
    /// # Errors
    ///
    /// The kernel does not know the advice, or not for this memory.
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

/// The capacity of a region to be made.
fn wanted(spec: &Spec) -> Result<u64, Reason> {
    spec.capacity.ok_or(Reason::Capacity { found: 0, expected: "one to be set before the region is made" })
}

/// The header of a region made here and now.
fn new_header(spec: &Spec, page: usize) -> Result<Header, Reason> {
    spec.header(wanted(spec)?, page, process::home().unwrap_or(0))
}

/// A sealed memfd with a region in it.
fn make_memfd(spec: &Spec, settings: &Settings) -> Result<(Arc<Mapping>, Header, File), Reason> {
    let huge = settings.huge_pages;
    let file = file::memfd(huge).map_err(|reason| match reason {
        Reason::Os(error) if huge && error.errno() != Errno::EPERM => Reason::HugePagesUnsupported,
        other => other,
    })?;
    let page = file::page_size(&file)?;
    let header = new_header(spec, page)?;
    if !huge {
        file::check_memory(header.region_len)?;
    }
    file::reserve(&file, settings.mode, header.region_len).map_err(|reason| match reason {
        Reason::NoSpace { needed } if huge => Reason::NoHugePages { needed },
        other => other,
    })?;
    let mapping = fill_in(Source::File(&file), &header, spec, settings)?;
    file::seal(&file)?;
    Ok((mapping, header, file))
}

fn shape(header: &Header, spec: &Spec) -> Shape {
    Shape {
        page: header.page_size as usize,
        len: header.region_len as usize,
        mirror: if spec.mirrored { header.data_len as usize } else { 0 },
    }
}

/// Maps a new region and writes its header and its first position.
fn fill_in(source: Source<'_>, header: &Header, spec: &Spec, settings: &Settings) -> Result<Arc<Mapping>, Reason> {
    let shape = shape(header, spec);
    let mapping = Mapping::new(source, shape, Access::Shared).map_err(|error| match error.errno() {
        Errno::ENOMEM if settings.huge_pages => Reason::NoHugePages { needed: header.region_len },
        _ => error.into(),
    })?;
    if matches!(source, Source::Anonymous { .. }) {
        // A file's memory was reserved with its length; this is the same for memory without a file.
        mapping.prefault()?;
    }
    mapping.write_header(header.as_bytes());
    let mapping = Arc::new(mapping);
    control(&mapping).consumed.head.store(FIRST, Relaxed);
    settle(&mapping, settings)?;
    Ok(mapping)
}

/// Maps a region whose header was checked.
fn attach(
    file: &File,
    header: &Header,
    spec: &Spec,
    settings: &Settings,
    access: Access,
) -> Result<Arc<Mapping>, Reason> {
    let mapping = Mapping::new(Source::File(file), shape(header, spec), access)?;
    if access == Access::Shared {
        file::fill_holes(file, header.region_len)?;
    }
    settle(&mapping, settings)?;
    Ok(Arc::new(mapping))
}

/// The control page of a mapping.
fn control(mapping: &Arc<Mapping>) -> View<Control> {
    const { assert!(align_of::<Control>() <= 4096) };
    // SAFETY: W1: `Control` is nothing but atomics and fits the page, which `mapping` maps aligned.
    // W2: the view keeps `mapping`. W3: only endpoints store, and they refuse a read-only region.
    unsafe { View::new(mapping.control().cast(), mapping.clone()) }
}

/// What is done to every mapping, new or attached.
fn settle(mapping: &Mapping, settings: &Settings) -> Result<(), Reason> {
    mapping.protect_header()?;
    if settings.prefault {
        mapping.prefault()?;
    }
    if settings.lock {
        let needed = mapping.shape().len as u64;
        mapping.lock().map_err(|error| match error.errno() {
            Errno::ENOMEM | Errno::EPERM | Errno::EAGAIN => {
                Reason::LockLimit { needed, limit: limit(Resource::RLIMIT_MEMLOCK) }
            }
            _ => error.into(),
        })?;
    }
    Ok(())
}

/// Copies the header out of a file, and checks it and the file's length.
fn read_header(file: &File, spec: &Spec) -> Result<Header, Reason> {
    let header = copy_header(file)?;
    spec.check(&header, len_of(file)?, file::page_size(file)?)?;
    Ok(header)
}

fn len_of(file: &File) -> Result<u64, OsError> {
    file.metadata().map(|metadata| metadata.len()).map_err(|source| OsError { call: "fstat", source })
}

fn copy_header(file: &File) -> Result<Header, Reason> {
    let (len, least) = (len_of(file)?, (2 * file::page_size(file)?) as u64 + 1);
    if len < size_of::<Header>() as u64 {
        return Err(Reason::Short { found: len, expected: least });
    }
    let mut header = Header::new_zeroed();
    file.read_exact_at(header.as_mut_bytes(), 0).map_err(|source| OsError { call: "pread", source })?;
    Ok(header)
}
