//! Running other programs.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::count::Count;

/// The workspace's folder.
pub(crate) fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_path_buf()
}

/// A program that cargo built in the dev profile: it stands beside this one.
pub(crate) fn built(name: &str) -> PathBuf {
    let own = std::env::current_exe().unwrap_or_default();
    own.with_file_name(name)
}

/// A program to be run in a folder of the workspace (`.` for its root).
pub(crate) fn command(folder: &str, program: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(arguments).current_dir(root().join(folder));
    command
}

/// Cargo, at the workspace's root.
pub(crate) fn cargo(arguments: &[&str]) -> Command {
    command(".", &cargo_path(), arguments)
}

fn cargo_path() -> String {
    std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned())
}

/// What a program says on stdout, if it can be started and ends well.
pub(crate) fn says(program: &str, arguments: &[&str]) -> Option<String> {
    let output = command(".", program, arguments)
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .ok()?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    output.status.success().then_some(said)
}

/// Whether a program can be started and ends well.
pub(crate) fn answers(program: &str, arguments: &[&str]) -> bool {
    says(program, arguments).is_some()
}

/// Whether cargo has this subcommand.
pub(crate) fn cargo_has(subcommand: &str) -> bool {
    answers(&cargo_path(), &[subcommand, "--version"])
}

/// The command as a person would type it.
pub(crate) fn line(command: &Command) -> String {
    let program = Path::new(command.get_program());
    let name = program.file_name().unwrap_or(command.get_program());
    std::iter::once(name)
        .chain(command.get_args())
        .map(|part| part.to_string_lossy())
        .collect::<Vec<_>>()
        .join(" ")
}

/// Runs a command on this terminal.
///
/// # Errors
/// It could not be started, or did not end well.
pub(crate) fn run(mut command: Command) -> Result<(), String> {
    let shown = line(&command);
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("`{shown}` ended with {status}")),
        Err(error) => Err(format!("`{shown}` could not be started: {error}")),
    }
}

/// Installs Debian packages, where this process may.
///
/// # Errors
/// `by_hand`, which says what to do, or what went wrong.
pub(crate) fn install(packages: &[&str], by_hand: &str) -> Result<(), String> {
    if !is_root() || !answers("apt-get", &["--version"]) {
        return Err(by_hand.to_owned());
    }
    run(command(".", "apt-get", &["update"]))?;
    let mut install = command(
        ".",
        "apt-get",
        &["install", "--yes", "--no-install-recommends"],
    );
    install.args(packages);
    install.env("DEBIAN_FRONTEND", "noninteractive");
    run(install)
}

/// Whether this process is root's: who owns its entry in /proc.
fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata("/proc/self").is_ok_and(|entry| entry.uid() == 0)
}

/// Runs a test command, shows what it says and counts the tests it reports, on whichever stream.
///
/// # Errors
/// Like [`run`]; what was counted until then comes along.
pub(crate) fn run_counting(mut command: Command) -> (Count, Result<(), String>) {
    let shown = line(&command);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(error) => {
            let failed = Err(format!("`{shown}` could not be started: {error}"));
            return (Count::default(), failed);
        }
    };
    let errors = child.stderr.take();
    let on_stderr = std::thread::spawn(move || errors.map(|pipe| relay(pipe, std::io::stderr())));
    let mut count = Count::default();
    if let Some(pipe) = child.stdout.take() {
        count.add(relay(pipe, std::io::stdout()));
    }
    count.add(on_stderr.join().ok().flatten().unwrap_or_default());
    let ended = match child.wait() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("`{shown}` ended with {status}")),
        Err(error) => Err(format!("`{shown}` was lost: {error}")),
    };
    (count, ended)
}

/// Passes lines on until the stream ends, counting as it goes.
fn relay(from: impl Read, mut to: impl Write) -> Count {
    let mut count = Count::default();
    for bytes in BufReader::new(from).split(b'\n').map_while(Result::ok) {
        let text = String::from_utf8_lossy(&bytes);
        count.read(&text);
        // A terminal that went away does not end the tests.
        let _ = writeln!(to, "{text}");
    }
    count
}
