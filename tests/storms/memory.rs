//! A process that the kernel kills for want of memory.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, Instant};

use ringway::{RecvError, spsc};

use crate::cast::reap_killed;
use crate::common::board::Board;
use crate::common::child::{fork, in_child};
use crate::common::say::{say, skip};
use crate::turn::take_turn;

/// A memory cgroup with a limit. It is removed on drop.
struct Cgroup(PathBuf);

const CGROUP_LIMIT: usize = 64 << 20;

const PIECE: usize = 1 << 16;

impl Cgroup {
    /// Makes one of version 1 or of version 2, or says why there is none.
    pub fn new() -> Result<Self, String> {
        let mut refused = Vec::new();
        for (root, limit) in [("/sys/fs/cgroup/memory", "memory.limit_in_bytes"), ("/sys/fs/cgroup", "memory.max")] {
            let group = Path::new(root).join(format!("ringway-storms-{}", std::process::id()));
            let made = fs::create_dir(&group).map(|()| Self(group.clone())).and_then(|made| {
                // If this is no cgroup, the next line would make an ordinary file.
                fs::metadata(group.join(limit)).map(|_| made)
            });
            match made.and_then(|made| fs::write(group.join(limit), CGROUP_LIMIT.to_string()).map(|()| made)) {
                Ok(made) => return Ok(made),
                Err(error) => refused.push(format!("{}: {error}", group.display())),
            }
        }
        Err(refused.join("; "))
    }

    pub fn join(&self) {
        fs::write(self.0.join("cgroup.procs"), std::process::id().to_string()).unwrap();
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        let limit = Instant::now() + Duration::from_secs(5);
        while fs::remove_dir(&self.0).is_err() && self.0.exists() && Instant::now() < limit {
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

#[test]
fn a_sender_killed_for_want_of_memory_is_drained() {
    let _turn = take_turn();
    let cgroup = match Cgroup::new() {
        Ok(cgroup) => cgroup,
        Err(why) => return skip(&format!("no memory cgroup can be made here: {why}")),
    };
    in_child("survivor", || {
        let channel = spsc::Channel::<u64>::options().capacity(8).memfd().unwrap();
        let committed = Board::new();
        let mut rx = channel.receiver().unwrap();
        let glutton = fork("glutton", || {
            cgroup.join();
            let mut tx = channel.sender().unwrap();
            // Four times the limit, because a group may exceed it for a while if the machine swaps.
            for seq in 1..=(4 * CGROUP_LIMIT as u64) / PIECE as u64 {
                tx.send(&seq).unwrap();
                committed[0].store(seq, SeqCst);
                std::mem::forget(vec![1u8; PIECE]);
            }
        });
        let mut last = 0;
        let end = loop {
            match rx.recv() {
                Ok(seq) => assert_eq!(seq, std::mem::replace(&mut last, seq) + 1),
                Err(end) => break end,
            }
        };
        assert_eq!(end, RecvError::PeerDied { generation: 1 });
        assert!((committed[0].load(SeqCst)..).take(2).any(|possible| possible == last), "{last} received");
        reap_killed(glutton);
        let heir = fork("heir", || channel.sender().unwrap().send(&(last + 1)).unwrap());
        assert_eq!((rx.recv(), rx.recv()), (Ok(last + 1), Err(RecvError::Closed)));
        heir.succeed();
        say(&format!("ended for want of memory after {last} messages"));
    });
}
