//! Rescues a call that waits for ever because a forged word says that there is something to wait for.

use std::sync::{Condvar, Mutex};
use std::thread;
use std::time::Duration;

use crate::common::raw::Raw;

/// Longer than a call takes that need not wait. If it is too short on a slow machine, calls are rescued for nothing.
const PATIENCE: Duration = Duration::from_millis(10);

/// Makes the region what it was before the word was forged if `call` does not come back. A call that waits looks again
/// now and then, and must find what it waits for. Also returns whether that was done.
pub fn rescued<R>(raw: &Raw, sound: &[u64], call: impl FnOnce() -> R) -> (R, bool) {
    let (over, is_over) = (Mutex::new(false), Condvar::new());
    thread::scope(|scope| {
        let rescuer = scope.spawn(|| {
            let over = over.lock().unwrap();
            let (over, late) = is_over.wait_timeout_while(over, PATIENCE, |over| !*over).unwrap();
            if late.timed_out() && !*over {
                // The call cannot be over before this thread lets go of the lock.
                raw.put_back(sound);
                return true;
            }
            false
        });
        let result = call();
        *over.lock().unwrap() = true;
        is_over.notify_one();
        (result, rescuer.join().unwrap())
    })
}
