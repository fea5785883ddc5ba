//! What is typed: commands, and what they ask the server to write.

use chat_client::protocol::{Create, Delete, Edit, NewMember, Post, React, Request, To, WriteKey};
use chat_client::{ConversationId, Error, History, Role, Seq, UserId};

use super::App;

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

impl App<'_> {
    /// Does what a line says; gives the write it asks for.
    pub(super) async fn line(&mut self, line: &str) -> Result<Option<Request>, Error> {
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

    pub(super) fn here(&self) -> Result<ConversationId, Error> {
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

    pub(super) async fn person(&mut self, wanted: &str) -> Result<UserId, Error> {
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
}
