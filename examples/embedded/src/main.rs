//! A complete chat in process: no HTTP, no service. `cargo run -p chat-example-embedded`

use chat_core::kv::MemoryStore; // or chat_store_sqlite::SqliteStore::open("chat.db")?, to keep it
use chat_core::{Actor, Chat, Connection, Error, Identity, Item, Span};
use chat_core::{Target, UserId, Viewer, Write};

/// Your users, whatever they are: known here from the first time they are named.
async fn user(chat: &Chat, id: &str) -> Result<UserId, Error> {
    let (provider, subject) = ("my-service".into(), id.into());
    let found = Target::Subject { provider, subject };
    let done = chat.commit(Write::new(Actor::Host, found, vec![])).await?;
    done.user.ok_or_else(|| Error::internal("no user"))
}

/// Waits for the next message on a device.
async fn next_message(device: &mut Connection) -> String {
    let mut items = Vec::new();
    loop {
        device.drain(&mut items).await;
        for item in items.drain(..) {
            if let Item::Event(event) = &item
                && let Some(text) = event.text()
            {
                return text.to_owned();
            }
        }
    }
}

#[tokio::main(flavor = "current_thread")]
#[allow(clippy::print_stdout)]
async fn main() -> Result<(), Error> {
    let chat = Chat::builder(MemoryStore::new()).build();
    let (ann, bob) = (user(&chat, "ann").await?, user(&chat, "bob").await?);

    let mut phone = chat.connect(Identity::of(bob)).await?;
    let hello = Write::post(ann, Target::Direct(ann, bob), "Hello, Bob!");
    let sent = chat.commit(hello).await?;
    println!("live: {}", next_message(&mut phone).await);

    if let Some(conversation) = sent.conversation {
        let viewer = Viewer::User(ann);
        let page = chat.history(viewer, conversation, Span::Latest, 50).await?;
        for message in page {
            println!("history: {:?}", message.text());
        }
    }
    Ok(())
}
