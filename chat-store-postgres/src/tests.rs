//! What only the inside can see: how often a group waits for the server.

use std::sync::atomic::Ordering;

use chat_core::{Actor, Archive, Change, ConversationId, Span, Target, UserId, Viewer};
use chat_testkit::Postgres;
use chat_testkit::writes::{self, commit, group, prepared, register};

use super::*;

fn post(user: UserId, conversation: ConversationId) -> Prepared {
    writes::post(user, conversation, "hello \0 \u{1a}")
}

fn trips(store: &PostgresStore) -> usize {
    let idle = store.pool.idle_sessions();
    assert_eq!(idle.len(), 1, "one connection suffices");
    idle.iter()
        .map(|session| session.trips.load(Ordering::Relaxed))
        .sum()
}

/// A search reads the rows that its terms lead to, and no others: neither all of a conversation nor all that is newest.
#[tokio::test]
async fn a_search_is_led_by_its_words() {
    let server = Postgres::start().unwrap();
    let store = PostgresStore::open(&server.database().unwrap())
        .await
        .unwrap();
    let ada = register(&store, "ada").await;
    let id = group(&store, &[ada]).await;
    for _ in 0..20 {
        let messages = (0..100).map(|_| post(ada, id)).collect();
        for done in store.commit(messages).await {
            done.unwrap();
        }
    }
    while Search::index(&store, 1000).await.unwrap() > 0 {}
    let lease = store.pool.get().await.unwrap();
    let client = &lease.session().unwrap().client;
    client.batch_execute("ANALYZE").await.unwrap();
    let prepare = format!("PREPARE search AS {}", crate::search::CANDIDATES);
    client.batch_execute(&prepare).await.unwrap();
    let explain = "EXPLAIN EXECUTE search('{1}', '{1}', '{9}', '''@:hello'':*', 9, 9, '')";
    let plan = client.query(explain, &[]).await.unwrap();
    let plan: Vec<String> = plan.iter().map(|row| row.get(0)).collect();
    let plan = plan.join("\n");
    assert!(plan.contains("Index Scan on chat_search_words"), "{plan}");
    for way in ["chat_search_pkey", "Seq Scan on chat_search "] {
        assert!(!plan.contains(way), "{plan}");
    }
}

#[tokio::test]
async fn a_group_of_messages_waits_for_the_server_twice() {
    let server = Postgres::start().unwrap();
    let store = PostgresStore::open(&server.database().unwrap())
        .await
        .unwrap();
    let (ada, bob) = (register(&store, "ada").await, register(&store, "bob").await);
    let mut conversations = Vec::new();
    for _ in 0..8 {
        conversations.push(group(&store, &[ada, bob]).await);
    }
    let before = trips(&store);
    let messages = (0..64).map(|n| post(if n % 2 == 0 { ada } else { bob }, conversations[n % 8]));
    for result in store.commit(messages.collect()).await {
        result.unwrap();
    }
    assert_eq!(trips(&store) - before, 2);
    // In a direct conversation it is asked who blocks whom, once it is known to be one.
    let direct = prepared(
        Actor::User(ada),
        Target::Direct(ada, bob),
        Change::post("hello"),
    );
    let direct = commit(&store, direct).await.unwrap().conversation.unwrap();
    let before = trips(&store);
    commit(&store, post(ada, direct)).await.unwrap();
    assert_eq!(trips(&store) - before, 3);
    let before = trips(&store);
    let page = store
        .history(Viewer::User(ada), conversations[0], Span::Latest, 50)
        .await;
    assert_eq!(page.unwrap().len(), 8);
    assert!(trips(&store) - before <= 3);
}

#[tokio::test]
async fn a_copy_holds_every_row() {
    let server = Postgres::start().unwrap();
    let from = PostgresStore::open(&server.database().unwrap())
        .await
        .unwrap();
    let (ada, bob) = (register(&from, "ada").await, register(&from, "bob").await);
    // Users without a log yet: more than fit a page.
    for n in 0..9 {
        register(&from, &format!("user {n}")).await;
    }
    let of_both = group(&from, &[ada, bob]).await;
    let direct = prepared(
        Actor::User(ada),
        Target::Direct(ada, bob),
        Change::post("hello"),
    );
    let direct = commit(&from, direct).await.unwrap().conversation.unwrap();
    for conversation in [of_both, direct, of_both] {
        commit(&from, post(ada, conversation)).await.unwrap();
    }
    let react = Change::React {
        message: 2,
        emoji: "👍".to_owned(),
        on: true,
    };
    commit(
        &from,
        prepared(Actor::User(bob), Target::Conversation(of_both), react),
    )
    .await
    .unwrap();
    let to = PostgresStore::open(&server.database().unwrap())
        .await
        .unwrap();
    // Heads come after users, and some pages twice, as after an interruption.
    let (mut at, mut key) = (0, None);
    loop {
        let page = Archive::events(&from, at, 3).await.unwrap();
        let Some((last, ..)) = page.last() else { break };
        at = *last;
        let rows: Vec<_> = page
            .into_iter()
            .map(|(_, key, row)| (key, Some(row)))
            .collect();
        to.put(rows.clone()).await.unwrap();
        to.put(rows).await.unwrap();
    }
    let mut all = Vec::new();
    loop {
        let page = from.rest(key, 4).await.unwrap();
        let Some((last, _)) = page.last() else { break };
        key = Some(last.clone());
        all.extend(page.clone());
        let rows: Vec<_> = page
            .into_iter()
            .map(|(key, row)| (key, Some(row)))
            .collect();
        to.put(rows.clone()).await.unwrap();
        to.put(rows).await.unwrap();
    }
    assert_eq!(to.rest(None, 1000).await.unwrap(), all);
    let told = |feed: Vec<FeedEntry>| {
        feed.into_iter()
            .map(|entry| entry.event)
            .collect::<Vec<_>>()
    };
    let feeds = (
        from.feed(0, 1000).await.unwrap(),
        to.feed(0, 1000).await.unwrap(),
    );
    assert_eq!(told(feeds.0), told(feeds.1));
    // And it goes on from there.
    assert_eq!(commit(&to, post(bob, of_both)).await.unwrap().first, 5);
}
