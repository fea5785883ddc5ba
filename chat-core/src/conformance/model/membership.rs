//! Who is in a conversation of the model, and as what.

use super::naive::{Refusal, Scene};
use super::rules::Reasons;
use crate::ErrorKind::{Conflict, Forbidden, Invalid, NotFound};
use crate::{Actor, EventKind, History, Role, UserId};

impl Scene<'_> {
    pub(super) fn add(&mut self, user: UserId, role: Role) -> Result<(), Refusal> {
        let blocks = matches!(self.actor, Actor::User(me) if self.blocks(user, me));
        // A right to appoint admins is a right to change roles.
        let appoints = role == Role::Admin && self.lacks(Role::Owner)?;
        self.manages(Role::Admin)?
            .when(role == Role::Owner, Invalid)
            .when(!self.exists(user), NotFound)
            .when(blocks || appoints, Forbidden)
            .check()?;
        let conversation = self.id;
        let talk = self.talk()?;
        let seq = talk.head() + 1;
        let history = talk.history;
        let mut member = talk.members.remove(&user).unwrap_or_default();
        if member.role.is_some() {
            talk.members.insert(user, member);
            return Ok(());
        }
        // All of it is all, what they cleared away before they left as well.
        let from = match history {
            History::All => 1,
            History::Joined => seq,
        };
        member.sees.extend(from..seq);
        (member.role, member.hidden) = (Some(role), 0);
        (member.read, member.delivered) = (seq, seq);
        talk.members.insert(user, member);
        self.log(EventKind::Joined { user, role, from }, None)?;
        self.tell(user, EventKind::Added { conversation, seq });
        Ok(())
    }

    fn goes(&mut self, user: UserId) -> Result<(), Refusal> {
        let conversation = self.id;
        let seq = self.log(EventKind::Left { user }, None)?;
        let talk = self.talk()?;
        if let Some(member) = talk.members.get_mut(&user) {
            member.role = None;
        }
        let parted = talk.settings();
        if let Some(member) = talk.members.get_mut(&user) {
            member.parted = parted;
        }
        self.tell(user, EventKind::Removed { conversation, seq });
        Ok(())
    }

    pub(super) fn remove(&mut self, user: UserId) -> Result<(), Refusal> {
        let mine = self.role()?;
        let reasons = self.manages(Role::Admin)?;
        let talk = self.talk()?;
        let role = talk.members.get(&user).and_then(|member| member.role);
        let is_self = self.actor == Actor::User(user);
        reasons
            .when(role.is_none(), NotFound)
            .when(
                mine == Some(Role::Admin) && role > Some(Role::Member),
                Forbidden,
            )
            .when(is_self, Invalid)
            .check()?;
        self.goes(user)
    }

    pub(super) fn leave(&mut self, successor: Option<UserId>) -> Result<(), Refusal> {
        let (user, me) = self.me()?;
        let role = me.role;
        let (direct, talk) = (self.is_direct()?, self.talk()?);
        let others: Vec<UserId> = talk
            .members
            .iter()
            .filter(|(other, member)| **other != user && member.role.is_some())
            .map(|(other, _)| *other)
            .collect();
        let hands_over = role == Some(Role::Owner) && !others.is_empty();
        let unfit = hands_over && !successor.is_some_and(|next| others.contains(&next));
        Reasons::none()
            .when(direct || talk.managed, Forbidden)
            .when(unfit, Invalid)
            .when(unfit, Conflict)
            .when(unfit, NotFound)
            .check()?;
        if let Some(next) = successor.filter(|_| hands_over) {
            self.becomes(user, Role::Admin)?;
            self.becomes(next, Role::Owner)?;
        }
        self.goes(user)
    }

    fn becomes(&mut self, user: UserId, role: Role) -> Result<(), Refusal> {
        if let Some(member) = self.talk()?.members.get_mut(&user) {
            member.role = Some(role);
        }
        self.log(EventKind::RoleChanged { user, role }, None)
            .map(drop)
    }

    pub(super) fn set_role(&mut self, user: UserId, role: Role) -> Result<(), Refusal> {
        let reasons = self.manages(Role::Owner)?;
        let talk = self.talk()?;
        let owner = talk.owner();
        let old = talk.members.get(&user).and_then(|member| member.role);
        let demotes = old == Some(Role::Owner) && role != Role::Owner;
        reasons
            .when(old.is_none(), NotFound)
            .when(demotes, Invalid)
            .when(demotes, Conflict)
            .check()?;
        if old == Some(role) {
            return Ok(());
        }
        if let Some(owner) = owner.filter(|_| role == Role::Owner) {
            self.becomes(owner, Role::Admin)?;
        }
        self.becomes(user, role)
    }
}
