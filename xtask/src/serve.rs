//! `cargo xtask serve`.

use std::os::unix::process::CommandExt;

use crate::{run, web};

/// Builds the web client if need be, then becomes the server with these options.
///
/// # Errors
/// The client did not build, or the server could not be started.
pub(crate) fn serve(options: &[&str]) -> Result<(), String> {
    if let Err(why) = web::tools() {
        // The API needs no Node: serve what there is.
        println!("The web client is not built anew: {why}");
    } else {
        web::build()?;
    }
    let mut server = run::cargo(&["run", "--release", "--package", "chat-server", "--"]);
    server.args(options);
    // Replaces this process, so that Ctrl-C and signals reach the server alone and its exit code is this one's.
    let error = server.exec();
    Err(format!(
        "`{}` could not be started: {error}",
        run::line(&server)
    ))
}
