//! Each store beside the disk it stands on: committing with 1 to 512 concurrent writers, then pages and searches out of a large
//! store, and committing into it.
//!
//! `CHAT_BENCH_STORES` names the stores (`memory,sqlite,sled,postgres` by default), `CHAT_BENCH_MESSAGES` how many messages the
//! pages are read from (1,000,000), `TMPDIR` where the files stand: mind that the system's own folder for temporary files can be
//! memory, and that PostgreSQL's server, which is another user where this one is root, must be able to enter it.
//! `cargo xtask bench stores` runs one process a store and writes the table in `docs/performance.md`.
//!
//! Beside PostgreSQL stands what its own `pgbench` reaches with one client and one script that inserts 64 rows.
#![allow(
    clippy::print_stderr,
    missing_docs,
    reason = "a benchmark talks on its streams, and criterion's macros write undocumented items"
)]

mod fill;
mod pgbench;
mod place;

use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chat_core::{Chat, ConversationId, Limits, Span, Store, Target, UserId, Viewer, Write};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use tokio::runtime::Runtime;

use fill::{Filled, fill};
use place::{Place, places};

type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// Bytes of a row: about what a short message takes with all that belongs to it.
const ROW: usize = 200;
const WRITERS: [usize; 4] = [1, 8, 64, 512];
/// Of a store that is filled.
const FILLED_WRITERS: usize = 64;
const PAGE: usize = 50;

fn chat(store: Arc<dyn Store>) -> Chat {
    let mut limits = Limits::default();
    limits.message_rate = 0.0;
    Chat::builder(store).limits(limits).build()
}

/// Appends rows and syncs them, `rows` at a time: what no durable store can pass.
fn floor(path: &Path, rows: usize, times: u64) -> Outcome<Duration> {
    let mut file = tempfile::NamedTempFile::new_in(path)?;
    let group = vec![b'r'; ROW * rows];
    let began = Instant::now();
    for _ in 0..times {
        file.write_all(&group)?;
        file.as_file().sync_data()?;
    }
    Ok(began.elapsed())
}

/// Every writer posts `times` messages, one after another, into a conversation of their own.
async fn post(chat: &Chat, writers: &[(UserId, ConversationId)], times: u64) -> Outcome<Duration> {
    let began = Instant::now();
    let tasks = writers.iter().map(|&(user, conversation)| {
        let chat = chat.clone();
        tokio::spawn(async move {
            for _ in 0..times {
                let target = Target::Conversation(conversation);
                chat.commit(Write::post(user, target, fill::TEXT)).await?;
            }
            Ok::<_, chat_core::Error>(())
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await??;
    }
    Ok(began.elapsed())
}

/// Benchmarks cannot return errors: what fails ends the run with a sentence.
fn must<T>(outcome: Outcome<T>) -> T {
    outcome.unwrap_or_else(|error| {
        eprintln!("stores: {error}");
        std::process::exit(1);
    })
}

fn commit(criterion: &mut Criterion) {
    let runtime = must(Runtime::new().map_err(Into::into));
    let mut group = criterion.benchmark_group("commit");
    group
        .sample_size(10)
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(4));
    for (place, writers) in places()
        .into_iter()
        .flat_map(|place| WRITERS.map(|writers| (place, writers)))
    {
        group.throughput(Throughput::Elements(writers as u64));
        if place != Place::Memory {
            let name = format!("disk beside {}", place.name());
            let disk = must(tempfile::tempdir().map_err(Into::into));
            group.bench_function(BenchmarkId::new(name, writers), |bencher| {
                bencher.iter_custom(|times| must(floor(disk.path(), writers, times)));
            });
        }
        if place == Place::Postgres && writers == pgbench::ROWS {
            let script = must(pgbench::Script::new());
            group.bench_function(BenchmarkId::new("pgbench", writers), |bencher| {
                bencher.iter_custom(|times| must(script.run(times)));
            });
        }
        let opened = must(runtime.block_on(place.open()));
        let chat = {
            let _entered = runtime.enter();
            chat(opened.store())
        };
        let posting = must(runtime.block_on(fill::writers(&chat, writers)));
        group.bench_function(BenchmarkId::new(place.name(), writers), |bencher| {
            bencher.iter_custom(|times| must(runtime.block_on(post(&chat, &posting, times))));
        });
        must(
            runtime
                .block_on(chat.drain(Duration::ZERO))
                .map_err(Into::into),
        );
        must(runtime.block_on(opened.remove()));
    }
}

fn when_filled(criterion: &mut Criterion) {
    let runtime = must(Runtime::new().map_err(Into::into));
    for place in places() {
        let opened = must(runtime.block_on(place.open()));
        let filled = must(runtime.block_on(fill(&place, &opened)));
        let chat = {
            let _entered = runtime.enter();
            chat(opened.store())
        };
        history(criterion, &runtime, &place, &chat, &filled);
        inbox(criterion, &runtime, &place, &chat, &filled);
        if opened.store().search().is_some() {
            search(criterion, &runtime, &place, &chat, &filled);
        }
        commit_more(criterion, &runtime, &place, &chat);
        must(
            runtime
                .block_on(chat.drain(Duration::ZERO))
                .map_err(Into::into),
        );
        must(runtime.block_on(opened.remove()));
    }
}

fn history(
    criterion: &mut Criterion,
    runtime: &Runtime,
    place: &Place,
    chat: &Chat,
    filled: &Filled,
) {
    let viewer = Viewer::User(filled.user);
    let mut turn = 0;
    let mut group = criterion.benchmark_group("page");
    group.bench_function(BenchmarkId::new("history", place.name()), |bencher| {
        bencher.iter(|| {
            // A stride that is prime to the number of conversations: no two neighbours in a row.
            turn = (turn + 389) % filled.conversations.len();
            let read = chat.history(viewer, filled.conversations[turn], Span::Latest, PAGE);
            let page = must(runtime.block_on(read).map_err(Into::into));
            assert_eq!(page.len(), PAGE);
        });
    });
}

fn inbox(
    criterion: &mut Criterion,
    runtime: &Runtime,
    place: &Place,
    chat: &Chat,
    filled: &Filled,
) {
    let mut group = criterion.benchmark_group("page");
    group.bench_function(BenchmarkId::new("inbox", place.name()), |bencher| {
        bencher.iter(|| {
            let read = chat.inbox(filled.user, None, PAGE);
            let page = must(runtime.block_on(read).map_err(Into::into));
            assert_eq!(page.len(), PAGE);
        });
    });
}

/// A word that one of some thousand messages has, in all conversations of the user.
fn search(
    criterion: &mut Criterion,
    runtime: &Runtime,
    place: &Place,
    chat: &Chat,
    filled: &Filled,
) {
    let viewer = Viewer::User(filled.user);
    let mut turn = 0;
    let mut group = criterion.benchmark_group("page");
    group.bench_function(BenchmarkId::new("search", place.name()), |bencher| {
        bencher.iter(|| {
            turn = (turn + 389) % fill::WORDS;
            let text = format!("word{turn:04}");
            let read = chat.search(viewer, &text, None, None, PAGE);
            let page = must(runtime.block_on(read).map_err(Into::into));
            assert!(!page.messages.is_empty(), "{text} is in some");
        });
    });
}

/// What committing costs in a store that is as full as it is: with few messages and with many, this tells how it grows.
fn commit_more(criterion: &mut Criterion, runtime: &Runtime, place: &Place, chat: &Chat) {
    let posting = must(runtime.block_on(fill::writers(chat, FILLED_WRITERS)));
    let mut group = criterion.benchmark_group("commit when filled");
    group
        .sample_size(10)
        .measurement_time(Duration::from_secs(4))
        .throughput(Throughput::Elements(FILLED_WRITERS as u64));
    group.bench_function(BenchmarkId::new(place.name(), FILLED_WRITERS), |bencher| {
        bencher.iter_custom(|times| must(runtime.block_on(post(chat, &posting, times))));
    });
}

criterion_group!(stores, commit, when_filled);
criterion_main!(stores);
