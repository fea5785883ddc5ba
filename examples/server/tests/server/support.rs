//! The server binary as a child, and the smallest clients that can speak with it.
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::Duration;

/// How long anything may take that is expected to happen; reached only by failures.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) use rustix::process::Signal;

/// The server's command without anything from this process's environment that would set options.
pub(crate) fn command(options: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_chat-server"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("CHAT_") {
            command.env_remove(name);
        }
    }
    command
        .env_remove("COLUMNS")
        .stdin(Stdio::null())
        .args(options);
    command
}

/// A running server; killed when dropped.
pub(crate) struct Server {
    child: Child,
    pub(crate) address: SocketAddr,
    lines: mpsc::Receiver<String>,
    warnings: mpsc::Receiver<String>,
}

impl Server {
    /// Starts it on a free port and waits until it says that it listens.
    pub(crate) fn start(options: &[&str]) -> Self {
        Self::start_by(&mut command(options))
    }

    /// The same with options from elsewhere.
    pub(crate) fn start_by(command: &mut Command) -> Self {
        let mut child = command
            .args(["--listen", "127.0.0.1:0", "--log", "warn"])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the server starts");
        let lines = follow(child.stdout.take().expect("piped"));
        let warnings = follow(child.stderr.take().expect("piped"));
        let mut server = Self {
            child,
            address: ([127, 0, 0, 1], 0).into(),
            lines,
            warnings,
        };
        let line = server.line_with("http://");
        let (_, rest) = line.split_once("http://").expect("just found");
        let end = rest.find(|c: char| !c.is_ascii_digit() && !".:".contains(c));
        let address = &rest[..end.unwrap_or(rest.len())];
        server.address = address.parse().expect("an address");
        server
    }

    /// Starts it over a database in a folder.
    pub(crate) fn on(folder: &Path, options: &[&str]) -> Self {
        let store = format!("sqlite:{}", folder.join("chat.db").display());
        Self::start(&[&["--store", &store], options].concat())
    }

    /// The next line of its stdout that contains a text.
    pub(crate) fn line_with(&mut self, text: &str) -> String {
        next_with(&self.lines, text)
    }

    /// The next line of its stderr that contains a text.
    pub(crate) fn warning_with(&mut self, text: &str) -> String {
        next_with(&self.warnings, text)
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).expect("a pid");
        let pid = rustix::process::Pid::from_raw(pid).expect("a pid");
        rustix::process::kill_process(pid, signal).expect("still there");
    }

    /// Waits for its end.
    pub(crate) fn ended(mut self) -> ExitStatus {
        // Its stdout ends with it; nothing else holds the pipe.
        loop {
            match self.lines.recv_timeout(PATIENCE) {
                Ok(_) => {}
                Err(mpsc::RecvTimeoutError::Disconnected) => break,
                Err(mpsc::RecvTimeoutError::Timeout) => panic!("it does not end"),
            }
        }
        self.child.wait().expect("it was started")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn next_with(lines: &mpsc::Receiver<String>, text: &str) -> String {
    loop {
        let line = lines.recv_timeout(PATIENCE).expect("the line comes");
        if line.contains(text) {
            return line;
        }
    }
}

fn follow(stream: impl Read + Send + 'static) -> mpsc::Receiver<String> {
    let (send, receive) = mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            let _ = send.send(line);
        }
    });
    receive
}

/// Runs a server that is to end by itself: exit code, stdout, stderr.
pub(crate) fn refused(options: &[&str]) -> (Option<i32>, String, String) {
    let mut child = command(options)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the server starts");
    let out = whole(child.stdout.take().expect("piped"));
    let err = whole(child.stderr.take().expect("piped"));
    let read = [out, err].map(|stream| stream.recv_timeout(PATIENCE));
    if read.iter().any(Result::is_err) {
        let _ = child.kill();
    }
    let status = child.wait().expect("it was started");
    let [out, err] = read.map(|text| text.expect("it ends by itself"));
    (status.code(), out, err)
}

/// All that a stream says until it ends.
fn whole(mut stream: impl Read + Send + 'static) -> mpsc::Receiver<String> {
    let (send, receive) = mpsc::channel();
    std::thread::spawn(move || {
        let mut text = String::new();
        stream.read_to_string(&mut text).expect("UTF-8");
        send.send(text)
    });
    receive
}
