//! The index of words: what is left of erased ones, and how it comes into an older database.

use chat_core::search::Query;
use chat_core::{Actor, Change, Search, Store, Target, UserId, Viewer};
use chat_store_postgres::PostgresStore;

use crate::{SERVER, url};
use chat_testkit::writes::{commit, group, post, prepared, register};

async fn index(store: &PostgresStore) {
    while Search::index(store, 3).await.unwrap() > 0 {}
}

async fn count(store: &PostgresStore, user: UserId, text: &str) -> usize {
    let query = Query::parse(text).unwrap();
    let page = store.find(Viewer::User(user), query, None, None, 20);
    page.await.unwrap().messages.len()
}

/// Runs statements as the database's owner, in the schema of a URL.
fn sql(url: &str, sql: &str) -> String {
    let (_, schema) = url.rsplit_once("%3D").unwrap();
    let said = SERVER.sql("postgres", &sql.replace('@', schema));
    said.unwrap().to_string()
}

#[tokio::test]
async fn erased_words_are_in_no_row() {
    let url = url();
    let store = PostgresStore::open(&url).await.unwrap();
    let ada = register(&store, "ada").await;
    let id = group(&store, &[ada]).await;
    let mut erased = Vec::new();
    for text in ["qzxsecret one", "qzxsecret two"] {
        erased.push(commit(&store, post(ada, id, text)).await.unwrap().first);
    }
    index(&store).await;
    assert_eq!(count(&store, ada, "qzxsec").await, 2);
    let held = || {
        sql(
            &url,
            "SELECT count(*) FROM @.chat_search WHERE words::text LIKE '%qzx%'",
        )
    };
    assert_eq!(held().trim(), "2");
    let [deleted, edited] = erased[..] else {
        panic!()
    };
    let edit = Change::Edit {
        message: edited,
        revision: None,
        content: "plain".into(),
    };
    for change in [Change::Delete { message: deleted }, edit] {
        let write = prepared(Actor::User(ada), Target::Conversation(id), change);
        commit(&store, write).await.unwrap();
    }
    // At once, though the index does not know it yet.
    assert_eq!(count(&store, ada, "qzxsec").await, 0);
    index(&store).await;
    assert_eq!(held().trim(), "0");
    assert_eq!(count(&store, ada, "plain").await, 1);
}

#[tokio::test]
async fn an_older_database_is_indexed() {
    let url = url();
    let store = PostgresStore::open(&url).await.unwrap();
    let ada = register(&store, "ada").await;
    let id = group(&store, &[ada]).await;
    commit(&store, post(ada, id, "alpha beta")).await.unwrap();
    store.close().await.unwrap();
    // As its first version was.
    let drop = "DROP TABLE @.chat_search, @.chat_indexed, @.chat_parted, @.chat_marks;
        ALTER TABLE @.chat_event DROP COLUMN changed;
        UPDATE @.chat_meta SET number = 1 WHERE name = 'schema'";
    sql(&url, drop);
    let store = PostgresStore::open(&url).await.unwrap();
    assert_eq!(count(&store, ada, "alpha").await, 0);
    index(&store).await;
    assert_eq!(count(&store, ada, "alpha").await, 1);
    // A version of the program that makes other words out of texts is at work: its index is neither read nor written.
    sql(&url, "UPDATE @.chat_indexed SET version = 'another'");
    commit(&store, post(ada, id, "alpha")).await.unwrap();
    assert_eq!(Search::index(&store, 100).await.unwrap(), 0);
    assert_eq!(count(&store, ada, "alpha").await, 0);
    // Whoever opens it makes it anew.
    let store = PostgresStore::open(&url).await.unwrap();
    index(&store).await;
    assert_eq!(count(&store, ada, "alpha").await, 2);
}
