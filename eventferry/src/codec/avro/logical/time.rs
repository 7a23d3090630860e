//! Points in time.

macro_rules! timestamp {
    ($module:ident, $what:literal, $schema:expr, $per_second:literal) => {
        #[doc = concat!("A point in time as ", $what, " since 1970-01-01 in UTC; what is finer is cut off towards the past.")]
        ///
        /// On any type that converts to and from [`SystemTime`](std::time::SystemTime), so of any library of times.
        pub mod $module {
            use std::collections::HashSet;
            use std::time::{Duration, SystemTime};

            use apache_avro::Schema;
            use apache_avro::schema::{Name, NamespaceRef, RecordField};
            use serde::de::Error as _;
            use serde::ser::Error as _;
            use serde::{Deserialize, Deserializer, Serializer};

            crate::codec::avro::logical::schema!("`long` with the logical type of the module's name.", $schema);

            const PER_SECOND: i128 = $per_second;
            const NANOS: i128 = 1_000_000_000 / PER_SECOND;

            /// Writes the time.
            ///
            /// # Errors
            /// If it is further from 1970 than an `i64` counts.
            pub fn serialize<T: Clone + Into<SystemTime>, S: Serializer>(time: &T, serializer: S) -> Result<S::Ok, S::Error> {
                let time: SystemTime = time.clone().into();
                let nanos = |duration: Duration| i128::try_from(duration.as_nanos()).unwrap_or(i128::MAX);
                let since = match time.duration_since(SystemTime::UNIX_EPOCH) {
                    Ok(after) => nanos(after),
                    Err(before) => -nanos(before.duration()),
                };
                let count = i64::try_from(since.div_euclid(NANOS)).map_err(|_| S::Error::custom("the time is too far from 1970"))?;
                serializer.serialize_i64(count)
            }

            /// Reads the time.
            ///
            /// # Errors
            /// If the type cannot hold it.
            pub fn deserialize<'de, T: TryFrom<SystemTime>, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
                let count = i64::deserialize(deserializer)?;
                let far = || D::Error::custom("the time is too far from 1970");
                let whole = Duration::from_secs(count.unsigned_abs() / $per_second);
                let rest = u64::try_from(i128::from(count.unsigned_abs() % $per_second) * NANOS).map_err(|_| far())?;
                let distance = whole + Duration::from_nanos(rest);
                let time = match count {
                    0.. => SystemTime::UNIX_EPOCH.checked_add(distance),
                    _ => SystemTime::UNIX_EPOCH.checked_sub(distance),
                };
                time.and_then(|time| T::try_from(time).ok()).ok_or_else(far)
            }
        }
    };
}

timestamp!(timestamp_millis, "milliseconds", Schema::TimestampMillis, 1_000);
timestamp!(timestamp_micros, "microseconds", Schema::TimestampMicros, 1_000_000);
