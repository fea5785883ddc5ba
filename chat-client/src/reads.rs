//! What a client asks for: pages, and all of them one after another.

use std::future::Future;

use chat_core::protocol::{
    Entry, EventsPage, FindUsers, GetHistory, GetLog, GetMembers, GetUser, HistoryPage, Inbox,
    InboxPage, MembersPage, Message, OfConversation, Reply, Request, Search, SearchPage, User,
};
use chat_core::{ConversationId, UserId};
use futures_util::stream::{self, BoxStream, StreamExt, TryStreamExt};

use crate::Error;
use crate::client::{Client, other_kind};

macro_rules! reads {
    ($( $(#[$doc:meta])* $name:ident($ask:ident: $request:ty) -> $kind:ident($page:ty); )*) => {$(
        $(#[$doc])*
        pub async fn $name(&self, ask: $request) -> Result<$page, Error> {
            match self.call(Request::$ask(ask)).await? {
                Reply::$kind(page) => Ok(page),
                _ => Err(other_kind()),
            }
        }
    )*};
}

impl Client {
    reads! {
        /// A page of one's conversations, latest activity first. [`Client::conversations`] gives all of them.
        ///
        /// ```no_run
        /// # use chat_client::{Client, Error, protocol::Inbox};
        /// # async fn example(client: Client) -> Result<(), Error> {
        /// for entry in client.inbox(Inbox::default()).await?.entries {
        ///     println!("{} unread in {}", entry.me.unread, entry.conversation.id);
        /// }
        /// # Ok(())
        /// # }
        /// ```
        ///
        /// # Errors
        /// [`Error::Refused`], [`Error::Full`], [`Error::Closed`], as of all reads.
        inbox(Inbox: Inbox) -> Inbox(InboxPage);

        /// A page of messages, oldest first. [`Client::messages`] gives all of them.
        ///
        /// ```no_run
        /// # use chat_client::{Client, ConversationId, Error, protocol::GetHistory};
        /// # async fn example(client: Client, conversation: ConversationId) -> Result<(), Error> {
        /// let last = GetHistory { conversation, before: None, after: None, limit: Some(20) };
        /// for message in client.history(last).await?.messages {
        ///     println!("{}: {}", message.id, message.text.unwrap_or_default());
        /// }
        /// # Ok(())
        /// # }
        /// ```
        ///
        /// # Errors
        /// As [`Client::inbox`].
        history(History: GetHistory) -> History(HistoryPage);

        /// A page of a log's events.
        ///
        /// ```no_run
        /// # use chat_client::{Client, Error, protocol::GetLog};
        /// # async fn example(client: Client) -> Result<(), Error> {
        /// let mine = GetLog { log: client.user().into(), after: 0, limit: None };
        /// println!("{} events", client.log(mine).await?.head);
        /// # Ok(())
        /// # }
        /// ```
        ///
        /// # Errors
        /// As [`Client::inbox`].
        log(Log: GetLog) -> Log(EventsPage);

        /// A page of a conversation's members, former ones included.
        ///
        /// ```no_run
        /// # use chat_client::{Client, ConversationId, Error, protocol::GetMembers};
        /// # async fn example(client: Client, conversation: ConversationId) -> Result<(), Error> {
        /// let first = GetMembers { conversation, after: None, limit: None };
        /// println!("{} members", client.members(first).await?.members.len());
        /// # Ok(())
        /// # }
        /// ```
        ///
        /// # Errors
        /// As [`Client::inbox`].
        members(Members: GetMembers) -> Members(MembersPage);

        /// A page of messages with certain words, newest first. [`Client::find_messages`] gives all of them.
        ///
        /// ```no_run
        /// # use chat_client::{Client, Error, protocol::Search};
        /// # async fn example(client: Client) -> Result<(), Error> {
        /// let words = Search { text: "invoice".to_owned(), conversation: None, before: None, limit: None };
        /// println!("{} found", client.search(words).await?.messages.len());
        /// # Ok(())
        /// # }
        /// ```
        ///
        /// # Errors
        /// As [`Client::inbox`]; [`Error::NotOffered`] by servers that do not search.
        search(Search: Search) -> Search(SearchPage);
    }

    /// One conversation as it stands in one's list.
    ///
    /// ```no_run
    /// # use chat_client::{Client, ConversationId, Error};
    /// # async fn example(client: Client, id: ConversationId) -> Result<(), Error> {
    /// println!("{} unread", client.conversation(id).await?.me.unread);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`Client::inbox`].
    pub async fn conversation(&self, conversation: ConversationId) -> Result<Entry, Error> {
        let ask = OfConversation { conversation };
        match self.call(Request::Conversation(ask)).await? {
            Reply::Conversation(reply) => Ok(*reply.entry),
            _ => Err(other_kind()),
        }
    }

    /// One user: oneself, or somebody one shares a conversation with.
    ///
    /// ```no_run
    /// # use chat_client::{Client, Error};
    /// # async fn example(client: Client) -> Result<(), Error> {
    /// println!("I am {}", client.profile(client.user()).await?.name);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`Client::inbox`].
    pub async fn profile(&self, user: UserId) -> Result<User, Error> {
        match self.call(Request::User(GetUser { user })).await? {
            Reply::User(reply) => Ok(reply.user),
            _ => Err(other_kind()),
        }
    }

    /// Other users by a part of their name, at most a page.
    ///
    /// ```no_run
    /// # use chat_client::{Client, Error};
    /// # async fn example(client: Client) -> Result<(), Error> {
    /// for user in client.find("ad").await? {
    ///     println!("{} {}", user.id, user.name);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`Client::inbox`].
    pub async fn find(&self, name: impl Into<String>) -> Result<Vec<User>, Error> {
        let name = name.into();
        match self.call(Request::Users(FindUsers { name })).await? {
            Reply::Users(page) => Ok(page.users),
            _ => Err(other_kind()),
        }
    }

    /// All of one's conversations, latest activity first, page by page as they are taken.
    ///
    /// ```no_run
    /// # use chat_client::{Client, Error};
    /// use futures_util::TryStreamExt;
    /// # async fn example(client: Client) -> Result<(), Error> {
    /// let all: Vec<_> = client.conversations().try_collect().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn conversations(&self) -> BoxStream<'_, Result<Entry, Error>> {
        pages(move |after| async move {
            let limit = None;
            let page = self.inbox(Inbox { after, limit }).await?;
            Ok((page.entries, page.next))
        })
    }

    /// All messages of a conversation, newest first, page by page as they are taken.
    ///
    /// ```no_run
    /// # use chat_client::{Client, ConversationId, Error};
    /// use futures_util::{StreamExt, TryStreamExt};
    /// # async fn example(client: Client, id: ConversationId) -> Result<(), Error> {
    /// let last: Vec<_> = client.messages(id).take(500).try_collect().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn messages(&self, conversation: ConversationId) -> BoxStream<'_, Result<Message, Error>> {
        pages(move |before| async move {
            let (after, limit) = (None, None);
            let ask = GetHistory {
                conversation,
                before,
                after,
                limit,
            };
            let mut messages = self.history(ask).await?.messages;
            messages.reverse();
            // The first one of all ends it.
            let oldest = messages.last().filter(|message| message.number > 1);
            let next = oldest.map(|message| message.id);
            Ok((messages, next))
        })
    }

    /// All messages with certain words, newest first, page by page as they are taken; in one conversation, or in all.
    ///
    /// ```no_run
    /// # use chat_client::{Client, Error};
    /// use futures_util::{StreamExt, TryStreamExt};
    /// # async fn example(client: Client) -> Result<(), Error> {
    /// let found: Vec<_> = client.find_messages("invoice", None).take(50).try_collect().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn find_messages(
        &self,
        text: impl Into<String>,
        conversation: Option<ConversationId>,
    ) -> BoxStream<'_, Result<Message, Error>> {
        let text = text.into();
        pages(move |before| {
            let (text, limit) = (text.clone(), None);
            async move {
                let ask = Search {
                    text,
                    conversation,
                    before,
                    limit,
                };
                let page = self.search(ask).await?;
                Ok((page.messages, page.next))
            }
        })
    }
}

/// Entries of pages, each page asked for when the one before was taken.
fn pages<'a, T, C, F, P>(page: F) -> BoxStream<'a, Result<T, Error>>
where
    T: Send + 'a,
    C: Send + 'a,
    F: Fn(Option<C>) -> P + Send + 'a,
    P: Future<Output = Result<(Vec<T>, Option<C>), Error>> + Send + 'a,
{
    let pages = stream::try_unfold((Some(None), page), |(ask, page)| async move {
        let Some(ask) = ask else { return Ok(None) };
        let (entries, next) = page(ask).await?;
        let entries = stream::iter(entries.into_iter().map(Ok));
        Ok(Some((entries, (next.map(Some), page))))
    });
    pages.try_flatten().boxed()
}
