//! What every kind of channel has in common.

mod awaited;
pub mod bytes;
mod call;
mod endpoint;
mod iter;
mod options;
pub mod seqlock;
pub mod spsc;
// On other platforms a message is copied word by word, and each word counts as an access.
#[cfg(all(test, target_arch = "x86_64", not(loom), not(ringway_tsan), not(ringway_portable)))]
mod steps;

use core::fmt;

use crate::error::{OpenError, Reason, TypeFingerprint};
use crate::message::{Message, Schema};
use crate::region::Region;
pub use iter::Iter;
pub use options::{Options, ReadOnlyChannel};

/// A kind of channel: [`spsc::Channel`](crate::spsc::Channel), [`bytes::Channel`](crate::bytes::Channel) or
/// [`seqlock::Channel`](crate::seqlock::Channel). For code that makes, opens or inspects channels of any kind.
///
/// The trait is sealed: only this crate implements it.
///
/// # Examples
///
/// ```
/// use ringway::{Channel, OpenError, Options, bytes, spsc};
///
/// fn in_memory<C: Channel>(options: &Options<C>) -> Result<C, OpenError> {
///     let channel = options.memfd()?;
///     println!("{} channel of {} bytes", C::KIND, channel.region().size());
///     Ok(channel)
/// }
///
/// in_memory(&spsc::Channel::<u64>::options().capacity(64))?;
/// in_memory(&bytes::Channel::options().capacity_bytes(1 << 16))?;
/// # Ok::<(), OpenError>(())
/// ```
pub trait Channel: sealed::Channel + Clone + fmt::Debug + Send + Sync + 'static {
    /// The name of the kind: `spsc`, `bytes` or `seqlock`.
    const KIND: &'static str;

    /// How to make or open a region for this channel.
    ///
    /// # Examples
    ///
    /// ```
    /// # use ringway::{Channel, OpenError};
    /// fn open<C: Channel>(path: &str) -> Result<C, OpenError> {
    ///     C::options().open(path)
    /// }
    /// assert!(open::<ringway::bytes::Channel>("/nowhere").is_err());
    /// ```
    fn options() -> Options<Self> {
        Options::new()
    }

    /// The memory behind the channel.
    ///
    /// # Examples
    ///
    /// ```
    /// # use ringway::Channel;
    /// fn describe<C: Channel>(channel: &C) -> String {
    ///     format!("{} channel of {} bytes", C::KIND, channel.region().size())
    /// }
    /// # let channel = ringway::spsc::Channel::<u64>::options().capacity(4).anonymous()?;
    /// println!("{}", describe(&channel));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    fn region(&self) -> &Region;

    /// A private copy of the channel as it is now: see [`Options::open_snapshot`].
    ///
    /// # Errors
    ///
    /// There is no memory, or the region is corrupt.
    ///
    /// # Examples
    ///
    /// ```
    /// # use ringway::{Channel, OpenError};
    /// fn as_it_was<C: Channel>(channel: &C) -> Result<C, OpenError> {
    ///     channel.snapshot()
    /// }
    /// # let channel = ringway::spsc::Channel::<u64>::options().capacity(4).anonymous()?;
    /// channel.sender()?.send(&7)?;
    /// assert_eq!(as_it_was(&channel)?.receiver()?.recv()?, 7);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    fn snapshot(&self) -> Result<Self, OpenError> {
        self.copy()
    }
}

/// The fingerprint of the values of a typed channel. Types that no channel can carry fail when this is compiled.
fn fingerprint_of<T: Message>(name: String) -> TypeFingerprint {
    const {
        assert!(size_of::<T>() > 0, "the message of a channel has at least one byte: this type has none");
        assert!(
            align_of::<T>() <= 4096,
            "the message of a channel is aligned to at most 4096 bytes: this type to more"
        );
    }
    let (size, align) = (size_of::<T>() as u64, align_of::<T>() as u64);
    TypeFingerprint { size, align, name, described: Schema::of::<T>().described() }
}

/// Fails when a program is compiled that would have a call return a value of more than 1 MiB. Such a call copies it over
/// the stack up to eight times, and a stack that overflows ends the process.
pub(crate) const fn returns<T>() {
    assert!(
        size_of::<T>() <= 1 << 20,
        "a call returns a value of at most 1 MiB, because it crosses the stack: receive a larger one into a place of your \
         own (recv_into, read_into), or use it where it lies (recv_ref)"
    );
}

/// How many messages of a slice were sent: the first of them. The others were not.
///
/// ```compile_fail
/// # #![deny(unused_must_use)]
/// # let channel = ringway::spsc::Channel::<u64>::options().capacity(2).anonymous()?;
/// # let mut tx = channel.sender()?;
/// tx.try_send_some(&[1, 2, 3])?; // the third is lost, and the compiler says so
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[must_use = "the messages from this number on were not sent: send the rest, or call send_slice, which sends all"]
pub struct Sent(pub usize);

/// The fingerprint of values of which only size and alignment are known.
fn fingerprint_of_layout(size: usize, align: usize, name: String) -> Result<TypeFingerprint, Reason> {
    let found = TypeFingerprint { size: size as u64, align: align as u64, name, described: None };
    let expected = if size == 0 {
        "one of at least one byte"
    } else if align > 4096 {
        "one aligned to at most 4096 bytes"
    } else if !align.is_power_of_two() {
        "one aligned to a power of two"
    } else {
        return Ok(found);
    };
    Err(Reason::UnsupportedType { found, expected })
}

pub(crate) mod sealed {
    use super::options::Wanted;
    use crate::error::{OpenError, Reason};
    use crate::region::Region;
    use crate::region::header::Spec;

    /// What [`Options`](crate::Options) needs from a kind of channel. A public trait has it for a supertrait, so it and
    /// the types in it are `pub`; but nobody outside the crate can name them.
    pub trait Channel: Sized {
        fn spec(wanted: &Wanted) -> Result<Spec, Reason>;
        fn from_region(region: Region, spec: Spec) -> Self;
        /// A private copy of a channel in use, with the messages that were in it for as long as the copying took.
        fn copy(&self) -> Result<Self, OpenError>;
        /// Reduces a channel that was read from a file to what is whole in it, in place. Nobody else may have it.
        fn salvage(&self) -> Result<(), Reason>;
    }
}
