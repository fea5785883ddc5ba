//! The client against the real server, over loopback and through a proxy that breaks connections.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "tests"
)]

mod host;
mod loss;
mod proxy;
mod talk;
