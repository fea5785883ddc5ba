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
        loop {
            let mut somebody = false;
            let mut pause = None;
            if let Some(hub) = weak.upgrade()
                && let Some(search) = hub.store.search()
            {
                let began = Instant::now();
                let taken = advance(&hub, search, &mut whole).await;
                failures = if taken.is_err() { failures + 1 } else { 0 };
                match taken {
                    Ok(0) => {}
                    // Whoever commits gets as much of the store's time as the index, at least.
                    Ok(BATCH) => pause = Some(began.elapsed()),
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
