//! `cargo xtask bench`.

use std::fs;
use std::path::PathBuf;

use crate::{browser, page, postgres, run, web};

/// Where figures are written, between a line that names the command and one that ends them.
const PAGE: &str = "docs/performance.md";

/// What `cargo xtask bench` runs: a name for the report, and the workload with its options.
const LOADS: [(&str, &[&str]); 6] = [
    ("fanout", &["fanout", "--seconds", "3"]),
    ("pairs-sqlite", &["pairs", "--seconds", "3"]),
    (
        "pairs-memory",
        &["pairs", "--seconds", "3", "--store", "memory"],
    ),
    ("idle", &["idle"]),
    ("mixed", &["mixed"]),
    ("storm", &["storm"]),
];
const CHART: &str = "docs/performance.svg";

/// Runs every workload of the load generator, then writes the table and the chart into the pages.
///
/// # Errors
/// A workload failed, or a page is not as expected.
pub(crate) fn loads() -> Result<(), String> {
    let where_ = conditions();
    println!("{where_}");
    let program = load_generator()?;
    let reports = target().join("chat-bench");
    // Of an earlier run, with other workloads perhaps.
    let _ = fs::remove_dir_all(&reports);
    fs::create_dir_all(&reports).map_err(|error| format!("{}: {error}", reports.display()))?;
    let mut peers = Vec::new();
    let here = [
        ("nats", run::answers("nats-server", &["--version"])),
        ("redis", run::answers("redis-server", &["--version"])),
        ("node-ws", web::tools().is_ok() && web::is_installed()),
    ];
    for (name, _) in here.iter().filter(|(_, is_here)| *is_here) {
        peers.extend(["--peer", name]);
    }
    for (place, (name, options)) in LOADS.into_iter().enumerate() {
        let mut load = run::command(".", &program, options);
        if ["fanout", "pairs"].contains(&options[0]) {
            load.args(&peers);
        }
        println!("\n== {} ({}/{})", run::line(&load), place + 1, LOADS.len());
        let file = reports.join(name).with_extension("json");
        let file =
            fs::File::create(&file).map_err(|error| format!("{}: {error}", file.display()))?;
        load.arg("--json").stdout(file);
        run::run(load)?;
    }
    let folder = reports.to_string_lossy();
    let table = run::says(&program, &["summary", &folder, "--chart", CHART]);
    let table = table.ok_or("`chat-bench summary` did not end well")?;
    println!("\n{}", table.trim());
    let text = format!("{where_}\n\n{}", table.trim());
    page::write(PAGE, "loads: cargo xtask bench", &text)?;
    let picture = format!("![Rates beside bare sockets of the same run]({CHART})\n\n{text}");
    page::write("README.md", "loads: cargo xtask bench", &picture)
}

/// Measures each store in a process of its own, and writes the table into the page whenever one is done: a run that is cut
/// short leaves what it has.
///
/// # Errors
/// A benchmark failed, or the page is not as expected.
pub(crate) fn stores() -> Result<(), String> {
    postgres::find_or_install()?;
    let where_ = conditions();
    println!("{where_}");
    let program = load_generator()?;
    let messages = std::env::var("CHAT_BENCH_MESSAGES").unwrap_or_else(|_| "200000".to_owned());
    let criterion = target().join("criterion");
    // What this writes, of an earlier run, on another day perhaps; not what other benchmarks left.
    for group in ["commit", "commit when filled", "page"] {
        let _ = fs::remove_dir_all(criterion.join(group));
    }
    fs::create_dir_all(&criterion).map_err(|error| format!("{}: {error}", criterion.display()))?;
    let folder = criterion.to_string_lossy();
    let stores = ["memory", "sqlite", "sled", "postgres"];
    for store in stores {
        let _ = fs::remove_file(criterion.join(store).with_extension("json"));
    }
    for (place, store) in stores.into_iter().enumerate() {
        println!("\n== {store} ({}/{})", place + 1, stores.len());
        let bench = ["bench", "--package", "chat-bench", "--bench", "stores"];
        let mut bench = run::cargo(&bench);
        bench
            .env("CHAT_BENCH_STORES", store)
            .env("CHAT_BENCH_MESSAGES", &messages)
            .env("CHAT_BENCH_SIZES", &criterion);
        run::run(bench)?;
        let asked = ["table", "--criterion", &folder, "--sizes", &folder];
        let table = run::says(&program, &asked).ok_or("`chat-bench table` did not end well")?;
        println!("\n{}", table.trim());
        let text = format!(
            "{where_} Pages out of {messages} messages.\n\n{}",
            table.trim()
        );
        page::write(PAGE, "stores: cargo xtask bench stores", &text)?;
    }
    Ok(())
}

/// Measures the chat without sockets; criterion shows the figures and leaves its report under `target/criterion`.
///
/// # Errors
/// The benchmark failed.
pub(crate) fn hub() -> Result<(), String> {
    println!("{}", conditions());
    run::run(run::cargo(&[
        "bench",
        "--package",
        "chat-bench",
        "--bench",
        "hub",
    ]))
}

/// Where cargo builds.
fn target() -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR");
    target.map_or_else(|| run::root().join("target"), Into::into)
}

/// Builds the load generator; its path.
fn load_generator() -> Result<String, String> {
    let made = [
        "build",
        "--release",
        "--package",
        "chat-bench",
        "--package",
        "chat-server",
    ];
    run::run(run::cargo(&made))?;
    let program = target().join("release/chat-bench");
    Ok(program.to_string_lossy().into_owned())
}

/// The machine, the day, and what else the machine did when this began.
fn conditions() -> String {
    let said = |program: &str, arguments: &[&str]| {
        let said = run::says(program, arguments).unwrap_or_default();
        said.trim().to_owned()
    };
    let file = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let info = file("/proc/cpuinfo");
    let model = info
        .lines()
        .find_map(|line| line.strip_prefix("model name"));
    let model = model.map_or("a processor", |rest| {
        rest.trim_start_matches([' ', '\t', ':'])
    });
    let cores = info
        .lines()
        .filter(|line| line.starts_with("processor"))
        .count();
    let memory = file("/proc/meminfo");
    let memory = memory
        .split_whitespace()
        .nth(1)
        .and_then(|kib| kib.parse::<f64>().ok());
    let gib = memory.unwrap_or_default() / f64::from(1 << 20);
    let temporary = std::env::temp_dir();
    let filesystem = said("df", &["--output=fstype", &temporary.to_string_lossy()]);
    let filesystem = filesystem.lines().last().unwrap_or_default();
    // What a distributor adds to the number says nothing about figures.
    let kernel = said("uname", &["-r"]);
    let kernel = kernel.split('-').next().unwrap_or_default();
    let load = file("/proc/loadavg");
    let load = load.split(' ').next().unwrap_or_default();
    format!(
        "{}: {model}, {cores} cores, {gib:.0} GiB, Linux {kernel}, files on {filesystem}; load average {load} when it began.",
        said("date", &["+%F"]),
    )
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
    let mut budgets = web::npm(&["run", "--silent", "budgets"]);
    budgets
        .env("CHROMIUM", browser)
        .env("E2E_SERVER", target().join("release/chat-server"));
    run::run(budgets)
}
