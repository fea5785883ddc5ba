//! Law 7: authorised at every exit, in the same snapshot as the read.

use crate::conformance::world::{ALL, World, about_self, created, refused, to};
use crate::conformance::{Fixture, Outcome, Verdict, Violation, ensure, ensure_eq};
use crate::{
    Change, ConversationId, ErrorKind, EventKind, History, LogId, Role, Seq, Span, Target, UserId,
    Viewer, Write,
};

const GONE: &[ErrorKind] = &[ErrorKind::NotFound];

/// Fails unless nothing tells a user that a conversation exists.
async fn knows_nothing(world: &World, user: UserId, id: ConversationId) -> Result<(), Violation> {
    let viewer = Viewer::User(user);
    let store = &world.store;
    refused("a log", store.log(viewer, id.into(), 0, 10).await, GONE)?;
    for span in [Span::Latest, Span::Before(5), Span::After(0)] {
        let history = store.history(viewer, id, span, 10).await;
        refused("a history", history, GONE)?;
    }
    refused("an entry", store.entry(user, id).await, GONE)?;
    let inbox = store.inbox(user, None, ALL).await?;
    ensure!(
        inbox.iter().all(|entry| entry.conversation.id != id),
        "a list tells of a conversation of others"
    );
    let memberships = store.memberships(user).await?.conversations;
    ensure!(
        memberships.iter().all(|(other, ..)| *other != id),
        "memberships tell of a conversation of others"
    );
    let own = world.log(viewer, user).await?;
    ensure!(
        own.iter()
            .all(|(_, event)| event
                .as_ref()
                .is_none_or(|event| !format!("{:?}", event.kind).contains(&format!("{id:?}")))),
        "a user's log tells of a conversation of others"
    );
    Ok(())
}

/// Who never was a member finds nothing, by any way, of a group and of a direct conversation, and gets the same answer as
/// for what does not exist.
///
/// # Errors
/// How it was broken.
pub async fn strangers_learn_nothing(fixture: &dyn Fixture) -> Outcome {
    let world = World::open(fixture).await?;
    let [alice, bob, stranger] = world.users().await?;
    let group = world.group_of(alice, &[bob]).await?;
    world.post(alice, group, "ours").await?;
    let write = Write::post(alice, Target::Direct(alice, bob), "ours");
    let direct = created(&world.commit(write).await?)?;
    let nowhere = ConversationId::new(group.get().max(direct.get()) + 1000)?;
    for id in [group, direct, nowhere] {
        knows_nothing(&world, stranger, id).await?;
        let answers = [
            world.post(stranger, id, "mine").await.map(drop),
            world
                .change(stranger, id, Change::Read { seq: 1 })
                .await
                .map(drop),
            world.store.entry(stranger, id).await.map(drop),
        ];
        for answer in answers {
            refused("a stranger", answer, GONE)?;
        }
    }
    // Told apart by their words alone they would be told apart as well.
    let words = |result: Result<Seq, crate::Error>| result.map_err(|error| error.to_string());
    let real = words(world.post(stranger, group, "mine").await);
    let none = words(world.post(stranger, nowhere, "mine").await);
    ensure_eq!(real, none, "the answer for a real one and for none");
    Ok(Verdict::Holds)
}

/// Former members read what they could read, up to and with the event of their end, and nothing later, by any way; nor is
/// anything they do there accepted. What changed a message later is not told either, and so neither is the message; the
/// conversation they see is the one they left.
///
/// # Errors
/// How it was broken.
pub async fn former_members_see_up_to_their_end(fixture: &dyn Fixture) -> Outcome {
    let world = World::open(fixture).await?;
    let [owner, removed, left] = world.users().await?;
    let id = world.group_of(owner, &[removed, left]).await?;
    let titled = |title: &str| Change::Configure {
        title: Some(title.into()),
        data: None,
        history: None,
    };
    let pinned = |message| Change::Pin { message, on: true };
    let first = world.post(owner, id, "for all").await?;
    let kept = world.post(owner, id, "for all, and for good").await?;
    world.change(owner, id, titled("early")).await?;
    world.change(owner, id, pinned(first)).await?;
    let remove = Change::Remove { user: removed };
    let removal = world.change(owner, id, remove).await?.last();
    let second = world.post(owner, id, "without the removed").await?;
    world.change(owner, id, titled("between")).await?;
    let leave = Change::Leave { successor: None };
    let leaving = world.change(left, id, leave).await?.last();
    let third = world.post(owner, id, "alone").await?;
    let edit = Change::Edit {
        message: first,
        revision: None,
        content: "for me alone".into(),
    };
    world.change(owner, id, edit).await?;
    let react = Change::React {
        message: second,
        emoji: "+".into(),
        on: true,
    };
    world.change(owner, id, react).await?;
    world.change(owner, id, titled("late")).await?;
    world.change(owner, id, pinned(kept)).await?;
    for (user, end, last, title, members) in [
        (removed, removal, kept, "early", 2),
        (left, leaving, second, "between", 1),
    ] {
        let viewer = Viewer::User(user);
        let page = world.store.log(viewer, id.into(), 0, ALL).await?;
        ensure_eq!(page.head, end, "the last seq that exists for {user}");
        let log = world.seen(user, id).await?;
        let stands = |seq: &Seq| *seq != first && *seq != second;
        let told: Vec<Seq> = (1..=end).filter(stands).collect();
        ensure_eq!(log, told, "the log for {user}");
        let event = page.entries.last().and_then(|(_, e)| e.as_ref());
        let event = event.map(|event| &event.kind);
        ensure_eq!(event, Some(&EventKind::Left { user }), "the end for {user}");
        for span in [Span::After(0), Span::Latest, Span::Before(third + 1)] {
            let history = world.store.history(viewer, id, span, ALL).await?;
            let seqs: Vec<_> = history.iter().map(|message| message.seq).collect();
            ensure_eq!(seqs, vec![kept], "history {span:?} for {user}");
        }
        let entry = world.store.entry(user, id).await?;
        let head = (entry.head.seq, entry.head.message);
        ensure_eq!(head, (end, last), "head in the entry of {user}");
        let shown = entry.last.as_ref().map(|message| message.seq);
        let stands = Some(last).filter(|last| *last == kept);
        ensure_eq!(shown, stands, "last message of {user}");
        let settings = &entry.conversation;
        ensure_eq!(
            (settings.title.as_deref(), &settings.pins, settings.members),
            (Some(title), &vec![first], members),
            "the conversation that {user} left"
        );
        ensure_eq!(entry.member.unread(&entry.head), 0, "unread of {user}");
        let inbox = world.store.inbox(user, None, ALL).await?;
        ensure!(inbox.is_empty(), "a former member still lists it");
        let memberships = world.store.memberships(user).await?.conversations;
        ensure!(
            memberships.is_empty(),
            "a former member is still subscribed"
        );
        let members = world.store.members(viewer, id, None, ALL).await;
        refused("members", members, GONE)?;
        refused("a post", world.post(user, id, "me too").await, GONE)?;
        let after = world.store.log(viewer, id.into(), end, ALL).await?;
        ensure!(after.entries.is_empty(), "something follows the end");
    }
    // Who is a member again sees what is theirs as it stands.
    let add = Change::Add {
        user: removed,
        role: Role::Member,
    };
    world.change(owner, id, add).await?;
    ensure_eq!(
        world.read(removed, id).await?,
        vec![first, kept, second, third],
        "the history for one who is back"
    );
    let entry = world.store.entry(removed, id).await?;
    let title = entry.conversation.title;
    ensure_eq!(
        title.as_deref(),
        Some("late"),
        "the title for one who is back"
    );
    Ok(Verdict::Holds)
}

/// What one who left is shown of the conversation stays as it was when they left, whatever follows: had they cleared it before
/// or not.
///
/// # Errors
/// How it was broken.
pub async fn what_was_left_stays_as_it_was(fixture: &dyn Fixture) -> Outcome {
    let world = World::open(fixture).await?;
    let [owner, cleared, plain] = world.users().await?;
    let id = world.group_of(owner, &[cleared, plain]).await?;
    let last = world.post(owner, id, "for all").await?;
    world.change(cleared, id, Change::Hide).await?;
    let mut left = Vec::new();
    for (user, message) in [(cleared, 0), (plain, last)] {
        let leave = Change::Leave { successor: None };
        let end = world.change(user, id, leave).await?.last();
        let entry = world.store.entry(user, id).await?;
        let head = (entry.head.seq, entry.head.message);
        ensure_eq!(head, (end, message), "the head for {user}, who left");
        left.push((user, entry));
    }
    world.post(owner, id, "alone").await?;
    for (user, before) in left {
        let entry = world.store.entry(user, id).await?;
        ensure_eq!(entry, before, "what {user} left");
    }
    Ok(Verdict::Holds)
}

/// Who joins later sees all of it, or what follows their joining, as the group's setting was at that time; a gap between
/// two memberships stays closed.
///
/// # Errors
/// How it was broken.
pub async fn late_joiners_see_their_part(fixture: &dyn Fixture) -> Outcome {
    let world = World::open(fixture).await?;
    let [owner, early, late] = world.users().await?;
    let id = world.found(owner, &[], History::All).await?;
    let add = |user| Change::Add {
        user,
        role: Role::Member,
    };
    world.post(owner, id, "2").await?;
    world.change(owner, id, add(early)).await?;
    let joined_only = Change::Configure {
        title: None,
        data: None,
        history: Some(History::Joined),
    };
    world.change(owner, id, joined_only).await?;
    world.post(owner, id, "5").await?;
    world.change(owner, id, add(late)).await?;
    world.post(owner, id, "7").await?;
    ensure_eq!(
        world.seen(early, id).await?,
        (1..=7).collect::<Vec<_>>(),
        "with history"
    );
    ensure_eq!(world.seen(late, id).await?, vec![6, 7], "without history");
    ensure_eq!(
        world.read(late, id).await?,
        vec![7],
        "messages without history"
    );
    let page = world
        .store
        .log(Viewer::User(late), id.into(), 0, ALL)
        .await?;
    ensure_eq!(
        (page.resync, page.head),
        (Some(5), 7),
        "a cursor from before"
    );
    // Away for 9 and 10, back at 11.
    world
        .change(owner, id, Change::Remove { user: early })
        .await?;
    world
        .change(owner, id, Change::Remove { user: late })
        .await?;
    world.post(owner, id, "10").await?;
    world.change(owner, id, add(late)).await?;
    world.post(owner, id, "12").await?;
    ensure_eq!(
        world.seen(late, id).await?,
        vec![6, 7, 8, 9, 11, 12],
        "with a gap"
    );
    ensure_eq!(
        world.read(late, id).await?,
        vec![7, 12],
        "messages with a gap"
    );
    let log = world.log(Viewer::User(late), id).await?;
    let hole = log
        .iter()
        .find(|(seq, _)| *seq == 10)
        .map(|(_, e)| e.is_none());
    ensure_eq!(
        hole,
        Some(true),
        "the entry of the gap is there, but hidden"
    );
    ensure_eq!(
        world.seen(early, id).await?,
        (1..=8).collect::<Vec<_>>(),
        "removed before"
    );
    Ok(Verdict::Holds)
}

/// Hiding clears a conversation for one member and takes it off their list until the next message; others keep all of it.
///
/// # Errors
/// How it was broken.
pub async fn hiding_clears_for_one(fixture: &dyn Fixture) -> Outcome {
    let world = World::open(fixture).await?;
    let [alice, bob] = world.users().await?;
    let target = Target::Direct(alice, bob);
    let id = created(&world.commit(Write::post(alice, target, "2")).await?)?;
    world.post(bob, id, "3").await?;
    world.change(alice, id, Change::Hide).await?;
    ensure!(world.read(alice, id).await?.is_empty(), "a cleared history");
    ensure!(world.seen(alice, id).await?.is_empty(), "a cleared log");
    let entry = world.store.entry(alice, id).await?;
    ensure!(entry.last.is_none(), "a cleared last message");
    ensure_eq!(world.unread(alice, id).await?, 0, "unread after clearing");
    let inbox = world.store.inbox(alice, None, ALL).await?;
    ensure!(inbox.is_empty(), "it is still listed");
    ensure_eq!(
        world.read(bob, id).await?,
        vec![2, 3],
        "the other's history"
    );
    let inbox = world.store.inbox(bob, None, ALL).await?;
    ensure_eq!(inbox.len(), 1, "the other's list");
    let react = Change::React {
        message: 3,
        emoji: "+".into(),
        on: true,
    };
    world.change(bob, id, react).await?;
    let inbox = world.store.inbox(alice, None, ALL).await?;
    ensure!(inbox.is_empty(), "a reaction brought it back");
    world.post(bob, id, "5").await?;
    let inbox = world.store.inbox(alice, None, ALL).await?;
    ensure_eq!(inbox.len(), 1, "the list after the next message");
    ensure_eq!(
        world.read(alice, id).await?,
        vec![5],
        "history after clearing"
    );
    ensure_eq!(world.unread(alice, id).await?, 1, "unread after clearing");
    Ok(Verdict::Holds)
}

/// An event about a message outside a reader's ranges is told as something hidden: no edit, deletion, reaction or pin of it.
///
/// # Errors
/// How it was broken.
pub async fn hidden_targets_are_not_told(fixture: &dyn Fixture) -> Outcome {
    let world = World::open(fixture).await?;
    let [owner, late] = world.users().await?;
    let id = world.found(owner, &[], History::Joined).await?;
    let message = world.post(owner, id, "before").await?;
    let add = Change::Add {
        user: late,
        role: Role::Member,
    };
    world.change(owner, id, add).await?;
    let emoji = || "+".to_owned();
    let about = |message| {
        [
            Change::Edit {
                message,
                revision: None,
                content: "edited".into(),
            },
            Change::React {
                message,
                emoji: emoji(),
                on: true,
            },
            Change::Pin { message, on: true },
            Change::React {
                message,
                emoji: emoji(),
                on: false,
            },
            Change::Pin { message, on: false },
            Change::Delete { message },
        ]
    };
    for (hidden, missing) in about(message).into_iter().zip(about(1000)) {
        let what = format!("{hidden:?}");
        let [hidden, missing] = [
            world.change(late, id, hidden).await,
            world.change(late, id, missing).await,
        ]
        .map(|answer| answer.map_err(|error| (error.kind(), error.to_string())));
        ensure!(hidden.is_err(), "a change to what one may not see: {what}");
        ensure_eq!(
            hidden,
            missing,
            "the answers for a hidden message and for none"
        );
    }
    let about = about(message);
    let count = about.len();
    world.commit(to(owner, id, about.to_vec())).await?;
    let seen = world.post(owner, id, "after").await?;
    let page = world
        .store
        .log(Viewer::User(late), id.into(), 3, ALL)
        .await?;
    let told: Vec<_> = page
        .entries
        .iter()
        .map(|(_, event)| event.is_some())
        .collect();
    let mut expected = vec![false; count];
    expected.push(true);
    ensure_eq!(told, expected, "entries told, after the one of the joining");
    ensure_eq!(world.seen(late, id).await?, vec![3, seen], "seqs seen");
    let whole = world.seen(owner, id).await?;
    ensure_eq!(whole.len() as Seq, seen, "seqs the owner sees");
    Ok(Verdict::Holds)
}

/// A user's log is that user's alone.
///
/// # Errors
/// How it was broken.
pub async fn user_logs_are_private(fixture: &dyn Fixture) -> Outcome {
    let world = World::open(fixture).await?;
    let [alice, bob] = world.users().await?;
    let id = world.group_of(alice, &[bob]).await?;
    let block = Change::Block {
        user: bob,
        on: true,
    };
    world.commit(about_self(alice, block)).await?;
    let log = LogId::User(alice);
    let store = &world.store;
    let foreign = store.log(Viewer::User(bob), log, 0, 10).await;
    refused("another's log", foreign, GONE)?;
    let nobody = LogId::User(UserId::new(bob.get() + 1000)?);
    let missing = store.log(Viewer::User(bob), nobody, 0, 10).await;
    refused("nobody's log", missing, GONE)?;
    let own = world.log(Viewer::User(alice), log).await?;
    let kinds: Vec<_> = own
        .into_iter()
        .filter_map(|(_, e)| e.map(|e| e.kind))
        .collect();
    let expected = vec![
        EventKind::Added {
            conversation: id,
            seq: 1,
        },
        EventKind::Blocked {
            user: bob,
            on: true,
        },
    ];
    ensure_eq!(kinds, expected, "the own log");
    let others = world.log(Viewer::User(bob), bob).await?;
    ensure_eq!(others.len(), 1, "the log of who was blocked");
    Ok(Verdict::Holds)
}
