//! The shop over real connections.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::net::SocketAddr;
use std::time::Duration;

use futures_util::StreamExt;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error as SocketError, Message};
use tokio_tungstenite::{WebSocketStream, client_async};

use super::*;

async fn soon<T>(future: impl Future<Output = T>) -> T {
    let limit = Duration::from_secs(30);
    tokio::time::timeout(limit, future).await.unwrap()
}

async fn open_shop() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = Shop::new().router(&format!("http://{address}")).unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

/// Somebody's browser.
struct Browser {
    shop: SocketAddr,
    cookie: String,
}

impl Browser {
    async fn log_in(shop: SocketAddr, name: &str) -> Self {
        let mut browser = Self {
            shop,
            cookie: String::new(),
        };
        let (status, head, _) = browser.send("POST", "/login", name).await;
        assert_eq!(status, 200);
        let cookie = head
            .lines()
            .find_map(|line| line.strip_prefix("set-cookie: "));
        browser.cookie = cookie.unwrap().split(';').next().unwrap().to_owned();
        browser
    }

    async fn send(&self, method: &str, path: &str, body: &str) -> (u16, String, String) {
        let kind = if body.starts_with('{') {
            "application/json"
        } else {
            "text/plain"
        };
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\ncookie: {}\r\ncontent-type: {kind}\r\n\
             content-length: {}\r\n\r\n{body}",
            self.shop,
            self.cookie,
            body.len()
        );
        let mut stream = TcpStream::connect(self.shop).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        soon(stream.read_to_string(&mut answer)).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, head.to_owned(), body.to_owned())
    }

    async fn ask(&self, method: &str, path: &str, body: &str) -> (u16, Value) {
        let (status, _, body) = self.send(method, path, body).await;
        (status, serde_json::from_str(&body).unwrap_or(json!(body)))
    }

    async fn say(&self, conversation: &str, key: u32, text: &str) -> u16 {
        let key = format!("01990000-0000-7000-8000-{key:012}");
        let body =
            format!(r#"{{"key":"{key}","to":{{"conversation":{conversation}}},"text":"{text}"}}"#);
        self.send("POST", "/chat/v1/messages", &body).await.0
    }

    async fn socket(&self, origin: &str) -> Result<WebSocketStream<TcpStream>, SocketError> {
        let url = format!("ws://{}/chat/ws", self.shop);
        let mut request = url.into_client_request().unwrap();
        let headers = [
            ("cookie", &*self.cookie),
            ("origin", origin),
            ("sec-websocket-protocol", "chat.v1"),
        ];
        for (name, value) in headers {
            request.headers_mut().insert(name, value.parse().unwrap());
        }
        let stream = TcpStream::connect(self.shop).await.unwrap();
        Ok(soon(client_async(request, stream)).await?.0)
    }
}

async fn next(socket: &mut WebSocketStream<TcpStream>) -> Value {
    match soon(socket.next()).await.unwrap().unwrap() {
        Message::Text(text) => serde_json::from_str(&text).unwrap(),
        Message::Close(why) => json!({"close": why.map(|why| u16::from(why.code))}),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn customers_chat_about_their_orders() {
    let shop = open_shop().await;
    let (ann, bob) = (
        Browser::log_in(shop, "ann").await,
        Browser::log_in(shop, "bob").await,
    );
    let support = Browser::log_in(shop, "support").await;
    assert_eq!(ann.send("PUT", "/orders/17", "").await.0, 200);
    let (_, id) = ann.ask("PUT", "/orders/17", "").await;
    let id = id.to_string();
    assert_ne!(bob.ask("PUT", "/orders/17", "").await.1.to_string(), id);

    let mut socket = ann.socket(&format!("http://{shop}")).await.unwrap();
    assert_eq!(next(&mut socket).await["type"], "hello");
    assert_eq!(ann.say(&id, 1, "This is damn slow.").await, 200);
    let told = next(&mut socket).await;
    assert_eq!(told["body"]["message"]["text"], "This is very slow.");

    // Support reads along and is no member; other customers do not know that it is there.
    let history = format!("/chat/v1/conversations/{id}/messages");
    let (status, page) = support.ask("GET", &history, "").await;
    assert_eq!(
        (status, &page["messages"][0]["sender"]),
        (200, &Value::Null)
    );
    assert_eq!(support.say(&id, 2, "hello").await, 404);
    assert_eq!(bob.ask("GET", &history, "").await.0, 404);
    assert_eq!(bob.say(&id, 3, "hello").await, 404);
    // Only the shop changes who is in it.
    let leave = r#"{"key":"01990000-0000-7000-8000-000000000004"}"#;
    let path = format!("/chat/v1/conversations/{id}/leave");
    assert_eq!(ann.send("POST", &path, leave).await.0, 403);
    socket.close(None).await.unwrap();
}

#[tokio::test]
async fn the_shops_logins_are_the_chats() {
    let shop = open_shop().await;
    let ann = Browser::log_in(shop, "ann").await;
    let (_, session) = ann.ask("GET", "/chat/v1/session", "").await;
    assert_eq!(session["user"]["username"], "ann");
    let nobody = Browser {
        shop,
        cookie: format!("{COOKIE}=guessed"),
    };
    assert_eq!(nobody.ask("GET", "/chat/v1/session", "").await.0, 401);
    // The cookie goes along with what other sites' pages ask for, too: it does not count there.
    assert!(ann.socket("https://evil.example").await.is_err());

    let mut socket = ann.socket(&format!("http://{shop}")).await.unwrap();
    assert_eq!(next(&mut socket).await["type"], "hello");
    assert_eq!(ann.send("POST", "/logout", "").await.0, 204);
    assert_eq!(next(&mut socket).await["close"], 1000);
    assert_eq!(ann.ask("GET", "/chat/v1/session", "").await.0, 401);
    // The same person is the same user again.
    let again = Browser::log_in(shop, "ann").await;
    assert_eq!(
        again.ask("GET", "/chat/v1/session", "").await.1["user"],
        session["user"]
    );
}
