//! The pages name tests and files: what they name is there.

use std::path::{Path, PathBuf};
use std::{fs, io};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn page(path: &str) -> io::Result<String> {
    fs::read_to_string(root().join(path))
}

/// What stands in a text between two marks, each time.
fn between<'a>(text: &'a str, open: &'a str, close: &'a str) -> impl Iterator<Item = &'a str> {
    text.split(open)
        .skip(1)
        .filter_map(move |rest| rest.split_once(close).map(|(inside, _)| inside))
}

/// All Rust source below a folder, what was built or downloaded left out.
fn source(folder: &Path, all: &mut String) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if path.is_dir() {
            if !["target", "node_modules", ".git"].contains(&&*name) {
                source(&path, all)?;
            }
        } else if name.ends_with(".rs") {
            all.push_str(&fs::read_to_string(&path)?);
        }
    }
    Ok(())
}

#[test]
fn tests_named_in_the_readme_exist() -> io::Result<()> {
    let readme = page("README.md")?;
    let (_, guarantees) = readme
        .split_once("## What it guarantees")
        .expect("the chapter");
    let (guarantees, _) = guarantees.split_once("\n## ").expect("another chapter");
    let mut all = String::new();
    source(&root(), &mut all)?;
    let named: Vec<&str> = guarantees
        .lines()
        .filter(|line| line.starts_with('|'))
        .flat_map(|line| line.split('`').skip(1).step_by(2))
        .filter(|name| name.chars().all(|c| c.is_ascii_lowercase() || c == '_'))
        .collect();
    assert!(named.len() > 20, "{named:?}");
    for name in named {
        assert!(
            all.contains(&format!("fn {name}(")),
            "no test is called {name}"
        );
    }
    Ok(())
}

#[test]
fn files_the_pages_link_to_exist() -> io::Result<()> {
    for (name, folder) in [("README.md", ""), ("docs/ARCHITECTURE.md", "docs")] {
        for link in between(&page(name)?, "](", ")").filter(|link| !link.contains("://")) {
            let (file, chapter) = link.split_once('#').unwrap_or((link, ""));
            let file = root().join(folder).join(file);
            assert!(file.exists(), "{name} links to {link}");
            if !chapter.is_empty() {
                let text = std::fs::read_to_string(file)?;
                let mut headings = text.lines().filter(|line| line.starts_with('#'));
                let is_there = headings.any(|line| {
                    let heading = line.trim_start_matches('#').trim().to_lowercase();
                    heading.replace(' ', "-") == chapter
                });
                assert!(is_there, "{name} links to {link}: no such chapter");
            }
        }
    }
    Ok(())
}
