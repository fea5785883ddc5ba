//! Law 2 and a process that ends without a word: what it acknowledged is there when the store is opened again.
//!
//! Two tests of one test program: the process that is killed, and the one that starts and kills it.
//!
//! ```
//! # use chat_core::{Error, Store};
//! # use std::{path::Path, sync::Arc};
//! # fn open(folder: &Path) -> Result<Arc<dyn Store>, Error> { Err(Error::unavailable(format!("{folder:?}"))) }
//! use chat_core::conformance::{Violation, kill, run};
//!
//! #[test]
//! #[ignore = "the process that is killed: started by the test below"]
//! fn killed() -> Result<(), Violation> {
//!     run(kill::victim(open)).map(drop)
//! }
//!
//! #[test]
//! fn what_was_acknowledged_outlives_a_killed_process() -> Result<(), Violation> {
//!     run(kill::survives("killed", open)).map(drop)
//! }
//! ```
//!
//! It proves that a store needs no goodbye. Not that it syncs: what a killed process wrote, the system still has.

// The example is of tests: compiled, and meant to be copied.
#![allow(clippy::test_attr_in_doctest)]

use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher as _, RandomState};
use std::io::{self, BufRead, BufReader, Write as _};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use tokio::task::JoinSet;

use super::world::{World, prepared, to};
use super::{Outcome, Verdict, Violation, ensure, ensure_eq, number};
use crate::{Change, ConversationId, Error, Key, Prepared, Seq, Store, UserId, Viewer};

const WRITERS: u32 = 8;
/// For the victim: the folder, and see [`Plan`].
const FOLDER: &str = "CHAT_KILL_FOLDER";
const PLAN: &str = "CHAT_KILL_PLAN";

/// What the writers of a round write: known to both processes, so that the one that is left can retry all of it.
#[derive(Clone, Debug, PartialEq)]
struct Plan {
    round: u64,
    users: Vec<UserId>,
    conversations: Vec<ConversationId>,
}

impl Plan {
    fn text(&self, writer: u32, number: u32) -> String {
        format!("{}-{writer}-{number}", self.round)
    }

    fn conversation(&self, writer: u32, number: u32) -> ConversationId {
        self.conversations[(writer + number) as usize % self.conversations.len()]
    }

    fn write(&self, writer: u32, number: u32) -> Prepared {
        let mut key = [0; 16];
        key[..8].copy_from_slice(&self.round.to_be_bytes());
        key[8..12].copy_from_slice(&number.to_be_bytes());
        key[12..].copy_from_slice(&writer.to_be_bytes());
        let post = Change::post(self.text(writer, number));
        let mut write = to(
            self.users[writer as usize],
            self.conversation(writer, number),
            vec![post],
        );
        write.key = Some(Key::new(key));
        prepared(write)
    }

    /// The writes of a writer's groups: 1, 2, 3, 1, 2, 3 …
    fn groups() -> impl Iterator<Item = Range<u32>> {
        let mut next = 0;
        (1..=3).cycle().map(move |size| {
            next += size;
            next - size..next
        })
    }

    fn group(&self, writer: u32, numbers: Range<u32>) -> Vec<Prepared> {
        numbers.map(|number| self.write(writer, number)).collect()
    }

    fn to_env(&self) -> String {
        let users = self.users.iter().map(|id| id.get());
        let conversations = self.conversations.iter().map(|id| id.get());
        let numbers = std::iter::once(self.round)
            .chain(users)
            .chain(conversations);
        numbers.map(|n| n.to_string()).collect::<Vec<_>>().join(" ")
    }

    fn from_env(plan: &str) -> Option<Self> {
        let numbers: Option<Vec<u64>> = plan.split(' ').map(|n| n.parse().ok()).collect();
        let numbers = numbers?;
        let (round, ids) = numbers.split_first()?;
        let (users, conversations) = ids.split_at_checked(WRITERS as usize)?;
        let users: Result<_, Error> = users.iter().map(|&id| UserId::new(id)).collect();
        let conversations = conversations.iter().map(|&id| ConversationId::new(id));
        let conversations: Result<_, Error> = conversations.collect();
        Some(Self {
            round: *round,
            users: users.ok()?,
            conversations: conversations.ok()?,
        })
    }
}

/// A line that reaches the other process whole, or not at all.
fn tell(line: &str) -> io::Result<()> {
    writeln!(io::stdout().lock(), "{line}")
}

impl From<io::Error> for Violation {
    fn from(error: io::Error) -> Self {
        Self::new(format!("the test itself failed: {error}"))
    }
}

/// Opens the store in the folder that it was started with, and writes until it is killed. When it was not started by
/// [`survives`] it is skipped.
///
/// # Errors
/// Whatever keeps it from writing.
pub async fn victim(open: impl Fn(&Path) -> Result<Arc<dyn Store>, Error>) -> Outcome {
    let plan = std::env::var(PLAN).ok();
    let (Some(plan), Some(folder)) = (
        plan.as_deref().and_then(Plan::from_env),
        std::env::var_os(FOLDER),
    ) else {
        return Ok(Verdict::Skipped("nobody is there to kill this process"));
    };
    let store = open(&PathBuf::from(folder))?;
    // The test runner began a line.
    tell("")?;
    let mut writers = JoinSet::new();
    for writer in 0..WRITERS {
        let (store, plan) = (store.clone(), plan.clone());
        writers.spawn(async move {
            for numbers in Plan::groups() {
                let results = store.commit(plan.group(writer, numbers.clone())).await;
                for (number, result) in numbers.zip(results) {
                    tell(&format!("committed {writer} {number} {}", result?.first))?;
                }
            }
            Ok::<_, Violation>(())
        });
    }
    while let Some(writer) = writers.join_next().await {
        writer??;
    }
    Err(Violation::new("the writers ended by themselves"))
}

/// (writer, number) → seq.
type Acknowledged = BTreeMap<(u32, u32), Seq>;

fn acknowledged(line: &str) -> Option<((u32, u32), Seq)> {
    let mut numbers = line.strip_prefix("committed ")?.split(' ');
    let mut next = || numbers.next()?.parse::<u64>().ok();
    let (writer, number, seq) = (next()?, next()?, next()?);
    Some(((writer.try_into().ok()?, number.try_into().ok()?), seq))
}

/// Starts the writers and kills them once so many writes were acknowledged. Returns all that were.
fn start_and_kill(
    victim: &str,
    folder: &Path,
    plan: &Plan,
    after: usize,
    open: &impl Fn(&Path) -> Result<Arc<dyn Store>, Error>,
) -> Result<Acknowledged, Violation> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["--exact", victim, "--ignored", "--nocapture"]);
    command.env(FOLDER, folder).env(PLAN, plan.to_env());
    let mut child = command.stdout(Stdio::piped()).spawn()?;
    let mut found = Acknowledged::new();
    let mut lines = BufReader::new(child.stdout.take().ok_or(Violation::new("no output"))?);
    loop {
        let mut line = String::new();
        lines.read_line(&mut line)?;
        // What it did not get out whole was not said.
        let Some(line) = line.strip_suffix('\n') else {
            break;
        };
        let Some((write, seq)) = acknowledged(line) else {
            continue;
        };
        found.insert(write, seq);
        if found.len() == after {
            let second = open(folder);
            child.kill()?;
            ensure!(second.is_err(), "two processes opened the same store");
        }
    }
    child.wait()?;
    ensure!(
        found.len() >= after,
        "the process ended by itself after {} of {after} writes",
        found.len()
    );
    Ok(found)
}

/// Every acknowledged write stands where it was said to be, every group is there whole or not at all, and a retry of all
/// that was or may have been written leaves each of it there once.
async fn check(world: &World, plan: &Plan, acknowledged: &Acknowledged) -> Result<(), Violation> {
    let mut expected = 0;
    for writer in 0..WRITERS {
        let said = |number| acknowledged.get(&(writer, number)).copied();
        for numbers in Plan::groups() {
            let first = numbers.start;
            let results = world
                .store
                .commit(plan.group(writer, numbers.clone()))
                .await;
            let mut all = None;
            for (number, result) in numbers.zip(results) {
                let done = result?;
                expected += 1;
                let all = *all.get_or_insert(done.replayed);
                ensure_eq!(
                    done.replayed,
                    all,
                    "half a group of writer {writer} at {number}"
                );
                if let Some(seq) = said(number) {
                    ensure!(
                        all,
                        "{number} of writer {writer} is lost, acknowledged as {seq}"
                    );
                    ensure_eq!(done.first, seq, "the place of {number} of writer {writer}");
                }
            }
            if said(first).is_none() {
                // The one that was under way, if any.
                break;
            }
        }
    }
    let mut found = HashMap::new();
    for &id in &plan.conversations {
        world.log(Viewer::All, id).await?;
        for message in world.history(Viewer::All, id).await? {
            let text = message.content.map(|content| content.text);
            let other = found.insert(text, (id, message.seq));
            ensure_eq!(other, None, "a message that is there twice");
        }
    }
    ensure_eq!(found.len(), expected, "messages");
    for (&(writer, number), &seq) in acknowledged {
        let place = (plan.conversation(writer, number), seq);
        let text = Some(plan.text(writer, number));
        ensure_eq!(found.get(&text), Some(&place), "the place of {text:?}");
    }
    Ok(())
}

/// Starts the test program again with the test of the name `victim` (its path within the program, `module::test`), kills it
/// under load, and finds all that it acknowledged: 20 times over, or as often as `CHAT_KILLS` says. While one process has the
/// store open it opens for no other.
///
/// `open` opens the store in a folder, and makes it there when there is none.
///
/// # Errors
/// How it was broken.
pub async fn survives(
    victim: &str,
    open: impl Fn(&Path) -> Result<Arc<dyn Store>, Error>,
) -> Outcome {
    let folder = Folder::new()?;
    let world = World::over(open(&folder.0)?);
    let users = world.users::<{ WRITERS as usize }>().await?;
    world.store.close().await?;
    for round in 0..number("CHAT_KILLS", 20) {
        let world = World::over(open(&folder.0)?);
        let mut conversations = Vec::new();
        for _ in 0..3 {
            conversations.push(world.group_of(users[0], &users[1..]).await?);
        }
        world.store.close().await?;
        drop(world);
        let plan = Plan {
            round,
            users: users.to_vec(),
            conversations,
        };
        let after = 1 + RandomState::new().hash_one(round) as usize % 300;
        let acknowledged = start_and_kill(victim, &folder.0, &plan, after, &open)?;
        let world = World::over(open(&folder.0)?);
        check(&world, &plan, &acknowledged).await?;
        world.store.close().await?;
    }
    Ok(Verdict::Holds)
}

/// A folder of its own, for a while.
struct Folder(PathBuf);

impl Folder {
    fn new() -> io::Result<Self> {
        let mut name = [0; 8];
        crate::random(&mut name);
        let name = format!("chat-kill-{:016x}", u64::from_be_bytes(name));
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path)?;
        Ok(Self(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plans_cross_to_another_process() {
        let ids = 1..=u64::from(WRITERS);
        let plan = Plan {
            round: 7,
            users: ids.flat_map(UserId::new).collect(),
            conversations: [3, 4].into_iter().flat_map(ConversationId::new).collect(),
        };
        assert_eq!(Plan::from_env(&plan.to_env()), Some(plan));
        assert_eq!(acknowledged("committed 1 2 3"), Some(((1, 2), 3)));
    }
}
