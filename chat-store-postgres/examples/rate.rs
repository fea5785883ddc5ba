//! How many messages a second `PostgresStore` commits, beside what `pgbench` reaches on the same server with one row a
//! message and as many of them in a transaction.
//!
//! `cargo run --release --example rate -p chat-store-postgres [groups at once] [seconds]`

use std::error::Error;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use chat_core::{Actor, Change, History, Prepared, Role, Store, Target, Write};
use chat_store_postgres::PostgresStore;
use chat_testkit::Postgres;

/// How many write, each a message to each group.
const WRITERS: usize = 64;

type Outcome<T> = Result<T, Box<dyn Error>>;

fn prepared(actor: Actor, target: Target, change: Change) -> Prepared {
    Prepared {
        write: Write::new(actor, target, vec![change]),
        digest: [0; 16],
    }
}

/// Messages a second.
async fn store(url: &str, at_once: usize, time: Duration) -> Outcome<f64> {
    let store = PostgresStore::open(url).await?;
    let mut users = Vec::new();
    for n in 0..WRITERS {
        let (provider, subject) = ("rate".to_owned(), n.to_string());
        let name = subject.clone();
        let register = prepared(
            Actor::Host,
            Target::Subject { provider, subject },
            Change::Register { name },
        );
        users.extend(store.commit(vec![register]).await.remove(0)?.user);
    }
    let mut conversations = Vec::new();
    for _ in 0..WRITERS * at_once {
        let create = Change::Create {
            title: None,
            data: None,
            managed: false,
            history: History::All,
            members: users.iter().map(|user| (*user, Role::Member)).collect(),
        };
        let create = prepared(Actor::Host, Target::Group, create);
        conversations.extend(store.commit(vec![create]).await.remove(0)?.conversation);
    }
    let count = Arc::new(AtomicUsize::new(0));
    let begun = Instant::now();
    let writing: Vec<_> = conversations
        .chunks(WRITERS)
        .map(|own| {
            let (store, own, users, count) = (
                store.clone(),
                own.to_vec(),
                users.clone(),
                Arc::clone(&count),
            );
            tokio::spawn(async move {
                while begun.elapsed() < time {
                    let post = |(conversation, user): (&_, &_)| {
                        let text = "A message of a length that people write, more or less.";
                        prepared(
                            Actor::User(*user),
                            Target::Conversation(*conversation),
                            Change::post(text),
                        )
                    };
                    let group: Vec<_> = own.iter().zip(&users).map(post).collect();
                    for result in store.commit(group).await {
                        result?;
                        count.fetch_add(1, Ordering::Relaxed);
                    }
                }
                Ok::<_, chat_core::Error>(())
            })
        })
        .collect();
    for writing in writing {
        writing.await??;
    }
    Ok(count.load(Ordering::Relaxed) as f64 / begun.elapsed().as_secs_f64())
}

/// Rows a second.
fn pgbench(server: &Postgres, at_once: usize, time: Duration) -> Outcome<f64> {
    server.sql(
        "postgres",
        "CREATE TABLE IF NOT EXISTS floor(id bigserial PRIMARY KEY, log bigint NOT NULL, author bigint, text text)",
    )?;
    let rows = vec!["(1, 2, 'A message of a length that people write, more or less.')"; WRITERS];
    let folder = std::env::temp_dir().join(format!("rate-{}.sql", std::process::id()));
    std::fs::write(
        &folder,
        format!(
            "INSERT INTO floor(log, author, text) VALUES {};\n",
            rows.join(",")
        ),
    )?;
    let at_once = at_once.to_string();
    let mut command = Command::new(server.program("pgbench"));
    command.args([
        "-n",
        "-M",
        "prepared",
        "-U",
        "chat",
        "-h",
        "127.0.0.1",
        "-p",
        &server.port().to_string(),
    ]);
    command.args([
        "-c",
        &at_once,
        "-j",
        "1",
        "-T",
        &time.as_secs().to_string(),
        "-f",
    ]);
    let output = command.arg(&folder).arg("postgres").output()?;
    std::fs::remove_file(folder)?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let tps = said.lines().find_map(|line| {
        line.strip_prefix("tps = ")?
            .split(' ')
            .next()?
            .parse::<f64>()
            .ok()
    });
    Ok(tps.ok_or(said)? * WRITERS as f64)
}

#[allow(clippy::print_stdout)]
fn main() -> Outcome<()> {
    let mut arguments = std::env::args().skip(1);
    let at_once = arguments.next().map_or(Ok(1), |n| n.parse())?;
    let time = Duration::from_secs(arguments.next().map_or(Ok(10), |n| n.parse())?);
    let server = Postgres::start()?;
    let runtime = tokio::runtime::Runtime::new()?;
    for _ in 0..2 {
        let floor = pgbench(&server, at_once, time)?;
        let rate = runtime.block_on(store(&server.database()?, at_once, time))?;
        println!(
            "{at_once} at once: {rate:.0} messages/s, pgbench {floor:.0} rows/s: {:.2}",
            rate / floor
        );
    }
    Ok(())
}
