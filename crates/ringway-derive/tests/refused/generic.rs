//! A generic struct is a message if its parameter is one.

#[ringway::message]
#[repr(C)]
struct Twice<T> {
    both: [T; 2],
}

fn main() {
    let _ = ringway::spsc::Channel::<Twice<char>>::options();
}
