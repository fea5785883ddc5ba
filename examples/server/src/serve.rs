//! From options to a running server, and to its orderly end.

use std::io::{self, ErrorKind, Write};
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use chat_auth::{Auth, Jwt, Secret};
use chat_core::{Chat, Error, Limits};
use chat_http::{Http, Rates, Server, ServerLimits};
use rustix::process::{Resource, getrlimit, setrlimit};
use tokio::net::{TcpListener, TcpSocket};

use crate::brand::Brand;
use crate::client;
use crate::options::{Options, Registration};
use crate::stop::Stop;
use crate::stores::Place;

/// How long an orderly end may take; what is left of the 10 s promised is for closing the store.
const DRAIN: Duration = Duration::from_secs(8);

/// Open files besides connections: the store's, the runtime's, the standard streams.
const SPARE_FILES: usize = 64;

/// Connections that may wait to be accepted, if the system allows so many. When a server comes back all come at once, and who
/// finds no room tries again after a second at the earliest.
const WAITING: u32 = 4096;

/// Serves until a signal comes; gives the exit code.
///
/// # Errors
/// Why it does not start: one sentence that says what to mend.
pub(crate) async fn serve(options: &Options) -> Result<ExitCode, String> {
    let mut stop = Stop::new().map_err(|error| format!("signals cannot be handled: {error}"))?;
    let brand = options
        .other
        .brand
        .as_deref()
        .map(Brand::load)
        .transpose()?;
    // Before the store: whoever starts a second server by mistake is told just that.
    let listener = listen(options.network.listen)?;
    let address = listener.local_addr().map_err(|error| error.to_string())?;
    let chat = open(options).await?;
    let http = http(options, chat, address, brand.as_ref())?;
    warn_of(options, address);
    announce(options, address);

    let shutdown = async move {
        stop.next().await;
        say("Stopping: clients are told to reconnect. The same again ends it at once.");
        tokio::spawn(async move { std::process::exit(stop.next().await.into()) });
    };
    let server = Server::new(http).limits(connections(options));
    if let Err(error) = server.run(listener, shutdown).await {
        tracing::error!(%error, "the store did not close well");
        return Ok(ExitCode::FAILURE);
    }
    say("Stopped.");
    Ok(ExitCode::SUCCESS)
}

fn listen(address: SocketAddr) -> Result<TcpListener, String> {
    let bind = || {
        let socket = match address {
            SocketAddr::V4(_) => TcpSocket::new_v4()?,
            SocketAddr::V6(_) => TcpSocket::new_v6()?,
        };
        // Connections of a server that ended just now are no hindrance.
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        socket.listen(WAITING)
    };
    bind().map_err(|error: io::Error| match error.kind() {
        ErrorKind::AddrInUse => {
            format!("{address} is taken: stop what listens there, or choose another with --listen")
        }
        _ => format!("cannot listen on {address}: {error}; choose another with --listen"),
    })
}

/// A chat over the store.
async fn open(options: &Options) -> Result<Chat, String> {
    let place = &options.data.store;
    let chat = Chat::builder(place.open().await?);
    let mut limits = Limits::default();
    limits.connections = options.limits.max_connections_per_user as usize;
    limits.text = options.limits.max_text as usize;
    limits.message_rate = options.limits.message_rate;
    limits.message_burst = options.limits.message_burst.into();
    if options.limits.no_rate_limits {
        limits.message_rate = 0.0;
    }
    let chat = chat.limits(limits).build();
    let unfit = |error| format!("{place}: {error}");
    chat.ready().await.map_err(unfit)?;
    Ok(chat)
}

/// What signs logins: from a file, so that they outlive a restart, unless nothing else does.
fn secret(options: &Options) -> Result<Secret, Error> {
    let beside = || Some(options.data.store.folder()?.join("secret"));
    let file = options.data.secret_file.clone().or_else(beside);
    match file {
        Some(file) => Secret::load_or_create(file),
        None => Secret::generate(),
    }
}

fn http(
    options: &Options,
    chat: Chat,
    address: SocketAddr,
    brand: Option<&Brand>,
) -> Result<Http, String> {
    let tokens = secret(options)
        .and_then(|secret| Jwt::new(&secret))
        .map_err(|error| error.to_string())?;
    let auth = Auth::new(chat.clone(), tokens);
    let network = &options.network;
    let mut http = Http::builder(chat)
        .documented(auth.clone())
        .v1(Arc::new(auth))
        .listening(address)
        .registration(options.data.registration == Registration::Open)
        .assets(client::assets(brand));
    if let Some(url) = &network.public_url {
        http = http.public_url(url);
    }
    for origin in &network.allow_origin {
        http = http.allow_origin(origin);
    }
    for proxy in &network.trust_proxy {
        http = http.trust_proxy(proxy);
    }
    if options.limits.no_rate_limits {
        http = http.rates(None::<Rates>);
    }
    http.build().map_err(|error| error.to_string())
}

fn connections(options: &Options) -> ServerLimits {
    let wanted = options.limits.max_connections as usize;
    let possible = raise_file_limit().saturating_sub(SPARE_FILES);
    if possible < wanted {
        tracing::info!(
            "at most {possible} connections at once, as the system allows no more open files (ulimit -n)"
        );
    }
    let mut limits = ServerLimits::default();
    limits.connections = wanted.min(possible);
    limits.per_address = options.limits.max_connections_per_address as usize;
    limits.drain = DRAIN;
    limits
}

/// Lets this process open as many files as it may ask the system for, each connection being one. Gives how many.
fn raise_file_limit() -> usize {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    // Refused or not: what holds is read back.
    let _ = setrlimit(Resource::Nofile, limit);
    let holds = getrlimit(Resource::Nofile).current;
    holds.map_or(usize::MAX, |files| {
        usize::try_from(files).unwrap_or(usize::MAX)
    })
}

/// Warns of what may not be as intended.
fn warn_of(options: &Options, address: SocketAddr) {
    if options.data.store == Place::Memory {
        tracing::warn!("all data is in memory only and is gone when this ends");
    }
    if address.ip().is_unspecified() && options.network.public_url.is_none() {
        tracing::warn!(
            "browsers on other machines are refused: name the address they use with --public-url"
        );
    }
}

/// Says plainly where to go, where the data is and how to stop.
fn announce(options: &Options, address: SocketAddr) {
    match &options.network.public_url {
        Some(url) => say(&format!("Chat is at {url}, listening on http://{address}")),
        None => say(&format!("Chat is at http://{address}")),
    }
    say(&format!("Data is in {}", options.data.store.described()));
    if !client::is_there() {
        say("The web client is not in this build: `cargo xtask serve` builds it");
    }
    say("Ctrl-C stops it");
}

/// A line for whoever started this. Nobody may be listening; that is no error.
pub(crate) fn say(line: &str) {
    let _ = writeln!(io::stdout(), "{line}");
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use tokio::net::TcpStream;

    use super::*;

    /// More come at once than are accepted meanwhile, as when a server comes back: none is turned away.
    #[tokio::test]
    async fn a_crowd_waits_to_be_accepted() {
        let allowed = std::fs::read_to_string("/proc/sys/net/core/somaxconn").unwrap_or_default();
        let crowd = allowed.trim().parse().unwrap_or(128).min(500);
        let listener = listen((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
        let address = listener.local_addr().unwrap();
        let mut waiting = Vec::new();
        for _ in 0..crowd {
            // Who finds no room would wait until somebody is accepted.
            let connect =
                tokio::time::timeout(Duration::from_secs(60), TcpStream::connect(address));
            waiting.push(connect.await.unwrap().unwrap());
        }
    }
}
