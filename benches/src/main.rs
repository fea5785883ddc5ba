//! Measures the server beside floors of the same run: bare sockets that do nothing but move the same bytes, and a bare file
//! that is synced. Ratios travel between machines, absolute figures do not.
//!
//! ```text
//! cargo build --release -p chat-server && cargo run --release -p chat-bench -- fanout
//! ```
//!
//! The server runs on one core, the load comes from another. Rounds of floor and server alternate, so that what else the
//! machine does meets both; each figure is the median of the rounds. What the loader itself and the rest of the machine used
//! is told too: where the loader is busy all the time, or others are, a figure says little. Linux only.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command-line tool: it talks on its streams"
)]

mod bare;
mod beside;
mod chart;
mod disk;
mod fanout;
mod host;
mod http;
mod idle;
mod layers;
mod machine;
mod mixed;
mod options;
mod pairs;
mod paper;
mod progress;
mod report;
mod scene;
mod server;
mod sockets;
mod storm;
mod summary;
mod table;
mod tasks;
mod town;
mod window;
mod wire;
mod ws;

use std::process::ExitCode;

use clap::Parser;

use options::{Options, Workload};

/// What goes wrong is told to a person, once, and ends the run.
pub(crate) type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

fn main() -> ExitCode {
    let options = Options::parse();
    let cores = options.cores;
    let reports = match &options.workload {
        Workload::Fanout(fanout) => fanout::run(fanout, cores),
        Workload::Pairs(pairs) => pairs::run(pairs, cores).map(|one| vec![one]),
        Workload::Idle(idle) => idle::run(idle, cores).map(|one| vec![one]),
        Workload::Mixed(mixed) => mixed::run(mixed, cores).map(|one| vec![one]),
        Workload::Storm(storm) => storm::run(storm, cores).map(|one| vec![one]),
        Workload::Fsync(fsync) => disk::run(fsync).map(|one| vec![one]),
        Workload::Table(table) => return ended(table::print(table)),
        Workload::Summary(summary) => return ended(summary::print(summary)),
        // Children of this program itself.
        Workload::Bare(bare) => return ended(bare::serve(bare)),
        Workload::Host(host) => return ended(host::serve(host)),
    };
    ended(reports.and_then(|reports| {
        if options.json {
            println!("{}", serde_json::to_string_pretty(&reports)?);
        } else {
            reports.iter().for_each(|report| println!("{report}"));
        }
        Ok(())
    }))
}

fn ended(outcome: Outcome<()>) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("chat-bench: {error}");
            ExitCode::FAILURE
        }
    }
}
