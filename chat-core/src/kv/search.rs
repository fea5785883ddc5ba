//! A simple index of words in the engine itself.
//!
//! Each different word of a message is two keys ([`codec`]): one by which the message is found, one by which the word is taken
//! away again when the text changes. What it does not know, `chat_core::search` checks in the text: whether words stand
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

/// Entries of words that one search reads.
const READS: usize = 20_000;
/// Entries read, or taken away, at once.
const AT_ONCE: usize = 500;

/// How far the index has come, and by which version of [`search::words`].
fn state<E: Engine>(engine: &E) -> Result<(u64, String), Error> {
    let Some(value) = engine.get(&Place::Indexed.encode())? else {
        return Ok((0, search::version()));
    };
    let (position, version) = value.split_first_chunk().ok_or_else(damaged)?;
    let version = std::str::from_utf8(version).map_err(|_| damaged())?;
    Ok((u64::from_be_bytes(*position), version.to_owned()))
}

/// What brings the index further, and by how many entries of the feed.
fn advance<E: Engine>(engine: &E, feed: u64, limit: usize) -> Result<(Changes, usize), Error> {
    let view = View::new(engine);
    let mut batch = Batch::new();
    let (after, version) = state(engine)?;
    let state = |batch: &mut Batch, position: u64, version: &str| {
        let value = [&position.to_be_bytes(), version.as_bytes()].concat();
        batch.insert(Place::Indexed.encode(), Some(value));
    };
    let mut entries = 0;
    if version == search::version() {
        let next = snapshot::now(search::following(&view, after, limit))?;
        if let Some(next) = next {
            for document in next.documents {
                put(&view, &mut batch, document)?;
            }
            entries = next.entries;
            state(&mut batch, next.position, &version);
        }
    } else {
        // Made by another version: taken away bit by bit, then made anew.
        for (key, _) in view.scan(codec::index(), false, AT_ONCE)? {
            batch.insert(key, None);
        }
        if batch.is_empty() {
            state(&mut batch, 0, &search::version());
        }
        entries = batch.len();
    }
    let position = feed;
    Ok((Changes { batch, position }, entries))
}

/// Brings what is kept of a message to what it says now.
fn put<E: Engine>(view: &View<'_, E>, batch: &mut Batch, document: Document) -> Result<(), Error> {
    let Document {
        conversation,
        seq,
        mut position,
        words,
    } = document;
    let mut old = BTreeSet::new();
    if position.is_none() {
        for (key, value) in view.scan(codec::words_of(conversation, seq), false, usize::MAX)? {
            let Place::WordOf(_, _, word) = Place::decode(&key)? else {
                return Err(damaged());
            };
            position = Some(number(&value)?);
            old.insert(word);
        }
    }
    // A message that was never taken in has no text to take in now: every one that is posted is.
    let Some(position) = position else {
        return Ok(());
    };
    let value = position.to_be_bytes().to_vec();
    let mut new: BTreeSet<_> = words.into_iter().collect();
    // Stays as long as the message: where it stands in the feed.
    new.insert(String::new());
    for word in old.symmetric_difference(&new) {
        let value = new.contains(word).then(|| value.clone());
        let of = Place::WordOf(conversation, seq, word.clone()).encode();
        if !word.is_empty() {
            let at = Place::Word(conversation, word.clone(), seq).encode();
            batch.insert(at, value.clone());
        }
        batch.insert(of, value);
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

    fn has_all(&self, id: ConversationId, seq: Seq) -> Result<bool, Error> {
        for word in &self.whole {
            let key = Place::WordOf(id, seq, (*word).to_owned()).encode();
            if self.view.engine.get(&key)?.is_none() {
                return Ok(false);
            }
        }
        for part in &self.begun {
            let range = codec::words_of_beginning(id, seq, part);
            if self.view.scan(range, false, 1)?.is_empty() {
                return Ok(false);
            }
        }
        Ok(true)
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
        let key = Place::WordOf(conversation, seq, String::new()).encode();
        self.engine
            .get(&key)?
            .map(|value| number(&value))
            .transpose()
    }

    async fn candidates(
        &self,
        query: &Query,
        within: &[Stretch],
        before: u64,
        limit: usize,
    ) -> Result<Vec<Candidate>, Error> {
        if limit == 0 || state(self.engine)?.1 != search::version() {
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
