//! Items that are no messages.

#[ringway::message]
struct NoRepr {
    price: u64,
}

#[ringway::message]
#[repr(packed)]
struct PackedAlone {
    price: u64,
}

#[ringway::message]
#[repr(u8)]
enum Side {
    Buy,
    Sell,
}

#[ringway::message]
#[repr(C)]
union Either {
    integer: u64,
    float: f64,
}

#[ringway::message]
fn send() {}

#[ringway::message(name = "tick")]
#[repr(C)]
struct Argument {
    price: u64,
}

#[derive(ringway::Message)]
struct DerivedWithoutRepr {
    price: u64,
}

fn main() {}
