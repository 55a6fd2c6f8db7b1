//! Ends blocked calls from another thread, or from a signal handler.

use core::fmt;
use std::sync::Arc;

use crate::memory::View;
use crate::protocol::wait_word;
use crate::sync::Ordering::{Relaxed, SeqCst};
use crate::sync::{AtomicU32, fence};

/// Ends the blocked calls of an endpoint with the error `Cancelled`: those of now, and those to come, until
/// [`reset`](Self::reset). A call that finds what it waits for at once is not affected, nor is one that never waits.
///
/// Any thread of the process may use it, and so may a signal handler: [`cancel`](Self::cancel) is async-signal-safe. It
/// has no effect in other processes.
///
/// # Examples
///
/// ```
/// use ringway::{RecvError, spsc};
/// # let channel = spsc::Channel::<u64>::options().capacity(8).anonymous()?;
/// # let (_tx, mut rx) = (channel.sender()?, channel.receiver()?);
/// let canceller = rx.canceller();
/// std::thread::scope(|scope| {
///     scope.spawn(move || canceller.cancel());
///     assert_eq!(rx.recv(), Err(RecvError::Cancelled));
/// });
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Canceller {
    flag: Arc<AtomicU32>,
    /// The word that the endpoint sleeps on, and how many sleep there at most. `None`: it naps, and looks by itself.
    word: Option<(View<AtomicU32>, u32)>,
}

impl Canceller {
    pub(crate) fn new(word: Option<(View<AtomicU32>, u32)>) -> Self {
        Self { flag: Arc::new(AtomicU32::new(0)), word }
    }

    /// Ends the blocked calls, and makes those to come end where they would block.
    ///
    /// # Examples
    ///
    /// ```
    /// # use ringway::{RecvError, spsc};
    /// # let (_tx, mut rx) = spsc::pair::<u64>(4)?;
    /// let canceller = rx.canceller();
    /// canceller.cancel(); // from any thread, or from a signal handler
    /// assert_eq!(rx.recv(), Err(RecvError::Cancelled));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn cancel(&self) {
        self.flag.store(1, Relaxed);
        if let Some((word, most)) = &self.word {
            fence(SeqCst); // S cancel barrier
            wait_word::wake(word, *most);
        }
    }

    /// Lets calls block again.
    ///
    /// # Examples
    ///
    /// ```
    /// # use ringway::spsc;
    /// # use std::time::Duration;
    /// # let (mut tx, mut rx) = spsc::pair::<u64>(4)?;
    /// let canceller = rx.canceller();
    /// canceller.cancel();
    /// canceller.reset();
    /// assert!(rx.recv_timeout(Duration::from_millis(1)).is_err_and(|error| error.is_timeout())); // it waits again
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn reset(&self) {
        self.flag.store(0, Relaxed);
    }

    /// Whether calls are cancelled now.
    ///
    /// # Examples
    ///
    /// ```
    /// # use ringway::spsc;
    /// # let (mut tx, mut rx) = spsc::pair::<u64>(4)?;
    /// let stop = rx.canceller();
    /// # stop.cancel();
    /// while !stop.is_cancelled() {
    ///     // a loop that always finds a message is never blocked, so it asks
    ///     println!("{}", rx.recv()?);
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.flag.load(Relaxed) != 0
    }
}

impl fmt::Debug for Canceller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Canceller").field("cancelled", &self.is_cancelled()).finish()
    }
}
