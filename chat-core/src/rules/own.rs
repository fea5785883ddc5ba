//! What a member changes for themselves alone: hiding, muting, filing away, read and delivered marks.

use super::conversation::Talk;
use super::row::tables;
use super::scratch::Stop;
use super::{Row, RowKey};
use crate::{Actor, EventKind, Marked, Seq, Timestamp};

impl Talk<'_, '_> {
    pub(super) fn hide(&mut self) -> Result<(), Stop> {
        let mut me = self.me()?;
        let through = self.head.seq;
        if me.hidden == through {
            return Ok(());
        }
        me.ranges.drop_through(through);
        (me.hidden, me.read, me.read_ordinal) = (through, through, self.head.ordinal);
        me.delivered = through;
        me.mentions.clear();
        let user = me.user;
        self.save_member(me);
        self.rows.tell(
            user,
            self.actor,
            EventKind::Hid {
                conversation: self.id,
                through,
            },
        )
    }

    pub(super) fn mute(&mut self, until: Option<Timestamp>) -> Result<(), Stop> {
        let mut me = self.me()?;
        if me.muted_until == until {
            return Ok(());
        }
        me.muted_until = until;
        let user = me.user;
        self.save_member(me);
        self.rows.tell(
            user,
            self.actor,
            EventKind::Muted {
                conversation: self.id,
                until,
            },
        )
    }

    pub(super) fn archive(&mut self, on: bool) -> Result<(), Stop> {
        let mut me = self.me()?;
        if me.archived == on {
            return Ok(());
        }
        me.archived = on;
        let user = me.user;
        self.save_member(me);
        self.rows.tell(
            user,
            self.actor,
            EventKind::Archived {
                conversation: self.id,
                on,
            },
        )
    }

    pub(super) fn read(&mut self, seq: Seq) -> Result<(), Stop> {
        let mut me = self.me()?;
        let seq = seq.min(self.head.seq);
        if seq <= me.read {
            return Ok(());
        }
        me.read = seq;
        me.read_ordinal = if seq == self.head.seq {
            self.head.ordinal
        } else {
            let row = self
                .rows
                .get::<tables::Event>(RowKey::Event(self.id.into(), seq))?;
            row.map_or(me.read_ordinal, |row| row.ordinal)
        };
        me.delivered = me.delivered.max(seq);
        me.mentions.retain(|mention| *mention > seq);
        let user = me.user;
        self.save_member(me);
        self.moved()?;
        self.rows.tell(
            user,
            self.actor,
            EventKind::Read {
                conversation: self.id,
                seq,
            },
        )
    }

    pub(super) fn deliver(&mut self, seq: Seq) -> Result<(), Stop> {
        let mut me = self.me()?;
        let seq = seq.min(self.head.seq);
        if seq > me.delivered {
            me.delivered = seq;
            self.save_member(me);
            self.moved()?;
        }
        Ok(())
    }

    /// How far the actor is now, for the others to be told; `None` for one who is no member any more.
    pub(super) fn marked(&mut self) -> Result<Option<Marked>, Stop> {
        let Actor::User(user) = self.actor else {
            return Ok(None);
        };
        let member = self.member(user)?.filter(|member| member.role.is_some());
        Ok(member.map(|member| Marked {
            conversation: self.id,
            user,
            read: member.read,
            delivered: member.delivered,
            head: self.head.seq,
            members: self.conversation.members,
        }))
    }

    /// Nodes that were not told find out by the number.
    fn moved(&mut self) -> Result<(), Stop> {
        let key = RowKey::Marks(self.id);
        let count = self.rows.get::<tables::Marks>(key.clone())?.unwrap_or(0);
        self.rows.put(key, Row::Marks(count + 1));
        Ok(())
    }
}
