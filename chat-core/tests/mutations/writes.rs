//! Laws 1, 2, 4, 6, 12 broken on the way in.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use chat_core::conformance::async_trait;
use chat_core::{
    Actor, Change, Error, ErrorKind, History, Key, LogId, LogPage, Prepared, Role, Seq, Store,
    Target,
};

use crate::store::{Fault, Results};
use crate::{With, mutations};

mutations! {
    store::gapless: With(Renumbered);
    store::many_writers_leave_no_hole: With(Renumbered);
    store::readable_when_acknowledged: With(Late::default());
    store::groups_appear_whole: With(OneByOne);
    store::kept_when_reopened: With(Forgetful::default());
    store::longest_texts_are_kept: With(Instead(|change| {
        let Change::Edit { message, content, .. } = change else { return None };
        let mut content = content.clone();
        content.text.pop();
        Some(Change::Edit { message: *message, revision: None, content })
    }));
    store::nothing_of_a_failed_sync: With(ReadableAnyway::default());
    store::all_or_nothing: With(Torn);
    store::refused_alone: With(AllForOne);
    store::one_direct_of_a_pair: With(Doubled::Direct);
    store::one_conversation_of_a_key: With(Doubled::Key);
    store::one_user_of_a_subject: With(Doubled::Subject(Arc::default()));
    store::dropped_futures_finish: With(Torn);
    store::hiding_clears_for_one: With(Instead(|change| {
        matches!(change, Change::Hide).then_some(Change::Archive { on: true })
    }));
    store::permissions: With(AsHost);
    chat::slow_policy_keeps_the_order: With(Reversed);
    hub::writes_commit_in_the_order_sent: With(Reversed);
    store::agrees_with_the_model: With(Instead(|change| {
        let Change::Add { user, .. } = change else { return None };
        Some(Change::Add { user: *user, role: Role::Member })
    }));
    chat::invariants_hold_for_the_host: With(Instead(|change| {
        let Change::Post { content, .. } = change else { return None };
        content.text.is_empty().then(|| Change::post("something"))
    }));
}

/// Tells writers the next message's seq.
#[derive(Clone)]
struct Renumbered;

#[async_trait]
impl Fault for Renumbered {
    async fn commit(&self, store: &dyn Store, group: Vec<Prepared>) -> Results {
        let mut results = store.commit(group).await;
        for done in results.iter_mut().flatten().filter(|done| done.first > 1) {
            done.first += 1;
        }
        results
    }
}

/// Hands out results before what was committed can be read.
#[derive(Clone, Default)]
struct Late(Arc<Mutex<BTreeSet<(LogId, Seq)>>>);

#[async_trait]
impl Fault for Late {
    async fn commit(&self, store: &dyn Store, group: Vec<Prepared>) -> Results {
        let results = store.commit(group).await;
        let events = results.iter().flatten().flat_map(|done| &done.events);
        *self.0.lock().unwrap() = events.map(|event| (event.log, event.seq)).collect();
        results
    }
    fn page(&self, log: LogId, page: &mut LogPage) {
        let late = self.0.lock().unwrap();
        while page
            .entries
            .pop_if(|(seq, _)| late.contains(&(log, *seq)))
            .is_some()
        {
            page.head -= 1;
        }
    }
}

/// Commits the writes of a group one after the other.
#[derive(Clone)]
struct OneByOne;

#[async_trait]
impl Fault for OneByOne {
    async fn commit(&self, store: &dyn Store, group: Vec<Prepared>) -> Results {
        let mut results = Vec::new();
        for write in group {
            results.extend(store.commit(vec![write]).await);
            tokio::task::yield_now().await;
        }
        results
    }
}

/// After reopening, what was committed last is gone.
#[derive(Clone, Default)]
struct Forgetful(Late, Arc<AtomicBool>);

#[async_trait]
impl Fault for Forgetful {
    async fn commit(&self, store: &dyn Store, group: Vec<Prepared>) -> Results {
        self.0.commit(store, group).await
    }
    fn page(&self, log: LogId, page: &mut LogPage) {
        if self.1.load(Ordering::SeqCst) {
            self.0.page(log, page);
        }
    }
    fn reopened(&self) {
        self.1.store(true, Ordering::SeqCst);
    }
}

/// What could not be synced is refused, but there to be read.
#[derive(Clone, Default)]
struct ReadableAnyway(Arc<AtomicBool>);

#[async_trait]
impl Fault for ReadableAnyway {
    async fn commit(&self, store: &dyn Store, group: Vec<Prepared>) -> Results {
        let mut results = store.commit(group).await;
        if self.0.load(Ordering::SeqCst) {
            results.fill(Err(Error::unavailable("the disk does not answer")));
        }
        results
    }
    fn reopened(&self) {
        self.0.store(false, Ordering::SeqCst);
    }
    fn break_syncs(&self) -> bool {
        self.0.store(true, Ordering::SeqCst);
        true
    }
}

/// Commits the changes of a write one after the other.
#[derive(Clone)]
struct Torn;

#[async_trait]
impl Fault for Torn {
    async fn commit(&self, store: &dyn Store, group: Vec<Prepared>) -> Results {
        let mut results = Vec::new();
        for mut prepared in group {
            let changes = std::mem::take(&mut prepared.write.changes);
            let many =
                changes.len() > 1 && matches!(prepared.write.target, Target::Conversation(_));
            let parts = if many {
                changes.into_iter().map(|change| vec![change]).collect()
            } else {
                vec![changes]
            };
            let mut result = Err(Error::invalid("nothing to do"));
            for (part, changes) in (0..).zip(parts) {
                let key = prepared.write.key.map(|key| {
                    let mut bytes = key.bytes();
                    bytes[15] ^= part;
                    Key::new(bytes)
                });
                let mut write = prepared.clone();
                (write.write.key, write.write.changes) = (key, changes);
                result = store.commit(vec![write]).await.remove(0);
                if result.is_err() {
                    break;
                }
                tokio::task::yield_now().await;
            }
            results.push(result);
        }
        results
    }
}

/// Commits the last write of a group first.
#[derive(Clone)]
struct Reversed;

#[async_trait]
impl Fault for Reversed {
    async fn commit(&self, store: &dyn Store, mut group: Vec<Prepared>) -> Results {
        group.reverse();
        let mut results = store.commit(group).await;
        results.reverse();
        results
    }
}

/// One refused write refuses its group.
#[derive(Clone)]
struct AllForOne;

#[async_trait]
impl Fault for AllForOne {
    async fn commit(&self, store: &dyn Store, group: Vec<Prepared>) -> Results {
        let mut results = store.commit(group).await;
        let refused = results
            .iter()
            .find_map(|result| result.as_ref().err().cloned());
        if let Some(error) = refused {
            results.fill(Err(error));
        }
        results
    }
}

/// Does not find what is there already.
#[derive(Clone)]
enum Doubled {
    /// A pair is another one in the other order.
    Direct,
    /// A name is no name.
    Key,
    /// A subject is another one in the next group.
    Subject(Arc<AtomicU32>),
}

#[async_trait]
impl Fault for Doubled {
    async fn commit(&self, store: &dyn Store, mut group: Vec<Prepared>) -> Results {
        for Prepared { write, .. } in &mut group {
            match (self, &mut write.target) {
                (Self::Direct, Target::Direct(a, b)) if *a > *b => {
                    let member = if write.actor == Actor::User(*a) {
                        *b
                    } else {
                        *a
                    };
                    write.changes.insert(
                        0,
                        Change::Create {
                            title: None,
                            data: None,
                            managed: false,
                            history: History::All,
                            members: vec![(member, Role::Member)],
                        },
                    );
                    write.target = Target::Group;
                }
                (Self::Key, target @ Target::Key(_)) => *target = Target::Group,
                (Self::Subject(groups), Target::Subject { subject, .. }) => {
                    let number = groups.fetch_add(1, Ordering::SeqCst);
                    *subject = format!("{subject} {number}");
                }
                _ => {}
            }
        }
        store.commit(group).await
    }
}

/// Makes another change than was asked for.
#[derive(Clone)]
struct Instead(fn(&Change) -> Option<Change>);

#[async_trait]
impl Fault for Instead {
    async fn commit(&self, store: &dyn Store, mut group: Vec<Prepared>) -> Results {
        for change in group
            .iter_mut()
            .flat_map(|prepared| &mut prepared.write.changes)
        {
            *change = self.0(change).unwrap_or_else(|| change.clone());
        }
        store.commit(group).await
    }
}

/// Does as the host what is forbidden to a user, where it is about pins.
#[derive(Clone)]
struct AsHost;

#[async_trait]
impl Fault for AsHost {
    async fn commit(&self, store: &dyn Store, group: Vec<Prepared>) -> Results {
        let mut results = store.commit(group.clone()).await;
        for (mut prepared, result) in group.into_iter().zip(&mut results) {
            let pins = matches!(prepared.write.changes[..], [Change::Pin { .. }]);
            let forbidden = matches!(result, Err(error) if error.kind() == ErrorKind::Forbidden);
            if pins && forbidden {
                prepared.write.actor = Actor::Host;
                *result = store.commit(vec![prepared]).await.remove(0);
            }
        }
        results
    }
}
