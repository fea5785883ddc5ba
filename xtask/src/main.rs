//! Developer commands: `cargo xtask help` lists them.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a developer's tool speaks to the terminal"
)]

mod bench;
mod browser;
mod count;
mod page;
mod postgres;
mod run;
mod serve;
mod test;
mod web;

use std::process::ExitCode;

const HELP: &str = "\
cargo xtask <command>

  serve [-- options]   builds the web client when it is missing or older than its source, then
                       runs the server in release; what follows `--` goes to the server
                       (`cargo xtask serve -- --help` lists its options)
  test [--keep-going]  everything CI runs: format, web client, lints, all tests, docs, dependency
                       rules, one test in a real browser; stops at the first step that fails
  bench                runs the load generator beside its floors, some 6 minutes, and writes the table
                       in README.md and docs/performance.md, and the chart; best on a machine that
                       does nothing else, with nats-server, redis-server and node as peers
  bench stores         measures every store beside its disk, some 10 minutes, and writes the table
                       in docs/performance.md; CHAT_BENCH_MESSAGES says how many messages pages are
                       read from (200,000), TMPDIR on which disk
  bench hub            measures the chat in process: fan-out, resuming, many who connect at once
  bench web            measures the web client in Chromium against its budgets, with 100,000 messages
  types                writes docs/openapi.json and frontend/src/api/schema.ts anew, from the types
                       of the frames and bodies; `test` fails while they are old
  screenshots          runs the browser test and leaves its pictures in docs/
  help                 this

Needs Rust, Node 20.19 or later and npm; `test` and `screenshots` need Chromium too, which they
install when they run as root on Debian. CHROMIUM names a browser that stands elsewhere.
";

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    let arguments: Vec<_> = arguments.iter().map(|one| one.to_string_lossy()).collect();
    let arguments: Vec<&str> = arguments.iter().map(|one| &**one).collect();
    let outcome = match arguments.as_slice() {
        [] | ["help" | "--help" | "-h"] => {
            print!("{HELP}");
            return ExitCode::SUCCESS;
        }
        ["serve"] => serve::serve(&[]),
        ["serve", "--", options @ ..] => serve::serve(options),
        ["test"] => return test::test(false),
        ["test", "--keep-going"] => return test::test(true),
        ["bench"] => bench::loads(),
        ["bench", "hub"] => bench::hub(),
        ["bench", "stores"] => bench::stores(),
        ["bench", "web"] => bench::web(),
        ["types"] => web::types(),
        ["screenshots"] => test::screenshots(),
        other => Err(format!(
            "unknown: {}; `cargo xtask help` lists the commands",
            other.join(" ")
        )),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("xtask: {message}");
            ExitCode::FAILURE
        }
    }
}
