//! Law 3 broken.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex};

use chat_core::conformance::async_trait;
use chat_core::rules::Row;
use chat_core::{Actor, Committed, Error, Key, Prepared, Store, Target, Write};

use crate::store::{Fault, Results};
use crate::{With, mutations};

mutations! {
    store::one_key_a_hundred_times: With(Ignored(|_| true));
    store::key_outlives_reopening: With(UntilReopened::default());
    store::key_covers_creation: With(Ignored(|write| write.target == Target::Group));
    store::key_with_another_body: With(Digest(|_| [0; 16]));
    store::key_is_the_authors: With(Anybodys::default());
    store::key_within_a_group: With(OncePerGroup);
    store::key_before_permission: With(PermissionFirst);
    store::refusal_leaves_the_key_free: With(Grudge::default());
    store::no_key_no_replay: With(Zeros);
    chat::replay_despite_rate_limit: With(NothingDone);
    chat::replay_despite_policy: With(NothingDone);
    chat::key_is_of_what_was_submitted: With(Digest(|write| {
        let mut digest = [0_u8; 16];
        for (n, byte) in format!("{:?}", write.changes).bytes().enumerate() {
            digest[n % 16] = byte.wrapping_add(digest[n % 16].rotate_left(3));
        }
        digest
    }));
}

/// Some writes' keys are ignored.
#[derive(Clone)]
struct Ignored(fn(&Write) -> bool);

#[async_trait]
impl Fault for Ignored {
    async fn commit(&self, store: &dyn Store, mut group: Vec<Prepared>) -> Results {
        for prepared in group.iter_mut().filter(|prepared| self.0(&prepared.write)) {
            prepared.write.key = Some(Key::generate());
        }
        store.commit(group).await
    }
}

/// Keys from before a reopening are forgotten.
#[derive(Clone, Default)]
struct UntilReopened(Arc<AtomicU8>);

#[async_trait]
impl Fault for UntilReopened {
    async fn commit(&self, store: &dyn Store, mut group: Vec<Prepared>) -> Results {
        for prepared in &mut group {
            prepared.write.key = prepared.write.key.map(|key| {
                let mut bytes = key.bytes();
                bytes[15] ^= self.0.load(Ordering::SeqCst);
                Key::new(bytes)
            });
        }
        store.commit(group).await
    }
    fn reopened(&self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// Bodies are told apart in another way.
#[derive(Clone)]
struct Digest(fn(&Write) -> [u8; 16]);

#[async_trait]
impl Fault for Digest {
    async fn commit(&self, store: &dyn Store, mut group: Vec<Prepared>) -> Results {
        for prepared in &mut group {
            prepared.digest = self.0(&prepared.write);
        }
        store.commit(group).await
    }
}

/// A key is the same whoever uses it.
#[derive(Clone, Default)]
struct Anybodys(Arc<Mutex<HashMap<Option<Key>, Committed>>>);

#[async_trait]
impl Fault for Anybodys {
    async fn commit(&self, store: &dyn Store, group: Vec<Prepared>) -> Results {
        let keys: Vec<_> = group.iter().map(|prepared| prepared.write.key).collect();
        let mut results = store.commit(group).await;
        let mut known = self.0.lock().unwrap();
        for (key, result) in keys.into_iter().zip(&mut results) {
            if let Some(done) = known.get(&key) {
                let mut done = done.clone();
                (done.replayed, done.events) = (true, Vec::new());
                *result = Ok(done);
            } else if let Ok(done) = result {
                known.insert(key, done.clone());
            }
        }
        results
    }
}

/// Keys count from one group to the next only.
#[derive(Clone)]
struct OncePerGroup;

#[async_trait]
impl Fault for OncePerGroup {
    async fn commit(&self, store: &dyn Store, mut group: Vec<Prepared>) -> Results {
        let mut seen = BTreeSet::new();
        for prepared in &mut group {
            if !seen.insert(prepared.write.key) {
                prepared.write.key = Some(Key::generate());
            }
        }
        store.commit(group).await
    }
}

/// Who may no longer write is told so, whatever they retry.
#[derive(Clone)]
struct PermissionFirst;

#[async_trait]
impl Fault for PermissionFirst {
    async fn commit(&self, store: &dyn Store, group: Vec<Prepared>) -> Results {
        let actors: Vec<Actor> = group.iter().map(|prepared| prepared.write.actor).collect();
        let mut results = store.commit(group).await;
        for (actor, result) in actors.into_iter().zip(&mut results) {
            if let (Actor::User(user), Ok(done)) = (actor, &*result)
                && let Some(conversation) = done.conversation
                && let Ok(entry) = store.entry(user, conversation).await
                && entry.member.role.is_none()
            {
                *result = Err(Error::not_found("there is no such conversation"));
            }
        }
        results
    }
}

/// What was refused once is refused for good.
#[derive(Clone, Default)]
struct Grudge(Arc<Mutex<BTreeSet<Option<Key>>>>);

#[async_trait]
impl Fault for Grudge {
    async fn commit(&self, store: &dyn Store, group: Vec<Prepared>) -> Results {
        let keys: Vec<_> = group.iter().map(|prepared| prepared.write.key).collect();
        let mut results = store.commit(group).await;
        let mut refused = self.0.lock().unwrap();
        for (key, result) in keys.into_iter().zip(&mut results) {
            if result.is_err() {
                refused.insert(key);
            } else if refused.contains(&key) {
                *result = Err(Error::not_found("there is no such conversation"));
            }
        }
        results
    }
}

/// A write without a key is one under sixteen zeros.
#[derive(Clone)]
struct Zeros;

#[async_trait]
impl Fault for Zeros {
    async fn commit(&self, store: &dyn Store, mut group: Vec<Prepared>) -> Results {
        for prepared in &mut group {
            prepared.write.key.get_or_insert(Key::new([0; 16]));
        }
        store.commit(group).await
    }
}

/// A chat cannot see what was done.
#[derive(Clone)]
struct NothingDone;

impl Fault for NothingDone {
    fn rows(&self, rows: &mut Vec<Option<Row>>) {
        for row in rows {
            row.take_if(|row| matches!(row, Row::Done(_)));
        }
    }
}
