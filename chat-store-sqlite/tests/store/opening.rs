//! What keeps a store from being opened, and that it is named.

use std::fs;
use std::path::Path;

use chat_core::Store;
use chat_store_sqlite::{OpenError, SqliteStore};
use rusqlite::Connection;

use chat_testkit::writes::{group, messages, register};

fn fails(path: &Path) -> OpenError {
    let error = SqliteStore::open(path).unwrap_err();
    let told = error.to_string();
    assert!(
        told.contains(path.file_name().unwrap().to_str().unwrap()),
        "{told}"
    );
    error
}

#[test]
fn a_missing_folder_and_a_folder_that_is_none() {
    let folder = tempfile::tempdir().unwrap();
    let error = fails(&folder.path().join("missing/chat.db"));
    assert!(matches!(error, OpenError::Folder { .. }), "{error:?}");
    fs::write(folder.path().join("file"), "").unwrap();
    let error = fails(&folder.path().join("file/chat.db"));
    assert!(matches!(error, OpenError::Folder { .. }), "{error:?}");
    assert!(!folder.path().join("missing").exists());
}

#[test]
fn a_folder_in_place_of_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("chat.db");
    fs::create_dir(&path).unwrap();
    assert!(matches!(fails(&path), OpenError::Other { .. }));
}

#[test]
fn a_file_that_is_no_database() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("chat.db");
    let text = "Dear diary, ".repeat(1000);
    fs::write(&path, &text).unwrap();
    assert!(matches!(fails(&path), OpenError::Damaged { .. }));
    assert_eq!(fs::read_to_string(&path).unwrap(), text);
}

#[test]
fn a_damaged_database() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("chat.db");
    drop(SqliteStore::open(&path).unwrap());
    let mut bytes = fs::read(&path).unwrap();
    // All of the first page but SQLite's name for itself.
    bytes[16..4096].fill(0xff);
    fs::write(&path, bytes).unwrap();
    assert!(matches!(fails(&path), OpenError::Damaged { .. }));
}

#[test]
fn a_newer_schema() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("chat.db");
    drop(SqliteStore::open(&path).unwrap());
    let db = Connection::open(&path).unwrap();
    let newer = "UPDATE chat_meta SET value = value + 98 WHERE name = 'schema'";
    assert_eq!(db.execute(newer, []).unwrap(), 1);
    drop(db);
    match fails(&path) {
        OpenError::Newer { found, known, .. } => assert_eq!(found, known + 98),
        other => panic!("{other:?}"),
    }
}

#[test]
fn tables_of_another_program_under_names_of_ours() {
    for sql in [
        "CREATE TABLE chat_event(id)",
        "CREATE TABLE chat_meta(id)",
        "CREATE TABLE chat_meta(name, value); INSERT INTO chat_meta VALUES('schema', 'seven')",
        "CREATE TABLE chat_meta(name, value)",
    ] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("chat.db");
        Connection::open(&path).unwrap().execute_batch(sql).unwrap();
        let before = fs::read(&path).unwrap();
        match fails(&path) {
            OpenError::Foreign { table, .. } => assert!(sql.contains(&table), "{table}"),
            other => panic!("{sql}: {other:?}"),
        }
        assert_eq!(fs::read(&path).unwrap(), before, "{sql}");
    }
}

#[tokio::test]
async fn a_hosts_own_tables_may_stand_beside_ours() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("chat.db");
    let host = Connection::open(&path).unwrap();
    host.execute_batch(
        "CREATE TABLE orders(id); CREATE TABLE chats(id); INSERT INTO orders VALUES(7)",
    )
    .unwrap();
    let store = SqliteStore::open(&path).unwrap();
    let ada = register(&store, "ada").await;
    let conversation = group(&store, &[ada]).await;
    assert!(messages(&store, conversation).await.is_empty());
    let order: i64 = host
        .query_row("SELECT id FROM orders", [], |row| row.get(0))
        .unwrap();
    assert_eq!(order, 7);
}

#[tokio::test]
async fn one_store_at_a_time_whatever_the_path() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("chat.db");
    let store = SqliteStore::open(&path).unwrap();
    let link = folder.path().join("link.db");
    std::os::unix::fs::symlink(&path, &link).unwrap();
    let detour = folder
        .path()
        .join("../")
        .join(folder.path().file_name().unwrap())
        .join("chat.db");
    for other in [&path, &link, &detour] {
        let error = SqliteStore::open(other).unwrap_err();
        assert!(matches!(error, OpenError::Locked { .. }), "{error:?}");
    }
    // Those attempts took nothing from the one that has it.
    let ada = register(&store, "ada").await;
    drop(store);
    let store = SqliteStore::open(&link).unwrap();
    group(&store, &[ada]).await;
    store.close().await.unwrap();
    drop(SqliteStore::open(&path).unwrap());
}
