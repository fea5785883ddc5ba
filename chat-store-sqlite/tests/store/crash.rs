//! Processes that end without a word, and disks that fail. Both run in a process of their own: this test program again.
//!
//! `CHAT_SQLITE_KILLS` sets how many processes are killed; 20 without it.

use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher, RandomState};
use std::io::{BufRead, BufReader, Write as _};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use chat_core::{ConversationId, ErrorKind, Key, Prepared, Seq, Span, Store, UserId, Viewer};
use chat_store_sqlite::{OpenError, SqliteStore};

use crate::common::{commit, group, kind, messages, post, post_as, register};

const WRITERS: u32 = 8;
/// For the child: the folder.
const FOLDER: &str = "CHAT_SQLITE_TEST_FOLDER";
/// For the child: see [`Plan`].
const PLAN: &str = "CHAT_SQLITE_TEST_PLAN";

/// What the writers of a round write: known to the parent too, which can so retry all of it.
#[derive(Clone, Debug)]
struct Plan {
    round: u32,
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
        key[..4].copy_from_slice(&self.round.to_be_bytes());
        key[4..8].copy_from_slice(&number.to_be_bytes());
        key[8..12].copy_from_slice(&writer.to_be_bytes());
        post_as(
            self.users[writer as usize],
            self.conversation(writer, number),
            &self.text(writer, number),
            Key::new(key),
        )
    }

    /// The writes of a writer's groups: 1, 2, 3, 1, 2, 3 …
    fn groups() -> impl Iterator<Item = std::ops::Range<u32>> {
        let mut next = 0;
        (1..=3).cycle().map(move |size| {
            next += size;
            next - size..next
        })
    }

    fn to_env(&self) -> String {
        let users = self.users.iter().map(|id| id.get());
        let conversations = self.conversations.iter().map(|id| id.get());
        let numbers = std::iter::once(u64::from(self.round))
            .chain(users)
            .chain(conversations);
        numbers.map(|n| n.to_string()).collect::<Vec<_>>().join(" ")
    }

    fn from_env() -> Option<Self> {
        let numbers = std::env::var(PLAN).ok()?;
        let numbers: Vec<u64> = numbers.split(' ').map(|n| n.parse().unwrap()).collect();
        let (users, conversations) = numbers[1..].split_at(WRITERS as usize);
        Some(Self {
            round: u32::try_from(numbers[0]).unwrap(),
            users: users.iter().map(|id| UserId::new(*id).unwrap()).collect(),
            conversations: conversations
                .iter()
                .map(|id| ConversationId::new(*id).unwrap())
                .collect(),
        })
    }
}

fn database(folder: &Path) -> PathBuf {
    folder.join("chat.db")
}

/// A line that reaches the parent whole, or not at all.
fn tell(line: &str) {
    writeln!(std::io::stdout().lock(), "{line}").unwrap();
}

#[test]
#[ignore = "the process that is killed: started by the test below"]
fn killed() {
    let Some(plan) = Plan::from_env() else { return };
    let folder = PathBuf::from(std::env::var_os(FOLDER).unwrap());
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let store = Arc::new(SqliteStore::open(database(&folder)).unwrap());
        // The test runner began a line.
        tell("");
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| {
                let (store, plan) = (Arc::clone(&store), plan.clone());
                tokio::spawn(async move {
                    for numbers in Plan::groups() {
                        let group = numbers.clone().map(|n| plan.write(writer, n)).collect();
                        for (number, result) in numbers.zip(store.commit(group).await) {
                            let seq = result.unwrap().first;
                            tell(&format!("committed {writer} {number} {seq}"));
                        }
                    }
                })
            })
            .collect();
        for writer in writers {
            writer.await.unwrap();
        }
    });
}

fn child(test: &str, folder: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", test, "--ignored", "--nocapture"]);
    command.env(FOLDER, folder).stdout(Stdio::piped());
    command
}

/// Whole lines; what a killed process did not get out whole was not said.
fn lines(child: &mut Child) -> impl Iterator<Item = String> + use<> {
    let mut out = BufReader::new(child.stdout.take().unwrap());
    std::iter::from_fn(move || {
        let mut line = String::new();
        out.read_line(&mut line).unwrap();
        line.ends_with('\n').then(|| line.trim_end().to_owned())
    })
}

/// (writer, number) → seq.
type Acknowledged = BTreeMap<(u32, u32), Seq>;

/// Runs the writers and kills them once so many writes were acknowledged. Returns all that were.
fn run_and_kill(folder: &Path, plan: &Plan, after: usize) -> Acknowledged {
    let mut child = child("crash::killed", folder);
    let mut child = child.env(PLAN, plan.to_env()).spawn().unwrap();
    let mut acknowledged = Acknowledged::new();
    for line in lines(&mut child) {
        let Some(numbers) = line.strip_prefix("committed ") else {
            continue;
        };
        let numbers: Vec<u64> = numbers.split(' ').map(|n| n.parse().unwrap()).collect();
        let number = |at: usize| u32::try_from(numbers[at]).unwrap();
        acknowledged.insert((number(0), number(1)), numbers[2]);
        if acknowledged.len() == after {
            let locked = SqliteStore::open(database(folder)).unwrap_err();
            assert!(matches!(locked, OpenError::Locked { .. }), "{locked:?}");
            child.kill().unwrap();
        }
    }
    let status = child.wait().unwrap();
    assert_eq!(
        status.signal(),
        Some(9),
        "the writers ended by themselves: {status}"
    );
    acknowledged
}

/// Every acknowledged write stands where it was said to be, every group is there whole or not at all, and a retry of all
/// that was or may have been written leaves each of it there once.
async fn check(store: &SqliteStore, plan: &Plan, acknowledged: &Acknowledged) {
    let mut expected = 0;
    for writer in 0..WRITERS {
        let said = |number| acknowledged.get(&(writer, number)).copied();
        for numbers in Plan::groups() {
            let first = numbers.start;
            let group = numbers.clone().map(|n| plan.write(writer, n)).collect();
            let results = store.commit(group).await;
            let committed: Vec<_> = results.into_iter().map(Result::unwrap).collect();
            let all = committed[0].replayed;
            for (number, committed) in numbers.clone().zip(&committed) {
                expected += 1;
                assert_eq!(
                    committed.replayed, all,
                    "half a group of writer {writer} at {number}"
                );
                assert!(said(number).is_none_or(|seq| all && seq == committed.first));
            }
            if said(first).is_none() {
                // The one that was under way, if any.
                break;
            }
        }
    }
    let mut found = HashMap::new();
    for conversation in &plan.conversations {
        for (seq, text) in messages(store, *conversation).await {
            let other = found.insert(text, (*conversation, seq));
            assert_eq!(other, None, "twice");
        }
    }
    assert_eq!(found.len(), expected);
    for ((writer, number), seq) in acknowledged {
        let place = (plan.conversation(*writer, *number), *seq);
        assert_eq!(found.get(&plan.text(*writer, *number)), Some(&place));
    }
}

#[tokio::test]
async fn what_was_acknowledged_outlives_a_killed_process() {
    let rounds = std::env::var("CHAT_SQLITE_KILLS").map_or(20, |n| n.parse().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let path = database(folder.path());
    let mut users = Vec::new();
    {
        let store = SqliteStore::open(&path).unwrap();
        for writer in 0..WRITERS {
            users.push(register(&store, &writer.to_string()).await);
        }
    }
    for round in 0..rounds {
        let store = SqliteStore::open(&path).unwrap();
        let mut conversations = Vec::new();
        for _ in 0..3 {
            conversations.push(group(&store, &users).await);
        }
        store.close().await.unwrap();
        let plan = Plan {
            round,
            users: users.clone(),
            conversations,
        };
        let after = 1 + usize::try_from(RandomState::new().hash_one(round) % 300).unwrap();
        let acknowledged = run_and_kill(folder.path(), &plan, after);
        assert!(acknowledged.len() >= after);
        let store = SqliteStore::open(&path).unwrap();
        check(&store, &plan, &acknowledged).await;
    }
}

#[test]
#[ignore = "the process whose disk fails: started by the test below"]
fn on_a_failing_disk() {
    let Some(folder) = std::env::var_os(FOLDER).map(PathBuf::from) else {
        return;
    };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let store = SqliteStore::open(database(&folder)).unwrap();
        let ada = register(&store, "ada").await;
        let conversation = group(&store, &[ada]).await;
        tell("");
        tell(&format!("conversation {conversation}"));
        let mut committed = 0;
        // Large, so that where this one fails a small one would still fit.
        let text = "x".repeat(200_000);
        loop {
            match commit(&store, post(ada, conversation, &text)).await {
                Ok(done) => tell(&format!("committed {}", done.first)),
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::Unavailable);
                    break;
                }
            }
            committed += 1;
            assert!(committed < 10_000, "the disk does not fail");
        }
        // No more commits, even of what would fit; reads go on, and do not show what failed.
        let small = commit(&store, post(ada, conversation, "small")).await;
        assert_eq!(kind(small), Some(ErrorKind::Unavailable));
        let history = store.history(Viewer::User(ada), conversation, Span::Latest, 10_000);
        assert_eq!(history.await.unwrap().len(), committed);
        tell("refused");
    });
}

/// Files may not grow beyond some MiB: a write across that limit fails, and not for want of space.
#[tokio::test]
async fn a_failed_write_stops_commits_until_reopened_and_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let inner = child("crash::on_a_failing_disk", folder.path());
    let mut child = Command::new("sh");
    child.args(["-c", "trap '' XFSZ; ulimit -f 4000; exec \"$0\" \"$@\""]);
    child.arg(inner.get_program()).args(inner.get_args());
    let mut child = child
        .env(FOLDER, folder.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines: Vec<String> = lines(&mut child).collect();
    assert!(child.wait().unwrap().success(), "{lines:?}");
    assert!(lines.iter().any(|line| line == "refused"), "{lines:?}");
    let numbers = |name: &str| -> Vec<u64> {
        let lines = lines.iter().filter_map(|line| line.strip_prefix(name));
        lines.map(|number| number.parse().unwrap()).collect()
    };
    let conversation = ConversationId::new(numbers("conversation ")[0]).unwrap();
    let store = SqliteStore::open(database(folder.path())).unwrap();
    let found = messages(&store, conversation).await;
    let committed = numbers("committed ");
    assert!(!committed.is_empty());
    for seq in committed {
        assert!(found.contains_key(&seq), "{seq} is lost");
    }
    group(&store, &[UserId::new(1).unwrap()]).await;
}
