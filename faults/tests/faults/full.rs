//! Disks without room.

use chat_faults::{Report, Rng};

use crate::cut::{disk, plan, rounds, seed};
use crate::judge::{Findings, judge};
use crate::victim::{Faults, Life};

/// A write that fails is tried so often before the store is opened anew: more than the longest time without room.
const PATIENCE: u32 = 60;

/// Fills the disk of a store at many places, for a while or for good, and cuts the power a little later.
fn fills(kind: &'static str) {
    let (rounds, seed) = (rounds(), seed());
    let mut rng = Rng::new(seed);
    let mut all = Findings::default();
    let (mut failed, mut went_on, mut reopened) = (0, 0, 0);
    for round in 0..rounds {
        let life = Life::new(kind);
        let plan = plan(round, &mut rng, 3);
        let faults = Faults {
            full: match rng.below(4) {
                0 => 1 + rng.below(60),
                _ => 60 + rng.below(if kind == "sled" { 100 } else { 800 }),
            },
            space: *rng.pick(&[0, 1, 2, 7, 50]).unwrap(),
            at: 60 + rng.below(300),
            ..disk(&mut rng)
        };
        let reports = life.run(plan, &faults, PATIENCE);
        let at = format!("CHAT_CUT_SEED={seed}, round {round} of {kind}, {plan:?} {faults:?}");
        let place = |what: fn(&Report) -> bool| reports.iter().position(what);
        let opened = place(|report| matches!(report, Report::Opened)).unwrap_or(reports.len());
        let again = reports.iter().skip(opened + 1);
        let again = again.clone().any(|report| matches!(report, Report::Opened));
        let lacks = place(|report| matches!(report, Report::Failed { .. }));
        if let Some(lacks) = lacks {
            failed += 1;
            let later = reports.iter().skip(lacks);
            went_on += usize::from(later.clone().any(|r| matches!(r, Report::Done { .. })));
        }
        reopened += usize::from(again);
        if kind == "sqlite" && faults.space > 0 {
            assert!(
                !again,
                "{at}: it had to be opened again though there was room"
            );
        }
        let findings = judge(&life.store(), plan, &reports);
        assert!(findings.are_good(), "{at}: {}", findings.tell());
        all.add(findings);
    }
    println!(
        "{kind}: {rounds} full disks, {failed} times no commit, {went_on} times commits later, {reopened} times opened again: {}",
        all.tell()
    );
    assert!(failed > 0 && went_on > 0);
}

#[test]
fn sqlite_loses_nothing_on_a_full_disk_and_goes_on() {
    fills("sqlite");
}

#[test]
fn sled_loses_nothing_on_a_full_disk_and_goes_on() {
    fills("sled");
}
