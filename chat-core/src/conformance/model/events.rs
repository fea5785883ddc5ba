//! What a client makes of the events of a conversation, as `docs/protocol.md` says.

use super::view::{Seen, Talk};
use crate::protocol::What;
use crate::{Seq, UserId};

impl Talk {
    /// What an event says is so now, for a user who cleared away everything up to `hidden`.
    pub(super) fn apply(&mut self, me: UserId, hidden: Seq, seq: Seq, what: What) {
        match what {
            What::Posted(posted) if seq > hidden => {
                let sender = posted.message.sender;
                self.put(seq, posted.message.into());
                self.listed = true;
                self.read_up_to(if sender == Some(me) { seq } else { 0 });
            }
            What::Edited(edited) => {
                let id = edited.message.id;
                if self.messages.contains_key(&id) {
                    self.put(id, edited.message.into());
                }
            }
            What::Deleted(deleted) => {
                if let Some(message) = self.messages.get_mut(&deleted.message) {
                    message.text = None;
                    message.mentions.clear();
                    message.reactions.clear();
                }
                self.pins.retain(|pin| *pin != deleted.message);
            }
            What::Reacted(reacted) => {
                if let Some(message) = self.messages.get_mut(&reacted.message) {
                    let reactions = &mut message.reactions;
                    let known = reactions.iter().position(|(e, _)| *e == reacted.emoji);
                    match known {
                        Some(place) if reacted.count == 0 => drop(reactions.remove(place)),
                        Some(place) => reactions[place].1 = reacted.count,
                        None if reacted.count == 0 || message.text.is_none() => {}
                        None => reactions.push((reacted.emoji, reacted.count)),
                    }
                }
            }
            What::Pinned(pinned) => {
                self.pins.retain(|pin| *pin != pinned.message);
                if pinned.on && self.messages.contains_key(&pinned.message) {
                    self.pins.push(pinned.message);
                }
            }
            What::Joined(joined) => drop(self.members.insert(joined.user, joined.role)),
            What::Left(left) => drop(self.members.remove(&left.user)),
            What::RoleChanged(changed) => {
                self.members.insert(changed.user, changed.role);
            }
            What::Configured(configured) => {
                (self.title, self.history) = (configured.title, configured.history);
            }
            _ => {}
        }
    }

    /// Nothing up to there is shown any more.
    pub(super) fn clear(&mut self, through: Seq) {
        self.messages.retain(|seq, _| *seq > through);
        self.listed = !self.messages.is_empty();
        let messages = &self.messages;
        self.pins.retain(|pin| messages.contains_key(pin));
        self.read_up_to(through);
    }

    fn put(&mut self, seq: Seq, message: Seen) {
        let known = self.messages.get(&seq).map_or(0, |known| known.revision);
        if message.revision >= known {
            self.messages.insert(seq, message);
        }
        self.read_up_to(0);
    }

    /// Counts again what is unread.
    pub(super) fn read_up_to(&mut self, seq: Seq) {
        self.read = self.read.max(seq);
        self.unread = self.messages.range(self.read + 1..).count();
    }
}
