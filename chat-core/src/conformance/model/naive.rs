//! The model: all that is known of conversations, kept in the simplest way, and the rules once more as plain conditions.
//! Written from `docs/ARCHITECTURE.md` and the docs of [`crate::Change`] alone; it shares no code with the rules.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    Actor, Change, ConversationId, ConversationKind, ErrorKind, EventKind, History, Key, LogId,
    Role, Seq, Target, Timestamp, UserId, Write,
};

/// How a write may be refused: by any of these, where several things are wrong with it at once.
pub(super) type Refusal = Vec<ErrorKind>;

/// All there is.
#[derive(Clone, Debug, Default)]
pub(super) struct Naive {
    pub(super) people: BTreeMap<UserId, Person>,
    pub(super) talks: BTreeMap<ConversationId, Talk>,
    done: BTreeMap<(Actor, Key), (String, Answer)>,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Person {
    pub(super) name: String,
    pub(super) log: Vec<Entry>,
    blocks: BTreeSet<UserId>,
}

/// A conversation: its log, and who is in it.
#[derive(Clone, Debug)]
pub(super) struct Talk {
    pub(super) kind: ConversationKind,
    pub(super) key: Option<String>,
    pub(super) title: Option<String>,
    pub(super) managed: bool,
    pub(super) history: History,
    pub(super) log: Vec<Entry>,
    pub(super) members: BTreeMap<UserId, Membership>,
    pub(super) pins: Vec<Seq>,
    /// When the last message came, or it was made.
    pub(super) active: Timestamp,
}

#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) at: Timestamp,
    pub(super) actor: Actor,
    pub(super) kind: EventKind,
    pub(super) post: Option<Post>,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Post {
    /// `None`: erased.
    pub(super) text: Option<String>,
    pub(super) revision: u32,
    pub(super) reply_to: Option<Seq>,
    pub(super) mentions: Vec<UserId>,
    /// Who put what.
    pub(super) reactions: Vec<(UserId, String)>,
    /// What there is, in the order in which it came.
    pub(super) emojis: Vec<String>,
    /// Where in the log it became as it is; 0: as it was posted.
    pub(super) changed: Seq,
}

/// What one who left knows of a conversation.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Parted {
    pub(super) title: Option<String>,
    pub(super) history: History,
    pub(super) pins: Vec<Seq>,
    pub(super) owner: Option<UserId>,
    pub(super) members: usize,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Membership {
    /// `None`: was one.
    pub(super) role: Option<Role>,
    /// Every seq they may see, one by one.
    pub(super) sees: BTreeSet<Seq>,
    pub(super) read: Seq,
    pub(super) delivered: Seq,
    pub(super) hidden: Seq,
    pub(super) muted: Option<Timestamp>,
    pub(super) archived: bool,
    /// As they left it last.
    pub(super) parted: Parted,
}

impl Membership {
    /// They know nothing of what comes after.
    pub(super) fn end(&self) -> Seq {
        match self.role {
            Some(_) => Seq::MAX,
            None => self.sees.last().copied().unwrap_or(0),
        }
    }
}

/// What a write did.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Answer {
    pub(super) conversation: Option<ConversationId>,
    pub(super) user: Option<UserId>,
    pub(super) first: Seq,
    pub(super) count: u32,
    pub(super) replayed: bool,
    /// By log; in each log in order.
    pub(super) events: Vec<(LogId, Seq, Actor, EventKind)>,
}

impl Talk {
    pub(super) fn head(&self) -> Seq {
        self.log.len() as Seq
    }

    pub(super) fn entry(&self, seq: Seq) -> Option<&Entry> {
        self.log.get(usize::try_from(seq.checked_sub(1)?).ok()?)
    }

    pub(super) fn post_mut(&mut self, seq: Seq) -> Option<&mut Post> {
        let place = usize::try_from(seq.checked_sub(1)?).ok()?;
        self.log.get_mut(place)?.post.as_mut()
    }

    /// The messages with their seqs.
    pub(super) fn posts(&self) -> impl Iterator<Item = (Seq, &Entry, &Post)> {
        let entries = self.log.iter().zip(1..);
        entries.filter_map(|(entry, seq)| Some((seq, entry, entry.post.as_ref()?)))
    }

    /// Those who are members now.
    pub(super) fn current(&self) -> impl Iterator<Item = (UserId, Role)> {
        let members = self.members.iter();
        members.filter_map(|(user, member)| Some((*user, member.role?)))
    }

    pub(super) fn is_member(&self, user: UserId) -> bool {
        self.role(user).is_some()
    }

    /// The seqs of the messages that a user sees; without one, of all.
    pub(super) fn posts_for(&self, user: Option<UserId>) -> Vec<Seq> {
        let sees = |seq: &Seq| match user {
            Some(user) => self
                .members
                .get(&user)
                .is_some_and(|m| m.sees.contains(seq)),
            None => true,
        };
        self.posts().map(|(seq, ..)| seq).filter(sees).collect()
    }

    /// How it stands now.
    pub(super) fn settings(&self) -> Parted {
        Parted {
            title: self.title.clone(),
            history: self.history,
            pins: self.pins.clone(),
            owner: self.owner(),
            members: self.current().count(),
        }
    }

    /// The message that an entry tells as it stands, if it does.
    pub(super) fn told_by(&self, seq: Seq) -> Option<&Post> {
        let entry = self.entry(seq)?;
        match entry.kind {
            EventKind::Edited { message, .. } => self.entry(message)?.post.as_ref(),
            _ => entry.post.as_ref(),
        }
    }

    fn role(&self, user: UserId) -> Option<Role> {
        self.members.get(&user)?.role
    }

    pub(super) fn owner(&self) -> Option<UserId> {
        let mut current = self.current();
        current
            .find(|(_, role)| *role == Role::Owner)
            .map(|(user, _)| user)
    }
}

/// What a write is being done with.
pub(super) struct Scene<'a> {
    pub(super) all: &'a mut Naive,
    pub(super) id: ConversationId,
    pub(super) actor: Actor,
    pub(super) at: Timestamp,
    pub(super) events: Vec<(LogId, Seq, Actor, EventKind)>,
}

impl Scene<'_> {
    pub(super) fn talk(&mut self) -> Result<&mut Talk, Refusal> {
        self.all
            .talks
            .get_mut(&self.id)
            .ok_or(vec![ErrorKind::NotFound])
    }

    pub(super) fn blocks(&self, by: UserId, user: UserId) -> bool {
        let person = self.all.people.get(&by);
        person.is_some_and(|person| person.blocks.contains(&user))
    }

    pub(super) fn exists(&self, user: UserId) -> bool {
        self.all.people.contains_key(&user)
    }

    /// Writes to the conversation's log; all members see it.
    pub(super) fn log(&mut self, kind: EventKind, post: Option<Post>) -> Result<Seq, Refusal> {
        let (at, actor, id) = (self.at, self.actor, self.id);
        let talk = self.talk()?;
        let event = kind.clone();
        talk.log.push(Entry {
            at,
            actor,
            kind,
            post,
        });
        let seq = talk.head();
        for member in talk.members.values_mut().filter(|m| m.role.is_some()) {
            member.sees.insert(seq);
        }
        self.events.push((id.into(), seq, actor, event));
        Ok(seq)
    }

    /// Writes to a user's log.
    pub(super) fn tell(&mut self, user: UserId, kind: EventKind) {
        let (at, actor) = (self.at, self.actor);
        if let Some(person) = self.all.people.get_mut(&user) {
            let event = kind.clone();
            person.log.push(Entry {
                at,
                actor,
                kind,
                post: None,
            });
            let seq = person.log.len() as Seq;
            self.events.push((user.into(), seq, actor, event));
        }
    }
}

impl Naive {
    pub(super) fn with_people(people: &[(UserId, String)]) -> Self {
        let person = |(user, name): &(UserId, String)| {
            let name = name.clone();
            let person = Person {
                name,
                ..Person::default()
            };
            (*user, person)
        };
        Self {
            people: people.iter().map(person).collect(),
            ..Self::default()
        }
    }

    /// Does a write, or nothing of it. `at` and `id` (of a conversation to be made) are the store's to choose.
    pub(super) fn write(
        &mut self,
        write: &Write,
        at: Timestamp,
        id: ConversationId,
    ) -> Result<Answer, Refusal> {
        let body = format!("{:?}{:?}", write.target, write.changes);
        let key = write.key.map(|key| (write.actor, key));
        if let Some((first, answer)) = key.and_then(|key| self.done.get(&key)) {
            if *first != body {
                return Err(vec![ErrorKind::Conflict]);
            }
            return Ok(Answer {
                replayed: true,
                events: Vec::new(),
                ..answer.clone()
            });
        }
        // On a copy: what is refused has never been.
        let mut all = self.clone();
        let answer = all.attempt(write, at, id)?;
        all.done
            .extend(key.map(|key| (key, (body, answer.clone()))));
        *self = all;
        Ok(answer)
    }

    fn attempt(
        &mut self,
        write: &Write,
        at: Timestamp,
        new: ConversationId,
    ) -> Result<Answer, Refusal> {
        if let Target::User(user) = write.target {
            return self.attempt_on_user(write, user, at);
        }
        let mut changes = &write.changes[..];
        let found = self.find(write)?;
        let id = found.unwrap_or(new);
        let mut scene = Scene {
            all: self,
            id,
            actor: write.actor,
            at,
            events: Vec::new(),
        };
        let settings = match changes {
            [settings @ Change::Create { .. }, rest @ ..] => {
                changes = rest;
                Some(settings)
            }
            _ => None,
        };
        if found.is_none() {
            if scene.all.talks.contains_key(&id) {
                // A new conversation under an id that is taken: the store is wrong, whatever it says.
                return Err(vec![]);
            }
            scene.make(&write.target, settings)?;
        }
        for change in changes {
            scene.change(change)?;
        }
        let here: Vec<Seq> = scene
            .events
            .iter()
            .filter(|(log, ..)| *log == id.into())
            .map(|(_, seq, ..)| *seq)
            .collect();
        Ok(Answer {
            conversation: Some(id),
            user: None,
            first: here.first().copied().unwrap_or(0),
            count: u32::try_from(here.len()).unwrap_or(u32::MAX),
            replayed: false,
            events: scene.events,
        })
    }

    /// The conversation a write is about; `None`: it has to be made.
    fn find(&self, write: &Write) -> Result<Option<ConversationId>, Refusal> {
        let missing = || vec![ErrorKind::NotFound];
        let by = |is: &dyn Fn(&Talk) -> bool| {
            let found = self.talks.iter().find(|(_, talk)| is(talk));
            found.map(|(id, _)| *id)
        };
        let found = match &write.target {
            Target::Conversation(id) => Some(*id).filter(|id| self.talks.contains_key(id)),
            Target::Direct(a, b) => {
                let kind = ConversationKind::Direct(*a.min(b), *a.max(b));
                if !self.people.contains_key(a) || !self.people.contains_key(b) {
                    return Err(missing());
                }
                let stranger = matches!(write.actor, Actor::User(me) if me != *a && me != *b);
                if a == b || stranger {
                    let mut reasons = if stranger { missing() } else { Vec::new() };
                    reasons.extend((a == b).then_some(ErrorKind::Invalid));
                    return Err(reasons);
                }
                match by(&|talk| talk.kind == kind) {
                    None => return Ok(None),
                    found => found,
                }
            }
            Target::Key(key) => match by(&|talk| talk.key.as_ref() == Some(key)) {
                None if write.actor == Actor::Host => return Ok(None),
                found => found,
            },
            _ => return Ok(None),
        };
        let id = found.ok_or_else(missing)?;
        // To whom is no member, it does not exist.
        if let Actor::User(user) = write.actor {
            self.talks[&id].role(user).ok_or_else(missing)?;
        }
        Ok(Some(id))
    }

    fn attempt_on_user(
        &mut self,
        write: &Write,
        user: UserId,
        at: Timestamp,
    ) -> Result<Answer, Refusal> {
        if !self.people.contains_key(&user)
            || !matches!(write.actor, Actor::Host) && write.actor != Actor::User(user)
        {
            return Err(vec![ErrorKind::NotFound]);
        }
        let mut scene = Scene {
            all: self,
            // None: nothing of this is about a conversation.
            id: ConversationId::new(crate::MAX_ID).map_err(|_| vec![])?,
            actor: write.actor,
            at,
            events: Vec::new(),
        };
        for change in &write.changes {
            match change {
                Change::Block { user: other, on } => {
                    if *other == user {
                        return Err(vec![ErrorKind::Invalid]);
                    }
                    if !scene.exists(*other) {
                        return Err(vec![ErrorKind::NotFound]);
                    }
                    let Some(person) = scene.all.people.get_mut(&user) else {
                        return Err(vec![]);
                    };
                    let is_news = if *on {
                        person.blocks.insert(*other)
                    } else {
                        person.blocks.remove(other)
                    };
                    if is_news {
                        let (user, other, on) = (user, *other, *on);
                        scene.tell(user, EventKind::Blocked { user: other, on });
                    }
                }
                Change::Profile {
                    name: Some(name), ..
                } => {
                    let person = scene.all.people.get_mut(&user);
                    let old =
                        person.map(|person| std::mem::replace(&mut person.name, name.clone()));
                    if old.as_ref() != Some(name) {
                        scene.tell(user, EventKind::Profile);
                    }
                }
                _ => return Err(vec![ErrorKind::Invalid]),
            }
        }
        Ok(Answer {
            user: Some(user),
            events: scene.events,
            ..Answer::default()
        })
    }
}
