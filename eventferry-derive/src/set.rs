//! `define_outbox!`: two items in, a set of events out. What comes out is data; the logic is the library's.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::ext::IdentExt as _;
use syn::parse::{Parse, ParseStream};
use syn::punctuated::Punctuated;
use syn::spanned::Spanned as _;
use syn::{Attribute, Error, Ident, Path, Token, Type, Visibility, braced, parenthesized};

use crate::ctxt::Ctxt;
use crate::expand::spanned;

/// The two items.
pub(crate) struct Set {
    root: Path,
    alias: Item,
    events: Item,
    entries: Vec<Listed>,
    mistakes: Option<Error>,
}

struct Item {
    attrs: Vec<Attribute>,
    vis: Visibility,
    keyword: TokenStream,
    name: Ident,
}

/// One variant.
struct Listed {
    attrs: Vec<Attribute>,
    variant: Ident,
    ty: Type,
}

impl Listed {
    fn cfg(&self) -> impl Iterator<Item = &Attribute> {
        self.attrs.iter().filter(|attr| attr.path().is_ident("cfg"))
    }
}

const SHAPE: &str = "`define_outbox!` takes two items: `pub type ShopEvents;` and `pub enum ShopEvent { OrderCreated, OrderPaid }`";

impl Parse for Set {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let ctxt = Ctxt::new();
        let mut alias = Item {
            attrs: input.call(Attribute::parse_outer)?,
            vis: input.parse()?,
            keyword: input
                .parse::<Token![type]>()
                .map_err(|e| Error::new(e.span(), SHAPE))?
                .into_token_stream(),
            name: input.parse()?,
        };
        let root = take_root(&ctxt, &mut alias.attrs);
        refuse_generics(&ctxt, input)?;
        if input.peek(Token![=]) {
            return Err(input.error("the type has no right-hand side here: `define_outbox!` writes it; end it with `;`"));
        }
        input.parse::<Token![;]>()?;
        let events = Item {
            attrs: input.call(Attribute::parse_outer)?,
            vis: input.parse()?,
            keyword: input
                .parse::<Token![enum]>()
                .map_err(|e| Error::new(e.span(), SHAPE))?
                .into_token_stream(),
            name: input.parse()?,
        };
        refuse_generics(&ctxt, input)?;
        let content;
        braced!(content in input);
        if !input.is_empty() {
            return Err(input.error(SHAPE));
        }
        let entries = Punctuated::<Listed, Token![,]>::parse_terminated(&content)?;
        if entries.is_empty() {
            ctxt.error(
                &events.name,
                "a set without events can neither enqueue nor decode: list at least one event",
            );
        }
        let entries = without_repeats(&ctxt, entries);
        Ok(Self {
            root,
            alias,
            events,
            entries,
            mistakes: ctxt.finish().err(),
        })
    }
}

fn take_root(ctxt: &Ctxt, attrs: &mut Vec<Attribute>) -> Path {
    let mut root = syn::parse_quote!(::eventferry);
    attrs.retain(|attr| {
        if !attr.path().is_ident("outbox") {
            return true;
        }
        let read = attr.parse_nested_meta(|meta| {
            if !meta.path.is_ident("crate") {
                return Err(meta.error("unknown outbox attribute, expected: `crate`"));
            }
            root = meta.value()?.call(Path::parse_mod_style)?;
            Ok(())
        });
        if let Err(error) = read {
            ctxt.push(error);
        }
        false
    });
    root
}

fn refuse_generics(ctxt: &Ctxt, input: ParseStream<'_>) -> syn::Result<()> {
    if input.peek(Token![<]) {
        let generics: syn::Generics = input.parse()?;
        ctxt.error(
            generics,
            "a set of events has no generics: list each type with its arguments, as in `Imported(Imported<Sku>)`",
        );
    }
    Ok(())
}

/// Variants and types that come twice, by spelling. What an alias hides, the compiler finds.
fn without_repeats(ctxt: &Ctxt, entries: Punctuated<Listed, Token![,]>) -> Vec<Listed> {
    let mut kept: Vec<Listed> = Vec::new();
    for entry in entries {
        // Entries under a `cfg` may exclude each other; whether they do, the compiler knows.
        let unconditional = |one: &Listed| one.cfg().next().is_none();
        let text = |ty: &Type| ty.to_token_stream().to_string();
        let twin = kept
            .iter()
            .find(|one| text(&one.ty) == text(&entry.ty) && unconditional(one) && unconditional(&entry));
        let Some(twin) = twin else {
            kept.push(entry);
            continue;
        };
        let (ty, first, second) = (text(&entry.ty).replace(' ', ""), &twin.variant, &entry.variant);
        let how = if first == second {
            "keep one".to_owned()
        } else {
            format!("as `{first}` and as `{second}`; keep one")
        };
        let sep = if first == second { ";" } else { "," };
        ctxt.error(&entry.variant, format_args!("`{ty}` is listed twice{sep} {how}"));
    }
    kept
}

impl Parse for Listed {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let attrs = input.call(Attribute::parse_outer)?;
        let variant: Ident = input.parse()?;
        if input.peek(syn::token::Paren) {
            let content;
            parenthesized!(content in input);
            let ty: Type = content.parse()?;
            if !content.is_empty() {
                return Err(content.error("a variant of a set holds one event"));
            }
            return Ok(Self { attrs, variant, ty });
        }
        if input.peek(Token![::]) || input.peek(Token![<]) {
            return Err(input.error("a path or a type with arguments needs a variant's name: write `OrderCreated(path::OrderCreated)`"));
        }
        if input.peek(syn::token::Brace) {
            return Err(input.error("define the event outside and list it here by its name"));
        }
        let ty = Type::Path(syn::TypePath {
            attrs: Vec::new(),
            qself: None,
            path: variant.clone().into(),
        });
        Ok(Self { attrs, variant, ty })
    }
}

pub(crate) fn expand(set: &Set) -> TokenStream {
    let root = &set.root;
    let private = quote!(#root::__private);
    let name = &set.events.name;
    let variants = set.entries.iter().map(variant);
    let enumeration = {
        let Item { attrs, vis, keyword, .. } = &set.events;
        // Those of one aggregate often begin alike.
        quote! {
            #[allow(
                clippy::enum_variant_names,
                clippy::large_enum_variant,
                clippy::allow_attributes,
                reason = "variants are called after events, and hold them as they are"
            )]
            #(#attrs)* #vis #keyword #name { #(#variants),* }
        }
    };
    let alias = {
        let Item {
            attrs,
            vis,
            keyword,
            name: alias,
        } = &set.alias;
        quote!(#(#attrs)* #vis #keyword #alias = #root::Outbox<#name>;)
    };
    let mistakes = set.mistakes.as_ref().map(Error::to_compile_error);
    let logic = logic(set, &private);
    quote!(#mistakes #enumeration #alias #logic)
}

fn variant(entry: &Listed) -> TokenStream {
    let Listed { attrs, variant, ty } = entry;
    let is_documented = attrs.iter().any(|attr| attr.path().is_ident("doc"));
    let doc = (!is_documented).then(|| {
        let doc = format!("The event [`{}`].", ty.to_token_stream().to_string().replace(' ', ""));
        let doc = if matches!(ty, Type::Path(path) if path.path.get_ident().is_some()) {
            doc
        } else {
            doc.replace(['[', ']'], "")
        };
        quote!(#[doc = #doc])
    });
    quote!(#doc #(#attrs)* #variant(#ty))
}

fn logic(set: &Set, private: &TokenStream) -> TokenStream {
    let name = &set.events.name;
    let text = name.unraw().to_string();
    // Positions depend on `cfg`, which the compiler decides later; so it counts.
    let positions = set.entries.iter().map(|entry| {
        let (cfg, variant) = (entry.cfg(), &entry.variant);
        quote!(#(#cfg)* #variant)
    });
    let entries = set.entries.iter().map(|entry| {
        let (cfg, ty) = (entry.cfg(), &entry.ty);
        let variant = entry.variant.unraw().to_string();
        let of = spanned(quote!(#private::Entry::<#name>::of::<#ty>(#variant)), ty.span());
        quote!(#(#cfg)* #of)
    });
    let impls = set.entries.iter().map(|entry| {
        let (variant, ty) = (&entry.variant, &entry.ty);
        let cfg: Vec<_> = entry.cfg().collect();
        let impls = quote! {
            #(#cfg)*
            #[automatically_derived]
            impl #private::EventOf<#name> for #ty {
                const INDEX: usize = Position::#variant as usize;
            }
            #(#cfg)*
            #[automatically_derived]
            impl #private::From<#ty> for #name {
                fn from(event: #ty) -> Self {
                    Self::#variant(event)
                }
            }
        };
        // Two names for one type collide here, and are shown where they are listed.
        spanned(impls, ty.span())
    });
    let names = set.entries.iter().map(|entry| {
        let (cfg, variant) = (entry.cfg(), &entry.variant);
        quote!(#(#cfg)* Self::#variant(ref event) => #private::name_at::<Self, _>(event, Position::#variant as usize))
    });
    let position = (!set.entries.is_empty()).then(|| quote!(#[repr(usize)] enum Position { #(#positions),* }));
    let distinct = spanned(quote!(const _: () = #private::assert_distinct::<#name>();), name.span());
    quote! {
        const _: () = {
            #[allow(dead_code, clippy::enum_variant_names, clippy::allow_attributes, reason = "a variant is the place of an event, and only some are asked for")]
            #position
            #[automatically_derived]
            impl #private::EventSet for #name {
                const NAME: &'static str = #text;
                const ENTRIES: &'static [#private::Entry<Self>] = &[#(#entries),*];
                const TOPICS: &'static [&'static str] = {
                    const TOPICS: [&str; #private::count_topics::<#name>()] = #private::collect_topics::<#name, { #private::count_topics::<#name>() }>();
                    &TOPICS
                };
                fn event_name(&self) -> &'static str {
                    match *self {
                        #(#names),*
                    }
                }
            }
            #(#impls)*
            #distinct
        };
    }
}
