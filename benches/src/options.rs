//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Measures the chat server beside floors of the same run
///
/// A floor is a server of bare sockets that moves the same bytes and does nothing else. Server and floors run on one core, the
/// load comes from another; their rounds alternate, and each figure is the median of its rounds. The ratios are what counts:
/// absolute figures say little on another machine. The columns server, loader and others tell who used how much of a core (others:
/// of the whole machine): with a loader near 100 %, or others far from 0 %, a figure says little.
#[derive(Debug, Parser)]
#[command(name = "chat-bench", version, max_term_width = 100)]
pub(crate) struct Options {
    #[command(subcommand)]
    pub(crate) workload: Workload,

    /// JSON instead of tables
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
    /// One room: a sender, many receivers, each of whom marks as read once a second
    #[command(visible_alias = "w1")]
    Fanout(Fanout),
    /// Pairs of users; each sender waits for its own message before it sends the next
    #[command(visible_alias = "w2")]
    Pairs(Pairs),
    /// What an idle socket costs the server in memory
    #[command(visible_alias = "w3")]
    Idle(Idle),
    /// Groups of all sizes, with typing, read marks and reconnects: latency at half of the highest rate
    #[command(visible_alias = "w4")]
    Mixed(Mixed),
    /// All sockets are cut and come back at once, resuming what they missed
    #[command(visible_alias = "w5")]
    Storm(Storm),
    /// The floor of a disk: rows appended and synced
    Fsync(Fsync),
    /// What `cargo bench` measured of the stores, as Markdown
    Table(Table),
    /// All reports of a folder (written with --json) as one Markdown table and one chart
    Summary(Summary),
    /// The floor: a server of bare sockets
    #[command(hide = true)]
    Bare(Bare),
    /// The server of all but `pairs`: a chat with users and groups in it
    #[command(hide = true)]
    Host(Host),
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

#[derive(Args, Debug)]
pub(crate) struct Summary {
    /// Where the reports are
    #[arg(value_name = "FOLDER")]
    pub(crate) reports: PathBuf,

    /// Where the chart goes (SVG)
    #[arg(long, value_name = "FILE")]
    pub(crate) chart: PathBuf,
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
    #[command(flatten)]
    pub(crate) peers: Peers,
}

/// Other servers on the same workload.
#[derive(Args, Debug)]
pub(crate) struct Peers {
    /// Measure these too, where their programs are installed; they store nothing
    #[arg(
        long = "peer",
        value_enum,
        value_delimiter = ',',
        value_name = "PEER,…"
    )]
    pub(crate) peers: Vec<Peer>,
}

/// A server of somebody else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Peer {
    /// nats-server
    Nats,
    /// redis-server 7, publish and subscribe
    Redis,
    /// Node with the `ws` package
    NodeWs,
}

#[derive(Args, Debug)]
pub(crate) struct Fsync {
    /// The folder to write in
    #[arg(long, default_value = ".")]
    pub(crate) folder: PathBuf,
    #[command(flatten)]
    pub(crate) rounds: Rounds,
}

/// Where a chat of this program's own keeps its data.
#[derive(Args, Debug)]
pub(crate) struct Keeps {
    /// `memory`, or `sqlite:FILE` on the disk that is to be measured [default: a new file in the current folder, removed at
    /// the end]
    #[arg(long, value_name = "sqlite:FILE|memory")]
    pub(crate) store: Option<Store>,
}

#[derive(Args, Debug)]
pub(crate) struct Idle {
    /// Sockets, each of a user with 15 direct conversations and 5 groups
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(100..=50_000))]
    pub(crate) sockets: u64,
    /// Where the chat is kept: in memory, no cache of a database counts as a socket's
    #[arg(long, default_value = "memory", value_name = "sqlite:FILE|memory")]
    pub(crate) store: Store,
}

#[derive(Args, Debug)]
pub(crate) struct Fanout {
    /// Connected members of the group; the first one sends
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u64).range(2..=20_000))]
    pub(crate) receivers: u64,
    /// Messages under way: one is until every receiver has it. Several are measured one after another
    #[arg(long, default_value = "1,8,64", value_delimiter = ',', value_parser = clap::value_parser!(u64).range(1..=64))]
    pub(crate) outstanding: Vec<u64>,
    /// Bytes of a message's text
    #[arg(long, default_value_t = 128, value_parser = clap::value_parser!(u64).range(1..=1_024))]
    pub(crate) bytes: u64,
    #[command(flatten)]
    pub(crate) keeps: Keeps,
    #[command(flatten)]
    pub(crate) rounds: Rounds,
    /// Floors to measure beside it: each takes as many open files as there are receivers
    #[arg(
        long = "floor",
        value_enum,
        value_delimiter = ',',
        default_value = "coalesced,each,task",
        value_name = "FLOOR,…"
    )]
    pub(crate) floors: Vec<How>,
    #[command(flatten)]
    pub(crate) peers: Peers,
    /// Have `perf` watch the server's rounds, and tell which layers its time goes to
    #[arg(long, value_name = "FILE")]
    pub(crate) perf: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub(crate) struct Mixed {
    /// Connected users
    #[arg(long, default_value_t = 2_000, value_parser = clap::value_parser!(u64).range(100..=10_000))]
    pub(crate) users: u64,
    /// Messages a second [default: half of the highest rate, which is measured first]
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=100_000))]
    pub(crate) rate: Option<u64>,
    /// Sockets a second that break, come back and resume
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(0..=500))]
    pub(crate) reconnects: u64,
    #[command(flatten)]
    pub(crate) keeps: Keeps,
    #[command(flatten)]
    pub(crate) rounds: Rounds,
}

#[derive(Args, Debug)]
pub(crate) struct Storm {
    /// Sockets that come back
    #[arg(long, default_value_t = 2_000, value_parser = clap::value_parser!(u64).range(100..=10_000))]
    pub(crate) sockets: u64,
    /// Messages sent while they are away
    #[arg(long, default_value_t = 2_000, value_parser = clap::value_parser!(u64).range(0..=50_000))]
    pub(crate) missed: u64,
    /// Handshakes and resumes under way at once
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u64).range(1..=1_000))]
    pub(crate) at_once: u64,
    /// Rounds
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=9))]
    pub(crate) rounds: u64,
    #[command(flatten)]
    pub(crate) keeps: Keeps,
}

#[derive(Args, Debug)]
pub(crate) struct Bare {
    /// How it writes
    #[arg(long)]
    pub(crate) how: How,
    /// Bytes of the payload of each frame, so that the floor moves what the server does
    #[arg(long)]
    pub(crate) payload: usize,
}

/// How a floor writes to its sockets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum How {
    /// Whatever waits for a socket goes out in one write.
    Coalesced,
    /// One write for each delivery.
    Each,
    /// A tokio task and a queue for each socket, emptied into one write.
    Task,
}

impl How {
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Coalesced => "coalesced",
            Self::Each => "each",
            Self::Task => "task",
        }
    }
}

#[derive(Args, Debug)]
pub(crate) struct Host {
    #[arg(long)]
    pub(crate) scene: Scene,
    #[arg(long)]
    pub(crate) users: usize,
    #[arg(long)]
    pub(crate) store: Store,
}

/// Who is in which group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Scene {
    /// All in one.
    Room,
    /// Each in five of 2 to 20, and in 15 direct conversations.
    Homes,
    /// Most of 2 to 20, some of up to 500, few of up to 5,000.
    Town,
}

impl Scene {
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Room => "room",
            Self::Homes => "homes",
            Self::Town => "town",
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_options_fit_together() {
        super::Options::command().debug_assert();
    }
}
