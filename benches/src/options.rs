//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Measures a chat server beside floors of the same run.
#[derive(Debug, Parser)]
#[command(name = "chat-bench", version, max_term_width = 100)]
pub(crate) struct Options {
    #[command(subcommand)]
    pub(crate) workload: Workload,

    /// One JSON object instead of a table
    #[arg(long, global = true)]
    pub(crate) json: bool,

    #[command(flatten)]
    pub(crate) cores: Cores,
}

/// Who runs where.
#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct Cores {
    /// The core of the server and of the floors
    #[arg(long, global = true, default_value_t = 0)]
    pub(crate) server_core: usize,

    /// The core of the loader
    #[arg(long, global = true, default_value_t = 1)]
    pub(crate) loader_core: usize,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Workload {
    /// Pairs of users; each sender waits for its own message before it sends the next
    Pairs(Pairs),
    /// The floor of a disk: rows appended and synced
    Fsync(Fsync),
    /// What an idle socket costs the server in memory
    Idle(Idle),
    /// One group, one sender, many receivers
    Fanout(Fanout),
    /// What `cargo bench` measured of the stores, as Markdown
    Table(Table),
    /// The floor: a server of bare sockets
    #[command(hide = true)]
    Bare(Bare),
    /// The server of `fanout`: a chat with one group
    #[command(hide = true)]
    Group(Group),
}

/// Where the figures are.
#[derive(Args, Debug)]
pub(crate) struct Table {
    /// Where criterion left them
    #[arg(long, value_name = "FOLDER", default_value = "target/criterion")]
    pub(crate) criterion: PathBuf,

    /// Where the benchmark left what the stores took (its CHAT_BENCH_SIZES)
    #[arg(long, value_name = "FOLDER", default_value = "target/criterion")]
    pub(crate) sizes: PathBuf,
}

/// Which server is measured.
#[derive(Args, Debug)]
pub(crate) struct Which {
    /// Start this server [default: `chat-server` beside this program]
    #[arg(long, value_name = "PATH")]
    pub(crate) server: Option<PathBuf>,

    /// Its store: `memory` or `sqlite:FILE`, on the disk that is to be measured [default: a new file in the current folder,
    /// removed at the end]
    #[arg(long, value_name = "sqlite:FILE|memory")]
    pub(crate) store: Option<Store>,

    /// Use a server that runs already, started with --no-rate-limits and room for the connections
    #[arg(long, value_name = "ADDRESS:PORT", conflicts_with_all = ["server", "store"], requires = "pid")]
    pub(crate) address: Option<SocketAddr>,

    /// Its process
    #[arg(long, value_name = "PID", requires = "address")]
    pub(crate) pid: Option<u32>,
}

/// Where a chat keeps its data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Store {
    Memory,
    Sqlite(PathBuf),
}

impl FromStr for Store {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once(':') {
            None if text == "memory" => Ok(Self::Memory),
            Some(("sqlite", file)) if !file.is_empty() => Ok(Self::Sqlite(file.into())),
            _ => Err("say `memory` or `sqlite:FILE`"),
        }
    }
}

impl std::fmt::Display for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Memory => f.write_str("memory"),
            Self::Sqlite(file) => write!(f, "sqlite:{}", file.display()),
        }
    }
}

/// How long and how often is measured.
#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct Rounds {
    /// Seconds of a round; the server has idle times between its rounds, and must not hang up in them
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=10))]
    pub(crate) seconds: u64,

    /// Rounds
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=9))]
    pub(crate) rounds: u64,
}

#[derive(Args, Debug)]
pub(crate) struct Pairs {
    /// Pairs of users
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u64).range(1..=2_000))]
    pub(crate) pairs: u64,
    /// Bytes of a message's text
    #[arg(long, default_value_t = 128, value_parser = clap::value_parser!(u64).range(1..=8_192))]
    pub(crate) bytes: u64,
    #[command(flatten)]
    pub(crate) rounds: Rounds,
    #[command(flatten)]
    pub(crate) which: Which,
}

#[derive(Args, Debug)]
pub(crate) struct Fsync {
    /// The folder to write in
    #[arg(long, default_value = ".")]
    pub(crate) folder: PathBuf,
    #[command(flatten)]
    pub(crate) rounds: Rounds,
}

#[derive(Args, Debug)]
pub(crate) struct Idle {
    /// Sockets
    #[arg(long, default_value_t = 5_000, value_parser = clap::value_parser!(u64).range(100..=50_000))]
    pub(crate) sockets: u64,
    /// Users they belong to, evenly; a server allows a user 20 connections
    #[arg(long, default_value_t = 250, value_parser = clap::value_parser!(u64).range(2..=5_000))]
    pub(crate) users: u64,
    #[command(flatten)]
    pub(crate) which: Which,
}

#[derive(Args, Debug)]
pub(crate) struct Fanout {
    /// Connected members of the group; the first one sends
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u64).range(2..=20_000))]
    pub(crate) receivers: u64,
    /// Messages under way: one is until every receiver has it
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u64).range(1..=64))]
    pub(crate) outstanding: u64,
    /// Bytes of a message's text
    #[arg(long, default_value_t = 128, value_parser = clap::value_parser!(u64).range(1..=1_024))]
    pub(crate) bytes: u64,
    /// Where the group is kept
    #[arg(long, default_value = "memory", value_name = "sqlite:FILE|memory")]
    pub(crate) store: Store,
    #[command(flatten)]
    pub(crate) rounds: Rounds,
}

#[derive(Args, Debug)]
pub(crate) struct Bare {
    /// Who gets what one sends
    #[arg(long)]
    pub(crate) to: To,
    /// Bytes of the payload of each frame, so that the floor moves what the server does
    #[arg(long)]
    pub(crate) payload: usize,
}

/// Who gets what one sends to the floor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum To {
    /// Sender and neighbour: the first and second, third and fourth, … to connect.
    Pair,
    /// Everybody.
    All,
}

impl To {
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Pair => "pair",
            Self::All => "all",
        }
    }
}

#[derive(Args, Debug)]
pub(crate) struct Group {
    #[arg(long)]
    pub(crate) members: u64,
    #[arg(long)]
    pub(crate) store: Store,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_options_fit_together() {
        super::Options::command().debug_assert();
    }
}
