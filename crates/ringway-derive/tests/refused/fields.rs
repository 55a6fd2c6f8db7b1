//! Fields that cannot cross: one error each, where the field stands.

#[ringway::message]
#[repr(C)]
struct Order {
    id: u64,
    is_open: bool,
    side: char,
    limit: Option<u64>,
    name: String,
    tags: Vec<u8>,
    venue: &'static str,
    legs: [(u8, u8); 2],
    price: fn() -> u64,
    rest: [u8],
}

fn main() {}
