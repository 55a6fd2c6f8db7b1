//! Files that are damaged, and no regions: the reader says so, or what it can read.

use std::fs;
use std::path::Path;

use ringway::{bytes, seqlock, spsc};

use crate::common::header;
use crate::reader::{can_read, run};

/// A region of each kind, as a file's bytes.
fn regions(dir: &Path) -> [Vec<u8>; 3] {
    let paths = ["slots", "records", "value"].map(|name| dir.join(name));
    let slots = spsc::Channel::<u64>::create(&paths[0], 3).unwrap();
    let records = bytes::Channel::create(&paths[1], 4096).unwrap();
    let value = seqlock::Channel::<u64>::create(&paths[2]).unwrap();
    (1..4).for_each(|n| slots.sender().unwrap().send(&n).unwrap());
    (1..4).for_each(|n| records.sender().unwrap().send(&vec![n; n.into()]).unwrap());
    (1..4).for_each(|n| value.writer().unwrap().write(&n).unwrap());
    paths.map(|path| fs::read(path).unwrap())
}

/// What the reader says against a file with these bytes; `None` if it has nothing against it.
#[track_caller]
fn objection(dir: &Path, bytes: &[u8]) -> Option<String> {
    let path = dir.join("damaged");
    fs::write(&path, bytes).unwrap();
    let output = run(&path);
    let said = String::from_utf8(output.stderr).unwrap();
    let named = said.strip_prefix(&format!("{}: ", path.display()));
    match output.status.code() {
        Some(0) if said.is_empty() => None,
        Some(1) if named.is_some_and(|why| why.lines().count() == 1) => named.map(|why| why.trim_end().to_owned()),
        _ => panic!("{}: {said}", output.status),
    }
}

#[test]
fn a_file_that_is_no_whole_region_is_refused() {
    if !can_read() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let missing = run(&dir.path().join("missing"));
    assert!(String::from_utf8(missing.stderr).unwrap().contains("No such file"));
    let [good, ..] = regions(dir.path());
    assert_eq!(objection(dir.path(), &good), None);
    let refused = |bytes: &[u8]| objection(dir.path(), bytes).expect("an objection");
    for len in [0, 1, 511] {
        assert_eq!(refused(&good[..len]), format!("no region: it has {len} bytes"));
    }
    assert_eq!(refused(&good[..512]), "its header has another checksum");
    for len in [4096, 8192, good.len() - 4096, good.len() - 1] {
        assert_eq!(refused(&good[..len]), format!("it has {len} bytes, and its header says {}", good.len()));
    }
    assert_eq!(refused(&vec![0xA5; good.len()]), "no region: it begins otherwise");
    let with = |at: usize, value: &[u8]| {
        let mut bytes = good.clone();
        bytes[at..at + value.len()].copy_from_slice(value);
        bytes
    };
    assert_eq!(refused(&with(8, &0x0403_0201_u32.to_ne_bytes())), "its byte order is another than this machine's");
    assert!(refused(&with(12, &u32::MAX.to_ne_bytes())).starts_with("its layout has version 4294967295, and this"));
    for at in [header::CAPACITY, header::TYPE_NAME, header::RESERVED, header::CHECKSUM, header::LEN] {
        assert_eq!(refused(&with(at, &[!good[at]])), "its header has another checksum", "byte {at}");
    }
}

/// Numbers that cannot be, in a header whose checksum fits, and in the words behind it.
#[test]
fn no_number_makes_the_reader_crash() {
    if !can_read() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let mut objections = 0;
    for good in regions(dir.path()) {
        let lane = header::number(&good, header::LANES_OFFSET) as usize;
        let data = header::number(&good, header::DATA_OFFSET) as usize;
        let fields = [
            header::PAGE_SIZE,
            header::LANES_OFFSET,
            header::DATA_OFFSET,
            header::DATA_LEN,
            header::CAPACITY,
            header::STRIDE,
            header::TYPE_SIZE,
            header::SCHEMA_LEN,
        ];
        let words =
            [lane, lane + 8, lane + 24, lane + 128, lane + 256, data, data + 8, data + 24, data + 64, data + 200];
        for at in fields.into_iter().chain(words) {
            for value in [0, 7, 1 << 62, u64::MAX] {
                let mut bytes = good.clone();
                bytes[at..at + 8].copy_from_slice(&value.to_ne_bytes());
                header::seal(&mut bytes);
                let said = objection(dir.path(), &bytes);
                objections += usize::from(said.is_some());
            }
        }
    }
    assert!(objections > 80, "{objections}");
}
