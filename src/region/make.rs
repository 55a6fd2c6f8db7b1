//! Makes and opens regions: complete or not at all, and only if every check passes.
#![forbid(unsafe_code)]

use std::ffi::CStr;
use std::fs::File;
use std::os::fd::{OwnedFd, RawFd};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use nix::errno::Errno;
use nix::sys::resource::Resource;
use zerocopy::{FromZeros, IntoBytes};

use super::files::{self, PAUSE, UnnamedFile};
use super::header::{FirstPage, Spec};
use super::provenance::{Provenance, copy_sign};
use super::views::{Parts, writable};
use super::{ANONYMOUS, Backing, MEMFD, Region, Settings, unused};
use crate::error::{OpenError, OsError, Reason};
use crate::layout::header::SCHEMA_LEN;
use crate::layout::locks::ATTACHED;
use crate::layout::{FIRST, Header, MAGIC, WORD};
use crate::os::file;
use crate::os::lock::{Lock, try_lock_if_any};
use crate::os::mapping::{Access, Mapping, Shape, Source, Unpublished, mirror_was_refused};
use crate::os::nap::nap;
use crate::os::owned::Owned;
use crate::os::retry::retry_io;
use crate::os::usage::limit;
use crate::os::{filesystem, process, reserve};
use crate::protocol::seat;
use crate::sync::Ordering::Relaxed;

impl Region {
    /// Makes the file `path`, complete or not at all.
    pub(crate) fn create(path: &Path, spec: &Spec, settings: &Settings) -> Result<Self, OpenError> {
        files::at(&path.display().to_string(), Self::create_inner(path, spec, settings))
    }

    fn create_inner(path: &Path, spec: &Spec, settings: &Settings) -> Result<Self, Reason> {
        if path.symlink_metadata().is_ok() {
            return Err(Reason::Exists);
        }
        UnnamedRegion::beside(path, spec, settings)?.link(path, settings).map_err(|refused| refused.1)
    }

    /// Opens the file `path` if it passes every check.
    pub(crate) fn open(path: &Path, spec: &Spec, settings: &Settings, access: Access) -> Result<Self, OpenError> {
        files::at(&path.display().to_string(), Self::open_inner(path, spec, settings, access))
    }

    fn open_inner(path: &Path, spec: &Spec, settings: &Settings, access: Access) -> Result<Self, Reason> {
        let file = unused::attach(path, access == Access::Shared, settings.owner())?;
        let header = read_header(file.get()?, spec)?;
        let mapping = map(file.get()?, &header, spec, settings, access)?;
        Ok(Self::new(mapping, header, Backing::File { file, path: path.to_owned() }, settings))
    }

    /// Opens the file `path`, or makes it if it is missing. If several processes do so at once, one makes it and the
    /// others open it.
    pub(crate) fn open_or_create(path: &Path, spec: &Spec, settings: &Settings) -> Result<Self, OpenError> {
        let mut retries = SpaceRetries::default();
        // Another iteration means that the file appeared or vanished in between.
        for _ in 0..1000 {
            match Self::open(path, spec, settings, Access::Shared) {
                Err(error) if matches!(error.reason(), Reason::Missing) => {}
                opened => return opened,
            }
            match Self::create(path, spec, settings) {
                Err(error) if matches!(error.reason(), Reason::Exists) || retries.should_retry(&error) => {}
                created => return created,
            }
        }
        Self::open(path, spec, settings, Access::Shared)
    }

    /// Replaces the file `path` with a new region, unless someone is attached to the old one. The new one takes the
    /// name in one step, after everything else that can fail.
    pub(crate) fn recreate(path: &Path, spec: &Spec, settings: &Settings) -> Result<Self, OpenError> {
        let recreate = || {
            let mut new = UnnamedRegion::beside(path, spec, settings)?;
            // Another iteration means that the file appeared or vanished in between.
            for _ in 0..1000 {
                new = match new.link(path, settings).map_err(|refused| *refused) {
                    Ok(region) => return Ok(region),
                    Err((new, Reason::Exists)) => new,
                    Err((_, reason)) => return Err(reason),
                };
                match unused::lock_unused(path, settings.owner()) {
                    Err(Reason::Missing) => {}
                    Err(reason) => return Err(reason),
                    Ok(old) if file::names(path, &old).map_err(|source| OsError { call: "lstat", source })? => {
                        return new.replace(path, settings);
                    }
                    Ok(_) => {}
                }
            }
            new.link(path, settings).map_err(|refused| refused.1)
        };
        files::at(&path.display().to_string(), recreate())
    }

    /// Makes a region for this process and the children that it forks.
    pub(crate) fn anonymous(spec: &Spec, settings: &Settings) -> Result<Self, OpenError> {
        // For memory that the kernel does not mirror without a file.
        let in_memfd = || {
            let (mapping, header, file) = make_memfd(file::ANONYMOUS, spec, settings)?;
            Ok(Self::new(mapping, header, Backing::Anonymous(Some(file)), settings))
        };
        let make = || {
            if settings.huge_pages && spec.kind.info().mirrored {
                return in_memfd();
            }
            let huge = settings.huge_pages;
            let page = if huge { reserve::huge_page()? } else { file::base_page()? };
            let header = new_header(spec, page, None)?;
            if !huge {
                reserve::check_memory(header.region_len)?;
            }
            match initialise(Source::Anonymous { huge }, &header, spec, settings) {
                Err(Reason::Os(error)) if mirror_was_refused(&error) => in_memfd(),
                mapping => Ok(Self::new(mapping?, header, Backing::Anonymous(file::lock_file()), settings)),
            }
        };
        files::at(ANONYMOUS, make())
    }

    /// Makes a region behind a descriptor that can be inherited or sent, and whose file can never be truncated.
    pub(crate) fn memfd(spec: &Spec, settings: &Settings) -> Result<Self, OpenError> {
        let (mapping, header, file) = files::at(MEMFD, make_memfd(file::MEMFD, spec, settings))?;
        Ok(Self::new(mapping, header, Backing::Memfd(file), settings))
    }

    /// Opens a region behind a descriptor that was inherited or received. The memfd must be sealed.
    pub(crate) fn from_fd(fd: OwnedFd, spec: &Spec, settings: &Settings, access: Access) -> Result<Self, OpenError> {
        let fd = File::from(fd);
        // The first question, because any other may wait for a file system whose server does not answer.
        let (found, expected) = (file::seals(&fd).map_or(0, |seals| seals.bits() as u32), file::SEALS.bits() as u32);
        if found & expected != expected {
            return files::at(MEMFD, Err(Reason::Unsealed { found, expected }));
        }
        let file = files::at(MEMFD, Owned::opened(fd).map_err(Reason::from))?;
        let open = || {
            // Seals do not stop a peer from punching a hole, and the kernel may have no huge page to fill it.
            if file::page_size(file.get()?)? != file::base_page()? && !settings.huge_pages {
                return Err(Reason::HugePagesUnasked);
            }
            let header = read_header(file.get()?, spec)?;
            let mapping = map(file.get()?, &header, spec, settings, access)?;
            // Shows that this process is attached to anyone who looks at the file through `/proc`. A conflict is no
            // error: a peer may hold any lock.
            try_lock_if_any(file.get()?, Lock::Shared, ATTACHED)?;
            Ok((mapping, header))
        };
        let (mapping, header) = files::at(MEMFD, open())?;
        Ok(Self::new(mapping, header, Backing::Memfd(file), settings))
    }

    /// Opens the region behind a descriptor that this process was started with, by a descriptor of its own.
    pub(crate) fn from_inherited_fd(number: RawFd, spec: &Spec, settings: &Settings) -> Result<Self, OpenError> {
        let copy = files::at(&format!("descriptor {number}"), file::inherited(number))?;
        let region = Self::from_fd(copy, spec, settings, Access::Shared)?;
        if let Backing::Memfd(file) = &region.backing {
            file::stop_inheriting(number, file);
        }
        Ok(region)
    }

    /// A private copy of this region, word by word, with free seats. It may contain, wholly or in part, what was
    /// written meanwhile.
    ///
    /// `MAP_PRIVATE` would not do: a page still shows what others store until this process first writes it, and a
    /// mirrored page would be copied twice.
    pub(crate) fn copy(&self, spec: &Spec) -> Result<Self, OpenError> {
        let make = || {
            let shape = shape(&self.first_page, spec);
            reserve::check_memory(shape.len as u64)?;
            let mapping = private_memory(shape)?;
            let mapping = mapping.with_header(&self.first_page.bytes())?;
            // The copy is made here, wherever the original was made.
            let mut page = self.first_page.clone();
            page.header.origin = process::origin().unwrap_or(0);
            Ok(Self::new(Arc::new(mapping), page, Backing::Snapshot, &Settings::default()))
        };
        let copy = files::at(&self.place(), make())?;
        for number in self.seats() {
            let vacant = copy.writable_seat(number).expect("a private copy is writable");
            seat::copy_vacant(&self.seat(number), &vacant);
        }
        let (from, to) = (self.parts(), copy.writable().expect("a private copy is writable"));
        // `reported` stays 0, so that a receiver of the copy learns where it ends.
        to.lane.sender_line.latest.store(from.lane.sender_line.latest.relaxed(), Relaxed);
        let words = self.first_page.data_len as usize / WORD;
        to.area.slice(0, words).copy_from(from.area.slice(0, words));
        Ok(copy)
    }
}

/// Counts how often there was no room. Another process that makes the same region may be taking it for a moment.
#[derive(Default)]
pub(crate) struct SpaceRetries(u32);

impl SpaceRetries {
    /// Whether to try again, because the error says that there is no room. Sleeps first. The pause depends on the
    /// thread's id, so that of two callers in each other's way one comes first.
    pub fn should_retry(&mut self, error: &OpenError) -> bool {
        let again = matches!(error.reason(), Reason::NoSpace { .. }) && self.0 < 100;
        if again {
            self.0 += 1;
            nap(PAUSE * (1 + (nix::unistd::gettid().as_raw() as u32).wrapping_mul(self.0) % 7));
        }
        again
    }
}

/// The capacity of a new region.
fn requested_capacity(spec: &Spec) -> Result<u64, Reason> {
    spec.capacity.ok_or(Reason::Capacity { found: 0, expected: "one to be set before the region is made" })
}

/// The first page of a new region, in `file` if it has one.
fn new_header(spec: &Spec, page: usize, file: Option<&File>) -> Result<FirstPage, Reason> {
    spec.first_page(requested_capacity(spec)?, page, Provenance::here(file)?)
}

/// A region in a file, complete except for its name.
pub(super) struct UnnamedRegion {
    pub unnamed: UnnamedFile,
    pub mapping: Arc<Mapping>,
    pub header: FirstPage,
}

impl UnnamedRegion {
    /// Makes one in the directory of `path`.
    pub fn beside(path: &Path, spec: &Spec, settings: &Settings) -> Result<Self, Reason> {
        if settings.huge_pages {
            return Err(Reason::HugePagesUnsupported);
        }
        // Checked before there is a file.
        requested_capacity(spec)?;
        let unnamed = UnnamedFile::beside(path)?;
        let page = file::page_size(unnamed.file()?)?;
        let header = new_header(spec, page, Some(unnamed.file()?))?;
        reserve::reserve(unnamed.file()?, header.region_len)?;
        let mapping = initialise(Source::File(unnamed.file()?), &header, spec, settings)?;
        // On a file system without locks, nobody can tell whether a region is unused.
        if !try_lock_if_any(unnamed.file()?, Lock::Shared, ATTACHED)? {
            return Err(Reason::BeingRemoved);
        }
        Ok(Self { unnamed, mapping, header })
    }

    /// Gives it its name. If the name is taken, returns [`Reason::Exists`] and the region, for another try.
    pub fn link(self, path: &Path, settings: &Settings) -> Result<Region, Box<(Self, Reason)>> {
        let Self { unnamed, mapping, header } = self;
        match unnamed.link(path, settings.mode) {
            Ok(file) => Ok(Region::new(mapping, header, Backing::File { file, path: path.to_owned() }, settings)),
            Err(refused) => {
                let (unnamed, reason) = *refused;
                Err(Box::new((Self { unnamed, mapping, header }, reason)))
            }
        }
    }

    /// Gives it the name of another file, which loses it, in one step.
    fn replace(self, path: &Path, settings: &Settings) -> Result<Region, Reason> {
        let Self { unnamed, mapping, header } = self;
        let file = unnamed.replace(path, settings.mode)?;
        Ok(Region::new(mapping, header, Backing::File { file, path: path.to_owned() }, settings))
    }
}

/// Memory for a private copy. If it is a memfd's, nothing but the mapping holds that.
pub(super) fn private_memory(shape: Shape) -> Result<Unpublished, Reason> {
    match Unpublished::new(Source::Anonymous { huge: false }, shape) {
        Err(error) if mirror_was_refused(&error) => {
            let file = file::memfd(file::ANONYMOUS, false)?;
            reserve::reserve(file.get()?, shape.len as u64)?;
            Ok(Unpublished::new(Source::File(file.get()?), shape)?)
        }
        mapped => Ok(mapped?),
    }
}

/// Makes a sealed memfd with a region in it.
fn make_memfd(name: &CStr, spec: &Spec, settings: &Settings) -> Result<(Arc<Mapping>, FirstPage, Owned), Reason> {
    let huge = settings.huge_pages;
    let file = file::memfd(name, huge).map_err(|reason| match reason {
        Reason::Os(error) if huge && error.errno() != Errno::EPERM => Reason::HugePagesUnsupported,
        other => other,
    })?;
    let page = file::page_size(file.get()?)?;
    let header = new_header(spec, page, Some(file.get()?))?;
    reserve::reserve(file.get()?, header.region_len).map_err(|reason| match reason {
        Reason::NoSpace { needed } if huge => Reason::NoHugePages { needed },
        other => other,
    })?;
    let mapping = initialise(Source::File(file.get()?), &header, spec, settings)?;
    file::seal(file.get()?)?;
    file::set_mode(file.get()?, settings.mode)?;
    // Shows that this process is attached to anyone who looks at the file through `/proc`.
    try_lock_if_any(file.get()?, Lock::Shared, ATTACHED)?;
    Ok((mapping, header, file))
}

pub(super) fn shape(header: &Header, spec: &Spec) -> Shape {
    Shape {
        page: header.page_size as usize,
        len: header.region_len as usize,
        data: header.data_offset as usize,
        mirror: if spec.kind.info().mirrored { header.data_len as usize } else { 0 },
    }
}

/// Maps a new region, and writes its header and its first position.
fn initialise(
    source: Source<'_>,
    header: &FirstPage,
    spec: &Spec,
    settings: &Settings,
) -> Result<Arc<Mapping>, Reason> {
    let shape = shape(header, spec);
    let mapping = Unpublished::new(source, shape).map_err(|error| match error.errno() {
        Errno::ENOMEM if settings.huge_pages => Reason::NoHugePages { needed: header.region_len },
        _ => error.into(),
    })?;
    if matches!(source, Source::Anonymous { .. }) {
        // A file's memory was reserved already; this reserves memory that has no file.
        mapping.prefault()?;
    }
    let mapping = Arc::new(mapping.with_header(&header.bytes())?);
    if let Some(Parts { lane, .. }) = writable(&mapping, header) {
        lane.receiver_line.head.store(FIRST, Relaxed);
    }
    apply_settings(&mapping, settings)?;
    Ok(mapping)
}

/// Maps a region whose header was checked.
pub(super) fn map(
    file: &File,
    header: &Header,
    spec: &Spec,
    settings: &Settings,
    access: Access,
) -> Result<Arc<Mapping>, Reason> {
    filesystem::check(file)?;
    reserve::check_room(file, header.region_len)?;
    if access == Access::ReadOnly && reserve::has_holes(file, header.region_len)? {
        return Err(Reason::Holes);
    }
    let mapping = Mapping::new(Source::File(file), shape(header, spec), access)?;
    if access == Access::Shared {
        reserve::fill_holes(file, header.region_len)?;
    }
    apply_settings(&mapping, settings)?;
    Ok(Arc::new(mapping))
}

/// Applies the settings to a mapping, new or attached.
fn apply_settings(mapping: &Mapping, settings: &Settings) -> Result<(), Reason> {
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

/// Copies the header out of a file. Checks it, checks the file's length, and checks that the region was made there.
fn read_header(file: &File, spec: &Spec) -> Result<FirstPage, Reason> {
    let header = copy_header(file)?;
    spec.check(&header, len_of(file)?, file::page_size(file)?)?;
    match copy_sign(&header, file)? {
        Some(sign) => Err(Reason::Copy { sign }),
        None => Ok(header),
    }
}

pub(super) fn len_of(file: &File) -> Result<u64, OsError> {
    file::metadata(file).map(|metadata| metadata.len())
}

/// Copies the header, and the schema text behind it.
pub(super) fn copy_header(file: &File) -> Result<FirstPage, Reason> {
    let (len, least) = (len_of(file)?, (2 * file::page_size(file)?) as u64 + 1);
    if len < size_of::<Header>() as u64 {
        return Err(Reason::Short { found: len, expected: least });
    }
    let mut header = Header::new_zeroed();
    file.read_exact_at(header.as_mut_bytes(), 0).map_err(|source| OsError { call: "pread", source })?;
    // A longer one is no schema, and the checksum will show that.
    let mut schema = vec![0; header.schema_len.min(SCHEMA_LEN as u64) as usize];
    let read = retry_io(|| file.read_at(&mut schema, size_of::<Header>() as u64));
    let read = read.map_err(|source| OsError { call: "pread", source })?;
    if read < schema.len() && header.magic == MAGIC {
        return Err(Reason::Short { found: len, expected: least });
    }
    schema.truncate(read);
    Ok(FirstPage { header, schema })
}
