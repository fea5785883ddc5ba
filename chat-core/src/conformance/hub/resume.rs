//! Law 8: loss-free resume.

use tokio::task::JoinSet;

use crate::conformance::device::{Device, place, told_by};
use crate::conformance::node::{Chance, Nodes, free};
use crate::conformance::world::{refused, to};
use crate::conformance::{Fixture, Outcome, Verdict, Violation, ensure_eq};
use crate::{Change, ErrorKind, History, Item, Limits, LogId, Role, Seq, Viewer};

/// From whatever cursor a device resumes, it gets what a fresh load of the log holds after it, hidden entries as hidden, or
/// is told to load afresh and from where; then live events follow. Former members get up to their end.
///
/// # Errors
/// How it was broken.
pub async fn resume_from_any_cursor(fixture: &dyn Fixture) -> Outcome {
    let nodes = Nodes::open(fixture, 1, &free(), None).await?;
    let (world, chat) = (&nodes.world, &nodes.chats[0]);
    let [owner, late, former] = world.users().await?;
    let id = world
        .found(owner, &[(former, Role::Member)], History::Joined)
        .await?;
    let first = world.post(owner, id, "first").await?;
    for n in 0..4 {
        world.post(former, id, format!("{n}")).await?;
    }
    world
        .change(owner, id, Change::Remove { user: former })
        .await?;
    let add = Change::Add {
        user: late,
        role: Role::Member,
    };
    world.change(owner, id, add).await?;
    for n in 0..4 {
        world.post(late, id, format!("{n}")).await?;
        let react = Change::React {
            message: first,
            emoji: "+".into(),
            on: n % 2 == 0,
        };
        world.change(owner, id, react).await?;
    }
    let head = world.store.entry(owner, id).await?.head.seq;
    for cursor in 0..=head {
        for user in [owner, late, former] {
            let page = world.store.log(Viewer::User(user), id.into(), cursor, 1000);
            let page = page.await?;
            let mut device = Device::connect(fixture, chat, user).await?;
            device.resume(vec![(LogId::User(user), 0), (id.into(), cursor)])?;
            let own = world.store.memberships(user).await?.head;
            device.until_seq(user, own).await?;
            if let Some((seq, _)) = page.entries.last() {
                device.until_seq(id, *seq).await?;
            }
            if page.resync.is_some() {
                let is_so = |items: &[Item]| items.iter().any(|i| matches!(i, Item::Resync { .. }));
                device.until("a resync", is_so).await?;
            }
            if user != former {
                let live = Change::post(format!("live after {cursor}"));
                let head = chat.commit(to(owner, id, vec![live])).await?.last();
                device.until_seq(id, head).await?;
            }
            let resync = device.items.iter().find_map(|item| match item {
                Item::Resync { log, seq } if *log == id.into() => Some(*seq),
                _ => None,
            });
            ensure_eq!(resync, page.resync, "resync of {user} from {cursor}");
            let after = resync.unwrap_or(cursor);
            device.agrees(world, id, after).await?;
            device.agrees(world, user, 0).await?;
        }
    }
    Ok(Verdict::Holds)
}

/// Devices that resume while writers go on get everything once, from their cursors on.
///
/// # Errors
/// How it was broken.
pub async fn resume_while_writers_go_on(fixture: &dyn Fixture) -> Outcome {
    let nodes = Nodes::open(fixture, 1, &free(), None).await?;
    let (world, chat) = (&nodes.world, &nodes.chats[0]);
    let users = world.users::<4>().await?;
    let id = world.group_of(users[0], &users[1..]).await?;
    for n in 0..250 {
        world.post(users[0], id, format!("before {n}")).await?;
    }
    let mut writers = JoinSet::new();
    for user in users {
        let chat = chat.clone();
        writers.spawn(async move {
            for n in 0..60 {
                let change = Change::post(format!("{user} {n}"));
                chat.commit(to(user, id, vec![change])).await?;
            }
            Ok::<_, Violation>(())
        });
    }
    let mut chance = Chance::new(8);
    let mut devices = Vec::new();
    for n in 0..16 {
        let user = users[n % users.len()];
        let head = world.store.entry(user, id).await?.head.seq;
        let cursor: Seq = chance.below(head + 1);
        let mut device = Device::connect(fixture, chat, user).await?;
        device.resume(vec![(LogId::User(user), 1), (id.into(), cursor)])?;
        // Some read on at once, others let it wait.
        if n % 2 == 0 {
            device.until_seq(id, head.max(cursor + 1)).await?;
        }
        devices.push((device, cursor));
    }
    while let Some(done) = writers.join_next().await {
        done??;
    }
    let head = world.store.entry(users[0], id).await?.head.seq;
    let whole = world.log(Viewer::User(users[0]), id).await?;
    for (device, cursor) in &mut devices {
        device.until_seq(id, head).await?;
        let expected = told_by(&whole[usize::try_from(*cursor).unwrap_or(usize::MAX)..]);
        ensure_eq!(device.log(id), expected, "what came after {cursor}");
    }
    Ok(Verdict::Holds)
}

/// Where more lies between a cursor and its log's head than [`Limits::resume_gap`], the log is told to be loaded afresh, that
/// one alone; others go on. More logs than fit one call are named in several, while the earlier ones are under way.
///
/// # Errors
/// How it was broken.
pub async fn large_gaps_are_resynced(fixture: &dyn Fixture) -> Outcome {
    let limits = Limits {
        resume_gap: 10,
        cursors: 3,
        page: 4,
        ..free()
    };
    let nodes = Nodes::open(fixture, 1, &limits, None).await?;
    let (world, chat) = (&nodes.world, &nodes.chats[0]);
    let [alice, bob] = world.users().await?;
    let mut ids = Vec::new();
    // What follows cursor 1 in each: nothing, a few pages, just not too much, too much.
    for count in [0, 6, 10, 11, 30] {
        let id = world.group_of(alice, &[bob]).await?;
        for n in 0..count {
            world.post(alice, id, format!("{n}")).await?;
        }
        ids.push((id, count));
    }
    let mut device = Device::connect(fixture, chat, bob).await?;
    let cursors: Vec<(LogId, Seq)> = ids.iter().map(|(id, _)| ((*id).into(), 1)).collect();
    refused(
        "too many logs in one call",
        device.resume(cursors[..4].to_vec()),
        &[ErrorKind::Invalid],
    )?;
    device.resume(cursors[..3].to_vec())?;
    refused(
        "a log that is under way",
        device.resume(cursors[2..].to_vec()),
        &[ErrorKind::Invalid],
    )?;
    device.resume(cursors[3..].to_vec())?;
    device.resume(vec![(LogId::User(bob), 0)])?;
    device
        .until_seq(bob, world.store.memberships(bob).await?.head)
        .await?;
    let own = device.items.len();
    let last = |items: &[Item]| {
        let resyncs = items.iter().filter(|i| matches!(i, Item::Resync { .. }));
        resyncs.count() >= 2
    };
    device.until("two resyncs", last).await?;
    for (id, count) in ids {
        let head = 1 + count;
        let told = device.items.iter().find_map(|item| match item {
            Item::Resync { log, seq } if *log == id.into() => Some(*seq),
            _ => None,
        });
        let expected = (count > 10).then_some(head);
        ensure_eq!(told, expected, "the resync of a log with {count} more");
        let live = chat.commit(to(alice, id, vec![Change::post("live")]));
        device.until_seq(id, live.await?.last()).await?;
        device.agrees(world, id, expected.unwrap_or(1)).await?;
    }
    let firsts = device.items[..own].iter().filter_map(place);
    let before = firsts.filter(|(log, _)| *log != bob.into()).count();
    ensure_eq!(before, 0, "entries of other logs before one's own");
    Ok(Verdict::Holds)
}
