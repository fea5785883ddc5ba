//! Processes that end without a word, and disks that fail. Both run in a process of their own: this test program again.

use std::io::{BufRead, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use chat_core::conformance::{Violation, kill, run};
use chat_core::{ConversationId, Error, ErrorKind, Span, Store, UserId, Viewer};
use chat_store_sqlite::SqliteStore;

use chat_testkit::writes::{commit, group, kind, messages, post, register};

/// For the child: the folder.
pub(crate) const FOLDER: &str = "CHAT_SQLITE_TEST_FOLDER";

fn database(folder: &Path) -> PathBuf {
    folder.join("chat.db")
}

fn open(folder: &Path) -> Result<Arc<dyn Store>, Error> {
    let store = SqliteStore::open(database(folder));
    Ok(Arc::new(
        store.map_err(|error| Error::unavailable(error.to_string()))?,
    ))
}

#[test]
#[ignore = "the process that is killed: started by the test below"]
fn killed() -> Result<(), Violation> {
    run(kill::victim(open)).map(drop)
}

#[test]
fn what_was_acknowledged_outlives_a_killed_process() -> Result<(), Violation> {
    run(kill::survives("crash::killed", open)).map(drop)
}

/// A line that reaches the parent whole, or not at all.
pub(crate) fn tell(line: &str) {
    writeln!(std::io::stdout().lock(), "{line}").unwrap();
}

pub(crate) fn child(test: &str, folder: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", test, "--ignored", "--nocapture"]);
    command.env(FOLDER, folder).stdout(Stdio::piped());
    command
}

/// Whole lines; what a killed process did not get out whole was not said.
pub(crate) fn lines(child: &mut Child) -> impl Iterator<Item = String> + use<> {
    let mut out = BufReader::new(child.stdout.take().unwrap());
    std::iter::from_fn(move || {
        let mut line = String::new();
        out.read_line(&mut line).unwrap();
        line.ends_with('\n').then(|| line.trim_end().to_owned())
    })
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
