//! Events that were on their way lately: who resumes shares the frames of those who got them live.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};

use super::device::lock;
use super::{Delivery, Hidden, Item};
use crate::{Event, LogId, Seq};

/// Logs are spread over so many parts, each with a lock of its own.
const PARTS: usize = 16;
/// Events kept in a part …
const EVENTS: usize = 512;
/// … and about how many bytes of content.
const BYTES: usize = 512 << 10;

/// The latest deliveries of conversations' logs, bounded in number and bytes. It only saves encoding: what is told, and to
/// whom, is read from the store each time.
#[derive(Default)]
pub(crate) struct Recent([Mutex<Part>; PARTS]);

#[derive(Default)]
struct Part {
    known: HashMap<(LogId, Seq), Arc<Delivery>>,
    /// In the order of coming.
    order: VecDeque<(LogId, Seq)>,
    bytes: usize,
}

impl Recent {
    fn part(&self, log: LogId) -> Option<&Mutex<Part>> {
        match log {
            LogId::Conversation(id) => Some(&self.0[(id.get() % PARTS as u64) as usize]),
            // Few devices share a user's log, and read marks would crowd out the rest.
            LogId::User(_) => None,
        }
    }

    /// The delivery of an event: the known one, as long as it says the same.
    pub(crate) fn delivery(&self, event: Event) -> Arc<Delivery> {
        match self.part(event.log) {
            Some(part) => lock(part).delivery(event),
            None => Delivery::new(event),
        }
    }

    /// What a page of a log becomes for a device.
    pub(crate) fn items(
        &self,
        log: LogId,
        entries: Vec<(Seq, Option<Event>)>,
        items: &mut Vec<Item>,
    ) {
        let mut part = self.part(log).map(lock);
        items.extend(entries.into_iter().map(|(seq, event)| {
            match (event, &mut part) {
                (Some(event), Some(part)) => Item::Event(part.delivery(event)),
                (Some(event), None) => Item::Event(Delivery::new(event)),
                (None, part) => Item::Hidden(
                    part.as_ref()
                        .and_then(|part| part.known.get(&(log, seq)))
                        .map_or_else(|| Hidden::new(log, seq), |known| known.hidden()),
                ),
            }
        }));
    }
}

impl Part {
    fn delivery(&mut self, event: Event) -> Arc<Delivery> {
        let place = (event.log, event.seq);
        if let Some(known) = self.known.get(&place).filter(|known| known.event == event) {
            return Arc::clone(known);
        }
        let delivery = Delivery::new(event);
        self.bytes += delivery.size();
        match self.known.insert(place, Arc::clone(&delivery)) {
            // Its message changed since: whoever asks from now on is told so.
            Some(old) => self.bytes -= old.size(),
            None => self.order.push_back(place),
        }
        while self.order.len() > EVENTS || self.bytes > BYTES {
            let Some(oldest) = self.order.pop_front() else {
                break;
            };
            if let Some(old) = self.known.remove(&oldest) {
                self.bytes -= old.size();
            }
        }
        delivery
    }
}
