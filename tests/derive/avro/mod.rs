//! Events as Avro: derived schemas, schemas from files, what is refused, and what hostile bytes can do.

mod derived;
mod file;
mod versions;

use crate::formats::{now, only_message, refusal};
