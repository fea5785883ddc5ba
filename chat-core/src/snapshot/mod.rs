//! What a store's reads have to offer, and every read of [`Store`](crate::Store) composed over it: who may see what is written
//! once, here.

mod pages;

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use pages::Page;
pub use pages::Pages;

use crate::rules::{EventRow, Row, RowKey};
use crate::{
    Conversation, ConversationId, ConversationKind, Error, EventKind, FeedEntry, Head, History,
    InboxCursor, InboxEntry, LogId, LogPage, Member, Memberships, Message, Ranges, Seq, Span, User,
    UserId, Viewer, Window,
};

/// One moment of a store; a whole one is in the docs of [`crate::Store`]. All reads through one snapshot see the same
/// commits, whole groups only, all of them durable.
///
/// A store that answers from memory or a local disk never waits inside these: it runs the functions of this module with
/// [`now`]. One behind a network awaits them.
pub trait Snapshot {
    /// A row by key.
    fn row(&self, key: &RowKey) -> impl Future<Output = Result<Option<Row>, Error>>;

    /// Rows by key, in the keys' order: one round trip, where there are any.
    fn rows(&self, keys: &[RowKey]) -> impl Future<Output = Result<Vec<Option<Row>>, Error>> {
        async move {
            let mut rows = Vec::with_capacity(keys.len());
            for key in keys {
                rows.push(self.row(key).await?);
            }
            Ok(rows)
        }
    }

    /// Where the store keeps what was read lately, if it does.
    fn pages(&self) -> Option<&Pages> {
        None
    }

    /// Entries of a log from `first` to `last`, both included: at most `limit`, from the low end upwards, or with
    /// `newest_first` from the high end downwards.
    fn events(
        &self,
        log: LogId,
        first: Seq,
        last: Seq,
        newest_first: bool,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<(Seq, EventRow)>, Error>>;

    /// Members of a conversation by ascending user id, former ones included.
    fn members(
        &self,
        conversation: ConversationId,
        after: Option<UserId>,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<Member>, Error>>;

    /// Every member row of a user, former ones included, with its conversation's head.
    fn memberships(&self, user: UserId)
    -> impl Future<Output = Result<Vec<(Member, Head)>, Error>>;

    /// Keys of [`RowKey::Suffix`] rows whose text begins with `part`, ascending, after one of them.
    fn suffixes(
        &self,
        part: &str,
        after: Option<&(String, UserId)>,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<(String, UserId)>, Error>>;

    /// Where an event stands in the store-wide order: entries after a position, ascending.
    fn feed(
        &self,
        after: u64,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<(u64, LogId, Seq, EventRow)>, Error>>;
}

/// The outcome of a read over a snapshot that never waits.
///
/// # Errors
/// The read's own; `Internal` if it waited all the same.
pub fn now<T>(read: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    match pin!(read).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(outcome) => outcome,
        Poll::Pending => Err(Error::internal("a snapshot that never waits waited")),
    }
}

/// The value of a row, by its kind.
macro_rules! value {
    ($snapshot:expr, $kind:ident ( $($key:expr),* )) => {
        match $snapshot.row(&RowKey::$kind($($key),*)).await? {
            Some(Row::$kind(value)) => Some(value),
            _ => None,
        }
    };
}

fn no_conversation() -> Error {
    Error::not_found("there is no such conversation")
}

async fn head(snapshot: &impl Snapshot, log: LogId) -> Result<Head, Error> {
    Ok(value!(snapshot, Head(log)).unwrap_or_default())
}

/// The part of a log that a viewer may see; `NotFound` when it does not exist for them.
pub(crate) async fn ranges(
    snapshot: &impl Snapshot,
    viewer: Viewer,
    log: LogId,
) -> Result<Ranges, Error> {
    match (viewer, log) {
        (Viewer::User(user), LogId::Conversation(id)) => {
            let member = value!(snapshot, Member(id, user)).ok_or_else(no_conversation)?;
            Ok(member.ranges)
        }
        (Viewer::All, LogId::Conversation(id)) => {
            value!(snapshot, Conversation(id)).ok_or_else(no_conversation)?;
            Ok(Ranges::all())
        }
        (Viewer::User(user), LogId::User(owner)) if user != owner => {
            Err(Error::not_found("there is no such user"))
        }
        (_, LogId::User(owner)) => {
            value!(snapshot, User(owner))
                .ok_or_else(|| Error::not_found("there is no such user"))?;
            Ok(Ranges::all())
        }
    }
}

/// The message that each event is about, as it stands in this snapshot: its own, or for an edit that of the row it names.
async fn subjects<'a>(
    snapshot: &impl Snapshot,
    rows: impl Iterator<Item = (LogId, &'a EventRow)> + Clone,
) -> Result<Vec<Option<Message>>, Error> {
    let edited = rows.clone().filter_map(|(log, row)| match row.kind {
        EventKind::Edited { message, .. } => Some(RowKey::Event(log, message)),
        _ => None,
    });
    let mut targets = snapshot
        .rows(&edited.collect::<Vec<_>>())
        .await?
        .into_iter();
    let subjects = rows.map(|(_, row)| match (&row.kind, &row.message) {
        (EventKind::Posted, message) => message.clone(),
        (EventKind::Edited { .. }, _) => match targets.next().flatten() {
            Some(Row::Event(target)) => target.message,
            _ => None,
        },
        _ => None,
    });
    Ok(subjects.collect())
}

/// [`crate::Store::log`].
pub async fn log(
    snapshot: &impl Snapshot,
    viewer: Viewer,
    log: LogId,
    after: Seq,
    limit: usize,
) -> Result<LogPage, Error> {
    let ranges = ranges(snapshot, viewer, log).await?;
    let window = Window::new(&ranges, &head(snapshot, log).await?, after, limit);
    let mut rows = Vec::new();
    if window.first <= window.last {
        rows = snapshot
            .events(log, window.first, window.last, false, limit)
            .await?;
    }
    let is_visible = |(seq, row): &(Seq, EventRow)| {
        let target = row.kind.target();
        ranges.contains(*seq) && target.is_none_or(|target| ranges.contains(target))
    };
    let visible = rows.iter().filter(|entry| is_visible(entry));
    let mut subjects = subjects(snapshot, visible.map(|(_, row)| (log, row)))
        .await?
        .into_iter();
    let end = ranges.end(Seq::MAX);
    let entries = rows.iter().map(|entry| {
        let (seq, row) = entry;
        let message = if is_visible(entry) {
            subjects.next()?
        } else {
            return Some((*seq, None));
        };
        // What became of a message after one left is not told, and how it was before is kept nowhere.
        let stands = message.as_ref().is_none_or(|message| message.stood_at(end));
        let event = stands.then(|| row.event(log, *seq, message));
        Some((*seq, event))
    });
    let entries = entries.flatten().collect();
    Ok(LogPage {
        entries,
        head: window.head,
        resync: window.resync,
    })
}

/// [`crate::Store::history`].
pub async fn history(
    snapshot: &impl Snapshot,
    viewer: Viewer,
    conversation: ConversationId,
    span: Span,
    limit: usize,
) -> Result<Vec<Message>, Error> {
    let log = LogId::Conversation(conversation);
    let ranges = ranges(snapshot, viewer, log).await?;
    let head = head(snapshot, log).await?;
    if span == Span::Latest
        && let Some(found) = latest(snapshot, log, &head, &ranges, limit).await?
    {
        return Ok(found);
    }
    let mut found = Vec::new();
    if limit == 0 {
        return Ok(found);
    }
    let (low, high, newest_first) = match span {
        Span::Latest => (head.floor + 1, head.seq, true),
        Span::Before(seq) => (head.floor + 1, head.seq.min(seq.saturating_sub(1)), true),
        Span::After(seq) => (seq.max(head.floor).saturating_add(1), head.seq, false),
    };
    let wanted = Wanted {
        log,
        head: &head,
        newest_first,
        limit,
        end: ranges.end(Seq::MAX),
    };
    let mut visible: Vec<_> = ranges.as_slice().to_vec();
    if newest_first {
        visible.reverse();
    }
    for (first, last) in visible {
        let span = (first.max(low), last.unwrap_or(head.seq).min(high));
        messages(snapshot, &wanted, span, &mut found).await?;
        if found.len() >= limit {
            break;
        }
    }
    if newest_first {
        found.reverse();
    }
    Ok(found)
}

/// Messages kept of each log: the usual page.
const PAGE: usize = 50;

/// The last messages of a log from what was read lately, when that is enough for this viewer; what is missing since then is
/// read and kept.
async fn latest(
    snapshot: &impl Snapshot,
    log: LogId,
    head: &Head,
    ranges: &Ranges,
    limit: usize,
) -> Result<Option<Vec<Message>>, Error> {
    // Who may not see the end of the log is rare: read without this.
    let (Some(pages), Some((_, None))) = (snapshot.pages(), ranges.as_slice().last()) else {
        return Ok(None);
    };
    let page = match pages.get(log, head) {
        Some(page) if page.seq == head.seq => page,
        known => {
            let page = match known {
                Some(page) => follow(snapshot, log, head, page).await?,
                None => None,
            };
            let page = match page {
                Some(page) => page,
                None => {
                    let span = (head.floor + 1, head.seq);
                    let mut found = Vec::new();
                    let wanted = Wanted {
                        log,
                        head,
                        newest_first: true,
                        limit: PAGE,
                        end: Seq::MAX,
                    };
                    messages(snapshot, &wanted, span, &mut found).await?;
                    found.reverse();
                    let is_whole = found.len() < PAGE;
                    Page::new(head, found.into(), is_whole)
                }
            };
            pages.put(log, page.clone());
            page
        }
    };
    let visible = page.messages.iter().rev();
    let visible = visible.filter(|message| ranges.contains(message.seq));
    let mut found: Vec<Message> = visible.take(limit).cloned().collect();
    found.reverse();
    Ok((found.len() >= limit || page.is_whole).then_some(found))
}

/// A page brought up to date, if all that happened since is few messages more.
async fn follow(
    snapshot: &impl Snapshot,
    log: LogId,
    head: &Head,
    page: Page,
) -> Result<Option<Page>, Error> {
    let missing = head.seq - page.seq;
    if missing > PAGE as u64 {
        return Ok(None);
    }
    let rows = snapshot
        .events(log, page.seq + 1, head.seq, false, PAGE)
        .await?;
    if rows.iter().any(|(_, row)| row.kind.target().is_some()) {
        return Ok(None);
    }
    let new: Vec<Message> = rows
        .into_iter()
        .filter_map(|(_, row)| row.message)
        .collect();
    let surplus = (page.messages.len() + new.len()).saturating_sub(PAGE);
    let kept = page.messages.iter().skip(surplus).cloned();
    let messages = kept.chain(new).collect();
    Ok(Some(Page::new(
        head,
        messages,
        page.is_whole && surplus == 0,
    )))
}

/// Messages changed since a reader left that one read passes over: then its page ends.
const PASSED_OVER: usize = 1000;

/// What is gathered of a log.
struct Wanted<'a> {
    log: LogId,
    head: &'a Head,
    newest_first: bool,
    limit: usize,
    /// Messages that changed after this are left out: the reader left there.
    end: Seq,
}

/// Gathers messages between two seqs. A stretch without messages (a storm of reactions, say) is not walked through: each
/// entry knows how many messages came up to it, so a binary search finds the next one.
async fn messages(
    snapshot: &impl Snapshot,
    wanted: &Wanted<'_>,
    (mut first, mut last): (Seq, Seq),
    found: &mut Vec<Message>,
) -> Result<(), Error> {
    let &Wanted {
        log,
        head,
        newest_first,
        limit,
        end,
    } = wanted;
    let mut passed_over = 0;
    while first <= last && found.len() < limit && passed_over < PASSED_OVER {
        // A few more than are wanted, since some entries are no messages; reading what is thrown away costs as much.
        let chunk = limit - found.len() + 8;
        let rows = snapshot
            .events(log, first, last, newest_first, chunk)
            .await?;
        let Some(&(edge, _)) = rows.last() else { break };
        let before = found.len();
        let mut all = 0;
        found.extend(
            rows.into_iter()
                .filter_map(|(_, row)| row.message)
                .inspect(|_| all += 1)
                .filter(|message| message.stood_at(end))
                .take(limit - before),
        );
        passed_over += all - (found.len() - before);
        if newest_first {
            last = edge.saturating_sub(1);
        } else {
            first = edge.saturating_add(1);
        }
        if found.len() == before && first <= last {
            if newest_first {
                let count = ordinal(snapshot, log, head, last).await?;
                last = last.min(nth(snapshot, log, head, count).await?);
            } else {
                let count = ordinal(snapshot, log, head, first - 1).await?;
                first = first.max(nth(snapshot, log, head, count + 1).await?);
            }
        }
    }
    Ok(())
}

/// How many messages a log had at a seq.
async fn ordinal(
    snapshot: &impl Snapshot,
    log: LogId,
    head: &Head,
    seq: Seq,
) -> Result<u64, Error> {
    if seq >= head.seq {
        return Ok(head.ordinal);
    }
    Ok(value!(snapshot, Event(log, seq)).map_or(0, |row| row.ordinal))
}

/// The seq of the message with an ordinal; 0 for the zeroth, beyond the head for one that does not exist yet.
async fn nth(snapshot: &impl Snapshot, log: LogId, head: &Head, count: u64) -> Result<Seq, Error> {
    if count == 0 {
        return Ok(0);
    }
    let (mut low, mut high) = (head.floor, head.seq + 1);
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        if ordinal(snapshot, log, head, middle).await? >= count {
            high = middle;
        } else {
            low = middle;
        }
    }
    Ok(high)
}

/// [`crate::Store::inbox`].
pub async fn inbox(
    snapshot: &impl Snapshot,
    user: UserId,
    after: Option<InboxCursor>,
    limit: usize,
) -> Result<Vec<InboxEntry>, Error> {
    let mut listed = snapshot.memberships(user).await?;
    listed.retain(|(member, head)| {
        let place = (head.at, member.conversation);
        member.is_listed(head) && after.is_none_or(|after| place < (after.at, after.conversation))
    });
    listed.sort_unstable_by_key(|(member, head)| std::cmp::Reverse((head.at, member.conversation)));
    listed.truncate(limit);
    compose(snapshot, user, listed).await
}

/// [`crate::Store::entry`].
pub async fn entry(
    snapshot: &impl Snapshot,
    user: UserId,
    conversation: ConversationId,
) -> Result<InboxEntry, Error> {
    let member = value!(snapshot, Member(conversation, user)).ok_or_else(no_conversation)?;
    let log = LogId::Conversation(conversation);
    let mut head = head(snapshot, log).await?;
    let end = member.ranges.end(head.seq);
    if end < head.seq {
        // A former member knows nothing of what follows: the head they know is the one of their last event.
        let ordinal = ordinal(snapshot, log, &head, end).await?;
        let message = nth(snapshot, log, &head, ordinal).await?;
        let message = if member.ranges.contains(message) {
            message
        } else {
            0
        };
        let from = if message > 0 { message } else { end };
        let at = value!(snapshot, Event(log, from)).map_or(head.at, |row| row.at);
        head = Head {
            seq: end,
            ordinal,
            message,
            at,
            ..head
        };
    }
    let is_former = member.role.is_none();
    let mut entry = compose(snapshot, user, vec![(member, head)])
        .await?
        .pop()
        .ok_or_else(no_conversation)?;
    if is_former {
        entry.conversation = value!(snapshot, Parted(conversation, user))
            .unwrap_or_else(|| bare(&entry.conversation));
        entry.last = entry.last.filter(|message| message.stood_at(end));
    }
    Ok(entry)
}

/// What never changes of a conversation: for those who left it before it was kept how it stood then.
fn bare(conversation: &Conversation) -> Conversation {
    Conversation {
        id: conversation.id,
        kind: conversation.kind,
        key: conversation.key.clone(),
        title: None,
        data: None,
        managed: conversation.managed,
        history: History::default(),
        members: 0,
        owner: None,
        pins: Vec::new(),
    }
}

/// The entries of a user's memberships, in their order: two batches of rows, however many there are.
async fn compose(
    snapshot: &impl Snapshot,
    user: UserId,
    memberships: Vec<(Member, Head)>,
) -> Result<Vec<InboxEntry>, Error> {
    let mut keys = Vec::with_capacity(2 * memberships.len());
    for (member, head) in &memberships {
        let id = member.conversation;
        keys.push(RowKey::Conversation(id));
        if member.ranges.contains(head.message) {
            keys.push(RowKey::Event(id.into(), head.message));
        }
    }
    let mut rows = snapshot.rows(&keys).await?.into_iter();
    let mut entries = Vec::with_capacity(memberships.len());
    let mut peers = Vec::new();
    for (member, head) in memberships {
        let Some(Some(Row::Conversation(conversation))) = rows.next() else {
            return Err(no_conversation());
        };
        let last = if member.ranges.contains(head.message) {
            match rows.next().flatten() {
                Some(Row::Event(row)) => row.message,
                _ => None,
            }
        } else {
            None
        };
        if let ConversationKind::Direct(a, b) = conversation.kind {
            peers.push(RowKey::User(if a == user { b } else { a }));
        }
        entries.push(InboxEntry {
            conversation,
            member,
            head,
            last,
            peer: None,
        });
    }
    let mut peers = snapshot.rows(&peers).await?.into_iter();
    for entry in &mut entries {
        if let ConversationKind::Direct(..) = entry.conversation.kind
            && let Some(Some(Row::User(peer))) = peers.next()
        {
            entry.peer = Some(peer);
        }
    }
    Ok(entries)
}

/// [`crate::Store::members`].
pub async fn members(
    snapshot: &impl Snapshot,
    viewer: Viewer,
    conversation: ConversationId,
    after: Option<UserId>,
    limit: usize,
) -> Result<Vec<Member>, Error> {
    match viewer {
        Viewer::User(user) => {
            let member =
                value!(snapshot, Member(conversation, user)).ok_or_else(no_conversation)?;
            member.role.ok_or_else(no_conversation)?;
        }
        Viewer::All => {
            drop(value!(snapshot, Conversation(conversation)).ok_or_else(no_conversation)?)
        }
    }
    snapshot.members(conversation, after, limit).await
}

/// [`crate::Store::memberships`].
pub async fn memberships(snapshot: &impl Snapshot, user: UserId) -> Result<Memberships, Error> {
    let conversations = snapshot
        .memberships(user)
        .await?
        .into_iter()
        .filter(|(member, _)| member.role.is_some())
        .map(|(member, head)| (member.conversation, member.ranges, head.seq))
        .collect();
    Ok(Memberships {
        head: head(snapshot, LogId::User(user)).await?.seq,
        conversations,
    })
}

/// [`crate::Store::find_users`].
pub async fn find_users(
    snapshot: &impl Snapshot,
    part: &str,
    limit: usize,
) -> Result<Vec<User>, Error> {
    let mut found: Vec<User> = Vec::new();
    let mut after = None;
    while found.len() < limit {
        let keys = snapshot.suffixes(part, after.as_ref(), 64).await?;
        let Some(last) = keys.last() else { break };
        after = Some(last.clone());
        let users: Vec<_> = keys.iter().map(|(_, id)| RowKey::User(*id)).collect();
        for row in snapshot.rows(&users).await? {
            let Some(Row::User(user)) = row else { continue };
            let is_new = !user.disabled && !found.iter().any(|known| known.id == user.id);
            if is_new && found.len() < limit {
                found.push(user);
            }
        }
    }
    Ok(found)
}

/// [`crate::Store::feed`].
pub async fn feed(
    snapshot: &impl Snapshot,
    after: u64,
    limit: usize,
) -> Result<Vec<FeedEntry>, Error> {
    let rows = snapshot.feed(after, limit).await?;
    let about = subjects(snapshot, rows.iter().map(|(_, log, _, row)| (*log, row))).await?;
    let entries = rows.iter().zip(about).map(|(entry, message)| {
        let (position, log, seq, row) = entry;
        FeedEntry {
            position: *position,
            event: row.event(*log, *seq, message),
        }
    });
    Ok(entries.collect())
}
