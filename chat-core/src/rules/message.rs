//! Messages: posting, editing, deleting, reacting, pinning.

use super::conversation::Talk;
use super::row::tables;
use super::scratch::Stop;
use super::{EventRow, Row, RowKey, reject};
use crate::limits::fixed;
use crate::{
    Actor, Content, ConversationKind, Error, EventKind, Message, Reaction, Role, Seq, UserId,
};

impl Talk<'_, '_> {
    pub(super) fn post(
        &mut self,
        content: &Content,
        reply_to: Option<Seq>,
        mentions: &[UserId],
    ) -> Result<(), Stop> {
        self.role()?;
        self.unless_blocked()?;
        not_empty(content)?;
        if let Some(seq) = reply_to {
            self.message(seq)?;
        }
        let mentions = self.mentioned(mentions)?;
        let seq = self.head.seq + 1;
        self.head.ordinal += 1;
        self.head.message = seq;
        self.head.at = self.rows.now;
        let message = Message {
            conversation: self.id,
            seq,
            ordinal: self.head.ordinal,
            sender: self.actor,
            at: self.rows.now,
            content: Some(content.clone()),
            revision: 0,
            edited_at: None,
            reply_to,
            mentions: mentions.clone(),
            reactions: Vec::new(),
            changed: 0,
        };
        self.append(EventKind::Posted, Some(message));
        for user in mentions {
            if let Some(mut member) = self.member(user)?
                && member.mentions.len() < fixed::MENTIONS
            {
                member.mentions.push(seq);
                self.save_member(member);
            }
        }
        if let Actor::User(user) = self.actor
            && let Some(mut member) = self.member(user)?
        {
            // Whoever sends has read.
            (member.read, member.read_ordinal) = (seq, self.head.ordinal);
            member.mentions.clear();
            self.save_member(member);
        }
        Ok(())
    }

    /// Of the users a message names, the members whom the sender may mention, each once.
    fn mentioned(&mut self, mentions: &[UserId]) -> Result<Vec<UserId>, Stop> {
        let id = self.id;
        let actor = self.actor;
        self.rows.need(mentions.iter().flat_map(|&user| {
            let block = if let Actor::User(actor) = actor {
                Some(RowKey::Block(user, actor))
            } else {
                None
            };
            [Some(RowKey::Member(id, user)), block]
                .into_iter()
                .flatten()
        }))?;
        let mut kept = Vec::new();
        for &user in mentions {
            let member = self
                .member(user)?
                .is_some_and(|member| member.role.is_some());
            let blocked = match actor {
                Actor::User(actor) => self.rows.has(RowKey::Block(user, actor))?,
                Actor::Host => false,
            };
            if member && !blocked && !kept.contains(&user) {
                kept.push(user);
            }
        }
        Ok(kept)
    }

    pub(super) fn edit(
        &mut self,
        seq: Seq,
        revision: Option<u32>,
        content: &Content,
    ) -> Result<(), Stop> {
        self.role()?;
        self.unless_blocked()?;
        not_empty(content)?;
        let (mut row, mut message) = self.message(seq)?;
        if self.actor != Actor::Host && message.sender != self.actor {
            return reject(Error::forbidden("only the author edits a message"));
        }
        if message.content.is_none() {
            return reject(Error::conflict("the message was deleted"));
        }
        if revision.is_some_and(|revision| revision != message.revision) {
            return reject(Error::conflict("the message was edited meanwhile"));
        }
        message.content = Some(content.clone());
        message.revision += 1;
        message.edited_at = Some(self.rows.now);
        message.changed = self.head.seq + 1;
        let kind = EventKind::Edited {
            message: seq,
            revision: message.revision,
        };
        row.message = Some(message.clone());
        self.save_event(seq, row);
        self.append(kind, None);
        self.about(message);
        Ok(())
    }

    pub(super) fn delete(&mut self, seq: Seq) -> Result<(), Stop> {
        let role = self.role()?;
        let (mut row, mut message) = self.message(seq)?;
        let moderates = role.is_none_or(|role| role >= Role::Admin)
            && self.conversation.kind == ConversationKind::Group;
        if self.actor != Actor::Host && message.sender != self.actor && !moderates {
            return reject(Error::forbidden(
                "only the author or a moderator deletes a message",
            ));
        }
        if message.content.is_none() {
            return Ok(());
        }
        message.content = None;
        message.reactions.clear();
        message.changed = self.head.seq + 1;
        let mentions = std::mem::take(&mut message.mentions);
        let id = self.id;
        let members = mentions.iter().map(|user| RowKey::Member(id, *user));
        self.rows.need(members)?;
        for user in mentions {
            if let Some(mut member) = self.member(user)?
                && member.mentions.contains(&seq)
            {
                member.mentions.retain(|mention| *mention != seq);
                self.save_member(member);
            }
        }
        row.message = Some(message);
        self.save_event(seq, row);
        if self.conversation.pins.contains(&seq) {
            self.conversation.pins.retain(|pin| *pin != seq);
            self.save();
        }
        self.append(EventKind::Deleted { message: seq }, None);
        Ok(())
    }

    pub(super) fn react(&mut self, seq: Seq, emoji: &str, on: bool) -> Result<(), Stop> {
        let user = self.me()?.user;
        self.role()?;
        if on {
            self.unless_blocked()?;
        }
        if emoji.trim().is_empty()
            || emoji.len() > fixed::EMOJI
            || emoji.chars().any(char::is_control)
        {
            return reject(Error::invalid(
                "a reaction is a short text of 1 to 64 bytes, without control characters",
            ));
        }
        let (mut row, mut message) = self.message(seq)?;
        if message.content.is_none() {
            return reject(Error::conflict("the message was deleted"));
        }
        let key = RowKey::Reactions(self.id, seq, user);
        let mut own = self
            .rows
            .get::<tables::Reactions>(key.clone())?
            .unwrap_or_default();
        if own.iter().any(|other| other == emoji) == on {
            return Ok(());
        }
        let place = message
            .reactions
            .iter()
            .position(|reaction| reaction.emoji == emoji);
        let before = place.map_or(0, |place| message.reactions[place].count);
        match (on, place) {
            (true, Some(place)) => message.reactions[place].count += 1,
            (true, None) => {
                if message.reactions.len() >= fixed::REACTIONS {
                    return reject(Error::conflict(
                        "a message has at most 20 different reactions",
                    ));
                }
                message.reactions.push(Reaction {
                    emoji: emoji.to_owned(),
                    count: 1,
                });
            }
            (false, Some(place)) => {
                message.reactions[place].count -= 1;
                message.reactions.retain(|reaction| reaction.count > 0);
            }
            (false, None) => {}
        }
        if on {
            own.push(emoji.to_owned());
            self.rows.put(key, Row::Reactions(own));
        } else {
            own.retain(|other| other != emoji);
            if own.is_empty() {
                self.rows.take_away(key);
            } else {
                self.rows.put(key, Row::Reactions(own));
            }
        }
        message.changed = self.head.seq + 1;
        row.message = Some(message);
        self.save_event(seq, row);
        self.append(
            EventKind::Reacted {
                message: seq,
                emoji: emoji.to_owned(),
                on,
                count: if on {
                    before + 1
                } else {
                    before.saturating_sub(1)
                },
            },
            None,
        );
        Ok(())
    }

    pub(super) fn pin(&mut self, seq: Seq, on: bool) -> Result<(), Stop> {
        if self.conversation.kind == ConversationKind::Group {
            self.at_least(Role::Admin)?;
        } else {
            self.role()?;
            self.unless_blocked()?;
        }
        let (_, message) = self.message(seq)?;
        if self.conversation.pins.contains(&seq) == on {
            return Ok(());
        }
        if on {
            if message.content.is_none() {
                return reject(Error::conflict("the message was deleted"));
            }
            if self.conversation.pins.len() >= fixed::PINS {
                return reject(Error::conflict(
                    "a conversation has at most 50 pinned messages",
                ));
            }
            self.conversation.pins.push(seq);
        } else {
            self.conversation.pins.retain(|pin| *pin != seq);
        }
        self.save();
        self.append(EventKind::Pinned { message: seq, on }, None);
        Ok(())
    }

    /// A message that the actor may see, with the row it stands in.
    fn message(&mut self, seq: Seq) -> Result<(EventRow, Message), Stop> {
        let missing = || Stop::Reject(Error::not_found("there is no such message"));
        if let Actor::User(user) = self.actor {
            let visible = self
                .member(user)?
                .is_some_and(|member| member.ranges.contains(seq));
            if !visible {
                return Err(missing());
            }
        }
        if seq == 0 || seq > self.head.seq {
            return Err(missing());
        }
        let row = self
            .rows
            .get::<tables::Event>(RowKey::Event(self.id.into(), seq))?
            .ok_or_else(missing)?;
        let message = row.message.clone().ok_or_else(missing)?;
        Ok((row, message))
    }

    fn save_event(&mut self, seq: Seq, row: EventRow) {
        self.rows
            .put(RowKey::Event(self.id.into(), seq), Row::Event(row));
    }
}

fn not_empty(content: &Content) -> Result<(), Stop> {
    if content.text.trim().is_empty() && content.data.is_none() {
        return reject(Error::invalid("a message needs a text or data"));
    }
    Ok(())
}
