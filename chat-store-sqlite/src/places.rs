//! Where the entries of a log stand in the table of events: the index by (log, seq).
//!
//! An index with a row for each entry has, for each log that is written to, another page, which goes through the
//! write-ahead log with every commit: of a group of 64 messages in as many conversations that was three pages in four.
//! So the positions of a log's last entries stand beside its head (`chat_head.tail`), whose row every message changes
//! anyway, and are moved into a row of `chat_segment` when there are [`SEGMENT`] of them. All of it is rows of the same
//! transaction as the entries: nothing of it is in memory only, and nothing lags.
//!
//! Entries are numbered without holes, so a position needs no key: that of seq `s` is the one at `(s - 1) % SEGMENT` of the
//! segment `(s - 1) / SEGMENT`. `chat_head.placed` is the last seq that has one.

use std::collections::BTreeMap;

use chat_core::{Head, LogId, Seq};
use rusqlite::{Connection, OptionalExtension, ToSql, params};

use crate::columns::{damaged, int, log_to_int, number};
use crate::fault::Fault;

/// How many entries a row of `chat_segment` knows. The schema's step to version 4 says the same.
const SEGMENT: u64 = 64;

/// Bytes of a position, the highest first: enough for 10^12 entries.
const WIDTH: usize = 5;

/// The open segment of a log.
struct Tail {
    placed: Seq,
    positions: Vec<u8>,
}

impl Tail {
    fn read(db: &Connection, log: i64) -> Result<Option<Self>, Fault> {
        let mut tail = db.prepare_cached("SELECT placed, tail FROM chat_head WHERE log = ?")?;
        let mut rows = tail.query([log])?;
        rows.next()?
            .map(|row| {
                Ok(Self {
                    placed: number(row, 0)?,
                    positions: row.get(1)?,
                })
            })
            .transpose()
    }

    /// Its number: those below it are closed.
    fn segment(&self) -> u64 {
        self.placed / SEGMENT
    }
}

fn segment_of(seq: Seq) -> u64 {
    seq.saturating_sub(1) / SEGMENT
}

/// The position of a seq in its segment.
fn position(positions: &[u8], seq: Seq) -> Result<i64, Fault> {
    let index = usize::try_from(seq.saturating_sub(1) % SEGMENT).unwrap_or(usize::MAX);
    let bytes = positions.chunks_exact(WIDTH).nth(index);
    let bytes = bytes.ok_or_else(damaged)?;
    Ok(bytes
        .iter()
        .fold(0, |position, byte| position << 8 | i64::from(*byte)))
}

/// The position of an entry.
pub(crate) fn of(db: &Connection, log: LogId, seq: Seq) -> Result<Option<i64>, Fault> {
    let all = within(db, log, seq, seq, false, 1)?;
    Ok(all.first().map(|(_, position)| *position))
}

/// The position of a log's last entry up to a seq.
pub(crate) fn last_up_to(db: &Connection, log: LogId, seq: Seq) -> Result<Option<i64>, Fault> {
    let all = within(db, log, 1, seq, true, 1)?;
    Ok(all.first().map(|(_, position)| *position))
}

/// The positions of at most `limit` entries between two seqs, both included.
pub(crate) fn within(
    db: &Connection,
    log: LogId,
    first: Seq,
    last: Seq,
    newest_first: bool,
    limit: usize,
) -> Result<Vec<(Seq, i64)>, Fault> {
    let log = log_to_int(log);
    let Some(tail) = Tail::read(db, log)? else {
        return Ok(Vec::new());
    };
    let (mut first, mut last) = (first.max(1), last.min(tail.placed));
    if first > last || limit == 0 {
        return Ok(Vec::new());
    }
    let limit = limit as Seq - 1;
    if newest_first {
        first = first.max(last.saturating_sub(limit));
    } else {
        last = last.min(first.saturating_add(limit));
    }
    let mut found = Vec::with_capacity(usize::try_from(last - first + 1).unwrap_or(0));
    let mut take = |segment: u64, positions: &[u8]| -> Result<(), Fault> {
        let from = first.max(segment * SEGMENT + 1);
        for seq in from..=last.min((segment + 1) * SEGMENT) {
            found.push((seq, position(positions, seq)?));
        }
        Ok(())
    };
    if segment_of(first) < tail.segment() {
        let mut closed = db.prepare_cached(
            "SELECT segment, places FROM chat_segment
             WHERE log = ? AND segment BETWEEN ? AND ? ORDER BY segment",
        )?;
        let mut rows = closed.query([log, int(segment_of(first)), int(segment_of(last))])?;
        while let Some(row) = rows.next()? {
            let positions = row
                .get_ref(1)?
                .as_blob()
                .map_err(crate::columns::conversion)?;
            take(number(row, 0)?, positions)?;
        }
    }
    if segment_of(last) == tail.segment() {
        take(tail.segment(), &tail.positions)?;
    }
    if found.len() as Seq != last - first + 1 {
        return Err(damaged().into());
    }
    if newest_first {
        found.reverse();
    }
    Ok(found)
}

/// Entries that were inserted and that their logs do not know of yet.
#[derive(Default)]
pub(crate) struct Appended(BTreeMap<i64, Run>);

/// Consecutive entries of a log.
struct Run {
    /// The seq before them.
    after: Seq,
    positions: Vec<u8>,
}

impl Run {
    fn len(&self) -> Seq {
        (self.positions.len() / WIDTH) as Seq
    }
}

impl Appended {
    /// The next entry of a log, at the position that it was just given.
    pub(crate) fn push(&mut self, log: LogId, seq: Seq, position: i64) -> Result<(), Fault> {
        let run = self.0.entry(log_to_int(log)).or_insert_with(|| Run {
            after: seq.saturating_sub(1),
            positions: Vec::with_capacity(WIDTH),
        });
        let bytes = position.to_be_bytes();
        let (above, bytes) = bytes.split_at(bytes.len() - WIDTH);
        if seq != run.after + run.len() + 1 || above.iter().any(|byte| *byte != 0) {
            return Err(damaged().into());
        }
        run.positions.extend_from_slice(bytes);
        Ok(())
    }

    /// Writes a head that is there already together with the places of its log's new entries. `false`, and nothing was
    /// written, when there are none or their segment must be closed.
    pub(crate) fn write_head(
        &mut self,
        db: &Connection,
        log: LogId,
        head: &Head,
    ) -> Result<bool, Fault> {
        let log = log_to_int(log);
        let Some(run) = self.0.get(&log) else {
            return Ok(false);
        };
        if run.after % SEGMENT + run.len() >= SEGMENT {
            return Ok(false);
        }
        let mut both = db.prepare_cached(
            "UPDATE chat_head SET seq = ?, floor = ?, ordinal = ?, message = ?, at = ?,
                 tail = CAST(tail || ? AS BLOB), placed = ?
             WHERE log = ? AND placed = ?",
        )?;
        let changed = both.execute(params![
            int(head.seq),
            int(head.floor),
            int(head.ordinal),
            int(head.message),
            head.at.millis(),
            run.positions,
            int(run.after + run.len()),
            log,
            int(run.after),
        ])?;
        if changed > 0 {
            self.0.remove(&log);
        }
        Ok(changed > 0)
    }

    /// Tells the logs that do not know yet. Their heads are there.
    pub(crate) fn settle(self, db: &Connection) -> Result<(), Fault> {
        self.0
            .into_iter()
            .try_for_each(|(log, run)| append(db, log, run.after, &run.positions))
    }
}

/// Puts positions behind those of a log, whose last one so far is that of `placed`.
fn append(db: &Connection, log: i64, mut placed: Seq, mut positions: &[u8]) -> Result<(), Fault> {
    const EXTEND: &str = "UPDATE chat_head SET tail = CAST(tail || ? AS BLOB), placed = ?
                          WHERE log = ? AND placed = ?";
    const CLOSE: &str = "INSERT INTO chat_segment(log, segment, places)
                         SELECT log, ?, CAST(tail || ? AS BLOB) FROM chat_head WHERE log = ? AND placed = ?";
    const OPEN: &str = "UPDATE chat_head SET tail = x'', placed = ? WHERE log = ? AND placed = ?";
    let change = |sql, params: &[&dyn ToSql]| -> Result<(), Fault> {
        match db.prepare_cached(sql)?.execute(params)? {
            1 => Ok(()),
            // The log is not where it was thought to be: two entries would have the same seq.
            _ => Err(damaged().into()),
        }
    };
    while !positions.is_empty() {
        let room = SEGMENT - placed % SEGMENT;
        let full = usize::try_from(room).unwrap_or(usize::MAX) * WIDTH;
        let Some((closing, rest)) = positions.split_at_checked(full) else {
            let after = placed + (positions.len() / WIDTH) as Seq;
            return change(EXTEND, &[&positions, &int(after), &log, &int(placed)]);
        };
        let segment = int(placed / SEGMENT);
        change(CLOSE, &[&segment, &closing, &log, &int(placed)])?;
        change(OPEN, &[&int(placed + room), &log, &int(placed)])?;
        (placed, positions) = (placed + room, rest);
    }
    Ok(())
}

/// A log that has no head yet: for a copy, whose entries come before it.
pub(crate) fn found(db: &Connection, log: LogId) -> Result<(), Fault> {
    db.prepare_cached(
        "INSERT INTO chat_head(log, seq, floor, ordinal, message, at) VALUES(?, 0, 0, 0, 0, 0)
         ON CONFLICT DO NOTHING",
    )?
    .execute([log_to_int(log)])?;
    Ok(())
}

/// The seq of the entry at a position.
pub(crate) fn seq_at(db: &Connection, position: i64) -> Result<Option<Seq>, Fault> {
    let mut seq = db.prepare_cached("SELECT seq FROM chat_event WHERE position = ?")?;
    let found: Option<i64> = seq.query_row([position], |row| row.get(0)).optional()?;
    Ok(found.map(i64::unsigned_abs))
}
