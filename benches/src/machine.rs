//! The machine: what Linux's `/proc` (proc(5)) tells of it and of processes, the core a process runs on, how many files it may
//! open, and sockets on loopback.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use crate::Outcome;

/// Runs this process, and what it starts from now on, on one core. Where that cannot be, it says so and goes on.
pub(crate) fn pin(core: usize) {
    if !system::pin(core) {
        eprintln!("note: there is no core {core} to run on; processes share what there is");
    }
}

/// Allows this process, and what it starts from now on, so many open files.
pub(crate) fn allow_files(count: u64) -> Outcome<()> {
    if system::allow_files(count) {
        return Ok(());
    }
    Err(format!("this needs {count} open files: raise the limit (`ulimit -n`)").into())
}

/// Asks a process to end; it may have ended by itself.
pub(crate) fn terminate(pid: u32) {
    system::terminate(pid);
}

/// Connects from a loopback address of that number: each has ports of its own.
pub(crate) fn connect(from: usize, to: SocketAddr) -> Outcome<TcpStream> {
    if from == 0 {
        return Ok(TcpStream::connect(to)?);
    }
    Ok(system::connect(
        Ipv4Addr::new(127, 0, 0, u8::try_from(from + 1)?),
        to,
    )?)
}

/// Connections that may wait to be accepted: who finds no room comes back after a second.
const WAITING: i32 = 4096;

/// Listens on a free loopback port, without blocking.
pub(crate) fn listen() -> Outcome<TcpListener> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    // Once more, with more room than the standard library gives.
    system::listen(&listener, WAITING)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// CPU seconds of a process so far, all threads.
pub(crate) fn cpu(pid: u32) -> Outcome<f64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat"))
        .map_err(|_| format!("process {pid} has ended"))?;
    // Behind the name, which may hold anything: state is field 3, utime 14, stime 15.
    let rest = text.rsplit(')').next().unwrap_or_default();
    let fields: Vec<&str> = rest.split_whitespace().collect();
    let ticks = |at: usize| fields.get(at).and_then(|field| field.parse::<f64>().ok());
    match (ticks(11), ticks(12)) {
        (Some(user), Some(system)) => Ok((user + system) / system::tick()),
        _ => Err("/proc/PID/stat is not as expected".into()),
    }
}

/// Resident memory of a process in KiB.
pub(crate) fn resident(pid: u32) -> Outcome<u64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status"))
        .map_err(|_| format!("process {pid} has ended"))?;
    text.lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .and_then(|rest| rest.split_whitespace().next())
        .and_then(|number| number.parse().ok())
        .ok_or_else(|| "/proc/PID/status is not as expected".into())
}

/// CPU seconds of all processes so far, and of how many cores.
fn busy() -> Outcome<(f64, usize)> {
    let text = std::fs::read_to_string("/proc/stat")?;
    let mut lines = text.lines();
    let all: Vec<f64> = lines
        .next()
        .unwrap_or_default()
        .split_whitespace()
        .skip(1)
        .filter_map(|field| field.parse().ok())
        .collect();
    // user nice system idle iowait irq softirq steal; guests are counted in user already.
    let [user, nice, kernel, _, _, irq, soft, steal, ..] = all[..] else {
        return Err("/proc/stat is not as expected".into());
    };
    let cores = lines.take_while(|line| line.starts_with("cpu")).count();
    let busy = user + nice + kernel + irq + soft + steal;
    Ok((busy / system::tick(), cores))
}

/// Measures what a stretch of time cost.
pub(crate) struct Meter {
    pid: u32,
    began: Instant,
    server: f64,
    loader: f64,
    all: f64,
}

/// What it cost.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Cost {
    /// How long it was.
    pub(crate) seconds: f64,
    /// CPU seconds of the server.
    pub(crate) server: f64,
    /// CPU of the loader that it did not pass waiting, as a part of one core.
    pub(crate) loader: f64,
    /// CPU of everybody else, as a part of the machine.
    pub(crate) others: f64,
    /// Resident memory of the server at the end, in KiB.
    pub(crate) resident: u64,
}

impl Meter {
    pub(crate) fn start(pid: u32) -> Outcome<Self> {
        Ok(Self {
            pid,
            server: cpu(pid)?,
            loader: cpu(std::process::id())?,
            all: busy()?.0,
            began: Instant::now(),
        })
    }

    /// `idle`: how long the loader looked and found nothing.
    pub(crate) fn stop(&self, idle: Duration) -> Outcome<Cost> {
        let seconds = self.began.elapsed().as_secs_f64();
        let server = cpu(self.pid)? - self.server;
        let loader = cpu(std::process::id())? - self.loader;
        let (all, cores) = busy()?;
        let others = (all - self.all - server - loader).max(0.0);
        Ok(Cost {
            seconds,
            server,
            loader: (loader - idle.as_secs_f64()).max(0.0) / seconds,
            others: others / (seconds * cores.max(1) as f64),
            resident: resident(self.pid)?,
        })
    }
}

#[cfg(target_os = "linux")]
mod system {
    use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};

    use rustix::net;
    use rustix::process::{Pid, Resource, Rlimit, Signal};
    use rustix::thread::CpuSet;

    pub(super) fn pin(core: usize) -> bool {
        let mut cores = CpuSet::new();
        if core >= CpuSet::MAX_CPU {
            return false;
        }
        cores.set(core);
        rustix::thread::sched_setaffinity(None, &cores).is_ok()
    }

    pub(super) fn connect(from: Ipv4Addr, to: SocketAddr) -> std::io::Result<TcpStream> {
        let socket = net::socket(net::AddressFamily::INET, net::SocketType::STREAM, None)?;
        net::bind(&socket, &SocketAddr::from((from, 0)))?;
        net::connect(&socket, &to)?;
        Ok(socket.into())
    }

    pub(super) fn listen(listener: &TcpListener, waiting: i32) -> std::io::Result<()> {
        Ok(net::listen(listener, waiting)?)
    }

    pub(super) fn allow_files(count: u64) -> bool {
        let now = rustix::process::getrlimit(Resource::Nofile);
        if now.current.is_none_or(|limit| limit >= count) {
            return true;
        }
        let (current, maximum) = (Some(count), now.maximum.map(|limit| limit.max(count)));
        rustix::process::setrlimit(Resource::Nofile, Rlimit { current, maximum }).is_ok()
    }

    pub(super) fn terminate(pid: u32) {
        if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
            let _ = rustix::process::kill_process(pid, Signal::TERM);
        }
    }

    /// In how many parts of a second the kernel counts.
    pub(super) fn tick() -> f64 {
        rustix::param::clock_ticks_per_second() as f64
    }
}

/// Elsewhere it compiles, and stops at the first look into `/proc`.
#[cfg(not(target_os = "linux"))]
mod system {
    use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};

    pub(super) fn pin(_: usize) -> bool {
        false
    }

    pub(super) fn connect(_: Ipv4Addr, to: SocketAddr) -> std::io::Result<TcpStream> {
        TcpStream::connect(to)
    }

    pub(super) fn listen(_: &TcpListener, _: i32) -> std::io::Result<()> {
        Ok(())
    }

    pub(super) fn allow_files(_: u64) -> bool {
        true
    }

    pub(super) fn terminate(_: u32) {}

    pub(super) fn tick() -> f64 {
        100.0
    }
}
