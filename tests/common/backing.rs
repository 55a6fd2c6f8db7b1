//! Where a region lies.

use std::path::Path;

use ringway::{Channel, Options};

/// Where a region lies: in a file, or in memory with a descriptor or without.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Backing {
    File,
    Memfd,
    Anonymous,
}

impl Backing {
    pub const ALL: [Self; 3] = [Self::File, Self::Memfd, Self::Anonymous];

    /// Makes a channel. Its file, if it has one, is at `path`.
    pub fn make<C: Channel>(self, options: &Options<C>, path: impl AsRef<Path>) -> C {
        match self {
            Self::File => options.create(path),
            Self::Memfd => options.memfd(),
            Self::Anonymous => options.anonymous(),
        }
        .unwrap()
    }
}
