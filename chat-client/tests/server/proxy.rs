//! Passes bytes on, and breaks connections after a random number of them.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// A connection lives for so many bytes at most, while it is to be cut.
const LIFE: u64 = 8_000;

struct State {
    target: SocketAddr,
    cuts: usize,
    random: fastrand::Rng,
}

/// Listens until the test's runtime ends.
pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    state: Arc<Mutex<State>>,
}

impl Proxy {
    pub(crate) async fn start(target: SocketAddr, seed: u64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(Mutex::new(State {
            target,
            cuts: 0,
            random: fastrand::Rng::with_seed(seed),
        }));
        let shared = Arc::clone(&state);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let state = Arc::clone(&shared);
                tokio::spawn(async move {
                    let target = state.lock().unwrap().target;
                    if let Ok(server) = TcpStream::connect(target).await {
                        pass(client, server, &state).await;
                    }
                });
            }
        });
        Self { address, state }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn lead_to(&self, target: SocketAddr) {
        self.state.lock().unwrap().target = target;
    }

    /// Cuts so many connections from now on.
    pub(crate) fn cut(&self, cuts: usize) {
        self.state.lock().unwrap().cuts = cuts;
    }

    pub(crate) fn cuts_left(&self) -> usize {
        self.state.lock().unwrap().cuts
    }
}

/// Passes bytes both ways until one side ends or it is to be cut.
async fn pass(mut client: TcpStream, mut server: TcpStream, state: &Mutex<State>) {
    let mut life = None;
    let (mut up, mut down) = ([0; 2048], [0; 2048]);
    loop {
        let (read, forth) = tokio::select! {
            read = client.read(&mut up) => (read, true),
            read = server.read(&mut down) => (read, false),
        };
        let Ok(mut read @ 1..) = read else { return };
        let mut cut = false;
        {
            let mut state = state.lock().unwrap();
            if state.cuts > 0 {
                // Evenly by magnitude: within a handshake as well as within a page.
                let life = life.get_or_insert_with(|| {
                    let most = 1 << state.random.u32(0..=LIFE.ilog2());
                    state.random.u64(0..=most)
                });
                if *life < read as u64 {
                    read = *life as usize;
                    cut = true;
                    state.cuts -= 1;
                } else {
                    *life -= read as u64;
                }
            }
        }
        let passed = if forth {
            server.write_all(&up[..read]).await
        } else {
            client.write_all(&down[..read]).await
        };
        if cut || passed.is_err() {
            return;
        }
    }
}
