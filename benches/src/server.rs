//! What is measured: a server of its own process, started here on its core, or found running.

use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::http::Client;
use crate::options::{Cores, How, Scene, Store, Which};
use crate::{Outcome, machine};

/// How long a server may take to be ready, and to end.
const PATIENCE: Duration = Duration::from_secs(15);

/// A server that runs.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) pid: u32,
    /// Where its database is, if it has one that is known.
    pub(crate) folder: Option<PathBuf>,
    /// What else it said when it began.
    pub(crate) said: Vec<String>,
    child: Option<Child>,
    /// Removed after the child has ended: fields are dropped after [`Server::drop`].
    _made: Option<tempfile::TempDir>,
}

impl Server {
    /// The chat server of a workload, with room for so many connections.
    pub(crate) fn chat(which: &Which, connections: usize, cores: Cores) -> Outcome<Self> {
        if let (Some(address), Some(pid)) = (which.address, which.pid) {
            machine::pin(cores.loader_core);
            machine::cpu(pid)?;
            return Ok(Self {
                address,
                pid,
                folder: None,
                said: Vec::new(),
                child: None,
                _made: None,
            });
        }
        let program = match &which.server {
            Some(path) => path.clone(),
            None => std::env::current_exe()?.with_file_name("chat-server"),
        };
        if !program.is_file() {
            let path = program.display();
            return Err(format!(
                "there is no server at {path}: build it, or name it with --server"
            )
            .into());
        }
        let (store, made) = kept(which.store.as_ref())?;
        let address = free()?;
        let room = connections + 100;
        let mut command = Command::new(program);
        command
            .args(["--listen", &address.to_string()])
            .args(["--store", &store.to_string()])
            .args(["--max-connections", &room.to_string()])
            .args(["--max-connections-per-address", &room.to_string()])
            .args(["--no-rate-limits", "--log", "warn"])
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        let child = spawn(&mut command, cores)?;
        let mut server = Self {
            address,
            pid: child.id(),
            folder: folder(&store),
            said: Vec::new(),
            child: Some(child),
            _made: made,
        };
        server.until_ready()?;
        Ok(server)
    }

    /// A floor of bare sockets.
    pub(crate) fn bare(how: How, payload: usize, cores: Cores) -> Outcome<Self> {
        let payload = payload.to_string();
        Self::own(&["bare", "--how", how.word(), "--payload", &payload], cores)
    }

    /// A chat of this program's own, which says the conversation of each group with the head of its log.
    pub(crate) fn host(
        scene: Scene,
        users: u64,
        store: Option<&Store>,
        cores: Cores,
    ) -> Outcome<Self> {
        let (store, made) = kept(store)?;
        let (users, place) = (users.to_string(), store.to_string());
        let scene = ["--scene", scene.word()];
        let arguments = [
            "host", scene[0], scene[1], "--users", &users, "--store", &place,
        ];
        let mut server = Self::own(&arguments, cores)?;
        server.folder = folder(&store);
        server._made = made;
        server.until_ready()?;
        Ok(server)
    }

    /// Where it keeps its data, in a word.
    pub(crate) fn kept(&self) -> &'static str {
        match (&self.folder, &self.child) {
            (Some(_), _) => "SQLite",
            (None, Some(_)) => "memory",
            (None, None) => "a store of its own",
        }
    }

    /// The conversation of each group and the head of its log as the server began.
    pub(crate) fn groups(&self) -> Outcome<Vec<(u64, u64)>> {
        let read = |said: &String| {
            let (conversation, seq) = said.split_once(':')?;
            Some((conversation.parse().ok()?, seq.parse().ok()?))
        };
        let groups: Option<_> = self.said.iter().map(read).collect();
        groups.ok_or_else(|| "the server did not say its groups".into())
    }

    /// Somebody else's server, which listens there when it is ready.
    pub(crate) fn program(
        command: &mut Command,
        address: SocketAddr,
        cores: Cores,
    ) -> Outcome<Self> {
        command.stdin(Stdio::null()).stdout(Stdio::null());
        let child = spawn(command, cores)?;
        let mut server = Self {
            address,
            pid: child.id(),
            folder: None,
            said: Vec::new(),
            child: Some(child),
            _made: None,
        };
        let began = Instant::now();
        while std::net::TcpStream::connect(address).is_err() {
            let ended = match &mut server.child {
                Some(child) => child.try_wait()?.is_some(),
                None => true,
            };
            if ended || began.elapsed() > PATIENCE {
                return Err(server.ended());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(server)
    }

    /// A child of this program itself. It ends when its input does, so it cannot outlive this process.
    fn own(arguments: &[&str], cores: Cores) -> Outcome<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut child = spawn(&mut command, cores)?;
        let mut line = String::new();
        if let Some(output) = child.stdout.take() {
            BufReader::new(output).read_line(&mut line)?;
        }
        let mut words = line.split_whitespace().map(str::to_owned);
        let port = words.next().and_then(|port| port.parse().ok());
        let mut server = Self {
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, port.unwrap_or(0))),
            pid: child.id(),
            folder: None,
            said: words.collect(),
            child: Some(child),
            _made: None,
        };
        match port {
            Some(_) => Ok(server),
            None => Err(server.ended()),
        }
    }

    fn until_ready(&mut self) -> Outcome<()> {
        let began = Instant::now();
        while began.elapsed() < PATIENCE {
            let asked = Client::connect(self.address)
                .and_then(|mut client| client.ask("GET", "/readyz", None));
            if let Ok((200, _)) = asked {
                return Ok(());
            }
            if let Some(child) = &mut self.child
                && child.try_wait()?.is_some()
            {
                break;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Err(self.ended())
    }

    fn ended(&mut self) -> Box<dyn std::error::Error + Send + Sync> {
        format!("the server at {} did not start", self.address).into()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let Some(child) = &mut self.child else { return };
        machine::terminate(self.pid);
        let began = Instant::now();
        while began.elapsed() < PATIENCE {
            match child.try_wait() {
                Ok(None) => std::thread::sleep(Duration::from_millis(20)),
                _ => return,
            }
        }
        // It does not end by itself; there is nothing to tell if this fails.
        let _ = child.kill();
        let _ = child.wait();
    }
}

/// An address that is free now; if somebody else takes it first, the server says so and ends.
pub(crate) fn free() -> Outcome<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}

/// Where data is kept: there, or in a new folder.
fn kept(store: Option<&Store>) -> Outcome<(Store, Option<tempfile::TempDir>)> {
    if let Some(store) = store {
        return Ok((store.clone(), None));
    }
    let mut folder = tempfile::Builder::new();
    let folder = folder.prefix("chat-bench-").tempdir_in(".")?;
    Ok((Store::Sqlite(folder.path().join("chat.db")), Some(folder)))
}

/// Starts a child on the server's core, and goes back to the loader's: a child runs where its parent ran as it began.
fn spawn(command: &mut Command, cores: Cores) -> Outcome<Child> {
    machine::pin(cores.server_core);
    let child = command.spawn();
    machine::pin(cores.loader_core);
    Ok(child?)
}

fn folder(store: &Store) -> Option<PathBuf> {
    match store {
        Store::Memory => None,
        Store::Sqlite(file) => {
            let folder = file
                .parent()
                .filter(|folder| !folder.as_os_str().is_empty());
            Some(folder.unwrap_or(Path::new(".")).to_owned())
        }
    }
}
