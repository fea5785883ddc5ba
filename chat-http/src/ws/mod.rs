//! From a handshake to a socket.

mod basic;
mod frame;
mod line;
mod out;
mod reader;
mod socket;

use std::sync::Arc;
use std::time::Duration;

use chat_core::protocol::{self, Session};
use chat_core::{Connection, ErrorKind, Identity, Loan};
use http::header::{
    CONNECTION, HeaderMap, HeaderName, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY,
    SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use http::request::Parts;
use http::{Method, Response, StatusCode, Version};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tungstenite::handshake::derive_accept_key;
use tungstenite::protocol::WebSocketConfig;

use basic::Basic;
pub(crate) use basic::SendFrame;
pub(crate) use frame::text;
use line::{Speaks, Tcp};
use socket::{Client, Socket};

use crate::body::Body;
use crate::credential::Credential;
use crate::limits::{HttpLimits, at_most_a_year};
use crate::problem::Problem;
use crate::server::Lease;
use crate::service::{Inner, decoded, empty};
use crate::transport::Transport;

/// What holds for all sockets.
#[derive(Debug)]
pub(crate) struct Rules {
    config: WebSocketConfig,
    fragments: u32,
    frame_time: Duration,
    strikes: u32,
    strike_every: Duration,
    ping_after: Duration,
    dead_after: Duration,
    close_wait: Duration,
}

impl Rules {
    pub(crate) fn new(limits: &HttpLimits) -> Self {
        Self {
            config: WebSocketConfig::default()
                .read_buffer_size(512)
                .write_buffer_size(0)
                .max_write_buffer_size(1024)
                .max_message_size(Some(limits.frame))
                .max_frame_size(Some(limits.frame)),
            fragments: limits.fragments,
            frame_time: at_most_a_year(limits.frame_time),
            strikes: limits.strikes,
            strike_every: at_most_a_year(limits.strike_every),
            ping_after: at_most_a_year(limits.ping_after),
            dead_after: at_most_a_year(limits.dead_after),
            close_wait: at_most_a_year(limits.close_wait),
        }
    }
}

/// Open a socket
///
/// By Bearer or cookie. Who asks for `chat.v1` in `Sec-WebSocket-Protocol` speaks the native protocol: client frames are
/// `Request`, server frames are `ServerFrame`; `docs/protocol.md` says how. A token may then be offered as a further
/// protocol, `bearer.` and the token: it is never answered with.
///
/// Else it is the basic profile: client frames are `SendFrame`; server frames are `MessageFrame` for each message in one's
/// conversations, one's own included, in order, and `ErrorFrame` about a frame that was refused. Messages have no
/// key here: a client that sends again by itself may double.
///
/// Close codes: 1008 log in again · 1009 frame too large · 1003 not a text frame · 1002, 1007 against the protocol ·
/// 1001 the server stops: connect again · 4008 too slow: connect again and load afresh · 4009 too many sockets, the
/// oldest gives way: do not connect again by itself · 4029 flooding: wait before connecting again · 1000 ended.
#[utoipa::path(
    get, path = "/ws", tag = "live",
    responses(
        (status = 101, description = "The socket is open. With an invalid or expired login it is closed with 1008 at once."),
        (status = 400, description = "Not a complete WebSocket handshake."),
        (status = 403, description = "By cookie, from a page of another site."),
        (status = 426, description = "Not a WebSocket handshake, or not of version 13."),
    )
)]
#[expect(dead_code, reason = "describes `upgrade`")]
pub(crate) fn socket() {}

/// Open a socket by a token in the path
///
/// For clients that can send neither header nor cookie: paths end up in other people's logs.
#[utoipa::path(
    get, path = "/ws/{token}", tag = "live", security(()),
    params(("token" = String, Path, description = "The `access_token` of a login.")),
    responses(
        (status = 101, description = "The socket is open. With an invalid or expired token it is closed with 1008 at once."),
        (status = 400, description = "Not a complete WebSocket handshake."),
        (status = 426, description = "Not a WebSocket handshake, or not of version 13."),
        (status = 503, description = "The store does not answer; try again."),
    )
)]
#[expect(dead_code, reason = "describes `upgrade`")]
pub(crate) fn socket_with_token() {}

/// Answers a handshake, and leaves behind a task that is the socket.
pub(crate) async fn upgrade(
    inner: &Inner,
    parts: &mut Parts,
    token: Option<&str>,
) -> Result<Response<Body>, Problem> {
    let accept = handshake(parts)?;
    let offer = Offer::read(&parts.headers);
    let is_native = offer.is_native;
    let connected = connect(inner, parts, token, offer).await?;
    let on = parts.extensions.remove::<OnUpgrade>().ok_or_else(|| {
        Problem::upgrade(
            "this connection cannot become a WebSocket; use HTTP/1.1 without a proxy that hides it",
        )
    })?;
    let loan = connected.as_ref().map(|(_, connection)| connection.loan());
    let speaks = if is_native {
        Speaks::Native(Arc::clone(&inner.native))
    } else {
        Speaks::Basic(inner.format)
    };
    let client = match connected {
        None => Client::Nobody,
        Some((identity, connection)) if is_native => {
            let settings = Arc::clone(&inner.native);
            let session = Session::new(inner.chat.clone(), identity, connection, settings);
            Client::Native(Box::new(session))
        }
        Some((identity, connection)) => {
            let in_flight = inner.chat.limits().in_flight;
            let basic = Basic::new(identity.user, connection, inner.format, in_flight);
            Client::Basic(Box::new(basic))
        }
    };
    let socket = socket::Start {
        client,
        rules: Arc::clone(&inner.sockets),
        lease: parts.extensions.get::<Lease>().cloned(),
    };
    tokio::spawn(open(on, socket, speaks, loan));
    let mut response = empty(StatusCode::SWITCHING_PROTOCOLS);
    let headers = response.headers_mut();
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(SEC_WEBSOCKET_ACCEPT, accept);
    if is_native {
        let name = HeaderValue::from_static(protocol::NAME);
        headers.insert(SEC_WEBSOCKET_PROTOCOL, name);
    }
    Ok(response)
}

/// Waits for the connection itself and makes it a task of its own, so that nothing of the handshake is kept.
async fn open(on: OnUpgrade, start: socket::Start, speaks: Speaks, loan: Option<Loan>) {
    // The client went away in between.
    let Ok(upgraded) = on.await else { return };
    // Ours, or one of a host that serves with hyper, too.
    let upgraded = match upgraded.downcast::<TokioIo<Transport>>() {
        Ok(parts) => Ok((parts.io.into_inner().into_inner(), parts.read_buf)),
        Err(upgraded) => upgraded
            .downcast::<TokioIo<TcpStream>>()
            .map(|parts| (parts.io.into_inner(), parts.read_buf)),
    };
    match upgraded {
        Ok((stream, buffer)) => {
            // A socket that cannot be told so still works.
            let _ = stream.set_nodelay(true);
            // Copied: even an empty piece of it would keep hyper's read buffer alive.
            let read = buffer.to_vec();
            drop(buffer);
            let stream = Tcp::new(stream, speaks);
            let lending = loan.map(|loan| (loan, stream.outlet()));
            tokio::spawn(Socket::new(stream, read, start, lending));
        }
        Err(upgraded) => {
            tokio::spawn(Socket::new(TokioIo::new(upgraded), Vec::new(), start, None));
        }
    }
}

/// The connection of whoever asks; `None` when their login does not count: a browser learns that only from a close code.
async fn connect(
    inner: &Inner,
    parts: &Parts,
    token: Option<&str>,
    offer: Offer,
) -> Result<Option<(Identity, Connection)>, Problem> {
    let token = match decoded(token) {
        Ok(token) => token,
        Err(_) => return Ok(None),
    };
    let Ok(offered) = offer.token else {
        return Ok(None);
    };
    let Ok(credential) = Credential::find(token, &parts.headers, offered, &inner.cookie) else {
        return Ok(None);
    };
    if let Some(Credential::Cookie(_)) = credential {
        inner.origins.check(&parts.headers)?;
    }
    let identity = match inner.identity(credential.as_ref()).await {
        Ok(identity) => identity,
        Err(problem) if problem.status() == StatusCode::UNAUTHORIZED => return Ok(None),
        Err(problem) => return Err(problem),
    };
    match inner.chat.connect(identity).await {
        Ok(connection) => Ok(Some((identity, connection))),
        Err(error) if matches!(error.kind(), ErrorKind::Forbidden | ErrorKind::NotFound) => {
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
}

/// What a client offers in `Sec-WebSocket-Protocol`. No `Debug`: it may hold a secret.
struct Offer {
    is_native: bool,
    /// For clients that can set no header, browsers above all: unlike a path, it stands in nobody's log. Never answered with.
    token: Result<Option<String>, TwoTokens>,
}

/// Neither of two tokens is believed.
struct TwoTokens;

/// Before a token among the offered protocols.
const BEARER: &str = "bearer.";

impl Offer {
    fn read(headers: &HeaderMap) -> Self {
        let values = headers.get_all(SEC_WEBSOCKET_PROTOCOL).iter();
        let items = values
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .map(str::trim);
        let (mut is_native, mut token) = (false, Ok(None));
        for item in items {
            if item == protocol::NAME {
                is_native = true;
            } else if let Some(secret) = item.strip_prefix(BEARER) {
                token = match token {
                    Ok(None) => Ok(Some(secret.to_owned())),
                    _ => Err(TwoTokens),
                };
            }
        }
        Self { is_native, token }
    }
}

/// Checks a handshake (RFC 6455, section 4.2.1); what to answer in `Sec-WebSocket-Accept`.
fn handshake(parts: &Parts) -> Result<HeaderValue, Problem> {
    let headers = &parts.headers;
    let asks = parts.method == Method::GET
        && parts.version == Version::HTTP_11
        && names(headers, CONNECTION, "upgrade")
        && names(headers, UPGRADE, "websocket");
    if !asks {
        let detail = "this path opens a WebSocket: ask by GET on HTTP/1.1, with `Connection: Upgrade` and `Upgrade: websocket`";
        return Err(Problem::upgrade(detail));
    }
    if one(headers, &SEC_WEBSOCKET_VERSION) != Some(b"13") {
        return Err(Problem::version());
    }
    let key = one(headers, &SEC_WEBSOCKET_KEY).filter(|key| is_key(key));
    let key = key.ok_or_else(|| {
        let detail = "`Sec-WebSocket-Key` must be 16 bytes in base64, once";
        Problem::new(StatusCode::BAD_REQUEST, detail)
    })?;
    HeaderValue::from_str(&derive_accept_key(key))
        .map_err(|_| chat_core::Error::internal("the handshake cannot be answered").into())
}

/// The value of a header that is there once.
fn one<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a [u8]> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?.as_bytes();
    values.next().is_none().then_some(value)
}

/// Whether a list header holds a token.
fn names(headers: &HeaderMap, name: HeaderName, token: &str) -> bool {
    let values = headers.get_all(name);
    let mut items = values
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','));
    items.any(|item| item.trim().eq_ignore_ascii_case(token))
}

/// 16 bytes in base64: 22 characters and two for padding.
fn is_key(key: &[u8]) -> bool {
    let [body @ .., b'=', b'='] = key else {
        return false;
    };
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    body.len() == 22 && body.iter().all(plain)
}
