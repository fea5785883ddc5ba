//! Pairs of users, both connected. Each sender waits for the echo of its message before it sends the next, as a person would:
//! so many messages are under way at any time as there are pairs, and each of them is durable before its echo.

use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::beside::Beside;
use crate::machine::Meter;
use crate::options::{Cores, How, Pairs};
use crate::progress::Progress;
use crate::report::Report;
use crate::server::Server;
use crate::sockets::{Heard, Sockets};
use crate::window::Window;
use crate::wire::{Post, Wire};
use crate::ws::Door;
use crate::{Outcome, beside, disk, http, machine};

/// How long what is under way may take when a round ends.
const PATIENCE: Duration = Duration::from_secs(10);
/// What comes before the rounds, and is not counted.
const WARM_UP: Duration = Duration::from_millis(500);
/// How long the disk is measured before each round.
const DISK: Duration = Duration::from_millis(600);

/// The sockets of pairs: even ones send, odd ones receive.
struct Lane {
    name: &'static str,
    sockets: Sockets,
    /// What each sender sends.
    posts: Vec<Vec<u8>>,
    pid: u32,
    /// Ends with the lane.
    _beside: Option<Beside>,
}

impl Lane {
    /// Sends and counts for a time, then waits until all that was sent has arrived on both sides.
    fn round(&mut self, time: Duration) -> Outcome<Window> {
        let pairs = self.posts.len();
        let mut window = Window::new()?;
        let (mut sent, mut got) = (vec![0_u64; pairs], vec![0_u64; 2 * pairs]);
        let (reads, messages) = (self.sockets.reads, self.sockets.messages);
        let (meter, idle) = (Meter::start(self.pid)?, self.sockets.idle);
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
                .turn(Duration::from_millis(100), |socket, heard| {
                    let Heard::Message(_) = heard else {
                        return None;
                    };
                    got[socket] += 1;
                    let pair = socket / 2;
                    if !open || socket % 2 == 1 {
                        return None;
                    }
                    let now = Instant::now();
                    window.count += 1;
                    window.took(now.duration_since(sent_at[pair]));
                    sent[pair] += 1;
                    sent_at[pair] = now;
                    Some(&posts[pair])
                })?;
            let passed = began.elapsed();
            if open && passed >= time {
                open = false;
                window.cost = meter.stop(self.sockets.idle - idle)?;
                let reads = self.sockets.reads - reads;
                window.frames_a_read = (self.sockets.messages - messages) as f64 / reads as f64;
            }
            let missing = || (0..2 * pairs).find(|socket| got[*socket] != sent[socket / 2]);
            if !open && missing().is_none() {
                return Ok(window);
            }
            if passed > time + PATIENCE {
                let socket = missing().unwrap_or_default();
                let (got, sent, name) = (got[socket], sent[socket / 2], self.name);
                return Err(format!("{name}: socket {socket} got {got} of {sent}").into());
            }
        }
    }
}

/// The workload `pairs`.
pub(crate) fn run(options: &Pairs, cores: Cores) -> Outcome<Report> {
    let pairs = usize::try_from(options.pairs)?;
    machine::allow_files((8 + 2 * options.peers.peers.len() as u64) * options.pairs + 200)?;
    let server = Server::chat(&options.which, 2 * pairs, cores)?;
    let (chat, payload) = chat(&server, pairs, options.bytes)?;
    let rooms: Vec<Vec<usize>> = (0..2 * pairs).map(|socket| vec![socket / 2]).collect();
    let mut lanes = Vec::new();
    for beside in beside::start(
        &[How::Coalesced, How::Task],
        payload,
        &options.peers.peers,
        cores,
    )? {
        let posts =
            (0..pairs).map(|room| Post::to_room(beside.wire, room, payload).next().to_vec());
        lanes.push(Lane {
            name: beside.name,
            sockets: beside.open(&rooms)?,
            posts: posts.collect(),
            pid: beside.server.pid,
            _beside: Some(beside),
        });
    }
    lanes.push(chat);
    for lane in &mut lanes {
        lane.round(WARM_UP)?;
    }
    let (rounds, time) = (
        options.rounds.rounds,
        Duration::from_secs(options.rounds.seconds),
    );
    let progress = Progress::new(rounds as usize * lanes.len())?;
    let mut windows: Vec<Vec<Window>> = lanes.iter().map(|_| Vec::new()).collect();
    let mut disks = Vec::new();
    for _ in 0..rounds {
        if let Some(folder) = &server.folder {
            disks.push(disk::floor(folder, DISK)?);
        }
        for (lane, windows) in lanes.iter_mut().zip(&mut windows) {
            progress.step(lane.name);
            windows.push(lane.round(time)?);
        }
    }
    let (text, kept) = (options.bytes, server.kept());
    let setting = format!("{pairs} pairs, {text} bytes of text, {payload} on the wire, {kept}");
    let mut report = Report::new("pairs", &setting);
    let ours = windows.pop().unwrap_or_default();
    let names = lanes.iter().map(|lane| lane.name);
    report.rounds("messages", &ours, &names.zip(windows).collect::<Vec<_>>());
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
    let (address, native) = (server.address, false);
    let mut streams = Door { address, native }.open(0, &paths)?;
    let (mut posts, mut payload) = (Vec::with_capacity(pairs), 0);
    for (pair, users) in accounts.chunks_exact(2).enumerate() {
        let mut post = Post::basic(users[1].id, None, bytes);
        std::io::Write::write_all(&mut streams[2 * pair], post.next())?;
        let conversation = conversation(&mut streams[2 * pair], &mut payload)?;
        conversation_of_both(&mut streams[2 * pair + 1], conversation, &mut payload)?;
        let mut post = Post::basic(users[1].id, Some(conversation), bytes);
        posts.push(post.next().to_vec());
    }
    let lane = Lane {
        name: "server",
        sockets: Sockets::new(Wire::Basic, streams)?,
        posts,
        pid: server.pid,
        _beside: None,
    };
    Ok((lane, payload))
}

/// The conversation of the first message that arrives.
fn conversation(stream: &mut TcpStream, payload: &mut usize) -> Outcome<u64> {
    let text = Wire::Basic.wait_for_message(stream)?;
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
