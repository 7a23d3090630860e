//! What changes of schemas mean: by our own answer, and by a real registry's.

#![expect(clippy::print_stderr, reason = "seeds and figures belong to the report of a run")]

mod cases;
mod differences;
mod matrix;
mod random_avro;
mod random_json;
mod told;
mod wire;

/// Seeds from `EVENTFERRY_SEED`, or from 1; `EVENTFERRY_EVOLUTION_SEEDS` multiplies them, for long runs by hand.
fn seeds(count: u64) -> impl Iterator<Item = u64> {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok()).unwrap_or(1);
    let first = number("EVENTFERRY_SEED");
    let last = first + count * number("EVENTFERRY_EVOLUTION_SEEDS");
    eprintln!("seeds {first} to {}", last - 1);
    first..last
}
