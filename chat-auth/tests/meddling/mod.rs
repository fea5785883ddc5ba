//! Ports that do at the worst moment what others may do at any.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use chat_core::kv::MemoryStore;
use chat_core::rules::{Row, RowKey};
use chat_core::{
    Account, Accounts, Actor, Change, Chat, Committed, ConversationId, Error, FeedEntry,
    InboxCursor, InboxEntry, LogId, LogPage, Member, Memberships, Message, PasswordCheck,
    PasswordHasher, Prepared, Seq, Span, Store, User, UserId, Viewer, Write,
};

/// Accounts whose password is changed, and all logins ended, right after it was looked up for the first time.
pub(crate) struct StaleAccounts {
    chat: Chat,
    user: UserId,
    new: Mutex<Option<String>>,
}

impl StaleAccounts {
    pub(crate) fn new(chat: Chat, user: UserId, new: String) -> Self {
        let new = Mutex::new(Some(new));
        Self { chat, user, new }
    }
}

#[async_trait]
impl Accounts for StaleAccounts {
    async fn account(&self, subject: &str) -> Result<Option<Account>, Error> {
        let stale = self.chat.account(subject).await?;
        let new = self.new.lock().unwrap().take();
        if let (Some(stale), Some(new)) = (&stale, new) {
            self.chat
                .set_hash(self.user, &stale.hash, &new, true)
                .await?;
        }
        Ok(stale)
    }

    async fn register(&self, subject: &str, name: &str, hash: &str) -> Result<User, Error> {
        self.chat.register(subject, name, hash).await
    }

    async fn set_hash(
        &self,
        user: UserId,
        expected: &str,
        hash: &str,
        revoke: bool,
    ) -> Result<(), Error> {
        self.chat.set_hash(user, expected, hash, revoke).await
    }
}

/// A hasher that counts its work.
#[derive(Clone)]
pub(crate) struct Counting(Arc<[AtomicUsize; 3]>);

impl Counting {
    pub(crate) fn new() -> Self {
        Self(Arc::default())
    }

    /// Passwords checked of known, or of unknown users.
    pub(crate) fn verified(&self, known: bool) -> usize {
        self.0[usize::from(known)].load(Ordering::SeqCst)
    }

    pub(crate) fn hashed(&self) -> usize {
        self.0[2].load(Ordering::SeqCst)
    }
}

impl PasswordHasher for Counting {
    fn hash(&self, password: &str) -> Result<String, Error> {
        self.0[2].fetch_add(1, Ordering::SeqCst);
        Ok(password.to_owned())
    }

    fn verify(&self, password: &str, hash: Option<&str>) -> Result<PasswordCheck, Error> {
        self.0[usize::from(hash.is_some())].fetch_add(1, Ordering::SeqCst);
        Ok(if hash == Some(password) {
            PasswordCheck::Right
        } else {
            PasswordCheck::Wrong
        })
    }
}

/// A store that ends all logins of a user just before the next one is opened, or does not answer.
pub(crate) struct Meddling {
    store: MemoryStore,
    pub(crate) revoke_first: AtomicBool,
    pub(crate) down: AtomicBool,
}

impl Meddling {
    pub(crate) fn new() -> Self {
        Self {
            store: MemoryStore::new(),
            revoke_first: AtomicBool::new(false),
            down: AtomicBool::new(false),
        }
    }

    fn up(&self) -> Result<&MemoryStore, Error> {
        if self.down.load(Ordering::SeqCst) {
            Err(Error::unavailable("the store is down"))
        } else {
            Ok(&self.store)
        }
    }
}

#[async_trait]
impl Store for Meddling {
    async fn commit(&self, group: Vec<Prepared>) -> Vec<Result<Committed, Error>> {
        if let Err(error) = self.up() {
            return group.iter().map(|_| Err(error.clone())).collect();
        }
        let opens = group
            .iter()
            .find(|prepared| matches!(prepared.write.changes[..], [Change::OpenLogin { .. }]));
        if let Some(opens) = opens
            && self.revoke_first.swap(false, Ordering::SeqCst)
        {
            let target = opens.write.target.clone();
            let changes = vec![Change::RevokeLogins { login: None }];
            let write = Write::new(Actor::Host, target, changes);
            let digest = [0; 16];
            for done in self.store.commit(vec![Prepared { write, digest }]).await {
                done.unwrap();
            }
        }
        self.store.commit(group).await
    }

    async fn rows(&self, keys: Vec<RowKey>) -> Result<Vec<Option<Row>>, Error> {
        self.up()?.rows(keys).await
    }

    async fn log(&self, v: Viewer, log: LogId, after: Seq, n: usize) -> Result<LogPage, Error> {
        self.up()?.log(v, log, after, n).await
    }

    async fn history(
        &self,
        viewer: Viewer,
        conversation: ConversationId,
        span: Span,
        limit: usize,
    ) -> Result<Vec<Message>, Error> {
        self.up()?.history(viewer, conversation, span, limit).await
    }

    async fn inbox(
        &self,
        user: UserId,
        after: Option<InboxCursor>,
        limit: usize,
    ) -> Result<Vec<InboxEntry>, Error> {
        self.up()?.inbox(user, after, limit).await
    }

    async fn entry(&self, user: UserId, conversation: ConversationId) -> Result<InboxEntry, Error> {
        self.up()?.entry(user, conversation).await
    }

    async fn memberships(&self, user: UserId) -> Result<Memberships, Error> {
        self.up()?.memberships(user).await
    }

    async fn members(
        &self,
        viewer: Viewer,
        conversation: ConversationId,
        after: Option<UserId>,
        limit: usize,
    ) -> Result<Vec<Member>, Error> {
        self.up()?.members(viewer, conversation, after, limit).await
    }

    async fn find_users(&self, part: &str, limit: usize) -> Result<Vec<User>, Error> {
        self.up()?.find_users(part, limit).await
    }

    async fn feed(&self, after: u64, limit: usize) -> Result<Vec<FeedEntry>, Error> {
        self.up()?.feed(after, limit).await
    }

    async fn close(&self) -> Result<(), Error> {
        self.store.close().await
    }
}
