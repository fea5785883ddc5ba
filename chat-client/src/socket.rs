//! One WebSocket to the server.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use chat_core::protocol;
use futures_util::stream::SplitStream;
use futures_util::{SinkExt, StreamExt};
use http::HeaderValue;
use http::header::{AUTHORIZATION, SEC_WEBSOCKET_PROTOCOL};
use tokio::sync::mpsc;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error as WsError, Message};

use crate::Error;
use crate::error::Failure;
use crate::transport::{Address, Io};

/// A frame of a server is no larger: a page of the largest messages stays below.
const FRAME: usize = 32 << 20;
/// How long connecting may take.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long saying goodbye may take.
const GOODBYE: Duration = Duration::from_secs(2);

type Writer = Pin<Box<dyn Future<Output = ()> + Send>>;

/// An open socket.
pub(crate) struct Socket {
    read: SplitStream<WebSocketStream<Box<dyn Io>>>,
    /// Sends what is queued; apart from reading, so that neither side waits for the other.
    writer: Option<Writer>,
    frames: mpsc::UnboundedSender<Message>,
}

impl Socket {
    pub(crate) async fn open(address: Address, token: String) -> Result<Self, Failure> {
        let open = Self::handshake(&address, &token);
        tokio::time::timeout(PATIENCE, open)
            .await
            .unwrap_or_else(|_| {
                let detail = "connecting takes too long".to_owned();
                Err(Failure::Again(Error::Unreachable(detail), None))
            })
    }

    async fn handshake(address: &Address, token: &str) -> Result<Self, Failure> {
        let stop = |detail: String| Failure::Stop(Error::Invalid(detail));
        let again = |detail: String| Failure::Again(Error::Unreachable(detail), None);
        let url = format!("ws://{}{}", address.authority, address.path("/ws"));
        let mut request = url
            .into_client_request()
            .map_err(|error| stop(error.to_string()))?;
        let mut bearer = HeaderValue::from_str(&format!("Bearer {token}"))
            .map_err(|_| stop("the token cannot stand in a header".to_owned()))?;
        bearer.set_sensitive(true);
        let headers = request.headers_mut();
        headers.insert(AUTHORIZATION, bearer);
        let name = HeaderValue::from_static(protocol::NAME);
        headers.insert(SEC_WEBSOCKET_PROTOCOL, name);
        let stream = address.connect().await.map_err(|error| match error {
            Error::Unreachable(_) => Failure::Again(error, None),
            error => Failure::Stop(error),
        })?;
        let config = WebSocketConfig::default()
            .read_buffer_size(16 * 1024)
            .max_message_size(Some(FRAME))
            .max_frame_size(Some(FRAME));
        let opened =
            tokio_tungstenite::client_async_with_config(request, stream, Some(config)).await;
        let (socket, _) = opened.map_err(|error| match error {
            WsError::Http(response) => {
                let status = response.status();
                let detail = format!("status {}", status.as_u16());
                if status.is_server_error() || matches!(status.as_u16(), 408 | 429) {
                    again(detail)
                } else {
                    Failure::Stop(Error::Incompatible(detail))
                }
            }
            WsError::Protocol(
                tokio_tungstenite::tungstenite::error::ProtocolError::SecWebSocketSubProtocolError(
                    _,
                ),
            ) => Failure::Stop(Error::Incompatible(
                "it offers other protocols only".to_owned(),
            )),
            error => again(error.to_string()),
        })?;
        let (mut sink, read) = socket.split();
        let (frames, mut queue) = mpsc::unbounded_channel();
        let writer = async move {
            while let Some(frame) = queue.recv().await {
                let mut sent = sink.feed(frame).await;
                while let Ok(frame) = queue.try_recv() {
                    if sent.is_ok() {
                        sent = sink.feed(frame).await;
                    }
                }
                if sent.is_err() || sink.flush().await.is_err() {
                    // Reading finds out why.
                    return;
                }
            }
        };
        Ok(Self {
            read,
            writer: Some(Box::pin(writer)),
            frames,
        })
    }

    /// Queues a frame. How much is queued is bounded by who asks: without answers nobody sends on.
    pub(crate) fn send(&self, frame: String) {
        let _ = self.frames.send(Message::text(frame));
    }

    /// The next frame; `Err` with the close code when there is none any more. Cancel safe.
    pub(crate) async fn next(&mut self) -> Result<String, Option<(u16, String)>> {
        loop {
            let message = match &mut self.writer {
                Some(writer) => tokio::select! {
                    () = writer => {
                        self.writer = None;
                        continue;
                    }
                    message = self.read.next() => message,
                },
                None => self.read.next().await,
            };
            match message {
                Some(Ok(Message::Text(text))) => return Ok(text.as_str().to_owned()),
                Some(Ok(Message::Close(close))) => {
                    return Err(close.map(|close| (close.code.into(), close.reason.to_string())));
                }
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return Err(None),
            }
        }
    }

    /// Sends what is queued and says goodbye, as far as that goes quickly.
    pub(crate) async fn finish(self) {
        let Self { writer, frames, .. } = self;
        let _ = frames.send(Message::Close(None));
        drop(frames);
        if let Some(writer) = writer {
            let _ = tokio::time::timeout(GOODBYE, writer).await;
        }
    }
}
