//! Rows that a store's only writer need not read again.

use std::collections::HashMap;

use super::{Row, RowKey};

/// Rows of a generation.
const GENERATION: usize = 4096;

type Generation = HashMap<RowKey, Row, foldhash::fast::RandomState>;

/// The rows that messages need over and over (authors, conversations, members, heads), as the last commit left them: for a
/// store that is the only one to write to its database. At most 8,192 small rows, a few MiB; those not used for long go.
///
/// It must never know what is not committed. So take it out of its place for a group, and put it back only when the group
/// is: then a group that fails leaves an empty one behind.
///
/// ```
/// use chat_core::rules::{Row, RowCache, RowKey};
/// use chat_core::{Head, LogId, UserId};
///
/// # fn main() -> Result<(), chat_core::Error> {
/// let key = RowKey::Head(LogId::User(UserId::new(1)?));
/// let mut cache = RowCache::default();
/// assert_eq!(cache.get(&key), None); // read it from the database
/// cache.put(&key, Some(&Row::Head(Head::default())));
/// assert_eq!(cache.get(&key), Some(Row::Head(Head::default())));
/// cache.put(&key, None);
/// assert_eq!(cache.get(&key), None);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Default)]
pub struct RowCache {
    young: Generation,
    /// Those that were not used since the young ones began to gather.
    old: Generation,
}

impl RowCache {
    /// A row, if it is known.
    pub fn get(&mut self, key: &RowKey) -> Option<Row> {
        if let Some(row) = self.young.get(key) {
            return Some(row.clone());
        }
        let row = self.old.remove(key)?;
        self.insert(key.clone(), row.clone());
        Some(row)
    }

    /// How a row stands in the database now. It may be kept; what was known of it before is not.
    pub fn put(&mut self, key: &RowKey, row: Option<&Row>) {
        let is_kept = match row {
            Some(Row::Head(_) | Row::Member(_) | Row::Marks(_)) => true,
            Some(Row::User(user)) => user.data.is_none(),
            Some(Row::Conversation(conversation)) => conversation.data.is_none(),
            _ => false,
        };
        self.old.remove(key);
        match row.filter(|_| is_kept) {
            Some(row) => self.insert(key.clone(), row.clone()),
            None => drop(self.young.remove(key)),
        }
    }

    fn insert(&mut self, key: RowKey, row: Row) {
        if self.young.len() >= GENERATION {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key, row);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Head, LogId, UserId};

    fn key(number: u64) -> RowKey {
        RowKey::Head(LogId::User(UserId::new(number).unwrap()))
    }

    fn head(seq: u64) -> Row {
        Row::Head(Head {
            seq,
            ..Head::default()
        })
    }

    /// Whatever comes in which order: it knows the last state of a row or nothing, stays bounded, and keeps what is in use.
    #[test]
    fn knows_the_last_or_nothing() {
        let mut cache = RowCache::default();
        let mut last = HashMap::new();
        for turn in 1..=5 * GENERATION as u64 {
            let number = turn * 7919 % 9001 + 2;
            if turn % 5 == 0 {
                cache.put(&key(number), None);
                last.remove(&number);
            } else {
                cache.put(&key(number), Some(&head(turn)));
                last.insert(number, turn);
            }
            cache.put(&key(1), Some(&head(turn)));
            let asked = turn * 104_729 % 9001 + 2;
            if let Some(row) = cache.get(&key(asked)) {
                assert_eq!(Some(row), last.get(&asked).map(|turn| head(*turn)));
            }
            assert_eq!(cache.get(&key(1)), Some(head(turn)));
            assert!(cache.young.len() + cache.old.len() <= 2 * GENERATION);
        }
    }
}
