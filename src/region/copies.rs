//! Reads regions without attaching to them, and turns copies into regions of their own.
//!
//! A reader maps a region only if no part of the mapping can lose its memory: it is no copy, has no holes, and belongs
//! to a user who is trusted not to truncate it. Any other region is read through its file into this process's memory.
#![forbid(unsafe_code)]

use core::mem::offset_of;
use std::fs::File;
use std::io::ErrorKind;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nix::errno::Errno;

use super::files::{self, ATTEMPTS, Owner, PAUSE, UnnamedFile};
use super::header::{FirstPage, Spec};
use super::make::{UnnamedRegion, copy_header, len_of, map, private_memory, shape};
use super::provenance::copy_sign;
use super::views::{Parts, all_words};
use super::{Backing, Region, Settings, unused};
use crate::error::{CopySign, OpenError, OsError, Reason};
use crate::layout::locks::ATTACHED;
use crate::layout::{Header, Kind, Lane, ReceiverLine, WORD};
use crate::os::file;
use crate::os::lock::{Lock, try_lock_if_any, unlock};
use crate::os::mapping::{Access, Mapping};
use crate::os::nap::nap;
use crate::os::owned::Owned;
use crate::os::retry::retry_io;
use crate::os::{filesystem, process, reserve};
use crate::protocol::seat;
use crate::sync::Ordering::Relaxed;

/// A region that was opened only for reading.
pub(crate) struct Reading {
    pub region: Region,
    pub kind: Kind,
    /// What shows that it is a copy; `None` if it is not.
    pub copied: Option<CopySign>,
    /// Whether `region` is a private image that was read from the file, instead of a mapping of the file.
    pub is_image: bool,
}

impl Region {
    /// Opens the file `path` for reading, whatever kind of channel it is, with its seats as they are.
    pub(crate) fn inspect(path: &Path, settings: &Settings) -> Result<Reading, OpenError> {
        files::at(&path.display().to_string(), read(path, None, settings))
    }

    /// Opens the file `path` for reading, for a copy. The seats of an image are free.
    pub(crate) fn read(path: &Path, spec: &Spec, settings: &Settings) -> Result<Reading, OpenError> {
        let vacant = || {
            let mut reading = read(path, Some(spec), settings)?;
            if reading.is_image {
                vacate(&reading.region);
                if let (Some(Parts { lane, .. }), Some(head)) = (reading.region.writable(), reading.current_head()?) {
                    lane.receiver_line.head.store(head, Relaxed);
                }
                reading.region.backing = Backing::Snapshot;
                reading.region.first_page.header.origin = process::origin().unwrap_or(0);
            }
            Ok(reading)
        };
        files::at(&path.display().to_string(), vacant())
    }

    /// Begins to turn the copy in the file `path` into a region of its own. `Ok(None)` if it is no copy.
    ///
    /// The caller repairs the channel in it, and then [finishes](Adoption::finish).
    pub(crate) fn begin_adoption(
        path: &Path,
        spec: &Spec,
        settings: &Settings,
    ) -> Result<Option<(Self, Adoption)>, OpenError> {
        files::at(&path.display().to_string(), begin_adoption(path, spec, settings))
    }
}

fn read(path: &Path, spec: Option<&Spec>, settings: &Settings) -> Result<Reading, Reason> {
    let owner = settings.owner_to_read();
    let file = match unused::attach(path, false, owner) {
        // A reader need not attach: if the file is removed meanwhile, the open file stays.
        Err(Reason::Locked { .. }) => files::open_checked(path, false, owner)?,
        attached => attached?,
    };
    let own = file.get()?;
    let header = copy_header(own)?;
    let any;
    let spec = match spec {
        Some(spec) => spec,
        None => {
            any = Spec { kind: header.kind_of()?, carries: None, capacity: None, rows: None };
            &any
        }
    };
    spec.check(&header, len_of(own)?, file::page_size(own)?)?;
    let (kind, copied) = (spec.kind, copy_sign(&header, own)?);
    let is_image = copied.is_some() || !may_be_mapped(own, path, &header, settings)?;
    if is_image {
        // A reader through the file must not keep others from removing it, however long it takes.
        let _ = unlock(file.get()?, ATTACHED);
    }
    let mapping =
        if is_image { image(own, &header, spec)? } else { map(own, &header, spec, settings, Access::ReadOnly)? };
    let region = Region::new(mapping, header, Backing::File { file, path: path.to_owned() }, settings);
    Ok(Reading { region, kind, copied, is_image })
}

/// Whether no access to a mapping of the file can raise `SIGBUS`, as long as trusted users do not change its size.
fn may_be_mapped(file: &File, path: &Path, header: &Header, settings: &Settings) -> Result<bool, OsError> {
    let there = file::metadata(file)?;
    let sealed = || file::seals(file).is_some_and(|seals| seals.contains(file::SEALS));
    Ok(settings.owner().accepts(there.uid())
        && (sealed() || !file::is_link_to_open_file(path))
        && header.page_size == file::base_page()? as u64
        && filesystem::check(file).is_ok()
        && !reserve::has_holes(file, header.region_len)?)
}

/// Reads the region through the file into private memory.
fn image(file: &File, header: &FirstPage, spec: &Spec) -> Result<Arc<Mapping>, Reason> {
    reserve::check_memory(header.region_len)?;
    let mapping = private_memory(shape(header, spec))?;
    let mapping = Arc::new(mapping.with_header(&header.bytes())?);
    load(file, header, &mapping)?;
    Ok(mapping)
}

/// How many bytes one call reads.
const CHUNK: usize = 1 << 16;

/// Reads everything except the header from `file` into a mapping that nobody else uses and that holds zeroes.
fn load(file: &File, header: &Header, mapping: &Arc<Mapping>) -> Result<(), Reason> {
    let words = all_words(mapping);
    let (page, len) = (header.page_size as usize, header.region_len as usize);
    let mut buffer = vec![0; CHUNK];
    for at in (page..len).step_by(CHUNK) {
        let chunk = &mut buffer[..CHUNK.min(len - at)];
        file.read_exact_at(chunk, at as u64).map_err(|source| match source.kind() {
            ErrorKind::UnexpectedEof => {
                Reason::Length { found: len_of(file).unwrap_or(0), expected: header.region_len }
            }
            _ => OsError { call: "pread", source }.into(),
        })?;
        // Zeroes need no memory. The control words come first, and those of a new region are not all zero.
        if at == page || chunk.iter().any(|byte| *byte != 0) {
            words.write(at - page, chunk);
        }
    }
    Ok(())
}

/// Frees all seats of a copied region and forgets its sleepers. Messages and their positions stay.
fn vacate(region: &Region) {
    let Some(Parts { control, lane, .. }) = region.writable() else { return };
    for number in region.seats() {
        if let Some(seat) = region.writable_seat(number) {
            seat::copy_vacant(&seat, &seat);
            seat.died.store(0, Relaxed);
            seat.barrier.store(0, Relaxed);
        }
    }
    // A receiver of the copy must learn where it ends.
    lane.receiver_line.reported.store(0, Relaxed);
    lane.sender_line.batch.store(0, Relaxed);
    lane.data_wait.store(0, Relaxed);
    lane.space_wait.store(0, Relaxed);
    control.region.flags.store(0, Relaxed);
}

/// A new region that will replace the copy that it was read from.
pub(crate) struct Adoption {
    unnamed: UnnamedFile,
    copy: Owned,
    path: PathBuf,
    mode: u32,
}

fn begin_adoption(path: &Path, spec: &Spec, settings: &Settings) -> Result<Option<(Region, Adoption)>, Reason> {
    let copy = files::open_checked(path, true, settings.owner())?;
    let old = copy.get()?;
    let copied = copy_header(old)?;
    spec.check(&copied, len_of(old)?, file::page_size(old)?)?;
    if copy_sign(&copied, old)?.is_none() {
        return Ok(None);
    }
    let there = file::metadata(old)?;
    let mode = there.mode() & 0o7777;
    let spec = Spec { carries: Some(copied.fingerprint()), capacity: Some(copied.capacity), ..*spec };
    let new = UnnamedRegion::beside(path, &spec, settings)?;
    let mode = match file::change_owner(new.unnamed.file()?, there.uid(), there.gid()) {
        // The file belongs to this user but to a group that the user is not in. The user's own group must not get that
        // group's permissions.
        Err(error) if error.errno() == Errno::EPERM && Owner::Own.accepts(there.uid()) => mode & !0o070,
        given => {
            given?;
            mode
        }
    };
    load(old, &copied, &new.mapping)?;
    let unnamed = new.unnamed.file()?;
    let file = retry_io(|| unnamed.try_clone()).map_err(|source| OsError { call: "fcntl(F_DUPFD_CLOEXEC)", source })?;
    let backing = Backing::File { file: Owned::new(file)?, path: path.to_owned() };
    let region = Region::new(new.mapping, new.header, backing, settings);
    vacate(&region);
    Ok(Some((region, Adoption { unnamed: new.unnamed, copy, path: path.to_owned(), mode })))
}

impl Adoption {
    /// Gives the region the name of the copy. False if the path names another file by now.
    pub fn finish(self) -> Result<bool, OpenError> {
        files::at(&self.path.display().to_string(), self.replace())
    }

    fn replace(self) -> Result<bool, Reason> {
        let Self { unnamed, copy, path, mode } = self;
        for _ in 0..ATTEMPTS {
            // Other processes that adopt or remove the file hold the lock for a moment. Without locks, nobody does.
            if !try_lock_if_any(copy.get()?, Lock::Exclusive, ATTACHED)? {
                files::refuse_foreign_lock(copy.get()?, Lock::Exclusive, ATTACHED)?;
                nap(PAUSE);
                continue;
            }
            if !file::names(&path, &copy).map_err(|source| OsError { call: "lstat", source })? {
                return Ok(false);
            }
            unnamed.replace(&path, mode)?;
            return Ok(true);
        }
        Err(Reason::InUse)
    }
}

impl Reading {
    /// The head of a region in use, read after all the rest: what lies before it may have been overwritten meanwhile,
    /// and what lies behind it was not.
    fn current_head(&self) -> Result<Option<u64>, OsError> {
        let (None, Backing::File { file, .. }) = (self.copied, &self.region.backing) else { return Ok(None) };
        let (file, mut head) = (file.get()?, [0; WORD]);
        let at = self.region.first_page.lanes_offset
            + (offset_of!(Lane, receiver_line) + offset_of!(ReceiverLine, head)) as u64;
        retry_io(|| file.read_exact_at(&mut head, at)).map_err(|source| OsError { call: "pread", source })?;
        Ok(Some(u64::from_ne_bytes(head)))
    }

    /// Whether reading again may help: what was read while others wrote may contradict itself.
    pub fn may_have_changed(&self) -> bool {
        self.is_image && self.copied.is_none()
    }
}
