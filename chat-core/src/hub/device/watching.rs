//! Whose presence a device is told.

use super::{Device, lock};
use crate::UserId;

/// There is one once somebody was watched.
#[derive(Default)]
pub(super) struct Watching {
    /// Ascending.
    users: Vec<UserId>,
    /// Which call said so.
    turn: u64,
}

impl Device {
    /// Takes a turn to say who is watched: of several the latest counts.
    pub(in crate::hub) fn watch_turn(&self) -> u64 {
        let mut state = lock(&self.state);
        let watching = state.watching.get_or_insert_default();
        watching.turn = watching.turn.saturating_add(1);
        watching.turn
    }

    /// Whose presence it is told, ascending.
    pub(in crate::hub) fn watching(&self) -> Vec<UserId> {
        let state = lock(&self.state);
        let watching = state.watching.as_ref();
        watching.map_or_else(Vec::new, |watching| watching.users.clone())
    }

    /// Sets whose presence it is told and gives back who they were; `None` when a later call came first.
    pub(in crate::hub) fn set_watching(
        &self,
        turn: u64,
        users: Vec<UserId>,
    ) -> Option<Vec<UserId>> {
        let mut state = lock(&self.state);
        let watching = state.watching.as_mut();
        let watching = watching.filter(|watching| watching.turn == turn)?;
        Some(std::mem::replace(&mut watching.users, users))
    }

    pub(in crate::hub) fn watch_less(&self, users: &[UserId]) {
        if let Some(watching) = &mut lock(&self.state).watching {
            watching.users.retain(|user| !users.contains(user));
        }
    }

    pub(in crate::hub) fn has_watched(&self) -> bool {
        lock(&self.state).watching.is_some()
    }

    /// It watches nobody any more, whatever is under way.
    pub(in crate::hub) fn end_watching(&self) -> Vec<UserId> {
        let mut state = lock(&self.state);
        let watching = state.watching.get_or_insert_default();
        watching.turn = u64::MAX;
        std::mem::take(&mut watching.users)
    }
}
