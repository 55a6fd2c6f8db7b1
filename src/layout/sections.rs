//! Where the parts of a region begin.

use super::seat::{MOST_LANES, MOST_ROWS};
use super::{Control, Lane, Row};

/// Where the parts of a region begin and end, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sections {
    pub lanes_offset: u64,
    pub rows_offset: u64,
    pub data_offset: u64,
    pub region_len: u64,
}

impl Sections {
    /// Of a region with so many lanes and rows, so many bytes of data a lane, and pages of `page` bytes; `None`: it has
    /// more lanes or rows than a region may have, or overflows.
    pub fn of(lanes: u64, rows: u64, data_len: u64, page: u64) -> Option<Self> {
        if lanes == 0 || lanes > MOST_LANES || rows > MOST_ROWS {
            return None;
        }
        let lanes_offset = page + size_of::<Control>() as u64;
        let rows_offset = (lanes_offset + lanes * size_of::<Lane>() as u64).next_multiple_of(size_of::<Row>() as u64);
        let data_offset = (rows_offset + rows * size_of::<Row>() as u64).checked_next_multiple_of(page)?;
        let region_len = data_len.checked_mul(lanes)?.checked_add(data_offset)?;
        Some(Self { lanes_offset, rows_offset, data_offset, region_len })
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn one_lane_and_no_rows_fit_one_page_behind_the_header() {
        let sections = Sections::of(1, 0, 8192, 4096).unwrap();
        assert_eq!((sections.data_offset, sections.region_len), (8192, 16384));
    }

    #[test]
    fn parts_follow_each_other_and_are_aligned() {
        for lanes in [1, 2, 5, 64, 1023] {
            for rows in [0, 1, 64, 1000, 1024] {
                for page in [4096, 1 << 21] {
                    let all = Sections::of(lanes, rows, page, page).unwrap();
                    assert!(all.lanes_offset % align_of::<Lane>() as u64 == 0);
                    assert!(all.rows_offset % align_of::<Row>() as u64 == 0);
                    assert!(all.rows_offset >= all.lanes_offset + lanes * size_of::<Lane>() as u64);
                    assert!(all.data_offset >= all.rows_offset + rows * size_of::<Row>() as u64);
                    assert!(all.data_offset % page == 0 && all.region_len == all.data_offset + lanes * page);
                }
            }
        }
    }

    #[test]
    fn what_cannot_be_is_none() {
        for (lanes, rows, data_len) in [(0, 0, 0), (1024, 0, 0), (1, 1025, 0), (2, 0, u64::MAX / 2), (1, 0, u64::MAX)] {
            assert_eq!(Sections::of(lanes, rows, data_len, 4096), None, "{lanes} lanes, {rows} rows, {data_len}");
        }
    }
}
