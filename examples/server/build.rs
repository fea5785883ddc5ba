//! Puts the built web client, if there is one, into the binary: a table of paths and bytes for `src/client.rs`.

use std::path::{Path, PathBuf};
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let here = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default());
    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default());
    // `npm run build` fills this folder. While it is missing cargo runs this again each time, so that it is found at once.
    let built = here.join("../../frontend/dist");
    println!("cargo::rerun-if-changed={}", built.display());

    let mut files = Vec::new();
    if built.join("index.html").is_file() {
        collect(&built.canonicalize()?, "", &mut files)?;
    }
    files.sort();
    let rows: Vec<String> = files
        .iter()
        .map(|(path, file)| format!("({path:?}, include_bytes!({file:?})),\n"))
        .collect();
    fs::write(out.join("client.rs"), format!("&[\n{}]\n", rows.concat()))
}

/// All files below a folder, each with its path in a URL.
fn collect(folder: &Path, path: &str, files: &mut Vec<(String, PathBuf)>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let path = format!("{path}/{}", entry.file_name().to_string_lossy());
        if entry.file_type()?.is_dir() {
            collect(&entry.path(), &path, files)?;
        } else {
            files.push((path, entry.path()));
        }
    }
    Ok(())
}
