//! Read and delivered marks: gathered, kept, told to those who may know. On tokio's paused clock.

use std::time::Duration;

use crate::conformance::device::Device;
use crate::conformance::node::{Faults, Nodes, free};
use crate::conformance::world::{refused, to};
use crate::conformance::{Fixture, Outcome, Verdict, ensure, ensure_eq};
use crate::{Change, ErrorKind, History, Item, Limits, Role, Seq, UserId};

/// Longer than a mark waits to be written and told.
const SOON: Duration = Duration::from_secs(3);

/// However often a device marks, each conversation is written about once a second, the highest mark wins, and it counts on
/// all devices.
///
/// # Errors
/// How it was broken.
pub async fn marks_are_gathered(fixture: &dyn Fixture) -> Outcome {
    let nodes = Nodes::open(fixture, 1, &free(), None).await?;
    let (world, chat) = (&nodes.world, &nodes.chats[0]);
    let [alice, bob] = world.users().await?;
    let id = world.group_of(alice, &[bob]).await?;
    for n in 0..100 {
        world.post(alice, id, format!("{n}")).await?;
    }
    let mut device = Device::connect(fixture, chat, bob).await?;
    let mut other = Device::connect(fixture, chat, bob).await?;
    let before = world.store.memberships(bob).await?.head;
    for seq in 2..=101 {
        // The one before comes late, and changes nothing.
        device.connection().mark(id, Some(seq), None)?;
        device.connection().mark(id, Some(seq - 1), Some(seq))?;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    device.wait(SOON).await;
    other.wait(SOON).await;
    let head = world.store.memberships(bob).await?.head;
    ensure!(
        (2..=12).contains(&(head - before)),
        "{} writes in 10 s",
        head - before
    );
    let member = chat.entry(bob, id).await?.member;
    ensure_eq!((member.read, member.delivered), (101, 101), "the marks");
    ensure_eq!(world.unread(bob, id).await?, 0, "unread");
    other.agrees(world, bob, before).await?;
    device.agrees(world, bob, before).await?;
    // Beyond the end means the end; less changes nothing.
    device.connection().mark(id, Some(1 << 50), None)?;
    device.connection().mark(id, Some(1), Some(1))?;
    device.wait(SOON).await;
    let member = chat.entry(bob, id).await?.member;
    ensure_eq!((member.read, member.delivered), (101, 101), "the marks");
    let end = world.store.memberships(bob).await?.head;
    ensure_eq!(end, head, "entries of the user's log");
    // What was gathered keeps no key: other marks of the user are written too.
    world.post(alice, id, "another").await?;
    device.connection().mark(id, Some(102), None)?;
    device.wait(SOON).await;
    ensure_eq!(world.unread(bob, id).await?, 0, "unread");
    Ok(Verdict::Holds)
}

/// Receipts come to the other members, on all nodes, also when they were written in another way; not to who is no member,
/// not to who was removed, and to nobody in a large conversation.
///
/// # Errors
/// How it was broken.
pub async fn receipts_are_told(fixture: &dyn Fixture) -> Outcome {
    let limits = Limits {
        receipts_to: 4,
        ..free()
    };
    let nodes = Nodes::open(fixture, 2, &limits, Some(Faults::new(0, 0))).await?;
    let (world, chats) = (&nodes.world, &nodes.chats);
    let [owner, reader, late, removed, stranger] = world.users().await?;
    let members = [(reader, Role::Member), (removed, Role::Member)];
    let id = world.found(owner, &members, History::Joined).await?;
    let large = world
        .group_of(owner, &[reader, late, removed, stranger])
        .await?;
    for n in 0..4 {
        world.post(owner, id, format!("{n}")).await?;
    }
    let add = Change::Add {
        user: late,
        role: Role::Member,
    };
    world.change(owner, id, add).await?;
    world.post(owner, large, "hello").await?;
    let mut devices = Vec::new();
    for chat in chats {
        for user in [owner, reader, late, removed, stranger] {
            devices.push(Device::connect(fixture, chat, user).await?);
        }
    }
    let mark = |device: usize, seq: Seq| devices[device].connection().mark(id, Some(seq), None);
    refused(
        "a stranger's mark",
        devices[4].connection().mark(id, Some(2), None),
        &[ErrorKind::NotFound],
    )?;
    mark(1, 3)?;
    devices[1].connection().mark(large, Some(2), Some(2))?;
    for device in &mut devices {
        device.wait(SOON).await;
    }
    chats[1]
        .commit(to(owner, id, vec![Change::Remove { user: removed }]))
        .await?;
    // By a write of its own.
    chats[1]
        .commit(to(reader, id, vec![Change::Read { seq: 5 }]))
        .await?;
    chats[1]
        .commit(to(reader, id, vec![Change::Deliver { seq: 6 }]))
        .await?;
    for device in &mut devices {
        device.wait(SOON).await;
        let mut told = device.receipts();
        let user = device.user();
        // What others marked by being added may be told too.
        let moved =
            |(by, read, delivered): &(UserId, Seq, Seq)| *by == reader || *read.max(delivered) > 6;
        told.retain(moved);
        let expected = match user {
            _ if user == owner || user == late => Some((reader, 5, 6)),
            _ if user == removed => Some((reader, 3, 3)),
            _ => None,
        };
        ensure_eq!(told.last().copied(), expected, "receipts to {user}");
        let is_other =
            |item: &Item| matches!(item, Item::Receipt(receipt) if receipt.conversation != id);
        ensure!(
            !device.items.iter().any(is_other),
            "a receipt of a large conversation"
        );
    }
    Ok(Verdict::Holds)
}

/// What was marked before a chat drains, or ends without being asked to, is in the store afterwards.
///
/// # Errors
/// How it was broken.
pub async fn drained_marks_are_kept(fixture: &dyn Fixture) -> Outcome {
    let Nodes {
        world, mut chats, ..
    } = Nodes::open(fixture, 2, &free(), None).await?;
    let [alice, bob] = world.users().await?;
    let id = world.group_of(alice, &[bob]).await?;
    for n in 0..20 {
        world.post(alice, id, format!("{n}")).await?;
    }
    for (round, drains) in [(0, false), (1, true)] {
        let Some(chat) = chats.pop() else { break };
        let mut device = Device::connect(fixture, &chat, bob).await?;
        device.connection().mark(id, Some(4 + 8 * round), None)?;
        tokio::time::sleep(Duration::from_millis(1200)).await;
        // One was written just now: this one would have to rest.
        device.connection().mark(id, Some(9 + 8 * round), None)?;
        if drains {
            let draining = tokio::spawn(async move { chat.drain(Duration::from_secs(10)).await });
            device.until_closed().await?;
            // As long as this connection is there, so is the store.
            let member = world.store.entry(bob, id).await?.member;
            ensure_eq!(member.read, 17, "the mark when drained");
            drop(device);
            draining.await??;
        } else {
            drop((device, chat));
            tokio::time::sleep(Duration::from_millis(100)).await;
            let member = world.store.entry(bob, id).await?.member;
            ensure_eq!(member.read, 9, "the mark when dropped");
        }
    }
    Ok(Verdict::Holds)
}

/// Marks that no hint ever told of, because the bus loses all of them, there is none, or the node died, are told to the others
/// within 5 s of their writing, without further traffic, and once.
///
/// # Errors
/// How it was broken.
pub async fn receipts_heal(fixture: &dyn Fixture) -> Outcome {
    let cut = Faults::new(0, 0);
    cut.cut(true);
    for faults in [Some(cut), None] {
        let nodes = Nodes::open(fixture, 2, &free(), faults).await?;
        let (world, chats) = (&nodes.world, &nodes.chats);
        let [reader, watcher] = world.users().await?;
        let id = world.group_of(watcher, &[reader]).await?;
        for n in 0..4 {
            world.post(watcher, id, format!("{n}")).await?;
        }
        let mut device = Device::connect(fixture, &chats[0], watcher).await?;
        let mut told = 0;
        for seq in 2..5 {
            let done = match seq {
                // Told by nobody: as by a node that died.
                4 => world.commit(to(reader, id, vec![Change::Deliver { seq }])),
                _ => world.commit(to(reader, id, vec![Change::Read { seq }])),
            };
            done.await?;
            device.wait(Duration::from_secs(5)).await;
            let all = device.receipts();
            let delivered = all.last().map(|(_, _, delivered)| *delivered);
            ensure_eq!(delivered, Some(seq), "the last mark told");
            ensure_eq!(all.len(), told + 1, "receipts told");
            told = all.len();
        }
        // All is told: nothing more comes.
        device.wait(Duration::from_secs(20)).await;
        ensure_eq!(device.receipts().len(), told, "receipts told in the end");
    }
    Ok(Verdict::Holds)
}
