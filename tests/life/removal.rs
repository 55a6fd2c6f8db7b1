//! Files are removed only when nobody uses them. Nobody removes the file of another.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::mem::forget;
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::atomic::Ordering::{AcqRel, Acquire};
use std::thread;

use nix::fcntl::{FcntlArg, fcntl};
use nix::libc::{self};
use nix::unistd::alarm;
use ringway::{Reason, Region, in_use, remove_unused};

use crate::common::alone::{alone, with_locks};
use crate::common::backing::Backing;
use crate::common::namespaces::born;
use crate::holders::{Spsc, make, pid_of, rest, stop};
use crate::identity::{heir, reap};
use crate::judgement::close_all;
use crate::making::{entries, inode, inode_of, won};
use crate::words::{ROUNDS, board, say, until, wait_for};

#[test]
fn a_file_is_in_use_until_the_last_one_attached_is_gone() {
    alone(|| {
        nix::sys::prctl::set_child_subreaper(true).unwrap();
        let dir = with_locks();
        let path = dir.path().join("region");
        drop(Spsc::create(&path, 4).unwrap());
        for round in 0..ROUNDS {
            until(|| !in_use(&path).unwrap());
            let board = board();
            let (pid, opener) = born(0, || {
                let channel = Spsc::open(&path).unwrap();
                if round % 2 == 0 {
                    close_all();
                }
                say(board.data(0), heir().as_raw() as usize);
                forget(channel);
                rest()
            });
            until(|| board.data(0).load(Acquire) != 0);
            let heir = pid_of(board.data(0).load(Acquire) as u32);
            assert!(in_use(&path).unwrap());
            // A stopped process is attached, too, and nobody waits for it.
            stop(pid);
            let refused = [remove_unused(&path), Spsc::options().capacity(4).recreate(&path).map(drop)];
            assert!(refused.iter().all(|result| matches!(result.as_ref().unwrap_err().reason(), Reason::InUse)));
            opener.kill();
            assert!(in_use(&path).unwrap());
            reap(heir);
        }
        until(|| !in_use(&path).unwrap());
        remove_unused(&path).unwrap();
        assert_eq!(entries(dir.path()), 0);
    });
}

#[test]
fn only_an_unused_region_is_removed() {
    alone(|| {
        let dir = with_locks();
        let at = |name: &str| dir.path().join(name);
        let used = Spsc::create(at("used"), 4).unwrap();
        drop(Spsc::create(at("unused"), 4).unwrap());
        fs::create_dir(at("directory")).unwrap();
        fs::write(at("empty"), "").unwrap();
        fs::write(at("text"), "no region, but long enough").unwrap();
        std::os::unix::fs::symlink(at("unused"), at("link")).unwrap();
        nix::unistd::mkfifo(&at("fifo"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        let refused = |name: &str| remove_unused(at(name)).unwrap_err();
        assert!(matches!(refused("missing").reason(), Reason::Missing));
        assert!(matches!(refused("used").reason(), Reason::InUse));
        assert!(matches!(refused("empty").reason(), Reason::Short { found: 0, .. }));
        assert!(matches!(refused("text").reason(), Reason::NotARegion { .. }));
        for name in ["directory", "link", "fifo"] {
            assert!(matches!(refused(name).reason(), Reason::NotAFile { .. }), "{name}");
            assert!(matches!(in_use(at(name)).unwrap_err().reason(), Reason::NotAFile { .. }), "{name}");
        }
        assert_eq!(entries(dir.path()), 7);
        remove_unused(at("unused")).unwrap();
        drop(used);
        remove_unused(at("used")).unwrap();
        assert_eq!(entries(dir.path()), 5);
    });
}

/// Locks a byte of a file as a remover does.
fn lock(file: &File, byte: i64) {
    let (kind, whence) = (libc::F_WRLCK as libc::c_short, libc::SEEK_SET as libc::c_short);
    let lock = libc::flock { l_type: kind, l_whence: whence, l_start: byte, l_len: 1, l_pid: 0 };
    fcntl(file, FcntlArg::F_OFD_SETLK(&lock)).unwrap();
}

#[test]
fn a_remover_that_never_finishes_hangs_nobody() {
    const UNLINKING: i64 = 1 << 22;
    alone(|| {
        let dir = with_locks();
        let path = dir.path().join("region");
        let attached = Spsc::create(&path, 4).unwrap();
        let remover = fs::OpenOptions::new().read(true).write(true).open(&path).unwrap();
        lock(&remover, UNLINKING);
        assert_eq!(attached.region().unlink().unwrap_err().kind(), ErrorKind::WouldBlock);
        drop(attached);
        lock(&remover, 0);
        let options = Spsc::options().capacity(4);
        let opened = [options.open(&path), options.open_or_create(&path), options.recreate(&path)];
        for refused in opened.map(|result| result.map(drop)).into_iter().chain([remove_unused(&path)]) {
            assert!(matches!(refused.unwrap_err().reason(), Reason::BeingRemoved));
        }
        // The remover ends without having removed anything, while another process waits.
        let patient = thread::spawn({
            let (options, path) = (options.clone(), path.clone());
            move || drop(options.open(path).unwrap())
        });
        drop(remover);
        patient.join().unwrap();
        remove_unused(&path).unwrap();
    });
}

#[test]
fn who_lost_its_descriptor_waits_for_no_fifo() {
    alone(|| {
        let dir = with_locks();
        let fifo = dir.path().join("fifo");
        nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
        for in_its_place in [fifo_as_descriptor, fifo_at_path] {
            let channel = make(Backing::File, dir.path());
            let (_, child) = born(0, || {
                alarm::set(60);
                in_its_place(&fifo, channel.region());
                // It can give no other sign of life than its process id.
                assert_eq!(channel.sender().unwrap().generation(), 1);
            });
            child.succeed();
            fs::remove_file(channel.region().path().unwrap()).unwrap();
        }
    });
}

fn fifo_at_path(fifo: &Path, region: &Region) {
    close_all();
    fs::remove_file(region.path().unwrap()).unwrap();
    fs::hard_link(fifo, region.path().unwrap()).unwrap();
}

fn fifo_as_descriptor(fifo: &Path, region: &Region) {
    let number = region.fd().unwrap().as_raw_fd();
    close_all();
    let fifo = fs::OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(fifo).unwrap();
    // SAFETY: the owner of the number has lost it already.
    assert_eq!(unsafe { libc::dup2(fifo.as_raw_fd(), number) }, number);
}

#[test]
fn two_who_unlink_a_region_remove_nobody_elses() {
    alone(|| {
        let dir = with_locks();
        let (path, board) = (dir.path().join("region"), board());
        let (turn, ready, removed) = (board.data(0), board.data(1), board.data(2));
        let unlink = || {
            for round in 0..ROUNDS {
                wait_for(turn, 3 * round + 1);
                let channel = Spsc::open(&path).unwrap();
                ready.fetch_add(1, AcqRel);
                wait_for(turn, 3 * round + 2);
                match channel.region().unlink() {
                    Ok(()) => removed.fetch_add(1, AcqRel),
                    Err(error) => {
                        assert_eq!(error.kind(), ErrorKind::NotFound);
                        0
                    }
                };
                ready.fetch_sub(1, AcqRel);
                until(|| turn.load(Acquire) > 3 * round as u64 + 2);
            }
        };
        let both = [(); 2].map(|()| born(0, unlink).1);
        for round in 0..ROUNDS {
            drop(Spsc::create(&path, 4).unwrap());
            say(turn, 3 * round + 1);
            wait_for(ready, 2);
            say(turn, 3 * round + 2);
            let mut others = None;
            until(|| {
                others = won(Spsc::create(&path, 4));
                others.is_some()
            });
            wait_for(ready, 0);
            assert_eq!(inode(&path), inode_of(others.as_ref().unwrap()));
            assert_eq!(removed.load(Acquire), round as u64 + 1, "one of them did it");
            fs::remove_file(&path).unwrap();
            say(turn, 3 * round + 3);
        }
        both.into_iter().for_each(|child| child.succeed());
    });
}
