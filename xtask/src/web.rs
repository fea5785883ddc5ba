//! The web client's build.

use std::path::Path;
use std::process::Command;
use std::time::SystemTime;

use crate::run;

/// Where the client's source is, from the workspace's root.
const FOLDER: &str = "frontend";

/// What the build reads, from that folder.
const SOURCES: [&str; 8] = [
    "src",
    "public",
    "index.html",
    "package.json",
    "package-lock.json",
    "vite.config.ts",
    "tsconfig.json",
    "tsconfig.app.json",
];

/// npm in the client's folder.
pub(crate) fn npm(arguments: &[&str]) -> Command {
    run::command(FOLDER, "npm", arguments)
}

/// Whether Node and npm can be used.
///
/// # Errors
/// What to install.
pub(crate) fn tools() -> Result<(), String> {
    for program in ["node", "npm"] {
        if !run::answers(program, &["--version"]) {
            return Err(format!(
                "{program} is not here: install Node 20.19 or later with npm (nodejs.org, or `apt-get install nodejs npm`)"
            ));
        }
    }
    Ok(())
}

/// Whether the installed packages are those of the lock file.
pub(crate) fn is_installed() -> bool {
    let folder = run::root().join(FOLDER);
    let installed = modified(&folder.join("node_modules/.package-lock.json"));
    installed.is_some() && installed >= modified(&folder.join("package-lock.json"))
}

/// Whether there is a build that is newer than all of its source.
pub(crate) fn is_built() -> bool {
    let folder = run::root().join(FOLDER);
    let built = modified(&folder.join("dist/index.html"));
    built.is_some()
        && SOURCES
            .iter()
            .all(|part| newest(&folder.join(part)) <= built)
}

/// Installs and builds what is missing or old.
///
/// # Errors
/// A tool is missing, or one of its runs failed.
pub(crate) fn build() -> Result<(), String> {
    if is_built() {
        return Ok(());
    }
    tools()?;
    if !is_installed() {
        run::run(npm(&["ci"]))?;
    }
    run::run(npm(&["run", "build"]))
}

fn modified(path: &Path) -> Option<SystemTime> {
    path.metadata().and_then(|data| data.modified()).ok()
}

/// When the last change below a path happened; `None` when there is nothing.
fn newest(path: &Path) -> Option<SystemTime> {
    let own = modified(path);
    let Ok(entries) = path.read_dir() else {
        return own;
    };
    entries
        .filter_map(Result::ok)
        .map(|entry| newest(&entry.path()))
        .fold(own, Option::max)
}
