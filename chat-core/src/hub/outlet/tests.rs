//! The order on one transport that two send on: an owner as a socket's task is one, and the fan-out, over a wire that takes
//! what it likes.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Wake, Waker};

use bytes::Bytes;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use super::super::device::lock;
use super::*;
use crate::{
    Actor, ConversationId, Error, Event, EventKind, Identity, Item, Limits, LogId, Timestamp,
    UserId,
};

/// One step of a script.
#[derive(Clone, Debug)]
enum Step {
    /// So many events come; if the owner wrote the last of them, its outcome comes behind.
    Events(usize, bool),
    /// The owner has something to say by itself, an answer to a ping say.
    Own,
    /// The owner runs, if it was woken.
    Run,
    /// The wire takes so many bytes more.
    Room(usize),
}

/// What an owner or an outlet does wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    None,
    /// The owner sends something before what was begun.
    RestLast,
    RestForgotten,
    /// The owner lends what it still sends on.
    LentTooEarly,
    /// The outlet says that all was sent.
    PartIsAll,
    /// The outlet says that nothing was sent.
    PartIsNothing,
}

/// Takes as many bytes as there is room for.
struct Wire {
    room: Mutex<usize>,
    taken: Mutex<Vec<u8>>,
    offers: AtomicUsize,
    fault: Fault,
}

impl Wire {
    fn send(&self, bytes: &[u8]) -> usize {
        let mut room = lock(&self.room);
        let sent = bytes.len().min(*room);
        *room -= sent;
        lock(&self.taken).extend_from_slice(&bytes[..sent]);
        sent
    }
}

fn event_frame(delivery: &Delivery) -> Option<Bytes> {
    Some(frame(b'e', delivery.event.seq).into())
}

impl Outlet for Wire {
    fn offer(&self, run: &Run<'_>) -> Sent {
        self.offers.fetch_add(1, Ordering::Relaxed);
        let bytes = run.joined(Format(0), event_frame);
        match (self.send(&bytes), self.fault) {
            (0, _) => Sent::Nothing,
            (sent, _) if sent == bytes.len() => Sent::All,
            (_, Fault::PartIsAll) => Sent::All,
            (_, Fault::PartIsNothing) => Sent::Nothing,
            (sent, _) => Sent::Part(Rest { bytes, sent }),
        }
    }
}

/// A length, what it is, a number, and filling.
fn frame(kind: u8, number: u64) -> Vec<u8> {
    let filling = usize::try_from(number % 23).unwrap();
    let mut frame = vec![u8::try_from(10 + filling).unwrap(), kind];
    frame.extend(number.to_be_bytes());
    frame.resize(10 + filling, b'.');
    frame
}

#[derive(Default)]
struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// As the shard does, of events that all may see.
fn tell(device: &Device, run: &[Arc<Delivery>], limits: &Limits) -> bool {
    device.deliver(Some(&Run::new(run)), run, |_| false, limits)
}

struct Owner {
    device: Arc<Device>,
    loan: Loan,
    wire: Arc<Wire>,
    outlet: Arc<dyn Outlet>,
    out: VecDeque<u8>,
    woken: Arc<Flag>,
    own: u64,
    fault: Fault,
}

impl Owner {
    fn new(fault: Fault) -> Self {
        let device = Device::new(Identity::of(UserId::new(1).unwrap()));
        let wire = Arc::new(Wire {
            room: Mutex::default(),
            taken: Mutex::default(),
            offers: AtomicUsize::new(0),
            fault,
        });
        Self {
            loan: Loan::new(Arc::clone(&device)),
            device,
            outlet: Arc::clone(&wire) as Arc<dyn Outlet>,
            wire,
            out: VecDeque::new(),
            woken: Arc::default(),
            own: 0,
            fault,
        }
    }

    /// What a socket's task does in one poll.
    fn run(&mut self, says: bool) {
        self.woken.0.store(false, Ordering::Relaxed);
        let rest = self.loan.take_back();
        let rest = rest.map(|rest| rest.bytes[rest.sent..].to_vec());
        if says {
            self.own += 1;
        }
        let own = if says {
            frame(b'o', self.own)
        } else {
            Vec::new()
        };
        match (rest, self.fault) {
            (Some(_), Fault::RestForgotten) | (None, _) => self.out.extend(own),
            (Some(rest), Fault::RestLast) => self.out.extend([own, rest].concat()),
            (Some(rest), _) => self.out.extend([rest, own].concat()),
        }
        let waker = Waker::from(Arc::clone(&self.woken));
        let mut items = Vec::new();
        while self
            .device
            .poll(&mut Context::from_waker(&waker), &mut items)
            .is_ready()
        {}
        for item in items {
            let frame = match item {
                Item::Event(delivery) => event_frame(&delivery).unwrap().to_vec(),
                Item::Refused { reference, .. } => frame(b'a', reference),
                other => panic!("{other:?}"),
            };
            self.out.extend(frame);
        }
        let sent = self.wire.send(self.out.make_contiguous());
        self.out.drain(..sent);
        if self.out.is_empty() || self.fault == Fault::LentTooEarly {
            self.loan.lend(&self.outlet);
        }
    }

    /// Whether a runtime would poll it.
    fn is_due(&self) -> bool {
        let is_writable = *lock(&self.wire.room) > 0;
        self.woken.0.load(Ordering::Relaxed) || (!self.out.is_empty() && is_writable)
    }
}

fn delivery(seq: u64) -> Arc<Delivery> {
    Delivery::new(Event {
        log: LogId::Conversation(ConversationId::new(1).unwrap()),
        seq,
        at: Timestamp::default(),
        actor: Actor::Host,
        kind: EventKind::Posted,
        message: None,
    })
}

/// Plays a script and says what came out.
fn play(steps: &[Step], fault: Fault) -> Result<(), TestCaseError> {
    let mut owner = Owner::new(fault);
    let (mut head, limits) = (0, Limits::default());
    let mut expected = Vec::new();
    owner.run(false);
    for step in steps {
        match step {
            Step::Events(count, is_own) => {
                if *is_own {
                    prop_assert!(owner.device.begin(64));
                }
                let run: Vec<_> = (head + 1..).take(*count).map(delivery).collect();
                head += *count as u64;
                tell(&owner.device, &run, &limits);
                if *is_own {
                    let error = Box::new(Error::busy("an outcome"));
                    let reference = head;
                    owner.device.answer(Item::Refused { reference, error });
                    expected.push(head);
                }
            }
            Step::Own => owner.run(true),
            Step::Run if owner.is_due() => owner.run(false),
            Step::Run => {}
            Step::Room(more) => *lock(&owner.wire.room) += more,
        }
    }
    // Now all has to come, and only who is woken may run.
    *lock(&owner.wire.room) = usize::MAX / 2;
    while owner.is_due() {
        owner.run(false);
    }
    let taken = lock(&owner.wire.taken);
    let (mut rest, mut events, mut owns, mut answers) = (&taken[..], 0, 0, Vec::new());
    while let [length, kind, ..] = rest {
        let (told, more) = rest
            .split_at_checked(usize::from(*length).max(10))
            .ok_or_else(|| TestCaseError::fail("cut"))?;
        let number = u64::from_be_bytes(told[2..10].try_into().unwrap());
        prop_assert_eq!(told, &frame(*kind, number)[..], "a torn frame");
        match kind {
            b'e' => {
                events += 1;
                prop_assert_eq!(number, events, "the events' order");
            }
            b'o' => {
                owns += 1;
                prop_assert_eq!(number, owns);
            }
            _ => {
                prop_assert_eq!(number, events, "an outcome is right behind its event");
                answers.push(number);
            }
        }
        rest = more;
    }
    prop_assert_eq!((events, owns, answers), (head, owner.own, expected));
    Ok(())
}

fn scripts() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (1usize..6, prop::bool::weighted(0.2)).prop_map(|(count, own)| Step::Events(count, own)),
        1 => Just(Step::Own),
        4 => Just(Step::Run),
        4 => (0usize..90).prop_map(Step::Room),
    ];
    prop::collection::vec(step, 0..80)
}

proptest! {
    /// Laws 5 and 9: whatever the wire takes, and whoever sends, all frames come whole, once and in order.
    #[test]
    fn frames_come_whole_and_in_order(steps in scripts()) {
        play(&steps, Fault::None)?;
    }
}

/// The law can fail.
#[test]
fn each_fault_is_seen() {
    for fault in [
        Fault::RestLast,
        Fault::RestForgotten,
        Fault::LentTooEarly,
        Fault::PartIsAll,
        Fault::PartIsNothing,
    ] {
        let mut runner = TestRunner::deterministic();
        let result = runner.run(&scripts(), |steps| play(&steps, fault));
        assert!(result.is_err(), "{fault:?} was not seen");
    }
}

/// Law 9: an outlet that takes nothing is asked once, not for each event; and all goes to the queue.
#[test]
fn a_stalled_outlet_is_asked_once() {
    for room in [0, 25] {
        let mut owner = Owner::new(Fault::None);
        owner.run(false);
        *lock(&owner.wire.room) = room;
        for seq in 1..=100 {
            tell(&owner.device, &[delivery(seq)], &Limits::default());
            if owner.is_due() {
                owner.run(false);
            }
        }
        let offers = owner.wire.offers.load(Ordering::Relaxed);
        assert!(
            offers <= 2 + room / 10,
            "{offers} offers to a stalled outlet"
        );
    }
}

/// Law 9: what the owner has taken back counts for the queue no longer.
#[test]
fn only_what_waits_is_counted() {
    let mut owner = Owner::new(Fault::None);
    owner.run(false);
    for seq in 1..=1000 {
        *lock(&owner.wire.room) = 1;
        let run = [delivery(seq)];
        assert!(tell(&owner.device, &run, &Limits::default()));
        *lock(&owner.wire.room) = 1000;
        owner.run(false);
    }
    let limits = Limits {
        queue_bytes: 1000,
        ..Limits::default()
    };
    owner
        .device
        .deliver(None, &[delivery(1001)], |_| false, &limits);
    owner.run(false);
    let taken = lock(&owner.wire.taken);
    assert!(
        taken.ends_with(&frame(b'e', 1001)),
        "closed for what was sent"
    );
}

/// Nobody keeps a transport alive whose owner is gone.
#[test]
fn a_loan_ends_with_its_owner() {
    let mut owner = Owner::new(Fault::None);
    owner.run(false);
    let Owner {
        device,
        loan,
        wire,
        outlet,
        ..
    } = owner;
    drop(outlet);
    assert_eq!(Arc::strong_count(&wire), 2, "lent");
    drop(loan);
    assert_eq!(Arc::strong_count(&wire), 1);
    assert!(!tell(&device, &[delivery(1)], &Limits::default()));
}
