//! Signals: what somebody does that is not stored, such as typing. Lossy on purpose: bounded at every step, dropped first.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;

use super::delivery::Frames;
use super::device::{Device, lock};
use super::shard::{Command, Shard};
use super::soon::Wait;
use super::{Format, Hub};
use crate::rules::{Row, RowKey};
use crate::{ConversationId, ConversationKind, Data, Error, ErrorKind, Hint, LogId, Seq, UserId};

/// An older signal is not told any more.
pub(super) const LIFE: Duration = Duration::from_secs(5);
/// Bytes of a kind.
const KIND: usize = 64;
/// Signals on their way through the shards before further ones are refused.
pub(super) const ROOM: usize = 256;
/// How long it is believed who may signal whom in a direct conversation.
const BELIEVED: Duration = Duration::from_secs(10);
/// Answers about that which are kept before old ones are thrown out.
const KEPT: usize = 1024;

/// Somebody does something that is not stored. Encoded once for each wire format, then shared.
#[derive(Debug)]
pub struct Signal {
    /// Where.
    pub conversation: ConversationId,
    /// Who.
    pub user: UserId,
    /// What, such as `typing`; at most 64 bytes.
    pub kind: String,
    /// The sender's own.
    pub data: Option<Data>,
    frames: Frames,
}

impl Signal {
    /// See [`crate::Delivery::frame`].
    pub fn frame(&self, format: Format, encode: impl FnOnce(&Self) -> Bytes) -> Bytes {
        self.frames.get(format, || encode(self))
    }

    /// Whether a newer one takes the other's place.
    pub(super) fn replaces(&self, other: &Self) -> bool {
        (self.conversation, self.user, &self.kind) == (other.conversation, other.user, &other.kind)
    }

    /// About how many bytes it costs a queue.
    pub(super) fn size(&self) -> usize {
        256 + self.kind.len() + self.data.as_ref().map_or(0, |data| data.json().len())
    }
}

/// A signal on its way to who may get it.
pub(crate) struct Signalled {
    pub(super) signal: Arc<Signal>,
    /// When it was sent, by this node's clock.
    pub(super) sent: Instant,
    /// Where the log stood at the sender's node: `None` here, as this node's gate knows it itself.
    pub(super) seen: Option<Seq>,
    /// In a direct conversation, where a block counts.
    pub(super) direct: bool,
    pub(super) _room: OwnedSemaphorePermit,
}

/// Who may signal in direct conversations, for a while: (sender, conversation) → until when it counts, whether it is a direct
/// one, and whether the sender is blocked there.
#[derive(Default)]
pub(super) struct Believed(Mutex<HashMap<(UserId, ConversationId), Belief>>);

#[derive(Clone, Copy)]
struct Belief {
    until: Instant,
    direct: bool,
    blocked: bool,
}

impl Believed {
    fn get(&self, user: UserId, conversation: ConversationId) -> Option<Belief> {
        let beliefs = lock(&self.0);
        let belief = beliefs.get(&(user, conversation)).copied();
        belief.filter(|belief| belief.until > Instant::now())
    }

    /// Blocks changed: it is asked again.
    pub(super) fn forget(&self, user: UserId) {
        lock(&self.0).retain(|(other, _), _| *other != user);
    }

    fn put(&self, user: UserId, conversation: ConversationId, belief: Belief) {
        let mut beliefs = lock(&self.0);
        if beliefs.len() >= KEPT && beliefs.len().is_power_of_two() {
            let now = Instant::now();
            beliefs.retain(|_, belief| belief.until > now);
        }
        beliefs.insert((user, conversation), belief);
    }
}

/// How the clocks of other nodes run beside this one's. Of a node it is only known when its hints arrive; the quickest one
/// tells where its clock stands, what is later than that has been under way for so long.
#[derive(Default)]
pub(super) struct Clocks(Mutex<HashMap<u64, (i64, Instant)>>);

impl Clocks {
    /// When, by this node's clock, a hint was sent that says `sent`: milliseconds since some moment of that node's own.
    fn sent(&self, node: u64, sent: u64, start: Instant) -> Instant {
        let now = Instant::now();
        let millis = |duration: Duration| i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
        let sample = millis(now - start).saturating_sub_unsigned(sent);
        let mut clocks = lock(&self.0);
        if clocks.len() > KEPT {
            clocks.clear();
        }
        let (least, at) = clocks.entry(node).or_insert((sample, now));
        // A clock that runs slower than this one falls behind: one part in a thousand is allowed for.
        let drift = millis(now - *at) / 1000;
        if drift > 0 || sample < *least {
            (*least, *at) = (sample.min(least.saturating_add(drift)), now);
        }
        let late = u64::try_from(sample - *least).unwrap_or_default();
        now.checked_sub(Duration::from_millis(late))
            .unwrap_or(start)
    }
}

impl Hub {
    /// Sends a signal to who is live in a conversation, here and on other nodes.
    pub(crate) fn signal(
        self: &Arc<Self>,
        device: &Device,
        conversation: ConversationId,
        kind: &str,
        data: Option<Data>,
    ) -> Result<(), Error> {
        let sound = !kind.is_empty() && kind.len() <= KIND && !kind.chars().any(char::is_control);
        if !sound {
            return Err(Error::invalid(
                "a signal's kind is a short text of 1 to 64 bytes, without control characters",
            ));
        }
        if data
            .as_ref()
            .is_some_and(|data| data.json().len() > self.limits.data)
        {
            return Err(Error::invalid(format!(
                "at most {} bytes of data",
                self.limits.data
            )));
        }
        let user = device.user;
        self.is_live(user, conversation)?;
        let rate = self.limits.signal_rate;
        self.signal_rates.take(user, 1.0, rate, rate.max(1.0))?;
        let Ok(room) = Arc::clone(&self.signal_room).try_acquire_owned() else {
            return Err(Error::busy("too many signals are under way"));
        };
        let signal = Arc::new(Signal {
            conversation,
            user,
            kind: kind.to_owned(),
            data,
            frames: Frames::default(),
        });
        let sent = Instant::now();
        let signalled = move |direct| Signalled {
            signal,
            sent,
            seen: None,
            direct,
            _room: room,
        };
        match self.believed.get(user, conversation) {
            Some(belief) if belief.blocked => Err(Error::forbidden(
                "this user does not take messages from you",
            )),
            Some(belief) => {
                self.post_signal(signalled(belief.direct));
                Ok(())
            }
            None => {
                let hub = Arc::clone(self);
                tokio::spawn(async move {
                    match hub.ask_blocked(user, conversation).await {
                        Ok(belief) => {
                            hub.believed.put(user, conversation, belief);
                            if !belief.blocked {
                                hub.post_signal(signalled(belief.direct));
                            }
                        }
                        Err(error) if error.kind() == ErrorKind::NotFound => {}
                        Err(error) => tracing::debug!(%error, "a signal could not be checked"),
                    }
                });
                Ok(())
            }
        }
    }

    /// Refuses unless a user is a member now, as this node knows it.
    pub(crate) fn is_live(&self, user: UserId, conversation: ConversationId) -> Result<(), Error> {
        let user = self.users.get(user);
        if user.is_some_and(|user| user.place(conversation.into()).is_some()) {
            Ok(())
        } else {
            Err(Error::not_found("there is no such conversation"))
        }
    }

    /// Whether the other one of a direct conversation blocked somebody.
    async fn ask_blocked(
        &self,
        user: UserId,
        conversation: ConversationId,
    ) -> Result<Belief, Error> {
        let belief = |direct, blocked| Belief {
            until: Instant::now() + BELIEVED,
            direct,
            blocked,
        };
        let rows = self.store.rows(vec![RowKey::Conversation(conversation)]);
        let kind = match &rows.await?[..] {
            [Some(Row::Conversation(conversation))] => conversation.kind,
            _ => return Err(Error::not_found("there is no such conversation")),
        };
        let ConversationKind::Direct(a, b) = kind else {
            return Ok(belief(false, false));
        };
        let peer = if user == a { b } else { a };
        let rows = self.store.rows(vec![RowKey::Block(peer, user)]).await?;
        Ok(belief(true, matches!(rows[..], [Some(_)])))
    }

    fn post_signal(&self, signalled: Signalled) {
        let log = LogId::Conversation(signalled.signal.conversation);
        self.send(log, Command::Signal { log, signalled });
    }

    /// Another node's signal.
    pub(super) fn signalled(&self, hint: Hint) {
        let Hint::Signal {
            node,
            sent,
            seen,
            direct,
            conversation,
            user,
            kind,
            data,
        } = hint
        else {
            return;
        };
        let sent = self.clocks.sent(node, sent, self.started);
        if node == self.node || sent.elapsed() >= LIFE {
            return;
        }
        let Ok(room) = Arc::clone(&self.signal_room).try_acquire_owned() else {
            return;
        };
        self.post_signal(Signalled {
            signal: Arc::new(Signal {
                conversation,
                user,
                kind,
                data,
                frames: Frames::default(),
            }),
            sent,
            seen: Some(seen),
            direct,
            _room: room,
        });
    }
}

impl Shard {
    /// Passes a signal to all who may see the end of the log, but the sender. In the log's order: whoever was removed before
    /// gets it no more, and what a removed one sent is told nobody.
    pub(super) async fn signal(&mut self, log: LogId, signalled: Signalled) {
        let Signalled {
            signal,
            sent,
            seen,
            direct,
            _room,
        } = signalled;
        let Some(open) = self.logs.get(&log) else {
            return;
        };
        if let Some(seen) = seen {
            if seen > open.last {
                // Somebody here may be gone by what has not come yet.
                return self.hint(log, seen);
            }
            if seen < open.settled {
                // Somebody left since, maybe the sender.
                return;
            }
        } else {
            let sender = self.hub.users.get(signal.user);
            if sender.is_none_or(|sender| sender.place(log).is_none()) || open.is_behind() {
                return;
            }
            self.hub.tell(|| Hint::Signal {
                node: self.hub.node,
                sent: u64::try_from(sent.duration_since(self.hub.started).as_millis())
                    .unwrap_or(u64::MAX),
                seen: open.last,
                direct,
                conversation: signal.conversation,
                user: signal.user,
                kind: signal.kind.clone(),
                data: signal.data.clone(),
            });
        }
        let sender = signal.user;
        let hub = Arc::clone(&self.hub);
        self.each_present(log, |user, device| {
            let is_told = user.id != sender && !(direct && user.blocks(sender));
            if is_told && device.signal(&signal, sent) {
                hub.soon.add(device, Wait::Signal);
            }
        })
        .await;
    }
}
