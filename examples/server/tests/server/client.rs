//! Requests and sockets, blocking, one connection each.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use serde_json::{Value, json};
use tungstenite::client::IntoClientRequest;
use tungstenite::{Message, WebSocket};

use crate::support::PATIENCE;

pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).expect("JSON")
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }
}

pub(crate) fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).expect("the server accepts");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    stream.set_nodelay(true).expect("no delay");
    stream
}

/// One request on a connection of its own.
pub(crate) fn request(
    address: SocketAddr,
    method: &str,
    path: &str,
    token: Option<&str>,
    body: Option<&Value>,
) -> Answer {
    let mut stream = connect(address);
    let body = body.map(Value::to_string);
    let mut text = format!("{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n");
    if let Some(token) = token {
        text.push_str(&format!("Authorization: Bearer {token}\r\n"));
    }
    if let Some(body) = &body {
        let length = body.len();
        text.push_str(&format!(
            "Content-Type: application/json\r\nContent-Length: {length}\r\n"
        ));
    }
    text.push_str("\r\n");
    text.push_str(body.as_deref().unwrap_or_default());
    stream.write_all(text.as_bytes()).expect("written");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("read");
    let answer = String::from_utf8(answer).expect("UTF-8");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok());
    Answer {
        status: status.expect("a status"),
        head: head.to_owned(),
        body: body.to_owned(),
    }
}

pub(crate) fn get(address: SocketAddr, path: &str, token: &str) -> Value {
    let answer = request(address, "GET", path, Some(token), None);
    assert_eq!(answer.status, 200, "{path}: {}", answer.body);
    answer.json()
}

/// A registered user who is logged in.
#[derive(Clone)]
pub(crate) struct User {
    pub(crate) id: u64,
    pub(crate) token: String,
}

pub(crate) const PASSWORD: &str = "correct horse battery";

pub(crate) fn register(address: SocketAddr, name: &str) -> User {
    let body = json!({ "username": name, "password": PASSWORD });
    let made = request(address, "POST", "/register", None, Some(&body));
    assert!((200..300).contains(&made.status), "{}", made.body);
    login(address, name)
}

pub(crate) fn login(address: SocketAddr, name: &str) -> User {
    let body = json!({ "username": name, "password": PASSWORD });
    let answer = request(address, "POST", "/login", None, Some(&body));
    assert_eq!(answer.status, 200, "{}", answer.body);
    let answer = answer.json();
    User {
        id: answer["user"]["id"].as_u64().expect("an id"),
        token: answer["access_token"].as_str().expect("a token").to_owned(),
    }
}

/// A socket of the basic profile.
pub(crate) struct Socket(WebSocket<TcpStream>);

/// What comes from a socket.
#[derive(Debug)]
pub(crate) enum Heard {
    Frame(Value),
    /// Closed with this code; 1006 when without one.
    Closed(u16),
}

impl Socket {
    pub(crate) fn open(address: SocketAddr, token: &str) -> Self {
        let request = format!("ws://{address}/ws/{token}");
        let request = request.into_client_request().expect("a request");
        let (socket, _) = tungstenite::client(request, connect(address)).expect("upgraded");
        Self(socket)
    }

    /// Sends a text to a user. False: the connection is gone.
    pub(crate) fn send(&mut self, to: u64, content: &str) -> bool {
        let frame = json!({ "to": to, "conversation_id": null, "content": content });
        self.0.send(Message::text(frame.to_string())).is_ok()
    }

    /// The next frame, or the close.
    pub(crate) fn hear(&mut self) -> Heard {
        loop {
            match self.0.read() {
                Ok(Message::Text(text)) => {
                    return Heard::Frame(serde_json::from_str(&text).expect("JSON"));
                }
                Ok(Message::Close(frame)) => {
                    // Answers the close, as a browser does.
                    let _ = self.0.flush();
                    return Heard::Closed(frame.map_or(1005, |frame| frame.code.into()));
                }
                Ok(_) => {}
                Err(error) => {
                    let silent = matches!(&error, tungstenite::Error::Io(error)
                        if matches!(error.kind(), std::io::ErrorKind::WouldBlock));
                    assert!(!silent, "nothing came for {PATIENCE:?}");
                    return Heard::Closed(1006);
                }
            }
        }
    }
}
