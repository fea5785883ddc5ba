//! How the parts of a key are written, so that the order of bytes is that of what they mean:
//! - an id, seq or position: 8 bytes, big endian; the number of a part: 4 bytes, big endian
//! - text: its UTF-8 with `00` as `00 ff`, then `00 01`
//! - a key: its 16 bytes
//! - a log: `00` and the conversation, or `01` and the user; an author: `00` for the host, or `01` and the user
//! - a kind of counter: `00` users, `01` conversations, `02` logins

use crate::{Actor, ConversationId, LogId, UserId};

/// A key that is being written.
pub(super) struct Writer(pub(super) Vec<u8>);

impl Writer {
    pub(super) fn table(tag: u8) -> Self {
        let mut bytes = Vec::with_capacity(32);
        bytes.push(tag);
        Self(bytes)
    }

    pub(super) fn raw(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }

    pub(super) fn int(self, int: u64) -> Self {
        self.raw(&int.to_be_bytes())
    }

    /// Text without its end: the beginning of every text that begins with it.
    pub(super) fn escaped(mut self, text: &str) -> Self {
        for &byte in text.as_bytes() {
            self.0.push(byte);
            if byte == 0 {
                self.0.push(0xff);
            }
        }
        self
    }

    pub(super) fn text(self, text: &str) -> Self {
        self.escaped(text).raw(&[0x00, 0x01])
    }

    pub(super) fn log(self, log: LogId) -> Self {
        match log {
            LogId::Conversation(id) => self.raw(&[0]).int(id.get()),
            LogId::User(user) => self.raw(&[1]).int(user.get()),
        }
    }

    pub(super) fn actor(self, actor: Actor) -> Self {
        match actor {
            Actor::Host => self.raw(&[0]),
            Actor::User(user) => self.raw(&[1]).int(user.get()),
        }
    }
}

/// What is left to read of a key.
pub(super) struct Reader<'a>(pub(super) &'a [u8]);

impl Reader<'_> {
    pub(super) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*head)
    }

    pub(super) fn byte(&mut self) -> Option<u8> {
        self.array().map(|[byte]| byte)
    }

    pub(super) fn int(&mut self) -> Option<u64> {
        self.array().map(u64::from_be_bytes)
    }

    pub(super) fn user(&mut self) -> Option<UserId> {
        UserId::new(self.int()?).ok()
    }

    pub(super) fn conversation(&mut self) -> Option<ConversationId> {
        ConversationId::new(self.int()?).ok()
    }

    pub(super) fn text(&mut self) -> Option<String> {
        let mut text = Vec::new();
        loop {
            match self.byte()? {
                0 => match self.byte()? {
                    0x01 => return String::from_utf8(text).ok(),
                    0xff => text.push(0),
                    _ => return None,
                },
                byte => text.push(byte),
            }
        }
    }

    pub(super) fn log(&mut self) -> Option<LogId> {
        match self.byte()? {
            0 => self.conversation().map(LogId::Conversation),
            1 => self.user().map(LogId::User),
            _ => None,
        }
    }

    pub(super) fn actor(&mut self) -> Option<Actor> {
        match self.byte()? {
            0 => Some(Actor::Host),
            1 => self.user().map(Actor::User),
            _ => None,
        }
    }
}
