//! Where a region was made, and whether a file that holds one is the file it was made in.
//!
//! A copy of a region passes every check of its header. But its words may come from different moments, and the
//! processes that they name use the original. So a region remembers its file ([`FileIdentity`]) and its boot. If either
//! does not match, the file holds a copy, and nobody takes a seat in it.
#![forbid(unsafe_code)]

use std::fs::File;

use crate::error::{CopySign, OsError};
use crate::layout::{FileIdentity, Header};
use crate::os::identity::{self, Identity};
use crate::os::{filesystem, process};

/// What a new region remembers about where it was made.
#[derive(Clone, Copy)]
pub(crate) struct Provenance {
    /// The boot, PID namespace and time namespace; 0 = unknown.
    pub origin: u64,
    /// The boot alone; 0 = unknown.
    pub boot: u64,
    pub id: [u64; 2],
    pub file: FileIdentity,
}

impl Provenance {
    /// For a region that this process makes now, in `file` if it has one. On a disk the boot must be known: without it,
    /// everyone who opened the region would take it for a copy.
    pub fn here(file: Option<&File>) -> Result<Self, OsError> {
        let none = FileIdentity { inode: 0, born: 0, subvolume: 0 };
        Ok(Self {
            origin: process::origin().unwrap_or(0),
            boot: match (process::boot(), file) {
                (Err(error), Some(file)) if !filesystem::is_in_memory(file)? => return Err(error),
                (boot, _) => boot.unwrap_or(0),
            },
            id: identity::random_id()?,
            file: file.map_or(Ok(none), |file| identity::of_file(file).map(FileIdentity::from))?,
        })
    }
}

/// As the header holds it.
impl From<Identity> for FileIdentity {
    fn from(found: Identity) -> Self {
        let Identity { inode, born, subvolume } = found;
        Self { inode, born, subvolume }
    }
}

/// What shows that the region in `file` is a copy; `None` if it was made there, in this boot.
pub(crate) fn copy_sign(header: &Header, file: &File) -> Result<Option<CopySign>, OsError> {
    if differ(&header.file, &identity::of_file(file)?.into()) {
        return Ok(Some(CopySign::OtherFile));
    }
    Ok(match (header.boot, process::boot().unwrap_or(0)) {
        // A file that exists in memory only is from this boot.
        (0, _) | (_, 0) => (!filesystem::is_in_memory(file)?).then_some(CopySign::UnknownBoot),
        (made, now) => (made != now).then_some(CopySign::OtherBoot),
    })
}

/// Whether two identities belong to different files. A field that either does not know does not count.
pub(crate) fn differ(a: &FileIdentity, b: &FileIdentity) -> bool {
    let both_known_and_differ = |a, b| a != 0 && b != 0 && a != b;
    a.inode != b.inode || both_known_and_differ(a.born, b.born) || both_known_and_differ(a.subvolume, b.subvolume)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_fields_do_not_make_a_copy() {
        let file = FileIdentity { inode: 1, born: 2, subvolume: 3 };
        assert!(!differ(&file, &file));
        assert!(!differ(&file, &FileIdentity { born: 0, subvolume: 0, ..file }));
        assert!(differ(&file, &FileIdentity { inode: 2, ..file }));
        assert!(differ(&file, &FileIdentity { born: 3, ..file }));
        assert!(differ(&file, &FileIdentity { subvolume: 4, ..file }));
    }
}
