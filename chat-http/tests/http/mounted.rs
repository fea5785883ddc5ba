//! The service inside somebody else's router, with somebody else's login.

use std::collections::HashMap;
use std::sync::Arc;

use axum::Router;
use axum::routing::get;
use chat_core::{
    Actor, Authenticator, Change, Chat, Error, ErrorKind, Identity, Target, UserId, Write,
};
use chat_http::{Http, HttpLimits};
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

use super::client::{Reply, soon};

/// A host that keeps its sessions itself.
struct Sessions(HashMap<&'static str, UserId>);

#[async_trait::async_trait]
impl Authenticator for Sessions {
    async fn authenticate(&self, credential: &str) -> Result<Identity, Error> {
        match credential {
            "asleep" => std::future::pending().await,
            "down" => Err(Error::unavailable("the directory does not answer")),
            other => match self.0.get(other) {
                Some(user) => Ok(Identity::of(*user)),
                None => Err(Error::forbidden("log in at the shop first")),
            },
        }
    }
}

async fn user(chat: &Chat, subject: &str) -> UserId {
    let target = Target::Subject {
        provider: "shop".to_owned(),
        subject: subject.to_owned(),
    };
    let profile = Change::Profile {
        name: Some(subject.to_owned()),
        data: None,
    };
    let write = Write::new(Actor::Host, target, vec![profile]);
    chat.commit(write).await.unwrap().user.unwrap()
}

async fn request(address: std::net::SocketAddr, line: &str, token: &str) -> Reply {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!(
        "{line} HTTP/1.1\r\nhost: x\r\nconnection: close\r\nauthorization: Bearer {token}\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    soon(stream.read_to_string(&mut answer)).await.unwrap();
    Reply::parse(&answer)
}

#[tokio::test]
async fn a_router_of_a_host_serves_chat_too() {
    let chat = super::chat();
    let sessions = Sessions(HashMap::from([
        ("key-of-ada", user(&chat, "ada").await),
        ("key-of-bob", user(&chat, "bob").await),
    ]));
    let mut limits = HttpLimits::default();
    limits.answer_time = std::time::Duration::from_millis(200);
    let http = Http::builder(chat.clone())
        .v1(Arc::new(sessions))
        .limits(limits)
        .build()
        .unwrap();
    let router = Router::new()
        .route("/shop", get(|| async { "shop" }))
        .nest_service("/chat", http);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = tokio::spawn(async move { axum::serve(listener, router).await });

    assert_eq!(request(address, "GET /shop", "x").await.body, "shop");
    let session = request(address, "GET /chat/v1/session", "key-of-ada").await;
    let expected = json!({"user": {"id": 1, "username": "ada"}, "expires_at": null});
    assert_eq!(session.json(), expected);
    let refused = request(address, "GET /chat/v1/session", "x").await;
    assert_eq!(refused.problem(401), "Log in at the shop first.");
    request(address, "GET /chat/v1/session", "down")
        .await
        .problem(503);
    let asleep = request(address, "GET /chat/v1/session", "asleep").await;
    asleep.problem(503);
    // Not offered here.
    request(address, "GET /chat/conversations/1", "key-of-ada")
        .await
        .problem(404);
    request(address, "POST /chat/login", "key-of-ada")
        .await
        .problem(404);

    let connect = async |token: &str| {
        let url = format!("ws://{address}/chat/ws");
        let mut request = url.into_client_request().unwrap();
        let bearer = format!("Bearer {token}").parse().unwrap();
        request.headers_mut().insert("authorization", bearer);
        let stream = TcpStream::connect(address).await.unwrap();
        soon(tokio_tungstenite::client_async(request, stream)).await
    };
    let (mut ada, _) = connect("key-of-ada").await.unwrap();
    let (mut bob, _) = connect("key-of-bob").await.unwrap();
    let hello = json!({"to": 2, "content": "hello from the shop"}).to_string();
    ada.send(Message::text(hello)).await.unwrap();
    let told = soon(bob.next()).await.unwrap().unwrap();
    let told: Value = serde_json::from_str(told.to_text().unwrap()).unwrap();
    assert_eq!(told["content"], "hello from the shop");
    assert!(connect("asleep").await.is_err());
    // A directory that is down is no reason to log in again.
    assert!(connect("down").await.is_err());

    let patience = std::time::Duration::from_secs(5);
    soon(chat.drain(patience)).await.unwrap();
    let last = soon(bob.next()).await.unwrap().unwrap();
    assert!(matches!(last, Message::Close(Some(frame)) if u16::from(frame.code) == 1001));
    let down = request(address, "GET /chat/readyz", "x").await;
    down.problem(503);
    assert_eq!(
        chat.ready().await.unwrap_err().kind(),
        ErrorKind::Unavailable
    );
    server.abort();
}
