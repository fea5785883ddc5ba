//! The floor of a disk: rows appended to a file and synced, nothing else.

use std::fmt;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::Outcome;
use crate::options::Fsync;
use crate::report::Report;
use crate::window::median;

/// Bytes of a row: about what a short message takes with all that belongs to it.
const ROW: usize = 200;
/// Rows of a group.
pub(crate) const GROUP: usize = 64;

/// What the disk does.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Floor {
    /// Rows a second, each with a sync of its own.
    pub(crate) single: f64,
    /// Rows a second, [`GROUP`] of them a sync.
    pub(crate) grouped: f64,
}

impl fmt::Display for Floor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { single, grouped } = self;
        let sync = 1e6 / single.max(1.0);
        write!(
            f,
            "disk floor: {single:.0} rows/s with a sync each ({sync:.0} us a sync), {grouped:.0} rows/s with {GROUP} a sync"
        )
    }
}

/// Measures a folder's disk for a moment.
pub(crate) fn floor(folder: &Path, time: Duration) -> Outcome<Floor> {
    Ok(Floor {
        single: rate(folder, 1, time / 2)?,
        grouped: rate(folder, GROUP, time / 2)?,
    })
}

/// The middle of several.
pub(crate) fn middle(floors: &[Floor]) -> Floor {
    Floor {
        single: median(floors.iter().map(|floor| floor.single)),
        grouped: median(floors.iter().map(|floor| floor.grouped)),
    }
}

fn rate(folder: &Path, rows: usize, time: Duration) -> Outcome<f64> {
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    let group = vec![b'r'; ROW * rows];
    let (began, mut done) = (Instant::now(), 0);
    while began.elapsed() < time {
        file.write_all(&group)?;
        file.as_file().sync_data()?;
        done += rows;
    }
    Ok(done as f64 / began.elapsed().as_secs_f64())
}

/// The workload `fsync`.
pub(crate) fn run(options: &Fsync) -> Outcome<Report> {
    let time = Duration::from_secs(options.rounds.seconds);
    let floors: Vec<Floor> = (0..options.rounds.rounds)
        .map(|_| floor(&options.folder, time))
        .collect::<Outcome<_>>()?;
    let mut report = Report::new("fsync", &options.folder.display());
    report.disk = Some(middle(&floors));
    Ok(report)
}
