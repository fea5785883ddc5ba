//! Writers who are interrupted, and what must hold afterwards.

use std::collections::{BTreeMap, HashMap};
use std::process::Command;
use std::sync::{Arc, Mutex};

use chat_core::{ConversationId, ErrorKind, Key, Prepared, Seq, Store, UserId};
use chat_store_postgres::PostgresStore;

use chat_testkit::writes::{group, messages, post_as, register};

pub(crate) const WRITERS: u32 = 8;
/// For a process of its own: the plan.
const PLAN: &str = "CHAT_POSTGRES_TEST_PLAN";

/// (writer, number) → seq.
pub(crate) type Acknowledged = BTreeMap<(u32, u32), Seq>;

/// What the writers of a round write: known before, so that all of it can be retried.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) round: u32,
    pub(crate) users: Vec<UserId>,
    pub(crate) conversations: Vec<ConversationId>,
}

impl Plan {
    /// Users and groups of a round's own.
    pub(crate) async fn new(store: &PostgresStore, round: u32) -> Self {
        let mut users = Vec::new();
        for writer in 0..WRITERS {
            users.push(register(store, &format!("{round}-{writer}")).await);
        }
        let mut conversations = Vec::new();
        for _ in 0..3 {
            conversations.push(group(store, &users).await);
        }
        Self {
            round,
            users,
            conversations,
        }
    }

    fn text(&self, writer: u32, number: u32) -> String {
        format!("{}-{writer}-{number}", self.round)
    }

    fn conversation(&self, writer: u32, number: u32) -> ConversationId {
        self.conversations[(writer + number) as usize % self.conversations.len()]
    }

    fn write(&self, writer: u32, number: u32) -> Prepared {
        let mut key = [0; 16];
        key[..4].copy_from_slice(&self.round.to_be_bytes());
        key[4..8].copy_from_slice(&number.to_be_bytes());
        key[8..12].copy_from_slice(&writer.to_be_bytes());
        post_as(
            self.users[writer as usize],
            self.conversation(writer, number),
            &self.text(writer, number),
            Key::new(key),
        )
    }

    /// The writes of a writer's groups: 1, 2, 3, 1, 2, 3 …
    pub(crate) fn groups() -> impl Iterator<Item = std::ops::Range<u32>> {
        let mut next = 0;
        (1..=3).cycle().map(move |size| {
            next += size;
            next - size..next
        })
    }

    pub(crate) fn group(&self, writer: u32, numbers: std::ops::Range<u32>) -> Vec<Prepared> {
        numbers.map(|number| self.write(writer, number)).collect()
    }

    /// All writers write until the store fails, or `enough` says so; what was acknowledged.
    pub(crate) async fn write_until(
        &self,
        store: &PostgresStore,
        enough: impl Fn(usize) -> bool + Send + Sync + 'static,
    ) -> Acknowledged {
        let acknowledged = Arc::new(Mutex::new(Acknowledged::new()));
        let told = Arc::clone(&acknowledged);
        self.write_until_told(store, move |writer, number, seq| {
            let mut told = told.lock().unwrap();
            told.insert((writer, number), seq);
            enough(told.len())
        })
        .await;
        std::mem::take(&mut *acknowledged.lock().unwrap())
    }

    /// All writers write until the store fails, or until `told` of what was acknowledged has enough.
    pub(crate) async fn write_until_told(
        &self,
        store: &PostgresStore,
        told: impl Fn(u32, u32, Seq) -> bool + Send + Sync + 'static,
    ) {
        let told = Arc::new(told);
        let writers = (0..WRITERS).map(|writer| {
            let (store, plan, told) = (store.clone(), self.clone(), Arc::clone(&told));
            tokio::spawn(async move {
                for numbers in Self::groups() {
                    let mut enough = false;
                    let results = store.commit(plan.group(writer, numbers.clone())).await;
                    for (number, result) in numbers.zip(results) {
                        match result {
                            Ok(done) => enough |= told(writer, number, done.first),
                            Err(error) => {
                                assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
                                return;
                            }
                        }
                    }
                    if enough {
                        return;
                    }
                }
            })
        });
        for writer in writers.collect::<Vec<_>>() {
            writer.await.unwrap();
        }
    }

    pub(crate) fn to_env(&self, command: &mut Command) {
        let users = self.users.iter().map(|id| id.get());
        let conversations = self.conversations.iter().map(|id| id.get());
        let numbers = std::iter::once(u64::from(self.round))
            .chain(users)
            .chain(conversations);
        let numbers: Vec<_> = numbers.map(|n| n.to_string()).collect();
        command.env(PLAN, numbers.join(" "));
    }

    pub(crate) fn from_env() -> Option<Self> {
        let numbers = std::env::var(PLAN).ok()?;
        let numbers: Vec<u64> = numbers.split(' ').map(|n| n.parse().unwrap()).collect();
        let (users, conversations) = numbers[1..].split_at(WRITERS as usize);
        let conversation = |id: &u64| ConversationId::new(*id).unwrap();
        Some(Self {
            round: u32::try_from(numbers[0]).unwrap(),
            users: users.iter().map(|id| UserId::new(*id).unwrap()).collect(),
            conversations: conversations.iter().map(conversation).collect(),
        })
    }

    /// Every acknowledged write stands where it was said to be, every group is there whole or not at all, and a retry of
    /// all that was or may have been written leaves each of it there once, without a hole.
    pub(crate) async fn check(&self, store: &PostgresStore, acknowledged: &Acknowledged) {
        let mut expected = 0;
        for writer in 0..WRITERS {
            let said = |number| acknowledged.get(&(writer, number)).copied();
            for numbers in Self::groups() {
                let first = numbers.start;
                let results = store.commit(self.group(writer, numbers.clone())).await;
                let committed: Vec<_> = results.into_iter().map(Result::unwrap).collect();
                let all = committed[0].replayed;
                for (number, committed) in numbers.zip(&committed) {
                    expected += 1;
                    assert_eq!(
                        committed.replayed, all,
                        "half a group of {writer} at {number}"
                    );
                    assert!(said(number).is_none_or(|seq| all && seq == committed.first));
                }
                if said(first).is_none() {
                    // The one that was under way, if any.
                    break;
                }
            }
        }
        let mut found = HashMap::new();
        for conversation in &self.conversations {
            for (seq, text) in messages(store, *conversation).await {
                let other = found.insert(text, (*conversation, seq));
                assert_eq!(other, None, "twice");
            }
        }
        assert_eq!(found.len(), expected);
        for ((writer, number), seq) in acknowledged {
            let place = (self.conversation(*writer, *number), *seq);
            assert_eq!(found.get(&self.text(*writer, *number)), Some(&place));
        }
    }
}
