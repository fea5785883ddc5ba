//! The laws on an engine that blocks, takes only short values, keeps what it got and fails when told to.

use super::*;
use crate::conformance::Fixture;

/// The disk of the store that was opened last.
#[derive(Default)]
struct Kept(Mutex<Arc<Mutex<Disk>>>);

impl Kept {
    fn disk(&self) -> Arc<Mutex<Disk>> {
        Arc::clone(&self.0.lock().unwrap())
    }
}

#[async_trait]
impl Fixture for Kept {
    async fn open(&self) -> Result<Arc<dyn Store>, Error> {
        let disk = disk(&[]);
        *self.0.lock().unwrap() = Arc::clone(&disk);
        Ok(Arc::new(Probe::<64>::open(&disk)))
    }

    async fn reopen(&self, store: Arc<dyn Store>) -> Result<Option<Arc<dyn Store>>, Error> {
        store.close().await?;
        let disk = self.disk();
        disk.lock().unwrap().fates.clear();
        Ok(Some(Arc::new(Probe::<64>::open(&disk))))
    }

    async fn break_syncs(&self, _store: &Arc<dyn Store>) -> bool {
        self.disk().lock().unwrap().fates = VecDeque::from([Fate::Lost; 1000]);
        true
    }
}

crate::conformance_tests!(Kept::default());
