//! Whose fault each of librdkafka's codes is.

use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use crate::publish::{PublishError, PublishErrorKind, Scope};

/// Whose fault a code is, when it comes back for one event that was sent alone.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "foreign codes: one nobody thought of is the event's until it proves otherwise"
)]
pub(super) fn kind_of(code: RDKafkaErrorCode) -> PublishErrorKind {
    use RDKafkaErrorCode as Code;
    match code {
        Code::BrokerTransportFailure
        | Code::AllBrokersDown
        | Code::Resolve
        | Code::SSL
        | Code::Authentication
        | Code::SaslAuthenticationFailed
        | Code::IllegalSASLState
        | Code::UnsupportedSASLMechanism
        | Code::ClusterAuthorizationFailed
        | Code::SecurityDisabled
        | Code::OperationTimedOut
        | Code::TimedOutQueue
        | Code::BrokerDestroy
        | Code::DestroyBroker
        | Code::CriticalSystemResource
        | Code::BrokerNotAvailable
        | Code::NetworkException
        | Code::RequestTimedOut
        | Code::StaleControllerEpoch
        | Code::NotController
        | Code::CoordinatorLoadInProgress
        | Code::CoordinatorNotAvailable
        | Code::NotCoordinator
        | Code::UnsupportedVersion
        | Code::UnsupportedFeature
        | Code::RebootstrapRequired => PublishErrorKind::Unavailable(Scope::Publisher),
        Code::UnknownTopic | Code::UnknownTopicOrPartition | Code::UnknownTopicId | Code::TopicAuthorizationFailed => {
            PublishErrorKind::Unavailable(Scope::Topic)
        }
        Code::UnknownPartition
        | Code::MessageTimedOut
        | Code::ISRInsufficient
        | Code::LeaderNotAvailable
        | Code::NotLeaderForPartition
        | Code::ReplicaNotAvailable
        | Code::NotEnoughReplicas
        | Code::NotEnoughReplicasAfterAppend
        | Code::KafkaStorageError
        | Code::LogDirNotFound
        | Code::FencedLeaderEpoch
        | Code::UnknownLeaderEpoch
        | Code::PreferredLeaderNotAvailable
        | Code::EligibleLeadersNotAvailable => PublishErrorKind::Unavailable(Scope::Partition),
        Code::QueueFull | Code::ThrottlingQuotaExceeded => PublishErrorKind::Throttled,
        Code::MessageSizeTooLarge
        | Code::MessageBatchTooLarge
        | Code::InvalidMessageSize
        | Code::InvalidRecord
        | Code::InvalidTimestamp
        | Code::InvalidTopic
        | Code::InvalidArgument
        | Code::UnsupportedForMessageFormat
        | Code::PolicyViolation
        | Code::KeySerialization
        | Code::ValueSerialization => PublishErrorKind::Rejected,
        Code::Fenced | Code::ProducerFenced | Code::InvalidProducerEpoch | Code::TransactionCoordinatorFenced => PublishErrorKind::Fenced,
        _ => PublishErrorKind::Retriable,
    }
}

/// The same for a report of a pipelined session, which concerns a batch: what refused it may be a neighbour, so nothing is ever dead by it.
pub(super) fn kind_of_batch(code: RDKafkaErrorCode) -> PublishErrorKind {
    match kind_of(code) {
        // The partition was computed from the topic's number of partitions, so it is the topic that changed, or went.
        PublishErrorKind::Unavailable(Scope::Partition) if code == RDKafkaErrorCode::UnknownPartition => {
            PublishErrorKind::Unavailable(Scope::Topic)
        }
        // A session has no transactional id: a changed epoch is the end of the session and of nothing else.
        PublishErrorKind::Rejected | PublishErrorKind::Fenced => PublishErrorKind::Retriable,
        kind @ (PublishErrorKind::Unavailable(_) | PublishErrorKind::Throttled | PublishErrorKind::Retriable) => kind,
    }
}

/// What to do about it, where there is something to do.
#[expect(clippy::wildcard_enum_match_arm, reason = "foreign codes: most say enough by their name")]
pub(super) fn advice(code: RDKafkaErrorCode) -> &'static str {
    use RDKafkaErrorCode as Code;
    match code {
        Code::UnknownTopic | Code::UnknownTopicOrPartition | Code::UnknownTopicId => "; create the topic",
        Code::InvalidTopic => "; a topic has 1 to 249 letters, digits, `.`, `_` and `-`",
        Code::UnknownPartition => "; the topic has fewer partitions",
        Code::TopicAuthorizationFailed => "; grant WRITE and DESCRIBE on the topic",
        Code::ClusterAuthorizationFailed => "; grant IDEMPOTENT_WRITE on the cluster",
        Code::Authentication | Code::SaslAuthenticationFailed | Code::UnsupportedSASLMechanism | Code::IllegalSASLState => {
            "; check security.protocol and the sasl settings"
        }
        Code::MessageSizeTooLarge => "; raise message.max.bytes of the publisher and max.message.bytes of the topic, or send less",
        Code::NotEnoughReplicas | Code::NotEnoughReplicasAfterAppend => "; fewer replicas are in sync than min.insync.replicas asks for",
        _ => "",
    }
}

/// The failure of something tried on a topic: `failed to <attempt> topic `orders`: <code>`.
pub(super) fn failure(kind: PublishErrorKind, attempt: &str, topic: &str, code: RDKafkaErrorCode) -> PublishError {
    PublishError::new(kind, format!("failed to {attempt} topic `{topic}`: {code}{}", advice(code)))
}

/// The code of a failed call; a call that has none could not be made at all.
pub(super) fn code_of(error: &KafkaError) -> RDKafkaErrorCode {
    error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::InvalidArgument)
}

#[cfg(test)]
mod tests {
    use RDKafkaErrorCode as Code;

    use super::*;

    const PUBLISHER: PublishErrorKind = PublishErrorKind::Unavailable(Scope::Publisher);
    const TOPIC: PublishErrorKind = PublishErrorKind::Unavailable(Scope::Topic);
    const PARTITION: PublishErrorKind = PublishErrorKind::Unavailable(Scope::Partition);

    #[test]
    fn every_code_has_somebody_whose_fault_it_is() {
        for (code, alone, in_a_batch) in [
            (Code::BrokerTransportFailure, PUBLISHER, PUBLISHER),
            (Code::AllBrokersDown, PUBLISHER, PUBLISHER),
            (Code::Resolve, PUBLISHER, PUBLISHER),
            (Code::OperationTimedOut, PUBLISHER, PUBLISHER),
            (Code::RequestTimedOut, PUBLISHER, PUBLISHER),
            (Code::NetworkException, PUBLISHER, PUBLISHER),
            (Code::Authentication, PUBLISHER, PUBLISHER),
            (Code::SaslAuthenticationFailed, PUBLISHER, PUBLISHER),
            (Code::ClusterAuthorizationFailed, PUBLISHER, PUBLISHER),
            (Code::UnknownTopic, TOPIC, TOPIC),
            (Code::UnknownTopicOrPartition, TOPIC, TOPIC),
            (Code::UnknownTopicId, TOPIC, TOPIC),
            (Code::TopicAuthorizationFailed, TOPIC, TOPIC),
            (Code::UnknownPartition, PARTITION, TOPIC),
            (Code::MessageTimedOut, PARTITION, PARTITION),
            (Code::LeaderNotAvailable, PARTITION, PARTITION),
            (Code::NotLeaderForPartition, PARTITION, PARTITION),
            (Code::NotEnoughReplicas, PARTITION, PARTITION),
            (Code::NotEnoughReplicasAfterAppend, PARTITION, PARTITION),
            (Code::KafkaStorageError, PARTITION, PARTITION),
            (Code::QueueFull, PublishErrorKind::Throttled, PublishErrorKind::Throttled),
            (
                Code::ThrottlingQuotaExceeded,
                PublishErrorKind::Throttled,
                PublishErrorKind::Throttled,
            ),
            (Code::MessageSizeTooLarge, PublishErrorKind::Rejected, PublishErrorKind::Retriable),
            (Code::MessageBatchTooLarge, PublishErrorKind::Rejected, PublishErrorKind::Retriable),
            (Code::InvalidRecord, PublishErrorKind::Rejected, PublishErrorKind::Retriable),
            (Code::InvalidTimestamp, PublishErrorKind::Rejected, PublishErrorKind::Retriable),
            (Code::PolicyViolation, PublishErrorKind::Rejected, PublishErrorKind::Retriable),
            (Code::Fenced, PublishErrorKind::Fenced, PublishErrorKind::Retriable),
            (Code::ProducerFenced, PublishErrorKind::Fenced, PublishErrorKind::Retriable),
            (Code::InvalidMessage, PublishErrorKind::Retriable, PublishErrorKind::Retriable),
            (
                Code::OutOfOrderSequenceNumber,
                PublishErrorKind::Retriable,
                PublishErrorKind::Retriable,
            ),
            (Code::GaplessGuarantee, PublishErrorKind::Retriable, PublishErrorKind::Retriable),
            (Code::PurgeInflight, PublishErrorKind::Retriable, PublishErrorKind::Retriable),
            (Code::Unknown, PublishErrorKind::Retriable, PublishErrorKind::Retriable),
        ] {
            assert_eq!(kind_of(code), alone, "{code:?} alone");
            assert_eq!(kind_of_batch(code), in_a_batch, "{code:?} in a batch");
        }
    }

    #[test]
    fn the_text_names_the_attempt_the_topic_the_code_and_the_remedy() {
        let error = failure(
            kind_of(Code::UnknownTopicOrPartition),
            "publish to",
            "orders",
            Code::UnknownTopicOrPartition,
        );
        assert_eq!(
            error.to_string(),
            "failed to publish to topic `orders`: UnknownTopicOrPartition (Broker: Unknown topic or partition); create the topic"
        );
    }
}
