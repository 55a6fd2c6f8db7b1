//! Where two types differ.

use core::fmt;

/// The first field in which the region's type and the requested one differ.
///
/// # Examples
///
/// ```
/// # use ringway::{FieldDifference, Reason, spsc};
/// # mod old {
/// #     #[ringway::message]
/// #     #[repr(C)]
/// #     pub struct Tick { pub price: u64 }
/// # }
/// # mod new {
/// #     #[ringway::message]
/// #     #[repr(C)]
/// #     pub struct Tick { pub price: f64 }
/// # }
/// # let made = spsc::Channel::<old::Tick>::options().capacity(4).memfd()?;
/// let opened = spsc::Channel::<new::Tick>::from_fd(made.region().inheritable_fd()?);
/// let error = opened.unwrap_err();
/// let Reason::Type { field: Some(difference), .. } = error.reason() else { panic!("{error}") };
/// assert_eq!(difference.to_string(), "field `price` is f64 at byte 0 here, u64 at byte 0 in the region");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FieldDifference {
    /// The field of the region's type; `None` if it ends before.
    pub found: Option<SchemaField>,
    /// The field of the requested type; `None` if it ends before.
    pub expected: Option<SchemaField>,
}

/// A field, as a [schema](crate::Schema) describes it.
///
/// # Examples
///
/// ```
/// # use ringway::{Reason, spsc};
/// # let made = spsc::Channel::<u64>::options().capacity(4).type_name("price").memfd()?;
/// let opened = spsc::Channel::<f64>::options().type_name("price").from_fd(made.region().inheritable_fd()?);
/// let error = opened.unwrap_err();
/// let Reason::Type { field: Some(difference), .. } = error.reason() else { panic!("{error}") };
/// assert_eq!(difference.found.as_ref().map(|field| field.of_type.as_str()), Some("u64"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SchemaField {
    /// Its name, with those of the fields around it: `legs[].price` is a field of each element of `legs`. Empty if the
    /// type is no struct.
    pub name: String,
    /// The text of its type.
    pub of_type: String,
    /// Where it begins, in bytes from the beginning of its struct.
    pub offset: u64,
}

/// Characters of a name or type that an error shows.
const SHOWN: usize = 100;

/// The front of a text that may be anything.
fn shown(text: &str) -> impl fmt::Display {
    let cut = if text.chars().nth(SHOWN).is_some() { "..." } else { "" };
    let front: String = text.chars().take(SHOWN).flat_map(char::escape_debug).collect();
    front + cut
}

impl fmt::Display for SchemaField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_fmt(format_args!("{}", shown(&self.of_type)))?;
        if self.name.is_empty() { Ok(()) } else { write!(f, " at byte {}", self.offset) }
    }
}

impl fmt::Display for FieldDifference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named = |field: &SchemaField| format!("`{}`", shown(&field.name));
        match (&self.expected, &self.found) {
            (Some(here), Some(there)) if here.name.is_empty() && there.name.is_empty() => {
                write!(f, "it is {here} here, {there} in the region")
            }
            (Some(here), Some(there)) if here.name == there.name && here != there => {
                write!(f, "field {} is {here} here, {there} in the region", named(here))
            }
            (Some(here), Some(there)) if here != there => {
                let (name, other) = (named(here), named(there));
                write!(f, "field {name} ({here}) stands here where the region has {other} ({there})")
            }
            (Some(here), None) => write!(f, "field {} ({here}) is here, not in the region", named(here)),
            (None, Some(there)) => write!(f, "field {} ({there}) is in the region, not here", named(there)),
            _ => f.write_str("what the region says of its fields is no schema"),
        }
    }
}
