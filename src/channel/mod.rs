//! What every kind of channel has in common.
#![forbid(unsafe_code)]

use core::fmt;

use crate::open_error::OpenError;
use crate::options::Options;
use crate::region::Region;

/// A kind of channel: [`spsc::Channel`](crate::spsc::Channel), [`bytes::Channel`](crate::bytes::Channel) or
/// [`seqlock::Channel`](crate::seqlock::Channel). For code that makes, opens or looks at channels of any kind.
///
/// The trait is sealed: only this crate implements it.
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
    fn options() -> Options<Self> {
        Options::new()
    }

    /// The memory behind the channel.
    fn region(&self) -> &Region;

    /// A private copy of the channel as it is now: see [`Options::open_snapshot`].
    ///
    /// # Errors
    ///
    /// There is no memory, or the region is corrupt.
    fn snapshot(&self) -> Result<Self, OpenError> {
        self.copy()
    }
}

pub(crate) mod sealed {
    use crate::open_error::{OpenError, Reason};
    use crate::region::Region;
    use crate::region::header::Spec;

    /// What [`Options`](crate::Options) needs of a kind.
    pub trait Channel: Sized {
        #[allow(private_interfaces, reason = "the trait is sealed")]
        fn spec(capacity: Option<u64>, type_name: Option<&str>) -> Result<Spec, Reason>;
        #[allow(private_interfaces, reason = "the trait is sealed")]
        fn from_region(region: Region, spec: Spec) -> Self;
        /// A private copy of a channel in use, with the messages that lay in it all the while.
        fn copy(&self) -> Result<Self, OpenError>;
        /// Makes a channel that was read from a file hold what is whole in it, in place. Nobody else may have it.
        #[allow(private_interfaces, reason = "the trait is sealed")]
        fn salvage(&self) -> Result<(), Reason>;
    }
}
