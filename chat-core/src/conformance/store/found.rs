//! Law 6: found, not doubled.

use std::collections::BTreeSet;

use tokio::task::JoinSet;

use crate::conformance::world::{ALL, World, create, created, prepared};
use crate::conformance::{Fixture, Outcome, Verdict, Violation, ensure_eq};
use crate::{Actor, Change, Committed, ErrorKind, EventKind, History, Role, Target, Viewer, Write};

/// Commits groups of writes at once; what each write did.
async fn race(
    world: &World,
    groups: impl Iterator<Item = Vec<Write>>,
) -> Result<Vec<Committed>, Violation> {
    let mut tasks = JoinSet::new();
    for group in groups {
        let store = world.store.clone();
        let group = group.into_iter().map(prepared).collect();
        tasks.spawn(async move { store.commit(group).await });
    }
    let mut done = Vec::new();
    while let Some(results) = tasks.join_next().await {
        for result in results? {
            done.push(result?);
        }
    }
    Ok(done)
}

/// A thousand first messages of a pair, from both sides at once, make one conversation with all of them.
///
/// # Errors
/// How it was broken.
pub async fn one_direct_of_a_pair(fixture: &dyn Fixture) -> Outcome {
    let world = World::open(fixture).await?;
    let [alice, bob] = world.users().await?;
    let groups = (0..40).map(|group| {
        (0..25)
            .map(|n| {
                let target = if n % 2 == 0 {
                    Target::Direct(alice, bob)
                } else {
                    Target::Direct(bob, alice)
                };
                let sender = if n % 3 == 0 { alice } else { bob };
                Write::post(sender, target, format!("{group} {n}"))
            })
            .collect()
    });
    let done = race(&world, groups).await?;
    let ids: BTreeSet<_> = done.iter().map(created).collect::<Result<_, _>>()?;
    ensure_eq!(ids.len(), 1, "conversations named");
    let [inbox, other] = [
        world.store.inbox(alice, None, ALL).await?,
        world.store.inbox(bob, None, ALL).await?,
    ];
    ensure_eq!((inbox.len(), other.len()), (1, 1), "conversations in lists");
    let log = world.log(Viewer::All, inbox[0].conversation.id).await?;
    ensure_eq!(log.len(), 1001, "entries of the log");
    let creations = log.iter().filter(|(_, event)| {
        matches!(
            event.as_ref().map(|e| &e.kind),
            Some(EventKind::Created { .. })
        )
    });
    ensure_eq!(creations.count(), 1, "creations");
    let creators = done.iter().filter(|done| done.first == 1);
    ensure_eq!(creators.count(), 1, "writes told that they created it");
    Ok(Verdict::Holds)
}

/// The same for a conversation of a host's name, whose settings are those of whoever came first.
///
/// # Errors
/// How it was broken.
pub async fn one_conversation_of_a_key(fixture: &dyn Fixture) -> Outcome {
    let world = World::open(fixture).await?;
    let [alice, bob] = world.users().await?;
    let groups = (0..20).map(|group| {
        (0..10)
            .map(|n| {
                let members = [(alice, Role::Owner), (bob, Role::Member)];
                let mut settings = create(&members, History::All);
                if let Change::Create { title, managed, .. } = &mut settings {
                    *title = Some(format!("{group} {n}"));
                    *managed = true;
                }
                let changes = vec![settings, Change::post(format!("{group} {n}"))];
                Write::new(Actor::Host, Target::Key("order/17".into()), changes)
            })
            .collect()
    });
    let done = race(&world, groups).await?;
    let ids: BTreeSet<_> = done.iter().map(created).collect::<Result<_, _>>()?;
    ensure_eq!(ids.len(), 1, "conversations named");
    let inbox = world.store.inbox(bob, None, ALL).await?;
    ensure_eq!(inbox.len(), 1, "conversations in the list");
    let found = &inbox[0].conversation;
    ensure_eq!(found.key.as_deref(), Some("order/17"), "its key");
    let history = world.history(Viewer::All, found.id).await?;
    ensure_eq!(history.len(), 200, "messages");
    let first = history[0].content.as_ref().map(|content| &content.text);
    ensure_eq!(found.title.as_ref(), first, "the settings of the first");
    Ok(Verdict::Holds)
}

/// One user of a provider's subject, however many see them for the first time; registering one again is a conflict.
///
/// # Errors
/// How it was broken.
pub async fn one_user_of_a_subject(fixture: &dyn Fixture) -> Outcome {
    let world = World::open(fixture).await?;
    let target = Target::Subject {
        provider: "directory".into(),
        subject: "0042".into(),
    };
    let write = |change| Write::new(Actor::Host, target.clone(), vec![change]);
    let profile = || Change::Profile {
        name: Some("Somebody".into()),
        data: None,
    };
    let groups = (0..20).map(|_| (0..5).map(|_| write(profile())).collect());
    let done = race(&world, groups).await?;
    let users: BTreeSet<_> = done.iter().map(|done| done.user).collect();
    ensure_eq!(users.len(), 1, "users named");
    let found = world.store.find_users("somebody", ALL).await?;
    let found: BTreeSet<_> = found.into_iter().map(|user| Some(user.id)).collect();
    ensure_eq!(found, users, "users found");
    let register = Change::Register {
        name: "Again".into(),
    };
    crate::conformance::world::refused(
        "registering a known subject",
        world.commit(write(register)).await,
        &[ErrorKind::Conflict],
    )?;
    Ok(Verdict::Holds)
}
