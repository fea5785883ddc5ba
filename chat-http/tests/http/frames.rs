//! The basic profile, frame by frame.

use std::time::Duration;

use chat_core::{Actor, Change, Target, Write};
use chat_http::{HttpLimits, ServerLimits};
use serde_json::json;
use tokio::io::AsyncWriteExt;
use tokio_tungstenite::tungstenite::Message;

use super::client::{Host, Person, code, masked, read_frames};

async fn pair(host: &Host) -> (Person, Person) {
    (host.person("ada").await, host.person("bob").await)
}

#[tokio::test]
async fn a_message_reaches_every_device_of_both_sides() {
    let host = Host::start().await;
    let (ada, bob) = pair(&host).await;
    let mut sockets = [
        host.live(&ada).await,
        host.live(&ada).await,
        host.live(&bob).await,
    ];
    sockets[0]
        .send(json!({"to": 2, "conversation_id": null, "content": "h\u{e4}\n\"llo"}))
        .await;
    for socket in &mut sockets {
        let frame = socket.json().await;
        let timestamp = frame["timestamp"].as_str().unwrap();
        assert_eq!(timestamp.len(), "2026-11-22T16:40:00.123Z".len());
        assert_eq!(
            frame,
            json!({
                "type": "message", "id": 2, "conversation_id": 1, "sender_id": 1,
                "content": "hä\n\"llo", "timestamp": timestamp, "reply_to": null, "data": null,
            })
        );
    }
    sockets[2]
        .send(json!({"to": 77, "conversation_id": 1, "content": "back"}))
        .await;
    for socket in &mut sockets {
        let frame = socket.json().await;
        assert_eq!((&frame["id"], &frame["sender_id"]), (&json!(3), &json!(2)));
    }
}

#[tokio::test]
async fn frames_are_answered_in_the_order_sent() {
    let host = Host::start().await;
    let (ada, _bob) = pair(&host).await;
    let mut socket = host.live(&ada).await;
    for number in 0..200 {
        socket
            .send(json!({"to": 2, "content": number.to_string()}))
            .await;
    }
    for number in 0..200 {
        let frame = socket.json().await;
        assert_eq!(frame["content"], number.to_string());
        assert_eq!(frame["id"], number + 2);
    }
}

#[tokio::test]
async fn only_messages_are_told() {
    let host = Host::start().await;
    let (ada, bob) = pair(&host).await;
    let mut socket = host.live(&bob).await;
    let write = |changes| {
        let target = Target::Direct(ada.id, bob.id);
        host.chat
            .commit(Write::new(Actor::User(ada.id), target, changes))
    };
    let react = Change::React {
        message: 2,
        emoji: "👍".to_owned(),
        on: true,
    };
    let edit = Change::Edit {
        message: 2,
        revision: None,
        content: "two".into(),
    };
    write(vec![Change::post("one")]).await.unwrap();
    write(vec![react, edit, Change::Delete { message: 2 }])
        .await
        .unwrap();
    write(vec![Change::post("last")]).await.unwrap();
    assert_eq!(socket.json().await["content"], "one");
    assert_eq!(socket.json().await["content"], "last");
}

#[tokio::test]
async fn refusals_name_the_frame() {
    let host = Host::start().await;
    let (ada, bob) = pair(&host).await;
    let carol = host.person("carol").await;
    let write = Write::post(bob.id, Target::Direct(bob.id, carol.id), "between us");
    host.chat.commit(write).await.unwrap();
    let mut socket = host.live(&ada).await;
    let mut refused = async |frame: &str| {
        socket.send(frame).await;
        let mut error = socket.json().await;
        assert!(error["detail"].as_str().unwrap().contains(' '));
        error["detail"] = json!("…");
        error
    };
    let foreign = refused(r#"{"conversation_id":1,"content":"a","ref":"x"}"#).await;
    assert_eq!(
        foreign,
        json!({"type": "error", "code": "not_found", "detail": "…", "ref": "x"})
    );
    let missing = refused(r#"{"conversation_id":99,"content":"a","ref":"x"}"#).await;
    assert_eq!(foreign, missing);
    assert_eq!(
        refused(r#"{"to":99,"content":"a","ref":5}"#).await,
        json!({"type": "error", "code": "not_found", "detail": "…", "ref": 5})
    );
    assert_eq!(
        refused("nonsense").await,
        json!({"type": "error", "code": "invalid", "detail": "…"})
    );
    let long = json!({"to": 2, "content": "x".repeat(9000), "ref": 6});
    assert_eq!(
        refused(&long.to_string()).await,
        json!({"type": "error", "code": "invalid", "detail": "…", "ref": 6})
    );
    let nul = r#"{"to":2,"content":"a\u0000b","ref":8}"#;
    assert_eq!(
        refused(nul).await,
        json!({"type": "error", "code": "invalid", "detail": "…", "ref": 8})
    );
    // The socket is as good as before.
    socket
        .send(json!({"to": 2, "content": "hi", "ref": 7}))
        .await;
    let frame = socket.json().await;
    assert_eq!((&frame["content"], frame.get("ref")), (&json!("hi"), None));
}

#[tokio::test]
async fn who_is_blocked_learns_it_by_a_frame() {
    let host = Host::start().await;
    let (ada, bob) = pair(&host).await;
    let block = Change::Block {
        user: ada.id,
        on: true,
    };
    let target = Target::User(bob.id);
    let write = Write::new(Actor::User(bob.id), target, vec![block]);
    host.chat.commit(write).await.unwrap();
    let mut socket = host.live(&ada).await;
    socket
        .send(json!({"to": 2, "content": "hi", "ref": 1}))
        .await;
    let frame = socket.json().await;
    assert_eq!(frame["type"], "error");
    assert_eq!(frame["ref"], 1);
}

#[tokio::test]
async fn too_many_messages_are_refused_with_a_time() {
    let mut limits = chat_core::Limits::default();
    limits.message_rate = 0.001;
    limits.message_burst = 1.0;
    let chat = super::client::memory(limits);
    let host = Host::over(chat, |builder| builder, ServerLimits::default()).await;
    let (ada, _bob) = pair(&host).await;
    let mut socket = host.live(&ada).await;
    socket.send(json!({"to": 2, "content": "one"})).await;
    socket
        .send(json!({"to": 2, "content": "two", "ref": 2}))
        .await;
    assert_eq!(socket.json().await["content"], "one");
    let refused = socket.json().await;
    assert_eq!(refused["code"], "rate_limited");
    assert_eq!(refused["ref"], 2);
    assert!(refused["retry_after_ms"].as_u64().unwrap() > 1000);
}

#[tokio::test]
async fn a_login_that_does_not_count_is_told_by_a_code() {
    let host = Host::start().await;
    let ada = host.person("ada").await;
    let closed = (1008, "login".to_owned());
    for path in ["/ws", "/ws/nonsense", "/ws/%ff", "/ws/%00"] {
        let mut socket = host.socket(path, &[]).await;
        assert_eq!(socket.closed().await, closed, "{path}");
        assert!(socket.message().await.is_none());
    }
    // What comes first counts, however good the next one is.
    let good = format!("Bearer {}", ada.token);
    let mut socket = host
        .socket("/ws/nonsense", &[("authorization", good.clone())])
        .await;
    assert_eq!(socket.closed().await, closed);
    let cookie = format!("chat_session={}", ada.token);
    let bad = [
        ("authorization", "Bearer no".to_owned()),
        ("cookie", cookie.clone()),
    ];
    assert_eq!(host.socket("/ws", &bad).await.closed().await, closed);

    for good in [("authorization", good), ("cookie", cookie)] {
        let mut socket = host.socket("/ws", &[good]).await;
        socket.send("x").await;
        assert_eq!(socket.json().await["code"], "invalid");
    }
}

#[tokio::test]
async fn a_login_that_expires_closes_its_sockets() {
    let chat = super::chat();
    let auth = super::auth(&chat).lifetime(Duration::from_secs(2));
    let own = auth.clone();
    let configure =
        |builder: chat_http::Builder| builder.documented(own.clone()).v1(std::sync::Arc::new(own));
    let host = Host::over(chat, configure, ServerLimits::default()).await;
    auth.register("ada", "password of ada").await.unwrap();
    let session = auth.login("ada", "password of ada").await.unwrap();
    let mut socket = host.socket(&format!("/ws/{}", session.token), &[]).await;
    assert_eq!(socket.closed().await, (1008, "login".to_owned()));
    assert!(chat_core::Timestamp::now() >= session.expires);
}

#[tokio::test]
async fn logging_out_closes_the_sockets_of_that_login() {
    let host = Host::start().await;
    let ada = host.person("ada").await;
    let account = json!({"username": "ada", "password": "password of ada"});
    let again = host.post("/login", account).await.json();
    let other = Person {
        id: ada.id,
        token: again["access_token"].as_str().unwrap().to_owned(),
    };
    let mut socket = host.live(&ada).await;
    let mut stays = host.live(&other).await;
    assert_eq!(
        host.call("POST", "/logout")
            .bearer(&ada)
            .send()
            .await
            .status,
        204
    );
    assert_eq!(socket.closed().await, (1008, "login".to_owned()));
    stays.send("x").await;
    assert_eq!(stays.json().await["code"], "invalid");

    let change = json!({"current_password": "password of ada", "new_password": "another long one"});
    let changed = host
        .call("POST", "/v1/password")
        .bearer(&other)
        .json(&change);
    assert_eq!(changed.send().await.status, 200);
    assert_eq!(stays.closed().await, (1008, "login".to_owned()));
}

#[tokio::test]
async fn the_oldest_socket_of_too_many_gives_way() {
    let mut limits = chat_core::Limits::default();
    limits.connections = 2;
    let chat = super::client::memory(limits);
    let host = Host::over(chat, |builder| builder, ServerLimits::default()).await;
    let ada = host.person("ada").await;
    let mut first = host.live(&ada).await;
    let _second = host.live(&ada).await;
    let _third = host.live(&ada).await;
    assert_eq!(first.closed().await.0, 4009);
}

#[tokio::test]
async fn the_host_ends_sockets() {
    let host = Host::start().await;
    let ada = host.person("ada").await;
    let mut socket = host.live(&ada).await;
    host.chat.disconnect(ada.id, None);
    assert_eq!(socket.closed().await, (1000, "host".to_owned()));
}

#[tokio::test]
async fn a_client_that_closes_is_answered() {
    let host = Host::start().await;
    let (ada, bob) = pair(&host).await;
    let mut other = host.live(&bob).await;
    let mut stream = host.bare(&ada).await;
    let mut bytes = masked(0x81, br#"{"to":2,"content":"before I go"}"#);
    bytes.extend(masked(0x89, b"p1"));
    bytes.extend(masked(0x88, &1000u16.to_be_bytes()));
    stream.write_all(&bytes).await.unwrap();
    let frames = read_frames(&mut stream).await;
    let (last, before) = frames.split_last().unwrap();
    assert_eq!((last.0, code(&last.1)), (0x88, 1000));
    assert!(before.contains(&(0x8a, b"p1".to_vec())));
    // What was handed in is committed all the same.
    assert_eq!(other.json().await["content"], "before I go");
}

#[tokio::test]
async fn what_comes_with_the_handshake_is_not_lost() {
    let host = Host::start().await;
    let (ada, bob) = pair(&host).await;
    let mut other = host.live(&bob).await;
    let mut bytes = format!(
        "GET /ws/{} HTTP/1.1\r\nhost: x\r\nconnection: keep-alive, Upgrade\r\nupgrade: WebSocket\r\n\
         sec-websocket-version: 13\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n",
        ada.token
    )
    .into_bytes();
    let frame = masked(0x81, br#"{"to":2,"content":"early"}"#);
    bytes.extend(&frame);
    bytes.extend(&frame[..10]);
    let mut stream = tokio::net::TcpStream::connect(host.address).await.unwrap();
    stream.write_all(&bytes).await.unwrap();
    assert_eq!(other.json().await["content"], "early");
    stream.write_all(&frame[10..]).await.unwrap();
    assert_eq!(other.json().await["content"], "early");
}

#[tokio::test]
async fn large_frames_and_fragments_do_not_disturb_what_follows() {
    let host = Host::start().await;
    let (ada, bob) = pair(&host).await;
    let mut other = host.live(&bob).await;
    let mut stream = host.bare(&ada).await;
    let text = "x".repeat(8000);
    for round in 0..5 {
        let whole = format!(
            r#"{{"to":2,"content":"{round}{text}","pad":"{}"}}"#,
            "y".repeat(40_000)
        );
        let mut bytes = Vec::new();
        let parts: Vec<_> = whole.as_bytes().chunks(20_000).collect();
        for (at, part) in parts.iter().enumerate() {
            let last = if at + 1 == parts.len() { 0x80 } else { 0 };
            bytes.extend(masked(last | u8::from(at == 0), part));
            bytes.extend(masked(0x8a, b"between"));
        }
        bytes.extend(masked(
            0x81,
            format!(r#"{{"to":2,"content":"small {round}"}}"#).as_bytes(),
        ));
        for part in bytes.chunks(7777) {
            stream.write_all(part).await.unwrap();
        }
    }
    for round in 0..5 {
        assert_eq!(other.json().await["content"], format!("{round}{text}"));
        assert_eq!(other.json().await["content"], format!("small {round}"));
    }
}

fn quick() -> HttpLimits {
    let mut limits = HttpLimits::default();
    limits.ping_after = Duration::from_millis(50);
    limits.dead_after = Duration::from_millis(400);
    limits.close_wait = Duration::from_millis(200);
    limits.frame_time = Duration::from_millis(300);
    limits
}

#[tokio::test]
async fn a_silent_peer_is_pinged_and_then_dropped() {
    let host = Host::with(|builder| builder.limits(quick()), ServerLimits::default()).await;
    let ada = host.person("ada").await;
    let mut stream = host.bare(&ada).await;
    let frames = read_frames(&mut stream).await;
    assert_eq!(frames, [(0x89, vec![])], "one ping, then the end");
}

#[tokio::test]
async fn a_peer_that_answers_pings_stays() {
    let host = Host::with(|builder| builder.limits(quick()), ServerLimits::default()).await;
    let ada = host.person("ada").await;
    let mut socket = host.live(&ada).await;
    use futures_util::StreamExt;
    let mut pings = 0;
    // Longer than a silent one would live.
    while pings < 20 {
        match socket.0.next().await {
            Some(Ok(Message::Ping(_))) => pings += 1,
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn a_frame_that_never_ends_is_cut() {
    let host = Host::with(|builder| builder.limits(quick()), ServerLimits::default()).await;
    let ada = host.person("ada").await;
    let mut stream = host.bare(&ada).await;
    let frame = masked(0x81, &[b'x'; 100]);
    let (mut read, mut write) = stream.split();
    let dribble = async {
        for byte in &frame[..90] {
            tokio::time::sleep(Duration::from_millis(20)).await;
            if write.write_all(&[*byte]).await.is_err() {
                return;
            }
        }
    };
    let mut bytes = Vec::new();
    let until_end = tokio::io::AsyncReadExt::read_to_end(&mut read, &mut bytes);
    let (_, ended) = tokio::join!(dribble, super::client::soon(until_end));
    drop(ended);
    let frames = super::client::frames(&bytes);
    let (first, payload) = frames.last().unwrap();
    assert_eq!((*first, code(payload)), (0x88, 1002));
}

#[tokio::test]
async fn a_peer_that_does_not_answer_a_close_is_dropped() {
    let host = Host::with(|builder| builder.limits(quick()), ServerLimits::default()).await;
    let ada = host.person("ada").await;
    let mut stream = host.bare(&ada).await;
    host.chat.disconnect(ada.id, None);
    let frames = read_frames(&mut stream).await;
    let closes: Vec<_> = frames.iter().filter(|(first, _)| *first == 0x88).collect();
    assert_eq!(closes.len(), 1);
}

#[tokio::test]
async fn a_slow_reader_is_told_to_resume() {
    let mut limits = chat_core::Limits::default();
    limits.message_rate = 0.0;
    limits.queue_bytes = 64 << 10;
    let chat = super::client::memory(limits);
    let host = Host::over(chat, |builder| builder, ServerLimits::default()).await;
    let (ada, bob) = pair(&host).await;
    let mut slow = host.narrow(&bob, None).await;
    let mut quick = host.live(&bob).await;
    // More than the system and all queues between hold.
    let text = "x".repeat(8000);
    for _ in 0..1000 {
        let write = Write::post(ada.id, Target::Direct(ada.id, bob.id), text.as_str());
        host.chat.commit(write).await.unwrap();
        assert_eq!(
            quick.json().await["type"],
            "message",
            "the slow one delays nobody"
        );
    }
    assert_eq!(slow.closed_at_last().await, (4008, "resume".to_owned()));
}
