//! What the handles of a client and its driver share.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chat_core::protocol::{Reply, Request};
use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;

use crate::Error;
use crate::driver::{at, millis};
use crate::machine::{Machine, Output, Ticket};

type Waiter = oneshot::Sender<Result<Reply, Error>>;

struct Core {
    machine: Machine,
    waiting: HashMap<Ticket, Waiter>,
}

/// What the handles and the driver share.
pub(crate) struct Shared {
    core: Mutex<Core>,
    start: Instant,
    pub(crate) changed: Notify,
}

impl Shared {
    pub(crate) fn new(machine: Machine) -> Self {
        let waiting = HashMap::new();
        Self {
            core: Mutex::new(Core { machine, waiting }),
            start: Instant::now(),
            changed: Notify::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Core> {
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets something happen to the machine.
    pub(crate) fn with<T>(&self, happens: impl FnOnce(&mut Machine, u64) -> T) -> T {
        let mut core = self.lock();
        happens(&mut core.machine, millis(self.start))
    }

    /// What is to be done, and when to look again. Answers are given on the way.
    pub(crate) fn take(&self) -> (Vec<Output>, Option<Instant>) {
        let mut core = self.lock();
        let outputs = core.machine.outputs();
        for output in &outputs {
            match output {
                Output::Done(ticket, result) => {
                    if let Some(waiter) = core.waiting.remove(ticket) {
                        let _ = waiter.send(result.clone());
                    }
                }
                Output::Stopped(_) => core.waiting.clear(),
                _ => {}
            }
        }
        let wake = core.machine.wake().map(|wake| at(self.start, wake));
        (outputs, wake)
    }

    pub(crate) fn ask(
        &self,
        ask: impl FnOnce(&mut Machine, u64) -> Result<Ticket, Error>,
    ) -> Result<(Ticket, oneshot::Receiver<Result<Reply, Error>>), Error> {
        let mut core = self.lock();
        let ticket = ask(&mut core.machine, millis(self.start))?;
        let (waiter, answer) = oneshot::channel();
        core.waiting.insert(ticket, waiter);
        drop(core);
        self.changed.notify_one();
        Ok((ticket, answer))
    }

    /// Asks for something. It waits for a connection, and asks again when one breaks; dropped, it is not asked for if it was
    /// not yet.
    pub(crate) async fn call(&self, request: Request) -> Result<Reply, Error> {
        let (ticket, answer) = self.ask(|machine, now| machine.call(request, now))?;
        let mut asked = Asked {
            shared: self,
            ticket,
            answer,
        };
        (&mut asked.answer).await.map_err(|_| Error::Closed)?
    }

    pub(crate) fn tell(&self, tell: impl FnOnce(&mut Machine, u64)) {
        self.with(tell);
        self.changed.notify_one();
    }
}

/// The client lives as long as one of these.
pub(crate) struct Handle(pub(crate) Arc<Shared>);

impl Drop for Handle {
    fn drop(&mut self) {
        self.0.tell(|machine, _| machine.stop(Error::Closed));
    }
}

/// A read on its way.
struct Asked<'a> {
    shared: &'a Shared,
    ticket: Ticket,
    answer: oneshot::Receiver<Result<Reply, Error>>,
}

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        let mut core = self.shared.lock();
        core.machine.forget(self.ticket);
        core.waiting.remove(&self.ticket);
    }
}
