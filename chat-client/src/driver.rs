//! Moves what the [`Machine`] asks for to sockets and back. Decides nothing.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use chat_core::Timestamp;
use chat_core::protocol::ServerFrame;
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::Error;
use crate::error::Failure;
use crate::events::{Incoming, Queue};
use crate::login::login;
use crate::machine::Output;
use crate::options::Credential;
use crate::shared::Shared;
use crate::socket::Socket;
use crate::transport::Address;

type Job<T> = Pin<Box<dyn Future<Output = Result<T, Failure>> + Send>>;

pub(crate) struct Driver {
    pub(crate) shared: Arc<Shared>,
    pub(crate) queue: Arc<Queue>,
    pub(crate) address: Address,
    pub(crate) credential: Credential,
    /// Told how the first try went.
    pub(crate) first: Option<oneshot::Sender<Result<(), Error>>>,
}

impl Driver {
    pub(crate) async fn run(mut self) {
        let mut socket: Option<Socket> = None;
        let mut opening: Option<Job<Socket>> = None;
        let mut fetching: Option<Job<String>> = None;
        // Bytes of the frame that what is passed on came in.
        let mut bytes = 0;
        loop {
            let (outputs, wake) = self.shared.take();
            for output in outputs {
                match output {
                    Output::Token => fetching = Some(self.fetch()),
                    Output::Open(token) => {
                        opening = Some(Box::pin(Socket::open(self.address.clone(), token)));
                    }
                    Output::Send(frame) => {
                        if let Some(socket) = &socket {
                            socket.send(frame);
                        }
                    }
                    Output::Close => {
                        opening = None;
                        if let Some(socket) = socket.take() {
                            tokio::spawn(socket.finish());
                        }
                    }
                    Output::Emit(incoming, moves) => {
                        self.tell_first(&incoming);
                        if !self.queue.push(Some(incoming), moves, bytes) {
                            self.shared.with(|machine, now| machine.accept(false, now));
                        }
                    }
                    Output::Begin(log, seq) => {
                        self.queue.push(None, Some((log, Some(seq))), 0);
                    }
                    // Answered by whoever took it.
                    Output::Done(..) => {}
                    Output::Stopped(why) => {
                        let stopped = Incoming::Stopped(why);
                        self.tell_first(&stopped);
                        self.queue.push(Some(stopped), None, 0);
                        return;
                    }
                }
            }
            bytes = 0;
            let sleep = async {
                match wake {
                    Some(wake) => tokio::time::sleep_until(wake).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = self.shared.changed.notified() => {}
                () = sleep => self.shared.with(|machine, now| machine.tick(now)),
                () = self.queue.emptied() => {
                    self.shared.with(|machine, now| machine.accept(true, now));
                }
                token = job(&mut fetching) => {
                    self.shared.with(|machine, now| machine.token(token, now));
                }
                opened = job(&mut opening) => match opened {
                    Ok(opened) => {
                        socket = Some(opened);
                        self.shared.with(|machine, now| machine.opened(now));
                    }
                    Err(failure) => {
                        self.shared.with(|machine, now| machine.open_failed(failure, now));
                    }
                },
                frame = next(&mut socket) => match frame {
                    Ok(text) => {
                        bytes = text.len();
                        self.frame(&text);
                    }
                    Err(close) => {
                        socket = None;
                        self.shared.with(|machine, now| machine.closed(close, now));
                    }
                },
            }
        }
    }

    fn frame(&self, text: &str) {
        match ServerFrame::decode(text) {
            Ok((reference, frame)) => self.shared.with(|machine, now| {
                machine.frame(reference, frame, Timestamp::now(), now);
            }),
            Err(error) => self.shared.with(|machine, now| {
                machine.unreadable(&error.to_string(), now);
            }),
        }
    }

    /// Whoever waits for the first connection learns what became of it.
    fn tell_first(&mut self, incoming: &Incoming) {
        let result = match incoming {
            Incoming::Connected(_) => Ok(()),
            Incoming::Disconnected { why, .. } | Incoming::Stopped(why) => Err(why.clone()),
            _ => return,
        };
        if let Some(first) = self.first.take() {
            let _ = first.send(result);
        }
    }

    fn fetch(&self) -> Job<String> {
        let address = self.address.clone();
        match self.credential.clone() {
            Credential::Password { username, password } => {
                Box::pin(async move { login(&address, &username, &password).await })
            }
            Credential::Provider(provider) => Box::pin(async move {
                provider().await.map_err(|error| match error {
                    Error::Unreachable(_) => Failure::Again(error, None),
                    Error::Wait(wait) => Failure::Again(error, Some(wait)),
                    error => Failure::Stop(error),
                })
            }),
            Credential::Token(_) | Credential::None => Box::pin(async {
                let detail = "a login needs a password or a token".to_owned();
                Err(Failure::Stop(Error::Login(detail)))
            }),
        }
    }
}

/// What comes of a job; never, without one. Cancel safe.
async fn job<T>(job: &mut Option<Job<T>>) -> Result<T, Failure> {
    let done = match job {
        Some(job) => job.await,
        None => std::future::pending().await,
    };
    *job = None;
    done
}

async fn next(socket: &mut Option<Socket>) -> Result<String, Option<(u16, String)>> {
    match socket {
        Some(socket) => socket.next().await,
        None => std::future::pending().await,
    }
}

/// Milliseconds since `start`, and back.
pub(crate) fn millis(start: Instant) -> u64 {
    u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX)
}

/// When so many milliseconds after `start` are over, but at most a day from now: no timer can be set for ever.
pub(crate) fn at(start: Instant, millis: u64) -> Instant {
    let most = Instant::now() + Duration::from_secs(86_400);
    start
        .checked_add(Duration::from_millis(millis))
        .map_or(most, |at| at.min(most))
}
