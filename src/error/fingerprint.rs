//! What distinguishes one type from another, and a copy from its original.

use core::fmt;
use std::sync::Arc;

/// What shows that a region is a copy.
///
/// # Examples
///
/// ```
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("ticks");
/// # let channel = ringway::spsc::Channel::<u64>::create(&path, 4)?;
/// use ringway::{CopySign, Reason, spsc};
/// let copy = path.with_extension("copy");
/// std::fs::copy(&path, &copy)?;
/// let error = spsc::Channel::<u64>::open(&copy).unwrap_err();
/// assert!(matches!(error.reason(), Reason::Copy { sign: CopySign::OtherFile }));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
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
///
/// # Examples
///
/// ```
/// use ringway::spsc;
/// let ticks = spsc::Channel::<u64>::options().capacity(4).memfd()?;
/// let any = spsc::raw::Channel::from_fd(ticks.region().inheritable_fd()?)?;
/// assert_eq!(any.carries().to_string(), "u64 (8 bytes, aligned to 8)");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TypeFingerprint {
    /// Size in bytes.
    pub size: u64,
    /// Alignment in bytes.
    pub align: u64,
    /// The type's name without its path, or the name that the user set.
    pub name: String,
    pub(crate) described: Option<Arc<Described>>,
}

/// What a region remembers of a type's schema.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Described {
    pub hash: u64,
    /// `None`: too long for a region.
    pub text: Option<String>,
}

impl TypeFingerprint {
    /// The text of the type's [schema](crate::Schema): its fields, their types and where they lie. `None` if the type
    /// is not described, or the text has more than 3,072 bytes.
    ///
    /// # Examples
    ///
    /// ```
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("ticks");
    /// #[ringway::message]
    /// #[repr(C)]
    /// struct Tick {
    ///     instrument: u64,
    ///     price: f64,
    /// }
    ///
    /// let _ticks = ringway::spsc::Channel::<Tick>::create(&path, 8)?;
    /// let any = ringway::spsc::raw::Channel::open(&path)?;
    /// assert_eq!(any.carries().schema(), Some("{instrument:u64@0,price:f64@8}"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn schema(&self) -> Option<&str> {
        self.described.as_ref()?.text.as_deref()
    }

    /// The hash of that text, however long it is. `None` if the type is not described.
    ///
    /// # Examples
    ///
    /// ```
    /// use ringway::{Schema, spsc};
    ///
    /// let ticks = spsc::Channel::<u64>::options().capacity(8).memfd()?;
    /// let any = spsc::raw::Channel::from_fd(ticks.region().inheritable_fd()?)?;
    /// assert_eq!(any.carries().schema_hash(), Schema::of::<u64>().hash());
    /// # Ok::<(), ringway::OpenError>(())
    /// ```
    pub fn schema_hash(&self) -> Option<u64> {
        Some(self.described.as_ref()?.hash)
    }

    /// Whether a value of one type can be taken for one of the other: as far as both say, they are the same.
    pub(crate) fn agrees_with(&self, other: &Self) -> bool {
        let has_same_fields = match (&self.described, &other.described) {
            (Some(a), Some(b)) => a.hash == b.hash,
            _ => true,
        };
        (self.size, self.align, &self.name) == (other.size, other.align, &other.name) && has_same_fields
    }
}

impl fmt::Display for TypeFingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({} bytes, aligned to {})", self.name, self.size, self.align)
    }
}
