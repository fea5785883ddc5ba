//! What an idle socket costs in memory: the server's resident memory before and after, and once more after each socket got a
//! message. Memory of the kernel is not in it.

use std::time::{Duration, Instant};

use crate::http::Account;
use crate::machine::resident;
use crate::options::{Bare, Cores, Idle, To};
use crate::report::{Memory, Report};
use crate::server::Server;
use crate::sockets::Sockets;
use crate::{Outcome, http, machine, ws};

/// Sockets that are open before anything is measured, so that what all share is there already.
const FIRST: usize = 50;
/// How long memory may take to settle, and messages to arrive.
const PATIENCE: Duration = Duration::from_secs(10);
/// Messages under way at once.
const AT_ONCE: usize = 32;

/// The workload `idle`.
pub(crate) fn run(options: &Idle, cores: Cores) -> Outcome<Report> {
    let (sockets, users) = (
        usize::try_from(options.sockets)?,
        usize::try_from(options.users)?,
    );
    if sockets.div_ceil(users) > 20 {
        let least = sockets.div_ceil(20);
        return Err(
            format!("a user has at most 20 connections: this needs --users {least}").into(),
        );
    }
    machine::allow_files(options.sockets + 500)?;
    let floor = floor(sockets, cores)?;
    let server = Server::chat(&options.which, sockets + 1, cores, true)?;
    let accounts = http::accounts(server.address, users)?;
    let path = |account: &Account| format!("/ws/{}", account.token);
    let paths: Vec<String> = accounts.iter().map(path).cycle().take(sockets).collect();
    let mut open = Sockets::new(ws::open(server.address, &paths[..FIRST])?)?;
    let before = settled(server.pid)?;
    for stream in ws::open(server.address, &paths[FIRST..])? {
        open.add(stream)?;
    }
    let idle = settled(server.pid)?;
    tell_each(&mut open, &accounts)?;
    let used = settled(server.pid)?;
    let a_socket = |now: u64| now.saturating_sub(before) as f64 / (sockets - FIRST) as f64;
    let mut report = Report::new("idle", &format!("{sockets} sockets of {users} users"));
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

/// The same with bare sockets.
fn floor(sockets: usize, cores: Cores) -> Outcome<f64> {
    let (to, payload) = (To::All, 0);
    let bare = Server::bare(&Bare { to, payload }, cores)?;
    let paths = vec!["/".to_owned(); sockets];
    let _first = ws::open(bare.address, &paths[..FIRST])?;
    let before = settled(bare.pid)?;
    let _others = ws::open(bare.address, &paths[FIRST..])?;
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

/// The first user writes to every other one, the second to the first: each socket gets at least one message.
fn tell_each(open: &mut Sockets, accounts: &[Account]) -> Outcome<()> {
    let mut got = vec![0_u64; open.len()];
    let mut until = |open: &mut Sockets, messages: u64| {
        let began = Instant::now();
        // Sockets are numbered as users were cycled through: 0 is one of the first user's.
        while got[0] < messages || (messages + 1 >= accounts.len() as u64 && got.contains(&0)) {
            open.turn(Duration::from_millis(100), |socket, count| {
                got[socket] += count;
                None
            })?;
            if began.elapsed() > PATIENCE {
                let silent = got.iter().filter(|count| **count == 0).count();
                return Err(format!("{silent} sockets got no message").into());
            }
        }
        Ok::<_, Box<dyn std::error::Error + Send + Sync>>(())
    };
    let mut told = 0;
    for others in accounts[1..].chunks(AT_ONCE) {
        for other in others {
            open.send(0, &ws::post(Some(other.id), None, 128))?;
        }
        told += others.len() as u64;
        until(open, told)?;
    }
    Ok(())
}
