//! Signals: told to members alone, never in the way of anything.

use std::time::Duration;

use crate::conformance::device::Device;
use crate::conformance::node::{Faults, Nodes, free};
use crate::conformance::world::{about_self, refused, to};
use crate::conformance::{Fixture, Outcome, Verdict, ensure, ensure_eq};
use crate::{
    Change, ConversationId, Data, Error, ErrorKind, Identity, Item, Limits, LogId, Reach, Seq,
    Target, UserId, Write,
};

fn signal(device: &Device<'_>, id: ConversationId, kind: &str) -> Result<(), Error> {
    device.connection().signal(id, kind, None)
}

fn unlimited() -> Limits {
    Limits {
        signal_rate: 0.0,
        ..free()
    }
}

/// Lets a device get that far in a log: what was signalled before has passed by then.
async fn after_all(
    device: &mut Device<'_>,
    log: impl Into<LogId>,
    seq: Seq,
) -> Result<(), crate::conformance::Violation> {
    device.until_seq(log, seq).await
}

/// A signal comes to the other members who are connected, on all nodes, and to nobody else: no stranger, nobody who was
/// removed before, no support staff who are no members. Who is none cannot signal, nor who is blocked in a direct
/// conversation.
///
/// # Errors
/// How it was broken.
pub async fn signals_reach_members_only(fixture: &dyn Fixture) -> Outcome {
    let nodes = Nodes::open(fixture, 2, &unlimited(), Some(Faults::new(0, 0))).await?;
    let (world, chats) = (&nodes.world, &nodes.chats);
    let [owner, member, removed, stranger] = world.users().await?;
    let id = world.group_of(owner, &[member, removed]).await?;
    let pair = world
        .commit(Write::post(owner, Target::Direct(owner, member), "hello"))
        .await?;
    let pair = crate::conformance::world::created(&pair)?;
    let mut sender = Device::connect(fixture, &chats[0], owner).await?;
    let all = Identity {
        reach: Reach::All,
        ..Identity::of(stranger)
    };
    let mut others = vec![
        Device::connect(fixture, &chats[0], owner).await?,
        Device::connect(fixture, &chats[0], stranger).await?,
        Device::connect_as(fixture, &chats[0], all).await?,
    ];
    let mut gone = Vec::new();
    let mut members = Vec::new();
    for chat in chats {
        gone.push(Device::connect(fixture, chat, removed).await?);
        members.push(Device::connect(fixture, chat, member).await?);
    }
    for device in &others[1..] {
        refused(
            "a stranger's signal",
            signal(device, id, "typing"),
            &[ErrorKind::NotFound],
        )?;
    }
    let data = Data::from_json("{\"draft\":true}")?;
    sender
        .connection()
        .signal(id, "typing", Some(data.clone()))?;
    let has = |kind: &'static str| {
        move |items: &[Item]| {
            let is = |item: &Item| matches!(item, Item::Signal(signal) if signal.kind == kind);
            items.iter().any(is)
        }
    };
    for device in members.iter_mut().chain(&mut gone) {
        device.until("a signal", has("typing")).await?;
        let is_whole = device.items.iter().any(|item| match item {
            Item::Signal(signal) => {
                (signal.conversation, signal.data.as_ref()) == (id, Some(&data))
            }
            _ => false,
        });
        ensure!(is_whole, "the signal is another: {:?}", device.items);
    }
    // Removed, and then a signal: in that order on every node.
    chats[0]
        .commit(to(owner, id, vec![Change::Remove { user: removed }]))
        .await?;
    signal(&sender, id, "recording")?;
    for device in &mut members {
        device.until("another signal", has("recording")).await?;
    }
    for device in &mut gone {
        let end = world.store.memberships(removed).await?.head;
        after_all(device, removed, end).await?;
        refused(
            "the signal of one who is gone",
            signal(device, id, "typing"),
            &[ErrorKind::NotFound],
        )?;
        let profile = Change::Profile {
            name: Some("Gone".into()),
            data: None,
        };
        chats[0].commit(about_self(removed, profile)).await?;
        let end = world.store.memberships(removed).await?.head;
        after_all(device, removed, end).await?;
        let expected = vec![(owner, "typing".to_owned())];
        ensure_eq!(device.signals(), expected, "what a removed one got");
    }
    // In a direct conversation, from both sides of a block.
    signal(&sender, pair, "typing")?;
    let in_pair = |items: &[Item]| {
        let is = |item: &Item| matches!(item, Item::Signal(signal) if signal.conversation == pair);
        items.iter().any(is)
    };
    for device in &mut members {
        device.until("a signal of the other one", in_pair).await?;
    }
    let block = |on| about_self(member, Change::Block { user: owner, on });
    chats[1].commit(block(true)).await?;
    let own = world.store.memberships(member).await?.head;
    for device in &mut members {
        // From here on it is known on this node.
        after_all(device, member, own).await?;
    }
    let before: Vec<usize> = members
        .iter()
        .map(|device| device.signals().len())
        .collect();
    // Sooner or later they are told; what they signal until then comes to nobody.
    for _ in 0..50 {
        if signal(&sender, pair, "typing").is_err() {
            break;
        }
        tokio::task::yield_now().await;
    }
    let last = world.post(member, pair, "unheard").await?;
    chats[1]
        .commit(to(member, pair, vec![Change::post("heard")]))
        .await?;
    for (device, before) in members.iter_mut().zip(before) {
        after_all(device, pair, last + 1).await?;
        ensure_eq!(
            device.signals().len(),
            before,
            "signals to one who blocks the sender"
        );
    }
    after_all(&mut sender, pair, last + 1).await?;
    for device in &mut others {
        let user = device.user();
        if user == owner {
            after_all(device, pair, last + 1).await?;
        }
        let none: Vec<(UserId, String)> = Vec::new();
        ensure_eq!(device.signals(), none, "what {user} got");
    }
    Ok(Verdict::Holds)
}

/// Signals wait one of a kind, user and conversation, the newest; they never fill a queue, close nobody, and a user sends
/// only so many.
///
/// # Errors
/// How it was broken.
pub async fn signals_are_bounded(fixture: &dyn Fixture) -> Outcome {
    let limits = Limits {
        signal_rate: 500.0,
        queue_items: 4,
        ..free()
    };
    let nodes = Nodes::open(fixture, 1, &limits, None).await?;
    let (world, chat) = (&nodes.world, &nodes.chats[0]);
    let [owner, member, other] = world.users().await?;
    let id = world.group_of(owner, &[member, other]).await?;
    let sender = Device::connect(fixture, chat, owner).await?;
    let mut slow = Device::connect(fixture, chat, member).await?;
    let mut watching = Device::connect(fixture, chat, other).await?;
    signal(&sender, id, "first")?;
    let any = |items: &[Item]| items.iter().any(|i| matches!(i, Item::Signal(_)));
    watching.until("a signal", any).await?;
    let mut sent = 0;
    let limited = loop {
        // Two kinds by turns, then more kinds than any device keeps.
        let kind = if sent < 100 { sent % 2 } else { sent };
        match signal(&sender, id, &format!("kind {kind}")) {
            Ok(()) => sent += 1,
            // They have to come through first.
            Err(error) if error.kind() == ErrorKind::Busy => {}
            Err(error) => break error,
        }
        if sent == 100 {
            let is_last = |item: &Item| matches!(item, Item::Signal(s) if s.kind == "kind 1");
            let has_last = move |items: &[Item]| items.iter().any(is_last);
            watching.until("one of the latest", has_last).await?;
            // Whatever is still under way has passed with this.
            let post = to(owner, id, vec![Change::post("between")]);
            watching
                .until_seq(id, chat.commit(post).await?.last())
                .await?;
            slow.take().await;
            let mut kinds: Vec<_> = slow.signals().into_iter().map(|(_, kind)| kind).collect();
            kinds.sort_unstable();
            ensure_eq!(
                kinds,
                ["first", "kind 0", "kind 1"],
                "what waited for a slow one"
            );
        }
        ensure!(sent < 5000, "nobody keeps a user from signalling");
        tokio::task::yield_now().await;
    };
    ensure_eq!(limited.kind(), ErrorKind::RateLimited, "the end of it");
    let post = to(owner, id, vec![Change::post("after all")]);
    let last = chat.commit(post).await?.last();
    watching.until_seq(id, last).await?;
    while !slow.seqs(id).contains(&last) && slow.closed().is_none() {
        let before = slow.signals().len();
        slow.take().await;
        let waited = slow.signals().len() - before;
        ensure!(waited <= 64, "{waited} signals waited");
    }
    ensure_eq!(slow.closed(), None, "the end of a slow one");
    for wrong in ["", &"x".repeat(65), "a\nb"] {
        refused(
            "an unsound kind",
            signal(&watching, id, wrong),
            &[ErrorKind::Invalid],
        )?;
    }
    Ok(Verdict::Holds)
}

/// Who looks too late is not told who typed then. On tokio's paused clock.
///
/// # Errors
/// How it was broken.
pub async fn signals_expire(fixture: &dyn Fixture) -> Outcome {
    let nodes = Nodes::open(fixture, 2, &unlimited(), Some(Faults::new(0, 0))).await?;
    let (world, chats) = (&nodes.world, &nodes.chats);
    let [owner, member] = world.users().await?;
    let id = world.group_of(owner, &[member]).await?;
    let sender = Device::connect(fixture, &chats[0], owner).await?;
    let mut devices = vec![
        Device::connect(fixture, &chats[0], member).await?,
        Device::connect(fixture, &chats[1], member).await?,
    ];
    signal(&sender, id, "in time")?;
    for device in &mut devices {
        device.wait(Duration::from_secs(1)).await;
    }
    signal(&sender, id, "too late")?;
    tokio::time::sleep(Duration::from_secs(6)).await;
    let post = to(owner, id, vec![Change::post("kept")]);
    let last = chats[0].commit(post).await?.last();
    for device in &mut devices {
        device.until_seq(id, last).await?;
        device.wait(Duration::from_secs(1)).await;
        let expected = vec![(owner, "in time".to_owned())];
        ensure_eq!(device.signals(), expected, "signals");
    }
    Ok(Verdict::Holds)
}
