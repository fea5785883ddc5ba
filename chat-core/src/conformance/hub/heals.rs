//! Law 13: right again after anything that hints may suffer. On tokio's paused clock: seconds are counted, not waited for.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::conformance::device::{Device, all_until_seq};
use crate::conformance::node::{Chance, Faults, Nodes, free};
use crate::conformance::world::to;
use crate::conformance::{Fixture, Outcome, Verdict, Violation, ensure, ensure_eq, number};
use crate::{Change, ConversationId, History, Limits, LogId, Role, Seq, Target, UserId, Write};

/// Within this time after the last write all live connections are right, without further traffic.
const HEALED: Duration = Duration::from_secs(5);

/// Three nodes with devices of six users on each, and their group.
struct Scene<'a> {
    nodes: Nodes,
    users: [UserId; 6],
    id: ConversationId,
    devices: Vec<Device<'a>>,
}

impl<'a> Scene<'a> {
    async fn open(
        fixture: &'a dyn Fixture,
        limits: &Limits,
        faults: Option<std::sync::Arc<Faults>>,
    ) -> Result<Self, Violation> {
        let nodes = Nodes::open(fixture, 3, limits, faults).await?;
        let users = nodes.world.users::<6>().await?;
        let members: Vec<_> = users[1..5].iter().map(|&u| (u, Role::Member)).collect();
        let id = nodes
            .world
            .found(users[0], &members, History::Joined)
            .await?;
        let mut devices = Vec::new();
        for chat in &nodes.chats {
            for &user in &users {
                devices.push(Device::connect(fixture, chat, user).await?);
            }
        }
        Ok(Self {
            nodes,
            users,
            id,
            devices,
        })
    }

    async fn commit(&self, node: usize, write: Write) -> Result<Seq, Violation> {
        Ok(self.nodes.chats[node].commit(write).await?.last())
    }

    /// What a user's devices have to have got of a log: all but what made the group, before they connected.
    async fn due(&self, user: UserId, log: LogId) -> Result<Vec<Seq>, Violation> {
        let world = &self.nodes.world;
        let is_new = log == self.id.into() && user == self.users[5];
        let mut seqs = if is_new && world.store.entry(user, self.id).await.is_err() {
            Vec::new()
        } else {
            world.seen(user, log).await?
        };
        let is_old = log == self.id.into() || log == user.into();
        if is_old && user != self.users[5] {
            seqs.retain(|seq| *seq > 1);
        }
        Ok(seqs)
    }

    /// Fails unless all devices have all that concerns them, in time, and nothing else.
    async fn is_right_soon(&mut self) -> Result<(), Violation> {
        let start = tokio::time::Instant::now();
        for user in self.users {
            let memberships = self.nodes.world.store.memberships(user).await?;
            let ids = memberships.conversations.iter().map(|(id, ..)| *id);
            let logs: BTreeSet<LogId> = ids
                .chain([self.id])
                .map(LogId::from)
                .chain([user.into()])
                .collect();
            for log in logs {
                let due = self.due(user, log).await?;
                for device in self.devices.iter_mut().filter(|d| d.user() == user) {
                    if let Some(last) = due.last() {
                        device.until_seq(log, *last).await?;
                    }
                    let took = start.elapsed();
                    ensure!(
                        took <= HEALED,
                        "{log:?} was right for {user} after {took:?}"
                    );
                    let got = device.log(log).into_iter();
                    let got: Vec<_> = got.filter(|(_, e)| e.is_some()).map(|(s, _)| s).collect();
                    ensure_eq!(got, due, "{log:?} on a device of {user}");
                }
            }
        }
        Ok(())
    }

    /// Writes of all kinds on all nodes: messages, joinings and leavings, new conversations.
    async fn live_on(&mut self, seed: u64, writes: u64) -> Result<(), Violation> {
        let mut chance = Chance::new(seed);
        let pick = |chance: &mut Chance, bound: usize| -> usize {
            usize::try_from(chance.below(bound as u64)).unwrap_or_default()
        };
        // Never in or out between: the last one comes and goes.
        let [owner, .., guest] = self.users;
        let mut inside = false;
        for n in 0..writes {
            let node = pick(&mut chance, 3);
            let user = self.users[pick(&mut chance, 5)];
            let change = match chance.below(10) {
                0 if inside => Change::Remove { user: guest },
                0 => Change::Add {
                    user: guest,
                    role: Role::Member,
                },
                1 => {
                    let other = self.users[pick(&mut chance, 6)];
                    if other != user {
                        let pair = Target::Direct(user, other);
                        self.commit(node, Write::post(user, pair, "hello")).await?;
                    }
                    continue;
                }
                2 => {
                    let change = Change::Archive { on: n % 2 == 0 };
                    self.commit(node, to(user, self.id, vec![change])).await?;
                    continue;
                }
                _ => {
                    let change = Change::post(format!("{n}"));
                    self.commit(node, to(user, self.id, vec![change])).await?;
                    continue;
                }
            };
            inside = !inside;
            self.commit(node, to(owner, self.id, vec![change])).await?;
        }
        let change = Change::post("the last one");
        self.commit(pick(&mut chance, 3), to(owner, self.id, vec![change]))
            .await?;
        Ok(())
    }
}

/// A bus that drops, doubles and reorders one hint in ten each: all devices on all nodes are right within 5 s after the last
/// write. The seed is in what it says when it fails; the environment may ask for more: `CHAT_BUS_SEEDS` (8).
///
/// # Errors
/// How it was broken.
pub async fn heals_despite_a_faulty_bus(fixture: &dyn Fixture) -> Outcome {
    for seed in 0..number("CHAT_BUS_SEEDS", 8) {
        let faults = Faults::new(seed, 10);
        let mut scene = Scene::open(fixture, &free(), Some(faults)).await?;
        scene.live_on(seed, 150).await?;
        if let Err(violation) = scene.is_right_soon().await {
            return Err(Violation::new(format!("seed {seed}: {violation}")));
        }
    }
    Ok(Verdict::Holds)
}

/// The same without any bus: the sweep alone.
///
/// # Errors
/// How it was broken.
pub async fn heals_without_a_bus(fixture: &dyn Fixture) -> Outcome {
    for seed in 0..number("CHAT_BUS_SEEDS", 4) {
        let mut scene = Scene::open(fixture, &free(), None).await?;
        scene.live_on(seed, 150).await?;
        if let Err(violation) = scene.is_right_soon().await {
            return Err(Violation::new(format!("seed {seed}: {violation}")));
        }
    }
    Ok(Verdict::Holds)
}

/// The last hint of a log is lost and nothing follows: found by the sweep, for a conversation and for a user's log alone.
///
/// # Errors
/// How it was broken.
pub async fn heals_a_lost_last_hint(fixture: &dyn Fixture) -> Outcome {
    let faults = Faults::new(0, 0);
    let mut scene = Scene::open(fixture, &free(), Some(faults.clone())).await?;
    scene.live_on(1, 20).await?;
    scene.is_right_soon().await?;
    faults.cut(true);
    let [owner, member, ..] = scene.users;
    let post = to(owner, scene.id, vec![Change::post("unheard")]);
    scene.commit(0, post).await?;
    scene.is_right_soon().await?;
    let mute = to(member, scene.id, vec![Change::Archive { on: true }]);
    scene.commit(1, mute).await?;
    let back = to(member, scene.id, vec![Change::Archive { on: false }]);
    scene.commit(1, back).await?;
    scene.is_right_soon().await?;
    Ok(Verdict::Holds)
}

/// A node that dies between commit and publish says nothing of what it wrote: found by the sweep on every node, for messages,
/// joinings and what stands in users' logs.
///
/// # Errors
/// How it was broken.
pub async fn heals_what_died_unsaid(fixture: &dyn Fixture) -> Outcome {
    let mut scene = Scene::open(fixture, &free(), Some(Faults::new(0, 0))).await?;
    scene.live_on(2, 20).await?;
    scene.is_right_soon().await?;
    let [owner, member, .., guest] = scene.users;
    let id = scene.id;
    let add = Change::Add {
        user: guest,
        role: Role::Member,
    };
    let pair = Target::Direct(owner, member);
    for write in [
        to(owner, id, vec![add, Change::post("unsaid")]),
        to(member, id, vec![Change::Archive { on: true }]),
        Write::post(owner, pair, "unsaid"),
        to(owner, id, vec![Change::Remove { user: guest }]),
        to(owner, id, vec![Change::post("the last one")]),
    ] {
        // Straight to the store: no node knows of it.
        scene.nodes.world.commit(write).await?;
        scene.is_right_soon().await?;
    }
    Ok(Verdict::Holds)
}

/// When the bus says that hints were lost, the heads are compared at once, not with the next sweep.
///
/// # Errors
/// How it was broken.
pub async fn heals_at_once_when_told(fixture: &dyn Fixture) -> Outcome {
    let limits = Limits {
        sweep: Duration::from_secs(3600),
        ..free()
    };
    let faults = Faults::new(0, 0);
    let mut scene = Scene::open(fixture, &limits, Some(faults.clone())).await?;
    faults.cut(true);
    let [owner, ..] = scene.users;
    let post = to(owner, scene.id, vec![Change::post("unheard")]);
    let head = scene.commit(0, post).await?;
    faults.cut(false);
    let start = tokio::time::Instant::now();
    scene.nodes.say_lost();
    let id = scene.id;
    let members = scene
        .devices
        .iter_mut()
        .filter(|d| d.user() != scene.users[5]);
    for device in members {
        device.until_seq(id, head).await?;
    }
    let took = start.elapsed();
    ensure!(took < Duration::from_secs(1), "it took {took:?}");
    let strangers = scene
        .devices
        .iter_mut()
        .filter(|d| d.user() == scene.users[5]);
    let told: Vec<Seq> = strangers.flat_map(|device| device.seqs(id)).collect();
    ensure_eq!(told, Vec::<Seq>::new(), "what who is no member got");
    let mut others: Vec<Device<'_>> = scene.devices.drain(..5).collect();
    all_until_seq(&mut others, id, head).await?;
    Ok(Verdict::Holds)
}
