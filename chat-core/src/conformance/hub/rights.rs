//! Law 7, live: who is subscribed changes in the log's own order.

use tokio::task::JoinSet;

use crate::conformance::device::Device;
use crate::conformance::node::{Nodes, free};
use crate::conformance::world::{about_self, to};
use crate::conformance::{Fixture, Outcome, Verdict, Violation, ensure, ensure_eq};
use crate::{
    Actor, Change, Chat, EventKind, History, Item, LogId, Role, Seq, Target, UserId, Write,
};

/// Something a user's devices get, after all that was on its way to them.
async fn barrier(chat: &Chat, device: &mut Device<'_>) -> Result<(), Violation> {
    let user = device.user();
    for n in 0..3 {
        let change = Change::Profile {
            name: Some(format!("Barrier {n}")),
            data: None,
        };
        let write = Write::new(Actor::Host, Target::User(user), vec![change]);
        let done = chat.commit(write).await?;
        let own = done.events.iter().find(|event| event.log == user.into());
        if let Some(event) = own {
            device.until_seq(user, event.seq).await?;
        }
    }
    Ok(())
}

/// Who is removed, or leaves, gets the event of their end and nothing after it; so do all their devices.
///
/// # Errors
/// How it was broken.
pub async fn removed_get_nothing_more(fixture: &dyn Fixture) -> Outcome {
    let nodes = Nodes::open(fixture, 1, &free(), None).await?;
    let (world, chat) = (&nodes.world, &nodes.chats[0]);
    let [owner, removed, left] = world.users().await?;
    let id = world.group_of(owner, &[removed, left]).await?;
    let mut watching = Device::connect(fixture, chat, owner).await?;
    let mut gone = Vec::new();
    for user in [removed, removed, left] {
        gone.push(Device::connect(fixture, chat, user).await?);
    }
    let post = |text: &str| to(owner, id, vec![Change::post(text)]);
    chat.commit(post("for all")).await?;
    let remove = to(
        owner,
        id,
        vec![Change::Remove { user: removed }, Change::post("at once")],
    );
    chat.commit(remove).await?;
    let leave = to(left, id, vec![Change::Leave { successor: None }]);
    chat.commit(leave).await?;
    let mut last = 0;
    for n in 0..20 {
        last = chat.commit(post(&format!("{n}"))).await?.last();
    }
    watching.until_seq(id, last).await?;
    for device in &mut gone {
        let user = device.user();
        barrier(chat, device).await?;
        let end = if user == removed { 3 } else { 5 };
        let seqs = device.seqs(id);
        ensure_eq!(seqs, (2..=end).collect::<Vec<_>>(), "what {user} got");
        let removed = device.items.iter().any(|item| match item {
            Item::Event(delivery) => {
                delivery.event.kind
                    == EventKind::Removed {
                        conversation: id,
                        seq: end,
                    }
            }
            _ => false,
        });
        ensure!(removed, "{user} is not told that it is over");
    }
    watching.agrees(world, id, 1).await?;
    Ok(Verdict::Holds)
}

/// Who is added gets everything from the event of their joining on, and nothing of what came before or in between two
/// memberships, while others write all the time.
///
/// # Errors
/// How it was broken.
pub async fn joiners_get_all_from_then_on(fixture: &dyn Fixture) -> Outcome {
    let nodes = Nodes::open(fixture, 1, &free(), None).await?;
    let (world, chat) = (&nodes.world, &nodes.chats[0]);
    let [owner, writer, joiner, steady] = world.users().await?;
    let members = [(writer, Role::Member), (steady, Role::Member)];
    let id = world.found(owner, &members, History::Joined).await?;
    let mut device = Device::connect(fixture, chat, joiner).await?;
    let mut writers = JoinSet::new();
    for user in [writer, steady] {
        let chat = chat.clone();
        writers.spawn(async move {
            for n in 0..60 {
                let change = Change::post(format!("{user} {n}"));
                chat.commit(to(user, id, vec![change])).await?;
            }
            Ok::<_, Violation>(())
        });
    }
    for _ in 0..8 {
        let add = Change::Add {
            user: joiner,
            role: Role::Member,
        };
        chat.commit(to(owner, id, vec![add])).await?;
        chat.commit(to(owner, id, vec![Change::post("inside")]))
            .await?;
        chat.commit(to(owner, id, vec![Change::Remove { user: joiner }]))
            .await?;
        chat.commit(to(owner, id, vec![Change::post("outside")]))
            .await?;
    }
    while let Some(done) = writers.join_next().await {
        done??;
    }
    let add = Change::Add {
        user: joiner,
        role: Role::Member,
    };
    chat.commit(to(owner, id, vec![add])).await?;
    let last = chat
        .commit(to(owner, id, vec![Change::post("last")]))
        .await?
        .last();
    device.until_seq(id, last).await?;
    let seen = world.seen(joiner, id).await?;
    ensure_eq!(device.seqs(id), seen, "what the joiner got");
    let own: Vec<Seq> = (1..=17).collect();
    device.until_seq(joiner, 17).await?;
    ensure_eq!(device.seqs(joiner), own, "the joiner's own log");
    Ok(Verdict::Holds)
}

/// An event about a message outside a reader's ranges comes as hidden; others get it whole.
///
/// # Errors
/// How it was broken.
pub async fn hidden_targets_are_not_told(fixture: &dyn Fixture) -> Outcome {
    let nodes = Nodes::open(fixture, 1, &free(), None).await?;
    let (world, chat) = (&nodes.world, &nodes.chats[0]);
    let [owner, late, cleared] = world.users().await?;
    let id = world
        .found(owner, &[(cleared, Role::Member)], History::Joined)
        .await?;
    let message = world.post(owner, id, "before").await?;
    let mut devices = Vec::new();
    for user in [owner, late, cleared] {
        devices.push(Device::connect(fixture, chat, user).await?);
    }
    let add = Change::Add {
        user: late,
        role: Role::Member,
    };
    let joined = chat.commit(to(owner, id, vec![add])).await?.last();
    // Ranges shrink while connected, too.
    chat.commit(to(cleared, id, vec![Change::Hide])).await?;
    let about = vec![
        Change::Edit {
            message,
            revision: None,
            content: "secret".into(),
        },
        Change::React {
            message,
            emoji: "+".into(),
            on: true,
        },
        Change::post("after"),
        Change::Delete { message },
    ];
    let last = chat.commit(to(owner, id, about)).await?.last();
    for device in &mut devices {
        device.until_seq(id, last).await?;
        let told: Vec<_> = device.log(id).iter().map(|(_, e)| e.is_some()).collect();
        // The joining, the edit, the reaction, the message, the deletion.
        let expected = if device.user() == owner {
            vec![true; 5]
        } else {
            vec![true, false, false, true, false]
        };
        ensure_eq!(told, expected, "what is told to {}", device.user());
        let seqs = device.seqs(id);
        ensure_eq!(seqs, (joined..=last).collect::<Vec<_>>(), "seqs told");
    }
    Ok(Verdict::Holds)
}

/// Naming a log in a resume opens nothing: strangers get no event of it, whatever cursor they name, and their connection
/// goes on.
///
/// # Errors
/// How it was broken.
pub async fn strangers_get_nothing(fixture: &dyn Fixture) -> Outcome {
    let nodes = Nodes::open(fixture, 1, &free(), None).await?;
    let (world, chat) = (&nodes.world, &nodes.chats[0]);
    let [owner, member, stranger] = world.users().await?;
    let id = world.group_of(owner, &[member]).await?;
    for cursor in [0, 1, 1000] {
        let mut device = Device::connect(fixture, chat, stranger).await?;
        let mut watching = Device::connect(fixture, chat, member).await?;
        let nobody = LogId::User(UserId::new(1 << 40)?);
        device.resume(vec![
            (id.into(), cursor),
            (LogId::User(owner), 0),
            (LogId::User(stranger), 0),
            (nobody, 0),
        ])?;
        let is_last = |item: &Item| matches!(item, Item::Resync { log, seq: 0 } if *log == nobody);
        device
            .until("word of the last log", |items| items.iter().any(is_last))
            .await?;
        let last = chat
            .commit(to(owner, id, vec![Change::post("ours")]))
            .await?;
        watching.until_seq(id, last.last()).await?;
        let mute = Change::Block {
            user: member,
            on: cursor == 0,
        };
        chat.commit(about_self(owner, mute)).await?;
        barrier(chat, &mut device).await?;
        ensure!(
            device.seqs(id).is_empty() && device.seqs(owner).is_empty(),
            "a stranger got {:?}",
            device.items
        );
    }
    Ok(Verdict::Holds)
}

/// A text that was deleted or replaced stands nowhere any more: not in a log or feed, not in a history or list, and not in
/// what a device resumes, however recently it was delivered live.
///
/// # Errors
/// How it was broken.
pub async fn erased_texts_are_told_nowhere(fixture: &dyn Fixture) -> Outcome {
    let nodes = Nodes::open(fixture, 1, &free(), None).await?;
    let (world, chat) = (&nodes.world, &nodes.chats[0]);
    let [alice, bob] = world.users().await?;
    let id = world.group_of(alice, &[bob]).await?;
    let mut live = Device::connect(fixture, chat, bob).await?;
    let post = |text: &str| to(alice, id, vec![Change::post(text)]);
    let edited = chat.commit(post("a secret")).await?.last();
    let deleted = chat.commit(post("another secret")).await?.last();
    live.until_seq(id, deleted).await?;
    let resumed = async || -> Result<String, Violation> {
        let mut device = Device::connect(fixture, chat, bob).await?;
        device.resume(vec![(LogId::User(bob), 0), (id.into(), 0)])?;
        let head = world.store.entry(bob, id).await?.head.seq;
        device.until_seq(id, head).await?;
        Ok(format!("{:?}", device.items))
    };
    ensure!(
        resumed().await?.contains("secret"),
        "nothing was told at all"
    );
    let erase = vec![
        Change::Edit {
            message: edited,
            revision: None,
            content: "harmless".into(),
        },
        Change::Delete { message: deleted },
    ];
    chat.commit(to(alice, id, erase)).await?;
    let viewer = crate::Viewer::User(bob);
    for (place, told) in [
        ("what is resumed", resumed().await?),
        ("the log", format!("{:?}", world.log(viewer, id).await?)),
        (
            "the history",
            format!("{:?}", world.history(viewer, id).await?),
        ),
        (
            "the list",
            format!("{:?}", world.store.inbox(bob, None, 10).await?),
        ),
        (
            "the feed",
            format!("{:?}", world.store.feed(0, 1000).await?),
        ),
    ] {
        ensure!(
            !told.contains("secret"),
            "{place} tells what was erased: {told}"
        );
    }
    Ok(Verdict::Holds)
}
