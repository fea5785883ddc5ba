//! What the server says on the command line, above all when it refuses to start.

use std::fs::{self, Permissions};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::support::{Server, Signal, refused};

/// Exit code 2, nothing on stdout, one line on stderr that contains `says`.
#[track_caller]
fn refuses(options: &[&str], says: &str) {
    let (code, out, err) = refused(options);
    assert_eq!(code, Some(2), "{err}");
    assert_eq!(out, "");
    assert_eq!(err.lines().count(), 1, "{err}");
    assert!(err.starts_with("chat-server: "), "{err}");
    assert!(err.contains(says), "{err}");
}

fn sqlite(path: &Path) -> String {
    format!("sqlite:{}", path.display())
}

#[test]
fn help_is_as_agreed() {
    let (code, out, err) = refused(&["--help"]);
    assert_eq!((code, err.as_str()), (Some(0), ""));
    // To agree on a new one: cargo run -p chat-server -- --help > examples/server/tests/server/help.txt
    assert_eq!(out, include_str!("help.txt"));
}

#[test]
fn every_task_has_its_help() {
    for (task, says) in [
        ("copy", "interrupted one ended"),
        ("backup", "opens as a store"),
        ("import-original", "taken for UTC"),
    ] {
        let (code, out, err) = refused(&[task, "--help"]);
        assert_eq!((code, err.as_str()), (Some(0), ""));
        assert!(
            out.split_whitespace()
                .collect::<Vec<_>>()
                .join(" ")
                .contains(says),
            "{out}"
        );
    }
}

#[test]
fn bad_options_are_refused_in_one_line() {
    refuses(&["--lisen", "127.0.0.1:0"], "--listen");
    refuses(&["--listen", "somewhere"], "--listen");
    refuses(&["--store", "mysql:x"], "sqlite:./data/chat.db");
    refuses(&["--registration", "perhaps"], "open, closed");
    refuses(&["--message-rate", "-1"], "--message-rate");
    refuses(&["--max-connections", "0"], "--max-connections");
    let memory = ["--store", "memory", "--listen", "127.0.0.1:0"];
    refuses(&[&memory[..], &["--log", "loud=very"]].concat(), "--log");
    refuses(
        &[&memory[..], &["--public-url", "chat.example"]].concat(),
        "chat.example",
    );
    refuses(&[&memory[..], &["--allow-origin", "*"]].concat(), "*");
    refuses(
        &[&memory[..], &["--trust-proxy", "10.0.0.0/33"]].concat(),
        "10.0.0.0/33",
    );
}

#[test]
fn a_brand_that_cannot_be_shown_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().to_string_lossy().into_owned();
    let memory = ["--store", "memory", "--listen", "127.0.0.1:0", "--brand"];
    refuses(&[&memory[..], &[&path]].concat(), "brand.toml");
    let toml = folder.path().join("brand.toml");
    fs::write(&toml, "name = \"Lynx\"\naccent = \"teal\"").expect("written");
    refuses(&[&memory[..], &[&path]].concat(), "teal");
    fs::write(&toml, "name = \"Lynx\"").expect("written");
    fs::write(folder.path().join("logo.svg"), "not an image").expect("written");
    refuses(&[&memory[..], &[&path]].concat(), "logo.svg");
}

#[test]
fn a_taken_port_is_named() {
    let other = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = other.local_addr().expect("bound").to_string();
    refuses(&["--store", "memory", "--listen", &address], &address);
}

#[test]
fn stores_that_cannot_be_used_are_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let listen = ["--listen", "127.0.0.1:0", "--store"];
    let with = |store: &str, says: &str| refuses(&[&listen[..], &[store]].concat(), says);

    let file = folder.path().join("file");
    fs::write(&file, "no folder").expect("written");
    with(&sqlite(&file.join("chat.db")), "file");

    let text = folder.path().join("notes.db");
    fs::write(&text, "this is a text and no database at all ".repeat(100)).expect("written");
    with(&sqlite(&text), "notes.db");

    let inside = folder.path().join("folder.db");
    fs::create_dir(&inside).expect("made");
    with(&sqlite(&inside), "folder.db");

    let server = Server::on(folder.path(), &[]);
    with(&sqlite(&folder.path().join("chat.db")), "chat.db");
    server.signal(Signal::TERM);
    assert_eq!(server.ended().code(), Some(0));
}

#[test]
fn a_weak_secret_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let secret = folder.path().join("weak");
    let said = secret.display().to_string();
    let options = [
        "--listen",
        "127.0.0.1:0",
        "--store",
        "memory",
        "--secret-file",
        &said,
    ];
    let write = |content: &str, mode: u32| {
        fs::write(&secret, content).expect("written");
        fs::set_permissions(&secret, Permissions::from_mode(mode)).expect("set");
    };
    write("secret", 0o600);
    refuses(&options, "32 bytes");
    write("", 0o600);
    refuses(&options, "32 bytes");
    write("0123456789abcdef0123456789abcdef", 0o600);
    refuses(&options, "guessed");
    write("p7Jx1vZq0cT5mB8yLw3RkN6aHs9GdE2f", 0o644);
    refuses(&options, &format!("chmod 600 {said}"));
}
