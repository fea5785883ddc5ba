//! The laws of `docs/ARCHITECTURE.md` as plain async functions, and one macro that runs them on any store.
//!
//! A store's crate writes a [`Fixture`] and calls [`crate::conformance_tests!`] with an expression that makes one; each law
//! becomes a test of its own, with a store of its own:
//!
//! ```
//! use std::sync::Arc;
//!
//! use chat_core::conformance::{Fixture, async_trait};
//! use chat_core::{Error, Store, kv::MemoryStore};
//!
//! struct Memory;
//!
//! #[async_trait]
//! impl Fixture for Memory {
//!     async fn open(&self) -> Result<Arc<dyn Store>, Error> {
//!         Ok(Arc::new(MemoryStore::new()))
//!     }
//! }
//!
//! chat_core::conformance_tests!(Memory);
//! ```
//!
//! Laws return what they found instead of panicking, so that each can be shown to fail on a store, bus or chat that breaks
//! it. None depends on timing: where something has to arrive they wait for it, and give up after [`PATIENCE`].
//!
#![doc = include_str!("laws.md")]

pub mod chat;
mod device;
pub mod engine;
pub mod hub;
pub mod kill;
mod model;
mod node;
mod permission;
pub mod search;
mod sound;
pub mod store;
mod world;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

pub use async_trait::async_trait;
pub use sound::sound;

use crate::{Builder, Bus, Chat, Connection, Error, Identity, Item, LocalBus, Store};

/// How long a law waits for what must come before it calls it lost.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// What the laws are tried on. Everything but [`Fixture::open`] has a default; the others are there for stores that keep
/// something, for other buses, and for mutations: faults put in on purpose, to see that a law can fail.
#[async_trait]
pub trait Fixture: Send + Sync {
    /// A new and empty store.
    ///
    /// # Errors
    /// Whatever keeps it from opening.
    async fn open(&self) -> Result<Arc<dyn Store>, Error>;

    /// Closes the store that the latest [`Fixture::open`] or this gave, and opens what it kept. `None` for a store that
    /// keeps nothing: the laws about that are skipped, and say so.
    ///
    /// # Errors
    /// Whatever keeps it from opening.
    async fn reopen(&self, _store: Arc<dyn Store>) -> Result<Option<Arc<dyn Store>>, Error> {
        Ok(None)
    }

    /// From now on no commit of this store becomes durable, until it is reopened: as if every sync failed. `false` when that
    /// cannot be had: the laws about that are skipped, and say so.
    async fn break_syncs(&self, _store: &Arc<dyn Store>) -> bool {
        false
    }

    /// Handles on one new bus, for that many nodes.
    ///
    /// # Errors
    /// Whatever keeps it from connecting.
    async fn buses(&self, nodes: usize) -> Result<Vec<Box<dyn Bus>>, Error> {
        let first = LocalBus::new();
        let mut buses: Vec<Box<dyn Bus>> = Vec::with_capacity(nodes);
        for _ in 1..nodes {
            buses.push(Box::new(first.node()));
        }
        buses.insert(0, Box::new(first));
        Ok(buses)
    }

    /// Builds a chat.
    fn build(&self, builder: Builder) -> Chat {
        builder.build()
    }

    /// Connects a device.
    ///
    /// # Errors
    /// What the chat says.
    async fn connect(&self, chat: &Chat, identity: Identity) -> Result<Connection, Error> {
        chat.connect(identity).await
    }

    /// Waits for what a device gets, and takes it.
    async fn drain(&self, connection: &mut Connection, items: &mut Vec<Item>) {
        connection.drain(items).await;
    }
}

/// What a law came to when nothing broke it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It holds.
    Holds,
    /// It could not be tried here, for this reason.
    Skipped(&'static str),
}

/// How a law was broken, told to whoever writes the store.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Violation(String);

impl Violation {
    pub(crate) fn new(what: impl Into<String>) -> Self {
        Self(what.into())
    }
}

/// The same as `Display`, so that a test that returns it says what happened.
impl std::fmt::Debug for Violation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<Error> for Violation {
    fn from(error: Error) -> Self {
        Self(format!("refused, {:?}: {error}", error.kind()))
    }
}

impl From<tokio::task::JoinError> for Violation {
    fn from(error: tokio::task::JoinError) -> Self {
        Self(format!("a task died: {error}"))
    }
}

/// What every law returns.
pub type Outcome = Result<Verdict, Violation>;

/// Runs a law to its end on several threads, as the tests of [`crate::conformance_tests!`] do.
///
/// # Errors
/// How the law was broken.
pub fn run(law: impl Future<Output = Outcome>) -> Outcome {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(4)
        .enable_all()
        .build()
        .map_err(|error| Violation::new(format!("no runtime: {error}")))?
        .block_on(law)
}

/// A number that the environment may set.
pub(crate) fn number(name: &str, default: u64) -> u64 {
    let value = std::env::var(name).ok();
    value
        .and_then(|value| value.parse().ok())
        .unwrap_or(default)
}

/// Fails a law unless something is so.
macro_rules! ensure {
    ($condition:expr, $($what:tt)+) => {
        if !$condition {
            return Err($crate::conformance::Violation::new(format!($($what)+)));
        }
    };
}

/// Fails a law unless two things are the same.
macro_rules! ensure_eq {
    ($found:expr, $expected:expr, $($what:tt)+) => {
        match (&$found, &$expected) {
            (found, expected) => if found != expected {
                return Err($crate::conformance::Violation::new(format!(
                    "{}: found {found:?}, expected {expected:?}", format_args!($($what)+)
                )));
            },
        }
    };
}

pub(crate) use {ensure, ensure_eq};

/// Makes one test of each law, on what an expression gives: a [`Fixture`], made anew for each test.
#[macro_export]
macro_rules! conformance_tests {
    ($fixture:expr) => {
        $crate::conformance_tests!(@laws store $fixture;
            gapless
            many_writers_leave_no_hole
            one_order_however_read
            readable_when_acknowledged
            groups_appear_whole
            kept_when_reopened
            longest_texts_are_kept
            nothing_of_a_failed_sync
            one_key_a_hundred_times
            key_outlives_reopening
            key_covers_creation
            key_with_another_body
            key_is_the_authors
            key_within_a_group
            key_before_permission
            refusal_leaves_the_key_free
            no_key_no_replay
            all_or_nothing
            refused_alone
            one_direct_of_a_pair
            one_conversation_of_a_key
            one_user_of_a_subject
            strangers_learn_nothing
            former_members_see_up_to_their_end
            what_was_left_stays_as_it_was
            late_joiners_see_their_part
            hiding_clears_for_one
            hidden_targets_are_not_told
            user_logs_are_private
            counts_agree
            mentions_are_counted
            reading_is_monotone
            inbox_is_in_order
            errors_are_typed
            dropped_futures_finish
            feed_skips_nothing
            consumers_go_on_where_they_were
            copies_are_the_same
            users_are_found
            closed_is_closed
            permissions
            agrees_with_the_model
        );
        $crate::conformance_tests!(@laws search $fixture;
            found_after_commit
            found_in_ranges_only
            follows_edits_and_deletions
            index_outlives_reopening
            many_index_at_once
            pages_have_no_holes
            agrees_with_a_scan
        );
        $crate::conformance_tests!(@laws chat $fixture;
            replay_despite_rate_limit
            replay_despite_policy
            key_is_of_what_was_submitted
            slow_policy_keeps_the_order
            limits_hold_for_users_only
            invariants_hold_for_the_host
        );
        $crate::conformance_tests!(@laws hub $fixture;
            live_order_is_log_order
            runs_come_at_once
            large_gaps_are_resynced
            signals_reach_members_only
            signals_are_bounded
            resume_from_any_cursor
            resume_while_writers_go_on
            removed_get_nothing_more
            removed_are_told_nothing_on_any_path
            joiners_get_all_from_then_on
            hidden_targets_are_not_told
            slow_readers_pay_alone
            slow_readers_are_bounded_in_bytes
            encoded_once
            resumed_encoded_once
            outcome_behind_its_event
            writes_commit_in_the_order_sent
            in_flight_is_bounded
            devices_of_a_user_agree
            oldest_connection_gives_way
            strangers_get_nothing
            erased_texts_are_told_nowhere
            revoked_logins_are_closed
            draining_finishes
            nodes_agree
        );
    };
    (@laws $module:ident $fixture:expr; $($law:ident)*) => {
        mod $module {
            #[allow(unused_imports)]
            use super::*;
            $(
                #[test]
                fn $law() -> ::std::result::Result<(), $crate::conformance::Violation> {
                    let fixture = $fixture;
                    let verdict = $crate::conformance::run(
                        $crate::conformance::$module::$law(&fixture)
                    )?;
                    if let $crate::conformance::Verdict::Skipped(why) = verdict {
                        ::std::println!("skipped: {why}");
                    }
                    Ok(())
                }
            )*
        }
    };
}

#[cfg(test)]
mod tests {
    /// Every law that the macro runs stands in the chapter for those who write a store.
    #[test]
    fn every_law_is_explained() {
        let (_, laws) = include_str!("mod.rs")
            .split_once("@laws store $fixture;")
            .unwrap();
        let (laws, _) = laws.split_once("(@laws $module:ident").unwrap();
        let is_law = |line: &&str| {
            let mut chars = line.chars();
            chars.all(|c| c.is_ascii_lowercase() || c == '_') && !line.is_empty()
        };
        let laws: Vec<&str> = laws.lines().map(str::trim).filter(is_law).collect();
        assert!(laws.len() > 60, "{laws:?}");
        let text = include_str!("laws.md");
        for law in laws {
            assert!(text.contains(&format!("`{law}`")), "{law} is not explained");
        }
    }
}
