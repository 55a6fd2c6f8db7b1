//! What an item must be to be a message.

use quote::ToTokens;
use syn::meta::ParseNestedMeta;
use syn::{Attribute, Data, DeriveInput, Error, Field, GenericArgument, LitStr, Path, PathArguments, Result, Type};

const ADDRESS: &str = "an address means nothing in another process: write the value itself, or an array and a length, \
                       or send records of any length through the `bytes` channel";

/// How the fields of a struct lie in memory.
#[derive(Clone, Copy, PartialEq)]
pub enum Layout {
    C,
    Transparent,
}

/// The fields of a struct that can be a message, and their layout. The error says what to write instead.
pub fn check(item: &DeriveInput) -> Result<(Layout, Vec<&Field>)> {
    let fields = match &item.data {
        Data::Struct(data) => &data.fields,
        Data::Enum(data) => return Err(Error::new(data.enum_token.span, ENUM)),
        Data::Union(data) => return Err(Error::new(data.union_token.span, UNION)),
    };
    let layout = layout(&item.attrs)?.ok_or_else(|| Error::new(item.ident.span(), NO_REPR))?;
    // A field with `cfg` may not be there. When its turn comes to be derived, it is, or has no `cfg` any more.
    let certain = fields.iter().filter(|field| !field.attrs.iter().any(|attribute| attribute.path().is_ident("cfg")));
    let mut errors = certain.filter_map(|field| Some(Error::new_spanned(&field.ty, advice(&field.ty)?)));
    if let Some(mut first) = errors.next() {
        errors.for_each(|error| first.combine(error));
        return Err(first);
    }
    Ok((layout, fields.iter().collect()))
}

const ENUM: &str = "an enum cannot be a message: most bytes are none of its values; send an integer, with a constant \
                    for each value, and read it with `TryFrom`";
const UNION: &str = "a union cannot be a message: nothing says which of its fields was written; send a struct with an \
                     integer that says so, and an array of bytes";
const NO_REPR: &str = "a message has the same layout in every program: write `#[repr(C)]` on the struct, or \
                       `#[repr(transparent)]` if it has one field";

/// The layout that `#[repr(...)]` demands; `None` if it demands none that is the same in every program.
fn layout(attributes: &[Attribute]) -> Result<Option<Layout>> {
    let (mut c, mut transparent) = (false, false);
    for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("repr")) {
        attribute.parse_nested_meta(|meta| {
            c |= meta.path.is_ident("C");
            transparent |= meta.path.is_ident("transparent");
            if meta.input.peek(syn::token::Paren) {
                let number;
                syn::parenthesized!(number in meta.input);
                number.parse::<syn::LitInt>()?;
            }
            Ok(())
        })?;
    }
    Ok(if transparent { Some(Layout::Transparent) } else { c.then_some(Layout::C) })
}

/// What to write instead of a type that can be no message. A name alone is taken for what it usually means: who has a
/// `String` of their own writes `self::String`. The trait has the same advice for every other type.
fn advice(of: &Type) -> Option<&'static str> {
    Some(match of {
        Type::Path(path) if path.qself.is_none() => return advice_on_name(&path.path),
        Type::Array(array) => return advice(&array.elem),
        Type::Group(group) => return advice(&group.elem),
        Type::Paren(paren) => return advice(&paren.elem),
        Type::Reference(_) | Type::Ptr(_) => ADDRESS,
        Type::BareFn(_) | Type::TraitObject(_) => {
            "an address means nothing in another process: write an integer that says which one"
        }
        Type::Slice(_) => {
            "a message has a fixed size: write an array and a length, or send records of any length through the \
             `bytes` channel"
        }
        Type::Tuple(tuple) if !tuple.elems.is_empty() => {
            "the layout of a tuple is not fixed: write a struct with `#[ringway::message] #[repr(C)]`"
        }
        _ => return None,
    })
}

fn advice_on_name(path: &Path) -> Option<&'static str> {
    let segment = path.segments.first().filter(|_| path.segments.len() == 1 && path.leading_colon.is_none())?;
    let arguments = match &segment.arguments {
        PathArguments::AngleBracketed(arguments) => arguments.args.iter().collect(),
        _ => Vec::new(),
    };
    let has_niche = |argument: &GenericArgument| argument.to_token_stream().to_string().contains("NonZero");
    Some(match (segment.ident.to_string().as_str(), arguments.as_slice()) {
        ("bool", []) => "most bytes are no `bool`: write `u8`, which is 0 or another number",
        ("char", []) => "most numbers are no `char`: write `u32`, and read it with `char::from_u32`",
        ("Option", [inner]) if !has_niche(inner) => {
            "the layout of an `Option` is not fixed: write a flag (`u8`) and the value"
        }
        ("String" | "str", []) | ("Vec" | "Box" | "Rc" | "Arc", [_]) => ADDRESS,
        _ => return None,
    })
}

/// The path of ringway, unless an attribute says another.
pub fn usual_path() -> Path {
    syn::parse_quote!(::ringway)
}

/// Reads `crate = "path"`.
pub fn crate_path(meta: &ParseNestedMeta<'_>, path: &mut Option<Path>) -> Result<()> {
    if !meta.path.is_ident("crate") {
        return Err(meta.error("the only argument is `crate = \"path\"`"));
    }
    *path = Some(meta.value()?.parse::<LitStr>()?.parse()?);
    Ok(())
}
