//! Storms whose every message is checked: on every backing, of every kind, with every capacity, way to wait and pace.

use std::os::fd::AsRawFd;
use std::os::fd::BorrowedFd;
use std::os::unix::net::UnixListener;
use std::time::{Duration, Instant};

use ringway::{Channel, Options, bytes, seqlock, spsc};

use crate::common::child::{Child, deadline, fork};
use crate::common::descriptor::send_fd;
use crate::common::dirs::{disk_dir, file_in, shm_dir};
use crate::common::messages::{Latest, Packet, mix};
use crate::common::role::exec;
use crate::forms::EveryForm;
use crate::plan::{Backing, Kind, Plan, Slow, WAITS};
use crate::sides::{run_ring, run_seqlock};

/// Runs the sides of a plan in processes of their own.
fn storm(plan: Plan, backing: Backing) {
    match plan.kind {
        Kind::Spsc64 => ring_storm::<spsc::Channel<Packet>>(plan, backing),
        Kind::Spsc8 => ring_storm::<spsc::Channel<u64>>(plan, backing),
        Kind::Bytes => ring_storm::<bytes::Channel>(plan, backing),
        Kind::Seqlock => value_storm::<8>(plan, backing),
        Kind::BigSeqlock => value_storm::<1024>(plan, backing),
    }
}

fn ring_storm<L: EveryForm>(plan: Plan, backing: Backing) {
    let mut sides = ["send", "recv"];
    // Either side may come first.
    if mix(plan.capacity ^ plan.count ^ backing as u64) % 2 == 0 {
        sides.reverse();
    }
    storm_with(plan, backing, &L::sized(plan.capacity), &sides, |channel, side| run_ring(channel, side, &plan));
}

fn value_storm<const WORDS: usize>(plan: Plan, backing: Backing) {
    let sides = ["read0", "read1", "read2", "write"];
    let options = seqlock::Channel::<Latest<WORDS>>::options();
    storm_with(plan, backing, &options, &sides, |channel, side| run_seqlock(channel, side, &plan));
}

fn storm_with<C: Channel>(plan: Plan, backing: Backing, options: &Options<C>, sides: &[&str], run: impl Fn(&C, &str)) {
    let started = Instant::now();
    let exec_all = |place: &str| -> Vec<Child> {
        sides.iter().map(|side| exec(side, &plan.role(side, place), plan.loud())).collect()
    };
    let succeed = |children: Vec<Child>| children.iter().for_each(|child| child.succeed_within(plan.limit()));
    match backing {
        Backing::Shm | Backing::Disk => {
            let dir = if backing == Backing::Shm { shm_dir() } else { disk_dir() };
            let path = file_in(&dir);
            drop(options.create(&path).unwrap());
            succeed(exec_all(&format!("path:{}", path.display())));
        }
        Backing::Anonymous => {
            let channel = options.anonymous().unwrap();
            succeed(sides.iter().map(|side| fork(side, || run(&channel, side))).collect());
        }
        Backing::Inherited => {
            let channel = options.memfd().unwrap();
            let fd = channel.region().inheritable_fd().unwrap();
            let children = exec_all(&format!("fd:{}", fd.as_raw_fd()));
            drop((fd, channel));
            succeed(children);
        }
        Backing::Sent => {
            let dir = shm_dir();
            let path = dir.path().join("socket");
            let listener = UnixListener::bind(&path).unwrap();
            let channel = options.memfd().unwrap();
            let children = exec_all(&format!("socket:{}", path.display()));
            send_to_each(&listener, children.len(), channel.region().fd().unwrap());
            // The children have all they need.
            drop(channel);
            succeed(children);
        }
    }
    println!("{plan:?} over {backing:?}: {:?}", started.elapsed());
}

/// Sends the descriptor to each child that comes for it.
fn send_to_each(listener: &UnixListener, children: usize, fd: BorrowedFd<'_>) {
    listener.set_nonblocking(true).unwrap();
    let started = Instant::now();
    let mut served = 0;
    while served < children {
        match listener.accept() {
            Ok((socket, _)) => {
                send_fd(&socket, fd);
                served += 1;
            }
            Err(_) => {
                assert!(started.elapsed() < deadline(), "a child never came for its descriptor");
                std::thread::sleep(Duration::from_millis(1));
            }
        }
    }
}

macro_rules! storms {
    ($($name:ident: $kind:ident $backing:ident $capacity:literal $wait:tt $slow:ident $count:literal;)*) => {
        $(
            #[test]
            fn $name() {
                let wait = WAITS[storms!(@wait $wait)];
                let plan = Plan { kind: Kind::$kind, capacity: $capacity, wait, slow: Slow::$slow, count: $count };
                storm(plan, Backing::$backing);
            }
        )*
        /// The same storms with ten million messages each.
        mod ten_million {
            use super::*;
            $(
                #[test]
                #[ignore = "takes minutes; run with --ignored --nocapture"]
                fn $name() {
                    let wait = WAITS[storms!(@wait $wait)];
                    let count = 10_000_000;
                    let plan = Plan { kind: Kind::$kind, capacity: $capacity, wait, slow: Slow::$slow, count };
                    storm(plan, Backing::$backing);
                }
            )*
        }
    };
    (@wait spin) => { 0 };
    (@wait sleep) => { 1 };
    (@wait default) => { 2 };
}

// On one processor a spinning pair may need a millisecond for a message, so small rings that spin get few messages.
storms! {
    storm_spsc64_shm_1_sleep: Spsc64 Shm 1 sleep Neither 120_000;
    storm_spsc64_disk_1_default: Spsc64 Disk 1 default Receiver 40_000;
    storm_spsc64_anonymous_1_spin: Spsc64 Anonymous 1 spin Sender 16_000;
    storm_spsc64_inherited_2_sleep: Spsc64 Inherited 2 sleep Sender 120_000;
    storm_spsc64_sent_2_default: Spsc64 Sent 2 default Neither 60_000;
    storm_spsc64_shm_2_spin: Spsc64 Shm 2 spin Receiver 16_000;
    storm_spsc64_anonymous_3_sleep: Spsc64 Anonymous 3 sleep Receiver 120_000;
    storm_spsc64_disk_3_default: Spsc64 Disk 3 default Sender 60_000;
    storm_spsc64_sent_3_spin: Spsc64 Sent 3 spin Neither 16_000;
    storm_spsc64_shm_1024_default: Spsc64 Shm 1024 default Neither 1_200_000;
    storm_spsc64_disk_1024_sleep: Spsc64 Disk 1024 sleep Receiver 1_200_000;
    storm_spsc64_anonymous_1024_spin: Spsc64 Anonymous 1024 spin Sender 1_200_000;
    storm_spsc64_inherited_65536_default: Spsc64 Inherited 65536 default Receiver 1_500_000;
    storm_spsc64_sent_65536_sleep: Spsc64 Sent 65536 sleep Sender 1_500_000;
    storm_spsc64_shm_65536_spin: Spsc64 Shm 65536 spin Neither 1_500_000;

    storm_spsc8_anonymous_1_sleep: Spsc8 Anonymous 1 sleep Neither 120_000;
    storm_spsc8_inherited_2_default: Spsc8 Inherited 2 default Receiver 60_000;
    storm_spsc8_disk_3_spin: Spsc8 Disk 3 spin Sender 16_000;
    storm_spsc8_sent_1024_sleep: Spsc8 Sent 1024 sleep Neither 1_500_000;
    storm_spsc8_shm_65536_default: Spsc8 Shm 65536 default Sender 2_100_000;

    storm_bytes_shm_page_sleep: Bytes Shm 4096 sleep Neither 120_000;
    storm_bytes_disk_page_default: Bytes Disk 4096 default Sender 80_000;
    storm_bytes_anonymous_page_spin: Bytes Anonymous 4096 spin Receiver 30_000;
    storm_bytes_inherited_page_default: Bytes Inherited 4096 default Receiver 80_000;
    storm_bytes_sent_page_sleep: Bytes Sent 4096 sleep Sender 120_000;
    storm_bytes_shm_64k_default: Bytes Shm 65536 default Receiver 360_000;
    storm_bytes_anonymous_64k_sleep: Bytes Anonymous 65536 sleep Sender 360_000;
    storm_bytes_sent_64k_spin: Bytes Sent 65536 spin Neither 360_000;
    storm_bytes_inherited_1m_default: Bytes Inherited 1048576 default Sender 360_000;
    storm_bytes_disk_1m_sleep: Bytes Disk 1048576 sleep Receiver 360_000;

    storm_seqlock_shm: Seqlock Shm 0 default Sender 120_000;
    storm_seqlock_disk: Seqlock Disk 0 default Neither 120_000;
    storm_seqlock_anonymous: Seqlock Anonymous 0 default Receiver 120_000;
    storm_seqlock_inherited: Seqlock Inherited 0 default Neither 120_000;
    storm_seqlock_sent: Seqlock Sent 0 default Sender 120_000;
    storm_big_seqlock_shm: BigSeqlock Shm 0 default Neither 30_000;
    storm_big_seqlock_anonymous: BigSeqlock Anonymous 0 default Sender 30_000;
}
