//! What is shown on demand: conversations, their messages and members, and what a search finds.

use std::time::Duration;

use chat_client::protocol::{self, Entry, GetHistory, GetMembers, Message, Search, To};
use chat_client::{ConversationId, Error, UserId};

use super::App;
use crate::screen::{clean, name, short};

/// How many are shown at once.
const PAGE: u32 = 20;

impl App<'_> {
    pub(super) fn title(&mut self, entry: &Entry) -> String {
        let conversation = &entry.conversation;
        let title = match (&entry.peer, &conversation.title) {
            (Some(peer), _) => {
                self.names.insert(peer.id, peer.name.clone());
                peer.name.clone()
            }
            (None, Some(title)) => title.clone(),
            (None, None) => format!("conversation {}", conversation.id),
        };
        self.titles.insert(conversation.id, title.clone());
        title
    }

    pub(super) async fn show_list(&mut self) -> Result<(), Error> {
        let page = self.client.inbox(protocol::Inbox::default()).await?;
        self.list = page
            .entries
            .iter()
            .map(|entry| entry.conversation.id)
            .collect();
        if page.entries.is_empty() {
            self.screen
                .note("No conversations yet: /open somebody by their name.");
        }
        for (place, entry) in page.entries.iter().enumerate() {
            let title = self.title(entry);
            self.unread.insert(entry.conversation.id, entry.me.unread);
            let unread = match entry.me.unread {
                0 => String::new(),
                count => format!(" \x1b[1;33m● {count}\x1b[0m"),
            };
            let last = entry
                .last
                .as_ref()
                .and_then(|message| message.text.as_deref());
            let last = short(last.unwrap_or_default(), 50);
            let title = name(&title, entry.conversation.id.get());
            self.screen.say(&format!(
                "{:>3}  {title}{unread}  \x1b[2m{last}\x1b[0m",
                place + 1
            ));
        }
        if page.next.is_some() {
            self.screen.note("     … and older ones");
        }
        Ok(())
    }

    pub(super) async fn open(&mut self, wanted: &str) -> Result<(), Error> {
        let wanted = wanted.trim_start_matches('@');
        let listed = wanted.parse::<usize>().ok().filter(|place| *place > 0);
        let id = match listed.and_then(|place| self.list.get(place - 1)) {
            Some(id) => *id,
            None if wanted.is_empty() => return Err(Error::Invalid("open whom?".to_owned())),
            None => self.direct(wanted).await?,
        };
        let entry = self.client.conversation(id).await?;
        let title = self.title(&entry);
        self.open = Some(id);
        self.messages.clear();
        self.read.clear();
        self.screen
            .say(&format!("── {} ──", name(&title, id.get())));
        if let Some(peer) = &entry.peer {
            // Lossy and in the background: not worth an error.
            let watched = self.client.watch(vec![peer.id]);
            let _ = tokio::time::timeout(Duration::from_secs(2), watched).await;
        }
        self.older().await?;
        self.mark(entry.head);
        Ok(())
    }

    /// The direct conversation with somebody.
    async fn direct(&mut self, wanted: &str) -> Result<ConversationId, Error> {
        let person = self.person(wanted).await?;
        let mut after = None;
        loop {
            let limit = None;
            let page = self.client.inbox(protocol::Inbox { after, limit }).await?;
            let with = |entry: &&Entry| entry.peer.as_ref().is_some_and(|peer| peer.id == person);
            if let Some(entry) = page.entries.iter().find(with) {
                return Ok(entry.conversation.id);
            }
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        // A first message makes it.
        let hello = self.client.post(To::User(person), "👋").await?;
        let nowhere = || Error::Invalid("there is no such conversation".to_owned());
        hello.conversation.ok_or_else(nowhere)
    }

    pub(super) async fn older(&mut self) -> Result<(), Error> {
        let conversation = self.here()?;
        let before = self.messages.keys().next().copied();
        let (after, limit) = (None, Some(PAGE));
        let ask = GetHistory {
            conversation,
            before,
            after,
            limit,
        };
        let page = self.client.history(ask).await?;
        if page.messages.is_empty() {
            self.screen.note("  (nothing older)");
        }
        for message in page.messages {
            self.know(&message).await;
            self.show(&message);
            self.messages.insert(message.id, message);
        }
        Ok(())
    }

    pub(super) async fn members(&mut self) -> Result<(), Error> {
        let (conversation, after, limit) = (self.here()?, None, None);
        let ask = GetMembers {
            conversation,
            after,
            limit,
        };
        for member in self.client.members(ask).await?.members {
            if let Some(role) = member.role {
                let who = self.named(member.user).await;
                let role = format!("{role:?}").to_lowercase();
                self.screen.say(&format!("  {who} \x1b[2m{role}\x1b[0m"));
            }
        }
        Ok(())
    }

    pub(super) async fn search(&mut self, words: &str) -> Result<(), Error> {
        let ask = Search {
            text: words.to_owned(),
            conversation: None,
            before: None,
            limit: Some(PAGE),
        };
        let page = self.client.search(ask).await?;
        if page.messages.is_empty() {
            self.screen.note("  (nothing found)");
        }
        for message in page.messages {
            self.know(&message).await;
            let title = self.titles.get(&message.conversation);
            let title = short(title.map_or("?", |title| title), 24);
            self.screen.note(&format!("in {title}:"));
            self.show(&message);
        }
        Ok(())
    }

    /// Learns the name of who wrote it.
    pub(super) async fn know(&mut self, message: &Message) {
        if let Some(sender) = message.sender {
            self.named(sender).await;
        }
    }

    pub(super) async fn named(&mut self, user: UserId) -> String {
        if !self.names.contains_key(&user) {
            let found = self.client.profile(user).await;
            let known = found.map_or_else(|_| format!("user {user}"), |user| user.name);
            self.names.insert(user, known);
        }
        name(&self.names[&user], user.get())
    }

    pub(super) fn known(&self, user: Option<UserId>) -> String {
        match user {
            None => "\x1b[1m—\x1b[0m".to_owned(),
            Some(user) if user == self.client.user() => "\x1b[1;36myou\x1b[0m".to_owned(),
            Some(user) => {
                let known = self.names.get(&user).map_or("?", |name| name);
                name(known, user.get())
            }
        }
    }

    pub(super) fn show(&mut self, message: &Message) {
        let id = message.id;
        if let Some(answered) = message.reply_to {
            let quoted = self.messages.get(&answered);
            let text = quoted.and_then(|message| message.text.as_deref());
            let text = short(text.unwrap_or("…"), 50);
            self.screen.note(&format!("          ╭ #{answered} {text}"));
        }
        let text = match &message.text {
            Some(text) => clean(text),
            None => "\x1b[2m(deleted)\x1b[0m".to_owned(),
        };
        let edited = if message.revision > 0 && !message.deleted {
            " \x1b[2m(edited)\x1b[0m"
        } else {
            ""
        };
        let reactions: String = message
            .reactions
            .iter()
            .map(|reaction| format!("  {} {}", short(&reaction.emoji, 16), reaction.count))
            .collect();
        let who = self.known(message.sender);
        let at = clock(message.at.0.millis());
        self.screen.say(&format!(
            "\x1b[2m{at} #{id:<3}\x1b[0m {who}  {text}{edited}\x1b[33m{reactions}\x1b[0m"
        ));
    }
}

/// The hour and minute here.
fn clock(millis: i64) -> String {
    let at = jiff::Timestamp::from_millisecond(millis).unwrap_or_default();
    let at = at.to_zoned(jiff::tz::TimeZone::system());
    at.strftime("%H:%M").to_string()
}
