//! Tokens to attributes: what stands in `#[outbox(..)]`, not yet what it means.

use proc_macro2::{Ident, TokenStream, TokenTree};
use quote::ToTokens;
use syn::parse::{ParseStream, Parser};
use syn::{Attribute, Data, DeriveInput, Error, Expr, Field, Fields, Token};

use crate::ctxt::Ctxt;

/// What a type may say.
pub(crate) const ON_TYPE: [&str; 13] = [
    "topic",
    "aggregate_type",
    "name",
    "version",
    "format",
    "schema",
    "message",
    "order",
    "aggregate_id",
    "key",
    "partition",
    "upcast_from",
    "view_of",
];
/// What a field may say.
pub(crate) const ON_FIELD: [&str; 4] = ["aggregate_id", "key", "partition", "header"];

/// One `name` or `name = value`.
pub(crate) struct Item {
    pub(crate) name: Ident,
    pub(crate) value: Option<TokenStream>,
}

impl Item {
    /// The whole item, for an error that concerns both sides of it.
    pub(crate) fn tokens(&self) -> TokenStream {
        let mut tokens = self.name.to_token_stream();
        if let Some(value) = &self.value {
            tokens.extend(value.clone());
        }
        tokens
    }
}

/// The attributes of a type and of its fields.
pub(crate) struct Attrs {
    pub(crate) on_type: Vec<Item>,
    /// By position; the fields of a struct only.
    pub(crate) on_fields: Vec<Vec<Item>>,
    /// Whether an attribute was unknown: what it was meant to be is then not also reported as missing.
    pub(crate) has_unknown: bool,
}

impl Attrs {
    pub(crate) fn of(ctxt: &Ctxt, input: &DeriveInput) -> Self {
        let mut attrs = Self {
            on_type: Vec::new(),
            on_fields: Vec::new(),
            has_unknown: false,
        };
        for item in items(ctxt, &input.attrs, &mut attrs.has_unknown) {
            let name = item.name.to_string();
            if name == "crate" || ON_TYPE.contains(&name.as_str()) {
                if attrs.on_type.iter().any(|other| other.name == item.name) {
                    ctxt.error(&item.name, format_args!("duplicate outbox attribute `{name}`"));
                } else {
                    attrs.on_type.push(item);
                }
            } else if name == "header" {
                ctxt.error(&item.name, "`header` belongs on the field whose value it repeats");
                attrs.has_unknown = true;
            } else {
                ctxt.error(&item.name, unknown(&name, &ON_TYPE));
                attrs.has_unknown = true;
            }
        }
        match &input.data {
            Data::Struct(data) => {
                let fields = data.fields.iter();
                attrs.on_fields = fields.map(|field| on_field(ctxt, field, &mut attrs.has_unknown)).collect();
            }
            Data::Enum(data) => {
                for variant in &data.variants {
                    refuse(ctxt, &variant.attrs, "a variant");
                    refuse_fields(ctxt, &variant.fields);
                }
            }
            Data::Union(_) => {}
        }
        attrs
    }
}

fn on_field(ctxt: &Ctxt, field: &Field, has_unknown: &mut bool) -> Vec<Item> {
    let mut known: Vec<Item> = Vec::new();
    for item in items(ctxt, &field.attrs, has_unknown) {
        let name = item.name.to_string();
        if !ON_FIELD.contains(&name.as_str()) {
            if ON_TYPE.contains(&name.as_str()) || name == "crate" {
                ctxt.error(&item.name, format_args!("`{name}` belongs on the type, not on a field"));
            } else {
                ctxt.error(&item.name, unknown(&name, &ON_FIELD));
            }
            *has_unknown = true;
        } else if name != "header" && known.iter().any(|other| other.name == item.name) {
            ctxt.error(&item.name, format_args!("duplicate outbox attribute `{name}`"));
        } else {
            known.push(item);
        }
    }
    known
}

fn refuse_fields(ctxt: &Ctxt, fields: &Fields) {
    for field in fields {
        refuse(ctxt, &field.attrs, "a field of a variant");
    }
}

fn refuse(ctxt: &Ctxt, attrs: &[Attribute], place: &str) {
    for attr in attrs.iter().filter(|attr| attr.path().is_ident("outbox")) {
        ctxt.error(
            attr,
            format_args!("{place} cannot have outbox attributes: write an expression on the enum, such as `aggregate_id = self.id()`"),
        );
    }
}

fn unknown(name: &str, known: &[&str]) -> String {
    let known: Vec<_> = known.iter().map(|name| format!("`{name}`")).collect();
    format!("unknown outbox attribute `{name}`, expected one of: {}", known.join(", "))
}

/// Every item of every `#[outbox(..)]`; what cannot be read is reported and skipped up to the next comma.
fn items(ctxt: &Ctxt, attrs: &[Attribute], has_unknown: &mut bool) -> Vec<Item> {
    let mut all = Vec::new();
    for attr in attrs.iter().filter(|attr| attr.path().is_ident("outbox")) {
        let Ok(list) = attr.meta.require_list() else {
            ctxt.error(attr, "expected `#[outbox(..)]`");
            continue;
        };
        let read = |input: ParseStream<'_>| {
            while !input.is_empty() {
                match item(input) {
                    Ok(item) => all.push(item),
                    Err(error) => {
                        ctxt.push(error);
                        *has_unknown = true;
                        until_comma(input);
                    }
                }
                if !input.is_empty() && input.parse::<Token![,]>().is_err() {
                    ctxt.push(input.error("expected `,` between outbox attributes"));
                }
            }
            Ok(())
        };
        if let Err(error) = read.parse2(list.tokens.clone()) {
            ctxt.push(error);
        }
    }
    all
}

fn item(input: ParseStream<'_>) -> Result<Item, Error> {
    // `crate` is a keyword and no `Ident` to `parse`, but it is one to the token tree.
    let name = match input.parse()? {
        TokenTree::Ident(name) => name,
        other @ (TokenTree::Group(_) | TokenTree::Punct(_) | TokenTree::Literal(_)) => {
            return Err(Error::new_spanned(other, "expected the name of an outbox attribute"));
        }
    };
    let is_alone = input.is_empty() || input.peek(Token![,]) || input.peek(syn::Ident);
    if is_alone {
        return Ok(Item { name, value: None });
    }
    if input.peek(Token![==]) || input.parse::<Option<Token![=]>>()?.is_none() {
        return Err(input.error(format_args!("expected `= …` or `,` after `{name}`")));
    }
    if input.is_empty() || input.peek(Token![,]) {
        return Err(Error::new_spanned(&name, format_args!("`{name}` lacks its value after `=`")));
    }
    Ok(Item {
        name,
        value: Some(value(input)?),
    })
}

/// An expression, a type or a path: whichever it is, up to the comma that ends it. Expressions are parsed so that a comma between generic
/// arguments does not end them; what this parser does not know (a closure, say) ends at the next comma and is left to the compiler.
fn value(input: ParseStream<'_>) -> Result<TokenStream, Error> {
    let ahead = input.fork();
    let parsed: Result<Expr, Error> = ahead.parse();
    // A name after a whole expression is the next attribute, and the comma before it is missing.
    if parsed.is_ok() && (ahead.is_empty() || ahead.peek(Token![,]) || ahead.peek(syn::Ident)) {
        return Ok(input.parse::<Expr>()?.into_token_stream());
    }
    let ahead = input.fork();
    let parsed: Result<syn::Type, Error> = ahead.parse();
    if parsed.is_ok() && (ahead.is_empty() || ahead.peek(Token![,])) {
        return Ok(input.parse::<syn::Type>()?.into_token_stream());
    }
    Ok(until_comma(input))
}

fn until_comma(input: ParseStream<'_>) -> TokenStream {
    let mut tokens = TokenStream::new();
    while !input.is_empty() && !input.peek(Token![,]) {
        match input.parse::<TokenTree>() {
            Ok(token) => tokens.extend([token]),
            Err(_) => break,
        }
    }
    tokens
}
