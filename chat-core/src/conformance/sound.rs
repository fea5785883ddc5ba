//! Whether what a store holds can be what writes left there.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::world::{ALL, World};
use super::{Outcome, Verdict, Violation, ensure, ensure_eq};
use crate::rules::{Row, RowKey};
use crate::{ConversationId, Event, EventKind, Head, LogId, Message, Seq, Store, UserId, Viewer};

/// A store that was filled by a copy or an import, and not by writes, still keeps what the laws say of logs and counts: seqs
/// and ordinals without holes, heads at their ends, the feed and all logs in one order, messages where their events are,
/// counts that agree, lists in order. For stores of up to 10,000 events.
///
/// # Errors
/// What is not sound.
pub async fn sound(store: Arc<dyn Store>) -> Outcome {
    let world = World::over(store);
    let feed = world.store.feed(0, ALL + 1).await?;
    ensure!(feed.len() <= ALL, "too many events to look at");
    let mut logs: BTreeMap<LogId, Vec<Event>> = BTreeMap::new();
    let mut last = 0;
    for entry in feed {
        ensure!(entry.position > last, "positions of the feed do not ascend");
        last = entry.position;
        logs.entry(entry.event.log).or_default().push(entry.event);
    }
    let mut users = BTreeSet::new();
    for (&log, events) in &logs {
        for (event, seq) in events.iter().zip(1..) {
            ensure_eq!(event.seq, seq, "the next seq of {log:?} in the feed");
        }
        let rows = world.store.rows(vec![RowKey::Head(log)]).await?;
        let Some(Some(Row::Head(head))) = rows.into_iter().next() else {
            return Err(Violation::new(format!("{log:?} has no head")));
        };
        ensure_eq!(head.seq, events.len() as Seq, "the head of {log:?}");
        match log {
            LogId::Conversation(id) => {
                users.extend(conversation(&world, id, events, &head).await?);
            }
            LogId::User(user) => {
                users.insert(user);
            }
        }
    }
    for user in users {
        list(&world, user).await?;
    }
    Ok(Verdict::Holds)
}

/// Its members.
async fn conversation(
    world: &World,
    id: ConversationId,
    events: &[Event],
    head: &Head,
) -> Result<Vec<UserId>, Violation> {
    let log = world.log(Viewer::All, id).await?;
    let read: Vec<_> = log.into_iter().filter_map(|(_, event)| event).collect();
    ensure_eq!(read, events, "the log of {id}");
    let created = matches!(events[0].kind, EventKind::Created { .. });
    ensure!(created, "{id} does not begin with its creation");
    let posted = events
        .iter()
        .filter(|event| event.kind == EventKind::Posted);
    let posted: Vec<Seq> = posted.map(|event| event.seq).collect();
    let history: Vec<Message> = world.history(Viewer::All, id).await?;
    let found: Vec<Seq> = history.iter().map(|message| message.seq).collect();
    ensure_eq!(found, posted, "messages of {id}");
    for (message, ordinal) in history.iter().zip(1..) {
        ensure_eq!(
            message.ordinal,
            ordinal,
            "ordinal of {} in {id}",
            message.seq
        );
        let event = &events[message.seq as usize - 1];
        ensure_eq!(
            (message.at, message.sender),
            (event.at, event.actor),
            "time and sender of {} in {id}",
            message.seq
        );
    }
    let end = (head.ordinal, head.message);
    let last = posted.last().copied().unwrap_or_default();
    ensure_eq!(end, (posted.len() as u64, last), "the head of {id}");
    let members = world.store.members(Viewer::All, id, None, ALL).await?;
    let now = members.iter().filter(|member| member.role.is_some());
    let mut count = 0;
    for member in now {
        count += 1;
        let user = member.user;
        let entry = world.store.entry(user, id).await?;
        ensure_eq!(entry.conversation.id, id, "what {user} sees of {id}");
        let unread = posted.iter().filter(|seq| **seq > member.read).count() as u64;
        ensure_eq!(member.unread(head), unread, "unread of {user} in {id}");
        ensure!(
            member.read <= head.seq,
            "{user} read beyond the end of {id}"
        );
    }
    let rows = world.store.rows(vec![RowKey::Conversation(id)]).await?;
    let members_now = match &rows[..] {
        [Some(Row::Conversation(conversation))] => conversation.members,
        _ => 0,
    };
    ensure_eq!(members_now, count, "members of {id}");
    Ok(members.iter().map(|member| member.user).collect())
}

async fn list(world: &World, user: UserId) -> Result<(), Violation> {
    let inbox = world.store.inbox(user, None, ALL).await?;
    let order: Vec<_> = inbox
        .iter()
        .map(|e| (e.head.at, e.conversation.id))
        .collect();
    ensure!(
        order.is_sorted_by(|a, b| a > b),
        "the list of {user} is not in order: {order:?}"
    );
    let memberships = world.store.memberships(user).await?;
    let rows = world.store.rows(vec![RowKey::Head(user.into())]).await?;
    let head = match rows.into_iter().next() {
        Some(Some(Row::Head(head))) => head,
        _ => Head::default(),
    };
    let counted = (head.seq, head.ordinal);
    let there = (memberships.head, memberships.conversations.len() as u64);
    ensure_eq!(counted, there, "what the log of {user} counts");
    world.log(Viewer::User(user), user).await?;
    Ok(())
}
