//! Every public method of the three channels, in one process: at every fill level, at every offset of the
//! ring, at the edges of what it takes, and at random against a model.
#![cfg(not(loom))]

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use ringway::zerocopy::{FromBytes, Immutable, IntoBytes};
use ringway::{
    ChangedError, ClaimError, OpenError, ReadError, Reason, RecvError, RecvTimeoutError, Seat, SendError,
    SendTimeoutError, TooLong, TryRecvError, TrySendError, Wait, bytes, seqlock, spsc,
};

const SHORT: Duration = Duration::from_millis(3);
const WAITS: [Wait; 3] = [Wait::Spin, Wait::Sleep, Wait::SpinThenSleep(Duration::from_micros(50))];

/// Ends the whole test process if a call that must return does not.
struct Watchdog {
    _alive: std::sync::mpsc::Sender<()>,
}

impl Watchdog {
    fn new() -> Self {
        let (alive, watch) = std::sync::mpsc::channel();
        let limit = std::env::var("RINGWAY_TEST_DEADLINE").ok().and_then(|text| text.parse().ok()).unwrap_or(120);
        let name = std::thread::current().name().unwrap_or_default().to_owned();
        std::thread::spawn(move || {
            if watch.recv_timeout(Duration::from_secs(limit)) == Err(std::sync::mpsc::RecvTimeoutError::Timeout) {
                eprintln!("{name} stands still");
                std::process::abort();
            }
        });
        Self { _alive: alive }
    }
}

fn ring<T: spsc::Message>(capacity: u64) -> (spsc::Channel<T>, spsc::Sender<T>, spsc::Receiver<T>) {
    let channel = spsc::Channel::<T>::options().capacity(capacity).anonymous().unwrap();
    let (tx, rx) = (channel.sender().unwrap(), channel.receiver().unwrap());
    (channel, tx, rx)
}

fn page() -> (bytes::Channel, bytes::Sender, bytes::Receiver) {
    let channel = bytes::Channel::options().capacity_bytes(4096).anonymous().unwrap();
    let (tx, rx) = (channel.sender().unwrap(), channel.receiver().unwrap());
    (channel, tx, rx)
}

/// `len` bytes that differ with every `seed`.
fn some_bytes(seed: u64, len: usize) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(seed);
    std::iter::repeat_with(|| random.u8(..)).take(len).collect()
}

// ---------------------------------------------------------------------------------------------------
// What the types promise.

#[test]
fn endpoints_can_be_sent_and_channels_shared() {
    fn send<T: Send>() {}
    fn shared<T: Send + Sync + Clone + std::fmt::Debug>() {}
    send::<spsc::Sender<u64>>();
    send::<spsc::Receiver<u64>>();
    send::<bytes::Sender>();
    send::<bytes::Receiver>();
    send::<seqlock::Writer<u64>>();
    send::<seqlock::Reader<u64>>();
    shared::<spsc::Channel<u64>>();
    shared::<bytes::Channel>();
    shared::<seqlock::Channel<u64>>();
    fn error<T: std::error::Error + Send + Sync + 'static>() {}
    error::<OpenError>();
    error::<ClaimError>();
    error::<SendError>();
    error::<TrySendError>();
    error::<SendTimeoutError>();
    error::<RecvError>();
    error::<TryRecvError>();
    error::<RecvTimeoutError>();
    error::<ChangedError>();
    error::<ReadError>();
}

#[test]
fn endpoints_work_from_the_thread_they_are_sent_to() {
    let _watchdog = Watchdog::new();
    let (_channel, mut tx, mut rx) = ring::<u64>(2);
    let (_records, mut record_tx, mut record_rx) = page();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            for i in 0..10_000u64 {
                tx.send(&i).unwrap();
                record_tx.send(&some_bytes(i, i as usize % 300)).unwrap();
            }
        });
        for i in 0..10_000u64 {
            assert_eq!(rx.recv(), Ok(i));
            assert_eq!(record_rx.recv().unwrap(), some_bytes(i, i as usize % 300));
        }
        assert_eq!(rx.recv(), Err(RecvError::Closed));
        assert_eq!(record_rx.recv(), Err(RecvError::Closed));
    });
}

#[test]
fn a_seat_is_taken_until_it_is_left() {
    let channel = spsc::Channel::<u64>::options().capacity(1).anonymous().unwrap();
    let same = channel.clone();
    for turn in 1..=1500u64 {
        let tx = channel.sender().unwrap();
        let taken = same.sender().err().unwrap();
        let ClaimError::Taken { seat: Seat::Sender, pid, generation } = taken else { panic!("{taken}") };
        assert_eq!((pid, generation), (std::process::id(), turn));
        assert!(taken.to_string().contains(&pid.to_string()), "{taken}");
        // The other seat is another's.
        let rx = same.receiver().unwrap();
        let taken = channel.receiver().err().unwrap();
        assert!(matches!(taken, ClaimError::Taken { seat: Seat::Receiver, generation, .. } if generation == turn));
        drop((tx, rx));
    }
}

// ---------------------------------------------------------------------------------------------------
// spsc.

#[test]
fn length_and_state_at_every_fill_level_and_across_the_end() {
    for capacity in [1, 2, 3, 5, 8] {
        let (channel, mut tx, mut rx) = ring::<u64>(capacity);
        assert_eq!((channel.capacity(), tx.capacity(), rx.capacity()), (capacity, capacity, capacity));
        let (mut next, mut due) = (0, 0);
        // From every offset, up to every level and down again.
        for round in 0..3 * capacity + 2 {
            for level in 0..=capacity {
                for sent in 1..=level {
                    tx.try_send(&next).unwrap();
                    next += 1;
                    assert_eq!((tx.len(), rx.len()), (sent, sent), "capacity {capacity}, round {round}");
                    assert_eq!((tx.is_empty(), rx.is_empty()), (false, false));
                }
                assert_eq!(tx.try_send(&999).err(), (level == capacity).then_some(TrySendError::Full));
                if level < capacity {
                    // That one went in after all.
                    assert_eq!(rx.len(), level + 1);
                    for _ in 0..level {
                        assert_eq!(rx.try_recv(), Ok(due));
                        due += 1;
                    }
                    assert_eq!(rx.try_recv(), Ok(999));
                } else {
                    for left in (0..level).rev() {
                        assert_eq!(rx.try_recv(), Ok(due));
                        due += 1;
                        assert_eq!((tx.len(), rx.len()), (left, left));
                    }
                }
                assert_eq!(rx.try_recv(), Err(TryRecvError::Empty));
                assert_eq!((tx.len(), rx.len()), (0, 0));
                assert!(tx.is_empty() && rx.is_empty() && !tx.is_closed() && !rx.is_closed());
            }
            // Shift the start by one.
            tx.try_send(&next).unwrap();
            assert_eq!(rx.try_recv(), Ok(next));
            (next, due) = (next + 1, due + 1);
        }
        // Successors see the same.
        tx.try_send(&next).unwrap();
        drop((tx, rx));
        let (tx, rx) = (channel.sender().unwrap(), channel.receiver().unwrap());
        assert_eq!((tx.len(), rx.len()), (1, 1));
    }
}

#[test]
fn timeouts_leave_the_ring_as_it_was() {
    let _watchdog = Watchdog::new();
    for wait in WAITS {
        let (_channel, mut tx, mut rx) = ring::<u64>(2);
        tx.set_wait(wait);
        rx.set_wait(wait);
        let start = Instant::now();
        assert_eq!(rx.recv_timeout(SHORT), Err(RecvTimeoutError::Timeout));
        assert!(start.elapsed() >= SHORT);
        assert_eq!(rx.recv_timeout(Duration::ZERO), Err(RecvTimeoutError::Timeout));
        tx.send_timeout(&1, Duration::ZERO).unwrap();
        tx.send_timeout(&2, Duration::MAX).unwrap();
        let start = Instant::now();
        assert_eq!(tx.send_timeout(&3, SHORT), Err(SendTimeoutError::Timeout));
        assert!(start.elapsed() >= SHORT);
        assert_eq!(tx.send_timeout(&3, Duration::ZERO), Err(SendTimeoutError::Timeout));
        assert_eq!((tx.len(), rx.len()), (2, 2));
        assert_eq!(rx.recv_timeout(Duration::MAX), Ok(1));
        assert_eq!(rx.recv_timeout(Duration::ZERO), Ok(2));
        assert_eq!(rx.try_recv(), Err(TryRecvError::Empty));
        tx.send(&4).unwrap();
        assert_eq!(rx.recv(), Ok(4));

        let (_channel, mut tx, mut rx) = page();
        tx.set_wait(wait);
        rx.set_wait(wait);
        assert_eq!(rx.recv_timeout(SHORT), Err(RecvTimeoutError::Timeout));
        tx.send_timeout(&[1; 4000], Duration::ZERO).unwrap();
        assert_eq!(tx.send_timeout(&[2; 4000], SHORT), Err(SendTimeoutError::Timeout));
        assert_eq!((tx.len(), rx.len()), (1, 1));
        assert_eq!(rx.recv_timeout(Duration::MAX).unwrap(), [1; 4000]);
        assert_eq!(rx.recv_timeout(SHORT), Err(RecvTimeoutError::Timeout));
        let long = vec![0; 4081];
        let too_long = SendError::TooLong(TooLong { found: 4081, most: 4080 });
        assert_eq!(tx.send_timeout(&long, SHORT), Err(SendTimeoutError::Refused(too_long)));
    }
}

#[test]
fn a_full_and_an_empty_ring_say_so_to_every_form() {
    let (_channel, mut tx, mut rx) = ring::<u64>(2);
    assert_eq!(rx.try_recv(), Err(TryRecvError::Empty));
    assert_eq!(rx.try_recv_slice(&mut [0; 3]), Err(TryRecvError::Empty));
    assert_eq!(rx.try_recv_ref().err(), Some(TryRecvError::Empty));
    assert_eq!(tx.try_send_slice(&[1, 2, 3]), Ok(2));
    assert_eq!(tx.try_send(&3), Err(TrySendError::Full));
    assert_eq!(tx.try_send_slice(&[3]), Err(TrySendError::Full));
    assert_eq!(tx.try_send_ref().err(), Some(TrySendError::Full));
    assert_eq!(rx.iter().take(2).collect::<Vec<_>>(), [1, 2]);
}

#[test]
fn slices_are_taken_as_far_as_they_go() {
    for capacity in [1u64, 2, 3, 5, 8] {
        let (_channel, mut tx, mut rx) = ring::<u64>(capacity);
        assert_eq!(tx.send_slice(&[]), Ok(0));
        assert_eq!(tx.try_send_slice(&[]), Ok(0));
        assert_eq!(rx.recv_slice(&mut []), Ok(0));
        assert_eq!(rx.try_recv_slice(&mut []), Ok(0));
        let (mut next, mut due) = (0u64, 0u64);
        for len in (0..capacity as usize + 4).cycle().take(100) {
            let values: Vec<u64> = (next..next + len as u64).collect();
            let sent = if len % 2 == 0 { tx.send_slice(&values) } else { tx.try_send_slice(&values).map_err(refused) };
            let fits = len.min(capacity as usize);
            assert_eq!(sent, Ok(fits), "{len} into {capacity}");
            next += fits as u64;
            assert_eq!(tx.len(), fits as u64);
            let mut room = vec![u64::MAX; len + 2];
            // In two parts.
            let first = rx.try_recv_slice(&mut room[..fits / 2]).unwrap_or(0);
            assert_eq!(first, fits / 2);
            let second = if fits > first { rx.recv_slice(&mut room[first..]).unwrap() } else { 0 };
            assert_eq!(first + second, fits);
            assert_eq!(room[..fits], values[..fits]);
            assert!(room[fits..].iter().all(|value| *value == u64::MAX), "nothing beyond what was received");
            due += fits as u64;
            assert_eq!(rx.try_recv_slice(&mut room), Err(TryRecvError::Empty));
        }
        assert_eq!(next, due);
    }
}

fn refused(error: TrySendError) -> SendError {
    match error {
        TrySendError::Refused(error) => error,
        other => panic!("{other}"),
    }
}

#[test]
fn a_slot_is_published_by_send_alone_and_consumed_by_drop_alone() {
    let (_channel, mut tx, mut rx) = ring::<u64>(2);
    for turn in 0..7u64 {
        drop(tx.send_ref().unwrap());
        let mut slot = tx.try_send_ref().unwrap();
        slot.write(&666);
        drop(slot);
        assert_eq!((tx.len(), rx.len()), (0, 0));
        assert_eq!(rx.try_recv(), Err(TryRecvError::Empty));
        let mut slot = tx.send_ref().unwrap();
        slot.write(&turn);
        assert_eq!(rx.len(), 0);
        slot.send().unwrap();
        assert_eq!(rx.len(), 1);

        let message = rx.recv_ref().unwrap();
        assert_eq!((message.read(), message.read()), (turn, turn));
        std::mem::forget(message);
        assert_eq!((tx.len(), rx.len()), (1, 1));
        let again = rx.try_recv_ref().unwrap();
        assert_eq!(again.read(), turn);
        assert_eq!(tx.len(), 1);
        drop(again);
        assert_eq!((tx.len(), rx.len()), (0, 0));
    }
}

#[test]
fn parts_of_a_slot_can_be_written_and_read() {
    let (_channel, mut tx, mut rx) = ring::<[u8; 10]>(1);
    tx.send(b"0123456789").unwrap();
    rx.recv().unwrap();
    let mut slot = tx.send_ref().unwrap();
    slot.write_at(2, b"ab");
    slot.write_at(9, b"z");
    slot.write_at(10, b"");
    slot.write_at(0, b"");
    slot.send().unwrap();
    let message = rx.recv_ref().unwrap();
    assert_eq!(&message.read(), b"01ab45678z");
    let mut part = [0; 3];
    message.read_at(7, &mut part);
    assert_eq!(&part, b"78z");
    message.read_at(10, &mut []);
    // SAFETY: the only sender is idle and uses this crate alone; nobody forks.
    assert_eq!(unsafe { message.as_ref() }, b"01ab45678z");
}

/// Runs what must panic, quietly.
fn panics(work: impl FnOnce()) -> bool {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)).is_err()
}

#[test]
fn ranges_beyond_a_slot_or_record_panic_and_touch_nothing() {
    let (_channel, mut tx, mut rx) = ring::<[u8; 10]>(2);
    let (_records, mut record_tx, mut record_rx) = page();
    let outside = [(0, 11), (10, 1), (11, 0), (9, 2), (usize::MAX, 1), (usize::MAX, 0), (usize::MAX - 3, 10)];
    for (at, len) in outside {
        let bytes = vec![7; len];
        let mut slot = tx.send_ref().unwrap();
        slot.write(&[1; 10]);
        assert!(panics(|| slot.write_at(at, &bytes)), "{len} bytes at {at} of 10");
        slot.send().unwrap();
        let message = rx.recv_ref().unwrap();
        assert!(panics(|| message.read_at(at, &mut vec![0; len])), "{len} bytes at {at} of 10");
        assert_eq!(message.read(), [1; 10]);
        drop(message);

        let mut room = record_tx.send_ref(10).unwrap();
        room.write_at(0, &[1; 10]);
        assert!(panics(|| room.write_at(at, &bytes)), "{len} bytes at {at} of 10");
        room.send().unwrap();
        let found = record_rx.recv_ref().unwrap();
        assert!(panics(|| found.read_at(at, &mut vec![0; len])), "{len} bytes at {at} of 10");
        assert_eq!(found.to_vec(), [1; 10]);
    }
    // What was cut off is outside too.
    let mut room = record_tx.send_ref(10).unwrap();
    room.truncate(4);
    assert!(panics(|| room.write_at(4, &[1])));
    room.write_at(3, &[1]);
}

#[derive(Clone, Copy, Debug, PartialEq, FromBytes, IntoBytes, Immutable)]
#[zerocopy(crate = "ringway::zerocopy")]
#[repr(C, align(16))]
struct Aligned16([u8; 16]);

#[derive(Clone, Copy, Debug, PartialEq, FromBytes, IntoBytes, Immutable)]
#[zerocopy(crate = "ringway::zerocopy")]
#[repr(C, align(64))]
struct Aligned64([u8; 128]);

#[derive(Clone, Copy, Debug, PartialEq, FromBytes, IntoBytes, Immutable)]
#[zerocopy(crate = "ringway::zerocopy")]
#[repr(C, align(4096))]
struct AlignedPage([u8; 4096]);

fn addresses_are_aligned<T: spsc::Message + Copy + PartialEq + std::fmt::Debug>(make: impl Fn(u8) -> T) {
    let (_channel, mut tx, mut rx) = ring::<T>(3);
    for i in 0..10 {
        let mut slot = tx.send_ref().unwrap();
        let address = slot.as_mut_ptr();
        assert!(address.is_aligned(), "{address:?} for {} of {}", size_of::<T>(), align_of::<T>());
        // SAFETY: aligned, inside the slot that is held, which nobody else touches.
        unsafe { address.write_volatile(make(i)) };
        slot.send().unwrap();
        let message = rx.recv_ref().unwrap();
        assert!(message.as_ptr().is_aligned());
        assert_eq!(message.as_ptr().addr(), address.addr());
        // SAFETY: aligned, inside the message that is held, which nobody writes.
        assert_eq!(unsafe { message.as_ptr().read_volatile() }, make(i));
        // SAFETY: the only sender is idle and uses this crate alone; nobody forks.
        assert_eq!(unsafe { message.as_ref() }, &make(i));
        assert_eq!(message.read(), make(i));
    }
    let latest = seqlock::Channel::<T>::options().anonymous().unwrap();
    let (mut writer, mut reader) = (latest.writer().unwrap(), latest.reader());
    for i in 0..10 {
        writer.write(&make(i)).unwrap();
        assert_eq!(reader.read(), Ok(make(i)));
    }
}

#[test]
fn addresses_are_aligned_for_the_type() {
    addresses_are_aligned(|i| i);
    addresses_are_aligned(|i| [i; 3]);
    addresses_are_aligned(|i| u64::from(i) << 40);
    addresses_are_aligned(|i| u128::from(i) << 100);
    addresses_are_aligned(|i| Aligned16([i; 16]));
    addresses_are_aligned(|i| Aligned64([i; 128]));
    addresses_are_aligned(|i| AlignedPage([i; 4096]));
}

#[test]
fn types_that_cannot_cross_are_refused() {
    #[derive(FromBytes, IntoBytes, Immutable)]
    #[zerocopy(crate = "ringway::zerocopy")]
    #[repr(C, align(8192))]
    struct TooAligned([u8; 8192]);
    let error = spsc::Channel::<TooAligned>::options().capacity(1).anonymous().unwrap_err();
    assert!(matches!(error.reason(), Reason::UnsupportedType { .. }), "{error}");
    let error = spsc::Channel::<[u8; 0]>::options().capacity(1).anonymous().unwrap_err();
    assert!(matches!(error.reason(), Reason::UnsupportedType { .. }), "{error}");
    let error = seqlock::Channel::<[u8; 0]>::options().anonymous().unwrap_err();
    assert!(matches!(error.reason(), Reason::UnsupportedType { .. }), "{error}");
    for capacity in [0, u64::MAX, 1 << 62] {
        let error = spsc::Channel::<u64>::options().capacity(capacity).anonymous().unwrap_err();
        assert!(!matches!(error.reason(), Reason::UnsupportedType { .. }), "{error}");
    }
    for capacity in [0, 7, 4097, u64::MAX] {
        let error = bytes::Channel::options().capacity_bytes(capacity).anonymous().unwrap_err();
        assert!(matches!(error.reason(), Reason::Capacity { .. }), "{error}");
    }
    for error in [spsc::Channel::<u64>::options().anonymous().err(), bytes::Channel::options().anonymous().err()] {
        let error = error.expect("a ring must be told its capacity");
        assert!(matches!(error.reason(), Reason::Capacity { .. }), "{error}");
    }
}

fn every_form_with<const N: usize>() {
    let (_channel, mut tx, mut rx) = ring::<[u8; N]>(3);
    let make = |i: u64| -> [u8; N] { some_bytes(i * 1000 + N as u64, N).try_into().unwrap() };
    let mut i = 0;
    for fill in [1, 3, 2, 3, 3, 1, 2] {
        for seq in i..i + fill {
            if seq % 2 == 0 {
                tx.try_send(&make(seq)).unwrap();
            } else {
                let mut slot = tx.try_send_ref().unwrap();
                slot.write(&make(seq));
                slot.send().unwrap();
            }
        }
        assert_eq!(tx.try_send(&make(0)).err(), (fill == 3).then_some(TrySendError::Full));
        for seq in i..i + fill {
            if seq % 3 == 0 {
                assert_eq!(rx.try_recv_ref().unwrap().read(), make(seq), "size {N}");
            } else {
                assert_eq!(rx.try_recv(), Ok(make(seq)), "size {N}");
            }
        }
        if fill < 3 {
            assert_eq!(rx.try_recv(), Ok(make(0)));
        }
        assert_eq!(rx.try_recv(), Err(TryRecvError::Empty));
        i += fill;
    }
    // Nothing beside the value is touched: its neighbours in the ring are as they were.
    let all = [make(1), make(2), make(3)];
    assert_eq!(tx.try_send_slice(&all), Ok(3));
    let mut found = [[0; N]; 3];
    assert_eq!(rx.try_recv_slice(&mut found), Ok(3));
    assert_eq!(found, all);

    let latest = seqlock::Channel::<[u8; N]>::options().anonymous().unwrap();
    let (mut writer, mut reader) = (latest.writer().unwrap(), latest.reader());
    for i in 0..5 {
        writer.write(&make(i)).unwrap();
        assert_eq!(reader.read(), Ok(make(i)), "size {N}");
    }
}

macro_rules! every_size {
    ($($tens:literal)*) => { $( every_size!(@ten $tens); )* };
    (@ten $tens:literal) => {
        every_form_with::<{ $tens * 10 + 1 }>();
        every_form_with::<{ $tens * 10 + 2 }>();
        every_form_with::<{ $tens * 10 + 3 }>();
        every_form_with::<{ $tens * 10 + 4 }>();
        every_form_with::<{ $tens * 10 + 5 }>();
        every_form_with::<{ $tens * 10 + 6 }>();
        every_form_with::<{ $tens * 10 + 7 }>();
        every_form_with::<{ $tens * 10 + 8 }>();
        every_form_with::<{ $tens * 10 + 9 }>();
        every_form_with::<{ $tens * 10 + 10 }>();
    };
}

#[test]
fn values_of_every_size_from_1_to_200_cross_whole() {
    every_size!(0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19);
}

#[test]
fn large_values_cross_whole() {
    every_form_with::<2047>();
    every_form_with::<2048>();
    every_form_with::<2049>();
    every_form_with::<4096>();
    every_form_with::<10_001>();
}

#[test]
fn iterators_end_where_the_sender_left() {
    let _watchdog = Watchdog::new();
    let (channel, mut tx, mut rx) = ring::<u64>(4);
    let (records, mut record_tx, mut record_rx) = page();
    for turn in 0..4u64 {
        tx.send_slice(&[turn, turn + 1, turn + 2]).unwrap();
        record_tx.send_slice(&[b"a", b"", b"ccc"]).unwrap();
        drop((tx, record_tx));
        assert!(rx.is_closed() && !rx.is_empty() && record_rx.is_closed() && !record_rx.is_empty());
        let mut found = Vec::new();
        for value in &mut rx {
            found.push(value);
        }
        assert_eq!(found, [turn, turn + 1, turn + 2]);
        assert_eq!(record_rx.iter().collect::<Vec<_>>(), [&b"a"[..], b"", b"ccc"]);
        for _ in 0..2 {
            assert_eq!(rx.iter().next(), None);
            assert_eq!((&mut record_rx).into_iter().next(), None);
            let closed = TryRecvError::Refused(RecvError::Closed);
            assert_eq!(rx.try_recv(), Err(closed));
            assert_eq!(rx.recv_slice(&mut [0]), Err(RecvError::Closed));
            assert_eq!(rx.try_recv_ref().err(), Some(closed));
            assert_eq!(rx.recv_ref().err(), Some(RecvError::Closed));
            assert_eq!(record_rx.try_recv(), Err(closed));
            assert_eq!(record_rx.recv_into(&mut [0; 9]), Err(RecvError::Closed));
            assert_eq!(record_rx.recv_slice(&mut [0; 9], &mut [0]), Err(RecvError::Closed));
            assert_eq!(record_rx.recv_timeout(SHORT), Err(RecvTimeoutError::Refused(RecvError::Closed)));
        }
        // A new sender, and it goes on.
        (tx, record_tx) = (channel.sender().unwrap(), records.sender().unwrap());
        assert!(!rx.is_closed() && !record_rx.is_closed());
        assert_eq!(rx.try_recv(), Err(TryRecvError::Empty));
        assert_eq!(record_rx.try_recv(), Err(TryRecvError::Empty));
    }
}

#[test]
fn a_sender_whose_receiver_left_is_told_in_every_form() {
    let _watchdog = Watchdog::new();
    let closed = SendError::Closed;
    let try_closed = TrySendError::Refused(closed);
    let (_channel, mut tx, rx) = ring::<u64>(1);
    let (_records, mut record_tx, record_rx) = page();
    assert!(!tx.is_closed());
    tx.send(&1).unwrap();
    record_tx.send(&[0; 4080]).unwrap();
    drop((rx, record_rx));
    assert!(tx.is_closed() && record_tx.is_closed());
    assert_eq!(tx.send(&2), Err(closed));
    assert_eq!(tx.try_send(&2), Err(try_closed));
    assert_eq!(tx.send_timeout(&2, SHORT), Err(SendTimeoutError::Refused(closed)));
    assert_eq!(tx.send_slice(&[2]), Err(closed));
    assert_eq!(tx.try_send_slice(&[2]), Err(try_closed));
    assert_eq!(tx.send_ref().err(), Some(closed));
    assert_eq!(tx.try_send_ref().err(), Some(try_closed));
    assert_eq!(record_tx.send(b""), Err(closed));
    assert_eq!(record_tx.try_send(b""), Err(try_closed));
    assert_eq!(record_tx.send_timeout(b"", SHORT), Err(SendTimeoutError::Refused(closed)));
    assert_eq!(record_tx.send_slice(&[b""]), Err(closed));
    assert_eq!(record_tx.try_send_slice(&[b""]), Err(try_closed));
    assert_eq!(record_tx.send_ref(0).err(), Some(closed));
    assert_eq!(record_tx.try_send_ref(0).err(), Some(try_closed));
    assert_eq!((tx.len(), record_tx.len()), (1, 1));
}

// ---------------------------------------------------------------------------------------------------
// bytes.

#[test]
fn records_of_every_length_cross_whole_from_every_offset() {
    let (channel, mut tx, mut rx) = page();
    assert_eq!((channel.capacity(), tx.capacity(), rx.capacity()), (4096, 4096, 4096));
    assert_eq!((channel.max_len(), tx.max_len()), (4080, 4080));
    let mut buffer = vec![0; 4080];
    for len in 0..=4080 {
        let bytes = some_bytes(len as u64, len);
        tx.try_send(&bytes).unwrap();
        assert_eq!((tx.len(), rx.len()), (1, 1));
        assert_eq!(rx.try_recv_into(&mut buffer), Ok(len));
        assert!(buffer[..len] == bytes, "length {len}");
        assert!(rx.is_empty() && tx.is_empty());
    }
    let found = 4081;
    assert_eq!(
        tx.try_send(&vec![0; found]),
        Err(TrySendError::Refused(SendError::TooLong(TooLong { found, most: 4080 })))
    );
    assert_eq!(tx.send_ref(usize::MAX).err(), Some(SendError::TooLong(TooLong { found: usize::MAX, most: 4080 })));
    // Every offset a record can begin at, with lengths around the edges that matter there.
    for word in 0..512usize {
        let to_end = (512 - word) * 8;
        let lens = [0, 1, 7, 8, 9, 63, 64, 65, 128, 129, 2047, 2048, 2049, 4073, 4079, 4080];
        let around = (to_end.saturating_sub(17)..to_end + 10).filter(|len| *len <= 4080);
        for len in lens.into_iter().chain(around) {
            // A record of that length, and one that brings the start back to the same word.
            let bytes = some_bytes(word as u64 * 5000 + len as u64, len);
            tx.try_send(&bytes).unwrap();
            let found = rx.try_recv_ref().unwrap();
            assert_eq!((found.len(), found.is_empty()), (len, len == 0));
            assert_eq!(found.as_ptr().addr() % 8, 0);
            // SAFETY: the only sender is idle and uses this crate alone; nobody forks.
            assert!(unsafe { found.as_slice() } == bytes, "length {len} at word {word}");
            assert!(found.to_vec() == bytes);
            drop(found);
            assert_eq!(rx.try_recv(), Err(TryRecvError::Empty));
            let used = 1 + len.div_ceil(8);
            let mut back = 512 - used;
            while back > 0 {
                let words = back.min(300);
                tx.try_send(&vec![0xFF; (words - 1) * 8]).unwrap();
                assert_eq!(rx.try_recv().unwrap().len(), (words - 1) * 8);
                back -= words;
            }
        }
        tx.try_send(b"").unwrap();
        assert_eq!(rx.try_recv().unwrap(), b"");
    }
}

#[test]
fn a_page_holds_as_many_records_as_fit() {
    // Each takes its header and whole words, and one word stays free.
    for (len, count) in [(0, 511), (1, 255), (8, 255), (9, 170), (16, 170), (4080, 1), (4072, 1), (2032, 2), (2033, 1)]
    {
        let (_channel, mut tx, mut rx) = page();
        for round in 0..5u64 {
            for i in 0..count {
                tx.try_send(&some_bytes(round * 1000 + i, len)).unwrap();
                assert_eq!((tx.len(), rx.len()), (i + 1, i + 1));
            }
            assert_eq!(tx.try_send(&vec![0; len]), Err(TrySendError::Full), "{count} records of {len}");
            assert_eq!(tx.try_send_ref(len).err(), Some(TrySendError::Full));
            for i in 0..count {
                assert_eq!(rx.try_recv().unwrap(), some_bytes(round * 1000 + i, len));
                assert_eq!((tx.len(), rx.len()), (count - i - 1, count - i - 1));
            }
            assert_eq!(rx.try_recv(), Err(TryRecvError::Empty));
        }
    }
    // Capacities are rounded up to pages.
    let channel = bytes::Channel::options().capacity_bytes(8).anonymous().unwrap();
    assert_eq!((channel.capacity(), channel.max_len()), (4096, 4080));
}

#[test]
fn a_record_can_be_built_in_place_and_shortened() {
    let (_channel, mut tx, mut rx) = page();
    for (wanted, kept) in [(0, 0), (10, 10), (10, 3), (4080, 0), (4080, 5), (100, 8), (100, 16), (8, 0)] {
        for _ in 0..40 {
            let mut room = tx.send_ref(wanted).unwrap();
            assert_eq!((room.len(), room.is_empty()), (wanted, wanted == 0));
            room.write_at(0, &vec![0xAA; wanted]);
            room.truncate(wanted + 1);
            assert_eq!(room.len(), wanted);
            room.truncate(kept);
            assert_eq!((room.len(), room.is_empty()), (kept, kept == 0));
            room.truncate(usize::MAX);
            assert_eq!(room.len(), kept);
            if kept > 0 {
                room.write_at(kept - 1, b"Z");
                assert_eq!(room.as_mut_ptr().addr() % 8, 0);
            }
            room.send().unwrap();
            let mut expected = vec![0xAA; kept];
            if let Some(last) = expected.last_mut() {
                *last = b'Z';
            }
            assert_eq!(rx.try_recv().unwrap(), expected);
            // What was written beyond the kept part must not be taken for a record.
            assert_eq!(rx.try_recv(), Err(TryRecvError::Empty));
            assert_eq!((tx.len(), rx.len()), (0, 0));
        }
    }
    let mut room = tx.try_send_ref(64).unwrap();
    room.write_at(0, &[1; 64]);
    drop(room);
    assert_eq!(rx.try_recv(), Err(TryRecvError::Empty));
    assert_eq!((tx.len(), rx.len()), (0, 0));
    tx.send(b"next").unwrap();
    std::mem::forget(rx.recv_ref().unwrap());
    assert_eq!(rx.len(), 1);
    let found = rx.recv_ref().unwrap();
    let mut part = [0; 2];
    found.read_at(1, &mut part);
    assert_eq!(&part, b"ex");
    drop(found);
    assert_eq!(rx.len(), 0);
}

#[test]
fn a_buffer_that_is_too_short_leaves_the_record() {
    let (_channel, mut tx, mut rx) = page();
    for turn in 0..100usize {
        let len = 1 + turn * 40;
        let bytes = some_bytes(turn as u64, len);
        tx.send(&bytes).unwrap();
        for buffer in [0, 1, len - 1].into_iter().filter(|buffer| *buffer < len) {
            let short = RecvError::BufferTooShort { found: len, buffer };
            assert_eq!(rx.recv_into(&mut vec![0; buffer]), Err(short));
            assert_eq!(rx.try_recv_into(&mut vec![0; buffer]), Err(TryRecvError::Refused(short)));
            assert_eq!(rx.recv_slice(&mut vec![0; buffer], &mut [0; 2]), Err(short));
            assert_eq!(rx.try_recv_slice(&mut vec![0; buffer], &mut [0; 2]), Err(TryRecvError::Refused(short)));
            assert_eq!((tx.len(), rx.len()), (1, 1));
        }
        let mut exact = vec![0; len + turn % 2];
        assert_eq!(rx.recv_into(&mut exact), Ok(len));
        assert_eq!(exact[..len], bytes);
    }
}

#[test]
fn record_slices_are_packed_and_taken_as_far_as_they_go() {
    let (_channel, mut tx, mut rx) = page();
    assert_eq!(tx.send_slice(&[]), Ok(0));
    assert_eq!(tx.try_send_slice(&[]), Ok(0));
    assert_eq!(rx.recv_slice(&mut [0; 9], &mut []), Ok(0));
    assert_eq!(rx.try_recv_slice(&mut [0; 9], &mut []), Ok(0));
    assert_eq!(rx.try_recv_slice(&mut [0; 9], &mut [0]), Err(TryRecvError::Empty));
    for turn in 0..200u8 {
        assert_eq!(tx.send_slice(&[b"one", b"", &[turn; 5], b"fourth"]), Ok(4));
        let (mut buffer, mut ends) = ([0xEE; 10], [99; 3]);
        // The ends run out before the records, then the bytes before both.
        assert_eq!(rx.recv_slice(&mut buffer, &mut ends), Ok(3));
        assert_eq!(ends, [3, 3, 8]);
        assert_eq!(buffer[..8], [b'o', b'n', b'e', turn, turn, turn, turn, turn]);
        assert_eq!(buffer[8..], [0xEE; 2]);
        assert_eq!(rx.len(), 1);
        assert_eq!(tx.try_send_slice(&[b"fifth", b"6"]), Ok(2));
        let (mut buffer, mut ends) = ([0; 10], [99; 9]);
        assert_eq!(rx.try_recv_slice(&mut buffer, &mut ends), Ok(1));
        assert_eq!((&buffer[..6], ends[0], ends[1]), (&b"fourth"[..], 6, 99));
        assert_eq!(rx.try_recv_slice(&mut buffer, &mut ends), Ok(2));
        assert_eq!((&buffer[..6], &ends[..2]), (&b"fifth6"[..], &[5, 6][..]));
    }
    // Empty records need no room in the buffer.
    assert_eq!(tx.send_slice(&[b"", b""]), Ok(2));
    let mut ends = [9; 3];
    assert_eq!(rx.recv_slice(&mut [], &mut ends), Ok(2));
    assert_eq!(ends, [0, 0, 9]);
    // More than there is room for, and one that never fits.
    let large = [3; 2000];
    assert_eq!(tx.send_slice(&[&large, &large, &large]), Ok(2));
    assert_eq!(tx.try_send_slice(&[&large]), Err(TrySendError::Full));
    assert_eq!(rx.iter().take(2).collect::<Vec<_>>(), [large, large]);
    let too_long = [0; 4081];
    assert_eq!(tx.send_slice(&[b"x", &too_long, b"y"]), Ok(1));
    let error = SendError::TooLong(TooLong { found: 4081, most: 4080 });
    assert_eq!(tx.send_slice(&[&too_long]), Err(error));
    assert_eq!(tx.try_send_slice(&[&too_long]), Err(TrySendError::Refused(error)));
    assert_eq!(rx.try_recv().unwrap(), b"x");
    assert_eq!(rx.try_recv(), Err(TryRecvError::Empty));
}

/// The ring is filled, lap after lap, with payload that looks like a valid header for whatever position
/// the word has in the laps to come. None of it may ever be taken for a record.
#[test]
fn payload_cannot_be_taken_for_a_header() {
    // Marked as bringing news of a death, and not.
    let header = |pos: u64, len: u64| (pos & 4) << 61 | (pos << 30 & ((1 << 43) - 1)) | (len + 1);
    for forged_len in [0u64, 1, 8, 16, 40] {
        let (channel, mut tx, mut rx) = page();
        let mut random = fastrand::Rng::with_seed(forged_len);
        let (mut pos, mut waiting) = (1u64, VecDeque::new());
        let mut received = 0;
        while received < 3000 {
            let words = random.usize(0..=if received % 4 == 0 { 510 } else { 40 });
            // Each payload word claims to be the header of its place one lap ahead, or two.
            let ahead = 512 * random.u64(1..=2);
            let payload: Vec<u8> =
                (1..=words as u64).flat_map(|i| header(pos + i + ahead, forged_len).to_ne_bytes()).collect();
            match random.u8(..4) {
                // Written, but never sent.
                0 => {
                    if let Ok(mut room) = tx.try_send_ref(payload.len()) {
                        room.write_at(0, &payload);
                        // The words of this lap, too.
                        let now: Vec<u8> =
                            (1..=words as u64).flat_map(|i| header(pos + i, forged_len).to_ne_bytes()).collect();
                        room.write_at(0, &now);
                    }
                }
                // Sent, but cut short.
                1 => {
                    if let Ok(mut room) = tx.try_send_ref(payload.len()) {
                        let now: Vec<u8> =
                            (1..=words as u64).flat_map(|i| header(pos + i, forged_len).to_ne_bytes()).collect();
                        room.write_at(0, &now);
                        let kept = random.usize(0..=words) * 8;
                        room.truncate(kept);
                        room.send().unwrap();
                        pos += 1 + kept as u64 / 8;
                        waiting.push_back(now[..kept].to_vec());
                    }
                }
                _ => {
                    if tx.try_send(&payload).is_ok() {
                        pos += 1 + words as u64;
                        waiting.push_back(payload);
                    }
                }
            }
            assert_eq!(rx.len(), waiting.len() as u64);
            assert_eq!(tx.len(), waiting.len() as u64);
            let take = random.usize(0..=waiting.len());
            for _ in 0..take {
                assert_eq!(rx.try_recv().unwrap(), waiting.pop_front().unwrap());
                received += 1;
            }
            if waiting.is_empty() {
                assert_eq!(rx.try_recv(), Err(TryRecvError::Empty));
            }
            // A successor walks the headers to find where it goes on.
            if random.u8(..8) == 0 {
                drop(tx);
                tx = channel.sender().unwrap();
            }
        }
        waiting.into_iter().for_each(|payload| assert_eq!(rx.try_recv().unwrap(), payload));
        assert_eq!(rx.try_recv(), Err(TryRecvError::Empty));
    }
}

// ---------------------------------------------------------------------------------------------------
// seqlock.

#[test]
fn versions_count_what_was_written() {
    let channel = seqlock::Channel::<[u64; 5]>::options().anonymous().unwrap();
    let mut reader = channel.reader();
    assert!(!reader.has_writer());
    assert!(!reader.has_changed());
    assert_eq!(reader.read(), Ok([0; 5]), "all zeroes before the first");
    assert_eq!(reader.version(), 0);
    assert_eq!(reader.changed_timeout(Duration::ZERO), Err(ChangedError::Timeout));
    let mut version = 0;
    for writers in 1..=3 {
        let mut writer = channel.writer().unwrap();
        assert!(reader.has_writer());
        let taken = channel.writer().err().unwrap();
        assert!(matches!(taken, ClaimError::Taken { seat: Seat::Sender, generation, .. } if generation == writers));
        assert_eq!(writer.version(), version);
        for wait in WAITS {
            reader.set_wait(wait);
            assert_eq!(reader.changed_timeout(SHORT), Err(ChangedError::Timeout));
        }
        for _ in 0..700 {
            version += 1;
            writer.write(&[version; 5]).unwrap();
            assert_eq!(writer.version(), version);
            assert!(reader.has_changed());
            assert_eq!(reader.changed(), Ok(()));
            assert_eq!(reader.changed_timeout(Duration::ZERO), Ok(()));
            if version % 3 != 0 {
                assert_eq!(reader.read(), Ok([version; 5]));
                assert_eq!(reader.version(), version);
                assert!(!reader.has_changed());
                assert_eq!(reader.read(), Ok([version; 5]), "again and again");
            }
        }
        // A value left unread is a change, and only then the end.
        version += 1;
        writer.write(&[version; 5]).unwrap();
        drop(writer);
        assert!(!reader.has_writer());
        assert_eq!(reader.changed(), Ok(()));
        assert_eq!(reader.read(), Ok([version; 5]));
        assert_eq!(reader.changed(), Err(ChangedError::Closed));
        assert_eq!(reader.changed_timeout(SHORT), Err(ChangedError::Closed));
    }
    // A clone has seen what its original saw; a new reader nothing.
    assert_eq!(reader.clone().version(), version);
    assert!(!reader.clone().has_changed());
    assert!(channel.reader().has_changed());
    assert_eq!(channel.reader().version(), 0);
}

#[test]
fn a_read_only_attachment_reads_and_cannot_write() {
    let _watchdog = Watchdog::new();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("latest");
    let channel = seqlock::Channel::<u64>::create(&path).unwrap();
    let memory = seqlock::Channel::<u64>::options().memfd().unwrap();
    let memory_fd = memory.region().fd().unwrap().try_clone_to_owned().unwrap();
    let pairs = [
        (channel, seqlock::Channel::<u64>::open_read_only(&path).unwrap()),
        (memory, seqlock::Channel::<u64>::options().from_fd_read_only(memory_fd).unwrap()),
    ];
    for (channel, read_only) in &pairs {
        assert!(matches!(read_only.writer().err(), Some(ClaimError::ReadOnly)));
        let mut reader = read_only.reader();
        assert_eq!(reader.changed_timeout(SHORT), Err(ChangedError::Timeout));
        let mut writer = channel.writer().unwrap();
        for value in 1..=2000 {
            writer.write(&value).unwrap();
            assert_eq!(reader.changed(), Ok(()));
            assert_eq!(reader.read(), Ok(value));
        }
        reader.set_wait(Wait::Sleep);
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| reader.changed());
            std::thread::sleep(SHORT);
            writer.write(&0).unwrap();
            assert_eq!(waiting.join().unwrap(), Ok(()));
        });
        assert_eq!(reader.read(), Ok(0));
        drop(writer);
        assert_eq!(reader.changed(), Err(ChangedError::Closed));
    }
}

#[test]
fn a_sleeping_thread_is_woken_by_what_it_waits_for() {
    let _watchdog = Watchdog::new();
    for wait in WAITS {
        let (_channel, mut tx, mut rx) = ring::<u64>(1);
        let latest = seqlock::Channel::<u64>::options().anonymous().unwrap();
        let (mut writer, mut reader) = (latest.writer().unwrap(), latest.reader());
        tx.set_wait(wait);
        rx.set_wait(wait);
        reader.set_wait(wait);
        std::thread::scope(|scope| {
            let receiver = scope.spawn(move || {
                let first = rx.recv();
                (first, rx)
            });
            let reading = scope.spawn(move || (reader.changed(), reader.read()));
            std::thread::sleep(SHORT);
            tx.send(&5).unwrap();
            writer.write(&6).unwrap();
            assert_eq!(reading.join().unwrap(), (Ok(()), Ok(6)));
            let (first, mut rx) = receiver.join().unwrap();
            assert_eq!(first, Ok(5));
            tx.send(&6).unwrap();
            let sender = scope.spawn(move || {
                tx.send(&7).unwrap();
                tx
            });
            std::thread::sleep(SHORT);
            assert_eq!(rx.recv(), Ok(6));
            let tx = sender.join().unwrap();
            assert_eq!(rx.recv(), Ok(7));
            let receiver = scope.spawn(move || rx.recv());
            std::thread::sleep(SHORT);
            drop(tx);
            assert_eq!(receiver.join().unwrap(), Err(RecvError::Closed));
        });
    }
}

// ---------------------------------------------------------------------------------------------------
// Snapshots.

#[test]
fn a_snapshot_is_a_channel_of_its_own() {
    let dir = tempfile::tempdir().unwrap();
    for capacity in [3, 1000] {
        let path = dir.path().join(format!("slots{capacity}"));
        let channel = spsc::Channel::<u64>::create(&path, capacity).unwrap();
        let (mut tx, mut rx) = (channel.sender().unwrap(), channel.receiver().unwrap());
        for i in 0..2 * capacity {
            tx.send(&i).unwrap();
            rx.recv().unwrap();
        }
        tx.send_slice(&[1, 2, 3]).unwrap();
        for copy in [channel.snapshot().unwrap(), spsc::Channel::<u64>::options().open_snapshot(&path).unwrap()] {
            // Its seats are free, though the region's are not.
            let (mut copy_tx, mut copy_rx) = (copy.sender().unwrap(), copy.receiver().unwrap());
            assert_eq!((copy_tx.len(), copy_rx.len()), (3, 3));
            assert_eq!(copy_rx.iter().take(3).collect::<Vec<_>>(), [1, 2, 3]);
            for i in 0..3 * capacity {
                copy_tx.try_send(&(i + 100)).unwrap();
                assert_eq!(copy_rx.try_recv(), Ok(i + 100));
            }
            // A copy can be copied.
            copy_tx.send(&5).unwrap();
            let second = copy.snapshot().unwrap();
            assert_eq!(second.receiver().unwrap().recv(), Ok(5));
            assert_eq!(copy_rx.recv(), Ok(5));
        }
        assert_eq!((tx.len(), rx.len()), (3, 3), "the region noticed nothing");
        assert_eq!(rx.iter().take(3).collect::<Vec<_>>(), [1, 2, 3]);
    }

    let latest = seqlock::Channel::<u64>::options().memfd().unwrap();
    let mut writer = latest.writer().unwrap();
    (1..=9).for_each(|i| writer.write(&i).unwrap());
    let copy = latest.snapshot().unwrap();
    writer.write(&10).unwrap();
    let mut reader = copy.reader();
    assert_eq!((reader.read(), reader.version()), (Ok(9), 9));
    copy.writer().unwrap().write(&77).unwrap();
    assert_eq!(reader.read(), Ok(77));
    assert_eq!(latest.reader().read(), Ok(10));
    // Any backing will do.
    let (anonymous, mut tx, _rx) = ring::<u64>(1);
    tx.send(&3).unwrap();
    let copy = anonymous.snapshot().unwrap();
    assert_eq!(copy.receiver().unwrap().recv(), Ok(3));
    assert_eq!(tx.len(), 1);
}

/// A record that crosses the end lies, in part, in the second mapping of the data: the copy must hold it
/// whatever the region does afterwards.
#[test]
fn a_snapshot_keeps_a_record_across_the_end() {
    for backing in 0..2 {
        let dir = tempfile::tempdir().unwrap();
        let options = bytes::Channel::options().capacity_bytes(4096);
        let channel = if backing == 0 { options.create(dir.path().join("records")) } else { options.memfd() }.unwrap();
        let (mut tx, mut rx) = (channel.sender().unwrap(), channel.receiver().unwrap());
        tx.send(&[0; 3000]).unwrap();
        rx.recv().unwrap();
        let crossing = some_bytes(1, 3000);
        tx.send(&crossing).unwrap();
        let copy = channel.snapshot().unwrap();
        // The region goes on over all of it.
        for i in 0..5 {
            assert_eq!(rx.recv().unwrap().len(), 3000);
            tx.send(&[i; 3000]).unwrap();
        }
        let mut copy_rx = copy.receiver().unwrap();
        assert!(copy_rx.try_recv().unwrap() == crossing, "the copy changed after it was made");
        assert_eq!(copy_rx.try_recv(), Err(TryRecvError::Refused(RecvError::Closed)));
    }
}

/// A copy can be sent to as well; what its sender writes beyond the end must be found at the start.
#[test]
fn a_snapshot_goes_on_for_many_laps() {
    let channel = bytes::Channel::options().capacity_bytes(4096).memfd().unwrap();
    let (mut tx, mut rx) = (channel.sender().unwrap(), channel.receiver().unwrap());
    // No word of the data is zero.
    for _ in 0..3 {
        tx.send(&[0xFF; 4080]).unwrap();
        rx.recv().unwrap();
    }
    let copy = channel.snapshot().unwrap();
    let (mut copy_tx, mut copy_rx) = (copy.sender().unwrap(), copy.receiver().unwrap());
    for i in 0..2000u64 {
        let bytes = some_bytes(i, i as usize % 1500);
        copy_tx.try_send(&bytes).unwrap();
        assert_eq!(copy_rx.try_recv().unwrap(), bytes, "record {i}");
        assert_eq!(copy_rx.try_recv(), Err(TryRecvError::Empty), "record {i}");
    }
}

/// A message whose words all follow from its number.
fn message(i: u64) -> [u64; 7] {
    std::array::from_fn(|word| i.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ word as u64)
}

/// Fails unless the messages are whole, in order and without a gap.
fn whole_and_in_order(mut next: impl FnMut() -> Result<[u64; 7], TryRecvError>) {
    let mut before = None;
    loop {
        match next() {
            Ok(found) => {
                // The factor's inverse.
                let i = found[0].wrapping_mul(0xF1DE_83E1_9937_733D);
                assert_eq!(found, message(i), "a message that is not whole");
                assert!(before.is_none_or(|before| before + 1 == i), "{i} came after {before:?}");
                before = Some(i);
            }
            Err(TryRecvError::Empty | TryRecvError::Refused(RecvError::Closed)) => return,
            Err(error) => panic!("{error}"),
        }
    }
}

/// Runs `look` again and again while another thread runs `work` without a pause.
fn while_busy(work: impl FnOnce(&dyn Fn() -> bool) + Send, look: impl Fn()) {
    use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
    let _watchdog = Watchdog::new();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| work(&|| !stop.load(Relaxed)));
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| (0..1500).for_each(|_| look())));
        stop.store(true, Relaxed);
        if let Err(panic) = result {
            std::panic::resume_unwind(panic);
        }
    });
}

#[test]
fn snapshots_of_a_busy_ring_hold_whole_messages() {
    let slots = spsc::Channel::<[u64; 7]>::options().capacity(256).memfd().unwrap();
    let work = |busy: &dyn Fn() -> bool| {
        let (mut tx, mut rx) = (slots.sender().unwrap(), slots.receiver().unwrap());
        for i in (1..).take_while(|_| busy()) {
            tx.send(&message(i)).unwrap();
            if i > 100 {
                rx.recv().unwrap();
            }
        }
    };
    while_busy(work, || {
        let mut rx = slots.snapshot().unwrap().receiver().unwrap();
        whole_and_in_order(|| rx.try_recv());
    });
}

#[test]
fn snapshots_of_busy_records_hold_whole_ones() {
    let records = bytes::Channel::options().capacity_bytes(16384).memfd().unwrap();
    let work = |busy: &dyn Fn() -> bool| {
        let (mut tx, mut rx) = (records.sender().unwrap(), records.receiver().unwrap());
        for i in (1..).take_while(|_| busy()) {
            tx.send(message(i).as_bytes()).unwrap();
            if i > 100 {
                rx.recv().unwrap();
            }
        }
    };
    while_busy(work, || {
        let mut rx = records.snapshot().unwrap().receiver().unwrap();
        whole_and_in_order(|| {
            rx.try_recv().map(|found| <[u64; 7]>::read_from_bytes(&found).expect("a record of its length"))
        });
    });
}

#[test]
fn snapshots_of_a_busy_value_hold_a_whole_one() {
    let latest = seqlock::Channel::<[u64; 7]>::options().memfd().unwrap();
    let work = |busy: &dyn Fn() -> bool| {
        let mut writer = latest.writer().unwrap();
        for i in (1..).take_while(|_| busy()) {
            writer.write(&message(i)).unwrap();
        }
    };
    while_busy(work, || {
        let mut reader = latest.snapshot().unwrap().reader();
        let found = reader.read().unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(found, if reader.version() == 0 { [0; 7] } else { message(reader.version()) });
    });
}

// ---------------------------------------------------------------------------------------------------
// Against a model.

const SEED: u64 = 0x7269_6E67_7761_7921;
const OPERATIONS: usize = 200_000;

#[test]
fn spsc_does_what_a_queue_does() {
    for capacity in [1usize, 2, 3, 7, 64, 1000] {
        println!("capacity {capacity}, seed {SEED:#x}");
        let mut random = fastrand::Rng::with_seed(SEED ^ capacity as u64);
        let (channel, tx, rx) = ring::<u64>(capacity as u64);
        let (mut tx, mut rx) = (Some(tx), Some(rx));
        let mut model = VecDeque::new();
        let mut next = 0u64;
        for operation in 0..OPERATIONS / 4 {
            let (sender, receiver) = (tx.as_mut().unwrap(), rx.as_mut().unwrap());
            let room = capacity - model.len();
            let form = random.u32(..16);
            let batch = random.usize(..capacity.min(20) + 3);
            match form {
                0..=1 => {
                    let sent = sender.try_send(&next);
                    assert_eq!(sent, if room > 0 { Ok(()) } else { Err(TrySendError::Full) });
                    if sent.is_ok() {
                        model.push_back(next);
                    }
                }
                2 if room > 0 => {
                    sender.send(&next).unwrap();
                    model.push_back(next);
                }
                3 | 4 => {
                    let values: Vec<u64> = (0..batch as u64).map(|i| next + i).collect();
                    let fits = batch.min(room);
                    let sent = sender.try_send_slice(&values);
                    assert_eq!(sent, if batch > 0 && room == 0 { Err(TrySendError::Full) } else { Ok(fits) });
                    model.extend(&values[..fits]);
                }
                5 if room > 0 => {
                    let mut slot = sender.send_ref().unwrap();
                    slot.write(&next);
                    if random.bool() {
                        slot.send().unwrap();
                        model.push_back(next);
                    }
                }
                6 => {
                    assert_eq!(sender.send_timeout(&next, Duration::ZERO).is_ok(), room > 0);
                    if room > 0 {
                        model.push_back(next);
                    }
                }
                7..=8 => assert_eq!(receiver.try_recv(), model.pop_front().ok_or(TryRecvError::Empty)),
                9 if !model.is_empty() => assert_eq!(receiver.recv(), Ok(model.pop_front().unwrap())),
                10 | 11 => {
                    let mut values = vec![u64::MAX; batch];
                    let due: Vec<u64> = model.drain(..batch.min(model.len())).collect();
                    let received = receiver.try_recv_slice(&mut values);
                    let empty = batch > 0 && due.is_empty();
                    assert_eq!(received, if empty { Err(TryRecvError::Empty) } else { Ok(due.len()) });
                    assert_eq!(values[..due.len()], due);
                }
                12 => match receiver.try_recv_ref() {
                    Ok(message) => {
                        assert_eq!(Some(&message.read()), model.front());
                        if random.bool() {
                            std::mem::forget(message);
                        } else {
                            model.pop_front();
                        }
                    }
                    Err(error) => {
                        assert_eq!(error, TryRecvError::Empty);
                        assert!(model.is_empty());
                    }
                },
                13 if operation % 5 == 0 => {
                    drop(tx.take());
                    tx = Some(channel.sender().unwrap());
                }
                14 if operation % 5 == 0 => {
                    // The sender must not take a receiver's leaving for the end: it comes again.
                    drop(rx.take());
                    rx = Some(channel.receiver().unwrap());
                }
                _ => {
                    let len = model.len() as u64;
                    assert_eq!((sender.len(), receiver.len()), (len, len));
                    assert_eq!((sender.is_empty(), receiver.is_empty()), (len == 0, len == 0));
                    assert!(!sender.is_closed() && !receiver.is_closed());
                }
            }
            next += 1000;
        }
    }
}

#[test]
fn bytes_do_what_a_queue_does() {
    for pages in [1u64, 2, 5, 16] {
        println!("{pages} pages, seed {SEED:#x}");
        let capacity = pages * 4096;
        let mut random = fastrand::Rng::with_seed(SEED ^ pages);
        let channel = bytes::Channel::options().capacity_bytes(capacity).anonymous().unwrap();
        let (mut tx, mut rx) = (Some(channel.sender().unwrap()), Some(channel.receiver().unwrap()));
        let mut model: VecDeque<Vec<u8>> = VecDeque::new();
        // One word is never used.
        let words = |model: &VecDeque<Vec<u8>>| -> u64 { model.iter().map(|r| 1 + r.len().div_ceil(8) as u64).sum() };
        let mut buffer = vec![0; capacity as usize];
        for operation in 0..OPERATIONS / 4 {
            let (sender, receiver) = (tx.as_mut().unwrap(), rx.as_mut().unwrap());
            let room = capacity / 8 - 1 - words(&model);
            let most = match random.u32(..8) {
                0 => sender.max_len(),
                1 => 700,
                _ => 60,
            };
            let len = random.usize(..=most);
            let record = some_bytes(operation as u64, len);
            let fits = room > len.div_ceil(8) as u64;
            match random.u32(..14) {
                0..=2 => {
                    let sent = sender.try_send(&record);
                    assert_eq!(sent, if fits { Ok(()) } else { Err(TrySendError::Full) });
                    if fits {
                        model.push_back(record);
                    }
                }
                3 => {
                    let records: Vec<&[u8]> = (0..random.usize(..6)).map(|i| &record[..len >> i]).collect();
                    let (mut left, mut count) = (room, 0);
                    for record in &records {
                        let used = 1 + record.len().div_ceil(8) as u64;
                        if used > left {
                            break;
                        }
                        (left, count) = (left - used, count + 1);
                    }
                    let full = !records.is_empty() && count == 0;
                    let sent = sender.try_send_slice(&records);
                    assert_eq!(sent, if full { Err(TrySendError::Full) } else { Ok(count) });
                    model.extend(records[..count].iter().map(|record| record.to_vec()));
                }
                4 | 5 => match sender.try_send_ref(len) {
                    Ok(mut slot) => {
                        assert!(fits);
                        slot.write_at(0, &record);
                        let kept = random.usize(..=len);
                        slot.truncate(kept);
                        if random.u32(..3) > 0 {
                            slot.send().unwrap();
                            model.push_back(record[..kept].to_vec());
                        }
                    }
                    Err(error) => {
                        assert_eq!(error, TrySendError::Full);
                        assert!(!fits);
                    }
                },
                6 => assert_eq!(receiver.try_recv(), model.pop_front().ok_or(TryRecvError::Empty)),
                7 => match receiver.try_recv_into(&mut buffer[..len]) {
                    Ok(found) => assert_eq!(buffer[..found], model.pop_front().unwrap()),
                    Err(TryRecvError::Empty) => assert!(model.is_empty()),
                    Err(error) => {
                        let found = model[0].len();
                        assert!(found > len);
                        assert_eq!(error, TryRecvError::Refused(RecvError::BufferTooShort { found, buffer: len }));
                    }
                },
                8 | 9 => {
                    let mut ends = vec![usize::MAX; random.usize(1..8)];
                    match receiver.try_recv_slice(&mut buffer, &mut ends) {
                        Ok(count) => {
                            assert_eq!(count, ends.len().min(model.len()), "the buffer takes all there can be");
                            let mut start = 0;
                            for end in &ends[..count] {
                                assert_eq!(buffer[start..*end], model.pop_front().unwrap());
                                start = *end;
                            }
                        }
                        Err(error) => {
                            assert_eq!(error, TryRecvError::Empty);
                            assert!(model.is_empty());
                        }
                    }
                }
                10 => match receiver.try_recv_ref() {
                    Ok(found) => {
                        assert_eq!(Some(&found.to_vec()), model.front());
                        if random.bool() {
                            std::mem::forget(found);
                        } else {
                            model.pop_front();
                        }
                    }
                    Err(error) => {
                        assert_eq!(error, TryRecvError::Empty);
                        assert!(model.is_empty());
                    }
                },
                11 if operation % 5 == 0 => {
                    drop(tx.take());
                    tx = Some(channel.sender().unwrap());
                }
                12 if operation % 5 == 0 => {
                    drop(rx.take());
                    rx = Some(channel.receiver().unwrap());
                }
                _ => {
                    let len = model.len() as u64;
                    assert_eq!((sender.len(), receiver.len()), (len, len));
                    assert_eq!((sender.is_empty(), receiver.is_empty()), (len == 0, len == 0));
                }
            }
        }
    }
}
