//! A chat with one group, for `fanout`: chat-core and chat-http as a host would use them, with the simplest of logins.

use std::io::{Read, Write};
use std::net::Ipv4Addr;
use std::sync::Arc;

use async_trait::async_trait;
use chat_core::kv::MemoryStore;
use chat_core::{
    Actor, Authenticator, Change, Chat, Error, History, Identity, Limits, Role, Target, UserId,
    Write as Commit,
};
use chat_http::{Http, Server, ServerLimits};
use chat_store_sqlite::SqliteStore;
use tokio::net::TcpListener;

use crate::Outcome;
use crate::options::{Group, Store};

/// Members added by one write.
const AT_ONCE: usize = 1_000;

/// The token of each member is their number.
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

/// Serves until this process's input ends. Its first line of output is the port and the group's conversation.
pub(crate) fn serve(options: &Group) -> Outcome<()> {
    // As many threads as cores it may use: one, where it is pinned.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let mut limits = Limits::default();
        limits.message_rate = 0.0;
        let builder = match &options.store {
            Store::Memory => Chat::builder(MemoryStore::new()),
            Store::Sqlite(file) => Chat::builder(SqliteStore::open(file)?),
        };
        let chat = builder.limits(limits).build();
        let members = members(&chat, options.members).await?;
        let group = group(&chat, &members).await?;
        let authenticator = Arc::new(Numbers(members));
        let http = Http::builder(chat).v1(authenticator).rates(None).build()?;
        let mut room = ServerLimits::default();
        room.connections = usize::try_from(options.members)? + 100;
        room.per_address = room.connections;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let port = listener.local_addr()?.port();
        println!("{port} {group}");
        std::io::stdout().flush()?;
        let (end, ended) = tokio::sync::oneshot::channel();
        std::thread::spawn(move || {
            let _ = std::io::stdin().read_to_end(&mut Vec::new());
            let _ = end.send(());
        });
        let until = async {
            let _ = ended.await;
        };
        Ok(Server::new(http).limits(room).run(listener, until).await?)
    })
}

async fn members(chat: &Chat, count: u64) -> Result<Vec<UserId>, Error> {
    let mut members = Vec::new();
    for number in 0..count {
        let (provider, subject) = ("bench".to_owned(), number.to_string());
        let target = Target::Subject { provider, subject };
        let done = chat
            .commit(Commit::new(Actor::Host, target, vec![]))
            .await?;
        members.push(
            done.user
                .ok_or_else(|| Error::internal("no user was made"))?,
        );
    }
    Ok(members)
}

async fn group(chat: &Chat, members: &[UserId]) -> Result<chat_core::ConversationId, Error> {
    let mut made = None;
    for members in members.chunks(AT_ONCE) {
        let changes = match made {
            None => vec![Change::Create {
                title: Some("Bench".to_owned()),
                data: None,
                managed: true,
                history: History::default(),
                members: members.iter().map(|user| (*user, Role::Member)).collect(),
            }],
            Some(_) => {
                let add = |user: &UserId| Change::Add {
                    user: *user,
                    role: Role::Member,
                };
                members.iter().map(add).collect()
            }
        };
        let target = made.map_or(Target::Group, Target::Conversation);
        let done = chat
            .commit(Commit::new(Actor::Host, target, changes))
            .await?;
        made = done.conversation;
    }
    made.ok_or_else(|| Error::internal("no group was made"))
}
