//! Moving house: a store copied row by row is the same store.

use std::sync::Arc;

use crate::conformance::model::Played;
use crate::conformance::world::{ALL, World, about_self, refused, to};
use crate::conformance::{Fixture, Outcome, Verdict, Violation, ensure, ensure_eq, sound};
use crate::kv::MemoryStore;
use crate::rules::RowKey;
use crate::{
    Actor, Change, Chat, Committed, Content, Data, Error, ErrorKind, Fingerprint, LoginId, Store,
    Target, Timestamp, Transfer, UserId, Viewer, Write,
};

/// What is written besides the model's random script: logins, credentials, data, long values, names.
struct Extra {
    user: UserId,
    other: UserId,
    login: LoginId,
    subject: String,
    writes: Vec<Write>,
}

async fn extra(world: &World) -> Result<Extra, Violation> {
    let [other, gone] = world.users().await?;
    let subject = "süß\u{0}'subject".to_owned();
    let target = Target::Subject {
        provider: "laws".into(),
        subject: subject.clone(),
    };
    let register = Change::Register {
        name: "Zoë Straße".into(),
    };
    let hash = Change::SetCredential {
        expected: None,
        hash: "$hash$".repeat(100),
    };
    let made = Write::new(Actor::Host, target, vec![register, hash]);
    let user = world.commit(made.clone()).await?.user;
    let user = user.ok_or_else(|| Violation::new("registering named no user"))?;
    let open = |millis| {
        let expires = Timestamp::from_millis(millis);
        let change = Change::OpenLogin { expires };
        Write::new(Actor::Host, Target::User(user), vec![change])
    };
    let login = open(1 << 50);
    let opened = world.commit(login.clone()).await?.login;
    let opened = opened.ok_or_else(|| Violation::new("an opened login is not named"))?;
    let long = Content {
        text: "long ünïcode text ".repeat(450),
        data: Some(Data::from_json(format!(
            "{{ \"a\" : [\"{}\"]}}",
            "x".repeat(8000)
        ))?),
    };
    let profile = Change::Profile {
        name: None,
        data: Some(Data::from_json("{\"b\": 1e3}")?),
    };
    let block = Change::Block {
        user: other,
        on: true,
    };
    let create = Change::Create {
        title: Some("A title".into()),
        data: Some(Data::from_json("[1, 2]")?),
        managed: true,
        history: crate::History::Joined,
        members: vec![(user, crate::Role::Owner), (other, crate::Role::Admin)],
    };
    let named = Target::Key("named by the host".into());
    let mut writes = vec![
        made,
        login,
        open(1),
        Write::post(user, Target::Direct(user, other), long),
        Write::new(Actor::Host, named, vec![create]),
        about_self(user, profile),
        about_self(user, block),
        about_self(
            user,
            Change::RevokeLogins {
                login: Some(opened),
            },
        ),
    ];
    for write in &writes[2..] {
        world.commit(write.clone()).await?;
    }
    // Somebody who can do nothing any more.
    let disable = Change::Disable { on: true };
    let disable = Write::new(Actor::Host, Target::User(gone), vec![disable]);
    world.commit(disable.clone()).await?;
    writes.push(disable);
    Ok(Extra {
        user,
        other,
        login: opened,
        subject,
        writes,
    })
}

/// Copies in pages of a few rows, and breaks off after every few pages.
async fn copy(from: &dyn Store, to: &Arc<dyn Store>) -> Result<Fingerprint, Violation> {
    for (round, limit) in [1, 7, 64, 3, 1000].into_iter().cycle().enumerate() {
        let mut transfer = Transfer::begin(from, &**to).await?;
        for _ in 0..4 {
            if transfer.page(limit).await? == 0 {
                return Ok(transfer.finish(|_| ()).await?);
            }
        }
        ensure!(round < ALL, "a copy that has no end");
        if round % 5 == 0 {
            half_copied(to.clone()).await?;
        }
    }
    Err(Violation::new("a copy that has no end"))
}

/// Nobody reads or writes through a chat what is only half there.
async fn half_copied(store: Arc<dyn Store>) -> Result<(), Violation> {
    let chat = Chat::builder(store).build();
    let user = UserId::new(1)?;
    let read = chat.inbox(user, None, 1).await.map(drop);
    let written = chat.commit(about_self(user, Change::Hide)).await.map(drop);
    let kinds = [read, written, chat.ready().await].map(|r| r.err().map(|error| error.kind()));
    let unavailable = Some(ErrorKind::Unavailable);
    ensure_eq!(kinds, [unavailable; 3], "a half-copied store in use");
    Ok(())
}

/// The same write to both comes to the same, but for the time.
async fn same_answer(one: &World, other: &World, write: &Write) -> Result<(), Violation> {
    let said = |result: Result<Committed, Error>| {
        result
            .map(|done| {
                let events = done
                    .events
                    .into_iter()
                    .map(|e| (e.log, e.seq, e.actor, e.kind));
                let ids = (done.conversation, done.user, done.login);
                let at = done.replayed.then_some(done.at);
                (ids, done.first, done.count, at, events.collect::<Vec<_>>())
            })
            .map_err(|error| error.kind())
    };
    let found = said(other.commit(write.clone()).await);
    ensure_eq!(
        found,
        said(one.commit(write.clone()).await),
        "after a copy, {write:?}"
    );
    Ok(())
}

/// All that a store holds (messages, tombstones, former members, blocks, reactions, logins, credentials, keys, long values),
/// copied into another kind of store and from there into a new one, in small pages with interruptions, is the same: every
/// row, every read of everybody, the order of the feed. Retries of old writes get their old answers there, new ones go on
/// with the same ids and seqs. What is half copied is not used, and neither is a target that holds something.
///
/// # Errors
/// How it was broken.
pub async fn copies_are_the_same(fixture: &dyn Fixture) -> Outcome {
    let world = World::open(fixture).await?;
    if world.store.archive().is_none() {
        return Ok(Verdict::Skipped("this store cannot be copied"));
    }
    let played = Played::long(&world).await?;
    let Extra {
        user,
        other,
        login,
        subject,
        writes,
    } = extra(&world).await?;

    let between: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let first = copy(&*world.store, &between).await?;
    let new = MemoryStore::new();
    let begun = Transfer::begin(&new, &*between).await;
    refused(
        "a copy over something",
        begun.map(drop),
        &[ErrorKind::Conflict],
    )?;
    // Opened before the copy begins: a fixture reopens what it opened last.
    let target = World::open(fixture).await?;
    drop(Transfer::begin(&*between, &*target.store).await?);
    let begun = Transfer::begin(&new, &*target.store).await;
    refused("two sources", begun.map(drop), &[ErrorKind::Conflict])?;
    let begun = Transfer::begin(&*target.store, &new).await;
    refused("half a source", begun.map(drop), &[ErrorKind::Conflict])?;
    let second = copy(&*between, &target.store).await?;
    ensure_eq!(second, first, "fingerprints");
    let target = match target.reopen(fixture).await? {
        Some(reopened) => reopened,
        // Nothing was closed.
        None => {
            let target = World::open(fixture).await?;
            copy(&*between, &target.store).await?;
            target
        }
    };

    sound(between.clone()).await?;
    sound(target.store.clone()).await?;
    let between = World::over(between);
    let ids: Vec<_> = played.conversations().collect();
    let picture = world.picture(&played.users, &ids).await?;
    let rows = vec![
        RowKey::User(user),
        RowKey::Subject("laws".into(), subject),
        RowKey::Credential(user),
        RowKey::Login(login),
        RowKey::Block(user, other),
        RowKey::Named("named by the host".into()),
        RowKey::Secret(),
        RowKey::Moving(),
    ];
    let kept = world.store.rows(rows.clone()).await?;
    let inbox = world.store.inbox(user, None, ALL).await?;
    for copy in [&between, &target] {
        played.compare(copy).await?;
        ensure!(
            copy.picture(&played.users, &ids).await? == picture,
            "a copy reads differently"
        );
        let there = copy.store.rows(rows.clone()).await?;
        ensure!(there == kept, "a copy has other rows: {there:?}");
        ensure_eq!(copy.store.inbox(user, None, ALL).await?, inbox, "the list");
        ensure_eq!(
            copy.store.find_users("asse", ALL).await?,
            world.store.find_users("asse", ALL).await?,
            "users found"
        );
        let retried = played.writes.iter().chain(&writes);
        // Without a key it would be done anew.
        for write in retried.filter(|write| write.key.is_some()) {
            same_answer(&world, copy, write).await?;
        }
    }

    // What follows is numbered as it would have been.
    let [a, b] = [played.users[0], played.users[1]];
    let new = Target::Subject {
        provider: "laws".into(),
        subject: "new".into(),
    };
    let name = "New".into();
    let expires = Timestamp::from_millis(1 << 50);
    let mut next = vec![
        Write::new(Actor::Host, new, vec![Change::Register { name }]),
        Write::new(
            Actor::Host,
            Target::User(b),
            vec![Change::OpenLogin { expires }],
        ),
        Write::new(
            Actor::User(a),
            Target::Group,
            vec![crate::conformance::world::create(&[], crate::History::All)],
        ),
    ];
    next.extend(
        ids.iter()
            .map(|&id| to(Actor::Host, id, vec![Change::post("next")])),
    );
    for write in &next {
        same_answer(&world, &between, write).await?;
        // The same once more would be a replay in the first.
        let mut results = target.group(vec![write.clone()]).await?;
        let done = results.pop().and_then(Result::ok);
        let before = world.commit(write.clone()).await.ok();
        let named = |done: &Option<Committed>| {
            done.as_ref()
                .map(|done| (done.conversation, done.user, done.login, done.first))
        };
        ensure_eq!(
            named(&done),
            named(&before),
            "in the second copy, {write:?}"
        );
    }
    for &id in &ids {
        target.log(Viewer::All, id).await?;
    }
    Ok(Verdict::Holds)
}
