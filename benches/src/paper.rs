//! What many users take, on paper: the figures of one run put into the formula of `docs/performance.md`.

use serde_json::Value;

/// Connected users.
const USERS: [f64; 2] = [1e6, 1e8];
/// Seconds between two messages of a user.
const EVERY: f64 = 60.0;
/// Connected members who get a message, on average.
const HEARD: f64 = 10.0;
/// A node: cores and KiB of memory, half of which are used.
const CORES: f64 = 16.0;
const MEMORY: f64 = 64.0 * 1024.0 * 1024.0;
const USED: f64 = 0.5;
/// Bytes of an event on the bus.
const EVENT: f64 = 400.0;

/// What was measured.
struct Measured {
    /// CPU seconds for a delivery, in the mixed workload.
    delivery: f64,
    /// CPU seconds for a durable message and its two deliveries.
    message: f64,
    /// Durable messages a second on one core.
    shard: f64,
    /// KiB of a socket that is used.
    socket: f64,
}

/// A Markdown table; `None` where a report is missing.
pub(crate) fn table(reports: &[Value]) -> Option<String> {
    let of = |workload: &str, kept: &str| {
        reports.iter().find(|report| {
            let setting = report["setting"].as_str().unwrap_or_default();
            report["workload"] == workload && setting.contains(kept)
        })
    };
    let (pairs, mixed, idle) = (of("pairs", "SQLite")?, of("mixed", "")?, of("idle", "")?);
    let measured = Measured {
        delivery: mixed["server"]["cpu_a_million"].as_f64()? / 1e6,
        message: pairs["server"]["cpu_a_million"].as_f64()? / 1e6,
        shard: pairs["server"]["rate"].as_f64()?,
        socket: idle["memory"]["used_a_socket"].as_f64()?,
    };
    let rows: Vec<String> = USERS.iter().map(|users| row(*users, &measured)).collect();
    Some(format!(
        "| connected users | messages/s | deliveries/s | cores | memory of sockets | nodes | bus | store shards |\n\
         |---|---|---|---|---|---|---|---|\n{}",
        rows.join("\n")
    ))
}

fn row(users: f64, measured: &Measured) -> String {
    let messages = users / EVERY;
    let deliveries = messages * HEARD;
    let cores = messages * measured.message + deliveries * measured.delivery;
    let memory = users * measured.socket;
    let nodes = (cores / (CORES * USED))
        .max(memory / (MEMORY * USED))
        .ceil();
    // Each event goes to the bus once, and from there to every node with somebody who hears it.
    let heard_on = nodes * (1.0 - (1.0 - 1.0 / nodes).powf(HEARD));
    let bus = messages * (1.0 + heard_on) * EVENT / 1e6;
    let shards = (messages / (measured.shard * USED)).ceil();
    let gib = memory / 1024.0 / 1024.0;
    format!(
        "| {users:.0} | {messages:.0} | {deliveries:.0} | {cores:.0} | {gib:.0} GiB | {nodes:.0} | {bus:.0} MB/s | {shards:.0} |"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_formula_is_the_documented_one() {
        let measured = Measured {
            delivery: 2e-6,
            message: 40e-6,
            shard: 20_000.0,
            socket: 8.0,
        };
        // 16,667 messages: 0.67 cores, and 0.33 for their deliveries; 7.6 GiB; one node, which hears all itself.
        assert_eq!(
            row(1e6, &measured),
            "| 1000000 | 16667 | 166667 | 1 | 8 GiB | 1 | 13 MB/s | 2 |"
        );
        // The memory asks for more nodes than the processors do: 763 GiB, 32 a node.
        assert!(row(1e8, &measured).contains("| 100 | 763 GiB | 24 |"));
        assert_eq!(table(&[]), None);
    }
}
