//! A shop's order and the message about it: there together, or not at all. `cargo run -p chat-example-order`

use std::error::Error;

use chat_core::{Chat, Committed, Span, Target, UserId, Viewer, Write};
use chat_store_sqlite::rusqlite::{Connection, TransactionBehavior};
use chat_store_sqlite::{SqliteStore, commit_in};

/// Writes the shop's own row and the message in the shop's own transaction. In a service this runs where it may block.
async fn order(
    shop: &mut Connection,
    chat: &Chat,
    (buyer, seller): (UserId, UserId),
    item: &str,
) -> Result<Committed, Box<dyn Error>> {
    let text = format!("I ordered: {item}");
    // Before the transaction begins: all other writers wait while it lasts.
    let message = chat
        .prepare(Write::post(buyer, Target::Direct(buyer, seller), text))
        .await?;
    let tx = shop.transaction_with_behavior(TransactionBehavior::Immediate)?;
    tx.execute("INSERT INTO orders(item) VALUES(?)", [item])?;
    // What fails here takes the order back, too: the transaction ends with its variable.
    let committed = commit_in(&tx, message)?;
    tx.commit()?;
    // For those who are connected. If this program ended right here, they would hear of it within seconds all the same.
    chat.announce(&committed);
    Ok(committed)
}

#[tokio::main(flavor = "current_thread")]
#[allow(clippy::print_stdout)]
async fn main() -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("shop.db");
    let chat = Chat::builder(SqliteStore::open(&file)?).build();
    let mut shop = Connection::open(&file)?; // the same file: one disk, one transaction
    shop.execute("CREATE TABLE orders(item TEXT NOT NULL)", [])?;
    let ann = chat.enroll("shop", "u-17", "Ann").await?;
    let bob = chat.enroll("shop", "u-42", "Bob").await?;

    let committed = order(&mut shop, &chat, (ann, bob), "a chair").await?;
    if let Some(conversation) = committed.conversation {
        let viewer = Viewer::User(bob);
        for message in chat.history(viewer, conversation, Span::Latest, 10).await? {
            println!("Bob reads: {:?}", message.text());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_order_without_its_message_is_none() -> Result<(), Box<dyn Error>> {
        let folder = tempfile::tempdir()?;
        let file = folder.path().join("shop.db");
        let chat = Chat::builder(SqliteStore::open(&file)?).build();
        let mut shop = Connection::open(&file)?;
        shop.execute("CREATE TABLE orders(item TEXT NOT NULL)", [])?;
        let ann = chat.enroll("shop", "u-17", "Ann").await?;
        let bob = chat.enroll("shop", "u-42", "Bob").await?;
        order(&mut shop, &chat, (ann, bob), "a chair").await?;
        let nobody = UserId::new(99)?;
        let refused = order(&mut shop, &chat, (ann, nobody), "a table").await;
        assert!(refused.is_err());
        let count = |sql| shop.query_row(sql, [], |row| row.get::<_, u32>(0));
        assert_eq!(count("SELECT count(*) FROM orders")?, 1);
        assert_eq!(chat.inbox(ann, None, 10).await?.len(), 1);
        Ok(())
    }
}
