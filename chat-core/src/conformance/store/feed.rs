//! The feed: every event once, in one order.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::task::JoinSet;

use crate::conformance::world::{ALL, World, about_self, prepared, to};
use crate::conformance::{Fixture, Outcome, Verdict, Violation, ensure, ensure_eq};
use crate::{Change, ConversationId, FeedEntry, LogId, Seq, Store, Target, UserId, Write};

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
        same(&entries??, &whole)?;
    }
    complete(&world, &users, &whole).await?;
    Ok(Verdict::Holds)
}

/// What a consumer got over time, and what the feed says in the end.
fn same(got: &[FeedEntry], whole: &[FeedEntry]) -> Result<(), Violation> {
    for (n, (got, entry)) in got.iter().zip(whole).enumerate() {
        ensure_eq!(got, entry, "entry {n} that a consumer got");
    }
    ensure_eq!(got.len(), whole.len(), "entries that a consumer got");
    Ok(())
}

/// Positions ascend, and the logs of the users and of all their conversations are there to their ends, each in its order.
async fn complete(world: &World, users: &[UserId], entries: &[FeedEntry]) -> Result<(), Violation> {
    ensure!(
        entries.is_sorted_by(|a, b| a.position < b.position),
        "positions do not ascend"
    );
    let mut heads: BTreeMap<LogId, Seq> = BTreeMap::new();
    for FeedEntry { event, .. } in entries {
        let head = heads.entry(event.log).or_default();
        *head += 1;
        ensure_eq!(event.seq, *head, "the next of {:?}", event.log);
    }
    for &user in users {
        let head = heads.get(&user.into()).copied().unwrap_or_default();
        let memberships = world.store.memberships(user).await?;
        ensure_eq!(memberships.head, head, "the log of {user}");
        for (id, _, last) in memberships.conversations {
            let head = heads.get(&id.into()).copied().unwrap_or_default();
            ensure_eq!(last, head, "the log of {id}");
        }
    }
    Ok(())
}

/// Someone who keeps what they have done, and their position with it.
#[derive(Default)]
struct Consumer {
    done: Vec<FeedEntry>,
}

impl Consumer {
    /// Does a part of the next page and breaks off: the rest of it is lost, and has to come again. Whether there was any.
    async fn go_on(&mut self, store: &dyn Store, page: usize) -> Result<bool, Violation> {
        let saved = self.done.last().map_or(0, |entry| entry.position);
        let got = store.feed(saved, page).await?;
        ensure!(got.len() <= page, "a page longer than asked for");
        for entry in &got {
            let position = entry.position;
            ensure!(
                position > saved,
                "{position} again, after {saved} was saved"
            );
        }
        let some = got.len() - got.len() / 3;
        self.done.extend(got.into_iter().take(some));
        Ok(some > 0)
    }
}

/// Writes to conversations of one's own, a few at a time, some of them in one group with what goes to one's own log.
async fn write(
    store: Arc<dyn Store>,
    user: UserId,
    conversations: Vec<ConversationId>,
    rounds: usize,
) -> Result<(), Violation> {
    for round in 0..rounds {
        let posts = conversations.iter().skip(round % 2).map(|&id| {
            let text = format!("{user} {round}");
            to(
                user,
                id,
                vec![Change::post(text.clone()), Change::post(text)],
            )
        });
        let archive = Change::Archive { on: round % 2 == 0 };
        let writes = posts.chain([to(user, conversations[0], vec![archive])]);
        for result in store.commit(writes.map(prepared).collect()).await {
            result?;
        }
    }
    Ok(())
}

/// A slow consumer that saves its position with what it has done, breaks off in the midst of pages and starts again from
/// there, also after the store was reopened, gets every event once and each log in its order, while eight others write to 24
/// conversations at once. What it has seen never changes its place.
///
/// # Errors
/// How it was broken.
pub async fn consumers_go_on_where_they_were(fixture: &dyn Fixture) -> Outcome {
    const WRITERS: usize = 8;
    let mut world = World::open(fixture).await?;
    let users = world.users::<WRITERS>().await?;
    let mut own = Vec::new();
    for (n, &user) in users.iter().enumerate() {
        let other = users[(n + 1) % WRITERS];
        let mut conversations = Vec::new();
        for _ in 0..3 {
            conversations.push(world.group_of(user, &[other]).await?);
        }
        own.push((user, conversations));
    }
    let mut consumer = Consumer::default();
    for session in 1..=3 {
        let mut writers = JoinSet::new();
        for (user, conversations) in own.clone() {
            writers.spawn(write(world.store.clone(), user, conversations, 8));
        }
        let mut page = session;
        while !writers.is_empty() {
            while let Some(done) = writers.try_join_next() {
                done??;
            }
            consumer.go_on(&*world.store, page).await?;
            page = page * 5 % 23;
            tokio::task::yield_now().await;
        }
        // The consumer is behind when the store is reopened.
        for (user, conversations) in own.clone() {
            write(world.store.clone(), user, conversations, 1).await?;
        }
        if let Some(store) = fixture.reopen(world.store.clone()).await? {
            world.store = store;
        }
    }
    while consumer.go_on(&*world.store, 7).await? {}
    let whole = world.store.feed(0, ALL).await?;
    same(&consumer.done, &whole)?;
    complete(&world, &users, &whole).await?;
    Ok(Verdict::Holds)
}
