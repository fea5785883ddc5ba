//! The laws of chat-core on `PostgresStore`: on one, and on two over the same database, as two processes have them.
#![cfg(test)]

mod by_turns;

use std::sync::{Arc, LazyLock, Mutex};

use chat_core::conformance::{Fixture, async_trait};
use chat_core::{Error, Store};
use chat_store_postgres::PostgresStore;
use chat_testkit::Postgres;

use by_turns::ByTurns;

/// One server for all tests of this process.
static SERVER: LazyLock<Postgres> = LazyLock::new(|| Postgres::start().expect("a server"));

/// Stores in a database each.
#[derive(Default)]
struct Databases {
    latest: Mutex<String>,
    /// How many handles write and read by turns, each with connections of its own, as processes have them.
    handles: usize,
}

impl Databases {
    fn of(handles: usize) -> Self {
        Self {
            latest: Mutex::default(),
            handles,
        }
    }

    async fn store(&self) -> Result<Arc<dyn Store>, Error> {
        let url = self.latest.lock().expect("no panic").clone();
        let open = (0..self.handles).map(|_| PostgresStore::open(&url));
        let opened = futures_util::future::try_join_all(open).await;
        let mut stores = opened.map_err(|error| Error::unavailable(error.to_string()))?;
        Ok(match stores.pop() {
            Some(only) if stores.is_empty() => Arc::new(only),
            last => {
                stores.extend(last);
                Arc::new(ByTurns::new(stores))
            }
        })
    }
}

#[async_trait]
impl Fixture for Databases {
    async fn open(&self) -> Result<Arc<dyn Store>, Error> {
        let url = tokio::task::spawn_blocking(|| SERVER.schema()).await;
        *self.latest.lock().expect("no panic") = url.expect("no panic").expect("a schema");
        self.store().await
    }

    async fn reopen(&self, store: Arc<dyn Store>) -> Result<Option<Arc<dyn Store>>, Error> {
        store.close().await?;
        self.store().await.map(Some)
    }
}

// A commit that cannot be made durable does not return from PostgreSQL, or ends the whole server: `break_syncs` cannot be
// had. `tests/store/crash.rs` ends servers instead.
chat_core::conformance_tests!(Databases::of(1));

mod of_two_processes {
    use super::Databases;

    chat_core::conformance_tests!(Databases::of(2));
}
