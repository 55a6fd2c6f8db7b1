//! Headers that were damaged, or forged.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::Path;

use ringway::{OpenError, Reason, Report, bytes, seqlock, spsc};

use crate::common::alone::alone;
use crate::common::footprint::Footprint;
use crate::common::header::{self, MODE, SCHEMA_LEN, checksum};
use crate::refusal::{Spsc, assert_reason, file, good, refused};

/// The header of the region in a file, with the rest of its page. It can be overwritten.
struct Header {
    file: File,
    good: [u8; header::PAGE],
}

impl Header {
    fn of(path: &Path) -> Self {
        let file = file(path);
        let mut good = [0; header::PAGE];
        file.read_exact_at(&mut good, 0).unwrap();
        assert_eq!(header::number(&good, header::CHECKSUM), checksum(&good), "where the checksum lies");
        Self { file, good }
    }

    fn write(&self, header: &[u8]) {
        self.file.write_all_at(header, 0).unwrap();
    }

    /// Writes each value at its byte, and the checksum that fits.
    fn forge(&self, changes: &[(usize, &[u8])]) {
        let mut header = self.good;
        for (at, value) in changes {
            header[*at..*at + value.len()].copy_from_slice(value);
        }
        header::seal(&mut header);
        self.write(&header);
    }
}

/// Where the numbers of a header lie: name, byte, bytes.
const FIELDS: [(&str, usize, usize); 23] = [
    ("endian", 8, 4),
    ("version", 12, 4),
    ("word size", 16, 4),
    ("kind", header::KIND, 4),
    ("cache line padding", header::PADDING, 8),
    ("page size", header::PAGE_SIZE, 8),
    ("region length", header::REGION_LEN, 8),
    ("number of lanes", header::LANES, 8),
    ("number of rows", header::ROWS, 8),
    ("lanes' offset", header::LANES_OFFSET, 8),
    ("rows' offset", header::ROWS_OFFSET, 8),
    ("data's offset", header::DATA_OFFSET, 8),
    ("data length", header::DATA_LEN, 8),
    ("capacity", header::CAPACITY, 8),
    ("stride", header::STRIDE, 8),
    ("type size", header::TYPE_SIZE, 8),
    ("type align", header::TYPE_ALIGN, 8),
    ("hash of the schema", header::SCHEMA_HASH, 8),
    ("length of the schema", header::SCHEMA_LEN, 8),
    ("mode", header::MODE, 8),
    ("number of deliveries", header::DELIVERIES, 8),
    ("reserved part", header::RESERVED, 8),
    ("reserved part", header::CHECKSUM - 8, 8),
];

/// Headers whose byte order, version or checksum is another.
fn refuse_foreign_starts(header: &Header, open: &dyn Fn() -> OpenError) {
    // A header in the other byte order has another checksum, so the byte order is checked first.
    let mut swapped = header.good;
    swapped[8..12].reverse();
    header.write(&swapped);
    assert_reason!(open(), Reason::Endianness, "byte order");

    let version = u32::from_ne_bytes(header.good[12..16].try_into().unwrap());
    let mut other = header.good;
    other[12..16].copy_from_slice(&(version + 1).to_ne_bytes());
    header.write(&other);
    assert_reason!(open(), Reason::Version { found, expected } if (*found, *expected) == (version + 1, version),
        format!("version {}", version + 1), format!("expected {version}"));

    header.write(&[&header.good[..header::CHECKSUM], &[7; 8], &header.good[header::LEN..]].concat());
    let sum = checksum(&header.good);
    assert_reason!(open(), Reason::Checksum { found: 0x0707_0707_0707_0707, expected } if *expected == sum,
        "0x707070707070707", format!("{sum:#x}"));
}

/// Headers of a right checksum, each with one field that is wrong.
fn refuse_forged_fields(header: &Header, open: &dyn Fn() -> OpenError) {
    for (name, at, expected) in [("word size", 16, 64), ("cache line padding", 24, 128), ("page size", 32, 4096)] {
        header.forge(&[(at, &[1, 1])]);
        assert_reason!(open(), Reason::Field { field, expected: wanted, .. } if (*field, *wanted) == (name, expected),
            name, expected);
    }
    header.forge(&[(header::RESERVED, &[1])]);
    assert_reason!(open(), Reason::Field { field: "reserved part", .. }, "reserved");
    header.forge(&[(header::KIND, &2u32.to_ne_bytes())]);
    assert_reason!(open(), Reason::Kind { found: "bytes", expected: "spsc" }, "bytes", "spsc");
    header.forge(&[(header::KIND, &9u32.to_ne_bytes())]);
    assert_reason!(open(), Reason::Field { field: "kind", found: 9, expected: 1 }, "kind", 9);
    header.forge(&[(header::TYPE_SIZE, &[4])]);
    assert_reason!(open(), Reason::Type { found, expected, .. } if (found.size, expected.size) == (4, 8),
        "u64 (4 bytes, aligned to 8)", "u64 (8 bytes, aligned to 8)");
    header.forge(&[(header::TYPE_ALIGN, &[4])]);
    assert_reason!(open(), Reason::Type { found, expected, .. } if (found.align, expected.align) == (4, 8),
        "u64 (8 bytes, aligned to 4)");
    header.forge(&[(header::TYPE_NAME, b"i64")]);
    assert_reason!(open(), Reason::Type { found, expected, .. } if found.name == "i64" && expected.name == "u64",
        "i64 (8", "u64 (8");
    header.forge(&[(header::TYPE_NAME, &[0xFF; 64])]);
    assert_reason!(open(), Reason::Type { .. }, "u64 (8");
    header.forge(&[(header::STRIDE, &[4])]);
    assert_reason!(open(), Reason::Field { field: "stride", found: 4, expected: 2 }, "stride");
    header.forge(&[(header::CAPACITY, &[0])]);
    assert_reason!(open(), Reason::Field { field: "capacity", found: 0, .. }, "capacity");
    header.forge(&[(header::CAPACITY, &1000u64.to_ne_bytes())]);
    assert_reason!(open(), Reason::Field { field: "data length", found: 4096, expected: 16384 }, 4096, 16384);
    header.forge(&[(header::DATA_LEN, &8192u64.to_ne_bytes())]);
    assert_reason!(open(), Reason::Field { field: "data length", found: 8192, expected: 4096 }, 8192);
    header.forge(&[(header::REGION_LEN, &8192u64.to_ne_bytes())]);
    assert_reason!(open(), Reason::Field { field: "region length", found: 8192, expected: 12288 }, 12288);
    for (name, at) in [
        ("number of lanes", header::LANES),
        ("number of rows", header::ROWS),
        ("lanes' offset", header::LANES_OFFSET),
        ("rows' offset", header::ROWS_OFFSET),
        ("data's offset", header::DATA_OFFSET),
        ("mode", header::MODE),
        ("number of deliveries", header::DELIVERIES),
    ] {
        let forged = header::number(&header.good, at) + 1;
        header.forge(&[(at, &forged.to_ne_bytes())]);
        assert_reason!(open(), Reason::Field { field, found, .. } if (*field, *found) == (name, forged), name, forged);
    }
}

/// Headers that other programs wrote. Nobody forged them.
fn refuse_other_programs(dir: &Path, path: &Path) {
    assert_reason!(
        refused(Some(dir), || bytes::Channel::open(path)),
        Reason::Kind { found: "spsc", expected: "bytes" },
        "spsc",
        "bytes"
    );
    assert_reason!(
        refused(Some(dir), || seqlock::Channel::<u64>::open_read_only(path)),
        Reason::Kind { found: "spsc", expected: "seqlock" },
        "seqlock"
    );
    assert_reason!(refused(Some(dir), || spsc::Channel::<i64>::open(path)), Reason::Type { .. }, "u64", "i64");
    assert_reason!(refused(Some(dir), || spsc::Channel::<[u64; 2]>::open(path)), Reason::Type { .. }, "[u64; 2]");
    assert_reason!(
        refused(Some(dir), || Spsc::options().type_name("u64 v2").open(path)),
        Reason::Type { .. },
        "u64 v2"
    );
}

#[test]
fn headers_of_others() {
    alone(|| {
        let (dir, path) = good();
        let dir = dir.path();
        let header = Header::of(&path);
        let open = || refused(Some(dir), || Spsc::open(&path));
        let kept = fs::read(&path).unwrap();

        header.write(b"RINGWAY\n");
        assert_reason!(open(), Reason::NotARegion { found, .. } if found == b"RINGWAY\n", "RINGWAY", "ringway");
        fs::write(&path, vec![0; kept.len()]).unwrap();
        assert_reason!(open(), Reason::NotARegion { found: [0, 0, 0, 0, 0, 0, 0, 0], .. }, "expected \"ringway");
        fs::write(&path, &kept).unwrap();

        refuse_foreign_starts(&header, &open);
        refuse_forged_fields(&header, &open);
        header.write(&header.good);
        refuse_other_programs(dir, &path);
        Spsc::open(&path).unwrap();
    });
}

#[test]
fn every_flipped_bit_of_the_header_is_refused() {
    alone(|| {
        let (dir, path) = good();
        let header = Header::of(&path);
        drop(Spsc::open(&path));
        let before = Footprint::now(Some(dir.path()));
        let end = header::LEN + "u64".len();
        for bit in 0..end * 8 {
            let mut flipped = header.good;
            flipped[bit / 8] ^= 1 << (bit % 8);
            header.write(&flipped);
            let error = Spsc::open(&path).expect_err("a bit is flipped");
            let right = match (bit / 8, error.reason()) {
                (0..8, Reason::NotARegion { found, .. }) => found == &flipped[..8],
                (8..12, Reason::Field { field: "byte order mark", expected: 0x0102_0304, .. }) => true,
                (12..16, Reason::Version { expected: 5, .. }) => true,
                // The text of the schema counts, as long as the header says it is.
                (SCHEMA_LEN..MODE, Reason::Checksum { .. }) => true,
                (16.., Reason::Checksum { expected, .. }) => *expected == checksum(&flipped),
                _ => false,
            };
            assert!(right, "bit {bit}: {error}");
        }
        assert_eq!(before, Footprint::now(Some(dir.path())));
        header.write(&header.good);
        Spsc::open(&path).unwrap();
    });
}

#[test]
fn random_headers_are_refused() {
    alone(|| {
        let (dir, path) = good();
        let header = Header::of(&path);
        drop(Spsc::open(&path));
        let before = Footprint::now(Some(dir.path()));
        let mut random = fastrand::Rng::with_seed(20_251_120);
        for round in 0..10_000 {
            let mut bytes = header.good;
            random.fill(&mut bytes[..header::LEN]);
            // The more of the header is right, the further the checks get.
            let right = [0, 16, 24, 40][round % 4];
            bytes[..right].copy_from_slice(&header.good[..right]);
            if right > 0 {
                bytes[SCHEMA_LEN..MODE].copy_from_slice(&header.good[SCHEMA_LEN..MODE]);
                header::seal(&mut bytes);
            }
            header.write(&bytes);
            let error = Spsc::open(&path).expect_err("garbage");
            match (right, error.reason()) {
                (0, Reason::NotARegion { .. })
                | (16, Reason::Field { field: "word size", .. })
                | (24, Reason::Field { field: "cache line padding", .. })
                | (40, Reason::Field { field: "reserved part", .. }) => {}
                _ => panic!("round {round}: {error}"),
            }
        }
        assert_eq!(before, Footprint::now(Some(dir.path())));
    });
}

/// The numbers in the header were chosen, and the checksum fits. The region is refused, or can be used.
#[test]
fn forged_headers_are_refused_or_harmless() {
    alone(|| {
        let (dir, path) = good();
        let header = Header::of(&path);
        let mut random = fastrand::Rng::with_seed(7);
        let mut accepted = 0;
        for round in 0..4000 {
            let mut changes = Vec::new();
            for _ in 0..random.usize(1..5) {
                let field = FIELDS[random.usize(2..FIELDS.len())];
                let number = match random.u32(0..6) {
                    0 => 0,
                    1 => 1 << random.u32(0..64),
                    2 => (1u64 << random.u32(0..64)).wrapping_sub(1),
                    3 => u64::MAX - random.u64(0..9000),
                    4 => 4096 * random.u64(0..5),
                    _ => random.u64(0..300),
                };
                changes.push((field, number.to_ne_bytes()));
            }
            let forged: Vec<_> = changes.iter().map(|((_, at, len), bytes)| (*at, &bytes[..*len])).collect();
            header.file.set_len(4096 * random.u64(1..5)).unwrap();
            header.forge(&forged);
            if let Ok(channel) = Spsc::open(&path) {
                accepted += 1;
                println!("round {round}: accepted {changes:?}");
                use_spsc(&channel);
            }
        }
        assert!(accepted > 0, "the capacity may be any that fits the pages");
        drop(dir);
    });
}

/// Sends and receives without a panic, whatever the region says of itself.
fn use_spsc(channel: &Spsc) {
    let (Ok(mut tx), Ok(mut rx)) = (channel.sender(), channel.receiver()) else { return };
    for i in 0..1000 {
        let sent = tx.try_send(&i);
        let received = rx.try_recv();
        assert!(sent.is_err() || received.is_ok() || !tx.is_empty(), "{sent:?} {received:?}");
    }
}

/// The text of the schema was chosen, and hash and checksum fit. It is refused, or shown as it is.
#[test]
fn forged_schemas_are_refused_or_harmless() {
    alone(|| {
        let (dir, path) = good();
        let header = Header::of(&path);
        let forge = |len: u64, text: &[u8], hash: u64| {
            let mut page = header.good;
            page[header::LEN..header::LEN + text.len()].copy_from_slice(text);
            page[header::SCHEMA_LEN..header::MODE].copy_from_slice(&len.to_ne_bytes());
            page[header::SCHEMA_HASH..header::SCHEMA_LEN].copy_from_slice(&hash.to_ne_bytes());
            header::seal(&mut page);
            header.write(&page);
        };
        let fits = |text: &[u8]| forge(text.len() as u64, text, header::fnv(text.iter()));
        let open = || refused(Some(dir.path()), || spsc::raw::Channel::open(&path));

        forge(3, b"u64", 7);
        assert_reason!(open(), Reason::Field { field: "hash of the schema", found: 7, .. }, "hash of the schema");
        for len in [3073, 4096, u64::MAX] {
            forge(len, &[b'a'; 3072], 7);
            assert_reason!(open(), Reason::Field { field: "length of the schema", expected: 3072, .. }, len);
        }
        fits(b"u64\xff");
        assert_reason!(open(), Reason::Field { field: "text of the schema", .. }, "text of the schema");
        fits("{a\u{1b}[31m:u64@0}".as_bytes());
        assert_reason!(open(), Reason::Field { field: "text of the schema", .. }, "text of the schema");

        for text in ["}}}]]", "@,:;", &"{a:[".repeat(768), &"é".repeat(1536), "{a:u64@99999999999999999999}"] {
            fits(text.as_bytes());
            assert_eq!(spsc::raw::Channel::open(&path).unwrap().carries().schema(), Some(text));
            assert!(Report::open(&path).unwrap().to_string().contains(text));
            let error = refused(Some(dir.path()), || Spsc::open(&path));
            assert!(error.to_string().len() < 2000, "{error}");
            assert_reason!(error, Reason::Type { field: Some(_), .. }, "other fields");
        }
        // The type may be unknown, or its text too long.
        forge(0, b"", 0);
        Spsc::open(&path).unwrap();
        forge(0, b"", 7);
        assert_reason!(refused(Some(dir.path()), || Spsc::open(&path)), Reason::Type { field: None, .. }, "hashes");
    });
}

#[test]
fn a_forged_capacity_whose_size_overflows_is_refused() {
    alone(|| {
        let (dir, path) = good();
        let header = Header::of(&path);
        header.file.set_len(8192).unwrap();
        for capacity in [u64::MAX, 1 << 60, u64::MAX / 16 + 1, 1 << 63] {
            let capacity: u64 = capacity;
            header.forge(&[
                (header::CAPACITY, &capacity.to_ne_bytes()),
                (header::DATA_LEN, &0u64.to_ne_bytes()),
                (header::REGION_LEN, &8192u64.to_ne_bytes()),
            ]);
            let error = refused(Some(dir.path()), || Spsc::open(&path));
            assert_reason!(error, Reason::Field { field: "capacity" | "data length", .. }, "forged");
        }
    });
}
