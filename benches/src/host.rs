//! The server of the workloads: chat-core and chat-http as a host would use them, with users and groups in it and the simplest of
//! logins. Nothing is switched off but the rate limits.

use std::io::{Read, Write};
use std::sync::Arc;

use async_trait::async_trait;
use chat_core::kv::MemoryStore;
use chat_core::{
    Actor, Authenticator, Change, Chat, Committed, Error, History, Identity, Limits, Prepared,
    Role, Store as _, Target, UserId, Write as Commit,
};
use chat_http::{Http, Server, ServerLimits};
use chat_store_sqlite::SqliteStore;
use tokio::net::TcpListener;

use crate::options::{Host, Store};
use crate::{Outcome, machine, scene};

/// Writes committed at once.
const AT_ONCE: usize = 512;
/// Members named by one write.
const MEMBERS: usize = 1_000;

/// The token of each user is their number.
struct Numbers(Vec<UserId>);

#[async_trait]
impl Authenticator for Numbers {
    async fn authenticate(&self, credential: &str) -> Result<Identity, Error> {
        let number: Option<usize> = credential.parse().ok();
        let user = number.and_then(|number| self.0.get(number));
        let user = user.ok_or_else(|| Error::forbidden("there is no such member"))?;
        Ok(Identity::of(*user))
    }
}

/// Serves until this process's input ends. Its first line of output is the port, then the conversation of each group and the
/// head of its log.
pub(crate) fn serve(options: &Host) -> Outcome<()> {
    // As many threads as cores it may use: one, where it is pinned.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let mut limits = Limits::default();
        limits.message_rate = 0.0;
        limits.signal_rate = 0.0;
        let store: Arc<dyn chat_core::Store> = match &options.store {
            Store::Memory => Arc::new(MemoryStore::new()),
            Store::Sqlite(file) => Arc::new(SqliteStore::open(file)?),
        };
        let users = users(&store, options.users).await?;
        let groups = groups(&store, options, &users).await?;
        let chat = Chat::builder(store).limits(limits).build();
        let room = users.len() * 2 + 100;
        let authenticator = Arc::new(Numbers(users));
        let http = Http::builder(chat).v1(authenticator).rates(None).build()?;
        let mut limits = ServerLimits::default();
        limits.connections = room;
        limits.per_address = room;
        let listener = TcpListener::from_std(machine::listen()?)?;
        print!("{}", listener.local_addr()?.port());
        for (conversation, seq) in groups {
            print!(" {conversation}:{seq}");
        }
        println!();
        std::io::stdout().flush()?;
        let (end, ended) = tokio::sync::oneshot::channel();
        std::thread::spawn(move || {
            let _ = std::io::stdin().read_to_end(&mut Vec::new());
            let _ = end.send(());
        });
        let until = async {
            let _ = ended.await;
        };
        Ok(Server::new(http)
            .limits(limits)
            .run(listener, until)
            .await?)
    })
}

/// Before anybody is connected: at once, past limits and queues.
async fn commit(
    store: &Arc<dyn chat_core::Store>,
    writes: impl Iterator<Item = Commit>,
) -> Result<Vec<Committed>, Error> {
    let prepared = |write| Prepared {
        write,
        digest: [0; 16],
    };
    let (mut writes, mut done) = (writes.map(prepared).peekable(), Vec::new());
    while writes.peek().is_some() {
        let group = writes.by_ref().take(AT_ONCE).collect();
        for result in store.commit(group).await {
            done.push(result?);
        }
    }
    Ok(done)
}

fn none() -> Error {
    Error::internal("a write named nothing")
}

async fn users(store: &Arc<dyn chat_core::Store>, count: usize) -> Result<Vec<UserId>, Error> {
    let writes = (0..count).map(|number| {
        let (provider, subject) = ("bench".to_owned(), number.to_string());
        Commit::new(Actor::Host, Target::Subject { provider, subject }, vec![])
    });
    let done = commit(store, writes).await?;
    done.into_iter()
        .map(|done| done.user.ok_or_else(none))
        .collect()
}

async fn groups(
    store: &Arc<dyn chat_core::Store>,
    options: &Host,
    users: &[UserId],
) -> Result<Vec<(u64, u64)>, Error> {
    let pairs = scene::pairs(options.scene, users.len()).into_iter();
    let pair = |(a, b): (usize, usize)| {
        Commit::post(users[a], Target::Direct(users[a], users[b]), "Hello")
    };
    commit(store, pairs.map(pair)).await?;
    let groups = scene::groups(options.scene, users.len());
    let begin = groups.iter().map(|members| {
        let members = members.iter().take(MEMBERS);
        let create = Change::Create {
            title: Some("Bench".to_owned()),
            data: None,
            managed: true,
            history: History::default(),
            members: members.map(|user| (users[*user], Role::Member)).collect(),
        };
        Commit::new(Actor::Host, Target::Group, vec![create])
    });
    let begun = commit(store, begin).await?;
    let mut known = Vec::with_capacity(groups.len());
    for (done, members) in begun.into_iter().zip(&groups) {
        let mut head = done.last();
        let conversation = done.conversation.ok_or_else(none)?;
        for members in members.get(MEMBERS..).unwrap_or_default().chunks(MEMBERS) {
            let add = |user: &usize| Change::Add {
                user: users[*user],
                role: Role::Member,
            };
            let changes = members.iter().map(add).collect();
            let added = Commit::new(Actor::Host, Target::Conversation(conversation), changes);
            for done in commit(store, std::iter::once(added)).await? {
                head = done.last();
            }
        }
        known.push((conversation.get(), head));
    }
    Ok(known)
}
