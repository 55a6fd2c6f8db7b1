//! Writes headers, and checks them before anyone relies on them.
//!
//! A header is copied once into private memory. Every field of the copy is checked against what the reader expects and
//! what `fstat` says.
#![forbid(unsafe_code)]

use core::ops::Deref;
use std::sync::Arc;

use zerocopy::IntoBytes;

use super::provenance::Provenance;
use crate::error::{Described, Reason, TypeFingerprint};
use crate::layout::fnv::{self, fnv};
use crate::layout::header::{NAME_LEN, RESERVED};
use crate::layout::{ENDIAN_MARK, Header, Kind, MAGIC, Sections, VERSION, WORD, WORD_BITS};
use crate::message::{first_difference, hash_of};

/// What a channel requires of its region.
#[derive(Clone, Debug)]
pub struct Spec {
    pub(crate) kind: Kind,
    /// The type; `None` accepts any.
    pub carries: Option<TypeFingerprint>,
    /// In slots, words or cells; `None` accepts any.
    pub capacity: Option<u64>,
    /// Rows of a new region's table of seats; `None` leaves it to the kind.
    pub rows: Option<u64>,
}

const PADDING: u64 = size_of::<crossbeam_utils::CachePadded<u8>>() as u64;

fn expect(field: &'static str, found: u64, expected: u64) -> Result<(), Reason> {
    if found == expected { Ok(()) } else { Err(Reason::Field { field, found, expected }) }
}

/// What the first page of a region holds: the header, and the text of the type's schema behind it.
#[derive(Clone, Debug)]
pub(crate) struct FirstPage {
    pub header: Header,
    /// Empty if there is none.
    pub schema: Vec<u8>,
}

impl Deref for FirstPage {
    type Target = Header;

    fn deref(&self) -> &Header {
        &self.header
    }
}

impl FirstPage {
    /// FNV-1a over the header and the schema's text. It guards against accidents: a forger can compute it too.
    fn checksum(&self) -> u64 {
        let bytes = self.header.as_bytes();
        fnv(fnv(fnv::START, &bytes[..bytes.len() - size_of::<u64>()]), &self.schema)
    }

    /// The page's bytes, as far as it is used.
    pub fn bytes(&self) -> Vec<u8> {
        [self.header.as_bytes(), &self.schema].concat()
    }

    /// The type that the region carries.
    pub fn fingerprint(&self) -> TypeFingerprint {
        let end = self.type_name.iter().position(|byte| *byte == 0).unwrap_or(NAME_LEN);
        let text = || (!self.schema.is_empty()).then(|| String::from_utf8_lossy(&self.schema).into_owned());
        TypeFingerprint {
            size: self.type_size,
            align: self.type_align,
            name: String::from_utf8_lossy(&self.type_name[..end]).into_owned(),
            described: (self.schema_hash != 0).then(|| Arc::new(Described { hash: self.schema_hash, text: text() })),
        }
    }

    /// Checks that this is the header of a region of this layout, unchanged since it was written.
    pub fn check_format(&self) -> Result<(), Reason> {
        if self.magic != MAGIC {
            return Err(Reason::NotARegion { found: self.magic, expected: MAGIC });
        }
        if self.endian == ENDIAN_MARK.swap_bytes() {
            return Err(Reason::Endianness);
        }
        expect("byte order mark", self.endian.into(), ENDIAN_MARK.into())?;
        if self.version != VERSION {
            return Err(Reason::Version { found: self.version, expected: VERSION });
        }
        let expected = self.checksum();
        if self.checksum != expected {
            return Err(Reason::Checksum { found: self.checksum, expected });
        }
        Ok(())
    }

    /// The kind that this header claims to be. [`Spec::check`] must still check the header against a spec of that kind.
    pub fn kind_of(&self) -> Result<Kind, Reason> {
        self.check_format()?;
        let kind = Reason::Field { field: "kind", found: self.kind.into(), expected: Kind::Spsc as u64 };
        Kind::from_u32(self.kind).ok_or(kind)
    }
}

impl Spec {
    /// Words from one slot, record or cell to the next for values of a type; `None` if no region can carry it.
    fn stride(&self, carries: &TypeFingerprint) -> Option<usize> {
        let (size, align) = (usize::try_from(carries.size).ok()?, usize::try_from(carries.align).ok()?);
        let can_cross = size > 0 && align.is_power_of_two() && align <= 4096;
        can_cross.then(|| (self.kind.info().stride)(size, align))?
    }

    /// The first page of a new region. `capacity` is in slots, words or cells, `page` in bytes.
    pub(crate) fn first_page(&self, capacity: u64, page: usize, provenance: Provenance) -> Result<FirstPage, Reason> {
        let carries = self.carries.as_ref().ok_or(Reason::NoType)?;
        let overflow = || {
            let found = capacity.saturating_mul(self.kind.info().unit);
            Reason::Capacity { found, expected: "one whose size in bytes fits 63 bits" }
        };
        let stride = self.stride(carries).ok_or_else(overflow)?;
        let data_len = bytes_for(capacity, stride, page).ok_or_else(overflow)?;
        let capacity = self.rounded(capacity, data_len);
        let (lanes, rows) = (1, self.rows.unwrap_or(self.kind.info().rows));
        let sections = Sections::of(lanes, rows, data_len, page as u64).ok_or_else(overflow)?;
        let Sections { lanes_offset, rows_offset, data_offset, region_len } = sections;
        // The region, with its mirror, guards and alignment, must fit into an address space.
        if region_len.checked_mul(2).is_none_or(|len| len > i64::MAX as u64 / 2) {
            return Err(overflow());
        }
        let type_name = padded(&carries.name)?;
        let schema = carries.schema().unwrap_or_default().as_bytes().to_vec();
        let Provenance { origin, boot, id, file } = provenance;
        let header = Header {
            magic: MAGIC,
            endian: ENDIAN_MARK,
            version: VERSION,
            word_bits: WORD_BITS,
            kind: self.kind as u32,
            padding: PADDING,
            page_size: page as u64,
            region_len,
            lanes,
            rows,
            lanes_offset,
            rows_offset,
            data_offset,
            data_len,
            capacity,
            stride: stride as u64,
            type_size: carries.size,
            type_align: carries.align,
            type_name,
            schema_hash: carries.schema_hash().unwrap_or(0),
            schema_len: schema.len() as u64,
            mode: 0,
            deliveries: 0,
            origin,
            boot,
            id,
            file,
            reserved: [0; RESERVED],
            checksum: 0,
        };
        let mut page = FirstPage { header, schema };
        page.header.checksum = page.checksum();
        Ok(page)
    }

    /// The capacity that fits `data_len` bytes. A mirrored area uses all of them.
    fn rounded(&self, capacity: u64, data_len: u64) -> u64 {
        if self.kind.info().mirrored { data_len / WORD as u64 } else { capacity }
    }

    /// Checks a first page that was copied out of a region. `len` is the region's length and `page` its page size, in
    /// bytes.
    pub(crate) fn check(&self, header: &FirstPage, len: u64, page: usize) -> Result<(), Reason> {
        header.check_format()?;
        self.check_content(header, page)?;
        let stride = self.check_geometry(header, page)?;
        if header.region_len != len {
            return Err(Reason::Length { found: len, expected: header.region_len });
        }
        let Some(expected) = self.capacity else { return Ok(()) };
        let expected = bytes_for(expected, stride, page).map_or(expected, |len| self.rounded(expected, len));
        if expected != header.capacity {
            let [found, expected] =
                [header.capacity, expected].map(|count| count.saturating_mul(self.kind.info().unit));
            return Err(Reason::OtherCapacity { found, expected });
        }
        Ok(())
    }

    /// Checks that the region is from a machine like this one, and holds this kind and type.
    fn check_content(&self, header: &FirstPage, page: usize) -> Result<(), Reason> {
        expect("word size", header.word_bits.into(), WORD_BITS.into())?;
        expect("cache line padding", header.padding, PADDING)?;
        expect("page size", header.page_size, page as u64)?;
        if header.reserved != [0; RESERVED] {
            return Err(Reason::Field { field: "reserved part", found: 1, expected: 0 });
        }
        match Kind::from_u32(header.kind) {
            Some(kind) if kind == self.kind => {}
            Some(kind) => return Err(Reason::Kind { found: kind.info().name, expected: self.kind.info().name }),
            None => expect("kind", header.kind.into(), self.kind as u64)?,
        }
        check_schema(header)?;
        let found = header.fingerprint();
        let Some(expected) = self.carries.as_ref().filter(|expected| !expected.agrees_with(&found)) else {
            return Ok(());
        };
        let field = match (found.schema(), expected.schema()) {
            (Some(found), Some(expected)) if found != expected => Some(first_difference(found, expected)),
            _ => None,
        };
        Err(Reason::Type { found: found.into(), expected: expected.clone().into(), field: field.map(Box::new) })
    }

    /// Checks that every size and offset follows from the type and the capacity. Returns the stride in words.
    fn check_geometry(&self, header: &FirstPage, page: usize) -> Result<usize, Reason> {
        let found = header.fingerprint();
        let Some(stride) = self.stride(&found) else {
            return Err(Reason::UnsupportedType { found, expected: "one that can cross" });
        };
        expect("stride", header.stride, stride as u64)?;
        expect("number of lanes", header.lanes, 1)?;
        if self.kind.info().rows == 0 {
            expect("number of rows", header.rows, 0)?;
        }
        expect("mode", header.mode, 0)?;
        expect("number of deliveries", header.deliveries, 0)?;
        if header.capacity == 0 {
            return Err(Reason::Field { field: "capacity", found: 0, expected: 1 });
        }
        let Some(data_len) = bytes_for(header.capacity, stride, page) else {
            let expected = header.data_len / (stride * WORD) as u64;
            return Err(Reason::Field { field: "capacity", found: header.capacity, expected });
        };
        expect("data length", header.data_len, data_len)?;
        let Some(sections) = Sections::of(header.lanes, header.rows, data_len, page as u64) else {
            return Err(Reason::Field { field: "number of rows", found: header.rows, expected: self.kind.info().rows });
        };
        expect("lanes' offset", header.lanes_offset, sections.lanes_offset)?;
        expect("rows' offset", header.rows_offset, sections.rows_offset)?;
        expect("data's offset", header.data_offset, sections.data_offset)?;
        expect("region length", header.region_len, sections.region_len)?;
        expect("capacity", header.capacity, self.rounded(header.capacity, header.data_len))?;
        if let Some(capacity) = self.kind.info().capacity {
            expect("capacity", header.capacity, capacity(stride))?;
        }
        Ok(stride)
    }
}

/// Checks that the schema's text, if there is one, is a text of that length and hash.
fn check_schema(page: &FirstPage) -> Result<(), Reason> {
    expect("length of the schema", page.schema_len, page.schema.len() as u64)?;
    if page.schema.is_empty() {
        return Ok(());
    }
    expect("hash of the schema", page.schema_hash, hash_of(&page.schema))?;
    match core::str::from_utf8(&page.schema) {
        Ok(text) if !text.contains(char::is_control) => Ok(()),
        _ => Err(Reason::Field { field: "text of the schema", found: 0, expected: 1 }),
    }
}

/// Bytes of data for `capacity` slots, words or cells, in whole pages.
fn bytes_for(capacity: u64, stride: usize, page: usize) -> Option<u64> {
    let words = capacity.checked_mul(stride as u64)?;
    words.checked_mul(WORD as u64)?.checked_next_multiple_of(page as u64)
}

/// A type's name, padded with zeroes.
fn padded(name: &str) -> Result<[u8; NAME_LEN], Reason> {
    if name.len() > NAME_LEN {
        return Err(Reason::TypeName { found: name.len(), expected: NAME_LEN });
    }
    if name.contains('\0') {
        return Err(Reason::NulInTypeName);
    }
    let mut padded = [0; NAME_LEN];
    padded[..name.len()].copy_from_slice(name.as_bytes());
    Ok(padded)
}

#[cfg(test)]
mod tests {
    use core::mem::offset_of;

    use super::*;
    use crate::message::Schema;

    fn spec() -> Spec {
        let described = Schema::of::<u64>().described();
        let carries = TypeFingerprint { size: 8, align: 8, name: "u64".into(), described };
        Spec { kind: Kind::Spsc, carries: Some(carries), capacity: None, rows: None }
    }

    fn provenance() -> Provenance {
        let file = crate::layout::FileIdentity { inode: 1, born: 2, subvolume: 3 };
        Provenance { origin: 7, boot: 8, id: [9, 10], file }
    }

    /// The page with one bit flipped.
    fn flipped(page: &FirstPage, bit: usize) -> FirstPage {
        let mut flipped = page.clone();
        let (byte, mask) = (bit / 8, 1 << (bit % 8));
        match byte.checked_sub(size_of::<Header>()) {
            None => flipped.header.as_mut_bytes()[byte] ^= mask,
            Some(byte) => flipped.schema[byte] ^= mask,
        }
        flipped
    }

    #[test]
    fn every_flipped_bit_is_found() {
        let page = spec().first_page(100, 4096, provenance()).unwrap();
        spec().check(&page, page.region_len, 4096).unwrap();
        assert_eq!(page.bytes().len(), size_of::<Header>() + 3);
        for bit in 0..page.bytes().len() * 8 {
            spec().check(&flipped(&page, bit), page.region_len, 4096).expect_err(&format!("bit {bit}"));
        }
    }

    /// The checksum is made to fit, as a forger would.
    #[test]
    fn every_flipped_bit_of_geometry_and_schema_is_found_without_the_checksum() {
        let page = spec().first_page(100, 4096, provenance()).unwrap();
        for bit in (0..page.bytes().len() * 8).filter(|bit| !(504..512).contains(&(bit / 8))) {
            let mut flipped = flipped(&page, bit);
            flipped.header.checksum = flipped.checksum();
            let accepted = spec().check(&flipped, page.region_len, 4096).is_ok();
            // Any capacity that needs the same pages is accepted. Provenance says nothing about geometry.
            let is_free = (offset_of!(Header, origin)..offset_of!(Header, reserved)).contains(&(bit / 8));
            assert!(!accepted || is_free || (flipped.capacity <= 256 && flipped.capacity > 0), "bit {bit}");
        }
    }

    /// What a forger puts behind the header, with a hash and a checksum that fit.
    #[test]
    fn a_schema_that_is_no_text_is_refused() {
        let forge = |schema: &[u8]| {
            let mut page = spec().first_page(100, 4096, provenance()).unwrap();
            page.schema = schema.to_vec();
            page.header.schema_len = schema.len() as u64;
            page.header.schema_hash = hash_of(schema);
            page.header.checksum = page.checksum();
            spec().check(&page, page.region_len, 4096)
        };
        for schema in [b"\xff\xfe\xfd".as_slice(), b"u64\n", b"{a:u64\0", "\u{85}".as_bytes()] {
            let refused = forge(schema);
            assert!(matches!(refused, Err(Reason::Field { field: "text of the schema", .. })), "{refused:?}");
        }
        for schema in ["i64", "}{]]:@,", &"{a:[".repeat(700), &",".repeat(3072), "@", "{é:é@9"] {
            let refused = forge(schema.as_bytes());
            assert!(matches!(&refused, Err(Reason::Type { .. })), "{refused:?}");
            println!("{}", refused.unwrap_err());
        }
        forge(b"u64").unwrap();
    }

    #[test]
    fn sizes_that_overflow_are_refused() {
        for capacity in [u64::MAX, u64::MAX / 16, 1 << 60, (i64::MAX as u64) / 16] {
            let refused = spec().first_page(capacity, 4096, provenance());
            assert!(matches!(refused, Err(Reason::Capacity { found, .. }) if found == capacity), "{refused:?}");
        }
    }
}
