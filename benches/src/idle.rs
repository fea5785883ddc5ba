//! What an idle socket costs in memory: the server's resident memory before and after, and once more after each socket got a
//! message. Memory of the kernel is not in it.

use std::time::{Duration, Instant};

use crate::machine::resident;
use crate::options::{Cores, How, Idle, Scene};
use crate::progress::Progress;
use crate::report::{Memory, Report};
use crate::server::Server;
use crate::sockets::{Heard, Sockets};
use crate::wire::{Post, Wire};
use crate::ws::Door;
use crate::{Outcome, machine, scene};

/// Sockets that are open before anything is measured, so that what all share is there already.
const FIRST: usize = 50;
/// How long memory may take to settle, and messages to arrive.
const PATIENCE: Duration = Duration::from_secs(10);
/// Messages under way at once.
const AT_ONCE: usize = 256;

/// The workload `idle`.
pub(crate) fn run(options: &Idle, cores: Cores) -> Outcome<Report> {
    let sockets = usize::try_from(options.sockets)?;
    machine::allow_files(options.sockets + 500)?;
    let progress = Progress::new(4)?;
    progress.step("floor: a tokio task for each");
    let floor = floor(sockets, cores)?;
    progress.step("users and their conversations");
    let server = Server::host(Scene::Homes, options.sockets, Some(&options.store), cores)?;
    progress.step("sockets");
    let paths: Vec<String> = (0..sockets).map(|user| format!("/ws/{user}")).collect();
    let (address, native) = (server.address, true);
    let door = Door { address, native };
    let mut open = Sockets::new(Wire::Native, door.open(0, &paths[..FIRST])?)?;
    let before = settled(server.pid)?;
    for stream in door.open(FIRST, &paths[FIRST..])? {
        open.add(stream)?;
    }
    let idle = settled(server.pid)?;
    progress.step("a message for each");
    tell_each(&mut open, &server)?;
    let used = settled(server.pid)?;
    let a_socket = |now: u64| now.saturating_sub(before) as f64 / (sockets - FIRST) as f64;
    let kept = server.kept();
    let setting = format!(
        "{sockets} sockets, each of a user with 15 direct conversations and 5 groups, {kept}"
    );
    let mut report = Report::new("idle", &setting);
    report.memory = Some(Memory {
        sockets: options.sockets,
        before,
        idle,
        used,
        idle_a_socket: a_socket(idle),
        used_a_socket: a_socket(used),
        floor_a_socket: floor,
    });
    Ok(report)
}

/// The same with a bare tokio task for each.
fn floor(sockets: usize, cores: Cores) -> Outcome<f64> {
    let bare = Server::bare(How::Task, 0, cores)?;
    let paths = vec!["/".to_owned(); sockets];
    let (address, native) = (bare.address, false);
    let door = Door { address, native };
    let _first = door.open(0, &paths[..FIRST])?;
    let before = settled(bare.pid)?;
    let _others = door.open(FIRST, &paths[FIRST..])?;
    let grown = settled(bare.pid)?.saturating_sub(before);
    Ok(grown as f64 / (sockets - FIRST) as f64)
}

/// The resident memory of a process once it no longer changes.
fn settled(pid: u32) -> Outcome<u64> {
    let began = Instant::now();
    let mut before = resident(pid)?;
    loop {
        std::thread::sleep(Duration::from_millis(400));
        let now = resident(pid)?;
        if now.abs_diff(before) <= 16 || began.elapsed() > PATIENCE {
            return Ok(now);
        }
        before = now;
    }
}

/// The first member of each group writes into it: each socket gets at least one message.
fn tell_each(open: &mut Sockets, server: &Server) -> Outcome<()> {
    let mut got = vec![0_u64; open.len()];
    let groups = scene::groups(Scene::Homes, open.len());
    let conversations = server.groups()?;
    let (mut told, mut wanted) = (0, vec![0_u64; open.len()]);
    for (group, (members, (conversation, _))) in groups.iter().zip(conversations).enumerate() {
        open.send(members[0], Post::native(conversation, group, 128)?.next())?;
        members.iter().for_each(|member| wanted[*member] += 1);
        told += 1;
        if told % AT_ONCE != 0 && told != groups.len() {
            continue;
        }
        let began = Instant::now();
        while got != wanted {
            open.turn(Duration::from_millis(100), |socket, heard| {
                got[socket] += u64::from(matches!(heard, Heard::Message(_)));
                None
            })?;
            if began.elapsed() > PATIENCE {
                let late = got.iter().zip(&wanted).filter(|(got, wanted)| got < wanted);
                return Err(format!("{} sockets miss a message", late.count()).into());
            }
        }
    }
    Ok(())
}
