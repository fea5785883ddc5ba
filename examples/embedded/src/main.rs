//! A complete chat in process: no HTTP, no service. `cargo run -p chat-example-embedded`

use chat_core::kv::MemoryStore; // or chat_store_sqlite::SqliteStore::open("chat.db")?, to keep it
use chat_core::{Chat, Connection, Error, Identity, Item, Span, Target, Viewer, Write};

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

    // Your users, by your ids: known here from the first time they are named.
    let ann = chat.enroll("my-service", "u-17", "Ann").await?;
    let bob = chat.enroll("my-service", "u-42", "Bob").await?;

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
