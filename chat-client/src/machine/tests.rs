//! The machine against a small server of its own, in random sequences of everything that can happen.
//!
//! The server here is independent of the product: plain lists, and sessions that are queues of frames which can be cut
//! anywhere. What a client was told must equal what is in the lists, and each write must be in them once, in order.

mod retry;
mod server;

use std::collections::HashMap;

use chat_core::protocol::{Post, Request, To, What, WriteKey};
use chat_core::{ConversationId, LogId, Seq, Timestamp};
use proptest::prelude::*;

use super::{Config, Machine, MarkKind, Output, Ticket};
use crate::events::Incoming;
use crate::options::{Backoff, Room};
use server::Server;

/// What happens next.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// Somebody else writes into a conversation.
    Elsewhere(u64),
    /// A new conversation with this user.
    Create,
    /// This user is removed from one.
    Remove(u64),
    /// The client writes.
    Write(u64),
    /// The server reads a frame.
    Serve,
    /// The server reads a page for what is being resumed.
    Page,
    /// The client reads a frame.
    Receive,
    /// The connection breaks.
    Cut,
    /// The server answers the next write with this, after or instead of doing it.
    Refuse(bool),
    /// Nobody takes events, or somebody does again.
    Accept(bool),
    /// Time passes, in milliseconds.
    Wait(u64),
    /// The server forgets the oldest entries of a log.
    Trim(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0..6_u64).prop_map(Step::Elsewhere),
        1 => Just(Step::Create),
        1 => (0..6_u64).prop_map(Step::Remove),
        6 => (0..6_u64).prop_map(Step::Write),
        12 => Just(Step::Serve),
        8 => Just(Step::Page),
        14 => Just(Step::Receive),
        2 => Just(Step::Cut),
        1 => any::<bool>().prop_map(Step::Refuse),
        2 => any::<bool>().prop_map(Step::Accept),
        4 => (1..700_u64).prop_map(Step::Wait),
        1 => (0..6_u64).prop_map(Step::Trim),
    ]
}

/// A client, what it was told, and the server.
struct World {
    server: Server,
    client: Machine,
    now: u64,
    /// Of each log: where it began for the client, and the seqs told since.
    told: HashMap<LogId, (Seq, Vec<Seq>)>,
    written: Vec<(Ticket, WriteKey, ConversationId)>,
    answered: Vec<Ticket>,
    /// Whether the connection said so.
    caught_up: bool,
}

impl World {
    fn new(seed: u64) -> Self {
        let client = Machine::new(Config {
            backoff: Backoff::default(),
            outbox: Room {
                items: 1_000,
                bytes: 1 << 20,
            },
            cursors: Vec::new(),
            token: Some("a token".to_owned()),
            renewable: false,
            seed,
        });
        Self {
            server: Server::new(),
            client,
            now: 0,
            told: HashMap::new(),
            written: Vec::new(),
            answered: Vec::new(),
            caught_up: false,
        }
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Elsewhere(place) => self.server.post_elsewhere(place),
            Step::Create => self.server.create(),
            Step::Remove(place) => self.server.remove(place),
            Step::Write(place) => {
                if let Some(conversation) = self.server.conversation(place) {
                    let key = WriteKey::generate();
                    let post = Request::Post(Post {
                        key,
                        to: To::Conversation(conversation),
                        text: "text".to_owned(),
                        data: None,
                        reply_to: None,
                        mentions: Vec::new(),
                    });
                    let ticket = self.client.write(post, self.now).unwrap();
                    self.written.push((ticket, key, conversation));
                    self.client.mark(conversation, MarkKind::Read, 1, self.now);
                }
            }
            Step::Serve => self.server.serve(),
            Step::Page => self.server.page(),
            Step::Receive => {
                if let Some((reference, frame)) = self.server.next() {
                    let at = Timestamp::from_millis(0);
                    self.client.frame(reference, frame, at, self.now);
                }
            }
            Step::Cut => {
                self.server.cut();
                self.client.closed(None, self.now);
            }
            Step::Refuse(done) => self.server.refuse(done),
            Step::Accept(accepting) => self.client.accept(accepting, self.now),
            Step::Wait(millis) => {
                self.now += millis;
                self.client.tick(self.now);
            }
            Step::Trim(place) => self.server.trim(place),
        }
        self.outputs();
    }

    fn outputs(&mut self) {
        loop {
            let outputs = self.client.outputs();
            if outputs.is_empty() {
                return;
            }
            for output in outputs {
                match output {
                    Output::Open(_) => {
                        self.client.opened(self.now);
                        self.server.open();
                    }
                    Output::Send(text) => self.server.sent(&text),
                    Output::Close => self.server.cut(),
                    Output::Begin(log, seq) => {
                        let before = self.told.insert(log, (seq, Vec::new()));
                        assert!(before.is_none(), "{log:?} begins twice");
                    }
                    Output::Emit(incoming, moves) => self.told(incoming, moves),
                    Output::Done(ticket, answer) => {
                        assert!(answer.is_ok(), "{answer:?}");
                        self.answered.push(ticket);
                    }
                    Output::Token | Output::Stopped(_) => panic!("{output:?}"),
                }
            }
        }
    }

    fn told(&mut self, incoming: Incoming, moves: Option<(LogId, Option<Seq>)>) {
        match incoming {
            Incoming::Event(event) => {
                assert_eq!(moves, Some((event.log, Some(event.seq))));
                let (begin, seqs) = self.told.get_mut(&event.log).expect("an unknown log");
                let last = seqs.last().copied().unwrap_or(*begin);
                assert_eq!(event.seq, last + 1, "a hole or a double in {:?}", event.log);
                seqs.push(event.seq);
                if let What::Posted(posted) = &event.what {
                    assert_eq!(posted.message.id, event.seq);
                }
            }
            Incoming::Resync { log, seq } => {
                if seq == 0 {
                    self.told.remove(&log);
                } else {
                    self.told.insert(log, (seq, Vec::new()));
                }
            }
            Incoming::CaughtUp => self.caught_up = true,
            Incoming::Connected(_) => self.caught_up = false,
            _ => {}
        }
    }

    /// Lets everything come to rest, without any more faults.
    fn settle(&mut self) {
        self.step(Step::Accept(true));
        // Heartbeats go on for ever; whatever else there is to say is said within these.
        let mut rest = 0;
        for _ in 0..50_000 {
            let idle = self.server.is_open() && self.server.is_idle();
            rest = if idle { rest + 1 } else { 0 };
            if rest > 20 && self.answered.len() == self.written.len() {
                return;
            }
            self.step(Step::Serve);
            self.step(Step::Page);
            self.step(Step::Receive);
            if self.server.is_idle() {
                self.step(Step::Wait(500));
            }
        }
        panic!("does not come to rest");
    }

    fn check(&self) {
        assert!(self.caught_up);
        // Everything that is there was told, once.
        for (log, head, member) in self.server.heads() {
            let Some((begin, seqs)) = self.told.get(&log) else {
                // Removed before the client was there for the first time.
                assert!(!member, "{log:?} was not told");
                continue;
            };
            let told = seqs.last().copied().unwrap_or(*begin);
            assert_eq!(told, head, "{log:?} was told up to {told} of {head}");
        }
        // Every write is there once, in the order written.
        let mut answered = self.answered.clone();
        answered.sort_unstable();
        let tickets: Vec<Ticket> = self.written.iter().map(|(ticket, ..)| *ticket).collect();
        assert_eq!(answered, tickets);
        for conversation in self.server.conversations() {
            let of = |(_, key, to): &(Ticket, WriteKey, ConversationId)| {
                (*to == conversation).then_some(*key)
            };
            let mine: Vec<WriteKey> = self.written.iter().filter_map(of).collect();
            assert_eq!(self.server.keys(conversation), mine);
        }
    }
}

fn cases() -> u32 {
    let asked = std::env::var("CHAT_CLIENT_CASES").ok();
    asked.and_then(|cases| cases.parse().ok()).unwrap_or(200)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_is_missed_or_doubled(seed in any::<u64>(), steps in prop::collection::vec(step(), 1..400)) {
        let mut world = World::new(seed);
        for step in steps {
            world.step(step);
        }
        world.settle();
        world.check();
    }
}

/// What the list of logs does not name any more is resumed by what its removal said, also if the answer broke off.
#[test]
fn who_was_removed_is_told_the_rest_after_a_resync_that_broke_off() {
    let mut world = World::new(0);
    world.settle();
    world.step(Step::Cut);
    for _ in 0..4 {
        world.step(Step::Elsewhere(0));
    }
    world.step(Step::Remove(0));
    world.step(Step::Trim(0));
    let log = LogId::Conversation(ConversationId::new(1).unwrap());
    let begin = world.told[&log].0;
    for step in [Step::Wait(500), Step::Serve, Step::Page, Step::Receive]
        .iter()
        .cycle()
        .take(1_000)
    {
        world.step(*step);
        if world.told[&log].0 > begin {
            break;
        }
    }
    assert!(
        world.told[&log].1.is_empty(),
        "it breaks off right after the resync"
    );
    world.step(Step::Cut);
    world.settle();
    world.check();
}
