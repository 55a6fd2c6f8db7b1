//! Types that no channel carries.

use ringway::{seqlock, spsc};

struct Plain {
    _price: u64,
}

fn main() {
    let _ = spsc::Channel::<bool>::options();
    let _ = spsc::Channel::<Option<u32>>::create("/dev/shm/never", 8);
    let _ = seqlock::Channel::<&'static str>::open("/dev/shm/never");
    let _ = seqlock::Channel::<Plain>::options();
    fn generic<T: ringway::Message>() {}
    generic::<char>();
}
