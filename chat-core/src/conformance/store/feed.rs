//! The feed: every event once, in one order.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::task::JoinSet;

use crate::conformance::world::{ALL, World, about_self, prepared, to};
use crate::conformance::{Fixture, Outcome, Verdict, Violation, ensure, ensure_eq};
use crate::{Change, FeedEntry, LogId, Seq, Store, Target, Write};

/// Reads the feed in pages until it is told that no more will come, and a page was empty after that.
async fn consume(
    store: Arc<dyn Store>,
    page: usize,
    over: Arc<AtomicBool>,
) -> Result<Vec<FeedEntry>, Violation> {
    let mut entries: Vec<FeedEntry> = Vec::new();
    loop {
        let last = over.load(Ordering::SeqCst);
        let after = entries.last().map_or(0, |entry| entry.position);
        let got = store.feed(after, page).await?;
        ensure!(got.len() <= page, "a page longer than asked for");
        if got.is_empty() && last {
            return Ok(entries);
        }
        entries.extend(got);
        tokio::task::yield_now().await;
    }
}

/// Consumers of any page size, while eight writers go on, get every event of all logs once, positions ascending and each
/// log in its order; reading again gives the same.
///
/// # Errors
/// How it was broken.
pub async fn feed_skips_nothing(fixture: &dyn Fixture) -> Outcome {
    const WRITERS: usize = 8;
    let world = World::open(fixture).await?;
    let users = world.users::<WRITERS>().await?;
    let group = world.group_of(users[0], &users[1..]).await?;
    let over = Arc::new(AtomicBool::new(false));
    let mut consumers = JoinSet::new();
    for page in [1, 7, 1000] {
        consumers.spawn(consume(world.store.clone(), page, over.clone()));
    }
    let mut writers = JoinSet::new();
    for (n, &user) in users.iter().enumerate() {
        let store = world.store.clone();
        let other = users[(n + 1) % WRITERS];
        writers.spawn(async move {
            for round in 0..12 {
                let pair = Target::Direct(user, other);
                let block = Change::Block {
                    user: other,
                    on: round % 2 == 1,
                };
                let post = Change::post(format!("{n} {round}"));
                let mut writes = vec![
                    to(user, group, vec![post]),
                    to(user, group, vec![Change::Archive { on: round % 2 == 0 }]),
                ];
                if round % 3 == 0 {
                    writes.push(Write::post(user, pair, format!("{n} {round}")));
                    // Nobody here writes to somebody who blocks them: those would be the neighbours on the other side.
                    writes.push(about_self(user, block));
                }
                let group = writes.into_iter().map(prepared).collect();
                for result in store.commit(group).await {
                    result?;
                }
            }
            Ok::<_, Violation>(())
        });
    }
    while let Some(done) = writers.join_next().await {
        done??;
    }
    over.store(true, Ordering::SeqCst);
    let whole = world.store.feed(0, ALL).await?;
    while let Some(entries) = consumers.join_next().await {
        ensure_eq!(entries??, whole, "what a consumer got");
    }
    ensure!(
        whole.is_sorted_by(|a, b| a.position < b.position),
        "positions do not ascend"
    );
    let mut heads: BTreeMap<LogId, Seq> = BTreeMap::new();
    for FeedEntry { event, .. } in &whole {
        let head = heads.entry(event.log).or_default();
        *head += 1;
        ensure_eq!(event.seq, *head, "the next of {:?}", event.log);
    }
    for user in users {
        let head = heads.get(&user.into()).copied().unwrap_or_default();
        let memberships = world.store.memberships(user).await?;
        ensure_eq!(memberships.head, head, "the log of {user}");
        for (id, _, last) in memberships.conversations {
            let head = heads.get(&id.into()).copied().unwrap_or_default();
            ensure_eq!(last, head, "the log of {id}");
        }
    }
    Ok(Verdict::Holds)
}
