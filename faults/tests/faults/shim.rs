//! The shim itself: nothing slips past it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use chat_faults::Rng;

use crate::cut::{plan, seed};
use crate::victim::{Faults, Life};

/// All files below a folder and what is in them, but for SQLite's `-shm`, which is a shared map.
fn contents(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut all = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = PathBuf::from(path.file_name().unwrap());
        if path.is_dir() {
            let inner = contents(&path).into_iter();
            all.extend(inner.map(|(path, bytes)| (name.join(path), bytes)));
        } else if !name.to_str().unwrap().ends_with("-shm") {
            all.insert(name, fs::read(&path).unwrap());
        }
    }
    all
}

/// A disk that keeps all that was written, synced or not, keeps exactly what stands in the folder: else something was
/// written on ways that the shim does not know.
#[test]
fn nothing_slips_past_the_shim() {
    let seed = seed();
    let mut rng = Rng::new(seed);
    for (kind, most) in [("sqlite", 3000), ("sled", 400)] {
        let life = Life::new(kind);
        for round in 0..4 {
            let faults = Faults {
                at: 1 + rng.below(most),
                keep: 100,
                ..Faults::default()
            };
            life.run_only(plan(round, &mut rng, 4), &faults, 0);
            let (live, kept) = (
                contents(&life.data()),
                contents(&life.shadow().join("kept")),
            );
            let names = |of: &BTreeMap<PathBuf, Vec<u8>>| of.keys().cloned().collect::<Vec<_>>();
            assert_eq!(
                names(&kept),
                names(&live),
                "CHAT_CUT_SEED={seed} {faults:?}"
            );
            for (name, bytes) in live {
                assert!(
                    kept[&name] == bytes,
                    "{name:?}: CHAT_CUT_SEED={seed} {faults:?}"
                );
            }
            fs::remove_dir_all(life.shadow()).unwrap();
        }
    }
}
