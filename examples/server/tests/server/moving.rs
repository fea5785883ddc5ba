//! `copy` and `backup` from outside.

use std::fs;
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use chat_core::conformance::{Verdict, sound};
use chat_core::{Actor, Change, Key, Prepared, Store, Target, Write};
use chat_store_sqlite::{Durability, Options, SqliteStore};

use crate::client::{Heard, Socket, get, login, register};
use crate::support::{PATIENCE, Server, Signal, command, refused};

pub(crate) fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .expect("a runtime")
}

pub(crate) fn is_sound(file: &Path) {
    runtime().block_on(async {
        let store: Arc<dyn Store> = Arc::new(SqliteStore::open(file).expect("a store"));
        assert_eq!(sound(store.clone()).await, Ok(Verdict::Holds));
        store.close().await.expect("closed");
    });
}

pub(crate) fn sqlite(path: &Path) -> String {
    format!("sqlite:{}", path.display())
}

fn post(actor: Actor, target: Target, text: String) -> Prepared {
    let mut write = Write::new(actor, target, vec![Change::post(text)]);
    write.key = Some(Key::generate());
    Prepared {
        write,
        digest: [0; 16],
    }
}

/// A store with so many messages between two users.
fn fill(file: &Path, messages: usize) {
    let options = Options {
        durability: Durability::LosesRecentOnPowerCut,
    };
    runtime().block_on(async {
        let store = SqliteStore::open_with(file, options).expect("a store");
        let mut users = Vec::new();
        for subject in ["ann", "bob"] {
            let (provider, subject) = ("test".to_owned(), subject.to_owned());
            let write = Write::new(Actor::Host, Target::Subject { provider, subject }, vec![]);
            let digest = [0; 16];
            for done in store.commit(vec![Prepared { write, digest }]).await {
                users.extend(done.expect("made").user);
            }
        }
        let target = Target::Direct(users[0], users[1]);
        let numbers: Vec<_> = (0..messages).collect();
        for page in numbers.chunks(2000) {
            let text = |n: &usize| format!("message number {n}, as long as most of them are");
            let posts = page
                .iter()
                .map(|n| post(Actor::User(users[n % 2]), target.clone(), text(n)));
            for done in store.commit(posts.collect()).await {
                done.expect("posted");
            }
        }
        store.close().await.expect("closed");
    });
}

fn start(options: &[&str]) -> Child {
    let mut command = command(options);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().expect("started")
}

/// Exit code 2 and one line that contains `says`.
#[track_caller]
pub(crate) fn refuses(options: &[&str], says: &str) {
    let (code, out, err) = refused(options);
    assert_eq!((code, out.as_str()), (Some(2), ""), "{err}");
    assert_eq!(err.lines().count(), 1, "{err}");
    assert!(err.contains(says), "{err}");
}

#[test]
fn a_copy_that_was_killed_goes_on_and_is_the_same() {
    let folder = tempfile::tempdir().expect("a folder");
    let (from, to) = (folder.path().join("from.db"), folder.path().join("to.db"));
    fill(&from, 9000);
    let (source, target) = (sqlite(&from), sqlite(&to));
    let copy = ["copy", "--from", &source, "--to", &target];
    // Killed as soon as there is something, so mostly in the middle of it.
    let mut child = start(&copy);
    let begun = Instant::now();
    while fs::metadata(&to).map_or(0, |data| data.len()) == 0 && begun.elapsed() < PATIENCE {
        std::thread::sleep(Duration::from_millis(1));
    }
    child.kill().expect("there");
    child.wait().expect("started");

    let (code, out, err) = refused(&copy);
    if code == Some(2) {
        // It was done already: a target that holds something is refused.
        assert!(err.contains("holds something already"), "{err}");
    } else {
        assert_eq!(code, Some(0), "{err}");
        assert!(out.contains("Copied 9003 events"), "{out}");
    }
    is_sound(&to);
    let before = fs::read(&from).expect("there");
    refuses(&copy, "holds something already");
    assert_eq!(fs::read(&from).expect("there"), before);
}

#[test]
fn half_a_copy_is_not_served() {
    let folder = tempfile::tempdir().expect("a folder");
    let (from, to) = (folder.path().join("from.db"), folder.path().join("to.db"));
    fill(&from, 10);
    runtime().block_on(async {
        let (source, target) = (SqliteStore::open(&from), SqliteStore::open(&to));
        let (source, target) = (source.expect("a store"), target.expect("a store"));
        let mut transfer = chat_core::Transfer::begin(&source, &target)
            .await
            .expect("begun");
        transfer.page(5).await.expect("copied");
        source.close().await.expect("closed");
        target.close().await.expect("closed");
    });
    let target = sqlite(&to);
    refuses(
        &["--listen", "127.0.0.1:0", "--store", &target],
        "not finished",
    );
    let source = sqlite(&from);
    let (code, out, _) = refused(&["copy", "--from", &source, "--to", &target]);
    assert_eq!(code, Some(0), "{out}");
    is_sound(&to);
}

#[test]
fn sources_and_targets_that_cannot_be_are_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| sqlite(&folder.path().join(name));
    let (missing, new) = (at("missing.db"), at("new.db"));
    refuses(
        &["copy", "--from", &missing, "--to", &new],
        "there is no such file",
    );
    refuses(&["copy", "--from", &new, "--to", &new], "the source itself");
    refuses(&["copy", "--from", "memory", "--to", &new], "memory");
    refuses(&["copy", "--from", "nowhere", "--to", &new], "sqlite:");
    refuses(&["copy", "--from", &new], "--to");
    refuses(
        &["backup", "--from", "memory", "--to", "x.db"],
        "sqlite:FILE",
    );
    let server = Server::on(folder.path(), &[]);
    let used = at("chat.db");
    refuses(&["copy", "--from", &used, "--to", &new], "open already");
    server.signal(Signal::TERM);
    assert_eq!(server.ended().code(), Some(0));
    assert!(!folder.path().join("new.db").exists());
}

#[test]
fn a_backup_of_a_running_server_can_be_served() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Server::on(folder.path(), &[]);
    let (anna, ben) = (
        register(server.address, "anna"),
        register(server.address, "ben"),
    );
    let mut socket = Socket::open(server.address, &anna.token);
    assert!(socket.send(ben.id, "keep this"));
    assert!(matches!(socket.hear(), Heard::Frame(_)));

    let (source, target) = (
        sqlite(&folder.path().join("chat.db")),
        folder.path().join("again").join("chat.db"),
    );
    fs::create_dir(folder.path().join("again")).expect("made");
    let to = target.display().to_string();
    let (code, out, err) = refused(&["backup", "--from", &source, "--to", &to]);
    assert_eq!((code, err.as_str()), (Some(0), ""));
    assert!(out.starts_with("Backed up"), "{out}");
    refuses(
        &["backup", "--from", &source, "--to", &to],
        "is there already",
    );

    let again = Server::on(&folder.path().join("again"), &[]);
    let ben = login(again.address, "ben");
    let list = get(
        again.address,
        &format!("/conversations/{}", ben.id),
        &ben.token,
    );
    assert_eq!(list[0]["last_message"]["content"], "keep this");
}

#[test]
fn sqlite_and_sled_are_copied_into_each_other() {
    let folder = tempfile::tempdir().expect("a folder");
    let (from, to) = (folder.path().join("from.db"), folder.path().join("to.db"));
    fill(&from, 300);
    let between = format!("sled:{}", folder.path().join("between").display());
    let mut told = Vec::new();
    for (from, to) in [(sqlite(&from), between.clone()), (between, sqlite(&to))] {
        let (code, out, err) = refused(&["copy", "--from", &from, "--to", &to]);
        assert_eq!(code, Some(0), "{err}");
        told.extend(out.lines().last().map(str::to_owned));
    }
    assert_eq!(told[0], told[1], "fingerprints");
    is_sound(&to);
}
