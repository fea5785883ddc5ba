//! Users of a town from the loader's side: in which groups they are, and how far each has got in every log.

use std::collections::HashMap;

use serde_json::{Value, json};

use crate::options::Scene;
use crate::server::Server;
use crate::{Outcome, scene, wire};

/// Who is in which group, and what they have.
pub(crate) struct Town {
    /// The members of each group.
    pub(crate) groups: Vec<Vec<usize>>,
    /// The conversation of each.
    pub(crate) conversations: Vec<u64>,
    /// The seq that each user has of each conversation.
    pub(crate) cursors: Vec<HashMap<u64, u64>>,
    /// What each user got last.
    pub(crate) last: Vec<Option<(u64, u64)>>,
}

impl Town {
    pub(crate) fn new(server: &Server, users: usize) -> Outcome<Self> {
        let groups = scene::groups(Scene::Town, users);
        let mut cursors = vec![HashMap::new(); users];
        let known = server.groups()?;
        for (members, &(conversation, head)) in groups.iter().zip(&known) {
            for member in members {
                cursors[*member].insert(conversation, head);
            }
        }
        Ok(Self {
            groups,
            conversations: known
                .into_iter()
                .map(|(conversation, _)| conversation)
                .collect(),
            cursors,
            last: vec![None; users],
        })
    }

    /// A user got an event; the number of the message, if it is one of the loader's.
    pub(crate) fn got(&mut self, user: usize, event: &[u8]) -> Option<usize> {
        let place = wire::place(event)?;
        self.cursors[user].insert(place.conversation, place.seq);
        self.last[user] = Some((place.conversation, place.seq));
        place.text.and_then(wire::number)
    }

    /// The frames that resume all of a user's conversations.
    pub(crate) fn resume(&self, user: usize) -> Vec<u8> {
        let one = |(conversation, after): (&u64, &u64)| json!({ "log": { "conversation": conversation }, "after": after });
        let logs: Vec<Value> = self.cursors[user].iter().map(one).collect();
        // As many as a frame may name.
        let frames = logs.chunks(500);
        frames
            .flat_map(|logs| wire::native("resume", json!({ "logs": logs })))
            .collect()
    }
}
