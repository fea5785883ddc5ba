//! Laws of a [`crate::Store`], asked from outside.

mod archive;
mod atomic;
mod durable;
mod errors;
mod feed;
mod found;
mod keys;
mod lists;
mod order;
mod rights;

pub use super::model::agrees_with_the_model;
pub use super::permission::permissions;
pub use archive::copies_are_the_same;
pub use atomic::{all_or_nothing, refused_alone};
pub use durable::{
    groups_appear_whole, kept_when_reopened, longest_texts_are_kept, nothing_of_a_failed_sync,
    readable_when_acknowledged,
};
pub use errors::{closed_is_closed, dropped_futures_finish, errors_are_typed};
pub use feed::{consumers_go_on_where_they_were, feed_skips_nothing};
pub use found::{one_conversation_of_a_key, one_direct_of_a_pair, one_user_of_a_subject};
pub use keys::{
    key_before_permission, key_covers_creation, key_is_the_authors, key_outlives_reopening,
    key_with_another_body, key_within_a_group, no_key_no_replay, one_key_a_hundred_times,
    refusal_leaves_the_key_free,
};
pub use lists::{
    counts_agree, inbox_is_in_order, mentions_are_counted, reading_is_monotone, users_are_found,
};
pub use order::{gapless, many_writers_leave_no_hole, one_order_however_read};
pub use rights::{
    former_members_see_up_to_their_end, hidden_targets_are_not_told, hiding_clears_for_one,
    late_joiners_see_their_part, strangers_learn_nothing, user_logs_are_private,
    what_was_left_stays_as_it_was,
};
