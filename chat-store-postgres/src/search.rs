//! The index of words: a `tsvector` for each message, in a table of its own.
//!
//! What stands in it is made of [`chat_core::search::words`], each word behind its conversation's id, so that words of different
//! conversations are different terms: a search looks at those of its viewer's conversations only, and what it finds in the index
//! lies in the right one. The index does not know where in a text a word stands; `chat_core::search` looks into the text for that.
//!
//! Nodes take turns: who takes entries in holds `chat_indexed`. That lock is asked for before the transaction's snapshot is
//! taken, so each goes on where the one before has come to. The transaction is not flushed by itself: after a crash the index
//! goes on from where it finds itself. The index is written at once (`fastupdate = off`), as a list of what is to be sorted in
//! later would be read by every search.
//!
//! What was erased is in no row any more once the index has caught up; like all that PostgreSQL deletes, its bytes are
//! overwritten some time after the next `VACUUM`.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use chat_core::search::{self, Candidate, Index, Query, Stretch};
use chat_core::{ConversationId, Error, Search, SearchCursor, SearchPage, Seq, Viewer};
use tokio_postgres::Client;

use crate::columns::{Cells, int, log_to_int};
use crate::executor::{Param, Statement};
use crate::view::View;
use crate::{PostgresStore, fault, feed};

/// Stands between a conversation and a word, and in a query for the conversation. No word has them.
const OF: char = ':';
const CONVERSATION: char = '@';

const BEGIN: &[&str] = &[
    "BEGIN ISOLATION LEVEL REPEATABLE READ READ WRITE",
    "SET LOCAL synchronous_commit = off",
    "LOCK TABLE chat_indexed IN EXCLUSIVE MODE",
];

const STATE: &str = "SELECT place, version FROM chat_indexed WHERE id = 0";

const REACHED: &str = "UPDATE chat_indexed SET place = $1 WHERE id = 0";

const PUT: &str = "INSERT INTO chat_search(conversation, seq, place, words) \
    SELECT e.log, e.seq, e.place, array_to_tsvector(string_to_array(new.words, ' ')) \
    FROM unnest($1::bigint[], $2::bigint[], $3::text[]) AS new(log, seq, words) \
    JOIN chat_event e ON e.log = new.log AND e.seq = new.seq \
    ON CONFLICT (conversation, seq) DO UPDATE SET words = excluded.words";

const TAKE_OUT: &str = "DELETE FROM chat_search s \
    USING unnest($1::bigint[], $2::bigint[]) AS old(log, seq) \
    WHERE s.conversation = old.log AND s.seq = old.seq";

const PLACE: &str = "SELECT place FROM chat_event WHERE log = $1 AND seq = $2";

/// The terms alone lead to the rows: `+ 0` keeps the other conditions from being taken for a way to them, which would read
/// whatever else stands there.
pub(crate) const CANDIDATES: &str = "SELECT found.place, found.conversation, found.seq \
    FROM unnest($1::bigint[], $2::bigint[], $3::bigint[]) AS within(conversation, first, last), \
    LATERAL ( \
        SELECT s.place, s.conversation, s.seq FROM chat_search s \
        WHERE s.words @@ replace($4, '@', to_hex(within.conversation))::tsquery \
            AND s.seq + 0 BETWEEN within.first AND within.last AND s.place + 0 < $5 \
        ORDER BY s.place DESC LIMIT $6 \
    ) AS found \
    WHERE EXISTS (SELECT FROM chat_indexed WHERE id = 0 AND version = $7) \
    ORDER BY found.place DESC LIMIT $6";

/// Makes the index anew when another version made its words.
pub(crate) async fn prepare(client: &Client) -> Result<(), tokio_postgres::Error> {
    let version = search::version();
    let made = "SELECT version FROM chat_indexed WHERE id = 0";
    let made: String = client.query_one(made, &[]).await?.try_get(0)?;
    if made == version {
        return Ok(());
    }
    // Nothing has been made yet where no version says so.
    if !made.is_empty() {
        client.batch_execute("TRUNCATE chat_search").await?;
    }
    let anew = "UPDATE chat_indexed SET place = 0, version = $1 WHERE id = 0";
    client.execute(anew, &[&version]).await?;
    Ok(())
}

/// Words as they stand in the index, each once.
fn terms(id: ConversationId, words: &[String]) -> String {
    let words: BTreeSet<&String> = words.iter().collect();
    let terms = words
        .into_iter()
        .map(|word| format!("{:x}{OF}{word}", id.get()));
    terms.collect::<Vec<_>>().join(" ")
}

/// A query for any conversation. Words hold none of the characters that mean something here.
fn expression(query: &Query) -> String {
    let mut terms = BTreeSet::new();
    for phrase in query.phrases() {
        for (place, word) in phrase.words.iter().enumerate() {
            let goes_on = phrase.prefix && place + 1 == phrase.words.len();
            let star = if goes_on { ":*" } else { "" };
            terms.insert(format!("'{CONVERSATION}{OF}{word}'{star}"));
        }
    }
    terms.into_iter().collect::<Vec<_>>().join(" & ")
}

/// Takes the index further, in the transaction of the view.
async fn advance(view: View, limit: usize) -> Result<usize, Error> {
    let read = |row: &mut Cells| Ok((row.number()?, row.text()?));
    let state = view.list(STATE, Vec::new(), read).await?;
    let next = match state.first() {
        Some((after, version)) if *version == search::version() => {
            search::following(&view, *after, limit).await?
        }
        // Another version of this program is at work.
        _ => None,
    };
    let Some(next) = next else {
        view.end();
        return Ok(0);
    };
    let (mut logs, mut seqs, mut words) = (Vec::new(), Vec::new(), Vec::new());
    let (mut old_logs, mut old_seqs) = (Vec::new(), Vec::new());
    for document in &next.documents {
        let log = Some(log_to_int(document.conversation.into()));
        let seq = Some(int(document.seq));
        if document.words.is_empty() {
            old_logs.push(log);
            old_seqs.push(seq);
        } else {
            logs.push(log);
            seqs.push(seq);
            words.push(Some(terms(document.conversation, &document.words)));
        }
    }
    let put = vec![Param::Ints(logs), Param::Ints(seqs), Param::Texts(words)];
    let take_out = vec![Param::Ints(old_logs), Param::Ints(old_seqs)];
    let reached = vec![Param::Int(int(next.position))];
    let statements = [(TAKE_OUT, take_out), (PUT, put), (REACHED, reached)];
    let statements = statements.map(|(sql, params)| Statement { sql, params });
    view.run(statements.into()).await?;
    view.commit().await?;
    Ok(next.entries)
}

impl Index for View {
    async fn position(&self, conversation: ConversationId, seq: Seq) -> Result<Option<u64>, Error> {
        let params = [log_to_int(conversation.into()), int(seq)];
        let params = params.map(Param::Int).to_vec();
        let mut places = self.list(PLACE, params, Cells::number).await?;
        Ok(places.pop())
    }

    async fn candidates(
        &self,
        query: &Query,
        within: &[Stretch],
        before: u64,
        limit: usize,
    ) -> Result<Vec<Candidate>, Error> {
        let column =
            |of: fn(&Stretch) -> i64| Param::Ints(within.iter().map(of).map(Some).collect());
        let params = vec![
            column(|stretch| log_to_int(stretch.conversation.into())),
            column(|stretch| int(stretch.first)),
            column(|stretch| int(stretch.last)),
            Param::Text(expression(query)),
            Param::Int(int(before)),
            Param::Int(int(limit as u64)),
            Param::Text(search::version()),
        ];
        self.list(CANDIDATES, params, |row| {
            Ok(Candidate {
                position: row.number()?,
                conversation: row.conversation()?,
                seq: row.number()?,
            })
        })
        .await
    }
}

#[async_trait]
impl Search for PostgresStore {
    async fn index(&self, limit: usize) -> Result<usize, Error> {
        let begun = Instant::now();
        let mut mark = None;
        let mut attempt = 0;
        loop {
            let mut view = View::begun_by(BEGIN, self.pool.get().await?);
            let late = begun.elapsed() > feed::PATIENCE;
            if feed::step(&mut view, &mut mark, &self.settled, late).await? {
                return advance(view, limit).await;
            }
            view.end();
            fault::pause(attempt, Duration::from_millis(50)).await;
            attempt += 1;
        }
    }

    async fn find(
        &self,
        viewer: Viewer,
        query: Query,
        conversation: Option<ConversationId>,
        before: Option<SearchCursor>,
        limit: usize,
    ) -> Result<SearchPage, Error> {
        let view = self.view().await?;
        let page = search::find(&view, viewer, &query, conversation, before, limit).await;
        view.end();
        page
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_plain_terms() {
        let asked = Query::parse("Wor \"a b\" a' & | ! (x):* @5 \\ hel").unwrap();
        let expected = "'@:5' & '@:a' & '@:b' & '@:hel':* & '@:wor' & '@:x'";
        assert_eq!(expression(&asked), expected);
        let id = ConversationId::new(255).unwrap();
        let words = ["b", "a", "b"].map(str::to_owned);
        assert_eq!(terms(id, &words), "ff:a ff:b");
    }
}
