//! Structs with padding.

#[ringway::message]
#[repr(C)]
struct Between {
    side: u8,
    price: u64,
}

#[ringway::message]
#[repr(C)]
struct Behind {
    price: u64,
    side: u8,
}

fn main() {}
