//! What criterion measured of the stores, as one table.

use std::path::Path;

use serde_json::Value;

use crate::Outcome;
use crate::options::Table;

const STORES: [&str; 4] = ["memory", "sqlite", "sled", "postgres"];
const WRITERS: [u32; 4] = [1, 8, 64, 512];

/// Nanoseconds of the middle iteration; `None` where that was not measured.
fn median(criterion: &Path, place: &[&str]) -> Option<f64> {
    let folder = place
        .iter()
        .fold(criterion.to_owned(), |at, part| at.join(part));
    let text = std::fs::read_to_string(folder.join("new/estimates.json")).ok()?;
    let estimates: Value = serde_json::from_str(&text).ok()?;
    estimates["median"]["point_estimate"].as_f64()
}

/// Messages a second with so many writers.
fn rate(criterion: &Path, of: &str, writers: u32) -> Option<f64> {
    let round = median(criterion, &["commit", of, &writers.to_string()])?;
    Some(f64::from(writers) * 1e9 / round)
}

fn cell(value: Option<String>) -> String {
    value.unwrap_or_else(|| "–".to_owned())
}

/// A row of what was measured; without anything measured, none.
fn row(options: &Table, store: &str, name: &str) -> Option<String> {
    let criterion = options.criterion.as_path();
    WRITERS.iter().find_map(|w| rate(criterion, store, *w))?;
    let mut row = format!("| {name} |");
    for writers in WRITERS {
        // Each store stands beside the disk as it was in its own run.
        let floor = rate(criterion, &format!("disk beside {store}"), writers);
        let shown = rate(criterion, store, writers).map(|rate| match floor {
            Some(floor) => format!("{rate:.0} ({:.2})", rate / floor),
            None => format!("{rate:.0}"),
        });
        row += &format!(" {} |", cell(shown));
    }
    for page in ["history", "inbox", "search"] {
        let time = median(criterion, &["page", page, store]);
        row += &format!(
            " {} |",
            cell(time.map(|time| format!("{:.0} µs", time / 1e3)))
        );
    }
    row += &format!(" {} |", cell(sizes(&options.sizes, store)));
    Some(row)
}

/// The workload `table`: Markdown on stdout.
pub(crate) fn print(options: &Table) -> Outcome<()> {
    let mut head = String::from("| messages a second (÷ raw) |");
    for writers in WRITERS {
        let plural = if writers == 1 { "" } else { "s" };
        head += &format!(" {writers} writer{plural} |");
    }
    head += " page of 50 | inbox page | search | disk, memory for 1 M messages |";
    println!("{head}\n|---|---|---|---|---|---|---|---|---|");
    for store in STORES {
        let floor = format!("disk beside {store}");
        let raw = format!("raw append + `fdatasync`, beside {store}");
        let rows = [(&*floor, &*raw), (store, store)];
        for (of, name) in rows {
            row(options, of, name)
                .into_iter()
                .for_each(|row| println!("{row}"));
        }
    }
    if let Some(pgbench) = row(
        options,
        "pgbench",
        "`pgbench`, one script that inserts 64 rows",
    ) {
        println!("{pgbench}");
        let at_64 = |of| rate(&options.criterion, of, 64);
        if let (Some(ours), Some(theirs)) = (at_64("postgres"), at_64("pgbench")) {
            println!(
                "\npostgres with 64 writers reaches {:.2} of `pgbench`.",
                ours / theirs
            );
        }
    }
    Ok(())
}

/// What the filled store took, scaled to a million messages.
fn sizes(folder: &Path, store: &str) -> Option<String> {
    let text = std::fs::read_to_string(folder.join(format!("{store}.json"))).ok()?;
    let sizes: Value = serde_json::from_str(&text).ok()?;
    let scale = 1e6 / sizes["messages"].as_f64()?;
    let mib = |kib: f64| format!("{:.0} MiB", kib * scale / 1024.0);
    let disk = sizes["disk_kib"]
        .as_f64()
        .map_or_else(|| "–".to_owned(), mib);
    Some(format!("{disk}, {}", mib(sizes["resident_kib"].as_f64()?)))
}
