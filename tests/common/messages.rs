//! Messages that carry a number and say whether they are whole.

/// A number that looks random and follows from `x` (the finaliser of SplitMix64).
pub fn mix(x: u64) -> u64 {
    let x = x.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ (x >> 31)
}

/// A message that carries a number and says whether it is whole.
pub trait Numbered: ringway::Message + Copy + PartialEq + std::fmt::Debug {
    fn make(seq: u64) -> Self;
    /// Fails unless this is message `seq`, every bit of it.
    fn check(&self, seq: u64);
    /// The number that it carries, whether it is whole or not.
    fn seq(&self) -> u64;
}

/// 64 bytes: sequence number, content, checksum.
#[ringway::message]
#[derive(Clone, Copy, Debug, PartialEq)]
#[repr(C)]
pub struct Packet {
    pub seq: u64,
    pub body: [u64; 6],
    pub sum: u64,
}

fn sum_of(seq: u64, body: &[u64]) -> u64 {
    body.iter().fold(mix(seq), |sum, word| sum.rotate_left(5) ^ word)
}

impl Numbered for Packet {
    fn make(seq: u64) -> Self {
        let start = mix(seq);
        let body = std::array::from_fn(|i| start.rotate_left(i as u32 * 9).wrapping_add(i as u64));
        Self { seq, body, sum: sum_of(seq, &body) }
    }

    fn check(&self, seq: u64) {
        assert_eq!(self.sum, sum_of(self.seq, &self.body), "a message that is not whole where {seq} is due: {self:?}");
        assert_eq!(self.seq, seq, "out of order, lost or repeated");
        assert_eq!(*self, Self::make(seq));
    }

    fn seq(&self) -> u64 {
        self.seq
    }
}

/// 8 bytes: 40 bits of sequence number, 24 of checksum.
impl Numbered for u64 {
    fn make(seq: u64) -> Self {
        seq << 24 | mix(seq) >> 40
    }

    fn check(&self, seq: u64) {
        assert_eq!(self & 0xFF_FFFF, mix(self >> 24) >> 40, "not whole where {seq} is due: {self:#x}");
        assert_eq!(self >> 24, seq, "out of order, lost or repeated");
    }

    fn seq(&self) -> u64 {
        self >> 24
    }
}

/// The bytes of the number, repeated.
impl<const N: usize> Numbered for [u8; N] {
    fn make(seq: u64) -> Self {
        let number = seq.to_le_bytes();
        std::array::from_fn(|i| number[i % number.len()])
    }

    fn check(&self, seq: u64) {
        assert_eq!(*self, Self::make(seq));
    }

    fn seq(&self) -> u64 {
        let mut number = [0; 8];
        self.iter().zip(&mut number).for_each(|(byte, place)| *place = *byte);
        u64::from_le_bytes(number)
    }
}

/// The length of record `seq`: mostly short, sometimes up to `most`.
pub fn record_len(seq: u64, most: usize) -> usize {
    let random = mix(seq ^ 0x5EED) as usize;
    let most = match random % 16 {
        0 => most,
        1..=5 => most.min(700),
        _ => most.min(70),
    };
    (random >> 8) % (most + 1)
}

/// The content of record `seq`.
pub fn fill_record(seq: u64, record: &mut [u8]) {
    let (mut word, mut i) = (mix(seq), 0);
    for chunk in record.chunks_mut(8) {
        chunk.copy_from_slice(&word.to_le_bytes()[..chunk.len()]);
        i += 1;
        word = word.rotate_left(7).wrapping_add(seq ^ i);
    }
}

pub fn record(seq: u64, most: usize) -> Vec<u8> {
    let mut bytes = vec![0; record_len(seq, most)];
    fill_record(seq, &mut bytes);
    bytes
}

#[track_caller]
pub fn check_record(found: &[u8], seq: u64, most: usize) {
    assert_same(found, &record(seq, most), seq);
}

/// Fails unless the content is that of record `seq`, and says where it differs.
#[track_caller]
pub fn assert_same(found: &[u8], expected: &[u8], seq: u64) {
    assert_eq!(found.len(), expected.len(), "length of record {seq}");
    if found != expected {
        let at = found.iter().zip(expected).position(|(a, b)| a != b);
        panic!("record {seq} of {} bytes differs from byte {at:?} on", expected.len());
    }
}

/// The value of a seqlock: version, content, checksum. Each takes a word or more.
#[ringway::message]
#[derive(Clone, Copy, Debug, PartialEq)]
#[repr(transparent)]
pub struct Latest<const WORDS: usize> {
    words: [u64; WORDS],
}

impl<const WORDS: usize> Latest<WORDS> {
    pub fn make(version: u64) -> Self {
        let start = mix(version);
        let mut words = std::array::from_fn(|i| start.wrapping_add(i as u64));
        words[0] = version;
        words[WORDS - 1] = start ^ version;
        Self { words }
    }

    pub fn version(&self) -> u64 {
        self.words[0]
    }

    /// Fails unless it is whole. Version 0 is all zeroes.
    pub fn check(&self) {
        let version = self.version();
        let expected = if version == 0 { Self { words: [0; WORDS] } } else { Self::make(version) };
        let torn = self.words.iter().zip(&expected.words).position(|(found, expected)| found != expected);
        assert_eq!(torn, None, "a torn value of version {version}");
    }
}
