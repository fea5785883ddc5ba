//! Law 2: durable before acknowledged, and readable only then.

use std::pin::pin;

use crate::conformance::world::{ALL, World, about_self, create, created, prepared, to};
use crate::conformance::{Fixture, Outcome, Verdict, ensure, ensure_eq};
use crate::{Actor, Change, ErrorKind, History, Limits, Role, Seq, Span, Target, Viewer, Write};

/// What was acknowledged can be read at once, by every way out.
///
/// # Errors
/// How it was broken.
pub async fn readable_when_acknowledged(fixture: &dyn Fixture) -> Outcome {
    let world = World::open(fixture).await?;
    let [alice, bob] = world.users().await?;
    for round in 0..20 {
        let text = format!("round {round}");
        let write = Write::post(alice, Target::Direct(alice, bob), text.clone());
        let done = world.commit(write).await?;
        let id = created(&done)?;
        let seq = done.last();
        let head = world.store.entry(bob, id).await?.head;
        ensure_eq!((head.seq, head.message), (seq, seq), "head after a commit");
        let page = world.store.log(Viewer::User(bob), id.into(), seq - 1, 10);
        let page = page.await?.entries;
        ensure_eq!(page.len(), 1, "entries after a commit");
        let latest = world.store.history(Viewer::User(bob), id, Span::Latest, 1);
        let latest = latest.await?.pop().and_then(|message| message.content);
        ensure_eq!(latest.map(|content| content.text), Some(text), "history");
        let inbox = world.store.inbox(bob, None, 10).await?;
        let last = inbox.first().and_then(|entry| entry.last.as_ref());
        ensure_eq!(last.map(|message| message.seq), Some(seq), "inbox");
        let fed = world.store.feed(0, ALL).await?;
        let fed = fed.last().map(|entry| (entry.event.log, entry.event.seq));
        ensure_eq!(fed, Some((id.into(), seq)), "end of the feed");
    }
    Ok(Verdict::Holds)
}

/// A group becomes readable as a whole: who reads while it is committed sees all of it or none, and nothing that has been
/// seen goes away again.
///
/// # Errors
/// How it was broken.
pub async fn groups_appear_whole(fixture: &dyn Fixture) -> Outcome {
    const GROUP: usize = 10;
    let world = World::open(fixture).await?;
    let [alice, bob] = world.users().await?;
    let id = world.group_of(alice, &[bob]).await?;
    let mut head: Seq = 1;
    for round in 0..20 {
        let group = (0..GROUP)
            .map(|n| prepared(to(alice, id, vec![Change::post(format!("{round} {n}"))])))
            .collect();
        let mut commit = pin!(world.store.commit(group));
        let after = head + GROUP as Seq;
        loop {
            // Whichever is ready first, the reader looks between any two steps of the commit.
            let results = tokio::select! {
                biased;
                results = &mut commit => Some(results),
                () = tokio::task::yield_now() => None,
            };
            let seen = world
                .store
                .log(Viewer::User(bob), id.into(), 0, ALL)
                .await?;
            ensure!(
                seen.head == head || seen.head == after,
                "a part of a group was readable: head {} between {head} and {after}",
                seen.head
            );
            ensure_eq!(seen.entries.len() as Seq, seen.head, "entries of the log");
            if let Some(results) = results {
                for result in results {
                    result?;
                }
                ensure_eq!(seen.head, after, "head after the group's commit");
                break;
            }
        }
        head = after;
    }
    Ok(Verdict::Holds)
}

/// What was acknowledged is there after reopening, all of it and the same, and logs go on where they ended.
///
/// # Errors
/// How it was broken.
pub async fn kept_when_reopened(fixture: &dyn Fixture) -> Outcome {
    let mut world = World::open(fixture).await?;
    let [alice, bob, carol] = world.users().await?;
    let members = [(bob, Role::Admin), (carol, Role::Member)];
    let id = world.found(alice, &members, History::Joined).await?;
    for round in 0..3 {
        let message = world.post(alice, id, format!("round {round}")).await?;
        let changes = vec![
            Change::React {
                message,
                emoji: "+".into(),
                on: true,
            },
            Change::Pin { message, on: true },
            Change::Read { seq: message },
            Change::Archive { on: round == 1 },
        ];
        world.commit(to(bob, id, changes)).await?;
        let change = Change::Edit {
            message,
            revision: Some(0),
            content: "edited".into(),
        };
        world.change(alice, id, change).await?;
        let change = Change::Hide;
        world.change(carol, id, change).await?;
        let users = [alice, bob, carol];
        let before = world.picture(&users, &[id]).await?;
        let head = world.store.entry(alice, id).await?.head.seq;
        world = match world.reopen(fixture).await? {
            Some(world) => world,
            None => return Ok(Verdict::Skipped("this store keeps nothing")),
        };
        let after = world.picture(&users, &[id]).await?;
        ensure_eq!(after, before, "what is kept");
        let seq = world.post(carol, id, "on").await?;
        ensure_eq!(seq, head + 1, "the first seq after reopening");
    }
    Ok(Verdict::Holds)
}

/// The longest texts that a user may write, and names and keys as long as the model allows, are kept to the last byte: when
/// they are new, after they were made shorter and longer again, and after reopening.
///
/// # Errors
/// How it was broken.
pub async fn longest_texts_are_kept(fixture: &dyn Fixture) -> Outcome {
    let limits = Limits::default();
    let mut world = World::open(fixture).await?;
    let [alice, bob] = world.users().await?;
    // Each takes most when it is written in another way: as UTF-8, escaped in JSON.
    let (wide, escaped) = ("\u{1f600}", "\u{1}");
    let target = Target::Key(wide.repeat(64));
    let create = create(&[(alice, Role::Owner), (bob, Role::Member)], History::All);
    let named = Write::new(Actor::Host, target.clone(), vec![create]);
    let id = created(&world.commit(named).await?)?;
    let name = Some(wide.repeat(64));
    let profile = Change::Profile {
        name: name.clone(),
        data: None,
    };
    world.commit(about_self(alice, profile)).await?;
    let mut texts = Vec::new();
    for text in [
        wide.repeat(limits.text / 4),
        escaped.repeat(limits.text),
        "short".into(),
    ] {
        let message = world.post(alice, id, text.clone()).await?;
        texts.push((message, text));
    }
    for round in 0..3 {
        let history = world.history(Viewer::User(bob), id).await?;
        let found = history
            .into_iter()
            .filter_map(|m| Some((m.seq, m.content?.text)));
        // Not told whole: they are long.
        ensure!(
            found.eq(texts.iter().cloned()),
            "a long text is not what it was, round {round}"
        );
        let again = world
            .commit(Write::new(Actor::Host, target.clone(), vec![]))
            .await?;
        ensure_eq!(
            again.conversation,
            Some(id),
            "the conversation of a long key"
        );
        let users = world.store.find_users(wide, 10).await?;
        let names: Vec<_> = users.into_iter().map(|user| Some(user.name)).collect();
        ensure_eq!(names, vec![name.clone()], "a long name");
        // Each in the place of another.
        let moved: Vec<_> = texts.iter().map(|(_, text)| text.clone()).collect();
        for (n, (message, text)) in texts.iter_mut().enumerate() {
            *text = moved[(n + 1) % moved.len()].clone();
            let change = Change::Edit {
                message: *message,
                revision: None,
                content: text.clone().into(),
            };
            world.change(alice, id, change).await?;
        }
        if let Some(store) = fixture.reopen(world.store.clone()).await? {
            world.store = store;
        }
    }
    Ok(Verdict::Holds)
}

/// Law 12 on a failed sync: the group gets `Unavailable`, nothing of it is readable, commits stay refused while reads go
/// on; after reopening the group is there whole or not at all, and the same keys settle it.
///
/// # Errors
/// How it was broken.
pub async fn nothing_of_a_failed_sync(fixture: &dyn Fixture) -> Outcome {
    let world = World::open(fixture).await?;
    let [alice, bob] = world.users().await?;
    let id = world.group_of(alice, &[bob]).await?;
    world.post(alice, id, "before").await?;
    let before = world.picture(&[alice, bob], &[id]).await?;
    if !fixture.break_syncs(&world.store).await {
        return Ok(Verdict::Skipped("this store's syncs cannot be broken"));
    }
    let group: Vec<_> = (0..3)
        .map(|n| to(bob, id, vec![Change::post(format!("lost {n}"))]))
        .collect();
    for round in 0..2 {
        for result in world.group(group.clone()).await? {
            let kind = result.err().map(|error| error.kind());
            ensure_eq!(kind, Some(ErrorKind::Unavailable), "commit {round}");
        }
        let now = world.picture(&[alice, bob], &[id]).await?;
        ensure_eq!(now, before, "what is readable after a failed sync");
    }
    let Some(world) = world.reopen(fixture).await? else {
        return Ok(Verdict::Holds);
    };
    let head = world.store.entry(alice, id).await?.head.seq;
    ensure!(
        head == 2 || head == 5,
        "a part of a failed group is there: head {head}"
    );
    for (n, result) in (3..).zip(world.group(group).await?) {
        let done = result?;
        ensure_eq!(done.first, n, "the seq of a retry");
        ensure_eq!(done.replayed, head == 5, "a retry of what was kept");
    }
    let texts = world.read(alice, id).await?;
    ensure_eq!(texts, vec![2, 3, 4, 5], "messages after the retry");
    Ok(Verdict::Holds)
}
