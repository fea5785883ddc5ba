//! Moving house: every row of a store as it stands, for another store.

use async_trait::async_trait;

use crate::Error;
use crate::rules::{Row, RowKey};

/// What a store offers so that all it holds can be copied into another one, whatever engine that is: ids, seqs, keys and
/// receipts stay what they are.
///
/// A copy first takes the [`events`](Archive::events) in their order, so that the feed of the new store has the same order,
/// then all [other rows](Archive::rest). Nobody may write to either store meanwhile. [`RowKey::Moving`] stands in the new
/// store until all is there: it tells where an interrupted copy goes on, and keeps the store from being used before.
/// [`crate::Transfer`] does all that; what it comes to:
///
/// The pages are not checked for anybody's rights: this is the operator's.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), chat_core::Error> {
/// use chat_core::kv::MemoryStore;
/// use chat_core::{Actor, Change, Prepared, Store, Target, Write};
///
/// let (from, to) = (MemoryStore::new(), MemoryStore::new());
/// for name in ["Ann", "Anna"] {
///     let target = Target::Subject { provider: "host".into(), subject: "ann".into() };
///     let named = Change::Profile { name: Some(name.into()), data: None };
///     let write = Write::new(Actor::Host, target, vec![named]);
///     for committed in from.commit(vec![Prepared { write, digest: [0; 16] }]).await {
///         committed?;
///     }
/// }
/// if let (Some(from), Some(to)) = (from.archive(), to.archive()) {
///     let (mut at, mut key) = (0, None);
///     loop {
///         let page = from.events(at, 1000).await?;
///         let Some((last, ..)) = page.last() else { break };
///         at = *last;
///         to.put(page.into_iter().map(|(_, key, row)| (key, Some(row))).collect()).await?;
///     }
///     loop {
///         let page = from.rest(key, 1000).await?;
///         let Some((last, _)) = page.last() else { break };
///         key = Some(last.clone());
///         to.put(page.into_iter().map(|(key, row)| (key, Some(row))).collect()).await?;
///     }
/// }
/// let feed = to.feed(0, 10).await?;
/// assert_eq!(feed, from.feed(0, 10).await?);
/// assert!(!feed.is_empty());
/// # Ok(())
/// # }
/// ```
#[async_trait]
pub trait Archive: Send + Sync {
    /// Events as they are stored, each with its position in the feed: at most `limit` after a position, ascending. An empty
    /// page is the end.
    ///
    /// # Errors
    /// `Unavailable`, or `Internal` where the store is damaged.
    async fn events(&self, after: u64, limit: usize) -> Result<Vec<(u64, RowKey, Row)>, Error>;

    /// All rows that are no events: at most `limit` after a key, in an order that is the store's own and always the same.
    /// An empty page is the end.
    ///
    /// # Errors
    /// `Unavailable`, or `Internal` where the store is damaged.
    async fn rest(&self, after: Option<RowKey>, limit: usize) -> Result<Vec<(RowKey, Row)>, Error>;

    /// Puts rows as they are, and takes away those given as `None`: all or nothing, durable when it returns. Events that are
    /// new get the next positions of the feed in their order; events are never taken away.
    ///
    /// # Errors
    /// Those of [`crate::Store::commit`].
    async fn put(&self, rows: Vec<(RowKey, Option<Row>)>) -> Result<(), Error>;
}
