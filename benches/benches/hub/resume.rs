//! Devices that come back: one that missed much, and a thousand at once.

use std::sync::Arc;
use std::time::Duration;

use chat_core::kv::MemoryStore;
use chat_core::{Connection, Identity, Item, LogId, Seq, Store};
use chat_store_sqlite::SqliteStore;
use criterion::{BenchmarkId, Criterion, Throughput};
use tempfile::TempDir;

use crate::crowd::{Crowd, commit};
use crate::{Outcome, must, runtime};

const MISSED: [u64; 3] = [10, 500, 10_000];
/// Users who come at once.
const STORM: usize = 1_000;
/// What each of them missed.
const MISSED_BY_EACH: u64 = 10;

const STORES: [&str; 2] = ["memory", "sqlite"];

/// A store of that name; SQLite's is in the folder.
fn open(name: &str, folder: &TempDir) -> Outcome<Arc<dyn Store>> {
    Ok(match name {
        "sqlite" => Arc::new(SqliteStore::open(folder.path().join("chat.db"))?),
        _ => Arc::new(MemoryStore::new()),
    })
}

async fn crowd(store: Arc<dyn Store>, users: usize, messages: u64) -> Outcome<(Crowd, Seq)> {
    let crowd = Crowd::new(store, users).await?;
    let posts = (0..messages).map(|_| crowd.post()).collect();
    let done = commit(&*crowd.store, posts).await?;
    let head = done.last().map_or(0, |done| done.last());
    Ok((crowd, head))
}

/// Resumes the group's log and takes everything until it is live.
async fn catch_up(mut connection: Connection, log: LogId, after: Seq, missed: u64) -> Outcome<()> {
    connection.resume(vec![(log, after)])?;
    let (mut items, mut events) = (Vec::new(), 0);
    loop {
        connection.drain(&mut items).await;
        for item in items.drain(..) {
            match item {
                Item::Event(_) => events += 1,
                Item::Live { .. } if events == missed => return Ok(()),
                Item::Live { .. } | Item::Resync { .. } | Item::Closed(_) => {
                    return Err(format!("{events} events of {missed} came").into());
                }
                _ => {}
            }
        }
    }
}

pub(crate) fn resume(criterion: &mut Criterion) {
    let runtime = runtime();
    let mut group = criterion.benchmark_group("resume");
    group
        .sample_size(10)
        .measurement_time(Duration::from_secs(3));
    for name in STORES {
        let folder = must(tempfile::tempdir().map_err(Into::into));
        let store = must(open(name, &folder));
        let most = MISSED.into_iter().max().unwrap_or_default();
        let (crowd, head) = must(runtime.block_on(crowd(store, 2, most)));
        for missed in MISSED {
            group.throughput(Throughput::Elements(missed));
            group.bench_function(BenchmarkId::new(name, missed), |bencher| {
                bencher.iter(|| {
                    must(runtime.block_on(async {
                        let connection = crowd.chat.connect(Identity::of(crowd.users[1])).await?;
                        let log = LogId::Conversation(crowd.group);
                        catch_up(connection, log, head - missed, missed).await
                    }));
                });
            });
        }
    }
}

pub(crate) fn storm(criterion: &mut Criterion) {
    let runtime = runtime();
    let mut group = criterion.benchmark_group("storm");
    group
        .sample_size(10)
        .measurement_time(Duration::from_secs(3));
    group.throughput(Throughput::Elements(STORM as u64));
    for name in STORES {
        let folder = must(tempfile::tempdir().map_err(Into::into));
        let store = must(open(name, &folder));
        let (crowd, head) = must(runtime.block_on(crowd(store, STORM, MISSED_BY_EACH)));
        group.bench_function(BenchmarkId::new(name, STORM), |bencher| {
            bencher.iter(|| {
                must(runtime.block_on(async {
                    let mut tasks = tokio::task::JoinSet::new();
                    for &user in &crowd.users {
                        let (chat, log) = (crowd.chat.clone(), LogId::Conversation(crowd.group));
                        tasks.spawn(async move {
                            let connection = chat.connect(Identity::of(user)).await?;
                            catch_up(connection, log, head - MISSED_BY_EACH, MISSED_BY_EACH).await
                        });
                    }
                    while let Some(ended) = tasks.join_next().await {
                        ended??;
                    }
                    Ok(())
                }));
            });
        });
    }
}
