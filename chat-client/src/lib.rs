//! An async client of the native protocol, `chat.v1`: for bots, tests, terminals, load generators.
//!
//! Once connected it stays so by itself. What happens comes as one stream, each log in order, without hole or double, however
//! often the connection breaks; what is written is stored once, however often it had to be sent.
//!
//! ```no_run
//! use chat_client::protocol::{To, What};
//! use chat_client::{Client, Incoming, Options};
//! use futures_util::StreamExt;
//!
//! # async fn example() -> Result<(), chat_client::Error> {
//! let options = Options::new("http://127.0.0.1:8000").password("ada", "correct horse battery");
//! let (client, mut events) = Client::connect(options).await?;
//! while let Some(incoming) = events.next().await {
//!     let Incoming::Event(event) = incoming else { continue };
//!     if let What::Posted(posted) = event.what {
//!         println!("{}", posted.message.text.unwrap_or_default());
//!         client.read(posted.message.conversation, posted.message.id);
//!     }
//! }
//! # Ok(())
//! # }
//! ```
//!
//! The feature `tls` adds `https://` addresses. Of `chat-core` only the frames are used.

mod client;
mod driver;
mod error;
mod events;
mod login;
mod machine;
mod options;
mod reads;
mod shared;
mod socket;
mod transport;

pub use chat_core::{ConversationId, Data, History, LogId, Role, Seq, Timestamp, UserId, protocol};
pub use client::{Client, Sent};
pub use error::Error;
pub use events::{Events, Incoming};
pub use login::register;
pub use options::{Backoff, Options, Room};
