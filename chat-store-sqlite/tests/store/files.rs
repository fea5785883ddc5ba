//! What is on disk, and what a store opened again finds.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use chat_core::rules::RowKey;
use chat_core::{ErrorKind, Span, Store, Viewer};
use chat_store_sqlite::{Durability, Options, SqliteStore};

use chat_testkit::writes::{commit, group, kind, messages, post, register, secret};

#[tokio::test]
async fn all_files_are_for_their_owner_only() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(folder.path().join("chat.db")).unwrap();
    register(&store, "ada").await;
    let mut found = Vec::new();
    for file in fs::read_dir(folder.path()).unwrap() {
        let file = file.unwrap();
        let mode = file.metadata().unwrap().permissions().mode() & 0o777;
        found.push((file.file_name().into_string().unwrap(), mode));
    }
    found.sort_unstable();
    let names = ["chat.db", "chat.db-shm", "chat.db-wal", "chat.db.lock"];
    assert_eq!(found, names.map(|name| (name.to_owned(), 0o600)));
}

#[tokio::test]
async fn everything_is_found_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("chat.db");
    let store = SqliteStore::open(&path).unwrap();
    let first_secret = secret(&store).await;
    let ada = register(&store, "ada").await;
    let conversation = group(&store, &[ada]).await;
    let hello = post(ada, conversation, "hello");
    let done = commit(&store, hello.clone()).await.unwrap();
    // Dropped once, closed once.
    drop(store);
    let store = SqliteStore::open(&path).unwrap();
    commit(&store, post(ada, conversation, "again"))
        .await
        .unwrap();
    store.close().await.unwrap();
    let options = Options {
        durability: Durability::LosesRecentOnPowerCut,
    };
    let store = SqliteStore::open_with(&path, options).unwrap();
    let texts = messages(&store, conversation).await;
    assert_eq!(
        texts,
        [(2, "hello".to_owned()), (3, "again".to_owned())].into()
    );
    assert_eq!(secret(&store).await, first_secret);
    let retry = commit(&store, hello).await.unwrap();
    assert_eq!(
        (retry.first, retry.at, retry.replayed),
        (done.first, done.at, true)
    );
    assert_ne!(register(&store, "bob").await, ada);
}

#[tokio::test]
async fn each_store_has_a_secret_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let one = SqliteStore::open(folder.path().join("one.db")).unwrap();
    let two = SqliteStore::open(folder.path().join("two.db")).unwrap();
    assert_ne!(secret(&one).await, secret(&two).await);
}

#[tokio::test]
async fn a_closed_store_answers_unavailable() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("chat.db");
    let store = SqliteStore::open(&path).unwrap();
    let ada = register(&store, "ada").await;
    let conversation = group(&store, &[ada]).await;
    store.close().await.unwrap();
    let down = Some(ErrorKind::Unavailable);
    assert_eq!(
        kind(commit(&store, post(ada, conversation, "late")).await),
        down
    );
    assert_eq!(kind(store.rows(vec![RowKey::User(ada)]).await), down);
    assert_eq!(
        kind(
            store
                .history(Viewer::All, conversation, Span::Latest, 1)
                .await
        ),
        down
    );
    store.close().await.unwrap();
    // It holds nothing any more, and left no log behind.
    assert!(!folder.path().join("chat.db-wal").exists());
    let again = SqliteStore::open(&path).unwrap();
    assert!(messages(&again, conversation).await.is_empty());
}

fn copy(from: &Path, to: &Path) {
    for end in ["", "-wal"] {
        let name = |path: &Path| format!("{}{end}", path.display());
        fs::copy(name(from), name(to)).unwrap();
    }
}

#[tokio::test]
async fn what_a_crash_left_in_the_log_is_synced_before_it_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("chat.db");
    let store = SqliteStore::open(&path).unwrap();
    let ada = register(&store, "ada").await;
    let conversation = group(&store, &[ada]).await;
    commit(&store, post(ada, conversation, "hello"))
        .await
        .unwrap();
    // What a process that is killed now would leave.
    let crashed = folder.path().join("crashed.db");
    copy(&path, &crashed);
    let log = folder.path().join("crashed.db-wal");
    assert_ne!(fs::metadata(&log).unwrap().len(), 0);
    let store = SqliteStore::open(&crashed).unwrap();
    // Copied into the database, which is synced with it, before anybody could read.
    assert_eq!(fs::metadata(&log).unwrap().len(), 0);
    assert_eq!(messages(&store, conversation).await.len(), 1);
}
