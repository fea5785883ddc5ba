//! What [`KvStore`] adds to the laws: engines that fail, long values in parts, what a database opened again goes on with.

#[cfg(feature = "conformance")]
mod laws;
mod search;

use std::collections::VecDeque;
use std::future::Future;
use std::ops::Range;
use std::pin::pin;
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use super::*;
use crate::{Actor, Change, ErrorKind, Event, History, Target, Write};

/// What becomes of one `apply`.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fate {
    Done,
    /// Fails, and nothing of the batch is there when opened again.
    Lost,
    /// Fails, and all of it is there when opened again.
    Kept,
    /// Refused for want of space.
    Full,
    Panic,
}

/// What outlives an engine.
#[derive(Debug, Default)]
struct Disk {
    data: Memory,
    /// Batches that will be found when opened again.
    kept: Vec<Batch>,
    /// Of the next calls to `apply`; then all is well.
    fates: VecDeque<Fate>,
    done: Option<Sender<()>>,
}

/// A blocking engine that does not like values longer than `MAX`.
#[derive(Debug)]
struct Probe<const MAX: usize>(Arc<Mutex<Disk>>);

type Plain = Probe<{ usize::MAX }>;

impl<const MAX: usize> Probe<MAX> {
    fn open(disk: &Arc<Mutex<Disk>>) -> KvStore<Self> {
        {
            let mut disk = disk.lock().unwrap_or_else(PoisonError::into_inner);
            for batch in std::mem::take(&mut disk.kept) {
                disk.data.apply(batch).unwrap();
            }
        }
        KvStore::open(Self(Arc::clone(disk))).unwrap()
    }

    fn disk(&self) -> MutexGuard<'_, Disk> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<const MAX: usize> Engine for Probe<MAX> {
    const MAX_VALUE: usize = MAX;

    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        self.disk().data.get(key)
    }

    fn scan(&self, range: Range<&[u8]>, backward: bool, limit: usize) -> Result<Pairs, Error> {
        assert!(range.start < range.end, "promised to engines");
        self.disk().data.scan(range, backward, limit)
    }

    fn apply(&mut self, batch: Batch) -> Result<(), Error> {
        assert!(!batch.is_empty(), "promised to engines");
        let longest = batch.values().flatten().map(Vec::len).max();
        assert!(longest.is_none_or(|longest| longest <= MAX));
        let mut disk = self.disk();
        let fate = disk.fates.pop_front().unwrap_or(Fate::Done);
        match fate {
            Fate::Done => disk.data.apply(batch)?,
            Fate::Lost => return Err(Error::unavailable("no disk any more")),
            Fate::Kept => {
                disk.kept.push(batch);
                return Err(Error::unavailable("no answer from the disk"));
            }
            Fate::Full => return Err(Error::busy("no space left")),
            Fate::Panic => panic!("an engine with a defect"),
        }
        if let Some(done) = &disk.done {
            done.send(()).unwrap();
        }
        Ok(())
    }
}

fn disk(fates: &[Fate]) -> Arc<Mutex<Disk>> {
    // The first `apply` makes the database.
    let fates = std::iter::once(&Fate::Done).chain(fates).copied().collect();
    Arc::new(Mutex::new(Disk {
        fates,
        ..Disk::default()
    }))
}

/// A write as it is submitted; a clone of it is the retry.
fn prepared(actor: Actor, target: Target, change: Change) -> Prepared {
    Prepared {
        write: Write::new(actor, target, vec![change]),
        digest: [7; 16],
    }
}

fn register(subject: &str) -> Prepared {
    let target = Target::Subject {
        provider: "test".to_owned(),
        subject: subject.to_owned(),
    };
    let name = subject.to_owned();
    prepared(Actor::Host, target, Change::Register { name })
}

fn post(user: UserId, conversation: ConversationId, text: &str) -> Prepared {
    let target = Target::Conversation(conversation);
    prepared(Actor::User(user), target, Change::post(text))
}

async fn commit(store: &impl Store, write: Prepared) -> Result<Committed, Error> {
    let mut results = store.commit(vec![write]).await;
    assert_eq!(results.len(), 1);
    results.remove(0)
}

/// A user with a group of their own: two groups of writes.
async fn begin(store: &impl Store) -> (UserId, ConversationId) {
    let user = commit(store, register("ada")).await.unwrap().user.unwrap();
    let create = Change::Create {
        title: None,
        data: None,
        managed: false,
        history: History::All,
        members: Vec::new(),
    };
    let write = prepared(Actor::User(user), Target::Group, create);
    let conversation = commit(store, write).await.unwrap().conversation;
    (user, conversation.unwrap())
}

async fn texts(store: &impl Store, conversation: ConversationId) -> Vec<String> {
    let messages = store
        .history(Viewer::All, conversation, Span::Latest, 1000)
        .await
        .unwrap();
    messages
        .into_iter()
        .map(|message| {
            message
                .content
                .map_or_else(String::new, |content| content.text)
        })
        .collect()
}

fn kind<T>(result: Result<T, Error>) -> Option<ErrorKind> {
    result.err().map(|error| error.kind())
}

#[tokio::test]
async fn a_failed_apply_is_never_acknowledged_and_stops_commits_but_not_reads() {
    for fate in [Fate::Lost, Fate::Kept, Fate::Panic] {
        for good in 0..4 {
            let mut fates = vec![Fate::Done; 2 + good];
            fates.push(fate);
            let disk = disk(&fates);
            let store = Plain::open(&disk);
            let (user, conversation) = begin(&store).await;
            let mut acknowledged = Vec::new();
            for number in 0..good {
                let text = number.to_string();
                let done = commit(&store, post(user, conversation, &text)).await;
                assert_eq!(done.unwrap().first, number as u64 + 2);
                acknowledged.push(text);
            }

            let unlucky = post(user, conversation, "unlucky");
            let other = post(user, conversation, "other");
            let results = store.commit(vec![unlucky.clone(), other.clone()]).await;
            assert_eq!(results.len(), 2);
            for result in results {
                assert_eq!(kind(result), Some(ErrorKind::Unavailable));
            }
            let refused = commit(&store, post(user, conversation, "later")).await;
            assert_eq!(kind(refused), Some(ErrorKind::Unavailable), "{fate:?}");
            assert_eq!(texts(&store, conversation).await, acknowledged, "{fate:?}");

            store.close().await.unwrap();
            let store = Plain::open(&disk);
            for write in [unlucky, other] {
                let again = commit(&store, write).await.unwrap();
                assert_eq!(again.replayed, fate == Fate::Kept);
            }
            acknowledged.extend(["unlucky".to_owned(), "other".to_owned()]);
            assert_eq!(texts(&store, conversation).await, acknowledged, "{fate:?}");
        }
    }
}

#[tokio::test]
async fn an_engine_that_rolled_back_goes_on() {
    let disk = disk(&[Fate::Done, Fate::Done, Fate::Full, Fate::Full]);
    let store = Plain::open(&disk);
    let (user, conversation) = begin(&store).await;
    let write = post(user, conversation, "hello");
    for _ in 0..2 {
        let full = commit(&store, write.clone()).await;
        assert_eq!(kind(full), Some(ErrorKind::Busy));
        assert!(texts(&store, conversation).await.is_empty());
    }
    let done = commit(&store, write).await.unwrap();
    assert!(!done.replayed);
    assert_eq!(texts(&store, conversation).await, ["hello"]);
}

#[tokio::test]
async fn an_unanswerable_beginning_is_told_at_once() {
    let disk = Arc::new(Mutex::new(Disk {
        fates: VecDeque::from([Fate::Lost]),
        ..Disk::default()
    }));
    let opened = KvStore::open(Probe::<64>(Arc::clone(&disk)));
    assert_eq!(kind(opened), Some(ErrorKind::Unavailable));
    // Nothing was left behind: it can be made after all.
    Probe::<64>::open(&disk);
}

#[tokio::test]
async fn long_values_come_back_whole_and_leave_nothing_behind() {
    let disk = disk(&[]);
    let store = Probe::<64>::open(&disk);
    let (user, conversation) = begin(&store).await;
    let long = "words that shall be forgotten ".repeat(300);
    let longer = format!("{long}{long}");
    let posted = commit(&store, post(user, conversation, &long)).await;
    let message = posted.unwrap().first;
    assert_eq!(texts(&store, conversation).await, [long.as_str()]);

    for text in [longer.as_str(), long.as_str(), "short"] {
        let edit = Change::Edit {
            message,
            revision: None,
            content: text.into(),
        };
        let target = Target::Conversation(conversation);
        let write = prepared(Actor::User(user), target, edit);
        commit(&store, write).await.unwrap();
        assert_eq!(texts(&store, conversation).await, [text]);
    }
    let disk = disk.lock().unwrap();
    let everything = disk.data.scan(&[0][..]..&[0xff][..], false, usize::MAX);
    let parts = everything.unwrap();
    let holds = |needle: &str| {
        parts.iter().any(|(_, value)| {
            value
                .windows(needle.len())
                .any(|window| window == needle.as_bytes())
        })
    };
    assert!(holds("short"), "the search itself finds what is there");
    assert!(!holds("forgotten"));
}

/// Rows that the rules change without having read them must lose their old parts, too.
#[tokio::test]
async fn an_unseen_long_row_leaves_nothing_behind() {
    let disk = disk(&[]);
    let store = Probe::<64>::open(&disk);
    let user = commit(&store, register("ada")).await.unwrap().user.unwrap();
    let parts = || {
        let disk = disk.lock().unwrap();
        let key = codec::row(&RowKey::Credential(user));
        let first = Place::Part(key.clone(), 0).encode();
        let end = Place::Part(key, u32::MAX).encode();
        disk.data
            .scan(&first..&end, false, usize::MAX)
            .unwrap()
            .len()
    };
    for (hash, left) in [("h".repeat(500), 8), ("h".repeat(100), 2), ("h".into(), 0)] {
        let change = Change::SetCredential {
            expected: None,
            hash: hash.clone(),
        };
        let write = prepared(Actor::Host, Target::User(user), change);
        commit(&store, write).await.unwrap();
        let rows = store.rows(vec![RowKey::Credential(user)]).await.unwrap();
        assert_eq!(rows, [Some(Row::Credential(hash))]);
        assert_eq!(parts(), left);
    }
}

#[tokio::test]
async fn the_feed_holds_each_event_once_and_goes_on_when_opened_again() {
    let disk = disk(&[]);
    let store = Plain::open(&disk);
    let (user, conversation) = begin(&store).await;
    let twice = post(user, conversation, "a");
    let group = vec![
        twice.clone(),
        post(user, ConversationId::new(99).unwrap(), "refused"),
        twice,
        post(user, conversation, "b"),
    ];
    let results = store.commit(group).await;
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 3);
    store.close().await.unwrap();
    let store = Plain::open(&disk);
    commit(&store, post(user, conversation, "c")).await.unwrap();

    let mut positions = vec![0];
    let mut fed: Vec<Event> = Vec::new();
    loop {
        let page = store.feed(positions[positions.len() - 1], 2).await.unwrap();
        assert!(page.len() <= 2);
        if page.is_empty() {
            break;
        }
        for entry in page {
            positions.push(entry.position);
            fed.push(entry.event);
        }
    }
    assert!(positions.is_sorted_by(|a, b| a < b));
    for log in [LogId::from(conversation), LogId::from(user)] {
        let viewer = match log {
            LogId::Conversation(_) => Viewer::All,
            LogId::User(user) => Viewer::User(user),
        };
        let page = store.log(viewer, log, 0, 1000).await.unwrap();
        let logged: Vec<_> = page.entries.into_iter().filter_map(|(_, e)| e).collect();
        let (of_log, rest) = fed.into_iter().partition(|event| event.log == log);
        assert!(!logged.is_empty());
        assert_eq!(logged, of_log);
        fed = rest;
    }
    assert_eq!(fed, []);
}

#[tokio::test]
async fn the_feed_passes_over_events_that_are_gone() {
    let disk = disk(&[]);
    let store = Plain::open(&disk);
    let (user, conversation) = begin(&store).await;
    for text in ["a", "b", "c", "d"] {
        commit(&store, post(user, conversation, text))
            .await
            .unwrap();
    }
    for seq in 1..=4 {
        let key = codec::row(&RowKey::Event(conversation.into(), seq));
        let trimmed = Batch::from([(key, None)]);
        disk.lock().unwrap().data.apply(trimmed).unwrap();
    }
    let page = store.feed(0, 2).await.unwrap();
    let seqs: Vec<_> = page
        .into_iter()
        .filter(|entry| entry.event.log == conversation.into())
        .map(|entry| entry.event.seq)
        .collect();
    // One of the two is the entry of the user's log.
    assert_eq!(seqs, [5]);
}

#[tokio::test]
async fn a_closed_store_lets_go_of_its_engine() {
    let disk = disk(&[]);
    let store = Plain::open(&disk);
    let (user, conversation) = begin(&store).await;
    assert_eq!(Arc::strong_count(&disk), 2);
    store.close().await.unwrap();
    store.close().await.unwrap();
    assert_eq!(Arc::strong_count(&disk), 1);
    let unavailable = Some(ErrorKind::Unavailable);
    let write = post(user, conversation, "late");
    assert_eq!(kind(commit(&store, write).await), unavailable);
    assert_eq!(kind(store.feed(0, 1).await), unavailable);
    assert_eq!(kind(store.rows(Vec::new()).await), unavailable);
}

#[tokio::test]
async fn an_empty_group_is_fine() {
    let disk = disk(&[]);
    let store = Plain::open(&disk);
    assert!(store.commit(Vec::new()).await.is_empty());
    assert!(MemoryStore::new().commit(Vec::new()).await.is_empty());
}

#[tokio::test]
async fn the_secret_is_made_once() {
    let disk = disk(&[]);
    let mut found = Vec::new();
    for _ in 0..2 {
        let store = Probe::<64>::open(&disk);
        found.push(store.rows(vec![RowKey::Secret()]).await.unwrap());
        store.close().await.unwrap();
    }
    assert!(matches!(found[0][..], [Some(Row::Secret(secret))] if secret != [0; 32]));
    assert_eq!(found[0], found[1]);
    let other = MemoryStore::new().rows(vec![RowKey::Secret()]).await;
    assert_ne!(other.unwrap(), found[0]);
}

#[test]
fn another_layout_is_refused() {
    let mut engine = Memory::default();
    let format = Some(b"chat-core kv 2".to_vec());
    let batch = Batch::from([(Place::Format.encode(), format)]);
    engine.apply(batch).unwrap();
    assert_eq!(kind(KvStore::open(engine)), Some(ErrorKind::Invalid));
}

#[test]
fn a_blocking_engine_without_a_runtime_is_an_error() {
    let store = Plain::open(&disk(&[]));
    let mut context = Context::from_waker(Waker::noop());
    let Poll::Ready(result) = pin!(store.feed(0, 1)).poll(&mut context) else {
        panic!("there is nothing to wait for");
    };
    assert_eq!(kind(result), Some(ErrorKind::Unavailable));
}

#[tokio::test]
async fn a_dropped_commit_is_finished() {
    let disk = disk(&[]);
    let store = Plain::open(&disk);
    let (user, conversation) = begin(&store).await;
    let (done, finished) = mpsc::channel();
    disk.lock().unwrap().done = Some(done);
    {
        let group = vec![post(user, conversation, "on its way")];
        let mut commit = pin!(store.commit(group));
        let mut context = Context::from_waker(Waker::noop());
        let _ = commit.as_mut().poll(&mut context);
    }
    finished.recv_timeout(Duration::from_secs(60)).unwrap();
    assert_eq!(texts(&store, conversation).await, ["on its way"]);
}
