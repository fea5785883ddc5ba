//! Presence: of all devices on all nodes, told to who may know. On tokio's paused clock.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::conformance::device::Device;
use crate::conformance::node::{Chance, Faults, Nodes, free};
use crate::conformance::world::{about_self, refused};
use crate::conformance::{Fixture, Outcome, Verdict, Violation, ensure_eq, number};
use crate::{Change, ErrorKind, Limits, Role, Target, Write};

/// Longer than any word takes without faults, shorter than the grace time.
const SOON: Duration = Duration::from_secs(2);
/// Longer than the grace time.
const LATER: Duration = Duration::from_secs(13);
/// Within this time who is there is told, whatever was lost …
const HEALED: Duration = Duration::from_secs(5);
/// … and within this time beyond the one of grace who is not.
const GRACE: Duration = Duration::from_secs(10);

/// One `online` with the first device, one `offline` after the last one on all nodes and a grace time; nothing when somebody
/// is back in time.
///
/// # Errors
/// How it was broken.
pub async fn presence_is_of_all_nodes(fixture: &dyn Fixture) -> Outcome {
    let nodes = Nodes::open(fixture, 3, &free(), Some(Faults::new(0, 0))).await?;
    let (world, chats) = (&nodes.world, &nodes.chats);
    let [alice, bob, carol] = world.users().await?;
    world.group_of(alice, &[bob, carol]).await?;
    let mut watchers = Vec::new();
    for chat in chats {
        watchers.push(Device::connect(fixture, chat, alice).await?);
    }
    let one = Device::connect(fixture, &chats[1], carol).await?;
    for watcher in &watchers {
        watcher.connection().watch(vec![bob, carol]).await?;
    }
    let expect = async |watchers: &mut Vec<Device<'_>>, time, told: &[bool]| {
        tokio::time::sleep(time).await;
        for watcher in watchers {
            watcher.wait(Duration::from_millis(10)).await;
            ensure_eq!(watcher.presence(bob), told, "what is told of the one");
            ensure_eq!(watcher.presence(carol), [true], "what is told of the other");
        }
        Ok::<(), Violation>(())
    };
    expect(&mut watchers, SOON, &[false]).await?;
    let first = Device::connect(fixture, &chats[1], bob).await?;
    expect(&mut watchers, SOON, &[false, true]).await?;
    let second = Device::connect(fixture, &chats[2], bob).await?;
    let third = Device::connect(fixture, &chats[2], bob).await?;
    drop(first);
    expect(&mut watchers, LATER, &[false, true]).await?;
    drop(second);
    expect(&mut watchers, LATER, &[false, true]).await?;
    drop(third);
    expect(&mut watchers, SOON, &[false, true]).await?;
    // Back within the grace time, on another node.
    let fourth = Device::connect(fixture, &chats[0], bob).await?;
    expect(&mut watchers, LATER, &[false, true]).await?;
    drop(fourth);
    expect(&mut watchers, LATER, &[false, true, false]).await?;
    // Whoever is watched no longer is told no longer.
    watchers[0].connection().watch(vec![carol]).await?;
    let fifth = Device::connect(fixture, &chats[0], bob).await?;
    watchers[0].wait(LATER).await;
    ensure_eq!(
        watchers[0].presence(bob),
        [false, true, false],
        "what is told of one who is not watched"
    );
    watchers[1].wait(SOON).await;
    ensure_eq!(watchers[1].presence(bob).len(), 4, "words to another");
    drop((one, fifth));
    Ok(Verdict::Holds)
}

/// Only known users are watched, so many at most; who blocked a watcher is offline to them, and who is known no longer is not
/// told any more.
///
/// # Errors
/// How it was broken.
pub async fn presence_is_private(fixture: &dyn Fixture) -> Outcome {
    let limits = Limits {
        presence: 3,
        ..free()
    };
    let nodes = Nodes::open(fixture, 2, &limits, Some(Faults::new(0, 0))).await?;
    let (world, chats) = (&nodes.world, &nodes.chats);
    let [watcher, friend, mate, blocker, stranger] = world.users().await?;
    let pair = Target::Direct(watcher, friend);
    world.commit(Write::post(friend, pair, "hello")).await?;
    let pair = Target::Direct(watcher, blocker);
    world.commit(Write::post(blocker, pair, "hello")).await?;
    let id = world.group_of(stranger, &[mate, watcher]).await?;
    let other = world.group_of(stranger, &[mate]).await?;
    let mut device = Device::connect(fixture, &chats[0], watcher).await?;
    let watch = |users: &[_]| device.connection().watch(users.to_vec());
    refused(
        "too many to watch",
        watch(&[watcher, friend, mate, blocker]).await,
        &[ErrorKind::Invalid],
    )?;
    let block = |on| about_self(blocker, Change::Block { user: watcher, on });
    chats[1].commit(block(true)).await?;
    watch(&[friend, mate, blocker]).await?;
    let mut theirs = BTreeMap::new();
    for user in [friend, mate, blocker] {
        theirs.insert(user, Device::connect(fixture, &chats[1], user).await?);
    }
    device.wait(SOON).await;
    ensure_eq!(device.presence(friend).last(), Some(&true), "a friend");
    ensure_eq!(device.presence(mate).last(), Some(&true), "of a group");
    ensure_eq!(device.presence(blocker), [false], "one who blocks");
    chats[1].commit(block(false)).await?;
    device.wait(SOON).await;
    ensure_eq!(device.presence(blocker), [false, true], "unblocked");
    chats[1].commit(block(true)).await?;
    device.wait(SOON).await;
    theirs.remove(&blocker);
    device.wait(LATER).await;
    ensure_eq!(device.presence(blocker), [false, true, false], "blocked");
    // The group was all they had in common.
    let remove = Change::Remove { user: watcher };
    let write = crate::conformance::world::to(stranger, id, vec![remove]);
    chats[1].commit(write).await?;
    device.wait(SOON).await;
    ensure_eq!(device.presence(mate).last(), Some(&false), "known no more");
    let told = device.presence(mate).len();
    theirs.remove(&mate);
    device.wait(LATER).await;
    theirs.insert(mate, Device::connect(fixture, &chats[0], mate).await?);
    device.wait(LATER).await;
    ensure_eq!(device.presence(mate).len(), told, "words of a stranger");
    for unknown in [mate, stranger] {
        refused(
            "to watch a stranger",
            device.connection().watch(vec![friend, unknown]).await,
            &[ErrorKind::NotFound],
        )?;
    }
    theirs.remove(&friend);
    device.wait(LATER).await;
    ensure_eq!(device.presence(friend).last(), Some(&false), "a friend");
    let back = Change::Add {
        user: watcher,
        role: Role::Member,
    };
    let write = crate::conformance::world::to(stranger, other, vec![back]);
    chats[1].commit(write).await?;
    device.connection().watch(vec![mate]).await?;
    device.wait(SOON).await;
    ensure_eq!(device.presence(mate).last(), Some(&true), "known again");
    Ok(Verdict::Holds)
}

/// Whatever hints are lost, doubled or late, and whether or not a node still says something: in the end watchers know who is
/// there, without further traffic.
///
/// # Errors
/// How it was broken.
pub async fn presence_heals(fixture: &dyn Fixture) -> Outcome {
    for seed in 0..number("CHAT_BUS_SEEDS", 8) {
        let faults = Faults::new(seed, 10);
        let nodes = Nodes::open(fixture, 3, &free(), Some(faults.clone())).await?;
        let (world, chats) = (&nodes.world, &nodes.chats);
        let users = world.users::<8>().await?;
        world.group_of(users[0], &users[1..]).await?;
        let mut watchers = Vec::new();
        for chat in chats {
            let device = Device::connect(fixture, chat, users[0]).await?;
            device.connection().watch(users.to_vec()).await?;
            watchers.push(device);
        }
        let mut chance = Chance::new(seed);
        let mut theirs: BTreeMap<(usize, u64), Device<'_>> = BTreeMap::new();
        for round in 0..60 {
            let (n, node) = (1 + chance.below(7), chance.below(3));
            // Half of the time nothing passes at all; the last words are lost.
            faults.cut(round % 20 > 10 || round > 57);
            let user = usize::try_from(n).unwrap_or_default();
            if theirs.remove(&(user, node)).is_none() {
                let chat = &chats[usize::try_from(node).unwrap_or_default()];
                let device = Device::connect(fixture, chat, users[user]).await?;
                theirs.insert((user, node), device);
            }
            tokio::time::sleep(Duration::from_millis(chance.below(5000))).await;
        }
        faults.cut(false);
        tokio::time::sleep(HEALED).await;
        let mut late = Vec::new();
        for (node, watcher) in watchers.iter_mut().enumerate() {
            watcher.wait(Duration::from_millis(10)).await;
            for (n, &user) in users.iter().enumerate().skip(1) {
                let is_online = theirs.keys().any(|(other, _)| *other == n);
                let told = watcher.presence(user).last().copied();
                if is_online && told != Some(true) {
                    late.push((node, user));
                }
            }
        }
        ensure_eq!(late, [], "seed {seed}: not told within 5 s who is there");
        tokio::time::sleep(GRACE).await;
        for watcher in &mut watchers {
            watcher.wait(Duration::from_millis(10)).await;
            for (n, &user) in users.iter().enumerate().skip(1) {
                let is_online = theirs.keys().any(|(other, _)| *other == n);
                let told = watcher.presence(user).last().copied();
                ensure_eq!(told, Some(is_online), "seed {seed}: {user}");
            }
        }
        // A node that says nothing any more is gone.
        faults.cut(true);
        tokio::time::sleep(HEALED + GRACE).await;
        for (node, watcher) in watchers.iter_mut().enumerate() {
            watcher.wait(Duration::from_millis(10)).await;
            for (n, &user) in users.iter().enumerate().skip(1) {
                let is_here = theirs.keys().any(|key| *key == (n, node as u64));
                let told = watcher.presence(user).last().copied();
                ensure_eq!(told, Some(is_here), "seed {seed}, cut off: {user}");
            }
        }
    }
    Ok(Verdict::Holds)
}
