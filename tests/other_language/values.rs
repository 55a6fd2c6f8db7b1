//! The latest value of a seqlock.

use ringway::seqlock;
use ringway::zerocopy::IntoBytes;

use crate::common::messages::{Latest, Numbered};
use crate::reader::{Moments, can_read, hex};

fn versions<T: ringway::Message>(make: impl Fn(u64) -> T) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("region");
    let channel = seqlock::Channel::<T>::create(&path).unwrap();
    let mut writer = channel.writer().unwrap();
    let unwritten = "00".repeat(size_of::<T>());
    let mut moments = Moments::new("version ");
    moments.add(&path, vec![format!("0: {unwritten}")]);
    for version in 1..300 {
        writer.write(&make(version)).unwrap();
        if version < 10 || version % 41 == 0 || version % 64 == 0 {
            moments.add(&path, vec![format!("{version}: {}", hex(make(version).as_bytes()))]);
        }
    }
    moments.check();
}

#[test]
fn the_latest_value_is_read_whatever_its_size() {
    if can_read() {
        versions(<[u8; 3]>::make);
        versions(<[u8; 64]>::make);
        versions(Latest::<700>::make);
    }
}

/// Cells that the writer began to write again show it by their marks.
#[cfg(target_arch = "x86_64")]
#[test]
fn a_value_in_use_is_read_whole() {
    use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

    use crate::common::stopper::Stopper;
    use crate::reader::{lines, read_all};

    if !can_read() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("region");
    let channel = seqlock::Channel::<Latest<40>>::create(&path).unwrap();
    let mut writer = channel.writer().unwrap();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Relaxed) {
                let version = writer.version() + 1;
                writer.write(&Latest::make(version)).unwrap();
            }
        });
        let _stopper = Stopper(&stop);
        for said in read_all(&vec![path; 100]) {
            let [value] = lines(&said, "version ")[..] else { panic!("{said}") };
            let (version, value) = value.split_once(": ").unwrap();
            assert_eq!(value, hex(Latest::<40>::make(version.parse().unwrap()).as_bytes()), "version {version}");
        }
    });
}
