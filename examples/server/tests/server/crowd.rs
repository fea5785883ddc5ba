//! Clients of the native protocol before a server that comes and goes.

use std::collections::BTreeMap;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chat_client::protocol::{
    Create, Edited, Event, GetLog, Message, NewMember, Posted, Reaction, Request, What, WriteKey,
};
use chat_client::{
    Backoff, Client, ConversationId, Events, History, Incoming, LogId, Options, Role, Seq, UserId,
};
use futures_util::StreamExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::client::PASSWORD;

/// Nothing here takes so long unless it hangs.
const PATIENCE: Duration = Duration::from_secs(120);

pub(crate) async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    let done = tokio::time::timeout(PATIENCE, future).await;
    done.unwrap_or_else(|_| panic!("{what}: nothing for {PATIENCE:?}"))
}

/// An address that stays the same, however often the server behind it is another one.
pub(crate) struct Door {
    pub(crate) url: String,
    target: Arc<Mutex<SocketAddr>>,
}

impl Door {
    /// Listens until the test's runtime ends.
    pub(crate) async fn to(target: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("bound"));
        let target = Arc::new(Mutex::new(target));
        let leads = Arc::clone(&target);
        tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                let target = *leads.lock().expect("nobody panics with it");
                tokio::spawn(async move {
                    if let Ok(mut server) = TcpStream::connect(target).await {
                        let _ = client.set_nodelay(true);
                        let _ = server.set_nodelay(true);
                        let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
                    }
                });
            }
        });
        Self { url, target }
    }

    pub(crate) fn lead_to(&self, target: SocketAddr) {
        *self.target.lock().expect("nobody panics with it") = target;
    }
}

/// A client that does not wait long between tries.
pub(crate) async fn connect(url: &str, name: &str) -> (Client, Events) {
    let backoff = Backoff {
        first: Duration::from_millis(5),
        most: Duration::from_millis(50),
    };
    let options = Options::new(url).password(name, PASSWORD).backoff(backoff);
    Client::connect(options).await.expect("connected")
}

/// Makes an account, and connects.
pub(crate) async fn join(url: &str, name: &str) -> (Client, Events) {
    let made = chat_client::register(url, name, PASSWORD).await;
    made.expect("an account");
    connect(url, name).await
}

/// A group of somebody and others.
pub(crate) async fn group(owner: &Client, others: &[UserId]) -> ConversationId {
    let members = others.iter().map(|&user| NewMember {
        user,
        role: Role::Member,
    });
    let create = Create {
        key: WriteKey::generate(),
        title: None,
        data: None,
        history: History::All,
        members: members.collect(),
    };
    let made = soon("a group", owner.write(Request::Create(create))).await;
    made.expect("made").conversation.expect("a conversation")
}

type Logs = BTreeMap<LogId, Vec<Event>>;

/// Takes all that a client is told, log by log, each from where it began.
pub(crate) struct Reader {
    logs: watch::Receiver<Logs>,
}

impl Reader {
    /// A hole, a double or a log that has to be loaded afresh ends it, and with it whoever waits.
    pub(crate) fn of(mut events: Events) -> Self {
        let (told, logs) = watch::channel(Logs::new());
        tokio::spawn(async move {
            while let Some(incoming) = events.next().await {
                match incoming {
                    Incoming::Event(event) => told.send_modify(|logs| {
                        let log = logs.entry(event.log).or_default();
                        if let Some(last) = log.last() {
                            assert_eq!(event.seq, last.seq + 1, "a hole or a double: {event:?}");
                        }
                        log.push(*event);
                    }),
                    Incoming::Resync { .. } | Incoming::Stopped(_) => panic!("{incoming:?}"),
                    _ => {}
                }
            }
        });
        Self { logs }
    }

    async fn until(&self, what: &str, is_so: impl Fn(&Logs) -> bool) {
        let mut logs = self.logs.clone();
        let told = soon(what, logs.wait_for(|logs| is_so(logs))).await;
        told.map(drop).expect("the reader goes on");
    }

    /// Waits until something was told in a log.
    pub(crate) async fn until_told(&self, log: impl Into<LogId>, is_it: impl Fn(&What) -> bool) {
        let log = log.into();
        let what = format!("what is awaited in {log:?}");
        self.until(&what, |logs| {
            let mut told = logs.get(&log).into_iter().flatten();
            told.any(|event| is_it(&event.what))
        })
        .await;
    }

    /// Waits until it was told of an entry of a log.
    pub(crate) async fn until_seq(&self, log: impl Into<LogId>, seq: Seq) {
        let log = log.into();
        let what = format!("seq {seq} of {log:?}");
        self.until(&what, |logs| last(logs, log) >= seq).await;
    }

    /// What it was told of a log until now.
    pub(crate) fn told(&self, log: impl Into<LogId>) -> Vec<Event> {
        let logs = self.logs.borrow();
        logs.get(&log.into()).cloned().unwrap_or_default()
    }
}

fn last(logs: &Logs, log: LogId) -> Seq {
    let told = logs.get(&log).and_then(|told| told.last());
    told.map_or(0, |event| event.seq)
}

/// A whole log from the store, from an entry on.
pub(crate) async fn load(client: &Client, log: impl Into<LogId>, mut after: Seq) -> Vec<Event> {
    let (log, limit) = (log.into(), Some(100));
    let mut events = Vec::new();
    loop {
        let page = soon("a page", client.log(GetLog { log, after, limit })).await;
        let page = page.expect("a page");
        assert_eq!(page.resync, None, "{log:?}");
        let Some(last) = page.events.last() else {
            return events;
        };
        after = last.seq;
        events.extend(page.events);
    }
}

/// Who posted what, and where it stands.
pub(crate) fn posts(events: &[Event]) -> Vec<(UserId, String, Seq)> {
    let posts = events.iter().filter_map(|event| match &event.what {
        What::Posted(posted) => {
            let sender = posted.message.sender.expect("a user");
            let text = posted.message.text.clone().expect("not erased");
            Some((sender, text, event.seq))
        }
        _ => None,
    });
    posts.collect()
}

/// The messages that a client has, made of what it was told: each as it stands.
pub(crate) fn messages(events: &[Event]) -> BTreeMap<Seq, Message> {
    let mut messages: BTreeMap<Seq, Message> = BTreeMap::new();
    for event in events {
        match &event.what {
            What::Posted(Posted { message }) | What::Edited(Edited { message }) => {
                let known = messages.get(&message.id).map_or(0, |known| known.revision);
                if message.revision >= known {
                    messages.insert(message.id, message.clone());
                }
            }
            What::Deleted(deleted) => {
                let erased = messages.get_mut(&deleted.message).expect("told of before");
                (erased.text, erased.data, erased.deleted) = (None, None, true);
                erased.reactions.clear();
            }
            What::Reacted(reacted) => {
                let message = messages.get_mut(&reacted.message).expect("told of before");
                message
                    .reactions
                    .retain(|reaction| reaction.emoji != reacted.emoji);
                if reacted.count > 0 {
                    let (emoji, count) = (reacted.emoji.clone(), reacted.count);
                    message.reactions.push(Reaction { emoji, count });
                }
            }
            _ => {}
        }
    }
    messages
}
