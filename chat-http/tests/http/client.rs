//! A host to test, and a client that can also send what no client should.

use std::net::SocketAddr;
use std::time::Duration;

use chat_core::kv::MemoryStore;
use chat_core::{Chat, UserId};
use chat_http::{Builder, Http, Server, ServerLimits};
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

/// Nothing here takes so long unless it hangs.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.expect("hangs")
}

/// A running server with built-in users, over a store in memory.
pub(crate) struct Host {
    pub(crate) chat: Chat,
    pub(crate) address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    server: JoinHandle<Result<(), chat_core::Error>>,
}

/// A user who is logged in.
pub(crate) struct Person {
    pub(crate) id: UserId,
    pub(crate) token: String,
}

impl Host {
    pub(crate) async fn start() -> Self {
        Self::with(|builder| builder, ServerLimits::default()).await
    }

    pub(crate) async fn with(
        configure: impl FnOnce(Builder) -> Builder,
        limits: ServerLimits,
    ) -> Self {
        Self::over(super::chat(), configure, limits).await
    }

    pub(crate) async fn over(
        chat: Chat,
        configure: impl FnOnce(Builder) -> Builder,
        limits: ServerLimits,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self::on(listener, chat, configure, limits)
    }

    pub(crate) fn on(
        listener: TcpListener,
        chat: Chat,
        configure: impl FnOnce(Builder) -> Builder,
        limits: ServerLimits,
    ) -> Self {
        let auth = super::auth(&chat);
        let address = listener.local_addr().unwrap();
        let builder = Http::builder(chat.clone())
            .documented(auth.clone())
            .v1(std::sync::Arc::new(auth))
            .listening(address);
        let http = configure(builder).build().unwrap();
        let (stop, stopped) = oneshot::channel();
        let shutdown = async {
            let _ = stopped.await;
        };
        let server = Server::new(http).limits(limits).run(listener, shutdown);
        Self {
            chat,
            address,
            stop: Some(stop),
            server: tokio::spawn(server),
        }
    }

    /// Tells the server to stop.
    pub(crate) fn stop(&mut self) {
        let _ = self.stop.take().unwrap().send(());
    }

    /// Waits until it has.
    pub(crate) async fn stopped(self) {
        soon(self.server).await.unwrap().unwrap();
    }

    pub(crate) fn origin(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Sends bytes and reads all that comes, until the server closes.
    pub(crate) async fn raw(&self, bytes: &[u8]) -> String {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        // The server may refuse before it has read all.
        let _ = stream.write_all(bytes).await;
        let mut answer = Vec::new();
        let _ = soon(stream.read_to_end(&mut answer)).await;
        String::from_utf8_lossy(&answer).into_owned()
    }

    pub(crate) fn call(&self, method: &str, path: &str) -> Request<'_> {
        Request {
            host: self,
            head: format!(
                "{method} {path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n",
                self.address
            ),
            body: Vec::new(),
        }
    }

    pub(crate) async fn get(&self, path: &str, person: &Person) -> Reply {
        self.call("GET", path).bearer(person).send().await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Reply {
        self.call("POST", path).json(&body).send().await
    }

    pub(crate) async fn person(&self, name: &str) -> Person {
        let account = json!({"username": name, "password": format!("password of {name}")});
        let registered = self.post("/register", account.clone()).await;
        assert_eq!(registered.status, 201, "{}", registered.body);
        let login = self.post("/login", account).await;
        assert_eq!(login.status, 200, "{}", login.body);
        Person {
            id: UserId::new(login.json()["user"]["id"].as_u64().unwrap()).unwrap(),
            token: login.json()["access_token"].as_str().unwrap().to_owned(),
        }
    }

    /// A connection that asks for an upgrade with further header lines, whatever comes of it.
    pub(crate) async fn upgrade(&self, path: &str, headers: &str) -> Reply {
        let request = format!(
            "GET {path} HTTP/1.1\r\nhost: {}\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\
             sec-websocket-version: 13\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n{headers}\r\n",
            self.address
        );
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(soon(stream.read_u8()).await.unwrap());
        }
        Reply::parse(&String::from_utf8(head).unwrap())
    }

    pub(crate) async fn socket(&self, path: &str, headers: &[(&'static str, String)]) -> Socket {
        let url = format!("ws://{}{path}", self.address);
        let mut request = url.into_client_request().unwrap();
        for (name, value) in headers {
            request.headers_mut().insert(*name, value.parse().unwrap());
        }
        let stream = TcpStream::connect(self.address).await.unwrap();
        let opened = tokio_tungstenite::client_async(request, stream);
        let (socket, _) = soon(opened).await.unwrap();
        Socket(socket)
    }

    /// A socket whose system holds little of what it does not read.
    pub(crate) async fn narrow(&self, person: &Person, protocol: Option<&'static str>) -> Socket {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(4096).unwrap();
        let stream = soon(socket.connect(self.address)).await.unwrap();
        let url = format!("ws://{}/ws/{}", self.address, person.token);
        let mut request = url.into_client_request().unwrap();
        if let Some(protocol) = protocol {
            let value = http::HeaderValue::from_static(protocol);
            request
                .headers_mut()
                .insert("sec-websocket-protocol", value);
        }
        let opened = tokio_tungstenite::client_async(request, stream);
        Socket(soon(opened).await.unwrap().0)
    }

    pub(crate) async fn live(&self, person: &Person) -> Socket {
        self.socket(&format!("/ws/{}", person.token), &[]).await
    }

    /// A socket whose frames are written by hand.
    pub(crate) async fn bare(&self, person: &Person) -> TcpStream {
        let socket = self.live(person).await;
        socket.0.into_inner()
    }
}

/// A request to be sent on a connection of its own.
pub(crate) struct Request<'a> {
    host: &'a Host,
    head: String,
    body: Vec<u8>,
}

impl Request<'_> {
    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.head += &format!("{name}: {value}\r\n");
        self
    }

    pub(crate) fn bearer(self, person: &Person) -> Self {
        self.header("authorization", &format!("Bearer {}", person.token))
    }

    pub(crate) fn cookie(self, person: &Person) -> Self {
        self.header("cookie", &format!("chat_session={}", person.token))
    }

    pub(crate) fn json(self, body: &Value) -> Self {
        self.header("content-type", "application/json")
            .body(body.to_string())
    }

    pub(crate) fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        let length = self.body.len().to_string();
        self.header("content-length", &length)
    }

    pub(crate) async fn send(self) -> Reply {
        let mut bytes = (self.head + "\r\n").into_bytes();
        bytes.extend(self.body);
        Reply::parse(&self.host.raw(&bytes).await)
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Reply {
    pub(crate) fn parse(text: &str) -> Self {
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((text, ""));
        let mut lines = head.lines();
        let status = lines.next().and_then(|line| line.split(' ').nth(1));
        let header = |line: &str| {
            let (name, value) = line.split_once(':').unwrap();
            (name.to_lowercase(), value.trim().to_owned())
        };
        Self {
            status: status.and_then(|status| status.parse().ok()).unwrap_or(0),
            headers: lines.map(header).collect(),
            body: body.to_owned(),
        }
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.iter().filter(|(known, _)| known == name);
        values.next().map(|(_, value)| value.as_str())
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("no JSON: {}", self.body))
    }

    /// Checks that it is a refusal as documented, and gives its sentence.
    pub(crate) fn problem(&self, status: u16) -> String {
        assert_eq!(self.status, status, "{}", self.body);
        assert_eq!(
            self.header("content-type"),
            Some("application/problem+json")
        );
        let body = self.json();
        assert_eq!(body["status"], status);
        assert_eq!(body["type"], "about:blank");
        assert!(!body["title"].as_str().unwrap().is_empty());
        let detail = body["detail"].as_str().unwrap();
        assert!(detail.contains(' '), "no sentence: {detail}");
        detail.to_owned()
    }
}

/// A WebSocket of a well-behaved client.
pub(crate) struct Socket(pub(crate) WebSocketStream<TcpStream>);

impl Socket {
    pub(crate) async fn send(&mut self, text: impl ToString) {
        let message = Message::text(text.to_string());
        soon(self.0.send(message)).await.unwrap();
    }

    /// The next message, past pings.
    pub(crate) async fn message(&mut self) -> Option<Message> {
        loop {
            match soon(self.0.next()).await {
                Some(Ok(Message::Ping(_))) => {}
                Some(Ok(message)) => return Some(message),
                Some(Err(_)) | None => return None,
            }
        }
    }

    pub(crate) async fn json(&mut self) -> Value {
        match self.message().await {
            Some(Message::Text(text)) => serde_json::from_str(&text).unwrap(),
            other => panic!("no frame, but {other:?}"),
        }
    }

    /// Code and reason of the Close that comes next.
    pub(crate) async fn closed(&mut self) -> (u16, String) {
        match self.message().await {
            Some(Message::Close(Some(frame))) => (frame.code.into(), frame.reason.to_string()),
            other => panic!("no close, but {other:?}"),
        }
    }

    /// The same, past whatever comes before.
    pub(crate) async fn closed_at_last(&mut self) -> (u16, String) {
        loop {
            match self.message().await {
                Some(Message::Close(Some(frame))) => {
                    return (frame.code.into(), frame.reason.to_string());
                }
                Some(_) => {}
                None => panic!("ended without a close"),
            }
        }
    }
}

/// A frame as a client sends it, masked with zeros.
pub(crate) fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first];
    match payload.len() {
        length @ ..126 => frame.push(0x80 | u8::try_from(length).unwrap()),
        length @ ..65_536 => {
            frame.push(0x80 | 126);
            frame.extend(u16::try_from(length).unwrap().to_be_bytes());
        }
        length => {
            frame.push(0x80 | 127);
            frame.extend((length as u64).to_be_bytes());
        }
    }
    frame.extend([0; 4]);
    frame.extend_from_slice(payload);
    frame
}

/// Reads server frames from a bare socket until it ends.
pub(crate) async fn read_frames(stream: &mut TcpStream) -> Vec<(u8, Vec<u8>)> {
    let mut bytes = Vec::new();
    let _ = soon(stream.read_to_end(&mut bytes)).await;
    frames(&bytes)
}

/// The server frames in some bytes: (first byte, payload).
pub(crate) fn frames(bytes: &[u8]) -> Vec<(u8, Vec<u8>)> {
    let mut rest = bytes;
    let mut frames = Vec::new();
    while let [first, length, after @ ..] = rest {
        let (length, after) = match *length {
            126 => (
                u16::from_be_bytes([after[0], after[1]]) as usize,
                &after[2..],
            ),
            127 => (
                u64::from_be_bytes(after[..8].try_into().unwrap()) as usize,
                &after[8..],
            ),
            short => (usize::from(short), after),
        };
        frames.push((*first, after[..length].to_vec()));
        rest = &after[length..];
    }
    frames
}

/// The code of a Close payload.
pub(crate) fn code(payload: &[u8]) -> u16 {
    u16::from_be_bytes([payload[0], payload[1]])
}

/// Over a store in memory, with message rates off unless a test is about them.
pub(crate) fn memory(limits: chat_core::Limits) -> Chat {
    Chat::builder(MemoryStore::new()).limits(limits).build()
}
