//! Logs and the messages in them, as far as one may see them.

use super::pages::Page;
use super::{Snapshot, head, ranges, subjects};
use crate::rules::{EventRow, Row, RowKey};
use crate::{
    ConversationId, Error, Head, LogId, LogPage, Message, Ranges, Seq, Span, Viewer, Window,
};

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
pub(super) async fn ordinal(
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
pub(super) async fn nth(
    snapshot: &impl Snapshot,
    log: LogId,
    head: &Head,
    count: u64,
) -> Result<Seq, Error> {
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
