//! What can be set on the command line or in the environment.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::builder::styling::{AnsiColor, Styles};
use clap::builder::{BoolishValueParser, RangedI64ValueParser};
use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};

use crate::stores::Place;

const STYLES: Styles = Styles::styled()
    .header(AnsiColor::Green.on_default().bold())
    .usage(AnsiColor::Green.on_default().bold())
    .literal(AnsiColor::Cyan.on_default().bold())
    .placeholder(AnsiColor::Cyan.on_default());

/// The kinds of stores that keep something.
const STORE: &str = "sqlite:FILE|sled:FOLDER|postgres://…";

const CLOSING: &str = "\
Each option has an environment variable, as --max-text has CHAT_MAX_TEXT; there, commas separate
what is repeatable. Ctrl-C or SIGTERM ends the server within 10 seconds: what was acknowledged is
kept, clients are told to reconnect. A second one ends it at once.";

/// A chat server: one binary with the web client inside, one folder of data.
#[derive(Debug, Parser)]
#[command(
    name = "chat-server",
    version,
    disable_help_flag = true,
    disable_version_flag = true
)]
#[command(styles = STYLES, max_term_width = 100, after_help = CLOSING)]
#[command(args_conflicts_with_subcommands = true, disable_help_subcommand = true)]
#[command(
    subcommand_help_heading = "Instead of serving",
    subcommand_value_name = "TASK"
)]
pub(crate) struct Options {
    #[command(subcommand)]
    pub(crate) task: Option<Task>,
    #[command(flatten)]
    pub(crate) network: Network,
    #[command(flatten)]
    pub(crate) data: Data,
    #[command(flatten)]
    pub(crate) limits: Limits,
    #[command(flatten)]
    pub(crate) other: Other,
}

/// What is done instead of serving.
#[derive(Debug, Subcommand)]
pub(crate) enum Task {
    /// Copy a store that is not in use into an empty one of any kind
    ///
    /// Everything stays what it was: ids, numbers, receipts, logins. Both are read again at the end and compared. The same
    /// command goes on where an interrupted one ended; a copy that is not finished cannot be served.
    Copy {
        /// The store to copy
        #[arg(long, value_name = STORE)]
        from: Place,
        /// The new store
        #[arg(long, value_name = STORE)]
        to: Place,
        #[command(flatten)]
        help: Help,
    },
    /// Back up a SQLite store, in use or not, to a new file that opens as a store
    Backup {
        /// The store to back up
        #[arg(long, value_name = "sqlite:FILE")]
        from: Place,
        /// The new file
        #[arg(long, value_name = "FILE")]
        to: PathBuf,
        #[command(flatten)]
        help: Help,
    },
    /// Bring users, passwords, conversations and messages over from the original Python app
    ///
    /// Ids and times stay, and all messages count as read. What had to be changed or left out is listed at the end, and the
    /// exit code is 3 then. Times without a zone are taken for UTC.
    ImportOriginal {
        /// Its database; it is only read
        #[arg(long, value_name = "FILE")]
        from: PathBuf,
        /// The new store
        #[arg(long, value_name = STORE)]
        to: Place,
        #[command(flatten)]
        help: Help,
    },
}

/// In the help of a task.
#[derive(Debug, Args)]
pub(crate) struct Help {
    /// Print this
    #[arg(short, long, action = ArgAction::Help)]
    help: Option<bool>,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Network")]
pub(crate) struct Network {
    /// Listen here; port 0 takes a free one
    #[arg(long, env = "CHAT_LISTEN", hide_env = true)]
    #[arg(value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8000", value_parser = address)]
    pub(crate) listen: SocketAddr,

    /// What people type into their browsers, if it is not the above; https makes cookies `Secure`
    #[arg(long, env = "CHAT_PUBLIC_URL", hide_env = true, value_name = "URL")]
    pub(crate) public_url: Option<String>,

    /// Also let in pages of this origin, such as http://localhost:5173 (repeatable)
    #[arg(
        long,
        env = "CHAT_ALLOW_ORIGIN",
        hide_env = true,
        value_name = "ORIGIN"
    )]
    #[arg(value_delimiter = ',')]
    pub(crate) allow_origin: Vec<String>,

    /// Believe X-Forwarded-For from this proxy, such as 10.0.0.0/8 (repeatable)
    #[arg(
        long,
        env = "CHAT_TRUST_PROXY",
        hide_env = true,
        value_name = "IP[/BITS]"
    )]
    #[arg(value_delimiter = ',')]
    pub(crate) trust_proxy: Vec<String>,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Data and users")]
pub(crate) struct Data {
    /// Keep everything in this SQLite file or sled folder (made if need be), in a PostgreSQL database, or in `memory`
    /// until the end
    #[arg(long, env = "CHAT_STORE", hide_env = true)]
    #[arg(
        value_name = "sqlite:FILE|sled:FOLDER|postgres://…|memory",
        default_value = "sqlite:./data/chat.db"
    )]
    pub(crate) store: Place,

    /// Holds the secret that signs logins, made when missing [default: `secret` beside the store]
    #[arg(long, env = "CHAT_SECRET_FILE", hide_env = true, value_name = "FILE")]
    pub(crate) secret_file: Option<PathBuf>,

    /// Who may make an account: everybody, or nobody
    #[arg(long, env = "CHAT_REGISTRATION", hide_env = true)]
    #[arg(
        value_name = "open|closed",
        default_value = "open",
        hide_possible_values = true
    )]
    pub(crate) registration: Registration,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Limits")]
pub(crate) struct Limits {
    /// Connections open at once, idle ones included
    #[arg(long, env = "CHAT_MAX_CONNECTIONS", hide_env = true)]
    #[arg(value_name = "N", default_value_t = 20_000, value_parser = count())]
    pub(crate) max_connections: u32,

    /// Connections open at once from one address; this machine and trusted proxies are not counted
    #[arg(long, env = "CHAT_MAX_CONNECTIONS_PER_ADDRESS", hide_env = true)]
    #[arg(value_name = "N", default_value_t = 1_000, value_parser = count())]
    pub(crate) max_connections_per_address: u32,

    /// Connected devices of one user; one more closes the oldest
    #[arg(long, env = "CHAT_MAX_CONNECTIONS_PER_USER", hide_env = true)]
    #[arg(value_name = "N", default_value_t = 20, value_parser = count())]
    pub(crate) max_connections_per_user: u32,

    /// Messages a user may send each second, over time
    #[arg(long, env = "CHAT_MESSAGE_RATE", hide_env = true)]
    #[arg(value_name = "N", default_value_t = 5.0, value_parser = rate, allow_negative_numbers = true)]
    pub(crate) message_rate: f64,

    /// Messages a user may send at once
    #[arg(long, env = "CHAT_MESSAGE_BURST", hide_env = true)]
    #[arg(value_name = "N", default_value_t = 20, value_parser = count())]
    pub(crate) message_burst: u32,

    /// Bytes of a message's text
    #[arg(long, env = "CHAT_MAX_TEXT", hide_env = true)]
    #[arg(value_name = "BYTES", default_value_t = 8192, value_parser = text())]
    pub(crate) max_text: u32,

    /// No rates at all, of messages, logins, registrations or requests: for tests and measuring
    #[arg(long, env = "CHAT_NO_RATE_LIMITS", hide_env = true)]
    #[arg(value_parser = BoolishValueParser::new())]
    pub(crate) no_rate_limits: bool,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Other")]
pub(crate) struct Other {
    /// Show a name, an accent colour and a logo of one's own: brand.toml and logo.svg in this folder
    #[arg(long, env = "CHAT_BRAND", hide_env = true, value_name = "FOLDER")]
    pub(crate) brand: Option<PathBuf>,

    /// Log this much on stderr: error, warn, info, debug, or by part as in warn,chat_http=debug
    #[arg(long, env = "CHAT_LOG", hide_env = true)]
    #[arg(value_name = "FILTER", default_value = "info")]
    pub(crate) log: String,

    /// Print this
    #[arg(short, long, action = ArgAction::Help)]
    help: Option<bool>,

    /// Print the version
    #[arg(short = 'V', long, action = ArgAction::Version)]
    version: Option<bool>,
}

/// At least one.
fn count() -> RangedI64ValueParser<u32> {
    clap::value_parser!(u32).range(1..)
}

/// Bytes of a text: a frame has 64 KiB, and a byte may take six in JSON.
fn text() -> RangedI64ValueParser<u32> {
    clap::value_parser!(u32).range(1..=10_000)
}

fn address(text: &str) -> Result<SocketAddr, &'static str> {
    text.parse()
        .map_err(|_| "say an IP address and a port, such as 127.0.0.1:8000 or 0.0.0.0:80")
}

fn rate(text: &str) -> Result<f64, &'static str> {
    match text.parse() {
        Ok(rate) if rate > 0.0 && rate <= 1e6 => Ok(rate),
        _ => Err("say a number above 0, such as 5 or 0.5"),
    }
}

/// Who may make an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Registration {
    /// Everybody.
    Open,
    /// Nobody.
    Closed,
}

/// A refused command line in one line: what is wrong and what to mend.
pub(crate) fn in_one_line(error: &clap::Error) -> String {
    let text = error.render().to_string();
    let said: Vec<&str> = text
        .lines()
        .map(str::trim)
        .take_while(|line| !line.starts_with("Usage:") && !line.starts_with("For more information"))
        .filter(|line| !line.is_empty())
        .collect();
    let said = said.join("; ");
    let said = said.strip_prefix("error: ").unwrap_or(&said);
    format!("{said} (`--help` lists the options)")
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser};

    use super::{Options, in_one_line};

    #[test]
    fn the_options_fit_together() {
        Options::command().debug_assert();
    }

    #[test]
    fn every_option_has_its_environment_variable() {
        for option in Options::command().get_arguments() {
            let Some(name) = option
                .get_long()
                .filter(|name| !["help", "version"].contains(name))
            else {
                continue;
            };
            let variable = format!("CHAT_{}", name.replace('-', "_").to_uppercase());
            assert_eq!(option.get_env(), Some(variable.as_ref()), "--{name}");
        }
    }

    #[test]
    fn a_refusal_is_one_line() {
        for bad in [
            &["--lisen", "1"][..],
            &["--listen", "nowhere"],
            &["--registration", "perhaps"],
            &["--store"],
            &["--max-connections", "few"],
            &["stray"],
            &["copy", "--from", "sqlite:a", "--to", "nowhere"],
        ] {
            let arguments = ["chat-server"].iter().chain(bad);
            let error = Options::try_parse_from(arguments).expect_err("refused");
            let line = in_one_line(&error);
            assert_eq!(line.lines().count(), 1, "{line}");
            let named = bad.iter().any(|word| line.contains(word));
            assert!(named, "{line}");
        }
    }
}
