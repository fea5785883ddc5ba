//! An echo bot: answers every message with its own text. `cargo run -p chat-example-bot -- http://127.0.0.1:8000 echo a-password`

use chat_client::protocol::{To, What};
use chat_client::{Client, Error, Incoming, Options};
use futures_util::StreamExt;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let mut arguments = std::env::args().skip(1);
    let (Some(url), Some(name), Some(password)) =
        (arguments.next(), arguments.next(), arguments.next())
    else {
        return Err(Error::Invalid(
            "name the server, a user and a password".to_owned(),
        ));
    };
    let options = Options::new(url).password(name, password);
    let (client, mut events) = Client::connect(options).await?;
    while let Some(incoming) = events.next().await {
        let message = match incoming {
            Incoming::Event(event) => match event.what {
                What::Posted(posted)
                    if event.by.is_some_and(|by| by.actor != Some(client.user())) =>
                {
                    posted.message
                }
                _ => continue,
            },
            Incoming::Stopped(why) => return Err(why),
            _ => continue,
        };
        // Sent in the background, again after a broken connection, and stored once.
        let to = To::Conversation(message.conversation);
        drop(client.post(to, message.text.unwrap_or_default()));
    }
    Ok(())
}
