//! What a group of writes changes in an engine.

use std::collections::HashMap;

use super::codec::{self, FORMAT, Place};
use super::view::{View, in_parts, parts};
use super::{Batch, Engine};
use crate::rules::{Changed, Group, Outcome, Row, RowCache, RowKey, Step};
use crate::{Committed, Error, Prepared, Timestamp};

/// What is decided, but not yet applied.
pub(super) struct Changes {
    /// Empty when nothing changes.
    pub(super) batch: Batch,
    /// The feed's last position once the batch is applied.
    pub(super) position: u64,
}

/// What stood under the key of a row before: in how many parts; `None` when nothing stood there. Hashed as the rules' rows are.
type Before = HashMap<RowKey, Option<u32>, foldhash::fast::RandomState>;

/// Decides a group after the feed's last position. Nobody may change the engine until the batch is applied; the cache is
/// right from then on.
pub(super) fn decide<E: Engine>(
    engine: &E,
    cache: &mut RowCache,
    writes: Vec<Prepared>,
    position: u64,
) -> Result<(Changes, Vec<Result<Committed, Error>>), Error> {
    let view = View::new(engine);
    let mut group = Group::new(writes, Timestamp::now());
    let mut before = Before::default();
    let Outcome { changes, results } = loop {
        match group.step() {
            Step::Need(keys) => {
                for key in keys {
                    // Only rows in one piece are kept.
                    if let Some(row) = cache.get(&key) {
                        before.insert(key.clone(), Some(0));
                        group.supply(key, Some(row));
                        continue;
                    }
                    let (row, stood) = match view.read(&key)? {
                        Some((row, stored)) => (Some(row), Some(parts(&stored)?)),
                        None => (None, None),
                    };
                    before.insert(key.clone(), stood);
                    if stood == Some(0) {
                        cache.put(&key, row.as_ref());
                    }
                    group.supply(key, row);
                }
            }
            Step::Done(outcome) => break outcome,
        }
    };
    let mut batch = Batch::new();
    let mut position = position;
    for Changed { key, row, is_new } in changes {
        if let (RowKey::Event(..), true) = (&key, is_new) {
            position += 1;
            batch.insert(Place::Feed(position).encode(), Some(codec::row(&key)));
        }
        if is_new {
            // Nothing stands there: no need to look.
            before.entry(key.clone()).or_insert(None);
        }
        let parts = encode(engine, &before, &key, row.as_ref(), &mut batch)?;
        cache.put(&key, row.as_ref().filter(|_| parts == 0));
    }
    Ok((Changes { batch, position }, results))
}

/// Rows that another store decided.
pub(super) fn adopt<E: Engine>(
    engine: &E,
    rows: Vec<(RowKey, Option<Row>)>,
    mut position: u64,
) -> Result<Changes, Error> {
    let view = View::new(engine);
    let mut before = Before::default();
    let mut new = Vec::new();
    for (key, _) in &rows {
        let stood = match view.read(key)? {
            Some((_, stored)) => Some(parts(&stored)?),
            None => None,
        };
        if let (RowKey::Event(..), None) = (key, stood) {
            new.push(codec::row(key));
        }
        before.insert(key.clone(), stood);
    }
    let mut batch = Batch::new();
    for (key, row) in &rows {
        encode(engine, &before, key, row.as_ref(), &mut batch)?;
    }
    for event in new {
        position += 1;
        batch.insert(Place::Feed(position).encode(), Some(event));
    }
    Ok(Changes { batch, position })
}

/// The batch that makes an engine a store: the layout's name, and the store's secret.
pub(super) fn first<E: Engine>(engine: &E) -> Result<Batch, Error> {
    let mut secret = [0; 32];
    crate::random(&mut secret);
    let secret = Row::Secret(secret);
    let mut batch = Batch::new();
    encode(
        engine,
        &Before::default(),
        &RowKey::Secret(),
        Some(&secret),
        &mut batch,
    )?;
    batch.insert(Place::Format.encode(), Some(FORMAT.to_vec()));
    Ok(batch)
}

/// A row's change as changes of keys, with the index of memberships and the parts of a long value. Returns how many parts.
fn encode<E: Engine>(
    engine: &E,
    before: &Before,
    key: &RowKey,
    row: Option<&Row>,
    batch: &mut Batch,
) -> Result<u32, Error> {
    let at = codec::row(key);
    let stood = match before.get(key) {
        Some(stood) => *stood,
        // Of a row that the rules changed unseen, only left-over parts matter: no erased text may stay behind in them.
        None if E::MAX_VALUE == usize::MAX => None,
        None => engine.get(&at)?.map(|stored| parts(&stored)).transpose()?,
    };
    if let RowKey::Member(conversation, user) = key {
        let index = Place::Membership(*user, *conversation).encode();
        match (row, stood) {
            (Some(_), None) => batch.insert(index, Some(Vec::new())),
            (Some(_), Some(_)) => None,
            (None, _) => batch.insert(index, None),
        };
    }
    let mut kept = 0;
    let mut value = row.map(Row::encode).transpose()?;
    if let Some(long) = value.take_if(|value| value.len() > E::MAX_VALUE) {
        for part in long.chunks(E::MAX_VALUE) {
            batch.insert(Place::Part(at.clone(), kept).encode(), Some(part.to_vec()));
            kept += 1;
        }
        value = Some(in_parts(kept));
    }
    for left in kept..stood.unwrap_or(0) {
        batch.insert(Place::Part(at.clone(), left).encode(), None);
    }
    batch.insert(at, value);
    Ok(kept)
}
