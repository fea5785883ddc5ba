//! Laws 9 and 10: bounded, and encoded once.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::Semaphore;

use crate::conformance::device::{Device, all_until_seq};
use crate::conformance::node::{Nodes, free};
use crate::conformance::world::{World, refused, to};
use crate::conformance::{Fixture, Outcome, Verdict, Violation, ensure, ensure_eq};
use crate::{
    Change, Chat, Closed, ConversationId, Error, ErrorKind, History, Item, Limits, LogId, Policy,
    Role, Seq, UserId, Verdict as Say, Write,
};

/// Messages that somebody does not read while another reads each: so many that all of them wait for the slow one, then so
/// many that it is too much.
async fn neglect(
    fixture: &dyn Fixture,
    limits: Limits,
    text: &str,
    within: u64,
    beyond: u64,
) -> Outcome {
    let nodes = Nodes::open(fixture, 1, &limits, None).await?;
    let (world, chat) = (&nodes.world, &nodes.chats[0]);
    let [alice, bob] = world.users().await?;
    let id = world.group_of(alice, &[bob]).await?;
    let mut slow = Device::connect(fixture, chat, bob).await?;
    let mut fast = Device::connect(fixture, chat, alice).await?;
    let mut head = 1;
    for (count, is_too_much) in [(within, false), (beyond, true)] {
        let first = head + 1;
        for _ in 0..count {
            let write = to(alice, id, vec![Change::post(text)]);
            head = chat.commit(write).await?.last();
            // Nobody waits for the slow one: each message arrives before the next one is sent.
            fast.until_seq(id, head).await?;
        }
        if is_too_much {
            let why = slow.until_closed().await?;
            ensure_eq!(why, Closed::Slow, "the end of one who does not read");
        } else {
            slow.until_seq(id, head).await?;
            ensure_eq!(slow.closed(), None, "the end of one who reads in time");
        }
        // Whatever a closed one still got, there is no hole in it: it can resume from there.
        let seqs = slow.seqs(id);
        let expected: Vec<Seq> = (2..).take(seqs.len()).collect();
        ensure_eq!(seqs, expected, "what the slow one got from {first} on");
    }
    ensure_eq!(fast.closed(), None, "the end of one who reads");
    fast.agrees(world, id, 1).await?;
    let cursor = slow.seqs(id).last().copied().unwrap_or(1);
    let mut again = Device::connect(fixture, chat, bob).await?;
    again.resume(vec![(LogId::User(bob), 1), (id.into(), cursor)])?;
    again.until_seq(id, head).await?;
    again.agrees(world, id, cursor).await?;
    Ok(Verdict::Holds)
}

/// Law 9 in items: who does not read is closed with [`Closed::Slow`] once the queue is full, delays nobody, and can resume
/// without loss.
///
/// # Errors
/// How it was broken.
pub async fn slow_readers_pay_alone(fixture: &dyn Fixture) -> Outcome {
    let limits = Limits {
        queue_items: 32,
        ..free()
    };
    neglect(fixture, limits, "a message", 32, 33).await
}

/// Law 9 in bytes: the same for few large messages.
///
/// # Errors
/// How it was broken.
pub async fn slow_readers_are_bounded_in_bytes(fixture: &dyn Fixture) -> Outcome {
    let limits = Limits {
        queue_bytes: 32 << 10,
        ..free()
    };
    let text = "x".repeat(4 << 10);
    neglect(fixture, limits, &text, 5, 9).await
}

/// What a group looks like to the encoders: members with the history, and late ones without.
struct Audience<'a> {
    world: World,
    chat: Chat,
    owner: UserId,
    id: ConversationId,
    devices: Vec<Device<'a>>,
}

impl<'a> Audience<'a> {
    async fn open(fixture: &'a dyn Fixture) -> Result<Self, Violation> {
        let Nodes { world, chats, .. } = Nodes::open(fixture, 1, &free(), None).await?;
        let users = world.users::<8>().await?;
        let owner = users[0];
        let early: Vec<_> = users[1..4].iter().map(|&u| (u, Role::Member)).collect();
        let id = world.found(owner, &early, History::Joined).await?;
        world.post(owner, id, "before").await?;
        for &user in &users[4..] {
            let add = Change::Add {
                user,
                role: Role::Member,
            };
            world.change(owner, id, add).await?;
        }
        let mut devices = Vec::new();
        for &user in &users {
            devices.push(Device::connect(fixture, &chats[0], user).await?);
            devices.push(Device::connect(fixture, &chats[0], user).await?);
        }
        Ok(Self {
            world,
            chat: chats[0].clone(),
            owner,
            id,
            devices,
        })
    }

    async fn head(&self) -> Result<Seq, Error> {
        let entry = self.world.store.entry(self.owner, self.id).await?;
        Ok(entry.head.seq)
    }

    /// Twenty messages, and ten reactions to one that late ones may not see; the last seq.
    async fn hear(&self) -> Result<Seq, Error> {
        for n in 0..20 {
            let mut changes = vec![Change::post(format!("{n}"))];
            if n % 2 == 0 {
                changes.push(Change::React {
                    message: 2,
                    emoji: format!("{n}"),
                    on: true,
                });
            }
            self.chat.commit(to(self.owner, self.id, changes)).await?;
        }
        self.head().await
    }
}

/// How often what devices got of a group is encoded: whole and hidden, told and encoded.
fn encodings(
    chat: &Chat,
    devices: &[Device<'_>],
    id: ConversationId,
) -> Result<[(usize, usize); 2], Violation> {
    let format = chat.format()?;
    let (whole, hidden) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let count = |counter: &AtomicUsize, seq: Seq| {
        counter.fetch_add(1, Ordering::SeqCst);
        Bytes::from(seq.to_string())
    };
    let mut told = [0, 0];
    for item in devices.iter().flat_map(|device| &device.items) {
        let (frame, seq) = match item {
            Item::Event(delivery) if delivery.event.log == id.into() => {
                told[0] += 1;
                let frame = delivery.frame(format, |event| count(&whole, event.seq));
                (frame, delivery.event.seq)
            }
            Item::Hidden(place) if place.log == id.into() => {
                told[1] += 1;
                let frame = place.frame(format, |_, seq| count(&hidden, seq));
                (frame, place.seq)
            }
            _ => continue,
        };
        ensure_eq!(frame, seq.to_string(), "a frame");
    }
    Ok([
        (told[0], whole.into_inner()),
        (told[1], hidden.into_inner()),
    ])
}

/// Law 10: an event is encoded once for each format, and once more for all to whom it is hidden, however many get it.
///
/// # Errors
/// How it was broken.
pub async fn encoded_once(fixture: &dyn Fixture) -> Outcome {
    let mut audience = Audience::open(fixture).await?;
    let head = audience.hear().await?;
    all_until_seq(&mut audience.devices, audience.id, head).await?;
    // 16 devices, 8 of them of late ones, who may see 20 of the 30 events.
    let expected = [(8 * 30 + 8 * 20, 30), (8 * 10, 10)];
    for _ in 0..2 {
        let found = encodings(&audience.chat, &audience.devices, audience.id)?;
        ensure_eq!(found, expected, "told and encoded, whole and hidden");
    }
    Ok(Verdict::Holds)
}

/// Law 10 for those who come back: what is recent is not encoded again for each device that resumes.
///
/// # Errors
/// How it was broken.
pub async fn resumed_encoded_once(fixture: &dyn Fixture) -> Outcome {
    let mut audience = Audience::open(fixture).await?;
    let start = audience.head().await?;
    let head = audience.hear().await?;
    let id = audience.id;
    for n in 0..16 {
        let user = audience.devices[n].user();
        let mut device = Device::connect(fixture, &audience.chat, user).await?;
        device.resume(vec![(LogId::User(user), 1), (id.into(), start)])?;
        audience.devices.push(device);
    }
    all_until_seq(&mut audience.devices, id, head).await?;
    let found = encodings(&audience.chat, &audience.devices, id)?;
    let expected = [(16 * 30 + 16 * 20, 30), (16 * 10, 10)];
    ensure_eq!(found, expected, "told and encoded, whole and hidden");
    Ok(Verdict::Holds)
}

/// A policy that lets a write pass for each permit it has.
struct Gate(Arc<Semaphore>);

#[async_trait]
impl Policy for Gate {
    async fn check(&self, _write: &Write) -> Result<Say, Error> {
        let permit = self.0.acquire().await;
        permit.map_err(|_| Error::forbidden("shut"))?.forget();
        Ok(Say::Allow)
    }
}

/// A connection has at most [`Limits::in_flight`] writes under way: one more is `Busy`, and welcome again when one is done.
///
/// # Errors
/// How it was broken.
pub async fn in_flight_is_bounded(fixture: &dyn Fixture) -> Outcome {
    let world = World::open(fixture).await?;
    let limits = Limits {
        in_flight: 4,
        ..free()
    };
    let permits = Arc::new(Semaphore::new(0));
    let builder = Chat::builder(world.store.clone()).limits(limits);
    let chat = fixture.build(builder.policy(Gate(permits.clone())));
    let [alice, bob] = world.users().await?;
    let id = world.group_of(alice, &[bob]).await?;
    let mut device = Device::connect(fixture, &chat, alice).await?;
    let post = |n: u64| to(alice, id, vec![Change::post(format!("{n}"))]);
    for n in 0..4 {
        device.submit(n, post(n))?;
    }
    for _ in 0..3 {
        refused(
            "a fifth write",
            device.submit(4, post(4)),
            &[ErrorKind::Busy],
        )?;
    }
    // Another device of the same user has its own.
    let other = Device::connect(fixture, &chat, alice).await?;
    other.submit(0, to(alice, id, vec![Change::Archive { on: true }]))?;
    permits.add_permits(100);
    device.until_done(4).await?;
    device.submit(5, post(5))?;
    device.until_done(5).await?;
    let refusals = device
        .items
        .iter()
        .filter(|item| matches!(item, Item::Refused { .. }));
    ensure_eq!(refusals.count(), 0, "refusals");
    ensure_eq!(world.read(bob, id).await?, vec![2, 3, 4, 5, 6], "messages");
    Ok(Verdict::Holds)
}

/// A user has at most [`Limits::connections`] here: the oldest gives way, told why; others' are not counted.
///
/// # Errors
/// How it was broken.
pub async fn oldest_connection_gives_way(fixture: &dyn Fixture) -> Outcome {
    let limits = Limits {
        connections: 2,
        ..free()
    };
    let nodes = Nodes::open(fixture, 1, &limits, None).await?;
    let (world, chat) = (&nodes.world, &nodes.chats[0]);
    let [alice, bob] = world.users().await?;
    let id = world.group_of(alice, &[bob]).await?;
    let mut other = Device::connect(fixture, chat, bob).await?;
    let mut devices = Vec::new();
    for _ in 0..4 {
        devices.push(Device::connect(fixture, chat, alice).await?);
    }
    for device in &mut devices[..2] {
        ensure_eq!(
            device.until_closed().await?,
            Closed::TooMany,
            "the end of an old one"
        );
    }
    let last = chat
        .commit(to(bob, id, vec![Change::post("hello")]))
        .await?
        .last();
    all_until_seq(&mut devices[2..], id, last).await?;
    other.until_seq(id, last).await?;
    ensure!(
        devices[..2].iter().all(|device| device.seqs(id).is_empty()),
        "a closed connection got a message"
    );
    Ok(Verdict::Holds)
}
