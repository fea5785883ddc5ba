//! One event to many connections, each with a task of its own, beside `tokio::sync::broadcast` and a bare loop.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use chat_core::kv::MemoryStore;
use chat_core::{Identity, Item};
use criterion::{BenchmarkId, Criterion, Throughput};
use tokio::sync::{Notify, broadcast};
use tokio::task::JoinSet;

use crate::crowd::{Crowd, TEXT, commit};
use crate::{Outcome, most, must, runtime};

const CONNECTIONS: [usize; 5] = [1, 100, 1_000, 10_000, 100_000];

/// Counts receivers until all have it.
#[derive(Default)]
struct Tally {
    got: AtomicUsize,
    all: usize,
    done: Notify,
}

impl Tally {
    fn of(all: usize) -> Arc<Self> {
        Arc::new(Self {
            all,
            ..Self::default()
        })
    }

    fn add(&self) {
        if self.got.fetch_add(1, Ordering::AcqRel) + 1 == self.all {
            self.got.store(0, Ordering::Release);
            self.done.notify_one();
        }
    }
}

/// A chat with connections that take whatever comes.
struct Listening {
    crowd: Crowd,
    tally: Arc<Tally>,
    /// How often an event was encoded, and how many there were.
    encoded: Arc<AtomicUsize>,
    events: usize,
    _tasks: JoinSet<()>,
}

impl Listening {
    async fn new(connections: usize) -> Outcome<Self> {
        let crowd = Crowd::new(Arc::new(MemoryStore::new()), connections).await?;
        let (tally, encoded) = (Tally::of(connections), Arc::new(AtomicUsize::new(0)));
        let format = crowd.chat.format()?;
        let mut tasks = JoinSet::new();
        for user in &crowd.users {
            let mut connection = crowd.chat.connect(Identity::of(*user)).await?;
            let (tally, encoded) = (Arc::clone(&tally), Arc::clone(&encoded));
            tasks.spawn(async move {
                let mut items = Vec::new();
                loop {
                    connection.drain(&mut items).await;
                    for item in items.drain(..) {
                        if let Item::Event(delivery) = item {
                            let frame = delivery.frame(format, |event| {
                                encoded.fetch_add(1, Ordering::Relaxed);
                                Bytes::from(format!("{} {TEXT}", event.seq))
                            });
                            std::hint::black_box(frame);
                            tally.add();
                        }
                    }
                }
            });
        }
        Ok(Self {
            crowd,
            tally,
            encoded,
            events: 0,
            _tasks: tasks,
        })
    }

    /// From telling the hub of what was committed until the last task has it.
    async fn send(&mut self, times: u64) -> Outcome<Duration> {
        let mut took = Duration::ZERO;
        for _ in 0..times {
            let done = commit(&*self.crowd.store, vec![self.crowd.post()]).await?;
            let began = Instant::now();
            self.crowd.chat.announce(&done[0]);
            self.tally.done.notified().await;
            took += began.elapsed();
            self.events += 1;
        }
        let encoded = self.encoded.load(Ordering::Relaxed);
        if encoded != self.events {
            return Err(format!("{} events were encoded {encoded} times", self.events).into());
        }
        Ok(took)
    }
}

async fn broadcast(
    sender: &broadcast::Sender<Bytes>,
    tally: &Tally,
    times: u64,
) -> Outcome<Duration> {
    let began = Instant::now();
    for _ in 0..times {
        // Shared bytes of its own, as an event's frame is: a static text would not be counted.
        sender.send(Bytes::from(TEXT.to_owned()))?;
        tally.done.notified().await;
    }
    Ok(began.elapsed())
}

pub(crate) fn fan_out(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("fan-out");
    group
        .sample_size(10)
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(3));
    for connections in CONNECTIONS.into_iter().filter(|count| *count <= most()) {
        group.throughput(Throughput::Elements(connections as u64));

        let event = Arc::new(Bytes::from_static(TEXT.as_bytes()));
        let mut queues: Vec<Vec<Arc<Bytes>>> = vec![Vec::with_capacity(1); connections];
        group.bench_function(
            BenchmarkId::new("loop of Arc clones", connections),
            |bencher| {
                bencher.iter(|| {
                    for queue in &mut queues {
                        queue.push(Arc::clone(&event));
                    }
                    queues.iter_mut().for_each(Vec::clear);
                });
            },
        );

        let of_broadcast = runtime();
        let (sender, _) = broadcast::channel(1024);
        let tally = Tally::of(connections);
        for _ in 0..connections {
            let (mut receiver, tally) = (sender.subscribe(), Arc::clone(&tally));
            of_broadcast.spawn(async move {
                while let Ok(frame) = receiver.recv().await {
                    std::hint::black_box(frame);
                    tally.add();
                }
            });
        }
        group.bench_function(
            BenchmarkId::new("tokio broadcast", connections),
            |bencher| {
                bencher.iter_custom(|times| {
                    must(of_broadcast.block_on(broadcast(&sender, &tally, times)))
                });
            },
        );
        drop(of_broadcast);

        let runtime = runtime();
        let mut listening = must(runtime.block_on(Listening::new(connections)));
        group.bench_function(BenchmarkId::new("chat", connections), |bencher| {
            bencher.iter_custom(|times| must(runtime.block_on(listening.send(times))));
        });
    }
}
