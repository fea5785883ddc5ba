//! Keeps a store's index close behind its commits.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

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
        let mut failures = 0_u32;
        let mut whole = false;
        let mut behind: Option<Instant> = None;
        loop {
            let mut somebody = false;
            let mut pause = None;
            if let Some(hub) = weak.upgrade()
                && let Some(search) = hub.store.search()
            {
                let began = Instant::now();
                let taken = advance(&hub, search, &mut whole).await;
                failures = if taken.is_err() { failures + 1 } else { 0 };
                if !matches!(taken, Ok(BATCH)) {
                    behind = None;
                }
                match taken {
                    Ok(0) => {}
                    Ok(BATCH) => {
                        let is_rush = behind.get_or_insert(began).elapsed() < RUSH;
                        // Whether anything was committed since the last time it was asked.
                        let is_busy = tokio::select! {
                            biased;
                            () = changed.notified() => true,
                            () = std::future::ready(()) => false,
                        };
                        let rest = if is_rush && is_busy { REST } else { 1 };
                        pause = Some(began.elapsed() * rest);
                    }
                    Ok(_) => pause = Some(GATHER),
                    Err(error) => {
                        // Once is nothing: the store may just be closing.
                        if failures == 2 {
                            tracing::warn!(%error, "the search index cannot follow: trying again");
                        }
                        pause = Some(sweep);
                    }
                }
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
