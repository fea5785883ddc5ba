//! An embeddable chat: logs, rules, storage contract and fan-out. No HTTP, no database, no sockets.
//!
//! A service builds a [`Chat`] over a [`Store`], writes with [`Chat::commit`] and reads live with [`Chat::connect`].

mod accounts;
mod archive;
mod auth;
mod bus;
mod chat;
mod committer;
#[cfg(feature = "conformance")]
pub mod conformance;
mod error;
mod event;
mod hub;
mod id;
pub mod kv;
mod limits;
mod model;
mod node;
mod policy;
mod prepare;
pub mod protocol;
mod rate;
pub mod rules;
pub mod search;
pub mod snapshot;
mod store;
mod time;
mod transfer;
mod write;

pub use accounts::{Account, Accounts};
pub use archive::Archive;
pub use auth::{
    Authenticator, Claims, Identity, LOCAL, PasswordCheck, PasswordHasher, Reach, TokenService,
};
pub use bus::{Bus, BusEvent, Hint, LocalBus};
pub use chat::{Builder, Chat};
pub use error::{Error, ErrorKind};
pub use event::{Event, EventKind};
pub use hub::{
    Closed, Connection, Delivery, Format, Hidden, Item, Loan, Outlet, Presence, Receipt, Rest, Run,
    Sent, Signal,
};
pub use id::{ConversationId, Key, LogId, LoginId, MAX_ID, Seq, UserId};
pub use limits::Limits;
pub use model::{
    Actor, Content, Conversation, ConversationKind, Data, Head, History, Login, Member, Message,
    Ranges, Reaction, Role, User, Viewer,
};
pub use policy::{Policy, Verdict};
pub use search::{Search, SearchCursor, SearchPage};
pub use store::{FeedEntry, InboxCursor, InboxEntry, LogPage, Memberships, Span, Store, Window};
pub use time::Timestamp;
pub use transfer::{Fingerprint, Transfer};
pub use write::{Change, Committed, Marked, Prepared, Target, Write};

/// Fills a buffer from the system's random source.
fn random(bytes: &mut [u8]) {
    // Without randomness nothing here is safe; the system's source does not fail on a running system.
    if let Err(error) = getrandom::fill(bytes) {
        tracing::error!(%error, "the system's random source failed");
        std::process::abort();
    }
}

/// The form of a name in which names are compared and searched: NFKC, then lower case, then NFKC again.
#[must_use]
pub fn fold_name(name: &str) -> String {
    use unicode_normalization::UnicodeNormalization;
    let lower: String = name.nfkc().flat_map(char::to_lowercase).collect();
    lower.nfkc().collect()
}
