//! What distinguishes one type from another, and a copy from its original.

use core::fmt;

/// What shows that a region is a copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CopySign {
    /// The region was made in another file: this one has another inode number, birth time or subvolume.
    OtherFile,
    /// The region was made in another boot of the machine. A crash may have kept only part of what was written.
    OtherBoot,
    /// The file is on a disk, and `/proc` did not say which boot this is, now or when the region was made.
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
                "the file is on a disk, and /proc/sys/kernel/random/boot_id could not be read to tell whether the \
                 region is from this boot"
            }
        })
    }
}

/// The type that a channel carries, as the region records it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TypeFingerprint {
    /// Size in bytes.
    pub size: u64,
    /// Alignment in bytes.
    pub align: u64,
    /// The type's name without its path, or the name that the user set.
    pub name: String,
}

impl fmt::Display for TypeFingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({} bytes, aligned to {})", self.name, self.size, self.align)
    }
}
