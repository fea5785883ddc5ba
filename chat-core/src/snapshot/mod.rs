//! What a store's reads have to offer, and every read of [`Store`](crate::Store) composed over it: who may see what is written
//! once, here.

/// The value of a row, by its kind. Stands before the modules that use it, as a macro has to.
macro_rules! value {
    ($snapshot:expr, $kind:ident ( $($key:expr),* )) => {
        match $snapshot.row(&RowKey::$kind($($key),*)).await? {
            Some(Row::$kind(value)) => Some(value),
            _ => None,
        }
    };
}

mod history;
mod inbox;
mod pages;

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

pub use history::{history, log};
pub use inbox::{entry, inbox};
pub use pages::Pages;

use crate::rules::{EventRow, Row, RowKey};
use crate::{
    ConversationId, Error, EventKind, FeedEntry, Head, LogId, Member, Memberships, Message, Ranges,
    Seq, User, UserId, Viewer,
};

/// One moment of a store; a whole one is in the docs of [`crate::Store`]. All reads through one snapshot see the same
/// commits, whole groups only, all of them durable.
///
/// A store that answers from memory or a local disk never waits inside these: it runs the functions of this module with
/// [`now`]. One behind a network awaits them.
pub trait Snapshot {
    /// A row by key.
    fn row(&self, key: &RowKey) -> impl Future<Output = Result<Option<Row>, Error>>;

    /// Rows by key, in the keys' order: one round trip, where there are any.
    fn rows(&self, keys: &[RowKey]) -> impl Future<Output = Result<Vec<Option<Row>>, Error>> {
        async move {
            let mut rows = Vec::with_capacity(keys.len());
            for key in keys {
                rows.push(self.row(key).await?);
            }
            Ok(rows)
        }
    }

    /// Where the store keeps what was read lately, if it does.
    fn pages(&self) -> Option<&Pages> {
        None
    }

    /// Entries of a log from `first` to `last`, both included: at most `limit`, from the low end upwards, or with
    /// `newest_first` from the high end downwards.
    fn events(
        &self,
        log: LogId,
        first: Seq,
        last: Seq,
        newest_first: bool,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<(Seq, EventRow)>, Error>>;

    /// Members of a conversation by ascending user id, former ones included.
    fn members(
        &self,
        conversation: ConversationId,
        after: Option<UserId>,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<Member>, Error>>;

    /// Every member row of a user, former ones included, with its conversation's head.
    fn memberships(&self, user: UserId)
    -> impl Future<Output = Result<Vec<(Member, Head)>, Error>>;

    /// Keys of [`RowKey::Suffix`] rows whose text begins with `part`, ascending, after one of them.
    fn suffixes(
        &self,
        part: &str,
        after: Option<&(String, UserId)>,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<(String, UserId)>, Error>>;

    /// Where an event stands in the store-wide order: entries after a position, ascending.
    fn feed(
        &self,
        after: u64,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<(u64, LogId, Seq, EventRow)>, Error>>;
}

/// The outcome of a read over a snapshot that never waits.
///
/// # Errors
/// The read's own; `Internal` if it waited all the same.
pub fn now<T>(read: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    match pin!(read).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(outcome) => outcome,
        Poll::Pending => Err(Error::internal("a snapshot that never waits waited")),
    }
}

fn no_conversation() -> Error {
    Error::not_found("there is no such conversation")
}

async fn head(snapshot: &impl Snapshot, log: LogId) -> Result<Head, Error> {
    Ok(value!(snapshot, Head(log)).unwrap_or_default())
}

/// The part of a log that a viewer may see; `NotFound` when it does not exist for them.
pub(crate) async fn ranges(
    snapshot: &impl Snapshot,
    viewer: Viewer,
    log: LogId,
) -> Result<Ranges, Error> {
    match (viewer, log) {
        (Viewer::User(user), LogId::Conversation(id)) => {
            let member = value!(snapshot, Member(id, user)).ok_or_else(no_conversation)?;
            Ok(member.ranges)
        }
        (Viewer::All, LogId::Conversation(id)) => {
            value!(snapshot, Conversation(id)).ok_or_else(no_conversation)?;
            Ok(Ranges::all())
        }
        (Viewer::User(user), LogId::User(owner)) if user != owner => {
            Err(Error::not_found("there is no such user"))
        }
        (_, LogId::User(owner)) => {
            value!(snapshot, User(owner))
                .ok_or_else(|| Error::not_found("there is no such user"))?;
            Ok(Ranges::all())
        }
    }
}

/// The message that each event is about, as it stands in this snapshot: its own, or for an edit that of the row it names.
async fn subjects<'a>(
    snapshot: &impl Snapshot,
    rows: impl Iterator<Item = (LogId, &'a EventRow)> + Clone,
) -> Result<Vec<Option<Message>>, Error> {
    let edited = rows.clone().filter_map(|(log, row)| match row.kind {
        EventKind::Edited { message, .. } => Some(RowKey::Event(log, message)),
        _ => None,
    });
    let mut targets = snapshot
        .rows(&edited.collect::<Vec<_>>())
        .await?
        .into_iter();
    let subjects = rows.map(|(_, row)| match (&row.kind, &row.message) {
        (EventKind::Posted, message) => message.clone(),
        (EventKind::Edited { .. }, _) => match targets.next().flatten() {
            Some(Row::Event(target)) => target.message,
            _ => None,
        },
        _ => None,
    });
    Ok(subjects.collect())
}

/// [`crate::Store::members`].
pub async fn members(
    snapshot: &impl Snapshot,
    viewer: Viewer,
    conversation: ConversationId,
    after: Option<UserId>,
    limit: usize,
) -> Result<Vec<Member>, Error> {
    match viewer {
        Viewer::User(user) => {
            let member =
                value!(snapshot, Member(conversation, user)).ok_or_else(no_conversation)?;
            member.role.ok_or_else(no_conversation)?;
        }
        Viewer::All => {
            drop(value!(snapshot, Conversation(conversation)).ok_or_else(no_conversation)?)
        }
    }
    snapshot.members(conversation, after, limit).await
}

/// [`crate::Store::memberships`].
pub async fn memberships(snapshot: &impl Snapshot, user: UserId) -> Result<Memberships, Error> {
    let conversations = snapshot
        .memberships(user)
        .await?
        .into_iter()
        .filter(|(member, _)| member.role.is_some())
        .map(|(member, head)| (member.conversation, member.ranges, head.seq))
        .collect();
    Ok(Memberships {
        head: head(snapshot, LogId::User(user)).await?.seq,
        conversations,
    })
}

/// [`crate::Store::find_users`].
pub async fn find_users(
    snapshot: &impl Snapshot,
    part: &str,
    limit: usize,
) -> Result<Vec<User>, Error> {
    let mut found: Vec<User> = Vec::new();
    let mut after = None;
    while found.len() < limit {
        let keys = snapshot.suffixes(part, after.as_ref(), 64).await?;
        let Some(last) = keys.last() else { break };
        after = Some(last.clone());
        let users: Vec<_> = keys.iter().map(|(_, id)| RowKey::User(*id)).collect();
        for row in snapshot.rows(&users).await? {
            let Some(Row::User(user)) = row else { continue };
            let is_new = !user.disabled && !found.iter().any(|known| known.id == user.id);
            if is_new && found.len() < limit {
                found.push(user);
            }
        }
    }
    Ok(found)
}

/// [`crate::Store::feed`].
pub async fn feed(
    snapshot: &impl Snapshot,
    after: u64,
    limit: usize,
) -> Result<Vec<FeedEntry>, Error> {
    let rows = snapshot.feed(after, limit).await?;
    let about = subjects(snapshot, rows.iter().map(|(_, log, _, row)| (*log, row))).await?;
    let entries = rows.iter().zip(about).map(|(entry, message)| {
        let (position, log, seq, row) = entry;
        FeedEntry {
            position: *position,
            event: row.event(*log, *seq, message),
        }
    });
    Ok(entries.collect())
}
