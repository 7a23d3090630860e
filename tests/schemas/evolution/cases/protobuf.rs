//! Changes of a Protobuf schema.

use eventferry::schema::SchemaKind;
use eventferry::schema::evolution::Compatibility::{Backward, Forward, Full, None};

use crate::evolution::cases::Case;

fn proto(body: &str) -> String {
    format!("syntax = \"proto3\";\npackage shop;\n\nmessage Order {{\n{body}\n}}\n")
}

fn proto2(body: &str) -> String {
    format!("syntax = \"proto2\";\npackage shop;\n\nmessage Order {{\n{body}\n}}\n")
}

/// A file that imports Google's own.
fn imported(body: &str) -> String {
    let imports = "import \"google/protobuf/timestamp.proto\";\nimport \"google/protobuf/duration.proto\";\n\nmessage";
    proto(body).replacen("message", imports, 1)
}

#[expect(clippy::too_many_lines, reason = "a table")]
pub(super) fn rows() -> Vec<Case> {
    let case = |change, old: &str, new: &str, ours| Case::new(SchemaKind::Protobuf, change, proto(old), proto(new), ours);
    let field = |change, old: &str, new: &str, ours| {
        let one = |kind: &str| proto(&format!("  {kind} a = 1;"));
        Case::new(SchemaKind::Protobuf, change, one(old), one(new), ours)
    };
    let two = |change, old: &str, new: &str, ours| Case::new(SchemaKind::Protobuf, change, proto2(old), proto2(new), ours);
    let imports = |change, old: &str, new: &str, ours| Case::new(SchemaKind::Protobuf, change, imported(old), imported(new), ours);
    let nested = |inner: &str, label: &str| format!("  message Line {{ {inner} }}\n  {label}Line line = 1;");
    let state = |values: &str| format!("  enum State {{ NONE = 0; {values} }}\n  State state = 1;");
    vec![
        case("field added", "  string a = 1;", "  string a = 1;\n  string b = 2;", Full),
        case(
            "optional field added",
            "  string a = 1;",
            "  string a = 1;\n  optional string b = 2;",
            Full,
        ),
        case("field removed", "  string a = 1;\n  string b = 2;", "  string a = 1;", Full),
        case(
            "field removed, number and name reserved",
            "  string a = 1;\n  string b = 2;",
            "  reserved 2;\n  reserved \"b\";\n  string a = 1;",
            Full,
        ),
        case("field renamed", "  string a = 1;", "  string b = 1;", Full),
        case("field of another number", "  string a = 1;", "  string a = 2;", None),
        case(
            "number used for another field of the same type",
            "  string a = 1;\n  string b = 2;",
            "  string a = 1;\n  string c = 2;",
            Full,
        ),
        case(
            "number used for another field of another type",
            "  string a = 1;\n  string b = 2;",
            "  string a = 1;\n  int32 c = 2;",
            None,
        ),
        case(
            "reserved number used",
            "  reserved 2;\n  string a = 1;",
            "  string a = 1;\n  string b = 2;",
            Forward,
        ),
        case(
            "number reserved that nothing used",
            "  string a = 1;",
            "  reserved 2;\n  string a = 1;",
            Full,
        ),
        case(
            "fields in another order",
            "  string a = 1;\n  string b = 2;",
            "  string b = 2;\n  string a = 1;",
            Full,
        ),
        field("int32 became int64", "int32", "int64", Backward),
        field("int64 became int32", "int64", "int32", Forward),
        field("int32 became uint32", "int32", "uint32", None),
        field("uint32 became int64", "uint32", "int64", Backward),
        field("bool became int32", "bool", "int32", Backward),
        field("int32 became sint32", "int32", "sint32", None),
        field("sint32 became sint64", "sint32", "sint64", Backward),
        field("int32 became fixed32", "int32", "fixed32", None),
        field("fixed32 became sfixed32", "fixed32", "sfixed32", None),
        field("int32 became string", "int32", "string", None),
        field("string became bytes", "string", "bytes", Backward),
        field("bytes became string", "bytes", "string", Forward),
        field("float became double", "float", "double", None),
        field("presence added", "string", "optional string", Full),
        field("presence removed", "optional string", "string", Full),
        field("field became repeated", "string", "repeated string", None),
        field(
            "field with presence became repeated",
            "optional string",
            "repeated string",
            Backward,
        ),
        field("repeated became a field", "repeated string", "string", None),
        case(
            "packed became unpacked",
            "  repeated int32 a = 1;",
            "  repeated int32 a = 1 [packed = false];",
            Full,
        ),
        case(
            "field of a nested message added",
            &nested("string a = 1;", ""),
            &nested("string a = 1; string b = 2;", ""),
            Full,
        ),
        case(
            "field of a nested message of another type",
            &nested("string a = 1;", ""),
            &nested("int32 a = 1;", ""),
            None,
        ),
        case(
            "field of a repeated message widened",
            &nested("int32 a = 1;", "repeated "),
            &nested("int64 a = 1;", "repeated "),
            Backward,
        ),
        case(
            "nested message became bytes",
            &nested("string a = 1;", ""),
            "  bytes line = 1;",
            Backward,
        ),
        case(
            "nested message renamed",
            &nested("string a = 1;", ""),
            &nested("string a = 1;", "").replace("Line", "Item"),
            Full,
        ),
        field("values of a map widened", "map<string, int32>", "map<string, int64>", Backward),
        field("values of a map of another type", "map<string, int32>", "map<string, string>", None),
        case(
            "list of entries became a map",
            "  message Entry { string key = 1; int32 value = 2; }\n  repeated Entry a = 1;",
            "  map<string, int32> a = 1;",
            Forward,
        ),
        case("value of an enum added", &state("NEW = 1;"), &state("NEW = 1; PAID = 2;"), Full),
        case("value of an enum removed", &state("NEW = 1; PAID = 2;"), &state("NEW = 1;"), Full),
        case("value of an enum renamed", &state("NEW = 1;"), &state("FRESH = 1;"), Full),
        case(
            "numbers of an enum exchanged",
            &state("NEW = 1; PAID = 2;"),
            &state("NEW = 2; PAID = 1;"),
            None,
        ),
        case("enum became int32", &state("NEW = 1;"), "  int32 state = 1;", Full),
        case(
            "field moved into a new oneof",
            "  string a = 1;",
            "  oneof c { string a = 1; }",
            Full,
        ),
        case(
            "field moved into a oneof with another",
            "  string a = 1;\n  oneof c { string b = 2; }",
            "  oneof c { string a = 1; string b = 2; }",
            Forward,
        ),
        case(
            "two fields moved into a new oneof",
            "  string a = 1;\n  string b = 2;",
            "  oneof c { string a = 1; string b = 2; }",
            Forward,
        ),
        case(
            "field added to a oneof",
            "  oneof c { string a = 1; }",
            "  oneof c { string a = 1; string b = 2; }",
            Full,
        ),
        case(
            "field removed from a oneof",
            "  oneof c { string a = 1; string b = 2; }",
            "  oneof c { string a = 1; }",
            Full,
        ),
        case(
            "oneof taken apart",
            "  oneof c { string a = 1; string b = 2; }",
            "  string a = 1;\n  string b = 2;",
            Backward,
        ),
        case(
            "repeated field added",
            "  string a = 1;",
            "  string a = 1;\n  repeated string b = 2;",
            Full,
        ),
        case("map added", "  string a = 1;", "  string a = 1;\n  map<string, int32> b = 2;", Full),
        case(
            "oneof added",
            "  string a = 1;",
            "  string a = 1;\n  oneof c { string b = 2; int32 d = 3; }",
            Full,
        ),
        case(
            "field became one of two",
            "  string a = 1;",
            "  oneof c { string a = 1; int32 b = 2; }",
            Full,
        ),
        case("reservation removed", "  reserved 2;\n  string a = 1;", "  string a = 1;", Full),
        field("items widened", "repeated int32", "repeated int64", Backward),
        field("items of another type", "repeated string", "repeated int32", None),
        field("keys of a map of another type", "map<string, int32>", "map<int32, int32>", None),
        case(
            "field added to a value of a map",
            "  message Line { string a = 1; }\n  map<string, Line> lines = 1;",
            "  message Line { string a = 1; string b = 2; }\n  map<string, Line> lines = 1;",
            Full,
        ),
        case(
            "field of a nested message removed",
            &nested("string a = 1; string b = 2;", ""),
            &nested("string a = 1;", ""),
            Full,
        ),
        case(
            "nested message moved out",
            &nested("string a = 1;", ""),
            "  Line line = 1;\n}\nmessage Line {\n  string a = 1;",
            Full,
        ),
        case("message became a field", &nested("string a = 1;", ""), "  string line = 1;", None),
        case(
            "value of an enum removed, number and name reserved",
            &state("NEW = 1; PAID = 2;"),
            &state("NEW = 1; reserved 2; reserved \"PAID\";"),
            Full,
        ),
        case(
            "number of an enum used for another value",
            &state("NEW = 1; PAID = 2;"),
            &state("NEW = 1; SENT = 2;"),
            Full,
        ),
        case(
            "value of an enum added in a list",
            &state("NEW = 1;").replace("  State state", "  repeated State state"),
            &state("NEW = 1; PAID = 2;").replace("  State state", "  repeated State state"),
            Full,
        ),
        case(
            "name in JSON changed",
            "  string a = 1;",
            "  string a = 1 [json_name = \"x\"];",
            Full,
        ),
        case("field deprecated", "  string a = 1;", "  string a = 1 [deprecated = true];", Full),
        imports(
            "field of Google's added",
            "  string a = 1;",
            "  string a = 1;\n  google.protobuf.Timestamp b = 2;",
            Full,
        ),
        imports(
            "field of Google's of another type",
            "  google.protobuf.Timestamp a = 1;",
            "  google.protobuf.Duration a = 1;",
            None,
        ),
        imports("time became number", "  google.protobuf.Timestamp a = 1;", "  int64 a = 1;", None),
        imports(
            "field of Google's became repeated",
            "  google.protobuf.Timestamp a = 1;",
            "  repeated google.protobuf.Timestamp a = 1;",
            Backward,
        ),
        Case::new(
            SchemaKind::Protobuf,
            "import added that nothing uses",
            proto("  string a = 1;"),
            imported("  string a = 1;"),
            Full,
        ),
        two(
            "proto2: required became optional",
            "  required string a = 1;",
            "  optional string a = 1;",
            Backward,
        ),
        two(
            "proto2: default added",
            "  optional int32 a = 1;",
            "  optional int32 a = 1 [default = 2];",
            Full,
        ),
        two(
            "proto2: default removed",
            "  optional int32 a = 1 [default = 1];",
            "  optional int32 a = 1;",
            Full,
        ),
        two(
            "proto2: value of an enum removed",
            "  enum State { NEW = 1; PAID = 2; }\n  optional State state = 1;",
            "  enum State { NEW = 1; }\n  optional State state = 1;",
            Forward,
        ),
        two(
            "proto2: group became a message",
            "  optional group Line = 1 { optional string a = 1; }",
            "  message Line { optional string a = 1; }\n  optional Line line = 1;",
            None,
        ),
        Case::new(
            SchemaKind::Protobuf,
            "proto2 became proto3",
            proto2("  optional string a = 1;"),
            proto("  optional string a = 1;"),
            Full,
        ),
        two(
            "proto2: optional field added",
            "  optional string a = 1;",
            "  optional string a = 1;\n  optional string b = 2;",
            Full,
        ),
        two(
            "proto2: required field added",
            "  optional string a = 1;",
            "  optional string a = 1;\n  required string b = 2;",
            Forward,
        ),
        two(
            "proto2: required field removed",
            "  optional string a = 1;\n  required string b = 2;",
            "  optional string a = 1;",
            Backward,
        ),
        two(
            "proto2: optional became required",
            "  optional string a = 1;",
            "  required string a = 1;",
            Forward,
        ),
        two(
            "proto2: default changed",
            "  optional int32 a = 1 [default = 1];",
            "  optional int32 a = 1 [default = 2];",
            Full,
        ),
        two(
            "proto2: value of an enum added",
            "  enum State { NEW = 1; }\n  optional State state = 1;",
            "  enum State { NEW = 1; PAID = 2; }\n  optional State state = 1;",
            Backward,
        ),
        Case::new(
            SchemaKind::Protobuf,
            "message renamed",
            proto("  string a = 1;"),
            proto("  string a = 1;").replace("Order", "Purchase"),
            Full,
        ),
        Case::new(
            SchemaKind::Protobuf,
            "package changed",
            proto("  string a = 1;"),
            proto("  string a = 1;").replace("shop", "store"),
            Full,
        ),
        Case::new(
            SchemaKind::Protobuf,
            "another message of the file changed",
            proto("  string a = 1;") + "\nmessage Other {\n  string a = 1;\n}\n",
            proto("  string a = 1;") + "\nmessage Other {\n  int32 a = 1;\n}\n",
            Full,
        ),
    ]
}
