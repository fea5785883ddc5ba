//! A PostgreSQL server in a folder of its own.
//!
//! A shell stands between this process and the server: it keeps the server running until a pipe ends, however
//! this process ended; then it stops the server and removes the folder. Everything in it belongs to the user who runs the
//! server, who must not be root.

use std::io;
use std::net::TcpListener;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// Where Debian and others put the programs, the newest version first.
const PLACES: [&str; 5] = [
    "/usr/lib/postgresql/17/bin",
    "/usr/lib/postgresql/16/bin",
    "/usr/lib/postgresql/15/bin",
    "/usr/pgsql-15/bin",
    "/usr/local/pgsql/bin",
];

/// How long a server may take to start or stop.
const PATIENCE: Duration = Duration::from_secs(60);

/// What the shell does: `$1` are the programs, `$2` is the folder, the rest the server's options. A server that was killed
/// is started again, again and again while what is left of the one before still ends.
const KEEPER: &str = r#"
    bin=$1; folder=$2; shift 2
    serve() {
        while :; do
            "$bin/postgres" -D "$folder/data" "$@" >>"$folder/log" 2>&1 </dev/null
            sleep 0.1
        done
    }
    serve "$@" & keeping=$!
    cat >/dev/null
    kill "$keeping"
    pid=$(head -n 1 "$folder/data/postmaster.pid" 2>/dev/null)
    if [ -n "$pid" ] && grep -q postgres "/proc/$pid/comm" 2>/dev/null; then
        kill -INT "$pid"
        while [ -d "/proc/$pid" ]; do sleep 0.05; done
    fi
    rm -rf "$folder"
"#;

/// Why there is no server.
#[derive(Debug)]
pub struct Failure(String);

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Failure {}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self(error.to_string())
    }
}

/// A server that lives as long as this value, or this process if that ends first. `fsync` is on.
#[derive(Debug)]
pub struct Postgres {
    programs: PathBuf,
    folder: PathBuf,
    port: u16,
    databases: AtomicU32,
    keeper: (Child, Option<ChildStdin>),
}

impl Postgres {
    /// Starts a server on a free port of 127.0.0.1, which lets everybody in without a password.
    ///
    /// # Errors
    /// What to install, or what the server says.
    pub fn start() -> Result<Self, Failure> {
        let programs = programs()?;
        let mut make = as_server(Path::new("mktemp"));
        make.arg("-d")
            .arg(std::env::temp_dir().join("chat-pg-XXXXXX"));
        let folder = PathBuf::from(succeed(make)?);
        let data = folder.join("data");
        let mut init = as_server(&programs.join("initdb"));
        init.args([
            "-U",
            "chat",
            "-A",
            "trust",
            "-E",
            "UTF8",
            "--no-locale",
            "--no-sync",
        ]);
        init.args(["--wal-segsize=1", "-D"]).arg(&data);
        succeed(init)?;
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let mut keeper = as_server(Path::new("/bin/sh"));
        keeper
            .args(["-c", KEEPER, "sh"])
            .arg(&programs)
            .arg(&folder);
        let settings = [
            "fsync=on".to_owned(),
            "listen_addresses=127.0.0.1".to_owned(),
            "max_connections=200".to_owned(),
            format!("port={port}"),
            format!("unix_socket_directories={}", folder.display()),
        ];
        for setting in settings {
            keeper.arg("-c").arg(setting);
        }
        let mut keeper = keeper.stdin(Stdio::piped()).stdout(Stdio::null()).spawn()?;
        let pipe = keeper.stdin.take();
        let server = Self {
            programs,
            folder,
            port,
            databases: AtomicU32::new(0),
            keeper: (keeper, pipe),
        };
        server.answers(None)?;
        Ok(server)
    }

    /// Makes a new database; its URL.
    ///
    /// # Errors
    /// What the server says.
    pub fn database(&self) -> Result<String, Failure> {
        let number = self.databases.fetch_add(1, Ordering::Relaxed);
        let name = format!("chat{number}");
        self.sql("postgres", &format!("CREATE DATABASE {name}"))?;
        Ok(format!("postgres://chat@127.0.0.1:{}/{name}", self.port))
    }

    /// Makes a new schema in a database that all of them share; a URL whose tables are made there. Quicker to be had than a
    /// database.
    ///
    /// # Errors
    /// What the server says.
    pub fn schema(&self) -> Result<String, Failure> {
        let name = format!("s{}", self.databases.fetch_add(1, Ordering::Relaxed));
        self.sql("postgres", &format!("CREATE SCHEMA {name}"))?;
        let place = format!("postgres://chat@127.0.0.1:{}/postgres", self.port);
        Ok(format!("{place}?options=-csearch_path%3D{name}"))
    }

    /// Executes SQL as the server's owner; what it says, a row a line.
    ///
    /// # Errors
    /// What the server says.
    pub fn sql(&self, database: &str, sql: &str) -> Result<String, Failure> {
        let mut psql = Command::new(self.programs.join("psql"));
        psql.args([
            "-X",
            "-q",
            "-A",
            "-t",
            "-v",
            "ON_ERROR_STOP=1",
            "-U",
            "chat",
        ]);
        psql.args([
            "-h",
            "127.0.0.1",
            "-p",
            &self.port.to_string(),
            "-d",
            database,
            "-c",
            sql,
        ]);
        succeed(psql)
    }

    /// The port on 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// A program of the server's version, such as `pgbench`.
    #[must_use]
    pub fn program(&self, name: &str) -> PathBuf {
        self.programs.join(name)
    }

    /// The process id of the server's first process.
    fn pid(&self) -> Result<i32, Failure> {
        let file = std::fs::read_to_string(self.folder.join("data/postmaster.pid"))?;
        let pid = file
            .lines()
            .next()
            .and_then(|line| line.trim().parse().ok());
        pid.ok_or_else(|| Failure("the server's process id is not written yet".to_owned()))
    }

    /// From now on the server speaks TLS too, with this certificate and key (PEM).
    ///
    /// # Errors
    /// What the server says.
    pub fn use_certificate(&self, certificate: &str, key: &str) -> Result<(), Failure> {
        for (name, text) in [("server.crt", certificate), ("server.key", key)] {
            // The server wants the key to be its own, and nobody else to read it.
            let mut write = as_server(Path::new("/bin/sh"));
            write.args(["-c", "umask 077; printf %s \"$2\" >\"$1\"", "sh"]);
            write.arg(self.folder.join("data").join(name)).arg(text);
            succeed(write)?;
        }
        self.sql("postgres", "ALTER SYSTEM SET ssl = on")?;
        self.sql("postgres", "SELECT pg_reload_conf()")?;
        Ok(())
    }

    /// Kills the server's first process, with which all others end when they find it gone, and waits until it is started
    /// again and answers.
    ///
    /// # Errors
    /// It does not come back.
    pub fn kill(&self) -> Result<(), Failure> {
        let pid = self.pid()?;
        let mut kill = Command::new("kill");
        kill.args(["-9", &pid.to_string()]);
        succeed(kill)?;
        self.answers(Some(pid))
    }

    /// Waits until a server answers, another one than that.
    fn answers(&self, before: Option<i32>) -> Result<(), Failure> {
        let begun = Instant::now();
        loop {
            let is_new = self.pid().is_ok_and(|pid| Some(pid) != before);
            if is_new && self.sql("postgres", "SELECT 1").is_ok() {
                return Ok(());
            }
            if begun.elapsed() > PATIENCE {
                let log = std::fs::read_to_string(self.folder.join("log")).unwrap_or_default();
                return Err(Failure(format!("the server does not start: {log}")));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // The pipe's end is the order to stop.
        drop(self.keeper.1.take());
        let _ = self.keeper.0.wait();
    }
}

/// Where the server's programs are: in `POSTGRES_BIN`, or where they usually stand.
///
/// # Errors
/// What to install.
fn programs() -> Result<PathBuf, Failure> {
    let named = std::env::var_os("POSTGRES_BIN").map(PathBuf::from);
    let places = named.into_iter().chain(PLACES.map(PathBuf::from));
    let found = places
        .into_iter()
        .find(|place| place.join("postgres").exists());
    found.ok_or_else(|| {
        let what = "PostgreSQL's server is not here: `apt-get install postgresql-15`, or name its programs' folder with \
            POSTGRES_BIN=/path";
        Failure(what.to_owned())
    })
}

/// A command as somebody whom the server runs for: root becomes `postgres` or, without one, `nobody`.
fn as_server(program: &Path) -> Command {
    let root = std::fs::metadata("/proc/self").is_ok_and(|entry| entry.uid() == 0);
    if !root {
        return Command::new(program);
    }
    let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let postgres = users.lines().any(|line| line.starts_with("postgres:"));
    let mut command = Command::new("setpriv");
    command.args(["--reuid", if postgres { "postgres" } else { "nobody" }]);
    command.args(["--regid", if postgres { "postgres" } else { "nogroup" }]);
    command.args(["--clear-groups", "--"]).arg(program);
    command
}

/// Runs a command; what it says.
fn succeed(mut command: Command) -> Result<String, Failure> {
    // Away from folders that only the caller may enter.
    let output = command.current_dir("/").stdin(Stdio::null()).output();
    let output = output.map_err(|error| {
        Failure(format!(
            "{}: {error}",
            command.get_program().to_string_lossy()
        ))
    })?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout)
            .trim_end()
            .to_owned());
    }
    Err(Failure(
        String::from_utf8_lossy(&output.stderr).into_owned(),
    ))
}
