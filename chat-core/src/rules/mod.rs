//! The domain rules: one pure function over rows. No I/O, no clock.
//!
//! A store runs a [`Group`] inside its own transaction: it supplies the rows the group asks for, then applies the rows the
//! group changed. What one write of a group changed is what the next one sees. So all stores agree by construction.

mod cache;
mod conversation;
mod membership;
mod message;
mod own;
mod row;
mod scratch;
mod user;

use std::collections::BTreeSet;

pub use cache::RowCache;
pub use row::{Counter, Done, EventRow, Moving, Row, RowKey};
use scratch::{Rows, Scratch, Since, Slot, Stop};

use crate::{Actor, Change, Committed, Error, Prepared, Target, Timestamp, Write};

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
///                 for changed in outcome.changes {
///                     match changed.row {
///                         Some(row) => map.insert(changed.key, row),
///                         None => map.remove(&changed.key),
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
    /// Rows as read, or as changed by the writes decided so far.
    rows: Rows,
    /// The rows that were changed.
    changed: Vec<RowKey>,
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
    /// Each row that changes, once, in the order in which they came to: so new [`RowKey::Event`] rows stand in the order in
    /// which things happened.
    pub changes: Vec<Changed>,
    /// For each write, in order.
    pub results: Vec<Result<Committed, Error>>,
}

/// A row that changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changed {
    /// Which.
    pub key: RowKey,
    /// To be put, or `None`: to be taken away.
    pub row: Option<Row>,
    /// Whether it is known that no row stands under this key: it can be inserted without looking. Always so for what is
    /// appended to a log, never for what changes there.
    pub is_new: bool,
}

impl Group {
    /// Begins to decide writes at a time.
    #[must_use]
    pub fn new(writes: Vec<Prepared>, now: Timestamp) -> Self {
        Self {
            now,
            results: Vec::with_capacity(writes.len()),
            // A message reads five rows and adds two.
            rows: Rows::with_capacity_and_hasher(writes.len() * 8, Default::default()),
            changed: Vec::with_capacity(writes.len() * 4),
            writes,
        }
    }

    /// Gives the group a row it asked for; `None` when the store has no such row.
    pub fn supply(&mut self, key: RowKey, row: Option<Row>) {
        let since = Since::Read;
        self.rows.insert(key, Slot { row, since });
    }

    /// Decides as far as the rows go. Few rounds are needed: each asks for all that is known to be missing, for all writes.
    pub fn step(&mut self) -> Step {
        let mut missing = Vec::new();
        for index in self.results.len()..self.writes.len() {
            let mut scratch = Scratch::new(&mut self.rows, self.now);
            match decide(&mut scratch, &self.writes[index]) {
                Err(Stop::Need) => missing.append(&mut scratch.missing),
                // What an earlier write lacks may change this one's outcome: it is only asked what it lacks itself.
                _ if !missing.is_empty() => {}
                Ok(committed) => {
                    scratch.keep(&mut self.changed);
                    self.results.push(Ok(committed));
                }
                Err(Stop::Reject(error)) => self.results.push(Err(error)),
            }
        }
        if !missing.is_empty() {
            return Step::Need(missing.into_iter().collect());
        }
        let changed = std::mem::take(&mut self.changed).into_iter();
        let changes = changed.filter_map(|key| match self.rows.remove(&key)? {
            Slot {
                row,
                since: Since::Changed { is_new },
            } => Some(Changed { key, row, is_new }),
            _ => None,
        });
        Step::Done(Outcome {
            changes: changes.collect(),
            results: std::mem::take(&mut self.results),
        })
    }
}

/// The rows that every write of its kind needs, so that most are decided in one round.
fn needs(write: &Write) -> Vec<RowKey> {
    let mut keys = Vec::with_capacity(8);
    keys.extend(write.key.map(|key| RowKey::Done(key, write.actor)));
    if let Actor::User(user) = write.actor {
        keys.push(RowKey::User(user));
    }
    match &write.target {
        Target::Conversation(id) => conversation::needs(*id, write, &mut keys),
        Target::Direct(a, b) => {
            keys.extend([
                RowKey::User(*a),
                RowKey::User(*b),
                RowKey::Direct(*a.min(b), *a.max(b)),
            ]);
        }
        Target::Key(key) => keys.push(RowKey::Named(key.clone())),
        Target::Group => keys.push(RowKey::Counter(Counter::Conversation)),
        Target::User(user) => keys.extend([RowKey::User(*user), RowKey::Head((*user).into())]),
        Target::Subject { provider, subject } => {
            keys.push(RowKey::Subject(provider.clone(), subject.clone()))
        }
    }
    keys
}

/// Decides one write over the rows as the writes before it left them.
fn decide(scratch: &mut Scratch<'_>, prepared: &Prepared) -> Result<Committed, Stop> {
    let Prepared { write, digest } = prepared;
    scratch.need(needs(write))?;
    let key = write.key.map(|key| RowKey::Done(key, write.actor));
    if let Some(key) = &key
        && let Some(done) = scratch.see::<row::tables::Done>(key.clone())?
    {
        return replay(done, digest);
    }
    if let Actor::User(user) = write.actor {
        match scratch.see::<row::tables::User>(RowKey::User(user))? {
            None => return reject(Error::not_found("there is no such user")),
            Some(user) if user.disabled => {
                return reject(Error::forbidden("this user is disabled"));
            }
            Some(_) => {}
        }
    }
    let committed = match &write.target {
        Target::User(_) | Target::Subject { .. } => user::decide(scratch, write)?,
        _ => conversation::decide(scratch, write)?,
    };
    if let Some(key) = key {
        let done = Done {
            digest: *digest,
            at: committed.at,
            conversation: committed.conversation,
            user: committed.user,
            login: committed.login,
            first: committed.first,
            count: committed.count,
        };
        scratch.put(key, Row::Done(done));
    }
    Ok(committed)
}

/// The first result again: looked up before everything else, so it is the same however late and however rights changed.
fn replay(done: &Done, digest: &[u8; 16]) -> Result<Committed, Stop> {
    if done.digest != *digest {
        return reject(Error::conflict("this key was used for another write"));
    }
    Ok(Committed {
        conversation: done.conversation,
        user: done.user,
        login: done.login,
        first: done.first,
        count: done.count,
        at: done.at,
        replayed: true,
        marked: None,
        events: Vec::new(),
    })
}

fn reject<T>(error: Error) -> Result<T, Stop> {
    Err(Stop::Reject(error))
}

/// A change that does not go with its target.
fn misplaced<T>(change: &Change) -> Result<T, Stop> {
    let what = match change {
        Change::Create { .. } => "`create` is the first change of a new group only",
        _ => "this change does not go with this target",
    };
    reject(Error::invalid(what))
}
