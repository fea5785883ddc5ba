//! Up to where the feed tells: nothing may be committed later that comes before what was told.
//!
//! A place begins with a number of the sequence `chat_place`, drawn while the logs written to are locked. So the places of
//! one log ascend; those of different logs may be committed in another order than they were drawn in. Who asks for the feed
//! therefore reads the last number drawn, and *then* takes a transaction number. Everybody who had drawn up to there had a
//! transaction number before, and so a lower one. Once none of those is under way any more, all numbers up to there are
//! either committed or will never be.
//!
//! A snapshot alone does not tell: it knows the last transaction that ended, not the last one that began.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use chat_core::snapshot;
use chat_core::{Error, FeedEntry};

use crate::columns::{self, Cells};
use crate::executor::Statement;
use crate::view::View;
use crate::{PostgresStore, fault};

const LAST: &str = "SELECT last_value FROM chat_place";
const NEXT_TRANSACTION: &str = "SELECT pg_current_xact_id()::text::bigint";
const OLDEST: &str = "SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint";

/// How long is waited for those who were writing when the feed was asked for.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);

/// A number of the sequence, and a transaction number higher than those of all who had drawn up to it.
pub(crate) struct Mark {
    drawn: u64,
    transaction: i64,
}

impl Mark {
    async fn new(view: &View) -> Result<Self, Error> {
        let batch = [LAST, NEXT_TRANSACTION].map(|sql| Statement {
            sql,
            params: Vec::new(),
        });
        // Each by itself: the second begins when the first has its answer.
        let found = view.before(&batch).await?;
        let mut values = found.into_iter().flatten().map(Cells::new);
        let mut next = || values.next().ok_or_else(columns::damaged);
        Ok(Self {
            drawn: next()?.number()?,
            transaction: next()?.int()?,
        })
    }

    /// Whether in this snapshot all have ended who had drawn up to it.
    async fn is_settled(&self, view: &View) -> Result<bool, Error> {
        let oldest = view.list(OLDEST, Vec::new(), Cells::int).await?;
        Ok(oldest
            .first()
            .is_some_and(|oldest| *oldest >= self.transaction))
    }
}

/// [`chat_core::Store::feed`].
pub(crate) async fn feed(
    store: &PostgresStore,
    after: u64,
    limit: usize,
) -> Result<Vec<FeedEntry>, Error> {
    let begun = Instant::now();
    let mut mark = None;
    let mut attempt = 0;
    loop {
        let mut view = store.view().await?;
        let late = begun.elapsed() > PATIENCE;
        let step = step(&mut view, &mut mark, &store.settled, late).await;
        let page = match step {
            Ok(true) => Some(snapshot::feed(&view, after, limit).await),
            Ok(false) => None,
            Err(error) => Some(Err(error)),
        };
        view.end();
        if let Some(page) = page {
            return page;
        }
        fault::pause(attempt, Duration::from_millis(50)).await;
        attempt += 1;
    }
}

/// Whether it is settled by now up to where one may read.
pub(crate) async fn step(
    view: &mut View,
    mark: &mut Option<Mark>,
    settled: &AtomicU64,
    late: bool,
) -> Result<bool, Error> {
    let mark = match mark {
        Some(mark) => mark,
        None => mark.insert(Mark::new(view).await?),
    };
    let all = mark.is_settled(view).await?;
    if all {
        settled.fetch_max((mark.drawn + 1) << 20, Ordering::Relaxed);
    }
    view.feed_end = settled.load(Ordering::Relaxed);
    Ok(all || late)
}
