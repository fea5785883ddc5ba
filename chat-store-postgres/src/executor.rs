//! What the store needs of a database connection: the port that a host's own library implements.

use std::fmt;
use std::future::Future;

use bytes::BytesMut;
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, to_sql_checked};

use crate::session::one_by_one;

/// A statement with its parameters. `Debug` shows no parameters: they hold what users wrote.
pub struct Statement {
    /// SQL with `$1`, `$2` … for the parameters. One of a few dozen constants: worth keeping prepared.
    pub sql: &'static str,
    /// The parameters in order.
    pub params: Vec<Param>,
}

impl fmt::Debug for Statement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.sql)
    }
}

/// A parameter. `Debug` does not show what it holds.
#[derive(Clone, PartialEq)]
pub enum Param {
    /// `bigint`.
    Int(i64),
    /// `text`.
    Text(String),
    /// `bigint[]`.
    Ints(Vec<Option<i64>>),
    /// `text[]`.
    Texts(Vec<Option<String>>),
    /// `bytea[]`.
    Bytes(Vec<Option<Vec<u8>>>),
}

impl fmt::Debug for Param {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("?")
    }
}

/// A value of a row that was found. `Debug` does not show what it holds.
#[derive(Clone, PartialEq)]
pub enum Value {
    /// Null, of any type.
    Null,
    /// `bigint`.
    Int(i64),
    /// `text`.
    Text(String),
    /// `bytea`.
    Bytes(Vec<u8>),
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("?")
    }
}

/// What a statement found: rows of values.
pub type Found = Vec<Vec<Value>>;

/// Why a batch failed.
#[derive(Debug, thiserror::Error)]
#[error("{}{source}", .code.as_deref().map(|code| format!("{code}: ")).unwrap_or_default())]
pub struct Failure {
    /// Which statement of the batch failed first, from 0.
    pub at: usize,
    /// What the server calls the error (its `SQLSTATE`), if the server said anything.
    pub code: Option<String>,
    /// What the library says. It goes to logs: without the server's `DETAIL`, which may show a row with what users wrote.
    pub source: Box<dyn std::error::Error + Send + Sync>,
}

impl Failure {
    pub(crate) fn new(at: usize, error: tokio_postgres::Error) -> Self {
        Self {
            at,
            code: error.code().map(|code| code.code().to_owned()),
            source: in_short(error),
        }
    }
}

/// What the library says, or the server without its details.
pub(crate) fn in_short(error: tokio_postgres::Error) -> Box<dyn std::error::Error + Send + Sync> {
    match error.as_db_error() {
        Some(said) => said.message().into(),
        None => error.into(),
    }
}

/// A transaction that somebody began: what [`commit_in`](crate::commit_in) works in.
///
/// Implemented for [`tokio_postgres::Transaction`]; a host that uses another library implements it in a few lines, see
/// `examples/sqlx-host`.
pub trait Executor: Send {
    /// Executes statements in order, all in the same transaction. When one fails, those after it need not be tried.
    /// Whoever can sends all of them before it waits for answers: the conversations written to are locked meanwhile.
    fn run(
        &mut self,
        batch: Vec<Statement>,
    ) -> impl Future<Output = Result<Vec<Found>, Failure>> + Send;
}

impl Executor for tokio_postgres::Transaction<'_> {
    async fn run(&mut self, batch: Vec<Statement>) -> Result<Vec<Found>, Failure> {
        let this = &*self;
        let sent = batch.iter().map(|statement| {
            Box::pin(async move {
                let typed = statement.params.iter().map(|param| {
                    let param_dyn: &(dyn ToSql + Sync) = param;
                    (param_dyn, param.kind())
                });
                let typed: Vec<_> = typed.collect();
                let rows = this.query_typed(statement.sql, &typed).await?;
                found(&rows)
            })
        });
        in_order(one_by_one(sent).await)
    }
}

/// The outcomes of a batch, or the first failure.
pub(crate) fn in_order(
    outcomes: Vec<Result<Found, tokio_postgres::Error>>,
) -> Result<Vec<Found>, Failure> {
    let placed = outcomes.into_iter().enumerate();
    placed
        .map(|(at, outcome)| outcome.map_err(|error| Failure::new(at, error)))
        .collect()
}

/// Rows as the library has them, as ours.
pub(crate) fn found(rows: &[tokio_postgres::Row]) -> Result<Found, tokio_postgres::Error> {
    let row = |row: &tokio_postgres::Row| (0..row.len()).map(|at| row.try_get(at)).collect();
    rows.iter().map(row).collect()
}

impl Param {
    /// The parameter's type in SQL.
    fn kind(&self) -> Type {
        match self {
            Self::Int(_) => Type::INT8,
            Self::Text(_) => Type::TEXT,
            Self::Ints(_) => Type::INT8_ARRAY,
            Self::Texts(_) => Type::TEXT_ARRAY,
            Self::Bytes(_) => Type::BYTEA_ARRAY,
        }
    }
}

type Outcome<T> = Result<T, Box<dyn std::error::Error + Sync + Send>>;

impl ToSql for Param {
    fn to_sql(&self, kind: &Type, out: &mut BytesMut) -> Outcome<IsNull> {
        match self {
            Self::Int(value) => value.to_sql(kind, out),
            Self::Text(value) => value.to_sql(kind, out),
            Self::Ints(values) => values.to_sql(kind, out),
            Self::Texts(values) => values.to_sql(kind, out),
            Self::Bytes(values) => values.to_sql(kind, out),
        }
    }

    fn accepts(kind: &Type) -> bool {
        [
            Type::INT8,
            Type::TEXT,
            Type::INT8_ARRAY,
            Type::TEXT_ARRAY,
            Type::BYTEA_ARRAY,
        ]
        .contains(kind)
    }

    to_sql_checked!();
}

impl<'a> FromSql<'a> for Value {
    fn from_sql(kind: &Type, raw: &'a [u8]) -> Outcome<Self> {
        Ok(match *kind {
            Type::INT8 => Self::Int(i64::from_sql(kind, raw)?),
            Type::TEXT => Self::Text(String::from_sql(kind, raw)?),
            _ => Self::Bytes(Vec::from_sql(kind, raw)?),
        })
    }

    fn from_sql_null(_: &Type) -> Outcome<Self> {
        Ok(Self::Null)
    }

    fn accepts(kind: &Type) -> bool {
        // A statement without a result, such as a lock function's, has `void`.
        [Type::INT8, Type::TEXT, Type::BYTEA].contains(kind)
    }
}
