//! Law 3: idempotent for good.

use tokio::task::JoinSet;

use crate::conformance::world::{World, about_self, create, created, prepared, refused, to};
use crate::conformance::{Fixture, Outcome, Verdict, Violation, ensure, ensure_eq};
use crate::{
    Actor, Change, Committed, Error, ErrorKind, History, Key, Target, Timestamp, Viewer, Write,
};

/// What an answer says about the write, whether it is the first or a replay.
fn said(done: &Committed) -> impl PartialEq + std::fmt::Debug + use<> {
    let Committed {
        conversation,
        user,
        login,
        first,
        count,
        at,
        ..
    } = *done;
    (conversation, user, login, first, count, at)
}

/// Fails unless a write under a used key is answered as a replay of what was done.
fn replays(done: &Committed, again: Result<Committed, Error>) -> Result<(), Violation> {
    let again = again?;
    ensure_eq!(said(&again), said(done), "the answer to a retry");
    ensure!(again.replayed, "a retry is not marked as replayed");
    ensure!(again.events.is_empty(), "a retry yields events");
    Ok(())
}

/// One key a hundred times at once, in groups and alone, makes one message; all get the same answer.
///
/// # Errors
/// How it was broken.
pub async fn one_key_a_hundred_times(fixture: &dyn Fixture) -> Outcome {
    let world = World::open(fixture).await?;
    let [alice, bob] = world.users().await?;
    let write = Write::post(alice, Target::Direct(alice, bob), "once");
    let mut tasks = JoinSet::new();
    for size in [1, 2, 3, 4].into_iter().cycle().take(40) {
        let store = world.store.clone();
        let group: Vec<_> = (0..size).map(|_| prepared(write.clone())).collect();
        tasks.spawn(async move { store.commit(group).await });
    }
    let mut answers = Vec::new();
    while let Some(results) = tasks.join_next().await {
        for result in results? {
            answers.push(result?);
        }
    }
    ensure_eq!(answers.len(), 100, "answers");
    let first = answers.iter().filter(|done| !done.replayed).count();
    ensure_eq!(first, 1, "answers that are no replay");
    for done in &answers {
        ensure_eq!(said(done), said(&answers[0]), "one of the answers");
    }
    let id = created(&answers[0])?;
    let history = world.history(Viewer::All, id).await?;
    ensure_eq!(history.len(), 1, "messages");
    replays(&answers[0], world.commit(write).await)?;
    Ok(Verdict::Holds)
}

/// A key counts after reopening too, however often.
///
/// # Errors
/// How it was broken.
pub async fn key_outlives_reopening(fixture: &dyn Fixture) -> Outcome {
    let mut world = World::open(fixture).await?;
    let [alice, bob] = world.users().await?;
    let write = Write::post(alice, Target::Direct(alice, bob), "once");
    let done = world.commit(write.clone()).await?;
    let id = created(&done)?;
    for _ in 0..2 {
        world = match world.reopen(fixture).await? {
            Some(world) => world,
            None => return Ok(Verdict::Skipped("this store keeps nothing")),
        };
        world.post(bob, id, "between").await?;
        replays(&done, world.commit(write.clone()).await)?;
        let mut other = write.clone();
        other.changes = vec![Change::post("something else")];
        refused(
            "another body under a key from before",
            world.commit(other).await,
            &[ErrorKind::Conflict],
        )?;
    }
    let history = world.history(Viewer::All, id).await?;
    ensure_eq!(history.len(), 3, "messages");
    Ok(Verdict::Holds)
}

/// A key covers what a write creates: conversations of all kinds, users and logins.
///
/// # Errors
/// How it was broken.
pub async fn key_covers_creation(fixture: &dyn Fixture) -> Outcome {
    let world = World::open(fixture).await?;
    let [alice, bob] = world.users().await?;
    let subject = Target::Subject {
        provider: "laws".into(),
        subject: "new".into(),
    };
    let register = Change::Register { name: "New".into() };
    let expires = Timestamp::now().plus_millis(60_000);
    let group = vec![create(&[], History::All), Change::post("hello")];
    let writes = [
        Write::new(Actor::User(alice), Target::Group, group.clone()),
        Write::new(Actor::Host, Target::Key("named".into()), group),
        Write::post(alice, Target::Direct(alice, bob), "hello"),
        Write::new(Actor::Host, subject, vec![register]),
        Write::new(
            Actor::Host,
            Target::User(alice),
            vec![Change::OpenLogin { expires }],
        ),
        about_self(
            alice,
            Change::Block {
                user: bob,
                on: true,
            },
        ),
    ];
    let mut firsts = Vec::new();
    for write in &writes {
        let done = world.commit(write.clone()).await?;
        ensure!(!done.replayed, "a new key is said to be a replay");
        firsts.push(done);
    }
    ensure!(firsts[4].login.is_some(), "an opened login is not named");
    ensure!(firsts[3].user.is_some(), "a new user is not named");
    let ids = [&firsts[0], &firsts[1], &firsts[2]].map(created);
    let [Ok(first), Ok(second), Ok(third)] = ids else {
        return Err(Violation::new("a new conversation is not named"));
    };
    ensure!(
        first != second && second != third && first != third,
        "different conversations share an id"
    );
    let before = world
        .picture(&[alice, bob], &[first, second, third])
        .await?;
    for (write, done) in writes.iter().zip(&firsts) {
        replays(done, world.commit(write.clone()).await)?;
    }
    let after = world
        .picture(&[alice, bob], &[first, second, third])
        .await?;
    ensure_eq!(after, before, "what retries left");
    Ok(Verdict::Holds)
}

/// Another body under a used key is a conflict and changes nothing.
///
/// # Errors
/// How it was broken.
pub async fn key_with_another_body(fixture: &dyn Fixture) -> Outcome {
    let world = World::open(fixture).await?;
    let [alice, bob] = world.users().await?;
    let write = Write::post(alice, Target::Direct(alice, bob), "one");
    let done = world.commit(write.clone()).await?;
    let id = created(&done)?;
    let before = world.picture(&[alice, bob], &[id]).await?;
    let mut other = write.clone();
    other.changes = vec![Change::post("two")];
    refused(
        "another body",
        world.commit(other.clone()).await,
        &[ErrorKind::Conflict],
    )?;
    let results = world.group(vec![other, write]).await?;
    let kinds: Vec<_> = results
        .iter()
        .map(|r| r.as_ref().err().map(Error::kind))
        .collect();
    ensure_eq!(kinds, vec![Some(ErrorKind::Conflict), None], "in a group");
    let after = world.picture(&[alice, bob], &[id]).await?;
    ensure_eq!(after, before, "what a conflict left");
    Ok(Verdict::Holds)
}

/// A key is its author's: others, the host too, may use the same one.
///
/// # Errors
/// How it was broken.
pub async fn key_is_the_authors(fixture: &dyn Fixture) -> Outcome {
    let world = World::open(fixture).await?;
    let [alice, bob] = world.users().await?;
    let write = Write::post(alice, Target::Direct(alice, bob), "same");
    let done = world.commit(write.clone()).await?;
    let id = created(&done)?;
    for actor in [Actor::User(bob), Actor::Host] {
        let mut same = to(actor, id, write.changes.clone());
        same.key = write.key;
        let done = world.commit(same).await?;
        ensure!(!done.replayed, "{actor:?} got another author's answer");
    }
    Ok(Verdict::Holds)
}

/// The same key twice in one group: the second is a replay of the first, or a conflict with it.
///
/// # Errors
/// How it was broken.
pub async fn key_within_a_group(fixture: &dyn Fixture) -> Outcome {
    let world = World::open(fixture).await?;
    let [alice, bob] = world.users().await?;
    let write = Write::post(alice, Target::Direct(alice, bob), "once");
    let mut other = write.clone();
    other.changes = vec![Change::post("other")];
    let group = vec![write.clone(), write.clone(), other, write];
    let mut results = world.group(group).await?.into_iter();
    let (Some(first), Some(second), Some(third), Some(fourth)) = (
        results.next(),
        results.next(),
        results.next(),
        results.next(),
    ) else {
        return Err(Violation::new("too few results"));
    };
    let first = first?;
    ensure!(!first.replayed, "the first is said to be a replay");
    replays(&first, second)?;
    refused("another body", third, &[ErrorKind::Conflict])?;
    replays(&first, fourth)?;
    let history = world.history(Viewer::All, created(&first)?).await?;
    ensure_eq!(history.len(), 1, "messages");
    Ok(Verdict::Holds)
}

/// The key is looked up before anything is asked: who may no longer write still learns what their write did.
///
/// # Errors
/// How it was broken.
pub async fn key_before_permission(fixture: &dyn Fixture) -> Outcome {
    let world = World::open(fixture).await?;
    let [alice, bob, carol] = world.users().await?;
    let id = world.group_of(alice, &[bob]).await?;
    let in_group = to(bob, id, vec![Change::post("still here")]);
    let in_direct = Write::post(bob, Target::Direct(bob, carol), "hello");
    let first = world.commit(in_group.clone()).await?;
    let second = world.commit(in_direct.clone()).await?;
    world
        .change(alice, id, Change::Remove { user: bob })
        .await?;
    let block = Change::Block {
        user: bob,
        on: true,
    };
    world.commit(about_self(carol, block)).await?;
    refused(
        "a post after the removal",
        world.post(bob, id, "no").await,
        &[ErrorKind::NotFound],
    )?;
    replays(&first, world.commit(in_group).await)?;
    replays(&second, world.commit(in_direct).await)?;
    Ok(Verdict::Holds)
}

/// A refused write leaves its key free: it can be tried again once it may be done, and then counts once.
///
/// # Errors
/// How it was broken.
pub async fn refusal_leaves_the_key_free(fixture: &dyn Fixture) -> Outcome {
    let world = World::open(fixture).await?;
    let [alice, bob] = world.users().await?;
    let id = world.group_of(alice, &[]).await?;
    let write = to(bob, id, vec![Change::post("let me in")]);
    for _ in 0..2 {
        refused(
            "a stranger's post",
            world.commit(write.clone()).await,
            &[ErrorKind::NotFound],
        )?;
    }
    let add = Change::Add {
        user: bob,
        role: crate::Role::Member,
    };
    world.change(alice, id, add).await?;
    let done = world.commit(write.clone()).await?;
    ensure!(!done.replayed, "a refused write is said to have been done");
    replays(&done, world.commit(write).await)?;
    Ok(Verdict::Holds)
}

/// Without a key a write is done as often as it is handed in. Zeros are a key like any other.
///
/// # Errors
/// How it was broken.
pub async fn no_key_no_replay(fixture: &dyn Fixture) -> Outcome {
    let world = World::open(fixture).await?;
    let [alice, bob] = world.users().await?;
    let mut write = Write::post(alice, Target::Direct(alice, bob), "again");
    write.key = None;
    let mut answers = world.group(vec![write.clone(), write.clone()]).await?;
    answers.push(world.commit(write.clone()).await);
    let mut id = None;
    for (before, done) in (0..).zip(answers) {
        let done = done?;
        ensure!(!done.replayed, "without a key something is a replay");
        // The conversation is created by the first: its log begins with that.
        ensure_eq!(done.last(), before + 2, "the place of a message");
        id = done.conversation;
    }
    write.key = Some(Key::new([0; 16]));
    let first = world.commit(write.clone()).await?;
    ensure!(!first.replayed, "zeros are no key");
    replays(&first, world.commit(write).await)?;
    let Some(id) = id else {
        return Err(Violation::new("a conversation is not named"));
    };
    let history = world.history(Viewer::All, id).await?;
    ensure_eq!(history.len(), 4, "messages");
    Ok(Verdict::Holds)
}
