//! Moving house: all rows out of this store, and all rows of another into it.

use async_trait::async_trait;
use chat_core::rules::{Row, RowKey};
use chat_core::{Archive, Error};

use crate::columns::int;
use crate::executor::{Param, Statement};
use crate::{PostgresStore, commit, rows, tables, view};

#[async_trait]
impl Archive for PostgresStore {
    async fn events(&self, after: u64, limit: usize) -> Result<Vec<(u64, RowKey, Row)>, Error> {
        let view = self.view().await?;
        let params = [after, limit as u64].map(int).map(Param::Int).to_vec();
        let page = view.list(view::EVENTS_BY_PLACE, params, |row| {
            let place = row.number()?;
            let (log, seq) = (row.log()?, row.number()?);
            let event = row.event(log, seq)?;
            Ok((place, RowKey::Event(log, seq), Row::Event(event)))
        });
        let page = page.await;
        view.end();
        page
    }

    /// By table, and in each by its key.
    async fn rest(&self, after: Option<RowKey>, limit: usize) -> Result<Vec<(RowKey, Row)>, Error> {
        let view = self.view().await?;
        let page = async {
            let mut page = Vec::new();
            for (place, Statement { sql, params }) in rows::scans(after.as_ref(), limit)? {
                if page.len() >= limit {
                    break;
                }
                let found = view.list(sql, params, |row| tables::key_and_row(place, row));
                page.extend(found.await?);
            }
            page.truncate(limit);
            Ok(page)
        };
        let page = page.await;
        view.end();
        page
    }

    async fn put(&self, rows: Vec<(RowKey, Option<Row>)>) -> Result<(), Error> {
        let mut lease = self.pool.get().await?;
        commit::put(&mut lease, rows).await?;
        lease.give_back();
        Ok(())
    }
}
