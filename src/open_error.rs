//! Why a region could not be made or opened: what was found, what was expected, and what to do.
#![forbid(unsafe_code)]

use core::fmt;
use std::error::Error;

use crate::error::{Corrupt, OsError};

/// Why a region could not be made or opened. Nothing is left behind: no file, no descriptor, no mapping.
#[derive(Debug)]
pub struct OpenError {
    place: String,
    reason: Reason,
}

impl OpenError {
    pub(crate) fn new(place: impl Into<String>, reason: impl Into<Reason>) -> Self {
        Self { place: place.into(), reason: reason.into() }
    }

    /// The path, or what the region is.
    pub fn place(&self) -> &str {
        &self.place
    }

    /// What was found and expected.
    pub fn reason(&self) -> &Reason {
        &self.reason
    }
}

/// What was found when a region was made or opened, and what was expected.
#[derive(Debug)]
#[non_exhaustive]
pub enum Reason {
    /// `create`: the file exists.
    Exists,
    /// `recreate`, `remove_unused`: someone is attached to it.
    InUse,
    /// `open`: somebody began to remove the file, and has neither finished nor ended.
    BeingRemoved,
    /// Another program has locked the whole file, so that nobody can be told to be attached to it. Who is attached
    /// goes on; [`Report`](crate::Report) and `open_snapshot` still read it.
    Locked {
        /// Its process, if the lock belongs to one: those of open files (`F_OFD_SETLK`) do not.
        pid: Option<u32>,
    },
    /// `open`: there is no such file.
    Missing,
    /// The path names something that is no regular file.
    NotAFile {
        /// What it is.
        found: &'static str,
    },
    /// The file belongs to someone else.
    Owner {
        /// Its owner's user id.
        found: u32,
        /// The one expected: the caller's, or the one given to [`owner`](crate::Options::owner).
        expected: u32,
    },
    /// The kernel does not let this process open the file.
    Permission {
        /// The file's permissions and its owner's user id, where the kernel lets this process see them.
        found: Option<(u32, u32)>,
        /// Whether it was to be written too: `open` needs that.
        writing: bool,
    },
    /// The kernel does not let this process make a file in the directory.
    DirectoryPermission {
        /// The directory's permissions and its owner's user id, where the kernel lets this process see them.
        found: Option<(u32, u32)>,
    },
    /// The file is a copy of a region: made from another file, or left by another boot of the machine. What lies in it
    /// may be of different moments, and whoever its seats name is not here.
    Copy {
        /// What shows it.
        sign: CopySign,
    },
    /// `open_read_only`: parts of the file have no memory, and this process may not give them some.
    Holes,
    /// The file ends before what it must hold.
    Short {
        /// Its length in bytes.
        found: u64,
        /// The least it must have.
        expected: u64,
    },
    /// The file's length is not the one its header names, or no whole number of pages.
    Length {
        /// Its length in bytes.
        found: u64,
        /// The one expected.
        expected: u64,
    },
    /// It does not begin as a region does.
    NotARegion {
        /// Its first eight bytes.
        found: [u8; 8],
    },
    /// It was made by a machine of the other byte order.
    Endianness,
    /// It was made by another version of this crate's layout.
    Version {
        /// The region's.
        found: u32,
        /// This crate's.
        expected: u32,
    },
    /// The header was altered.
    Checksum {
        /// The one it carries.
        found: u64,
        /// The one its bytes have.
        expected: u64,
    },
    /// A field of the header cannot be so.
    Field {
        /// The field's name.
        field: &'static str,
        /// What it holds.
        found: u64,
        /// What it must hold.
        expected: u64,
    },
    /// It is a channel of another kind.
    Kind {
        /// What it is.
        found: &'static str,
        /// What was asked for.
        expected: &'static str,
    },
    /// It carries another type.
    Type {
        /// Its type.
        found: TypeFingerprint,
        /// The one asked for.
        expected: TypeFingerprint,
    },
    /// The region has another capacity than the one asked for.
    OtherCapacity {
        /// The region's.
        found: u64,
        /// The one asked for.
        expected: u64,
    },
    /// A capacity that no region can have.
    Capacity {
        /// The one asked for.
        found: u64,
        /// What it must be.
        expected: &'static str,
    },
    /// A type of no bytes, or aligned to more than a page.
    UnsupportedType {
        /// The type.
        found: TypeFingerprint,
        /// What it must be.
        expected: &'static str,
    },
    /// A type name longer than the header holds.
    TypeName {
        /// Its length in bytes.
        found: usize,
        /// The most it may have.
        expected: usize,
    },
    /// A type name with a NUL in it.
    NulInTypeName,
    /// `create`: the directory is missing.
    NoDirectory,
    /// The file system, or the machine's memory, has no room.
    NoSpace {
        /// Bytes the region needs.
        needed: u64,
    },
    /// The file lies on a file system where memory that was reserved can be missing later, which is a signal for
    /// whoever touches it.
    FileSystem {
        /// What it lies on.
        found: String,
    },
    /// The file lies on btrfs and is written by copying (it lacks the attribute `No_COW`): when the file system is
    /// full, a store is a signal.
    CopyOnWrite,
    /// Somebody in this process closed the region's descriptor.
    DescriptorClosed,
    /// The process may not make files so large (`RLIMIT_FSIZE`).
    FileSizeLimit {
        /// Bytes the region needs.
        needed: u64,
        /// Bytes the process may write.
        limit: u64,
    },
    /// The process may not lock so much memory (`RLIMIT_MEMLOCK`).
    LockLimit {
        /// Bytes the region needs.
        needed: u64,
        /// Bytes the process may lock in all.
        limit: u64,
    },
    /// The process has no descriptor left (`RLIMIT_NOFILE`).
    DescriptorLimit {
        /// Descriptors it may have.
        limit: u64,
    },
    /// The kernel has no huge pages for it.
    NoHugePages {
        /// Bytes the region needs.
        needed: u64,
    },
    /// Huge pages were asked for where they cannot be had.
    HugePagesUnsupported,
    /// The memfd has huge pages, which were not asked for: a peer can take them away, with a signal for who
    /// touches them. For trusted peers, set [`huge_pages`](crate::Options::huge_pages).
    HugePagesUnasked,
    /// The memfd can be truncated under its users.
    Unsealed {
        /// The seals it has, as in `fcntl(2)`.
        found: u32,
        /// The seals it must have.
        expected: u32,
    },
    /// A region in use changed so quickly that no copy of it was whole.
    Busy,
    /// No value in a copy of a seqlock is whole: it was written while the file was copied.
    NothingWhole,
    /// The region holds what cannot be.
    Corrupt(Corrupt),
    /// The region has no file to do that with.
    Anonymous,
    /// Another error of the system.
    Os(OsError),
}

/// What shows that a region was copied to where it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CopySign {
    /// The region was made in another file: this one has another inode number, birth time or subvolume.
    OtherFile,
    /// The region was made in another boot of the machine. A crash may have left it with a part of what was written.
    OtherBoot,
    /// The file lies on a disk, and `/proc` did not say which boot this is, now or when the region was made.
    UnknownBoot,
}

impl fmt::Display for CopySign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            CopySign::OtherFile => "the region was made in another file, and was copied here",
            CopySign::OtherBoot => {
                "the region was made in another boot of the machine, which may have left it half written"
            }
            CopySign::UnknownBoot => {
                "the file lies on a disk, and /proc/sys/kernel/random/boot_id could not be read to tell whether the \
                 region is of this boot"
            }
        })
    }
}

/// The type that a channel carries, as the region remembers it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TypeFingerprint {
    /// Bytes.
    pub size: u64,
    /// Bytes.
    pub align: u64,
    /// The name without its path, unless the user set one.
    pub name: String,
}

impl fmt::Display for TypeFingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({} bytes, aligned to {})", self.name, self.size, self.align)
    }
}

impl From<OsError> for Reason {
    fn from(error: OsError) -> Self {
        Reason::Os(error)
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reason::Exists => f.write_str("it exists; use open, open_or_create or another path"),
            Reason::InUse => f.write_str("it is in use; let those attached to it end, or use another path"),
            Reason::BeingRemoved => {
                f.write_str("a process is removing it and does not finish; is it stopped? Let it go on, or end it")
            }
            Reason::Locked { pid } => {
                match pid {
                    Some(pid) => write!(f, "process {pid}")?,
                    None => f.write_str("another program")?,
                }
                f.write_str(" has locked the whole file, expected locks on single bytes only; let it give its lock back, or use another path")
            }
            Reason::Missing => f.write_str("there is no such file; create it first, or use open_or_create"),
            Reason::NotAFile { found } => write!(f, "found {found}, expected a regular file; use another path"),
            Reason::Permission { found, writing } => {
                let access = if *writing { "read and written" } else { "read" };
                write!(f, "open failed: Permission denied, expected a file that may be {access}; ")?;
                match found {
                    Some((mode, uid)) => write!(
                        f,
                        "its mode is {mode:04o} and its owner user {uid}: have its creator give it another with mode(0o660) or \
                         the like (the default is 0600), or run as that user"
                    ),
                    None => f.write_str("a directory of the path may not be entered: give this process that permission"),
                }
            }
            Reason::DirectoryPermission { found } => {
                f.write_str("a file could not be made: Permission denied, expected a directory that may be written; ")?;
                match found {
                    Some((mode, uid)) => write!(
                        f,
                        "the mode of this one is {mode:04o} and its owner user {uid}: use another directory, or give this \
                         process that permission"
                    ),
                    None => f.write_str("a directory of the path may not be entered: give this process that permission"),
                }
            }
            Reason::Copy { sign } => write!(
                f,
                "found a copy of a region, expected a region: {sign}; read it with open_snapshot, or make it a region of \
                 its own with adopt"
            ),
            Reason::Holes => f.write_str(
                "parts of the file have no memory, expected all of it reserved; open it for writing, which reserves it where \
                 the file system can, or read it with open_snapshot",
            ),
            Reason::Owner { found, expected } => write!(
                f,
                "it belongs to user {found}, expected {expected}; if that user is to be trusted, say so with \
                 options().owner({found})"
            ),
            Reason::Short { found, expected } => write!(
                f,
                "found {found} bytes, expected at least {expected}; it is no region, or one that was truncated: use another path"
            ),
            Reason::Length { found, expected } => {
                write!(
                    f,
                    "found {found} bytes, expected {expected}; the region was truncated or extended: let its users end, and \
                     make it anew with recreate"
                )
            }
            Reason::NotARegion { found } => write!(
                f,
                "it begins with {:?}, expected {:?}; it is no region: use another path",
                String::from_utf8_lossy(found),
                String::from_utf8_lossy(&crate::layout::MAGIC)
            ),
            Reason::Endianness => {
                f.write_str("it was made on a machine of the other byte order; use another path, or make it anew with recreate")
            }
            Reason::Version { found, expected } => write!(
                f,
                "found layout version {found}, expected {expected}; link both programs with the same version of \
                 ringway, or, where both have it and the file is an older one, make it anew with recreate"
            ),
            Reason::Checksum { found, expected } => {
                write!(
                    f,
                    "found header checksum {found:#x}, expected {expected:#x}; the header was altered: make the region anew \
                     with recreate"
                )
            }
            Reason::Field { field, found, expected } => write!(
                f,
                "the header's {field} is {found}, expected {expected}; it is from another machine, or forged: \
                 use another path, or make it anew with recreate"
            ),
            Reason::Kind { found, expected } => {
                write!(f, "found a {found} channel, expected {expected}; open it as what it is")
            }
            Reason::Type { found, expected } => {
                write!(
                    f,
                    "it carries {found}, expected {expected}; use the same type on both sides, or set type_name; if the file \
                     is an older one, make it anew with recreate"
                )
            }
            Reason::OtherCapacity { found, expected } => write!(
                f,
                "it exists with capacity {found}, expected {expected}; leave the capacity to the region with open, \
                 or make it anew with recreate"
            ),
            Reason::Capacity { found, expected } => write!(
                f,
                "a capacity of {found}, expected {expected}; give one with capacity(slots), or capacity_bytes(bytes) for \
                 records"
            ),
            Reason::UnsupportedType { found, expected } => {
                write!(f, "the type is {found}, expected {expected}; use another type")
            }
            Reason::TypeName { found, expected } => {
                write!(f, "a type name of {found} bytes, expected at most {expected}; shorten it with type_name")
            }
            Reason::NulInTypeName => f.write_str("a type name with a NUL in it, expected none; leave it out"),
            Reason::NoDirectory => f.write_str("its directory is missing; make it first, or use another path"),
            Reason::NoSpace { needed } => write!(
                f,
                "no room for {needed} bytes; free some, enlarge the file system (in a container, its /dev/shm), or \
                 ask for less capacity"
            ),
            Reason::FileSystem { found } => write!(
                f,
                "it lies on {found}, expected tmpfs, ext4, xfs, btrfs or overlayfs: elsewhere, memory that was \
                 reserved can be missing when it is touched; use a path in /dev/shm, or a memfd"
            ),
            Reason::CopyOnWrite => f.write_str(
                "it lies on btrfs without the attribute No_COW, which ringway gives a file it makes: on a full file \
                 system, to write it would be a signal; make the region anew, or copy it into an empty file with that \
                 attribute (touch, chattr +C, cat) or to /dev/shm",
            ),
            Reason::DescriptorClosed => f.write_str(
                "somebody in this process closed the region's descriptor, and its number may be another file's by \
                 now; spare it, or take its descriptor before",
            ),
            Reason::FileSizeLimit { needed, limit } => {
                write!(f, "{needed} bytes needed, but RLIMIT_FSIZE allows {limit}; raise it or ask for less capacity")
            }
            Reason::LockLimit { needed, limit } => write!(
                f,
                "{needed} bytes to lock, but RLIMIT_MEMLOCK allows {limit} in all; raise it or do without lock"
            ),
            Reason::DescriptorLimit { limit } => {
                write!(f, "no descriptor left: RLIMIT_NOFILE allows {limit}; raise it or close some")
            }
            Reason::NoHugePages { needed } => {
                write!(f, "no huge pages for {needed} bytes; reserve them in /proc/sys/vm/nr_hugepages or do without")
            }
            Reason::HugePagesUnsupported => f.write_str(
                "huge pages are for memfd and anonymous regions; for a file, put it on a hugetlbfs and leave the \
                 option out",
            ),
            Reason::HugePagesUnasked => f.write_str(
                "found a memfd of huge pages, expected one of ordinary pages; if its peers are trusted, set \
                 huge_pages(true)",
            ),
            Reason::Unsealed { found, expected } => write!(
                f,
                "the memfd has seals {found:#x}, expected {expected:#x}: it could be truncated under its users; let \
                 ringway make it"
            ),
            Reason::Busy => f.write_str("it changed during every try to copy it; let its users pause, or try again"),
            Reason::NothingWhole => f.write_str(
                "no value in this copy is whole, for it was written while the file was copied; copy the original anew, with \
                 open_snapshot, or make the region anew with recreate",
            ),
            Reason::Corrupt(corrupt) => corrupt.fmt(f),
            Reason::Anonymous => f.write_str("an anonymous region has no file; use a memfd"),
            Reason::Os(error) => error.fmt(f),
        }
    }
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.reason)
    }
}

impl Error for OpenError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &self.reason {
            Reason::Os(error) => Some(error),
            _ => None,
        }
    }
}
