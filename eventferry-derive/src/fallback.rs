//! A stand-in beside the errors, so that one mistake gives one error and not one for each use of the type.

use proc_macro2::TokenStream;
use quote::quote;
use syn::ext::IdentExt as _;
use syn::parse_quote;

use crate::model::Event;

pub(crate) fn event(event: &Event<'_>) -> TokenStream {
    let root = &event.root;
    let private = quote!(#root::__private);
    let ident = &event.input.ident;
    let name = ident.unraw().to_string();
    let mut generics = event.input.generics.clone();
    let params: Vec<_> = generics.type_params().map(|param| param.ident.clone()).collect();
    if event.has_lifetimes() {
        let clause = generics.make_where_clause();
        for param in params {
            clause.predicates.push(parse_quote!(#param: 'static));
        }
    }
    let (impl_generics, _, where_clause) = generics.split_for_impl();
    let (_, ty_generics, _) = event.input.generics.split_for_impl();
    let owned = event.owned();
    let listed = event.view_of.as_ref().map_or_else(|| owned, |listed| quote!(#listed));
    let (format, file) = event.format.tokens(event, &private);
    quote! {
        const _: () = {
            #file
            #[automatically_derived]
            impl #impl_generics #private::OutboxEvent for #ident #ty_generics #where_clause {
                type Listed = #listed;
                type Format = #format;
                type Previous = #private::Oldest;
                const TOPIC: &'static str = #name;
                const NAME: &'static str = #name;
                const AGGREGATE_TYPE: &'static str = #name;
                const CHECKED: bool = true;
                fn aggregate_id(&self) -> #private::String {
                    ::core::unreachable!()
                }
            }
        };
    }
}
