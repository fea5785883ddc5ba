//! What only the inside can bring about: a full disk, a log that reads keep from being emptied, every kind of row.

use std::collections::BTreeMap;
use std::sync::mpsc;

use chat_core::rules::{Counter, Done, EventRow};
use chat_core::snapshot::Snapshot;
use chat_core::{
    Actor, Change, Content, Conversation, ConversationId, ConversationKind, Data, ErrorKind,
    EventKind, Head, History, Key, Login, LoginId, MAX_ID, Ranges, Reaction, Role, Span, Target,
    Timestamp, UserId, Viewer, Write,
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
                let row = view.row(&RowKey::Conversation(conversation));
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

fn member(conversation: ConversationId, user: UserId, role: Option<Role>) -> Member {
    let mut ranges = Ranges::from_seq(3);
    ranges.close(9);
    Member {
        conversation,
        user,
        role,
        ranges,
        read: 1,
        read_ordinal: 2,
        delivered: 3,
        hidden: 4,
        muted_until: role.map(|_| Timestamp::from_millis(-5)),
        archived: role.is_none(),
    }
}

/// A row of every kind, and of those with variants one of each.
fn rows_of_every_kind() -> BTreeMap<RowKey, Row> {
    let user = |id| UserId::new(id).unwrap();
    let (a, b, c) = (user(1), user(2), user(MAX_ID));
    let conversation = ConversationId::new(MAX_ID).unwrap();
    let login = LoginId::new(7).unwrap();
    let at = Timestamp::from_millis(1_700_000_000_123);
    let log = LogId::Conversation(conversation);
    let data = || Some(Data::from_json(r#"{"a": [1e3, "é\u0000"]}"#).unwrap());
    let odd = "o'dd \0 ünicode 👋".to_owned();
    let event = |seq, actor, kind, message: Option<Message>| {
        let row = EventRow {
            at,
            actor,
            kind,
            ordinal: message.as_ref().map_or(8, |message| message.ordinal),
            message,
        };
        (RowKey::Event(log, seq), Row::Event(row))
    };
    let full = Message {
        conversation,
        seq: 2,
        ordinal: 1,
        sender: Actor::User(a),
        at,
        content: Some(Content {
            text: odd.clone(),
            data: data(),
        }),
        revision: 3,
        edited_at: Some(at.plus_millis(9)),
        reply_to: Some(1),
        mentions: vec![b, c],
        reactions: vec![Reaction {
            emoji: "👍".to_owned(),
            count: 2,
        }],
    };
    let erased = Message {
        seq: 3,
        ordinal: MAX_ID,
        sender: Actor::Host,
        content: None,
        revision: 0,
        edited_at: None,
        reply_to: None,
        mentions: Vec::new(),
        reactions: Vec::new(),
        ..full.clone()
    };
    let created = EventKind::Created {
        kind: ConversationKind::Direct(a, b),
        members: vec![(a, Role::Owner)],
    };
    let done = Done {
        digest: [0xfe; 16],
        at,
        conversation: Some(conversation),
        user: None,
        login: None,
        first: 4,
        count: u32::MAX,
    };
    let other = Done {
        conversation: None,
        user: Some(c),
        login: Some(login),
        ..done.clone()
    };
    let head = Head {
        seq: 5,
        floor: 1,
        ordinal: 3,
        message: 4,
        at,
    };
    BTreeMap::from([
        (
            RowKey::User(a),
            Row::User(User {
                id: a,
                provider: "local".to_owned(),
                subject: odd.clone(),
                name: String::new(),
                data: data(),
                disabled: true,
                logins_from: 3,
            }),
        ),
        (
            RowKey::Subject("p".to_owned(), odd.clone()),
            Row::Subject(c),
        ),
        (
            RowKey::Subject(odd.clone(), "p".to_owned()),
            Row::Subject(a),
        ),
        (RowKey::Suffix(odd.clone(), a), Row::Suffix(())),
        (RowKey::Credential(a), Row::Credential(odd.clone())),
        (
            RowKey::Login(login),
            Row::Login(Login {
                id: login,
                user: a,
                at,
                expires: at,
                revoked: false,
            }),
        ),
        (RowKey::Block(a, c), Row::Block(())),
        (
            RowKey::Conversation(conversation),
            Row::Conversation(Conversation {
                id: conversation,
                kind: ConversationKind::Group,
                key: Some(odd.clone()),
                title: None,
                data: data(),
                managed: true,
                history: History::Joined,
                members: 2,
                owner: Some(b),
                pins: vec![2],
            }),
        ),
        (RowKey::Direct(a, b), Row::Direct(conversation)),
        (RowKey::Named(odd.clone()), Row::Named(conversation)),
        (
            RowKey::Member(conversation, a),
            Row::Member(member(conversation, a, Some(Role::Owner))),
        ),
        (
            RowKey::Member(conversation, b),
            Row::Member(member(conversation, b, None)),
        ),
        (
            RowKey::Member(conversation, c),
            Row::Member(member(conversation, c, Some(Role::Member))),
        ),
        (RowKey::Head(log), Row::Head(head)),
        // Another log than the conversation of the same number.
        (RowKey::Head(c.into()), Row::Head(Head::default())),
        event(1, Actor::Host, created, None),
        event(2, Actor::User(a), EventKind::Posted, Some(full)),
        event(3, Actor::Host, EventKind::Posted, Some(erased)),
        event(4, Actor::User(c), EventKind::Left { user: c }, None),
        (
            RowKey::Reactions(conversation, 2, a),
            Row::Reactions(vec![odd, String::new()]),
        ),
        (
            RowKey::Done(Key::new([0; 16]), Actor::Host),
            Row::Done(done),
        ),
        (
            RowKey::Done(Key::new([0; 16]), Actor::User(c)),
            Row::Done(other),
        ),
        (RowKey::Counter(Counter::User), Row::Counter(1)),
        (RowKey::Counter(Counter::Conversation), Row::Counter(2)),
        (RowKey::Counter(Counter::Login), Row::Counter(MAX_ID)),
        (RowKey::Secret(), Row::Secret([9; 32])),
    ])
}

#[tokio::test]
async fn every_kind_of_row_comes_back_as_it_was_put() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(folder.path().join("chat.db")).unwrap();
    let rows = rows_of_every_kind();
    let writer = store.writer.lock().await;
    let (db, _) = writer.held.as_ref().unwrap();
    let found = || {
        let mut found = BTreeMap::new();
        rows::get_all(db, rows.keys().cloned(), |key, row| {
            found.extend(row.map(|row| (key, row)));
        })
        .unwrap();
        found
    };
    // Made, then changed from what stands before them in their table, then taken away.
    let put: BTreeMap<_, _> = rows
        .iter()
        .map(|(key, row)| (key, Some(row.clone())))
        .collect();
    rows::apply(db, put.iter().map(|(key, row)| (*key, row))).unwrap();
    assert_eq!(found(), rows);
    rows::apply(db, put.iter().rev().map(|(key, row)| (*key, row))).unwrap();
    assert_eq!(found(), rows);
    rows::apply(db, put.keys().map(|key| (*key, &None))).unwrap();
    assert_eq!(found(), BTreeMap::new());
}
