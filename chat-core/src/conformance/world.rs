//! What the laws of stores are tried with: users, conversations and writes in a store of their own.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use sha2::{Digest, Sha256};

use super::{Fixture, Violation, ensure_eq};
use crate::{
    Actor, Change, Committed, ConversationId, Error, ErrorKind, Event, History, InboxEntry, LogId,
    Member, Message, Prepared, Role, Seq, Span, Store, Target, UserId, Viewer, Write,
};

/// More than any log or list in these tests holds.
pub(crate) const ALL: usize = 10_000;

/// A store with helpers around it.
pub(crate) struct World {
    pub(crate) store: Arc<dyn Store>,
    subjects: AtomicU32,
}

/// A write as a store gets it, without limits and policy.
pub(crate) fn prepared(write: Write) -> Prepared {
    // Any function of what was submitted will do; a `Chat` uses a keyed one.
    let body = format!("{:?} {:?}", write.target, write.changes);
    let mut digest = [0; 16];
    digest.copy_from_slice(&Sha256::digest(body)[..16]);
    Prepared { write, digest }
}

/// A write to a conversation.
pub(crate) fn to(
    actor: impl Into<Actor>,
    conversation: ConversationId,
    changes: Vec<Change>,
) -> Write {
    Write::new(actor.into(), Target::Conversation(conversation), changes)
}

/// A write of one user about themselves.
pub(crate) fn about_self(user: UserId, change: Change) -> Write {
    Write::new(Actor::User(user), Target::User(user), vec![change])
}

impl From<UserId> for Actor {
    fn from(user: UserId) -> Self {
        Self::User(user)
    }
}

/// Settings and first members of a group.
pub(crate) fn create(members: &[(UserId, Role)], history: History) -> Change {
    Change::Create {
        title: Some("The group".into()),
        data: None,
        managed: false,
        history,
        members: members.to_vec(),
    }
}

impl World {
    pub(crate) async fn open(fixture: &dyn Fixture) -> Result<Self, Violation> {
        Ok(Self::over(fixture.open().await?))
    }

    pub(crate) fn over(store: Arc<dyn Store>) -> Self {
        Self {
            store,
            subjects: AtomicU32::new(0),
        }
    }

    /// Closes the store and opens what it kept.
    pub(crate) async fn reopen(self, fixture: &dyn Fixture) -> Result<Option<Self>, Violation> {
        let Self { store, subjects } = self;
        let store = fixture.reopen(store).await?;
        Ok(store.map(|store| Self { store, subjects }))
    }

    pub(crate) async fn commit(&self, write: Write) -> Result<Committed, Error> {
        let mut results = self.store.commit(vec![prepared(write)]).await;
        match results.pop() {
            Some(result) if results.is_empty() => result,
            _ => Err(Error::internal("a store gave not one result for one write")),
        }
    }

    pub(crate) async fn group(
        &self,
        writes: Vec<Write>,
    ) -> Result<Vec<Result<Committed, Error>>, Violation> {
        let count = writes.len();
        let group = writes.into_iter().map(prepared).collect();
        let results = self.store.commit(group).await;
        ensure_eq!(results.len(), count, "results of a group");
        Ok(results)
    }

    /// New users, by ascending id.
    pub(crate) async fn users<const N: usize>(&self) -> Result<[UserId; N], Violation> {
        let mut users = Vec::with_capacity(N);
        for _ in 0..N {
            let number = self.subjects.fetch_add(1, Ordering::Relaxed);
            let target = Target::Subject {
                provider: "laws".into(),
                subject: format!("user-{number}"),
            };
            let change = Change::Register {
                name: format!("User {number}"),
            };
            let done = self.commit(Write::new(Actor::Host, target, vec![change]));
            users.extend(done.await?.user);
        }
        users.sort_unstable();
        users
            .try_into()
            .map_err(|_| Violation::new("registering named no user"))
    }

    /// A new group of an owner and others.
    pub(crate) async fn found(
        &self,
        owner: UserId,
        members: &[(UserId, Role)],
        history: History,
    ) -> Result<ConversationId, Violation> {
        let changes = vec![create(members, history)];
        let write = Write::new(Actor::User(owner), Target::Group, changes);
        created(&self.commit(write).await?)
    }

    /// A new group whose others are plain members.
    pub(crate) async fn group_of(
        &self,
        owner: UserId,
        members: &[UserId],
    ) -> Result<ConversationId, Violation> {
        let members: Vec<_> = members.iter().map(|&user| (user, Role::Member)).collect();
        self.found(owner, &members, History::All).await
    }

    /// Posts a message; its seq.
    pub(crate) async fn post(
        &self,
        user: UserId,
        conversation: ConversationId,
        text: impl Into<String>,
    ) -> Result<Seq, Error> {
        let change = Change::post(text.into());
        let done = self.commit(to(user, conversation, vec![change])).await?;
        Ok(done.last())
    }

    /// One change to a conversation.
    pub(crate) async fn change(
        &self,
        actor: impl Into<Actor>,
        conversation: ConversationId,
        change: Change,
    ) -> Result<Committed, Error> {
        self.commit(to(actor, conversation, vec![change])).await
    }

    /// A log as a viewer sees it from its start, gathered from pages of a size.
    pub(crate) async fn log_by(
        &self,
        viewer: Viewer,
        log: impl Into<LogId>,
        page: usize,
    ) -> Result<Vec<(Seq, Option<Event>)>, Violation> {
        let log = log.into();
        let mut entries = Vec::new();
        let mut after = 0;
        loop {
            let got = self.store.log(viewer, log, after, page).await?;
            let start = got.resync.unwrap_or(after);
            for ((seq, _), expected) in got.entries.iter().zip(start + 1..) {
                ensure_eq!(*seq, expected, "the next seq of a page of {log:?}");
            }
            after = start + got.entries.len() as Seq;
            entries.extend(got.entries);
            if after == got.head {
                return Ok(entries);
            }
            super::ensure!(after > start, "an empty page of {log:?} before its head");
        }
    }

    /// A log as a viewer sees it.
    pub(crate) async fn log(
        &self,
        viewer: Viewer,
        log: impl Into<LogId>,
    ) -> Result<Vec<(Seq, Option<Event>)>, Violation> {
        self.log_by(viewer, log, 100).await
    }

    /// The seqs of a log that a user may see.
    pub(crate) async fn seen(
        &self,
        user: UserId,
        log: impl Into<LogId>,
    ) -> Result<Vec<Seq>, Violation> {
        let entries = self.log(Viewer::User(user), log).await?;
        Ok(entries
            .into_iter()
            .filter_map(|(seq, event)| event.map(|_| seq))
            .collect())
    }

    /// The whole history of a conversation as a viewer sees it.
    pub(crate) async fn history(
        &self,
        viewer: Viewer,
        conversation: ConversationId,
    ) -> Result<Vec<Message>, Error> {
        self.store
            .history(viewer, conversation, Span::After(0), ALL)
            .await
    }

    /// The seqs of a user's history.
    pub(crate) async fn read(
        &self,
        user: UserId,
        conversation: ConversationId,
    ) -> Result<Vec<Seq>, Error> {
        let messages = self.history(Viewer::User(user), conversation).await?;
        Ok(messages.iter().map(|message| message.seq).collect())
    }

    pub(crate) async fn unread(
        &self,
        user: UserId,
        conversation: ConversationId,
    ) -> Result<u64, Error> {
        let entry = self.store.entry(user, conversation).await?;
        Ok(entry.member.unread(&entry.head))
    }

    /// All that is kept about some users and conversations, for comparing.
    pub(crate) async fn picture(
        &self,
        users: &[UserId],
        conversations: &[ConversationId],
    ) -> Result<Picture, Violation> {
        let feed = self.store.feed(0, ALL).await?;
        let mut picture = Picture {
            // Positions are the store's own affair.
            feed: feed.into_iter().map(|entry| entry.event).collect(),
            ..Picture::default()
        };
        for &id in conversations {
            let log = self.log(Viewer::All, id).await?;
            let members = self.store.members(Viewer::All, id, None, ALL).await?;
            let messages = self.history(Viewer::All, id).await?;
            picture.conversations.insert(id, (log, members, messages));
        }
        for &user in users {
            let log = self.log(Viewer::User(user), user).await?;
            let inbox = self.store.inbox(user, None, ALL).await?;
            picture.users.insert(user, (log, inbox));
        }
        Ok(picture)
    }
}

type Entries = Vec<(Seq, Option<Event>)>;

/// What is kept, read by every way out.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Picture {
    conversations: BTreeMap<ConversationId, (Entries, Vec<Member>, Vec<Message>)>,
    users: BTreeMap<UserId, (Entries, Vec<InboxEntry>)>,
    feed: Vec<Event>,
}

/// The conversation a write was about.
pub(crate) fn created(done: &Committed) -> Result<ConversationId, Violation> {
    done.conversation
        .ok_or_else(|| Violation::new("a write to a conversation names none"))
}

/// Fails a law unless something was refused in one of these ways.
pub(crate) fn refused<T: std::fmt::Debug>(
    what: &str,
    result: Result<T, Error>,
    kinds: &[ErrorKind],
) -> Result<(), Violation> {
    match result {
        Err(error) if kinds.contains(&error.kind()) => Ok(()),
        other => Err(Violation::new(format!(
            "{what}: found {other:?}, expected {kinds:?}"
        ))),
    }
}
