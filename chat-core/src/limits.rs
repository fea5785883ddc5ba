//! The one table of limits.

use std::time::Duration;

/// Every limit that holds in `chat-core`, for every caller but the host. All can be set by the host.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Limits {
    /// Bytes of a message's text. 8 KiB.
    pub text: usize,
    /// Bytes of opaque data. 8 KiB.
    pub data: usize,
    /// Bytes of a name or title. 256.
    pub name: usize,
    /// Changes in a write. 128.
    pub changes: usize,
    /// Members added by one write. 100.
    pub added: usize,
    /// Users mentioned by a message. 50.
    pub mentions: usize,
    /// Entries of a history, log or inbox page. 100.
    pub page: usize,
    /// Users or messages on a search page. 20.
    pub search_page: usize,
    /// Items waiting for a slow connection. 1,024.
    pub queue_items: usize,
    /// Their bytes. 256 KiB.
    pub queue_bytes: usize,
    /// Writes of one connection in flight. 64.
    pub in_flight: usize,
    /// Logs named in one call to resume; of several calls the model's limit holds, 10,000 conversations. 500.
    pub cursors: usize,
    /// Connections of one user on this node. 20.
    pub connections: usize,
    /// Writes waiting for the store, of all callers. 4,096.
    pub commit_queue: usize,
    /// Writes in one group. 512.
    pub group: usize,
    /// Messages a user may send each second, over time; 0 turns message rates off. 5.
    pub message_rate: f64,
    /// Messages a user may send at once. 20.
    pub message_burst: f64,
    /// Signals (typing and the like) a user may send each second; 0 turns their rate off. 5.
    pub signal_rate: f64,
    /// Searches for messages that a user may ask for each second through the protocol, over time; 0 turns their rate off. One
    /// for users counts a tenth. 0.5.
    pub search_rate: f64,
    /// Searches that a user may ask for at once. 20.
    pub search_burst: f64,
    /// Users whose presence a connection is told. 500.
    pub presence: usize,
    /// How long after the last device went a user counts as online, in case they come back. 10 s.
    pub presence_grace: Duration,
    /// Members of a conversation up to which they are told how far others have read. 100.
    pub receipts_to: usize,
    /// Events between a cursor and its log's head beyond which a resume is answered with a resync. 10,000.
    pub resume_gap: u64,
    /// How long a policy may take before a write fails. 5 s.
    pub policy_timeout: Duration,
    /// How often the heads of open logs are compared with the store. 4 s.
    pub sweep: Duration,
    /// How often live logins are checked against the store. 20 s.
    pub login_check: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            text: 8 << 10,
            data: 8 << 10,
            name: 256,
            changes: 128,
            added: 100,
            mentions: 50,
            page: 100,
            search_page: 20,
            queue_items: 1024,
            queue_bytes: 256 << 10,
            in_flight: 64,
            cursors: 500,
            connections: 20,
            commit_queue: 4096,
            group: 512,
            message_rate: 5.0,
            message_burst: 20.0,
            signal_rate: 5.0,
            search_rate: 0.5,
            search_burst: 20.0,
            presence: 500,
            presence_grace: Duration::from_secs(10),
            receipts_to: 100,
            resume_gap: 10_000,
            policy_timeout: Duration::from_secs(5),
            sweep: Duration::from_secs(4),
            login_check: Duration::from_secs(20),
        }
    }
}

/// Limits of the model itself: the same for every store and caller, the host included.
pub(crate) mod fixed {
    /// Members of a group.
    pub(crate) const MEMBERS: u32 = 100_000;
    /// Conversations a user is a member of.
    pub(crate) const CONVERSATIONS: u64 = 10_000;
    /// Distinct reactions on a message.
    pub(crate) const REACTIONS: usize = 20;
    /// Bytes of a reaction.
    pub(crate) const EMOJI: usize = 64;
    /// Pinned messages of a conversation.
    pub(crate) const PINS: usize = 50;
    /// Unread mentions that are kept for a member.
    pub(crate) const MENTIONS: usize = 100;
    /// Bytes of a provider, subject or conversation key.
    pub(crate) const KEY: usize = 256;
    /// Bytes of a user's name.
    pub(crate) const NAME: usize = 256;
    /// Suffixes of a name that search finds.
    pub(crate) const SUFFIXES: usize = 64;
}
