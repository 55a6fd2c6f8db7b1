//! A field whose type is no message.

enum Side {
    Buy,
    Sell,
}

#[ringway::message]
#[repr(C)]
struct Order {
    side: Side,
}

fn main() {}
