//! What every librdkafka client of this publisher has in common: where its log lines and its own errors go.

use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::KafkaError;
use tracing::{debug, error, trace, warn};

/// Passes one of librdkafka's log lines on. They name brokers and topics, never a payload; librdkafka hides secrets in them itself.
pub(super) fn log(level: RDKafkaLogLevel, facility: &str, line: &str) {
    match level {
        RDKafkaLogLevel::Emerg | RDKafkaLogLevel::Alert | RDKafkaLogLevel::Critical => {
            error!(target: "librdkafka", facility, "{line}");
        }
        // To librdkafka a refused connection is an error; here it is retried, so nobody must act yet.
        RDKafkaLogLevel::Error | RDKafkaLogLevel::Warning => warn!(target: "librdkafka", facility, "{line}"),
        RDKafkaLogLevel::Notice | RDKafkaLogLevel::Info => debug!(target: "librdkafka", facility, "{line}"),
        RDKafkaLogLevel::Debug => trace!(target: "librdkafka", facility, "{line}"),
    }
}

/// Passes on the statistics that `statistics.interval.ms` asks for, as librdkafka's own JSON.
pub(super) fn stats(json: &[u8]) {
    debug!(target: "librdkafka::stats", statistics = %String::from_utf8_lossy(json));
}

/// Passes on an error that belongs to no event. The client goes on by itself.
pub(super) fn client_error(error: &KafkaError, reason: &str) {
    warn!(target: "librdkafka", code = ?error.rdkafka_error_code(), "{reason}");
}
