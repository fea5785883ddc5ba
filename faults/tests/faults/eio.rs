//! Syncs that fail.

use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;

use chat_core::conformance::{self, Fixture, Verdict, async_trait, run};
use chat_core::{Error, Store};
use chat_faults::{Report, Rng};

use crate::cut::{disk, plan, seed};
use crate::judge::{Findings, judge};
use crate::victim::{Faults, Life};

/// Syncs that are made to fail, one in each round.
const SYNCS: u64 = 100;

/// After a failed commit nothing handed in later is acknowledged until the store is open again, and everything can be read.
fn check_order(reports: &[Report], at: &str) {
    let mut failed = false;
    let mut read = true;
    let mut tried_since = Vec::new();
    for report in reports {
        match report {
            Report::Opened => {
                assert!(read, "{at}: it was not read after a failed commit");
                failed = false;
                tried_since.clear();
            }
            Report::Failed { error, .. } => {
                assert!(error.starts_with("Unavailable"), "{at}: {error}");
                failed = true;
                read = false;
            }
            Report::ReadOn => read = true,
            Report::Trying { writer, number } if failed => tried_since.push((*writer, *number)),
            Report::Done { writer, number, .. } => assert!(
                !tried_since.contains(&(*writer, *number)),
                "{at}: write {number} of {writer} was acknowledged after a failed sync"
            ),
            _ => {}
        }
    }
}

/// Fails each of the first syncs of a store, lets it go on, and cuts the power a little later.
fn every_sync_fails_once(kind: &'static str) {
    let seed = seed();
    let mut rng = Rng::new(seed);
    let mut all = Findings::default();
    let (mut commits, mut openings) = (0, 0);
    for sync in 1..=SYNCS {
        let life = Life::new(kind);
        let writers = 1 + u32::try_from(sync % 3).unwrap();
        let plan = plan(sync, &mut rng, writers);
        let faults = Faults {
            eio: sync,
            at: 1 + rng.below(150),
            ..disk(&mut rng)
        };
        let reports = life.run(plan, &faults, 2);
        let at = format!("CHAT_CUT_SEED={seed}, sync {sync} of {kind}, {plan:?} {faults:?}");
        check_order(&reports, &at);
        let refused = |report: &&Report| matches!(report, Report::NotOpened(_));
        let refusals = reports.iter().filter(refused).count();
        assert!(refusals <= 1, "{at}: not to be opened again");
        openings += refusals;
        commits += usize::from(reports.iter().any(|r| matches!(r, Report::Failed { .. })));
        let findings = judge(&life.store(), plan, &reports);
        assert!(findings.are_good(), "{at}: {}", findings.tell());
        all.add(findings);
    }
    println!(
        "{kind}: {SYNCS} failed syncs, {commits} of commits, {openings} of openings: {}",
        all.tell()
    );
    assert!(commits > 0 && openings > 0);
}

#[test]
fn sqlite_acknowledges_nothing_of_a_failed_sync() {
    every_sync_fails_once("sqlite");
}

#[test]
fn sled_acknowledges_nothing_of_a_failed_sync() {
    every_sync_fails_once("sled");
}

/// A store on a disk whose syncs fail while a file `broken` stands in the shim's folder, this one.
struct Breaking(PathBuf);

impl Breaking {
    /// For the process that is started: the store's name.
    const STORE: &str = "CHAT_FAULTS_TEST_STORE";

    fn store() -> Result<Arc<dyn Store>, Error> {
        let name = std::env::var(Self::STORE).unwrap();
        chat_faults::open(&name).map_err(Error::unavailable)
    }
}

#[async_trait]
impl Fixture for Breaking {
    async fn open(&self) -> Result<Arc<dyn Store>, Error> {
        Self::store()
    }

    async fn reopen(&self, store: Arc<dyn Store>) -> Result<Option<Arc<dyn Store>>, Error> {
        std::fs::remove_file(self.0.join("broken")).unwrap();
        // It may say that it could not do all it wanted.
        let _ = store.close().await;
        drop(store);
        Self::store().map(Some)
    }

    async fn break_syncs(&self, _: &Arc<dyn Store>) -> bool {
        std::fs::write(self.0.join("broken"), "").unwrap();
        true
    }
}

#[test]
#[ignore = "the process whose syncs fail: started by the test below"]
fn breaking() {
    let breaking = Breaking(std::env::var_os("CHAT_CUT_SHADOW").unwrap().into());
    let law = conformance::store::nothing_of_a_failed_sync(&breaking);
    assert_eq!(run(law), Ok(Verdict::Holds));
    println!("the law holds");
}

#[test]
fn nothing_of_a_failed_sync() {
    for kind in ["sqlite", "sled"] {
        let life = Life::new(kind);
        std::fs::create_dir(life.shadow()).unwrap();
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "eio::breaking", "--ignored", "--nocapture"]);
        command.env(Breaking::STORE, life.store());
        Faults::default().set(&mut command, &life.data(), &life.shadow());
        let output = command.output().unwrap();
        let told = String::from_utf8_lossy(&output.stdout);
        assert!(told.contains("the law holds"), "{kind}: {told}");
    }
}
