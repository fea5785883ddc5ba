//! Keeps a store's index close behind its commits.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use crate::hub::Hub;
use crate::rules::RowKey;
use crate::{Error, Search};

/// Entries of the feed taken at once: few milliseconds of the store's time.
const BATCH: usize = 256;
/// After fewer than that, more may gather: many small batches cost a store more than a few large ones.
const GATHER: Duration = Duration::from_millis(50);
/// In a rush the index rests this many times as long as it worked: what waits to be acknowledged goes first …
const REST: u32 = 7;
/// … until the index has been behind for so long. From then on it takes as much of the store's time as the commits.
const RUSH: Duration = Duration::from_secs(10);

/// Starts the task, where the store has an index; it ends with the hub. It works when something was committed here or a node
/// tells of something, when somebody comes or searches, and as long as somebody is here by the sweep as well, for what
/// another node left undone.
pub(crate) fn start(hub: &Arc<Hub>) {
    if hub.store.search().is_none() {
        return;
    }
    let (changed, sweep) = (Arc::clone(&hub.changed), hub.limits.sweep);
    let (weak, stop) = (Arc::downgrade(hub), hub.stopped());
    tokio::spawn(async move {
        tokio::pin!(stop);
        let mut whole = false;
        let mut pace = Pace::new(sweep);
        loop {
            let mut somebody = false;
            let mut pause = None;
            if let Some(hub) = weak.upgrade()
                && let Some(search) = hub.store.search()
            {
                let began = Instant::now();
                let taken = advance(&hub, search, &mut whole).await;
                let is_busy = matches!(taken, Ok(BATCH)) && was_notified(&changed).await;
                pause = pace.after(taken, began, began.elapsed(), is_busy);
                somebody = hub.connections.load(Ordering::Relaxed) > 0;
            }
            let woken = async {
                match pause {
                    Some(pause) => tokio::time::sleep(pause).await,
                    None if somebody => {
                        let _ = tokio::time::timeout(sweep, changed.notified()).await;
                    }
                    None => changed.notified().await,
                }
            };
            tokio::select! {
                () = woken => {}
                () = &mut stop => return,
            }
        }
    });
}

/// How long to rest between batches.
struct Pace {
    /// After what failed.
    sweep: Duration,
    failures: u32,
    /// Since when more is left than one batch takes.
    behind: Option<Instant>,
}

impl Pace {
    fn new(sweep: Duration) -> Self {
        Self {
            sweep,
            failures: 0,
            behind: None,
        }
    }

    /// After a batch that began then and took so long; `None`: until something is committed.
    fn after(
        &mut self,
        taken: Result<usize, Error>,
        began: Instant,
        worked: Duration,
        is_busy: bool,
    ) -> Option<Duration> {
        if let Err(error) = taken {
            self.failures += 1;
            self.behind = None;
            // Once is nothing: the store may just be closing.
            if self.failures == 2 {
                tracing::warn!(%error, "the search index cannot follow: trying again");
            }
            return Some(self.sweep);
        }
        self.failures = 0;
        if let Ok(BATCH) = taken {
            let behind = *self.behind.get_or_insert(began);
            let is_rush = is_busy && (began + worked).duration_since(behind) < RUSH;
            return Some(worked * if is_rush { REST } else { 1 });
        }
        self.behind = None;
        taken.is_ok_and(|taken| taken > 0).then_some(GATHER)
    }
}

/// Whether anything was committed since the last time it was asked.
async fn was_notified(changed: &Notify) -> bool {
    tokio::select! {
        biased;
        () = changed.notified() => true,
        () = std::future::ready(()) => false,
    }
}

/// A store into which a copy is not finished is left alone.
async fn advance(hub: &Hub, search: &dyn Search, whole: &mut bool) -> Result<usize, Error> {
    if !*whole {
        let moving = hub.store.rows(vec![RowKey::Moving()]).await?;
        if matches!(moving[..], [Some(_)]) {
            return Err(Error::unavailable("a copy into this store is not finished"));
        }
        *whole = true;
    }
    search.index(BATCH).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commits_go_first_for_a_while_and_what_fails_is_left_alone() {
        let start = Instant::now();
        let (work, sweep) = (Duration::from_millis(4), Duration::from_secs(2));
        let mut pace = Pace::new(sweep);
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut after = |taken, seconds, busy| pace.after(taken, at(seconds), work, busy);
        // All is taken: nothing to do, or more may gather.
        assert_eq!(after(Ok(0), 0, false), None);
        assert_eq!(after(Ok(BATCH - 1), 0, false), Some(GATHER));
        // More is left. Only who commits is waited for, and no longer than a rush lasts.
        assert_eq!(after(Ok(BATCH), 1, false), Some(work));
        assert_eq!(after(Ok(BATCH), 2, true), Some(work * REST));
        assert_eq!(after(Ok(BATCH), 12, true), Some(work));
        // It caught up, and a new rush begins.
        assert_eq!(after(Ok(1), 13, true), Some(GATHER));
        assert_eq!(after(Ok(BATCH), 14, true), Some(work * REST));
        assert_eq!(after(Err(Error::busy("")), 15, true), Some(sweep));
        assert_eq!(after(Ok(BATCH), 16, true), Some(work * REST));
    }
}
