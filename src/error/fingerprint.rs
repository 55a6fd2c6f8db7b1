//! What tells one type from another, and a copy from its original.

use core::fmt;

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
