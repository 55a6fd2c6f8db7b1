//! Types without bytes, or aligned to too many.

#[ringway::message]
#[repr(C, align(8192))]
struct Wide([u8; 8192]);

#[ringway::message]
#[repr(C)]
struct Empty;

fn main() {
    let _ = ringway::spsc::Channel::<[u64; 0]>::create("/dev/shm/never", 8);
    let _ = ringway::seqlock::Channel::<Empty>::create("/dev/shm/never");
    let _ = ringway::spsc::Channel::<Wide>::create("/dev/shm/never", 8);
}
