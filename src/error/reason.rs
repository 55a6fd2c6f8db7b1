//! What was found when a region was made or opened, and what was expected.

use super::{CopySign, Corrupt, OsError, TypeFingerprint};

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
    /// A raw channel is to be made, and nobody said of what values: see `type_layout` of its options.
    NoType,
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

impl From<OsError> for Reason {
    fn from(error: OsError) -> Self {
        Reason::Os(error)
    }
}
