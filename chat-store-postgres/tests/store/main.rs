//! What `PostgresStore` promises beside the laws.
#![cfg(test)]

mod crash;
mod host;
mod opening;
mod plan;
mod proxy;
mod search;

use std::sync::LazyLock;

use chat_testkit::Postgres;

/// One server for all tests of this process that leave it running.
static SERVER: LazyLock<Postgres> = LazyLock::new(|| Postgres::start().expect("a server"));

/// A URL for tables of one's own.
fn url() -> String {
    SERVER.schema().expect("a schema")
}
