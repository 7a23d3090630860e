//! No bytes make a reader panic, be busy for long, or ask for more memory than the payload pays for: measured by an allocator that counts.

mod events;
mod payloads;
mod readers;

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use eventferry::Message;
use eventferry::codec::Violation;
use fastrand::Rng;
use peak_alloc::PeakAlloc;

use crate::events::Things;
use crate::payloads::{dense, good, large, nested, promising};
use crate::readers::{Format, Readers, Way};

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// What reading may hold at once beside the message: so many bytes for each byte of the payload, and so many more.
///
/// A list grows by doubling, while the old and the new one are both there: three times what its items take. The figures are those of this
/// test's events, whose smallest items are three bytes of JSON or two of Protobuf and more than a hundred in memory; where another type's are
/// larger, so is its figure.
fn bound(format: Format, way: Way) -> (usize, usize) {
    match (format, way) {
        // `{"":0}` takes 632 bytes as a value, and a value in an object in an object no more.
        (Format::Json, Way::Plain | Way::Strict | Way::Masked | Way::Decrypted | Way::CloudEvent) => (160, 64_000),
        // Violations in what may be null are all found before the first is known.
        (Format::Json, Way::Checked | Way::Both | Way::Framed | Way::Foreign) => (320, 2_500_000),
        (Format::Avro, Way::Masked) => (320, 1_500_000),
        (Format::Avro, Way::Foreign) => (260, 1_500_000),
        (Format::Avro, _) => (64, 64_000),
        (Format::Proto, Way::Plain | Way::Decrypted | Way::CloudEvent) => (120, 64_000),
        // The fields of each message as a tree, and the same as JSON.
        (Format::Proto, Way::Masked) => (640, 500_000),
        (Format::Proto, Way::Checked | Way::Strict | Way::Both | Way::Framed | Way::Foreign) => (360, 200_000),
    }
}

/// How long a processor may be busy with a payload, not optimized; what is not linear takes far longer.
fn long(length: usize) -> Duration {
    Duration::from_secs(1) + Duration::from_micros(2 * length as u64)
}

/// How long this thread has been busy, whatever else the machine does; none where the system does not say.
fn busy() -> Option<Duration> {
    let said = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    said.split(' ').next()?.parse().ok().map(Duration::from_nanos)
}

/// The allocator counts for the whole process, so one test runs at a time.
fn alone() -> (MutexGuard<'static, ()>, Readers) {
    static ALONE: Mutex<()> = Mutex::new(());
    let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let readers = Readers::new();
    for format in Format::ALL {
        for way in Way::ALL {
            // What is compiled once is compiled now. No way of reading is measured that does not read.
            let read = readers.read(way, &Readers::message(format, way, &good(format, way)));
            assert!(read, "{format:?} {way:?}");
        }
    }
    (alone, readers)
}

/// Reads a payload and returns how many bytes it took for each of the payload's, what is allowed to any left out.
fn held(readers: &Readers, format: Format, way: Way, what: &str, payload: &[u8]) -> usize {
    let message = Readers::message(format, way, payload);
    let (each, beside) = bound(format, way);
    let started = busy();
    let before = MEMORY.current_usage();
    MEMORY.reset_peak_usage();
    readers.read(way, &message);
    let peak = MEMORY.peak_usage().saturating_sub(before);
    let length = payload.len();
    assert!(
        peak <= each * length + beside,
        "{what} ({format:?}, {way:?}): {peak} bytes for {length}, first of which are {:?}",
        &payload[..length.min(64)]
    );
    let took = busy()
        .zip(started)
        .map_or(Duration::ZERO, |(ended, started)| ended.saturating_sub(started));
    assert!(took < long(length), "{what} ({format:?}, {way:?}): {took:?} for {length} bytes");
    peak.saturating_sub(beside) / length.max(1)
}

fn everywhere(mut each: impl FnMut(Format, Way)) {
    for format in Format::ALL {
        for way in Way::ALL {
            each(format, way);
        }
    }
}

#[test]
#[expect(clippy::print_stdout, reason = "the figures")]
fn what_costs_the_most_for_its_bytes_stays_within_the_bound() {
    let (_alone, readers) = alone();
    everywhere(|format, way| {
        let (mut most, mut worst) = (0, "");
        for size in [300, 9_000, 33_000] {
            for (what, payload) in dense(format, way, size) {
                let cost = held(&readers, format, way, what, &payload);
                if cost > most {
                    (most, worst) = (cost, what);
                }
            }
        }
        println!("{format:?} {way:?}: {most} bytes for each, {worst}");
        // A bound that nothing comes near says nothing.
        assert!(
            most * 4 >= bound(format, way).0 || (format, way) == (Format::Proto, Way::Strict),
            "{format:?} {way:?}: {most}"
        );
    });
}

#[test]
fn what_promises_more_than_it_holds_is_charged_for_what_it_holds() {
    let (_alone, readers) = alone();
    everywhere(|format, way| {
        for payload in promising(format, &good(format, way)) {
            held(&readers, format, way, "a promise", &payload);
        }
    });
}

/// The place of a Protobuf message in its file, which stands before the payload of others, has a count of its own.
#[test]
fn a_frame_that_promises_many_positions_is_charged_for_those_it_has() {
    let (_alone, readers) = alone();
    for count in [
        [0xfe, 0xff, 0xff, 0xff, 0x0f].as_slice(),
        &[0x80, 0x80, 0x80, 0x01],
        &[0x80, 0x08],
        &[0x7e],
    ] {
        for positions in [0, 3, 70] {
            let bytes = [&[0, 0, 0, 0, 3], count, &vec![0; positions][..]].concat();
            let message = Message::new("proto", bytes);
            let before = MEMORY.current_usage();
            MEMORY.reset_peak_usage();
            readers.read(Way::Framed, &message);
            let peak = MEMORY.peak_usage().saturating_sub(before);
            assert!(peak < 4_000, "{count:?}: {peak}");
        }
    }
}

#[test]
fn what_is_nested_is_read_or_refused_and_never_overflows() {
    let (_alone, readers) = alone();
    everywhere(|format, way| {
        for size in [2_000, 1_000_000] {
            for (what, payload) in nested(format, size) {
                held(&readers, format, way, what, &payload);
            }
        }
    });
}

#[test]
#[expect(clippy::print_stdout, reason = "the seed is shown where the test fails")]
fn what_is_cut_changed_or_random_stays_within_the_bound() {
    let (_alone, readers) = alone();
    let seed = std::env::var("EVENTFERRY_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or_else(|| fastrand::u64(..));
    println!("EVENTFERRY_SEED={seed}");
    let mut rng = Rng::with_seed(seed);
    everywhere(|format, way| {
        let good = good(format, way);
        for end in 0..good.len() {
            held(&readers, format, way, "cut", &good[..end]);
        }
        for _ in 0..200 {
            let mut changed = good.clone();
            for _ in 0..rng.usize(1..4) {
                let at = rng.usize(..changed.len());
                changed[at] = rng.u8(..);
            }
            held(&readers, format, way, "changed", &changed);
            let random: Vec<u8> = (0..rng.usize(..600)).map(|_| rng.u8(..)).collect();
            held(&readers, format, way, "random", &random);
        }
    });
}

#[test]
fn ten_megabytes_stay_within_the_bound() {
    let (_alone, readers) = alone();
    everywhere(|format, way| {
        for (what, payload) in large(format, way) {
            held(&readers, format, way, what, &payload);
        }
    });
}

/// All violations of a large payload would be found before the first is told, so only the first is looked for.
#[test]
fn a_large_payload_is_refused_with_its_first_place_and_a_small_one_with_more() {
    let _alone = alone();
    let events = Things::new().and_then(Things::checked_decode).unwrap();
    for (good, bad, told) in [(900, 20, 16), (5_000, 2, 1)] {
        let texts = [r#""","#.repeat(good), "0,".repeat(bad)].concat();
        let payload = format!(r#"{{"texts":[{}]}}"#, texts.trim_end_matches(','));
        let error = events.decode(&Message::new("json", payload)).unwrap_err();
        let places: Vec<_> = error.violations().iter().map(Violation::pointer).collect();
        let first: Vec<_> = (good..good + told).map(|at| format!("/texts/{at}")).collect();
        assert_eq!(places, first);
    }
}
