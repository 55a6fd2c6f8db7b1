//! Where two types differ.

use core::fmt;

/// The first field in which the region's type and the requested one differ.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FieldDifference {
    /// The field of the region's type; `None` if it ends before.
    pub found: Option<SchemaField>,
    /// The field of the requested type; `None` if it ends before.
    pub expected: Option<SchemaField>,
}

/// A field, as a [schema](crate::Schema) describes it.
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
