//! The example server: one binary, one folder of data.

mod backup;
mod brand;
mod client;
mod copy;
mod import;
mod options;
mod progress;
mod serve;
mod stop;
mod stores;

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use options::{Options, Task};
use tracing_subscriber::EnvFilter;

/// The exit code of what refuses to start, or fails.
const REFUSED: u8 = 2;

fn main() -> ExitCode {
    let options = match Options::try_parse() {
        Ok(options) => options,
        Err(error) if error.use_stderr() => return refuse(&options::in_one_line(&error)),
        Err(help) => {
            // Nobody may be reading; that is no error of this program.
            let _ = help.print();
            return ExitCode::SUCCESS;
        }
    };
    if let Err(why) = log(&options.other.log) {
        return refuse(&why);
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => return refuse(&format!("no threads to run on: {error}")),
    };
    let ended = runtime.block_on(run(&options));
    // What still runs on other threads can acknowledge nothing any more: the store is closed.
    runtime.shutdown_timeout(Duration::from_millis(200));
    ended.unwrap_or_else(|why| refuse(&why))
}

async fn run(options: &Options) -> Result<ExitCode, String> {
    match &options.task {
        None => serve::serve(options).await,
        Some(Task::Copy { from, to, .. }) => copy::copy(from, to).await,
        Some(Task::Backup { from, to, .. }) => backup::backup(from, to),
        Some(Task::ImportOriginal { from, to, .. }) => import::import(from, to).await,
    }
}

/// Logs to stderr what a filter lets through.
fn log(filter: &str) -> Result<(), String> {
    let filter =
        EnvFilter::try_new(filter).map_err(|error| format!("--log {filter:?}: {error}"))?;
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        .init();
    Ok(())
}

/// One line on stderr that says what to mend.
fn refuse(why: &str) -> ExitCode {
    let _ = writeln!(io::stderr(), "chat-server: {}", why.replace('\n', " "));
    ExitCode::from(REFUSED)
}
