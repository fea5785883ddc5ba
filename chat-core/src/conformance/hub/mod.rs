//! Laws of live delivery: what devices get, on one node and on several over one store.
//!
//! Those that speak of seconds ([`heals_despite_a_faulty_bus`] and what stands in its file, [`clients_agree_with_the_model`],
//! presence and receipts, [`signals_expire`], [`expired_logins_are_closed`], [`renewed_logins_go_on`]) are not in [`crate::conformance_tests!`]: run them on tokio's paused clock, over a store that has no threads of its own.

mod bounds;
mod heals;
mod logins;
mod order;
mod presence;
mod receipts;
mod removal;
mod resume;
mod rights;
mod signals;

pub use super::model::clients_agree_with_the_model;
pub use bounds::{
    encoded_once, in_flight_is_bounded, oldest_connection_gives_way, resumed_encoded_once,
    slow_readers_are_bounded_in_bytes, slow_readers_pay_alone,
};
pub use heals::{
    heals_a_lost_last_hint, heals_at_once_when_told, heals_despite_a_faulty_bus,
    heals_what_died_unsaid, heals_without_a_bus,
};
pub use logins::{
    draining_finishes, expired_logins_are_closed, renewed_logins_go_on, revoked_logins_are_closed,
};
pub use order::{
    devices_of_a_user_agree, live_order_is_log_order, nodes_agree, outcome_behind_its_event,
    runs_come_at_once, writes_commit_in_the_order_sent,
};
pub use presence::{presence_heals, presence_is_of_all_nodes, presence_is_private};
pub use receipts::{drained_marks_are_kept, marks_are_gathered, receipts_are_told, receipts_heal};
pub use removal::removed_are_told_nothing_on_any_path;
pub use resume::{large_gaps_are_resynced, resume_from_any_cursor, resume_while_writers_go_on};
pub use rights::{
    erased_texts_are_told_nowhere, hidden_targets_are_not_told, joiners_get_all_from_then_on,
    removed_get_nothing_more, strangers_get_nothing,
};
pub use signals::{signals_are_bounded, signals_expire, signals_reach_members_only};
