//! The index of words on disk: what was erased is in no file, and hostile queries are plain words.

use std::fs;

use chat_core::search::Query;
use chat_core::{Actor, Change, ConversationId, Search, Store, Target, UserId, Viewer};
use chat_store_sqlite::SqliteStore;
use rusqlite::Connection;

use chat_testkit::writes::{commit, group, post, prepared, register};

async fn index(store: &SqliteStore) {
    while store.index(3).await.unwrap() > 0 {}
}

async fn count(store: &SqliteStore, user: UserId, text: &str) -> usize {
    let query = Query::parse(text).unwrap();
    let page = store.find(Viewer::User(user), query, None, None, 20);
    page.await.unwrap().messages.len()
}

async fn change(store: &SqliteStore, user: UserId, id: ConversationId, change: Change) -> u64 {
    let write = prepared(Actor::User(user), Target::Conversation(id), change);
    commit(store, write).await.unwrap().first
}

/// Whether some bytes stand in the database or its log.
fn is_on_disk(folder: &std::path::Path, bytes: &[u8]) -> bool {
    fs::read_dir(folder).unwrap().any(|file| {
        let held = fs::read(file.unwrap().path()).unwrap();
        held.windows(bytes.len()).any(|window| window == bytes)
    })
}

#[tokio::test]
async fn erased_words_are_in_no_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("chat.db");
    let store = SqliteStore::open(&path).unwrap();
    let ada = register(&store, "ada").await;
    let id = group(&store, &[ada]).await;
    let mut erased = Vec::new();
    for number in 0..40 {
        let text = format!("filler{number} qzxsecretword{number} more{number}");
        let message = commit(&store, post(ada, id, &text)).await.unwrap().first;
        erased.push(message);
    }
    index(&store).await;
    // So that the words are in segments on disk, not only in the log.
    store.close().await.unwrap();
    let store = SqliteStore::open(&path).unwrap();
    assert_eq!(count(&store, ada, "qzxsecretword1").await, 11);
    assert!(is_on_disk(folder.path(), b"qzxsecretword"));
    for (number, message) in erased.into_iter().enumerate() {
        let erase = match number % 2 {
            0 => Change::Delete { message },
            _ => Change::Edit {
                message,
                revision: None,
                content: format!("plain{number}").as_str().into(),
            },
        };
        change(&store, ada, id, erase).await;
    }
    index(&store).await;
    assert_eq!(count(&store, ada, "qzxsecretword1").await, 0);
    assert_eq!(count(&store, ada, "plain1").await, 6);
    // Which writes the log into the database and cuts it off.
    store.close().await.unwrap();
    assert!(!is_on_disk(folder.path(), b"qzx"));
    assert!(!is_on_disk(folder.path(), b"secretword"));
    let db = Connection::open(&path).unwrap();
    db.execute(
        "INSERT INTO chat_search(chat_search, rank) VALUES('integrity-check', 0)",
        [],
    )
    .unwrap();
    let left: i64 = db
        .query_row("SELECT count(*) FROM chat_reworded", [], |row| row.get(0))
        .unwrap();
    assert_eq!(left, 0, "old texts are kept for nothing");
}

#[tokio::test]
async fn hostile_queries_are_plain_words() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(folder.path().join("chat.db")).unwrap();
    let ada = register(&store, "ada").await;
    let id = group(&store, &[ada]).await;
    commit(&store, post(ada, id, "alpha beta")).await.unwrap();
    commit(&store, post(ada, id, "not and or near"))
        .await
        .unwrap();
    index(&store).await;
    for (asked, expected) in [
        ("alpha", 1),
        ("alpha AND", 0),
        ("alpha OR gamma", 0),
        ("NOT alpha", 0),
        ("not and", 1),
        ("NEAR", 1),
        ("words:alpha", 0),
        ("{words} : alpha", 0),
        ("^alpha", 1),
        ("al*", 1),
        ("*alpha*", 1),
        ("al* beta", 0),
        ("alpha + beta", 1),
        ("\"alpha\" \"beta\"", 1),
        ("\"alpha\"\"beta\"", 1),
        ("\"alpha beta", 1),
        ("\"beta alpha\"", 0),
        ("(alpha", 1),
        ("alpha)", 1),
        ("'alpha' --", 1),
        ("alpha; DROP TABLE chat_event", 0),
        ("-alpha", 1),
        ("alpha\0beta", 1),
        ("1\u{80}alpha", 0),
        ("al_ha", 0),
        ("%", 0),
    ] {
        match Query::parse(asked) {
            Ok(_) => assert_eq!(count(&store, ada, asked).await, expected, "{asked}"),
            Err(_) => assert_eq!(expected, 0, "{asked}"),
        }
    }
}

#[tokio::test]
async fn an_index_of_another_version_is_made_anew() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("chat.db");
    let store = SqliteStore::open(&path).unwrap();
    let ada = register(&store, "ada").await;
    let id = group(&store, &[ada]).await;
    let message = commit(&store, post(ada, id, "alpha")).await.unwrap().first;
    index(&store).await;
    let edit = Change::Edit {
        message,
        revision: None,
        content: "beta".into(),
    };
    change(&store, ada, id, edit).await;
    store.close().await.unwrap();
    let db = Connection::open(&path).unwrap();
    db.execute("UPDATE chat_meta SET value = '0' WHERE name = 'words'", [])
        .unwrap();
    drop(db);
    let store = SqliteStore::open(&path).unwrap();
    assert_eq!(count(&store, ada, "beta").await, 0, "not indexed yet");
    index(&store).await;
    assert_eq!(count(&store, ada, "alpha").await, 0);
    assert_eq!(count(&store, ada, "beta").await, 1);
}
