//! What the victim writes. The test knows it too: each write follows from the round and from what was acknowledged to the
//! same writer before.

use std::collections::BTreeMap;

use chat_core::{Actor, Change, ConversationId, History, Key, Role, Seq, Target, UserId, Write};

use crate::{Receipt, Rng};

/// Users of every round …
const OLD: u32 = 6;
/// … and of one round only, so that direct conversations are made anew.
const NEW: u32 = 2;

/// What a round's writes are made of.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// A number that no other round on the same store has.
    pub round: u64,
    /// How many write at once.
    pub writers: u32,
    /// Texts of some KiB, which fill SQLite's log quickly.
    pub large: bool,
}

impl Plan {
    fn key(&self, writer: u32, number: u32) -> Key {
        let mut key = [0; 16];
        key[..8].copy_from_slice(&self.round.to_be_bytes());
        key[8..12].copy_from_slice(&writer.to_be_bytes());
        key[12..].copy_from_slice(&number.to_be_bytes());
        Key::new(key)
    }
}

/// The writes that come before all others: they make the round's users, and name them to the scripts.
pub fn enrolment(plan: Plan) -> impl Iterator<Item = Write> {
    (0..OLD + NEW).map(move |number| {
        let subject = if number < OLD {
            format!("old {number}")
        } else {
            format!("{:x} {number}", plan.round)
        };
        let profile = Change::Profile {
            name: Some(subject.clone()),
            data: None,
        };
        let target = Target::Subject {
            provider: "faults".to_owned(),
            subject,
        };
        let mut write = Write::new(Actor::Host, target, vec![profile]);
        write.key = Some(plan.key(u32::MAX, number));
        write
    })
}

/// A write, and what must be there when it was acknowledged.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// The write.
    pub write: Write,
    /// The texts of the messages it posts: its last events.
    pub posts: Vec<String>,
    /// The message that it edits, which revision that gives, and its new text.
    pub edit: Option<(ConversationId, Seq, u32, String)>,
}

/// One writer's writes.
#[derive(Clone, Debug)]
pub struct Script {
    plan: Plan,
    writer: u32,
    number: u32,
    rng: Rng,
    users: Vec<UserId>,
    me: UserId,
    /// Own groups and who is in them besides oneself.
    groups: BTreeMap<ConversationId, Vec<UserId>>,
    /// Own messages and how often they were edited.
    posted: Vec<(ConversationId, Seq, u32)>,
}

impl Script {
    /// The writes of one of a round's writers; the users are those of the [`enrolment`]. `None` without users.
    #[must_use]
    pub fn new(plan: Plan, writer: u32, users: &[UserId]) -> Option<Self> {
        Some(Self {
            plan,
            writer,
            number: 0,
            rng: Rng::new(plan.round ^ (u64::from(writer) << 48)),
            users: users.to_vec(),
            me: *users.get(writer as usize % users.len().max(1))?,
            groups: BTreeMap::new(),
            posted: Vec::new(),
        })
    }

    /// Which write [`Script::attempt`] gives.
    #[must_use]
    pub fn number(&self) -> u32 {
        self.number
    }

    /// Whose writes these are.
    #[must_use]
    pub fn writer(&self) -> u32 {
        self.writer
    }

    /// The next write: the same until [`Script::done`].
    #[must_use]
    pub fn attempt(&self) -> Attempt {
        // What is drawn now is drawn again for a retry.
        let mut rng = Rng::new(self.rng.clone().any() ^ u64::from(self.number));
        let mut attempt = self.draw(&mut rng);
        attempt.write.key = Some(self.plan.key(self.writer, self.number));
        attempt
    }

    fn draw(&self, rng: &mut Rng) -> Attempt {
        let others: Vec<UserId> = (self.users.iter().copied())
            .filter(|user| *user != self.me)
            .collect();
        let other = rng.pick(&others).copied().unwrap_or(self.me);
        let group = rng.below(self.groups.len() as u64);
        let group = (self.groups.iter()).nth(usize::try_from(group).unwrap_or(0));
        let me = Actor::User(self.me);
        match (rng.below(100), group) {
            (0..10, Some((&id, members))) => {
                let change = if members.contains(&other) {
                    Change::Remove { user: other }
                } else {
                    Change::Add {
                        user: other,
                        role: Role::Member,
                    }
                };
                self.posting(rng, me, Target::Conversation(id), vec![change], 0)
            }
            (10..35, Some((&id, _))) => {
                self.posting(rng, me, Target::Conversation(id), Vec::new(), 3)
            }
            (35..50, _) if !self.posted.is_empty() => {
                let own = rng.pick(&self.posted).copied();
                let (conversation, message, revision) = own.unwrap_or_else(|| self.posted[0]);
                let text = self.text(rng, 0);
                let edit = Change::Edit {
                    message,
                    revision: Some(revision),
                    content: text.as_str().into(),
                };
                let target = Target::Conversation(conversation);
                Attempt {
                    write: Write::new(me, target, vec![edit]),
                    posts: Vec::new(),
                    edit: Some((conversation, message, revision + 1, text)),
                }
            }
            (50..60, _) => {
                let count = rng.below(others.len() as u64);
                let members = others.iter().take(usize::try_from(count).unwrap_or(0));
                let create = create(members.map(|user| (*user, Role::Member)).collect());
                self.posting(rng, me, Target::Group, vec![create], 1)
            }
            (60..72, _) => {
                let create = create(self.users.iter().map(|u| (*u, Role::Member)).collect());
                let name = format!("{:x} {}", self.plan.round, rng.below(8));
                self.posting(rng, Actor::Host, Target::Key(name), vec![create], 1)
            }
            _ => self.posting(rng, me, Target::Direct(self.me, other), Vec::new(), 3),
        }
    }

    /// Some changes and up to so many messages.
    fn posting(
        &self,
        rng: &mut Rng,
        actor: Actor,
        target: Target,
        mut changes: Vec<Change>,
        most: u64,
    ) -> Attempt {
        let count = match most {
            0 => 0,
            _ if self.plan.large => 4 * most,
            _ => 1 + rng.below(most),
        };
        let posts: Vec<String> = (0..count).map(|at| self.text(rng, at)).collect();
        changes.extend(posts.iter().map(|text| Change::post(text.as_str())));
        Attempt {
            write: Write::new(actor, target, changes),
            posts,
            edit: None,
        }
    }

    /// A text whose beginning, up to the comma, no other message has.
    fn text(&self, rng: &mut Rng, at: u64) -> String {
        let least = if self.plan.large { 7_500 } else { 0 };
        let length = usize::try_from(least + rng.below(300)).unwrap_or(0);
        let (plan, writer, number) = (&self.plan, self.writer, self.number);
        let name = format!("{:x}-{writer}-{number}-{at}", plan.round);
        format!("{name},{}", "x".repeat(length))
    }

    /// Goes on to the next write: this one was acknowledged.
    pub fn done(&mut self, attempt: &Attempt, receipt: &Receipt) {
        self.rng.any();
        self.number += 1;
        let Some(id) = receipt.conversation else {
            return;
        };
        if let Some((conversation, message, revision, _)) = attempt.edit {
            for own in &mut self.posted {
                if (own.0, own.1) == (conversation, message) {
                    own.2 = revision;
                }
            }
        }
        for change in &attempt.write.changes {
            match (change, &attempt.write.target) {
                (Change::Create { members, .. }, Target::Group) => {
                    let members = members.iter().map(|member| member.0).collect();
                    self.groups.insert(id, members);
                }
                (Change::Add { user, .. }, _) => self.groups.entry(id).or_default().push(*user),
                (Change::Remove { user }, _) => {
                    let members = self.groups.entry(id).or_default();
                    members.retain(|member| member != user);
                }
                _ => {}
            }
        }
        if attempt.write.actor == Actor::User(self.me) {
            let end = receipt.first + u64::from(receipt.count);
            let seqs = end.saturating_sub(attempt.posts.len() as u64)..end;
            self.posted.extend(seqs.map(|seq| (id, seq, 0)));
        }
    }
}

fn create(members: Vec<(UserId, Role)>) -> Change {
    Change::Create {
        title: Some("Some of us".to_owned()),
        data: None,
        managed: false,
        history: History::All,
        members,
    }
}
