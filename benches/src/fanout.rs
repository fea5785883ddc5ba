//! One room, one sender, many receivers.
//!
//! The loader is *strict*: a message is under way until every receiver has it, and what the window allows is sent in one
//! write. (Were only the number of deliveries limited, sockets would drift apart, and figures of different servers could not
//! be compared.) The loop is closed: latencies are those of a sender who waits.

use std::time::{Duration, Instant};

use crate::beside::Beside;
use crate::layers::{Layers, Perf};
use crate::machine::Meter;
use crate::options::{Cores, Fanout, Scene};
use crate::progress::Progress;
use crate::report::Report;
use crate::server::Server;
use crate::sockets::{Heard, Sockets};
use crate::window::Window;
use crate::wire::{Post, Wire, instead_of_mark, place, read_mark};
use crate::ws::Door;
use crate::{Outcome, beside, machine};

/// How long a message may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// What comes before the rounds, and is not counted.
const WARM_UP: Duration = Duration::from_millis(500);
/// More messages than can be under way; a power of two.
const RING: usize = 128;
/// How often each receiver marks as read.
const MARKED_EVERY: Duration = Duration::from_secs(1);

/// Read marks of all sockets in turn.
struct Marks {
    /// The server's conversation, and the head of its log before this lane's first message.
    log: Option<(u64, u64)>,
    next: Instant,
    socket: usize,
}

/// The sockets of one room; the first one sends.
struct Lane {
    name: &'static str,
    sockets: Sockets,
    post: Post,
    marks: Marks,
    pid: u32,
    /// Ends with the lane.
    beside: Option<Beside>,
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
    fn new(name: &'static str, sockets: Sockets, post: Post, pid: u32) -> Self {
        Self {
            name,
            has: vec![0; sockets.len()],
            sockets,
            post,
            marks: Marks {
                log: None,
                next: Instant::now(),
                socket: 0,
            },
            pid,
            beside: None,
            sent: 0,
            complete: 0,
            reached: [0; RING],
            since: [Instant::now(); RING],
        }
    }

    /// Sends and counts for a time, then waits until everybody has everything.
    fn round(&mut self, outstanding: u64, time: Duration) -> Outcome<Window> {
        let mut window = Window::new()?;
        let (reads, messages) = (self.sockets.reads, self.sockets.messages);
        let (meter, idle) = (Meter::start(self.pid)?, self.sockets.idle);
        let began = Instant::now();
        self.marks.next = began;
        let (mut open, mut moved) = (true, began);
        loop {
            if open && self.sent < self.complete + outstanding {
                self.refill(outstanding)?;
            }
            let before = self.complete;
            self.turn(&mut window)?;
            let now = Instant::now();
            if self.complete > before {
                moved = now;
            }
            if open {
                self.mark(now)?;
            }
            if open && now.duration_since(began) >= time {
                open = false;
                window.cost = meter.stop(self.sockets.idle - idle)?;
                window.count = self.sockets.messages - messages;
                window.frames_a_read = window.count as f64 / (self.sockets.reads - reads) as f64;
            }
            if !open && self.complete == self.sent {
                return Ok(window);
            }
            if now.duration_since(moved) > PATIENCE {
                let (late, name) = (self.complete + 1, self.name);
                let count = self.reached[late as usize % RING];
                let all = self.has.len();
                return Err(format!("{name}: message {late} reached {count} of {all}").into());
            }
        }
    }

    fn refill(&mut self, outstanding: u64) -> Outcome<()> {
        let now = Instant::now();
        let mut frames = Vec::new();
        while self.sent < self.complete + outstanding {
            self.sent += 1;
            self.since[self.sent as usize % RING] = now;
            frames.extend_from_slice(self.post.next());
        }
        self.sockets.send(0, &frames)
    }

    fn mark(&mut self, now: Instant) -> Outcome<()> {
        let marks = &mut self.marks;
        let every = MARKED_EVERY / u32::try_from(self.has.len())?;
        while marks.next <= now {
            let frame = match marks.log {
                Some((conversation, head)) => {
                    read_mark(conversation, head + self.has[marks.socket])
                }
                None => instead_of_mark(self.sockets.wire),
            };
            self.sockets.send(marks.socket, &frame)?;
            marks.socket = (marks.socket + 1) % self.has.len();
            marks.next += every;
        }
        Ok(())
    }

    fn turn(&mut self, window: &mut Window) -> Outcome<()> {
        let Self { has, reached, .. } = self;
        let next = self.marks.next;
        let wait = next.saturating_duration_since(Instant::now());
        self.sockets.turn(wait, |socket, heard| {
            if let Heard::Message(_) = heard {
                has[socket] += 1;
                reached[has[socket] as usize % RING] += 1;
            }
            None
        })?;
        loop {
            let next = (self.complete + 1) as usize % RING;
            if self.reached[next] < self.has.len() {
                return Ok(());
            }
            self.reached[next] = 0;
            self.complete += 1;
            window.took(self.since[next].elapsed());
        }
    }
}

/// The workload `fanout`.
pub(crate) fn run(options: &Fanout, cores: Cores) -> Outcome<Vec<Report>> {
    let receivers = options.receivers;
    let others = options.floors.len() + options.peers.peers.len();
    machine::allow_files((1 + others as u64) * receivers + 200)?;
    let store = options.keeps.store.as_ref();
    let server = Server::host(Scene::Room, receivers, store, cores)?;
    let (mut lanes, payload) = lanes(&server, options, cores)?;
    let values = &options.outstanding;
    let (rounds, time) = (
        options.rounds.rounds,
        Duration::from_secs(options.rounds.seconds),
    );
    let progress = Progress::new(values.len() * rounds as usize * lanes.len())?;
    let mut reports = Vec::new();
    for &outstanding in values {
        let mut layers = Layers::default();
        let mut windows: Vec<Vec<Window>> = lanes.iter().map(|_| Vec::new()).collect();
        for lane in &mut lanes {
            lane.round(outstanding, WARM_UP)?;
        }
        for _ in 0..rounds {
            for (lane, windows) in lanes.iter_mut().zip(&mut windows) {
                progress.step(&format!("{outstanding} outstanding: {}", lane.name));
                let watch = match &options.perf {
                    Some(file) if lane.beside.is_none() => Some(Perf::start(lane.pid, file)?),
                    _ => None,
                };
                windows.push(lane.round(outstanding, time)?);
                if let Some(perf) = watch {
                    perf.stop(&mut layers)?;
                }
            }
        }
        let (text, kept) = (options.bytes, server.kept());
        let setting = format!(
            "{receivers} receivers, {outstanding} outstanding, {text} bytes of text, {payload} on the wire, {kept}"
        );
        let mut report = Report::new("fanout", &setting);
        let ours = windows.pop().unwrap_or_default();
        let names = lanes.iter().map(|lane| lane.name);
        report.rounds("deliveries", &ours, &names.zip(windows).collect::<Vec<_>>());
        report.layers = layers.shares();
        reports.push(report);
    }
    Ok(reports)
}

/// Floors and peers, the server last; and the bytes of a delivery.
fn lanes(server: &Server, options: &Fanout, cores: Cores) -> Outcome<(Vec<Lane>, usize)> {
    let &[(conversation, _)] = &server.groups()?[..] else {
        return Err("the server did not say its one group".into());
    };
    let paths: Vec<String> = (0..options.receivers)
        .map(|user| format!("/ws/{user}"))
        .collect();
    let (address, native) = (server.address, true);
    let mut streams = Door { address, native }.open(0, &paths)?;
    // One message before all others, to learn its length.
    let mut post = Post::native(conversation, 0, options.bytes)?;
    std::io::Write::write_all(&mut streams[0], post.next())?;
    let mut event = Vec::new();
    for stream in &mut streams {
        event = Wire::Native.wait_for_message(stream)?;
    }
    let payload = event.len();
    let head = place(&event).ok_or("an event is not as expected")?.seq;
    let sockets = Sockets::new(Wire::Native, streams)?;
    let mut chat = Lane::new("server", sockets, post, server.pid);
    chat.marks.log = Some((conversation, head));
    let mut lanes = Vec::new();
    for beside in beside::start(&options.floors, payload, &options.peers.peers, cores)? {
        let sockets = beside.open(&vec![vec![0]; paths.len()])?;
        let post = Post::to_room(beside.wire, 0, payload);
        let pid = beside.server.pid;
        let mut lane = Lane::new(beside.name, sockets, post, pid);
        lane.beside = Some(beside);
        lanes.push(lane);
    }
    lanes.push(chat);
    Ok((lanes, payload))
}
