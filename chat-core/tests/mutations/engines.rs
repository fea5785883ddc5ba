//! What goes wrong in engines below a `KvStore`.

use std::ops::Range;
use std::sync::{Arc, Mutex};

use chat_core::conformance::{Fixture, Outcome, async_trait, engine, store as laws};
use chat_core::kv::{Batch, Engine, KvStore, Memory, Pairs};
use chat_core::{Error, Store};

use crate::{broken, sound};

/// A map with a mistake.
struct Wrong {
    map: Arc<Mutex<Memory>>,
    mistake: Option<Mistake>,
}

#[derive(Clone, Copy, PartialEq)]
enum Mistake {
    /// Ranges are always read from their low end.
    OnlyForward,
    /// A range's end belongs to it.
    EndIncluded,
    /// A range's start does not belong to it.
    StartExcluded,
    /// A page is one short.
    Short,
    /// Keys that are taken away stay.
    NeverTaken,
    /// A value without bytes is none.
    NoEmptyValues,
    /// Values are cut at 4 KiB.
    Cut,
    /// Only a part of a batch is applied, its first half.
    Half,
}

impl Engine for Wrong {
    const BLOCKING: bool = false;

    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        self.map.lock().unwrap().get(key)
    }

    fn scan(&self, range: Range<&[u8]>, backward: bool, limit: usize) -> Result<Pairs, Error> {
        let mut end = range.end.to_vec();
        let mut start = range.start.to_vec();
        match self.mistake {
            Some(Mistake::EndIncluded) => end.push(0),
            Some(Mistake::StartExcluded) => start.push(0),
            _ => {}
        }
        let backward = backward && self.mistake != Some(Mistake::OnlyForward);
        let mut pairs = self
            .map
            .lock()
            .unwrap()
            .scan(&start..&end, backward, limit)?;
        if self.mistake == Some(Mistake::Short) && pairs.len() > 1 {
            pairs.pop();
        }
        Ok(pairs)
    }

    fn apply(&mut self, mut batch: Batch) -> Result<(), Error> {
        match self.mistake {
            Some(Mistake::NeverTaken) => batch.retain(|_, value| value.is_some()),
            Some(Mistake::NoEmptyValues) => batch.retain(|_, value| value != &Some(Vec::new())),
            Some(Mistake::Cut) => {
                for value in batch.values_mut().flatten() {
                    value.truncate(4 << 10);
                }
            }
            Some(Mistake::Half) if batch.len() > 4 => {
                let half = batch.keys().nth(batch.len() / 2).cloned();
                drop(batch.split_off(&half.unwrap()));
            }
            _ => {}
        }
        self.map.lock().unwrap().apply(batch)
    }
}

#[async_trait]
impl Fixture for Mistake {
    async fn open(&self) -> Result<Arc<dyn Store>, Error> {
        let map = Arc::default();
        let mistake = Some(*self);
        Ok(Arc::new(KvStore::open(Wrong { map, mistake })?))
    }
}

/// The engine finds its own mistakes when it is asked itself.
#[test]
fn every_mistake_is_named() {
    use Mistake::*;
    for mistake in [
        OnlyForward,
        EndIncluded,
        StartExcluded,
        Short,
        NeverTaken,
        NoEmptyValues,
        Cut,
        Half,
    ] {
        broken(tried(Some(mistake)));
    }
    sound(tried(None));
}

fn tried(mistake: Option<Mistake>) -> Outcome {
    let kept = Arc::new(Mutex::new(Memory::default()));
    engine::agrees_with_a_map(|| {
        let map = kept.clone();
        Ok(Wrong { map, mistake })
    })
}

/// And the laws of stores find those that matter there.
macro_rules! found {
    ($($name:ident: $mistake:ident, $law:ident;)*) => {$(
        #[tokio::test(start_paused = true)]
        async fn $name() {
            broken(laws::$law(&Mistake::$mistake).await);
        }
    )*};
}

found! {
    read_from_the_wrong_end: OnlyForward, one_order_however_read;
    start_left_out: StartExcluded, gapless;
    a_page_one_short: Short, groups_appear_whole;
    taken_away_but_there: NeverTaken, users_are_found;
    empty_values_lost: NoEmptyValues, inbox_is_in_order;
    long_values_cut: Cut, longest_texts_are_kept;
    half_a_batch: Half, groups_appear_whole;
}
