//! What one user has of all conversations: as a fresh load gives it, and as the model knows it.

use std::collections::BTreeMap;

use super::compare::counted;
use super::naive::Naive;
use crate::conformance::Violation;
use crate::protocol::{
    GetHistory, GetMembers, GetUser, Heads, Message, OfConversation, Reply, Request, execute,
};
use crate::{
    Actor, Chat, ConversationId, Error, ErrorKind, History, Identity, Role, Seq, Timestamp, UserId,
};

/// Everything that a client shows, and nothing that says how it came to know.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct View {
    /// One's own name.
    pub(super) name: String,
    /// The conversations whose member one is.
    pub(super) talks: BTreeMap<ConversationId, Talk>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Talk {
    pub(super) title: Option<String>,
    pub(super) history: History,
    pub(super) members: BTreeMap<UserId, Role>,
    /// Of messages that one sees.
    pub(super) pins: Vec<Seq>,
    pub(super) messages: BTreeMap<Seq, Seen>,
    pub(super) read: Seq,
    pub(super) unread: usize,
    pub(super) muted: Option<Timestamp>,
    pub(super) archived: bool,
    pub(super) listed: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Seen {
    pub(super) number: u64,
    pub(super) sender: Option<UserId>,
    /// `None`: erased.
    pub(super) text: Option<String>,
    pub(super) revision: u32,
    pub(super) reply_to: Option<Seq>,
    pub(super) mentions: Vec<UserId>,
    pub(super) reactions: Vec<(String, u32)>,
}

impl From<Message> for Seen {
    fn from(message: Message) -> Self {
        let reactions = message.reactions.into_iter();
        Self {
            number: message.number,
            sender: message.sender,
            text: message.text,
            revision: message.revision,
            reply_to: message.reply_to,
            mentions: message.mentions,
            reactions: reactions.map(|each| (each.emoji, each.count)).collect(),
        }
    }
}

pub(super) fn unexpected(reply: &Reply) -> Violation {
    Violation::new(format!("a read was answered with {reply:?}"))
}

/// The conversations of a user with their heads, and the head of the user's own log.
pub(super) async fn heads(
    chat: &Chat,
    me: &Identity,
) -> Result<(Seq, Vec<(ConversationId, Seq)>), Violation> {
    let (mut after, mut heads, mut own) = (None, Vec::new(), None);
    loop {
        let ask = Heads {
            after,
            limit: Some(3),
        };
        let page = match execute(chat, me, Request::Heads(ask)).await? {
            Reply::Heads(page) => page,
            other => return Err(unexpected(&other)),
        };
        // What was so first: the rest may be newer, and comes again.
        let own = *own.get_or_insert(page.user);
        heads.extend(page.heads.iter().map(|head| (head.conversation, head.seq)));
        after = page.next;
        if after.is_none() {
            return Ok((own, heads));
        }
    }
}

/// A conversation as it stands now, with its head; `None` to whom is no member.
pub(super) async fn load(
    chat: &Chat,
    me: &Identity,
    conversation: ConversationId,
) -> Result<Option<(Seq, Talk)>, Violation> {
    match load_all(chat, me, conversation).await {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        other => Ok(other?),
    }
}

async fn load_all(
    chat: &Chat,
    me: &Identity,
    conversation: ConversationId,
) -> Result<Option<(Seq, Talk)>, Error> {
    let other = || Error::internal("a read was answered with something else");
    let ask = OfConversation { conversation };
    let entry = match execute(chat, me, Request::Conversation(ask)).await? {
        Reply::Conversation(reply) => *reply.entry,
        _ => return Err(other()),
    };
    if entry.me.role.is_none() {
        return Ok(None);
    }
    let mut messages = BTreeMap::new();
    let mut before = None;
    loop {
        let ask = GetHistory {
            conversation,
            before,
            after: None,
            limit: Some(20),
        };
        let page = match execute(chat, me, Request::History(ask)).await? {
            Reply::History(page) => page.messages,
            _ => return Err(other()),
        };
        let Some(first) = page.first() else { break };
        before = Some(first.id);
        messages.extend(page.into_iter().map(|m| (m.id, Seen::from(m))));
    }
    let mut members = BTreeMap::new();
    let mut after = None;
    loop {
        let ask = GetMembers {
            conversation,
            after,
            limit: Some(3),
        };
        let page = match execute(chat, me, Request::Members(ask)).await? {
            Reply::Members(page) => page,
            _ => return Err(other()),
        };
        let current = page.members.into_iter();
        members.extend(current.filter_map(|member| Some((member.user, member.role?))));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    let mut pins = entry.conversation.pins;
    pins.retain(|pin| messages.contains_key(pin));
    let talk = Talk {
        title: entry.conversation.title,
        history: entry.conversation.history,
        members,
        pins,
        messages,
        read: entry.me.read,
        unread: usize::try_from(entry.me.unread).unwrap_or(usize::MAX),
        muted: entry.me.muted_until.map(|until| until.0),
        archived: entry.me.archived,
        listed: entry.me.listed,
    };
    Ok(Some((entry.head, talk)))
}

/// One's own name as it is now.
pub(super) async fn name(chat: &Chat, me: &Identity) -> Result<String, Violation> {
    match execute(chat, me, Request::User(GetUser { user: me.user })).await? {
        Reply::User(reply) => Ok(reply.user.name),
        other => Err(unexpected(&other)),
    }
}

/// All of it, from the store.
pub(super) async fn fresh(chat: &Chat, me: &Identity) -> Result<View, Violation> {
    let mut view = View {
        name: name(chat, me).await?,
        ..View::default()
    };
    for (id, _) in heads(chat, me).await?.1 {
        if let Some((_, talk)) = load(chat, me, id).await? {
            view.talks.insert(id, talk);
        }
    }
    Ok(view)
}

/// All of it, as the model knows it.
pub(super) fn expected(model: &Naive, user: UserId) -> View {
    let mut view = View {
        name: model.people[&user].name.clone(),
        ..View::default()
    };
    for (&id, talk) in &model.talks {
        let Some(me) = talk.members.get(&user).filter(|me| me.role.is_some()) else {
            continue;
        };
        let mut messages = BTreeMap::new();
        let (mut unread, mut last) = (0, 0);
        for ((seq, entry, post), number) in talk.posts().zip(1..) {
            unread += usize::from(seq > me.read);
            last = seq;
            let sender = match entry.actor {
                Actor::User(user) => Some(user),
                Actor::Host => None,
            };
            let seen = Seen {
                number,
                sender,
                text: post.text.clone(),
                revision: post.revision,
                reply_to: post.reply_to,
                mentions: post.mentions.clone(),
                reactions: counted(post),
            };
            if me.sees.contains(&seq) {
                messages.insert(seq, seen);
            }
        }
        let mut pins = talk.pins.clone();
        pins.retain(|pin| messages.contains_key(pin));
        let is_listed = me.hidden == 0 || last > me.hidden;
        let seen = Talk {
            title: talk.title.clone(),
            history: talk.history,
            members: talk.current().collect(),
            pins,
            messages,
            read: me.read,
            unread,
            muted: me.muted,
            archived: me.archived,
            listed: is_listed,
        };
        view.talks.insert(id, seen);
    }
    view
}
