//! File systems that are mounted for one process and its children alone.

use std::fs;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};

/// From now on, what this process mounts is mounted for it and its children alone, and goes with them.
pub fn private_mounts() -> Result<(), Errno> {
    unshare(CloneFlags::CLONE_NEWNS)?;
    mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None::<&str>)
}

/// Takes `/proc` away from this process and its children. The process must have a mount namespace of its own.
pub fn unmount_proc() {
    let none = None::<&str>;
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none).unwrap();
    umount2("/proc", MntFlags::MNT_DETACH).unwrap();
    assert!(!Path::new("/proc/self").exists());
}

/// Something that is mounted on a directory. Drop it before the directory: a mounted directory cannot be removed.
pub struct Mounted(PathBuf);

/// Mounts a file system at `dir`. After [`private_mounts`], only this process and its children see it.
pub fn mounted(kind: &str, dir: &Path, options: &str) -> Result<Mounted, Errno> {
    mount(Some(kind), dir, Some(kind), MsFlags::empty(), Some(options))?;
    Ok(Mounted(dir.to_owned()))
}

/// Makes what lies at `from` appear at `dir` too.
pub fn bound(from: &Path, dir: &Path) -> Result<Mounted, Errno> {
    mount(Some(from), dir, None::<&str>, MsFlags::MS_BIND, None::<&str>)?;
    Ok(Mounted(dir.to_owned()))
}

impl Drop for Mounted {
    fn drop(&mut self) {
        umount2(&self.0, MntFlags::MNT_DETACH).unwrap();
    }
}

/// The folders of an overlay.
pub struct Overlay {
    pub lower: PathBuf,
    pub merged: PathBuf,
    _mounts: [Mounted; 2],
}

/// Mounts an overlay on a tmpfs at `dir`. Only this process and its children see it. On an overlay, a mapping refers to
/// another file than the one that was opened.
pub fn overlay(dir: &Path) -> Result<Overlay, Errno> {
    private_mounts()?;
    let base = mounted("tmpfs", dir, "")?;
    let [lower, upper, work, merged] = ["lower", "upper", "work", "merged"].map(|name| dir.join(name));
    for made in [&lower, &upper, &work, &merged] {
        fs::create_dir(made).unwrap();
    }
    let options = format!("lowerdir={},upperdir={},workdir={}", lower.display(), upper.display(), work.display());
    let top = mounted("overlay", &merged, &options)?;
    Ok(Overlay { lower, merged, _mounts: [top, base] })
}
