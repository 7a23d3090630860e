//! Where the registry answers something else than we do of any writer, and why.

use eventferry::schema::SchemaKind::{self, Avro, Json, Protobuf};
use eventferry::schema::evolution::Compatibility::{self, Backward, Forward, Full, None};

const DATA: &str = "the specification lets each be read as the other; bytes that are no UTF-8 cannot be read as a text";
const LOGICAL: &str = "it looks at the types below logical types only; the value that is read is another one, or our reader refuses it";
const SKIPPED: &str = "it counts as lost what the reader does not know or what has been reserved since; the wire is read all the same, the rest skipped or kept";
const NAMES: &str = "it holds names to be part of the contract; the wire has numbers only (the JSON form of Protobuf has names)";
const TYPES: &str = "it allows no other type or label at all; every value that one writes the other reads unchanged";
const ONEOF: &str = "it looks at each field by itself; of two members that one side may write together the other keeps only the last";
const ALIAS: &str = "its check finds a field by its own name or any alias, for each field anew; a reader gives the writer's field one name, and the other field is not there";
const REQUIRED: &str = "it refuses every change of a required field; the reader that does not demand it reads what the other wrote";

/// The language, the change, the registry's answer, and why it is not ours.
pub(super) const DIFFERENCES: &[(SchemaKind, &str, Compatibility, &str)] = &[
    (
        Json,
        "enum became alternatives of constants",
        None,
        "it compares words, not the values that they allow",
    ),
    (
        Json,
        "format int32 became int64",
        Full,
        "it does not look at the formats of numbers; a 64-bit number does not fit into a 32-bit field",
    ),
    (
        Json,
        "alternative added that overlaps another",
        Backward,
        "it does not see that two alternatives allow a value, which `oneOf` then forbids",
    ),
    (
        Json,
        "null allowed in a list",
        None,
        "of a list's items it compares the types as words; of members it does see that one was added",
    ),
    (Avro, "field renamed, with an alias, and its old name used again", Full, ALIAS),
    (Avro, "one field became two, with one alias", Backward, ALIAS),
    (Avro, "string became bytes", Full, DATA),
    (Avro, "bytes became string", Full, DATA),
    (Avro, "logical type added: date", Full, LOGICAL),
    (Avro, "logical type removed: date", Full, LOGICAL),
    (Avro, "logical type added: uuid", Full, LOGICAL),
    (Avro, "logical type removed: uuid", Full, LOGICAL),
    (Avro, "timestamp-millis became timestamp-micros", Full, LOGICAL),
    (Avro, "decimal of another scale", Full, LOGICAL),
    (Avro, "decimal of another precision", Full, LOGICAL),
    (
        Avro,
        "branch added of the same name in another namespace",
        Backward,
        "it takes the branch that reads; which one of two a reader takes is its own matter",
    ),
    (Protobuf, "field added", Backward, SKIPPED),
    (Protobuf, "optional field added", Backward, SKIPPED),
    (Protobuf, "field removed", Forward, SKIPPED),
    (Protobuf, "field removed, number and name reserved", None, SKIPPED),
    (Protobuf, "number reserved that nothing used", Backward, SKIPPED),
    (
        Protobuf,
        "reserved number used",
        None,
        "it refuses it in both directions; only readers of older events meet the number's other meaning",
    ),
    (
        Protobuf,
        "reservation removed",
        Forward,
        "it lets no reservation go; between these two versions nothing has the number",
    ),
    (Protobuf, "repeated field added", Backward, SKIPPED),
    (Protobuf, "map added", Backward, SKIPPED),
    (Protobuf, "oneof added", Backward, SKIPPED),
    (Protobuf, "field became one of two", Backward, SKIPPED),
    (Protobuf, "field of Google's added", Backward, SKIPPED),
    (Protobuf, "field of a nested message added", Backward, SKIPPED),
    (Protobuf, "field of a nested message removed", Forward, SKIPPED),
    (Protobuf, "field added to a value of a map", Backward, SKIPPED),
    (Protobuf, "value of an enum added in a list", Backward, SKIPPED),
    (Protobuf, "value of an enum removed, number and name reserved", Forward, SKIPPED),
    (Protobuf, "field added to a oneof", Backward, SKIPPED),
    (Protobuf, "field removed from a oneof", Forward, SKIPPED),
    (Protobuf, "value of an enum added", Backward, SKIPPED),
    (Protobuf, "value of an enum removed", Forward, SKIPPED),
    (Protobuf, "proto2: optional field added", Backward, SKIPPED),
    (Protobuf, "field renamed", None, NAMES),
    (Protobuf, "number used for another field of the same type", None, NAMES),
    (Protobuf, "message renamed", None, NAMES),
    (Protobuf, "nested message renamed", None, NAMES),
    (Protobuf, "value of an enum renamed", None, NAMES),
    (Protobuf, "number of an enum used for another value", None, NAMES),
    (Protobuf, "nested message moved out", None, NAMES),
    (Protobuf, "int32 became int64", None, TYPES),
    (Protobuf, "int64 became int32", None, TYPES),
    (Protobuf, "uint32 became int64", None, TYPES),
    (Protobuf, "bool became int32", None, TYPES),
    (Protobuf, "sint32 became sint64", None, TYPES),
    (Protobuf, "string became bytes", None, TYPES),
    (Protobuf, "bytes became string", None, TYPES),
    (Protobuf, "enum became int32", None, TYPES),
    (Protobuf, "nested message became bytes", None, TYPES),
    (Protobuf, "field with presence became repeated", None, TYPES),
    (Protobuf, "field of a repeated message widened", None, TYPES),
    (Protobuf, "values of a map widened", None, TYPES),
    (Protobuf, "items widened", None, TYPES),
    (Protobuf, "field of Google's became repeated", None, TYPES),
    (Protobuf, "list of entries became a map", None, TYPES),
    (Protobuf, "presence added", None, TYPES),
    (Protobuf, "presence removed", None, TYPES),
    (Protobuf, "field moved into a oneof with another", Full, ONEOF),
    (Protobuf, "two fields moved into a new oneof", Full, ONEOF),
    (Protobuf, "oneof taken apart", Full, ONEOF),
    (Protobuf, "proto2: required field added", None, REQUIRED),
    (Protobuf, "proto2: required field removed", None, REQUIRED),
    (Protobuf, "proto2: optional became required", None, REQUIRED),
    (Protobuf, "proto2: required became optional", None, REQUIRED),
    (
        Protobuf,
        "proto2: group became a message",
        Backward,
        "it does not look at groups; on the wire one has another form than a message",
    ),
    (
        Protobuf,
        "another message of the file changed",
        None,
        "it compares all messages of a file; we compare the one that the event is, and what it uses",
    ),
];
