//! One group, one sender, many receivers.
//!
//! The loader is *strict*: a message is under way until every receiver has it, and what the window allows is sent in one
//! write. (Were only the number of deliveries limited, sockets would drift apart, and figures of different servers could not
//! be compared.)
//!
//! Groups are no part of the documented API: the server is this program itself, a chat with one group over the same parts.

use std::time::{Duration, Instant};

use crate::machine::Meter;
use crate::options::{Bare, Cores, Fanout, To};
use crate::report::Report;
use crate::server::Server;
use crate::sockets::Sockets;
use crate::window::{Window, ratio, summary};
use crate::{Outcome, machine, ws};

/// How long a message may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// What comes before the rounds, and is not counted.
const WARM_UP: Duration = Duration::from_millis(500);
/// More messages than can be under way; a power of two.
const RING: usize = 128;

/// The sockets of one group; the first one sends.
struct Lane {
    sockets: Sockets,
    post: Vec<u8>,
    outstanding: u64,
    pid: u32,
    /// Messages sent so far, and those that every receiver has.
    sent: u64,
    complete: u64,
    /// Messages that each socket has.
    has: Vec<u64>,
    /// How many sockets have each message that is under way, and since when it is.
    reached: [usize; RING],
    since: [Instant; RING],
}

impl Lane {
    fn new(sockets: Sockets, post: Vec<u8>, outstanding: u64, pid: u32) -> Self {
        Self {
            has: vec![0; sockets.len()],
            sockets,
            post,
            outstanding,
            pid,
            sent: 0,
            complete: 0,
            reached: [0; RING],
            since: [Instant::now(); RING],
        }
    }

    /// Sends and counts for a time, then waits until everybody has everything.
    fn round(&mut self, time: Duration) -> Outcome<Window> {
        let mut window = Window::default();
        let (reads, messages) = (self.sockets.reads, self.sockets.messages);
        let meter = Meter::start(self.pid)?;
        let began = Instant::now();
        let (mut open, mut moved) = (true, began);
        loop {
            if open && self.sent < self.complete + self.outstanding {
                self.refill()?;
            }
            let before = self.complete;
            self.turn(&mut window)?;
            let now = Instant::now();
            if self.complete > before {
                moved = now;
            }
            if open && now.duration_since(began) >= time {
                open = false;
                window.cost = meter.stop()?;
                window.count = self.sockets.messages - messages;
                window.frames_a_read = window.count as f64 / (self.sockets.reads - reads) as f64;
            }
            if !open && self.complete == self.sent {
                return Ok(window);
            }
            if now.duration_since(moved) > PATIENCE {
                let late = self.complete + 1;
                let count = self.reached[late as usize % RING];
                let all = self.has.len();
                return Err(format!("message {late} reached {count} of {all} receivers").into());
            }
        }
    }

    fn refill(&mut self) -> Outcome<()> {
        let now = Instant::now();
        let first = self.sent + 1;
        self.sent = self.complete + self.outstanding;
        for message in first..=self.sent {
            self.since[message as usize % RING] = now;
        }
        let count = self.sent + 1 - first;
        self.sockets.send(0, &self.post.repeat(count as usize))
    }

    fn turn(&mut self, window: &mut Window) -> Outcome<()> {
        let Self { has, reached, .. } = self;
        self.sockets
            .turn(Duration::from_millis(100), |socket, count| {
                for message in has[socket] + 1..=has[socket] + count {
                    reached[message as usize % RING] += 1;
                }
                has[socket] += count;
                None
            })?;
        loop {
            let next = (self.complete + 1) as usize % RING;
            if self.reached[next] < self.has.len() {
                return Ok(());
            }
            self.reached[next] = 0;
            self.complete += 1;
            let took = self.since[next].elapsed().as_micros();
            window
                .latencies
                .push(u32::try_from(took).unwrap_or(u32::MAX));
        }
    }
}

/// The workload `fanout`.
pub(crate) fn run(options: &Fanout, cores: Cores) -> Outcome<Report> {
    let receivers = options.receivers;
    machine::allow_files(2 * receivers + 200)?;
    let server = Server::group(receivers, &options.store, cores)?;
    let conversation = server.said.first().and_then(|word| word.parse().ok());
    let conversation = conversation.ok_or("the server did not say its conversation")?;
    let paths: Vec<String> = (0..receivers)
        .map(|member| format!("/ws/{member}"))
        .collect();
    let mut streams = ws::open(server.address, &paths)?;
    // One message before all others, to learn its length.
    let post = ws::post(None, Some(conversation), options.bytes);
    std::io::Write::write_all(&mut streams[0], &post)?;
    let mut payload = 0;
    for stream in &mut streams {
        payload = ws::next_text(stream)?.len();
    }
    let outstanding = options.outstanding;
    let mut chat = Lane::new(
        Sockets::new(streams)?,
        post.clone(),
        outstanding,
        server.pid,
    );
    let to = To::All;
    let bare = Server::bare(&Bare { to, payload }, cores)?;
    let streams = ws::open(bare.address, &vec!["/".to_owned(); paths.len()])?;
    let mut floor = Lane::new(Sockets::new(streams)?, post, outstanding, bare.pid);
    floor.round(WARM_UP)?;
    chat.round(WARM_UP)?;
    let time = Duration::from_secs(options.rounds.seconds);
    let (mut floors, mut chats) = (Vec::new(), Vec::new());
    for _ in 0..options.rounds.rounds {
        floors.push(floor.round(time)?);
        chats.push(chat.round(time)?);
    }
    let (text, store) = (
        options.bytes,
        if server.folder.is_some() {
            "SQLite"
        } else {
            "memory"
        },
    );
    let setting = format!(
        "{receivers} receivers, {outstanding} outstanding (strict loader), {text} bytes of text, {payload} on the wire, {store}"
    );
    let mut report = Report::new("fanout", &setting);
    report.ratio = Some(ratio(&chats, &floors));
    report.floor = Some(summary(&mut floors));
    report.server = Some(summary(&mut chats));
    Ok(report)
}
