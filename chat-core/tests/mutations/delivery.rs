//! Laws 5, 7 to 10 and 13 broken on the way to devices.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chat_core::conformance::{Fixture, async_trait};
use chat_core::kv::MemoryStore;
use chat_core::{
    Builder, Chat, Closed, Connection, Error, Event, EventKind, History, Identity, Item, Limits,
    LocalBus, LogId, LogPage, Memberships, Prepared, Ranges, Seq, Store, Viewer,
};

use crate::store::{Fault, Faulty, Results};
use crate::{NoFault, With, mutations};

mutations! {
    chat::limits_hold_for_users_only: Built(|builder| builder.limits(Limits::default()));
    chat::silent_policy_refuses: Limited(|limits| limits.policy_timeout = HOUR);
    hub::live_order_is_log_order: Tampered(|_, items| neighbours_change_places(items));
    hub::nodes_agree: Tampered(some_are_lost);
    hub::outcome_behind_its_event: Tampered(|_, items| outcomes_first(items));
    hub::devices_of_a_user_agree: Tampered(some_are_lost);
    hub::resume_from_any_cursor: Tampered(some_come_twice);
    hub::resume_while_writers_go_on: Tampered(some_come_twice);
    hub::removed_get_nothing_more: With(NoEnd);
    hub::removed_are_told_nothing_on_any_path: With(SeesAll);
    hub::joiners_get_all_from_then_on: With(NoBeginning);
    hub::strangers_get_nothing: With(SeesAll);
    hub::erased_texts_are_told_nowhere: With(Remembers::default());
    hub::slow_readers_pay_alone: Limited(|limits| limits.queue_items = 64);
    hub::slow_readers_are_bounded_in_bytes: Limited(|limits| limits.queue_bytes = 64 << 10);
    hub::encoded_once: TwoNodes::default();
    hub::resumed_encoded_once: TwoNodes::default();
    hub::in_flight_is_bounded: Limited(|limits| limits.in_flight = 64);
    hub::oldest_connection_gives_way: Limited(|limits| limits.connections = 20);
    hub::revoked_logins_are_closed: Tampered(never_closed);
    hub::expired_logins_are_closed: Endless;
    hub::draining_finishes: Tampered(|_, items| closed_otherwise(items));
    hub::heals_despite_a_faulty_bus: Limited(|limits| limits.sweep = HOUR);
    hub::heals_without_a_bus: Limited(|limits| limits.sweep = HOUR);
    hub::heals_a_lost_last_hint: Limited(|limits| limits.sweep = HOUR);
    hub::heals_at_once_when_told: Built(|builder| builder.bus(LocalBus::new()));
    hub::receipts_heal: Limited(|limits| limits.sweep = HOUR);
    hub::heals_what_died_unsaid: Limited(|limits| limits.sweep = HOUR);
    hub::runs_come_at_once: OneByOne::default();
    hub::large_gaps_are_resynced: Limited(|limits| limits.resume_gap = 1 << 40);
    hub::renewed_logins_go_on: Tampered(never_closed);
}

/// Live, too.
#[tokio::test(start_paused = true)]
async fn removed_are_told_nothing_live() {
    use chat_core::conformance::hub;
    crate::broken(hub::removed_are_told_nothing_on_any_path(&With(NoEnd)).await);
}

/// Apart, as it takes longer: that it holds on what is sound is seen where the laws are run.
#[tokio::test(start_paused = true)]
async fn clients_agree_with_the_model() {
    use chat_core::conformance::hub;
    let unheard = Limited(|limits| limits.sweep = HOUR);
    crate::broken(hub::clients_agree_with_the_model(&unheard).await);
    crate::broken(hub::clients_agree_with_the_model(&With(Remembers::default())).await);
}

/// Named apart: a law of stores has the same name.
mod hidden {
    use super::AllVisible;
    use crate::{With, mutations};

    mutations! {
        hub::hidden_targets_are_not_told: With(AllVisible);
    }
}

pub(crate) const HOUR: Duration = Duration::from_secs(3600);

pub(crate) fn memory() -> Result<Arc<dyn Store>, Error> {
    Ok(Arc::new(Faulty::new(MemoryStore::new(), NoFault)))
}

/// What devices get is tampered with; told how many items came before.
pub(crate) struct Tampered(pub(crate) fn(usize, &mut Vec<Item>));

#[async_trait]
impl Fixture for Tampered {
    async fn open(&self) -> Result<Arc<dyn Store>, Error> {
        memory()
    }
    async fn drain(&self, connection: &mut Connection, items: &mut Vec<Item>) {
        let mut new = Vec::new();
        connection.drain(&mut new).await;
        // Whatever else is there by now, so that there is something to mix up.
        for _ in 0..20 {
            tokio::task::yield_now().await;
            tokio::select! {
                biased;
                () = connection.drain(&mut new) => {}
                () = tokio::task::yield_now() => {}
            }
        }
        self.0(items.len(), &mut new);
        items.append(&mut new);
    }
}

fn neighbours_change_places(items: &mut [Item]) {
    let is_event = |item: &Item| matches!(item, Item::Event(_));
    let pair = items.windows(2).position(|pair| pair.iter().all(is_event));
    if let Some(place) = pair {
        items.swap(place, place + 1);
    }
}

pub(crate) fn some_are_lost(before: usize, items: &mut Vec<Item>) {
    let mut place = before;
    let last = before + items.len();
    items.retain(|item| {
        place += 1;
        !place.is_multiple_of(5) || place == last || !matches!(item, Item::Event(_))
    });
}

fn some_come_twice(_: usize, items: &mut Vec<Item>) {
    if let Some(item @ Item::Event(_)) = items.first().cloned() {
        items.insert(0, item);
    }
}

fn outcomes_first(items: &mut [Item]) {
    items.sort_by_key(|item| !matches!(item, Item::Done { .. }));
}

pub(crate) fn never_closed(_: usize, items: &mut Vec<Item>) {
    items.retain(|item| !matches!(item, Item::Closed(_)));
}

fn closed_otherwise(items: &mut [Item]) {
    for item in items {
        if let Item::Closed(why) = item {
            *why = Closed::Slow;
        }
    }
}

/// The chat is built in another way than the law says.
struct Built(fn(Builder) -> Builder);

#[async_trait]
impl Fixture for Built {
    async fn open(&self) -> Result<Arc<dyn Store>, Error> {
        memory()
    }
    fn build(&self, builder: Builder) -> Chat {
        self.0(builder).build()
    }
}

/// One limit is another than the law says.
pub(crate) struct Limited(pub(crate) fn(&mut Limits));

#[async_trait]
impl Fixture for Limited {
    async fn open(&self) -> Result<Arc<dyn Store>, Error> {
        memory()
    }
    fn build(&self, builder: Builder) -> Chat {
        // What nobody in these laws has to wait for.
        let mut limits = Limits::default();
        limits.message_rate = 0.0;
        (limits.queue_items, limits.queue_bytes) = (1 << 16, 1 << 26);
        self.0(&mut limits);
        builder.limits(limits).build()
    }
}

/// Devices get one thing at a time.
#[derive(Default)]
struct OneByOne(Mutex<Vec<Item>>);

#[async_trait]
impl Fixture for OneByOne {
    async fn open(&self) -> Result<Arc<dyn Store>, Error> {
        memory()
    }
    async fn drain(&self, connection: &mut Connection, items: &mut Vec<Item>) {
        if self.0.lock().unwrap().is_empty() {
            let mut new = Vec::new();
            connection.drain(&mut new).await;
            new.reverse();
            *self.0.lock().unwrap() = new;
        }
        items.extend(self.0.lock().unwrap().pop());
    }
}

/// Every second device is on another node, which encodes for itself.
#[derive(Default)]
struct TwoNodes {
    store: Mutex<Option<Arc<dyn Store>>>,
    other: Mutex<Option<Chat>>,
    devices: AtomicUsize,
}

#[async_trait]
impl Fixture for TwoNodes {
    async fn open(&self) -> Result<Arc<dyn Store>, Error> {
        let store = memory()?;
        *self.store.lock().unwrap() = Some(store.clone());
        Ok(store)
    }
    async fn connect(&self, chat: &Chat, identity: Identity) -> Result<Connection, Error> {
        let count = self.devices.fetch_add(1, Ordering::SeqCst);
        let chat = if count.is_multiple_of(2) {
            chat.clone()
        } else {
            let store = self.store.lock().unwrap().clone().unwrap();
            let mut other = self.other.lock().unwrap();
            other
                .get_or_insert_with(|| Chat::builder(store).build())
                .clone()
        };
        chat.connect(identity).await
    }
}

/// Logins have no end.
struct Endless;

#[async_trait]
impl Fixture for Endless {
    async fn open(&self) -> Result<Arc<dyn Store>, Error> {
        memory()
    }
    fn build(&self, builder: Builder) -> Chat {
        let mut limits = Limits::default();
        limits.login_check = HOUR;
        builder.limits(limits).build()
    }
    async fn connect(&self, chat: &Chat, mut identity: Identity) -> Result<Connection, Error> {
        identity.expires = None;
        chat.connect(identity).await
    }
}

/// Says of events something else, to writers and readers alike.
async fn retold(
    store: &dyn Store,
    group: Vec<Prepared>,
    tell: impl Fn(&mut Event) + Send,
) -> Results {
    let mut results = store.commit(group).await;
    let events = results
        .iter_mut()
        .flatten()
        .flat_map(|done| &mut done.events);
    events.for_each(tell);
    results
}

fn nothing_of_note(kind: &mut EventKind) {
    *kind = EventKind::Configured {
        title: None,
        history: History::All,
    };
}

/// Nobody is told that somebody is gone.
#[derive(Clone)]
pub(crate) struct NoEnd;

#[async_trait]
impl Fault for NoEnd {
    async fn commit(&self, store: &dyn Store, group: Vec<Prepared>) -> Results {
        retold(store, group, |event| {
            if matches!(event.kind, EventKind::Left { .. }) {
                nothing_of_note(&mut event.kind);
            }
        })
        .await
    }
}

/// Nobody is told that somebody came.
#[derive(Clone)]
struct NoBeginning;

#[async_trait]
impl Fault for NoBeginning {
    async fn commit(&self, store: &dyn Store, group: Vec<Prepared>) -> Results {
        retold(store, group, |event| match &event.kind {
            EventKind::Joined { .. } => nothing_of_note(&mut event.kind),
            EventKind::Added { .. } => event.kind = EventKind::Profile,
            _ => {}
        })
        .await
    }
}

/// Everybody reads every conversation's log.
#[derive(Clone)]
struct SeesAll;

impl Fault for SeesAll {
    fn log_viewer(&self, viewer: Viewer, log: LogId) -> Viewer {
        match log {
            LogId::Conversation(_) => Viewer::All,
            LogId::User(_) => viewer,
        }
    }
}

/// Logs tell a message as it was at first.
#[derive(Clone, Default)]
struct Remembers(Arc<Mutex<HashMap<(LogId, Seq), Event>>>);

impl Fault for Remembers {
    fn page(&self, log: LogId, page: &mut LogPage) {
        let mut known = self.0.lock().unwrap();
        for event in page
            .entries
            .iter_mut()
            .filter_map(|(_, event)| event.as_mut())
        {
            let first = known
                .entry((log, event.seq))
                .or_insert_with(|| event.clone());
            *event = first.clone();
        }
    }
}

/// Whoever is or becomes a member is said to see all.
#[derive(Clone)]
struct AllVisible;

#[async_trait]
impl Fault for AllVisible {
    async fn commit(&self, store: &dyn Store, group: Vec<Prepared>) -> Results {
        retold(store, group, |event| match &mut event.kind {
            EventKind::Joined { from, .. } => *from = 1,
            EventKind::Hid { through, .. } => *through = 0,
            _ => {}
        })
        .await
    }
    fn memberships(&self, memberships: &mut Memberships) {
        for (_, ranges, _) in &mut memberships.conversations {
            *ranges = Ranges::all();
        }
    }
}
