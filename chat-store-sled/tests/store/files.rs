//! What is on disk.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use chat_core::rules::{Row, RowKey};
use chat_core::{Actor, Chat, Limits, Span, Store, Target, Viewer, Write};
use chat_store_sled::SledStore;

fn entries(folder: &Path) -> Vec<(String, u32)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let mode = entry.metadata().unwrap().permissions().mode() & 0o777;
        found.push((entry.file_name().into_string().unwrap(), mode));
    }
    found.sort_unstable();
    found
}

#[test]
fn all_files_are_for_their_owner_only() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("chat");
    drop(SledStore::open(&path).unwrap());
    drop(SledStore::open(&path).unwrap());
    assert_eq!(entries(folder.path()), [("chat".to_owned(), 0o700)]);
    let mut found = entries(&path);
    let (snapshot, mode) = found.pop().unwrap();
    assert!(snapshot.starts_with("snap."), "{snapshot}");
    assert_eq!(mode, 0o600);
    let expected = [
        ("blobs", 0o700),
        ("chat-store", 0o600),
        ("conf", 0o600),
        ("db", 0o600),
        ("journal.0000000000000001", 0o600),
    ];
    assert_eq!(found, expected.map(|(name, mode)| (name.to_owned(), mode)));
}

async fn secret(store: &SledStore) -> Row {
    let mut rows = store.rows(vec![RowKey::Secret()]).await.unwrap();
    rows.pop().unwrap().unwrap()
}

/// What a killed process can leave of a store that was being made, and of a later opening.
#[tokio::test]
async fn half_written_files_are_no_hindrance() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("chat");
    fs::create_dir(&path).unwrap();
    fs::write(path.join("chat-store"), "").unwrap();
    fs::write(path.join("conf"), "segment_size: 8388608\nuse_compr").unwrap();
    let store = SledStore::open(&path).unwrap();
    let first = secret(&store).await;
    store.close().await.unwrap();
    fs::write(path.join("snap.7FFFFFFFFFFFFFFF.generating"), [1; 100]).unwrap();
    let store = SledStore::open(&path).unwrap();
    assert_eq!(secret(&store).await, first);
    store.close().await.unwrap();
    // The mark was not written yet, but all else was.
    fs::write(path.join("chat-store"), "").unwrap();
    let store = SledStore::open(&path).unwrap();
    assert_eq!(secret(&store).await, first);
    let target = Target::Subject {
        provider: "test".into(),
        subject: "ada".into(),
    };
    let chat = Chat::builder(store).build();
    chat.commit(Write::new(Actor::Host, target, vec![]))
        .await
        .unwrap();
    let mark = fs::read_to_string(path.join("chat-store")).unwrap();
    assert_eq!(mark, "chat-store-sled 2\nopened\n");
}

/// The longest keys and values there can be, many of them: sled never keeps one in a file of its own, which it would not sync.
#[tokio::test]
async fn nothing_is_kept_outside_of_the_synced_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("chat");
    let mut limits = Limits::default();
    limits.message_rate = 0.0;
    let store = SledStore::open(&path).unwrap();
    let chat = Chat::builder(store).limits(limits).build();
    let mut users = Vec::new();
    for number in 0..40 {
        // 3 bytes each that fold to 33.
        let name = format!("{}{number:02}", "\u{fdfa}".repeat(84));
        let subject = format!("{}{number:02}", "\0".repeat(250));
        users.push(
            chat.enroll(&"\0".repeat(256), &subject, &name)
                .await
                .unwrap(),
        );
    }
    let text = "\u{1}".repeat(8 << 10);
    let pair = Target::Direct(users[0], users[1]);
    let mut writes = Vec::new();
    for _ in 0..40 {
        let chat = chat.clone();
        let write = Write::post(users[0], pair.clone(), text.clone());
        writes.push(tokio::spawn(async move { chat.commit(write).await }));
    }
    let mut conversation = None;
    for write in writes {
        conversation = write.await.unwrap().unwrap().conversation;
    }
    let history = chat.history(Viewer::All, conversation.unwrap(), Span::Latest, 100);
    assert_eq!(history.await.unwrap().len(), 40);
    assert!(entries(&path.join("blobs")).is_empty());
}
