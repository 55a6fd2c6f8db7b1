//! The messages that need no attribute: those of the language, and those of zerocopy.
//!
//! An error about some other type lists only the usual ones (`do_not_recommend`).

use core::marker::PhantomData;
use core::mem::ManuallyDrop;
use core::num::{
    NonZeroI8, NonZeroI16, NonZeroI32, NonZeroI64, NonZeroI128, NonZeroIsize, NonZeroU8, NonZeroU16, NonZeroU32,
    NonZeroU64, NonZeroU128, NonZeroUsize, Wrapping,
};

use zerocopy::Unalign;
use zerocopy::byteorder::{self, BigEndian, LittleEndian};

use super::{Message, Schema};

/// A macro, because a list of types can be given to nothing else.
macro_rules! named {
    ($($(#[$attribute:meta])* $type:ty = $name:literal),* $(,)?) => {
        $($(#[$attribute])* impl Message for $type {
            fn describe(schema: &mut Schema) {
                schema.name($name);
            }
        })*
    };
}

/// Types that are another one in memory.
macro_rules! same_as {
    ($($type:ty = $other:ty),* $(,)?) => {
        $(#[diagnostic::do_not_recommend]
        impl Message for $type {
            fn describe(schema: &mut Schema) {
                <$other>::describe(schema);
            }
        })*
    };
}

/// Numbers of a byte order that does not depend on the machine.
macro_rules! ordered {
    ($($type:ident = $big:literal, $little:literal);* $(;)?) => {
        named! { $(
            #[diagnostic::do_not_recommend]
            byteorder::$type<BigEndian> = $big,
            #[diagnostic::do_not_recommend]
            byteorder::$type<LittleEndian> = $little,
        )* }
    };
}

named! {
    u8 = "u8", u16 = "u16", u32 = "u32", u64 = "u64", u128 = "u128",
    i8 = "i8", i16 = "i16", i32 = "i32", i64 = "i64", i128 = "i128",
    f32 = "f32", f64 = "f64",
}

same_as! {
    usize = u64, isize = i64,
    Option<NonZeroU8> = u8, Option<NonZeroU16> = u16, Option<NonZeroU32> = u32, Option<NonZeroU64> = u64,
    Option<NonZeroU128> = u128, Option<NonZeroUsize> = u64,
    Option<NonZeroI8> = i8, Option<NonZeroI16> = i16, Option<NonZeroI32> = i32, Option<NonZeroI64> = i64,
    Option<NonZeroI128> = i128, Option<NonZeroIsize> = i64,
}

ordered! {
    U16 = "u16be", "u16le"; U32 = "u32be", "u32le"; U64 = "u64be", "u64le"; U128 = "u128be", "u128le";
    I16 = "i16be", "i16le"; I32 = "i32be", "i32le"; I64 = "i64be", "i64le"; I128 = "i128be", "i128le";
    F32 = "f32be", "f32le"; F64 = "f64be", "f64le"; Usize = "u64be", "u64le"; Isize = "i64be", "i64le";
}

#[diagnostic::do_not_recommend]
impl<T: Message> Message for Wrapping<T> {
    fn describe(schema: &mut Schema) {
        T::describe(schema);
    }
}

#[diagnostic::do_not_recommend]
impl<T: Message> Message for ManuallyDrop<T> {
    fn describe(schema: &mut Schema) {
        T::describe(schema);
    }
}

#[diagnostic::do_not_recommend]
impl<T: Message> Message for Unalign<T> {
    fn describe(schema: &mut Schema) {
        T::describe(schema);
    }
}

impl<T: Message, const N: usize> Message for [T; N] {
    fn describe(schema: &mut Schema) {
        schema.array::<T>(N);
    }
}

#[diagnostic::do_not_recommend]
impl Message for () {
    fn describe(schema: &mut Schema) {
        schema.structure(|_| {});
    }
}

/// It has no bytes. A generic message may have such a field, though no channel carries it alone.
#[diagnostic::do_not_recommend]
impl<T: ?Sized + Send + 'static> Message for PhantomData<T> {
    fn describe(schema: &mut Schema) {
        schema.structure(|_| {});
    }
}
