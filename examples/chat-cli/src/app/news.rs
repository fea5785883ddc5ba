//! What happens meanwhile, here and in conversations that are not open.

use std::time::Instant;

use chat_client::protocol::{Event, Message, What};
use chat_client::{Incoming, LogId, Seq};

use super::{App, TYPING};
use crate::screen::{name, short};

/// Messages of the open conversation that are remembered, for replies.
const REMEMBERED: usize = 500;

impl App<'_> {
    pub(super) async fn incoming(&mut self, incoming: Incoming) {
        match incoming {
            Incoming::Event(event) => self.event(*event).await,
            Incoming::Connected(_) if std::mem::take(&mut self.lost) => {
                self.screen.note("○ connected again");
            }
            Incoming::Disconnected { why, retry_in } => {
                self.lost = true;
                let why = short(&why.to_string(), 100);
                let wait = retry_in.as_secs_f32();
                self.screen
                    .note(&format!("○ {why}; trying again in {wait:.1} s"));
            }
            Incoming::Resync { log, .. } => {
                let here = self.open.map(LogId::Conversation) == Some(log);
                if here && self.messages.pop_first().is_some() {
                    self.messages.clear();
                    self.screen
                        .note("○ much has happened; here is how it stands");
                    if let Err(error) = self.older().await {
                        self.screen.error(&error.to_string());
                    }
                }
            }
            Incoming::Signal(signal)
                if Some(signal.conversation) == self.open && signal.kind == "typing" =>
            {
                let last = self.typing.insert(signal.user, Instant::now());
                if last.is_none_or(|at| at.elapsed() >= 2 * TYPING) {
                    let who = self.named(signal.user).await;
                    self.screen
                        .say(&format!("          {who} \x1b[2mis typing …\x1b[0m"));
                }
            }
            Incoming::Receipt(receipt)
                if Some(receipt.conversation) == self.open
                    && receipt.user != self.client.user() =>
            {
                let before = self.read.insert(receipt.user, receipt.read).unwrap_or(0);
                let me = Some(self.client.user());
                let last = self
                    .messages
                    .values()
                    .rev()
                    .find(|message| message.sender == me);
                let last = last.map_or(Seq::MAX, |message| message.id);
                if before < last && receipt.read >= last {
                    let who = self.named(receipt.user).await;
                    self.screen
                        .say(&format!("          \x1b[2m✓ read by\x1b[0m {who}"));
                }
            }
            Incoming::Presence(presence) => {
                let who = self.named(presence.user).await;
                let state = if presence.online {
                    "is here"
                } else {
                    "is away"
                };
                self.screen
                    .say(&format!("          {who} \x1b[2m{state}\x1b[0m"));
            }
            _ => {}
        }
    }

    async fn event(&mut self, event: Event) {
        let LogId::Conversation(conversation) = event.log else {
            return;
        };
        let by = event.by.and_then(|by| by.actor);
        if Some(conversation) != self.open {
            if let What::Posted(posted) = event.what {
                self.elsewhere(&posted.message).await;
            }
            return;
        }
        if let Some(by) = by {
            self.named(by).await;
        }
        let who = self.known(by);
        match event.what {
            What::Posted(posted) => {
                let message = posted.message;
                if !self.messages.contains_key(&message.id) {
                    if let Some(sender) = message.sender {
                        self.typing.remove(&sender);
                    }
                    self.show(&message);
                    self.messages.insert(message.id, message);
                }
                if self.messages.len() > REMEMBERED {
                    self.messages.pop_first();
                }
                self.mark(event.seq);
            }
            What::Edited(edited) => {
                self.show(&edited.message);
                self.messages.insert(edited.message.id, edited.message);
            }
            What::Deleted(deleted) => {
                self.messages.remove(&deleted.message);
                let line = format!("          {who} \x1b[2mdeleted #{}\x1b[0m", deleted.message);
                self.screen.say(&line);
            }
            What::Reacted(reacted) => {
                let (emoji, message) = (short(&reacted.emoji, 16), reacted.message);
                let verb = if reacted.on { "" } else { "no more " };
                let line = format!("          {who} \x1b[2m{verb}{emoji} on #{message}\x1b[0m");
                self.screen.say(&line);
            }
            What::Joined(joined) => {
                let who = self.named(joined.user).await;
                self.screen
                    .say(&format!("          {who} \x1b[2mjoined\x1b[0m"));
            }
            What::Left(left) => {
                let who = self.named(left.user).await;
                self.screen
                    .say(&format!("          {who} \x1b[2mleft\x1b[0m"));
            }
            What::Configured(configured) => {
                let title = short(configured.title.as_deref().unwrap_or_default(), 50);
                self.screen
                    .say(&format!("          \x1b[2mnow called\x1b[0m {title}"));
            }
            _ => {}
        }
    }

    /// A message of a conversation that is not open.
    async fn elsewhere(&mut self, message: &Message) {
        if message.sender == Some(self.client.user()) {
            return;
        }
        let id = message.conversation;
        self.know(message).await;
        if !self.titles.contains_key(&id)
            && let Ok(entry) = self.client.conversation(id).await
        {
            self.title(&entry);
        }
        let unread = self.unread.entry(id).or_default();
        *unread += 1;
        if !self.list.contains(&id) {
            self.list.push(id);
        }
        let place = self.list.iter().position(|listed| *listed == id);
        let place = place.unwrap_or_default() + 1;
        let title = name(self.titles.get(&id).map_or("?", |title| title), id.get());
        let text = short(message.text.as_deref().unwrap_or_default(), 50);
        self.screen.say(&format!(
            "\x1b[1;33m●\x1b[0m {title}  {text}  \x1b[2m/open {place}\x1b[0m"
        ));
    }

    /// What is shown is read.
    pub(super) fn mark(&mut self, seq: Seq) {
        if let Some(open) = self.open {
            self.unread.remove(&open);
            self.client.read(open, seq);
        }
    }
}
