//! Read and delivered marks. They have no answer: what was sent counts as told once the server answered a later ping.

use std::collections::BTreeMap;

use chat_core::protocol::{Mark, Request};
use chat_core::{ConversationId, Seq};

/// Marks that wait at most; the oldest conversations go first.
const MARKS: usize = 10_000;

/// Which of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum MarkKind {
    Read,
    Delivered,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Waits,
    Sent,
    /// Sent before the ping that is under way.
    Pinged,
}

/// The highest mark of each conversation that may not have been told yet.
#[derive(Debug, Default)]
pub(super) struct Marks {
    marks: BTreeMap<(ConversationId, MarkKind), (Seq, State)>,
}

impl Marks {
    /// A mark to tell. A lower one than before changes nothing.
    pub(super) fn set(&mut self, conversation: ConversationId, kind: MarkKind, seq: Seq) {
        let (known, state) = self
            .marks
            .entry((conversation, kind))
            .or_insert((0, State::Waits));
        if seq > *known {
            (*known, *state) = (seq, State::Waits);
        }
        if self.marks.len() > MARKS {
            self.marks.pop_first();
        }
    }

    /// Those to send now; they count as sent.
    pub(super) fn take(&mut self) -> Vec<Request> {
        let waiting = self
            .marks
            .iter_mut()
            .filter(|(_, (_, state))| *state == State::Waits);
        let requests = waiting.map(|((conversation, kind), (seq, state))| {
            *state = State::Sent;
            let (conversation, seq) = (*conversation, *seq);
            let mark = Mark { conversation, seq };
            match kind {
                MarkKind::Read => Request::Read(mark),
                MarkKind::Delivered => Request::Delivered(mark),
            }
        });
        requests.collect()
    }

    /// A ping is sent.
    pub(super) fn ping(&mut self) {
        for (_, state) in self.marks.values_mut() {
            if *state == State::Sent {
                *state = State::Pinged;
            }
        }
    }

    /// It was answered.
    pub(super) fn pong(&mut self) {
        self.marks.retain(|_, (_, state)| *state != State::Pinged);
    }

    /// The connection is gone.
    pub(super) fn restart(&mut self) {
        for (_, state) in self.marks.values_mut() {
            *state = State::Waits;
        }
    }
}
