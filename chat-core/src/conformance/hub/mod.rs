//! Laws of live delivery: what devices get, on one node and on several over one store.
//!
//! Those that speak of seconds ([`heals_despite_a_faulty_bus`] and what stands in its file, [`expired_logins_are_closed`])
//! are not in [`crate::conformance_tests!`]: run them on tokio's paused clock, over a store that has no threads of its own.

mod bounds;
mod heals;
mod logins;
mod order;
mod resume;
mod rights;

pub use bounds::{
    encoded_once, in_flight_is_bounded, oldest_connection_gives_way, resumed_encoded_once,
    slow_readers_are_bounded_in_bytes, slow_readers_pay_alone,
};
pub use heals::{
    heals_a_lost_last_hint, heals_at_once_when_told, heals_despite_a_faulty_bus,
    heals_without_a_bus,
};
pub use logins::{draining_finishes, expired_logins_are_closed, revoked_logins_are_closed};
pub use order::{
    devices_of_a_user_agree, live_order_is_log_order, nodes_agree, outcome_behind_its_event,
    writes_commit_in_the_order_sent,
};
pub use resume::{resume_from_any_cursor, resume_while_writers_go_on};
pub use rights::{
    erased_texts_are_told_nowhere, hidden_targets_are_not_told, joiners_get_all_from_then_on,
    removed_get_nothing_more, strangers_get_nothing,
};
