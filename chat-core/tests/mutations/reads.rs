//! Laws 5, 7, 11, 12 broken on the way out.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use chat_core::conformance::async_trait;
use chat_core::conformance::store as laws;
use chat_core::rules::{Row, RowKey};
use chat_core::{
    Change, Error, EventKind, FeedEntry, InboxEntry, LogId, LogPage, Message, Prepared, Seq, Span,
    Store, User, UserId, Viewer,
};

use crate::store::{Fault, Results};
use crate::{With, broken, mutations, sound};

mutations! {
    store::one_order_however_read: With(Swapped);
    store::strangers_learn_nothing: With(SeesAll::Everywhere);
    store::former_members_see_up_to_their_end: With(SeesAll::InHistories);
    store::what_was_left_stays_as_it_was: With(GoesOn::default());
    store::late_joiners_see_their_part: With(SeesAll::InLogs);
    store::hidden_targets_are_not_told: With(SeesAll::InLogs);
    store::user_logs_are_private: With(OthersLogs);
    store::counts_agree: With(Miscounted);
    store::mentions_are_counted: With(OldMentions);
    store::reading_is_monotone: With(LastAsked::default());
    store::inbox_is_in_order: With(Swapped);
    store::errors_are_typed: With(Untyped);
    store::closed_is_closed: With(NeverClosed);
    store::feed_skips_nothing: With(Skipping);
    store::consumers_go_on_where_they_were: With(Late::default());
    store::users_are_found: With(FoundTwice);
    store::copies_are_the_same: With(ForgetsKeys);
}

/// Two neighbours change places: in histories read backward, in lists.
#[derive(Clone)]
struct Swapped;

impl Fault for Swapped {
    fn history(&self, span: Span, messages: &mut Vec<Message>) {
        if messages.len() > 1 && !matches!(span, Span::After(_)) {
            messages.swap(0, 1);
        }
    }
    fn inbox(&self, entries: &mut Vec<InboxEntry>) {
        if entries.len() > 1 {
            entries.swap(0, 1);
        }
    }
}

/// Ranges are ignored.
#[derive(Clone, PartialEq)]
enum SeesAll {
    Everywhere,
    InLogs,
    InHistories,
}

impl Fault for SeesAll {
    fn log_viewer(&self, viewer: Viewer, log: LogId) -> Viewer {
        if *self != Self::InHistories && matches!(log, LogId::Conversation(_)) {
            Viewer::All
        } else {
            viewer
        }
    }
    fn history_viewer(&self, viewer: Viewer) -> Viewer {
        if *self == Self::InLogs {
            viewer
        } else {
            Viewer::All
        }
    }
}

/// Everybody reads everybody's log.
#[derive(Clone)]
struct OthersLogs;

impl Fault for OthersLogs {
    fn log_viewer(&self, viewer: Viewer, log: LogId) -> Viewer {
        match log {
            LogId::User(user) => Viewer::User(user),
            LogId::Conversation(_) => viewer,
        }
    }
}

/// One's own messages count as unread.
#[derive(Clone)]
struct Miscounted;

impl Fault for Miscounted {
    fn entry(&self, entry: &mut InboxEntry) {
        entry.head.ordinal += u64::from(entry.head.message == entry.member.read);
    }
}

/// Mentions stay when they were read.
#[derive(Clone)]
struct OldMentions;

impl Fault for OldMentions {
    fn entry(&self, entry: &mut InboxEntry) {
        if entry.member.mentions.is_empty() && entry.member.read > 1 {
            entry.member.mentions.push(entry.member.read);
        }
    }
}

/// The cursor stands where it was put last.
#[derive(Clone, Default)]
struct LastAsked(Arc<AtomicU64>);

#[async_trait]
impl Fault for LastAsked {
    async fn commit(&self, store: &dyn Store, group: Vec<Prepared>) -> Results {
        for change in group.iter().flat_map(|prepared| &prepared.write.changes) {
            if let Change::Read { seq } = change {
                self.0.store(*seq, Ordering::SeqCst);
            }
        }
        store.commit(group).await
    }
    fn entry(&self, entry: &mut InboxEntry) {
        entry.member.read = self.0.load(Ordering::SeqCst);
    }
}

/// Each commit moves all heads.
#[derive(Clone, Default)]
struct GoesOn(Arc<AtomicU64>);

#[async_trait]
impl Fault for GoesOn {
    async fn commit(&self, store: &dyn Store, group: Vec<Prepared>) -> Results {
        self.0.fetch_add(1, Ordering::SeqCst);
        store.commit(group).await
    }
    fn entry(&self, entry: &mut InboxEntry) {
        entry.head.ordinal = self.0.load(Ordering::SeqCst);
    }
}

/// Every error is the same.
#[derive(Clone)]
struct Untyped;

impl Fault for Untyped {
    fn error(&self, error: Error) -> Error {
        Error::internal(error.to_string())
    }
}

/// Closing closes nothing.
#[derive(Clone)]
struct NeverClosed;

impl Fault for NeverClosed {
    fn closes(&self) -> bool {
        false
    }
}

/// The feed leaves out what stands at the end of a page.
#[derive(Clone)]
struct Skipping;

impl Fault for Skipping {
    fn feed(&self, _after: u64, entries: &mut Vec<FeedEntry>) {
        if entries.len() > 3 {
            entries.remove(1);
        }
    }
}

/// Some entries can be seen only after later ones have been: as when positions are allotted before commits end, and these end
/// in another order.
#[derive(Clone, Default)]
struct Late(Arc<Mutex<BTreeSet<u64>>>);

impl Fault for Late {
    fn feed(&self, _after: u64, entries: &mut Vec<FeedEntry>) {
        let last = entries.last().map_or(0, |entry| entry.position);
        let mut seen = self.0.lock().unwrap();
        entries.retain(|entry| {
            let position = entry.position;
            position % 10 != 0 || position == last || !seen.insert(position)
        });
    }
}

/// Every reopening numbers the entries anew.
#[derive(Clone, Default)]
struct Renumbered(Arc<AtomicU64>);

impl Fault for Renumbered {
    fn feed(&self, _after: u64, entries: &mut Vec<FeedEntry>) {
        for entry in entries {
            entry.position += self.0.load(Ordering::SeqCst);
        }
    }
    fn reopened(&self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[tokio::test(start_paused = true)]
async fn consumers_go_on_where_they_were_after_reopening() {
    let renumbered = With(Renumbered::default());
    broken(laws::consumers_go_on_where_they_were(&renumbered).await);
}

/// Positions with holes, as a store has them whose sequence is not its order of commits: sound.
#[derive(Clone)]
struct Holes;

#[async_trait]
impl Fault for Holes {
    fn feed_after(&self, after: u64) -> u64 {
        after / 7
    }
    fn feed(&self, _after: u64, entries: &mut Vec<FeedEntry>) {
        for entry in entries {
            entry.position *= 7;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn positions_may_have_holes() {
    sound(laws::consumers_go_on_where_they_were(&With(Holes)).await);
    sound(laws::feed_skips_nothing(&With(Holes)).await);
}

/// Users are found once for every place where a part stands in their name.
#[derive(Clone)]
struct FoundTwice;

impl Fault for FoundTwice {
    fn found(&self, users: &mut Vec<User>) {
        users.extend(users.clone());
    }
}

/// What was done under a key is not handed on: nothing else tells, for the copy holds all that it was given.
#[derive(Clone)]
struct ForgetsKeys;

impl Fault for ForgetsKeys {
    fn rest(&self, page: &mut Vec<(RowKey, Row)>) {
        // A page may not be empty before the end.
        if page.len() > 1 {
            page.retain(|(key, _)| !matches!(key, RowKey::Done(..)));
        }
    }
}

/// Rows are put in another order than they came in: the feed of the copy has another one.
#[derive(Clone)]
struct PutsBackward;

impl Fault for PutsBackward {
    fn put(&self, rows: &mut Vec<(RowKey, Option<Row>)>) {
        rows.reverse();
    }
}

#[tokio::test(start_paused = true)]
async fn copies_keep_the_order_of_the_feed() {
    crate::broken(chat_core::conformance::store::copies_are_the_same(&With(PutsBackward)).await);
}

/// Those who left are told how things stand now, on one way out.
#[derive(Clone)]
struct StandsNow {
    way: Way,
    ends: Arc<Mutex<HashMap<UserId, Seq>>>,
    asks: Arc<Mutex<Option<UserId>>>,
    title: Arc<Mutex<Option<String>>>,
}

#[derive(Clone, Copy, PartialEq)]
enum Way {
    Histories,
    Logs,
    Entries,
}

impl StandsNow {
    fn on(way: Way) -> With<Self> {
        With(Self {
            way,
            ends: Arc::default(),
            asks: Arc::default(),
            title: Arc::default(),
        })
    }

    /// Lets everything through for those who left.
    fn viewer(&self, viewer: Viewer) -> Viewer {
        let ends = self.ends.lock().unwrap();
        match viewer {
            Viewer::User(user) if ends.contains_key(&user) => {
                *self.asks.lock().unwrap() = Some(user);
                Viewer::All
            }
            _ => {
                *self.asks.lock().unwrap() = None;
                viewer
            }
        }
    }

    fn end(&self) -> Seq {
        let user = *self.asks.lock().unwrap();
        let ends = self.ends.lock().unwrap();
        user.map_or(Seq::MAX, |user| ends[&user])
    }
}

#[async_trait]
impl Fault for StandsNow {
    async fn commit(&self, store: &dyn Store, group: Vec<Prepared>) -> Results {
        let results = store.commit(group).await;
        for event in results.iter().flatten().flat_map(|done| &done.events) {
            match &event.kind {
                EventKind::Left { user } => {
                    self.ends.lock().unwrap().insert(*user, event.seq);
                }
                EventKind::Configured { title, .. } => *self.title.lock().unwrap() = title.clone(),
                _ => {}
            }
        }
        results
    }
    fn log_viewer(&self, viewer: Viewer, log: LogId) -> Viewer {
        if self.way == Way::Logs && matches!(log, LogId::Conversation(_)) {
            self.viewer(viewer)
        } else {
            viewer
        }
    }
    fn page(&self, log: LogId, page: &mut LogPage) {
        if self.way == Way::Logs && matches!(log, LogId::Conversation(_)) {
            let end = self.end();
            page.entries.retain(|(seq, _)| *seq <= end);
            page.head = page.head.min(end);
            page.resync = page.resync.map(|seq| seq.min(end));
        }
    }
    fn history_viewer(&self, viewer: Viewer) -> Viewer {
        if self.way == Way::Histories {
            self.viewer(viewer)
        } else {
            viewer
        }
    }
    fn history(&self, _span: Span, messages: &mut Vec<Message>) {
        if self.way == Way::Histories {
            let end = self.end();
            messages.retain(|message| message.seq <= end);
        }
    }
    fn entry(&self, entry: &mut InboxEntry) {
        let title = self.title.lock().unwrap().clone();
        if self.way == Way::Entries && title.is_some() {
            entry.conversation.title = title;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn who_left_is_not_told_how_it_stands() {
    for way in [Way::Histories, Way::Logs, Way::Entries] {
        let law = laws::former_members_see_up_to_their_end;
        crate::broken(law(&StandsNow::on(way)).await);
        let law = chat_core::conformance::hub::removed_are_told_nothing_on_any_path;
        crate::broken(law(&StandsNow::on(way)).await);
    }
}
