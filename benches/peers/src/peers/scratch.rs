//! Where peers put their files, and how these go away.

use std::cell::Cell;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process;

use nix::errno::Errno;
use nix::sys::signal::kill;
use nix::unistd::Pid;

use crate::line::Result;

const SHARED_MEMORY: &str = "/dev/shm";

const NAME: &str = "laboratory-";

/// A directory in shared memory. Its name is part of the name of whatever a peer must leave beside it.
///
/// [`sweep`] removes all that, once the process that made it has ended.
pub struct Scratch {
    name: String,
    made: Cell<u32>,
}

impl Scratch {
    /// Makes a directory, in which temporary files of this process go from now on. To be called once.
    pub fn new() -> Result<Self> {
        sweep();
        let scratch = Self { name: format!("{NAME}{}-", process::id()), made: Cell::new(0) };
        fs::create_dir(scratch.directory())?;
        // Peers that choose their own places ask for this one.
        tempfile::env::override_temp_dir(&scratch.directory()).map_err(|_| "there is a scratch directory")?;
        Ok(scratch)
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn directory(&self) -> PathBuf {
        Path::new(SHARED_MEMORY).join(&self.name)
    }

    /// A name for one line.
    pub fn unique(&self, what: &str) -> String {
        self.made.set(self.made.get() + 1);
        format!("{}{what}-{}", self.name, self.made.get())
    }

    pub fn path(&self, what: &str) -> PathBuf {
        self.directory().join(self.unique(what))
    }

    pub fn nameless_file(&self) -> Result<File> {
        Ok(tempfile::tempfile_in(self.directory())?)
    }
}

/// Removes what belongs to processes that have ended, however they did. What cannot be removed stays. Not to be called
/// by a process that has made a [`Scratch`].
pub fn sweep() {
    for entry in fs::read_dir(SHARED_MEMORY).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let process = name.to_str().and_then(|name| name.split_once(NAME)?.1.split_once('-')?.0.parse().ok());
        if process.is_some_and(has_ended) {
            let _ = fs::remove_dir_all(entry.path()).or_else(|_| fs::remove_file(entry.path()));
        }
    }
}

/// Whether a process that had this number has; this process has it itself only after that.
fn has_ended(process: i32) -> bool {
    let process = Pid::from_raw(process);
    process == Pid::this() || kill(process, None) == Err(Errno::ESRCH)
}
