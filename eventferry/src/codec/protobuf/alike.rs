//! Whether two `.proto` files say the same, however they are written: as a text, or compiled and in base 64, as some clients register them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use prost::Message as _;
use prost_types::{DescriptorProto, FileDescriptorProto};

use crate::schema::google;

const PATH: &str = "schema.proto";

/// Whether both declare the same messages, fields and enums in the same order. Comments, the file's name and its options, imports that are not used,
/// and names in JSON say nothing of what is on the wire. A file that imports others than Google's is like none: what is in them is not told.
pub(crate) fn are_alike(a: &str, b: &str) -> bool {
    normal(a).is_some_and(|a| normal(b) == Some(a))
}

fn normal(text: &str) -> Option<FileDescriptorProto> {
    let mut file = match STANDARD.decode(text.trim()) {
        Ok(compiled) if !compiled.is_empty() => FileDescriptorProto::decode(compiled.as_slice()).ok()?,
        Ok(_) | Err(_) => protox_parse::parse(PATH, text).ok()?,
    };
    file.name = Some(PATH.to_owned());
    file.source_code_info = None;
    file.options = None;
    if file.syntax() == "proto2" {
        file.syntax = None;
    }
    // The pool spells out the names of types that a text leaves short.
    let mut pool = google::pool();
    pool.add_file_descriptor_proto(file).ok()?;
    let mut file = pool.get_file_by_name(PATH)?.file_descriptor_proto().clone();
    // What they were needed for is found now.
    file.dependency.clear();
    file.public_dependency.clear();
    file.weak_dependency.clear();
    file.message_type.iter_mut().for_each(forget_json);
    file.extension.iter_mut().for_each(|field| field.json_name = None);
    Some(file)
}

/// Files nest less deeply than the parser and the decoder of compiled ones allow.
fn forget_json(message: &mut DescriptorProto) {
    for field in message.field.iter_mut().chain(&mut message.extension) {
        field.json_name = None;
    }
    message.nested_type.iter_mut().for_each(forget_json);
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"
        syntax = "proto3";
        package shop;
        import "google/protobuf/timestamp.proto";
        // An order.
        message Placed {
            string order_id = 1;
            optional Money total = 2;
            map<string, Money> lines = 3;
            message Money { int64 cents = 1; Kind kind = 2; }
            oneof to { string street = 4; uint32 box = 5; }
            google.protobuf.Timestamp at = 6;
        }
        enum Kind { NEW = 0; OLD = 1; }
    "#;

    /// As a client that compiles its files would register it.
    fn compiled(text: &str) -> String {
        let mut pool = google::pool();
        let mut file = protox_parse::parse("elsewhere/order.proto", text).unwrap();
        file.options = Some(prost_types::FileOptions {
            java_package: Some("com.acme".to_owned()),
            ..prost_types::FileOptions::default()
        });
        pool.add_file_descriptor_proto(file).unwrap();
        let mut file = pool
            .get_file_by_name("elsewhere/order.proto")
            .unwrap()
            .file_descriptor_proto()
            .clone();
        file.message_type[0].field[0].json_name = Some("order_id".to_owned());
        STANDARD.encode(file.encode_to_vec())
    }

    #[test]
    fn a_file_is_alike_however_it_is_written() {
        let short = TEXT.replace("// An order.", "").replace("            ", " ");
        let full = TEXT.replace("Money total", ".shop.Placed.Money total");
        let unused = TEXT.replace("import", "import \"google/protobuf/any.proto\"; import");
        for other in [TEXT, &short, &full, &unused, &compiled(TEXT)] {
            assert!(are_alike(TEXT, other) && are_alike(other, TEXT), "{other}");
        }
    }

    #[test]
    fn a_file_that_says_something_else_is_not() {
        for (from, to) in [
            ("int64 cents", "int32 cents"),
            ("cents = 1", "cents = 3"),
            ("order_id", "number"),
            ("optional Money total", "Money total"),
            ("package shop", "package store"),
            ("OLD = 1", "OLD = 2"),
            ("timestamp.proto", "duration.proto"),
            ("uint32 box = 5;", ""),
            ("\"proto3\"", "\"proto2\""),
        ] {
            let other = TEXT.replace(from, to);
            assert_ne!(other, TEXT);
            assert!(!are_alike(TEXT, &other), "{from}");
        }
        for broken in ["message {", "CgxwbGFjZWQ=", "\u{0}"] {
            assert!(!are_alike(broken, broken), "{broken}");
        }
    }
}
