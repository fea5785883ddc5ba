//! Writes inside a host's own transaction: its rows and the chat's are there together, or not at all.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use chat_core::conformance::PATIENCE;
use chat_core::{
    Actor, Change, Chat, Committed, ConversationId, ErrorKind, Identity, Item, MAX_ID, Prepared,
    Store, Target, Transfer, UserId, Viewer,
};
use chat_store_sqlite::rusqlite::{Connection, Transaction, TransactionBehavior};
use chat_store_sqlite::{SqliteStore, commit_in};

use crate::crash::{FOLDER, child, lines, tell};
use chat_testkit::writes::{commit, group, kind, messages, post, prepared, register};

/// A shop with orders in the store's own file.
struct Shop {
    folder: tempfile::TempDir,
    store: Arc<SqliteStore>,
    ada: UserId,
    talk: ConversationId,
}

impl Shop {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(folder.path().join("shop.db")).unwrap();
        let ada = register(&store, "ada").await;
        let talk = group(&store, &[ada]).await;
        let shop = Self {
            folder,
            store: Arc::new(store),
            ada,
            talk,
        };
        let orders = "CREATE TABLE orders(item TEXT NOT NULL)";
        shop.connect().execute(orders, []).unwrap();
        shop
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("shop.db")
    }

    fn connect(&self) -> Connection {
        Connection::open(self.file()).unwrap()
    }

    fn post(&self, text: &str) -> Prepared {
        post(self.ada, self.talk, text)
    }

    /// Orders, and texts of messages.
    async fn found(&self) -> (Vec<String>, Vec<String>) {
        let mut texts: Vec<_> = messages(&*self.store, self.talk)
            .await
            .into_values()
            .collect();
        texts.sort();
        (orders(&self.connect()), texts)
    }
}

fn orders(db: &Connection) -> Vec<String> {
    let mut orders = db.prepare("SELECT item FROM orders ORDER BY item").unwrap();
    let orders = orders.query_map([], |row| row.get(0)).unwrap();
    orders.map(Result::unwrap).collect()
}

fn begin(db: &mut Connection) -> Transaction<'_> {
    db.transaction_with_behavior(TransactionBehavior::Immediate)
        .unwrap()
}

/// An order, and a message about it.
fn order(
    tx: &Transaction<'_>,
    item: &str,
    message: Prepared,
) -> Result<Committed, chat_core::Error> {
    tx.execute("INSERT INTO orders VALUES(?)", [item]).unwrap();
    commit_in(tx, message)
}

#[tokio::test]
async fn an_order_and_its_message_are_there_together_or_not_at_all() {
    let shop = Shop::new().await;
    let mut db = shop.connect();
    let chair = shop.post("chair");

    let tx = begin(&mut db);
    let first = order(&tx, "chair", chair.clone()).unwrap();
    assert_eq!(
        shop.found().await,
        (vec![], vec![]),
        "read before it was durable"
    );
    tx.rollback().unwrap();
    assert_eq!(shop.found().await, (vec![], vec![]));

    let tx = begin(&mut db);
    let again = order(&tx, "chair", chair.clone()).unwrap();
    assert_eq!((again.first, again.replayed), (first.first, false));
    // A second write sees the first, and a retry is one.
    assert_eq!(
        commit_in(&tx, shop.post("table")).unwrap().first,
        again.first + 1
    );
    assert!(commit_in(&tx, chair.clone()).unwrap().replayed);
    tx.commit().unwrap();
    let both = (
        vec!["chair".to_owned()],
        vec!["chair".to_owned(), "table".to_owned()],
    );
    assert_eq!(shop.found().await, both);
    assert!(commit(&*shop.store, chair).await.unwrap().replayed);
    let next = commit(&*shop.store, shop.post("next")).await.unwrap();
    assert_eq!(next.first, again.first + 2);
}

/// The store keeps rows that it need not read again: what a host changed meanwhile it does read.
#[tokio::test]
async fn the_store_sees_what_a_host_committed_in_between() {
    let shop = Shop::new().await;
    let mut db = shop.connect();
    let mut last = 0;
    for turn in 0..6 {
        let message = shop.post(&turn.to_string());
        let done = if turn % 2 == 0 {
            commit(&*shop.store, message).await.unwrap()
        } else {
            let tx = begin(&mut db);
            let done = commit_in(&tx, message).unwrap();
            tx.commit().unwrap();
            done
        };
        assert!(
            last == 0 || done.first == last + 1,
            "after {last} came {}",
            done.first
        );
        last = done.first;
    }
    let bob = register(&*shop.store, "bob").await;
    let talk = group(&*shop.store, &[shop.ada, bob]).await;
    commit(&*shop.store, post(bob, talk, "early"))
        .await
        .unwrap();
    let tx = begin(&mut db);
    let (host, remove) = (Actor::Host, Change::Remove { user: bob });
    commit_in(&tx, prepared(host, Target::Conversation(talk), remove)).unwrap();
    tx.commit().unwrap();
    let late = commit(&*shop.store, post(bob, talk, "late")).await;
    assert_eq!(kind(late), Some(ErrorKind::NotFound));
}

#[tokio::test]
async fn what_is_refused_or_fails_leaves_nothing_in_the_transaction() {
    let shop = Shop::new().await;
    let mut db = shop.connect();
    let nowhere = ConversationId::new(MAX_ID).unwrap();
    let tx = begin(&mut db);
    let refused = order(&tx, "lost", post(shop.ada, nowhere, "lost"));
    assert_eq!(kind(refused), Some(ErrorKind::NotFound));
    tx.commit().unwrap();

    let kept = shop.store.feed(0, 100).await.unwrap();
    // The last of a write's rows cannot be put, though its event could.
    db.execute_batch(
        "CREATE TRIGGER broken BEFORE INSERT ON chat_done BEGIN SELECT RAISE(FAIL, 'broken'); END",
    )
    .unwrap();
    let tx = begin(&mut db);
    let failed = order(&tx, "kept by a careless host", shop.post("half"));
    assert_eq!(kind(failed), Some(ErrorKind::Internal));
    tx.commit().unwrap();
    db.execute_batch("DROP TRIGGER broken").unwrap();
    assert_eq!(shop.store.feed(0, 100).await.unwrap(), kept);
    assert!(shop.found().await.1.is_empty());
}

#[tokio::test]
async fn connections_that_would_break_a_promise_are_refused() {
    let shop = Shop::new().await;
    let refused = |db: &mut Connection, behavior, says: &str| {
        let tx = db.transaction_with_behavior(behavior).unwrap();
        let error = commit_in(&tx, shop.post("no")).unwrap_err();
        assert!(error.to_string().contains(says), "{error}");
    };
    let immediate = TransactionBehavior::Immediate;
    let mut db = shop.connect();
    refused(&mut db, TransactionBehavior::Deferred, "Immediate");
    db.pragma_update(None, "synchronous", "NORMAL").unwrap();
    refused(&mut db, immediate, "synchronous");

    let other = shop.folder.path().join("other.db");
    refused(
        &mut Connection::open(&other).unwrap(),
        immediate,
        "store's file",
    );
    SqliteStore::open(&other).unwrap().close().await.unwrap();
    let mut db = Connection::open(&other).unwrap();
    db.pragma_update_and_check(None, "journal_mode", "DELETE", |_| Ok(()))
        .unwrap();
    refused(&mut db, immediate, "write-ahead log");
    drop(db);
    let copy = SqliteStore::open(&other).unwrap();
    drop(Transfer::begin(&*shop.store, &copy).await.unwrap());
    refused(
        &mut Connection::open(&other).unwrap(),
        immediate,
        "not finished",
    );
    assert!(shop.found().await.1.is_empty());
}

#[tokio::test]
async fn the_stores_writer_waits_for_a_host() {
    let shop = Shop::new().await;
    let mut db = shop.connect();
    let tx = begin(&mut db);
    let first = order(&tx, "chair", shop.post("first")).unwrap();
    let (store, second) = (Arc::clone(&shop.store), shop.post("second"));
    let waiting = tokio::spawn(async move { commit(&*store, second).await });
    // However little or long it waited: it comes behind.
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(!waiting.is_finished());
    tx.commit().unwrap();
    assert_eq!(waiting.await.unwrap().unwrap().first, first.first + 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn hosts_and_the_store_side_by_side_leave_no_hole() {
    const EACH: usize = 40;
    let shop = Shop::new().await;
    let mut running = Vec::new();
    for writer in 0..3 {
        let (store, posts) = (
            Arc::clone(&shop.store),
            (0..EACH)
                .map(|n| shop.post(&format!("s{writer}-{n:02}")))
                .collect::<Vec<_>>(),
        );
        running.push(tokio::spawn(async move {
            for post in posts {
                commit(&*store, post).await.unwrap();
            }
        }));
        let mut db = shop.connect();
        db.busy_timeout(PATIENCE).unwrap();
        let items: Vec<_> = (0..EACH).map(|n| format!("h{writer}-{n:02}")).collect();
        let posts: Vec<_> = items.iter().map(|item| shop.post(item)).collect();
        running.push(tokio::task::spawn_blocking(move || {
            for (n, (item, post)) in items.iter().zip(posts).enumerate() {
                let tx = begin(&mut db);
                order(&tx, item, post).unwrap();
                // Every fourth comes to nothing.
                if n % 4 == 3 {
                    tx.rollback().unwrap();
                } else {
                    tx.commit().unwrap();
                }
            }
        }));
    }
    for writer in running {
        writer.await.unwrap();
    }
    let (orders, texts) = shop.found().await;
    assert_eq!(orders.len(), 3 * EACH * 3 / 4);
    let (of_hosts, of_store): (Vec<_>, Vec<_>) =
        texts.into_iter().partition(|text| text.starts_with('h'));
    assert_eq!(of_hosts, orders);
    assert_eq!(of_store.len(), 3 * EACH);
    let feed = shop.store.feed(0, 10_000).await.unwrap();
    let seqs: Vec<_> = feed
        .iter()
        .filter(|entry| entry.event.log == shop.talk.into())
        .map(|entry| entry.event.seq)
        .collect();
    assert_eq!(seqs, (1..=seqs.len() as u64).collect::<Vec<_>>());
}

/// A host that ends between its commit and the announcement: who is connected hears of it by the sweep.
#[tokio::test]
async fn what_was_never_announced_arrives() {
    let shop = Shop::new().await;
    let chat = Chat::builder(Arc::clone(&shop.store)).build();
    let mut device = chat.connect(Identity::of(shop.ada)).await.unwrap();
    let mut db = shop.connect();
    let tx = begin(&mut db);
    order(&tx, "chair", shop.post("chair")).unwrap();
    tx.commit().unwrap();
    let heard = async {
        let mut items = Vec::new();
        loop {
            device.drain(&mut items).await;
            for item in items.drain(..) {
                if let Item::Event(event) = item
                    && event.text() == Some("chair")
                {
                    return;
                }
            }
        }
    };
    tokio::time::timeout(PATIENCE, heard).await.unwrap();
    let history = chat.history(Viewer::User(shop.ada), shop.talk, Default::default(), 10);
    assert_eq!(history.await.unwrap().len(), 1);
}

#[test]
#[ignore = "the host that is killed: started by the test below"]
fn killed() {
    let Some(folder) = std::env::var_os(FOLDER).map(PathBuf::from) else {
        return;
    };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let (ada, talk) = (UserId::new(1).unwrap(), ConversationId::new(1).unwrap());
        let file = folder.join("shop.db");
        let _store = SqliteStore::open(&file).unwrap();
        let mut db = Connection::open(&file).unwrap();
        let tx = begin(&mut db);
        order(&tx, "whole", post(ada, talk, "whole")).unwrap();
        tx.commit().unwrap();
        let tx = begin(&mut db);
        order(&tx, "half", post(ada, talk, "half")).unwrap();
        tell("");
        tell("between");
        std::thread::sleep(PATIENCE);
    });
}

fn kill_between(folder: &Path) {
    let mut child = child("host::killed", folder).spawn().unwrap();
    let mut told = lines(&mut child);
    assert!(told.any(|line| line == "between"));
    child.kill().unwrap();
    child.wait().unwrap();
}

#[tokio::test]
async fn a_host_killed_before_its_commit_leaves_neither() {
    let mut shop = Shop::new().await;
    shop.store.close().await.unwrap();
    kill_between(shop.folder.path());
    shop.store = Arc::new(SqliteStore::open(shop.file()).unwrap());
    let whole = || vec!["whole".to_owned()];
    assert_eq!(shop.found().await, (whole(), whole()));
}
