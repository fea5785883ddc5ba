//! A store of chat-core over sled.

mod engine;
mod error;
mod open;

use std::path::Path;

use async_trait::async_trait;
use chat_core::kv::KvStore;
use chat_core::rules::{Row, RowKey};
use chat_core::{
    Archive, Committed, ConversationId, Error, ErrorKind, FeedEntry, InboxCursor, InboxEntry,
    LogId, LogPage, Member, Memberships, Message, Prepared, Seq, Span, Store, User, UserId, Viewer,
};

use engine::Sled;
pub use error::OpenError;

/// A store in one folder. See the [crate's docs](crate) for what it guarantees.
#[derive(Debug)]
pub struct SledStore(KvStore<Sled>);

impl SledStore {
    /// Opens.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self, OpenError> {
        let engine = Sled::open(path.as_ref())?;
        let folder = engine.folder().to_owned();
        let store = KvStore::open(engine).map_err(|error| {
            let source = Box::new(error.clone());
            match error.kind() {
                ErrorKind::Invalid | ErrorKind::Internal => OpenError::Damaged { folder, source },
                _ => OpenError::Other { folder, source },
            }
        })?;
        Ok(Self(store))
    }
}

#[async_trait]
impl Store for SledStore {
    async fn commit(&self, group: Vec<Prepared>) -> Vec<Result<Committed, Error>> {
        self.0.commit(group).await
    }
    async fn rows(&self, keys: Vec<RowKey>) -> Result<Vec<Option<Row>>, Error> {
        self.0.rows(keys).await
    }
    async fn log(
        &self,
        viewer: Viewer,
        log: LogId,
        after: Seq,
        limit: usize,
    ) -> Result<LogPage, Error> {
        self.0.log(viewer, log, after, limit).await
    }
    async fn history(
        &self,
        viewer: Viewer,
        conversation: ConversationId,
        span: Span,
        limit: usize,
    ) -> Result<Vec<Message>, Error> {
        self.0.history(viewer, conversation, span, limit).await
    }
    async fn inbox(
        &self,
        user: UserId,
        after: Option<InboxCursor>,
        limit: usize,
    ) -> Result<Vec<InboxEntry>, Error> {
        self.0.inbox(user, after, limit).await
    }
    async fn entry(&self, user: UserId, conversation: ConversationId) -> Result<InboxEntry, Error> {
        self.0.entry(user, conversation).await
    }
    async fn memberships(&self, user: UserId) -> Result<Memberships, Error> {
        self.0.memberships(user).await
    }
    async fn members(
        &self,
        viewer: Viewer,
        conversation: ConversationId,
        after: Option<UserId>,
        limit: usize,
    ) -> Result<Vec<Member>, Error> {
        self.0.members(viewer, conversation, after, limit).await
    }
    async fn find_users(&self, part: &str, limit: usize) -> Result<Vec<User>, Error> {
        self.0.find_users(part, limit).await
    }
    async fn feed(&self, after: u64, limit: usize) -> Result<Vec<FeedEntry>, Error> {
        self.0.feed(after, limit).await
    }
    fn archive(&self) -> Option<&dyn Archive> {
        self.0.archive()
    }
    async fn close(&self) -> Result<(), Error> {
        self.0.close().await
    }
}
