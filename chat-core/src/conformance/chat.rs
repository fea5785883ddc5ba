//! Laws of a [`Chat`] on its way to the store: keys, limits, policy.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;

use super::device::Device;
use super::world::{World, refused, to};
use super::{Fixture, Outcome, Verdict, Violation, ensure, ensure_eq};
use crate::{
    Actor, Change, Chat, Content, ConversationId, Data, Error, ErrorKind, Item, Limits, Policy,
    Role, Target, UserId, Verdict as Say, Viewer, Write,
};

/// Two users and their group, in a chat.
struct Scene {
    world: World,
    chat: Chat,
    alice: UserId,
    bob: UserId,
    id: ConversationId,
}

impl Scene {
    async fn open(
        fixture: &dyn Fixture,
        limits: Limits,
        policy: Option<Arc<Gatekeeper>>,
    ) -> Result<Self, Violation> {
        let world = World::open(fixture).await?;
        let mut builder = Chat::builder(world.store.clone()).limits(limits);
        if let Some(policy) = policy {
            builder = builder.policy(Shared(policy));
        }
        let chat = fixture.build(builder);
        let [alice, bob] = world.users().await?;
        let id = world.group_of(alice, &[bob]).await?;
        Ok(Self {
            world,
            chat,
            alice,
            bob,
            id,
        })
    }

    fn post(&self, text: impl Into<String>) -> Write {
        to(self.alice, self.id, vec![Change::post(text.into())])
    }

    async fn texts(&self) -> Result<Vec<String>, Violation> {
        let history = self.world.history(Viewer::All, self.id).await?;
        let contents = history.into_iter().filter_map(|message| message.content);
        Ok(contents.map(|content| content.text).collect())
    }
}

/// A policy that can be told what to do.
#[derive(Default)]
struct Gatekeeper {
    asked: AtomicUsize,
    refuses: AtomicBool,
    replaces: AtomicBool,
    /// The first so many writes take longer, the earlier the longer.
    slow: usize,
    /// Never answers.
    silent: bool,
}

struct Shared(Arc<Gatekeeper>);

#[async_trait]
impl Policy for Shared {
    async fn check(&self, write: &Write) -> Result<Say, Error> {
        let policy = &self.0;
        let turn = policy.asked.fetch_add(1, Ordering::SeqCst);
        if policy.silent {
            std::future::pending::<()>().await;
        }
        if let Some(rest) = policy.slow.checked_sub(turn) {
            let millis = u64::try_from(rest).unwrap_or_default() * 10;
            tokio::time::sleep(Duration::from_millis(millis)).await;
        }
        if policy.refuses.load(Ordering::SeqCst) {
            return Err(Error::forbidden("not now"));
        }
        if policy.replaces.load(Ordering::SeqCst) {
            let mut changes = write.changes.clone();
            for change in &mut changes {
                if let Change::Post { content, .. } = change {
                    content.text = format!("[{turn}]");
                }
            }
            return Ok(Say::Replace(changes));
        }
        Ok(Say::Allow)
    }
}

fn slow_rate(burst: f64) -> Limits {
    Limits {
        // One in a million seconds: no test lasts long enough to earn one.
        message_rate: 1e-6,
        message_burst: burst,
        ..Limits::default()
    }
}

/// Law 3: a retry is answered when its author has nothing left of their rate.
///
/// # Errors
/// How it was broken.
pub async fn replay_despite_rate_limit(fixture: &dyn Fixture) -> Outcome {
    let scene = Scene::open(fixture, slow_rate(2.0), None).await?;
    let first = scene.post("one");
    let done = scene.chat.commit(first.clone()).await?;
    scene.chat.commit(scene.post("two")).await?;
    let refusal = scene.chat.commit(scene.post("three")).await;
    let wait = refusal.as_ref().err().and_then(Error::retry_after);
    ensure!(wait.is_some(), "a rate limit does not say how long to wait");
    refused("a third message", refusal, &[ErrorKind::RateLimited])?;
    for _ in 0..5 {
        let again = scene.chat.commit(first.clone()).await?;
        ensure!(again.replayed, "a retry is done again when rate limited");
        ensure_eq!(again.first, done.first, "the seq of a retry");
    }
    // Another body is refused whatever the rate says, and others are not limited by it.
    let mut other = first;
    other.changes = vec![Change::post("else")];
    refused(
        "another body when rate limited",
        scene.chat.commit(other).await,
        &[ErrorKind::Conflict],
    )?;
    let others = to(scene.bob, scene.id, vec![Change::post("four")]);
    scene.chat.commit(others).await?;
    ensure_eq!(scene.texts().await?, vec!["one", "two", "four"], "messages");
    Ok(Verdict::Holds)
}

/// Law 3: a retry is answered when the policy would refuse it by now, and the policy is not asked.
///
/// # Errors
/// How it was broken.
pub async fn replay_despite_policy(fixture: &dyn Fixture) -> Outcome {
    let policy = Arc::new(Gatekeeper::default());
    let scene = Scene::open(fixture, Limits::default(), Some(policy.clone())).await?;
    let write = scene.post("one");
    scene.chat.commit(write.clone()).await?;
    ensure_eq!(
        policy.asked.load(Ordering::SeqCst),
        1,
        "questions to the policy"
    );
    policy.refuses.store(true, Ordering::SeqCst);
    let again = scene.chat.commit(write).await?;
    ensure!(again.replayed, "a retry is done again");
    ensure_eq!(
        policy.asked.load(Ordering::SeqCst),
        1,
        "questions after a retry"
    );
    let refusal = scene.chat.commit(scene.post("two")).await;
    let words = refusal.as_ref().err().map(ToString::to_string);
    ensure_eq!(words.as_deref(), Some("not now"), "what the author is told");
    refused("what a policy refuses", refusal, &[ErrorKind::Forbidden])?;
    ensure_eq!(scene.texts().await?, vec!["one"], "messages");
    Ok(Verdict::Holds)
}

/// Law 3: whether a retry is the same write is decided on what was submitted, not on what the policy made of it.
///
/// # Errors
/// How it was broken.
pub async fn key_is_of_what_was_submitted(fixture: &dyn Fixture) -> Outcome {
    let policy = Arc::new(Gatekeeper::default());
    policy.replaces.store(true, Ordering::SeqCst);
    let scene = Scene::open(fixture, Limits::default(), Some(policy.clone())).await?;
    let write = scene.post("rude");
    scene.chat.commit(write.clone()).await?;
    // The same body, though the policy would make something else of it by now: through `Chat::commit`, and past its look-up.
    let again = scene.chat.commit(write.clone()).await?;
    ensure!(again.replayed, "a retry is done again");
    let prepared = scene.chat.prepare(write.clone()).await;
    if let Ok(prepared) = prepared {
        for result in scene.world.store.commit(vec![prepared]).await {
            ensure!(result?.replayed, "a prepared retry is done again");
        }
    }
    // What the policy makes of it, submitted as it is, is another body.
    let mut other = write;
    other.changes = vec![Change::post("[0]")];
    refused(
        "another body that the policy makes the same",
        scene.chat.commit(other).await,
        &[ErrorKind::Conflict],
    )?;
    ensure_eq!(scene.texts().await?, vec!["[0]"], "messages");
    Ok(Verdict::Holds)
}

/// Law 5: however long the policy thinks about one write, the next of the same connection stays behind it.
///
/// # Errors
/// How it was broken.
pub async fn slow_policy_keeps_the_order(fixture: &dyn Fixture) -> Outcome {
    let policy = Arc::new(Gatekeeper {
        slow: 5,
        ..Gatekeeper::default()
    });
    let scene = Scene::open(fixture, Limits::default(), Some(policy)).await?;
    let mut device = Device::connect(fixture, &scene.chat, scene.alice).await?;
    for n in 0..10 {
        device.submit(n, scene.post(format!("{n}")))?;
    }
    device.until_done(10).await?;
    let order: Vec<String> = (0..10).map(|n| n.to_string()).collect();
    ensure_eq!(scene.texts().await?, order, "messages");
    let done = device.items.iter().filter_map(|item| match item {
        Item::Done { reference, .. } => Some(*reference),
        _ => None,
    });
    ensure_eq!(
        done.collect::<Vec<_>>(),
        (0..10).collect::<Vec<_>>(),
        "outcomes"
    );
    Ok(Verdict::Holds)
}

/// A policy that does not answer refuses: `Unavailable`, after [`Limits::policy_timeout`] and not much later, and nothing
/// was committed. The host is not asked. Needs tokio's paused clock, or patience.
///
/// # Errors
/// How it was broken.
pub async fn silent_policy_refuses(fixture: &dyn Fixture) -> Outcome {
    let policy = Arc::new(Gatekeeper {
        silent: true,
        ..Gatekeeper::default()
    });
    let scene = Scene::open(fixture, Limits::default(), Some(policy)).await?;
    let start = tokio::time::Instant::now();
    refused(
        "a write without an answer",
        scene.chat.commit(scene.post("one")).await,
        &[ErrorKind::Unavailable],
    )?;
    let took = start.elapsed();
    let limit = Limits::default().policy_timeout;
    ensure!(
        took >= limit && took < limit * 2,
        "it took {took:?} where {limit:?} is the limit"
    );
    let host = to(Actor::Host, scene.id, vec![Change::post("two")]);
    scene.chat.commit(host).await?;
    ensure_eq!(scene.texts().await?, vec!["two"], "messages");
    Ok(Verdict::Holds)
}

fn long(bytes: usize) -> String {
    "x".repeat(bytes)
}

fn json(bytes: usize) -> Result<Option<Data>, Error> {
    Data::from_json(format!("\"{}\"", long(bytes - 2))).map(Some)
}

/// Limits of size, number and rate hold for users; the host may do as it likes. What lies just within a limit is fine.
///
/// # Errors
/// How it was broken.
pub async fn limits_hold_for_users_only(fixture: &dyn Fixture) -> Outcome {
    let limits = Limits {
        text: 100,
        data: 50,
        name: 20,
        changes: 4,
        added: 2,
        mentions: 2,
        message_burst: 1e6,
        ..Limits::default()
    };
    let scene = Scene::open(fixture, limits, None).await?;
    let mut users = scene.world.users::<7>().await?.into_iter();
    let mut newcomers = |count: usize| -> Vec<Change> {
        users
            .by_ref()
            .take(count)
            .map(|user| Change::Add {
                user,
                role: Role::Member,
            })
            .collect()
    };
    let data = |bytes| -> Result<Change, Error> {
        Ok(Change::post(Content {
            text: "t".into(),
            data: json(bytes)?,
        }))
    };
    let title = |bytes| Change::Configure {
        title: Some(long(bytes)),
        data: None,
        history: None,
    };
    let edit = |bytes| Change::Edit {
        message: 2,
        revision: None,
        content: long(bytes).into(),
    };
    let mention = |count| Change::Post {
        content: "m".into(),
        reply_to: None,
        mentions: vec![scene.bob; count],
    };
    let twice = |change: &dyn Fn(usize) -> Change, least: usize| {
        (vec![change(least)], vec![change(least + 1)])
    };
    let cases = [
        ("text", twice(&|n| Change::post(long(n)), 100)),
        ("an edit's text", twice(&edit, 100)),
        ("data", (vec![data(50)?], vec![data(51)?])),
        ("a title", twice(&title, 20)),
        ("changes", (vec![title(3); 4], vec![title(4); 5])),
        ("members added", (newcomers(2), newcomers(3))),
        ("mentions", twice(&mention, 2)),
    ];
    for (what, (within, beyond)) in cases {
        let write = |actor, changes| to(actor, scene.id, changes);
        let user = Actor::User(scene.alice);
        if let Err(error) = scene.chat.commit(write(user, within)).await {
            return Err(Violation::new(format!("{what} within the limit: {error}")));
        }
        refused(
            &format!("{what} beyond the limit"),
            scene.chat.commit(write(user, beyond.clone())).await,
            &[ErrorKind::Invalid],
        )?;
        if let Err(error) = scene.chat.commit(write(Actor::Host, beyond)).await {
            return Err(Violation::new(format!("the host, beyond {what}: {error}")));
        }
    }
    let limited = Scene::open(fixture, slow_rate(1.0), None).await?;
    for n in 0..5 {
        let changes = vec![Change::post(format!("{n}"))];
        limited
            .chat
            .commit(to(Actor::Host, limited.id, changes))
            .await?;
    }
    limited.chat.commit(limited.post("one")).await?;
    // Messages are counted, not writes; what is no message is not limited.
    refused(
        "a second message",
        limited.chat.commit(limited.post("two")).await,
        &[ErrorKind::RateLimited],
    )?;
    let read = to(limited.alice, limited.id, vec![Change::Read { seq: 1 }]);
    limited.chat.commit(read).await?;
    Ok(Verdict::Holds)
}

/// What the model itself forbids is refused for the host as well.
///
/// # Errors
/// How it was broken.
pub async fn invariants_hold_for_the_host(fixture: &dyn Fixture) -> Outcome {
    let scene = Scene::open(fixture, Limits::default(), None).await?;
    scene.chat.commit(scene.post("one")).await?;
    let nobody = UserId::new(scene.bob.get() + 1000)?;
    let empty = Content {
        text: String::new(),
        data: None,
    };
    let host = |target: Target, change| Write::new(Actor::Host, target, vec![change]);
    let here = || Target::Conversation(scene.id);
    let pair = || Target::Direct(scene.alice, scene.bob);
    scene
        .chat
        .commit(host(pair(), Change::post("hello")))
        .await?;
    let add = |user| Change::Add {
        user,
        role: Role::Member,
    };
    let any = &[
        ErrorKind::Invalid,
        ErrorKind::Conflict,
        ErrorKind::Forbidden,
    ][..];
    let cases = [
        ("an empty message", host(here(), Change::post(empty)), any),
        (
            "a member who does not exist",
            host(here(), add(nobody)),
            &[ErrorKind::NotFound],
        ),
        (
            "a third in a direct one",
            host(pair(), add(nobody)),
            &[
                ErrorKind::Invalid,
                ErrorKind::Forbidden,
                ErrorKind::Conflict,
                ErrorKind::NotFound,
            ],
        ),
        (
            "a direct one with oneself",
            host(Target::Direct(scene.bob, scene.bob), Change::post("me")),
            &[ErrorKind::Invalid],
        ),
        (
            "an edit of no message",
            host(
                here(),
                Change::Edit {
                    message: 1,
                    revision: None,
                    content: "x".into(),
                },
            ),
            &[ErrorKind::NotFound],
        ),
    ];
    for (what, write, kinds) in cases {
        refused(what, scene.chat.commit(write).await, kinds)?;
    }
    ensure_eq!(scene.texts().await?, vec!["one"], "messages");
    Ok(Verdict::Holds)
}
