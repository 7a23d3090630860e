//! A change of a schema, what it means to us, and what a registry answers.

mod avro;
mod json;
mod json_shapes;
mod protobuf;

use eventferry::schema::evolution::Compatibility;
use eventferry::schema::{Schema, SchemaKind};

use crate::evolution::differences::DIFFERENCES;

/// One row of the matrix.
#[derive(Debug)]
pub(crate) struct Case {
    pub(crate) kind: SchemaKind,
    pub(crate) change: &'static str,
    pub(crate) old: String,
    pub(crate) new: String,
    /// What we say of any writer, and of writers that write what their schema declares.
    pub(crate) ours: (Compatibility, Compatibility),
    pub(crate) registry: Compatibility,
    /// Why the registry answers something else than we say of any writer; empty where it does not.
    pub(crate) why: &'static str,
}

impl Case {
    fn new(kind: SchemaKind, change: &'static str, old: String, new: String, ours: Compatibility) -> Self {
        Self {
            kind,
            change,
            old,
            new,
            ours: (ours, ours),
            registry: ours,
            why: "",
        }
    }

    /// Another answer for writers that add nothing of their own.
    fn declared(mut self, ours: Compatibility) -> Self {
        self.ours.1 = ours;
        self
    }

    pub(crate) fn schemas(&self) -> [Schema; 2] {
        [&self.old, &self.new].map(|text| Schema::new(self.kind, "Order", text))
    }
}

pub(crate) fn all() -> Vec<Case> {
    let mut cases: Vec<_> = [json::rows(), json_shapes::rows(), avro::rows(), protobuf::rows()]
        .into_iter()
        .flatten()
        .collect();
    for (kind, change, answer, why) in DIFFERENCES {
        let case = cases.iter_mut().find(|case| case.kind == *kind && case.change == *change);
        let case = case.unwrap_or_else(|| panic!("no row is called `{change}`"));
        assert!(case.why.is_empty(), "`{change}` is explained twice");
        (case.registry, case.why) = (*answer, *why);
    }
    cases
}
