//! Laws of a [`crate::Search`]: what is found, by whom, and when no longer. Skipped on a store that keeps no index.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{RngSeed, TestRunner};
use tokio::task::JoinSet;

use super::world::{ALL, World, about_self, created, refused};
use super::{Fixture, Outcome, PATIENCE, Verdict, Violation, ensure, ensure_eq, number};
use crate::search::Query;
use crate::{
    Change, Chat, ConversationId, Error, ErrorKind, History, Role, SearchCursor, SearchPage, Seq,
    Span, Store, Target, UserId, Viewer, Write,
};

const NO_INDEX: Verdict = Verdict::Skipped("the store keeps no index of words");

/// A place of a message.
type Place = (ConversationId, Seq);

fn no_search() -> Error {
    Error::internal("the store has lost its index")
}

/// Takes the index to the end of the feed, in batches of a size.
async fn index(store: &dyn Store, batch: usize) -> Result<(), Error> {
    let search = store.search().ok_or_else(no_search)?;
    while search.index(batch).await? > 0 {}
    Ok(())
}

async fn page(
    store: &dyn Store,
    viewer: Viewer,
    text: &str,
    conversation: Option<ConversationId>,
    before: Option<SearchCursor>,
    limit: usize,
) -> Result<SearchPage, Error> {
    let search = store.search().ok_or_else(no_search)?;
    let query = Query::parse(text)?;
    search
        .find(viewer, query, conversation, before, limit)
        .await
}

/// All that a user finds, gathered from pages of a size.
async fn find_by(
    store: &dyn Store,
    user: UserId,
    text: &str,
    conversation: Option<ConversationId>,
    size: usize,
) -> Result<Vec<Place>, Violation> {
    let (mut found, mut before) = (Vec::new(), None);
    loop {
        let page = page(store, Viewer::User(user), text, conversation, before, size).await?;
        ensure!(page.messages.len() <= size, "a page longer than asked for");
        found.extend(page.messages.iter().map(|m| (m.conversation, m.seq)));
        ensure!(
            page.next.is_none() || page.next != before,
            "a page ends where it began"
        );
        before = page.next;
        if before.is_none() {
            return Ok(found);
        }
    }
}

async fn find(world: &World, user: UserId, text: &str) -> Result<Vec<Place>, Violation> {
    find_by(&*world.store, user, text, None, 20).await
}

fn descending<T>(mut list: Vec<T>) -> Vec<T> {
    list.reverse();
    list
}

/// What is committed to a chat is found after a while, though nobody asks the store to index; a chat over the same store
/// finds what the other was told, and indexes what was committed before it began.
///
/// # Errors
/// How it was broken.
pub async fn found_after_commit(fixture: &dyn Fixture) -> Outcome {
    let world = World::open(fixture).await?;
    if world.store.search().is_none() {
        return Ok(NO_INDEX);
    }
    let [alice, bob] = world.users().await?;
    let write = Write::post(alice, Target::Direct(alice, bob), "before the chat began");
    created(&world.commit(write).await?)?;
    let chats = [
        fixture.build(Chat::builder(Arc::clone(&world.store))),
        fixture.build(Chat::builder(Arc::clone(&world.store))),
    ];
    let write = Write::post(bob, Target::Direct(alice, bob), "and after that");
    chats[0].commit(write).await?;
    for chat in &chats {
        for text in ["before", "after"] {
            let found = async {
                loop {
                    let viewer = Viewer::User(alice);
                    let page = chat.search(viewer, text, None, None, 20).await?;
                    if page.messages.len() == 1 {
                        return Ok::<_, Error>(());
                    }
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            };
            match tokio::time::timeout(PATIENCE, found).await {
                Ok(found) => found?,
                Err(_) => return Err(Violation::new(format!("`{text}` was never found"))),
            }
        }
    }
    for nothing in ["", "?!", "\"\""] {
        let page = chats[0].search(Viewer::User(alice), nothing, None, None, 20);
        refused("a search for nothing", page.await, &[ErrorKind::Invalid])?;
    }
    Ok(Verdict::Holds)
}

/// Law 7: nothing outside the viewer's ranges is found, neither in one conversation nor in all: not by strangers, by who joined
/// later, by who left, by who cleared the conversation; and no page can begin at what is hidden from its viewer.
///
/// # Errors
/// How it was broken.
pub async fn found_in_ranges_only(fixture: &dyn Fixture) -> Outcome {
    let world = World::open(fixture).await?;
    if world.store.search().is_none() {
        return Ok(NO_INDEX);
    }
    let [owner, removed, late, cleared, blocked, stranger] = world.users().await?;
    let members = [
        (removed, Role::Member),
        (cleared, Role::Member),
        (blocked, Role::Member),
    ];
    let id = world.found(owner, &members, History::Joined).await?;
    let first = world.post(owner, id, "apple one").await?;
    world
        .change(owner, id, Change::Remove { user: removed })
        .await?;
    let second = world.post(owner, id, "apple two").await?;
    let add = Change::Add {
        user: late,
        role: Role::Member,
    };
    world.change(owner, id, add).await?;
    let third = world.post(owner, id, "apple three").await?;
    world.change(cleared, id, Change::Hide).await?;
    let block = Change::Block {
        user: owner,
        on: true,
    };
    world.commit(about_self(blocked, block)).await?;
    let fourth = world.post(owner, id, "apple four").await?;
    index(&*world.store, 100).await?;
    for (user, seqs) in [
        (owner, vec![fourth, third, second, first]),
        (removed, vec![first]),
        (late, vec![fourth, third]),
        (cleared, vec![fourth]),
        // In groups, what the blocked write stays in the log.
        (blocked, vec![fourth, third, second, first]),
        (stranger, vec![]),
    ] {
        let places: Vec<_> = seqs.iter().map(|seq| (id, *seq)).collect();
        for size in [1, 2, 20] {
            let found = find_by(&*world.store, user, "apple", None, size).await?;
            ensure_eq!(found, places, "found by {user} in all");
            let found = find_by(&*world.store, user, "apple", Some(id), size).await;
            if user == stranger {
                ensure!(found.is_err(), "a stranger may search a group");
            } else {
                ensure_eq!(found?, places, "found by {user} in the group");
            }
        }
        for seq in [first, second, third, fourth] {
            let before = Some(SearchCursor {
                conversation: id,
                seq,
            });
            let page = page(&*world.store, Viewer::User(user), "apple", None, before, 20).await;
            if seqs.contains(&seq) {
                let older = page?.messages.len();
                let expected = seqs.iter().filter(|other| **other < seq).count();
                ensure_eq!(older, expected, "older than {seq} for {user}");
            } else {
                refused("a page from what is hidden", page, &[ErrorKind::Invalid])?;
            }
        }
    }
    let gone = page(
        &*world.store,
        Viewer::User(stranger),
        "apple",
        Some(id),
        None,
        20,
    )
    .await;
    refused("a stranger's search", gone, &[ErrorKind::NotFound])?;
    let all = page(&*world.store, Viewer::All, "apple", Some(id), None, 20).await?;
    ensure_eq!(all.messages.len(), 4, "found by who sees all");
    let all = page(&*world.store, Viewer::All, "apple", None, None, 20).await;
    refused("a search in everything", all, &[ErrorKind::Invalid])?;
    Ok(Verdict::Holds)
}

/// What an edit took away is not found from that moment on, also while the index lags; what it put there is found once the
/// index has followed. A deleted text is never found again. However often and in whatever batches it happens.
///
/// # Errors
/// How it was broken.
pub async fn follows_edits_and_deletions(fixture: &dyn Fixture) -> Outcome {
    let world = World::open(fixture).await?;
    if world.store.search().is_none() {
        return Ok(NO_INDEX);
    }
    let [alice, bob] = world.users().await?;
    for batch in [1, 2, 100] {
        let id = world.group_of(alice, &[bob]).await?;
        let early = world.post(alice, id, "red words").await?;
        let silent = world.post(alice, id, "!!!").await?;
        index(&*world.store, batch).await?;
        let late = world.post(alice, id, "red words").await?;
        let edit = |message, text: &str| Change::Edit {
            message,
            revision: None,
            content: text.into(),
        };
        let check = async |text: &'static str, seqs: &[Seq]| {
            let found = find_by(&*world.store, bob, text, Some(id), 20).await?;
            let seqs: Vec<_> = seqs.iter().map(|seq| (id, *seq)).collect();
            ensure_eq!(found, seqs, "found of `{text}`");
            Ok::<_, Violation>(())
        };
        for message in [early, late] {
            world
                .change(alice, id, edit(message, "green words"))
                .await?;
            check("red", &[]).await?;
            world.change(alice, id, edit(message, "blue words")).await?;
            check("red", &[]).await?;
            check("green", &[]).await?;
        }
        world.change(alice, id, edit(silent, "blue, too")).await?;
        index(&*world.store, batch).await?;
        check("blue", &[late, silent, early]).await?;
        check("words", &[late, early]).await?;
        check("red", &[]).await?;
        check("green", &[]).await?;
        // There and back again.
        world.change(alice, id, edit(early, "red words")).await?;
        index(&*world.store, batch).await?;
        check("red", &[early]).await?;
        world
            .change(alice, id, Change::Delete { message: early })
            .await?;
        check("red", &[]).await?;
        let last = world.post(alice, id, "blue words").await?;
        world
            .change(alice, id, Change::Delete { message: last })
            .await?;
        index(&*world.store, batch).await?;
        check("words", &[late]).await?;
        check("blue", &[late, silent]).await?;
    }
    Ok(Verdict::Holds)
}

/// An index that broke off anywhere goes on from there when the store is opened again: nothing skipped, nothing twice.
///
/// # Errors
/// How it was broken.
pub async fn index_outlives_reopening(fixture: &dyn Fixture) -> Outcome {
    let mut world = World::open(fixture).await?;
    if world.store.search().is_none() {
        return Ok(NO_INDEX);
    }
    let [alice, bob] = world.users().await?;
    let id = world.group_of(alice, &[bob]).await?;
    let mut places = Vec::new();
    for round in 0..4 {
        for number in 0..6 {
            let seq = world
                .post(alice, id, format!("apple {round} {number}"))
                .await?;
            places.push((id, seq));
        }
        // Some of them, and the last round none at all.
        let search = world.store.search().ok_or_else(no_search)?;
        for _ in 0..3 - round {
            search.index(2).await?;
        }
        let Some(reopened) = world.reopen(fixture).await? else {
            return Ok(Verdict::Skipped("the store keeps nothing"));
        };
        world = reopened;
    }
    index(&*world.store, 3).await?;
    let found = find(&world, bob, "apple").await?;
    ensure_eq!(found, descending(places), "found after reopening");
    Ok(Verdict::Holds)
}

/// While eight write, edit and delete, three bring the index further, as several nodes over one store do: in the end exactly
/// what stands in the texts is found.
///
/// # Errors
/// How it was broken.
pub async fn many_index_at_once(fixture: &dyn Fixture) -> Outcome {
    const WRITERS: usize = 8;
    let world = World::open(fixture).await?;
    if world.store.search().is_none() {
        return Ok(NO_INDEX);
    }
    let users = world.users::<WRITERS>().await?;
    let id = world.group_of(users[0], &users[1..]).await?;
    let world = Arc::new(world);
    let mut writers = JoinSet::new();
    for user in users {
        let world = Arc::clone(&world);
        writers.spawn(async move {
            for round in 0..12 {
                let message = world.post(user, id, format!("apple {round}")).await?;
                let change = match round % 3 {
                    0 => continue,
                    1 => Change::Delete { message },
                    _ => Change::Edit {
                        message,
                        revision: None,
                        content: "pear".into(),
                    },
                };
                world.change(user, id, change).await?;
            }
            Ok::<_, Error>(())
        });
    }
    let mut indexers = JoinSet::new();
    for batch in [1, 3, 10] {
        let world = Arc::clone(&world);
        indexers.spawn(async move {
            let search = world.store.search().ok_or_else(no_search)?;
            // So many that, three at a time, they all are done or nearly.
            for _ in 0..60 {
                search.index(batch).await?;
                tokio::task::yield_now().await;
            }
            Ok::<_, Error>(())
        });
    }
    while let Some(done) = writers.join_next().await {
        done??;
    }
    while let Some(done) = indexers.join_next().await {
        done??;
    }
    index(&*world.store, 7).await?;
    let history = world.history(Viewer::All, id).await?;
    for word in ["apple", "pear"] {
        let expected: Vec<_> = history
            .iter()
            .filter(|message| message.text().is_some_and(|text| text.contains(word)))
            .map(|message| (id, message.seq))
            .collect();
        ensure_eq!(expected.len(), 4 * WRITERS, "texts with `{word}`");
        let found = find(&world, users[1], word).await?;
        ensure_eq!(found, descending(expected), "found of `{word}`");
    }
    Ok(Verdict::Holds)
}

/// Pages of any size have everything once, newest first in the order of the feed, in many conversations, while new messages come
/// and old ones are deleted in between.
///
/// # Errors
/// How it was broken.
pub async fn pages_have_no_holes(fixture: &dyn Fixture) -> Outcome {
    let world = World::open(fixture).await?;
    if world.store.search().is_none() {
        return Ok(NO_INDEX);
    }
    let [alice, bob, other] = world.users().await?;
    let mut ids = Vec::new();
    for _ in 0..5 {
        ids.push(world.group_of(alice, &[bob]).await?);
    }
    let foreign = world.group_of(other, &[alice]).await?;
    let mut places = Vec::new();
    for n in 0..40 {
        let id = ids[n * n % 7 % 5];
        let seq = world.post(alice, id, format!("apple {n}")).await?;
        places.push((id, seq));
        world.post(alice, foreign, format!("apple {n}")).await?;
        world.post(alice, id, "no fruit").await?;
    }
    index(&*world.store, 100).await?;
    let places = descending(places);
    for size in [1, 2, 7, 20, 100] {
        let found = find_by(&*world.store, bob, "apple", None, size).await?;
        ensure_eq!(found, places, "found in pages of {size}");
    }
    let viewer = Viewer::User(bob);
    let mut found = Vec::new();
    let mut before = None;
    let mut deleted = BTreeSet::new();
    loop {
        let page = page(&*world.store, viewer, "app", None, before, 7).await?;
        found.extend(page.messages.iter().map(|m| (m.conversation, m.seq)));
        before = page.next;
        if before.is_none() {
            break;
        }
        world.post(alice, ids[0], "apple anew").await?;
        // The one where the page ended, and one that is still to come.
        let at = places.iter().position(|place| found.last() == Some(place));
        let at = at.ok_or_else(|| Violation::new("a page ends at what nobody posted"))?;
        for &(id, message) in places[at..].iter().step_by(3).take(2) {
            world.change(alice, id, Change::Delete { message }).await?;
            deleted.insert((id, message));
        }
        index(&*world.store, 100).await?;
    }
    // What was found before it was deleted counts.
    let is_expected = |place: &Place| found.contains(place) || !deleted.contains(place);
    let expected: Vec<_> = places.into_iter().filter(is_expected).collect();
    ensure_eq!(found, expected, "found while things went on");
    Ok(Verdict::Holds)
}

/// What is found of random texts by random queries is what a scan of everything finds that knows nothing of an index.
/// `SEARCH_SEEDS` sets how many rounds of it, 4 unless set.
///
/// # Errors
/// How it was broken, with the seed.
pub async fn agrees_with_a_scan(fixture: &dyn Fixture) -> Outcome {
    for seed in 0..number("SEARCH_SEEDS", 4) {
        let world = World::open(fixture).await?;
        if world.store.search().is_none() {
            return Ok(NO_INDEX);
        }
        compare(&world, seed)
            .await
            .map_err(|violation| Violation::new(format!("seed {seed}: {violation}")))?;
    }
    Ok(Verdict::Holds)
}

async fn compare(world: &World, seed: u64) -> Result<(), Violation> {
    const WORDS: [&str; 10] = ["a", "ab", "abc", "b", "ba", "bab", "12", "1", "東京", "京"];
    let config = proptest::test_runner::Config {
        rng_seed: RngSeed::Fixed(seed),
        ..Default::default()
    };
    let mut runner = TestRunner::new(config);
    let mut sample = |words: std::ops::Range<usize>| {
        let words = prop::collection::vec(prop::sample::select(&WORDS[..]), words);
        let tree = words.new_tree(&mut runner);
        tree.map(|tree| tree.current())
            .map_err(|reason| Violation::new(format!("no sample: {reason}")))
    };
    let [alice, bob, carol] = world.users().await?;
    let ids = [
        world.group_of(alice, &[bob]).await?,
        world.group_of(alice, &[bob, carol]).await?,
        world.group_of(alice, &[carol]).await?,
    ];
    for n in 0..90 {
        let id = ids[n % 3];
        let text = sample(1..6)?.join(" ");
        let message = world.post(alice, id, text).await?;
        if n % 9 == 4 {
            let content = sample(1..6)?.join(" ").into();
            let revision = None;
            let edit = Change::Edit {
                message,
                revision,
                content,
            };
            world.change(alice, id, edit).await?;
        }
        if n % 11 == 3 {
            index(&*world.store, 8).await?;
        }
        if n == 60 {
            world.change(bob, ids[0], Change::Hide).await?;
        }
    }
    index(&*world.store, 8).await?;
    for n in 0..60 {
        let words = sample(1..4)?;
        let quoted = n % 3 == 0;
        let text = if quoted {
            format!("\"{}\"", words.join(" "))
        } else {
            words.join(" ")
        };
        for user in [bob, carol] {
            let mut expected = Vec::new();
            for id in ids {
                let span = Span::After(0);
                let history = world.store.history(Viewer::User(user), id, span, ALL).await;
                for message in history.unwrap_or_default() {
                    let content = message.text().unwrap_or_default();
                    if scan(content, &words, quoted) {
                        expected.push((id, message.seq));
                    }
                }
            }
            expected.sort_unstable();
            let mut found = find_by(&*world.store, user, &text, None, 20).await?;
            found.sort_unstable();
            ensure_eq!(found, expected, "found of `{text}` by {user}");
        }
    }
    Ok(())
}

/// Whether a text of words between spaces has all these, the last one as a beginning, or side by side. Characters of 東京 are
/// found wherever they stand, in a text's words as in quoted ones.
fn scan(text: &str, words: &[&str], quoted: bool) -> bool {
    let there: Vec<&str> = text.split(' ').collect();
    let is_han = |word: &str| !word.is_ascii();
    if quoted {
        let fits = |(n, (there, asked)): (usize, (&&str, &&str))| {
            there == asked
                || is_han(asked) && n == 0 && there.ends_with(*asked)
                || is_han(asked) && n + 1 == words.len() && there.starts_with(*asked)
        };
        return there
            .windows(words.len())
            .any(|window| window.iter().zip(words).enumerate().all(fits))
            || words.len() == 1 && is_han(words[0]) && text.contains(words[0]);
    }
    words.iter().enumerate().all(|(n, asked)| {
        if is_han(asked) {
            return text.contains(asked);
        }
        let last = n + 1 == words.len();
        there
            .iter()
            .any(|word| word == asked || last && word.starts_with(asked))
    })
}
