//! Clients against the model: what devices make of what they are told, whatever happens to nodes, bus and connections.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::time::Duration;

use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use tokio::time::sleep;

use super::client::{Client, Node};
use super::naive::{Entry, Naive};
use super::script::{Script, Writer, scripts};
use super::{after, agree, view};
use crate::conformance::node::{Chance, Faults, Nodes, free};
use crate::conformance::{Fixture, Outcome, Verdict, Violation, ensure, ensure_eq, number};
use crate::{
    Actor, Change, Chat, ConversationId, Identity, Limits, LogId, Seq, Target, Timestamp, UserId,
    Write,
};

/// Within this time after the last write all devices are right that are connected and read.
const HEALED: Duration = Duration::from_secs(5);
/// How often devices look, then.
const GLANCE: Duration = Duration::from_millis(100);
/// Longer than a mark waits to be written.
const MARKED: Duration = Duration::from_millis(1500);

/// Random operations of every kind, by five users with two devices each and the host, on two or three nodes over one store,
/// with a bus that drops, doubles and reorders one hint in ten each, or none. In between devices are cut off, read nothing
/// for a while, come back on other nodes, and nodes die between commit and publish. After each group of writes, within 5 s,
/// what each device that is connected made of events is the same as a fresh load, and as what an independent naive model
/// says. No device is ever told of an event that its user could not see at any time, nor twice, nor with a hole.
///
/// The seed is in what it says when it fails; the environment may ask for more: `CHAT_EVENT_CASES` (100), and another
/// beginning: `CHAT_EVENT_SEED` (0).
///
/// # Errors
/// How it was broken, and after what.
pub async fn clients_agree_with_the_model(fixture: &dyn Fixture) -> Outcome {
    let first = number("CHAT_EVENT_SEED", 0);
    for seed in first..first + number("CHAT_EVENT_CASES", 100) {
        let mut scene = Scene::open(fixture, seed).await?;
        let played = scene.play().await;
        played.map_err(|violation| {
            let violation = after(&violation, &scene.played);
            Violation::new(format!("CHAT_EVENT_SEED={seed}: {violation}"))
        })?;
    }
    Ok(Verdict::Holds)
}

/// Small enough to be reached.
fn limits() -> Limits {
    Limits {
        queue_items: 48,
        resume_gap: 40,
        page: 7,
        ..free()
    }
}

/// What a device does at the moment.
#[derive(Clone, Copy, PartialEq)]
enum Mood {
    Reads,
    /// Connected, but reads nothing.
    Stalls,
    /// Not connected.
    Away,
}

struct Scene<'a> {
    fixture: &'a dyn Fixture,
    chance: Chance,
    script: Script,
    nodes: Nodes,
    served: Vec<Node>,
    /// Without a bus: what is written here is as good as by a node that dies before it tells anybody.
    mute: Chat,
    users: [UserId; 5],
    model: Naive,
    devices: Vec<(Client, Mood)>,
    /// All that each user could see at any time.
    visible: BTreeMap<UserId, BTreeSet<(ConversationId, Seq)>>,
    texts: u32,
    before: Vec<Write>,
    played: String,
}

impl<'a> Scene<'a> {
    async fn open(fixture: &'a dyn Fixture, seed: u64) -> Result<Self, Violation> {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&seed.to_le_bytes());
        let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
        let mut runner = TestRunner::new_with_rng(Config::default(), rng);
        let tree = scripts().new_tree(&mut runner);
        let tree = tree.map_err(|reason| Violation::new(format!("no script: {reason}")))?;
        let mut chance = Chance::new(seed);
        // One time in eight there is no bus at all.
        let faults = (chance.below(8) > 0).then(|| Faults::new(seed, 10));
        let count = 2 + usize::from(chance.below(2) == 0);
        let nodes = Nodes::open(fixture, count, &limits(), faults).await?;
        let users = nodes.world.users::<5>().await?;
        let mut people = Vec::new();
        for user in users {
            people.push((
                user,
                view::name(&nodes.chats[0], &Identity::of(user)).await?,
            ));
        }
        let served = nodes.chats.iter().cloned().map(Node::of);
        let mute = Chat::builder(nodes.world.store.clone()).limits(limits());
        let devices = users.iter().flat_map(|&user| [user, user]);
        Ok(Self {
            fixture,
            chance,
            script: tree.current(),
            served: served.collect::<Result<_, _>>()?,
            mute: fixture.build(mute),
            nodes,
            users,
            model: Naive::with_people(&people),
            devices: devices
                .map(|user| (Client::new(user), Mood::Away))
                .collect(),
            visible: BTreeMap::new(),
            texts: 0,
            before: Vec::new(),
            played: String::new(),
        })
    }

    fn pick(&mut self, bound: usize) -> usize {
        usize::try_from(self.chance.below(bound as u64)).unwrap_or_default()
    }

    async fn play(&mut self) -> Result<(), Violation> {
        for group in std::mem::take(&mut self.script) {
            self.marks().await?;
            self.moods();
            let known = self.model.clone();
            let mut texts = self.texts;
            let mut writer = Writer {
                users: &self.users,
                known: &known,
                texts: &mut texts,
            };
            let steps = group.iter();
            let writes = steps.filter_map(|step| writer.write(step, &self.before));
            let writes: Vec<Write> = writes.collect();
            self.texts = texts;
            for write in writes {
                self.commit(&write).await?;
                self.before.push(write);
                self.interlude().await?;
            }
            self.settle().await?;
        }
        // In the end all are there, wherever they were.
        for (_, mood) in &mut self.devices {
            *mood = Mood::Reads;
        }
        self.settle().await
    }

    /// Some devices change what they do.
    fn moods(&mut self) {
        for place in 0..self.devices.len() {
            let mood = match self.chance.below(8) {
                0 => Mood::Away,
                1 => Mood::Stalls,
                2 | 3 => Mood::Reads,
                _ => continue,
            };
            self.devices[place].1 = mood;
            let _ = writeln!(self.played, "  device {place} {}", mood.does());
            if mood == Mood::Away {
                self.devices[place].0.cut();
            }
        }
    }

    /// A device that is right marks something as read: this is written a little later.
    async fn marks(&mut self) -> Result<(), Violation> {
        let place = self.pick(self.devices.len());
        let talks: Vec<_> = self.model.talks.keys().copied().collect();
        if talks.is_empty() || self.devices[place].1 != Mood::Reads {
            return Ok(());
        }
        let id = talks[self.pick(talks.len())];
        let (device, _) = &mut self.devices[place];
        let user = device.user();
        if let Some(seq) = device.read(id) {
            let _ = writeln!(self.played, "  device {place} read {seq} of {id}");
            let read = vec![Change::Read { seq }];
            let write = Write::new(Actor::User(user), Target::Conversation(id), read);
            // Nobody is told when it was.
            let done = self.model.write(&write, Timestamp::default(), id);
            ensure!(done.is_ok(), "a mark that the model refuses: {done:?}");
            sleep(MARKED).await;
        }
        Ok(())
    }

    /// One write on one of the nodes, or by one that dies before it told anybody.
    async fn commit(&mut self, write: &Write) -> Result<(), Violation> {
        let node = self.pick(self.served.len() + 1);
        let chat = self.nodes.chats.get(node).unwrap_or(&self.mute);
        let result = chat.commit(write.clone()).await;
        let (actor, target, changes) = (write.actor, &write.target, &write.changes);
        let _ = writeln!(
            self.played,
            "  node {node}: {actor:?} to {target:?}: {changes:?}"
        );
        // What would have been made by a write that was refused.
        let nowhere = ConversationId::new(crate::MAX_ID)?;
        let at = result.as_ref().map(|done| done.at).unwrap_or_default();
        let id = result.as_ref().ok().and_then(|done| done.conversation);
        let expected = self.model.write(write, at, id.unwrap_or(nowhere));
        agree(&result, &expected)?;
        if let (Actor::User(user), Ok(answer)) = (write.actor, &expected)
            && write.changes.contains(&Change::Hide)
        {
            // What the same write made and cleared away was there for a moment.
            let made = answer.events.iter().filter_map(|(log, seq, ..)| match log {
                LogId::Conversation(id) => Some((*id, *seq)),
                LogId::User(_) => None,
            });
            self.visible.entry(user).or_default().extend(made);
        }
        for (&id, talk) in &self.model.talks {
            for (&user, member) in &talk.members {
                // What one cleared away oneself may be told of until the device's node knows.
                let known = self.visible.entry(user).or_default();
                let is_seen = |(seq, entry): &(Seq, &Entry)| {
                    let sees = |seq: &Seq| member.sees.contains(seq) || known.contains(&(id, *seq));
                    member.sees.contains(seq) && entry.kind.target().is_none_or(|seq| sees(&seq))
                };
                let seen = (1..).zip(&talk.log).filter(is_seen);
                let seen: Vec<_> = seen.map(|(seq, _)| (id, seq)).collect();
                known.extend(seen);
            }
        }
        Ok(())
    }

    /// Between two writes: some time passes, some frames are read, a connection breaks.
    async fn interlude(&mut self) -> Result<(), Violation> {
        sleep(Duration::from_millis([0, 1, 20, 3000][self.pick(4)])).await;
        for _ in 0..self.pick(8) {
            let place = self.pick(self.devices.len());
            if self.devices[place].1 != Mood::Reads {
                continue;
            }
            if self.chance.below(10) == 0 {
                self.devices[place].0.cut();
            }
            self.come_back(place).await?;
            let most = 1 + self.pick(20);
            self.devices[place].0.pump(most).await?;
        }
        Ok(())
    }

    /// A device that is not connected connects, to whichever node.
    async fn come_back(&mut self, place: usize) -> Result<(), Violation> {
        let node = self.pick(self.served.len());
        let (device, _) = &mut self.devices[place];
        if !device.is_connected() {
            device.connect(self.fixture, &self.served[node]).await?;
        }
        Ok(())
    }

    /// Nothing is written for a while: then all who are there are right.
    async fn settle(&mut self) -> Result<(), Violation> {
        let start = tokio::time::Instant::now();
        while start.elapsed() < HEALED {
            for place in 0..self.devices.len() {
                if self.devices[place].1 == Mood::Reads {
                    self.come_back(place).await?;
                    while self.devices[place].0.pump(64).await? {}
                }
            }
            sleep(GLANCE).await;
        }
        for &user in &self.users {
            let node = &self.nodes.chats[0];
            let fresh = view::fresh(node, &Identity::of(user)).await?;
            let expected = view::expected(&self.model, user);
            ensure_eq!(fresh, expected, "a fresh load of {user} and the model");
            let theirs = self.devices.iter().enumerate();
            for (place, (device, mood)) in theirs.filter(|(_, (d, _))| d.user() == user) {
                if *mood == Mood::Reads {
                    ensure_eq!(
                        device.view,
                        fresh,
                        "device {place} of {user}, and a fresh load"
                    );
                }
                let seen = self.visible.get(&user);
                let forbidden = device.shown.iter();
                let mut forbidden =
                    forbidden.filter(|place| seen.is_none_or(|seen| !seen.contains(place)));
                let first = forbidden.next();
                ensure!(
                    first.is_none(),
                    "device {place} of {user} was told of {first:?}, which is not theirs"
                );
            }
        }
        Ok(())
    }
}

impl Mood {
    const fn does(self) -> &'static str {
        match self {
            Self::Reads => "reads",
            Self::Stalls => "stalls",
            Self::Away => "is away",
        }
    }
}
