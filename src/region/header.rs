//! Writing a header, and believing one.
//!
//! A header is read once, by copy, and everything in it is checked against what the reader expects
//! and what `fstat` says. What is returned is private memory.
#![forbid(unsafe_code)]

use zerocopy::IntoBytes;

use super::origin::Origin;
use crate::layout::{ENDIAN_MARK, Header, Kind, MAGIC, NAME_LEN, VERSION, WORD, WORD_BITS, cell_words, slot_words};
use crate::open_error::{Reason, TypeFingerprint};

/// What a channel wants of its region.
#[derive(Clone, Debug)]
pub(crate) struct Spec {
    pub kind: Kind,
    pub type_size: usize,
    pub type_align: usize,
    pub type_name: String,
    /// Slots, words or cells; `None`: whatever the region has.
    pub capacity: Option<u64>,
    /// Words from one slot or cell to the next.
    pub stride: usize,
    /// Whether the data is mapped twice in a row.
    pub mirrored: bool,
}

const PADDING: u64 = size_of::<crossbeam_utils::CachePadded<u8>>() as u64;

/// FNV-1a (Fowler, Noll, Vo): every step is a bijection of the state, so any one changed byte changes
/// the sum. Against accidents; who forges a header can forge the sum.
fn checksum(header: &Header) -> u64 {
    let bytes = header.as_bytes();
    bytes[..bytes.len() - size_of::<u64>()]
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |sum, byte| (sum ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3))
}

fn expect(field: &'static str, found: u64, expected: u64) -> Result<(), Reason> {
    if found == expected { Ok(()) } else { Err(Reason::Field { field, found, expected }) }
}

impl Header {
    /// The type that the region carries.
    pub fn fingerprint(&self) -> TypeFingerprint {
        let end = self.type_name.iter().position(|byte| *byte == 0).unwrap_or(NAME_LEN);
        TypeFingerprint {
            size: self.type_size,
            align: self.type_align,
            name: String::from_utf8_lossy(&self.type_name[..end]).into_owned(),
        }
    }

    /// Whether it is the header of a region of this layout, as it was written.
    pub fn check_format(&self) -> Result<(), Reason> {
        if self.magic != MAGIC {
            return Err(Reason::NotARegion { found: self.magic });
        }
        if self.endian == ENDIAN_MARK.swap_bytes() {
            return Err(Reason::Endianness);
        }
        expect("byte order mark", self.endian.into(), ENDIAN_MARK.into())?;
        if self.version != VERSION {
            return Err(Reason::Version { found: self.version, expected: VERSION });
        }
        let expected = checksum(self);
        if self.checksum != expected {
            return Err(Reason::Checksum { found: self.checksum, expected });
        }
        Ok(())
    }

    /// The spec that this header fits, if it fits any: `check` it with that.
    pub fn spec(&self) -> Result<Spec, Reason> {
        self.check_format()?;
        let kind = Reason::Field { field: "kind", found: self.kind.into(), expected: Kind::Spsc as u64 };
        let unsupported = || Reason::UnsupportedType { found: self.fingerprint(), expected: "one that can cross" };
        self.fit(Kind::from_u32(self.kind).ok_or(kind)?).ok_or_else(unsupported)
    }

    fn fit(&self, kind: Kind) -> Option<Spec> {
        let fingerprint = self.fingerprint();
        let (type_size, type_align) = (usize::try_from(self.type_size).ok()?, usize::try_from(self.type_align).ok()?);
        if type_size == 0 || !type_align.is_power_of_two() || type_align > 4096 {
            return None;
        }
        let stride = match kind {
            Kind::Spsc => slot_words(type_size, type_align)?,
            Kind::Seqlock => cell_words(type_size, type_align)?,
            Kind::Bytes => 1,
        };
        let (type_name, mirrored) = (fingerprint.name, kind == Kind::Bytes);
        Some(Spec { kind, type_size, type_align, type_name, capacity: None, stride, mirrored })
    }
}

impl Spec {
    pub fn fingerprint(&self) -> TypeFingerprint {
        TypeFingerprint { size: self.type_size as u64, align: self.type_align as u64, name: self.type_name.clone() }
    }

    /// The header of a new region of `capacity` in pages of `page` bytes.
    pub fn header(&self, capacity: u64, page: usize, origin: Origin) -> Result<Header, Reason> {
        let overflow = || {
            let found = capacity.saturating_mul(self.unit());
            Reason::Capacity { found, expected: "one whose size in bytes fits 63 bits" }
        };
        let data_len = self.data_len(capacity, page).ok_or_else(overflow)?;
        let capacity = self.rounded(capacity, data_len);
        let region_len = data_len.checked_add(2 * page as u64).ok_or_else(overflow)?;
        // Mapped with its mirror, guards and alignment, it must fit an address space.
        if region_len.checked_mul(2).is_none_or(|len| len > i64::MAX as u64 / 2) {
            return Err(overflow());
        }
        let name = self.type_name.as_bytes();
        if name.len() > NAME_LEN {
            return Err(Reason::TypeName { found: name.len(), expected: NAME_LEN });
        }
        if name.contains(&0) {
            return Err(Reason::NulInTypeName);
        }
        let mut type_name = [0; NAME_LEN];
        type_name[..name.len()].copy_from_slice(name);
        let Origin { home, boot, id, file } = origin;
        let mut header = Header {
            magic: MAGIC,
            endian: ENDIAN_MARK,
            version: VERSION,
            word_bits: WORD_BITS,
            kind: self.kind as u32,
            padding: PADDING,
            page_size: page as u64,
            region_len,
            data_len,
            capacity,
            stride: self.stride as u64,
            type_size: self.type_size as u64,
            type_align: self.type_align as u64,
            type_name,
            home,
            boot,
            id,
            file,
            reserved: [0; 5],
            checksum: 0,
        };
        header.checksum = checksum(&header);
        Ok(header)
    }

    /// What the user counts as one, in units of the header's capacity: a record ring's is in bytes.
    fn unit(&self) -> u64 {
        if self.mirrored { WORD as u64 } else { 1 }
    }

    /// The capacity that fits `data_len` bytes: a mirrored area has no unused end.
    fn rounded(&self, capacity: u64, data_len: u64) -> u64 {
        if self.mirrored { data_len / WORD as u64 } else { capacity }
    }

    /// Bytes of data for `capacity`, in whole pages.
    fn data_len(&self, capacity: u64, page: usize) -> Option<u64> {
        capacity.checked_mul(self.stride as u64)?.checked_mul(WORD as u64)?.checked_next_multiple_of(page as u64)
    }

    /// Checks a header that was copied out of a region of `len` bytes in pages of `page`.
    pub fn check(&self, header: &Header, len: u64, page: usize) -> Result<(), Reason> {
        header.check_format()?;
        expect("word size", header.word_bits.into(), WORD_BITS.into())?;
        expect("cache line padding", header.padding, PADDING)?;
        expect("page size", header.page_size, page as u64)?;
        if header.reserved != [0; 5] {
            return Err(Reason::Field { field: "reserved part", found: 1, expected: 0 });
        }
        match Kind::from_u32(header.kind) {
            Some(kind) if kind == self.kind => {}
            Some(kind) => return Err(Reason::Kind { found: kind.name(), expected: self.kind.name() }),
            None => expect("kind", header.kind.into(), self.kind as u64)?,
        }
        let found = header.fingerprint();
        if found != self.fingerprint() {
            return Err(Reason::Type { found, expected: self.fingerprint() });
        }
        expect("stride", header.stride, self.stride as u64)?;
        if header.capacity == 0 {
            return Err(Reason::Field { field: "capacity", found: 0, expected: 1 });
        }
        let Some(data_len) = self.data_len(header.capacity, page) else {
            let expected = header.data_len / (self.stride * WORD) as u64;
            return Err(Reason::Field { field: "capacity", found: header.capacity, expected });
        };
        expect("data length", header.data_len, data_len)?;
        expect("region length", header.region_len, header.data_len.saturating_add(2 * page as u64))?;
        expect("capacity", header.capacity, self.rounded(header.capacity, header.data_len))?;
        if header.region_len != len {
            return Err(Reason::Length { found: len, expected: header.region_len });
        }
        let Some(expected) = self.capacity else { return Ok(()) };
        let expected = self.data_len(expected, page).map_or(expected, |len| self.rounded(expected, len));
        if expected != header.capacity {
            let [found, expected] = [header.capacity, expected].map(|count| count.saturating_mul(self.unit()));
            return Err(Reason::OtherCapacity { found, expected });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use core::mem::offset_of;

    use super::*;

    fn spec() -> Spec {
        Spec {
            kind: Kind::Spsc,
            type_size: 8,
            type_align: 8,
            type_name: "u64".into(),
            capacity: None,
            stride: 2,
            mirrored: false,
        }
    }

    fn origin() -> Origin {
        let file = crate::layout::FileIdentity { inode: 1, born: 2, subvolume: 3 };
        Origin { home: 7, boot: 8, id: [9, 10], file }
    }

    #[test]
    fn every_flipped_bit_is_found() {
        let header = spec().header(100, 4096, origin()).unwrap();
        spec().check(&header, header.region_len, 4096).unwrap();
        for bit in 0..header.as_bytes().len() * 8 {
            let mut flipped = header;
            flipped.as_mut_bytes()[bit / 8] ^= 1 << (bit % 8);
            spec().check(&flipped, header.region_len, 4096).expect_err(&format!("bit {bit}"));
        }
    }

    /// Also with a checksum that fits: a forger can compute one.
    #[test]
    fn every_flipped_bit_that_geometry_depends_on_is_found_without_the_checksum() {
        let header = spec().header(100, 4096, origin()).unwrap();
        for bit in 0..(header.as_bytes().len() - 8) * 8 {
            let mut flipped = header;
            flipped.as_mut_bytes()[bit / 8] ^= 1 << (bit % 8);
            flipped.checksum = checksum(&flipped);
            let accepted = spec().check(&flipped, header.region_len, 4096).is_ok();
            // The capacity may be any that needs the same pages. Where a region was made says nothing of its geometry.
            let says_where = (offset_of!(Header, home)..offset_of!(Header, reserved)).contains(&(bit / 8));
            assert!(!accepted || says_where || (flipped.capacity <= 256 && flipped.capacity > 0), "bit {bit}");
        }
    }

    #[test]
    fn sizes_that_overflow_are_refused() {
        for capacity in [u64::MAX, u64::MAX / 16, 1 << 60, (i64::MAX as u64) / 16] {
            let refused = spec().header(capacity, 4096, origin());
            assert!(matches!(refused, Err(Reason::Capacity { found, .. }) if found == capacity), "{refused:?}");
        }
    }
}
