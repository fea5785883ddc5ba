//! One login at a terminal: what is typed, what is shown, and what happens meanwhile.

mod commands;
mod news;
mod pages;

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use chat_client::protocol::{Message, Written};
use chat_client::{Client, ConversationId, Error, Events, Incoming, Seq, UserId};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;

use crate::input::{Keyboard, Typed};
use crate::screen::{Screen, clean, short};

/// Typing is told, and shown, no more often.
const TYPING: Duration = Duration::from_secs(4);

type Sending<'a> =
    FuturesUnordered<std::pin::Pin<Box<dyn Future<Output = Result<Written, Error>> + 'a>>>;

pub(crate) struct App<'a> {
    client: Client,
    screen: &'a mut Screen,
    names: HashMap<UserId, String>,
    titles: HashMap<ConversationId, String>,
    /// As last listed.
    list: Vec<ConversationId>,
    open: Option<ConversationId>,
    /// Of the open conversation.
    messages: BTreeMap<Seq, Message>,
    /// How far others have read it, as shown.
    read: HashMap<UserId, Seq>,
    unread: HashMap<ConversationId, u64>,
    typed: Option<Instant>,
    typing: HashMap<UserId, Instant>,
    lost: bool,
}

impl<'a> App<'a> {
    pub(crate) fn new(client: Client, user: String, screen: &'a mut Screen) -> Self {
        let names = HashMap::from([(client.user(), user)]);
        Self {
            client,
            screen,
            names,
            titles: HashMap::new(),
            list: Vec::new(),
            open: None,
            messages: BTreeMap::new(),
            read: HashMap::new(),
            unread: HashMap::new(),
            typed: None,
            typing: HashMap::new(),
            lost: false,
        }
    }

    pub(crate) async fn run(
        &mut self,
        mut events: Events,
        keyboard: &mut Keyboard,
    ) -> Result<(), Error> {
        let me = self.names[&self.client.user()].clone();
        self.screen.say(&format!(
            "Welcome, {}. /help tells what can be done.",
            clean(&me)
        ));
        if let Err(error) = self.show_list().await {
            self.screen.error(&error.to_string());
        }
        let mut sending = Sending::new();
        keyboard.prompt(&self.prompt());
        loop {
            tokio::select! {
                typed = keyboard.next() => match typed {
                    Typed::End => return self.leave(sending).await,
                    Typed::Typing => self.tell_typing(),
                    Typed::Line(line, rows) => {
                        if line.trim() == "/quit" {
                            return self.leave(sending).await;
                        }
                        if !line.starts_with('/') || line.starts_with("//") {
                            self.screen.erase(rows);
                        }
                        match self.line(line.trim()).await {
                            Ok(Some(request)) => {
                                let sent = self.client.write(request);
                                sending.push(Box::pin(sent));
                            }
                            Ok(None) => {}
                            Err(error) => self.screen.error(&error.to_string()),
                        }
                        keyboard.prompt(&self.prompt());
                    }
                },
                Some(incoming) = events.next() => {
                    if let Incoming::Stopped(why) = incoming {
                        self.screen.error(&why.to_string());
                        self.screen.note("Press Enter to leave.");
                        // The line that is being typed has the terminal: it must be given back first.
                        while matches!(keyboard.next().await, Typed::Typing) {}
                        return Err(why);
                    }
                    self.incoming(incoming).await;
                }
                Some(sent) = sending.next() => {
                    if let Err(error) = sent {
                        self.screen.error(&format!("Not done: {error}"));
                    }
                }
            }
        }
    }

    /// Waits a little for what was typed last to be stored.
    async fn leave(&mut self, mut sending: Sending<'_>) -> Result<(), Error> {
        let all = async { while sending.next().await.is_some() {} };
        let stored = tokio::time::timeout(Duration::from_secs(3), all).await;
        if stored.is_err() {
            self.screen
                .error("What was sent last may not have been stored.");
        }
        self.client.close();
        // Lets the last frames go.
        tokio::time::sleep(Duration::from_millis(50)).await;
        Ok(())
    }

    fn prompt(&self) -> String {
        let title = self.open.and_then(|open| self.titles.get(&open));
        title.map_or_else(
            || "> ".to_owned(),
            |title| format!("{}> ", short(title, 24)),
        )
    }

    fn tell_typing(&mut self) {
        let due = self.typed.is_none_or(|at| at.elapsed() >= TYPING);
        if let Some(open) = self.open
            && due
        {
            self.typed = Some(Instant::now());
            self.client.signal(open, "typing", None);
        }
    }
}
