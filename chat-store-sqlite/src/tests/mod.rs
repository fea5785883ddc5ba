//! What only the inside can bring about: a full disk, a log that reads keep from being emptied.

mod places;
mod rows;

use std::sync::mpsc;

use chat_core::snapshot::{self, Snapshot};
use chat_core::{
    Actor, Change, ConversationId, ErrorKind, History, Span, Target, UserId, Viewer, Write,
};

use super::*;

fn prepared(actor: Actor, target: Target, change: Change) -> Prepared {
    Prepared {
        write: Write::new(actor, target, vec![change]),
        digest: [7; 16],
    }
}

fn post(user: UserId, conversation: ConversationId, text: impl Into<String>) -> Prepared {
    let text: String = text.into();
    prepared(
        Actor::User(user),
        Target::Conversation(conversation),
        Change::post(text),
    )
}

async fn commit(store: &SqliteStore, write: Prepared) -> Result<Committed, Error> {
    let mut results = store.commit(vec![write]).await;
    assert_eq!(results.len(), 1);
    results.remove(0)
}

/// A user with a group of their own.
async fn begin(store: &SqliteStore) -> (UserId, ConversationId) {
    let target = Target::Subject {
        provider: "test".to_owned(),
        subject: "ada".to_owned(),
    };
    let name = "Ada".to_owned();
    let register = prepared(Actor::Host, target, Change::Register { name });
    let user = commit(store, register).await.unwrap().user.unwrap();
    let create = Change::Create {
        title: None,
        data: None,
        managed: false,
        history: History::All,
        members: Vec::new(),
    };
    let create = prepared(Actor::User(user), Target::Group, create);
    let conversation = commit(store, create).await.unwrap().conversation;
    (user, conversation.unwrap())
}

async fn count(store: &SqliteStore, conversation: ConversationId) -> usize {
    let all = store.history(Viewer::All, conversation, Span::Latest, 10_000);
    all.await.unwrap().len()
}

async fn pragma(store: &SqliteStore, sql: &str) -> i64 {
    let writer = store.writer.lock().await;
    let (db, _) = writer.held.as_ref().unwrap();
    db.query_row(sql, [], |row| row.get(0)).unwrap()
}

#[tokio::test]
async fn a_full_disk_takes_back_the_whole_group_and_recovers_by_itself() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(folder.path().join("chat.db")).unwrap();
    let (user, conversation) = begin(&store).await;
    let pages = pragma(&store, "PRAGMA page_count").await;
    // Room for some of the group.
    let full = pages + 20;
    pragma(&store, &format!("PRAGMA max_page_count = {full}")).await;
    let group: Vec<_> = (0..64)
        .map(|_| post(user, conversation, "x".repeat(4000)))
        .collect();
    let results = store.commit(group.clone()).await;
    assert_eq!(results.len(), 64);
    for result in results {
        assert_eq!(result.unwrap_err().kind(), ErrorKind::Unavailable);
    }
    assert_eq!(count(&store, conversation).await, 0);
    let entry = store.entry(user, conversation).await.unwrap();
    assert_eq!((entry.head.seq, entry.head.ordinal), (1, 0));

    // What fits goes through while the rest does not.
    let small = commit(&store, post(user, conversation, "small")).await;
    assert_eq!(small.unwrap().first, 2);
    pragma(&store, "PRAGMA max_page_count = 1000000").await;
    for (seq, result) in (3..).zip(store.commit(group).await) {
        let committed = result.unwrap();
        assert_eq!((committed.first, committed.replayed), (seq, false));
    }
    assert_eq!(count(&store, conversation).await, 65);
}

#[tokio::test]
async fn another_program_that_writes_is_waited_for_within_bounds() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("chat.db");
    let store = SqliteStore::open(&path).unwrap();
    let (user, conversation) = begin(&store).await;
    let wait = pragma(&store, "PRAGMA busy_timeout").await;
    assert!((1000..=10_000).contains(&wait), "{wait} ms");
    pragma(&store, "PRAGMA busy_timeout = 0").await;
    let other = rusqlite::Connection::open(&path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let write = post(user, conversation, "hello");
    let refused = commit(&store, write.clone()).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Busy);
    assert_eq!(count(&store, conversation).await, 0);
    other.execute_batch("ROLLBACK").unwrap();
    assert!(!commit(&store, write).await.unwrap().replayed);
}

/// The log's pages and how many of them are in the database, without copying any.
fn log_and_copied(db: &rusqlite::Connection) -> rusqlite::Result<(i64, i64)> {
    let row = |row: &rusqlite::Row<'_>| Ok((row.get(1)?, row.get(2)?));
    db.query_row("PRAGMA wal_checkpoint(NOOP)", [], row)
}

#[tokio::test(flavor = "multi_thread")]
async fn reads_that_never_cease_do_not_make_the_log_grow_for_good() {
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(SqliteStore::open(folder.path().join("chat.db")).unwrap());
    let (user, conversation) = begin(&store).await;
    // A read whose snapshot stands before all that follows, until it is told to end.
    let (begun, has_begun) = mpsc::channel();
    let (end, ended) = mpsc::channel::<()>();
    let read = tokio::spawn({
        let store = Arc::clone(&store);
        async move {
            let read = store.read(move |view| {
                let row = snapshot::now(view.row(&RowKey::Conversation(conversation)));
                begun.send(()).unwrap();
                let _ = ended.recv();
                row
            });
            read.await
        }
    });
    has_begun.recv().unwrap();
    commit(&store, post(user, conversation, "one"))
        .await
        .unwrap();

    let mut writer = Arc::clone(&store.writer).lock_owned().await;
    let (db, _) = writer.held.as_ref().unwrap();
    // The read holds up a pass beside it …
    let (log, copied) = writer::copy(db).unwrap();
    assert!(copied < log, "{copied} of {log}");
    // … and a checkpoint waits until it ended, and holds up others meanwhile.
    let checkpoint = tokio::task::spawn_blocking({
        let readers = Arc::clone(&store.readers);
        move || {
            writer.checkpoint(&readers);
            let (db, _) = writer.held.as_ref().unwrap();
            log_and_copied(db).unwrap()
        }
    });
    while !checkpoint.is_finished() && store.readers.try_read() {
        tokio::task::yield_now().await;
    }
    assert!(!checkpoint.is_finished());
    end.send(()).unwrap();
    read.await.unwrap().unwrap();
    let (log, copied) = checkpoint.await.unwrap();
    assert_eq!((copied, log > 0), (log, true));
    // So the next commit begins the log anew.
    commit(&store, post(user, conversation, "two"))
        .await
        .unwrap();
    let writer = store.writer.lock().await;
    let (db, _) = writer.held.as_ref().unwrap();
    let (again, copied) = log_and_copied(db).unwrap();
    assert!(copied == 0 && again < log, "{copied} of {again}");
}

#[tokio::test]
async fn a_long_log_is_copied_into_the_database() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(folder.path().join("chat.db")).unwrap();
    let (user, conversation) = begin(&store).await;
    let mut copies = 0;
    store.writer.lock().await.due = 50;
    for number in 0..100 {
        let text = number.to_string();
        commit(&store, post(user, conversation, text))
            .await
            .unwrap();
        // Waits for the copying too, if there is any.
        let mut writer = store.writer.lock().await;
        let (db, _) = writer.held.as_ref().unwrap();
        let (log, copied) = log_and_copied(db).unwrap();
        assert!(log < 100, "{log}");
        if copied > 0 {
            assert_eq!(copied, log);
            copies += 1;
            writer.due = 50;
        }
    }
    assert!(copies > 1);
}

#[tokio::test]
async fn the_lock_ends_with_the_store_whoever_copied_its_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("chat.db");
    for close in [false, true] {
        let store = SqliteStore::open(&path).unwrap();
        // As a process has it that is just being started.
        let copy = {
            let writer = store.writer.lock().await;
            let (_, lock) = writer.held.as_ref().unwrap();
            lock.try_clone()
        };
        if close {
            store.close().await.unwrap();
        } else {
            drop(store);
        }
        drop(SqliteStore::open(&path).unwrap());
        drop(copy);
    }
}
