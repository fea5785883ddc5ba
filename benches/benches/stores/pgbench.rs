//! What PostgreSQL's own tool reaches with one script on the same server: the floor of a store over it.

use std::io::Write;
use std::process::{Command, Stdio};
use std::time::Duration;

use tempfile::NamedTempFile;

use crate::place::postgres;
use crate::{Outcome, ROW};

/// Rows of one insert, which is one transaction.
pub(crate) const ROWS: usize = 64;

/// A database with one table, and the script that inserts into it.
pub(crate) struct Script {
    file: NamedTempFile,
    database: String,
}

impl Script {
    pub(crate) fn new() -> Outcome<Self> {
        let url = postgres()?.database()?;
        let database = url.rsplit('/').next().unwrap_or_default().to_owned();
        let table = "CREATE TABLE bench (id bigserial PRIMARY KEY, log bigint, body text)";
        postgres()?.sql(&database, table)?;
        let body = "r".repeat(ROW);
        let row = |log| format!("({log}, '{body}')");
        let rows: Vec<String> = (0..ROWS).map(row).collect();
        let mut file = NamedTempFile::new()?;
        writeln!(
            file,
            "INSERT INTO bench (log, body) VALUES {};",
            rows.join(", ")
        )?;
        Ok(Self { file, database })
    }

    /// So many inserts, one after another; how long they took, without the time to connect.
    pub(crate) fn run(&self, times: u64) -> Outcome<Duration> {
        let server = postgres()?;
        let output = Command::new(server.program("pgbench"))
            .args([
                "--no-vacuum",
                "--client=1",
                "--protocol=prepared",
                "--username=chat",
            ])
            .args(["--host=127.0.0.1", &format!("--port={}", server.port())])
            .arg(format!("--transactions={times}"))
            .arg("--file")
            .arg(self.file.path())
            .arg(&self.database)
            .stdin(Stdio::null())
            .output()
            .map_err(|error| format!("pgbench (of Debian's postgresql-15): {error}"))?;
        let said = String::from_utf8_lossy(&output.stdout);
        let rate = said.lines().find_map(|line| line.strip_prefix("tps = "));
        let rate = rate.and_then(|rest| rest.split(' ').next()?.parse::<f64>().ok());
        match rate {
            Some(rate) if output.status.success() && rate > 0.0 => {
                Ok(Duration::from_secs_f64(times as f64 / rate))
            }
            _ => Err(format!("pgbench: {}", String::from_utf8_lossy(&output.stderr)).into()),
        }
    }
}
