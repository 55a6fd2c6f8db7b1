//! Files that are made and opened while others remove them.

use std::fs::{self};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::sync::atomic::Ordering::{AcqRel, Acquire};
use std::thread;
use std::time::Duration;

use nix::libc::{self};
use nix::sys::signal::{Signal, kill};
use ringway::{OpenError, Reason, TryRecvError, in_use, remove_unused};

use crate::common::alone::{alone, with_locks};
use crate::common::namespaces::born;
use crate::common::say::skip;
use crate::holders::{Spsc, pid_of, rest, sit, stop};
use crate::words::{ROUNDS, board, say, until, wait_for};

pub fn inode(path: &Path) -> Option<u64> {
    fs::symlink_metadata(path).ok().map(|metadata| metadata.ino())
}

pub fn inode_of(channel: &Spsc) -> Option<u64> {
    nix::sys::stat::fstat(channel.region().fd().unwrap()).ok().map(|stat| stat.st_ino)
}

pub fn entries(dir: &Path) -> usize {
    fs::read_dir(dir).unwrap().count()
}

/// Whether the call succeeded. A race may be lost only in one of the ways that have a name.
pub fn won<T>(result: Result<T, OpenError>) -> Option<T> {
    let error = match result {
        Ok(won) => return Some(won),
        Err(error) => error,
    };
    let fair = matches!(error.reason(), Reason::Missing | Reason::InUse | Reason::Exists | Reason::BeingRemoved);
    assert!(fair, "{error:?}");
    None
}

/// Pauses for no longer than an opening takes.
fn pause_a_while() {
    thread::sleep(Duration::from_micros(fastrand::u64(..500)));
}

#[test]
fn no_region_vanishes_under_those_who_opened_it() {
    const RACES: u64 = 1000;
    alone(|| {
        let dir = with_locks();
        let (path, board) = (dir.path().join("region"), board());
        let (opened, removed, done) = (board.data(0), board.data(1), board.data(2));
        let options = Spsc::options().capacity(4);
        let open = |race: u64| {
            pause_a_while();
            let open = match race % 4 {
                0 => options.open(&path),
                1 => options.recreate(&path),
                _ => options.open_or_create(&path),
            };
            let Some(channel) = won(open) else { return };
            opened.fetch_add(1, AcqRel);
            for _ in 0..3 {
                assert_eq!(inode(&path), inode_of(&channel), "the path names what was opened");
                assert!(in_use(&path).unwrap());
                thread::yield_now();
            }
        };
        let open = || {
            (0..RACES).for_each(open);
            done.fetch_add(1, AcqRel);
        };
        let remove = || {
            while done.load(Acquire) < 2 {
                removed.fetch_add(u64::from(won(remove_unused(&path)).is_some()), AcqRel);
                thread::yield_now();
            }
        };
        let racers: [&dyn Fn(); 4] = [&open, &remove, &open, &remove];
        racers.map(|racer| born(0, racer).1).into_iter().for_each(|child| child.succeed());
        assert!(opened.load(Acquire) > RACES / 2 && removed.load(Acquire) > RACES / 20, "{opened:?} {removed:?}");
        won(remove_unused(&path));
        assert_eq!(entries(dir.path()), 0);
    });
}

#[test]
fn an_opener_that_is_stopped_half_way_opens_nothing_that_was_removed() {
    alone(|| {
        let dir = with_locks();
        let path = dir.path().join("region");
        let (pid, opener) = born(0, || {
            loop {
                if let Some(channel) = won(Spsc::open(&path)) {
                    assert_eq!(inode(&path), inode_of(&channel));
                }
            }
        });
        let mut removed = 0;
        for _ in 0..1000 {
            drop(won(Spsc::create(&path, 4)));
            pause_a_while();
            stop(pid);
            removed += u64::from(won(remove_unused(&path)).is_some());
            kill(pid_of(pid), Signal::SIGCONT).unwrap();
        }
        opener.kill();
        won(remove_unused(&path));
        assert!(removed > 10 && entries(dir.path()) == 0, "{removed}");
    });
}

#[test]
fn a_creator_that_is_killed_leaves_a_whole_file_or_none() {
    alone(|| {
        let dir = with_locks();
        let unnamed = fs::OpenOptions::new().write(true).custom_flags(libc::O_TMPFILE).open(dir.path());
        if unnamed.is_err() {
            return skip("creators killed half-way: the file system has no unnamed files");
        }
        let (path, board) = (dir.path().join("region"), board());
        for _ in 0..300 {
            say(board.data(0), 0);
            let (_, creator) = born(0, || {
                say(board.data(0), 1);
                loop {
                    drop(Spsc::create(&path, 4).unwrap());
                    remove_unused(&path).unwrap();
                }
            });
            wait_for(board.data(0), 1);
            pause_a_while();
            creator.kill();
            match Spsc::open(&path) {
                Ok(channel) => channel.region().unlink().unwrap(),
                Err(error) => assert!(matches!(error.reason(), Reason::Missing), "{error:?}"),
            }
            assert_eq!(entries(dir.path()), 0);
        }
    });
}

#[test]
fn a_region_is_made_anew_when_its_pair_is_dead() {
    alone(|| {
        let dir = with_locks();
        let path = dir.path().join("region");
        let options = Spsc::options().capacity(4);
        for _ in 0..ROUNDS {
            let board = board();
            let (_, pair) = born(0, || {
                let channel = options.recreate(&path).unwrap();
                assert_eq!(channel.receiver().unwrap().generation(), 1);
                let _ends = (sit(&channel), channel.receiver().unwrap());
                say(board.data(0), 1);
                rest()
            });
            wait_for(board.data(0), 1);
            let before = inode(&path);
            assert!(matches!(options.recreate(&path).unwrap_err().reason(), Reason::InUse));
            assert_eq!(inode(&path), before);
            pair.kill();
            until(|| !in_use(&path).unwrap());
            let channel = options.recreate(&path).unwrap();
            assert_eq!(channel.receiver().unwrap().try_recv(), Err(TryRecvError::Empty));
            assert_eq!(channel.sender().unwrap().generation(), 1);
        }
    });
}
