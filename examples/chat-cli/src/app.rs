//! What is done with what is typed and what happens.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use chat_client::protocol::{
    self, Create, Delete, Edit, Entry, Event, GetHistory, GetMembers, Message, NewMember, Post,
    React, Request, Search, To, What, WriteKey, Written,
};
use chat_client::{
    Client, ConversationId, Error, Events, History, Incoming, LogId, Role, Seq, UserId,
};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;

use crate::input::{Keyboard, Typed};
use crate::screen::{Screen, clean, name, short};

const HELP: &str = "\
  /list                     your conversations
  /open 2 · /open bob       one of the list, or the person of that name
  /history                  older messages
  /reply 12 text            answer message 12
  /edit 12 text             change your message 12; /delete 12 takes it away
  /react 12 👍              /unreact 12 👍 takes it off
  /group Title ada bob      a new group
  /members                  who is here
  /search words             in all conversations
  /quit                     leave (as Ctrl-C does)
  anything else is sent to the open conversation; //text sends /text";

/// Messages of the open conversation that are remembered, for replies.
const REMEMBERED: usize = 500;
/// How many are shown at once.
const PAGE: u32 = 20;
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

    // What is typed.

    /// Does what a line says; gives the write it asks for.
    async fn line(&mut self, line: &str) -> Result<Option<Request>, Error> {
        let (command, rest) = match line.strip_prefix('/') {
            _ if line.is_empty() => return Ok(None),
            None => return self.post(line, None).map(Some),
            Some(text) if text.starts_with('/') => return self.post(text, None).map(Some),
            Some(command) => command.split_once(' ').unwrap_or((command, "")),
        };
        let rest = rest.trim();
        match command {
            "help" => self.screen.note(HELP),
            "list" => self.show_list().await?,
            "open" => self.open(rest).await?,
            "history" => self.older().await?,
            "members" => self.members().await?,
            "search" => self.search(rest).await?,
            "group" => return self.group(rest).await.map(Some),
            "reply" | "edit" | "delete" | "react" | "unreact" => {
                let (number, text) = rest.split_once(' ').unwrap_or((rest, ""));
                let message = number
                    .trim_start_matches('#')
                    .parse()
                    .map_err(|_| Error::Invalid(format!("name a message, like /{command} 12")))?;
                return self.about(command, message, text.trim()).map(Some);
            }
            _ => {
                return Err(Error::Invalid(
                    "no such command; /help lists them".to_owned(),
                ));
            }
        }
        Ok(None)
    }

    fn here(&self) -> Result<ConversationId, Error> {
        let nowhere = || Error::Invalid("open a conversation first, like /open bob".to_owned());
        self.open.ok_or_else(nowhere)
    }

    fn post(&mut self, text: &str, reply_to: Option<Seq>) -> Result<Request, Error> {
        self.typed = None;
        Ok(Request::Post(Post {
            key: WriteKey::generate(),
            to: To::Conversation(self.here()?),
            text: text.to_owned(),
            data: None,
            reply_to,
            mentions: Vec::new(),
        }))
    }

    fn about(&mut self, command: &str, message: Seq, text: &str) -> Result<Request, Error> {
        let (key, conversation) = (WriteKey::generate(), self.here()?);
        if text.is_empty() && command != "delete" {
            return Err(Error::Invalid(format!("say what: /{command} {message} …")));
        }
        let text = text.to_owned();
        Ok(match command {
            "reply" => return self.post(&text, Some(message)),
            "edit" => Request::Edit(Edit {
                key,
                conversation,
                message,
                revision: None,
                text,
                data: None,
            }),
            "delete" => Request::Delete(Delete {
                key,
                conversation,
                message,
            }),
            command => Request::React(React {
                key,
                conversation,
                message,
                emoji: text,
                on: command == "react",
            }),
        })
    }

    async fn group(&mut self, rest: &str) -> Result<Request, Error> {
        let mut words = rest.split_whitespace();
        let title = words.next().map(ToOwned::to_owned);
        if title.is_none() {
            return Err(Error::Invalid(
                "name it, like /group Team ada bob".to_owned(),
            ));
        }
        let mut members = Vec::new();
        for word in words {
            let (user, role) = (self.person(word).await?, Role::Member);
            members.push(NewMember { user, role });
        }
        Ok(Request::Create(Create {
            key: WriteKey::generate(),
            title,
            data: None,
            history: History::default(),
            members,
        }))
    }

    async fn person(&mut self, wanted: &str) -> Result<UserId, Error> {
        let found = self.client.find(wanted).await?;
        let exact = found
            .iter()
            .find(|user| user.name.eq_ignore_ascii_case(wanted));
        let one = match (exact, &found[..]) {
            (Some(user), _) | (None, [user]) => user,
            (None, []) => return Err(Error::Invalid(format!("nobody is called {wanted}"))),
            (None, _) => {
                let names: Vec<&str> = found.iter().map(|user| &*user.name).take(10).collect();
                let detail = format!("which one? {}", names.join(", "));
                return Err(Error::Invalid(detail));
            }
        };
        self.names.insert(one.id, one.name.clone());
        Ok(one.id)
    }

    // What is shown on demand.

    fn title(&mut self, entry: &Entry) -> String {
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

    async fn show_list(&mut self) -> Result<(), Error> {
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

    async fn open(&mut self, wanted: &str) -> Result<(), Error> {
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

    async fn older(&mut self) -> Result<(), Error> {
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

    async fn members(&mut self) -> Result<(), Error> {
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

    async fn search(&mut self, words: &str) -> Result<(), Error> {
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
    async fn know(&mut self, message: &Message) {
        if let Some(sender) = message.sender {
            self.named(sender).await;
        }
    }

    async fn named(&mut self, user: UserId) -> String {
        if !self.names.contains_key(&user) {
            let found = self.client.profile(user).await;
            let known = found.map_or_else(|_| format!("user {user}"), |user| user.name);
            self.names.insert(user, known);
        }
        name(&self.names[&user], user.get())
    }

    fn known(&self, user: Option<UserId>) -> String {
        match user {
            None => "\x1b[1m—\x1b[0m".to_owned(),
            Some(user) if user == self.client.user() => "\x1b[1;36myou\x1b[0m".to_owned(),
            Some(user) => {
                let known = self.names.get(&user).map_or("?", |name| name);
                name(known, user.get())
            }
        }
    }

    fn show(&mut self, message: &Message) {
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

    // What happens.

    async fn incoming(&mut self, incoming: Incoming) {
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
    fn mark(&mut self, seq: Seq) {
        if let Some(open) = self.open {
            self.unread.remove(&open);
            self.client.read(open, seq);
        }
    }
}

/// The hour and minute here.
fn clock(millis: i64) -> String {
    let at = jiff::Timestamp::from_millisecond(millis).unwrap_or_default();
    let at = at.to_zoned(jiff::tz::TimeZone::system());
    at.strftime("%H:%M").to_string()
}
