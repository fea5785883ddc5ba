//! Many rows are read or written by one statement a table: each column is an array, `unnest` makes rows of them.

use std::collections::BTreeMap;

use chat_core::Error;
use chat_core::rules::{Row, RowKey};

use crate::columns::{self, Cells};
use crate::executor::{Found, Param, Statement, Value};
use crate::tables::{self, DRAW, ENTRIES, EVENTS, TABLES, place};

/// Statements that look for rows, and the keys that each looks for.
pub(crate) struct Lookup(Vec<Vec<RowKey>>);

impl Lookup {
    /// The statements for some keys, one a kind.
    pub(crate) fn new(
        keys: impl IntoIterator<Item = RowKey>,
    ) -> Result<(Self, Vec<Statement>), Error> {
        let mut kinds: BTreeMap<usize, Vec<RowKey>> = BTreeMap::new();
        for key in keys {
            kinds.entry(place(&key)?).or_default().push(key);
        }
        let mut statements = Vec::with_capacity(kinds.len());
        for (place, keys) in &kinds {
            let table = tables::table(*place)?;
            let rows = keys.iter().map(columns::key);
            let rows = rows.collect::<Result<Vec<_>, _>>()?;
            statements.push(table.statement(&table.get, table.keys, &rows)?);
        }
        Ok((Self(kinds.into_values().collect()), statements))
    }

    /// Hands over each key with what the statements found.
    pub(crate) fn read(
        self,
        found: impl IntoIterator<Item = Found>,
        mut supply: impl FnMut(RowKey, Option<Row>),
    ) -> Result<(), Error> {
        for (keys, found) in self.0.into_iter().zip(found) {
            let mut rows: Vec<Option<Row>> = vec![None; keys.len()];
            for cells in found {
                let mut cells = Cells::new(cells);
                let at = usize::try_from(cells.number()?)
                    .unwrap_or(0)
                    .wrapping_sub(1);
                let (Some(key), Some(row)) = (keys.get(at), rows.get_mut(at)) else {
                    return Err(columns::damaged());
                };
                *row = Some(cells.row(key)?);
            }
            for (key, row) in keys.into_iter().zip(rows) {
                supply(key, row);
            }
        }
        Ok(())
    }
}

/// Statements that read all rows but entries, in the order of [`place`] and of keys, after a key: with the place of each
/// one's table.
pub(crate) fn scans(
    after: Option<&RowKey>,
    limit: usize,
) -> Result<Vec<(usize, Statement)>, Error> {
    let limit = Param::Int(columns::int(limit as u64));
    let begin = after.map(place).transpose()?;
    let mut scans = Vec::new();
    for (place, table) in TABLES.iter().enumerate().skip(begin.unwrap_or(0)) {
        if place == EVENTS {
            continue;
        }
        let mut statement = match after {
            Some(key) if begin == Some(place) => {
                table.statement(&table.scan_after, table.keys, &[columns::key(key)?])?
            }
            _ => table.statement(&table.scan, 0, &[])?,
        };
        statement.params.push(limit.clone());
        scans.push((place, statement));
    }
    Ok(scans)
}

/// Rows to write, gathered by table.
#[derive(Default)]
pub(crate) struct Changes {
    by_table: BTreeMap<usize, Change>,
}

#[derive(Default)]
struct Change {
    insert: Vec<Vec<Value>>,
    update: Vec<Vec<Value>>,
    delete: Vec<Vec<Value>>,
}

impl Changes {
    /// Puts (`Some`) or takes away (`None`) a row; `there` says whether the table holds it.
    pub(crate) fn add(
        &mut self,
        key: &RowKey,
        row: Option<&Row>,
        there: bool,
    ) -> Result<(), Error> {
        let change = self.by_table.entry(place(key)?).or_default();
        let mut cells = columns::key(key)?;
        match row {
            Some(row) => {
                cells.extend(columns::values(key, row)?);
                let to = if there {
                    &mut change.update
                } else {
                    &mut change.insert
                };
                to.push(cells);
            }
            None => change.delete.push(cells),
        }
        Ok(())
    }

    /// The statements that write all of it.
    pub(crate) fn statements(self) -> Result<Vec<Statement>, Error> {
        let mut statements = Vec::new();
        for (place, change) in self.by_table {
            let table = tables::table(place)?;
            let (keys, all) = (table.keys, table.columns.len());
            // A key with nothing beside it has nothing to update.
            let updates = if all > keys { &change.update[..] } else { &[] };
            if table.name == "chat_event" && !change.insert.is_empty() {
                if change.insert.len() >= ENTRIES {
                    return Err(Error::invalid("a group has too many entries"));
                }
                statements.push(Statement {
                    sql: DRAW,
                    params: Vec::new(),
                });
            }
            for (sql, columns, rows) in [
                (table.delete.as_str(), keys, &change.delete[..]),
                (table.update.as_str(), all, updates),
                (table.insert.as_str(), all, &change.insert[..]),
            ] {
                if !rows.is_empty() {
                    statements.push(table.statement(sql, columns, rows)?);
                }
            }
        }
        Ok(statements)
    }
}
