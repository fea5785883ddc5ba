//! Reads a whole store, and checks in it what the laws say of any store.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::Debug;

use chat_core::rules::{Row, RowKey};
use chat_core::{
    Conversation, ConversationId, ConversationKind, Error, Event, EventKind, FeedEntry, Head,
    LogId, Message, Seq, Span, Store, UserId, Viewer,
};

/// All that is in a store.
#[derive(Default)]
pub(crate) struct Survey {
    pub(crate) feed: BTreeMap<u64, FeedEntry>,
    pub(crate) messages: BTreeMap<(ConversationId, Seq), Message>,
    /// How laws are broken.
    pub(crate) broken: Vec<String>,
}

/// Entries of a page; more than any list here has.
const ALL: usize = 1_000_000;

impl Survey {
    /// Reads everything there is.
    pub(crate) async fn of(store: &dyn Store) -> Result<Self, Error> {
        let mut survey = Self::default();
        let logs = survey.read_feed(store).await?;
        let mut members: BTreeSet<(ConversationId, UserId)> = BTreeSet::new();
        let mut added = BTreeSet::new();
        let mut kinds = HashMap::new();
        let mut named = HashMap::new();
        for (log, events) in &logs {
            survey.compare_log(store, *log, events).await?;
            match *log {
                LogId::Conversation(id) => {
                    let conversation = survey.conversation(store, id, events).await?;
                    let Some((conversation, now)) = conversation else {
                        continue;
                    };
                    if let ConversationKind::Direct(..) = conversation.kind {
                        let other = kinds.insert(conversation.kind, id);
                        survey.same(&other, &None, "another direct conversation of the pair");
                    }
                    if let Some(key) = conversation.key {
                        let found = store.rows(vec![RowKey::Named(key.clone())]).await?;
                        survey.same(&found, &vec![Some(Row::Named(id))], "by name");
                        let other = named.insert(key, id);
                        survey.same(&other, &None, "another conversation of the name");
                    }
                    members.extend(now.into_iter().map(|user| (id, user)));
                }
                LogId::User(user) => {
                    let mut now = BTreeSet::new();
                    for event in events {
                        match event.kind {
                            EventKind::Added { conversation, .. } => {
                                let is_new = now.insert(conversation);
                                survey.same(&is_new, &true, "added to what one is not in");
                            }
                            EventKind::Removed { conversation, .. } => {
                                now.remove(&conversation);
                            }
                            _ => {}
                        }
                    }
                    let head = head(store, *log).await?;
                    survey.same(
                        &head.ordinal,
                        &(now.len() as u64),
                        "conversations of a user",
                    );
                    added.extend(now.into_iter().map(|id| (id, user)));
                }
            }
        }
        survey.same(
            &added,
            &members,
            "users' logs, beside those of conversations",
        );
        Ok(survey)
    }

    fn breaks(&mut self, how: String) {
        self.broken.push(how);
    }

    fn same<T: PartialEq + Debug>(&mut self, found: &T, expected: &T, what: &str) {
        if found != expected {
            self.breaks(format!("{what}: found {found:?}, expected {expected:?}"));
        }
    }

    /// The logs as the feed tells them: law 1, and that the feed is whole.
    async fn read_feed(&mut self, store: &dyn Store) -> Result<BTreeMap<LogId, Vec<Event>>, Error> {
        let mut logs: BTreeMap<LogId, Vec<Event>> = BTreeMap::new();
        let mut after = 0;
        loop {
            let page = store.feed(after, 1000).await?;
            if page.is_empty() {
                return Ok(logs);
            }
            for entry in page {
                if entry.position <= after {
                    self.breaks(format!("position {} after {after}", entry.position));
                    return Ok(logs);
                }
                after = entry.position;
                let log = logs.entry(entry.event.log).or_default();
                let next = log.len() as Seq + 1;
                self.same(&entry.event.seq, &next, "the next seq of a log in the feed");
                log.push(entry.event.clone());
                self.feed.insert(after, entry);
            }
        }
    }

    /// The log itself, beside what the feed said of it.
    async fn compare_log(
        &mut self,
        store: &dyn Store,
        log: LogId,
        events: &[Event],
    ) -> Result<(), Error> {
        let viewer = match log {
            LogId::Conversation(_) => Viewer::All,
            LogId::User(user) => Viewer::User(user),
        };
        let page = store.log(viewer, log, 0, ALL).await?;
        self.same(&page.head, &(events.len() as Seq), "the head of a log");
        self.same(&page.resync, &None, "a whole log");
        let expected: Vec<_> = events.iter().map(|e| (e.seq, Some(e.clone()))).collect();
        self.same(&page.entries, &expected, "a log beside the feed");
        let head = head(store, log).await?;
        self.same(&head.seq, &page.head, "the row of a log's head");
        Ok(())
    }

    /// A conversation with its members, by its rows and by its log.
    async fn conversation(
        &mut self,
        store: &dyn Store,
        id: ConversationId,
        events: &[Event],
    ) -> Result<Option<(Conversation, BTreeSet<UserId>)>, Error> {
        let mut now = BTreeSet::new();
        for event in events {
            match &event.kind {
                EventKind::Created { members, .. } => {
                    now.extend(members.iter().map(|member| member.0));
                }
                EventKind::Joined { user, .. } => {
                    now.insert(*user);
                }
                EventKind::Left { user } => {
                    now.remove(user);
                }
                _ => {}
            }
        }
        let members = store.members(Viewer::All, id, None, ALL).await?;
        let by_rows = (members.iter().filter(|member| member.role.is_some()))
            .map(|member| member.user)
            .collect();
        self.same(&now, &by_rows, "members by the log, and by rows");
        let history = store.history(Viewer::All, id, Span::After(0), ALL).await?;
        let ordinals: Vec<u64> = history.iter().map(|message| message.ordinal).collect();
        let expected: Vec<u64> = (1..=history.len() as u64).collect();
        self.same(&ordinals, &expected, "ordinals");
        let head = head(store, id.into()).await?;
        self.same(&head.ordinal, &(history.len() as u64), "the last ordinal");
        let posted = (events.iter()).filter(|event| event.kind == EventKind::Posted);
        let posted: Vec<Seq> = posted.map(|event| event.seq).collect();
        let seqs: Vec<Seq> = history.iter().map(|message| message.seq).collect();
        self.same(&seqs, &posted, "messages by the log, and by the history");
        (self.messages).extend(
            history
                .into_iter()
                .map(|message| ((id, message.seq), message)),
        );
        match store.rows(vec![RowKey::Conversation(id)]).await?.pop() {
            Some(Some(Row::Conversation(conversation))) => {
                let count = u64::from(conversation.members);
                self.same(&count, &(now.len() as u64), "the count of members");
                Ok(Some((conversation, now)))
            }
            other => {
                self.breaks(format!("{id} is no conversation but {other:?}"));
                Ok(None)
            }
        }
    }
}

async fn head(store: &dyn Store, log: LogId) -> Result<Head, Error> {
    match store.rows(vec![RowKey::Head(log)]).await?.pop() {
        Some(Some(Row::Head(head))) => Ok(head),
        _ => Ok(Head::default()),
    }
}
