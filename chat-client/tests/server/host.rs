//! A server that can be killed, and what a client was told.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use chat_auth::{Auth, HashPool, Jwt, Secret};
use chat_client::protocol::{Event, GetLog, What};
use chat_client::{Backoff, Client, Error, Events, Incoming, LogId, Options, Seq};
use chat_core::kv::MemoryStore;
use chat_core::{Chat, Limits, PasswordCheck, PasswordHasher, Store, UserId};
use chat_http::{Http, Server, ServerLimits};
use chat_store_sqlite::SqliteStore;
use futures_util::StreamExt;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

/// Nothing here takes so long unless it hangs.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.expect("hangs")
}

/// Hashes at once: what is tested here is not the hash.
struct Plain;

impl PasswordHasher for Plain {
    fn hash(&self, password: &str) -> Result<String, chat_core::Error> {
        Ok(format!("plain:{password}"))
    }

    fn verify(
        &self,
        password: &str,
        hash: Option<&str>,
    ) -> Result<PasswordCheck, chat_core::Error> {
        let known = hash.and_then(|hash| hash.strip_prefix("plain:"));
        Ok(match known {
            Some(known) if known == password => PasswordCheck::Right,
            _ => PasswordCheck::Wrong,
        })
    }
}

/// What outlives a server.
#[derive(Clone)]
pub(crate) enum Place {
    Memory(Arc<MemoryStore>),
    File(PathBuf),
}

impl Place {
    pub(crate) fn memory() -> Self {
        Self::Memory(Arc::new(MemoryStore::new()))
    }
}

/// A running server.
pub(crate) struct Host {
    pub(crate) chat: Chat,
    pub(crate) address: SocketAddr,
    /// All its tasks: gone with it, wherever they stand.
    runtime: Option<Runtime>,
}

impl Host {
    pub(crate) fn start(place: &Place, secret: &Secret) -> Self {
        match place {
            Place::Memory(store) => Self::over(Arc::clone(store), secret),
            Place::File(file) => Self::over(SqliteStore::open(file).unwrap(), secret),
        }
    }

    fn over(store: impl Store + 'static, secret: &Secret) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let mut limits = Limits::default();
        limits.message_rate = 0.0;
        let tokens = Jwt::new(secret).unwrap();
        let guard = runtime.enter();
        let chat = Chat::builder(store).limits(limits).build();
        let auth = Auth::new(chat.clone(), tokens).passwords(HashPool::new(Plain));
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let http = Http::builder(chat.clone())
            .documented(auth.clone())
            .v1(Arc::new(auth))
            .listening(address)
            .build()
            .unwrap();
        let mut limits = ServerLimits::default();
        limits.per_address = 0;
        let listener = TcpListener::from_std(listener).unwrap();
        runtime.spawn(
            Server::new(http)
                .limits(limits)
                .run(listener, std::future::pending()),
        );
        drop(guard);
        let runtime = Some(runtime);
        Self {
            chat,
            address,
            runtime,
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// A user with an account.
    pub(crate) async fn account(&self, name: &str) -> UserId {
        chat_client::register(&self.url(), name, "a long password")
            .await
            .unwrap();
        let found = self.chat.find_users(name).await.unwrap();
        found[0].id
    }

    /// Lets everything stop where it stands.
    pub(crate) fn kill(mut self) {
        if let Some(runtime) = self.runtime.take() {
            // A runtime cannot be waited for inside of another.
            let stopped = std::thread::spawn(|| runtime.shutdown_timeout(Duration::from_secs(10)));
            stopped.join().unwrap();
        }
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

pub(crate) fn secret() -> Secret {
    Secret::generate().unwrap()
}

/// A client that does not wait long.
pub(crate) fn options(url: impl Into<String>, name: &str) -> Options {
    let backoff = Backoff {
        first: Duration::from_millis(5),
        most: Duration::from_millis(50),
    };
    Options::new(url)
        .password(name, "a long password")
        .backoff(backoff)
}

/// All that a client was told, log by log, each from where it began.
#[derive(Default)]
pub(crate) struct Told {
    pub(crate) logs: BTreeMap<LogId, Vec<Event>>,
    pub(crate) connected: usize,
}

impl Told {
    pub(crate) fn take(&mut self, incoming: Incoming) {
        match incoming {
            Incoming::Event(event) => {
                let told = self.logs.entry(event.log).or_default();
                if let Some(last) = told.last() {
                    assert_eq!(event.seq, last.seq + 1, "a hole or a double: {event:?}");
                }
                told.push(*event);
            }
            Incoming::Connected(_) => self.connected += 1,
            Incoming::Resync { .. } | Incoming::Stopped(_) => panic!("{incoming:?}"),
            _ => {}
        }
    }

    fn last(&self, log: LogId) -> Seq {
        let told = self.logs.get(&log).and_then(|told| told.last());
        told.map_or(0, |event| event.seq)
    }

    /// Takes events until this one of a log was told.
    pub(crate) async fn until(&mut self, events: &mut Events, log: LogId, seq: Seq) {
        while self.last(log) < seq {
            let next = soon(events.next()).await.expect("it ended");
            self.take(next);
        }
    }

    /// Everything equals what a fresh client loads; gives the texts of a conversation.
    pub(crate) async fn equals_a_fresh_load(&self, fresh: &Client) {
        assert!(!self.logs.is_empty());
        for (log, told) in &self.logs {
            let mut after = told[0].seq - 1;
            let mut loaded = Vec::new();
            loop {
                let (log, limit) = (*log, Some(100));
                let page = fresh.log(GetLog { log, after, limit }).await.unwrap();
                assert_eq!(page.resync, None);
                let Some(last) = page.events.last() else {
                    break;
                };
                after = last.seq;
                loaded.extend(page.events);
            }
            assert_eq!(told, &loaded, "{log:?}");
        }
    }

    pub(crate) fn texts(&self, log: LogId) -> Vec<String> {
        let told = self.logs.get(&log).into_iter().flatten();
        let texts = told.filter_map(|event| match &event.what {
            What::Posted(posted) => posted.message.text.clone(),
            _ => None,
        });
        texts.collect()
    }
}

/// The next thing of a kind.
pub(crate) async fn next<T>(events: &mut Events, pick: impl Fn(Incoming) -> Option<T>) -> T {
    loop {
        let next = soon(events.next()).await.expect("it ended");
        if let Some(picked) = pick(next) {
            return picked;
        }
    }
}

pub(crate) fn stopped(incoming: Incoming) -> Option<Error> {
    match incoming {
        Incoming::Stopped(why) => Some(why),
        _ => None,
    }
}
