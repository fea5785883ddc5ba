//! What the chat's store needs of sqlx: all there is to write for another database library.

use chat_store_postgres::{Executor, Failure, Found, Param, Statement, Value};
use sqlx::postgres::{PgConnection, PgRow};
use sqlx::{Column, Error, Row, TypeInfo};

/// A connection of sqlx that is inside a transaction.
pub struct Tx<'a>(pub &'a mut PgConnection);

impl Executor for Tx<'_> {
    async fn run(&mut self, batch: Vec<Statement>) -> Result<Vec<Found>, Failure> {
        let mut all = Vec::with_capacity(batch.len());
        for (at, Statement { sql, params }) in batch.into_iter().enumerate() {
            let query = params
                .into_iter()
                .fold(sqlx::query(sql), |query, param| match param {
                    Param::Int(value) => query.bind(value),
                    Param::Text(value) => query.bind(value),
                    Param::Ints(values) => query.bind(values),
                    Param::Texts(values) => query.bind(values),
                    Param::Bytes(values) => query.bind(values),
                });
            let rows = query.fetch_all(&mut *self.0).await;
            let found = rows.and_then(|rows| rows.iter().map(values).collect());
            all.push(found.map_err(|error| failure(at, error))?);
        }
        Ok(all)
    }
}

fn values(row: &PgRow) -> Result<Vec<Value>, Error> {
    let columns = row.columns().iter();
    let value = |column: &<sqlx::Postgres as sqlx::Database>::Column| {
        let at = column.ordinal();
        Ok(match column.type_info().name() {
            "INT8" => row
                .try_get::<Option<_>, _>(at)?
                .map_or(Value::Null, Value::Int),
            "TEXT" => row
                .try_get::<Option<_>, _>(at)?
                .map_or(Value::Null, Value::Text),
            _ => row
                .try_get::<Option<_>, _>(at)?
                .map_or(Value::Null, Value::Bytes),
        })
    };
    columns.map(value).collect()
}

fn failure(at: usize, error: Error) -> Failure {
    // Without the server's details, which may show what users wrote.
    match error.as_database_error() {
        Some(said) => Failure {
            at,
            code: said.code().map(Into::into),
            source: said.message().into(),
        },
        None => Failure {
            at,
            code: None,
            source: error.into(),
        },
    }
}
