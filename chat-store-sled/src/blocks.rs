//! Neighbouring keys together in one value of sled's: a page of sled's holds 16 values however short they are, and each costs
//! a way through its tree.
//!
//! The blocks part the keys between them: one named by a key holds that key and all up to the name of the next block.

use std::ops::Range;

use chat_core::Error;
use chat_core::kv::{Batch, Engine as _, Pairs};
use sled::IVec;

use crate::engine::{Sled, damaged};

/// Bytes of a block, unless one pair has more.
const BLOCK: usize = 4 << 10;
/// What blocks' names begin with in sled.
const TAG: u8 = 1;
/// Blocks read at once.
const AT_ONCE: usize = 16;
/// Stands for the length of a value where there is none. No value is as long.
const NONE: u16 = u16::MAX;

/// A key's new value, or `None` to take it away.
pub(crate) type Change<'a> = (&'a [u8], Option<&'a [u8]>);

/// Writes a change behind others.
pub(crate) fn put(bytes: &mut Vec<u8>, (key, value): Change<'_>) -> Result<(), Error> {
    let length = |bytes: &[u8]| u16::try_from(bytes.len()).ok().filter(|n| *n != NONE);
    let long = || Error::internal("a key or value is longer than the store can keep");
    let of_key = length(key).ok_or_else(long)?;
    let of_value = value.map_or(Some(NONE), length).ok_or_else(long)?;
    bytes.extend_from_slice(&of_key.to_le_bytes());
    bytes.extend_from_slice(&of_value.to_le_bytes());
    bytes.extend_from_slice(key);
    bytes.extend_from_slice(value.unwrap_or_default());
    Ok(())
}

/// Bytes that a change takes.
pub(crate) fn size((key, value): Change<'_>) -> usize {
    4 + key.len() + value.map_or(0, <[u8]>::len)
}

/// Reads changes.
pub(crate) struct Changes<'a>(pub(crate) &'a [u8]);

impl<'a> Changes<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8], Error> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or_else(damaged)?;
        self.0 = rest;
        Ok(taken)
    }

    fn length(&mut self) -> Result<u16, Error> {
        let bytes = self.take(2)?.try_into().map_err(|_| damaged())?;
        Ok(u16::from_le_bytes(bytes))
    }

    fn change(&mut self) -> Result<Change<'a>, Error> {
        let (of_key, of_value) = (self.length()?, self.length()?);
        let key = self.take(of_key.into())?;
        let value = match of_value {
            NONE => None,
            length => Some(self.take(length.into())?),
        };
        Ok((key, value))
    }
}

impl<'a> Iterator for Changes<'a> {
    type Item = Result<Change<'a>, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        (!self.0.is_empty()).then(|| self.change())
    }
}

/// A block's pairs, in order.
fn pairs(block: &[u8]) -> impl Iterator<Item = Result<(&[u8], &[u8]), Error>> {
    Changes(block).map(|change| {
        let (key, value) = change?;
        Ok((key, value.ok_or_else(damaged)?))
    })
}

fn name(key: &[u8]) -> Vec<u8> {
    [&[TAG], key].concat()
}

/// What is first above a key or a name.
pub(crate) fn above(key: &[u8]) -> Vec<u8> {
    [key, &[0]].concat()
}

/// The block in which a key stands if it stands anywhere, with its name. There is none before the first.
fn around(sled: &Sled, key: &[u8]) -> Result<(IVec, IVec), Error> {
    let found = sled.last_to(&name(key))?;
    let block = found.filter(|(name, _)| name.first() == Some(&TAG));
    Ok(block.unwrap_or_else(|| (IVec::from(&[TAG]), IVec::default())))
}

pub(crate) fn get(sled: &Sled, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
    let (_, block) = around(sled, key)?;
    for pair in pairs(&block) {
        let (at, value) = pair?;
        if at >= key {
            return Ok((at == key).then(|| value.to_vec()));
        }
    }
    Ok(None)
}

/// As [`Engine::scan`](chat_core::kv::Engine::scan).
pub(crate) fn scan(
    sled: &Sled,
    range: Range<&[u8]>,
    backward: bool,
    limit: usize,
) -> Result<Pairs, Error> {
    let mut found = Pairs::new();
    let (first, _) = around(sled, range.start)?;
    let mut names = first.to_vec()..name(range.end);
    while names.start < names.end {
        let blocks = sled.scan(&names.start[..]..&names.end, backward, AT_ONCE)?;
        let Some((last, _)) = blocks.last() else {
            break;
        };
        if backward {
            names.end.clone_from(last);
        } else {
            names.start = above(last);
        }
        for (_, block) in &blocks {
            let mut inside = Vec::new();
            for pair in pairs(block) {
                let pair = pair?;
                if range.contains(&pair.0) {
                    inside.push(pair);
                }
            }
            if backward {
                inside.reverse();
            }
            for (key, value) in inside {
                if found.len() == limit {
                    return Ok(found);
                }
                found.push((key.to_vec(), value.to_vec()));
            }
        }
    }
    Ok(found)
}

/// What is to be changed in sled so that these changes, in the order of their keys, stand in the blocks.
pub(crate) fn merge(sled: &Sled, mut changes: &[Change<'_>]) -> Result<Batch, Error> {
    let mut batch = Batch::new();
    while let Some((key, _)) = changes.first() {
        let (name, block) = around(sled, key)?;
        let next = sled.scan(&above(&name)..&[TAG + 1], false, 1)?;
        let count = next.first().map_or(changes.len(), |(next, _)| {
            changes.partition_point(|(key, _)| *key < &next[1..])
        });
        let (inside, behind) = changes.split_at(count);
        change(name.to_vec(), &block, inside, &mut batch)?;
        changes = behind;
    }
    Ok(batch)
}

/// A block with changes, as one block or several, or none.
fn change(
    first: Vec<u8>,
    block: &[u8],
    changes: &[Change<'_>],
    batch: &mut Batch,
) -> Result<(), Error> {
    let old = pairs(block).collect::<Result<Vec<_>, _>>()?;
    let is_behind = old.last().map(|(key, _)| *key) < changes.first().map(|(key, _)| *key);
    let mut all = Vec::with_capacity(old.len() + changes.len());
    let mut old = old.into_iter().peekable();
    for (key, value) in changes {
        while let Some(pair) = old.next_if(|(at, _)| at < key) {
            all.push(pair);
        }
        old.next_if(|(at, _)| at == key);
        all.extend(value.map(|value| (*key, value)));
    }
    all.extend(old);
    let whole: usize = all
        .iter()
        .map(|(key, value)| size((key, Some(value))))
        .sum();
    // In equal parts, for there may be more to come between any two keys; but what grows at its end leaves full ones behind.
    let part = if is_behind {
        BLOCK
    } else {
        whole.div_ceil(whole.div_ceil(BLOCK).max(1))
    };
    let mut name_of_part = Some(first);
    let mut bytes = Vec::new();
    for (key, value) in all {
        let pair = (key, Some(value));
        if !bytes.is_empty() && bytes.len() + size(pair) > part {
            let name = name_of_part.take().unwrap_or_default();
            batch.insert(name, Some(std::mem::take(&mut bytes)));
        }
        name_of_part.get_or_insert_with(|| name(key));
        put(&mut bytes, pair)?;
    }
    if let Some(name) = name_of_part {
        batch.insert(name, Some(bytes).filter(|bytes| !bytes.is_empty()));
    }
    Ok(())
}
