//! Laws 1 and 5: logs without holes, in one order however they are read.

use std::collections::BTreeSet;

use tokio::task::JoinSet;

use crate::conformance::world::{ALL, World, prepared, refused, to};
use crate::conformance::{Fixture, Outcome, Verdict, Violation, ensure, ensure_eq};
use crate::{
    Change, ConversationId, ErrorKind, EventKind, LogId, Role, Seq, Span, Target, Viewer, Write,
};

/// Law 1: a log's seqs are 1, 2, 3 … to its head, refused writes among the others or not; every write is told the seqs it
/// got, and its events carry them.
///
/// # Errors
/// How it was broken.
pub async fn gapless(fixture: &dyn Fixture) -> Outcome {
    let world = World::open(fixture).await?;
    let [owner, member, other, stranger] = world.users().await?;
    let group = world.group_of(owner, &[member, other]).await?;
    let mut next = 2;
    for round in 0..10 {
        let changes = vec![
            Change::post(format!("round {round}")),
            Change::React {
                message: next,
                emoji: "+".into(),
                on: true,
            },
            Change::Configure {
                title: Some(format!("Title {round}")),
                data: None,
                history: None,
            },
        ];
        let done = world.commit(to(owner, group, changes)).await?;
        ensure_eq!((done.first, done.count), (next, 3), "seqs of a write");
        let seqs = done.events.iter().filter(|event| event.log == group.into());
        let seqs: Vec<Seq> = seqs.map(|event| event.seq).collect();
        ensure_eq!(seqs, vec![next, next + 1, next + 2], "seqs of its events");
        refused(
            "a stranger's post",
            world.post(stranger, group, "no").await,
            &[ErrorKind::NotFound],
        )?;
        let [one, two] = [format!("{round} one"), format!("{round} two")];
        let results = world
            .group(vec![
                to(member, group, vec![Change::post(one)]),
                to(stranger, group, vec![Change::post("no")]),
                to(other, group, vec![Change::post(two)]),
                to(other, group, vec![Change::Read { seq: next + 4 }]),
            ])
            .await?;
        let got: Vec<_> = results
            .iter()
            .map(|result| result.as_ref().map_or((0, 0), |d| (d.first, d.count)))
            .collect();
        ensure_eq!(got[0], (next + 3, 1), "the first of a group");
        ensure_eq!(got[2], (next + 4, 1), "the one after a refused one");
        ensure_eq!(got[3].1, 0, "what a read cursor adds to the conversation");
        next += 5;
    }
    let log = world.log(Viewer::All, group).await?;
    let seqs: Vec<Seq> = log.iter().map(|(seq, _)| *seq).collect();
    ensure_eq!(seqs, (1..next).collect::<Vec<_>>(), "the group's log");
    ensure!(
        log.iter().all(|(seq, event)| event
            .as_ref()
            .is_some_and(|event| event.seq == *seq && event.log == LogId::from(group))),
        "an event does not stand at its own seq: {log:?}"
    );
    // One's own post is read already, so none of these reads is news.
    let log = world.log(Viewer::User(other), other).await?;
    let kinds: Vec<_> = log
        .into_iter()
        .filter_map(|(_, e)| e.map(|e| e.kind))
        .collect();
    let added = EventKind::Added {
        conversation: group,
        seq: 1,
    };
    ensure_eq!(
        kinds,
        vec![added],
        "the log of one who reads what they wrote"
    );
    Ok(Verdict::Holds)
}

/// Law 1 under load: 64 writers on one conversation leave 1..n, every acknowledgement names its own message, and each
/// writer's messages stand in the order in which they were acknowledged.
///
/// # Errors
/// How it was broken.
pub async fn many_writers_leave_no_hole(fixture: &dyn Fixture) -> Outcome {
    const WRITERS: usize = 64;
    const EACH: usize = 6;
    let world = World::open(fixture).await?;
    let members: Vec<_> = world.users::<WRITERS>().await?.to_vec();
    let group = world.group_of(members[0], &members[1..]).await?;
    let mut tasks = JoinSet::new();
    for &member in &members {
        let store = world.store.clone();
        tasks.spawn(async move {
            let mut seqs = Vec::new();
            for round in 0..EACH {
                let text = format!("{member} {round}");
                let write = to(member, group, vec![Change::post(text.clone())]);
                for result in store.commit(vec![prepared(write)]).await {
                    seqs.push((result?.first, text.clone()));
                }
            }
            Ok::<_, Violation>(seqs)
        });
    }
    let mut told = BTreeSet::new();
    while let Some(seqs) = tasks.join_next().await {
        let seqs = seqs??;
        ensure!(
            seqs.is_sorted_by_key(|(seq, _)| *seq),
            "one writer's messages are out of order: {seqs:?}"
        );
        told.extend(seqs);
    }
    let messages = world.history(Viewer::All, group).await?;
    let found: BTreeSet<_> = messages
        .iter()
        .filter_map(|m| Some((m.seq, m.content.as_ref()?.text.clone())))
        .collect();
    ensure_eq!(found, told, "messages and what their writers were told");
    let ordinals: Vec<u64> = messages.iter().map(|message| message.ordinal).collect();
    let count = (WRITERS * EACH) as u64;
    ensure_eq!(ordinals, (1..=count).collect::<Vec<_>>(), "ordinals");
    let log = world.log(Viewer::All, group).await?;
    ensure_eq!(log.len() as u64, count + 1, "length of the log");
    Ok(Verdict::Holds)
}

/// Law 5: a log and a history are in one order, in pages of any size, forward, backward, from any place, for every member,
/// and in the feed.
///
/// # Errors
/// How it was broken.
pub async fn one_order_however_read(fixture: &dyn Fixture) -> Outcome {
    let world = World::open(fixture).await?;
    let [owner, member, late] = world.users().await?;
    let group = world.group_of(owner, &[member]).await?;
    let elsewhere = Target::Direct(owner, member);
    for round in 0..12 {
        let mut writes = vec![
            to(owner, group, vec![Change::post(format!("{round} a"))]),
            Write::post(member, elsewhere.clone(), format!("{round} b")),
            to(
                member,
                group,
                vec![
                    Change::post(format!("{round} c")),
                    Change::post(format!("{round} d")),
                ],
            ),
        ];
        if round == 6 {
            let change = Change::Add {
                user: late,
                role: Role::Member,
            };
            writes.push(to(owner, group, vec![change]));
        }
        for result in world.group(writes).await? {
            result?;
        }
    }
    let whole = world.log_by(Viewer::All, group, ALL).await?;
    for page in [1, 2, 7, 100] {
        for viewer in [Viewer::All, Viewer::User(member), Viewer::User(late)] {
            let paged = world.log_by(viewer, group, page).await?;
            ensure_eq!(paged, whole, "the log for {viewer:?} in pages of {page}");
        }
    }
    let feed = world.store.feed(0, ALL).await?;
    let fed: Vec<_> = feed
        .into_iter()
        .filter(|entry| entry.event.log == group.into())
        .map(|entry| (entry.event.seq, Some(entry.event)))
        .collect();
    ensure_eq!(fed, whole, "the feed");
    let posted: Vec<Seq> = whole
        .iter()
        .filter(|(_, e)| e.as_ref().is_some_and(|e| e.kind == EventKind::Posted))
        .map(|(seq, _)| *seq)
        .collect();
    for page in [1, 2, 7, 100] {
        let [forward, backward] = histories(&world, group, page).await?;
        ensure_eq!(forward, posted, "history forward in pages of {page}");
        ensure_eq!(backward, posted, "history backward in pages of {page}");
    }
    Ok(Verdict::Holds)
}

/// The seqs of a history, gathered forward and backward.
async fn histories(
    world: &World,
    group: ConversationId,
    page: usize,
) -> Result<[Vec<Seq>; 2], Violation> {
    let read = async |span| -> Result<Vec<Seq>, Violation> {
        let messages = world.store.history(Viewer::All, group, span, page).await?;
        ensure!(messages.len() <= page, "a page longer than asked for");
        Ok(messages.iter().map(|message| message.seq).collect())
    };
    let mut forward = Vec::new();
    let mut after = 0;
    loop {
        let got = read(Span::After(after)).await?;
        let Some(&last) = got.last() else { break };
        ensure!(last > after, "history went backward");
        after = last;
        forward.extend(got);
    }
    let mut backward = Vec::new();
    let mut span = Span::Latest;
    loop {
        let got = read(span).await?;
        let Some(&first) = got.first() else { break };
        ensure!(span != Span::Before(first), "history stands still");
        span = Span::Before(first);
        backward.splice(0..0, got);
        ensure!(backward.len() <= ALL, "history has no beginning");
    }
    Ok([forward, backward])
}
