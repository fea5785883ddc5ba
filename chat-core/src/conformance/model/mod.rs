//! A store against an independent model: random writes, compared after each group.

mod client;
mod compare;
mod events;
mod live;
mod membership;
mod naive;
mod rules;
mod script;
mod view;

use std::fmt::Write as _;

use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use self::naive::{Answer, Naive, Refusal};
use self::script::{Script, Writer};
use super::world::World;
use super::{Fixture, Outcome, Verdict, Violation, ensure, ensure_eq, number};
use crate::{Committed, ConversationId, Error, EventKind, LogId, Seq, UserId, Write};
pub use live::clients_agree_with_the_model;

/// Random groups of writes by several users and the host come to the same in the store and in a naive model written from the
/// documentation: who is refused and why, the events and their seqs, and all that can be read afterwards.
///
/// The environment may ask for more: `CHAT_MODEL_CASES` (64), and another beginning: `CHAT_MODEL_SEED` (0).
///
/// # Errors
/// The smallest script found that comes to something else, and the seed.
pub async fn agrees_with_the_model(fixture: &dyn Fixture) -> Outcome {
    let seed = number("CHAT_MODEL_SEED", 0);
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    for case in 0..number("CHAT_MODEL_CASES", 64) {
        let mut tree = script::scripts()
            .new_tree(&mut runner)
            .map_err(|reason| Violation::new(format!("no script: {reason}")))?;
        if let Err(violation) = play(fixture, &tree.current()).await {
            let smallest = shrink(fixture, &mut tree, violation).await;
            return Err(Violation::new(format!(
                "seed {seed}, case {case}: {smallest}"
            )));
        }
    }
    Ok(Verdict::Holds)
}

/// The failure of the smallest script that still fails.
async fn shrink(
    fixture: &dyn Fixture,
    tree: &mut impl ValueTree<Value = Script>,
    mut smallest: Violation,
) -> Violation {
    let mut left = 2000;
    while left > 0 && tree.simplify() {
        loop {
            left -= 1;
            match play(fixture, &tree.current()).await {
                Err(violation) => {
                    smallest = violation;
                    break;
                }
                Ok(()) if left > 0 && tree.complicate() => {}
                Ok(()) => return smallest,
            }
        }
    }
    smallest
}

/// Plays a script on a new store and on the model.
async fn play(fixture: &dyn Fixture, script: &Script) -> Result<(), Violation> {
    let world = World::open(fixture).await?;
    Played::on(&world, script, true).await.map(drop)
}

/// What a script left.
pub(crate) struct Played {
    /// Who wrote.
    pub(crate) users: [UserId; 5],
    /// All that was done.
    pub(crate) writes: Vec<Write>,
    model: Naive,
}

impl Played {
    /// Plays a long script on a store.
    pub(crate) async fn long(world: &World) -> Result<Self, Violation> {
        let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[7; 32]);
        let mut runner = TestRunner::new_with_rng(Config::default(), rng);
        let mut script = Script::new();
        while script.len() < 150 {
            let tree = script::scripts()
                .new_tree(&mut runner)
                .map_err(|reason| Violation::new(format!("no script: {reason}")))?;
            script.extend(tree.current());
        }
        Self::on(world, &script, false).await
    }

    /// The conversations there are.
    pub(crate) fn conversations(&self) -> impl Iterator<Item = ConversationId> {
        self.model.talks.keys().copied()
    }

    /// Fails unless a store tells what this one does.
    pub(crate) async fn compare(&self, world: &World) -> Result<(), Violation> {
        compare::within(world, &self.model, &self.users).await
    }

    /// Plays a script on an empty store and on the model, and compares them after each group, if wanted.
    async fn on(world: &World, script: &Script, compared: bool) -> Result<Self, Violation> {
        let users = world.users::<5>().await?;
        let mut people = Vec::new();
        for user in users {
            let found = world.store.find_users("user", 100).await?;
            let found = found.into_iter().find(|other| other.id == user);
            people.extend(found.map(|found| (user, found.name)));
        }
        ensure_eq!(people.len(), users.len(), "users found by their names");
        let mut model = Naive::with_people(&people);
        let mut before: Vec<Write> = Vec::new();
        let mut done: Vec<Write> = Vec::new();
        let mut texts = 0;
        // What would have been made by a write that was refused.
        let nowhere = ConversationId::new(crate::MAX_ID)?;
        let mut played = String::new();
        for steps in script {
            let mut writer = Writer {
                users: &users,
                known: &model,
                texts: &mut texts,
            };
            let writes = steps.iter().filter_map(|step| writer.write(step, &before));
            let writes: Vec<Write> = writes.collect();
            let results = world.group(writes.clone()).await?;
            let _ = writeln!(played, "a group:");
            for (write, result) in writes.iter().zip(&results) {
                let at = result.as_ref().map(|done| done.at).unwrap_or_default();
                let id = result.as_ref().ok().and_then(|done| done.conversation);
                let expected = model.write(write, at, id.unwrap_or(nowhere));
                if result.is_ok() {
                    done.push(write.clone());
                }
                let (actor, target, changes) = (write.actor, &write.target, &write.changes);
                let _ = writeln!(played, "  {actor:?} to {target:?}: {changes:?}");
                agree(result, &expected).map_err(|violation| after(&violation, &played))?;
            }
            if compared {
                let same = compare::compare(world, &model, &users).await;
                same.map_err(|violation| after(&violation, &played))?;
            }
            before.extend(writes);
        }
        Ok(Self {
            users,
            writes: done,
            model,
        })
    }
}

fn after(violation: &Violation, played: &str) -> Violation {
    Violation::new(format!("{violation}\nafter\n{played}"))
}

/// Fails unless a write came to the same in both.
fn agree(
    found: &Result<Committed, Error>,
    expected: &Result<Answer, Refusal>,
) -> Result<(), Violation> {
    match (found, expected) {
        (Err(error), Err(kinds)) => {
            ensure!(
                kinds.contains(&error.kind()),
                "the last write was refused as {error:?}, expected one of {kinds:?}"
            );
        }
        (Ok(done), Ok(answer)) => {
            let said = (
                done.conversation,
                done.user,
                done.first,
                done.count,
                done.replayed,
            );
            let Answer {
                conversation,
                user,
                first,
                count,
                replayed,
                ..
            } = *answer;
            let expected = (conversation, user, first, count, replayed);
            ensure_eq!(said, expected, "the answer to the last write");
            ensure_eq!(by_log(done), sorted(answer), "events of the last write");
            // Entries of users' logs first, then those of the conversation.
            let first_here = done
                .events
                .iter()
                .position(|e| matches!(e.log, LogId::Conversation(_)));
            let here = &done.events[first_here.unwrap_or(done.events.len())..];
            ensure!(
                here.iter()
                    .all(|event| matches!(event.log, LogId::Conversation(_))),
                "an entry of a user's log behind one of the conversation's"
            );
        }
        (found, expected) => {
            return Err(Violation::new(format!(
                "the last write came to {found:?}, expected {expected:?}"
            )));
        }
    }
    Ok(())
}

type Told = (LogId, Seq, crate::Actor, EventKind);

fn by_log(done: &Committed) -> Vec<Told> {
    let events = done.events.iter();
    let mut told: Vec<Told> = events
        .map(|event| (event.log, event.seq, event.actor, event.kind.clone()))
        .collect();
    told.sort_by_key(|(log, ..)| *log);
    told
}

fn sorted(answer: &Answer) -> Vec<Told> {
    let mut told = answer.events.clone();
    told.sort_by_key(|(log, ..)| *log);
    told
}
