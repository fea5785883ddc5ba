//! A store that does what another does, but for a fault.

use std::sync::Arc;

use chat_core::conformance::async_trait;
use chat_core::rules::{Row, RowKey};
use chat_core::search::Query;
use chat_core::{
    Archive, Committed, ConversationId, Error, FeedEntry, InboxCursor, InboxEntry, LogId, LogPage,
    Member, Memberships, Message, Prepared, Search, SearchCursor, SearchPage, Seq, Span, Store,
    User, UserId, Viewer,
};

/// What a fault does to what goes in and comes out; nothing, where it does not say.
#[async_trait]
pub(crate) trait Fault: Send + Sync + 'static {
    async fn commit(&self, store: &dyn Store, group: Vec<Prepared>) -> Results {
        store.commit(group).await
    }
    fn rows(&self, _rows: &mut Vec<Option<Row>>) {}
    fn log_viewer(&self, viewer: Viewer, _log: LogId) -> Viewer {
        viewer
    }
    fn page(&self, _log: LogId, _page: &mut LogPage) {}
    fn history_viewer(&self, viewer: Viewer) -> Viewer {
        viewer
    }
    fn history(&self, _span: Span, _messages: &mut Vec<Message>) {}
    fn inbox(&self, _entries: &mut Vec<InboxEntry>) {}
    fn entry(&self, _entry: &mut InboxEntry) {}
    fn memberships(&self, _memberships: &mut Memberships) {}
    fn found(&self, _users: &mut Vec<User>) {}
    fn feed_after(&self, after: u64) -> u64 {
        after
    }
    fn feed(&self, _after: u64, _entries: &mut Vec<FeedEntry>) {}
    /// A page of rows on its way out of the store …
    fn rest(&self, _page: &mut Vec<(RowKey, Row)>) {}
    /// … and into it.
    fn put(&self, _rows: &mut Vec<(RowKey, Option<Row>)>) {}
    fn searches(&self) -> bool {
        true
    }
    fn indexes(&self) -> bool {
        true
    }
    fn search_viewer(&self, viewer: Viewer) -> Viewer {
        viewer
    }
    fn search_page(&self, _before: Option<SearchCursor>, _page: &mut SearchPage) {}
    fn error(&self, error: Error) -> Error {
        error
    }
    fn closes(&self) -> bool {
        true
    }
    fn reopened(&self) {}
    fn break_syncs(&self) -> bool {
        false
    }
}

pub(crate) type Results = Vec<Result<Committed, Error>>;

/// A store with a fault.
pub(crate) struct Faulty<F> {
    store: Arc<dyn Store>,
    fault: F,
}

impl<F: Fault> Faulty<F> {
    pub(crate) fn new(store: impl Store, fault: F) -> Self {
        Self {
            store: Arc::new(store),
            fault,
        }
    }

    fn told<T>(
        &self,
        result: Result<T, Error>,
        fault: impl FnOnce(&F, &mut T),
    ) -> Result<T, Error> {
        match result {
            Ok(mut value) => {
                fault(&self.fault, &mut value);
                Ok(value)
            }
            Err(error) => Err(self.fault.error(error)),
        }
    }
}

#[async_trait]
impl<F: Fault> Store for Faulty<F> {
    async fn commit(&self, group: Vec<Prepared>) -> Results {
        let results = self.fault.commit(&*self.store, group).await;
        let results = results.into_iter();
        results.map(|result| self.told(result, |_, _| {})).collect()
    }
    async fn rows(&self, keys: Vec<RowKey>) -> Result<Vec<Option<Row>>, Error> {
        self.told(self.store.rows(keys).await, |fault, rows| fault.rows(rows))
    }
    async fn log(
        &self,
        viewer: Viewer,
        log: LogId,
        after: Seq,
        limit: usize,
    ) -> Result<LogPage, Error> {
        let viewer = self.fault.log_viewer(viewer, log);
        let page = self.store.log(viewer, log, after, limit).await;
        self.told(page, |fault, page| fault.page(log, page))
    }
    async fn history(
        &self,
        viewer: Viewer,
        conversation: ConversationId,
        span: Span,
        limit: usize,
    ) -> Result<Vec<Message>, Error> {
        let viewer = self.fault.history_viewer(viewer);
        let history = self.store.history(viewer, conversation, span, limit).await;
        self.told(history, |fault, messages| fault.history(span, messages))
    }
    async fn inbox(
        &self,
        user: UserId,
        after: Option<InboxCursor>,
        limit: usize,
    ) -> Result<Vec<InboxEntry>, Error> {
        let inbox = self.store.inbox(user, after, limit).await;
        self.told(inbox, |fault, entries| fault.inbox(entries))
    }
    async fn entry(&self, user: UserId, conversation: ConversationId) -> Result<InboxEntry, Error> {
        let entry = self.store.entry(user, conversation).await;
        self.told(entry, |fault, entry| fault.entry(entry))
    }
    async fn memberships(&self, user: UserId) -> Result<Memberships, Error> {
        let memberships = self.store.memberships(user).await;
        self.told(memberships, |fault, memberships| {
            fault.memberships(memberships)
        })
    }
    async fn members(
        &self,
        viewer: Viewer,
        conversation: ConversationId,
        after: Option<UserId>,
        limit: usize,
    ) -> Result<Vec<Member>, Error> {
        let members = self.store.members(viewer, conversation, after, limit).await;
        self.told(members, |_, _| {})
    }
    async fn find_users(&self, part: &str, limit: usize) -> Result<Vec<User>, Error> {
        let found = self.store.find_users(part, limit).await;
        self.told(found, |fault, users| fault.found(users))
    }
    async fn feed(&self, after: u64, limit: usize) -> Result<Vec<FeedEntry>, Error> {
        let feed = self.store.feed(self.fault.feed_after(after), limit).await;
        self.told(feed, |fault, entries| fault.feed(after, entries))
    }
    fn archive(&self) -> Option<&dyn Archive> {
        Some(self)
    }
    fn search(&self) -> Option<&dyn Search> {
        self.fault.searches().then_some(self)
    }
    async fn close(&self) -> Result<(), Error> {
        if self.fault.closes() {
            self.store.close().await?;
        }
        Ok(())
    }
}

#[async_trait]
impl<F: Fault> Archive for Faulty<F> {
    async fn events(&self, after: u64, limit: usize) -> Result<Vec<(u64, RowKey, Row)>, Error> {
        self.inner()?.events(after, limit).await
    }
    async fn rest(&self, after: Option<RowKey>, limit: usize) -> Result<Vec<(RowKey, Row)>, Error> {
        let page = self.inner()?.rest(after, limit).await;
        self.told(page, |fault, page| fault.rest(page))
    }
    async fn put(&self, mut rows: Vec<(RowKey, Option<Row>)>) -> Result<(), Error> {
        self.fault.put(&mut rows);
        self.inner()?.put(rows).await
    }
}

impl<F: Fault> Faulty<F> {
    fn inner(&self) -> Result<&dyn Archive, Error> {
        let none = || Error::internal("no archive");
        self.store.archive().ok_or_else(none)
    }
}

#[async_trait]
impl<F: Fault> Search for Faulty<F> {
    async fn index(&self, limit: usize) -> Result<usize, Error> {
        match self.store.search() {
            Some(search) if self.fault.indexes() => search.index(limit).await,
            _ => Ok(0),
        }
    }
    async fn find(
        &self,
        viewer: Viewer,
        query: Query,
        conversation: Option<ConversationId>,
        before: Option<SearchCursor>,
        limit: usize,
    ) -> Result<SearchPage, Error> {
        let Some(search) = self.store.search() else {
            return Err(Error::internal("nothing to put a fault in"));
        };
        let viewer = self.fault.search_viewer(viewer);
        let found = search
            .find(viewer, query, conversation, before, limit)
            .await;
        self.told(found, |fault, page| fault.search_page(before, page))
    }
}
