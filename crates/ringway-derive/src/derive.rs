//! `#[derive(Message)]`.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::{DeriveInput, Field, Generics, Member, Path, Result};

use crate::item::{self, Layout};

/// The implementation of `Message` for the struct, or the error that says why there is none.
pub fn expand(item: TokenStream) -> TokenStream {
    implement(item).unwrap_or_else(|error| error.to_compile_error())
}

fn implement(item: TokenStream) -> Result<TokenStream> {
    let item: DeriveInput = syn::parse2(item)?;
    let (layout, fields) = item::check(&item)?;
    let mut ringway = None;
    for attribute in item.attrs.iter().filter(|attribute| attribute.path().is_ident("ringway")) {
        attribute.parse_nested_meta(|meta| item::crate_path(&meta, &mut ringway))?;
    }
    let ringway = ringway.unwrap_or_else(item::usual_path);
    let description = match layout {
        Layout::C => structure(&ringway, &fields),
        Layout::Transparent => transparent(&ringway, &fields),
    };
    let padding = match layout {
        // In others there is none, or zerocopy asks for fields that leave none.
        Layout::C if item.generics.params.is_empty() => padding(&item, &fields),
        _ => TokenStream::new(),
    };
    let bounds = bounds(&ringway, &item.generics, &fields);
    let schema = local("schema");
    let (name, (generics, arguments, _)) = (&item.ident, item.generics.split_for_impl());
    Ok(quote! {
        #[automatically_derived]
        #[allow(private_bounds, trivial_bounds)]
        impl #generics #ringway::Message for #name #arguments #bounds {
            fn describe(#schema: &mut #ringway::Schema) {
                #description
            }
        }
        #padding
    })
}

/// How code names a field.
fn member(index: usize, field: &Field) -> Member {
    field.ident.clone().map_or_else(|| Member::Unnamed(index.into()), Member::Named)
}

/// How the schema names a field.
fn name(index: usize, field: &Field) -> String {
    field.ident.as_ref().map_or_else(|| index.to_string(), |ident| ident.unraw().to_string())
}

/// A variable of the code that is made. It is the same variable wherever the tokens around it come from, also in a macro of
/// the user.
fn local(name: &str) -> Ident {
    Ident::new(name, Span::call_site())
}

fn structure(ringway: &Path, fields: &[&Field]) -> TokenStream {
    let fields = fields.iter().enumerate().map(|(index, field)| {
        let (member, name, of) = (member(index, field), name(index, field), &field.ty);
        // An error about the type is shown where the type stands.
        let all = local("fields");
        quote_spanned! { of.span() => #all.field::<#of>(#name, ::core::mem::offset_of!(Self, #member)); }
    });
    let (schema, all) = (local("schema"), local("fields"));
    quote! { #schema.structure(|#all: &mut #ringway::Fields<'_>| { #(#fields)* }); }
}

/// A transparent struct is described as its one field that has bytes.
fn transparent(ringway: &Path, fields: &[&Field]) -> TokenStream {
    let describe = |field: &&Field| {
        let of = &field.ty;
        let schema = local("schema");
        quote_spanned! { of.span() => <#of as #ringway::Message>::describe(#schema) }
    };
    if let [field] = fields {
        return describe(field);
    }
    let fields = fields.iter().map(|field| {
        let (of, describe) = (&field.ty, describe(field));
        quote! { if ::core::mem::size_of::<#of>() != 0 { return #describe; } }
    });
    let schema = local("schema");
    quote! { #(#fields)* #schema.structure(|_| {}); }
}

/// Each field is a message. The bounds say so of types that depend on no parameter too: the compiler then says what is
/// wrong with them at the field, and only once.
fn bounds(ringway: &Path, generics: &Generics, fields: &[&Field]) -> TokenStream {
    let written = generics.where_clause.iter().flat_map(|clause| &clause.predicates);
    let types = fields.iter().map(|field| {
        let (of, span) = (&field.ty, field.ty.span());
        let ringway = ringway.to_token_stream().into_iter().map(|mut token| {
            token.set_span(span);
            token
        });
        let ringway = TokenStream::from_iter(ringway);
        quote_spanned! { span => #of: #ringway::Message, }
    });
    // What zerocopy's derives ask of parameters is their business.
    let whole = (!generics.params.is_empty()).then(|| {
        quote! {
            Self: #ringway::zerocopy::FromBytes
                + #ringway::zerocopy::IntoBytes
                + #ringway::zerocopy::Immutable
                + ::core::marker::Send
                + 'static,
        }
    });
    quote! { where #(#written,)* #(#types)* #whole }
}

/// Assertions that each field begins where the one before it ends. zerocopy refuses padding too, but does not say where
/// it is.
fn padding(item: &DeriveInput, fields: &[&Field]) -> TokenStream {
    let whole = &item.ident;
    let mut assertions = TokenStream::new();
    let mut end = quote! { 0 };
    for (index, field) in fields.iter().enumerate() {
        let (member, name, of) = (member(index, field), name(index, field), &field.ty);
        let message = format!(
            "there is padding before the field `{name}`: write the gap as a field, such as `gap: [u8; 4]`, or put \
             larger fields first"
        );
        let span = field.ident.as_ref().map_or_else(|| of.span(), |ident| ident.span());
        assertions.extend(quote_spanned! { span =>
            ::core::assert!(::core::mem::offset_of!(#whole, #member) == #end, #message);
        });
        end = quote! { ::core::mem::offset_of!(#whole, #member) + ::core::mem::size_of::<#of>() };
    }
    let message = format!("there is padding at the end of `{whole}`: write it as a field, such as `gap: [u8; 4]`");
    quote_spanned! { whole.span() =>
        const _: () = {
            #assertions
            ::core::assert!(::core::mem::size_of::<#whole>() == #end, #message);
        };
    }
}
