//! A message of which only the size is known.

use core::ops::{Deref, DerefMut};

use zerocopy::{FromBytes, Immutable, IntoBytes};

use super::Message;

/// A message around a value of another crate's type, which has zerocopy's traits but is no [`Message`]. Its fields are
/// not described, so they are not compared when a region is opened.
///
/// # Examples
///
/// ```
/// # mod other {
/// #     use ringway::zerocopy::{FromBytes, Immutable, IntoBytes};
/// #     #[derive(FromBytes, IntoBytes, Immutable)]
/// #     #[zerocopy(crate = "ringway::zerocopy")]
/// #     #[repr(C)]
/// #     pub struct Sample {
/// #         pub at: u64,
/// #         pub value: f64,
/// #     }
/// # }
/// use other::Sample;
/// use ringway::{Opaque, seqlock};
///
/// let latest = seqlock::Channel::<Opaque<Sample>>::options().memfd()?;
/// latest.writer()?.write(&Sample { at: 1, value: 0.5 }.into())?;
/// assert_eq!(latest.reader().read()?.value, 0.5);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, FromBytes, IntoBytes, Immutable)]
#[repr(transparent)]
pub struct Opaque<T>(
    /// The value.
    pub T,
);

impl<T: FromBytes + IntoBytes + Immutable + Send + 'static> Message for Opaque<T> {}

impl<T> From<T> for Opaque<T> {
    fn from(value: T) -> Self {
        Self(value)
    }
}

impl<T> Deref for Opaque<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T> DerefMut for Opaque<T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.0
    }
}
