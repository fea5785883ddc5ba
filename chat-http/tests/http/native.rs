//! The native protocol over real sockets. What its frames say is tested in chat-core.

use std::time::Duration;

use chat_core::{Target, Write};
use chat_http::{HttpLimits, ServerLimits};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use super::client::{Host, Person, Socket};

const KEY: &str = "01990000-0000-7000-8000-000000000001";

async fn open(host: &Host, person: &Person) -> Socket {
    let offer = format!("chat.v1, bearer.{}", person.token);
    let mut socket = host
        .socket("/ws", &[("sec-websocket-protocol", offer)])
        .await;
    let hello = socket.json().await;
    assert_eq!(hello["type"], "hello");
    assert_eq!(hello["body"]["user"], json!(person.id.get()));
    socket
}

fn post(to: Value, text: &str) -> Value {
    json!({"type": "post", "ref": "r", "body": {"key": KEY, "to": to, "text": text}})
}

#[tokio::test]
async fn what_is_written_reaches_both_profiles() {
    let host = Host::start().await;
    let (ada, bob) = (host.person("ada").await, host.person("bob").await);
    let mut native = open(&host, &ada).await;
    let mut basic = host.live(&bob).await;
    native.send(post(json!({"user": 2}), "hello")).await;
    let mut kinds = Vec::new();
    loop {
        let frame = native.json().await;
        kinds.push(frame["body"]["kind"].as_str().unwrap().to_owned());
        if frame["type"] == "reply" {
            assert_eq!(
                (&frame["ref"], &frame["body"]["seq"]),
                (&json!("r"), &json!(2))
            );
            break;
        }
    }
    assert_eq!(kinds, ["added", "created", "posted", "written"]);
    assert_eq!(basic.json().await["content"], "hello");
    basic.send(json!({"to": 1, "content": "back"})).await;
    let told = native.json().await;
    assert_eq!(told["body"]["message"]["text"], "back");
}

#[tokio::test]
async fn a_token_among_the_protocols_is_never_answered_with() {
    let host = Host::start().await;
    let ada = host.person("ada").await;
    let protocols = |list: &str| format!("sec-websocket-protocol: {list}\r\n");
    let both = protocols(&format!("chat.v1, bearer.{}", ada.token));
    let answer = host.upgrade("/ws", &both).await;
    assert_eq!(answer.status, 101);
    assert_eq!(answer.header("sec-websocket-protocol"), Some("chat.v1"));
    // In two lines, and in the other order.
    let apart = protocols(&format!("bearer.{}", ada.token)) + &protocols("chat.v1");
    let answer = host.upgrade("/ws", &apart).await;
    assert_eq!(answer.header("sec-websocket-protocol"), Some("chat.v1"));
    // Without the protocol, the basic profile is spoken, and nothing is answered.
    let alone = protocols(&format!("other, bearer.{}", ada.token));
    let answer = host.upgrade("/ws", &alone).await;
    assert_eq!(
        (answer.status, answer.header("sec-websocket-protocol")),
        (101, None)
    );
}

#[tokio::test]
async fn bad_logins_are_told_by_close_code() {
    let host = Host::start().await;
    let ada = host.person("ada").await;
    for offer in [
        "chat.v1".to_owned(),
        "chat.v1, bearer.forged".to_owned(),
        format!("chat.v1, bearer.{0}, bearer.{0}", ada.token),
    ] {
        let mut socket = host
            .socket("/ws", &[("sec-websocket-protocol", offer)])
            .await;
        assert_eq!(socket.closed().await, (1008, "login".to_owned()));
    }
}

#[tokio::test]
async fn a_socket_outlives_bad_frames_but_no_flood() {
    let host = Host::start().await;
    let ada = host.person("ada").await;
    let mut socket = open(&host, &ada).await;
    for bad in ["", "{}", "[1]", r#"{"type":"post"}"#, r#"{"type":"x"}"#] {
        socket.send(bad).await;
        let frame = socket.json().await;
        assert_eq!(frame["body"]["code"], "invalid", "{frame}");
    }
    socket.send(json!({"type": "ping", "ref": 1})).await;
    assert_eq!(
        socket.json().await,
        json!({"type": "pong", "ref": 1, "body": {}})
    );
    for _ in 0..200 {
        socket.send("{}").await;
    }
    assert_eq!(socket.closed_at_last().await, (4029, "flood".to_owned()));
}

#[tokio::test]
async fn a_silent_client_is_closed_and_a_pinging_one_is_not() {
    let mut limits = HttpLimits::default();
    limits.ping_after = Duration::from_millis(300);
    let host = Host::with(|builder| builder.limits(limits), ServerLimits::default()).await;
    let ada = host.person("ada").await;
    let mut silent = open(&host, &ada).await;
    let mut lively = open(&host, &ada).await;
    let silent = tokio::spawn(async move { silent.closed_at_last().await });
    let mut pongs = 0;
    while !silent.is_finished() {
        lively.send(json!({"type": "ping"})).await;
        assert_eq!(lively.json().await["type"], "pong");
        pongs += 1;
    }
    assert_eq!(silent.await.unwrap(), (4000, "idle".to_owned()));
    assert!(pongs > 0);
    lively.send(json!({"type": "ping"})).await;
    assert_eq!(lively.json().await["type"], "pong");
}

#[tokio::test]
async fn who_stops_says_when_to_come_back() {
    let mut host = Host::start().await;
    let ada = host.person("ada").await;
    let mut socket = open(&host, &ada).await;
    host.stop();
    let frame = socket.json().await;
    assert_eq!(frame["type"], "drain");
    let wait = frame["body"]["reconnect_in_ms"].as_u64().unwrap();
    assert!((100..3_000).contains(&wait), "{wait}");
    assert_eq!(socket.closed().await, (1001, "drain".to_owned()));
    host.stopped().await;
}

/// Laws 8 and 9: a socket that takes nothing costs what its queue may hold, is closed with the code that says resume, and
/// delays nobody; what it missed comes by resuming.
#[tokio::test]
async fn a_stalled_socket_is_told_to_resume() {
    const MANY: u64 = 1000;
    let mut limits = chat_core::Limits::default();
    limits.message_rate = 0.0;
    limits.queue_bytes = 64 << 10;
    let chat = super::client::memory(limits);
    let host = Host::over(chat, |builder| builder, ServerLimits::default()).await;
    let (ada, bob) = (host.person("ada").await, host.person("bob").await);
    let pair = || Target::Direct(ada.id, bob.id);
    let first = Write::post(ada.id, pair(), "first");
    host.chat.commit(first).await.unwrap();
    let mut stalled = host.narrow(&bob, Some("chat.v1")).await;
    let mut quick = open(&host, &bob).await;
    let text = "x".repeat(8000);
    for seq in 3..3 + MANY {
        let write = Write::post(ada.id, pair(), text.as_str());
        host.chat.commit(write).await.unwrap();
        assert_eq!(quick.json().await["body"]["seq"], seq, "it is delayed");
    }
    let mut told = 2;
    let close = loop {
        match stalled.message().await {
            Some(Message::Text(text)) => {
                let frame: Value = serde_json::from_str(&text).unwrap();
                if frame["type"] == "event" {
                    told += 1;
                    assert_eq!(frame["body"]["seq"], told);
                }
            }
            Some(Message::Close(close)) => break close.unwrap(),
            other => panic!("no frame, but {other:?}"),
        }
    };
    assert_eq!((u16::from(close.code), &*close.reason), (4008, "resume"));
    assert!(told < MANY, "it was not stalled");
    let mut again = open(&host, &bob).await;
    let logs = json!([{"log": {"conversation": 1}, "after": told}]);
    again
        .send(json!({"type": "resume", "ref": 1, "body": {"logs": logs}}))
        .await;
    assert_eq!(again.json().await["type"], "reply");
    loop {
        let frame = again.json().await;
        if frame["type"] == "live" {
            break;
        }
        told += 1;
        assert_eq!(frame["body"]["seq"], told);
    }
    assert_eq!(told, 2 + MANY);
}
