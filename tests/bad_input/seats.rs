//! Seats that are taken, or cannot be.

use std::os::fd::AsRawFd;
use std::sync::atomic::Ordering::Relaxed;

use ringway::{ClaimError, Seat, bytes};

use crate::common::alone::alone;
use crate::common::raw::Raw;
use crate::refusal::{Latest, Spsc};

pub fn fd_number(channel: &Spsc) -> i32 {
    channel.region().fd().unwrap().as_raw_fd()
}

/// Fails unless this process has the seat, in this generation.
fn assert_taken<T: std::fmt::Debug>(claimed: Result<T, ClaimError>, expected: Seat, generation: u64) {
    let error = claimed.expect_err("the seat is taken");
    let me = std::process::id();
    let right = matches!(&error, ClaimError::Taken { seat, pid, generation: found }
        if (*seat, *pid, *found) == (expected, me, generation));
    assert!(right, "{error:?}, expected {expected:?} {me} {generation}");
    let text = error.to_string();
    let says = [me.to_string(), format!("generation {generation}"), expected.to_string()];
    assert!(says.iter().all(|word| text.contains(word)), "{text}");
}

#[test]
fn a_taken_seat_names_its_holder() {
    alone(|| {
        let spsc = Spsc::options().capacity(4).anonymous().unwrap();
        let bytes = bytes::Channel::options().capacity_bytes(64).memfd().unwrap();
        let latest = Latest::options().memfd().unwrap();
        for generation in 1..2000 {
            let (sender, receiver) = (spsc.sender().unwrap(), spsc.receiver().unwrap());
            assert_taken(spsc.sender(), Seat::Sender, generation);
            assert_taken(spsc.clone().receiver(), Seat::Receiver, generation);
            drop((sender, receiver));
        }
        for generation in 1..4 {
            let (sender, receiver) = (bytes.sender().unwrap(), bytes.receiver().unwrap());
            assert_taken(bytes.sender(), Seat::Sender, generation);
            assert_taken(bytes.receiver(), Seat::Receiver, generation);
            drop((sender, receiver));
            let _writer = latest.writer().unwrap();
            assert_taken(latest.writer(), Seat::Sender, generation);
        }
    });
}

#[test]
fn a_read_only_region_has_no_seat_to_take() {
    alone(|| {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("latest");
        let latest = Latest::create(&path).unwrap();
        let read_only = Latest::open_read_only(&path).unwrap();
        let memfd = Latest::options().memfd().unwrap();
        let fd = memfd.region().fd().unwrap().try_clone_to_owned().unwrap();
        for channel in [read_only, Latest::options().from_fd_read_only(fd).unwrap()] {
            let error = channel.writer().expect_err("nothing may be stored");
            assert!(matches!(error, ClaimError::ReadOnly), "{error:?}");
            assert!(error.to_string().contains("read-only"));
            assert!(!channel.reader().has_writer());
        }
        latest.writer().unwrap();
    });
}

#[test]
fn seat_words_that_cannot_be() {
    alone(|| {
        let channel = Spsc::options().capacity(4).memfd().unwrap();
        let raw = Raw::new(channel.region().fd().unwrap());
        // The two generations contradict each other: 5 << 48 and 0.
        for pid in [0, 1, 4_194_303] {
            raw.holder(0).store(5 << 48 | pid, Relaxed);
            let error = channel.sender().err().unwrap();
            let right =
                matches!(error, ClaimError::CorruptSeat { seat: Seat::Sender, found } if found == 5 << 48 | pid);
            assert!(right, "{error:?}");
            assert!(error.to_string().contains(&format!("{:#x}", 5 << 48 | pid)));
            assert!(!channel.receiver().unwrap().is_closed());
        }
        raw.holder(0).store(0, Relaxed);
        drop(channel.sender().unwrap());

        // The count is the largest there is and agrees with the word of the holder, so there is no room for one more.
        for (holder, generation) in [(0, u64::MAX), (u64::MAX << 48, u64::MAX), (u64::MAX << 48, u64::MAX - 1)] {
            raw.holder(1).store(holder, Relaxed);
            raw.generation(1).store(generation, Relaxed);
            for _ in 0..3 {
                match channel.receiver() {
                    Ok(_) | Err(ClaimError::CorruptSeat { seat: Seat::Receiver, .. }) => {}
                    Err(other) => panic!("{other:?}"),
                }
            }
        }
    });
}
