//! The session itself: what it promises whatever a client does.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use proptest::prelude::*;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::super::*;
use super::transcripts::{Client, World, masked};
use crate::kv::MemoryStore;
use crate::{Chat, Limits as ChatLimits};

fn names() -> Vec<String> {
    ["ada", "bob", "eve"].map(str::to_owned).to_vec()
}

/// A chat without message rates.
async fn world() -> World {
    let limits = ChatLimits {
        message_rate: 0.0,
        ..ChatLimits::default()
    };
    let chat = Chat::builder(MemoryStore::default()).limits(limits).build();
    World::over(chat, &names()).await
}

async fn opened(world: &World, user: u64) -> Client {
    let mut client = world.open(user).await;
    let hello = client.quiet().await;
    assert_eq!(hello[0]["type"], "hello");
    client
}

#[tokio::test(start_paused = true)]
async fn silence_ends_a_session_and_a_ping_does_not() {
    let world = world().await;
    let mut client = opened(&world, 1).await;
    let due = client.session.deadline();
    let mut out = Outgoing::default();
    client
        .session
        .tick(due - Duration::from_millis(1), &mut out);
    assert_eq!(out.close, None);
    client.session.receive(r#"{"type":"ping"}"#, due, &mut out);
    client.session.tick(due, &mut out);
    assert_eq!(out.close, None);
    let later = client.session.deadline();
    assert_eq!(later, due + Duration::from_secs(90));
    client.session.tick(later, &mut out);
    assert_eq!(out.close, Some(Close::IDLE));
    // Nothing follows.
    let before = out.frames.len();
    client
        .session
        .receive(r#"{"type":"ping"}"#, later, &mut out);
    assert_eq!(out.frames.len(), before);
}

#[tokio::test(start_paused = true)]
async fn who_is_sent_away_is_told_when_to_come_back() {
    let world = world().await;
    let mut clients = Vec::new();
    for _ in 0..10 {
        clients.push(opened(&world, 1).await);
    }
    let chat = world.chat.clone();
    let drain = tokio::spawn(async move { chat.drain(Duration::from_secs(5)).await });
    let mut waits = BTreeSet::new();
    for client in &mut clients {
        while client.out.close.is_none() {
            std::future::poll_fn(|cx| client.session.poll(cx, &mut client.out)).await;
        }
        let frames = client.quiet().await;
        let [drain, close] = &frames[..] else {
            panic!("{frames:?}")
        };
        assert_eq!(
            (&drain["type"], &close["close"]),
            (&json!("drain"), &json!(1001))
        );
        let wait = drain["body"]["reconnect_in_ms"].as_u64().unwrap();
        assert!((100..3_000).contains(&wait), "{wait}");
        waits.insert(wait);
    }
    assert!(waits.len() > 1, "all come back at once: {waits:?}");
    drop(clients);
    drain.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn reads_under_way_are_bounded() {
    let world = world().await;
    let mut client = opened(&world, 1).await;
    for _ in 0..4 {
        assert!(client.session.may_receive());
        client.send(r#"{"type":"inbox"}"#);
    }
    assert!(!client.session.may_receive());
    client.send(r#"{"type":"inbox","ref":5}"#);
    let frames = client.quiet().await;
    assert!(client.session.may_receive());
    let busy = frames
        .iter()
        .filter(|frame| frame["body"]["code"] == "busy");
    assert_eq!((frames.len(), busy.count()), (5, 1));
    // Who is not listened to is not silent.
    for _ in 0..4 {
        client.send(r#"{"type":"inbox"}"#);
    }
    let mut out = Outgoing::default();
    client
        .session
        .tick(Instant::now() + Duration::from_secs(1000), &mut out);
    assert_eq!(out.close, None);
}

#[tokio::test(start_paused = true)]
async fn searches_are_limited_by_user() {
    let limits = ChatLimits {
        search_burst: 3.0,
        ..ChatLimits::default()
    };
    let chat = Chat::builder(MemoryStore::default()).limits(limits).build();
    let world = World::over(chat, &names()).await;
    let mut clients = [opened(&world, 1).await, opened(&world, 1).await];
    let mut bob = opened(&world, 2).await;
    let search = r#"{"type":"search","body":{"text":"hello"}}"#;
    let users = r#"{"type":"users","body":{"name":"ad"}}"#;
    let mut wait = None;
    for place in 0..4 {
        // The limit is the user's, not the socket's.
        let client = &mut clients[place % 2];
        client.send(search);
        let answer = client.quiet().await.pop().unwrap();
        if place < 3 {
            assert_eq!(answer["body"]["kind"], "search");
        } else {
            assert_eq!(answer["body"]["code"], "rate_limited");
            wait = answer["body"]["retry_after_ms"].as_u64();
        }
    }
    // A search for users needs a tenth of that only.
    tokio::time::sleep(Duration::from_millis(wait.unwrap() / 2)).await;
    clients[0].send(users);
    assert_eq!(clients[0].quiet().await[0]["body"]["kind"], "users");
    bob.send(search);
    assert_eq!(bob.quiet().await[0]["body"]["kind"], "search");
    tokio::time::sleep(Duration::from_millis(wait.unwrap())).await;
    clients[1].send(search);
    assert_eq!(clients[1].quiet().await[0]["body"]["kind"], "search");
}

#[test]
fn each_close_code_means_one_thing() {
    let codes: BTreeSet<u16> = Close::ALL.iter().map(|close| close.code).collect();
    assert_eq!(codes.len(), Close::ALL.len());
    let page = include_str!("../../../../docs/protocol.md");
    for close in Close::ALL {
        let row = format!("| {} | {} | ", close.code, close.reason);
        let rest = page.split_once(&row).unwrap_or_else(|| panic!("{row}")).1;
        let then = rest.lines().next().unwrap();
        match close.then {
            Then::Resume => assert!(then.contains("resume"), "{then}"),
            Then::LogIn => assert!(then.starts_with("log in"), "{then}"),
            Then::Stop => assert!(then.starts_with("stop"), "{then}"),
        }
    }
}

/// What somebody does next.
#[derive(Clone, Debug)]
enum Step {
    Send(usize, Value),
    Reconnect(usize),
    /// Until nothing is under way: what stands before it happens all at once.
    Wait,
}

fn key() -> impl Strategy<Value = String> {
    (0..40_u64).prop_map(|n| format!("01990000-0000-7000-8000-{n:012x}"))
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let (message, place) = (1..12_u64, 1..3_u64);
    let write = prop_oneof![
        4 => (1..4_u64).prop_map(|user| ("post", json!({"to": {"user": user}, "text": "a"}))),
        4 => place.clone().prop_map(|to| ("post", json!({"to": {"conversation": to}, "text": "b"}))),
        2 => (place.clone(), message.clone(), any::<bool>(), "[xy]").prop_map(|(at, id, on, emoji)|
            ("react", json!({"conversation": at, "message": id, "on": on, "emoji": emoji}))),
        1 => (place.clone(), message.clone()).prop_map(|(at, id)|
            ("edit", json!({"conversation": at, "message": id, "text": "c"}))),
        1 => (place.clone(), message.clone()).prop_map(|(at, id)|
            ("delete", json!({"conversation": at, "message": id}))),
        1 => (place.clone(), message, any::<bool>()).prop_map(|(at, id, on)|
            ("pin", json!({"conversation": at, "message": id, "on": on}))),
        1 => Just(("create", json!({"members": [{"user": 2}]}))),
        1 => place.prop_map(|at| ("hide", json!({"conversation": at}))),
    ];
    let write = (write, key()).prop_map(|((word, mut body), key)| {
        body["key"] = json!(key);
        json!({"type": word, "body": body})
    });
    let step = prop_oneof![
        8 => (0..3_usize, write).prop_map(|(who, frame)| Step::Send(who, frame)),
        1 => (0..3_usize).prop_map(Step::Reconnect),
        2 => Just(Step::Wait),
    ];
    prop::collection::vec(step, 1..40)
}

/// What a client makes of events: messages by place, and a cursor for each log. Written from `docs/protocol.md`.
#[derive(Default)]
struct Copy {
    cursors: BTreeMap<String, u64>,
    messages: BTreeMap<(u64, u64), Value>,
    asked: u64,
    answered: u64,
    /// Logs that were told to be live on this socket: no hole is allowed there.
    live: BTreeSet<String>,
    /// Logs that went on beyond the cursor: to be resumed.
    behind: BTreeSet<String>,
}

impl Copy {
    fn take(&mut self, frame: &Value) {
        let body = &frame["body"];
        match frame["type"].as_str().unwrap() {
            "event" => self.event(body),
            "reply" | "error" => self.answered += u64::from(frame.get("ref").is_some()),
            "hello" => {}
            "live" => {
                self.live.insert(body["log"].to_string());
            }
            // The log did not exist for them when it was resumed, or they hid what is before: nothing is left to load.
            "resync" => {
                let (log, seq) = (body["log"].to_string(), body["seq"].as_u64().unwrap());
                self.live.remove(&log);
                self.cursors.insert(log, seq);
                let conversation = body["log"]["conversation"].as_u64();
                self.messages.retain(|(of, _), _| Some(*of) != conversation);
            }
            other => panic!("{other} in {frame}"),
        }
    }

    fn resume(&self, client: &mut Client, logs: Vec<String>) {
        let logs = logs.into_iter().map(|log| {
            let after = self.cursors.get(&log).copied().unwrap_or(0);
            json!({"log": serde_json::from_str::<Value>(&log).unwrap(), "after": after})
        });
        let logs: Vec<Value> = logs.collect();
        client.send(&json!({"type": "resume", "body": {"logs": logs}}).to_string());
    }

    fn event(&mut self, body: &Value) {
        let log = body["log"].to_string();
        let cursor = self.cursors.entry(log.clone()).or_default();
        let seq = body["seq"].as_u64().unwrap();
        if seq > *cursor + 1 && !self.live.contains(&log) {
            self.behind.insert(log);
        }
        if self.behind.contains(&body["log"].to_string()) {
            return;
        }
        assert_eq!(seq, *cursor + 1, "a hole or a double: {body}");
        *cursor = seq;
        let Some(conversation) = body["log"]["conversation"].as_u64() else {
            return;
        };
        let about = body["message"].as_u64().unwrap_or_default();
        let known = self.messages.get_mut(&(conversation, about));
        match (body["kind"].as_str().unwrap(), known) {
            ("posted" | "edited", _) => {
                let message = body["message"].clone();
                let id = message["id"].as_u64().unwrap();
                self.messages.insert((conversation, id), message);
            }
            ("deleted", Some(message)) => {
                let fields = message.as_object_mut().unwrap();
                fields.remove("text");
                fields.insert("deleted".to_owned(), json!(true));
                fields.insert("mentions".to_owned(), json!([]));
                fields.insert("reactions".to_owned(), json!([]));
            }
            ("reacted", Some(message)) => {
                let all = message["reactions"].as_array_mut().unwrap();
                let (emoji, count) = (&body["emoji"], &body["count"]);
                match all.iter_mut().find(|one| one["emoji"] == *emoji) {
                    Some(one) => one["count"] = count.clone(),
                    None => all.push(json!({"emoji": emoji, "count": count})),
                }
                all.retain(|one| one["count"] != 0);
            }
            _ => {}
        }
    }
}

/// Takes what comes until nothing more does.
async fn settle(clients: &mut [Client], copies: &mut [Copy]) {
    for (client, copy) in clients.iter_mut().zip(copies) {
        loop {
            for frame in client.quiet().await {
                copy.take(&frame);
            }
            let behind: Vec<String> = std::mem::take(&mut copy.behind).into_iter().collect();
            if behind.is_empty() {
                break;
            }
            copy.resume(client, behind);
        }
        assert_eq!(copy.asked, copy.answered);
    }
}

/// Three people do random things and reconnect at random. Each gets one answer for each frame, every log without hole or
/// double, and ends with the messages that a fresh load gives.
async fn play(steps: Vec<Step>) {
    let world = world().await;
    let mut clients = Vec::new();
    let mut copies: Vec<Copy> = Vec::new();
    for user in 1..=3 {
        clients.push(opened(&world, user).await);
        copies.push(Copy::default());
    }
    for step in steps.into_iter().chain([Step::Wait]) {
        match step {
            Step::Wait => settle(&mut clients, &mut copies).await,
            Step::Send(who, mut frame) => {
                copies[who].asked += 1;
                frame["ref"] = json!(copies[who].asked);
                clients[who].send(&frame.to_string());
            }
            Step::Reconnect(who) => {
                // What is on its way is lost with the socket; its answers too.
                let user = u64::try_from(who).unwrap() + 1;
                clients[who] = opened(&world, user).await;
                copies[who].answered = copies[who].asked;
                copies[who].live.clear();
                copies[who].behind.clear();
                let mut logs: BTreeSet<String> = copies[who].cursors.keys().cloned().collect();
                logs.insert(json!({"user": user}).to_string());
                for conversation in 1..=12 {
                    logs.insert(json!({"conversation": conversation}).to_string());
                }
                copies[who].resume(&mut clients[who], logs.into_iter().collect());
            }
        }
    }
    for (client, copy) in clients.iter_mut().zip(&copies) {
        client.send(r#"{"type":"inbox"}"#);
        let inbox = client.quiet().await.pop().unwrap();
        for entry in inbox["body"]["entries"].as_array().unwrap() {
            let id = entry["conversation"]["id"].as_u64().unwrap();
            let ask = json!({"type": "history", "body": {"conversation": id, "limit": 100}});
            client.send(&ask.to_string());
            let history = client.quiet().await.pop().unwrap();
            for fresh in history["body"]["messages"].as_array().unwrap() {
                let copied = &copy.messages[&(id, fresh["id"].as_u64().unwrap())];
                assert_eq!(masked(copied.clone()), masked(fresh.clone()));
            }
        }
    }
}

fn on_a_paused_clock(future: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap()
        .block_on(future);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    #[test]
    fn random_sequences_end_like_a_fresh_load(steps in steps()) {
        on_a_paused_clock(play(steps));
    }
}

/// JSON of any shape, with words that frames know.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        (0..5_u64).prop_map(Value::from),
        ".{0,8}".prop_map(Value::from),
    ];
    let name = prop::sample::select(vec![
        "key",
        "to",
        "user",
        "users",
        "conversation",
        "text",
        "data",
        "message",
        "emoji",
        "on",
        "logs",
        "log",
        "after",
        "limit",
        "members",
        "role",
        "until",
        "seq",
        "kind",
        "token",
        "x",
    ]);
    leaf.prop_recursive(4, 24, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::hash_map(name.clone().prop_map(str::to_owned), inner, 0..5)
                .prop_map(Value::from_iter),
        ]
    })
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in ".*") {
        let _ = Request::decode(&text).map_err(|bad| assert!(!bad.error.detail.is_empty()));
        let _ = ServerFrame::decode(&text);
    }

    #[test]
    fn any_body_is_read_or_refused_with_its_ref(word in prop::sample::select(Request::TYPES), body in any_json()) {
        let text = json!({"type": word, "ref": "r", "body": body}).to_string();
        match Request::decode(&text) {
            Ok((reference, request)) => {
                prop_assert_eq!(reference, Some(Ref::Text("r".to_owned())));
                prop_assert_eq!(request.word(), word);
            }
            Err(bad) => {
                prop_assert_eq!(bad.reference, Some(Ref::Text("r".to_owned())));
                prop_assert!(bad.error.field.is_some(), "{}", bad.error.detail);
            }
        }
        let _ = ServerFrame::decode(&text);
    }

    #[test]
    fn sessions_outlive_anything(frames in prop::collection::vec((prop::sample::select(Request::TYPES), any_json()), 1..20)) {
        on_a_paused_clock(async {
            let world = world().await;
            let mut client = opened(&world, 1).await;
            for (word, body) in frames {
                client.send(&json!({"type": word, "body": body}).to_string());
                client.quiet().await;
            }
            client.send(r#"{"type":"ping","ref":"last"}"#);
            let told = client.quiet().await;
            assert_eq!(told.last(), Some(&json!({"type": "pong", "ref": "last", "body": {}})));
        });
    }
}
