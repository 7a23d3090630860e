//! What a repository publishes.

use eventferry::{OutboxEvent, define_outbox};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Somebody made a commit.
#[derive(Debug, Serialize, Deserialize, JsonSchema, OutboxEvent)]
#[outbox(topic = "git-commits", aggregate_type = "author")]
pub(crate) struct CommitAuthored {
    /// Name and address.
    #[outbox(aggregate_id)]
    pub(crate) author: String,
    #[schemars(regex(pattern = "^[0-9a-f]{40,64}$"))]
    pub(crate) commit: String,
    pub(crate) seconds: i64,
}

/// A commit touched a file.
#[derive(Debug, Serialize, Deserialize, JsonSchema, OutboxEvent)]
#[outbox(topic = "git-files", aggregate_type = "file")]
pub(crate) struct FileChanged {
    #[outbox(aggregate_id)]
    pub(crate) path: String,
    #[schemars(regex(pattern = "^[0-9a-f]{40,64}$"))]
    pub(crate) commit: String,
    /// Git's letters: `A` added, `M` modified, `D` deleted, `T` another type, `R` renamed.
    #[schemars(length(min = 1))]
    pub(crate) change: String,
}

define_outbox! {
    /// Everything a repository publishes.
    pub(crate) type GitEvents;

    /// One event of a repository, decoded.
    #[derive(Debug)]
    pub(crate) enum GitEvent { CommitAuthored, FileChanged }
}
