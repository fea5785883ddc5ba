//! What keeps a store from being opened, and that it is named.

use std::fs::{self, File};
use std::path::Path;

use chat_core::Store;
use chat_store_sled::{OpenError, SledStore};

fn fails(path: &Path) -> OpenError {
    let error = SledStore::open(path).unwrap_err();
    let told = error.to_string();
    let name = path.file_name().unwrap().to_str().unwrap();
    assert!(told.contains(name), "{told}");
    error
}

#[test]
fn a_missing_folder_above_and_a_file_in_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let error = fails(&folder.path().join("missing/chat"));
    assert!(matches!(error, OpenError::Folder { .. }), "{error:?}");
    assert!(!folder.path().join("missing").exists());
    fs::write(folder.path().join("file"), "").unwrap();
    let error = fails(&folder.path().join("file"));
    assert!(matches!(error, OpenError::Folder { .. }), "{error:?}");
}

#[test]
fn a_folder_of_something_else_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("photos");
    fs::create_dir(&path).unwrap();
    fs::write(path.join("db"), "a cat").unwrap();
    match fails(&path) {
        OpenError::Foreign { entry, .. } => assert_eq!(entry, "db"),
        other => panic!("{other:?}"),
    }
    assert_eq!(fs::read_dir(&path).unwrap().count(), 1);
    assert_eq!(fs::read_to_string(path.join("db")).unwrap(), "a cat");
}

#[test]
fn a_newer_or_older_layout_and_one_that_cannot_be_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("chat");
    drop(SledStore::open(&path).unwrap());
    fs::write(path.join("chat-store"), "chat-store-sled 99\n").unwrap();
    match fails(&path) {
        OpenError::Newer { found, known, .. } => assert_eq!((found, known), (99, 2)),
        other => panic!("{other:?}"),
    }
    fs::write(path.join("chat-store"), "chat-store-sled 1\nclosed\n").unwrap();
    match fails(&path) {
        OpenError::Older { found, known, .. } => assert_eq!((found, known), (1, 2)),
        other => panic!("{other:?}"),
    }
    fs::write(path.join("chat-store"), [0xff; 1000]).unwrap();
    assert!(matches!(fails(&path), OpenError::Damaged { .. }));
    fs::write(path.join("chat-store"), "chat-store-sled one\n").unwrap();
    assert!(matches!(fails(&path), OpenError::Damaged { .. }));
}

/// sled takes what it cannot read for the end, and a file without anything for a new one.
#[test]
fn a_store_that_was_emptied_is_damaged_not_new() {
    for damage in ["db removed", "db zeroed", "all removed", "snapshot", "conf"] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("chat");
        drop(SledStore::open(&path).unwrap());
        // Its second opening writes a snapshot.
        drop(SledStore::open(&path).unwrap());
        let mut files = fs::read_dir(&path)
            .unwrap()
            .map(|file| file.unwrap().path());
        let snapshot = files.find(|file| file.to_string_lossy().contains("snap."));
        let (snapshot, db, conf) = (snapshot.unwrap(), path.join("db"), path.join("conf"));
        match damage {
            "db removed" => fs::remove_file(db).unwrap(),
            "db zeroed" => fs::write(db, [0; 100_000]).unwrap(),
            "all removed" => {
                for file in [snapshot, db, conf] {
                    fs::remove_file(file).unwrap();
                }
            }
            "snapshot" => fs::write(snapshot, [7; 100]).unwrap(),
            _ => fs::write(conf, "segment_size: many\n....").unwrap(),
        }
        let error = fails(&path);
        assert!(
            matches!(error, OpenError::Damaged { .. }),
            "{damage}: {error:?}"
        );
    }
}

#[test]
fn another_program_with_sled_itself() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("chat");
    drop(SledStore::open(&path).unwrap());
    let held = File::open(path.join("db")).unwrap();
    held.lock().unwrap();
    let error = fails(&path);
    assert!(matches!(error, OpenError::Busy { .. }), "{error:?}");
    held.unlock().unwrap();
    drop(SledStore::open(&path).unwrap());
}

#[tokio::test]
async fn one_store_at_a_time_whatever_the_path() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("chat");
    let store = SledStore::open(&path).unwrap();
    let link = folder.path().join("link");
    std::os::unix::fs::symlink(&path, &link).unwrap();
    for other in [&path, &link] {
        let error = SledStore::open(other).unwrap_err();
        assert!(matches!(error, OpenError::Locked { .. }), "{error:?}");
    }
    store.close().await.unwrap();
    drop(SledStore::open(&link).unwrap());
    drop(SledStore::open(&path).unwrap());
}
