//! The canonical text of a type, and its hash.

use core::fmt::Write;
use std::sync::Arc;

use super::Message;
use crate::error::Described;
use crate::layout::fnv::{self, fnv};
use crate::layout::header::SCHEMA_LEN;

/// What a type consists of, as a text that does not depend on the language: names, types and offsets of its fields.
///
/// A region remembers the text of its type, of up to 3,072 bytes, and its hash. docs/schema.md has the grammar, and
/// test vectors for programs in other languages.
///
/// # Examples
///
/// ```
/// use ringway::Schema;
///
/// #[ringway::message]
/// #[repr(C)]
/// struct Order {
///     price: f64,
///     legs: [Leg; 2],
/// }
///
/// #[ringway::message]
/// #[repr(C)]
/// struct Leg {
///     instrument: u32,
///     amount: i32,
/// }
///
/// let schema = Schema::of::<Order>();
/// assert_eq!(schema.text(), Some("{price:f64@0,legs:[{instrument:u32@0,amount:i32@4};2]@8}"));
/// assert_eq!(Schema::of::<u64>().hash(), Some(0x4d35_d319_3e8d_66f2));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schema {
    text: String,
    known: bool,
}

impl Schema {
    /// The schema of a type.
    ///
    /// # Examples
    ///
    /// ```
    /// use ringway::Schema;
    /// assert_eq!(Schema::of::<[u16; 3]>().text(), Some("[u16;3]"));
    /// ```
    pub fn of<T: Message>() -> Self {
        let mut schema = Self { text: String::new(), known: true };
        T::describe(&mut schema);
        schema
    }

    /// The text; `None` if a part of the type is not described.
    ///
    /// # Examples
    ///
    /// ```
    /// use ringway::{Opaque, Schema};
    /// assert_eq!(Schema::of::<f64>().text(), Some("f64"));
    /// assert_eq!(Schema::of::<Opaque<f64>>().text(), None); // not described
    /// ```
    pub fn text(&self) -> Option<&str> {
        self.known.then_some(&self.text)
    }

    /// The hash of the text: FNV-1a of 64 bits over its bytes, or 1 if that is 0. `None` if there is no text.
    ///
    /// # Examples
    ///
    /// ```
    /// use ringway::Schema;
    /// assert_eq!(Schema::of::<usize>().hash(), Schema::of::<u64>().hash()); // the same in memory
    /// ```
    pub fn hash(&self) -> Option<u64> {
        self.text().map(|text| hash_of(text.as_bytes()))
    }

    /// What a region remembers of it; `None` if a part of the type is not described.
    pub(crate) fn described(self) -> Option<Arc<Described>> {
        let (hash, Self { text, .. }) = (self.hash()?, self);
        Some(Arc::new(Described { hash, text: (text.len() <= SCHEMA_LEN).then_some(text) }))
    }

    /// Describes a struct. `describe` adds its fields, in the order of their declaration.
    ///
    /// # Examples
    ///
    /// ```
    /// use core::mem::offset_of;
    /// use ringway::zerocopy::{FromBytes, Immutable, IntoBytes};
    /// use ringway::{Message, Schema};
    ///
    /// #[derive(FromBytes, IntoBytes, Immutable)]
    /// #[zerocopy(crate = "ringway::zerocopy")]
    /// #[repr(C)]
    /// struct Point {
    ///     x: f32,
    ///     y: f32,
    /// }
    ///
    /// impl Message for Point {
    ///     fn describe(schema: &mut Schema) {
    ///         schema.structure(|fields| {
    ///             fields.field::<f32>("x", offset_of!(Self, x));
    ///             fields.field::<f32>("y", offset_of!(Self, y));
    ///         });
    ///     }
    /// }
    ///
    /// assert_eq!(Schema::of::<Point>().text(), Some("{x:f32@0,y:f32@4}"));
    /// ```
    pub fn structure(&mut self, describe: impl FnOnce(&mut Fields<'_>)) {
        self.text.push('{');
        describe(&mut Fields { schema: self, is_first: true });
        self.text.push('}');
    }

    /// Says that a type is not described. Then no type that contains it is, and its fields are not compared.
    ///
    /// # Examples
    ///
    /// ```
    /// use ringway::{Message, Opaque, Schema};
    /// assert_eq!(Schema::of::<[Opaque<u64>; 2]>().text(), None);
    /// ```
    pub fn unknown(&mut self) {
        self.known = false;
    }

    /// Describes a type that has a name in every program.
    pub(super) fn name(&mut self, name: &str) {
        self.text.push_str(name);
    }

    pub(super) fn array<T: Message>(&mut self, len: usize) {
        self.text.push('[');
        T::describe(self);
        self.write(format_args!(";{len}]"));
    }

    fn write(&mut self, text: core::fmt::Arguments<'_>) {
        self.text.write_fmt(text).expect("a string takes any text");
    }
}

/// The fields of a struct that is being described: see [`Schema::structure`].
///
/// # Examples
///
/// ```
/// use ringway::{Fields, Message, Schema};
/// fn add_point(fields: &mut Fields<'_>) {
///     fields.field::<f32>("x", 0);
///     fields.field::<f32>("y", 4);
/// }
/// let mut schema = Schema::of::<u8>();
/// schema.structure(add_point);
/// ```
pub struct Fields<'a> {
    schema: &'a mut Schema,
    is_first: bool,
}

impl Fields<'_> {
    /// Adds a field: its name (a number in a tuple struct), its type, and where it begins, in bytes from the beginning
    /// of its struct.
    ///
    /// # Panics
    ///
    /// If the name is empty, or has other characters than letters, digits and `_`.
    ///
    /// # Examples
    ///
    /// ```
    /// use ringway::zerocopy::{FromBytes, Immutable, IntoBytes};
    /// # use ringway::{Message, Schema};
    /// #[derive(FromBytes, IntoBytes, Immutable)]
    /// #[zerocopy(crate = "ringway::zerocopy")]
    /// #[repr(C)]
    /// struct Pair(u16, u16);
    ///
    /// impl Message for Pair {
    ///     fn describe(schema: &mut Schema) {
    ///         schema.structure(|fields| {
    ///             fields.field::<u16>("0", 0);
    ///             fields.field::<u16>("1", 2);
    ///         });
    ///     }
    /// }
    /// assert_eq!(Schema::of::<Pair>().text(), Some("{0:u16@0,1:u16@2}"));
    /// ```
    pub fn field<T: Message>(&mut self, name: &str, offset: usize) {
        let is_word = |c: char| c.is_alphanumeric() || c == '_';
        assert!(!name.is_empty() && name.chars().all(is_word), "{name:?} is no name of a field");
        let comma = if self.is_first { "" } else { "," };
        self.is_first = false;
        self.schema.write(format_args!("{comma}{name}:"));
        T::describe(self.schema);
        self.schema.write(format_args!("@{offset}"));
    }
}

/// The hash of a schema's text. 0 says that there is none.
pub(crate) fn hash_of(text: &[u8]) -> u64 {
    fnv(fnv::START, text).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_has_the_hash_of_none() {
        // The shortest bytes whose sum is 0.
        let zero = [0xd5, 0x6b, 0xb9, 0x53, 0x42, 0x87, 0x08, 0x36];
        assert_eq!(fnv(fnv::START, &zero), 0);
        assert_eq!(hash_of(&zero), 1);
        assert_eq!(hash_of(b"u8"), fnv(fnv::START, b"u8"));
    }
}
