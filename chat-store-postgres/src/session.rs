//! One connection to the server.

use std::collections::HashMap;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;

use futures_util::future::join_all;
use tokio::sync::Mutex;
use tokio_postgres::Client;

use crate::executor::{Failure, Found, Statement, found, in_order};

/// What each connection is told first.
/// - A commit is durable before it is acknowledged, whatever the server's default.
/// - Everything is looked up by an index and planned once: a plan made while a table was empty would read all of it when it
///   is not any more.
/// - Nobody waits for a lock, and no other process for this one's, much longer than people wait for a message.
const SETTINGS: &str = "
    SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off';
    SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off; SET jit = off;
    SET plan_cache_mode = force_generic_plan;
    SET lock_timeout = '5s'; SET statement_timeout = '30s'; SET idle_in_transaction_session_timeout = '30s'";

/// A connection with the statements that were prepared on it.
pub(crate) struct Session {
    pub(crate) client: Client,
    prepared: Mutex<HashMap<&'static str, tokio_postgres::Statement>>,
    /// How many batches were sent, each waited for once.
    pub(crate) trips: AtomicUsize,
}

impl Session {
    pub(crate) async fn new(client: Client) -> Result<Self, tokio_postgres::Error> {
        client.batch_execute(SETTINGS).await?;
        Ok(Self {
            client,
            prepared: Mutex::default(),
            trips: AtomicUsize::new(0),
        })
    }

    /// Sends statements, all at once, and waits for all answers.
    pub(crate) async fn run(&self, batch: &[Statement]) -> Result<Vec<Found>, Failure> {
        let statements = self.prepared(batch).await?;
        self.trips.fetch_add(1, Ordering::Relaxed);
        let sent = batch.iter().zip(statements).map(|(statement, prepared)| {
            Box::pin(async move {
                let rows = self.client.query_raw(&prepared, &statement.params).await?;
                let rows: Vec<_> = futures_util::TryStreamExt::try_collect(rows).await?;
                found(&rows)
            })
        });
        in_order(one_by_one(sent).await)
    }

    /// The statements as this connection knows them. What is new to it is prepared before anything is executed.
    async fn prepared(
        &self,
        batch: &[Statement],
    ) -> Result<Vec<tokio_postgres::Statement>, Failure> {
        let mut known = self.prepared.lock().await;
        let mut new: Vec<&'static str> = batch.iter().map(|statement| statement.sql).collect();
        new.retain(|sql| !known.contains_key(sql));
        new.sort_unstable();
        new.dedup();
        let prepare = new.iter().map(|sql| self.client.prepare(sql));
        for (sql, statement) in new.iter().zip(join_all(prepare).await) {
            known.insert(sql, statement.map_err(|error| Failure::new(0, error))?);
        }
        Ok(batch
            .iter()
            .filter_map(|statement| known.get(statement.sql).cloned())
            .collect())
    }
}

/// Sends each in turn, then waits for all. When one cannot be sent at all, those after it are not: the last may be the
/// transaction's end.
pub(crate) async fn one_by_one<F>(
    sent: impl Iterator<Item = Pin<Box<F>>>,
) -> Vec<Result<Found, tokio_postgres::Error>>
where
    F: Future<Output = Result<Found, tokio_postgres::Error>>,
{
    let mut outcomes = Vec::new();
    let mut waiting = Vec::new();
    for mut answer in sent {
        // Polling for the first time is what sends it.
        match poll_fn(|cx| Poll::Ready(answer.as_mut().poll(cx))).await {
            Poll::Ready(Err(error)) => {
                outcomes = join_all(waiting).await;
                outcomes.push(Err(error));
                return outcomes;
            }
            Poll::Ready(Ok(found)) => waiting.push(futures_util::future::Either::Left(
                std::future::ready(Ok(found)),
            )),
            Poll::Pending => waiting.push(futures_util::future::Either::Right(answer)),
        }
    }
    outcomes.extend(join_all(waiting).await);
    outcomes
}
