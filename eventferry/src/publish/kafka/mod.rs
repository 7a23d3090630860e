//! Kafka, through rdkafka.
