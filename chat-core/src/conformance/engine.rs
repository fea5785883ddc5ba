//! What an [`Engine`] has to do, tried on the engine itself: its mistakes are named here in its own words, before the laws
//! of stores trip over them.
//!
//! ```
//! use std::path::Path;
//!
//! use chat_core::Error;
//! use chat_core::conformance::{Violation, engine};
//! use chat_core::kv::Engine;
//!
//! // In a test, with the engine's own way of being opened.
//! fn is_an_engine<E: Engine>(open: fn(&Path) -> Result<E, Error>) -> Result<(), Violation> {
//!     let folder = tempfile::tempdir()?;
//!     engine::agrees_with_a_map(|| open(&folder.path().join("db"))).map(drop)
//! }
//! ```

use std::ops::Range;

use super::{Outcome, Verdict, Violation, ensure, ensure_eq, number};
use crate::Error;
use crate::kv::{Batch, Engine, Memory};

/// Numbers that are the same each time.
struct Numbers(u64);

impl Numbers {
    /// A number below another one (splitmix64).
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) as usize % end
    }

    /// Few bytes, so that keys meet and begin each other; the lowest and the highest are among them. Some are long.
    fn key(&mut self) -> Vec<u8> {
        let length = match self.below(20) {
            0 => 200 + self.below(800),
            _ => 1 + self.below(4),
        };
        let byte = |n| [0, 1, b'a', 0x7f, 0x80, 0xff][n];
        (0..length).map(|_| byte(self.below(6))).collect()
    }

    /// Empty, short, or as long as the engine takes it.
    fn value(&mut self, most: usize) -> Vec<u8> {
        let length = match self.below(12) {
            0 => 0,
            1 => most.min(64 << 10),
            2 => most.min(64 << 10) / 2,
            _ => self.below(60),
        };
        vec![self.below(256) as u8; length]
    }

    fn batch(&mut self, most: usize) -> Batch {
        let mut batch = Batch::new();
        for _ in 0..=self.below(60) {
            let value = (self.below(3) > 0).then(|| self.value(most));
            batch.insert(self.key(), value);
        }
        batch
    }
}

/// Some reads, each of which has to come to the same in both.
fn compare(numbers: &mut Numbers, engine: &impl Engine, map: &Memory) -> Result<(), Violation> {
    for _ in 0..40 {
        let key = numbers.key();
        ensure_eq!(engine.get(&key)?, map.get(&key)?, "the value of {key:02x?}");
    }
    for _ in 0..40 {
        let (mut start, mut end) = (numbers.key(), numbers.key());
        if start == end {
            continue;
        }
        if start > end {
            (start, end) = (end, start);
        }
        let backward = numbers.below(2) == 1;
        let limit = [1, 2, 5, 100, usize::MAX][numbers.below(5)];
        // Ends that are keys, too.
        if limit == 5
            && let Some((key, _)) = map.scan(&start..&end, true, 1)?.pop()
            && key > start
        {
            end = key;
        }
        let range: Range<&[u8]> = &start..&end;
        let found = engine.scan(range.clone(), backward, limit)?;
        let expected = map.scan(range, backward, limit)?;
        let keys = |pairs: &[(Vec<u8>, Vec<u8>)]| -> Vec<Vec<u8>> {
            pairs.iter().map(|(key, _)| key.clone()).collect()
        };
        let what =
            format!("from {start:02x?} to before {end:02x?}, backward {backward}, limit {limit}");
        ensure_eq!(keys(&found), keys(&expected), "keys {what}");
        for ((key, found), (_, expected)) in found.iter().zip(&expected) {
            let (length, expected_length) = (found.len(), expected.len());
            ensure!(
                found == expected,
                "the value of {key:02x?} is another, {length} bytes in place of {expected_length}: {what}"
            );
        }
    }
    Ok(())
}

/// Random batches, applied to the engine and to a map, with the engine opened again after every few: whatever is read, by
/// key or as a range in both directions and of any length, is the same. Keys of up to 1,000 bytes, values of up to 64 KiB
/// or [`Engine::MAX_VALUE`].
///
/// `open` opens the database each time, an empty one at first. The engine is dropped before it is called again. The
/// environment may ask for another beginning: `CHAT_ENGINE_SEED` (0).
///
/// # Errors
/// How it was broken.
pub fn agrees_with_a_map<E: Engine>(mut open: impl FnMut() -> Result<E, Error>) -> Outcome {
    let mut numbers = Numbers(number("CHAT_ENGINE_SEED", 0));
    let mut map = Memory::default();
    for _ in 0..8 {
        let mut engine = open()?;
        compare(&mut numbers, &engine, &map)?;
        for _ in 0..12 {
            let batch = numbers.batch(E::MAX_VALUE);
            map.apply(batch.clone())?;
            engine.apply(batch)?;
            compare(&mut numbers, &engine, &map)?;
        }
    }
    Ok(Verdict::Holds)
}
