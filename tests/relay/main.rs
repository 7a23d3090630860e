//! The relay on real PostgreSQL and Kafka.

mod crash;
mod failure;
mod order;
mod rig;
mod sharing;
mod upkeep;
