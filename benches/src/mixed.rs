//! Groups of all sizes, and what people do besides writing: they type, mark as read, and lose their network.
//!
//! The load is *open*: messages are sent when they are due, whether or not the server keeps up, and a delivery's latency counts
//! from when its message was due. So a server that stalls pays for all who would have written meanwhile (no coordinated omission).

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::beside::Beside;
use crate::machine::Meter;
use crate::options::{Cores, How, Mixed, Scene};
use crate::progress::Progress;
use crate::report::Report;
use crate::scene::Chance;
use crate::server::Server;
use crate::sockets::{Heard, Sockets};
use crate::town::Town;
use crate::window::{Window, median};
use crate::wire::{self, Post, Wire};
use crate::ws::Door;
use crate::{Outcome, beside, machine};

/// Bytes of a message's text.
const TEXT: u64 = 128;
/// How long messages may take that are under way when a round ends.
const PATIENCE: Duration = Duration::from_secs(20);
/// How often each user marks as read.
const MARKED_EVERY: Duration = Duration::from_secs(1);
/// Who types writes so many messages later: not at once, when one write could tell both.
const AHEAD: usize = 500;
/// Messages under way while the highest rate is measured.
const OUTSTANDING: usize = 64;

/// How fast messages come.
#[derive(Clone, Copy)]
enum Pace {
    /// So many under way.
    Closed(usize),
    /// One each time that has passed.
    Open(Duration),
}

/// The users' sockets.
struct Lane {
    name: &'static str,
    sockets: Sockets,
    /// One for each group.
    posts: Vec<Post>,
    town: Town,
    pid: u32,
    /// Reconnects go here, on the server.
    door: Option<Door>,
    reconnects: u64,
    chance: Chance,
    /// The number of the next message.
    number: u64,
    /// Who writes the next ones where, the first one first.
    writers: VecDeque<(usize, usize)>,
    /// Who sent what did not come back yet.
    waiting: HashMap<u64, usize>,
    /// Ends with the lane.
    _beside: Option<Beside>,
}

impl Lane {
    fn round(&mut self, pace: Pace, time: Duration) -> Outcome<(Window, u64)> {
        let mut window = Window::new()?;
        let (reads, messages, first) = (self.sockets.reads, self.sockets.messages, self.number);
        let (meter, idle) = (Meter::start(self.pid)?, self.sockets.idle);
        let began = Instant::now();
        let (mut marked, mut marks, mut broken) = (began, 0, 0);
        let mark_every = MARKED_EVERY / u32::try_from(self.sockets.len())?;
        let mut open = true;
        loop {
            let passed = began.elapsed();
            if open && passed >= time {
                open = false;
                window.cost = meter.stop(self.sockets.idle - idle)?;
                window.count = self.sockets.messages - messages;
                window.frames_a_read = window.count as f64 / (self.sockets.reads - reads) as f64;
            }
            if !open && self.waiting.is_empty() {
                return Ok((window, self.number - first));
            }
            if passed > time + PATIENCE {
                let (count, name) = (self.waiting.len(), self.name);
                return Err(format!("{name}: {count} messages did not come back").into());
            }
            let mut wait = Duration::from_millis(5);
            if open {
                let due = |pace: Pace, sent: u64| match pace {
                    Pace::Closed(_) => began,
                    Pace::Open(every) => began + every.mul_f64(sent as f64),
                };
                let is_due = |lane: &Self| match pace {
                    Pace::Closed(most) => lane.waiting.len() < most,
                    Pace::Open(_) => due(pace, lane.number - first) <= Instant::now(),
                };
                while is_due(self) {
                    self.post()?;
                }
                if let Pace::Open(_) = pace {
                    let next = due(pace, self.number - first);
                    wait = wait.min(next.saturating_duration_since(Instant::now()));
                }
                while marked <= Instant::now() {
                    self.mark(marks)?;
                    marks += 1;
                    marked += mark_every;
                }
                if passed.as_secs_f64() * self.reconnects as f64 > broken as f64 {
                    self.break_one()?;
                    broken += 1;
                }
            }
            let every = match pace {
                Pace::Closed(_) => Duration::ZERO,
                Pace::Open(every) => every,
            };
            self.turn(wait, |number| {
                if every > Duration::ZERO && number >= first {
                    let due = began + every.mul_f64((number - first) as f64);
                    window.took(due.elapsed());
                }
            })?;
        }
    }

    fn turn(&mut self, wait: Duration, mut arrived: impl FnMut(u64)) -> Outcome<()> {
        let Self { town, waiting, .. } = self;
        let is_server = self.door.is_some();
        let mut back = Vec::new();
        self.sockets.turn(wait, |user, heard| {
            match heard {
                Heard::Open => back.push(user),
                Heard::Message(message) => {
                    let number = if is_server {
                        town.got(user, message)
                    } else {
                        // Room, then number.
                        message.get(10..).and_then(wire::number)
                    };
                    if let Some(number) = number {
                        arrived(number as u64);
                        if waiting.get(&(number as u64)) == Some(&user) {
                            waiting.remove(&(number as u64));
                        }
                    }
                }
                Heard::Other(_) => {}
            }
            None
        })?;
        for user in back {
            let resume = self.town.resume(user);
            self.sockets.send(user, &resume)?;
        }
        Ok(())
    }

    /// A member of any group writes; half of those who write later begin to type.
    fn post(&mut self) -> Outcome<()> {
        let writer = loop {
            let group = self.chance.between(0, self.town.groups.len() - 1);
            let members = &self.town.groups[group];
            let user = members[self.chance.between(0, members.len() - 1)];
            if self.door.is_some() && self.chance.between(0, 1) == 0 {
                let conversation = self.town.conversations[group];
                let body = json!({ "conversation": conversation, "kind": "typing" });
                self.sockets.send(user, &wire::native("signal", body))?;
            }
            self.writers.push_back((group, user));
            if self.writers.len() > AHEAD
                && let Some(writer) = self.writers.pop_front()
            {
                break writer;
            }
        };
        let (group, user) = writer;
        self.waiting.insert(self.number, user);
        let frame = self.posts[group].numbered(self.number);
        self.sockets.send(user, frame)?;
        self.number += 1;
        Ok(())
    }

    fn mark(&mut self, turn: usize) -> Outcome<()> {
        let user = turn % self.sockets.len();
        if self.door.is_none() {
            let frame = wire::instead_of_mark(self.sockets.wire);
            return self.sockets.send(user, &frame);
        }
        match self.town.last[user] {
            Some((conversation, seq)) => {
                self.sockets.send(user, &wire::read_mark(conversation, seq))
            }
            None => Ok(()),
        }
    }

    /// Somebody without a message under way loses the network and comes back at once.
    fn break_one(&mut self) -> Outcome<()> {
        let user = self.chance.between(0, self.sockets.len() - 1);
        let is_busy = self.waiting.values().any(|sender| *sender == user);
        if let (Some(door), false) = (self.door, is_busy) {
            self.sockets.hang_up(user);
            let stream = door.knock(user, &format!("/ws/{user}"))?;
            self.sockets.replace(user, stream)?;
        }
        Ok(())
    }
}

/// The workload `mixed`.
pub(crate) fn run(options: &Mixed, cores: Cores) -> Outcome<Report> {
    let users = usize::try_from(options.users)?;
    machine::allow_files(3 * options.users + 200)?;
    let store = options.keeps.store.as_ref();
    let server = Server::host(Scene::Town, options.users, store, cores)?;
    let (mut floor, mut chat) = lanes(&server, options, cores)?;
    let (rounds, time) = (
        options.rounds.rounds,
        Duration::from_secs(options.rounds.seconds),
    );
    let progress = Progress::new(1 + 2 * rounds as usize)?;
    progress.step("the highest rate");
    let (highest, rate) = match options.rate {
        Some(rate) => (None, rate),
        None => {
            let second = Duration::from_secs(1);
            chat.round(Pace::Closed(OUTSTANDING), second)?;
            let mut rates = Vec::new();
            for _ in 0..3 {
                let (window, sent) = chat.round(Pace::Closed(OUTSTANDING), time.min(2 * second))?;
                rates.push(sent as f64 / window.cost.seconds);
            }
            let highest = median(rates);
            (Some(highest), (highest / 2.0).max(1.0) as u64)
        }
    };
    let pace = Pace::Open(Duration::from_secs(1).div_f64(rate as f64));
    let (mut floors, mut chats) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        progress.step("floor");
        floors.push(floor.round(pace, time)?.0);
        progress.step("server");
        chats.push(chat.round(pace, time)?.0);
    }
    let (groups, kept) = (chat.town.groups.len(), server.kept());
    let half = highest.map_or_else(String::new, |highest| {
        format!(", half of the highest {highest:.0}")
    });
    let reconnects = options.reconnects;
    let setting = format!(
        "{users} users, {groups} groups of 2 to {}, {rate} messages/s{half}, {reconnects} reconnects/s, {kept}; latencies from when \
         a message was due",
        users.min(5_000)
    );
    let mut report = Report::new("mixed", &setting);
    report.rounds("deliveries", &chats, &[(floor.name, floors)]);
    Ok(report)
}

fn lanes(server: &Server, options: &Mixed, cores: Cores) -> Outcome<(Lane, Lane)> {
    let users = usize::try_from(options.users)?;
    let town = Town::new(server, users)?;
    let paths: Vec<String> = (0..users).map(|user| format!("/ws/{user}")).collect();
    let (address, native) = (server.address, true);
    let door = Door { address, native };
    let streams = door.open(0, &paths)?;
    let each = town.conversations.iter().enumerate();
    let posts: Vec<Post> = each
        .map(|(group, &conversation)| Post::native(conversation, group, TEXT))
        .collect::<Outcome<_>>()?;
    let mut chat = Lane {
        name: "server",
        sockets: Sockets::new(Wire::Native, streams)?,
        posts,
        town,
        pid: server.pid,
        door: Some(door),
        reconnects: options.reconnects,
        chance: Chance(1),
        number: 0,
        writers: VecDeque::new(),
        waiting: HashMap::new(),
        _beside: None,
    };
    let payload = payload(&mut chat)?;
    let floors = beside::start(&[How::Coalesced], payload, &[], cores)?;
    let floor = floors.into_iter().next().ok_or("there is no floor")?;
    let town = Town::new(server, users)?;
    let mut rooms = vec![Vec::new(); users];
    for (room, members) in town.groups.iter().enumerate() {
        members.iter().for_each(|member| rooms[*member].push(room));
    }
    let posts = (0..town.groups.len()).map(|room| Post::to_room(floor.wire, room, payload));
    let floor = Lane {
        name: floor.name,
        sockets: floor.open(&rooms)?,
        posts: posts.collect(),
        town,
        pid: floor.server.pid,
        door: None,
        reconnects: 0,
        chance: Chance(1),
        number: 0,
        writers: VecDeque::new(),
        waiting: HashMap::new(),
        _beside: Some(floor),
    };
    Ok((floor, chat))
}

/// One message before all others, to learn its length.
fn payload(chat: &mut Lane) -> Outcome<usize> {
    chat.post()?;
    let (began, mut length) = (Instant::now(), 0);
    while !chat.waiting.is_empty() {
        let Lane {
            sockets,
            town,
            waiting,
            ..
        } = chat;
        sockets.turn(Duration::from_millis(5), |user, heard| {
            if let Heard::Message(message) = heard {
                length = message.len();
                if let Some(number) = town.got(user, message)
                    && waiting.get(&(number as u64)) == Some(&user)
                {
                    waiting.remove(&(number as u64));
                }
            }
            None
        })?;
        if began.elapsed() > PATIENCE {
            return Err("the first message did not come back".into());
        }
    }
    Ok(length)
}
