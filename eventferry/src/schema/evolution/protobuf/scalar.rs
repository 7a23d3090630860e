//! What the wire carries for one type, read as another.

use prost_types::field_descriptor_proto::Type;

/// What becomes of the values of one type that are read as another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reading {
    /// Every value stays what it is.
    Kept,
    /// The wire is read, but some values become others.
    Changed,
    /// The wire is not read.
    Lost,
}

/// The types that share a form on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// A number, or for a negative one the number two's complement makes of it in 64 bits.
    Varint,
    Zigzag,
    Four,
    Eight,
    Float,
    Double,
    Bytes,
    Group,
}

fn form(scalar: Type) -> Form {
    match scalar {
        Type::Int32 | Type::Int64 | Type::Uint32 | Type::Uint64 | Type::Bool | Type::Enum => Form::Varint,
        Type::Sint32 | Type::Sint64 => Form::Zigzag,
        Type::Fixed32 | Type::Sfixed32 => Form::Four,
        Type::Fixed64 | Type::Sfixed64 => Form::Eight,
        Type::Float => Form::Float,
        Type::Double => Form::Double,
        Type::String | Type::Bytes | Type::Message => Form::Bytes,
        Type::Group => Form::Group,
    }
}

/// How the values of one scalar type are read as another.
pub(super) fn reading(wrote: Type, reads: Type) -> Reading {
    if wrote == reads {
        return Reading::Kept;
    }
    if form(wrote) != form(reads) {
        return Reading::Lost;
    }
    match (wrote, reads) {
        (Type::Bool, _)
        | (Type::Int32 | Type::Enum | Type::Uint32, Type::Int64)
        | (Type::Uint32, Type::Uint64)
        | (Type::Enum, Type::Int32)
        | (Type::Sint32, Type::Sint64)
        | (Type::String, Type::Bytes) => Reading::Kept,
        // Bytes need not be a text: a reader may refuse the whole message.
        (Type::Bytes, Type::String) => Reading::Lost,
        _ => Reading::Changed,
    }
}

/// The name of a type in a `.proto` file.
pub(super) fn name(scalar: Type) -> String {
    scalar.as_str_name().trim_start_matches("TYPE_").to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_one_way_is_kept_back_only_for_equals() {
        let all = (1..=18).filter_map(|number| Type::try_from(number).ok()).collect::<Vec<_>>();
        assert_eq!(all.len(), 18);
        let mut kept = Vec::new();
        for wrote in &all {
            for reads in all.iter().filter(|reads| *reads != wrote) {
                if reading(*wrote, *reads) == Reading::Kept {
                    assert_ne!(reading(*reads, *wrote), Reading::Kept, "{wrote:?} {reads:?}");
                    kept.push(format!("{} {}", name(*wrote), name(*reads)));
                }
            }
        }
        assert_eq!(kept.len(), 12, "{kept:?}");
    }
}
