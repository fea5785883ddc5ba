//! The laws on the store in memory.
#![cfg(feature = "conformance")]

use std::sync::Arc;

use chat_core::conformance::{Fixture, async_trait};
use chat_core::kv::MemoryStore;
use chat_core::{Error, Store};

struct Memory;

#[async_trait]
impl Fixture for Memory {
    async fn open(&self) -> Result<Arc<dyn Store>, Error> {
        Ok(Arc::new(MemoryStore::new()))
    }
}

chat_core::conformance_tests!(Memory);

/// Laws that speak of seconds, on tokio's paused clock: it moves on only when nothing else can.
mod clock {
    use chat_core::conformance::{Violation, chat, hub};

    use super::Memory;

    macro_rules! on_a_paused_clock {
        ($($module:ident::$law:ident)*) => {$(
            #[tokio::test(start_paused = true)]
            async fn $law() -> Result<(), Violation> {
                $module::$law(&Memory).await.map(drop)
            }
        )*};
    }

    on_a_paused_clock! {
        chat::silent_policy_refuses
        hub::heals_despite_a_faulty_bus
        hub::heals_without_a_bus
        hub::heals_a_lost_last_hint
        hub::heals_at_once_when_told
        hub::heals_what_died_unsaid
        hub::clients_agree_with_the_model
        hub::signals_expire
        hub::marks_are_gathered
        hub::receipts_are_told
        hub::receipts_heal
        hub::drained_marks_are_kept
        hub::presence_is_of_all_nodes
        hub::presence_is_private
        hub::presence_heals
        hub::renewed_logins_go_on
        hub::expired_logins_are_closed
    }
}
