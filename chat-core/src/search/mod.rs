//! Finding messages by their words: what a store offers for it, and what all stores have in common.
//!
//! The index follows the feed, some time behind the commits, which go first where there are many ([`Search::index`]; a
//! [`crate::Chat`] sees to it). What is found is read in one snapshot with the viewer's rights, and checked against the text as it stands there:
//! an index that lags, or that is coarser than the words asked for, makes nothing wrong.
//!
//! Words are kept apart by conversation. So a search looks only at what its viewer may read: what others write elsewhere,
//! however much of it has the same words, neither slows it nor shows in the time it takes.

pub(crate) mod follow;
mod words;

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::str::FromStr;

use async_trait::async_trait;

pub use words::{Phrase, Query, version, words};

use crate::rules::{Row, RowKey};
use crate::snapshot::{self, Snapshot};
use crate::{ConversationId, Error, EventKind, LogId, MAX_ID, Message, Ranges, Seq, Viewer};

/// Candidates that one search looks at: with more that turn out not to match, a page is cut short.
const LOOK: usize = 200;
/// Words that one batch of an index takes, but for its last message's.
const BATCH_WORDS: usize = 10_000;

/// What a store offers so that messages are found by their words.
///
/// A store implements [`Index`] for its snapshot and answers [`find`](Search::find) by [`find`](find()); what
/// [`index`](Search::index) has to do it learns from [`following`].
#[async_trait]
pub trait Search: Send + Sync {
    /// Takes the next entries of the feed into the index, at most `limit`, and the position up to which it has come, all or
    /// nothing; how many it took, 0 when none is left. Position and entries are read in the transaction that changes the
    /// index, so several nodes may do it side by side. It need not be durable when it returns: after a crash the index goes on
    /// from where it finds itself. What is no longer in a text is no longer in the index either.
    ///
    /// # Errors
    /// Those of [`crate::Store::commit`]; then nothing was taken.
    async fn index(&self, limit: usize) -> Result<usize, Error>;

    /// Messages that a viewer may see and a query matches, newest first, in one snapshot: in one conversation, or in all that the
    /// viewer is or was a member of; older than a place where a page ended.
    ///
    /// # Errors
    /// `NotFound` when the conversation does not exist for the viewer, `Invalid` for a place that is none, without a
    /// conversation for a viewer who sees all, or when it asks too much of a simple index.
    async fn find(
        &self,
        viewer: Viewer,
        query: Query,
        conversation: Option<ConversationId>,
        before: Option<SearchCursor>,
        limit: usize,
    ) -> Result<SearchPage, Error>;
}

/// Messages that were found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SearchPage {
    /// In the order of the feed, newest first.
    pub messages: Vec<Message>,
    /// Where older ones begin; `None` when there are no more. A page may hold fewer messages than asked for, or none, and there
    /// may be older ones all the same.
    pub next: Option<SearchCursor>,
}

/// Where a page ended: the last message that it looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SearchCursor {
    /// Its conversation.
    pub conversation: ConversationId,
    /// Its seq.
    pub seq: Seq,
}

impl fmt::Display for SearchCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.conversation, self.seq)
    }
}

impl FromStr for SearchCursor {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let bad = || Error::invalid("this is no place in what a search found");
        let (conversation, seq) = text.split_once('-').ok_or_else(bad)?;
        let conversation = conversation.parse().map_err(|_| bad())?;
        let cursor = Self {
            conversation: ConversationId::new(conversation).map_err(|_| bad())?,
            seq: seq.parse().map_err(|_| bad())?,
        };
        // One way to write it: no signs, no zeroes in front.
        if cursor.to_string() == text && cursor.seq <= MAX_ID {
            Ok(cursor)
        } else {
            Err(bad())
        }
    }
}

/// A snapshot with an index.
pub trait Index: Snapshot {
    /// The position in the feed at which a message was posted; `None` when the index does not know it.
    fn position(
        &self,
        conversation: ConversationId,
        seq: Seq,
    ) -> impl Future<Output = Result<Option<u64>, Error>>;

    /// Messages in these stretches whose words hold all of the query's, as far as the index tells: those with the highest
    /// positions below `before`, descending, `limit` of them unless there are fewer. None that matches is left out.
    fn candidates(
        &self,
        query: &Query,
        within: &[Stretch],
        before: u64,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<Candidate>, Error>>;
}

/// Consecutive entries of a conversation's log, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stretch {
    /// The conversation.
    pub conversation: ConversationId,
    /// Its first seq.
    pub first: Seq,
    /// Its last seq; may lie beyond the end.
    pub last: Seq,
}

/// A message that may match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Its place in the feed.
    pub position: u64,
    /// Its conversation.
    pub conversation: ConversationId,
    /// Its seq.
    pub seq: Seq,
}

/// What an index is to hold of a message from now on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// Its conversation.
    pub conversation: ConversationId,
    /// Its seq.
    pub seq: Seq,
    /// Its place in the feed if it was posted in these entries. `None`: it was posted before and is in the index, with words
    /// that may be others.
    pub position: Option<u64>,
    /// Its words as they stand; empty when it was deleted.
    pub words: Vec<String>,
}

/// What entries of the feed change in an index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Documents {
    /// Each message once.
    pub documents: Vec<Document>,
    /// How many entries these are.
    pub entries: usize,
    /// The position of the last one.
    pub position: u64,
}

/// What follows in the feed for an index that has come to `after`: at most `limit` entries, fewer when they have many words;
/// `None` when nothing follows.
///
/// # Errors
/// Those of the snapshot.
pub async fn following(
    snapshot: &impl Snapshot,
    after: u64,
    limit: usize,
) -> Result<Option<Documents>, Error> {
    let mut documents = BTreeMap::new();
    let (mut entries, mut position, mut count) = (0, after, 0);
    for entry in snapshot::feed(snapshot, after, limit).await? {
        if count >= BATCH_WORDS {
            break;
        }
        (entries, position) = (entries + 1, entry.position);
        let event = entry.event;
        let (seq, posted) = match event.kind {
            EventKind::Posted => (event.seq, Some(entry.position)),
            EventKind::Edited { message, .. } | EventKind::Deleted { message } => (message, None),
            _ => continue,
        };
        let LogId::Conversation(conversation) = event.log else {
            continue;
        };
        let text = event.message.as_ref().and_then(Message::text);
        let words = text.map(words).unwrap_or_default();
        count += words.len();
        let document = documents.entry((conversation, seq)).or_insert(Document {
            conversation,
            seq,
            position: posted,
            words: Vec::new(),
        });
        // All tell how the text stands in this snapshot.
        document.words = words;
    }
    let documents = documents.into_values().collect();
    Ok((entries > 0).then_some(Documents {
        documents,
        entries,
        position,
    }))
}

/// [`Search::find`].
///
/// # Errors
/// See there.
pub async fn find(
    index: &impl Index,
    viewer: Viewer,
    query: &Query,
    conversation: Option<ConversationId>,
    before: Option<SearchCursor>,
    limit: usize,
) -> Result<SearchPage, Error> {
    let visible = visible(index, viewer, conversation).await?;
    let sees = |id, seq| {
        let ranges: Option<&Ranges> = visible.get(&id);
        ranges.is_some_and(|ranges| ranges.contains(seq))
    };
    let end = |id| visible.get(&id).map_or(0, |ranges| ranges.end(Seq::MAX));
    let mut below = u64::MAX;
    if let Some(SearchCursor { conversation, seq }) = before {
        let mut place = None;
        // Where others' messages lie between one's own is nobody's business.
        if sees(conversation, seq) {
            place = index.position(conversation, seq).await?;
        }
        below = place.ok_or_else(|| Error::invalid("no search ended there: begin it anew"))?;
    }
    let within: Vec<_> = visible
        .iter()
        .flat_map(|(id, ranges)| {
            ranges.as_slice().iter().map(|&(first, last)| Stretch {
                conversation: *id,
                first,
                last: last.unwrap_or(Seq::MAX),
            })
        })
        .collect();
    let mut page = SearchPage::default();
    let mut looked = 0;
    while page.messages.len() < limit && looked < LOOK {
        // One more than needed tells whether there is a next page.
        let wanted = limit - page.messages.len() + 1;
        let found = index.candidates(query, &within, below, wanted).await?;
        let keys: Vec<_> = found
            .iter()
            .map(|hit| RowKey::Event(hit.conversation.into(), hit.seq))
            .collect();
        let rows = index.rows(&keys).await?;
        for (hit, row) in found.iter().zip(rows) {
            if page.messages.len() >= limit {
                return Ok(page);
            }
            (below, looked) = (hit.position, looked + 1);
            if !sees(hit.conversation, hit.seq) {
                continue;
            }
            page.next = Some(SearchCursor {
                conversation: hit.conversation,
                seq: hit.seq,
            });
            if let Some(Row::Event(row)) = row
                && let Some(message) = row.message
                && message.stood_at(end(hit.conversation))
                && message.text().is_some_and(|text| query.matches(text))
            {
                page.messages.push(message);
            }
        }
        if found.len() < wanted {
            page.next = None;
            break;
        }
    }
    Ok(page)
}

/// What of which conversations a viewer searches.
async fn visible(
    snapshot: &impl Snapshot,
    viewer: Viewer,
    conversation: Option<ConversationId>,
) -> Result<HashMap<ConversationId, Ranges>, Error> {
    match (viewer, conversation) {
        (_, Some(id)) => {
            let ranges = snapshot::ranges(snapshot, viewer, id.into()).await?;
            Ok(HashMap::from([(id, ranges)]))
        }
        (Viewer::User(user), None) => {
            let members = snapshot.memberships(user).await?.into_iter();
            Ok(members
                .map(|(member, _)| (member.conversation, member.ranges))
                .collect())
        }
        (Viewer::All, None) => Err(Error::invalid(
            "who sees all searches one conversation at a time: name it",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_written_one_way() {
        let cursor: SearchCursor = "5-12".parse().unwrap();
        assert_eq!((cursor.conversation.get(), cursor.seq), (5, 12));
        assert_eq!(cursor.to_string(), "5-12");
        for bad in [
            "",
            "5",
            "-",
            "5-",
            "-12",
            "05-1",
            "5-+1",
            "5-01",
            "0-1",
            "5--1",
            "5-1 ",
            "5-9007199254740992",
            "5.1",
        ] {
            assert!(bad.parse::<SearchCursor>().is_err(), "{bad}");
        }
    }
}
