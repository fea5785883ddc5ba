//! What a store with blocking reads has to offer, and every read of [`Store`](crate::Store) composed over it: who may see
//! what is written once, here.

use crate::rules::{EventRow, Row, RowKey};
use crate::{
    ConversationId, ConversationKind, Error, Event, EventKind, FeedEntry, Head, InboxCursor,
    InboxEntry, LogId, LogPage, Member, Memberships, Message, Ranges, Seq, Span, User, UserId,
    Viewer, Window,
};

/// One moment of a store; a whole one is in the docs of [`crate::Store`]. All reads through one snapshot see the same commits, whole groups only, all of them durable.
pub trait Snapshot {
    /// A row by key.
    fn row(&self, key: &RowKey) -> Result<Option<Row>, Error>;

    /// Entries of a log from `first` to `last`, both included: at most `limit`, from the low end upwards, or with
    /// `newest_first` from the high end downwards.
    fn events(
        &self,
        log: LogId,
        first: Seq,
        last: Seq,
        newest_first: bool,
        limit: usize,
    ) -> Result<Vec<(Seq, EventRow)>, Error>;

    /// Members of a conversation by ascending user id, former ones included.
    fn members(
        &self,
        conversation: ConversationId,
        after: Option<UserId>,
        limit: usize,
    ) -> Result<Vec<Member>, Error>;

    /// Every member row of a user, former ones included, with its conversation's head.
    fn memberships(&self, user: UserId) -> Result<Vec<(Member, Head)>, Error>;

    /// Keys of [`RowKey::Suffix`] rows whose text begins with `part`, ascending, after one of them.
    fn suffixes(
        &self,
        part: &str,
        after: Option<&(String, UserId)>,
        limit: usize,
    ) -> Result<Vec<(String, UserId)>, Error>;

    /// Where an event stands in the store-wide order: entries after a position, ascending.
    fn feed(&self, after: u64, limit: usize) -> Result<Vec<(u64, LogId, Seq, EventRow)>, Error>;
}

/// The value of a row, by its kind.
macro_rules! value {
    ($snapshot:expr, $kind:ident ( $($key:expr),* )) => {
        match $snapshot.row(&RowKey::$kind($($key),*))? {
            Some(Row::$kind(value)) => Some(value),
            _ => None,
        }
    };
}

fn no_conversation() -> Error {
    Error::not_found("there is no such conversation")
}

fn head(snapshot: &(impl Snapshot + ?Sized), log: LogId) -> Result<Head, Error> {
    Ok(value!(snapshot, Head(log)).unwrap_or_default())
}

/// The part of a log that a viewer may see; `NotFound` when it does not exist for them.
fn ranges(
    snapshot: &(impl Snapshot + ?Sized),
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

/// The event of a row, with the message it is about as that stands in this snapshot.
fn hydrate(
    snapshot: &(impl Snapshot + ?Sized),
    log: LogId,
    seq: Seq,
    row: &EventRow,
) -> Result<Event, Error> {
    let message = match row.kind {
        EventKind::Posted => row.message.clone(),
        EventKind::Edited { message, .. } => {
            value!(snapshot, Event(log, message)).and_then(|target| target.message)
        }
        _ => None,
    };
    Ok(row.event(log, seq, message))
}

/// [`crate::Store::log`].
pub fn log(
    snapshot: &(impl Snapshot + ?Sized),
    viewer: Viewer,
    log: LogId,
    after: Seq,
    limit: usize,
) -> Result<LogPage, Error> {
    let ranges = ranges(snapshot, viewer, log)?;
    let window = Window::new(&ranges, &head(snapshot, log)?, after, limit);
    let mut entries = Vec::new();
    if window.first <= window.last {
        for (seq, row) in snapshot.events(log, window.first, window.last, false, limit)? {
            let visible = ranges.contains(seq)
                && row
                    .kind
                    .target()
                    .is_none_or(|target| ranges.contains(target));
            entries.push((
                seq,
                if visible {
                    Some(hydrate(snapshot, log, seq, &row)?)
                } else {
                    None
                },
            ));
        }
    }
    Ok(LogPage {
        entries,
        head: window.head,
        resync: window.resync,
    })
}

/// [`crate::Store::history`].
pub fn history(
    snapshot: &(impl Snapshot + ?Sized),
    viewer: Viewer,
    conversation: ConversationId,
    span: Span,
    limit: usize,
) -> Result<Vec<Message>, Error> {
    let log = LogId::Conversation(conversation);
    let ranges = ranges(snapshot, viewer, log)?;
    let head = head(snapshot, log)?;
    let mut found = Vec::new();
    if limit == 0 {
        return Ok(found);
    }
    let (low, high, newest_first) = match span {
        Span::Latest => (head.floor + 1, head.seq, true),
        Span::Before(seq) => (head.floor + 1, head.seq.min(seq.saturating_sub(1)), true),
        Span::After(seq) => (seq.max(head.floor).saturating_add(1), head.seq, false),
    };
    let mut visit = |&(first, last): &(Seq, Option<Seq>)| -> Result<bool, Error> {
        let (first, last) = (first.max(low), last.unwrap_or(head.seq).min(high));
        messages(
            snapshot,
            log,
            &head,
            (first, last),
            newest_first,
            limit,
            &mut found,
        )?;
        Ok(found.len() >= limit)
    };
    if newest_first {
        for range in ranges.as_slice().iter().rev() {
            if visit(range)? {
                break;
            }
        }
        found.reverse();
    } else {
        for range in ranges.as_slice() {
            if visit(range)? {
                break;
            }
        }
    }
    Ok(found)
}

/// Gathers messages between two seqs. A stretch without messages (a storm of reactions, say) is not walked through: each
/// entry knows how many messages came up to it, so a binary search finds the next one.
fn messages(
    snapshot: &(impl Snapshot + ?Sized),
    log: LogId,
    head: &Head,
    (mut first, mut last): (Seq, Seq),
    newest_first: bool,
    limit: usize,
    found: &mut Vec<Message>,
) -> Result<(), Error> {
    while first <= last && found.len() < limit {
        // A few more than are wanted, since some entries are no messages; reading what is thrown away costs as much.
        let chunk = limit - found.len() + 8;
        let rows = snapshot.events(log, first, last, newest_first, chunk)?;
        let Some(&(edge, _)) = rows.last() else { break };
        let before = found.len();
        found.extend(
            rows.into_iter()
                .filter_map(|(_, row)| row.message)
                .take(limit - before),
        );
        if newest_first {
            last = edge.saturating_sub(1);
        } else {
            first = edge.saturating_add(1);
        }
        if found.len() == before && first <= last {
            if newest_first {
                let count = ordinal(snapshot, log, head, last)?;
                last = last.min(nth(snapshot, log, head, count)?);
            } else {
                let count = ordinal(snapshot, log, head, first - 1)?;
                first = first.max(nth(snapshot, log, head, count + 1)?);
            }
        }
    }
    Ok(())
}

/// How many messages a log had at a seq.
fn ordinal(
    snapshot: &(impl Snapshot + ?Sized),
    log: LogId,
    head: &Head,
    seq: Seq,
) -> Result<u64, Error> {
    if seq >= head.seq {
        return Ok(head.ordinal);
    }
    Ok(value!(snapshot, Event(log, seq)).map_or(0, |row| row.ordinal))
}

/// The seq of the message with an ordinal; 0 for the zeroth, beyond the head for one that does not exist yet.
fn nth(
    snapshot: &(impl Snapshot + ?Sized),
    log: LogId,
    head: &Head,
    count: u64,
) -> Result<Seq, Error> {
    if count == 0 {
        return Ok(0);
    }
    let (mut low, mut high) = (head.floor, head.seq + 1);
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        if ordinal(snapshot, log, head, middle)? >= count {
            high = middle;
        } else {
            low = middle;
        }
    }
    Ok(high)
}

/// [`crate::Store::inbox`].
pub fn inbox(
    snapshot: &(impl Snapshot + ?Sized),
    user: UserId,
    after: Option<InboxCursor>,
    limit: usize,
) -> Result<Vec<InboxEntry>, Error> {
    let mut listed = snapshot.memberships(user)?;
    listed.retain(|(member, head)| {
        let place = (head.at, member.conversation);
        member.is_listed(head) && after.is_none_or(|after| place < (after.at, after.conversation))
    });
    listed.sort_unstable_by_key(|(member, head)| std::cmp::Reverse((head.at, member.conversation)));
    listed.truncate(limit);
    listed
        .into_iter()
        .map(|(member, head)| compose(snapshot, member, head))
        .collect()
}

/// [`crate::Store::entry`].
pub fn entry(
    snapshot: &(impl Snapshot + ?Sized),
    user: UserId,
    conversation: ConversationId,
) -> Result<InboxEntry, Error> {
    let member = value!(snapshot, Member(conversation, user)).ok_or_else(no_conversation)?;
    let log = LogId::Conversation(conversation);
    let mut head = head(snapshot, log)?;
    let end = member.ranges.end(head.seq);
    if end < head.seq {
        // A former member knows nothing of what follows: the head they know is the one of their last event.
        let last = history(snapshot, Viewer::User(user), conversation, Span::Latest, 1)?.pop();
        let (message, at) = match (&last, value!(snapshot, Event(log, end))) {
            (Some(message), _) => (message.seq, message.at),
            (None, Some(row)) => (0, row.at),
            (None, None) => (0, head.at),
        };
        head = Head {
            seq: end,
            ordinal: ordinal(snapshot, log, &head, end)?,
            message,
            at,
            ..head
        };
    }
    compose(snapshot, member, head)
}

fn compose(
    snapshot: &(impl Snapshot + ?Sized),
    member: Member,
    head: Head,
) -> Result<InboxEntry, Error> {
    let id = member.conversation;
    let conversation = value!(snapshot, Conversation(id)).ok_or_else(no_conversation)?;
    let last = if member.ranges.contains(head.message) {
        value!(snapshot, Event(LogId::Conversation(id), head.message)).and_then(|row| row.message)
    } else {
        None
    };
    let peer = match conversation.kind {
        ConversationKind::Direct(a, b) => {
            value!(snapshot, User(if a == member.user { b } else { a }))
        }
        ConversationKind::Group => None,
    };
    Ok(InboxEntry {
        conversation,
        member,
        head,
        last,
        peer,
    })
}

/// [`crate::Store::members`].
pub fn members(
    snapshot: &(impl Snapshot + ?Sized),
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
    snapshot.members(conversation, after, limit)
}

/// [`crate::Store::memberships`].
pub fn memberships(
    snapshot: &(impl Snapshot + ?Sized),
    user: UserId,
) -> Result<Memberships, Error> {
    let conversations = snapshot
        .memberships(user)?
        .into_iter()
        .filter(|(member, _)| member.role.is_some())
        .map(|(member, head)| (member.conversation, member.ranges, head.seq))
        .collect();
    Ok(Memberships {
        head: head(snapshot, LogId::User(user))?.seq,
        conversations,
    })
}

/// [`crate::Store::find_users`].
pub fn find_users(
    snapshot: &(impl Snapshot + ?Sized),
    part: &str,
    limit: usize,
) -> Result<Vec<User>, Error> {
    let mut found: Vec<User> = Vec::new();
    let mut after = None;
    while found.len() < limit {
        let keys = snapshot.suffixes(part, after.as_ref(), 64)?;
        let Some(last) = keys.last() else { break };
        after = Some(last.clone());
        for (_, id) in keys {
            if found.len() < limit && !found.iter().any(|user| user.id == id) {
                found.extend(value!(snapshot, User(id)).filter(|user: &User| !user.disabled));
            }
        }
    }
    Ok(found)
}

/// [`crate::Store::feed`].
pub fn feed(
    snapshot: &(impl Snapshot + ?Sized),
    after: u64,
    limit: usize,
) -> Result<Vec<FeedEntry>, Error> {
    let rows = snapshot.feed(after, limit)?;
    rows.into_iter()
        .map(|(position, log, seq, row)| {
            Ok(FeedEntry {
                position,
                event: hydrate(snapshot, log, seq, &row)?,
            })
        })
        .collect()
}

/// [`crate::Store::rows`].
pub fn rows(
    snapshot: &(impl Snapshot + ?Sized),
    keys: &[RowKey],
) -> Result<Vec<Option<Row>>, Error> {
    keys.iter().map(|key| snapshot.row(key)).collect()
}
