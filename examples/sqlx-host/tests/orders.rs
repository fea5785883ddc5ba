//! The shop on a server of its own.
#![cfg(test)]

use std::time::Duration;

use chat_core::{Chat, Connection, Identity, Item, Span, Store, Viewer};
use chat_example_sqlx_host::{Tx, opening, order, order_and_tell};
use chat_store_postgres::{PostgresStore, commit_in};
use chat_testkit::Postgres;
use sqlx::postgres::PgPool;

async fn orders(shop: &PgPool) -> i64 {
    sqlx::query_scalar("SELECT count(*) FROM orders")
        .fetch_one(shop)
        .await
        .unwrap()
}

/// The next message on a device, however it comes to be told of it.
async fn next_message(device: &mut Connection) -> String {
    let mut items = Vec::new();
    loop {
        let drain = device.drain(&mut items);
        tokio::time::timeout(Duration::from_secs(60), drain)
            .await
            .expect("told in time");
        for item in items.drain(..) {
            if let Item::Event(event) = &item
                && let Some(text) = event.text()
            {
                return text.to_owned();
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_and_its_first_message_go_together() {
    let server = Postgres::start().unwrap();
    let url = server.database().unwrap();
    let store = PostgresStore::open(&url).await.unwrap();
    let chat = Chat::builder(store.clone()).build();
    let shop = PgPool::connect(&url).await.unwrap();
    sqlx::query("CREATE TABLE orders(id bigint PRIMARY KEY)")
        .execute(&shop)
        .await
        .unwrap();
    let ann = chat.enroll("shop", "ann", "Ann").await.unwrap();
    let mut phone = chat.connect(Identity::of(ann)).await.unwrap();

    let told = order_and_tell(&shop, &chat, 1, ann).await.unwrap();
    assert_eq!(
        next_message(&mut phone).await,
        "Thank you! We got your order 1."
    );
    let page = chat
        .history(
            Viewer::User(ann),
            told.conversation.unwrap(),
            Span::Latest,
            10,
        )
        .await;
    assert_eq!((page.unwrap().len(), orders(&shop).await), (1, 1));

    // The shop refuses: no conversation either.
    assert!(order(&shop, &chat, 1, ann).await.is_err());
    // The shop thinks better of it: neither.
    let mut tx = shop.begin().await.unwrap();
    sqlx::query("INSERT INTO orders VALUES(2)")
        .execute(&mut *tx)
        .await
        .unwrap();
    let write = opening(&chat, 2, ann).await.unwrap();
    commit_in(&mut Tx(&mut tx), vec![write]).await.unwrap()[0]
        .as_ref()
        .unwrap();
    tx.rollback().await.unwrap();
    assert_eq!(
        (store.feed(0, 100).await.unwrap().len(), orders(&shop).await),
        (3, 1)
    );

    // Committed, and dead before anybody was told: who is connected to the conversation finds what is new by the sweep.
    order(&shop, &chat, 3, ann).await.unwrap();
    assert_eq!(
        next_message(&mut phone).await,
        "Thank you! We got your order 3."
    );
    assert_eq!(orders(&shop).await, 2);
}
