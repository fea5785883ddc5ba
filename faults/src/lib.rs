//! Power cuts, failing syncs and full disks, on purpose. For this workspace's own tests, on Linux.
//!
//! Killing a process proves no durability, since the system keeps what was written. Here a process, the *victim*, works on a
//! store with `shim.c` preloaded, which keeps beside the store's folder what of it is really on disk, and ends the process at
//! a chosen system call. The test then opens what was on disk and compares it with all that the victim was told.
//!
//! - [`Script`]: what the victim writes, known to the test too.
//! - [`Report`]: what the victim tells the test while it lives.
//! - [`open`]: the stores.

mod report;
mod rng;
mod script;

use std::sync::Arc;

use chat_core::Store;
use chat_store_sled::SledStore;
use chat_store_sqlite::{Durability, Options, SqliteStore};
pub use report::{Receipt, Report, Sight, digest};
pub use rng::Rng;
pub use script::{Attempt, Plan, Script, enrolment};

/// The store of a name, `kind:path`.
///
/// # Errors
/// What keeps it from opening, or that there is no such kind.
pub fn open(name: &str) -> Result<Arc<dyn Store>, String> {
    let (kind, path) = name.split_once(':').unwrap_or((name, ""));
    let sqlite = |durability| {
        SqliteStore::open_with(path, Options { durability })
            .map(|store| Arc::new(store) as Arc<dyn Store>)
            .map_err(|error| format!("{error:?}"))
    };
    match kind {
        "sqlite" => sqlite(Durability::Full),
        "sqlite-normal" => sqlite(Durability::LosesRecentOnPowerCut),
        "sled" => SledStore::open(path)
            .map(|store| Arc::new(store) as Arc<dyn Store>)
            .map_err(|error| format!("{error:?}")),
        _ => Err(format!("there is no store of kind {kind:?}")),
    }
}
