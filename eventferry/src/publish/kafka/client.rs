//! What every librdkafka client of this publisher has in common: where its log lines and its own errors go.

use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::KafkaError;
use tracing::{Level, debug, error, trace, warn};

/// Passes one of librdkafka's log lines on. They name brokers and topics, never a payload; librdkafka hides secrets in them itself.
pub(super) fn log(level: RDKafkaLogLevel, facility: &str, line: &str) {
    // A macro needs its level at compile time.
    match level_of(level) {
        Level::ERROR => error!(target: "librdkafka", facility, "{line}"),
        Level::WARN => warn!(target: "librdkafka", facility, "{line}"),
        Level::INFO | Level::DEBUG => debug!(target: "librdkafka", facility, "{line}"),
        Level::TRACE => trace!(target: "librdkafka", facility, "{line}"),
    }
}

/// To librdkafka a refused connection is an error; here it is retried, so nobody must act yet.
fn level_of(level: RDKafkaLogLevel) -> Level {
    match level {
        RDKafkaLogLevel::Emerg | RDKafkaLogLevel::Alert | RDKafkaLogLevel::Critical => Level::ERROR,
        RDKafkaLogLevel::Error | RDKafkaLogLevel::Warning => Level::WARN,
        RDKafkaLogLevel::Notice | RDKafkaLogLevel::Info => Level::DEBUG,
        RDKafkaLogLevel::Debug => Level::TRACE,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_human_must_mend_is_an_error() {
        for (theirs, ours) in [
            (RDKafkaLogLevel::Critical, Level::ERROR),
            (RDKafkaLogLevel::Error, Level::WARN),
            (RDKafkaLogLevel::Warning, Level::WARN),
            (RDKafkaLogLevel::Notice, Level::DEBUG),
            (RDKafkaLogLevel::Info, Level::DEBUG),
            (RDKafkaLogLevel::Debug, Level::TRACE),
        ] {
            assert_eq!(level_of(theirs), ours, "{theirs:?}");
        }
    }
}
