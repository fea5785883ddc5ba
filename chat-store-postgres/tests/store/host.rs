//! `commit_in`: writes inside of a host's own transaction.

use std::collections::HashSet;

use chat_core::{Actor, Change, ErrorKind, Span, Store, Target, Viewer, Write};
use chat_store_postgres::{PostgresStore, commit_in};
use tokio_postgres::{Client, NoTls};

use crate::url;
use chat_testkit::writes::{commit, group, kind, messages, post, prepared, register};

async fn host(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

#[tokio::test]
async fn a_write_goes_with_the_hosts_transaction() {
    let url = url();
    let store = PostgresStore::open(&url).await.unwrap();
    let ada = register(&store, "ada").await;
    let mut host = host(&url).await;
    host.batch_execute("CREATE TABLE orders(id int)")
        .await
        .unwrap();
    let key = |name: &str| {
        let create = Change::Create {
            title: None,
            data: None,
            managed: false,
            history: chat_core::History::All,
            members: vec![(ada, chat_core::Role::Member)],
        };
        let changes = vec![create, Change::post("your order")];
        chat_core::Prepared {
            write: Write::new(Actor::Host, Target::Key(name.into()), changes),
            digest: [0; 16],
        }
    };
    for keep in [false, true] {
        let mut tx = host.transaction().await.unwrap();
        tx.execute("INSERT INTO orders VALUES(1)", &[])
            .await
            .unwrap();
        // Several in one transaction, and one that is refused.
        let first = commit_in(&mut tx, vec![key("order 1")]).await.unwrap();
        let conversation = first[0].as_ref().unwrap().conversation.unwrap();
        let bad = prepared(
            Actor::Host,
            Target::Conversation(conversation),
            Change::Hide,
        );
        let second = vec![post(ada, conversation, "thanks"), bad];
        let second = commit_in(&mut tx, second).await.unwrap();
        assert!(second[0].is_ok() && second[1].is_err());
        // Nobody sees it before the end.
        let seen = store
            .history(Viewer::All, conversation, Span::Latest, 10)
            .await;
        assert_eq!(kind(seen), Some(ErrorKind::NotFound));
        if keep {
            tx.commit().await.unwrap();
            assert_eq!(messages(&store, conversation).await.len(), 2);
        } else {
            tx.rollback().await.unwrap();
        }
    }
    let feed = store.feed(0, 100).await.unwrap();
    let places: HashSet<_> = feed.iter().map(|entry| entry.position).collect();
    assert_eq!((feed.len(), places.len()), (4, 4));
    let orders = host
        .query_one("SELECT count(*) FROM orders", &[])
        .await
        .unwrap();
    assert_eq!(orders.get::<_, i64>(0), 1);
}

#[tokio::test]
async fn a_hosts_transaction_holds_its_conversation_and_no_other() {
    let url = url();
    let store = PostgresStore::open(&url).await.unwrap();
    let users = [register(&store, "ada").await, register(&store, "bob").await];
    let held = group(&store, &users).await;
    let free = group(&store, &users).await;
    let mut host = host(&url).await;
    let mut tx = host.transaction().await.unwrap();
    let write = post(users[0], held, "from the host");
    commit_in(&mut tx, vec![write]).await.unwrap()[0]
        .as_ref()
        .unwrap();
    let waiting = tokio::spawn({
        let (store, write) = (store.clone(), post(users[1], held, "waits"));
        async move { commit(&store, write).await }
    });
    // Does not come to an end while the host's transaction lasts, and another conversation goes on.
    for _ in 0..20 {
        commit(&store, post(users[1], free, "goes on"))
            .await
            .unwrap();
    }
    assert!(!waiting.is_finished());
    tx.commit().await.unwrap();
    assert_eq!(waiting.await.unwrap().unwrap().first, 3);
    // The feed has each log in its order, though the host's transaction began to write first.
    let mut host_tx = host.transaction().await.unwrap();
    host_tx.batch_execute("CREATE TABLE other()").await.unwrap();
    commit(&store, post(users[1], held, "between"))
        .await
        .unwrap();
    let last = post(users[0], held, "last");
    commit_in(&mut host_tx, vec![last]).await.unwrap()[0]
        .as_ref()
        .unwrap();
    host_tx.commit().await.unwrap();
    let feed = store.feed(0, 100).await.unwrap();
    let seqs: Vec<_> = feed
        .iter()
        .filter(|entry| entry.event.log == held.into())
        .map(|e| e.event.seq)
        .collect();
    assert_eq!(seqs, [1, 2, 3, 4, 5]);
}

#[tokio::test]
async fn what_somebody_made_meanwhile_is_found_and_other_isolation_is_refused() {
    let url = url();
    let store = PostgresStore::open(&url).await.unwrap();
    let (ada, bob) = (register(&store, "ada").await, register(&store, "bob").await);
    let mut host = host(&url).await;
    let direct = |text: &str| {
        prepared(
            Actor::User(ada),
            Target::Direct(ada, bob),
            Change::post(text),
        )
    };
    let mut tx = host.transaction().await.unwrap();
    let theirs = commit_in(&mut tx, vec![direct("one")]).await.unwrap();
    let racing = tokio::spawn({
        let (store, write) = (store.clone(), direct("two"));
        async move { commit(&store, write).await }
    });
    tx.commit().await.unwrap();
    let (theirs, racing) = (theirs[0].as_ref().unwrap(), racing.await.unwrap().unwrap());
    assert_eq!(theirs.conversation, racing.conversation);

    let tx = host
        .build_transaction()
        .isolation_level(tokio_postgres::IsolationLevel::RepeatableRead);
    let mut tx = tx.start().await.unwrap();
    let refused = commit_in(&mut tx, vec![direct("three")]).await;
    assert_eq!(kind(refused), Some(ErrorKind::Invalid));
}
