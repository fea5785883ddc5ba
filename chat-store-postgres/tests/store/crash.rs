//! Servers, connections and processes that end without a word. Processes that are killed are this test program again.
//!
//! `CHAT_POSTGRES_KILLS` sets how many rounds there are of each; 20 without it.

use std::hash::{BuildHasher, RandomState};
use std::io::{BufRead, BufReader, Write as _};
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use chat_core::Store;
use chat_store_postgres::PostgresStore;
use chat_testkit::Postgres;

use crate::plan::{Acknowledged, Plan};
use crate::{SERVER, url};

/// For the child: where to write.
const URL: &str = "CHAT_POSTGRES_TEST_URL";

fn rounds() -> u32 {
    std::env::var("CHAT_POSTGRES_KILLS").map_or(20, |n| n.parse().unwrap())
}

/// From 1 to a number.
fn random(below: u64) -> usize {
    1 + usize::try_from(RandomState::new().hash_one(0) % below).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_outlives_a_killed_server() {
    let server = Arc::new(Postgres::start().unwrap());
    let url = server.database().unwrap();
    for round in 0..rounds() {
        let store = PostgresStore::open(&url).await.unwrap();
        let plan = Plan::new(&store, round).await;
        let (after, restarting) = (random(100), Arc::new(OnceLock::new()));
        let (killing, begun) = (Arc::clone(&server), Arc::clone(&restarting));
        // The first process of the server is killed; the others end when they find it gone. Writers whose group was not
        // being committed go on on the server that is started again.
        let acknowledged = plan.write_until(&store, move |count| {
            if count >= after {
                begun.get_or_init(|| {
                    let server = Arc::clone(&killing);
                    Mutex::new(Some(std::thread::spawn(move || server.kill())))
                });
            }
            // Some that come after, if they do.
            count >= after + 50
        });
        let acknowledged = acknowledged.await;
        assert!(acknowledged.len() >= after);
        let restarting = restarting.get().unwrap().lock().unwrap().take().unwrap();
        tokio::task::spawn_blocking(|| restarting.join())
            .await
            .unwrap()
            .unwrap()
            .unwrap();
        store.close().await.unwrap();
        let store = PostgresStore::open(&url).await.unwrap();
        plan.check(&store, &acknowledged).await;
        store.close().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_outlives_ended_connections() {
    let url = url();
    let calm = format!("{url}&application_name=calm");
    let calm = PostgresStore::open(&calm).await.unwrap();
    let over = Arc::new(AtomicBool::new(false));
    let killer = tokio::task::spawn_blocking({
        let over = Arc::clone(&over);
        move || {
            let some = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                WHERE application_name = 'stormy' AND random() < 0.3";
            let mut ended = 0;
            while !over.load(Ordering::SeqCst) {
                ended += SERVER.sql("postgres", some).unwrap().lines().count();
            }
            ended
        }
    });
    let stormy = format!("{url}&application_name=stormy");
    for round in 0..rounds() {
        let plan = Plan::new(&calm, round).await;
        // Opening may be hit too.
        let store = loop {
            if let Ok(store) = PostgresStore::open(&stormy).await {
                break store;
            }
        };
        let acknowledged = plan.write_until(&store, |count| count >= 200).await;
        plan.check(&calm, &acknowledged).await;
    }
    over.store(true, Ordering::SeqCst);
    assert!(killer.await.unwrap() > 0);
}

/// A line that reaches the parent whole, or not at all.
fn tell(line: &str) {
    writeln!(std::io::stdout().lock(), "{line}").unwrap();
}

#[test]
#[ignore = "the process that is killed: started by the test below"]
fn killed() {
    let (Ok(url), Some(plan)) = (std::env::var(URL), Plan::from_env()) else {
        return;
    };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let store = PostgresStore::open(&url).await.unwrap();
        // The test runner began a line.
        tell("");
        plan.write_until_told(&store, |writer, number, seq| {
            tell(&format!("committed {writer} {number} {seq}"));
            false
        })
        .await;
    });
}

/// Runs the writers and kills them once so many writes were acknowledged. Returns all that were.
fn run_and_kill(url: &str, plan: &Plan, after: usize) -> Acknowledged {
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", "crash::killed", "--ignored", "--nocapture"]);
    child.env(URL, url).stdout(Stdio::piped());
    plan.to_env(&mut child);
    let mut child = child.spawn().unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut acknowledged = Acknowledged::new();
    loop {
        let mut line = String::new();
        out.read_line(&mut line).unwrap();
        // What a killed process did not get out whole was not said.
        if !line.ends_with('\n') {
            break;
        }
        let Some(numbers) = line.trim_end().strip_prefix("committed ") else {
            continue;
        };
        let numbers: Vec<u64> = numbers.split(' ').map(|n| n.parse().unwrap()).collect();
        let number = |at: usize| u32::try_from(numbers[at]).unwrap();
        acknowledged.insert((number(0), number(1)), numbers[2]);
        if acknowledged.len() == after {
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

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_outlives_a_killed_process() {
    let url = url();
    let store = PostgresStore::open(&url).await.unwrap();
    for round in 0..rounds() {
        let plan = Plan::new(&store, round).await;
        let (url, writers, after) = (url.clone(), plan.clone(), random(200));
        let run = tokio::task::spawn_blocking(move || run_and_kill(&url, &writers, after));
        let acknowledged = run.await.unwrap();
        assert!(acknowledged.len() >= after);
        plan.check(&store, &acknowledged).await;
    }
}
