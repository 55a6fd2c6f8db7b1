//! The attribute [`macro@message`] and the derive macro [`macro@Message`] of the crate `ringway`. Use them
//! from there.

mod attribute;
mod derive;
mod item;

use proc_macro::TokenStream;

/// Makes a struct a message: plain data that may cross between processes.
///
/// It derives what zerocopy needs, and [`Message`](macro@Message). The struct must have a layout that every program
/// agrees on: `#[repr(C)]`, or `#[repr(transparent)]` around one field. Its fields are messages: integers, floats,
/// arrays and other such structs. There may be no padding: write a gap as a field, such as `gap: [u8; 4]`.
///
/// ```
/// #[ringway::message]
/// #[derive(Clone, Copy)]
/// #[repr(C)]
/// struct Tick {
///     instrument: u64,
///     bid: f64,
///     ask: f64,
/// }
///
/// let ticks = ringway::spsc::Channel::<Tick>::options().capacity(64).anonymous()?;
/// ticks.sender()?.send(&Tick { instrument: 7, bid: 99.5, ask: 100.0 })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Put it above other attributes: it leaves out what the struct derives below it, and a macro above it may take away
/// what it must see. It changes nothing else.
///
/// A struct may be generic. If it has several fields that are not all of its one type parameter, zerocopy asks for
/// fields whose alignment is 1, because it cannot rule out padding.
///
/// ```
/// #[ringway::message]
/// #[repr(C)]
/// struct Window<T, const N: usize> {
///     oldest: T,
///     others: [T; N],
/// }
///
/// ringway::seqlock::Channel::<Window<f32, 15>>::options().memfd()?;
/// # Ok::<(), ringway::OpenError>(())
/// ```
///
/// Where the crate has another name, say so: `#[ringway::message(crate = "other::name")]`.
#[proc_macro_attribute]
pub fn message(arguments: TokenStream, item: TokenStream) -> TokenStream {
    attribute::expand(arguments.into(), item.into()).into()
}

/// Implements `ringway::Message`, with names, types and offsets of the fields, for a struct that has zerocopy's
/// `FromBytes`, `IntoBytes` and `Immutable`. The attribute [`message`](macro@message) writes all four.
///
/// ```
/// use ringway::zerocopy::{FromBytes, Immutable, IntoBytes};
///
/// #[derive(FromBytes, IntoBytes, Immutable, ringway::Message)]
/// #[zerocopy(crate = "ringway::zerocopy")]
/// #[repr(C)]
/// struct Tick {
///     instrument: u64,
///     bid: f64,
///     ask: f64,
/// }
///
/// let schema = ringway::Schema::of::<Tick>();
/// assert_eq!(schema.text(), Some("{instrument:u64@0,bid:f64@8,ask:f64@16}"));
/// ```
///
/// Where the crate has another name, say so: `#[ringway(crate = "other::name")]`.
#[proc_macro_derive(Message, attributes(ringway))]
pub fn derive_message(item: TokenStream) -> TokenStream {
    derive::expand(item.into()).into()
}
