//! Connections: made when needed, kept while they work, never more than a few.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use chat_core::Error;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_postgres::Config;
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::error::OpenError;
use crate::fault;
use crate::session::Session;
use crate::{tls, url};

/// How many connections there are at most.
const CONNECTIONS: usize = 16;

/// How long one waits for a connection to become free, and then for the server.
const PATIENCE: Duration = Duration::from_secs(5);

/// Connections to one database.
pub(crate) struct Pool {
    config: Config,
    tls: MakeRustlsConnect,
    permits: Arc<Semaphore>,
    /// The one used last is taken first.
    idle: Mutex<Vec<Session>>,
}

impl Pool {
    /// Connects to nothing yet.
    pub(crate) fn new(url: &str) -> Result<Self, OpenError> {
        let address = url::parse(url)?;
        Ok(Self {
            tls: tls::connector(address.check, address.roots.as_deref())?,
            config: address.config,
            permits: Arc::new(Semaphore::new(CONNECTIONS)),
            idle: Mutex::default(),
        })
    }

    /// Connects once.
    pub(crate) async fn connect(&self) -> Result<Session, tokio_postgres::Error> {
        let (client, connection) = self.config.connect(self.tls.clone()).await?;
        tokio::spawn(async move {
            // Whoever waits for an answer is told of its end; nobody else needs to be.
            if let Err(error) = connection.await {
                tracing::debug!(error = %crate::executor::in_short(error), "a connection to the database ended");
            }
        });
        Session::new(client).await
    }

    /// A connection for one transaction: one that is free, or a new one. While the server is away it is tried for a few
    /// seconds.
    pub(crate) async fn get(self: &Arc<Self>) -> Result<Lease, Error> {
        let permit = Arc::clone(&self.permits).acquire_owned();
        let permit = tokio::time::timeout(PATIENCE, permit)
            .await
            .map_err(|_| Error::busy("all connections to the database are in use: try again"))?
            .map_err(|_| Error::unavailable("the store is closed"))?;
        let begun = Instant::now();
        let mut attempt = 4;
        loop {
            if let Some(session) = self.idle() {
                return Ok(self.lease(session, permit));
            }
            match self.connect().await {
                Ok(session) => return Ok(self.lease(session, permit)),
                Err(error) if begun.elapsed() > PATIENCE || refuses(&error) => {
                    return Err(Error::unavailable("the database does not answer")
                        .with_source(crate::executor::Failure::new(0, error)));
                }
                Err(_) => fault::pause(attempt, Duration::from_secs(1)).await,
            }
            attempt += 1;
        }
    }

    /// A free connection that still works, as far as one can tell.
    fn idle(&self) -> Option<Session> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(|session| !session.client.is_closed());
        idle.pop()
    }

    /// The connections that nobody uses now.
    #[cfg(test)]
    pub(crate) fn idle_sessions(&self) -> std::sync::MutexGuard<'_, Vec<Session>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lease(self: &Arc<Self>, session: Session, permit: OwnedSemaphorePermit) -> Lease {
        Lease {
            session: Some(session),
            pool: Arc::clone(self),
            _permit: permit,
        }
    }

    /// Waits until all connections are free, and ends them. Afterwards there are none to be had.
    pub(crate) async fn close(&self) {
        let all = u32::try_from(CONNECTIONS).unwrap_or(u32::MAX);
        // Closed already: nothing to wait for.
        let Ok(_all) = self.permits.acquire_many(all).await else {
            return;
        };
        self.permits.close();
        self.idle
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
    }
}

/// Whether the server refuses for good: the password or the database's name is wrong.
fn refuses(error: &tokio_postgres::Error) -> bool {
    let code = error.code().map(|code| code.code());
    code.is_some_and(|code| code.starts_with("28") || code == "3D000")
}

/// A connection in use. Dropped, it is ended, unless it was given back: whoever breaks off leaves a transaction behind.
pub(crate) struct Lease {
    session: Option<Session>,
    pool: Arc<Pool>,
    _permit: OwnedSemaphorePermit,
}

impl Lease {
    pub(crate) fn session(&self) -> Result<&Session, Error> {
        let gone = || Error::internal("a connection was used after it was given back");
        self.session.as_ref().ok_or_else(gone)
    }

    /// Outside of any transaction: the next one may have it.
    pub(crate) fn give_back(mut self) {
        if let Some(session) = self.session.take()
            && !session.client.is_closed()
        {
            let mut idle = self
                .pool
                .idle
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            idle.push(session);
        }
    }
}
