//! What is told at the end: a table for people, the same as JSON for programs.

use std::fmt;

use serde::Serialize;

use crate::disk::{Floor, GROUP};
use crate::window::Summary;

/// Above this, the loader or others had too much of a part in the figures.
const BUSY_LOADER: f64 = 0.95;
const BUSY_OTHERS: f64 = 0.10;

/// The outcome of a workload.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    workload: &'static str,
    setting: String,
    /// Bare sockets, moving the same bytes in the same run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) floor: Option<Summary>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) server: Option<Summary>,
    /// The server's rate ÷ the floor's, each round beside its own floor.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) ratio: Option<f64>,
    /// The disk, in the same run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) disk: Option<Floor>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) memory: Option<Memory>,
}

/// Resident memory of the server, in KiB.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Memory {
    pub(crate) sockets: u64,
    /// With everybody logged in and a few sockets.
    pub(crate) before: u64,
    /// With all sockets.
    pub(crate) idle: u64,
    /// After each socket got a message.
    pub(crate) used: u64,
    pub(crate) idle_a_socket: f64,
    pub(crate) used_a_socket: f64,
    /// A socket of the floor.
    pub(crate) floor_a_socket: f64,
}

impl Report {
    pub(crate) fn new(workload: &'static str, setting: &dyn fmt::Display) -> Self {
        Self {
            workload,
            setting: setting.to_string(),
            floor: None,
            server: None,
            ratio: None,
            disk: None,
            memory: None,
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}: {}", self.workload, self.setting)?;
        if self.server.is_some() {
            writeln!(
                f,
                "{:8} {:>9} {:>19} {:>8} {:>7} {:>7} {:>8} {:>6} {:>7} {:>7} {:>7}",
                "",
                "rate/s",
                "(rounds)",
                "CPU s/M",
                "p50 us",
                "p99 us",
                "p99.9 us",
                "f/read",
                "server",
                "loader",
                "others"
            )?;
        }
        for (name, row) in [("floor", &self.floor), ("server", &self.server)] {
            if let Some(row) = row {
                line(f, name, row)?;
            }
        }
        if let (Some(floor), Some(server), Some(ratio)) = (&self.floor, &self.server, self.ratio) {
            let cpu = server.cpu_a_million / floor.cpu_a_million;
            writeln!(f, "server / floor: rate {ratio:.3}, CPU {cpu:.2}")?;
        }
        if let Some(disk) = &self.disk {
            writeln!(f, "{disk}")?;
            if let Some(server) = &self.server {
                let (single, grouped) = (server.rate / disk.single, server.rate / disk.grouped);
                writeln!(
                    f,
                    "server / disk: {single:.2} of a sync each, {grouped:.3} of {GROUP} a sync"
                )?;
            }
        }
        if let Some(memory) = &self.memory {
            let Memory {
                sockets,
                before,
                idle,
                used,
                idle_a_socket,
                used_a_socket,
                floor_a_socket,
            } = memory;
            writeln!(
                f,
                "before {before} KiB, {sockets} sockets later {idle} KiB, after a message each {used} KiB"
            )?;
            writeln!(
                f,
                "a socket: {idle_a_socket:.2} KiB idle, {used_a_socket:.2} KiB after a message (floor {floor_a_socket:.2})"
            )?;
        }
        for row in [&self.floor, &self.server].into_iter().flatten() {
            if row.loader_busy > BUSY_LOADER {
                writeln!(
                    f,
                    "note: the loader was busy all the time: it is part of what was measured"
                )?;
            }
            if row.others_busy > BUSY_OTHERS {
                let others = row.others_busy * 100.0;
                writeln!(
                    f,
                    "note: others used {others:.0} % of the machine meanwhile"
                )?;
            }
        }
        Ok(())
    }
}

fn line(f: &mut fmt::Formatter<'_>, name: &str, row: &Summary) -> fmt::Result {
    let rounds = format!("({:.0}..{:.0})", row.lowest, row.highest);
    let percent = |part: f64| format!("{:.0} %", part * 100.0);
    writeln!(
        f,
        "{name:8} {:>9.0} {rounds:>19} {:>8.2} {:>7.0} {:>7.0} {:>8.0} {:>6.1} {:>7} {:>7} {:>7}",
        row.rate,
        row.cpu_a_million,
        row.p50,
        row.p99,
        row.p999,
        row.frames_a_read,
        percent(row.server_busy),
        percent(row.loader_busy),
        percent(row.others_busy),
    )
}
