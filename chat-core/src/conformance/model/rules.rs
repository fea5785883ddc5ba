//! What each change to a conversation does in the model, and who may make it.

use std::collections::BTreeMap;

use super::naive::{Membership, Post, Refusal, Scene, Talk};
use crate::{
    Actor, Change, Content, ConversationKind, ErrorKind, EventKind, History, Role, Seq, Target,
    UserId,
};

use ErrorKind::{Conflict, Forbidden, Invalid, NotFound};

/// Reasons against a change.
pub(super) struct Reasons(Vec<ErrorKind>);

impl Reasons {
    pub(super) fn none() -> Self {
        Self(Vec::new())
    }

    pub(super) fn when(mut self, so: bool, kind: ErrorKind) -> Self {
        if so {
            self.0.push(kind);
        }
        self
    }

    pub(super) fn check(self) -> Result<(), Refusal> {
        if self.0.is_empty() {
            Ok(())
        } else {
            Err(self.0)
        }
    }
}

fn is_empty(content: &Content) -> bool {
    content.text.is_empty() && content.data.is_none()
}

impl Scene<'_> {
    /// Makes the conversation, with its first entry.
    pub(super) fn make(
        &mut self,
        target: &Target,
        settings: Option<&Change>,
    ) -> Result<(), Refusal> {
        let mut talk = Talk {
            kind: ConversationKind::Group,
            key: None,
            title: None,
            managed: false,
            history: History::All,
            log: Vec::new(),
            members: BTreeMap::new(),
            pins: Vec::new(),
            active: self.at,
        };
        let mut first = Vec::new();
        if let Target::Direct(a, b) = target {
            let (a, b) = (*a.min(b), *a.max(b));
            if let Actor::User(me) = self.actor {
                let peer = if me == a { b } else { a };
                Reasons::none()
                    .when(self.blocks(peer, me), Forbidden)
                    .check()?;
            }
            talk.kind = ConversationKind::Direct(a, b);
            first = vec![(a, Role::Member), (b, Role::Member)];
        } else {
            let Some(Change::Create {
                title,
                managed,
                history,
                members,
                ..
            }) = settings
            else {
                return Err(vec![Invalid]);
            };
            if let Target::Key(key) = target {
                talk.key = Some(key.clone());
            }
            (talk.title, talk.managed, talk.history) = (title.clone(), *managed, *history);
            let mut reasons = Reasons::none();
            if let Actor::User(me) = self.actor {
                first.push((me, Role::Owner));
                reasons = reasons.when(*managed, Forbidden);
                for (user, role) in members {
                    reasons = reasons
                        .when(self.blocks(*user, me), Forbidden)
                        .when(*role == Role::Owner, Invalid);
                }
            }
            for (user, _) in members {
                reasons = reasons.when(!self.exists(*user), NotFound);
            }
            reasons.check()?;
            first.extend(members);
        }
        for (user, role) in &first {
            let member = Membership {
                role: Some(*role),
                ..Membership::default()
            };
            talk.members.insert(*user, member);
        }
        let kind = talk.kind;
        self.all.talks.insert(self.id, talk);
        let conversation = self.id;
        for (user, _) in &first {
            self.tell(
                *user,
                EventKind::Added {
                    conversation,
                    seq: 1,
                },
            );
        }
        self.log(
            EventKind::Created {
                kind,
                members: first,
            },
            None,
        )?;
        for member in self.talk()?.members.values_mut() {
            // Whoever is there at the beginning has nothing unread.
            (member.read, member.delivered) = (1, 1);
        }
        Ok(())
    }

    pub(super) fn me(&mut self) -> Result<(UserId, &mut Membership), Refusal> {
        let Actor::User(user) = self.actor else {
            return Err(vec![Invalid, Forbidden, NotFound]);
        };
        let member = self.talk()?.members.get_mut(&user);
        match member {
            Some(member) if member.role.is_some() => Ok((user, member)),
            _ => Err(vec![NotFound]),
        }
    }

    /// The actor's role; the host has none and needs none.
    pub(super) fn role(&mut self) -> Result<Option<Role>, Refusal> {
        match self.actor {
            Actor::Host => Ok(None),
            Actor::User(_) => Ok(self.me()?.1.role),
        }
    }

    pub(super) fn is_direct(&mut self) -> Result<bool, Refusal> {
        Ok(self.talk()?.kind != ConversationKind::Group)
    }

    /// Whether the other side of a direct conversation blocks the actor.
    fn is_blocked(&mut self) -> Result<bool, Refusal> {
        let kind = self.talk()?.kind;
        Ok(match (kind, self.actor) {
            (ConversationKind::Direct(a, b), Actor::User(me)) => {
                self.blocks(if me == a { b } else { a }, me)
            }
            _ => false,
        })
    }

    /// Whether a role is lacking for what takes at least one.
    pub(super) fn lacks(&mut self, least: Role) -> Result<bool, Refusal> {
        Ok(self.role()?.is_some_and(|role| role < least))
    }

    /// Fails unless members, roles and settings may be changed by somebody of a role.
    pub(super) fn manages(&mut self, least: Role) -> Result<Reasons, Refusal> {
        let lacks = self.lacks(least)?;
        let is_user = self.actor != Actor::Host;
        let (direct, managed) = (self.is_direct()?, self.talk()?.managed);
        let reasons = Reasons::none()
            .when(direct || lacks || managed && is_user, Forbidden)
            .when(direct && !is_user, Invalid);
        Ok(reasons)
    }

    /// A message the actor may see.
    fn seen(&mut self, seq: Seq) -> Result<Post, Refusal> {
        let is_host = self.actor == Actor::Host;
        let sees = is_host || self.me()?.1.sees.contains(&seq);
        let post = self.talk()?.entry(seq).and_then(|entry| entry.post.clone());
        post.filter(|_| sees).ok_or(vec![NotFound])
    }

    fn is_own(&mut self, seq: Seq) -> Result<bool, Refusal> {
        let actor = self.actor;
        let entry = self.talk()?.entry(seq);
        Ok(entry.is_some_and(|entry| entry.actor == actor))
    }

    /// A message is another from this event on.
    fn became(&mut self, message: Seq, kind: EventKind) -> Result<(), Refusal> {
        let seq = self.log(kind, None)?;
        if let Some(post) = self.talk()?.post_mut(message) {
            post.changed = seq;
        }
        Ok(())
    }

    pub(super) fn change(&mut self, change: &Change) -> Result<(), Refusal> {
        let (actor, conversation) = (self.actor, self.id);
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
            } => {
                let seen = self.seen(*message);
                let post = seen.clone().unwrap_or_default();
                let foreign = actor != Actor::Host && !self.is_own(*message)?;
                Reasons::none()
                    .when(seen.is_err(), NotFound)
                    .when(seen.is_ok() && foreign || self.is_blocked()?, Forbidden)
                    .when(seen.is_ok() && post.text.is_none(), Conflict)
                    .when(revision.is_some_and(|r| r != post.revision), Conflict)
                    .when(is_empty(content), Invalid)
                    .check()?;
                let (message, revision) = (*message, post.revision + 1);
                if let Some(post) = self.talk()?.post_mut(message) {
                    (post.text, post.revision) = (Some(content.text.clone()), revision);
                }
                self.became(message, EventKind::Edited { message, revision })
            }
            Change::Delete { message } => {
                let (message, post) = (*message, self.seen(*message)?);
                let moderates =
                    actor == Actor::Host || !self.is_direct()? && self.role()? >= Some(Role::Admin);
                let own = self.is_own(message)?;
                Reasons::none()
                    .when(!own && !moderates, Forbidden)
                    .check()?;
                if post.text.is_none() {
                    return Ok(());
                }
                if let Some(post) = self.talk()?.post_mut(message) {
                    post.text = None;
                    post.reactions.clear();
                    post.emojis.clear();
                    post.mentions.clear();
                }
                self.talk()?.pins.retain(|pin| *pin != message);
                self.became(message, EventKind::Deleted { message })
            }
            Change::React { message, emoji, on } => {
                let (user, _) = self.me()?;
                let (message, seen) = (*message, self.seen(*message));
                let post = seen.clone().unwrap_or_default();
                let mine = (user, emoji.clone());
                Reasons::none()
                    // Like one's own messages, one's own reactions can be taken back.
                    .when(*on && self.is_blocked()?, Forbidden)
                    .when(emoji.is_empty() || emoji.len() > 64, Invalid)
                    .when(seen.is_err(), NotFound)
                    .when(seen.is_ok() && post.text.is_none(), Conflict)
                    .check()?;
                if post.reactions.contains(&mine) == *on {
                    return Ok(());
                }
                let mut count = 0;
                if let Some(post) = self.talk()?.post_mut(message) {
                    post.reactions.retain(|other| *other != mine);
                    if *on {
                        post.reactions.push(mine);
                    }
                    count = post
                        .reactions
                        .iter()
                        .map(|(_, each)| u32::from(each == emoji))
                        .sum();
                    if count == 0 {
                        post.emojis.retain(|each| each != emoji);
                    } else if !post.emojis.contains(emoji) {
                        post.emojis.push(emoji.clone());
                    }
                }
                let (emoji, on) = (emoji.clone(), *on);
                let kind = EventKind::Reacted {
                    message,
                    emoji,
                    on,
                    count,
                };
                self.became(message, kind)
            }
            Change::Pin { message, on } => {
                let lacks = !self.is_direct()? && self.lacks(Role::Admin)?;
                let blocked = self.is_blocked()?;
                let (message, on, seen) = (*message, *on, self.seen(*message));
                let erased = seen.as_ref().is_ok_and(|post| post.text.is_none());
                Reasons::none()
                    .when(lacks || blocked, Forbidden)
                    .when(seen.is_err(), NotFound)
                    .when(erased && on, Conflict)
                    .check()?;
                let pins = &mut self.talk()?.pins;
                if pins.contains(&message) == on {
                    return Ok(());
                }
                pins.retain(|pin| *pin != message);
                if on {
                    pins.push(message);
                }
                self.log(EventKind::Pinned { message, on }, None).map(drop)
            }
            Change::Add { user, role } => self.add(*user, *role),
            Change::Remove { user } => self.remove(*user),
            Change::Leave { successor } => self.leave(*successor),
            Change::SetRole { user, role } => self.set_role(*user, *role),
            Change::Configure { title, history, .. } => {
                self.manages(Role::Admin)?.check()?;
                let talk = self.talk()?;
                let old = (talk.title.clone(), talk.history);
                if let Some(title) = title {
                    talk.title = Some(title.clone()).filter(|title| !title.is_empty());
                }
                talk.history = history.unwrap_or(talk.history);
                let (title, history) = (talk.title.clone(), talk.history);
                if old == (title.clone(), history) {
                    return Ok(());
                }
                self.log(EventKind::Configured { title, history }, None)
                    .map(drop)
            }
            Change::Hide => {
                let through = self.talk()?.head();
                let (user, me) = self.me()?;
                let is_news = me.hidden != through;
                me.sees.clear();
                (me.read, me.delivered, me.hidden) = (through, through, through);
                if is_news {
                    self.tell(
                        user,
                        EventKind::Hid {
                            conversation,
                            through,
                        },
                    );
                }
                Ok(())
            }
            Change::Mute { until } => {
                let (user, me) = self.me()?;
                if std::mem::replace(&mut me.muted, *until) != *until {
                    let until = *until;
                    self.tell(
                        user,
                        EventKind::Muted {
                            conversation,
                            until,
                        },
                    );
                }
                Ok(())
            }
            Change::Archive { on } => {
                let (user, me) = self.me()?;
                if std::mem::replace(&mut me.archived, *on) != *on {
                    self.tell(
                        user,
                        EventKind::Archived {
                            conversation,
                            on: *on,
                        },
                    );
                }
                Ok(())
            }
            Change::Read { seq } => {
                let seq = self.talk()?.head().min(*seq);
                let (user, me) = self.me()?;
                if seq > me.read {
                    me.read = seq;
                    me.delivered = me.delivered.max(seq);
                    self.tell(user, EventKind::Read { conversation, seq });
                }
                Ok(())
            }
            Change::Deliver { seq } => {
                let seq = self.talk()?.head().min(*seq);
                let (_, me) = self.me()?;
                me.delivered = me.delivered.max(seq);
                Ok(())
            }
            _ => Err(vec![Invalid]),
        }
    }

    fn post(
        &mut self,
        content: &Content,
        reply_to: Option<Seq>,
        mentions: &[UserId],
    ) -> Result<(), Refusal> {
        let mut reasons = Reasons::none()
            .when(self.is_blocked()?, Forbidden)
            .when(is_empty(content), Invalid);
        if let Some(seq) = reply_to {
            reasons = reasons.when(self.seen(seq).is_err(), NotFound);
        }
        reasons.check()?;
        let actor = self.actor;
        let mut mentioned = Vec::new();
        for &user in mentions {
            let member = self.talk()?.members.get(&user);
            let is_member = member.is_some_and(|member| member.role.is_some());
            let blocks = matches!(actor, Actor::User(me) if self.blocks(user, me));
            if is_member && !blocks {
                mentioned.push(user);
            }
        }
        let post = Post {
            text: Some(content.text.clone()),
            reply_to,
            mentions: mentioned,
            ..Post::default()
        };
        let seq = self.log(EventKind::Posted, Some(post))?;
        let at = self.at;
        self.talk()?.active = at;
        if actor != Actor::Host {
            let (_, me) = self.me()?;
            (me.read, me.delivered) = (seq, seq);
        }
        Ok(())
    }
}
