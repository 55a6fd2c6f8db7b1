//! Headers that were damaged, or forged.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::Path;

use ringway::{OpenError, Reason, bytes, seqlock, spsc};

use crate::common::alone::alone;
use crate::common::footprint::Footprint;
use crate::common::raw::{checksum, seal_header};
use crate::refusal::{Spsc, assert_reason, file, good, refused};

/// The header of the region in a file. It can be overwritten.
struct Header {
    file: File,
    good: [u8; 256],
}

impl Header {
    fn of(path: &Path) -> Self {
        let file = file(path);
        let mut good = [0; 256];
        file.read_exact_at(&mut good, 0).unwrap();
        assert_eq!(u64::from_ne_bytes(good[248..].try_into().unwrap()), checksum(&good), "where the checksum lies");
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
        seal_header(&mut header);
        self.write(&header);
    }
}

/// Where the numbers of a header lie: name, byte, bytes.
const FIELDS: [(&str, usize, usize); 14] = [
    ("endian", 8, 4),
    ("version", 12, 4),
    ("word size", 16, 4),
    ("kind", 20, 4),
    ("cache line padding", 24, 8),
    ("page size", 32, 8),
    ("region length", 40, 8),
    ("data length", 48, 8),
    ("capacity", 56, 8),
    ("stride", 64, 8),
    ("type size", 72, 8),
    ("type align", 80, 8),
    ("reserved part", 152, 8),
    ("reserved part", 240, 8),
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

    header.write(&[&header.good[..248], &[7; 8]].concat());
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
    header.forge(&[(240, &[1])]);
    assert_reason!(open(), Reason::Field { field: "reserved part", .. }, "reserved");
    header.forge(&[(20, &2u32.to_ne_bytes())]);
    assert_reason!(open(), Reason::Kind { found: "bytes", expected: "spsc" }, "bytes", "spsc");
    header.forge(&[(20, &9u32.to_ne_bytes())]);
    assert_reason!(open(), Reason::Field { field: "kind", found: 9, expected: 1 }, "kind", 9);
    header.forge(&[(72, &[4])]);
    assert_reason!(open(), Reason::Type { found, expected } if (found.size, expected.size) == (4, 8),
        "u64 (4 bytes, aligned to 8)", "u64 (8 bytes, aligned to 8)");
    header.forge(&[(80, &[4])]);
    assert_reason!(open(), Reason::Type { found, expected } if (found.align, expected.align) == (4, 8),
        "u64 (8 bytes, aligned to 4)");
    header.forge(&[(88, b"i64")]);
    assert_reason!(open(), Reason::Type { found, expected } if found.name == "i64" && expected.name == "u64",
        "i64 (8", "u64 (8");
    header.forge(&[(88, &[0xFF; 64])]);
    assert_reason!(open(), Reason::Type { .. }, "u64 (8");
    header.forge(&[(64, &[4])]);
    assert_reason!(open(), Reason::Field { field: "stride", found: 4, expected: 2 }, "stride");
    header.forge(&[(56, &[0])]);
    assert_reason!(open(), Reason::Field { field: "capacity", found: 0, .. }, "capacity");
    header.forge(&[(56, &1000u64.to_ne_bytes())]);
    assert_reason!(open(), Reason::Field { field: "data length", found: 4096, expected: 16384 }, 4096, 16384);
    header.forge(&[(48, &8192u64.to_ne_bytes())]);
    assert_reason!(open(), Reason::Field { field: "data length", found: 8192, expected: 4096 }, 8192);
    header.forge(&[(40, &8192u64.to_ne_bytes())]);
    assert_reason!(open(), Reason::Field { field: "region length", found: 8192, expected: 12288 }, 12288);
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
        assert_reason!(open(), Reason::NotARegion { found } if found == b"RINGWAY\n", "RINGWAY", "ringway");
        fs::write(&path, vec![0; kept.len()]).unwrap();
        assert_reason!(open(), Reason::NotARegion { found: [0, 0, 0, 0, 0, 0, 0, 0] }, "expected \"ringway");
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
        for bit in 0..256 * 8 {
            let mut flipped = header.good;
            flipped[bit / 8] ^= 1 << (bit % 8);
            header.write(&flipped);
            let error = Spsc::open(&path).expect_err("a bit is flipped");
            let right = match (bit / 8, error.reason()) {
                (0..8, Reason::NotARegion { found }) => found == &flipped[..8],
                (8..12, Reason::Field { field: "byte order mark", expected: 0x0102_0304, .. }) => true,
                (12..16, Reason::Version { expected: 4, .. }) => true,
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
            let mut bytes = [0; 256];
            random.fill(&mut bytes);
            // The more of the header is right, the further the checks get.
            let right = [0, 16, 24, 40][round % 4];
            bytes[..right].copy_from_slice(&header.good[..right]);
            if right > 0 {
                seal_header(&mut bytes);
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

#[test]
fn a_forged_capacity_whose_size_overflows_is_refused() {
    alone(|| {
        let (dir, path) = good();
        let header = Header::of(&path);
        header.file.set_len(8192).unwrap();
        for capacity in [u64::MAX, 1 << 60, u64::MAX / 16 + 1, 1 << 63] {
            let capacity: u64 = capacity;
            header.forge(&[(56, &capacity.to_ne_bytes()), (48, &0u64.to_ne_bytes()), (40, &8192u64.to_ne_bytes())]);
            let error = refused(Some(dir.path()), || Spsc::open(&path));
            assert_reason!(error, Reason::Field { field: "capacity" | "data length", .. }, "forged");
        }
    });
}
