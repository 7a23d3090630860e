//! Google's own `.proto` files, which every file may import: what is in them is the same for everybody.

use std::sync::LazyLock;

use prost_reflect::DescriptorPool;

/// Below `google/protobuf/`, without their ending.
pub(crate) const FILES: [&str; 12] = [
    "any",
    "api",
    "compiler/plugin",
    "descriptor",
    "duration",
    "empty",
    "field_mask",
    "source_context",
    "struct",
    "timestamp",
    "type",
    "wrappers",
];

/// A pool of these files and of no others.
///
/// The pool that the process shares begins with them too, but a program puts its own files there: a schema of ours may define the same messages
/// again, and must not depend on what it finds beside itself.
pub(crate) fn pool() -> DescriptorPool {
    static POOL: LazyLock<DescriptorPool> = LazyLock::new(|| {
        let shared = DescriptorPool::global();
        let files = FILES
            .iter()
            .filter_map(|name| shared.get_file_by_name(&format!("google/protobuf/{name}.proto")));
        let mut pool = DescriptorPool::new();
        match pool.add_file_descriptor_protos(files.map(|file| file.file_descriptor_proto().clone())) {
            Ok(()) => pool,
            Err(_) => shared,
        }
    });
    POOL.clone()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_is_there_and_none_of_the_program_s_own() {
        let own = protox_parse::parse("own/of_a_program.proto", "syntax = \"proto3\"; message OwnOfAProgram {}").unwrap();
        DescriptorPool::add_global_file_descriptor_proto(own).unwrap();
        let pool = pool();
        for name in FILES {
            assert!(pool.get_file_by_name(&format!("google/protobuf/{name}.proto")).is_some(), "{name}");
        }
        assert_eq!(pool.files().count(), FILES.len());
        assert!(DescriptorPool::global().get_message_by_name("OwnOfAProgram").is_some());
        assert!(pool.get_message_by_name("google.protobuf.Timestamp").is_some());
    }
}
