//! What is told at the end: a table for people, the same as JSON for programs.

use std::fmt;

use serde::Serialize;

use crate::disk::{Floor, GROUP};
use crate::window::{Summary, Window, ratio, summary};

/// Above this, the loader or others had too much of a part in the figures.
const BUSY_LOADER: f64 = 0.95;
const BUSY_OTHERS: f64 = 0.10;

/// The outcome of a workload.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    workload: &'static str,
    setting: String,
    /// What the figures count.
    unit: &'static str,
    /// Bare sockets that move the same bytes in the same run, then peers.
    beside: Vec<Beside>,
    #[serde(skip_serializing_if = "Option::is_none")]
    server: Option<Summary>,
    /// The disk, in the same run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) disk: Option<Floor>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) memory: Option<Memory>,
    /// Parts of the server's CPU time, the largest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) layers: Vec<(&'static str, f64)>,
}

/// What the server is set beside.
#[derive(Debug, Serialize)]
struct Beside {
    name: &'static str,
    #[serde(flatten)]
    summary: Summary,
    /// The server's rate ÷ this one's, each round beside its own.
    ratio: f64,
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
            unit: "",
            beside: Vec::new(),
            server: None,
            disk: None,
            memory: None,
            layers: Vec::new(),
        }
    }

    /// The server's rounds, each beside the same round of floors and peers.
    pub(crate) fn rounds(
        &mut self,
        unit: &'static str,
        server: &[Window],
        beside: &[(&'static str, Vec<Window>)],
    ) {
        self.unit = unit;
        self.server = Some(summary(server));
        self.beside = beside
            .iter()
            .map(|(name, windows)| Beside {
                name,
                summary: summary(windows),
                ratio: ratio(server, windows),
            })
            .collect();
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}: {}", self.workload, self.setting)?;
        let rows = || {
            let beside = self.beside.iter().map(|row| (row.name, &row.summary));
            beside.chain(self.server.as_ref().map(|row| ("server", row)))
        };
        if self.server.is_some() {
            writeln!(
                f,
                "{:14} {:>11} {:>19} {:>8} {:>7} {:>7} {:>8} {:>8} {:>6} {:>7} {:>7} {:>7} {:>8}",
                "",
                format!("{}/s", self.unit),
                "(rounds)",
                "CPU s/M",
                "p50 us",
                "p99 us",
                "p99.9 us",
                "max us",
                "f/read",
                "server",
                "loader",
                "others",
                "RSS MiB"
            )?;
        }
        for (name, row) in rows() {
            line(f, name, row)?;
        }
        if let Some(server) = &self.server {
            for row in &self.beside {
                let cpu = server.cpu_a_million / row.summary.cpu_a_million;
                writeln!(
                    f,
                    "server / {}: rate {:.3}, CPU {cpu:.2}",
                    row.name, row.ratio
                )?;
            }
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
        for (layer, part) in &self.layers {
            writeln!(f, "{:5.1} % {layer}", part * 100.0)?;
        }
        for (name, row) in rows() {
            if row.loader_busy > BUSY_LOADER {
                writeln!(
                    f,
                    "note: with {name} the loader was busy all the time: it is part of what was measured"
                )?;
            }
            if row.others_busy > BUSY_OTHERS {
                let others = row.others_busy * 100.0;
                writeln!(
                    f,
                    "note: beside {name} others used {others:.0} % of the machine"
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
        "{name:14} {:>11.0} {rounds:>19} {:>8.2} {:>7.0} {:>7.0} {:>8.0} {:>8.0} {:>6.1} {:>7} {:>7} {:>7} {:>8.0}",
        row.rate,
        row.cpu_a_million,
        row.p50,
        row.p99,
        row.p999,
        row.longest,
        row.frames_a_read,
        percent(row.server_busy),
        percent(row.loader_busy),
        percent(row.others_busy),
        row.resident / 1024.0,
    )
}
