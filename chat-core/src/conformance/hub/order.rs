//! Law 5, live: one order for all.

use tokio::task::JoinSet;

use crate::conformance::device::{Device, all_until_seq, place};
use crate::conformance::node::{Faults, Nodes, free};
use crate::conformance::world::{World, created, to};
use crate::conformance::{Fixture, Outcome, Verdict, Violation, ensure, ensure_eq};
use crate::{Change, Chat, ConversationId, Item, Seq, Target, UserId, Viewer, Write};

/// Several writers at once, each on a chat; the last seq of the conversation when all are done.
async fn write_at_once(
    world: &World,
    chats: &[Chat],
    writers: &[UserId],
    id: ConversationId,
    each: u64,
) -> Result<Seq, Violation> {
    let mut tasks = JoinSet::new();
    for (n, &user) in writers.iter().enumerate() {
        let chat = chats[n % chats.len()].clone();
        tasks.spawn(async move {
            for round in 0..each {
                let mut changes = vec![Change::post(format!("{user} {round}"))];
                if round % 3 == 0 {
                    changes.push(Change::React {
                        message: 2,
                        emoji: format!("{}", round % 5),
                        on: round % 2 == 0,
                    });
                    changes.push(Change::Archive { on: round % 2 == 0 });
                }
                chat.commit(to(user, id, changes)).await?;
            }
            Ok::<_, Violation>(())
        });
    }
    while let Some(done) = tasks.join_next().await {
        done??;
    }
    let entry = world.store.entry(writers[0], id).await?;
    Ok(entry.head.seq)
}

/// Every device gets every event of its logs once, in the logs' order, whoever writes meanwhile.
///
/// # Errors
/// How it was broken.
pub async fn live_order_is_log_order(fixture: &dyn Fixture) -> Outcome {
    let nodes = Nodes::open(fixture, 1, &free(), None).await?;
    let (world, chat) = (&nodes.world, &nodes.chats[0]);
    let users = world.users::<24>().await?;
    let id = world.group_of(users[0], &users[1..]).await?;
    world.post(users[0], id, "first").await?;
    let mut devices = Vec::new();
    for user in users.iter().chain(&users[..6]) {
        devices.push(Device::connect(fixture, chat, *user).await?);
    }
    let head = write_at_once(world, &nodes.chats, &users[..8], id, 12).await?;
    all_until_seq(&mut devices, id, head).await?;
    for device in &mut devices {
        device.agrees(world, id, 2).await?;
        let user = device.user();
        let own = world.store.memberships(user).await?.head;
        if own > 1 {
            device.until_seq(user, own).await?;
        }
        device.agrees(world, user, 1).await?;
    }
    Ok(Verdict::Holds)
}

/// Several nodes over one store with a bus between them: all devices get the same, in the same order.
///
/// # Errors
/// How it was broken.
pub async fn nodes_agree(fixture: &dyn Fixture) -> Outcome {
    let nodes = Nodes::open(fixture, 3, &free(), Some(Faults::new(0, 0))).await?;
    let world = &nodes.world;
    let users = world.users::<9>().await?;
    let id = world.group_of(users[0], &users[1..]).await?;
    world.post(users[0], id, "first").await?;
    let mut devices = Vec::new();
    for (n, &user) in users.iter().enumerate() {
        for node in [n, n + 1] {
            let chat = &nodes.chats[node % nodes.chats.len()];
            devices.push(Device::connect(fixture, chat, user).await?);
        }
    }
    let head = write_at_once(world, &nodes.chats, &users, id, 8).await?;
    all_until_seq(&mut devices, id, head).await?;
    for device in &devices {
        device.agrees(world, id, 2).await?;
    }
    Ok(Verdict::Holds)
}

/// The outcome of a submitted write comes behind the events it caused in the conversation's log, a new conversation's too,
/// and without the events.
///
/// # Errors
/// How it was broken.
pub async fn outcome_behind_its_event(fixture: &dyn Fixture) -> Outcome {
    let nodes = Nodes::open(fixture, 1, &free(), None).await?;
    let (world, chat) = (&nodes.world, &nodes.chats[0]);
    let [alice, bob] = world.users().await?;
    let mut device = Device::connect(fixture, chat, alice).await?;
    for round in 0..40 {
        let changes = vec![
            Change::post(format!("{round}")),
            Change::Archive { on: round % 2 == 0 },
        ];
        // The first one makes the conversation: a log that this connection was not on before.
        let target = Target::Direct(alice, bob);
        device.submit(round, Write::new(alice.into(), target, changes))?;
        device.until_done(round as usize + 1).await?;
        let outcome = device.items.iter().rev().find_map(|item| match item {
            Item::Done { committed, .. } => Some(committed),
            _ => None,
        });
        let outcome = outcome.ok_or_else(|| Violation::new("a write was refused"))?;
        ensure!(outcome.events.is_empty(), "an outcome repeats its events");
        let event = (created(outcome)?.into(), outcome.last());
        let order: Vec<bool> = device
            .items
            .iter()
            .filter_map(|item| match item {
                Item::Done { reference, .. } if *reference == round => Some(false),
                _ => (place(item) == Some(event)).then_some(true),
            })
            .collect();
        ensure_eq!(
            order,
            vec![true, false],
            "event and outcome of write {round}"
        );
    }
    Ok(Verdict::Holds)
}

/// What one connection sends to a conversation is committed in that order, whatever others send.
///
/// # Errors
/// How it was broken.
pub async fn writes_commit_in_the_order_sent(fixture: &dyn Fixture) -> Outcome {
    const EACH: u64 = 40;
    let nodes = Nodes::open(fixture, 1, &free(), None).await?;
    let (world, chat) = (&nodes.world, &nodes.chats[0]);
    let [alice, bob] = world.users().await?;
    let id = world.group_of(alice, &[bob]).await?;
    let mut devices = Vec::new();
    for user in [alice, alice, bob] {
        devices.push(Device::connect(fixture, chat, user).await?);
    }
    for n in 0..EACH {
        for (d, device) in devices.iter().enumerate() {
            let change = Change::post(format!("{d} {n}"));
            device.submit(n, to(device.user(), id, vec![change]))?;
        }
    }
    for device in &mut devices {
        device.until_done(EACH as usize).await?;
    }
    let history = world.history(Viewer::All, id).await?;
    let texts: Vec<_> = history
        .iter()
        .filter_map(|message| Some(message.content.as_ref()?.text.as_str()))
        .collect();
    for d in 0..devices.len() {
        let prefix = format!("{d} ");
        let order: Vec<u64> = texts
            .iter()
            .filter_map(|text| text.strip_prefix(&prefix)?.parse().ok())
            .collect();
        ensure_eq!(order, (0..EACH).collect::<Vec<_>>(), "what device {d} sent");
    }
    let references = devices[0].items.iter().filter_map(|item| match item {
        Item::Done { reference, .. } => Some(*reference),
        _ => None,
    });
    let order: Vec<u64> = references.collect();
    ensure_eq!(order, (0..EACH).collect::<Vec<_>>(), "outcomes");
    Ok(Verdict::Holds)
}

/// All devices of a user get the same: their user's log, and every conversation, whichever device wrote.
///
/// # Errors
/// How it was broken.
pub async fn devices_of_a_user_agree(fixture: &dyn Fixture) -> Outcome {
    let nodes = Nodes::open(fixture, 1, &free(), None).await?;
    let (world, chat) = (&nodes.world, &nodes.chats[0]);
    let [alice, bob] = world.users().await?;
    let id = world.group_of(bob, &[alice]).await?;
    let mut devices = Vec::new();
    for _ in 0..3 {
        devices.push(Device::connect(fixture, chat, alice).await?);
    }
    for round in 0..10_u64 {
        let theirs = chat
            .commit(to(bob, id, vec![Change::post("theirs")]))
            .await?;
        let changes = vec![
            Change::Read { seq: theirs.last() },
            Change::Mute {
                until: Some(crate::Timestamp::from_millis(1 << 42).plus_millis(theirs.at.millis())),
            },
        ];
        let device = &devices[(round % 3) as usize];
        device.submit(round, to(alice, id, changes))?;
        devices[(round % 3) as usize]
            .until_done(round as usize / 3 + 1)
            .await?;
    }
    let last = chat
        .commit(to(alice, id, vec![Change::post("last")]))
        .await?
        .last();
    all_until_seq(&mut devices, id, last).await?;
    let own = world.store.memberships(alice).await?.head;
    all_until_seq(&mut devices, alice, own).await?;
    for device in &devices {
        device.agrees(world, id, 1).await?;
        device.agrees(world, alice, 1).await?;
    }
    let entry = chat.entry(alice, id).await?;
    ensure_eq!(
        entry.member.unread(&entry.head),
        0,
        "unread of one who read all"
    );
    Ok(Verdict::Holds)
}

/// Events that follow one another come to each device at once, so that its socket needs one write for them, however many
/// devices there are. Those that change who gets them keep their place.
///
/// # Errors
/// How it was broken.
pub async fn runs_come_at_once(fixture: &dyn Fixture) -> Outcome {
    const RUN: usize = 8;
    let nodes = Nodes::open(fixture, 1, &free(), None).await?;
    let (world, chat) = (&nodes.world, &nodes.chats[0]);
    let users = world.users::<50>().await?;
    let [owner, removed, ..] = users;
    let id = world.group_of(owner, &users[1..]).await?;
    let mut devices = Vec::new();
    for _ in 0..20 {
        for user in users {
            devices.push(Device::connect(fixture, chat, user).await?);
        }
    }
    let posts = |n: usize| (0..n).map(|n| Change::post(format!("{n}")));
    chat.commit(to(owner, id, posts(RUN).collect())).await?;
    for device in &mut devices {
        ensure_eq!(device.take().await, RUN, "events with the first wake-up");
    }
    let mut changes: Vec<Change> = posts(RUN / 2).collect();
    changes.push(Change::Remove { user: removed });
    changes.extend(posts(RUN / 2));
    let last = chat.commit(to(owner, id, changes)).await?.last();
    for device in &mut devices {
        let end = if device.user() == removed {
            last - RUN as Seq / 2
        } else {
            last
        };
        device.until_seq(id, end).await?;
        ensure_eq!(device.seqs(id), (2..=end).collect::<Vec<_>>(), "seqs");
    }
    Ok(Verdict::Holds)
}
