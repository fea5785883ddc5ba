//! `SledStore` on real files: opening, what stays, processes that are killed.

#[cfg(test)]
mod files;
#[cfg(test)]
mod opening;

#[cfg(test)]
mod kill {
    use std::path::Path;
    use std::sync::Arc;

    use chat_core::conformance::{Violation, kill, run};
    use chat_core::{Error, Store};
    use chat_store_sled::SledStore;

    fn open(folder: &Path) -> Result<Arc<dyn Store>, Error> {
        let store = SledStore::open(folder.join("chat"));
        Ok(Arc::new(
            store.map_err(|error| Error::unavailable(error.to_string()))?,
        ))
    }

    #[test]
    #[ignore = "the process that is killed: started by the test below"]
    fn killed() -> Result<(), Violation> {
        run(kill::victim(open)).map(drop)
    }

    #[test]
    fn what_was_acknowledged_outlives_a_killed_process() -> Result<(), Violation> {
        run(kill::survives("kill::killed", open)).map(drop)
    }
}
