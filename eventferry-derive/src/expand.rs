//! The model to tokens. Cannot fail.

use proc_macro2::{Span, TokenStream, TokenTree};
use quote::{ToTokens, quote, quote_spanned};
use syn::spanned::Spanned as _;
use syn::{Type, parse_quote};

use crate::model::{Event, Source, Text, hygienic, optional};

pub(crate) fn event(event: &Event<'_>) -> TokenStream {
    let root = &event.root;
    let private = quote!(#root::__private);
    let ident = &event.input.ident;
    let generics = generics(event, &private);
    let (impl_generics, _, where_clause) = generics.split_for_impl();
    let (_, ty_generics, _) = event.input.generics.split_for_impl();
    let consts = consts(event, &private);
    let listed = event.view_of.as_ref().map_or_else(|| event.owned(), ToTokens::to_token_stream);
    let (format, file) = match &event.view_of {
        None => event.format.tokens(event, &private),
        Some(listed) => (quote!(<#listed as #private::OutboxEvent>::Format), TokenStream::new()),
    };
    let previous = event
        .upcast_from
        .as_ref()
        .map_or_else(|| quote!(#private::Oldest), |previous| quote!(#private::UpcastFrom<#previous>));
    let methods = methods(event, &private);
    let checks = checks(event, &private);
    let checked = event.is_concrete();
    quote! {
        const _: () = {
            #file
            #[automatically_derived]
            impl #impl_generics #private::OutboxEvent for #ident #ty_generics #where_clause {
                type Listed = #listed;
                type Format = #format;
                type Previous = #previous;
                #consts
                const CHECKED: bool = #checked;
                #methods
            }
            #checks
        };
    }
}

/// The user's generics, with what the impl needs beside them.
fn generics(event: &Event<'_>, private: &TokenStream) -> syn::Generics {
    let mut generics = event.input.generics.clone();
    let type_params: Vec<_> = generics.type_params().map(|param| param.ident.clone()).collect();
    let clause = generics.make_where_clause();
    if event.has_lifetimes() {
        // `Listed` names the type with `'static` in place of every lifetime.
        for param in &type_params {
            clause.predicates.push(parse_quote!(#param: 'static));
        }
    }
    let sources = event
        .aggregate_id
        .iter()
        .chain(&event.key)
        .chain(event.headers.iter().map(|(_, source)| source));
    for source in sources {
        // A bound on a type without type parameters would be checked here and now, and in scope it confuses the compiler about lifetimes.
        if let Source::Field { ty, .. } = source
            && names_any(ty.to_token_stream(), &type_params)
        {
            let shown = optional(ty).unwrap_or(ty);
            clause.predicates.push(parse_quote!(#shown: #private::Display));
        }
    }
    generics
}

fn names_any(tokens: TokenStream, names: &[syn::Ident]) -> bool {
    tokens.into_iter().any(|token| match token {
        TokenTree::Ident(ident) => names.contains(&ident),
        TokenTree::Group(group) => names_any(group.stream(), names),
        TokenTree::Punct(_) | TokenTree::Literal(_) => false,
    })
}

fn consts(event: &Event<'_>, private: &TokenStream) -> TokenStream {
    if let Some(listed) = &event.view_of {
        let of = quote!(<#listed as #private::OutboxEvent>);
        return quote! {
            const TOPIC: &'static str = #of::TOPIC;
            const NAME: &'static str = #of::NAME;
            const VERSION: u32 = #of::VERSION;
            const AGGREGATE_TYPE: &'static str = #of::AGGREGATE_TYPE;
            const ORDERED: bool = #of::ORDERED;
        };
    }
    let tokens = |text: &Option<Text>| text.as_ref().map_or_else(|| quote!(""), |text| text.tokens.clone());
    let (topic, aggregate_type, name) = (tokens(&event.topic), tokens(&event.aggregate_type), event.wire_name());
    let version = event.version.as_ref().map_or_else(|| quote!(1), |text| text.tokens.clone());
    let ordered = !event.is_unordered;
    quote! {
        const TOPIC: &'static str = #topic;
        const NAME: &'static str = #name;
        const VERSION: u32 = #version;
        const AGGREGATE_TYPE: &'static str = #aggregate_type;
        const ORDERED: bool = #ordered;
    }
}

fn methods(event: &Event<'_>, private: &TokenStream) -> TokenStream {
    let mut methods = TokenStream::new();
    if let Some(source) = event.aggregate_id.first() {
        let (receiver, text) = (source.receiver(), text(source, private));
        methods.extend(quote!(fn aggregate_id(&#receiver) -> #private::String { #text }));
    }
    if let Some(source) = event.key.first() {
        let (receiver, text) = (source.receiver(), text(source, private));
        methods.extend(quote!(fn key(&#receiver) -> #private::Option<#private::String> { #private::Option::Some(#text) }));
    }
    if let Some(source) = event.partition.first() {
        let receiver = source.receiver();
        let value = match source {
            Source::Expr { tokens, .. } => {
                let partition = spanned(quote!(#private::partition), tokens.span());
                quote_spanned!(tokens.span()=> #partition(#tokens))
            }
            Source::Field { member, ty, .. } => {
                let place = Source::place(member, ty);
                let partition = spanned(quote!(#private::partition), ty.span());
                quote_spanned!(ty.span()=> #partition(#place))
            }
        };
        methods.extend(quote!(fn partition(&#receiver) -> #private::Option<i32> { #value }));
    }
    if !event.headers.is_empty() {
        let headers = hygienic("headers");
        let set = event
            .headers
            .iter()
            .map(|(name, source)| set_header(name, source, &headers, private));
        let receiver = quote_spanned!(Span::mixed_site()=> self);
        methods.extend(quote! {
            fn headers(&#receiver) -> #private::Headers {
                let mut #headers = #private::Headers::new();
                #(#set)*
                #headers
            }
        });
    }
    methods
}

/// The text of an id or a key. The call has the place of what it is given, so that a missing `Display` is reported there.
fn text(source: &Source<'_>, private: &TokenStream) -> TokenStream {
    match source {
        Source::Expr { tokens, .. } => {
            let text = spanned(quote!(#private::text), tokens.span());
            quote_spanned!(tokens.span()=> #text(&(#tokens)))
        }
        Source::Field { member, ty, .. } => {
            let place = Source::place(member, ty);
            let text = spanned(quote!(#private::text), ty.span());
            quote_spanned!(ty.span()=> #text(&#place))
        }
    }
}

fn set_header(name: &Text, source: &Source<'_>, headers: &syn::Ident, private: &TokenStream) -> TokenStream {
    let Source::Field { member, ty, .. } = source else {
        return TokenStream::new();
    };
    let (place, name) = (Source::place(member, ty), &name.tokens);
    let set = spanned(quote!(#private::header), ty.span());
    let value = if optional(ty).is_some() {
        quote_spanned!(ty.span()=> #place.as_ref())
    } else {
        quote_spanned!(ty.span()=> #private::Option::Some(&#place))
    };
    quote_spanned!(ty.span()=> #set(&mut #headers, #name, #value);)
}

/// What can be checked where the type is defined, at the token that is wrong.
fn checks(event: &Event<'_>, private: &TokenStream) -> TokenStream {
    let mut checks = TokenStream::new();
    let mut check = |text: &Text, function: &str| {
        if event.is_concrete() || text.literal.is_some() {
            let function = syn::Ident::new(function, Span::call_site());
            // The check stands beside the impl, where `Self` has no meaning.
            let named = without_self(text.tokens.clone(), &event.owned());
            let check = quote!(const _: () = #private::#function(#named););
            checks.extend(spanned(check, text.tokens.span()));
        }
    };
    for (text, function) in [
        (&event.topic, "check_topic"),
        (&event.aggregate_type, "check_label"),
        (&event.name, "check_label"),
    ] {
        if let Some(text) = text {
            check(text, function);
        }
    }
    if let Some(version) = event.version.as_ref().filter(|version| version.literal.is_none()) {
        check(version, "check_version");
    }
    for (header, _) in &event.headers {
        check(header, "check_header");
    }
    if let Some(previous) = event.upcast_from.as_ref().filter(|_| event.is_concrete()) {
        checks.extend(upcast(event, previous, private));
    }
    checks
}

fn without_self(tokens: TokenStream, this: &TokenStream) -> TokenStream {
    let named = |token| match token {
        TokenTree::Ident(ident) if ident == "Self" => this.clone(),
        TokenTree::Group(group) => {
            let inner = without_self(group.stream(), this);
            TokenTree::Group(proc_macro2::Group::new(group.delimiter(), inner)).into()
        }
        TokenTree::Ident(_) | TokenTree::Punct(_) | TokenTree::Literal(_) => token.into(),
    };
    tokens.into_iter().flat_map(named).collect()
}

fn upcast(event: &Event<'_>, previous: &Type, private: &TokenStream) -> TokenStream {
    let (this, of) = (event.owned(), quote!(#private::OutboxEvent));
    at(&previous.to_token_stream(), |previous| {
        quote! {
            const _: () = #private::check_from::<#this, #previous>();
            const _: () = #private::check_upcast(
                <#this as #of>::NAME,
                <#this as #of>::VERSION,
                <#previous as #of>::NAME,
                <#previous as #of>::VERSION,
            );
        }
    })
}

/// Tokens all of which stand at one place: an error in a constant is then shown there and not at the derive.
fn at(place: &TokenStream, make: impl FnOnce(&TokenStream) -> TokenStream) -> TokenStream {
    spanned(make(place), place.span())
}

pub(crate) fn spanned(tokens: TokenStream, span: Span) -> TokenStream {
    tokens
        .into_iter()
        .map(|mut token| {
            if let TokenTree::Group(group) = &token {
                let mut inner = proc_macro2::Group::new(group.delimiter(), spanned(group.stream(), span));
                inner.set_span(span);
                return TokenTree::Group(inner);
            }
            // The place changes, the scope in which the name is looked up does not.
            token.set_span(token.span().located_at(span));
            token
        })
        .collect()
}
