//! `cargo xtask bench`.

use std::fs;

use crate::{browser, run, web};

/// The table in the page about figures stands between these two.
const BEGIN: &str = "<!-- stores: cargo xtask bench stores -->\n";
const END: &str = "<!-- end -->\n";
const PAGE: &str = "docs/performance.md";

/// Measures each store in a process of its own, then writes the table into the page.
///
/// # Errors
/// A benchmark failed, or the page is not as expected.
pub(crate) fn stores() -> Result<(), String> {
    let target = std::env::var_os("CARGO_TARGET_DIR");
    let target = target.map_or_else(|| run::root().join("target"), Into::into);
    let criterion = target.join("criterion");
    fs::create_dir_all(&criterion).map_err(|error| format!("{}: {error}", criterion.display()))?;
    for store in ["sqlite", "sled", "postgres", "memory"] {
        println!("{store} …");
        let bench = ["bench", "--package", "chat-bench", "--bench", "stores"];
        let mut bench = run::cargo(&bench);
        bench
            .env("CHAT_BENCH_STORES", store)
            .env("CHAT_BENCH_SIZES", &criterion);
        run::run(bench)?;
    }
    let folder = criterion.to_string_lossy();
    let made = ["build", "--release", "--package", "chat-bench"];
    run::run(run::cargo(&made))?;
    let program = target.join("release/chat-bench");
    let asked = ["table", "--criterion", &folder, "--sizes", &folder];
    let table = run::says(&program.to_string_lossy(), &asked)
        .ok_or("`chat-bench table` did not end well")?;
    write(&table)
}

/// Measures the web client against its budgets, in Chromium with a server built for release.
///
/// # Errors
/// A tool is missing, or one of its runs failed.
pub(crate) fn web() -> Result<(), String> {
    let browser = browser::find_or_install()?;
    web::build()?;
    run::run(run::cargo(&[
        "build",
        "--release",
        "--package",
        "chat-server",
    ]))?;
    let target = std::env::var_os("CARGO_TARGET_DIR");
    let target = target.map_or_else(|| run::root().join("target"), Into::into);
    let mut budgets = web::npm(&["run", "--silent", "budgets"]);
    budgets
        .env("CHROMIUM", browser)
        .env("E2E_SERVER", target.join("release/chat-server"));
    run::run(budgets)
}

fn write(table: &str) -> Result<(), String> {
    let path = run::root().join(PAGE);
    let page = fs::read_to_string(&path).map_err(|error| format!("{PAGE}: {error}"))?;
    let parts = page
        .split_once(BEGIN)
        .and_then(|(before, rest)| Some((before, rest.split_once(END)?.1)));
    let (before, after) = parts.ok_or_else(|| format!("{PAGE} has no place for the table"))?;
    let page = format!("{before}{BEGIN}\n{}\n\n{END}{after}", table.trim());
    fs::write(&path, page).map_err(|error| format!("{PAGE}: {error}"))?;
    println!("{}", table.trim());
    println!("Written into {PAGE}: add the machine and the day.");
    Ok(())
}
