//! Every form of a struct that can be a message.

use ringway::{Schema, seqlock, spsc};

/// Documented, and with attributes around the one that makes it a message.
#[ringway::message]
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[repr(C)]
#[must_use]
struct Named {
    /// A documented field.
    pub price: f64,
    #[allow(unused)]
    r#type: u32,
    #[cfg(any())]
    left_out: bool,
    gap: [u8; 4],
}

#[repr(C)]
#[ringway::message()]
struct Tuple(u64, i32, [u16; 2]);

#[ringway::message]
#[repr(transparent)]
struct Transparent(Named);

#[ringway::message]
#[repr(C, packed)]
struct Packed {
    side: u8,
    price: u64,
}

#[ringway::message]
#[repr(C, align(64))]
struct Aligned {
    line: [u64; 8],
}

#[ringway::message]
#[repr(C)]
struct Generic<T, const N: usize>
where
    T: Copy,
{
    first: T,
    rest: [T; N],
}

/// A name that usually means something else.
#[ringway::message]
#[repr(C)]
struct String {
    bytes: [u8; 15],
    len: u8,
}

#[ringway::message]
#[repr(C)]
struct Holder {
    name: self::String,
    place: core::option::Option<core::num::NonZeroU64>,
    other: Option<core::num::NonZeroU64>,
}

/// The tokens of what a macro makes come from two places.
macro_rules! made {
    ($(#[$attribute:meta])* struct $name:ident { $($field:ident: ($($of:tt)*)),* }) => {
        #[ringway::message]
        $(#[$attribute])*
        struct $name {
            $($field: $($of)*),*
        }
    };
}
made!(#[repr(C)] struct Made { bid: (u64), ask: ([u32; 2]) });
made!(#[repr(transparent)] struct MadeTransparent { only: (u64) });

fn main() {
    assert_eq!(Schema::of::<Made>().text(), Some("{bid:u64@0,ask:[u32;2]@8}"));
    assert_eq!(Schema::of::<MadeTransparent>().text(), Some("u64"));
    assert_eq!(Schema::of::<Named>().text(), Some("{price:f64@0,type:u32@8,gap:[u8;4]@12}"));
    let ring = spsc::Channel::<Tuple>::options().capacity(4).anonymous().unwrap();
    ring.sender().unwrap().send(&Tuple(1, -2, [3, 4])).unwrap();
    assert_eq!(ring.receiver().unwrap().recv().unwrap().2, [3, 4]);
    assert_eq!(Schema::of::<Transparent>(), Schema::of::<Named>());
    assert_eq!(Schema::of::<Packed>().text(), Some("{side:u8@0,price:u64@1}"));
    assert_eq!(Schema::of::<Aligned>().text(), Some("{line:[u64;8]@0}"));
    assert_eq!(Schema::of::<Generic<Named, 2>>().text().unwrap().matches("price").count(), 2);
    let latest = seqlock::Channel::<Holder>::options().memfd().unwrap();
    assert_eq!(latest.reader().read().unwrap().place, None);
}
