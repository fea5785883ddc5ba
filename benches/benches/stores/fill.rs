//! What the stores are filled with.

use std::sync::Arc;

use chat_core::{
    Actor, Change, Chat, ConversationId, Error, Prepared, Store, Target, UserId, Write,
};
use indicatif::{ProgressBar, ProgressStyle};

use crate::Outcome;
use crate::place::{Opened, Place};

/// 128 bytes, as in the load generator.
pub(crate) const TEXT: &str = "The quick brown fox jumps over the lazy dog, again and again, \
    until the message has the size that all measure with: 128 bytes...";

/// Different words of the filled store's messages, one in each. Written with four digits: none begins another, for the last
/// word of a search may go on.
pub(crate) const WORDS: u64 = 5_000;
/// Entries that the index takes at once.
const INDEXED: usize = 1_000;

/// Conversations of the user who reads.
const CONVERSATIONS: u64 = 1_000;
/// Messages a group.
const GROUP: usize = 512;

/// A large store.
pub(crate) struct Filled {
    pub(crate) user: UserId,
    pub(crate) conversations: Vec<ConversationId>,
}

fn none() -> Error {
    Error::internal("a write named nothing")
}

fn prepared(write: Write) -> Prepared {
    Prepared {
        write,
        digest: [0; 16],
    }
}

async fn commit(store: &Arc<dyn Store>, writes: Vec<Write>) -> Outcome<Vec<chat_core::Committed>> {
    let group = writes.into_iter().map(prepared).collect();
    let results = store.commit(group).await;
    Ok(results.into_iter().collect::<Result<_, _>>()?)
}

/// So many users, each with a direct conversation with the same other one.
pub(crate) async fn writers(chat: &Chat, count: usize) -> Outcome<Vec<(UserId, ConversationId)>> {
    let other = chat.enroll("bench", "other", "Other").await?;
    let mut writers = Vec::with_capacity(count);
    for number in 0..count {
        let user = chat.enroll("bench", &number.to_string(), "Writer").await?;
        let first = Write::post(user, Target::Direct(user, other), TEXT);
        let done = chat.commit(first).await?;
        writers.push((user, done.conversation.ok_or_else(none)?));
    }
    Ok(writers)
}

/// One user with a thousand direct conversations and the messages in them, in turn. Tells what that took.
pub(crate) async fn fill(place: &Place, opened: &Opened) -> Outcome<Filled> {
    let wanted = match std::env::var("CHAT_BENCH_MESSAGES") {
        Ok(number) => number.parse()?,
        Err(_) => 1_000_000_u64,
    };
    let least = CONVERSATIONS * crate::PAGE as u64;
    if wanted < least {
        return Err(format!("CHAT_BENCH_MESSAGES: pages are full with at least {least}").into());
    }
    let store = opened.store();
    let before = opened.resident()?;
    let named = |number: u64| {
        let (provider, subject) = ("bench".to_owned(), number.to_string());
        let name = Change::Profile {
            name: Some(format!("User {number}")),
            data: None,
        };
        Write::new(
            Actor::Host,
            Target::Subject { provider, subject },
            vec![name],
        )
    };
    let mut users = Vec::new();
    for numbers in (0..=CONVERSATIONS).collect::<Vec<_>>().chunks(GROUP) {
        let writes = numbers.iter().map(|number| named(*number)).collect();
        for done in commit(&store, writes).await? {
            users.push(done.user.ok_or_else(none)?);
        }
    }
    let user = users[0];
    let mut conversations = Vec::new();
    for others in users[1..].chunks(GROUP) {
        let begin = |other: &UserId| Write::post(*other, Target::Direct(user, *other), TEXT);
        for done in commit(&store, others.iter().map(begin).collect()).await? {
            conversations.push(done.conversation.ok_or_else(none)?);
        }
    }
    let mut next = conversations.len() as u64;
    let bar = ProgressBar::new(wanted).with_style(ProgressStyle::with_template(
        "{msg} filled {human_pos} of {human_len} messages, {per_sec}, {eta} left",
    )?);
    bar.set_message(place.name());
    while next < wanted {
        let until = wanted.min(next + GROUP as u64);
        let post = |number: u64| {
            let at = (number % CONVERSATIONS) as usize;
            let author = if (number / CONVERSATIONS).is_multiple_of(2) {
                user
            } else {
                users[at + 1]
            };
            let text = format!("{} word{:04}", &TEXT[..100], number % WORDS);
            Write::post(author, Target::Conversation(conversations[at]), text)
        };
        commit(&store, (next..until).map(post).collect()).await?;
        next = until;
        bar.set_position(next);
    }
    if let Some(search) = store.search() {
        bar.set_message(format!("{}, index:", place.name()));
        bar.reset();
        loop {
            match search.index(INDEXED).await? {
                0 => break,
                taken => bar.inc(taken as u64),
            }
        }
    }
    bar.finish_and_clear();
    let size = serde_json::json!({
        "messages": wanted,
        "resident_kib": opened.resident()?.saturating_sub(before),
        "disk_kib": opened.disk()?.map(|bytes| bytes / 1024),
    });
    let name = place.name();
    eprintln!("{name}: {size}");
    if let Some(folder) = std::env::var_os("CHAT_BENCH_SIZES") {
        let file = std::path::Path::new(&folder).join(format!("{name}.json"));
        std::fs::write(file, size.to_string())?;
    }
    Ok(Filled {
        user,
        conversations,
    })
}
