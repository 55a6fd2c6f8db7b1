//! The texts of the reasons.

use core::fmt;

use super::Reason;

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reason::Exists => f.write_str("it exists; use open, open_or_create or another path"),
            Reason::InUse => f.write_str("it is in use; let those attached to it end, or use another path"),
            Reason::BeingRemoved => {
                f.write_str("a process is removing it but does not finish; if it is stopped, let it go on or end it")
            }
            Reason::Locked { pid } => {
                match pid {
                    Some(pid) => write!(f, "process {pid}")?,
                    None => f.write_str("another program")?,
                }
                f.write_str(
                    " has locked the whole file, expected locks on single bytes only; let it release its lock, or use \
                     another path",
                )
            }
            Reason::NoType => f.write_str("the size of its values is not known; set it with type_layout"),
            Reason::Missing => f.write_str("there is no such file; create it first, or use open_or_create"),
            Reason::NotAFile { found } => write!(f, "found {found}, expected a regular file; use another path"),
            Reason::Permission { found, writing } => {
                let access = if *writing { "read and written" } else { "read" };
                write!(f, "open failed: Permission denied, expected a file that may be {access}; ")?;
                match found {
                    Some((mode, uid)) => write!(
                        f,
                        "its mode is {mode:04o} and its owner is user {uid}: have its creator set another mode, such \
                         as mode(0o660) (the default is 0600), or run as that user"
                    ),
                    None => {
                        f.write_str("a directory of the path may not be entered: give this process that permission")
                    }
                }
            }
            Reason::DirectoryPermission { found } => {
                f.write_str("a file could not be made: Permission denied, expected a directory that may be written; ")?;
                match found {
                    Some((mode, uid)) => write!(
                        f,
                        "the mode of this one is {mode:04o} and its owner is user {uid}: use another directory, or \
                         give this process that permission"
                    ),
                    None => {
                        f.write_str("a directory of the path may not be entered: give this process that permission")
                    }
                }
            }
            Reason::Copy { sign } => write!(
                f,
                "found a copy of a region, expected a region: {sign}; read it with open_snapshot, or make it a region \
                 of its own with adopt"
            ),
            Reason::Holes => f.write_str(
                "parts of the file have no memory, expected all of it reserved; open it for writing, which reserves it \
                 where the file system can, or read it with open_snapshot",
            ),
            Reason::Owner { found, expected } => write!(
                f,
                "it belongs to user {found}, expected {expected}; if you trust that user, say so with \
                 options().owner({found})"
            ),
            Reason::Short { found, expected } => write!(
                f,
                "found {found} bytes, expected at least {expected}; it is no region, or one that was truncated: use \
                 another path"
            ),
            Reason::Length { found, expected } => {
                write!(
                    f,
                    "found {found} bytes, expected {expected}; the region was truncated or extended: let its users \
                     end, and make it anew with recreate"
                )
            }
            Reason::NotARegion { found, expected } => write!(
                f,
                "it begins with {:?}, expected {:?}; it is no region: use another path",
                String::from_utf8_lossy(found),
                String::from_utf8_lossy(expected)
            ),
            Reason::Endianness => f.write_str(
                "it was made on a machine of the other byte order; use another path, or make it anew with recreate",
            ),
            Reason::Version { found, expected } => write!(
                f,
                "found layout version {found}, expected {expected}; link both programs with the same version of \
                 ringway, or, where both have it and the file is an older one, make it anew with recreate"
            ),
            Reason::Checksum { found, expected } => {
                write!(
                    f,
                    "found header checksum {found:#x}, expected {expected:#x}; the header was altered: make the region \
                     anew with recreate"
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
            Reason::Type { found, expected, field } => {
                let differs_by_fields_alone = found.to_string() == expected.to_string();
                let (but, or) = match differs_by_fields_alone {
                    true => ("but with other fields than expected".into(), ""),
                    false => (format!("expected {expected}"), ", or set type_name"),
                };
                write!(f, "it carries {found}, {but}")?;
                match field {
                    Some(field) if found.name == expected.name => write!(f, ": {field}")?,
                    None if differs_by_fields_alone => f.write_str(", as the hashes of their schemas say")?,
                    _ => {}
                }
                write!(
                    f,
                    "; use the same type on both sides{or}; if the file is an older one, make it anew with recreate"
                )
            }
            Reason::OtherCapacity { found, expected } => write!(
                f,
                "it exists with capacity {found}, expected {expected}; leave the capacity to the region with open, \
                 or make it anew with recreate"
            ),
            Reason::Capacity { found, expected } => write!(
                f,
                "a capacity of {found}, expected {expected}; give one with capacity(slots), or capacity_bytes(bytes) \
                 for records"
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
                "it is on {found}, expected tmpfs, ext4, xfs, btrfs or overlayfs: on others, reserved memory can be \
                 missing when it is touched; use a path in /dev/shm, or a memfd"
            ),
            Reason::CopyOnWrite => f.write_str(
                "it is on btrfs without the attribute No_COW, which ringway sets on the files it makes: on a full file \
                 system, a store would raise a signal; make the region anew, or copy it into an empty file with that \
                 attribute (touch, chattr +C, cat) or to /dev/shm",
            ),
            Reason::DescriptorClosed => f.write_str(
                "somebody in this process closed the region's descriptor, and its number may belong to another file by \
                 now; keep it open, or take a descriptor before it is closed",
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
                "huge pages are for memfd and anonymous regions; to have them for a file, put it on a hugetlbfs and \
                 leave the option out",
            ),
            Reason::HugePagesUnasked => f.write_str(
                "found a memfd of huge pages, expected one of ordinary pages; if its peers are trusted, set \
                 huge_pages(true)",
            ),
            Reason::Unsealed { found, expected } => write!(
                f,
                "it is no memfd that keeps its size (it has seals {found:#x}, expected {expected:#x}): it could be \
                 truncated while others use it; let ringway make it by memfd"
            ),
            Reason::Busy => f.write_str("it changed during every try to copy it; let its users pause, or try again"),
            Reason::NothingWhole => f.write_str(
                "no value in this copy is whole, because the writer wrote while the file was copied; copy the original \
                 again, with open_snapshot, or make the region anew with recreate",
            ),
            Reason::Corrupt(corrupt) => corrupt.fmt(f),
            Reason::Anonymous => f.write_str("an anonymous region has no file; use a memfd"),
            Reason::NamedFile => f.write_str(
                "it is in a file, and only a memfd can be opened by a descriptor; let the other process open its path",
            ),
            Reason::Os(error) => error.fmt(f),
        }
    }
}
