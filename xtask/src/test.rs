//! `cargo xtask test`: what CI runs.

use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use crate::count::Count;
use crate::{browser, postgres, run, web};

/// What became of a step.
enum Outcome {
    Passed(Count),
    Failed(Count, String),
    Skipped(String),
}

/// A name and what to do.
type Step = (&'static str, fn() -> Outcome);

/// The quick ones first; the web client before the server, which contains it, so that nothing is built twice.
const STEPS: &[Step] = &[
    ("tools", tools),
    ("format", || check(run::cargo(&["fmt", "--all", "--check"]))),
    ("web: packages", web_packages),
    ("web: generated types", || {
        check(web::npm(&["run", "types", "--", "--check"]))
    }),
    ("web: lint and types", || check(web::npm(&["run", "check"]))),
    ("web: tests", || suite(web::npm(&["test"]))),
    ("web: build", || check(web::npm(&["run", "build"]))),
    ("web: size", || check(web::npm(&["run", "size"]))),
    ("clippy", clippy),
    ("tests", tests),
    ("doc tests", || {
        suite(run::cargo(&[
            "test",
            "--workspace",
            "--all-features",
            "--doc",
        ]))
    }),
    ("docs", docs),
    ("dependencies", dependencies),
    ("browser", || end_to_end(None)),
];

/// Runs all steps, each announced with its time, until one fails (or all of them, if told to keep going).
pub(crate) fn test(keep_going: bool) -> ExitCode {
    let started = Instant::now();
    let mut total = Count::default();
    let mut notes = Vec::new();
    for (place, (name, step)) in STEPS.iter().enumerate() {
        println!("\n== {name} ({}/{})", place + 1, STEPS.len());
        let begun = Instant::now();
        let outcome = step();
        let time = seconds(begun.elapsed());
        match outcome {
            Outcome::Passed(count) => {
                total.add(count);
                println!("== {name}: passed in {time}");
            }
            Outcome::Skipped(why) => {
                println!("== {name}: skipped: {why}");
                notes.push(format!("skipped: {name}: {why}"));
            }
            Outcome::Failed(count, why) => {
                total.add(count);
                println!("== {name}: FAILED after {time}: {why}");
                notes.push(format!("FAILED: {name}: {why}"));
                if !keep_going {
                    let left: Vec<&str> = STEPS[place + 1..].iter().map(|step| step.0).collect();
                    if !left.is_empty() {
                        notes.push(format!("not run: {}", left.join(", ")));
                    }
                    break;
                }
            }
        }
    }
    println!();
    notes.iter().for_each(|note| println!("{note}"));
    println!("{} in all", seconds(started.elapsed()));
    println!("{} passed, {} failed", total.passed, total.failed);
    if total.failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Runs the browser test for its picture.
pub(crate) fn screenshots() -> Result<(), String> {
    web::tools()?;
    browser::find_or_install()?;
    web::build()?;
    run::run(run::cargo(&["build", "--package", "chat-server"]))?;
    match end_to_end(Some("docs/screenshot.png")) {
        Outcome::Failed(_, why) => Err(why),
        Outcome::Passed(_) | Outcome::Skipped(_) => Ok(()),
    }
}

/// A time for people: `4.2 s`, `3 min 07 s`.
fn seconds(time: Duration) -> String {
    match time.as_secs() {
        whole @ 60.. => format!("{} min {:02} s", whole / 60, whole % 60),
        _ => format!("{:.1} s", time.as_secs_f64()),
    }
}

/// One check that passed or failed.
fn check(command: Command) -> Outcome {
    judge(Count::default(), run::run(command))
}

/// A suite of tests that are counted one by one.
fn suite(command: Command) -> Outcome {
    let (count, ended) = run::run_counting(command);
    judge(count, ended)
}

/// A step that counted nothing counts for one, and one that failed has at least one failure.
fn judge(mut count: Count, ended: Result<(), String>) -> Outcome {
    match ended {
        Ok(()) => {
            if count == Count::default() {
                count.passed = 1;
            }
            Outcome::Passed(count)
        }
        Err(why) => {
            count.failed = count.failed.max(1);
            Outcome::Failed(count, why)
        }
    }
}

/// Everything that must be here before the long steps begin.
fn tools() -> Outcome {
    let here = web::tools()
        .and_then(|()| postgres::find_or_install())
        .and_then(|()| browser::find_or_install());
    if let Ok(browser) = &here {
        println!("browser: {browser}");
    }
    judge(Count::default(), here.map(|_| ()))
}

fn web_packages() -> Outcome {
    if web::is_installed() {
        println!("node_modules are those of the lock file");
        return judge(Count::default(), Ok(()));
    }
    check(web::npm(&["ci"]))
}

fn clippy() -> Outcome {
    check(run::cargo(&[
        "clippy",
        "--workspace",
        "--all-targets",
        "--all-features",
        "--",
        "--deny",
        "warnings",
    ]))
}

/// All tests but doc tests, by nextest where it is installed.
fn tests() -> Outcome {
    let runner: &[&str] = if run::cargo_has("nextest") {
        &["nextest", "run"]
    } else {
        &["test", "--lib", "--bins", "--tests"]
    };
    let mut command = run::cargo(runner);
    command.args(["--workspace", "--all-features", "--no-fail-fast"]);
    suite(command)
}

fn docs() -> Outcome {
    let mut command = run::cargo(&["doc", "--workspace", "--all-features", "--no-deps"]);
    command.env("RUSTDOCFLAGS", "--deny warnings");
    check(command)
}

/// Licences, bans and sources: what can be checked without a network.
fn dependencies() -> Outcome {
    if !run::cargo_has("deny") {
        return Outcome::Skipped(
            "cargo-deny is not installed (`cargo install --locked cargo-deny`)".to_owned(),
        );
    }
    check(run::cargo(&[
        "deny", "check", "bans", "licenses", "sources",
    ]))
}

/// The test in a real browser, against the server that the tests were built with: building it by itself would build its
/// dependencies again, with fewer features. With a path it leaves a picture there.
fn end_to_end(picture: Option<&str>) -> Outcome {
    let browser = match browser::find_or_install() {
        Ok(browser) => browser,
        Err(why) => return judge(Count::default(), Err(why)),
    };
    let mut command = web::npm(&["run", "--silent", "e2e"]);
    command.env("CHROMIUM", browser);
    command.env("E2E_SERVER", run::built("chat-server"));
    command.envs(picture.map(|path| ("E2E_SCREENSHOT", run::root().join(path))));
    suite(command)
}
