//! What a chat and its connections share: the way of a write from its author to the committer.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::OnceCell;

use crate::committer::{Committer, Reply};
use crate::hub::{Device, Hub, answer};
use crate::rate::Rates;
use crate::rules::{Row, RowKey};
use crate::{Actor, Error, Limits, Policy, Prepared, UserId, Verdict, Write, prepare};

/// What a [`Chat`] and its connections share.
pub(crate) struct Node {
    pub(crate) hub: Arc<Hub>,
    pub(crate) committer: Committer,
    policy: Option<Arc<dyn Policy>>,
    rates: Rates,
    searches: Rates,
    secret: OnceCell<[u8; 32]>,
    draining: AtomicBool,
}

impl Drop for Node {
    fn drop(&mut self) {
        self.hub.stop();
    }
}

impl Node {
    pub(crate) fn new(hub: Arc<Hub>, policy: Option<Arc<dyn Policy>>) -> Self {
        Self {
            committer: Committer::start(Arc::clone(&hub)),
            hub,
            policy,
            rates: Rates::default(),
            searches: Rates::default(),
            secret: OnceCell::new(),
            draining: AtomicBool::new(false),
        }
    }

    /// From now on nothing new is taken.
    pub(crate) fn refuse(&self) {
        self.draining.store(true, Ordering::Release);
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.hub.limits
    }

    /// The store's secret. Asked for before anything else: a store that is being copied into is not to be used.
    pub(crate) async fn secret(&self) -> Result<&[u8; 32], Error> {
        self.secret
            .get_or_try_init(|| async {
                let keys = vec![RowKey::Secret(), RowKey::Moving()];
                match self.hub.store.rows(keys).await?[..] {
                    [_, Some(_)] => Err(Error::unavailable(
                        "a copy into this store is not finished: finish it, or use another store",
                    )),
                    [Some(Row::Secret(secret)), _] => Ok(secret),
                    _ => Err(Error::internal(
                        "the store has no secret: it was not opened properly",
                    )),
                }
            })
            .await
    }

    pub(crate) fn open(&self) -> Result<(), Error> {
        if self.draining.load(Ordering::Acquire) {
            return Err(Error::unavailable("the chat is shutting down"));
        }
        Ok(())
    }

    /// Whether the sender's rate allows a write now.
    fn rate(&self, write: &Write) -> Result<(), Error> {
        match write.actor {
            Actor::Host => Ok(()),
            Actor::User(user) => {
                let limits = self.limits();
                self.rates.take(
                    user,
                    prepare::cost(write),
                    limits.message_rate,
                    limits.message_burst,
                )
            }
        }
    }

    /// Takes a search from what a user may ask for.
    pub(crate) fn searching(&self, user: UserId, cost: f64) -> Result<(), Error> {
        let limits = self.limits();
        self.searches
            .take(user, cost, limits.search_rate, limits.search_burst)
    }

    /// [`Chat::prepare`] where nothing has to be waited for; else gives the write back.
    fn prepare_now(&self, write: Write) -> Result<Result<Prepared, Error>, Write> {
        let Some(secret) = self.secret.get() else {
            return Err(write);
        };
        if self.policy.is_some() {
            return Err(write);
        }
        if let Err(error) = self.check(&write) {
            return Ok(Err(error));
        }
        // Who writes too often may be retrying what is done already: that takes a look into the store.
        if self.rate(&write).is_err() {
            return Err(write);
        }
        Ok(prepare::digest(secret, &write).map(|digest| Prepared { write, digest }))
    }

    fn check(&self, write: &Write) -> Result<(), Error> {
        self.open()?;
        if write.actor == Actor::Host {
            Ok(())
        } else {
            prepare::check_sizes(write, self.limits())
        }
    }

    pub(crate) async fn prepare(&self, mut write: Write) -> Result<Prepared, Error> {
        self.check(&write)?;
        let digest = prepare::digest(self.secret().await?, &write)?;
        if write.actor == Actor::Host {
            return Ok(Prepared { write, digest });
        }
        let rate = self.rate(&write);
        if rate.is_err() || self.policy.is_some() {
            let key = write.key.map(|key| RowKey::Done(key, write.actor));
            let done = match key {
                Some(key) => self.hub.store.rows(vec![key]).await?,
                None => Vec::new(),
            };
            if matches!(done[..], [Some(_)]) {
                // Done already: the store gives the same answer again, whatever rate and policy say today.
                return Ok(Prepared { write, digest });
            }
            rate?;
        }
        if let Some(policy) = &self.policy
            && let Verdict::Replace(changes) =
                prepare::ask(policy.check(&write), self.limits().policy_timeout).await?
        {
            write.changes = changes;
            prepare::check_sizes(&write, self.limits())?;
        }
        Ok(Prepared { write, digest })
    }

    /// A connection's write: straight to the store where it can, else through a task that keeps the order.
    pub(crate) fn submit(self: &Arc<Self>, device: &Arc<Device>, reference: u64, mut write: Write) {
        if device.is_straight() {
            match self.prepare_now(write) {
                Ok(prepared) => return self.hand_in(device, reference, prepared),
                Err(back) => write = back,
            }
        }
        if device.queue(reference, write) {
            let (node, device) = (Arc::clone(self), Arc::clone(device));
            tokio::spawn(async move {
                while let Some((reference, write)) = device.next_queued() {
                    let prepared = node.prepare(write).await;
                    node.hand_in(&device, reference, prepared);
                }
            });
        }
    }

    fn hand_in(&self, device: &Arc<Device>, reference: u64, prepared: Result<Prepared, Error>) {
        let refused = match prepared {
            Ok(prepared) => {
                let reply = Reply::Device(Arc::clone(device), reference);
                self.committer.hand_in(prepared, reply).err()
            }
            Err(error) => Some(error),
        };
        if let Some(error) = refused {
            device.answer(answer(Arc::clone(device), reference, &Err(error)).item);
        }
    }
}
