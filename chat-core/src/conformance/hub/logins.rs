//! How connections end.

use std::time::Duration;

use crate::conformance::device::Device;
use crate::conformance::node::{Faults, Nodes, free};
use crate::conformance::world::{World, refused, to};
use crate::conformance::{Fixture, Outcome, Verdict, Violation, ensure, ensure_eq};
use crate::{
    Actor, Change, Chat, Closed, ErrorKind, Identity, LoginId, Reach, Target, Timestamp, UserId,
    Write,
};

fn host(user: UserId, change: Change) -> Write {
    Write::new(Actor::Host, Target::User(user), vec![change])
}

/// A new login of a user.
async fn login(world: &World, user: UserId, lasts: i64) -> Result<(LoginId, Identity), Violation> {
    let expires = Timestamp::now().plus_millis(lasts);
    let done = world
        .commit(host(user, Change::OpenLogin { expires }))
        .await?;
    let login = done
        .login
        .ok_or_else(|| Violation::new("a login is not named"))?;
    let identity = Identity {
        user,
        login: Some(login),
        expires: Some(expires),
        reach: Reach::Own,
    };
    Ok((login, identity))
}

const DAY: i64 = 24 * 3600 * 1000;

/// A revoked login's connections are closed, on this node and on others, and no other login's; all of a user's when all are
/// revoked or the user is disabled; and those the host ends.
///
/// # Errors
/// How it was broken.
pub async fn revoked_logins_are_closed(fixture: &dyn Fixture) -> Outcome {
    let nodes = Nodes::open(fixture, 2, &free(), Some(Faults::new(0, 0))).await?;
    let (world, chats) = (&nodes.world, &nodes.chats);
    let [alice, bob, carol] = world.users().await?;
    let id = world.group_of(alice, &[bob, carol]).await?;
    let mut first = Vec::new();
    let mut second = Vec::new();
    let (one, identity) = login(world, alice, DAY).await?;
    let (_, other) = login(world, alice, DAY).await?;
    for chat in chats {
        first.push(Device::connect_as(fixture, chat, identity).await?);
        second.push(Device::connect_as(fixture, chat, other).await?);
    }
    let mut bystander = Device::connect(fixture, &chats[0], bob).await?;
    let mut hosts = Device::connect(fixture, &chats[1], carol).await?;
    let revoke = |login| host(alice, Change::RevokeLogins { login });
    chats[0].commit(revoke(Some(one))).await?;
    for device in &mut first {
        ensure_eq!(
            device.until_closed().await?,
            Closed::LoggedOut,
            "a revoked login's end"
        );
    }
    let last = chats[1]
        .commit(to(bob, id, vec![Change::post("still?")]))
        .await?
        .last();
    for device in &mut second {
        device.until_seq(id, last).await?;
    }
    chats[1].commit(revoke(None)).await?;
    for device in &mut second {
        ensure_eq!(
            device.until_closed().await?,
            Closed::LoggedOut,
            "when all are revoked"
        );
    }
    chats[0].disconnect(carol, None);
    ensure_eq!(
        hosts.until_closed().await?,
        Closed::Host,
        "when the host ends it"
    );
    let (_, identity) = login(world, carol, DAY).await?;
    let mut disabled = Device::connect_as(fixture, &chats[1], identity).await?;
    chats[0]
        .commit(host(carol, Change::Disable { on: true }))
        .await?;
    ensure_eq!(
        disabled.until_closed().await?,
        Closed::LoggedOut,
        "a disabled user's end"
    );
    let last = chats[0]
        .commit(to(bob, id, vec![Change::post("alone")]))
        .await?
        .last();
    bystander.until_seq(id, last).await?;
    ensure_eq!(bystander.closed(), None, "the end of somebody else");
    Ok(Verdict::Holds)
}

/// A login's connection is closed when the login ends by itself, and one without an end stays. On tokio's paused clock.
///
/// # Errors
/// How it was broken.
pub async fn expired_logins_are_closed(fixture: &dyn Fixture) -> Outcome {
    let nodes = Nodes::open(fixture, 1, &free(), None).await?;
    let (world, chat) = (&nodes.world, &nodes.chats[0]);
    let [alice, bob] = world.users().await?;
    let id = world.group_of(alice, &[bob]).await?;
    let (_, identity) = login(world, alice, 30_000).await?;
    let mut device = Device::connect_as(fixture, chat, identity).await?;
    let mut other = Device::connect(fixture, chat, bob).await?;
    let start = tokio::time::Instant::now();
    ensure_eq!(
        device.until_closed().await?,
        Closed::LoggedOut,
        "an expired login's end"
    );
    let took = start.elapsed();
    let about = Duration::from_secs(25)..Duration::from_secs(35);
    ensure!(
        about.contains(&took),
        "a login of 30 s ended after {took:?}"
    );
    let last = chat
        .commit(to(bob, id, vec![Change::post("on")]))
        .await?
        .last();
    other.until_seq(id, last).await?;
    Ok(Verdict::Holds)
}

/// A connection that is renewed in time goes on past the end of its first login, whose revocation then does not concern it,
/// and ends with the new one's. Another user's credential, or one of another reach, is refused. On tokio's paused clock.
///
/// # Errors
/// How it was broken.
pub async fn renewed_logins_go_on(fixture: &dyn Fixture) -> Outcome {
    let nodes = Nodes::open(fixture, 1, &free(), None).await?;
    let (world, chat) = (&nodes.world, &nodes.chats[0]);
    let [alice, bob] = world.users().await?;
    let id = world.group_of(alice, &[bob]).await?;
    let (first, identity) = login(world, alice, 30_000).await?;
    let (_, longer) = login(world, alice, 90_000).await?;
    let (_, other) = login(world, bob, DAY).await?;
    let mut device = Device::connect_as(fixture, chat, identity).await?;
    let mut second = Device::connect_as(fixture, chat, identity).await?;
    let start = tokio::time::Instant::now();
    for wrong in [
        other,
        Identity {
            reach: Reach::All,
            ..longer
        },
    ] {
        refused(
            "a credential of another kind",
            device.connection().renew(wrong),
            &[ErrorKind::Forbidden],
        )?;
    }
    for device in [&device, &second] {
        device.connection().renew(longer)?;
    }
    chat.commit(host(alice, Change::RevokeLogins { login: Some(first) }))
        .await?;
    device.wait(Duration::from_secs(45)).await;
    ensure_eq!(device.closed(), None, "the end of a renewed one");
    let last = chat.commit(to(bob, id, vec![Change::post("on")]));
    device.until_seq(id, last.await?.last()).await?;
    // Whose login ended already is not renewed by it.
    second.connection().renew(identity)?;
    ensure_eq!(
        second.until_closed().await?,
        Closed::LoggedOut,
        "the end of one that took a revoked login"
    );
    ensure!(
        start.elapsed() < Duration::from_secs(50),
        "it lived on for {:?}",
        start.elapsed()
    );
    ensure_eq!(
        device.until_closed().await?,
        Closed::LoggedOut,
        "a renewed login's end"
    );
    let (took, about) = (
        start.elapsed(),
        Duration::from_secs(85)..Duration::from_secs(95),
    );
    ensure!(about.contains(&took), "it ended after {took:?}");
    Ok(Verdict::Holds)
}

/// A chat that drains finishes what was handed in, tells every connection why it ends, and takes no more.
///
/// # Errors
/// How it was broken.
pub async fn draining_finishes(fixture: &dyn Fixture) -> Outcome {
    let nodes = Nodes::open(fixture, 1, &free(), None).await?;
    let (world, chat) = (&nodes.world, &nodes.chats[0]);
    let [alice, bob] = world.users().await?;
    let id = world.group_of(alice, &[bob]).await?;
    let mut devices = Vec::new();
    for user in [alice, bob] {
        devices.push(Device::connect(fixture, chat, user).await?);
    }
    for n in 0..20 {
        devices[0].submit(n, to(alice, id, vec![Change::post(format!("{n}"))]))?;
    }
    devices[0].until_done(20).await?;
    let draining = tokio::spawn({
        let chat = chat.clone();
        async move { chat.drain(Duration::from_secs(10)).await }
    });
    for device in &mut devices {
        ensure_eq!(device.until_closed().await?, Closed::Drain, "an end");
        ensure_eq!(device.seqs(id).len(), 20, "what {} got", device.user());
    }
    drop(devices);
    draining.await??;
    refused(
        "a connection after the end",
        late(fixture, chat, alice).await,
        &[ErrorKind::Unavailable],
    )?;
    refused(
        "a write after the end",
        chat.commit(to(alice, id, vec![Change::post("late")])).await,
        &[ErrorKind::Unavailable],
    )?;
    Ok(Verdict::Holds)
}

async fn late(fixture: &dyn Fixture, chat: &Chat, user: UserId) -> Result<(), crate::Error> {
    Device::connect(fixture, chat, user).await.map(drop)
}
