//! Questions to the other nodes, each asked again until every node that is known answered, or is gone.
//!
//! An answer says of all users asked about which of them are there, and so which are not: what was lost, doubled or late is
//! put right by the next question.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use tokio::time::Instant;

use crate::UserId;

/// Users in one question.
const NAMED: usize = 500;
/// A question is asked again after this time …
const AGAIN: Duration = Duration::from_secs(1);
/// … and so many times in all. A node that answered none of these is gone …
const TRIES: u32 = 4;
/// … but is waited for with every question until it was not heard for so long: it may have been cut off.
const FORGOTTEN: Duration = Duration::from_secs(60);

/// What is asked of other nodes, and which nodes there are.
#[derive(Default)]
pub(super) struct Asks {
    last: u64,
    open: BTreeMap<u64, Ask>,
    nodes: HashMap<u64, Node>,
}

struct Node {
    /// When it was heard last.
    heard: Instant,
    is_gone: bool,
}

struct Ask {
    users: Vec<UserId>,
    first: Instant,
    next: Instant,
    tries: u32,
    missing: BTreeSet<u64>,
}

/// A question as it is put on the bus: its number, and about whom.
pub(super) type Question = (u64, Vec<UserId>);

impl Asks {
    /// A node said something.
    pub(super) fn hear(&mut self, node: u64) {
        let (heard, is_gone) = (Instant::now(), false);
        self.nodes.insert(node, Node { heard, is_gone });
    }

    /// Begins to ask about users.
    pub(super) fn ask(&mut self, users: &[UserId]) -> Vec<Question> {
        let now = Instant::now();
        self.nodes.retain(|_, node| node.heard + FORGOTTEN > now);
        let mut questions = Vec::new();
        for users in users.chunks(NAMED) {
            self.last += 1;
            let ask = Ask {
                users: users.to_vec(),
                first: now,
                next: now + AGAIN,
                tries: 1,
                missing: self.nodes.keys().copied().collect(),
            };
            self.open.insert(self.last, ask);
            questions.push((self.last, users.to_vec()));
        }
        questions
    }

    /// What has to be asked again by now, and the nodes that are gone, with the time when each was heard last.
    pub(super) fn look(&mut self) -> (Vec<Question>, Vec<(u64, Instant)>) {
        let now = Instant::now();
        let (mut questions, mut gone) = (Vec::new(), BTreeSet::new());
        self.open.retain(|number, ask| {
            if ask.next > now {
                return true;
            }
            if ask.tries < TRIES && !ask.missing.is_empty() {
                ask.tries += 1;
                ask.next = now + AGAIN;
                questions.push((*number, ask.users.clone()));
                return true;
            }
            gone.append(&mut ask.missing);
            false
        });
        let gone = gone.into_iter().filter_map(|number| {
            let node = self.nodes.get_mut(&number)?;
            // It may have answered another one meanwhile.
            let is_silent = node.heard + AGAIN * TRIES <= now;
            let is_new = is_silent && !std::mem::replace(&mut node.is_gone, is_silent);
            is_new.then_some((number, node.heard))
        });
        let gone = gone.collect();
        (questions, gone)
    }

    /// A node answers: about whom it was asked, and when first. `None` when it did before, or nobody asked.
    pub(super) fn answered(&mut self, node: u64, number: u64) -> Option<(Vec<UserId>, Instant)> {
        let is_known = self.nodes.contains_key(&node);
        self.hear(node);
        let ask = self.open.get_mut(&number)?;
        // One that is heard for the first time was asked, too.
        let is_first = ask.missing.remove(&node) || !is_known;
        is_first.then(|| (ask.users.clone(), ask.first))
    }
}
