//! The format of an event: which one, where its schema stands, and what it cannot carry.

use std::path::Path;

use proc_macro2::{Ident, TokenStream, TokenTree};
use quote::{ToTokens, quote};
use syn::spanned::Spanned;
use syn::{Attribute, Data, Expr, ExprLit, Lit, LitStr, Type};

use crate::attr::Item;
use crate::ctxt::Ctxt;
use crate::expand::spanned;
use crate::model::Event;

/// The formats that are known by name.
const KNOWN: [&str; 3] = ["json", "avro", "protobuf"];
/// Rust's integers that Avro has no type for.
const WIDE: [&str; 5] = ["u64", "usize", "isize", "u128", "i128"];

/// Which format.
pub(crate) enum Chosen {
    Json,
    Avro,
    Protobuf,
    /// A type of the user's.
    Own(Box<Type>),
}

/// What `format`, `schema` and `message` say.
#[derive(Default)]
pub(crate) struct Format {
    /// None where nothing was said, or nothing that is understood.
    pub(crate) chosen: Option<Chosen>,
    pub(crate) name: Option<Ident>,
    value: Option<TokenStream>,
    pub(crate) schema: Option<(Ident, LitStr)>,
    pub(crate) message: Option<(Ident, LitStr)>,
}

impl Format {
    /// Takes an attribute that is one of the three.
    pub(crate) fn take(&mut self, ctxt: &Ctxt, item: &Item) {
        match item.name.to_string().as_str() {
            "format" => {
                self.name = Some(item.name.clone());
                self.value.clone_from(&item.value);
                self.chosen = chosen(ctxt, item);
            }
            "schema" => self.schema = text(ctxt, item, "\"schemas/order.avsc\""),
            _ => self.message = text(ctxt, item, "\"shop.OrderCreated\""),
        }
    }

    /// The type of the format, and what has to stand beside the impl for it.
    pub(crate) fn tokens(&self, event: &Event<'_>, private: &TokenStream) -> (TokenStream, TokenStream) {
        let name = match &self.chosen {
            // Beside the error that says so: JSON would ask for what the event's own format never needs.
            None if self.name.is_some() => return (quote!(#private::NotUnderstood), TokenStream::new()),
            Some(Chosen::Protobuf) if self.schema.is_none() => return (quote!(#private::NotUnderstood), TokenStream::new()),
            None | Some(Chosen::Json) => return (quote!(#private::Json), TokenStream::new()),
            Some(Chosen::Own(ty)) => return (ty.to_token_stream(), TokenStream::new()),
            Some(Chosen::Avro) => quote!(Avro),
            Some(Chosen::Protobuf) => quote!(Protobuf),
        };
        // Where the format is not built in, the compiler says so at the word.
        let place = self.value.as_ref().map_or_else(proc_macro2::Span::call_site, Spanned::span);
        let format = spanned(quote!(#private::#name), place);
        let Some((_, path)) = &self.schema else {
            return (format, TokenStream::new());
        };
        let ident = &event.input.ident;
        let doc = format!("The schema of `{ident}`, as its file has it.");
        // Beside the error that says so, a file that is not there is empty.
        let text = if is_there(path) {
            quote!(::core::include_str!(
                ::core::concat!(::core::env!("CARGO_MANIFEST_DIR"), "/", #path)
            ))
        } else {
            quote!("")
        };
        let text = spanned(text, path.span());
        let (bound, message) = match &self.chosen {
            Some(Chosen::Protobuf) => {
                let message = match &self.message {
                    Some((_, message)) => message.to_token_stream(),
                    None => event.wire_name(),
                };
                (quote!(ProtoFile), quote!(const MESSAGE: &'static str = #message;))
            }
            _ => (quote!(SchemaFile), TokenStream::new()),
        };
        let file = quote! {
            #[doc = #doc]
            #[derive(Debug)]
            #[allow(unreachable_pub, clippy::allow_attributes, reason = "it is part of the impl beside it, and of nothing else")]
            pub struct SchemaText;
            #[automatically_derived]
            impl #private::#bound for SchemaText {
                const PATH: &'static str = #path;
                const TEXT: &'static str = #text;
                #message
            }
        };
        (quote!(#format<SchemaText>), file)
    }
}

fn chosen(ctxt: &Ctxt, item: &Item) -> Option<Chosen> {
    let known: Vec<_> = KNOWN.iter().map(|one| format!("\"{one}\"")).collect();
    let known = known.join(", ");
    let Some(value) = &item.value else {
        ctxt.error(&item.name, "`format` lacks its value: write `format = \"json\"`");
        return None;
    };
    let literal: Result<Expr, _> = syn::parse2(value.clone());
    match literal {
        Ok(Expr::Lit(ExprLit { lit: Lit::Str(text), .. })) => match text.value().as_str() {
            "json" => Some(Chosen::Json),
            "avro" => Some(Chosen::Avro),
            "protobuf" => Some(Chosen::Protobuf),
            other => {
                ctxt.error(value, format_args!("unknown format `{other}`, expected one of: {known}"));
                None
            }
        },
        Ok(Expr::Path(path)) if path.path.get_ident().is_some_and(|ident| KNOWN.iter().any(|known| ident == known)) => {
            ctxt.error(value, format_args!("`format` is one of {known}, with quotes"));
            None
        }
        _ => {
            let own = syn::parse2(value.clone()).ok();
            if own.is_none() {
                ctxt.error(
                    value,
                    format_args!("`format` is one of {known}, with quotes, or a type of yours without"),
                );
            }
            own.map(|own| Chosen::Own(Box::new(own)))
        }
    }
}

fn text(ctxt: &Ctxt, item: &Item, example: &str) -> Option<(Ident, LitStr)> {
    let name = &item.name;
    let literal = item.value.clone().and_then(|value| syn::parse2::<LitStr>(value).ok());
    if literal.is_none() {
        ctxt.error(
            item.tokens(),
            format_args!("`{name}` is a text: write it in quotes, as in `{name} = {example}`"),
        );
    }
    literal.map(|literal| (name.clone(), literal))
}

/// Whether there is the file that `schema` names. The compiler would look for it by a path that its author never wrote, and show that one.
fn is_there(path: &LitStr) -> bool {
    // Other build tools than cargo may not say where the crate is; then the compiler finds out.
    std::env::var("CARGO_MANIFEST_DIR").map_or(true, |folder| Path::new(&format!("{folder}/{}", path.value())).is_file())
}

/// `schema` and `message` say something of a format that has them, and a format that needs a file names it.
pub(crate) fn has_its_file(ctxt: &Ctxt, event: &Event<'_>) {
    let format = &event.format;
    if event.view_of.is_some() || ctxt.mentions("format") || ctxt.mentions("schema") {
        return;
    }
    if let (Some(Chosen::Avro | Chosen::Protobuf), Some((_, path))) = (&format.chosen, &format.schema)
        && !is_there(path)
    {
        ctxt.error(
            path,
            "there is no such file; its path begins at the folder of this crate's `Cargo.toml`",
        );
    }
    match &format.chosen {
        Some(Chosen::Protobuf) => {
            if let (None, Some(name)) = (&format.schema, &format.name) {
                let fix = "`format = \"protobuf\"` needs the file that describes the message: add `schema = \"proto/order.proto\"`";
                ctxt.error(name, fix);
            }
        }
        Some(Chosen::Avro) => {
            if let Some((name, _)) = &format.message {
                ctxt.error(
                    name,
                    "`message` names a Protobuf message; an Avro schema is one record: remove it here",
                );
            }
        }
        None | Some(Chosen::Json | Chosen::Own(_)) => {
            for (name, _) in format.schema.iter().chain(&format.message) {
                ctxt.error(
                    name,
                    format_args!(
                        "`{name}` belongs to a format with files: add `format = \"avro\"` or `format = \"protobuf\"`, or remove it"
                    ),
                );
            }
        }
    }
}

/// Avro's integers have a sign and at most 64 bits. The library behind it would write the others as opaque bytes that nobody else reads.
pub(crate) fn avro_has_its_integers(ctxt: &Ctxt, event: &Event<'_>) {
    if !matches!(event.format.chosen, Some(Chosen::Avro)) || event.format.schema.is_some() {
        return;
    }
    let fields: Vec<_> = match &event.input.data {
        Data::Struct(data) => data.fields.iter().collect(),
        Data::Enum(data) => data.variants.iter().flat_map(|variant| &variant.fields).collect(),
        Data::Union(_) => Vec::new(),
    };
    for field in fields.into_iter().filter(|field| !is_written_otherwise(&field.attrs)) {
        if let Some(wide) = find_wide(field.ty.to_token_stream()) {
            ctxt.error(
                &wide,
                format_args!(
                    "Avro has no `{wide}`: write `i64`, or `String` or `eventferry::codec::avro::logical::Decimal` where the number may be larger"
                ),
            );
        }
    }
}

/// Whether a field has a form of its own, or none at all.
fn is_written_otherwise(attrs: &[Attribute]) -> bool {
    let says = |attr: &Attribute, wanted: &[&str]| {
        attr.meta.require_list().is_ok_and(|list| {
            list.tokens
                .clone()
                .into_iter()
                .any(|token| matches!(&token, TokenTree::Ident(ident) if wanted.iter().any(|one| ident == one)))
        })
    };
    attrs.iter().any(|attr| {
        (attr.path().is_ident("serde") && says(attr, &["with", "skip", "serialize_with"]))
            || (attr.path().is_ident("avro") && says(attr, &["with"]))
    })
}

fn find_wide(tokens: TokenStream) -> Option<Ident> {
    tokens.into_iter().find_map(|token| match token {
        TokenTree::Ident(ident) if WIDE.iter().any(|wide| ident == wide) => Some(ident),
        TokenTree::Group(group) => find_wide(group.stream()),
        TokenTree::Ident(_) | TokenTree::Punct(_) | TokenTree::Literal(_) => None,
    })
}
