//! The floor of an async server: a tokio task for each socket, which writes all that is pending at once and holds no buffer
//! while it waits.

use std::io::Read;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

use crate::Outcome;
use crate::bare::{ACCEPT, room, rooms_of};
use crate::ws::{self, Scanner};

/// Bytes of a handshake.
const HEAD: usize = 64 << 10;

#[derive(Default)]
struct Peer {
    pending: AtomicUsize,
    told: Notify,
}

type Rooms = Mutex<Vec<Vec<Arc<Peer>>>>;

/// Serves until this process's input ends.
pub(crate) fn serve(listener: std::net::TcpListener, answer: Vec<u8>) -> Outcome<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let listener = TcpListener::from_std(listener)?;
        let (end, mut ended) = tokio::sync::oneshot::channel();
        std::thread::spawn(move || {
            let _ = std::io::stdin().read_to_end(&mut Vec::new());
            let _: Result<(), ()> = end.send(());
        });
        let (rooms, answer): (Arc<Rooms>, Arc<[u8]>) = (Arc::default(), answer.into());
        loop {
            tokio::select! {
                _ = &mut ended => return Ok(()),
                accepted = listener.accept() => {
                    let (stream, _) = accepted?;
                    let (rooms, answer) = (Arc::clone(&rooms), Arc::clone(&answer));
                    // Who went away is no longer measured.
                    tokio::spawn(async move { socket(stream, &rooms, &answer).await.ok() });
                }
            }
        }
    })
}

async fn socket(mut stream: TcpStream, rooms: &Rooms, answer: &[u8]) -> Outcome<()> {
    stream.set_nodelay(true)?;
    let own = Arc::new(Peer::default());
    {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            stream.readable().await?;
            let mut space = [0; 1024];
            match stream.try_read(&mut space) {
                Ok(read) if read > 0 && head.len() < HEAD => head.extend_from_slice(&space[..read]),
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                _ => return Ok(()),
            }
        }
        let mut all = rooms.lock().unwrap_or_else(PoisonError::into_inner);
        for room in rooms_of(&head) {
            if all.len() <= room {
                all.resize_with(room + 1, Vec::new);
            }
            all[room].push(Arc::clone(&own));
        }
    }
    stream.write_all(ACCEPT).await?;
    let mut scanner = Scanner::default();
    loop {
        tokio::select! {
            ready = stream.readable() => {
                ready?;
                if !take(&stream, &mut scanner, rooms)? {
                    return Ok(());
                }
            }
            () = own.told.notified() => {
                let count = own.pending.swap(0, Ordering::AcqRel);
                stream.write_all(&answer.repeat(count)).await?;
            }
        }
    }
}

/// Reads what is there; whether the socket goes on.
fn take(stream: &TcpStream, scanner: &mut Scanner, rooms: &Rooms) -> Outcome<bool> {
    let mut space = [0; 4096];
    let read = match stream.try_read(&mut space) {
        Ok(0) => return Ok(false),
        Ok(read) => read,
        Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return Ok(true),
        Err(error) => return Err(error.into()),
    };
    scanner.feed(&space[..read], |bytes| {
        let Some((frame, length)) = ws::first_frame(bytes)? else {
            return Ok(None);
        };
        let all = rooms.lock().unwrap_or_else(PoisonError::into_inner);
        for peer in room(&frame)
            .and_then(|room| all.get(room))
            .into_iter()
            .flatten()
        {
            // Who has something pending is told already.
            if peer.pending.fetch_add(1, Ordering::AcqRel) == 0 {
                peer.told.notify_one();
            }
        }
        Ok(Some(length))
    })?;
    Ok(true)
}
