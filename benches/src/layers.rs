//! Which layers the server's CPU time goes to, by Linux's `perf`.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::{Outcome, machine};

/// What is looked for in a system call's frames, from the innermost on.
const KERNEL: [(&str, &str); 8] = [
    ("sys_sendto", "kernel: sending"),
    ("sys_write", "kernel: sending"),
    ("sys_recvfrom", "kernel: receiving"),
    ("sys_epoll_wait", "kernel: waiting for sockets"),
    ("sys_fdatasync", "kernel: syncing"),
    ("sys_fsync", "kernel: syncing"),
    ("sys_pwrite64", "kernel: the database's file"),
    ("sys_futex", "kernel: waking threads"),
];
/// What is looked for in the function itself.
const OWN: [(&str, &str); 16] = [
    ("chat_http", "chat-http: sockets"),
    ("tungstenite", "tungstenite"),
    ("chat_core::hub", "chat-core: hub"),
    ("chat_core::protocol", "chat-core: protocol"),
    ("serde", "chat-core: protocol"),
    ("chat_core::committer", "chat-core: committing"),
    ("chat_core::rules", "chat-core: committing"),
    ("chat_core", "chat-core: other"),
    ("chat_store", "store: SQLite"),
    ("rusqlite", "store: SQLite"),
    ("sqlite3", "store: SQLite"),
    ("tokio", "tokio"),
    ("mio::", "tokio"),
    ("malloc", "memory: allocating and copying"),
    ("free", "memory: allocating and copying"),
    ("memmove", "memory: allocating and copying"),
];

/// A recording that goes on.
pub(crate) struct Perf {
    child: Child,
    file: PathBuf,
}

impl Perf {
    pub(crate) fn start(pid: u32, file: &Path) -> Outcome<Self> {
        // By the clock: virtual machines often have no counters of cycles.
        let child = Command::new("perf")
            .args([
                "record",
                "--event",
                "cpu-clock",
                "--freq",
                "1999",
                "-g",
                "--quiet",
            ])
            .args(["--pid", &pid.to_string(), "--output"])
            .arg(file)
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| format!("perf (Debian: linux-perf): {error}"))?;
        let file = file.to_owned();
        Ok(Self { child, file })
    }

    /// Ends it and adds what it saw.
    pub(crate) fn stop(mut self, layers: &mut Layers) -> Outcome<()> {
        machine::terminate(self.child.id());
        self.child.wait()?;
        let output = Command::new("perf")
            .args(["script", "--fields", "ip,sym,dso", "--input"])
            .arg(&self.file)
            .stdin(Stdio::null())
            .output()?;
        let before = layers.samples;
        layers.read(&String::from_utf8_lossy(&output.stdout));
        if layers.samples == before {
            return Err("perf saw nothing: is kernel.perf_event_paranoid above 1?".into());
        }
        Ok(())
    }
}

/// Samples by layer.
#[derive(Debug, Default)]
pub(crate) struct Layers {
    samples: usize,
    found: Vec<(&'static str, usize)>,
}

impl Layers {
    /// What `perf script` says: a frame a line, the innermost first, and an empty line between samples.
    fn read(&mut self, said: &str) {
        for sample in said.split("\n\n") {
            let Some(first) = sample.lines().find(|line| !line.trim().is_empty()) else {
                continue;
            };
            let is_kernel = first.contains("[kernel") || first.contains("[guest.kernel");
            let layer = if is_kernel {
                let known = KERNEL.iter().find(|(name, _)| sample.contains(name));
                known.map_or("kernel: other", |(_, layer)| layer)
            } else {
                let known = OWN.iter().find(|(name, _)| first.contains(name));
                known.map_or("other", |(_, layer)| layer)
            };
            self.samples += 1;
            match self.found.iter_mut().find(|(name, _)| *name == layer) {
                Some((_, count)) => *count += 1,
                None => self.found.push((layer, 1)),
            }
        }
    }

    /// Parts of the whole, the largest first.
    pub(crate) fn shares(mut self) -> Vec<(&'static str, f64)> {
        self.found
            .sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        let all = self.samples.max(1) as f64;
        self.found
            .into_iter()
            .map(|(layer, count)| (layer, count as f64 / all))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_told_apart_by_their_frames() {
        let said = "\
            \tffff tcp_ack ([kernel.kallsyms])\n\tffff __x64_sys_sendto ([kernel.kallsyms])\n\t5555 chat_http::x (/chat)\n\n\
            \t5555 chat_core::hub::shard::pass (/chat)\n\t5555 tokio::run (/chat)\n\n\
            \tffff idle ([kernel.kallsyms])\n\n\
            \tffff tcp_push ([kernel.kallsyms])\n\tffff __x64_sys_sendto ([kernel.kallsyms])\n\n";
        let mut layers = Layers::default();
        layers.read(said);
        let wanted = [
            ("kernel: sending", 0.5),
            ("chat-core: hub", 0.25),
            ("kernel: other", 0.25),
        ];
        assert_eq!(layers.shares(), wanted);
    }
}
