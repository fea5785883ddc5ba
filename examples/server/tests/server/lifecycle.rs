//! Start, stop and start again: what was acknowledged stays.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use crate::client::{Heard, PASSWORD, Socket, User, connect, get, login, register, request};
use crate::support::{Server, Signal, command};

/// How long an orderly end may take.
const DRAIN: Duration = Duration::from_secs(10);
/// The close code of a server that goes away (RFC 6455, section 7.4.1).
const GOING_AWAY: u16 = 1001;

/// Sends until the socket closes, 16 frames ahead: the texts that came back by id, and the close code.
fn send_until_closed(
    mut socket: Socket,
    me: u64,
    to: u64,
    told: &mpsc::Sender<()>,
) -> (BTreeMap<u64, String>, u16) {
    let (mut sent, mut pending) = (0_u32, 0_u32);
    let mut acknowledged = BTreeMap::new();
    loop {
        // A send that fails shows below as the end of the stream.
        while pending < 16 && socket.send(to, &format!("{me}:{sent}")) {
            sent += 1;
            pending += 1;
        }
        match socket.hear() {
            Heard::Closed(code) => return (acknowledged, code),
            Heard::Frame(frame) if frame["type"] == "message" => {
                assert_eq!(frame["sender_id"], me);
                let id = frame["id"].as_u64().expect("an id");
                let text = frame["content"].as_str().expect("a text");
                acknowledged.insert(id, text.to_owned());
                let _ = told.send(());
            }
            Heard::Frame(frame) => assert_eq!(frame["type"], "error", "{frame}"),
        }
        pending -= 1;
    }
}

/// All messages of a user's only conversation, by id.
fn messages(address: SocketAddr, user: &User) -> BTreeMap<u64, String> {
    let list = get(address, &format!("/conversations/{}", user.id), &user.token);
    let conversation = list[0]["id"].as_u64().expect("one conversation");
    let mut found = BTreeMap::new();
    loop {
        let after = found.last_key_value().map_or(0, |(id, _)| *id);
        let path = format!("/messages/{conversation}?after={after}&limit=100");
        let page = get(address, &path, &user.token);
        let page = page.as_array().expect("a page");
        if page.is_empty() {
            return found;
        }
        for message in page {
            let id = message["id"].as_u64().expect("an id");
            let text = message["content"].as_str().expect("a text");
            assert!(
                found.insert(id, text.to_owned()).is_none(),
                "{id} came twice"
            );
        }
    }
}

#[test]
fn sigterm_under_load_loses_nothing_acknowledged() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Server::on(folder.path(), &["--no-rate-limits"]);
    let address = server.address;
    let reader = register(address, "reader");
    let senders: Vec<User> = (0..4)
        .map(|n| register(address, &format!("sender{n}")))
        .collect();
    let mut listening = Socket::open(address, &reader.token);
    // Idle, but kept alive: no reason to wait.
    let _idle = connect(address);

    let (told, tell) = mpsc::channel();
    let running: Vec<_> = senders
        .iter()
        .map(|user| {
            let socket = Socket::open(address, &user.token);
            let (me, to, told) = (user.id, reader.id, told.clone());
            std::thread::spawn(move || send_until_closed(socket, me, to, &told))
        })
        .collect();
    drop(told);
    // All of them are in full swing.
    tell.iter().take(400).for_each(drop);
    server.signal(Signal::TERM);
    let asked = Instant::now();

    let acknowledged: Vec<_> = running
        .into_iter()
        .map(|thread| {
            let (acknowledged, code) = thread.join().expect("a sender");
            assert_eq!(code, GOING_AWAY);
            acknowledged
        })
        .collect();
    let closed = loop {
        if let Heard::Closed(code) = listening.hear() {
            break code;
        }
    };
    assert_eq!(closed, GOING_AWAY);
    assert_eq!(server.ended().code(), Some(0));
    assert!(asked.elapsed() < DRAIN, "{:?}", asked.elapsed());

    let again = Server::on(folder.path(), &[]);
    for (user, acknowledged) in senders.iter().zip(&acknowledged) {
        let kept = messages(again.address, user);
        for (id, text) in acknowledged {
            assert_eq!(kept.get(id), Some(text), "message {id} of user {}", user.id);
        }
        let mut texts: Vec<_> = kept.values().collect();
        texts.sort();
        texts.dedup();
        assert_eq!(texts.len(), kept.len(), "a message was stored twice");
    }
    let told: usize = acknowledged.iter().map(BTreeMap::len).sum();
    assert!(told >= 400);
}

#[test]
fn a_restart_keeps_everything() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    let server = Server::on(&data, &[]);
    let (anna, ben) = (
        register(server.address, "anna"),
        register(server.address, "ben"),
    );
    let mut socket = Socket::open(server.address, &anna.token);
    assert!(socket.send(ben.id, "still here?"));
    let Heard::Frame(sent) = socket.hear() else {
        panic!("closed")
    };
    assert_eq!(sent["content"], "still here?");
    drop(socket);
    server.signal(Signal::INT);
    assert_eq!(server.ended().code(), Some(0));

    let server = Server::on(&data, &[]);
    // The login of before is one still, and so is the password.
    assert_eq!(
        get(server.address, "/v1/session", &anna.token)["user"]["id"],
        anna.id
    );
    assert_eq!(login(server.address, "ben").id, ben.id);
    let list = get(
        server.address,
        &format!("/conversations/{}", ben.id),
        &ben.token,
    );
    assert_eq!(list[0]["last_message"]["content"], "still here?");
    assert_eq!(list[0]["unread"], 1);

    let mode = |path: &std::path::Path| {
        let data = fs::metadata(path).expect("there");
        data.permissions().mode() & 0o777
    };
    assert_eq!(mode(&data), 0o700);
    for entry in fs::read_dir(&data).expect("a folder") {
        let path = entry.expect("an entry").path();
        assert_eq!(mode(&path), 0o600, "{}", path.display());
    }
}

#[test]
fn a_store_in_memory_is_warned_of() {
    let mut server = Server::start(&["--store", "memory"]);
    server.warning_with("gone when this ends");
}

/// A request whose body never comes keeps a server that drains waiting. The server has begun to read it when this returns.
fn hang(address: SocketAddr) -> TcpStream {
    let mut stream = connect(address);
    let head = "POST /login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n\
        Content-Length: 100\r\nExpect: 100-continue\r\n\r\n";
    stream.write_all(head.as_bytes()).expect("written");
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).expect("answered");
    assert_eq!(&answer, b"HTTP/1.1 100");
    stream
}

#[test]
fn a_hanging_request_does_not_outlast_the_drain() {
    let server = Server::start(&["--store", "memory"]);
    let _hanging = hang(server.address);
    server.signal(Signal::TERM);
    let asked = Instant::now();
    assert_eq!(server.ended().code(), Some(0));
    assert!(asked.elapsed() < DRAIN, "{:?}", asked.elapsed());
}

#[test]
fn a_second_signal_ends_it_at_once() {
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        let mut server = Server::start(&["--store", "memory"]);
        let _hanging = hang(server.address);
        server.signal(Signal::TERM);
        server.line_with("again");
        server.signal(signal);
        assert_eq!(server.ended().code(), Some(code));
    }
}

#[test]
fn options_come_from_the_environment_too() {
    let server = Server::start_by(command(&[]).envs([
        ("CHAT_STORE", "memory"),
        ("CHAT_ALLOW_ORIGIN", "https://a.example,https://b.example"),
        ("CHAT_NO_RATE_LIMITS", "1"),
        ("CHAT_REGISTRATION", "closed"),
    ]));
    let body = serde_json::json!({ "username": "anna", "password": PASSWORD });
    let answer = request(server.address, "POST", "/register", None, Some(&body));
    assert_eq!(answer.status, 403, "{}", answer.body);
}

#[test]
fn it_serves_a_page_and_says_that_it_lives() {
    let server = Server::start(&["--store", "memory"]);
    let page = request(server.address, "GET", "/", None, None);
    assert_eq!(page.status, 200);
    assert!(
        page.header("content-type")
            .is_some_and(|kind| kind.starts_with("text/html"))
    );
    assert!(
        page.header("content-security-policy")
            .is_some_and(|csp| csp.contains("default-src"))
    );
    for path in ["/healthz", "/readyz", "/openapi.json", "/docs"] {
        assert_eq!(
            request(server.address, "GET", path, None, None).status,
            200,
            "{path}"
        );
    }
}
