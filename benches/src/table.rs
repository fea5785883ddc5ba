//! What criterion measured of the stores, as one table.

use std::fmt::Write as _;
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

/// The workload `table`: Markdown on stdout.
pub(crate) fn print(options: &Table) -> Outcome<()> {
    let criterion = options.criterion.as_path();
    let mut table = String::from("| messages a second (÷ disk) |");
    for writers in WRITERS {
        let plural = if writers == 1 { "" } else { "s" };
        write!(table, " {writers} writer{plural} |")?;
    }
    table.push_str(" page of 50 | inbox page | disk, memory for 1 M messages |\n|---|---|---|---|---|---|---|---|\n");
    for store in ["disk"].into_iter().chain(STORES) {
        let measured = WRITERS.iter().any(|w| rate(criterion, store, *w).is_some());
        if !measured {
            continue;
        }
        let name = if store == "disk" {
            "raw append + fdatasync"
        } else {
            store
        };
        write!(table, "| {name} |")?;
        for writers in WRITERS {
            let floor = rate(criterion, "disk", writers);
            let shown = rate(criterion, store, writers).map(|rate| match floor {
                Some(floor) if store != "disk" => format!("{rate:.0} ({:.2})", rate / floor),
                _ => format!("{rate:.0}"),
            });
            write!(table, " {} |", cell(shown))?;
        }
        for page in ["history", "inbox"] {
            let time = median(criterion, &["page", page, store]);
            write!(
                table,
                " {} |",
                cell(time.map(|time| format!("{:.0} µs", time / 1e3)))
            )?;
        }
        writeln!(table, " {} |", cell(sizes(&options.sizes, store)))?;
    }
    println!("{table}");
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
