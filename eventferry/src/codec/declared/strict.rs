//! Refuses what the schema does not declare.

use serde_json::Value;

use crate::codec::declared::{Alternatives, Declared, Parts};
use crate::codec::json::undecodable;
use crate::codec::{Check, CodecError, Violation};

/// The most violations that one error tells of.
const MOST: usize = 16;

impl Check for Declared {
    /// Refuses a payload with members that the schema does not declare, and nothing else.
    fn check(&self, bytes: &[u8]) -> Result<(), CodecError> {
        let value: Value = serde_json::from_slice(bytes).map_err(|e| undecodable(&e))?;
        let mut found = Vec::new();
        self.undeclared(&value, &self.whole(&value, Alternatives::Fitting), "", &mut found);
        if found.is_empty() {
            Ok(())
        } else {
            Err(CodecError::refused(found))
        }
    }
}

impl Declared {
    /// Adds the places of members that nothing declares. A pointer shows names that the schema has; any other may be a value.
    fn undeclared<'a>(&'a self, value: &Value, parts: &Parts<'a>, pointer: &str, found: &mut Vec<Violation>) {
        match value {
            Value::Object(members) => {
                for (name, value) in members {
                    if found.len() == MOST {
                        return;
                    }
                    match self.member(parts, name, value, Alternatives::Fitting) {
                        None => found.push(Violation::new(
                            format!("{pointer}/*"),
                            "undeclared",
                            "is a member that the schema does not declare",
                        )),
                        Some(member) => {
                            let shown = if member.is_named {
                                name.replace('~', "~0").replace('/', "~1")
                            } else {
                                "*".to_owned()
                            };
                            self.undeclared(value, &member.parts, &format!("{pointer}/{shown}"), found);
                        }
                    }
                }
            }
            Value::Array(items) => {
                for (at, value) in items.iter().enumerate() {
                    let parts = self.item(parts, at, value, Alternatives::Fitting);
                    self.undeclared(value, &parts, &format!("{pointer}/{at}"), found);
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
}
