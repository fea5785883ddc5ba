//! The web client's build.

use std::path::Path;
use std::process::Command;
use std::time::SystemTime;

use crate::run;

/// Where the client's source is, from the workspace's root.
const FOLDER: &str = "frontend";

/// What the build reads, from that folder.
const SOURCES: [&str; 9] = [
    "src",
    "public",
    "index.html",
    "package.json",
    "package-lock.json",
    "vite.config.ts",
    "tsconfig.json",
    "tsconfig.app.json",
    "tsconfig.worker.json",
];

/// As `engines` in package.json has it.
const OLDEST_NODE: (u32, u32) = (20, 19);

/// npm in the client's folder.
pub(crate) fn npm(arguments: &[&str]) -> Command {
    run::command(FOLDER, "npm", arguments)
}

/// Whether Node and npm can be used.
///
/// # Errors
/// What to install.
pub(crate) fn tools() -> Result<(), String> {
    let install = "install Node 20.19 or later with npm (nodejs.org; Debian 12's own is older)";
    let version = run::says("node", &["--version"]);
    match version.as_deref().and_then(parse) {
        None => Err(format!("node is not here: {install}")),
        Some(version) if version < OLDEST_NODE => {
            let (major, minor) = version;
            Err(format!("node is {major}.{minor} only: {install}"))
        }
        Some(_) if !run::answers("npm", &["--version"]) => {
            Err(format!("npm is not here: {install}"))
        }
        Some(_) => Ok(()),
    }
}

/// Major and minor of `v20.19.0`.
fn parse(version: &str) -> Option<(u32, u32)> {
    let mut parts = version.trim().strip_prefix('v')?.split('.');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
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

/// Writes the OpenAPI document and the web client's types of it anew.
///
/// # Errors
/// A tool is missing, or one of its runs failed.
pub(crate) fn types() -> Result<(), String> {
    tools()?;
    if !is_installed() {
        run::run(npm(&["ci"]))?;
    }
    let mut document = run::cargo(&["test", "--package", "chat-http", "--lib", "docs::"]);
    document.env("RECORD", "1");
    run::run(document)?;
    run::run(npm(&["run", "types"]))
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

#[cfg(test)]
mod tests {
    use super::{OLDEST_NODE, parse};

    #[test]
    fn versions_are_compared_as_numbers() {
        assert_eq!(parse("v20.19.2\n"), Some(OLDEST_NODE));
        assert!(parse("v18.20.4") < Some(OLDEST_NODE));
        assert!(parse("v20.9.0") < Some(OLDEST_NODE));
        assert!(parse("v100.0.0") > Some(OLDEST_NODE));
        assert_eq!(parse("no node"), None);
    }
}
