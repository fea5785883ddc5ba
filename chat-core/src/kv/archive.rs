//! Every row of an engine, and rows of another store put into one.

use async_trait::async_trait;

use super::{Engine, KvStore, codec, group};
use crate::rules::{Row, RowCache, RowKey};
use crate::snapshot::{self, Snapshot};
use crate::{Archive, Error};

#[async_trait]
impl<E: Engine> Archive for KvStore<E> {
    async fn events(&self, after: u64, limit: usize) -> Result<Vec<(u64, RowKey, Row)>, Error> {
        let page = self
            .read(move |view| snapshot::now(view.feed(after, limit)))
            .await?;
        let events = page.into_iter().map(|(position, log, seq, event)| {
            (position, RowKey::Event(log, seq), Row::Event(event))
        });
        Ok(events.collect())
    }

    async fn rest(&self, after: Option<RowKey>, limit: usize) -> Result<Vec<(RowKey, Row)>, Error> {
        self.read(move |view| {
            let mut rows = Vec::new();
            for range in codec::all_but_events(after.as_ref()) {
                rows.extend(view.range(range, false, limit - rows.len())?);
            }
            Ok(rows)
        })
        .await
    }

    async fn put(&self, rows: Vec<(RowKey, Option<Row>)>) -> Result<(), Error> {
        self.run(|shared| {
            shared.change(|engine, cache, position| {
                *cache = RowCache::default();
                Ok((group::adopt(engine, rows, position)?, ()))
            })
        })
        .await
    }
}
