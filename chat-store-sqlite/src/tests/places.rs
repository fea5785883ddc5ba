//! Where entries stand.

use chat_core::rules::{EventRow, Row, RowKey};
use chat_core::{Actor, ConversationId, EventKind, Head, LogId, Seq, Timestamp, UserId};
use rusqlite::Connection;

use crate::{places, rows, schema};

fn logs() -> [LogId; 3] {
    let id = |id| ConversationId::new(id).unwrap();
    [
        id(1).into(),
        id(2).into(),
        LogId::User(UserId::new(1).unwrap()),
    ]
}

fn database() -> Connection {
    let mut db = Connection::open_in_memory().unwrap();
    schema::migrate(&mut db, 0, &[0; 32]).unwrap();
    db
}

/// So many new entries of logs, in turn, and where their logs stand then, as a group of writes leaves them.
fn group(db: &Connection, heads: &mut [Head; 3], counts: [u64; 3]) {
    let at = Timestamp::from_millis(0);
    let (mut events, mut changed) = (Vec::new(), Vec::new());
    for turn in 0..counts.into_iter().max().unwrap_or(0) {
        for ((log, head), count) in logs().into_iter().zip(&mut *heads).zip(counts) {
            if turn < count {
                head.seq += 1;
                let event = EventRow {
                    at,
                    actor: Actor::Host,
                    kind: EventKind::Left {
                        user: UserId::new(1).unwrap(),
                    },
                    ordinal: 0,
                    message: None,
                };
                events.push((RowKey::Event(log, head.seq), Row::Event(event), true));
            }
        }
    }
    for ((log, head), count) in logs().into_iter().zip(&*heads).zip(counts) {
        if count > 0 {
            let is_new = head.seq == count;
            changed.push((RowKey::Head(log), Row::Head(*head), is_new));
        }
    }
    let all = events.iter().chain(&changed);
    rows::apply(db, all.map(|(key, row, is_new)| (key, Some(row), *is_new))).unwrap();
}

/// What the table of entries itself says.
fn by_hand(db: &Connection, log: LogId, first: Seq, last: Seq) -> Vec<(Seq, i64)> {
    let mut all = db
        .prepare("SELECT seq, position FROM chat_event WHERE log = ? AND seq BETWEEN ? AND ? ORDER BY seq")
        .unwrap();
    let log = crate::columns::log_to_int(log);
    all.query_map((log, first as i64, last as i64), |row| {
        Ok((row.get::<_, i64>(0)? as Seq, row.get(1)?))
    })
    .unwrap()
    .collect::<Result<_, _>>()
    .unwrap()
}

fn agree(db: &Connection) {
    for log in logs() {
        for (first, last) in [
            (0, 0),
            (1, 1),
            (1, 64),
            (64, 65),
            (65, 65),
            (60, 200),
            (1, u64::from(u32::MAX)),
            (128, 129),
        ] {
            let all = by_hand(db, log, first, last);
            for limit in [0, 1, 7, 64, 1_000, usize::MAX] {
                let cut = &all[..all.len().min(limit)];
                let found = places::within(db, log, first, last, false, limit).unwrap();
                assert_eq!(found, cut, "{log:?} from {first} to {last}, {limit}");
                let mut newest: Vec<_> = all.iter().rev().copied().collect();
                newest.truncate(limit);
                let found = places::within(db, log, first, last, true, limit).unwrap();
                assert_eq!(
                    found, newest,
                    "{log:?} from {last} back to {first}, {limit}"
                );
            }
        }
    }
}

/// All that says where entries stand.
fn index(db: &Connection) -> Vec<(i64, i64, Vec<u8>)> {
    let mut all = db
        .prepare(
            "SELECT log, segment, places FROM chat_segment
             UNION ALL SELECT log, -placed, tail FROM chat_head ORDER BY 1, 2",
        )
        .unwrap();
    all.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap()
}

/// Logs whose segments were left open, closed to the entry, and run over by one group.
fn filled() -> Connection {
    let db = database();
    let mut heads = [Head::default(); 3];
    for counts in [
        [1, 0, 0],
        [62, 64, 3],
        [1, 1, 0],
        [1, 0, 200],
        [0, 63, 1],
        [5, 0, 0],
    ] {
        group(&db, &mut heads, counts);
        agree(&db);
    }
    db
}

#[test]
fn entries_are_found_wherever_their_segments_end() {
    filled();
}

#[test]
fn an_entry_whose_log_is_elsewhere_is_refused() {
    let db = database();
    let mut heads = [Head::default(); 3];
    group(&db, &mut heads, [3, 0, 0]);
    // Somebody who believes that the log ends before its last entry, and somebody who believes that it goes on further.
    for seq in [2, 4] {
        let log = logs()[0];
        let mut appended = places::Appended::default();
        appended.push(log, seq + 1, 99).unwrap();
        let head = Head {
            seq: seq + 1,
            ..heads[0]
        };
        assert!(!appended.write_head(&db, log, &head).unwrap());
        appended.settle(&db).unwrap_err();
    }
    agree(&db);
}

#[test]
fn a_database_with_an_index_of_entries_gets_the_places_instead() {
    let mut db = filled();
    let before = index(&db);
    assert!(before.len() > 6, "{before:?}");
    // As version 3 left it: of one log not even the head, as when a copy broke off.
    db.execute_batch(
        "DROP TABLE chat_segment;
         ALTER TABLE chat_head DROP COLUMN tail;
         ALTER TABLE chat_head DROP COLUMN placed;
         CREATE UNIQUE INDEX chat_event_seq ON chat_event(log, seq);
         DELETE FROM chat_head WHERE log = 2;
         ALTER TABLE chat_event DROP COLUMN changed;
         DROP TABLE chat_parted;
         DROP TABLE chat_marks;
         UPDATE chat_meta SET value = 3 WHERE name = 'schema';",
    )
    .unwrap();
    schema::migrate(&mut db, 3, &[0; 32]).unwrap();
    assert_eq!(index(&db), before);
    agree(&db);
    let indexes: i64 = db
        .query_row(
            "SELECT count(*) FROM sqlite_schema WHERE name = 'chat_event_seq'",
            [],
            |row| row.get(0),
        )
        .unwrap();
    assert_eq!(indexes, 0);
}
