//! What is played: writes by several users and the host, in groups, as small numbers that shrink well.

use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, any, prop_oneof};

use super::naive::{Naive, Talk};
use crate::{
    Actor, Change, Content, ConversationKind, History, Role, Seq, Target, Timestamp, UserId, Write,
};

/// Writes that are committed as one group each.
pub(super) type Script = Vec<Vec<Step>>;

#[derive(Clone, Debug)]
pub(super) enum Step {
    /// A new write: by whom (the last one is the host), where, what, and whether it has a key.
    Write(u8, Place, Vec<Deed>, bool),
    /// An earlier write once more: without a key it is a new one.
    Again(u8),
    /// The key of an earlier write, with another body.
    Clash(u8),
}

#[derive(Clone, Debug)]
pub(super) enum Place {
    /// A conversation that is known already, whoever may know it.
    Known(u8),
    /// The direct conversation with another; for the host and meddlers, of two others.
    Pair(u8, u8),
    Named(bool),
    Group,
    /// One's own account.
    Own,
    /// Another's.
    Foreign(u8),
}

#[derive(Clone, Debug)]
pub(super) enum Deed {
    Post {
        empty: bool,
        reply: Option<u8>,
        mention: Option<u8>,
    },
    Edit {
        message: u8,
        revision: Option<u8>,
    },
    Delete(u8),
    React {
        message: u8,
        emoji: u8,
        on: bool,
    },
    Pin {
        message: u8,
        on: bool,
    },
    Add(u8, u8),
    Remove(u8),
    Leave(Option<u8>),
    SetRole(u8, u8),
    Configure {
        title: Option<u8>,
        joined: Option<bool>,
    },
    Hide,
    Mute(Option<u8>),
    Archive(bool),
    Read(u8),
    Deliver(u8),
    Block(u8, bool),
    Rename(u8),
}

pub(super) fn scripts() -> impl Strategy<Value = Script> {
    vec(vec(steps(), 1..8), 1..16)
}

fn steps() -> impl Strategy<Value = Step> {
    let several = prop_oneof![4 => vec(deeds(), 1), 1 => vec(deeds(), 2..5)];
    let has_key = proptest::bool::weighted(0.8);
    let write = (any::<u8>(), places(), several, has_key);
    prop_oneof![
        20 => write
            .prop_map(|(actor, place, deeds, has_key)| Step::Write(actor, place, deeds, has_key)),
        2 => any::<u8>().prop_map(Step::Again),
        1 => any::<u8>().prop_map(Step::Clash),
    ]
}

fn places() -> impl Strategy<Value = Place> {
    prop_oneof![
        14 => any::<u8>().prop_map(Place::Known),
        3 => any::<(u8, u8)>().prop_map(|(a, b)| Place::Pair(a, b)),
        1 => any::<bool>().prop_map(Place::Named),
        1 => Just(Place::Group),
        2 => Just(Place::Own),
        1 => any::<u8>().prop_map(Place::Foreign),
    ]
}

fn deeds() -> impl Strategy<Value = Deed> {
    let some = || proptest::option::weighted(0.3, any::<u8>());
    prop_oneof![
        8 => (proptest::bool::weighted(0.05), some(), some())
            .prop_map(|(empty, reply, mention)| Deed::Post { empty, reply, mention }),
        4 => (any::<u8>(), some()).prop_map(|(message, revision)| Deed::Edit { message, revision }),
        2 => any::<u8>().prop_map(Deed::Delete),
        5 => any::<(u8, u8, bool)>()
            .prop_map(|(message, emoji, on)| Deed::React { message, emoji, on }),
        2 => any::<(u8, bool)>().prop_map(|(message, on)| Deed::Pin { message, on }),
        4 => any::<(u8, u8)>().prop_map(|(user, role)| Deed::Add(user, role)),
        2 => any::<u8>().prop_map(Deed::Remove),
        1 => some().prop_map(Deed::Leave),
        2 => any::<(u8, u8)>().prop_map(|(user, role)| Deed::SetRole(user, role)),
        1 => (some(), any::<Option<bool>>())
            .prop_map(|(title, joined)| Deed::Configure { title, joined }),
        2 => Just(Deed::Hide),
        1 => some().prop_map(Deed::Mute),
        1 => any::<bool>().prop_map(Deed::Archive),
        3 => any::<u8>().prop_map(Deed::Read),
        1 => any::<u8>().prop_map(Deed::Deliver),
        2 => any::<(u8, bool)>().prop_map(|(user, on)| Deed::Block(user, on)),
        1 => any::<u8>().prop_map(Deed::Rename),
    ]
}

/// Turns steps into writes, with what is known before their group.
pub(super) struct Writer<'a> {
    pub(super) users: &'a [UserId],
    pub(super) known: &'a Naive,
    /// Numbers texts, so that no two are the same.
    pub(super) texts: &'a mut u32,
}

impl Writer<'_> {
    fn user(&self, number: u8) -> UserId {
        self.users[usize::from(number) % self.users.len()]
    }

    pub(super) fn write(&mut self, step: &Step, before: &[Write]) -> Option<Write> {
        let earlier = |number: &u8| {
            let number = usize::from(*number).checked_rem(before.len())?;
            before.get(number).cloned()
        };
        match step {
            Step::Again(number) => earlier(number),
            Step::Clash(number) => {
                let mut write = earlier(number)?;
                write.changes.push(Change::post("one more"));
                Some(write)
            }
            Step::Write(actor, place, deeds, has_key) => {
                let number = usize::from(*actor) % (self.users.len() + 1);
                let actor = self.users.get(number).copied();
                let mut write = self.new_write(actor, place, deeds)?;
                if !has_key {
                    write.key = None;
                }
                Some(write)
            }
        }
    }

    fn new_write(&mut self, user: Option<UserId>, place: &Place, deeds: &[Deed]) -> Option<Write> {
        let mut actor = user.map_or(Actor::Host, Actor::User);
        let mut changes = Vec::new();
        let mut talk = None;
        let target = match place {
            Place::Known(number) => {
                // Seven in eight are the actor's own.
                let is_own = |known: &Talk| user.is_none_or(|user| known.is_member(user));
                let talks = self.known.talks.iter();
                let all: Vec<_> = talks
                    .filter(|(_, t)| number % 8 == 0 || is_own(t))
                    .collect();
                let (id, known) = all.get(usize::from(*number).checked_rem(all.len())?)?;
                talk = Some(*known);
                Target::Conversation(**id)
            }
            Place::Pair(a, b) => {
                // One in eight is none of the actor's business, one in eight is with oneself.
                let a = user.filter(|_| b % 8 != 0).unwrap_or(self.user(*a));
                let b = match self.user(*b) {
                    same if same == a && b % 8 != 1 => self.user(b.wrapping_add(2)),
                    other => other,
                };
                let kind = ConversationKind::Direct(a.min(b), a.max(b));
                talk = self.known.talks.values().find(|talk| talk.kind == kind);
                Target::Direct(a, b)
            }
            Place::Named(first) => {
                let key = if *first { "first" } else { "second" };
                talk = self
                    .known
                    .talks
                    .values()
                    .find(|talk| talk.key.as_deref() == Some(key));
                // Three in four are the host's, or a member's.
                let knows = |user| talk.is_some_and(|talk| talk.is_member(user));
                if !user.is_some_and(knows) && !self.texts.is_multiple_of(4) {
                    actor = Actor::Host;
                }
                if actor == Actor::Host {
                    let members = self.users.iter().take(3);
                    let members = members.map(|&user| (user, Role::Member)).collect();
                    changes.push(create(members, true, History::All));
                }
                Target::Key(key.into())
            }
            Place::Group => {
                let (first, rest) = self.users.split_first()?;
                let mut members = Vec::new();
                match user {
                    // An owner of the host's choice.
                    None => members.push((*first, Role::Owner)),
                    Some(user) => {
                        let others = rest.iter().filter(|other| **other != user).take(2);
                        members.extend(others.map(|&other| (other, Role::Member)));
                        if let Some((_, role)) = members.first_mut() {
                            *role = Role::Admin;
                        }
                    }
                }
                let joined = self.texts.is_multiple_of(2);
                let history = if joined {
                    History::Joined
                } else {
                    History::All
                };
                changes.push(create(members, user.is_none() && joined, history));
                Target::Group
            }
            Place::Own => Target::User(user.unwrap_or(self.users[0])),
            Place::Foreign(number) => Target::User(self.user(*number)),
        };
        let about_user = matches!(target, Target::User(_));
        let viewer = user.filter(|_| actor != Actor::Host);
        for deed in deeds {
            let is_about_user = matches!(deed, Deed::Block(..) | Deed::Rename(_));
            // What belongs elsewhere is left out, so that most writes have a chance.
            if is_about_user == about_user {
                changes.push(self.change(deed, talk, viewer));
            }
        }
        let any = !changes.is_empty();
        any.then(|| Write::new(actor, target, changes))
    }

    fn text(&mut self) -> String {
        *self.texts += 1;
        format!("text {}", self.texts)
    }

    fn change(&mut self, deed: &Deed, talk: Option<&Talk>, viewer: Option<UserId>) -> Change {
        let posts = talk.map_or_else(Vec::new, |talk| talk.posts_for(viewer));
        // Mostly messages that the actor sees; else what is there, what this group may add, or nothing.
        let seq = |number: u8| match usize::from(number / 4).checked_rem(posts.len()) {
            Some(place) if !number.is_multiple_of(4) => posts[place],
            _ => Seq::from(number / 4) % (talk.map_or(0, Talk::head) + 4),
        };
        let current = talk.map_or_else(Vec::new, |t| t.current().map(|(user, _)| user).collect());
        // Mostly a member.
        let member = |number: u8| match usize::from(number / 4).checked_rem(current.len()) {
            Some(place) if !number.is_multiple_of(4) => current[place],
            _ => self.user(number),
        };
        let needs_message = matches!(
            deed,
            Deed::Edit { .. } | Deed::Delete(_) | Deed::React { .. } | Deed::Pin { .. }
        );
        if needs_message && posts.is_empty() {
            return Change::post(self.text());
        }
        let role = |number: u8| match number % 8 {
            0 => Role::Owner,
            1 | 2 => Role::Admin,
            _ => Role::Member,
        };
        let until = |number: u8| Timestamp::from_millis((1 << 42) + i64::from(number % 3));
        match deed {
            Deed::Post {
                empty,
                reply,
                mention,
            } => Change::Post {
                content: Content::from(if *empty { String::new() } else { self.text() }),
                reply_to: reply.map(seq),
                mentions: mention
                    .map(|number| self.user(number))
                    .into_iter()
                    .collect(),
            },
            Deed::Edit { message, revision } => Change::Edit {
                message: seq(*message),
                revision: revision.map(|number| u32::from(number % 3)),
                content: self.text().into(),
            },
            Deed::Delete(message) => Change::Delete {
                message: seq(*message),
            },
            Deed::React { message, emoji, on } => Change::React {
                message: seq(*message),
                emoji: ["a", "b", "c", ""][usize::from(emoji % 16 / 5)].into(),
                on: *on,
            },
            Deed::Pin { message, on } => Change::Pin {
                message: seq(*message),
                on: *on,
            },
            Deed::Add(user, number) => Change::Add {
                user: self.user(*user),
                role: role(*number),
            },
            Deed::Remove(user) => Change::Remove {
                user: member(*user),
            },
            Deed::Leave(successor) => Change::Leave {
                successor: successor.map(member),
            },
            Deed::SetRole(user, number) => Change::SetRole {
                user: member(*user),
                role: role(*number),
            },
            Deed::Configure { title, joined } => Change::Configure {
                title: title.map(|number| ["", "One", "Two"][usize::from(number % 3)].into()),
                data: None,
                history: joined.map(|joined| {
                    if joined {
                        History::Joined
                    } else {
                        History::All
                    }
                }),
            },
            Deed::Hide => Change::Hide,
            Deed::Mute(number) => Change::Mute {
                until: number.map(until),
            },
            Deed::Archive(on) => Change::Archive { on: *on },
            Deed::Read(number) => Change::Read { seq: seq(*number) },
            Deed::Deliver(number) => Change::Deliver { seq: seq(*number) },
            Deed::Block(user, on) => Change::Block {
                user: self.user(*user),
                on: *on,
            },
            Deed::Rename(number) => Change::Profile {
                name: Some(format!("Name {}", number % 3)),
                data: None,
            },
        }
    }
}

fn create(members: Vec<(UserId, Role)>, managed: bool, history: History) -> Change {
    Change::Create {
        title: None,
        data: None,
        managed,
        history,
        members,
    }
}
