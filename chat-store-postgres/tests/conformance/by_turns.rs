//! Several stores over one database, as one.

use std::sync::atomic::{AtomicUsize, Ordering};

use chat_core::conformance::async_trait;
use chat_core::rules::{Row, RowKey};
use chat_core::search::Query;
use chat_core::{
    Archive, Committed, ConversationId, Error, FeedEntry, InboxCursor, InboxEntry, LogId, LogPage,
    Member, Memberships, Message, Prepared, Search, SearchCursor, SearchPage, Seq, Span, Store,
    User, UserId, Viewer,
};
use chat_store_postgres::PostgresStore;

/// Every call goes to another one than the call before.
pub(crate) struct ByTurns {
    stores: Vec<PostgresStore>,
    calls: AtomicUsize,
}

impl ByTurns {
    pub(crate) fn new(stores: Vec<PostgresStore>) -> Self {
        Self {
            stores,
            calls: AtomicUsize::new(0),
        }
    }

    fn next(&self) -> &PostgresStore {
        let call = self.calls.fetch_add(1, Ordering::Relaxed);
        &self.stores[call % self.stores.len()]
    }
}

#[async_trait]
impl Store for ByTurns {
    async fn commit(&self, group: Vec<Prepared>) -> Vec<Result<Committed, Error>> {
        self.next().commit(group).await
    }
    async fn rows(&self, keys: Vec<RowKey>) -> Result<Vec<Option<Row>>, Error> {
        self.next().rows(keys).await
    }
    async fn log(
        &self,
        viewer: Viewer,
        log: LogId,
        after: Seq,
        limit: usize,
    ) -> Result<LogPage, Error> {
        self.next().log(viewer, log, after, limit).await
    }
    async fn history(
        &self,
        viewer: Viewer,
        conversation: ConversationId,
        span: Span,
        limit: usize,
    ) -> Result<Vec<Message>, Error> {
        self.next().history(viewer, conversation, span, limit).await
    }
    async fn inbox(
        &self,
        user: UserId,
        after: Option<InboxCursor>,
        limit: usize,
    ) -> Result<Vec<InboxEntry>, Error> {
        self.next().inbox(user, after, limit).await
    }
    async fn entry(&self, user: UserId, conversation: ConversationId) -> Result<InboxEntry, Error> {
        self.next().entry(user, conversation).await
    }
    async fn memberships(&self, user: UserId) -> Result<Memberships, Error> {
        self.next().memberships(user).await
    }
    async fn members(
        &self,
        viewer: Viewer,
        conversation: ConversationId,
        after: Option<UserId>,
        limit: usize,
    ) -> Result<Vec<Member>, Error> {
        self.next()
            .members(viewer, conversation, after, limit)
            .await
    }
    async fn find_users(&self, part: &str, limit: usize) -> Result<Vec<User>, Error> {
        self.next().find_users(part, limit).await
    }
    async fn feed(&self, after: u64, limit: usize) -> Result<Vec<FeedEntry>, Error> {
        self.next().feed(after, limit).await
    }
    fn archive(&self) -> Option<&dyn Archive> {
        self.next().archive()
    }
    fn search(&self) -> Option<&dyn Search> {
        Some(self)
    }
    async fn close(&self) -> Result<(), Error> {
        for store in &self.stores {
            store.close().await?;
        }
        Ok(())
    }
}

#[async_trait]
impl Search for ByTurns {
    async fn index(&self, limit: usize) -> Result<usize, Error> {
        Search::index(self.next(), limit).await
    }
    async fn find(
        &self,
        viewer: Viewer,
        query: Query,
        conversation: Option<ConversationId>,
        before: Option<SearchCursor>,
        limit: usize,
    ) -> Result<SearchPage, Error> {
        let store = self.next();
        store.find(viewer, query, conversation, before, limit).await
    }
}
