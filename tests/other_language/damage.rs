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

/// What the reader says against files with these bytes, a line each; of the rest it has read something.
#[track_caller]
fn objections(dir: &Path, files: &[Vec<u8>]) -> Vec<Option<String>> {
    let path = |index: usize| dir.join(format!("damaged{index}"));
    files.iter().enumerate().for_each(|(index, bytes)| fs::write(path(index), bytes).unwrap());
    let paths: Vec<_> = (0..files.len()).map(path).collect();
    let output = run(&paths);
    let said = String::from_utf8(output.stderr).unwrap();
    let mut lines = said.lines().peekable();
    let objections = paths.iter().map(|path| {
        let line = lines.next_if(|line| line.starts_with(&format!("{}: ", path.display())));
        line.map(|line| line.split_once(": ").unwrap().1.to_owned())
    });
    let objections: Vec<_> = objections.collect();
    assert_eq!(lines.next(), None, "{said}");
    assert_eq!(output.status.code(), Some(i32::from(objections.iter().any(Option::is_some))), "{said}");
    objections
}

#[test]
fn a_file_that_is_no_whole_region_is_refused() {
    if !can_read() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let missing = run(&[dir.path().join("missing")]);
    assert!(String::from_utf8(missing.stderr).unwrap().contains("No such file"));
    let [good, ..] = regions(dir.path());
    let with = |at: usize, value: &[u8]| {
        let mut bytes = good.clone();
        bytes[at..at + value.len()].copy_from_slice(value);
        bytes
    };
    let other_checksum = "its header has another checksum".to_owned();
    let mut cases = vec![
        (vec![0xA5; good.len()], "no region: it begins otherwise".to_owned()),
        (with(8, &0x0403_0201_u32.to_ne_bytes()), "its byte order is another than this machine's".to_owned()),
        (with(12, &77_u32.to_ne_bytes()), "its layout has version 77, and this knows 5".to_owned()),
        (good[..512].to_vec(), other_checksum.clone()),
    ];
    for len in [0, 1, 511] {
        cases.push((good[..len].to_vec(), format!("no region: it has {len} bytes")));
    }
    for len in [4096, 8192, good.len() - 4096, good.len() - 1] {
        cases.push((good[..len].to_vec(), format!("it has {len} bytes, and its header says {}", good.len())));
    }
    for at in [header::CAPACITY, header::TYPE_NAME, header::RESERVED, header::CHECKSUM, header::LEN] {
        cases.push((with(at, &[!good[at]]), other_checksum.clone()));
    }
    let (mut files, expected): (Vec<_>, Vec<_>) = cases.into_iter().unzip();
    files.push(good);
    let mut said = objections(dir.path(), &files);
    assert_eq!(said.pop(), Some(None), "of the good one");
    assert_eq!(said, expected.into_iter().map(Some).collect::<Vec<_>>());
}

/// Numbers that cannot be, in a header whose checksum fits, and in the words behind it.
#[test]
fn no_number_makes_the_reader_crash() {
    if !can_read() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let mut files = Vec::new();
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
                files.push(bytes);
            }
        }
    }
    let refused = objections(dir.path(), &files).iter().flatten().count();
    assert!(refused > 80 && refused < files.len(), "{refused} of {}", files.len());
}

/// Words that no process can have written where they stand.
#[test]
fn a_stamp_header_or_mark_that_cannot_be_is_named() {
    if !can_read() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let mut files = Vec::from(regions(dir.path()));
    // The stamp of the second slot, the header of the second record, and the mark of version 3 in its cell.
    for (file, at) in files.iter_mut().zip([16 + 8, 16, 3 * 64 + 8]) {
        let at = header::number(file, header::DATA_OFFSET) as usize + at;
        file[at..at + 8].copy_from_slice(&131_u64.to_ne_bytes());
    }
    let said: Vec<_> = objections(dir.path(), &files).into_iter().flatten().collect();
    let no_message = |position| format!("no message can stand at position {position} as it does");
    assert_eq!(said, [no_message(2), no_message(3), "the mark of version 3 is 131".to_owned()]);
}
