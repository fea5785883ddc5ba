//! Reads everything out of a store, and finds it as the model has it.

use std::collections::BTreeSet;

use super::naive::{Entry, Membership, Naive, Parted, Post, Talk};
use crate::conformance::world::{ALL, World};
use crate::conformance::{Violation, ensure, ensure_eq};
use crate::{
    Actor, ConversationId, ErrorKind, Event, EventKind, LogId, Member, Message, Seq, Timestamp,
    UserId, Viewer,
};

/// An event without its message: that is compared by the histories.
type Told = (Seq, Timestamp, Actor, EventKind);

fn told(event: &Event) -> Told {
    (event.seq, event.at, event.actor, event.kind.clone())
}

fn expected(seq: Seq, entry: &Entry) -> Told {
    (seq, entry.at, entry.actor, entry.kind.clone())
}

/// What is compared of a message.
#[derive(Debug, PartialEq)]
struct Seen {
    seq: Seq,
    ordinal: u64,
    at: Timestamp,
    sender: Actor,
    text: Option<String>,
    revision: u32,
    edited: bool,
    reply_to: Option<Seq>,
    mentions: Vec<UserId>,
    reactions: Vec<(String, u32)>,
}

fn seen(message: &Message) -> Seen {
    let reactions = message.reactions.iter();
    Seen {
        seq: message.seq,
        ordinal: message.ordinal,
        at: message.at,
        sender: message.sender,
        text: message.content.as_ref().map(|content| content.text.clone()),
        revision: message.revision,
        edited: message.edited_at.is_some(),
        reply_to: message.reply_to,
        mentions: message.mentions.clone(),
        reactions: reactions.map(|r| (r.emoji.clone(), r.count)).collect(),
    }
}

pub(super) fn counted(post: &Post) -> Vec<(String, u32)> {
    let count = |emoji: &String| {
        let all = post.reactions.iter();
        all.map(|(_, each)| u32::from(each == emoji)).sum()
    };
    let emojis = post.emojis.iter();
    emojis.map(|emoji| (emoji.clone(), count(emoji))).collect()
}

fn messages(talk: &Talk, end: Seq, sees: impl Fn(Seq) -> bool) -> Vec<Seen> {
    let posts = talk.posts().zip(1..);
    let visible = posts.filter(|((seq, _, post), _)| sees(*seq) && post.changed <= end);
    let seen = visible.map(|((seq, entry, post), ordinal)| Seen {
        seq,
        ordinal,
        at: entry.at,
        sender: entry.actor,
        text: post.text.clone(),
        revision: post.revision,
        edited: post.revision > 0,
        reply_to: post.reply_to,
        mentions: post.mentions.clone(),
        reactions: counted(post),
    });
    seen.collect()
}

/// Fails unless a store tells, by every way out and for everybody, what the model knows.
pub(super) async fn compare(
    world: &World,
    model: &Naive,
    users: &[UserId],
) -> Result<(), Violation> {
    within(world, model, users).await?;
    feed(world, model).await
}

/// The same, but for the feed: the store may hold more.
pub(super) async fn within(
    world: &World,
    model: &Naive,
    users: &[UserId],
) -> Result<(), Violation> {
    for (&id, talk) in &model.talks {
        conversation(world, id, talk).await?;
        for &user in users {
            match talk.members.get(&user) {
                Some(member) => membership(world, id, talk, user, member).await?,
                None => stranger(world, id, user).await?,
            }
        }
    }
    for &user in users {
        lists(world, model, user).await?;
    }
    Ok(())
}

async fn conversation(world: &World, id: ConversationId, talk: &Talk) -> Result<(), Violation> {
    let log = world.log(Viewer::All, id).await?;
    let found: Vec<_> = log
        .iter()
        .filter_map(|(_, event)| event.as_ref().map(told))
        .collect();
    let entries: Vec<_> = (1..)
        .zip(&talk.log)
        .map(|(seq, e)| expected(seq, e))
        .collect();
    ensure_eq!(found, entries, "the log of {id}");
    let history = world.history(Viewer::All, id).await?;
    let history: Vec<_> = history.iter().map(seen).collect();
    ensure_eq!(
        history,
        messages(talk, Seq::MAX, |_| true),
        "the history of {id}"
    );
    let members = world.store.members(Viewer::All, id, None, ALL).await?;
    let known: Vec<UserId> = members.iter().map(|member| member.user).collect();
    let expected: Vec<UserId> = talk.members.keys().copied().collect();
    ensure_eq!(known, expected, "members of {id}");
    for member in members {
        row(id, talk, &member, &talk.members[&member.user])?;
    }
    Ok(())
}

/// A member's row, roles and ranges first.
fn row(
    id: ConversationId,
    talk: &Talk,
    found: &Member,
    expected: &Membership,
) -> Result<(), Violation> {
    let user = found.user;
    let place = format!("of {user} in {id}");
    ensure_eq!(found.role, expected.role, "role {place}");
    let head = talk.head();
    let sees: BTreeSet<Seq> = (1..=head)
        .filter(|seq| found.ranges.contains(*seq))
        .collect();
    ensure_eq!(sees, expected.sees, "visible seqs {place}");
    let open = found.ranges.contains(head + 1);
    ensure_eq!(
        open,
        expected.role.is_some(),
        "whether the next seq is visible {place}"
    );
    if expected.role.is_none() {
        return Ok(());
    }
    ensure_eq!(found.read, expected.read, "read {place}");
    let read = talk
        .posts()
        .filter(|(seq, ..)| *seq <= expected.read)
        .count() as u64;
    ensure_eq!(found.read_ordinal, read, "messages read {place}");
    // What was read was delivered, whether the row says so or not.
    let delivered = found.delivered.max(found.read);
    ensure_eq!(delivered, expected.delivered, "delivered {place}");
    ensure_eq!(found.hidden, expected.hidden, "hidden {place}");
    ensure_eq!(found.muted_until, expected.muted, "muted {place}");
    ensure_eq!(found.archived, expected.archived, "archived {place}");
    let mentions = talk.posts().filter(|(seq, entry, post)| {
        let is_news = *seq > expected.read && entry.actor != Actor::User(user);
        is_news && post.mentions.contains(&user)
    });
    let mentions: Vec<Seq> = mentions.map(|(seq, ..)| seq).collect();
    ensure_eq!(found.mentions, mentions, "unread mentions {place}");
    Ok(())
}

/// What one who is or was a member sees of a conversation.
async fn membership(
    world: &World,
    id: ConversationId,
    talk: &Talk,
    user: UserId,
    member: &Membership,
) -> Result<(), Violation> {
    let viewer = Viewer::User(user);
    let end = member.end();
    let log = world.log(viewer, id).await?;
    for (seq, event) in &log {
        let entry = talk.entry(*seq);
        let entry =
            entry.ok_or_else(|| Violation::new(format!("seq {seq} of {id} is invented")))?;
        let shown = member.sees.contains(seq)
            && entry
                .kind
                .target()
                .is_none_or(|target| member.sees.contains(&target))
            && talk.told_by(*seq).is_none_or(|post| post.changed <= end);
        let expected = shown.then(|| expected(*seq, entry));
        ensure_eq!(
            event.as_ref().map(told),
            expected,
            "seq {seq} of {id} for {user}"
        );
    }
    let told: BTreeSet<Seq> = log.iter().map(|(seq, _)| *seq).collect();
    ensure!(
        member.sees.is_subset(&told),
        "the log of {id} for {user} lacks something: {told:?} of {:?}",
        member.sees
    );
    let last = log.last().map(|(seq, _)| *seq);
    ensure!(
        last.is_none_or(|last| member.role.is_some() || member.sees.contains(&last)),
        "the log of {id} for {user}, who is no member, ends with {last:?}"
    );
    let history = world.history(viewer, id).await?;
    let history: Vec<_> = history.iter().map(seen).collect();
    let expected = messages(talk, end, |seq| member.sees.contains(&seq));
    ensure_eq!(history, expected, "the history of {id} for {user}");
    let entry = world.store.entry(user, id).await?;
    row(id, talk, &entry.member, member)?;
    let count = entry.member.unread(&entry.head);
    let unread = talk.posts().filter(|(seq, ..)| *seq > member.read).count() as u64;
    let unread = if member.role.is_some() { unread } else { 0 };
    ensure_eq!(count, unread, "unread of {user} in {id}");
    let settings = &entry.conversation;
    ensure_eq!(
        (settings.kind, &settings.key, settings.managed),
        (talk.kind, &talk.key, talk.managed),
        "settings of {id}"
    );
    let found = Parted {
        title: settings.title.clone(),
        history: settings.history,
        pins: settings.pins.clone(),
        owner: settings.owner,
        members: settings.members as usize,
    };
    let expected = match member.role {
        Some(_) => talk.settings(),
        None => member.parted.clone(),
    };
    ensure_eq!(found, expected, "settings of {id} for {user}");
    if member.role.is_some() {
        let last = talk.posts().last().map(|(seq, ..)| seq);
        let at = (entry.head.seq, entry.head.message, entry.head.at);
        ensure_eq!(
            at,
            (talk.head(), last.unwrap_or(0), talk.active),
            "head of {id}"
        );
        let visible = last.filter(|seq| member.sees.contains(seq));
        let shown = entry.last.map(|message| message.seq);
        ensure_eq!(shown, visible, "last message of {id} for {user}");
    } else {
        let known = talk.posts().filter(|(seq, ..)| *seq <= end);
        let (count, last) = known.fold((0, None), |(count, _), last| (count + 1, Some(last)));
        let last = last.filter(|(seq, ..)| member.sees.contains(seq));
        let active = last.map_or_else(|| talk.entry(end), |(_, entry, _)| Some(entry));
        let head = &entry.head;
        ensure_eq!(
            (head.seq, head.ordinal, head.message, Some(head.at)),
            (
                end,
                count,
                last.map_or(0, |(seq, ..)| seq),
                active.map(|entry| entry.at)
            ),
            "head of {id} for {user}, who left"
        );
        let stands = last.filter(|(.., post)| post.changed <= end);
        ensure_eq!(
            entry.last.map(|message| message.seq),
            stands.map(|(seq, ..)| seq),
            "last message of {id} for {user}, who left"
        );
    }
    Ok(())
}

async fn stranger(world: &World, id: ConversationId, user: UserId) -> Result<(), Violation> {
    let viewer = Viewer::User(user);
    let kinds = [
        world.history(viewer, id).await.map(drop),
        world.store.log(viewer, id.into(), 0, 1).await.map(drop),
        world.store.entry(user, id).await.map(drop),
        world.store.members(viewer, id, None, 1).await.map(drop),
    ]
    .map(|result| result.err().map(|error| error.kind()));
    ensure_eq!(
        kinds,
        [Some(ErrorKind::NotFound); 4],
        "{id} for {user}, a stranger"
    );
    Ok(())
}

/// A user's list, memberships and own log.
async fn lists(world: &World, model: &Naive, user: UserId) -> Result<(), Violation> {
    let talks = model.talks.iter();
    let mine: Vec<_> = talks
        .filter_map(|(id, talk)| Some((*id, talk, talk.members.get(&user)?)))
        .filter(|(.., member)| member.role.is_some())
        .collect();
    let last = |talk: &Talk| talk.posts().last().map_or(0, |(seq, ..)| seq);
    let mut listed: Vec<_> = mine
        .iter()
        .filter(|(_, talk, member)| member.hidden == 0 || last(talk) > member.hidden)
        .map(|(id, talk, _)| (talk.active, *id))
        .collect();
    listed.sort_unstable();
    listed.reverse();
    let inbox = world.store.inbox(user, None, ALL).await?;
    let found: Vec<_> = inbox
        .iter()
        .map(|e| (e.head.at, e.conversation.id))
        .collect();
    ensure_eq!(found, listed, "the list of {user}");
    let memberships = world.store.memberships(user).await?;
    let found: BTreeSet<_> = memberships
        .conversations
        .iter()
        .map(|(id, _, s)| (*id, *s))
        .collect();
    let expected: BTreeSet<_> = mine
        .iter()
        .map(|(id, talk, _)| (*id, talk.head()))
        .collect();
    ensure_eq!(found, expected, "memberships of {user}");
    let person = &model.people[&user];
    let log = world.log(Viewer::User(user), user).await?;
    let found: Vec<_> = log
        .iter()
        .filter_map(|(_, event)| event.as_ref().map(told))
        .collect();
    let entries: Vec<_> = (1..)
        .zip(&person.log)
        .map(|(seq, e)| expected_of(seq, e))
        .collect();
    ensure_eq!(found, entries, "the log of {user}");
    ensure_eq!(
        memberships.head,
        person.log.len() as Seq,
        "head of the log of {user}"
    );
    let named = world
        .store
        .find_users(&crate::fold_name(&person.name), ALL)
        .await?;
    let named = named
        .iter()
        .find(|other| other.id == user)
        .map(|user| &user.name);
    ensure_eq!(named, Some(&person.name), "the name of {user}");
    Ok(())
}

use expected as expected_of;

/// The feed holds every log, each in its order.
async fn feed(world: &World, model: &Naive) -> Result<(), Violation> {
    let feed = world.store.feed(0, ALL).await?;
    let logs = model
        .talks
        .iter()
        .map(|(id, talk)| (LogId::from(*id), &talk.log))
        .chain(
            model
                .people
                .iter()
                .map(|(user, person)| (LogId::from(*user), &person.log)),
        );
    let mut count = 0;
    for (log, entries) in logs {
        let found: Vec<_> = feed
            .iter()
            .filter(|entry| entry.event.log == log)
            .map(|entry| told(&entry.event))
            .collect();
        let entries: Vec<_> = (1..)
            .zip(entries)
            .map(|(seq, e)| expected(seq, e))
            .collect();
        ensure_eq!(found, entries, "{log:?} in the feed");
        count += found.len();
    }
    ensure_eq!(feed.len(), count, "entries of the feed");
    Ok(())
}
