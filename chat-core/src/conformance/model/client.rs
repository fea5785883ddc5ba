//! A client of the native protocol as small as can be, written from `docs/protocol.md`: it keeps cursors, resumes, and makes
//! of events what it shows. It speaks in frames, with a session that can be cut or not read for a while.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::time::Instant;

use super::view::{self, View};
use crate::conformance::{Fixture, Violation, ensure};
use crate::protocol::{
    Cursor, Event, Mark, Outgoing, Request, Resume, ServerFrame, Session, Settings, What,
};
use crate::{Authenticator, Chat, ConversationId, Error, Identity, LogId, Seq, UserId};

/// A node, and what its sessions share.
pub(super) struct Node {
    pub(super) chat: Chat,
    settings: Arc<Settings>,
}

/// Nobody renews anything here.
struct Nobody;

#[async_trait]
impl Authenticator for Nobody {
    async fn authenticate(&self, _: &str) -> Result<Identity, Error> {
        Err(Error::forbidden("no tokens here"))
    }
}

impl Node {
    pub(super) fn of(chat: Chat) -> Result<Self, Violation> {
        let settings = Settings {
            format: chat.format()?,
            wrap: Bytes::copy_from_slice,
            authenticator: Arc::new(Nobody),
            server: "laws".to_owned(),
            frame: 64 << 10,
            heartbeat: Duration::from_secs(3600),
        };
        let settings = Arc::new(settings);
        Ok(Self { chat, settings })
    }
}

/// One device of a user.
pub(super) struct Client {
    me: Identity,
    /// What it made of what it was told, kept over connections together with the cursors.
    pub(super) view: View,
    /// Up to where a message was cleared away, by conversation.
    hidden: BTreeMap<ConversationId, Seq>,
    cursors: BTreeMap<LogId, Seq>,
    /// Nothing was loaded yet.
    is_new: bool,
    link: Option<Link>,
    /// All that it was ever shown of conversations.
    pub(super) shown: BTreeSet<(ConversationId, Seq)>,
}

/// A connection.
struct Link {
    chat: Chat,
    session: Session,
    out: Outgoing,
    /// What is told of these may have been on its way before they were resumed.
    resuming: BTreeSet<LogId>,
    /// What has to come next of a log: neither hole nor double.
    next: BTreeMap<LogId, Seq>,
}

impl Client {
    pub(super) fn new(user: UserId) -> Self {
        Self {
            me: Identity::of(user),
            view: View::default(),
            hidden: BTreeMap::new(),
            cursors: BTreeMap::new(),
            is_new: true,
            link: None,
            shown: BTreeSet::new(),
        }
    }

    pub(super) fn user(&self) -> UserId {
        self.me.user
    }

    pub(super) fn is_connected(&self) -> bool {
        self.link.is_some()
    }

    /// Connects to a node, and begins to catch up.
    pub(super) async fn connect(
        &mut self,
        fixture: &dyn Fixture,
        node: &Node,
    ) -> Result<(), Violation> {
        let connection = fixture.connect(&node.chat, self.me).await?;
        let settings = Arc::clone(&node.settings);
        let session = Session::new(node.chat.clone(), self.me, connection, settings);
        self.link = Some(Link {
            chat: node.chat.clone(),
            session,
            out: Outgoing::default(),
            resuming: BTreeSet::new(),
            next: BTreeMap::new(),
        });
        if self.is_new {
            self.load().await?;
            return self.resume(self.cursors.keys().copied().collect());
        }
        // One's own log alone: it tells which conversations changed hands.
        self.resume(vec![self.me.user.into()])
    }

    /// The connection breaks: what was not read of it is lost.
    pub(super) fn cut(&mut self) {
        self.link = None;
    }

    /// Marks the last message of a conversation as read; which.
    pub(super) fn read(&mut self, conversation: ConversationId) -> Option<Seq> {
        let link = self.link.as_mut()?;
        let talk = self.view.talks.get(&conversation)?;
        let seq = *talk.messages.last_key_value()?.0;
        let mark = Request::Read(Mark { conversation, seq });
        let text = mark.encode(None);
        link.session.receive(&text, Instant::now(), &mut link.out);
        Some(seq)
    }

    /// Loads everything afresh.
    async fn load(&mut self) -> Result<(), Violation> {
        let Some(link) = &self.link else {
            return Ok(());
        };
        let chat = link.chat.clone();
        let (own, heads) = view::heads(&chat, &self.me).await?;
        (self.view, self.hidden) = (View::default(), BTreeMap::new());
        self.view.name = view::name(&chat, &self.me).await?;
        self.cursors = BTreeMap::from([(self.me.user.into(), own)]);
        for (id, _) in heads {
            if let Some((head, talk)) = view::load(&chat, &self.me, id).await? {
                self.cursors.insert(id.into(), head);
                self.view.talks.insert(id, talk);
            }
        }
        self.is_new = false;
        Ok(())
    }

    fn resume(&mut self, logs: Vec<LogId>) -> Result<(), Violation> {
        let Some(link) = &mut self.link else {
            return Ok(());
        };
        let known = |log| self.cursors.get(&log).copied();
        let logs = logs
            .into_iter()
            .filter_map(|log| known(log).map(|after| Cursor { log, after }));
        let logs: Vec<Cursor> = logs.collect();
        if logs.is_empty() {
            return Ok(());
        }
        link.resuming.extend(logs.iter().map(|cursor| cursor.log));
        let text = Request::Resume(Resume { logs }).encode(None);
        link.session.receive(&text, Instant::now(), &mut link.out);
        Ok(())
    }

    /// Reads at most so many frames of what came; whether there were any.
    pub(super) async fn pump(&mut self, most: usize) -> Result<bool, Violation> {
        let Some(link) = &mut self.link else {
            return Ok(false);
        };
        let (session, out) = (&mut link.session, &mut link.out);
        // As far as it goes without waiting; a transport reads no further than it can write.
        std::future::poll_fn(|cx| {
            while out.frames.len() < most && session.poll(cx, out).is_ready() {}
            Poll::Ready(())
        })
        .await;
        out.forget = false;
        let count = out.frames.len().min(most);
        let frames: Vec<Bytes> = out.frames.drain(..count).collect();
        for frame in frames {
            let text = std::str::from_utf8(&frame)
                .map_err(|error| Violation::new(format!("a frame that is no text: {error}")))?;
            let (_, frame) = ServerFrame::decode(text)?;
            self.frame(frame).await?;
        }
        if let Some(link) = &self.link
            && link.out.close.is_some()
            && link.out.frames.is_empty()
        {
            self.link = None;
        }
        Ok(count > 0)
    }

    async fn frame(&mut self, frame: ServerFrame) -> Result<(), Violation> {
        let own = LogId::User(self.me.user);
        match frame {
            ServerFrame::Event(event) => self.event(event).await,
            ServerFrame::Live(live) => {
                if let Some(link) = &mut self.link {
                    // From here on there is neither hole nor double.
                    link.resuming.remove(&live.log);
                    let cursor = self.cursors.get(&live.log);
                    link.next
                        .extend(cursor.map(|cursor| (live.log, cursor + 1)));
                }
                if live.log == own {
                    self.catch_up().await?;
                }
                Ok(())
            }
            ServerFrame::Resync(resync) => {
                if let Some(link) = &mut self.link {
                    link.resuming.remove(&resync.log);
                    link.next.remove(&resync.log);
                }
                match resync.log {
                    LogId::User(_) => {
                        self.load().await?;
                        self.cursors.insert(own, resync.seq);
                        let mut logs: Vec<LogId> = self.cursors.keys().copied().collect();
                        logs.retain(|log| *log != own);
                        self.resume(logs)
                    }
                    LogId::Conversation(id) if resync.seq == 0 => {
                        self.forget(id);
                        Ok(())
                    }
                    LogId::Conversation(id) => self.reload(id, resync.seq).await,
                }
            }
            ServerFrame::Error(error) => {
                Err(Violation::new(format!("a client was refused: {error:?}")))
            }
            _ => Ok(()),
        }
    }

    /// Resumes the conversations in which anything happened, once one's own log is live.
    async fn catch_up(&mut self) -> Result<(), Violation> {
        let Some(link) = &self.link else {
            return Ok(());
        };
        let chat = link.chat.clone();
        let (_, heads) = view::heads(&chat, &self.me).await?;
        let changed = heads.into_iter().map(|(id, seq)| (LogId::from(id), seq));
        let changed = changed.filter(|(log, seq)| {
            let is_busy = self.link.as_ref().is_some_and(|l| l.resuming.contains(log));
            !is_busy && self.cursors.get(log).is_some_and(|cursor| cursor != seq)
        });
        let changed: Vec<LogId> = changed.map(|(log, _)| log).collect();
        self.resume(changed)
    }

    /// Throws away what there is of a conversation, and loads it afresh.
    async fn reload(&mut self, id: ConversationId, seq: Seq) -> Result<(), Violation> {
        self.forget(id);
        let Some(link) = &self.link else {
            return Ok(());
        };
        let chat = link.chat.clone();
        if let Some((_, talk)) = view::load(&chat, &self.me, id).await? {
            self.view.talks.insert(id, talk);
            self.cursors.insert(id.into(), seq);
        }
        Ok(())
    }

    fn forget(&mut self, id: ConversationId) {
        self.view.talks.remove(&id);
        self.hidden.remove(&id);
        self.cursors.remove(&id.into());
    }

    async fn event(&mut self, event: Event) -> Result<(), Violation> {
        let (log, seq) = (event.log, event.seq);
        let Some(link) = &mut self.link else {
            return Ok(());
        };
        if matches!(&event.what, What::Joined(joined) if joined.user == self.me.user) {
            // A stay begins here, wherever the one before ended.
            link.next.remove(&log);
        }
        if let Some(next) = link.next.get(&log)
            && !link.resuming.contains(&log)
        {
            ensure!(
                *next == seq,
                "a hole or a double on a device of {}: seq {seq} of {log:?} instead of {next}",
                self.me.user
            );
        }
        link.next.insert(log, seq + 1);
        if matches!(&event.what, What::Left(left) if left.user == self.me.user) {
            // A later membership begins elsewhere.
            link.next.remove(&log);
        }
        if let LogId::Conversation(id) = log
            && !matches!(event.what, What::Hidden(_))
        {
            self.shown.insert((id, seq));
        }
        match self.cursors.get(&log) {
            Some(cursor) if seq == cursor + 1 => {
                self.cursors.insert(log, seq);
                match log {
                    LogId::User(_) => self.about_me(event.what).await,
                    LogId::Conversation(id) => {
                        let hidden = self.hidden.get(&id).copied().unwrap_or_default();
                        if let Some(talk) = self.view.talks.get_mut(&id) {
                            talk.apply(self.me.user, hidden, seq, event.what);
                        }
                        Ok(())
                    }
                }
            }
            Some(cursor) if seq > cursor + 1 => {
                // It went on before it was resumed.
                let is_new = self
                    .link
                    .as_ref()
                    .is_some_and(|l| !l.resuming.contains(&log));
                if is_new {
                    self.resume(vec![log])
                } else {
                    Ok(())
                }
            }
            _ => Ok(()),
        }
    }

    async fn about_me(&mut self, what: What) -> Result<(), Violation> {
        match what {
            What::Added(added) => {
                let id = added.conversation;
                self.reload(id, added.at_seq).await?;
                if let Some(cursor) = self.cursors.get_mut(&id.into()) {
                    // That event comes, or came already.
                    *cursor = added.at_seq - 1;
                }
                if let Some(link) = &mut self.link {
                    link.next.remove(&id.into());
                }
            }
            What::Removed(removed) => self.forget(removed.conversation),
            What::Profile(_) => {
                if let Some(link) = &self.link {
                    let chat = link.chat.clone();
                    self.view.name = view::name(&chat, &self.me).await?;
                }
            }
            What::Hid(hid) => {
                let id = hid.conversation;
                // What happened up to there comes as hidden from now on, settings and members included.
                if let Some(cursor) = self.cursors.get(&id.into()).copied() {
                    self.reload(id, cursor).await?;
                }
                self.hidden.insert(id, hid.through);
                if let Some(talk) = self.view.talks.get_mut(&id) {
                    talk.clear(hid.through);
                }
            }
            What::Muted(muted) => {
                if let Some(talk) = self.view.talks.get_mut(&muted.conversation) {
                    talk.muted = muted.until.map(|until| until.0);
                }
            }
            What::Archived(archived) => {
                if let Some(talk) = self.view.talks.get_mut(&archived.conversation) {
                    talk.archived = archived.on;
                }
            }
            What::Read(read) => {
                if let Some(talk) = self.view.talks.get_mut(&read.conversation) {
                    talk.read_up_to(read.up_to);
                }
            }
            _ => {}
        }
        Ok(())
    }
}
