//! Whole transcripts, replayed against a real chat: what clients in other languages can test themselves with.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::super::*;
use crate::kv::MemoryStore;
use crate::{Authenticator, Chat, Error, Identity, UserId};

/// Tokens are user ids.
pub(super) struct Plain;

#[async_trait::async_trait]
impl Authenticator for Plain {
    async fn authenticate(&self, token: &str) -> Result<Identity, Error> {
        let user = token.parse().ok().and_then(|id| UserId::new(id).ok());
        user.map(Identity::of)
            .ok_or_else(|| Error::forbidden("the token is not valid"))
    }
}

/// A chat whose users have the ids 1, 2, 3 …
pub(super) struct World {
    pub(super) chat: Chat,
    pub(super) settings: Arc<Settings>,
}

impl World {
    pub(super) async fn new(users: &[String]) -> Self {
        Self::over(Chat::builder(MemoryStore::default()).build(), users).await
    }

    pub(super) async fn over(chat: Chat, users: &[String]) -> Self {
        for name in users {
            chat.enroll("host", name, name).await.unwrap();
        }
        let settings = Arc::new(Settings {
            format: chat.format().unwrap(),
            wrap: Bytes::copy_from_slice,
            authenticator: Arc::new(Plain),
            server: "chat 0.1.0".to_owned(),
            frame: 64 << 10,
            heartbeat: Duration::from_secs(30),
        });
        Self { chat, settings }
    }

    pub(super) async fn open(&self, user: u64) -> Client {
        let identity = Identity::of(UserId::new(user).unwrap());
        let connection = self.chat.connect(identity).await.unwrap();
        let chat = self.chat.clone();
        let settings = Arc::clone(&self.settings);
        Client {
            session: Session::new(chat, identity, connection, settings),
            out: Outgoing::default(),
        }
    }
}

pub(super) struct Client {
    pub(super) session: Session,
    pub(super) out: Outgoing,
}

impl Client {
    pub(super) fn send(&mut self, text: &str) {
        self.session.receive(text, Instant::now(), &mut self.out);
    }

    /// All that comes until nothing more does. The clock stands still while anything is under way.
    pub(super) async fn quiet(&mut self) -> Vec<Value> {
        loop {
            let (session, out) = (&mut self.session, &mut self.out);
            let poll = std::future::poll_fn(|cx| match session.poll(cx, out) {
                Poll::Ready(()) => Poll::Ready(()),
                Poll::Pending => Poll::Pending,
            });
            let none = tokio::time::timeout(Duration::from_millis(50), poll).await;
            if none.is_err() {
                break;
            }
        }
        let frames = self.out.frames.drain(..);
        let mut frames: Vec<Value> = frames
            .map(|frame| serde_json::from_slice(&frame).unwrap())
            .collect();
        if let Some(why) = self.out.close.take() {
            frames.push(json!({"close": why.code, "reason": why.reason}));
        }
        frames
    }
}

/// Times and places in lists differ from run to run.
pub(super) fn masked(mut value: Value) -> Value {
    fn mask(value: &mut Value) {
        match value {
            Value::String(text) => {
                let is_time = serde_json::from_value::<Time>(json!(text)).is_ok();
                let is_place = text.parse::<crate::InboxCursor>().is_ok();
                if is_time {
                    *text = "2026-11-22T16:40:00.123Z".to_owned();
                } else if is_place {
                    let (_, id) = text.split_once('.').unwrap();
                    *text = format!("1795365600123.{id}");
                }
            }
            Value::Array(values) => values.iter_mut().for_each(mask),
            Value::Object(fields) => fields.iter_mut().for_each(|(name, value)| {
                if name == "reconnect_in_ms" {
                    *value = json!(1800);
                }
                mask(value);
            }),
            _ => {}
        }
    }
    mask(&mut value);
    value
}

#[derive(serde::Deserialize)]
struct Transcript {
    about: String,
    users: Vec<String>,
    steps: Vec<Value>,
}

/// Replays a transcript; what happened in truth, step by step.
async fn replay(transcript: &Transcript) -> Vec<Value> {
    let world = World::new(&transcript.users).await;
    let mut clients: BTreeMap<String, Client> = BTreeMap::new();
    let mut happened = Vec::new();
    for step in &transcript.steps {
        let who = step["client"].as_str().unwrap().to_owned();
        if let Some(user) = step.get("connects").and_then(Value::as_u64) {
            clients.insert(who.clone(), world.open(user).await);
        } else if let Some(frame) = step.get("sends") {
            clients.get_mut(&who).unwrap().send(&frame.to_string());
        } else if step.get("disconnects").is_some() {
            clients.remove(&who);
        } else {
            continue;
        }
        happened.push(step.clone());
        // A frame of one client's may come of what another's was told.
        for _ in 0..2 {
            for (name, client) in &mut clients {
                for frame in client.quiet().await {
                    happened.push(json!({"client": name, "gets": masked(frame)}));
                }
            }
        }
    }
    happened
}

fn folder() -> PathBuf {
    PathBuf::from(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../docs/protocol/transcripts"
    ))
}

/// With `RECORD=1` in the environment, what happens is written down instead of compared.
#[tokio::test(start_paused = true)]
async fn transcripts_happen_as_written() {
    let record = std::env::var_os("RECORD").is_some();
    let mut count = 0;
    for file in std::fs::read_dir(folder()).unwrap() {
        let path = file.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        let transcript: Transcript = serde_json::from_str(&text).unwrap();
        let happened = replay(&transcript).await;
        count += 1;
        if record {
            let users = json!(transcript.users);
            let steps: Vec<String> = happened.iter().map(|step| format!("    {step}")).collect();
            let text = format!(
                "{{\n  \"about\": {},\n  \"users\": {users},\n  \"steps\": [\n{}\n  ]\n}}\n",
                json!(transcript.about),
                steps.join(",\n")
            );
            std::fs::write(&path, text).unwrap();
            continue;
        }
        for (step, truth) in transcript.steps.iter().zip(&happened) {
            assert_eq!(step, truth, "{}", path.display());
        }
        assert_eq!(transcript.steps.len(), happened.len(), "{}", path.display());
    }
    assert!(count >= 9, "{count}");
}
