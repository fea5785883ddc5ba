//! Users in one group, over any store.

use std::sync::Arc;

use chat_core::{
    Actor, Change, Chat, Committed, ConversationId, Error, History, Limits, Prepared, Role, Store,
    Target, UserId, Write,
};

use crate::Outcome;

/// 128 bytes, as in the load generator.
pub(crate) const TEXT: &str = "The quick brown fox jumps over the lazy dog, again and again, \
    until the message has the size that all measure with: 128 bytes...";
/// Writes committed at once, and members named by one write.
const AT_ONCE: usize = 512;

/// A chat with users who are all in one group.
pub(crate) struct Crowd {
    pub(crate) chat: Chat,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) users: Vec<UserId>,
    pub(crate) group: ConversationId,
}

fn none() -> Error {
    Error::internal("a write named nothing")
}

/// Past the queue of the chat: nobody is told.
pub(crate) async fn commit(store: &dyn Store, writes: Vec<Write>) -> Outcome<Vec<Committed>> {
    let prepared = |write| Prepared {
        write,
        digest: [0; 16],
    };
    let mut done = Vec::with_capacity(writes.len());
    let mut writes = writes.into_iter().map(prepared).peekable();
    while writes.peek().is_some() {
        let group = writes.by_ref().take(AT_ONCE).collect();
        for result in store.commit(group).await {
            done.push(result?);
        }
    }
    Ok(done)
}

impl Crowd {
    pub(crate) async fn new(store: Arc<dyn Store>, users: usize) -> Outcome<Self> {
        let named = |number: usize| {
            let (provider, subject) = ("bench".to_owned(), number.to_string());
            Write::new(Actor::Host, Target::Subject { provider, subject }, vec![])
        };
        let made = commit(&*store, (0..users).map(named).collect()).await?;
        let users: Vec<UserId> = made
            .into_iter()
            .map(|done| done.user.ok_or_else(none))
            .collect::<Result<_, _>>()?;
        let (first, others) = users.split_at(users.len().min(AT_ONCE));
        let create = Change::Create {
            title: None,
            data: None,
            managed: true,
            history: History::default(),
            members: first.iter().map(|user| (*user, Role::Member)).collect(),
        };
        let create = Write::new(Actor::Host, Target::Group, vec![create]);
        let made = commit(&*store, vec![create]).await?;
        let group = made.first().and_then(|done| done.conversation);
        let group = group.ok_or_else(none)?;
        for members in others.chunks(AT_ONCE) {
            let role = Role::Member;
            let add = |user: &UserId| Change::Add { user: *user, role };
            let changes = members.iter().map(add).collect();
            let add = Write::new(Actor::Host, Target::Conversation(group), changes);
            commit(&*store, vec![add]).await?;
        }
        let mut limits = Limits::default();
        limits.message_rate = 0.0;
        // The benchmarks resume more than devices should.
        limits.resume_gap = 20_000;
        let chat = Chat::builder(Arc::clone(&store)).limits(limits).build();
        Ok(Self {
            chat,
            store,
            users,
            group,
        })
    }

    /// A message of the first user in the group.
    pub(crate) fn post(&self) -> Write {
        Write::post(self.users[0], Target::Conversation(self.group), TEXT)
    }
}
