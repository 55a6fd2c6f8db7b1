//! What was found when a region was made or opened, and what was expected.

use super::{CopySign, Corrupt, FieldDifference, OsError, TypeFingerprint};

/// What was found when a region was made or opened, and what was expected.
///
/// # Examples
///
/// ```
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("ticks");
/// # let channel = ringway::spsc::Channel::<u64>::create(&path, 4)?;
/// # use ringway::{OpenError, Reason, spsc};
/// fn open(path: &std::path::Path) -> Result<spsc::Channel<u64>, OpenError> {
///     let options = spsc::Channel::<u64>::options().capacity(4);
///     match options.open_or_create(path) {
///         Err(error) if matches!(error.reason(), Reason::Copy { .. }) => options.adopt(path), // after a reboot
///         Err(error) if matches!(error.reason(), Reason::Version { .. }) => options.recreate(path),
///         other => other,
///     }
/// }
/// assert_eq!(open(&path)?.capacity(), 4);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[non_exhaustive]
pub enum Reason {
    /// `create`: the file exists.
    Exists,
    /// `recreate`, `remove_unused`: a process is attached to it.
    InUse,
    /// `open`: a process began to remove the file, and has neither finished nor ended.
    BeingRemoved,
    /// Another program has locked the whole file, which hides who is attached to it. Attached processes go on;
    /// [`Report`](crate::Report) and `open_snapshot` can still read it.
    Locked {
        /// The process that has the lock, if the lock belongs to one: locks of open files (`F_OFD_SETLK`) do not.
        pid: Option<u32>,
    },
    /// `open`: there is no such file.
    Missing,
    /// The path does not name a regular file.
    NotAFile {
        /// What it names.
        found: &'static str,
    },
    /// The file belongs to another user.
    Owner {
        /// Its owner's user id.
        found: u32,
        /// The expected user id: the caller's, or the one given to [`owner`](crate::Options::owner).
        expected: u32,
    },
    /// The kernel does not let this process open the file.
    Permission {
        /// The file's permissions and its owner's user id, where the kernel lets this process see them.
        found: Option<(u32, u32)>,
        /// Whether it was also opened for writing, as `open` does.
        writing: bool,
    },
    /// The kernel does not let this process make a file in the directory.
    DirectoryPermission {
        /// The directory's permissions and its owner's user id, where the kernel lets this process see them.
        found: Option<(u32, u32)>,
    },
    /// The file is a copy of a region: made from another file, or left by another boot of the machine. Its content may
    /// be from different moments, and its seats name processes that do not use this file.
    Copy {
        /// What shows it.
        sign: CopySign,
    },
    /// `open_read_only`: parts of the file have no memory, and this process may not allocate it.
    Holes,
    /// The file is too short.
    Short {
        /// Its length in bytes.
        found: u64,
        /// The minimum length in bytes.
        expected: u64,
    },
    /// The file's length is not the one that its header names, or not a whole number of pages.
    Length {
        /// Its length in bytes.
        found: u64,
        /// The expected length in bytes.
        expected: u64,
    },
    /// The file does not begin as a region does.
    NotARegion {
        /// Its first eight bytes.
        found: [u8; 8],
        /// Those of a region.
        expected: [u8; 8],
    },
    /// The region was made on a machine of the other byte order.
    Endianness,
    /// The region was made by another version of this crate's layout.
    Version {
        /// The region's layout version.
        found: u32,
        /// This crate's layout version.
        expected: u32,
    },
    /// The header was altered.
    Checksum {
        /// The checksum in the header.
        found: u64,
        /// The checksum of the header's bytes.
        expected: u64,
    },
    /// A field of the header has an impossible value.
    Field {
        /// The field's name.
        field: &'static str,
        /// Its value.
        found: u64,
        /// The value that it must have.
        expected: u64,
    },
    /// The region holds a channel of another kind.
    Kind {
        /// Its kind.
        found: &'static str,
        /// The requested kind.
        expected: &'static str,
    },
    /// The channel carries another type, perhaps of the same name and size but with other fields.
    Type {
        /// Its type.
        found: Box<TypeFingerprint>,
        /// The requested type.
        expected: Box<TypeFingerprint>,
        /// The first field that differs, if both types are described by a text.
        field: Option<Box<FieldDifference>>,
    },
    /// The region does not have the requested capacity. Both values are in the unit of the option that sets it: slots,
    /// or bytes for records.
    OtherCapacity {
        /// The region's capacity.
        found: u64,
        /// The requested capacity.
        expected: u64,
    },
    /// A capacity that no region can have.
    Capacity {
        /// The requested capacity.
        found: u64,
        /// What it must be.
        expected: &'static str,
    },
    /// A type without bytes, or aligned to more than 4096 bytes.
    UnsupportedType {
        /// The type.
        found: TypeFingerprint,
        /// What it must be.
        expected: &'static str,
    },
    /// A raw channel is to be created, but its options name no type. Call `type_layout`.
    NoType,
    /// A type name too long for the header.
    TypeName {
        /// Its length in bytes.
        found: usize,
        /// The maximum length in bytes.
        expected: usize,
    },
    /// A type name with a NUL in it.
    NulInTypeName,
    /// `create`: the directory is missing.
    NoDirectory,
    /// The file system, or the machine's memory, has no room.
    NoSpace {
        /// Bytes that the region needs.
        needed: u64,
    },
    /// The file is on a file system where reserved memory can be missing later. Touching it then raises a signal.
    FileSystem {
        /// The file system.
        found: String,
    },
    /// The file is on btrfs and is written by copying (it lacks the attribute `No_COW`): when the file system is full,
    /// a store raises a signal.
    CopyOnWrite,
    /// Somebody in this process closed the region's descriptor.
    DescriptorClosed,
    /// The process may not make files that large (`RLIMIT_FSIZE`).
    FileSizeLimit {
        /// Bytes that the region needs.
        needed: u64,
        /// Bytes that the process may write.
        limit: u64,
    },
    /// The process may not lock that much memory (`RLIMIT_MEMLOCK`).
    LockLimit {
        /// Bytes that the region needs.
        needed: u64,
        /// Bytes that the process may lock in total.
        limit: u64,
    },
    /// The process has no descriptor left (`RLIMIT_NOFILE`).
    DescriptorLimit {
        /// Descriptors that the process may have.
        limit: u64,
    },
    /// The kernel has no huge pages for the region.
    NoHugePages {
        /// Bytes that the region needs.
        needed: u64,
    },
    /// Huge pages were requested where the kernel cannot provide them.
    HugePagesUnsupported,
    /// The memfd has huge pages, which were not requested. A peer can take them away, and touching them then raises a
    /// signal. For trusted peers, set [`huge_pages`](crate::Options::huge_pages).
    HugePagesUnasked,
    /// The memfd can be truncated while others use it.
    Unsealed {
        /// The seals it has, as in `fcntl(2)`.
        found: u32,
        /// The seals it must have.
        expected: u32,
    },
    /// A region in use changed so quickly that no copy of it was consistent.
    Busy,
    /// No value in a copy of a seqlock is whole: the writer wrote while the file was copied.
    NothingWhole,
    /// The region is corrupt.
    Corrupt(Corrupt),
    /// The region is anonymous, and the operation needs a file.
    Anonymous,
    /// The region is in a file. Another process opens it by its path, not by a descriptor.
    NamedFile,
    /// Another system error.
    Os(OsError),
}

impl From<OsError> for Reason {
    fn from(error: OsError) -> Self {
        Reason::Os(error)
    }
}
