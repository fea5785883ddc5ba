//! Pairs of users, both connected. Each sender waits for the echo of its message before it sends the next, as a person would:
//! so many messages are under way at any time as there are pairs, and each of them is durable before its echo.

use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::machine::Meter;
use crate::options::{Bare, Cores, Pairs, To};
use crate::report::Report;
use crate::server::Server;
use crate::sockets::Sockets;
use crate::window::{Window, ratio, summary};
use crate::{Outcome, disk, http, machine, ws};

/// How long what is under way may take when a round ends.
const PATIENCE: Duration = Duration::from_secs(10);
/// What comes before the rounds, and is not counted.
const WARM_UP: Duration = Duration::from_millis(500);
/// How long the disk is measured before each round.
const DISK: Duration = Duration::from_millis(600);
/// Latencies kept of one round.
const LATENCIES: usize = 4_000_000;

/// The sockets of pairs: even ones send, odd ones receive.
struct Lane {
    sockets: Sockets,
    /// What each sender sends.
    posts: Vec<Vec<u8>>,
    pid: u32,
}

impl Lane {
    /// Sends and counts for a time, then waits until all that was sent has arrived on both sides.
    fn round(&mut self, time: Duration) -> Outcome<Window> {
        let pairs = self.posts.len();
        let mut window = Window::default();
        let (mut sent, mut got) = (vec![0_u64; pairs], vec![0_u64; 2 * pairs]);
        let (reads, messages) = (self.sockets.reads, self.sockets.messages);
        let meter = Meter::start(self.pid)?;
        let began = Instant::now();
        let mut sent_at = vec![began; pairs];
        for pair in 0..pairs {
            sent[pair] += 1;
            sent_at[pair] = Instant::now();
            self.sockets.send(2 * pair, &self.posts[pair])?;
        }
        let mut open = true;
        loop {
            let posts = &self.posts;
            self.sockets
                .turn(Duration::from_millis(100), |socket, count| {
                    got[socket] += count;
                    let pair = socket / 2;
                    if !open || socket % 2 == 1 {
                        return None;
                    }
                    let now = Instant::now();
                    let took = now.duration_since(sent_at[pair]).as_micros();
                    window.count += count;
                    if window.latencies.len() < LATENCIES {
                        window
                            .latencies
                            .push(u32::try_from(took).unwrap_or(u32::MAX));
                    }
                    sent[pair] += 1;
                    sent_at[pair] = now;
                    Some(&posts[pair])
                })?;
            let passed = began.elapsed();
            if open && passed >= time {
                open = false;
                window.cost = meter.stop()?;
                let reads = self.sockets.reads - reads;
                window.frames_a_read = (self.sockets.messages - messages) as f64 / reads as f64;
            }
            let missing = || (0..2 * pairs).find(|socket| got[*socket] != sent[socket / 2]);
            if !open && missing().is_none() {
                return Ok(window);
            }
            if passed > time + PATIENCE {
                let socket = missing().unwrap_or_default();
                let (got, sent) = (got[socket], sent[socket / 2]);
                return Err(format!("socket {socket} got {got} messages of {sent}").into());
            }
        }
    }
}

/// The workload `pairs`.
pub(crate) fn run(options: &Pairs, cores: Cores) -> Outcome<Report> {
    let pairs = usize::try_from(options.pairs)?;
    machine::allow_files(5 * options.pairs + 200)?;
    let server = Server::chat(&options.which, 2 * pairs, cores, false)?;
    let (mut chat, payload) = chat(&server, pairs, options.bytes)?;
    let to = To::Pair;
    let bare = Server::bare(&Bare { to, payload }, cores)?;
    let mut floor = Lane {
        sockets: Sockets::new(ws::open(bare.address, &vec!["/".to_owned(); 2 * pairs])?)?,
        posts: chat.posts.clone(),
        pid: bare.pid,
    };
    let time = Duration::from_secs(options.rounds.seconds);
    floor.round(WARM_UP)?;
    chat.round(WARM_UP)?;
    let (mut floors, mut chats, mut disks) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..options.rounds.rounds {
        // The floor needs no more time: it has no pauses to average over.
        floors.push(floor.round(time / 2)?);
        if let Some(folder) = &server.folder {
            disks.push(disk::floor(folder, DISK)?);
        }
        chats.push(chat.round(time)?);
    }
    let stored = if server.folder.is_some() {
        "SQLite"
    } else {
        "a store of its own"
    };
    let text = options.bytes;
    let setting = format!("{pairs} pairs, {text} bytes of text, {payload} on the wire, {stored}");
    let mut report = Report::new("pairs", &setting);
    report.ratio = Some(ratio(&chats, &floors));
    report.floor = Some(summary(&mut floors));
    report.server = Some(summary(&mut chats));
    report.disk = (!disks.is_empty()).then(|| disk::middle(&disks));
    Ok(report)
}

/// Users, sockets and conversations; and how many bytes a message frame has.
fn chat(server: &Server, pairs: usize, bytes: u64) -> Outcome<(Lane, usize)> {
    let accounts = http::accounts(server.address, 2 * pairs)?;
    let paths: Vec<String> = accounts
        .iter()
        .map(|account| format!("/ws/{}", account.token))
        .collect();
    let mut streams = ws::open(server.address, &paths)?;
    let (mut posts, mut payload) = (Vec::with_capacity(pairs), 0);
    for (pair, users) in accounts.chunks_exact(2).enumerate() {
        let post = ws::post(Some(users[1].id), None, bytes);
        std::io::Write::write_all(&mut streams[2 * pair], &post)?;
        let conversation = conversation(&mut streams[2 * pair], &mut payload)?;
        conversation_of_both(&mut streams[2 * pair + 1], conversation, &mut payload)?;
        posts.push(ws::post(Some(users[1].id), Some(conversation), bytes));
    }
    let sockets = Sockets::new(streams)?;
    let pid = server.pid;
    Ok((
        Lane {
            sockets,
            posts,
            pid,
        },
        payload,
    ))
}

/// The conversation of the first message that arrives.
fn conversation(stream: &mut TcpStream, payload: &mut usize) -> Outcome<u64> {
    let text = ws::next_text(stream)?;
    *payload = text.len();
    let frame: Value = serde_json::from_slice(&text)?;
    let refused = || format!("the first message came to nothing: {}", frame["detail"]).into();
    frame["conversation_id"].as_u64().ok_or_else(refused)
}

fn conversation_of_both(stream: &mut TcpStream, wanted: u64, payload: &mut usize) -> Outcome<()> {
    if conversation(stream, payload)? == wanted {
        return Ok(());
    }
    Err("the two sides of a pair got different conversations".into())
}
