//! What a server is set beside on the same workload: floors, and other people's servers.

use std::io::Write;
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use crate::Outcome;
use crate::options::{Cores, How, Peer};
use crate::server::{self, Server};
use crate::sockets::Sockets;
use crate::wire::Wire;
use crate::ws::Door;

/// Where programs of servers are, besides `PATH`.
const PLACES: &str = "/usr/sbin:/usr/local/sbin:/usr/local/bin";
/// How long a peer may take to answer.
const PATIENCE: Duration = Duration::from_secs(20);
/// A server for Node: rooms as in the floor, each message sent to all in its room as it comes.
const NODE: &str = r#"
const { WebSocketServer } = require("ws");
const rooms = new Map();
new WebSocketServer({ host: "127.0.0.1", port: Number(process.argv[1]), perMessageDeflate: false, backlog: 1024 })
  .on("connection", (socket, request) => {
    for (const name of request.url.slice(1).split(",")) {
      const room = Number(name);
      if (!rooms.has(room)) rooms.set(room, new Set());
      rooms.get(room).add(socket);
    }
    socket.on("message", (data) => {
      for (const other of rooms.get(Number(data.subarray(0, 10))) ?? []) other.send(data, { binary: false });
    });
  });
"#;

/// A floor or a peer that runs.
pub(crate) struct Beside {
    pub(crate) name: &'static str,
    pub(crate) wire: Wire,
    pub(crate) server: Server,
}

/// Starts these floors, whose frames have so many bytes, and these peers.
pub(crate) fn start(
    floors: &[How],
    payload: usize,
    peers: &[Peer],
    cores: Cores,
) -> Outcome<Vec<Beside>> {
    let floors = floors.iter().map(|&how| {
        Ok(Beside {
            name: match how {
                How::Coalesced => "floor",
                How::Each => "floor, each",
                How::Task => "floor, tokio",
            },
            wire: Wire::Rooms,
            server: Server::bare(how, payload, cores)?,
        })
    });
    floors
        .chain(peers.iter().map(|&peer| start_peer(peer, cores)))
        .collect()
}

fn start_peer(peer: Peer, cores: Cores) -> Outcome<Beside> {
    let address = server::free()?;
    let port = address.port().to_string();
    let (name, program, wire) = match peer {
        Peer::Nats => ("nats", "nats-server", Wire::Nats),
        Peer::Redis => ("redis", "redis-server", Wire::Redis),
        Peer::NodeWs => ("node-ws", "node", Wire::Rooms),
    };
    let missing = || {
        format!(
            "--peer {name}: there is no `{program}`; on Debian `apt-get install {}`",
            match peer {
                Peer::Nats => "nats-server",
                Peer::Redis => "redis-server",
                Peer::NodeWs => "nodejs",
            }
        )
    };
    let mut command = Command::new(find(program).ok_or_else(missing)?);
    match peer {
        Peer::Nats => command.args(["--addr", "127.0.0.1", "--port", &port]),
        Peer::Redis => command
            .args(["--bind", "127.0.0.1", "--port", &port])
            .args([
                "--save",
                "",
                "--appendonly",
                "no",
                "--maxclients",
                "25000",
                "--client-output-buffer-limit",
                "pubsub 0 0 0",
            ]),
        Peer::NodeWs => {
            // Where the web client's packages are, `ws` is too; elsewhere NODE_PATH tells.
            let packages = concat!(env!("CARGO_MANIFEST_DIR"), "/../frontend");
            command.current_dir(packages).args(["-e", NODE, &port])
        }
    };
    if peer == Peer::Nats {
        command.stderr(std::process::Stdio::null());
    }
    let server = Server::program(&mut command, address, cores).map_err(|error| match peer {
        Peer::NodeWs => {
            format!("{error}: does Node find `ws`? `npm ci` in frontend/ gets it").into()
        }
        _ => error,
    })?;
    Ok(Beside { name, wire, server })
}

fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var("PATH").unwrap_or_default();
    let places = path.split(':').chain(PLACES.split(':'));
    places
        .map(|place| PathBuf::from(place).join(program))
        .find(|path| path.is_file())
}

impl Beside {
    /// Opens a socket for each entry, which names the rooms it is in.
    pub(crate) fn open(&self, rooms: &[Vec<usize>]) -> Outcome<Sockets> {
        let address = self.server.address;
        if self.wire == Wire::Rooms {
            let paths: Vec<String> = rooms.iter().map(|rooms| path(rooms)).collect();
            let native = false;
            return Sockets::new(self.wire, Door { address, native }.open(0, &paths)?);
        }
        let mut streams = Vec::with_capacity(rooms.len());
        for rooms in rooms {
            let mut stream = TcpStream::connect(address)?;
            stream.set_nodelay(true)?;
            stream.set_read_timeout(Some(PATIENCE))?;
            let (hello, subscribe): (&str, fn(&usize) -> String) = match self.wire {
                Wire::Nats => (
                    "CONNECT {\"verbose\":false,\"pedantic\":false}\r\n",
                    |room| format!("SUB r{room} 1\r\n"),
                ),
                _ => ("HELLO 3\r\n", |room| format!("SUBSCRIBE r{room}\r\n")),
            };
            let subscribed: String = rooms.iter().map(subscribe).collect();
            stream.write_all(format!("{hello}{subscribed}PING\r\n").as_bytes())?;
            until_pong(&mut stream)?;
            streams.push(stream);
        }
        Sockets::new(self.wire, streams)
    }
}

/// In which rooms a socket of the floor is.
pub(crate) fn path(rooms: &[usize]) -> String {
    let rooms: Vec<String> = rooms.iter().map(usize::to_string).collect();
    format!("/{}", rooms.join(","))
}

/// Waits for the answer to the last command.
fn until_pong(stream: &mut TcpStream) -> Outcome<()> {
    let (mut seen, mut one) = (Vec::new(), [0]);
    while !seen.ends_with(b"PONG\r\n") {
        if std::io::Read::read(stream, &mut one)? == 0 {
            let said = String::from_utf8_lossy(&seen);
            return Err(format!("a peer hung up: {said}").into());
        }
        seen.push(one[0]);
    }
    Ok(())
}
