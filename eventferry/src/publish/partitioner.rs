//! Which partition a key belongs to, as Kafka's Java client decides it.

/// The partition of a key among `count`: murmur2 of the key's bytes, made positive, modulo `count`.
///
/// The Java client's default partitioner and librdkafka's `murmur2_random` agree with it for every non-null key. A topic has at least one
/// partition: a `count` of 0 is taken for 1.
///
/// # Examples
/// ```
/// use eventferry::publish::partitioner::partition_of;
///
/// assert_eq!(partition_of(b"42", 6), partition_of(b"42", 6));
/// assert!((0..6).contains(&partition_of(b"42", 6)));
/// ```
pub fn partition_of(key: &[u8], count: u32) -> i32 {
    i32::try_from((murmur2(key) & 0x7fff_ffff) % count.max(1)).unwrap_or(0)
}

/// 32-bit `MurmurHash2` (Austin Appleby, public domain) with the seed Kafka uses.
fn murmur2(data: &[u8]) -> u32 {
    const M: u32 = 0x5bd1_e995;
    let length = u32::try_from(data.len()).unwrap_or(u32::MAX);
    let mut h = 0x9747_b28c ^ length;
    let mut words = data.chunks_exact(4);
    for word in &mut words {
        let mut k = u32::from_le_bytes([word[0], word[1], word[2], word[3]]).wrapping_mul(M);
        k = (k ^ (k >> 24)).wrapping_mul(M);
        h = h.wrapping_mul(M) ^ k;
    }
    let rest = words.remainder();
    if !rest.is_empty() {
        for (i, byte) in rest.iter().enumerate() {
            h ^= u32::from(*byte) << (8 * i);
        }
        h = h.wrapping_mul(M);
    }
    h = (h ^ (h >> 13)).wrapping_mul(M);
    h ^ (h >> 15)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_match_kafkas_own_test_vectors() {
        // UtilsTest.testMurmur2 of Apache Kafka.
        for (key, hash) in [
            ("21", -973_932_308),
            ("foobar", -790_332_482),
            ("a-little-bit-long-string", -985_981_536),
            ("a-little-bit-longer-string", -1_486_304_829),
            ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
            ("abc", 479_470_107),
        ] {
            assert_eq!(murmur2(key.as_bytes()), i32::cast_unsigned(hash), "{key}");
        }
    }
}
