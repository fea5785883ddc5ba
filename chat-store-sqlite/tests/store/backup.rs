//! Backups of a store in use.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use chat_core::{Fingerprint, Store};
use chat_store_sqlite::{BackupError, BackupStep, SqliteStore, backup};

use chat_testkit::writes::{commit, group, messages, post, register};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_of_a_busy_store_is_one_moment_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let (from, to) = (
        folder.path().join("chat.db"),
        folder.path().join("backup.db"),
    );
    let store = Arc::new(SqliteStore::open(&from).unwrap());
    let ada = register(&*store, "ada").await;
    let talk = group(&*store, &[ada]).await;
    let large = "x".repeat(8000);
    // More pages than one step copies.
    for _ in 0..20 {
        let posts = (0..64).map(|_| post(ada, talk, &large)).collect();
        for result in store.commit(posts).await {
            result.unwrap();
        }
    }
    let over = Arc::new(AtomicBool::new(false));
    let (writing, done) = (Arc::clone(&store), Arc::clone(&over));
    let writer = tokio::spawn(async move {
        let mut written = 0;
        while !done.load(Ordering::Relaxed) {
            commit(&*writing, post(ada, talk, "meanwhile"))
                .await
                .unwrap();
            written += 1;
        }
        written
    });
    let (source, target) = (from.clone(), to.clone());
    let copied = tokio::task::spawn_blocking(move || {
        let mut steps = Vec::new();
        let fingerprint = backup(&source, &target, |step| steps.push(step)).unwrap();
        (fingerprint, steps)
    });
    let (fingerprint, steps) = copied.await.unwrap();
    over.store(true, Ordering::Relaxed);
    assert!(writer.await.unwrap() > 0);
    let copied = steps
        .iter()
        .filter(|step| matches!(step, BackupStep::Copied { .. }));
    assert!(copied.count() > 1);
    assert!(matches!(steps.last(), Some(BackupStep::Compared { rows }) if *rows > 2000));

    let mode = fs::metadata(&to).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    // Nothing beside it, and nothing is needed.
    let beside = fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name());
    let beside: Vec<_> = beside
        .filter(|name| name.to_string_lossy().starts_with("backup"))
        .collect();
    assert_eq!(beside, ["backup.db"]);
    let again = backup(&from, &to, |_| ()).unwrap_err();
    assert!(matches!(again, BackupError::Exists { .. }));

    let copy = SqliteStore::open(&to).unwrap();
    let found = Fingerprint::of(copy.archive().unwrap(), |_| ())
        .await
        .unwrap();
    assert_eq!(found, fingerprint);
    let kept = messages(&copy, talk).await;
    let all = messages(&*store, talk).await;
    assert!(kept.len() >= 1280 && kept.len() <= all.len());
    assert!(kept.iter().all(|(seq, text)| all.get(seq) == Some(text)));
    // Which goes on by itself.
    let next = commit(&copy, post(ada, talk, "here")).await.unwrap();
    assert_eq!(next.first, kept.len() as u64 + 2);
}

#[tokio::test]
async fn what_is_no_store_or_cannot_be_written_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let refused = |from: &str, to: &str, says: &str| {
        let error = backup(&at(from), &at(to), |_| ()).unwrap_err().to_string();
        assert!(error.contains(says), "{error}");
    };
    refused("missing.db", "to.db", "missing.db: there is no such file");
    fs::write(at("text.db"), "no database ".repeat(1000)).unwrap();
    refused("text.db", "to.db", "text.db");
    fs::write(at("empty.db"), "").unwrap();
    refused("empty.db", "to.db", "no store of this version");
    SqliteStore::open(at("chat.db"))
        .unwrap()
        .close()
        .await
        .unwrap();
    refused("chat.db", "nowhere/to.db", "to.db");
    assert!(!at("to.db").exists() && !at("to.db.part").exists());
}
