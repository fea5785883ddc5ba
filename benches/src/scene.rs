//! Who is in which group: the same for the server, which makes the groups, and for the loader, which uses them.

use crate::options::Scene;

/// Direct conversations of each user of [`Scene::Homes`].
const PAIRS: usize = 15;
/// Groups that a user of [`Scene::Homes`] is in on average, and one of [`Scene::Town`] in small ones.
const GROUPS: usize = 5;

/// The members of each group, as places among so many users.
pub(crate) fn groups(scene: Scene, users: usize) -> Vec<Vec<usize>> {
    let mut chance = Chance(7);
    match scene {
        Scene::Room => vec![(0..users).collect()],
        Scene::Homes => small(users, &mut chance),
        Scene::Town => {
            let mut groups = small(users, &mut chance);
            for _ in 0..users / 40 {
                let size = chance.between(21, 500);
                groups.push(some(users, size, &mut chance));
            }
            for _ in 0..2 {
                groups.push(some(users, 5_000, &mut chance));
            }
            groups
        }
    }
}

/// The pairs that write to each other in direct conversations, each user in 15 of them.
pub(crate) fn pairs(scene: Scene, users: usize) -> Vec<(usize, usize)> {
    if scene != Scene::Homes {
        return Vec::new();
    }
    // Each begins seven, and every second one an eighth with the user half way round.
    let ring =
        (0..users).flat_map(|one| (1..=PAIRS / 2).map(move |step| (one, (one + step) % users)));
    let half = (0..users / 2).map(|one| (one, one + users / 2));
    ring.chain(half).collect()
}

/// Every user is dealt into groups of 2 to 20, five times.
fn small(users: usize, chance: &mut Chance) -> Vec<Vec<usize>> {
    let mut groups = Vec::new();
    for _ in 0..GROUPS {
        let mut order: Vec<usize> = (0..users).collect();
        for place in (1..users).rev() {
            order.swap(place, chance.between(0, place));
        }
        let mut rest = &order[..];
        while rest.len() >= 2 {
            let left = rest.len();
            // Nobody is left over alone.
            let size = match chance.between(2, 20).min(left) {
                size if left - size == 1 => left.min(size + 1),
                size => size,
            };
            let (group, others) = rest.split_at(size);
            groups.push(group.to_vec());
            rest = others;
        }
    }
    groups
}

/// So many different ones, or all.
fn some(users: usize, size: usize, chance: &mut Chance) -> Vec<usize> {
    let first = chance.between(0, users - 1);
    (0..size.min(users))
        .map(|place| (first + place) % users)
        .collect()
}

/// Numbers that look random and are the same each time (SplitMix64).
#[derive(Clone, Debug)]
pub(crate) struct Chance(pub(crate) u64);

impl Chance {
    /// From `low` to `high`, both included.
    pub(crate) fn between(&mut self, low: usize, high: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        low + (mixed % (high - low + 1) as u64) as usize
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn everybody_has_what_the_scene_says() {
        for users in [100, 101, 1_000] {
            let homes = groups(Scene::Homes, users);
            assert_eq!(homes, groups(Scene::Homes, users), "the same each time");
            assert!(homes.iter().all(|group| (2..=21).contains(&group.len())));
            for user in 0..users {
                let own = homes.iter().filter(|group| group.contains(&user));
                assert_eq!(own.count(), GROUPS, "groups of {user}");
            }
            for group in groups(Scene::Town, users) {
                let members: HashSet<_> = group.iter().collect();
                assert_eq!(members.len(), group.len(), "nobody twice");
            }
        }
        let pairs = pairs(Scene::Homes, 100);
        for user in 0..100 {
            let own = pairs.iter().filter(|(a, b)| *a == user || *b == user);
            assert_eq!(own.count(), PAIRS);
        }
    }
}
