//! Macros of eventferry; documented where `eventferry` re-exports them.

mod attr;
mod check;
mod ctxt;
mod expand;
mod fallback;
mod format;
mod model;
mod set;

use proc_macro::TokenStream;
use syn::{DeriveInput, parse_macro_input};

#[expect(missing_docs, reason = "documented where `eventferry` re-exports it")]
#[proc_macro_derive(OutboxEvent, attributes(outbox))]
pub fn derive_outbox_event(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    let ctxt = ctxt::Ctxt::new();
    let attrs = attr::Attrs::of(&ctxt, &input);
    let model = model::Event::of(&ctxt, &input, attrs);
    check::event(&ctxt, &model);
    match ctxt.finish() {
        Ok(()) => expand::event(&model).into(),
        Err(error) => {
            let mut tokens = error.to_compile_error();
            tokens.extend(fallback::event(&model));
            tokens.into()
        }
    }
}

#[expect(missing_docs, reason = "documented where `eventferry` re-exports it")]
#[proc_macro]
pub fn define_outbox(input: TokenStream) -> TokenStream {
    let set = parse_macro_input!(input as set::Set);
    set::expand(&set).into()
}
