//! Writes to a conversation: which one, who the actor is there, and settings.

use super::row::tables;
use super::scratch::{Scratch, Stop};
use super::{Counter, Row, RowKey, misplaced, reject};
use crate::limits::fixed;
use crate::{
    Actor, Change, Committed, Conversation, ConversationId, ConversationKind, Error, Event,
    EventKind, Head, History, LogId, Marked, Member, Message, Ranges, Role, Seq, Target, UserId,
    Write,
};

/// A conversation while one write to it is being decided.
pub(super) struct Talk<'s, 'a> {
    pub(super) rows: &'s mut Scratch<'a>,
    pub(super) actor: Actor,
    pub(super) id: ConversationId,
    pub(super) conversation: Conversation,
    pub(super) head: Head,
    events: Vec<Event>,
}

/// The rows a write to a known conversation needs.
pub(super) fn needs(id: ConversationId, write: &Write, keys: &mut Vec<RowKey>) {
    let log = LogId::Conversation(id);
    keys.extend([RowKey::Conversation(id), RowKey::Head(log)]);
    if let Actor::User(user) = write.actor {
        keys.push(RowKey::Member(id, user));
    }
    for change in &write.changes {
        match change {
            Change::Edit { message, .. }
            | Change::Delete { message }
            | Change::Pin { message, .. } => {
                keys.push(RowKey::Event(log, *message));
            }
            Change::React { message, .. } => {
                keys.push(RowKey::Event(log, *message));
                if let Actor::User(user) = write.actor {
                    keys.push(RowKey::Reactions(id, *message, user));
                }
            }
            Change::Add { user, .. } => {
                keys.extend([
                    RowKey::Member(id, *user),
                    RowKey::User(*user),
                    RowKey::Head((*user).into()),
                ]);
                if let Actor::User(actor) = write.actor {
                    keys.push(RowKey::Block(*user, actor));
                }
            }
            Change::Remove { user } | Change::SetRole { user, .. } => {
                keys.push(RowKey::Member(id, *user))
            }
            Change::Read { .. } | Change::Deliver { .. } => keys.push(RowKey::Marks(id)),
            _ => {}
        }
    }
}

pub(super) fn decide(rows: &mut Scratch<'_>, write: &Write) -> Result<Committed, Stop> {
    let found = resolve(rows, write)?;
    if found.is_some()
        && write.changes.is_empty()
        && matches!(write.target, Target::Conversation(_))
    {
        return reject(Error::invalid("a write needs at least one change"));
    }
    let mut talk = match found {
        Some(id) => Talk::open(rows, write, id)?,
        None => Talk::create(rows, write)?,
    };
    for (index, change) in write.changes.iter().enumerate() {
        // Settings for the case that the conversation had to be made first.
        if index == 0
            && matches!(change, Change::Create { .. })
            && !matches!(write.target, Target::Conversation(_))
        {
            continue;
        }
        talk.apply(change)?;
    }
    // Also when nothing moved: an earlier write, whose outcome nobody knew, may have moved it.
    let marked = if write.changes.iter().any(Change::is_mark) {
        talk.marked()?
    } else {
        None
    };
    Ok(talk.finish(marked))
}

/// The conversation a write is about; `None` when this write is to make it.
fn resolve(rows: &mut Scratch<'_>, write: &Write) -> Result<Option<ConversationId>, Stop> {
    match &write.target {
        Target::Conversation(id) => Ok(Some(*id)),
        Target::Direct(a, b) => {
            if a == b {
                return reject(Error::invalid(
                    "a direct conversation has two different users",
                ));
            }
            if matches!(write.actor, Actor::User(user) if user != *a && user != *b) {
                return reject(no_conversation());
            }
            if matches!(write.changes.first(), Some(Change::Create { .. })) {
                return reject(Error::invalid(
                    "a direct conversation has no settings to be made with",
                ));
            }
            rows.user_exists(*a)?;
            rows.user_exists(*b)?;
            rows.get::<tables::Direct>(RowKey::Direct(*a.min(b), *a.max(b)))
        }
        Target::Key(key) => {
            if key.is_empty() || key.len() > fixed::KEY {
                return reject(Error::invalid("a conversation's key has 1 to 256 bytes"));
            }
            let found = rows.get::<tables::Named>(RowKey::Named(key.clone()))?;
            if found.is_none() && write.actor != Actor::Host {
                return reject(no_conversation());
            }
            Ok(found)
        }
        _ => Ok(None),
    }
}

pub(super) fn no_conversation() -> Error {
    Error::not_found("there is no such conversation")
}

impl<'s, 'a> Talk<'s, 'a> {
    fn open(rows: &'s mut Scratch<'a>, write: &Write, id: ConversationId) -> Result<Self, Stop> {
        // Those of a known id were asked for with all that the write needs.
        if !matches!(write.target, Target::Conversation(_)) {
            let mut keys = Vec::new();
            needs(id, write, &mut keys);
            rows.need(keys)?;
        }
        let Some(conversation) = rows.get::<tables::Conversation>(RowKey::Conversation(id))? else {
            return reject(no_conversation());
        };
        let head = rows.head(id.into())?;
        let mut talk = Self {
            rows,
            actor: write.actor,
            id,
            conversation,
            head,
            events: Vec::new(),
        };
        talk.role()?;
        Ok(talk)
    }

    /// Makes the conversation: seq 1 of its log.
    fn create(rows: &'s mut Scratch<'a>, write: &Write) -> Result<Self, Stop> {
        let first = write.changes.first();
        let settings = match first {
            Some(Change::Create {
                title,
                data,
                managed,
                history,
                members,
            }) => Some((title, data, *managed, *history, members)),
            None | Some(_) if write.target == Target::Group => {
                return reject(Error::invalid(
                    "a new group begins with the change `create`",
                ));
            }
            _ => None,
        };
        let (kind, key, members) = match &write.target {
            Target::Direct(a, b) => {
                let members = vec![(*a.min(b), Role::Member), (*a.max(b), Role::Member)];
                (
                    ConversationKind::Direct(*a.min(b), *a.max(b)),
                    None,
                    members,
                )
            }
            target => {
                let key = if let Target::Key(key) = target {
                    Some(key.clone())
                } else {
                    None
                };
                let given = settings.map_or(&[][..], |settings| settings.4);
                (
                    ConversationKind::Group,
                    key,
                    first_members(write.actor, given)?,
                )
            }
        };
        if write.actor != Actor::Host && settings.is_some_and(|settings| settings.2) {
            return reject(Error::forbidden(
                "only the host makes managed conversations",
            ));
        }
        let id = ConversationId::new(rows.next_id(Counter::Conversation)?)?;
        let owner = members
            .iter()
            .find(|(_, role)| *role == Role::Owner)
            .map(|(user, _)| *user);
        let conversation = Conversation {
            id,
            kind,
            key: key.clone(),
            title: settings
                .and_then(|s| s.0.clone())
                .filter(|title| !title.is_empty()),
            data: settings.and_then(|s| s.1.clone()),
            managed: settings.is_some_and(|s| s.2),
            history: settings.map_or(History::All, |s| s.3),
            members: u32::try_from(members.len()).unwrap_or(u32::MAX),
            owner,
            pins: Vec::new(),
        };
        match kind {
            ConversationKind::Direct(a, b) => rows.put(RowKey::Direct(a, b), Row::Direct(id)),
            ConversationKind::Group => {
                if let Some(key) = key {
                    rows.put(RowKey::Named(key), Row::Named(id));
                }
            }
        }
        let head = Head {
            at: rows.now,
            ..Head::default()
        };
        let mut talk = Self {
            rows,
            actor: write.actor,
            id,
            conversation,
            head,
            events: Vec::new(),
        };
        talk.welcome(&members)?;
        talk.append(
            EventKind::Created {
                kind,
                members: members.clone(),
            },
            None,
        );
        for (user, role) in members {
            let member = Member {
                conversation: id,
                user,
                role: Some(role),
                ranges: Ranges::all(),
                read: 1,
                read_ordinal: 0,
                delivered: 1,
                hidden: 0,
                muted_until: None,
                archived: false,
                mentions: Vec::new(),
            };
            talk.save_member(member);
            talk.rows.tell(
                user,
                write.actor,
                EventKind::Added {
                    conversation: id,
                    seq: 1,
                },
            )?;
        }
        talk.save();
        Ok(talk)
    }

    fn apply(&mut self, change: &Change) -> Result<(), Stop> {
        match change {
            Change::Post {
                content,
                reply_to,
                mentions,
            } => self.post(content, *reply_to, mentions),
            Change::Edit {
                message,
                revision,
                content,
            } => self.edit(*message, *revision, content),
            Change::Delete { message } => self.delete(*message),
            Change::React { message, emoji, on } => self.react(*message, emoji, *on),
            Change::Pin { message, on } => self.pin(*message, *on),
            Change::Add { user, role } => self.add(*user, *role),
            Change::Remove { user } => self.remove(*user),
            Change::Leave { successor } => self.leave(*successor),
            Change::SetRole { user, role } => self.set_role(*user, *role),
            Change::Configure {
                title,
                data,
                history,
            } => self.configure(title.as_deref(), data.as_ref(), *history),
            Change::Hide => self.hide(),
            Change::Mute { until } => self.mute(*until),
            Change::Archive { on } => self.archive(*on),
            Change::Read { seq } => self.read(*seq),
            Change::Deliver { seq } => self.deliver(*seq),
            other => misplaced(other),
        }
    }

    fn finish(self, marked: Option<Marked>) -> Committed {
        let count = u32::try_from(self.events.len()).unwrap_or(u32::MAX);
        let first = self.events.first().map_or(0, |event| event.seq);
        let mut events = std::mem::take(&mut self.rows.user_events);
        events.extend(self.events);
        Committed {
            conversation: Some(self.id),
            user: None,
            login: None,
            first,
            count,
            at: self.rows.now,
            replayed: false,
            marked,
            events,
        }
    }

    fn configure(
        &mut self,
        title: Option<&str>,
        data: Option<&crate::Data>,
        history: Option<History>,
    ) -> Result<(), Stop> {
        self.settle(Role::Admin)?;
        let before = self.conversation.clone();
        if let Some(title) = title {
            self.conversation.title = Some(title.to_owned()).filter(|title| !title.is_empty());
        }
        if let Some(data) = data {
            self.conversation.data = Some(data.clone());
        }
        if let Some(history) = history {
            self.conversation.history = history;
        }
        if self.conversation != before {
            let (title, history) = (self.conversation.title.clone(), self.conversation.history);
            self.append(EventKind::Configured { title, history }, None);
            self.save();
        }
        Ok(())
    }

    // What the other modules of the rules share.

    /// The actor's role; `None` for the host, to whom no permission rule applies. To strangers and former members the
    /// conversation does not exist.
    pub(super) fn role(&mut self) -> Result<Option<Role>, Stop> {
        let Actor::User(user) = self.actor else {
            return Ok(None);
        };
        match self.member(user)?.and_then(|member| member.role) {
            Some(role) => Ok(Some(role)),
            None => reject(no_conversation()),
        }
    }

    /// Refuses unless the actor has at least this role.
    pub(super) fn at_least(&mut self, needed: Role) -> Result<(), Stop> {
        match self.role()? {
            Some(role) if role < needed => reject(Error::forbidden(
                "your role in this group does not allow that",
            )),
            _ => Ok(()),
        }
    }

    /// Refuses unless this is a group whose members and settings the actor may change with this role.
    pub(super) fn settle(&mut self, needed: Role) -> Result<(), Stop> {
        self.role()?;
        if self.conversation.kind != ConversationKind::Group {
            return reject(Error::forbidden(
                "a direct conversation has no settings and always the same two members",
            ));
        }
        if self.conversation.managed && self.actor != Actor::Host {
            return reject(Error::forbidden(
                "only the host changes members and settings of this conversation",
            ));
        }
        self.at_least(needed)
    }

    /// The actor as a member; refuses the host, who is none.
    pub(super) fn me(&mut self) -> Result<Member, Stop> {
        let Actor::User(user) = self.actor else {
            return reject(Error::invalid(
                "the host is no member: only a user can do that",
            ));
        };
        // A change before this one in the same write may have ended the membership.
        self.member(user)?
            .filter(|member| member.role.is_some())
            .ok_or_else(|| no_conversation().into())
    }

    pub(super) fn member(&mut self, user: UserId) -> Result<Option<Member>, Stop> {
        self.rows
            .get::<tables::Member>(RowKey::Member(self.id, user))
    }

    pub(super) fn save_member(&mut self, member: Member) {
        self.rows
            .put(RowKey::Member(self.id, member.user), Row::Member(member));
    }

    pub(super) fn save(&mut self) {
        self.rows.put(
            RowKey::Conversation(self.id),
            Row::Conversation(self.conversation.clone()),
        );
    }

    /// Refuses those whom the other one of a direct conversation blocked: the one check.
    pub(super) fn unless_blocked(&mut self) -> Result<(), Stop> {
        if let (Actor::User(user), ConversationKind::Direct(a, b)) =
            (self.actor, self.conversation.kind)
        {
            let peer = if user == a { b } else { a };
            if self.rows.has(RowKey::Block(peer, user))? {
                return reject(blocked());
            }
        }
        Ok(())
    }

    pub(super) fn append(&mut self, kind: EventKind, message: Option<Message>) -> Seq {
        let event = self
            .rows
            .append(&mut self.head, self.id.into(), self.actor, kind, message);
        self.events.push(event);
        self.head.seq
    }

    /// Gives the event just appended the message it is about.
    pub(super) fn about(&mut self, message: Message) {
        if let Some(event) = self.events.last_mut() {
            event.message = Some(message);
        }
    }
}

pub(super) fn blocked() -> Error {
    Error::forbidden("this user does not take messages from you")
}

/// The first members of a group: who makes it owns it.
fn first_members(actor: Actor, given: &[(UserId, Role)]) -> Result<Vec<(UserId, Role)>, Stop> {
    let mut members: Vec<(UserId, Role)> = Vec::with_capacity(given.len() + 1);
    if let Actor::User(user) = actor {
        members.push((user, Role::Owner));
    }
    for &(user, role) in given {
        if role == Role::Owner && members.iter().any(|(_, role)| *role == Role::Owner) {
            return reject(Error::invalid("a group has one owner"));
        }
        if members.iter().any(|(other, _)| *other == user) {
            return reject(Error::invalid("a member is named twice"));
        }
        members.push((user, role));
    }
    Ok(members)
}
