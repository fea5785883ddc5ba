//! A TCP connection as hyper sees it, with two things hyper does not do.
//!
//! What it cannot parse it refuses by a bare status, before any service sees it: such a refusal gets its sentence on the way
//! out. And it closes while the peer still sends, upon which the peer's system forgets the answer: here what still comes is
//! read and thrown away for a moment.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Sleep;

/// How long to go on reading after the last word, …
const LINGER: Duration = Duration::from_secs(2);
/// … and how much.
const LINGER_BYTES: usize = 1 << 20;

/// See the module.
#[derive(Debug)]
pub(crate) struct Transport {
    stream: TcpStream,
    /// A refusal that is being written, and how much of it is.
    refusal: Option<(Vec<u8>, usize)>,
    /// The last word is said: until when and how much to go on reading.
    lingering: Option<(Pin<Box<Sleep>>, usize)>,
}

impl Transport {
    pub(crate) const fn new(stream: TcpStream) -> Self {
        Self {
            stream,
            refusal: None,
            lingering: None,
        }
    }

    pub(crate) fn into_inner(self) -> TcpStream {
        self.stream
    }
}

/// What to say in place of a head that hyper made up by itself; `None` for any other bytes. Answers of [`crate::Http`] that
/// refuse anything have a body, so they are none of these.
fn spoken(head: &[u8]) -> Option<Vec<u8>> {
    let status = head.strip_prefix(b"HTTP/1.1 ")?.get(..3)?;
    let (title, detail) = match status {
        b"400" => ("Bad Request", "this is no HTTP/1.1 request"),
        b"414" => ("URI Too Long", "the URL is too long"),
        b"431" => (
            "Request Header Fields Too Large",
            "the head of the request is too large",
        ),
        _ => return None,
    };
    let text = std::str::from_utf8(head).ok()?;
    if !text.ends_with("\r\n\r\n")
        || !text
            .to_ascii_lowercase()
            .contains("\r\ncontent-length: 0\r\n")
    {
        return None;
    }
    let status = std::str::from_utf8(status).ok()?;
    let body = format!(
        r#"{{"type":"about:blank","title":"{title}","status":{status},"detail":"{detail}"}}"#
    );
    let length = body.len();
    let answer = format!(
        "HTTP/1.1 {status} {title}\r\ncontent-type: application/problem+json\r\ncontent-length: {length}\r\n\
         cache-control: no-store\r\nx-content-type-options: nosniff\r\nconnection: close\r\n\r\n{body}"
    );
    Some(answer.into_bytes())
}

impl AsyncRead for Transport {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Transport {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        if this.refusal.is_none() {
            this.refusal = spoken(bytes).map(|refusal| (refusal, 0));
        }
        let stream = &mut this.stream;
        let Some((refusal, written)) = &mut this.refusal else {
            return Pin::new(stream).poll_write(cx, bytes);
        };
        while *written < refusal.len() {
            match ready!(Pin::new(&mut *stream).poll_write(cx, &refusal[*written..]))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                more => *written += more,
            }
        }
        this.refusal = None;
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.lingering.is_none() {
            ready!(Pin::new(&mut this.stream).poll_shutdown(cx))?;
        }
        let (timer, left) = this
            .lingering
            .get_or_insert_with(|| (Box::pin(tokio::time::sleep(LINGER)), LINGER_BYTES));
        let mut space = [0; 4096];
        while *left > 0 && timer.as_mut().poll(cx).is_pending() {
            let mut buffer = ReadBuf::new(&mut space);
            ready!(Pin::new(&mut this.stream).poll_read(cx, &mut buffer))?;
            match buffer.filled().len() {
                0 => break,
                more => *left = left.saturating_sub(more),
            }
        }
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    async fn pair() -> (Transport, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap());
        let (accepted, client) = tokio::join!(listener.accept(), client);
        (Transport::new(accepted.unwrap().0), client.unwrap())
    }

    #[tokio::test]
    async fn it_reads_on_until_the_peer_ends() {
        let (mut transport, mut client) = pair().await;
        client.write_all(b"still sending").await.unwrap();
        let mut cx = Context::from_waker(std::task::Waker::noop());
        let first = Pin::new(&mut transport).poll_shutdown(&mut cx);
        assert!(first.is_pending(), "gone while the peer still sends");
        let mut rest = Vec::new();
        client.read_to_end(&mut rest).await.unwrap();
        client.write_all(b"and more").await.unwrap();
        drop(client);
        transport.shutdown().await.unwrap();
    }

    #[tokio::test]
    async fn it_does_not_read_on_for_ever() {
        let (mut transport, mut client) = pair().await;
        let flood =
            tokio::spawn(async move { while client.write_all(&[0; 4096]).await.is_ok() {} });
        transport.shutdown().await.unwrap();
        drop(transport);
        flood.await.unwrap();
    }

    #[test]
    fn only_what_hyper_made_up_is_replaced() {
        let bare = b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\ndate: x\r\n\r\n";
        let answer = String::from_utf8(spoken(bare).unwrap()).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(&format!("content-length: {}\r\n", body.len())));
        let body: serde_json::Value = serde_json::from_str(body).unwrap();
        assert_eq!(body["status"], 431);
        for other in [
            &b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"[..],
            b"HTTP/1.1 400 Bad Request\r\ncontent-length: 10\r\n\r\n",
            b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\nHTTP/1.1 200 OK",
            b"HTTP/1.1 4",
            b"",
        ] {
            assert!(spoken(other).is_none());
        }
    }
}
