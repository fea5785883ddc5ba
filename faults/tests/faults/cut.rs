//! Power cuts at random places, under load.

use std::time::{SystemTime, UNIX_EPOCH};

use chat_faults::{Plan, Report, Rng};

use crate::judge::{Findings, judge};
use crate::victim::{Faults, Life};

/// Power cuts that one store outlives before the next begins empty.
const LIFE: u64 = 4;

pub(crate) fn rounds() -> u64 {
    std::env::var("CHAT_CUT_ROUNDS").map_or(20, |rounds| rounds.parse().unwrap())
}

pub(crate) fn seed() -> u64 {
    std::env::var("CHAT_CUT_SEED").map_or_else(
        |_| {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
            u64::from(now.subsec_nanos()) + 1_000_000_000 * (now.as_secs() % 1_000_000)
        },
        |seed| seed.parse().unwrap(),
    )
}

/// A disk of which chance says what it keeps beyond what was synced: often nothing.
pub(crate) fn disk(rng: &mut Rng) -> Faults {
    Faults {
        seed: rng.any(),
        piece: *rng.pick(&[512, 4096]).unwrap(),
        keep: *rng.pick(&[0, 0, 0, 10, 50, 90]).unwrap(),
        ..Faults::default()
    }
}

/// Chance's writes. Rounds ascend, as keys should, and are not those of other seeds.
pub(crate) fn plan(round: u64, rng: &mut Rng, writers: u32) -> Plan {
    Plan {
        round: (round << 32) | (rng.any() >> 32),
        writers,
        large: false,
    }
}

/// A round that ends somewhere: at its beginning, under load, or while SQLite's log is copied into the database.
fn somewhere(kind: &str, round: u64, rng: &mut Rng) -> (Plan, Faults) {
    let mut plan = plan(round, rng, 12);
    let mut faults = disk(rng);
    // sled writes larger pieces.
    let scale = if kind == "sled" { 1 } else { 8 };
    faults.at = match rng.below(10) {
        0..2 => 1 + rng.below(60),
        2..9 => scale * (10 + rng.below(120)),
        _ => scale * (100 + rng.below(500)),
    };
    if kind == "sqlite" && round % 20 == 7 {
        (plan.large, faults.of, faults.at) = (true, "chat", 20 + rng.below(2000));
    }
    (plan, faults)
}

/// Cuts the power of a store of a kind again and again. Ends early when told to, as soon as something is lost.
fn cuts(kind: &'static str, lie: u64, until_lost: bool) -> (u64, Findings) {
    let (mut rounds, seed) = (rounds(), seed());
    if until_lost {
        // It is a matter of chance, and ends at the first loss.
        rounds = rounds.max(200);
    }
    let mut all = Findings::default();
    let mut life = Life::new(kind);
    let mut rng = Rng::new(seed);
    for round in 0..rounds {
        let (plan, mut faults) = somewhere(kind, round, &mut rng);
        faults.lie = lie;
        if round % LIFE == 0 || until_lost {
            life = Life::new(kind);
        }
        let reports = life.run(plan, &faults, 0);
        let findings = judge(&life.store(), plan, &reports);
        let failed = reports
            .iter()
            .find(|report| matches!(report, Report::Failed { .. } | Report::NotOpened(_)));
        assert!(failed.is_none(), "{failed:?}");
        let is_good = findings.are_good();
        if !until_lost {
            assert!(
                is_good,
                "CHAT_CUT_SEED={seed} CHAT_CUT_ROUNDS={rounds}, round {round} of {kind}: {plan:?} {faults:?}: {}",
                findings.tell()
            );
        }
        all.add(findings);
        if until_lost && !all.lost.is_empty() {
            println!("{kind}, lie {lie}: round {}: {}", round + 1, all.tell());
            return (round + 1, all);
        }
    }
    println!("{kind}, lie {lie}: {rounds} rounds: {}", all.tell());
    (rounds, all)
}

#[test]
fn what_sqlite_acknowledged_outlives_power_cuts() {
    let (_, findings) = cuts("sqlite", 0, false);
    assert!(findings.acknowledged > 0 && findings.read > 0);
}

#[test]
fn what_sled_acknowledged_outlives_power_cuts() {
    let (_, findings) = cuts("sled", 0, false);
    assert!(findings.acknowledged > 0 && findings.read > 0);
}

/// The control: the same experiment finds what is lost where syncs are missing, with the weaker setting …
#[test]
fn without_full_durability_sqlite_loses() {
    let (_, findings) = cuts("sqlite-normal", 0, true);
    assert!(!findings.lost.is_empty() && !findings.unread.is_empty());
}

/// … on a disk whose syncs do nothing …
#[test]
fn lying_syncs_lose() {
    for kind in ["sqlite", "sled"] {
        let (_, findings) = cuts(kind, 1, true);
        assert!(!findings.lost.is_empty(), "{kind}");
    }
}

/// … and when one in three is left out.
#[test]
fn skipped_syncs_lose() {
    for kind in ["sqlite", "sled"] {
        let (_, findings) = cuts(kind, 3, true);
        assert!(!findings.lost.is_empty(), "{kind}");
    }
}
