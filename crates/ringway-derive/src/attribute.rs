//! `#[ringway::message]`.

use proc_macro2::TokenStream;
use quote::{ToTokens, format_ident, quote};
use syn::parse::Parser;
use syn::punctuated::Punctuated;
use syn::{DeriveInput, Error, Path, Result, Token};

use crate::item;

const NO_STRUCT: &str = "`#[ringway::message]` goes on a struct";

/// The item as it is, below what it must derive. After an error it derives nothing more.
pub fn expand(arguments: TokenStream, item: TokenStream) -> TokenStream {
    let derives = derives(arguments, item.clone()).unwrap_or_else(|error| error.to_compile_error());
    quote! { #derives #item }
}

/// The attributes to put above the item: they derive what it does not derive itself.
fn derives(arguments: TokenStream, item: TokenStream) -> Result<TokenStream> {
    let mut ringway = None;
    syn::meta::parser(|meta| item::crate_path(&meta, &mut ringway)).parse2(arguments)?;
    let item: DeriveInput = syn::parse2(item).map_err(|error| Error::new(error.span(), NO_STRUCT))?;
    item::check(&item)?;
    let mut derived = Vec::new();
    for attribute in item.attrs.iter().filter(|attribute| attribute.path().is_ident("derive")) {
        derived.extend(attribute.parse_args_with(Punctuated::<Path, Token![,]>::parse_terminated)?);
    }
    let missing = |name: &str| !derived.iter().any(|path| path.segments.last().is_some_and(|last| last.ident == name));

    let path = ringway.clone().unwrap_or_else(item::usual_path);
    let mut attributes = TokenStream::new();
    let traits = ["FromBytes", "IntoBytes", "Immutable"].into_iter().filter(|name| missing(name));
    let traits: Vec<_> = traits.map(|name| format_ident!("{name}")).collect();
    if !traits.is_empty() {
        attributes.extend(quote! { #[derive(#(#path::zerocopy::#traits),*)] });
        if !item.attrs.iter().any(|attribute| attribute.path().is_ident("zerocopy")) {
            let zerocopy = quote!(#path::zerocopy).to_string();
            attributes.extend(quote! { #[zerocopy(crate = #zerocopy)] });
        }
    }
    // What is derived last is checked first: its errors say what to write.
    if missing("Message") {
        attributes.extend(quote! { #[derive(#path::Message)] });
        if let Some(other) = ringway.map(|path| path.to_token_stream().to_string()) {
            attributes.extend(quote! { #[ringway(crate = #other)] });
        }
    }
    Ok(attributes)
}
