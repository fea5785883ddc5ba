//! Writing: a group of writes in a transaction that somebody else begins and commits.

use chat_core::rules::{Group, Outcome, RowKey, Step};
use chat_core::{Committed, Error, Prepared, Timestamp};
use rusqlite::Transaction;

use crate::fault::Fault;
use crate::rows;

/// Decides a group in a transaction and applies there what it changes. The outcomes hold once the transaction is
/// committed, and only then may anybody be told.
///
/// The transaction must be `IMMEDIATE`: what the rules read must still be so when their changes are written.
pub(crate) fn decide(
    tx: &Transaction<'_>,
    group: Vec<Prepared>,
    now: Timestamp,
) -> Result<Vec<Result<Committed, Error>>, Fault> {
    let mut group = Group::new(group, now);
    let Outcome {
        mut changes,
        results,
    } = loop {
        match group.step() {
            Step::Need(keys) => {
                rows::get_all(tx, keys, |key, row| group.supply(key, row))?;
            }
            Step::Done(outcome) => break outcome,
        }
    };
    // New events in the order in which things happened: their positions are the feed's order.
    let new: Vec<_> = results
        .iter()
        .flatten()
        .flat_map(|committed| &committed.events)
        .filter_map(|event| changes.remove_entry(&RowKey::Event(event.log, event.seq)))
        .collect();
    rows::apply(tx, new.iter().map(|(key, row)| (key, row)))?;
    rows::apply(tx, &changes)?;
    Ok(results)
}
