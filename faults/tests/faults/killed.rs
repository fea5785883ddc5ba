//! Processes that are killed, and power cuts after that: what a killed process wrote but did not sync can be read by the next
//! one, and is not on disk.

use chat_faults::Rng;

use crate::cut::{disk, plan, rounds, seed};
use crate::judge::{Findings, judge};
use crate::victim::{Faults, Life};

/// Kills a victim, perhaps just after a sync failed, lets another go on in its place, and cuts the power.
fn kills(kind: &'static str, failing: bool) {
    let (rounds, seed) = (rounds().div_ceil(2), seed());
    let mut rng = Rng::new(seed);
    let mut all = Findings::default();
    let scale = if kind == "sled" { 1 } else { 5 };
    for round in 0..rounds {
        let life = Life::new(kind);
        let first = plan(2 * round, &mut rng, 6);
        let kill = Faults {
            kill: 1,
            eio: if failing { 1 + rng.below(40) } else { 0 },
            at: if failing {
                2 + rng.below(5)
            } else {
                1 + scale * rng.below(100)
            },
            ..Faults::default()
        };
        let mut reports = vec![(first, life.run_only(first, &kill, 0))];
        let second = plan(2 * round + 1, &mut rng, 6);
        let cut = Faults {
            at: match rng.below(2) {
                0 => 1 + rng.below(60),
                _ => 1 + scale * rng.below(60),
            },
            ..disk(&mut rng)
        };
        reports.push((second, life.run(second, &cut, 0)));
        for (plan, reports) in reports {
            let findings = judge(&life.store(), plan, &reports);
            assert!(
                findings.are_good(),
                "CHAT_CUT_SEED={seed} round {round} of {kind}: killed {kill:?}, cut {cut:?}: {}",
                findings.tell()
            );
            all.add(findings);
        }
    }
    println!("{kind}, failing {failing}: {rounds} rounds: {}", all.tell());
}

#[test]
fn sqlite_outlives_a_kill_and_then_a_power_cut() {
    kills("sqlite", false);
}

#[test]
fn sled_outlives_a_kill_and_then_a_power_cut() {
    kills("sled", false);
}

#[test]
fn sqlite_outlives_a_kill_after_a_failed_sync_and_then_a_power_cut() {
    kills("sqlite", true);
}

#[test]
fn sled_outlives_a_kill_after_a_failed_sync_and_then_a_power_cut() {
    kills("sled", true);
}
