//! What may cross between processes, and what describes it.
#![forbid(unsafe_code)]

mod compare;
mod opaque;
mod plain;
mod schema;

use zerocopy::{FromBytes, Immutable, IntoBytes};

pub(crate) use compare::first_difference;
pub use opaque::Opaque;
pub(crate) use schema::hash_of;
pub use schema::{Fields, Schema};

/// A type that can be sent as it is: plain data, for which any bits are a value.
///
/// Integers, floats and arrays of messages are messages. A struct becomes one by the attribute
/// [`message`](macro@crate::message), which derives all that it needs:
///
/// ```
/// #[ringway::message]
/// #[repr(C)]
/// struct Tick {
///     instrument: u64,
///     bid: f64,
///     ask: f64,
/// }
/// ```
///
/// A channel of values writes the name, the size and the [`Schema`] of the type into its region. Whoever opens it must
/// have the same: a struct with other fields is refused ([`Reason::Type`](crate::Reason::Type)), even if it has the
/// same name and size.
///
/// A type that derives zerocopy's traits itself becomes a message by `#[derive(ringway::Message)]`, or by an empty
/// implementation. That one does not describe the type, so its fields are not compared:
///
/// ```
/// use ringway::zerocopy::{FromBytes, Immutable, IntoBytes};
///
/// #[derive(FromBytes, IntoBytes, Immutable)]
/// #[zerocopy(crate = "ringway::zerocopy")]
/// #[repr(C)]
/// struct Tick {
///     instrument: u64,
///     price: f64,
/// }
///
/// impl ringway::Message for Tick {}
/// assert_eq!(ringway::Schema::of::<Tick>().text(), None);
/// ```
///
/// Such a type of another crate is sent inside an [`Opaque`].
///
/// A channel's message has at least one byte, and is aligned to at most 4096 bytes. Any other type fails when the
/// program is compiled:
///
/// ```compile_fail
/// ringway::spsc::Channel::<[u8; 0]>::options().capacity(4).anonymous();
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be sent: it is no `ringway::Message`",
    label = "this type cannot be sent as it is",
    note = "a struct: put `#[ringway::message]` and `#[repr(C)]` on it; a struct of another crate: wrap it in \
            `ringway::Opaque` if it has zerocopy's traits",
    note = "instead of `bool` write `u8`, instead of `char` write `u32`, instead of an enum an integer with constants, \
            and `TryFrom` to read it",
    note = "instead of `Option` write a flag and a value; instead of `String`, `Vec` or a reference an array and a \
            length, or send records of any length through the `bytes` channel",
    note = "where a struct has padding, write the gap as a field, such as `gap: [u8; 4]`"
)]
pub trait Message: FromBytes + IntoBytes + Immutable + Send + 'static {
    /// Says what the type consists of. The attribute and the derive macro write this method; without it the type is
    /// [unknown](Schema::unknown).
    ///
    /// A type that is another one in memory can hand that one on:
    ///
    /// ```
    /// use ringway::zerocopy::{FromBytes, Immutable, IntoBytes};
    /// use ringway::{Message, Schema};
    ///
    /// #[derive(FromBytes, IntoBytes, Immutable)]
    /// #[zerocopy(crate = "ringway::zerocopy")]
    /// #[repr(transparent)]
    /// struct Price(i64);
    ///
    /// impl Message for Price {
    ///     fn describe(schema: &mut Schema) {
    ///         i64::describe(schema);
    ///     }
    /// }
    ///
    /// assert_eq!(Schema::of::<[Price; 2]>().text(), Some("[i64;2]"));
    /// ```
    fn describe(schema: &mut Schema) {
        schema.unknown();
    }
}
