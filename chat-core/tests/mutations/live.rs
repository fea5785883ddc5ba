//! What is not in logs broken: signals, receipts, presence.

use std::sync::{Arc, Mutex};

use chat_core::conformance::{Fixture, async_trait};
use chat_core::rules::Row;
use chat_core::{Change, Connection, Error, Item, Prepared, Store};

use crate::delivery::{HOUR, Limited, NoEnd, memory};
use crate::store::{Fault, Results};
use crate::{With, mutations};

mutations! {
    hub::signals_reach_members_only: With(NoEnd);
    hub::signals_are_bounded: Limited(|limits| limits.signal_rate = 0.0);
    hub::signals_expire: Again::default();
    hub::marks_are_gathered: With(MarksLost);
    hub::drained_marks_are_kept: With(MarksLost);
    hub::receipts_are_told: Limited(|limits| limits.receipts_to = 100);
    hub::presence_is_of_all_nodes: Limited(|limits| limits.presence_grace = limits.sweep / 8);
    hub::presence_is_private: With(NoBlocks);
    hub::presence_heals: Limited(|limits| limits.sweep = HOUR);
}

/// Whoever got a signal gets it again with whatever comes next.
#[derive(Default)]
struct Again(Mutex<Vec<Item>>);

#[async_trait]
impl Fixture for Again {
    async fn open(&self) -> Result<Arc<dyn Store>, Error> {
        memory()
    }
    async fn drain(&self, connection: &mut Connection, items: &mut Vec<Item>) {
        let before = items.len();
        connection.drain(items).await;
        let mut known = self.0.lock().unwrap();
        let is_signal = |item: &&Item| matches!(item, Item::Signal(_));
        let new: Vec<Item> = items[before..].iter().filter(is_signal).cloned().collect();
        items.append(&mut known);
        *known = new;
    }
}

/// Marks are taken for written, and forgotten.
#[derive(Clone)]
struct MarksLost;

#[async_trait]
impl Fault for MarksLost {
    async fn commit(&self, store: &dyn Store, mut group: Vec<Prepared>) -> Results {
        for prepared in &mut group {
            for change in &mut prepared.write.changes {
                if matches!(change, Change::Read { .. } | Change::Deliver { .. }) {
                    *change = Change::Read { seq: 1 };
                }
            }
        }
        store.commit(group).await
    }
}

/// No block can be seen.
#[derive(Clone)]
struct NoBlocks;

impl Fault for NoBlocks {
    fn rows(&self, rows: &mut Vec<Option<Row>>) {
        for row in rows {
            if matches!(row, Some(Row::Block(()))) {
                *row = None;
            }
        }
    }
}
