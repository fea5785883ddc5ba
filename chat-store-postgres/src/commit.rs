//! Writing: a group of writes in a transaction.
//!
//! # Locks
//! What a conversation's or a user's log holds changes only under the lock of its row in `chat_head`; the group takes the
//! locks of all logs it is about, in the order of their names, before it reads anything of them. A few things are read
//! without a lock, such as whether the author of a message is disabled: a change to them that commits meanwhile counts as
//! having happened after. So
//! - what somebody else has made meanwhile (a direct conversation, a name, a key) fails to be inserted;
//! - a log that turns out to be needed later, against the order, is locked only if nobody else holds it;
//! - a user whose row was read before their log was locked does not change.
//!
//! In each of these cases the group is rolled back and decided anew, with all the locks it is known to need from the start.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::time::{Duration, Instant};

use chat_core::rules::{Changed, Group, Outcome, Row, RowKey, Step};
use chat_core::{Committed, Error, Head, LogId, Prepared, Timestamp, UserId};

use crate::columns::{self, Cells};
use crate::executor::{Executor, Failure, Found, Param, Statement, Value};
use crate::fault;
use crate::rows::{Changes, Lookup};

/// What each writer of a group came to.
pub(crate) type Results = Vec<Result<Committed, Error>>;

/// How a group is begun, ended and taken back.
pub(crate) struct Bracket {
    begin: &'static [&'static str],
    end: &'static str,
    undo: &'static str,
}

/// A transaction of its own.
pub(crate) const TRANSACTION: Bracket = Bracket {
    begin: &["BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE"],
    end: "COMMIT",
    undo: "ROLLBACK",
};

/// What is decided must rest on what others have committed meanwhile.
const ISOLATION: &str = "SELECT current_setting('transaction_isolation')";

/// A part of somebody's transaction.
pub(crate) const SAVEPOINT: Bracket = Bracket {
    begin: &["SAVEPOINT chat_group", ISOLATION],
    end: "RELEASE SAVEPOINT chat_group",
    undo: "ROLLBACK TO SAVEPOINT chat_group",
};

impl Bracket {
    /// Looks at what the beginning said.
    fn check(&self, found: &[Found]) -> Result<(), Error> {
        let asked = self.begin.iter().position(|sql| *sql == ISOLATION);
        let row = asked
            .and_then(|at| found.get(at))
            .and_then(|rows| rows.first());
        match row.map(Vec::as_slice) {
            Some([Value::Text(level)]) if level != "read committed" => Err(Error::invalid(
                "the transaction must be READ COMMITTED: begin it so",
            )),
            _ => Ok(()),
        }
    }
}

/// For how long a group is decided anew before its writers are told that the store is busy.
const PATIENCE: Duration = Duration::from_secs(10);

const LOCK: &str = "SELECT log, seq, floor, ordinal, message, at FROM chat_head \
    WHERE log = ANY($1) ORDER BY log FOR NO KEY UPDATE";
const LOCK_OR_FAIL: &str = "SELECT log, seq, floor, ordinal, message, at FROM chat_head \
    WHERE log = ANY($1) ORDER BY log FOR NO KEY UPDATE NOWAIT";
const LOCK_COUNTERS: &str = "SELECT name FROM chat_counter \
    WHERE name = ANY($1) ORDER BY name FOR NO KEY UPDATE";

/// Why a group was not committed.
#[derive(Debug)]
pub(crate) enum Stop {
    /// The database says so. With `ending`, it was while ending the transaction: it may have happened.
    Failed { failure: Failure, ending: bool },
    /// What is stored makes no sense.
    Domain(Error),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Domain(error)
    }
}

/// What one attempt came to.
enum Attempt {
    Done(Results),
    /// Somebody else was in the way.
    Again,
}

/// What is known of a group from earlier attempts.
#[derive(Default)]
struct Known {
    logs: BTreeSet<i64>,
    keys: BTreeSet<RowKey>,
}

/// Decides a group and writes what it changes, between the ends of a bracket.
pub(crate) async fn commit_between<E: Executor>(
    executor: &mut E,
    bracket: &Bracket,
    writes: &[Prepared],
) -> Result<Results, Stop> {
    let mut known = Known::default();
    let begun = Instant::now();
    let mut attempt = 0;
    loop {
        match attempt_between(executor, bracket, writes, &mut known).await? {
            Attempt::Done(results) => return Ok(results),
            Attempt::Again => {}
        }
        let undo = vec![plain(bracket.undo)];
        executor.run(undo).await.map_err(before_the_end)?;
        if begun.elapsed() > PATIENCE {
            return Err(Error::busy("others keep writing to the same: try again").into());
        }
        fault::pause(attempt, Duration::from_millis(50)).await;
        attempt += 1;
    }
}

async fn attempt_between<E: Executor>(
    executor: &mut E,
    bracket: &Bracket,
    writes: &[Prepared],
    known: &mut Known,
) -> Result<Attempt, Stop> {
    let mut group = Group::new(writes.to_vec(), Timestamp::now());
    let mut held = Held::default();
    let mut begin = Some(bracket.begin);
    let outcome = loop {
        match group.step() {
            Step::Need(keys) => {
                known.keys.extend(keys.iter().cloned());
                let first = begin.is_some();
                // The first time, all that earlier attempts came to need.
                let keys = if begin.is_some() {
                    known.keys.clone()
                } else {
                    keys
                };
                let mut batch: Vec<_> = begin
                    .take()
                    .into_iter()
                    .flatten()
                    .copied()
                    .map(plain)
                    .collect();
                let locks = held.take(&keys, known, &mut batch);
                let (lookup, statements) =
                    Lookup::new(keys.iter().filter(|key| !is_head(key)).cloned())?;
                let before = batch.len();
                batch.extend(statements);
                let mut found = match executor.run(batch).await {
                    Ok(found) => found,
                    Err(failure) if fault::in_the_way(&failure) => return Ok(Attempt::Again),
                    Err(failure) => return Err(before_the_end(failure)),
                };
                let rows = found.split_off(before);
                if first {
                    bracket.check(&found)?;
                }
                if let Some(place) = locks {
                    held.learn(found.into_iter().nth(place).unwrap_or_default())?;
                }
                for key in &keys {
                    if let RowKey::Head(log) = key {
                        group.supply(key.clone(), held.head(*log).map(Row::Head));
                    }
                }
                lookup.read(rows, |key, row| {
                    if row.is_some() {
                        held.there.insert(key.clone());
                    }
                    group.supply(key, row);
                })?;
            }
            Step::Done(outcome) => break outcome,
        }
    };
    if begin.is_some() {
        // Nothing was asked for: there are no writes.
        return Ok(Attempt::Done(outcome.results));
    }
    let late: BTreeSet<i64> = held.changed_unlocked(&outcome).collect();
    if !late.is_empty() {
        known.logs.extend(late);
        return Ok(Attempt::Again);
    }
    let mut batch = changes(&outcome, &held)?;
    let end = batch.len();
    batch.push(plain(bracket.end));
    match executor.run(batch).await {
        Ok(_) => Ok(Attempt::Done(outcome.results)),
        // What fails before the end is answered before it, and then the end changes nothing.
        Err(failure) if failure.at < end && fault::in_the_way(&failure) => Ok(Attempt::Again),
        Err(failure) => Err(Stop::Failed {
            ending: failure.at == end || failure.code.is_none(),
            failure,
        }),
    }
}

/// Puts rows as they are: for a copy into a store that nobody uses yet.
pub(crate) async fn put<E: Executor>(
    executor: &mut E,
    rows: Vec<(RowKey, Option<Row>)>,
) -> Result<(), Stop> {
    let given: BTreeSet<&RowKey> = rows.iter().map(|(key, _)| key).collect();
    let heads: BTreeSet<RowKey> = given
        .iter()
        .filter_map(|key| match key {
            RowKey::User(user) => Some(RowKey::Head((*user).into())),
            _ => None,
        })
        .collect();
    let keys = given
        .iter()
        .map(|key| (*key).clone())
        .chain(heads.iter().cloned());
    let keys: BTreeSet<RowKey> = keys.collect();
    let (lookup, statements) = Lookup::new(keys)?;
    let mut batch: Vec<_> = TRANSACTION.begin.iter().copied().map(plain).collect();
    let before = batch.len();
    batch.extend(statements);
    let found = executor.run(batch).await.map_err(before_the_end)?;
    let mut there = HashSet::new();
    lookup.read(found.into_iter().skip(before), |key, row| {
        if row.is_some() {
            there.insert(key);
        }
    })?;
    let mut changes = Changes::default();
    for (key, row) in &rows {
        changes.add(key, row.as_ref(), there.contains(key))?;
    }
    for head in heads {
        if !there.contains(&head) && !given.contains(&head) {
            changes.add(&head, Some(&Row::Head(Head::default())), false)?;
        }
    }
    let mut batch = changes.statements()?;
    let end = batch.len();
    batch.push(plain(TRANSACTION.end));
    match executor.run(batch).await {
        Ok(_) => Ok(()),
        Err(failure) => Err(Stop::Failed {
            ending: failure.at == end || failure.code.is_none(),
            failure,
        }),
    }
}

fn before_the_end(failure: Failure) -> Stop {
    Stop::Failed {
        failure,
        ending: false,
    }
}

fn plain(sql: &'static str) -> Statement {
    Statement {
        sql,
        params: Vec::new(),
    }
}

/// Where a log stands is told by the statement that locks it.
fn is_head(key: &RowKey) -> bool {
    matches!(key, RowKey::Head(_))
}

/// What a transaction has locked and found.
#[derive(Default)]
struct Held {
    /// Logs whose lock was asked for; those that do not exist have none.
    logs: BTreeSet<i64>,
    /// The logs that exist.
    heads: HashMap<i64, Head>,
    counters: BTreeSet<RowKey>,
    /// Rows that were found.
    there: HashSet<RowKey>,
    /// Users whose row was read before their log was locked.
    read_unlocked: HashSet<UserId>,
}

impl Held {
    /// The statements that lock what some rows belong to. Returns which of them tells of logs, if any.
    fn take(
        &mut self,
        keys: &BTreeSet<RowKey>,
        known: &mut Known,
        batch: &mut Vec<Statement>,
    ) -> Option<usize> {
        let logs = keys.iter().filter_map(log_of).map(columns::log_to_int);
        known.logs.extend(logs);
        let new: BTreeSet<i64> = known.logs.difference(&self.logs).copied().collect();
        let mut place = None;
        if !new.is_empty() {
            let first = self.logs.is_empty() && self.counters.is_empty();
            place = Some(batch.len());
            batch.push(Statement {
                sql: if first { LOCK } else { LOCK_OR_FAIL },
                params: vec![Param::Ints(new.iter().copied().map(Some).collect())],
            });
            self.logs.extend(new);
        }
        let counters = keys.iter().filter(|key| matches!(key, RowKey::Counter(_)));
        let new: BTreeSet<_> = counters
            .filter(|key| !self.counters.contains(*key))
            .cloned()
            .collect();
        if !new.is_empty() {
            let names = new
                .iter()
                .filter_map(columns::counter_of)
                .map(|name| Some(name.to_owned()));
            batch.push(Statement {
                sql: LOCK_COUNTERS,
                params: vec![Param::Texts(names.collect())],
            });
            self.counters.extend(new);
        }
        for key in keys {
            if let RowKey::User(user) = key
                && !self.logs.contains(&columns::log_to_int((*user).into()))
            {
                self.read_unlocked.insert(*user);
            }
        }
        place
    }

    /// Where the logs stand that were locked.
    fn learn(&mut self, found: Found) -> Result<(), Error> {
        for cells in found {
            let mut cells = Cells::new(cells);
            self.heads.insert(cells.int()?, cells.head()?);
        }
        Ok(())
    }

    fn head(&self, log: LogId) -> Option<Head> {
        self.heads.get(&columns::log_to_int(log)).copied()
    }

    /// The logs of users who are to change, but were read before their log was locked.
    fn changed_unlocked(&self, outcome: &Outcome) -> impl Iterator<Item = i64> {
        let users = outcome
            .changes
            .iter()
            .filter_map(|changed| match &changed.key {
                RowKey::User(user)
                | RowKey::Credential(user)
                | RowKey::Block(user, _)
                | RowKey::Suffix(_, user) => Some(*user),
                RowKey::Login(_) => match &changed.row {
                    Some(Row::Login(login)) => Some(login.user),
                    _ => None,
                },
                _ => None,
            });
        users
            .filter(|user| {
                self.read_unlocked.contains(user) && self.there.contains(&RowKey::User(*user))
            })
            .map(|user| columns::log_to_int(user.into()))
    }
}

/// The log that a row belongs to: whoever reads the row to change it holds the log's lock. Rows about a user are locked by
/// the user's log when that is asked for; a message only looks at them.
fn log_of(key: &RowKey) -> Option<LogId> {
    match key {
        RowKey::Conversation(conversation)
        | RowKey::Member(conversation, _)
        | RowKey::Parted(conversation, _)
        | RowKey::Marks(conversation)
        | RowKey::Reactions(conversation, _, _) => Some((*conversation).into()),
        RowKey::Head(log) | RowKey::Event(log, _) => Some(*log),
        _ => None,
    }
}

/// The statements that write what a group came to.
fn changes(outcome: &Outcome, held: &Held) -> Result<Vec<Statement>, Error> {
    let mut changes = Changes::default();
    // What is new in logs in the order in which it happened: its places are the feed's order. The rest by kind and key.
    let is_appended =
        |changed: &&Changed| changed.is_new && matches!(changed.key, RowKey::Event(..));
    let (appended, mut rest): (Vec<_>, Vec<_>) = outcome.changes.iter().partition(is_appended);
    for changed in appended {
        changes.add(&changed.key, changed.row.as_ref(), false)?;
    }
    rest.sort_unstable_by(|a, b| a.key.cmp(&b.key));
    for Changed { key, row, .. } in &rest {
        let there = match key {
            RowKey::Head(log) => held.head(*log).is_some(),
            key => held.there.contains(key),
        };
        changes.add(key, row.as_ref(), there)?;
        // What a user's log is locked by is there from the user's first moment on.
        if let (RowKey::User(user), false) = (key, there) {
            let head = RowKey::Head((*user).into());
            if rest
                .binary_search_by(|changed| changed.key.cmp(&head))
                .is_err()
            {
                changes.add(&head, Some(&Row::Head(Head::default())), false)?;
            }
        }
    }
    changes.statements()
}
