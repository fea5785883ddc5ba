//! A small HTTP/1.1 server for an [`Http`]: accepts, limits, times out, stops gracefully.

use std::collections::HashMap;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, watch};
use tokio::time::Instant;
use tower_service::Service;

use crate::limits::at_most_a_year;
use crate::origin::Peer;
use crate::rate::address_key;
use crate::service::Http;
use crate::transport::Transport;

/// How long to wait after the system could not accept, mostly for want of file descriptors.
const ACCEPT_AGAIN: Duration = Duration::from_millis(100);

/// Limits of connections. All can be set by the host.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServerLimits {
    /// Connections at once, sockets included. 20,000.
    pub connections: usize,
    /// Of these, from one address; this machine and trusted proxies are not counted. 1,000.
    pub per_address: usize,
    /// How long a request's head may take to arrive, and a connection may be idle between requests. 20 s.
    pub head_time: Duration,
    /// Bytes of a request's head. 64 KiB.
    pub head: usize,
    /// How long an answer may wait for a peer that does not read it. 120 s.
    pub stuck_time: Duration,
    /// How long stopping may take. 10 s.
    pub drain: Duration,
}

impl Default for ServerLimits {
    fn default() -> Self {
        Self {
            connections: 20_000,
            per_address: 1_000,
            head_time: Duration::from_secs(20),
            head: 64 << 10,
            stuck_time: Duration::from_secs(120),
            drain: Duration::from_secs(10),
        }
    }
}

/// Serves an [`Http`] on TCP.
#[derive(Clone, Debug)]
pub struct Server {
    http: Http,
    limits: ServerLimits,
}

impl Server {
    /// A server with [`ServerLimits::default`].
    #[must_use]
    pub fn new(http: Http) -> Self {
        Self {
            http,
            limits: ServerLimits::default(),
        }
    }

    /// Other limits.
    #[must_use]
    pub fn limits(mut self, limits: ServerLimits) -> Self {
        self.limits = limits;
        self
    }

    /// Serves until `shutdown` is ready, then stops: accepts no more, answers what was asked, tells each socket to connect
    /// elsewhere (1001), drains the chat, and waits until all connections are gone, at most [`ServerLimits::drain`].
    ///
    /// When a server comes back, all clients do so at once. A listener of [`TcpListener::bind`] lets 128 of them wait to be
    /// accepted, and who finds no room tries again after a second at the earliest: better make it by
    /// [`TcpSocket::listen`](tokio::net::TcpSocket::listen) with some thousands.
    ///
    /// # Errors
    /// What [`chat_core::Chat::drain`] says. Failing to accept is logged and tried again.
    pub async fn run(
        self,
        listener: TcpListener,
        shutdown: impl Future<Output = ()>,
    ) -> Result<(), chat_core::Error> {
        let connections = Arc::new(Connections::default());
        let (stop, stopped) = watch::channel(());
        let mut shutdown = pin!(shutdown);
        loop {
            let accepted = tokio::select! {
                biased;
                () = &mut shutdown => break,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, peer)) => self.accept(stream, peer, &connections, &stopped),
                Err(error) if is_of_peer(&error) => {}
                Err(error) => {
                    tracing::warn!(%error, "cannot accept connections");
                    tokio::time::sleep(ACCEPT_AGAIN).await;
                }
            }
        }
        drop(listener);
        drop(stop);
        let until = Instant::now() + at_most_a_year(self.limits.drain);
        let drained = self.http.chat().drain(self.limits.drain).await;
        if tokio::time::timeout_at(until, connections.gone())
            .await
            .is_err()
        {
            tracing::warn!("stopped with connections still open");
        }
        drained
    }

    fn accept(
        &self,
        stream: TcpStream,
        peer: SocketAddr,
        connections: &Arc<Connections>,
        stopped: &watch::Receiver<()>,
    ) {
        let ip = peer.ip().to_canonical();
        let counted = !ip.is_loopback() && !self.http.0.proxies.contains(ip);
        let address = counted.then(|| address_key(ip));
        let Some(lease) = connections.lease(address, &self.limits) else {
            // In one piece or not at all: nobody waits for a peer that is refused.
            let _ = stream.try_write(FULL);
            return;
        };
        // A connection that cannot be told so still works.
        let _ = stream.set_nodelay(true);
        let http = self.http.clone();
        let connection = serve(
            stream,
            peer,
            lease,
            http,
            self.limits.clone(),
            stopped.clone(),
        );
        tokio::spawn(connection);
    }
}

/// The answer to one connection too many.
const FULL: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\n\
    content-type: application/problem+json\r\n\
    content-length: 126\r\n\
    retry-after: 10\r\n\
    connection: close\r\n\r\n\
    {\"type\":\"about:blank\",\"title\":\"Service Unavailable\",\"status\":503,\
    \"detail\":\"too many connections; try again in a little while\"}";

/// A connection that failed before it was accepted is no fault of the listener.
fn is_of_peer(error: &io::Error) -> bool {
    use io::ErrorKind as K;
    matches!(
        error.kind(),
        K::ConnectionAborted | K::ConnectionReset | K::ConnectionRefused | K::Interrupted
    )
}

/// Serves the requests of one connection. A socket goes on in a task of its own.
async fn serve(
    stream: TcpStream,
    peer: SocketAddr,
    lease: Lease,
    http: Http,
    limits: ServerLimits,
    mut stopped: watch::Receiver<()>,
) {
    let begun = Instant::now();
    let millis = move || u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
    // When a request last came or was answered.
    let active = Arc::new(AtomicU64::new(0));
    let service = service_fn({
        let active = Arc::clone(&active);
        move |mut request: Request<Incoming>| {
            active.store(millis(), Ordering::Relaxed);
            request.extensions_mut().insert(Peer(peer));
            request.extensions_mut().insert(lease.clone());
            let answer = http.clone().call(request);
            let active = Arc::clone(&active);
            async move {
                let answer = answer.await;
                active.store(millis(), Ordering::Relaxed);
                answer
            }
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(at_most_a_year(limits.head_time))
        .max_header_size(limits.head)
        .max_buf_size(limits.head.max(8192))
        .serve_connection(TokioIo::new(Transport::new(stream)), service)
        .with_upgrades();
    let mut connection = pin!(connection);
    let mut watch = true;
    loop {
        tokio::select! {
            // What went wrong with one connection, its peer knows.
            _ = connection.as_mut() => return,
            _ = stopped.changed(), if watch => {
                watch = false;
                connection.as_mut().graceful_shutdown();
            }
            () = tokio::time::sleep(limits.stuck_time) => {
                let idle = millis().saturating_sub(active.load(Ordering::Relaxed));
                if u128::from(idle) >= limits.stuck_time.as_millis() {
                    return;
                }
            }
        }
    }
}

/// The connections there are.
#[derive(Debug, Default)]
struct Connections {
    held: Mutex<Held>,
    empty: Notify,
}

#[derive(Debug, Default)]
struct Held {
    total: usize,
    by_address: HashMap<IpAddr, usize>,
}

/// One connection's place among all; given back when the last clone goes: a socket keeps it.
#[derive(Clone, Debug)]
pub(crate) struct Lease {
    _place: Arc<Place>,
}

#[derive(Debug)]
struct Place {
    connections: Arc<Connections>,
    address: Option<IpAddr>,
}

impl Connections {
    fn lease(self: &Arc<Self>, address: Option<IpAddr>, limits: &ServerLimits) -> Option<Lease> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if held.total >= limits.connections {
            return None;
        }
        if let Some(address) = address {
            let count = held.by_address.entry(address).or_default();
            if *count >= limits.per_address {
                return None;
            }
            *count += 1;
        }
        held.total += 1;
        let connections = Arc::clone(self);
        let place = Place {
            connections,
            address,
        };
        Some(Lease {
            _place: Arc::new(place),
        })
    }

    /// Waits until there are none.
    async fn gone(&self) {
        loop {
            let empty = self.empty.notified();
            if self
                .held
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .total
                == 0
            {
                return;
            }
            empty.await;
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut held = self
            .connections
            .held
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        held.total -= 1;
        if let Some(address) = self.address
            && let Some(count) = held.by_address.get_mut(&address)
        {
            *count -= 1;
            if *count == 0 {
                held.by_address.remove(&address);
            }
        }
        if held.total == 0 {
            self.connections.empty.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_counted_by_address_and_in_all() {
        let mut limits = ServerLimits::default();
        (limits.connections, limits.per_address) = (5, 2);
        let connections = Arc::new(Connections::default());
        let lease = |address: &str| {
            let address = Some(address).filter(|address| !address.is_empty());
            connections.lease(address.map(|address| address.parse().unwrap()), &limits)
        };
        let first = lease("1.1.1.1").unwrap();
        let clone = first.clone();
        let _second = lease("1.1.1.1").unwrap();
        assert!(lease("1.1.1.1").is_none());
        let _other = lease("1.1.1.2").unwrap();
        drop(first);
        assert!(lease("1.1.1.1").is_none(), "a socket keeps its place");
        drop(clone);
        let _third = lease("1.1.1.1").unwrap();
        let _uncounted = (lease("").unwrap(), lease("").unwrap());
        assert!(lease("").is_none() && lease("1.1.1.3").is_none());
        let held = connections.held.lock().unwrap();
        assert_eq!((held.total, held.by_address.len()), (5, 2));
    }

    #[tokio::test]
    async fn nothing_is_left_when_all_are_gone() {
        let connections = Arc::new(Connections::default());
        let lease = connections.lease(Some([1, 1, 1, 1].into()), &ServerLimits::default());
        let gone = tokio::spawn({
            let connections = Arc::clone(&connections);
            async move { connections.gone().await }
        });
        tokio::task::yield_now().await;
        assert!(!gone.is_finished());
        drop(lease);
        gone.await.unwrap();
        assert!(connections.held.lock().unwrap().by_address.is_empty());
    }

    #[test]
    fn the_refusal_says_how_long_it_is() {
        let text = std::str::from_utf8(FULL).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(&format!("content-length: {}\r\n", body.len())));
        serde_json::from_str::<serde_json::Value>(body).unwrap();
    }
}
