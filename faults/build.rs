//! Builds the shim, `shim.c`, as a library to preload. Its path is in the environment of the tests' compilation: `SHIM`.

use std::error::Error;
use std::path::PathBuf;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=shim.c");
    let path = PathBuf::from(std::env::var("OUT_DIR")?).join("shim.so");
    println!("cargo::rustc-env=SHIM={}", path.display());
    if std::env::var("CARGO_CFG_TARGET_OS")? != "linux" {
        return Ok(());
    }
    // The compiler alone: the crate's own libraries would be static ones.
    let compiler = cc::Build::new().opt_level(2).pic(true).try_get_compiler()?;
    let status = compiler
        .to_command()
        .args([
            "-shared",
            "-fvisibility=hidden",
            "-Wall",
            "-Wextra",
            "-Werror",
            "-pthread",
        ])
        .args(["shim.c", "-o"])
        .arg(&path)
        .status()?;
    if status.success() {
        Ok(())
    } else {
        Err("the shim cannot be compiled".into())
    }
}
