//! A database's URL: what tokio-postgres reads, and TLS as libpq has it.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use tokio_postgres::Config;
use tokio_postgres::config::SslMode;

use crate::error::OpenError;
use crate::tls::Check;

/// How to connect.
pub(crate) struct Address {
    pub(crate) config: Config,
    pub(crate) check: Check,
    /// Certificates to trust instead of the system's.
    pub(crate) roots: Option<PathBuf>,
}

/// Reads a URL. What is wrong with one is told without showing any of it.
pub(crate) fn parse(url: &str) -> Result<Address, OpenError> {
    let wrong = |what| OpenError::Url { what };
    if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
        return Err(wrong("it begins with `postgres://`"));
    }
    let (place, query) = url.split_once('?').unwrap_or((url, ""));
    let (mut mode, mut roots, mut rest) = (SslMode::Prefer, None, Vec::new());
    let mut check = Check::Nothing;
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        match pair.split_once('=') {
            Some(("sslmode", value)) => {
                (mode, check) = match value {
                    "disable" => (SslMode::Disable, Check::Nothing),
                    "prefer" => (SslMode::Prefer, Check::Nothing),
                    "require" => (SslMode::Require, Check::Nothing),
                    "verify-ca" => (SslMode::Require, Check::Issuer),
                    "verify-full" => (SslMode::Require, Check::Host),
                    _ => {
                        return Err(wrong(
                            "`sslmode` is one of disable, prefer, require, verify-ca, verify-full",
                        ));
                    }
                };
            }
            Some(("sslrootcert", "system")) => {}
            Some(("sslrootcert", path)) => roots = Some(PathBuf::from(decoded(path)?)),
            _ => rest.push(pair),
        }
    }
    // As libpq has it: who names certificates wants them used.
    if roots.is_some() && mode == SslMode::Require && check == Check::Nothing {
        check = Check::Issuer;
    }
    let url = if rest.is_empty() {
        place.to_owned()
    } else {
        format!("{place}?{}", rest.join("&"))
    };
    let unreadable = "it reads `postgres://user:password@host:5432/database?sslmode=verify-full`, \
        with %-escapes for characters such as `@` and `/` in a name or password";
    let mut config = Config::from_str(&url).map_err(|_| wrong(unreadable))?;
    config.ssl_mode(mode);
    if config.get_application_name().is_none() {
        config.application_name("chat");
    }
    // A server that went away without a word is found out.
    if config.get_connect_timeout().is_none() {
        config.connect_timeout(Duration::from_secs(5));
    }
    if config.get_tcp_user_timeout().is_none() {
        config.tcp_user_timeout(Duration::from_secs(15));
    }
    if !query.contains("keepalives_idle") {
        config.keepalives_idle(Duration::from_secs(10));
        config.keepalives_interval(Duration::from_secs(5));
    }
    Ok(Address {
        config,
        check,
        roots,
    })
}

/// A value without its %-escapes.
fn decoded(value: &str) -> Result<String, OpenError> {
    let wrong = OpenError::Url {
        what: "`sslrootcert` has a %-escape that is none",
    };
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value.as_bytes();
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        if *byte != b'%' {
            bytes.push(*byte);
            continue;
        }
        let escape = rest.get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
        let Some(Ok(byte)) = escape.map(|hex| u8::from_str_radix(hex, 16)) else {
            return Err(wrong);
        };
        bytes.push(byte);
        rest = rest.get(2..).unwrap_or_default();
    }
    String::from_utf8(bytes).map_err(|_| wrong)
}
