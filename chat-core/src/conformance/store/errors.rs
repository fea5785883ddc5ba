//! Law 12 as far as it is asked from outside: typed errors, and futures that may be dropped.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Waker};

use crate::conformance::world::{World, about_self, create, created, prepared, refused, to};
use crate::conformance::{Fixture, Outcome, Verdict, ensure, ensure_eq};
use crate::rules::{Row, RowKey};
use crate::{
    Actor, Change, Content, ConversationId, ErrorKind, History, LogId, Role, Target, UserId,
    Viewer, Write,
};

/// What is wrong with a write is said by the kind of its error.
///
/// # Errors
/// How it was broken.
pub async fn errors_are_typed(fixture: &dyn Fixture) -> Outcome {
    let world = World::open(fixture).await?;
    let [alice, bob] = world.users().await?;
    let nobody = UserId::new(bob.get() + 1000)?;
    let nowhere = ConversationId::new(1 << 40)?;
    let id = world.group_of(alice, &[bob]).await?;
    let message = world.post(bob, id, "hello").await?;
    let gone = world.post(bob, id, "gone").await?;
    world
        .change(bob, id, Change::Delete { message: gone })
        .await?;
    let edit = |message, revision| Change::Edit {
        message,
        revision,
        content: "new".into(),
    };
    let react = |emoji: String| Change::React {
        message,
        emoji,
        on: true,
    };
    let empty = Content {
        text: String::new(),
        data: None,
    };
    let direct = |a, b| {
        Write::new(
            Actor::User(alice),
            Target::Direct(a, b),
            vec![Change::post("x")],
        )
    };
    let group = |changes| Write::new(Actor::User(alice), Target::Group, changes);
    let add = |user| Change::Add {
        user,
        role: Role::Member,
    };
    let here = |change| to(alice, id, vec![change]);
    let own = |change| to(bob, id, vec![change]);
    let cases = [
        (
            "a post to nowhere",
            to(alice, nowhere, vec![Change::post("x")]),
            ErrorKind::NotFound,
        ),
        (
            "a direct with nobody",
            direct(alice, nobody),
            ErrorKind::NotFound,
        ),
        (
            "a direct with oneself",
            direct(alice, alice),
            ErrorKind::Invalid,
        ),
        ("adding nobody", here(add(nobody)), ErrorKind::NotFound),
        (
            "a message of nothing",
            here(Change::post(empty)),
            ErrorKind::Invalid,
        ),
        (
            "an edit of no message",
            own(edit(1, None)),
            ErrorKind::NotFound,
        ),
        (
            "an edit beyond the head",
            own(edit(999, None)),
            ErrorKind::NotFound,
        ),
        (
            "an outdated edit",
            own(edit(message, Some(1))),
            ErrorKind::Conflict,
        ),
        (
            "an edit of a deleted one",
            own(edit(gone, None)),
            ErrorKind::Conflict,
        ),
        (
            "an edit of another's",
            here(edit(message, None)),
            ErrorKind::Forbidden,
        ),
        (
            "an empty reaction",
            own(react(String::new())),
            ErrorKind::Invalid,
        ),
        (
            "a long reaction",
            own(react("+".repeat(65))),
            ErrorKind::Invalid,
        ),
        (
            "a group without its settings",
            group(vec![Change::post("x")]),
            ErrorKind::Invalid,
        ),
        (
            "a group with nobody",
            group(vec![create(&[(nobody, Role::Member)], History::All)]),
            ErrorKind::NotFound,
        ),
        (
            "a change to a conversation of a user",
            about_self(alice, Change::post("x")),
            ErrorKind::Invalid,
        ),
        (
            "a change to a user of a conversation",
            here(Change::Block {
                user: bob,
                on: true,
            }),
            ErrorKind::Invalid,
        ),
        (
            "blocking oneself",
            about_self(
                alice,
                Change::Block {
                    user: alice,
                    on: true,
                },
            ),
            ErrorKind::Invalid,
        ),
    ];
    for (what, write, kind) in cases {
        refused(what, world.commit(write).await, &[kind])?;
    }
    // What is so already stays so: no error, and nothing to tell.
    let again = world.commit(own(Change::Delete { message: gone })).await?;
    ensure_eq!(again.events, vec![], "what a second deletion tells");
    // Reads say it too.
    let beyond = world
        .store
        .log(Viewer::User(alice), id.into(), 1000, 10)
        .await?;
    ensure_eq!(
        (beyond.resync, beyond.entries.len()),
        (Some(gone + 1), 0),
        "a cursor beyond the end"
    );
    let nothing = world.store.log(Viewer::All, nowhere.into(), 0, 10).await;
    refused("a log of nowhere", nothing, &[ErrorKind::NotFound])?;
    // Rows come in the keys' order, those that are not there as well.
    let keys = vec![
        RowKey::User(bob),
        RowKey::Conversation(nowhere),
        RowKey::Head(LogId::from(id)),
        RowKey::User(alice),
    ];
    let rows = world.store.rows(keys).await?;
    let found = rows.iter().map(|row| match row {
        Some(Row::User(user)) => user.id.get(),
        Some(Row::Head(head)) => head.seq,
        Some(_) => u64::MAX,
        None => 0,
    });
    let expected = vec![bob.get(), 0, gone + 1, alice.get()];
    ensure_eq!(found.collect::<Vec<_>>(), expected, "rows by key");
    Ok(Verdict::Holds)
}

/// Dropping a commit's future, polled or not, neither harms the store nor leaves half a write: the same key settles it.
///
/// # Errors
/// How it was broken.
pub async fn dropped_futures_finish(fixture: &dyn Fixture) -> Outcome {
    let world = World::open(fixture).await?;
    let [alice, bob] = world.users().await?;
    let id = world.group_of(alice, &[bob]).await?;
    let mut writes = Vec::new();
    for round in 0..20 {
        let changes = vec![
            Change::post(format!("{round} a")),
            Change::post(format!("{round} b")),
        ];
        let write = to(alice, id, changes);
        {
            let mut commit = pin!(world.store.commit(vec![prepared(write.clone())]));
            let mut cx = Context::from_waker(Waker::noop());
            for _ in 0..round % 3 {
                // Whether it is done by then or not: from here on nobody waits for it.
                if commit.as_mut().poll(&mut cx).is_ready() {
                    break;
                }
                tokio::task::yield_now().await;
            }
        }
        writes.push(write);
    }
    for write in writes {
        let done = world.commit(write).await?;
        ensure_eq!(done.count, 2, "entries of a write");
    }
    let log = world.log(Viewer::All, id).await?;
    ensure_eq!(log.len(), 41, "entries of the log");
    let history = world.history(Viewer::All, id).await?;
    let texts = history.chunks(2).map(|pair| {
        pair.iter()
            .filter_map(|m| {
                m.content
                    .as_ref()?
                    .text
                    .split(' ')
                    .next()
                    .map(str::to_owned)
            })
            .collect::<Vec<_>>()
    });
    for pair in texts {
        ensure!(
            pair.len() == 2 && pair[0] == pair[1],
            "a write was torn: {pair:?}"
        );
    }
    Ok(Verdict::Holds)
}

/// A closed store answers `Unavailable`, and closing twice is no harm.
///
/// # Errors
/// How it was broken.
pub async fn closed_is_closed(fixture: &dyn Fixture) -> Outcome {
    let world = World::open(fixture).await?;
    let [alice, bob] = world.users().await?;
    let write = Write::post(alice, Target::Direct(alice, bob), "hello");
    let id = created(&world.commit(write).await?)?;
    world.store.close().await?;
    let kinds = &[ErrorKind::Unavailable];
    refused("a post", world.post(alice, id, "late").await, kinds)?;
    let store = &world.store;
    refused("an entry", store.entry(alice, id).await, kinds)?;
    refused("a feed", store.feed(0, 1).await, kinds)?;
    let log = store.log(Viewer::User(alice), id.into(), 0, 1).await;
    refused("a log", log, kinds)?;
    world.store.close().await?;
    Ok(Verdict::Holds)
}
