//! What the types promise: what can be sent to another thread, what cannot cross, and where values lie.

use ringway::{
    ChangedError, ClaimError, OpenError, ReadError, Reason, RecvError, RecvTimeoutError, SendError, SendTimeoutError,
    TryRecvError, TrySendError, bytes, seqlock, spsc,
};

use crate::ends::{Watchdog, page, ring, some_bytes};

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

#[ringway::message]
#[derive(Clone, Copy, Debug, PartialEq)]
#[repr(C, align(16))]
struct Aligned16([u8; 16]);

#[ringway::message]
#[derive(Clone, Copy, Debug, PartialEq)]
#[repr(C, align(64))]
struct Aligned64([u8; 128]);

#[ringway::message]
#[derive(Clone, Copy, Debug, PartialEq)]
#[repr(C, align(4096))]
struct AlignedPage([u8; 4096]);

fn addresses_are_aligned<T: ringway::Message + Copy + PartialEq + std::fmt::Debug>(make: impl Fn(u8) -> T) {
    let (_channel, mut tx, mut rx) = ring::<T>(3);
    for i in 0..10 {
        let mut slot = tx.send_ref().unwrap();
        let address = slot.as_mut_ptr();
        assert!(address.is_aligned(), "{address:?} for {} of {}", size_of::<T>(), align_of::<T>());
        // SAFETY: the place is aligned and lies inside the slot that is held. Nobody else touches it.
        unsafe { address.write_volatile(make(i)) };
        slot.send().unwrap();
        let message = rx.recv_ref().unwrap();
        assert!(message.as_ptr().is_aligned());
        assert_eq!(message.as_ptr().addr(), address.addr());
        // SAFETY: the place is aligned and lies inside the message that is held. Nobody writes it.
        assert_eq!(unsafe { message.as_ptr().read_volatile() }, make(i));
        // SAFETY: the only sender is idle and uses this crate alone, and nobody forks.
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
    for (size, align) in [(8192, 8192), (0, 1), (8, 3)] {
        let error = spsc::raw::Channel::options().capacity(1).type_layout(size, align).anonymous().unwrap_err();
        assert!(matches!(error.reason(), Reason::UnsupportedType { .. }), "{error}");
        let error = seqlock::raw::Channel::options().type_layout(size, align).anonymous().unwrap_err();
        assert!(matches!(error.reason(), Reason::UnsupportedType { .. }), "{error}");
    }
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
