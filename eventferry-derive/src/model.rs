//! Attributes to what the user meant. Mistakes that change what an attribute is are found here; rules between attributes are in `check`.

use proc_macro2::{Span, TokenStream, TokenTree};
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::ext::IdentExt as _;
use syn::spanned::Spanned as _;
use syn::{Data, DeriveInput, Expr, ExprLit, ExprPath, GenericArgument, Generics, Ident, Lit, Member, Path, PathArguments, Type};

use crate::attr::{Attrs, Item};
use crate::ctxt::Ctxt;
use crate::format::Format;

/// What the user meant.
pub(crate) struct Event<'a> {
    pub(crate) input: &'a DeriveInput,
    pub(crate) root: Path,
    pub(crate) topic: Option<Text>,
    pub(crate) aggregate_type: Option<Text>,
    pub(crate) name: Option<Text>,
    pub(crate) version: Option<Text>,
    pub(crate) format: Format,
    pub(crate) is_unordered: bool,
    pub(crate) aggregate_id: Vec<Source<'a>>,
    pub(crate) key: Vec<Source<'a>>,
    pub(crate) partition: Vec<Source<'a>>,
    pub(crate) headers: Vec<(Text, Source<'a>)>,
    pub(crate) upcast_from: Option<Type>,
    pub(crate) view_of: Option<Type>,
    /// What a view may not say, because the event it is of says it.
    pub(crate) owned_by_listed: Vec<Ident>,
    pub(crate) has_unknown: bool,
}

/// A constant: a literal, or an expression that names one.
pub(crate) struct Text {
    pub(crate) tokens: TokenStream,
    pub(crate) literal: Option<String>,
}

/// Where a value comes from: an expression on the type, or a field.
pub(crate) enum Source<'a> {
    Expr {
        name: Ident,
        tokens: TokenStream,
        receiver: TokenTree,
    },
    Field {
        attr: Ident,
        member: Member,
        ty: &'a Type,
    },
}

impl Source<'_> {
    /// The receiver of the method: the user's own `self` token where there is one, so that an expression from a `macro_rules` is understood.
    pub(crate) fn receiver(&self) -> TokenStream {
        match self {
            Self::Expr { receiver, .. } => receiver.to_token_stream(),
            Self::Field { ty, .. } => quote_spanned!(Span::mixed_site().located_at(ty.span())=> self),
        }
    }

    /// The attribute, for an error about it.
    pub(crate) fn attr(&self) -> &Ident {
        match self {
            Self::Expr { name, .. } => name,
            Self::Field { attr, .. } => attr,
        }
    }

    /// The field, at the place of its type: where a type does not fit, that is what has to change.
    pub(crate) fn place(member: &Member, ty: &Type) -> TokenStream {
        let mut member = member.clone();
        match &mut member {
            Member::Named(name) => name.set_span(name.span().located_at(ty.span())),
            Member::Unnamed(index) => index.span = index.span.located_at(ty.span()),
        }
        let receiver = quote_spanned!(Span::mixed_site().located_at(ty.span())=> self);
        quote_spanned!(ty.span()=> #receiver.#member)
    }

    pub(crate) fn is_optional(&self) -> bool {
        matches!(self, Self::Field { ty, .. } if optional(ty).is_some())
    }
}

/// The type inside an `Option`, as far as spelling shows it.
pub(crate) fn optional(ty: &Type) -> Option<&Type> {
    let Type::Path(path) = ty else { return None };
    let last = path.path.segments.last()?;
    let PathArguments::AngleBracketed(args) = &last.arguments else {
        return None;
    };
    match args.args.first() {
        Some(GenericArgument::Type(inner)) if last.ident == "Option" => Some(inner),
        _ => None,
    }
}

impl<'a> Event<'a> {
    pub(crate) fn of(ctxt: &Ctxt, input: &'a DeriveInput, attrs: Attrs) -> Self {
        let mut event = Event {
            input,
            root: syn::parse_quote!(::eventferry),
            topic: None,
            aggregate_type: None,
            name: None,
            version: None,
            format: Format::default(),
            is_unordered: false,
            aggregate_id: Vec::new(),
            key: Vec::new(),
            partition: Vec::new(),
            headers: Vec::new(),
            upcast_from: None,
            view_of: None,
            owned_by_listed: Vec::new(),
            has_unknown: attrs.has_unknown,
        };
        for item in attrs.on_type {
            event.on_type(ctxt, item);
        }
        if let Data::Struct(data) = &input.data {
            for (index, (field, items)) in data.fields.iter().zip(attrs.on_fields).enumerate() {
                let member = field.ident.clone().map_or_else(|| Member::from(index), Member::from);
                for item in items {
                    event.on_field(ctxt, item, member.clone(), &field.ty);
                }
            }
        }
        event
    }

    fn on_type(&mut self, ctxt: &Ctxt, item: Item) {
        let name = item.name.to_string();
        if matches!(
            name.as_str(),
            "topic" | "aggregate_type" | "name" | "version" | "format" | "schema" | "message" | "order"
        ) {
            self.owned_by_listed.push(item.name.clone());
        }
        match name.as_str() {
            "topic" => self.topic = text(ctxt, &item, "\"orders\""),
            "aggregate_type" => self.aggregate_type = text(ctxt, &item, "\"order\""),
            "name" => self.name = text(ctxt, &item, "\"OrderCreated\""),
            "version" => self.version = version(ctxt, &item),
            "format" | "schema" | "message" => self.format.take(ctxt, &item),
            "order" => self.is_unordered = is_unordered(ctxt, &item),
            "aggregate_id" => self.aggregate_id.extend(expression(ctxt, item)),
            "key" => self.key.extend(expression(ctxt, item)),
            "partition" => self.partition.extend(expression(ctxt, item)),
            "upcast_from" => self.upcast_from = parsed(ctxt, &item, "a type", "OrderCreatedV1"),
            "view_of" => self.view_of = parsed(ctxt, &item, "a type", "OrderCreated"),
            _ => {
                if let Some(root) = parsed(ctxt, &item, "a path", "::eventferry") {
                    self.root = root;
                }
            }
        }
    }

    fn on_field(&mut self, ctxt: &Ctxt, item: Item, member: Member, ty: &'a Type) {
        let name = item.name.to_string();
        if name == "header" {
            let attr = item.name.clone();
            if let Some(header) = text(ctxt, &item, "\"tenant-id\"") {
                self.headers.push((header, Source::Field { attr, member, ty }));
            }
            return;
        }
        if item.value.is_some() {
            ctxt.error(
                item.tokens(),
                format_args!("on a field `{name}` has no value: write `#[outbox({name})]`, or put `{name} = self.…` on the type"),
            );
        }
        let source = Source::Field {
            attr: item.name,
            member,
            ty,
        };
        match name.as_str() {
            "aggregate_id" => self.aggregate_id.push(source),
            "key" => self.key.push(source),
            _ => self.partition.push(source),
        }
    }

    /// The wire name: the type's name unless another is given.
    pub(crate) fn wire_name(&self) -> TokenStream {
        match &self.name {
            Some(name) => name.tokens.clone(),
            None => self.input.ident.unraw().to_string().into_token_stream(),
        }
    }

    /// Generics with every lifetime `'static`, and the type with them.
    pub(crate) fn owned(&self) -> TokenStream {
        let ident = &self.input.ident;
        let args = self.input.generics.params.iter().map(|param| match param {
            syn::GenericParam::Lifetime(_) => quote!('static),
            syn::GenericParam::Type(ty) => ty.ident.to_token_stream(),
            syn::GenericParam::Const(constant) => constant.ident.to_token_stream(),
        });
        // With `::`, so that it can stand in an expression as well.
        quote!(#ident::<#(#args),*>)
    }

    pub(crate) fn has_lifetimes(&self) -> bool {
        self.input.generics.lifetimes().next().is_some()
    }

    /// Whether constants of the type can be looked at where it is defined: those of a generic type cannot.
    pub(crate) fn is_concrete(&self) -> bool {
        let generics: &Generics = &self.input.generics;
        generics.type_params().next().is_none() && generics.const_params().next().is_none()
    }
}

fn lacks_value(ctxt: &Ctxt, item: &Item, example: &str) {
    let name = &item.name;
    ctxt.error(name, format_args!("`{name}` lacks its value: write `{name} = {example}`"));
}

fn parsed<T: syn::parse::Parse>(ctxt: &Ctxt, item: &Item, what: &str, example: &str) -> Option<T> {
    let name = &item.name;
    let Some(value) = &item.value else {
        lacks_value(ctxt, item, example);
        return None;
    };
    if let Ok(parsed) = syn::parse2(value.clone()) {
        return Some(parsed);
    }
    ctxt.error(
        value,
        format_args!("`{name}` is {what}, without quotes: write `{name} = {example}`"),
    );
    None
}

fn literal(value: &TokenStream) -> Option<Lit> {
    match syn::parse2(value.clone()) {
        Ok(Expr::Lit(ExprLit { lit, .. })) => Some(lit),
        _ => None,
    }
}

fn text(ctxt: &Ctxt, item: &Item, example: &str) -> Option<Text> {
    let Some(tokens) = item.value.clone() else {
        lacks_value(ctxt, item, example);
        return None;
    };
    let literal = match literal(&tokens) {
        Some(Lit::Str(text)) => Some(text.value()),
        Some(_) => {
            let name = &item.name;
            ctxt.error(
                &tokens,
                format_args!("`{name}` is a name: write it in quotes, as in `{name} = {example}`, or name a constant"),
            );
            return None;
        }
        None => None,
    };
    Some(Text { tokens, literal })
}

fn version(ctxt: &Ctxt, item: &Item) -> Option<Text> {
    let Some(tokens) = item.value.clone() else {
        lacks_value(ctxt, item, "2");
        return None;
    };
    let literal = match literal(&tokens) {
        Some(Lit::Int(number)) => Some(number.to_string()),
        Some(_) => {
            ctxt.error(&tokens, "`version` is a number: write `version = 2`");
            return None;
        }
        None => None,
    };
    Some(Text { tokens, literal })
}

fn closed(ctxt: &Ctxt, item: &Item, known: &[&str]) -> Option<String> {
    let example = format!("\"{}\"", known[0]);
    let Some(value) = &item.value else {
        lacks_value(ctxt, item, &example);
        return None;
    };
    let name = &item.name;
    let known: Vec<_> = known.iter().map(|one| format!("\"{one}\"")).collect();
    let known = known.join(", ");
    match literal(value) {
        Some(Lit::Str(text)) if known.contains(&format!("\"{}\"", text.value())) => Some(text.value()),
        Some(Lit::Str(text)) => {
            ctxt.error(value, format_args!("unknown {name} `{}`, expected one of: {known}", text.value()));
            None
        }
        _ => {
            ctxt.error(value, format_args!("`{name}` is one of {known}, with quotes"));
            None
        }
    }
}

fn is_unordered(ctxt: &Ctxt, item: &Item) -> bool {
    closed(ctxt, item, &["aggregate", "none"]).as_deref() == Some("none")
}

/// An expression on the type, with the mistakes that look like one.
fn expression<'a>(ctxt: &Ctxt, item: Item) -> Option<Source<'a>> {
    let name = item.name.clone();
    let Some(tokens) = item.value else {
        ctxt.error(
            &name,
            format_args!("`{name}` on a type needs an expression: write `{name} = self.…`, or put `#[outbox({name})]` on a field"),
        );
        return None;
    };
    let parsed: Option<Expr> = syn::parse2(tokens.clone()).ok();
    let field = match &parsed {
        Some(Expr::Lit(ExprLit { lit: Lit::Str(text), .. })) => Some(text.value()),
        Some(Expr::Path(ExprPath { qself: None, path, .. })) if !path.is_ident("self") => path.get_ident().map(ToString::to_string),
        _ => None,
    };
    if let Some(field) = field {
        let hint = match syn::parse_str::<Ident>(&field) {
            Ok(_) => format!("self.{field}"),
            Err(_) => "self.…".to_owned(),
        };
        ctxt.error(
            &tokens,
            format_args!("`{name}` is an expression, not a name: write `{name} = {hint}`, or put `#[outbox({name})]` on the field"),
        );
        return None;
    }
    let Some(receiver) = find_self(tokens.clone()) else {
        ctxt.error(
            &tokens,
            format_args!("`{name}` would be the same for every event: read it from the event, as in `{name} = self.…`"),
        );
        return None;
    };
    Some(Source::Expr { name, tokens, receiver })
}

fn find_self(tokens: TokenStream) -> Option<TokenTree> {
    tokens.into_iter().find_map(|token| match &token {
        TokenTree::Ident(ident) if ident == "self" => Some(token),
        TokenTree::Group(group) => find_self(group.stream()),
        TokenTree::Ident(_) | TokenTree::Punct(_) | TokenTree::Literal(_) => None,
    })
}

/// Names that cannot meet a name of the user's.
pub(crate) fn hygienic(name: &str) -> Ident {
    format_ident!("{name}", span = Span::mixed_site())
}
