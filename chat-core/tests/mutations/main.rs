//! Every law can fail: each is tried on something that breaks it, and has to say so, and on something sound, where it has to
//! hold. On tokio's paused clock, so that waiting for what never comes takes no time.
#![cfg(feature = "conformance")]
// Helpers of tests: the lint knows only the test functions themselves.
#![allow(clippy::panic, clippy::print_stdout, clippy::unwrap_used)]

mod costs;
mod delivery;
mod engines;
mod keys;
mod live;
mod reads;
mod search;
mod store;
mod writes;

use std::sync::Arc;

use chat_core::conformance::{Fixture, Outcome, Verdict, async_trait};
use chat_core::kv::MemoryStore;
use chat_core::{Error, Store};

use store::{Fault, Faulty};

/// The sound one. Reopening gives the same store: nothing is lost.
struct Sound;

#[async_trait]
impl Fixture for Sound {
    async fn open(&self) -> Result<Arc<dyn Store>, Error> {
        Ok(Arc::new(Faulty::new(MemoryStore::new(), NoFault)))
    }

    async fn reopen(&self, store: Arc<dyn Store>) -> Result<Option<Arc<dyn Store>>, Error> {
        Ok(Some(store))
    }
}

/// Breaks nothing.
#[derive(Clone)]
struct NoFault;

impl Fault for NoFault {}

/// A store with a fault. Reopening keeps it, and tells the fault.
struct With<F>(F);

#[async_trait]
impl<F: Fault + Clone> Fixture for With<F> {
    async fn open(&self) -> Result<Arc<dyn Store>, Error> {
        Ok(Arc::new(Faulty::new(MemoryStore::new(), self.0.clone())))
    }

    async fn reopen(&self, store: Arc<dyn Store>) -> Result<Option<Arc<dyn Store>>, Error> {
        self.0.reopened();
        Ok(Some(store))
    }

    async fn break_syncs(&self, _store: &Arc<dyn Store>) -> bool {
        self.0.break_syncs()
    }
}

/// A law has to fail, for the reason it was made for: what it says is printed.
fn broken(outcome: Outcome) {
    match outcome {
        Err(violation) => println!("{violation}"),
        Ok(verdict) => panic!("the law did not notice: {verdict:?}"),
    }
}

/// A law has to hold.
fn sound(outcome: Outcome) {
    match outcome {
        Ok(Verdict::Holds) => {}
        Ok(Verdict::Skipped(why)) => println!("skipped: {why}"),
        Err(violation) => panic!("the law fails on what is sound: {violation}"),
    }
}

/// For each law a fixture that breaks it.
#[macro_export]
macro_rules! mutations {
    ($($module:ident::$law:ident: $fixture:expr;)*) => {$(
        #[tokio::test(start_paused = true)]
        async fn $law() {
            use chat_core::conformance::$module;
            $crate::sound($module::$law(&$crate::Sound).await);
            $crate::broken($module::$law(&$fixture).await);
        }
    )*};
}
