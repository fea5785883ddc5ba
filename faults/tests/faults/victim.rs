//! Runs the victim and reads what it tells.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use chat_faults::{Plan, Report};
use tempfile::TempDir;

/// What a cut ends the victim with.
const CUT: i32 = 99;
/// After this the victim hangs.
const PATIENCE: Duration = Duration::from_secs(300);

/// What the shim is to do; see `shim.c`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Faults {
    pub(crate) at: u64,
    pub(crate) of: &'static str,
    pub(crate) kill: u64,
    pub(crate) keep: u64,
    pub(crate) piece: u64,
    pub(crate) seed: u64,
    pub(crate) eio: u64,
    pub(crate) full: u64,
    pub(crate) space: u64,
    pub(crate) lie: u64,
}

impl Faults {
    /// Has a program run on such a disk.
    pub(crate) fn set(&self, command: &mut Command, folder: &Path, shadow: &Path) {
        for (name, value) in [
            ("AT", self.at),
            ("KILL", self.kill),
            ("KEEP", self.keep),
            ("PIECE", self.piece),
            ("SEED", self.seed),
            ("EIO", self.eio),
            ("FULL", self.full),
            ("SPACE", self.space),
            ("LIE", self.lie),
        ] {
            command.env(format!("CHAT_CUT_{name}"), value.to_string());
        }
        command
            .env("CHAT_CUT_OF", self.of)
            .env("CHAT_CUT_FOLDER", folder)
            .env("CHAT_CUT_SHADOW", shadow)
            .env("LD_PRELOAD", env!("SHIM"));
    }
}

/// A store's kind and folder, over several cuts.
pub(crate) struct Life {
    kind: &'static str,
    folder: TempDir,
}

impl Life {
    pub(crate) fn new(kind: &'static str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let life = Self { kind, folder };
        fs::create_dir(life.data()).unwrap();
        life
    }

    /// Where the store is; the shim works with real paths.
    pub(crate) fn data(&self) -> PathBuf {
        self.folder.path().canonicalize().unwrap().join("data")
    }

    pub(crate) fn shadow(&self) -> PathBuf {
        self.folder.path().canonicalize().unwrap().join("shadow")
    }

    /// The store's name for [`chat_faults::open`].
    pub(crate) fn store(&self) -> String {
        format!("{}:{}", self.kind, self.data().join("chat").display())
    }

    /// Runs the victim until its power is cut; what was on disk then is the store's folder now.
    pub(crate) fn run(&self, plan: Plan, faults: &Faults, patience: u32) -> Vec<Report> {
        let reports = self.run_only(plan, faults, patience);
        fs::remove_dir_all(self.data()).unwrap();
        fs::rename(self.shadow().join("kept"), self.data()).unwrap();
        fs::remove_dir_all(self.shadow()).unwrap();
        reports
    }

    /// Runs the victim until it ends as it should.
    pub(crate) fn run_only(&self, plan: Plan, faults: &Faults, patience: u32) -> Vec<Report> {
        fs::create_dir_all(self.shadow()).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_chat-faults-victim"));
        command.arg(self.store());
        command.args([plan.round.to_string(), plan.writers.to_string()]);
        command.args([plan.large.to_string(), patience.to_string()]);
        faults.set(&mut command, &self.data(), &self.shadow());
        let mut victim = command.stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(victim.stdout.take().unwrap()).lines();
        let (over, wait) = channel::<()>();
        thread::scope(|scope| {
            let reader = scope.spawn(move || {
                let reports = lines
                    .map(|line| serde_json::from_str(&line.unwrap()).unwrap())
                    .collect();
                drop(over);
                reports
            });
            if wait.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout) {
                victim.kill().unwrap();
            }
            let status = victim.wait().unwrap();
            let reports: Vec<Report> = reader.join().unwrap();
            assert_eq!(
                status.code(),
                Some(CUT),
                "{status} instead of a cut: {plan:?} {faults:?}, last told: {:?}",
                reports.last()
            );
            reports
        })
    }
}
