//! A message of two beside one of a large group: how long the small conversation waits for the large one.

use std::sync::Arc;
use std::time::{Duration, Instant};

use chat_core::kv::MemoryStore;
use chat_core::{Connection, ConversationId, Identity, Item, LogId, Target, UserId, Write};
use criterion::{BenchmarkId, Criterion};
use tokio::task::JoinSet;

use crate::crowd::{Crowd, TEXT, commit};
use crate::{Outcome, most, must, runtime};

/// A large group whose members take whatever comes, and two of them who talk to each other.
struct Beside {
    crowd: Crowd,
    pair: (UserId, UserId),
    reader: Connection,
    /// Of the last one who came to the group.
    last: Connection,
    _tasks: JoinSet<()>,
}

impl Beside {
    async fn new(members: usize) -> Outcome<Self> {
        let crowd = Crowd::new(Arc::new(MemoryStore::new()), members).await?;
        let pair = (crowd.users[0], crowd.users[1]);
        let mut tasks = JoinSet::new();
        let (others, last) = crowd.users.split_at(crowd.users.len() - 1);
        for user in &others[2..] {
            let mut connection = crowd.chat.connect(Identity::of(*user)).await?;
            tasks.spawn(async move {
                let mut items = Vec::new();
                loop {
                    connection.drain(&mut items).await;
                    std::hint::black_box(&items);
                    items = Vec::new();
                }
            });
        }
        let reader = crowd.chat.connect(Identity::of(pair.1)).await?;
        let last = crowd.chat.connect(Identity::of(last[0])).await?;
        Ok(Self {
            crowd,
            pair,
            reader,
            last,
            _tasks: tasks,
        })
    }

    /// From telling of the message of two until it is read; `beside`: a message of the group was told of just before.
    async fn talk(&mut self, beside: bool, times: u64) -> Outcome<Duration> {
        let (store, chat) = (&*self.crowd.store, &self.crowd.chat);
        let mut took = Duration::ZERO;
        for _ in 0..times {
            let to = Target::Direct(self.pair.0, self.pair.1);
            let write = Write::post(self.pair.0, to, TEXT);
            let small = commit(store, vec![write]).await?.remove(0);
            let conversation = small.conversation.ok_or("no conversation")?;
            if beside {
                let large = commit(store, vec![self.crowd.post()]).await?.remove(0);
                chat.announce(&large);
            }
            let began = Instant::now();
            chat.announce(&small);
            read(&mut self.reader, conversation).await;
            took += began.elapsed();
            if beside {
                read(&mut self.last, self.crowd.group).await;
            }
        }
        Ok(took)
    }
}

/// Waits for an event of a conversation.
async fn read(connection: &mut Connection, conversation: ConversationId) {
    let log = LogId::Conversation(conversation);
    let is_there = |item: &Item| matches!(item, Item::Event(delivery) if delivery.event.log == log);
    let mut items = Vec::new();
    while !items.iter().any(is_there) {
        items.clear();
        connection.drain(&mut items).await;
    }
}

pub(crate) fn neighbour(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("message of two");
    group
        .sample_size(10)
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(3));
    for members in [1_000, 100_000]
        .into_iter()
        .filter(|count| *count <= most())
    {
        let runtime = runtime();
        let mut beside = must(runtime.block_on(Beside::new(members)));
        for (name, is_beside) in [("alone", false), ("beside a message of the group", true)] {
            group.bench_function(BenchmarkId::new(name, members), |bencher| {
                bencher.iter_custom(|times| must(runtime.block_on(beside.talk(is_beside, times))));
            });
        }
    }
}
