//! The chat in process, without sockets: one event to many connections, a small conversation beside a large one, connections
//! that come back, and many that come at once.
//!
//! `CHAT_BENCH_CONNECTIONS` says up to how many connections (100,000). All of it runs on one thread, and a delivery counts when
//! the last receiver's task has it.
#![allow(
    clippy::print_stderr,
    missing_docs,
    reason = "a benchmark talks on its streams, and criterion's macros write undocumented items"
)]

mod crowd;
mod fan_out;
mod neighbour;
mod resume;

use criterion::{criterion_group, criterion_main};

type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// Benchmarks cannot return errors: what fails ends the run with a sentence.
fn must<T>(outcome: Outcome<T>) -> T {
    outcome.unwrap_or_else(|error| {
        eprintln!("hub: {error}");
        std::process::exit(1);
    })
}

fn runtime() -> tokio::runtime::Runtime {
    let made = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    must(made.map_err(Into::into))
}

/// Connections that are measured at most.
fn most() -> usize {
    let most = std::env::var("CHAT_BENCH_CONNECTIONS").ok();
    most.and_then(|most| most.parse().ok()).unwrap_or(100_000)
}

criterion_group!(
    hub,
    fan_out::fan_out,
    neighbour::neighbour,
    resume::resume,
    resume::storm
);
criterion_main!(hub);
