//! All reports as one table and one chart.

use std::path::Path;

use serde_json::Value;

use crate::Outcome;
use crate::chart::{Bar, Group, chart};
use crate::options::Summary;
use crate::paper;

/// In this order, whichever order they were measured in.
const WORKLOADS: [&str; 5] = ["fanout", "pairs", "mixed", "storm", "idle"];

/// The workload `summary`: Markdown on stdout, and the chart in a file.
pub(crate) fn print(options: &Summary) -> Outcome<()> {
    let mut reports = Vec::new();
    for entry in std::fs::read_dir(&options.reports)? {
        reports.extend(read(&entry?.path())?);
    }
    let place = |report: &Value| {
        let place = WORKLOADS
            .iter()
            .position(|name| report["workload"] == *name);
        (
            place,
            report["server"]["rate"].as_f64().map(|rate| rate as u64),
        )
    };
    reports.sort_by_key(place);
    println!(
        "| workload | server | CPU s/M | p50, p99 | ÷ floor | beside |\n|---|---|---|---|---|---|"
    );
    reports
        .iter()
        .filter_map(row)
        .for_each(|row| println!("{row}"));
    for report in reports.iter().filter(|report| report["memory"].is_object()) {
        let (memory, label) = (&report["memory"], label(report));
        let kib = |name: &str| memory[name].as_f64().unwrap_or_default();
        let (idle, used, floor) = (
            kib("idle_a_socket"),
            kib("used_a_socket"),
            kib("floor_a_socket"),
        );
        println!(
            "| {label} | {idle:.2} KiB a socket, {used:.2} after a message | | | {:.2} | a tokio task {floor:.2} KiB |",
            idle / floor
        );
    }
    if let Some(table) = paper::table(&reports) {
        println!("\nOn paper, by the formula in docs/performance.md:\n\n{table}");
    }
    let groups: Vec<Group> = reports.iter().filter_map(bars).collect();
    std::fs::write(&options.chart, chart(&groups))?;
    Ok(())
}

fn read(path: &Path) -> Outcome<Vec<Value>> {
    let text = std::fs::read_to_string(path)?;
    let reports = serde_json::from_str(&text);
    Ok(reports.map_err(|error| format!("{}: {error}", path.display()))?)
}

/// What was measured, in a few words.
fn label(report: &Value) -> String {
    let setting = report["setting"].as_str().unwrap_or_default();
    let parts: Vec<&str> = setting.split(", ").collect();
    let first = parts.first().copied().unwrap_or_default();
    let kept = parts.iter().find_map(|part| {
        let word = part.split(';').next().unwrap_or_default();
        ["SQLite", "memory"].contains(&word).then_some(word)
    });
    let kept = kept.map_or_else(String::new, |kept| format!(", {kept}"));
    match report["workload"].as_str().unwrap_or_default() {
        "fanout" => format!(
            "W1 {first}, {}{kept}",
            parts.get(1).copied().unwrap_or_default()
        ),
        "pairs" => format!("W2 {first}{kept}"),
        "idle" => format!("W3 {first}{kept}"),
        "mixed" => format!("W4 {first}{kept}"),
        "storm" => format!("W5 {first}{kept}"),
        other => other.to_owned(),
    }
}

fn row(report: &Value) -> Option<String> {
    let server = &report["server"];
    let figure = |name: &str| server[name].as_f64();
    let unit = report["unit"].as_str()?;
    let beside = report["beside"].as_array()?;
    let of = |row: &Value| row["ratio"].as_f64().unwrap_or_default();
    let others = beside.iter().skip(1).filter_map(|row| {
        let name = row["name"].as_str()?;
        Some(format!("{name} {:.2}", of(row)))
    });
    let disk = report["disk"]["grouped"].as_f64();
    let disk = disk.and_then(|disk| Some(format!("disk {:.3}", figure("rate")? / disk)));
    Some(format!(
        "| {} | {:.0} {unit}/s | {:.2} | {}, {} | {:.2} | {} |",
        label(report),
        figure("rate")?,
        figure("cpu_a_million")?,
        time(figure("p50")?),
        time(figure("p99")?),
        of(beside.first()?),
        others.chain(disk).collect::<Vec<_>>().join(" · "),
    ))
}

/// A time for people.
fn time(micros: f64) -> String {
    if micros < 10_000.0 {
        format!("{micros:.0} µs")
    } else {
        format!("{:.0} ms", micros / 1e3)
    }
}

/// The server and peers, each ÷ the first floor. Latency and memory have no place in this chart.
fn bars(report: &Value) -> Option<Group> {
    if !["fanout", "pairs"].contains(&report["workload"].as_str()?) {
        return None;
    }
    let beside = report["beside"].as_array()?;
    let floor = beside.first()?;
    let server = Bar {
        name: "this server".to_owned(),
        ratio: floor["ratio"].as_f64()?,
        is_ours: true,
    };
    let others = beside.iter().skip(1).filter_map(|row| {
        Some(Bar {
            name: row["name"].as_str()?.to_owned(),
            ratio: row["rate"].as_f64()? / floor["rate"].as_f64()?,
            is_ours: false,
        })
    });
    Some(Group {
        name: label(report),
        bars: std::iter::once(server).chain(others).collect(),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_report_becomes_a_row_and_bars() {
        let summary =
            |rate| json!({ "rate": rate, "cpu_a_million": 2.5, "p50": 90.0, "p99": 12_000.0 });
        let mut floor = summary(1_000.0);
        floor["name"] = json!("floor");
        floor["ratio"] = json!(0.75);
        let mut nats = summary(500.0);
        nats["name"] = json!("nats");
        nats["ratio"] = json!(1.5);
        let report = json!({
            "workload": "fanout",
            "setting": "1000 receivers, 8 outstanding, 128 bytes of text, 386 on the wire, SQLite",
            "unit": "deliveries",
            "server": summary(750.0),
            "beside": [floor, nats],
        });
        let wanted = "| W1 1000 receivers, 8 outstanding, SQLite | 750 deliveries/s | 2.50 | 90 µs, 12 ms | 0.75 | nats 1.50 |";
        assert_eq!(row(&report).as_deref(), Some(wanted));
        let bars = bars(&report).unwrap().bars;
        assert_eq!((bars[0].ratio, bars[1].ratio), (0.75, 0.5));
        assert_eq!(row(&json!({ "workload": "idle", "memory": {} })), None);
    }
}
