//! Where each kind of row lives: the one mapping from [`RowKey`] to SQL.

use std::sync::LazyLock;

use chat_core::Error;
use chat_core::rules::{Row, RowKey};

use crate::columns::{self, Cells};
use crate::executor::{Param, Statement, Value};

/// A column's type.
#[derive(Clone, Copy)]
pub(crate) enum Kind {
    Int,
    Text,
    Bytes,
}
use Kind::{Bytes, Int, Text};

impl Kind {
    fn sql(self) -> &'static str {
        match self {
            Int => "bigint",
            Text => "text",
            Bytes => "bytea",
        }
    }

    /// An array of a column's values.
    fn param(self, cells: impl Iterator<Item = Value>) -> Result<Param, Error> {
        /// A column from values that are null or of one kind.
        macro_rules! array {
            ($array:ident, $value:ident) => {
                cells
                    .map(|cell| match cell {
                        Value::Null => Ok(None),
                        Value::$value(value) => Ok(Some(value)),
                        _ => Err(columns::unknown()),
                    })
                    .collect::<Result<_, _>>()
                    .map(Param::$array)
            };
        }
        match self {
            Int => array!(Ints, Int),
            Text => array!(Texts, Text),
            Bytes => array!(Bytes, Bytes),
        }
    }
}

/// A kind of row, and its statements.
pub(crate) struct Table {
    pub(crate) name: &'static str,
    /// Key columns, then value columns.
    pub(crate) columns: Vec<(&'static str, Kind)>,
    pub(crate) keys: usize,
    pub(crate) get: String,
    pub(crate) insert: String,
    pub(crate) update: String,
    pub(crate) delete: String,
    pub(crate) scan: String,
    pub(crate) scan_after: String,
}

/// How many new entries a group may have: so many places does one number of the sequence stand for.
pub(crate) const ENTRIES: usize = 1 << 20;

/// Draws the number that a group's new entries have their places from. All their logs are locked, so the numbers of a log's
/// entries ascend. The transaction has its own number before it draws: see [`crate::feed`].
pub(crate) const DRAW: &str = "SELECT set_config('chat.place', nextval('chat_place')::text, true) \
    FROM (SELECT pg_current_xact_id()::text AS own OFFSET 0) x WHERE own <> ''";

/// What an insert does about a row that is there already.
enum Clash {
    /// It fails: somebody else made it meanwhile, and what was decided without it is decided anew.
    Fails,
    /// Puts without looking first: the rules write these rows blindly, under their user's lock.
    Overwrites,
}

impl Table {
    fn new(
        name: &'static str,
        keys: &[(&'static str, Kind)],
        values: &[(&'static str, Kind)],
        clash: &Clash,
    ) -> Self {
        let columns: Vec<_> = keys.iter().chain(values).copied().collect();
        let join = |columns: &[(&str, Kind)], between: &str, form: &dyn Fn(&str) -> String| {
            let forms: Vec<_> = columns.iter().map(|(column, _)| form(column)).collect();
            forms.join(between)
        };
        let plain = |column: &str| column.to_owned();
        // The rows of `count` columns as the table `k`, numbered `n` in the order given.
        let rows = |columns: &[(&str, Kind)]| {
            let arrays: Vec<_> = (1..)
                .zip(columns)
                .map(|(place, (_, kind))| format!("${place}::{}[]", kind.sql()))
                .collect();
            let arrays = arrays.join(", ");
            let names = join(columns, ", ", &plain);
            format!("unnest({arrays}) WITH ORDINALITY AS k({names}, n)")
        };
        let same = join(keys, " AND ", &|key| format!("t.{key} = k.{key}"));
        let all = join(&columns, ", ", &plain);
        // What stands in a table without being a row of the rules: counters and logs before their first number, the version.
        let held = match name {
            "chat_meta" => "bytes IS NOT NULL",
            "chat_counter" => "last > 0",
            "chat_head" => "seq > 0",
            _ => "true",
        };
        let then = match clash {
            Clash::Fails => String::new(),
            Clash::Overwrites if values.is_empty() => " ON CONFLICT DO NOTHING".to_owned(),
            Clash::Overwrites => format!(
                " ON CONFLICT({}) DO UPDATE SET {}",
                join(keys, ", ", &plain),
                join(values, ", ", &|value| format!("{value} = excluded.{value}"))
            ),
        };
        Self {
            // A subquery by row, so that it is looked up by its key however few rows the planner believes there are.
            get: format!(
                "SELECT k.n{} FROM {}, LATERAL (SELECT * FROM {name} t WHERE {same} OFFSET 0) t",
                values
                    .iter()
                    .map(|(value, _)| format!(", t.{value}"))
                    .collect::<String>(),
                rows(keys),
            ),
            insert: format!(
                "INSERT INTO {name}({all}) SELECT {all} FROM {}{then}",
                rows(&columns)
            ),
            update: format!(
                "UPDATE {name} t SET {} FROM {} WHERE {same}",
                join(values, ", ", &|value| format!("{value} = k.{value}")),
                rows(&columns)
            ),
            scan: format!(
                "SELECT {all} FROM {name} WHERE {held} ORDER BY {} LIMIT $1",
                join(keys, ", ", &plain)
            ),
            scan_after: {
                let after: Vec<_> = (1..)
                    .zip(keys)
                    .map(|(place, (_, kind))| format!("(${place}::{}[])[1]", kind.sql()))
                    .collect();
                let keys_in_order = join(keys, ", ", &plain);
                format!(
                    "SELECT {all} FROM {name} WHERE {held} AND ({keys_in_order}) > ({}) ORDER BY {keys_in_order} LIMIT ${}",
                    after.join(", "),
                    keys.len() + 1
                )
            },
            delete: format!("DELETE FROM {name} t USING {} WHERE {same}", rows(keys)),
            name,
            keys: keys.len(),
            columns,
        }
    }

    /// New entries get their places in the feed: see [`DRAW`].
    fn with_places(mut self) -> Self {
        self.insert = self
            .insert
            .replacen("(log, seq,", "(place, log, seq,", 1)
            .replacen(
                "SELECT log,",
                "SELECT current_setting('chat.place')::bigint << 20 | k.n, log,",
                1,
            );
        self
    }

    /// One of its statements, with so many columns of some rows.
    pub(crate) fn statement(
        &self,
        sql: &'static str,
        columns: usize,
        rows: &[Vec<Value>],
    ) -> Result<Statement, Error> {
        let column = |(place, (_, kind)): (usize, &(&str, Kind))| {
            let cells = rows.iter().map(|row| row.get(place).cloned());
            kind.param(cells.map(|cell| cell.unwrap_or(Value::Null)))
        };
        let params = self.columns.iter().take(columns).enumerate().map(column);
        Ok(Statement {
            sql,
            params: params.collect::<Result<_, _>>()?,
        })
    }
}

/// The tables, by [`place`].
pub(crate) static TABLES: LazyLock<[Table; 18]> = LazyLock::new(|| {
    use Clash::{Fails, Overwrites};
    let table = Table::new;
    [
        table("chat_meta", &[("name", Text)], &[("bytes", Bytes)], &Fails),
        table("chat_counter", &[("name", Text)], &[("last", Int)], &Fails),
        table(
            "chat_subject",
            &[("provider", Text), ("subject", Text)],
            &[("user_id", Int)],
            &Fails,
        ),
        table("chat_user", &[("user_id", Int)], &[("body", Text)], &Fails),
        table(
            "chat_suffix",
            &[("suffix", Text), ("user_id", Int)],
            &[],
            &Overwrites,
        ),
        table(
            "chat_credential",
            &[("user_id", Int)],
            &[("hash", Text)],
            &Overwrites,
        ),
        table("chat_login", &[("login", Int)], &[("body", Text)], &Fails),
        table(
            "chat_block",
            &[("by_id", Int), ("user_id", Int)],
            &[],
            &Overwrites,
        ),
        table(
            "chat_direct",
            &[("a", Int), ("b", Int)],
            &[("conversation", Int)],
            &Fails,
        ),
        table(
            "chat_named",
            &[("name", Text)],
            &[("conversation", Int)],
            &Fails,
        ),
        table(
            "chat_conversation",
            &[("conversation", Int)],
            &[("body", Text)],
            &Fails,
        ),
        table(
            "chat_member",
            &[("conversation", Int), ("user_id", Int)],
            &[
                ("role", Int),
                ("ranges", Text),
                ("read", Int),
                ("read_ordinal", Int),
                ("delivered", Int),
                ("hidden", Int),
                ("muted_until", Int),
                ("archived", Int),
                ("mentions", Text),
            ],
            &Fails,
        ),
        table(
            "chat_head",
            &[("log", Int)],
            &[
                ("seq", Int),
                ("floor", Int),
                ("ordinal", Int),
                ("message", Int),
                ("at", Int),
            ],
            &Fails,
        ),
        table(
            "chat_event",
            &[("log", Int), ("seq", Int)],
            &[
                ("at", Int),
                ("actor", Int),
                ("ordinal", Int),
                ("kind", Text),
                ("revision", Int),
                ("text", Text),
                ("data", Text),
                ("edited_at", Int),
                ("reply_to", Int),
                ("mentions", Text),
                ("reactions", Text),
                ("changed", Int),
            ],
            &Fails,
        )
        .with_places(),
        table(
            "chat_reaction",
            &[("conversation", Int), ("message", Int), ("user_id", Int)],
            &[("body", Text)],
            &Fails,
        ),
        table(
            "chat_parted",
            &[("conversation", Int), ("user_id", Int)],
            &[("body", Text)],
            &Overwrites,
        ),
        table(
            "chat_marks",
            &[("conversation", Int)],
            &[("count", Int)],
            &Fails,
        ),
        // Last, since it is the row that two processes race for most.
        table(
            "chat_done",
            &[("key", Bytes), ("author", Int)],
            &[
                ("digest", Bytes),
                ("at", Int),
                ("conversation", Int),
                ("user_id", Int),
                ("login", Int),
                ("first", Int),
                ("count", Int),
            ],
            &Fails,
        ),
    ]
});

/// The place of the table of entries.
pub(crate) const EVENTS: usize = 13;

/// The place of a row's table. All transactions write tables in this order, and rows of a table in key order, so that two
/// that make the same rows wait for one another in one direction only.
pub(crate) fn place(key: &RowKey) -> Result<usize, Error> {
    Ok(match key {
        RowKey::Secret() | RowKey::Moving() => 0,
        RowKey::Counter(..) => 1,
        RowKey::Subject(..) => 2,
        RowKey::User(..) => 3,
        RowKey::Suffix(..) => 4,
        RowKey::Credential(..) => 5,
        RowKey::Login(..) => 6,
        RowKey::Block(..) => 7,
        RowKey::Direct(..) => 8,
        RowKey::Named(..) => 9,
        RowKey::Conversation(..) => 10,
        RowKey::Member(..) => 11,
        RowKey::Head(..) => 12,
        RowKey::Event(..) => 13,
        RowKey::Reactions(..) => 14,
        RowKey::Parted(..) => 15,
        RowKey::Marks(..) => 16,
        RowKey::Done(..) => 17,
        _ => return Err(columns::unknown()),
    })
}

/// The table at a place.
pub(crate) fn table(place: usize) -> Result<&'static Table, Error> {
    TABLES.get(place).ok_or_else(columns::unknown)
}

/// The key and row of all columns of a table.
pub(crate) fn key_and_row(place: usize, cells: &mut Cells) -> Result<(RowKey, Row), Error> {
    let key = match place {
        0 => match cells.text()?.as_str() {
            "secret" => RowKey::Secret(),
            "moving" => RowKey::Moving(),
            _ => return Err(columns::unknown()),
        },
        1 => RowKey::Counter(columns::counter(&cells.text()?).ok_or_else(columns::unknown)?),
        2 => RowKey::Subject(cells.text()?, cells.text()?),
        3 => RowKey::User(cells.user()?),
        4 => RowKey::Suffix(cells.text()?, cells.user()?),
        5 => RowKey::Credential(cells.user()?),
        6 => RowKey::Login(cells.login()?),
        7 => RowKey::Block(cells.user()?, cells.user()?),
        8 => RowKey::Direct(cells.user()?, cells.user()?),
        9 => RowKey::Named(cells.text()?),
        10 => RowKey::Conversation(cells.conversation()?),
        11 => RowKey::Member(cells.conversation()?, cells.user()?),
        12 => RowKey::Head(cells.log()?),
        14 => RowKey::Reactions(cells.conversation()?, cells.number()?, cells.user()?),
        15 => RowKey::Parted(cells.conversation()?, cells.user()?),
        16 => RowKey::Marks(cells.conversation()?),
        17 => RowKey::Done(cells.key()?, cells.actor()?),
        _ => return Err(columns::unknown()),
    };
    let row = cells.row(&key)?;
    Ok((key, row))
}
