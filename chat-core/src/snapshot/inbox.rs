//! The conversations of a user, and how each stands.

use super::history::{nth, ordinal};
use super::{Snapshot, head, no_conversation};
use crate::rules::{Row, RowKey};
use crate::{
    Conversation, ConversationId, ConversationKind, Error, Head, History, InboxCursor, InboxEntry,
    LogId, Member, UserId,
};

/// [`crate::Store::inbox`].
pub async fn inbox(
    snapshot: &impl Snapshot,
    user: UserId,
    after: Option<InboxCursor>,
    limit: usize,
) -> Result<Vec<InboxEntry>, Error> {
    let mut listed = snapshot.memberships(user).await?;
    listed.retain(|(member, head)| {
        let place = (head.at, member.conversation);
        member.is_listed(head) && after.is_none_or(|after| place < (after.at, after.conversation))
    });
    listed.sort_unstable_by_key(|(member, head)| std::cmp::Reverse((head.at, member.conversation)));
    listed.truncate(limit);
    compose(snapshot, user, listed).await
}

/// [`crate::Store::entry`].
pub async fn entry(
    snapshot: &impl Snapshot,
    user: UserId,
    conversation: ConversationId,
) -> Result<InboxEntry, Error> {
    let member = value!(snapshot, Member(conversation, user)).ok_or_else(no_conversation)?;
    let log = LogId::Conversation(conversation);
    let mut head = head(snapshot, log).await?;
    let end = member.ranges.end(head.seq);
    let is_former = member.role.is_none();
    if is_former {
        // A former member knows nothing of what follows: the head they know is the one of their last event. The same while
        // nothing follows yet, or it would show when something does.
        let ordinal = ordinal(snapshot, log, &head, end).await?;
        let message = nth(snapshot, log, &head, ordinal).await?;
        let message = if member.ranges.contains(message) {
            message
        } else {
            0
        };
        let from = if message > 0 { message } else { end };
        let at = value!(snapshot, Event(log, from)).map_or(head.at, |row| row.at);
        head = Head {
            seq: end,
            ordinal,
            message,
            at,
            ..head
        };
    }
    let mut entry = compose(snapshot, user, vec![(member, head)])
        .await?
        .pop()
        .ok_or_else(no_conversation)?;
    if is_former {
        entry.conversation = value!(snapshot, Parted(conversation, user))
            .unwrap_or_else(|| bare(&entry.conversation));
        entry.last = entry.last.filter(|message| message.stood_at(end));
    }
    Ok(entry)
}

/// What never changes of a conversation: for those who left it before it was kept how it stood then.
fn bare(conversation: &Conversation) -> Conversation {
    Conversation {
        id: conversation.id,
        kind: conversation.kind,
        key: conversation.key.clone(),
        title: None,
        data: None,
        managed: conversation.managed,
        history: History::default(),
        members: 0,
        owner: None,
        pins: Vec::new(),
    }
}

/// The entries of a user's memberships, in their order: two batches of rows, however many there are.
async fn compose(
    snapshot: &impl Snapshot,
    user: UserId,
    memberships: Vec<(Member, Head)>,
) -> Result<Vec<InboxEntry>, Error> {
    let mut keys = Vec::with_capacity(2 * memberships.len());
    for (member, head) in &memberships {
        let id = member.conversation;
        keys.push(RowKey::Conversation(id));
        if member.ranges.contains(head.message) {
            keys.push(RowKey::Event(id.into(), head.message));
        }
    }
    let mut rows = snapshot.rows(&keys).await?.into_iter();
    let mut entries = Vec::with_capacity(memberships.len());
    let mut peers = Vec::new();
    for (member, head) in memberships {
        let Some(Some(Row::Conversation(conversation))) = rows.next() else {
            return Err(no_conversation());
        };
        let last = if member.ranges.contains(head.message) {
            match rows.next().flatten() {
                Some(Row::Event(row)) => row.message,
                _ => None,
            }
        } else {
            None
        };
        if let ConversationKind::Direct(a, b) = conversation.kind {
            peers.push(RowKey::User(if a == user { b } else { a }));
        }
        entries.push(InboxEntry {
            conversation,
            member,
            head,
            last,
            peer: None,
        });
    }
    let mut peers = snapshot.rows(&peers).await?.into_iter();
    for entry in &mut entries {
        if let ConversationKind::Direct(..) = entry.conversation.kind
            && let Some(Some(Row::User(peer))) = peers.next()
        {
            entry.peer = Some(peer);
        }
    }
    Ok(entries)
}
