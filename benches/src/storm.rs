//! All sockets are cut at once, as when a proxy restarts, and come back as fast as the server takes them: handshake, login, and
//! every log resumed from its cursor, with what was written meanwhile.

use std::time::{Duration, Instant};

use crate::machine::Meter;
use crate::options::{Cores, How, Scene, Storm};
use crate::progress::Progress;
use crate::report::Report;
use crate::server::Server;
use crate::sockets::{Heard, Sockets};
use crate::town::Town;
use crate::window::Window;
use crate::wire::{Post, Wire};
use crate::ws::Door;
use crate::{Outcome, machine};

/// How long all of it may take.
const PATIENCE: Duration = Duration::from_secs(120);
/// Users who stay connected, to write.
const STAY: usize = 20;
/// Bytes of a message's text.
const TEXT: u64 = 128;
/// Messages under way while the others are away.
const AT_ONCE: u64 = 32;

const LIVE: &[u8] = br#"{"type":"live""#;
const RESYNC: &[u8] = br#"{"type":"resync""#;

struct Lane {
    sockets: Sockets,
    door: Door,
    pid: u32,
    /// With a chat: the logs that each resumes.
    town: Option<Town>,
    /// One for each group that somebody is in who stays, and who.
    posts: Vec<(usize, Post)>,
}

impl Lane {
    fn path(&self, user: usize) -> String {
        match self.town {
            Some(_) => format!("/ws/{user}"),
            None => "/".to_owned(),
        }
    }

    fn round(&mut self, missed: u64, at_once: usize) -> Outcome<Window> {
        let all = self.sockets.len();
        (STAY..all).for_each(|user| self.sockets.hang_up(user));
        self.write(missed)?;
        let mut window = Window::new()?;
        let (meter, idle) = (Meter::start(self.pid)?, self.sockets.idle);
        let began = Instant::now();
        let (mut next, mut done) = (STAY, 0);
        let mut since = vec![began; all];
        // Logs that are not live yet.
        let mut left = vec![0; all];
        while done < all - STAY {
            while next < all && next - STAY - done < at_once {
                since[next] = Instant::now();
                let stream = self.door.knock(next, &self.path(next))?;
                self.sockets.replace(next, stream)?;
                next += 1;
            }
            let Self { sockets, town, .. } = self;
            let mut open = Vec::new();
            sockets.turn(Duration::from_millis(100), |user, heard| {
                let is_back = match (heard, town.as_mut()) {
                    (Heard::Open, None) => true,
                    (Heard::Open, Some(town)) => {
                        open.push(user);
                        left[user] = town.cursors[user].len();
                        false
                    }
                    (Heard::Message(event), Some(town)) => {
                        town.got(user, event);
                        false
                    }
                    (Heard::Other(frame), _)
                        if left[user] > 0
                            && (frame.starts_with(LIVE) || frame.starts_with(RESYNC)) =>
                    {
                        left[user] -= 1;
                        left[user] == 0
                    }
                    _ => false,
                };
                if is_back {
                    done += 1;
                    window.took(since[user].elapsed());
                }
                None
            })?;
            for user in open {
                if let Some(town) = &self.town {
                    let resume = town.resume(user);
                    self.sockets.send(user, &resume)?;
                }
            }
            if began.elapsed() > PATIENCE {
                return Err(format!("{done} of {} sockets came back", all - STAY).into());
            }
        }
        window.cost = meter.stop(self.sockets.idle - idle)?;
        window.count = done as u64;
        Ok(window)
    }

    /// Those who stay write, and wait until all of it is there.
    fn write(&mut self, count: u64) -> Outcome<()> {
        let Self {
            sockets,
            town,
            posts,
            ..
        } = self;
        let (Some(town), false) = (town, posts.is_empty()) else {
            return Ok(());
        };
        let (mut sent, mut back, began) = (0, 0, Instant::now());
        // A message is back when its sender has it.
        while back < count {
            while sent < count && sent < back + AT_ONCE {
                let turn = sent as usize % posts.len();
                let (user, post) = &mut posts[turn];
                sockets.send(*user, post.numbered(*user as u64))?;
                sent += 1;
            }
            sockets.turn(Duration::from_millis(100), |user, heard| {
                if let Heard::Message(event) = heard {
                    back += u64::from(town.got(user, event) == Some(user));
                }
                None
            })?;
            if began.elapsed() > PATIENCE {
                return Err(format!("{back} of {count} messages were written").into());
            }
        }
        Ok(())
    }
}

/// The workload `storm`.
pub(crate) fn run(options: &Storm, cores: Cores) -> Outcome<Report> {
    let users = usize::try_from(options.sockets)? + STAY;
    machine::allow_files(3 * users as u64 + 200)?;
    let store = options.keeps.store.as_ref();
    let server = Server::host(Scene::Town, users as u64, store, cores)?;
    let floor = Server::bare(How::Task, 0, cores)?;
    let mut chat = chat(&server, users)?;
    let (address, native) = (floor.address, false);
    let door = Door { address, native };
    let mut bare = Lane {
        sockets: Sockets::new(Wire::Rooms, door.open(0, &vec!["/".to_owned(); users])?)?,
        door,
        pid: floor.pid,
        town: None,
        posts: Vec::new(),
    };
    let progress = Progress::new(2 * options.rounds as usize)?;
    let at_once = usize::try_from(options.at_once)?;
    let (mut floors, mut chats) = (Vec::new(), Vec::new());
    for _ in 0..options.rounds {
        progress.step("floor: handshakes of tokio tasks");
        floors.push(bare.round(0, at_once)?);
        progress.step("server");
        chats.push(chat.round(options.missed, at_once)?);
    }
    let (missed, kept) = (options.missed, server.kept());
    let sockets = options.sockets;
    let setting = format!(
        "{sockets} sockets back at once, {at_once} under way, {missed} messages missed, {kept}"
    );
    let mut report = Report::new("storm", &setting);
    report.rounds("sockets", &chats, &[("floor, tokio", floors)]);
    Ok(report)
}

fn chat(server: &Server, users: usize) -> Outcome<Lane> {
    let town = Town::new(server, users)?;
    let paths: Vec<String> = (0..users).map(|user| format!("/ws/{user}")).collect();
    let (address, native) = (server.address, true);
    let door = Door { address, native };
    let sockets = Sockets::new(Wire::Native, door.open(0, &paths)?)?;
    let mut posts = Vec::new();
    for (group, (members, &conversation)) in town.groups.iter().zip(&town.conversations).enumerate()
    {
        if let Some(user) = members.iter().find(|user| **user < STAY) {
            posts.push((*user, Post::native(conversation, group, TEXT)?));
        }
    }
    Ok(Lane {
        sockets,
        door,
        pid: server.pid,
        town: Some(town),
        posts,
    })
}
