//! Just enough HTTP/1.1 to make accounts: one connection, one request after another.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::Outcome;

/// How long an answer may take. A password takes its time, and several wait for one core.
const PATIENCE: Duration = Duration::from_secs(30);
/// Bytes of an answer's body that are read.
const BODY: usize = 1 << 20;
/// Accounts made at once: hashing is slow on purpose, more at once are not made sooner.
const AT_ONCE: usize = 4;

/// A connection to the server.
pub(crate) struct Client {
    stream: BufReader<TcpStream>,
    address: SocketAddr,
}

impl Client {
    pub(crate) fn connect(address: SocketAddr) -> Outcome<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Self {
            stream: BufReader::new(stream),
            address,
        })
    }

    /// Asks for a path; gives the status and, if there is any, the JSON of the answer.
    pub(crate) fn ask(
        &mut self,
        method: &str,
        path: &str,
        body: Option<&Value>,
    ) -> Outcome<(u16, Value)> {
        let address = self.address;
        let mut request = format!("{method} {path} HTTP/1.1\r\nhost: {address}\r\n");
        let body = body.map(Value::to_string).unwrap_or_default();
        if !body.is_empty() {
            request += "content-type: application/json\r\n";
        }
        request += &format!("content-length: {}\r\n\r\n{body}", body.len());
        self.stream.get_mut().write_all(request.as_bytes())?;
        let status = self.line()?;
        let status = status.split(' ').nth(1).and_then(|word| word.parse().ok());
        let status = status.ok_or("the answer is not HTTP")?;
        let mut length = 0;
        loop {
            let line = self.line()?.to_ascii_lowercase();
            if line.is_empty() {
                break;
            }
            if let Some(value) = line.strip_prefix("content-length:") {
                length = value.trim().parse()?;
            } else if line.starts_with("transfer-encoding:") {
                return Err("the answer is chunked, which this tool does not read".into());
            }
        }
        if length > BODY {
            return Err("the answer is too long".into());
        }
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body)?;
        Ok((status, serde_json::from_slice(&body).unwrap_or(Value::Null)))
    }

    fn line(&mut self) -> Outcome<String> {
        let mut line = String::new();
        if (&mut self.stream).take(16 << 10).read_line(&mut line)? == 0 {
            return Err("the server hung up".into());
        }
        Ok(line.trim_end().to_owned())
    }
}

/// Somebody who is logged in.
#[derive(Clone, Debug)]
pub(crate) struct Account {
    pub(crate) id: u64,
    pub(crate) token: String,
}

/// Registers so many users under new names and logs them in.
pub(crate) fn accounts(address: SocketAddr, count: usize) -> Outcome<Vec<Account>> {
    let since = SystemTime::now().duration_since(UNIX_EPOCH)?;
    let run = since.as_millis() % 1_000_000_000_000;
    let (next, began) = (AtomicUsize::new(0), Instant::now());
    let made: Mutex<Vec<Account>> = Mutex::new(Vec::with_capacity(count));
    let work = || -> Outcome<()> {
        let mut client = Client::connect(address)?;
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= count {
                return Ok(());
            }
            if number > 0 && number.is_multiple_of(100) {
                let seconds = began.elapsed().as_secs();
                eprintln!("accounts: {number} of {count} after {seconds} s");
            }
            let account = account(&mut client, &format!("load{run}x{number}"))?;
            made.lock().map_err(|_| "a thread failed")?.push(account);
        }
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..AT_ONCE).map(|_| scope.spawn(work)).collect();
        threads.into_iter().try_for_each(|thread| {
            let ended = thread.join();
            ended.unwrap_or_else(|_| Err("a thread failed".into()))
        })
    })?;
    Ok(made.into_inner().map_err(|_| "a thread failed")?)
}

fn account(client: &mut Client, name: &str) -> Outcome<Account> {
    let body = json!({ "username": name, "password": format!("password of {name}") });
    let (status, answer) = client.ask("POST", "/register", Some(&body))?;
    if !(200..300).contains(&status) {
        let detail = answer["detail"].as_str().unwrap_or_default();
        return Err(format!("registering was answered {status}: {detail}").into());
    }
    let (status, answer) = client.ask("POST", "/login", Some(&body))?;
    let (id, token) = (
        answer["user"]["id"].as_u64(),
        answer["access_token"].as_str(),
    );
    match (id, token) {
        (Some(id), Some(token)) => Ok(Account {
            id,
            token: token.to_owned(),
        }),
        _ => {
            let detail = answer["detail"].as_str().unwrap_or_default();
            Err(format!("logging in was answered {status}: {detail}").into())
        }
    }
}
