//! Law 11 and the lists: counts, inboxes, users.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use crate::conformance::world::{ALL, World, about_self, refused, to};
use crate::conformance::{Fixture, Outcome, Verdict, Violation, ensure, ensure_eq};
use crate::{
    Actor, Change, ConversationId, ErrorKind, EventKind, Marked, Seq, Target, UserId, Viewer, Write,
};

/// Unread is what was posted after one's cursor, whatever else happened; one's own post moves one's own cursor, and an edit
/// or deletion counts for nothing.
///
/// # Errors
/// How it was broken.
pub async fn counts_agree(fixture: &dyn Fixture) -> Outcome {
    let world = World::open(fixture).await?;
    let [alice, bob, carol] = world.users().await?;
    let id = world.group_of(alice, &[bob, carol]).await?;
    let unread = async |expected: [u64; 3], when: &str| -> Result<(), Violation> {
        for (user, expected) in [alice, bob, carol].into_iter().zip(expected) {
            let entry = world.store.entry(user, id).await?;
            let count = entry.member.unread(&entry.head);
            ensure_eq!(count, expected, "unread of {user} {when}");
            // Two ways to the same number: by ordinals, and by counting.
            let messages = world.history(Viewer::User(user), id).await?;
            let after = messages.iter().filter(|m| m.seq > entry.member.read);
            ensure_eq!(after.count() as u64, expected, "counted for {user} {when}");
            let inbox = world.store.inbox(user, None, ALL).await?;
            ensure_eq!(inbox, vec![entry], "list and entry of {user} {when}");
        }
        Ok(())
    };
    unread([0, 0, 0], "at first").await?;
    let first = world.post(alice, id, "one").await?;
    let second = world.post(alice, id, "two").await?;
    unread([0, 2, 2], "after two posts").await?;
    world.change(bob, id, Change::Read { seq: first }).await?;
    unread([0, 1, 2], "after reading one").await?;
    let about = vec![
        Change::Edit {
            message: second,
            revision: None,
            content: "two, edited".into(),
        },
        Change::Delete { message: first },
        Change::React {
            message: second,
            emoji: "+".into(),
            on: true,
        },
    ];
    world.commit(to(alice, id, about)).await?;
    unread([0, 1, 2], "after an edit and a deletion").await?;
    world.post(carol, id, "three").await?;
    unread([1, 2, 0], "after one's own post").await?;
    let own = vec![Change::post("four"), Change::post("five")];
    world.commit(to(bob, id, own)).await?;
    unread([3, 0, 2], "after one's own two").await?;
    world
        .change(alice, id, Change::Read { seq: 1 << 40 })
        .await?;
    unread([0, 0, 2], "after reading beyond the head").await?;
    world.change(carol, id, Change::Hide).await?;
    let entry = world.store.entry(carol, id).await?;
    ensure_eq!(entry.member.unread(&entry.head), 0, "unread after hiding");
    Ok(Verdict::Holds)
}

/// Unread messages that mention somebody are known until they are read, deleted, or no longer theirs to read; whoever blocks
/// the author is not mentioned.
///
/// # Errors
/// How it was broken.
pub async fn mentions_are_counted(fixture: &dyn Fixture) -> Outcome {
    let world = World::open(fixture).await?;
    let [alice, bob, carol, blocks] = world.users().await?;
    let id = world.group_of(alice, &[bob, carol, blocks]).await?;
    let block = Change::Block {
        user: alice,
        on: true,
    };
    world.commit(about_self(blocks, block)).await?;
    let expect = async |user, expected: &[Seq], when: &str| -> Result<(), Violation> {
        let entry = world.store.entry(user, id).await?;
        ensure_eq!(entry.member.mentions, expected, "mentions {when}");
        // Who hid it has no list.
        if let Some(listed) = world.store.inbox(user, None, ALL).await?.pop() {
            ensure_eq!(listed, entry, "list and entry of {user} {when}");
        }
        Ok(())
    };
    let mention = async |sender: UserId, users: &[UserId]| {
        let post = Change::Post {
            content: "you".into(),
            reply_to: None,
            mentions: users.to_vec(),
        };
        Ok::<Seq, Violation>(world.change(sender, id, post).await?.last())
    };
    let all = [alice, bob, carol, blocks];
    let one = mention(alice, &all).await?;
    let two = mention(alice, &[bob]).await?;
    world.post(alice, id, "nobody").await?;
    let four = mention(carol, &[bob, blocks]).await?;
    expect(alice, &[], "of oneself").await?;
    expect(bob, &[one, two, four], "of one mentioned thrice").await?;
    expect(carol, &[], "of one who wrote since").await?;
    expect(blocks, &[four], "of one who blocks").await?;
    world.change(bob, id, Change::Read { seq: one }).await?;
    expect(bob, &[two, four], "after reading the first").await?;
    let delete = Change::Delete { message: two };
    world.change(alice, id, delete).await?;
    expect(bob, &[four], "after a deletion").await?;
    world.change(bob, id, Change::Hide).await?;
    expect(bob, &[], "after hiding").await?;
    let last = mention(carol, &[bob]).await?;
    expect(bob, &[last], "after hiding, anew").await?;
    world
        .change(alice, id, Change::Remove { user: bob })
        .await?;
    let member = world.store.entry(bob, id).await?.member;
    ensure_eq!(
        member.mentions,
        Vec::<Seq>::new(),
        "mentions of one who left"
    );
    mention(carol, &[bob]).await?;
    let add = Change::Add {
        user: bob,
        role: crate::Role::Member,
    };
    world.change(alice, id, add).await?;
    expect(bob, &[], "of one who is back").await?;
    for _ in 0..110 {
        mention(carol, &[bob]).await?;
    }
    let member = world.store.entry(bob, id).await?.member;
    ensure_eq!(member.mentions.len(), 100, "mentions kept");
    Ok(Verdict::Holds)
}

/// Read and delivered cursors only go forward, at most to the head; what changes nothing is no news.
///
/// # Errors
/// How it was broken.
pub async fn reading_is_monotone(fixture: &dyn Fixture) -> Outcome {
    let world = World::open(fixture).await?;
    let [alice, bob] = world.users().await?;
    let id = world.group_of(alice, &[bob]).await?;
    for n in 2..=6 {
        world.post(alice, id, format!("{n}")).await?;
    }
    let mut told = Vec::new();
    for (asked, read) in [(4, 4), (2, 4), (4, 4), (0, 4), (5, 5), (99, 6), (1, 6)] {
        let done = world.change(bob, id, Change::Read { seq: asked }).await?;
        let member = world.store.entry(bob, id).await?.member;
        ensure_eq!(member.read, read, "read up to, after {asked}");
        ensure_eq!(
            member.read_ordinal,
            read - 1,
            "messages read, after {asked}"
        );
        ensure_eq!(done.count, 0, "entries in the conversation's log");
        // Told also when nothing moved: an earlier write, whose outcome nobody knew, may have moved it.
        let marked = Some(Marked {
            conversation: id,
            user: bob,
            read,
            delivered: read,
            head: 6,
            members: 2,
        });
        ensure_eq!(done.marked, marked, "what others are told, after {asked}");
        told.extend(done.events.into_iter().map(|event| event.kind));
        let deliver = Change::Deliver { seq: asked };
        let done = world.change(bob, id, deliver).await?;
        ensure_eq!(done.marked, marked, "what others are told of devices");
        let member = world.store.entry(bob, id).await?.member;
        ensure_eq!(member.delivered, read, "delivered up to, after {asked}");
    }
    let news = [4, 5, 6].map(|seq| EventKind::Read {
        conversation: id,
        seq,
    });
    ensure_eq!(told, news.to_vec(), "news about the cursor");
    let log = world.log(Viewer::User(bob), bob).await?;
    ensure_eq!(log.len(), 4, "entries of the reader's log");
    // What counts is how the whole write left them.
    let changes = vec![Change::Read { seq: 6 }, Change::post("read")];
    let done = world.commit(to(bob, id, changes)).await?;
    let read = done.marked.map(|marked| (marked.read, marked.head));
    ensure_eq!(read, Some((7, 7)), "what others are told of who also posts");
    let changes = vec![Change::Read { seq: 6 }, Change::Leave { successor: None }];
    let done = world.commit(to(bob, id, changes)).await?;
    ensure_eq!(done.marked, None, "what others are told of who leaves");
    Ok(Verdict::Holds)
}

/// A list is ordered by latest activity, then higher id, in pages of any size; reading, reacting and settings are no
/// activity, and nobody else's conversations stand in it.
///
/// # Errors
/// How it was broken.
pub async fn inbox_is_in_order(fixture: &dyn Fixture) -> Outcome {
    const GROUPS: usize = 9;
    let world = World::open(fixture).await?;
    let [alice, bob, carol] = world.users().await?;
    let mut groups = Vec::new();
    for _ in 0..GROUPS {
        groups.push(world.group_of(alice, &[bob]).await?);
        world.group_of(alice, &[carol]).await?;
    }
    let mut active: Vec<_> = Vec::new();
    let mut posted = BTreeSet::new();
    for n in [4, 0, 7, 4, 2, 7, 8] {
        let done = world.change(alice, groups[n], Change::post("up")).await?;
        active.push((done.at, groups[n]));
        posted.insert(groups[n]);
        let pin = Change::Pin {
            message: done.last(),
            on: true,
        };
        world
            .change(
                alice,
                groups[(n + 1) % GROUPS],
                Change::Mute { until: None },
            )
            .await?;
        world.change(alice, groups[n], pin).await?;
        world
            .change(bob, groups[1], Change::Read { seq: 1 })
            .await?;
    }
    let whole = world.store.inbox(bob, None, ALL).await?;
    ensure_eq!(whole.len(), GROUPS, "entries of the list");
    ensure!(
        whole.is_sorted_by_key(|entry| Reverse((entry.head.at, entry.conversation.id))),
        "not by latest activity, then higher id"
    );
    for entry in &whole {
        let id = entry.conversation.id;
        let last = active
            .iter()
            .filter(|(_, other)| *other == id)
            .map(|(at, _)| *at);
        if let Some(at) = last.max() {
            ensure_eq!(entry.head.at, at, "activity of {id}");
        }
        let message = entry.last.is_some();
        ensure_eq!(
            message,
            posted.contains(&id),
            "whether {id} has a last message"
        );
    }
    for page in [1, 2, 4, GROUPS] {
        let paged = inbox_by(&world, bob, page).await?;
        ensure_eq!(
            paged,
            whole.iter().map(|e| e.conversation.id).collect::<Vec<_>>(),
            "the list in pages of {page}"
        );
    }
    let memberships = world.store.memberships(bob).await?;
    let mut ids: Vec<_> = memberships
        .conversations
        .iter()
        .map(|(id, ..)| *id)
        .collect();
    ids.sort_unstable();
    ensure_eq!(ids, groups, "memberships");
    Ok(Verdict::Holds)
}

/// A list gathered from pages of a size.
async fn inbox_by(
    world: &World,
    user: UserId,
    page: usize,
) -> Result<Vec<ConversationId>, Violation> {
    let mut ids = Vec::new();
    let mut after = None;
    loop {
        let got = world.store.inbox(user, after, page).await?;
        ensure!(got.len() <= page, "a page longer than asked for");
        let Some(last) = got.last() else {
            return Ok(ids);
        };
        after = Some(last.cursor());
        ids.extend(got.iter().map(|entry| entry.conversation.id));
        ensure!(ids.len() <= ALL, "the list has no end");
    }
}

/// Users are found by any part of their folded name, each once, disabled ones not at all.
///
/// # Errors
/// How it was broken.
pub async fn users_are_found(fixture: &dyn Fixture) -> Outcome {
    let world = World::open(fixture).await?;
    let mut users = Vec::new();
    for (n, name) in [
        "Anna Banana",
        "Joanna",
        "Zoë",
        "ＺＯＥ",
        "100%",
        "under_score",
        "Gone",
    ]
    .into_iter()
    .enumerate()
    {
        let target = Target::Subject {
            provider: "names".into(),
            subject: format!("{n}"),
        };
        let change = Change::Register { name: name.into() };
        let done = world
            .commit(Write::new(Actor::Host, target, vec![change]))
            .await?;
        users.extend(done.user);
    }
    ensure_eq!(users.len(), 7, "users named");
    let host = |user, change| Write::new(Actor::Host, Target::User(user), vec![change]);
    world
        .commit(host(users[6], Change::Disable { on: true }))
        .await?;
    let found = async |part: &str, limit| -> Result<Vec<UserId>, Violation> {
        let part = crate::fold_name(part);
        let users = world.store.find_users(&part, limit).await?;
        Ok(users.into_iter().map(|user| user.id).collect())
    };
    let set = |users: &[UserId]| users.iter().copied().collect::<BTreeSet<_>>();
    for (part, expected) in [
        ("anna", vec![users[0], users[1]]),
        ("AN", vec![users[0], users[1]]),
        ("a", vec![users[0], users[1]]),
        ("zo", vec![users[2], users[3]]),
        ("ZOË", vec![users[2]]),
        ("%", vec![users[4]]),
        ("_", vec![users[5]]),
        ("gone", vec![]),
        ("nobody", vec![]),
    ] {
        let got = found(part, ALL).await?;
        ensure_eq!(set(&got), set(&expected), "users found by `{part}`");
        ensure_eq!(
            got.len(),
            expected.len(),
            "how often they are found by `{part}`"
        );
        let one = found(part, 1).await?;
        ensure_eq!(
            one,
            got[..got.len().min(1)].to_vec(),
            "a page of one by `{part}`"
        );
    }
    let rename = Change::Profile {
        name: Some("Renamed".into()),
        data: None,
    };
    world.commit(host(users[1], rename)).await?;
    ensure_eq!(
        found("joanna", ALL).await?,
        vec![],
        "users found by an old name"
    );
    ensure_eq!(
        found("named", ALL).await?,
        vec![users[1]],
        "found by a new name"
    );
    world
        .commit(host(users[6], Change::Disable { on: false }))
        .await?;
    ensure_eq!(
        found("gone", ALL).await?,
        vec![users[6]],
        "found when enabled again"
    );
    let nobody = UserId::new(users[6].get() + 1000)?;
    let disable = host(nobody, Change::Disable { on: true });
    refused(
        "disabling nobody",
        world.commit(disable).await,
        &[ErrorKind::NotFound],
    )?;
    Ok(Verdict::Holds)
}
