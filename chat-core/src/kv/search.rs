//! A simple index of words in the engine itself.
//!
//! Each different word of a message is a key by which the message is found; all words of a message are one more ([`codec`]),
//! by which they are taken away again when the text changes. What it does not know, `chat_core::search` checks in the text: whether words stand
//! together. Its limits: a search reads up to [`READS`] entries of words, of its viewer's conversations only, and is refused
//! above that; the beginning of a word reads all that begin so.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;

use super::codec::{self, Place};
use super::group::Changes;
use super::view::{View, damaged};
use super::{Batch, Engine, KvStore};
use crate::search::{self, Candidate, Document, Index, Query, Stretch};
use crate::snapshot;
use crate::{ConversationId, Error, Search, SearchCursor, SearchPage, Seq, Viewer};

/// Entries of words that one search reads; the words of a long message count for more.
const READS: usize = 20_000;
/// Bytes of a message's words that count as one more entry: more than the longest text of a user has.
const LONG: usize = 16 << 10;
/// Entries read, or taken away, at once.
const AT_ONCE: usize = 500;

/// What this index is made of: words and keys as this version makes them.
fn version() -> String {
    format!("{} 2", search::version())
}

/// How far the index has come, and by which [`version`].
fn state<E: Engine>(engine: &E) -> Result<(u64, String), Error> {
    let Some(value) = engine.get(&Place::Indexed.encode())? else {
        return Ok((0, version()));
    };
    let (position, version) = value.split_first_chunk().ok_or_else(damaged)?;
    let version = std::str::from_utf8(version).map_err(|_| damaged())?;
    Ok((u64::from_be_bytes(*position), version.to_owned()))
}

/// What brings the index further, and by how many entries of the feed.
fn advance<E: Engine>(engine: &E, feed: u64, limit: usize) -> Result<(Changes, usize), Error> {
    let view = View::new(engine);
    let mut batch = Batch::new();
    let (after, made_by) = state(engine)?;
    let state = |batch: &mut Batch, position: u64| {
        let value = [&position.to_be_bytes(), version().as_bytes()].concat();
        batch.insert(Place::Indexed.encode(), Some(value));
    };
    let mut entries = 0;
    if made_by == version() {
        let next = snapshot::now(search::following(&view, after, limit))?;
        if let Some(next) = next {
            for document in next.documents {
                put(&view, &mut batch, document)?;
            }
            entries = next.entries;
            state(&mut batch, next.position);
        }
    } else {
        // Made by another version: taken away bit by bit, then made anew.
        for (key, _) in view.scan(codec::index(), false, AT_ONCE)? {
            batch.insert(key, None);
        }
        if batch.is_empty() {
            state(&mut batch, 0);
        }
        entries = batch.len();
    }
    let position = feed;
    Ok((Changes { batch, position }, entries))
}

/// What is kept of a message.
struct Kept {
    /// Where it was posted in the feed.
    position: u64,
    /// Each word once, each with a space behind it: no word has one in it.
    words: String,
    /// How many keys it is.
    parts: u32,
}

impl Kept {
    fn read<E: Engine>(
        view: &View<'_, E>,
        conversation: ConversationId,
        seq: Seq,
    ) -> Result<Option<Self>, Error> {
        let pairs = view.scan(codec::words_of(conversation, seq), false, usize::MAX)?;
        let parts = u32::try_from(pairs.len()).map_err(|_| damaged())?;
        let mut whole = Vec::new();
        for (_, part) in pairs {
            whole.extend(part);
        }
        let Some((position, words)) = whole.split_first_chunk() else {
            return Ok(None);
        };
        Ok(Some(Self {
            position: u64::from_be_bytes(*position),
            words: String::from_utf8(words.to_vec()).map_err(|_| damaged())?,
            parts,
        }))
    }

    fn words(&self) -> impl Iterator<Item = &str> {
        self.words.split_terminator(' ')
    }
}

/// Brings what is kept of a message to what it says now.
fn put<E: Engine>(view: &View<'_, E>, batch: &mut Batch, document: Document) -> Result<(), Error> {
    let (id, seq) = (document.conversation, document.seq);
    let old = match document.position {
        Some(_) => None,
        None => Kept::read(view, id, seq)?,
    };
    let stood_at = old.as_ref().map(|kept| kept.position);
    // A message that was never taken in has no text to take in now: every one that is posted is.
    let Some(position) = document.position.or(stood_at) else {
        return Ok(());
    };
    let before: BTreeSet<&str> = old.iter().flat_map(Kept::words).collect();
    let now: BTreeSet<&str> = document.words.iter().map(String::as_str).collect();
    let mut kept = position.to_be_bytes().to_vec();
    for word in before.symmetric_difference(&now) {
        let value = now.contains(word).then(|| kept.clone());
        batch.insert(codec::word(id, word, seq), value);
    }
    for word in &now {
        kept.extend_from_slice(word.as_bytes());
        kept.push(b' ');
    }
    let mut parts = kept.chunks(E::MAX_VALUE);
    for number in 0.. {
        let part = parts.next();
        if part.is_none() && old.as_ref().is_none_or(|kept| number >= kept.parts) {
            break;
        }
        let at = Place::Words(id, seq, number).encode();
        batch.insert(at, part.map(<[u8]>::to_vec));
    }
    Ok(())
}

fn number(value: &[u8]) -> Result<u64, Error> {
    let bytes = value.try_into().map_err(|_| damaged())?;
    Ok(u64::from_be_bytes(bytes))
}

/// One search on its way through the index.
struct Hunt<'a, E> {
    view: &'a View<'a, E>,
    /// Words that must be there as they are, and beginnings of words.
    whole: BTreeSet<&'a str>,
    begun: BTreeSet<&'a str>,
    before: u64,
    limit: usize,
    /// The best so far, by position.
    found: BTreeMap<u64, Candidate>,
    reads: usize,
}

impl<E: Engine> Hunt<'_, E> {
    /// Looks through the entries of the longest word, as the likely rarest; of a whole word newest first.
    fn stretch(&mut self, within: &Stretch) -> Result<(), Error> {
        let id = within.conversation;
        if let Some(word) = longest(&self.whole) {
            let mut last = within.last;
            while within.first <= last {
                let range = codec::messages_with(id, word, within.first, last);
                let pairs = self.view.scan(range, true, AT_ONCE.min(2 * self.limit))?;
                let Some((edge, _)) = pairs.last() else { break };
                last = entry(edge)?.1.saturating_sub(1);
                for (key, value) in &pairs {
                    // In a conversation, seqs and positions have one order: what follows is older still.
                    if !self.look(within, key, value)? {
                        return Ok(());
                    }
                }
            }
        } else if let Some(part) = longest(&self.begun) {
            let mut range = codec::words_beginning(id, part);
            loop {
                let pairs = self.view.scan(range.clone(), false, AT_ONCE)?;
                let Some((edge, _)) = pairs.last() else { break };
                range.start = codec::following(edge.clone());
                for (key, value) in &pairs {
                    self.look(within, key, value)?;
                }
                if pairs.len() < AT_ONCE {
                    break;
                }
            }
        }
        Ok(())
    }

    /// Looks at one entry; whether older ones may still be wanted.
    fn look(&mut self, within: &Stretch, key: &[u8], value: &[u8]) -> Result<bool, Error> {
        self.reads += 1;
        if self.reads > READS {
            return Err(Error::invalid(
                "too many messages hold such words: ask for longer or rarer ones, or in one conversation",
            ));
        }
        let (conversation, seq) = entry(key)?;
        let position = number(value)?;
        let is_full = self.found.len() >= self.limit;
        if is_full
            && self
                .found
                .first_key_value()
                .is_some_and(|(lowest, _)| position < *lowest)
        {
            return Ok(false);
        }
        let inside = (within.first..=within.last).contains(&seq) && position < self.before;
        if inside && self.has_all(conversation, seq)? {
            let candidate = Candidate {
                position,
                conversation,
                seq,
            };
            self.found.insert(position, candidate);
            if self.found.len() > self.limit {
                self.found.pop_first();
            }
        }
        Ok(true)
    }

    fn has_all(&mut self, id: ConversationId, seq: Seq) -> Result<bool, Error> {
        // It was found by the only one.
        if self.whole.len() + self.begun.len() == 1 {
            return Ok(true);
        }
        let Some(kept) = Kept::read(self.view, id, seq)? else {
            return Ok(false);
        };
        self.reads += kept.words.len() / LONG;
        let mut begun = self.begun.iter();
        Ok(self
            .whole
            .iter()
            .all(|word| kept.words().any(|there| there == *word))
            && begun.all(|part| kept.words().any(|there| there.starts_with(part))))
    }
}

fn longest<'a>(words: &BTreeSet<&'a str>) -> Option<&'a str> {
    words.iter().copied().max_by_key(|word| word.len())
}

fn entry(key: &[u8]) -> Result<(ConversationId, Seq), Error> {
    match Place::decode(key)? {
        Place::Word(conversation, _, seq) => Ok((conversation, seq)),
        _ => Err(damaged()),
    }
}

impl<E: Engine> Index for View<'_, E> {
    async fn position(&self, conversation: ConversationId, seq: Seq) -> Result<Option<u64>, Error> {
        let first = Place::Words(conversation, seq, 0).encode();
        let Some(value) = self.engine.get(&first)? else {
            return Ok(None);
        };
        let (position, _) = value.split_first_chunk().ok_or_else(damaged)?;
        Ok(Some(u64::from_be_bytes(*position)))
    }

    async fn candidates(
        &self,
        query: &Query,
        within: &[Stretch],
        before: u64,
        limit: usize,
    ) -> Result<Vec<Candidate>, Error> {
        if limit == 0 || state(self.engine)?.1 != version() {
            return Ok(Vec::new());
        }
        let mut hunt = Hunt {
            view: self,
            whole: BTreeSet::new(),
            begun: BTreeSet::new(),
            before,
            limit,
            found: BTreeMap::new(),
            reads: 0,
        };
        for phrase in query.phrases() {
            let (last, rest) = phrase.words.split_last().unzip();
            hunt.whole
                .extend(rest.into_iter().flatten().map(String::as_str));
            let to = if phrase.prefix {
                &mut hunt.begun
            } else {
                &mut hunt.whole
            };
            to.extend(last.map(String::as_str));
        }
        for stretch in within {
            hunt.stretch(stretch)?;
        }
        Ok(hunt.found.into_values().rev().collect())
    }
}

#[async_trait]
impl<E: Engine> Search for KvStore<E> {
    async fn index(&self, limit: usize) -> Result<usize, Error> {
        self.run(move |shared| shared.change(|engine, _, feed| advance(engine, feed, limit)))
            .await
    }

    async fn find(
        &self,
        viewer: Viewer,
        query: Query,
        conversation: Option<ConversationId>,
        before: Option<SearchCursor>,
        limit: usize,
    ) -> Result<SearchPage, Error> {
        self.read(move |view| {
            snapshot::now(search::find(
                view,
                viewer,
                &query,
                conversation,
                before,
                limit,
            ))
        })
        .await
    }
}
