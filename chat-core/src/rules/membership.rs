//! Who is in a group, and as what.

use super::conversation::{Talk, blocked};
use super::scratch::Stop;
use super::{Row, RowKey, reject};
use crate::limits::fixed;
use crate::{Actor, ConversationKind, Error, EventKind, History, Member, Ranges, Role, UserId};

impl Talk<'_, '_> {
    /// Refuses first members who do not exist, who blocked the actor, or who have no room for one more conversation.
    pub(super) fn welcome(&mut self, members: &[(UserId, Role)]) -> Result<(), Stop> {
        let actor = self.actor;
        let keys = members.iter().flat_map(|&(user, _)| {
            let block = if let Actor::User(actor) = actor {
                Some(RowKey::Block(user, actor))
            } else {
                None
            };
            [
                Some(RowKey::User(user)),
                Some(RowKey::Head(user.into())),
                block,
            ]
            .into_iter()
            .flatten()
        });
        self.rows.need(keys)?;
        for &(user, _) in members {
            self.rows.user_exists(user)?;
            if let Actor::User(actor) = actor
                && self.rows.has(RowKey::Block(user, actor))?
            {
                return reject(
                    if matches!(self.conversation.kind, ConversationKind::Direct(..)) {
                        blocked()
                    } else {
                        Error::forbidden("one of these users cannot be added by you")
                    },
                );
            }
            if self.rows.head(user.into())?.ordinal >= fixed::CONVERSATIONS {
                return reject(Error::conflict("a user is in at most 10,000 conversations"));
            }
        }
        Ok(())
    }

    pub(super) fn add(&mut self, user: UserId, role: Role) -> Result<(), Stop> {
        self.settle(Role::Admin)?;
        if role == Role::Owner {
            return reject(Error::invalid(
                "a new member is no owner: add first, then hand over",
            ));
        }
        if role > Role::Member {
            // To add somebody as admin is to give a role.
            self.at_least(Role::Owner)?;
        }
        self.welcome(&[(user, role)])?;
        let former = self.member(user)?;
        if former.as_ref().is_some_and(|member| member.role.is_some()) {
            return Ok(());
        }
        if self.conversation.members >= fixed::MEMBERS {
            return reject(Error::conflict("a group has at most 100,000 members"));
        }
        let seq = self.head.seq + 1;
        let from = match self.conversation.history {
            History::All => 1,
            History::Joined => seq,
        };
        let mut member = former.unwrap_or_else(|| Member {
            conversation: self.id,
            user,
            role: None,
            ranges: Ranges::default(),
            read: 0,
            read_ordinal: 0,
            delivered: 0,
            hidden: 0,
            muted_until: None,
            archived: false,
            mentions: Vec::new(),
        });
        member.role = Some(role);
        member.ranges.open(from);
        // What was said before is no unread news.
        (member.read, member.read_ordinal, member.delivered) = (seq, self.head.ordinal, seq);
        member.hidden = 0;
        self.save_member(member);
        self.conversation.members += 1;
        self.save();
        self.append(EventKind::Joined { user, role, from }, None);
        self.rows.tell(
            user,
            self.actor,
            EventKind::Added {
                conversation: self.id,
                seq,
            },
        )
    }

    pub(super) fn remove(&mut self, user: UserId) -> Result<(), Stop> {
        self.settle(Role::Admin)?;
        if self.actor == Actor::User(user) {
            return reject(Error::invalid("to go yourself, leave"));
        }
        let (member, role) = self.current(user)?;
        if role > Role::Member {
            self.at_least(Role::Owner)?;
        }
        self.part(member)
    }

    pub(super) fn leave(&mut self, successor: Option<UserId>) -> Result<(), Stop> {
        let me = self.me()?;
        if self.conversation.kind != ConversationKind::Group {
            return reject(Error::forbidden(
                "nobody leaves a direct conversation: hide it instead",
            ));
        }
        self.settle(Role::Member)?;
        if self.conversation.owner == Some(me.user) && self.conversation.members > 1 {
            let Some(successor) = successor.filter(|successor| *successor != me.user) else {
                return reject(Error::invalid("an owner who leaves names a successor"));
            };
            let (member, _) = self.current(successor)?;
            self.hand_over(member)?;
        }
        // Handing over changed the row.
        let me = self.me()?;
        self.part(me)
    }

    pub(super) fn set_role(&mut self, user: UserId, role: Role) -> Result<(), Stop> {
        self.settle(Role::Owner)?;
        let (mut member, before) = self.current(user)?;
        if before == role {
            return Ok(());
        }
        if role == Role::Owner {
            return self.hand_over(member);
        }
        if before == Role::Owner {
            return reject(Error::invalid(
                "a group keeps an owner: make somebody else owner instead",
            ));
        }
        member.role = Some(role);
        self.save_member(member);
        self.append(EventKind::RoleChanged { user, role }, None);
        Ok(())
    }

    /// Makes a member the owner; the one before becomes admin.
    fn hand_over(&mut self, mut to: Member) -> Result<(), Stop> {
        let from = self.conversation.owner.replace(to.user);
        if let Some(from) = from
            && let Some(mut member) = self.member(from)?
        {
            member.role = Some(Role::Admin);
            self.save_member(member);
            self.append(
                EventKind::RoleChanged {
                    user: from,
                    role: Role::Admin,
                },
                None,
            );
        }
        let user = to.user;
        to.role = Some(Role::Owner);
        self.save_member(to);
        self.save();
        self.append(
            EventKind::RoleChanged {
                user,
                role: Role::Owner,
            },
            None,
        );
        Ok(())
    }

    /// A member goes: the event that says so is the last they may see.
    fn part(&mut self, mut member: Member) -> Result<(), Stop> {
        let user = member.user;
        if self.conversation.owner == Some(user) {
            self.conversation.owner = None;
        }
        self.conversation.members = self.conversation.members.saturating_sub(1);
        self.save();
        let seq = self.append(EventKind::Left { user }, None);
        member.role = None;
        member.ranges.close(seq);
        member.mentions.clear();
        // What changes from now on is not theirs to know.
        self.rows.put(
            RowKey::Parted(self.id, user),
            Row::Parted(self.conversation.clone()),
        );
        self.save_member(member);
        self.rows.tell(
            user,
            self.actor,
            EventKind::Removed {
                conversation: self.id,
                seq,
            },
        )
    }

    /// Somebody who is a member now.
    fn current(&mut self, user: UserId) -> Result<(Member, Role), Stop> {
        match self.member(user)? {
            Some(member) if member.role.is_some() => {
                let role = member.role.unwrap_or(Role::Member);
                Ok((member, role))
            }
            _ => reject(Error::not_found("there is no such member")),
        }
    }
}
