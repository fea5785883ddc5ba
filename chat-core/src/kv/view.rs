//! Rows read from an engine.

use std::ops::Range;

use super::codec::{self, Place};
use super::{Engine, Pairs};
use crate::rules::{EventRow, Row, RowKey};
use crate::snapshot::{Pages, Snapshot};
use crate::{ConversationId, Error, Head, LogId, Member, Seq, UserId};

/// An engine that nobody changes meanwhile.
pub(super) struct View<'a, E> {
    pub(super) engine: &'a E,
    pages: Option<&'a Pages>,
}

/// Stands first in a value that is kept in parts; the number of parts follows, 4 bytes, big endian. A row never begins so:
/// it is JSON.
const IN_PARTS: u8 = 0;

/// The value that stands for so many parts.
pub(super) fn in_parts(count: u32) -> Vec<u8> {
    let mut head = vec![IN_PARTS];
    head.extend_from_slice(&count.to_be_bytes());
    head
}

/// How many parts a value stands for, 0 when it is whole.
pub(super) fn parts(value: &[u8]) -> Result<u32, Error> {
    match value.split_first() {
        Some((&IN_PARTS, count)) => count
            .try_into()
            .map(u32::from_be_bytes)
            .map_err(|_| damaged()),
        _ => Ok(0),
    }
}

pub(super) fn damaged() -> Error {
    Error::internal("a stored value is damaged")
}

impl<'a, E> View<'a, E> {
    pub(super) const fn new(engine: &'a E) -> Self {
        Self {
            engine,
            pages: None,
        }
    }

    /// With what was read lately.
    pub(super) const fn with_pages(engine: &'a E, pages: &'a Pages) -> Self {
        Self {
            engine,
            pages: Some(pages),
        }
    }
}

impl<E: Engine> View<'_, E> {
    /// A row with what is stored for it.
    pub(super) fn read(&self, key: &RowKey) -> Result<Option<(Row, Vec<u8>)>, Error> {
        let at = codec::row(key);
        let Some(stored) = self.engine.get(&at)? else {
            return Ok(None);
        };
        Ok(Some((self.decode(key, &at, &stored)?, stored)))
    }

    fn value(&self, key: &RowKey) -> Result<Option<Row>, Error> {
        Ok(self.read(key)?.map(|(row, _)| row))
    }

    fn decode(&self, key: &RowKey, at: &[u8], stored: &[u8]) -> Result<Row, Error> {
        let count = parts(stored)?;
        if count == 0 {
            return Row::decode(key, stored);
        }
        let mut whole = Vec::new();
        for number in 0..count {
            let part = Place::Part(at.to_vec(), number).encode();
            whole.extend(self.engine.get(&part)?.ok_or_else(damaged)?);
        }
        Row::decode(key, &whole)
    }

    pub(super) fn scan(
        &self,
        range: Range<Vec<u8>>,
        backward: bool,
        limit: usize,
    ) -> Result<Pairs, Error> {
        if range.is_empty() || limit == 0 {
            return Ok(Vec::new());
        }
        self.engine.scan(&range.start..&range.end, backward, limit)
    }

    /// The rows of a range.
    pub(super) fn range(
        &self,
        range: Range<Vec<u8>>,
        backward: bool,
        limit: usize,
    ) -> Result<Vec<(RowKey, Row)>, Error> {
        let pairs = self.scan(range, backward, limit)?;
        pairs
            .into_iter()
            .map(|(at, stored)| match Place::decode(&at)? {
                Place::Row(key) => {
                    let row = self.decode(&key, &at, &stored)?;
                    Ok((key, row))
                }
                _ => Err(damaged()),
            })
            .collect()
    }
}

impl<E: Engine> Snapshot for View<'_, E> {
    async fn row(&self, key: &RowKey) -> Result<Option<Row>, Error> {
        self.value(key)
    }

    fn pages(&self) -> Option<&Pages> {
        self.pages
    }

    async fn events(
        &self,
        log: LogId,
        first: Seq,
        last: Seq,
        newest_first: bool,
        limit: usize,
    ) -> Result<Vec<(Seq, EventRow)>, Error> {
        let rows = self.range(codec::events(log, first, last), newest_first, limit)?;
        rows.into_iter()
            .map(|pair| match pair {
                (RowKey::Event(_, seq), Row::Event(row)) => Ok((seq, row)),
                _ => Err(damaged()),
            })
            .collect()
    }

    async fn members(
        &self,
        conversation: ConversationId,
        after: Option<UserId>,
        limit: usize,
    ) -> Result<Vec<Member>, Error> {
        let rows = self.range(codec::members(conversation, after), false, limit)?;
        rows.into_iter()
            .map(|pair| match pair {
                (_, Row::Member(member)) => Ok(member),
                _ => Err(damaged()),
            })
            .collect()
    }

    async fn memberships(&self, user: UserId) -> Result<Vec<(Member, Head)>, Error> {
        let index = self.scan(codec::memberships(user), false, usize::MAX)?;
        index
            .into_iter()
            .map(|(at, _)| {
                let Place::Membership(user, id) = Place::decode(&at)? else {
                    return Err(damaged());
                };
                let Some(Row::Member(member)) = self.value(&RowKey::Member(id, user))? else {
                    return Err(damaged());
                };
                let head = match self.value(&RowKey::Head(id.into()))? {
                    Some(Row::Head(head)) => head,
                    _ => Head::default(),
                };
                Ok((member, head))
            })
            .collect()
    }

    async fn suffixes(
        &self,
        part: &str,
        after: Option<&(String, UserId)>,
        limit: usize,
    ) -> Result<Vec<(String, UserId)>, Error> {
        let pairs = self.scan(codec::suffixes(part, after), false, limit)?;
        pairs
            .into_iter()
            .map(|(at, _)| match Place::decode(&at)? {
                Place::Row(RowKey::Suffix(suffix, user)) => Ok((suffix, user)),
                _ => Err(damaged()),
            })
            .collect()
    }

    async fn feed(
        &self,
        after: u64,
        limit: usize,
    ) -> Result<Vec<(u64, LogId, Seq, EventRow)>, Error> {
        let mut entries = Vec::new();
        let mut reached = after;
        while entries.len() < limit {
            let page = self.scan(codec::feed(reached), false, limit - entries.len())?;
            if page.is_empty() {
                break;
            }
            for (at, event) in page {
                let (Place::Feed(position), Place::Row(key)) =
                    (Place::decode(&at)?, Place::decode(&event)?)
                else {
                    return Err(damaged());
                };
                reached = position;
                // An event that retention took away has left its place behind.
                if let (RowKey::Event(log, seq), Some(Row::Event(row))) = (&key, self.value(&key)?)
                {
                    entries.push((position, *log, *seq, row));
                }
            }
        }
        Ok(entries)
    }
}
