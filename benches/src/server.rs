//! What is measured: a server of its own process, started here on its core, or found running.

use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::http::Client;
use crate::options::{Bare, Cores, Store, To, Which};
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
    ///
    /// `tight`: memory goes back to the system at once when large blocks are freed, so that what password hashing used is
    /// not taken for room by the sockets that come later (glibc's mallopt(3), `M_MMAP_THRESHOLD`).
    pub(crate) fn chat(
        which: &Which,
        connections: usize,
        cores: Cores,
        tight: bool,
    ) -> Outcome<Self> {
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
        let (mut store, mut made) = (which.store.clone(), None);
        if store.is_none() {
            let folder = tempfile::Builder::new()
                .prefix("chat-bench-")
                .tempdir_in(".")?;
            store = Some(Store::Sqlite(folder.path().join("chat.db")));
            made = Some(folder);
        }
        let store = store.unwrap_or(Store::Memory);
        // Free now; if somebody else takes it first, the server says so and ends.
        let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
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
        if tight {
            command.env("MALLOC_MMAP_THRESHOLD_", "131072");
        }
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
    pub(crate) fn bare(options: &Bare, cores: Cores) -> Outcome<Self> {
        let (to, payload) = (To::word(options.to), options.payload.to_string());
        Self::own(&["bare", "--to", to, "--payload", &payload], cores)
    }

    /// A chat with one group, which says its conversation's id.
    pub(crate) fn group(members: u64, store: &Store, cores: Cores) -> Outcome<Self> {
        let (members, place) = (members.to_string(), store.to_string());
        let arguments = ["group", "--members", &members, "--store", &place];
        let mut server = Self::own(&arguments, cores)?;
        server.folder = folder(store);
        server.until_ready()?;
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
