//! The key that signs tokens.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

use chat_core::Error;
use zeroize::Zeroizing;

/// Bytes of the shortest secret: as long as the hash behind HS256 (RFC 7518, section 3.2).
const MIN: usize = 32;
/// Bytes of the longest secret and secret file.
const MAX: usize = 4096;
/// A secret that repeats after so many bytes or fewer holds no more than these.
const PERIOD: usize = 16;

/// Samples of widely copied tutorials and manuals, in lower case.
const KNOWN: [&str; 3] = [
    "09d25e094faa6ca2556c818166b7a9563b93f7099f6f0f4caa6cf63b88e8d3e7",
    "3ek6fd+o0+c7tzbnvfjpmkndi2yaraakzqlk8o2ikoxqu4nf7edah8s3twphwrdwt6r",
    "404e635266556a586e3272357538782f413f4428472b4b6250645367566b5970",
];
/// Words that show that somebody wrote the secret instead of drawing it. Long enough that no random text has them by chance.
const WORDS: [&str; 10] = [
    "secret", "password", "changeme", "change-", "change_", "change t", "example", "default",
    "insecure", "12345678",
];

/// The key that signs tokens: whoever has it can be anyone. Never shown, and wiped from memory when dropped.
///
/// All nodes over one store need the same one. A new one ends every session at once.
pub struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    /// A secret from its bytes.
    ///
    /// # Errors
    /// `Invalid` outside of 32 to 4,096 bytes, and for what is no random secret as far as one can tell: one that repeats
    /// itself, that counts up or down, that has words such as "secret" in it, or that stands in a well-known manual.
    pub fn from_bytes(bytes: impl Into<Vec<u8>>) -> Result<Self, Error> {
        let bytes = Zeroizing::new(bytes.into());
        if bytes.len() < MIN {
            return Err(Error::invalid(
                "the secret is too short: it needs at least 32 bytes, such as `openssl rand -hex 32` prints",
            ));
        }
        if bytes.len() > MAX {
            return Err(Error::invalid(
                "the secret is too long: it may have 4,096 bytes",
            ));
        }
        if is_guessable(&bytes) {
            return Err(Error::invalid(
                "the secret can be guessed: use random bytes, such as `openssl rand -hex 32` prints",
            ));
        }
        Ok(Self(bytes))
    }

    /// A new one: 32 random bytes as 64 hexadecimal digits.
    ///
    /// # Errors
    /// `Internal` when the system has no randomness.
    pub fn generate() -> Result<Self, Error> {
        let mut bytes = Zeroizing::new([0_u8; 32]);
        getrandom::fill(bytes.as_mut_slice())
            .map_err(|e| Error::internal("the system's random source failed").with_source(e))?;
        let mut text = Zeroizing::new(Vec::with_capacity(64));
        for byte in bytes.iter() {
            for digit in [byte >> 4, byte & 15] {
                text.push(b"0123456789abcdef"[usize::from(digit)]);
            }
        }
        Ok(Self(text))
    }

    /// The secret in a file: all of its bytes, without a line end behind them.
    ///
    /// # Errors
    /// `Invalid` when the file is not there, is no plain file or is readable by others than its owner, and as
    /// [`Secret::from_bytes`] does; the message names the file and says what to mend.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref();
        let file = File::open(path).map_err(|e| failed("read", path, e))?;
        read(file, path)
    }

    /// The secret in a file, which is made with a new secret if it is not there, readable by its owner alone.
    ///
    /// When several processes do this at the same time, all get the same secret; a crash leaves no half-written one.
    ///
    /// # Errors
    /// As [`Secret::load`], and `Invalid` when the file cannot be made; its folder must exist.
    pub fn load_or_create(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref();
        match File::open(path) {
            Ok(file) => return read(file, path),
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(failed("read", path, error)),
        }
        let secret = Self::generate()?;
        let draft = draft(path)?;
        let made = write(&draft, secret.bytes()).and_then(|()| {
            // A link, not a rename: it fails when somebody else was faster.
            fs::hard_link(&draft, path)
        });
        let _ = fs::remove_file(&draft);
        match made {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => {
                return Err(failed("create", path, error));
            }
            _ => sync_folder(path).map_err(|e| failed("create", path, e))?,
        }
        // What stands there counts, whoever wrote it.
        Self::load(path)
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

fn is_guessable(bytes: &[u8]) -> bool {
    let repeats = (1..=PERIOD).any(|n| bytes.iter().zip(&bytes[n..]).all(|(a, b)| a == b));
    let step = |pair: &[u8]| pair[1].wrapping_sub(pair[0]);
    let counts = bytes.windows(2).all(|pair| step(pair) == step(bytes));
    let text = Zeroizing::new(String::from_utf8_lossy(bytes).to_lowercase());
    repeats
        || counts
        || KNOWN.contains(&text.trim())
        || WORDS.iter().any(|word| text.contains(word))
}

fn failed(verb: &str, path: &Path, error: io::Error) -> Error {
    let path = path.display();
    Error::invalid(format!("cannot {verb} the secret file {path}: {error}")).with_source(error)
}

fn read(file: File, path: &Path) -> Result<Secret, Error> {
    let about = file.metadata().map_err(|e| failed("read", path, e))?;
    if !about.is_file() {
        let path = path.display();
        return Err(Error::invalid(format!(
            "the secret file {path} is no plain file"
        )));
    }
    #[cfg(unix)]
    if std::os::unix::fs::MetadataExt::mode(&about) & 0o077 != 0 {
        let path = path.display();
        return Err(Error::invalid(format!(
            "the secret file {path} can be read by others: run `chmod 600 {path}`, and replace the secret if it may be known"
        )));
    }
    let mut bytes = Zeroizing::new(Vec::with_capacity(MAX + 3));
    file.take(MAX as u64 + 3)
        .read_to_end(&mut bytes)
        .map_err(|e| failed("read", path, e))?;
    let text = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
    let text = text.strip_suffix(b"\r").unwrap_or(text);
    Secret::from_bytes(text).map_err(|error| {
        let path = path.display();
        Error::invalid(format!("the secret file {path} is of no use: {error}"))
    })
}

/// A name nobody else uses, in the same folder.
fn draft(path: &Path) -> Result<PathBuf, Error> {
    let mut random = [0_u8; 8];
    getrandom::fill(&mut random)
        .map_err(|e| Error::internal("the system's random source failed").with_source(e))?;
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{:016x}.new", u64::from_le_bytes(random)));
    Ok(path.with_file_name(name))
}

fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    file.write_all(bytes)?;
    file.write_all(b"\n")?;
    file.sync_all()
}

/// Makes a new name in a folder survive a crash.
fn sync_folder(path: &Path) -> io::Result<()> {
    if cfg!(unix) {
        let folder = path.parent().filter(|folder| *folder != Path::new(""));
        File::open(folder.unwrap_or(Path::new(".")))?.sync_all()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(bytes: &[u8]) -> String {
        let error = Secret::from_bytes(bytes).unwrap_err();
        assert_eq!(error.kind(), chat_core::ErrorKind::Invalid);
        error.to_string()
    }

    #[test]
    fn refuses_what_is_short_or_guessable() {
        assert!(refused(b"").contains("short"));
        assert!(refused(&Secret::generate().unwrap().bytes()[..31]).contains("short"));
        assert!(refused(&[7; 5000]).contains("long"));
        let counting: Vec<u8> = (100..164).collect();
        let down: Vec<u8> = (0..40).map(|n| 250 - 3 * n).collect();
        for guessable in [
            &[0_u8; 32][..],
            &[0xaa; 64],
            &counting,
            &down,
            b"0123456789abcdef0123456789abcdef",
            b"your-256-bit-secret-your-256-bit-secret!",
            b"a-string-secret-at-least-256-bits-long",
            b"CHANGEME-Zq81vTxoXyA4hhNw9Ls7ffe2",
            b"please change this before you go live",
            b"supersecretkeyyoushouldnotcommittogithub",
            b"09d25e094faa6ca2556c818166b7a9563b93f7099f6f0f4caa6cf63b88e8d3e7",
            b"404E635266556A586E3272357538782F413F4428472B4B6250645367566B5970",
        ] {
            assert!(refused(guessable).contains("guessed"), "{guessable:?}");
        }
    }

    #[test]
    fn takes_random_bytes_and_never_shows_them() {
        for _ in 0..100 {
            let secret = Secret::generate().unwrap();
            let again = Secret::from_bytes(secret.bytes()).unwrap();
            assert_eq!(secret.bytes(), again.bytes());
            assert_eq!(format!("{secret:?}"), "Secret(..)");
        }
        let mut raw = [0_u8; 32];
        getrandom::fill(&mut raw).unwrap();
        Secret::from_bytes(raw).unwrap();
    }

    #[test]
    fn makes_a_file_once_for_all_who_ask() {
        for _ in 0..20 {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("token.key");
            let ready = std::sync::Barrier::new(4);
            let make = || {
                ready.wait();
                Secret::load_or_create(&path).unwrap().bytes().to_vec()
            };
            let all: Vec<Vec<u8>> = std::thread::scope(|scope| {
                let threads = [(); 4].map(|()| scope.spawn(make));
                threads.map(|thread| thread.join().unwrap()).into()
            });
            assert!(all.iter().all(|secret| *secret == all[0]));
            assert_eq!(Secret::load(&path).unwrap().bytes(), all[0]);
            let left: Vec<_> = fs::read_dir(folder.path()).unwrap().collect();
            assert_eq!(left.len(), 1, "drafts are taken away");
        }
    }

    #[cfg(unix)]
    #[test]
    fn only_the_owner_may_read_the_file() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token.key");
        let secret = Secret::load_or_create(&path).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&path), 0o600);
        for open in [0o640, 0o604, 0o620, 0o644] {
            fs::set_permissions(&path, fs::Permissions::from_mode(open)).unwrap();
            for error in [
                Secret::load(&path).unwrap_err(),
                Secret::load_or_create(&path).unwrap_err(),
            ] {
                let sentence = format!("chmod 600 {}", path.display());
                assert!(error.to_string().contains(&sentence), "{error}");
            }
        }
        fs::set_permissions(&path, fs::Permissions::from_mode(0o400)).unwrap();
        assert_eq!(Secret::load(&path).unwrap().bytes(), secret.bytes());
    }

    #[test]
    fn a_file_that_is_of_no_use_is_named_and_not_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token.key");
        assert!(Secret::load(&path).is_err());
        assert!(
            Secret::load(folder.path())
                .unwrap_err()
                .to_string()
                .contains("plain file")
        );
        assert!(Secret::load_or_create(folder.path().join("no/such")).is_err());
        write(&path, b"too short").unwrap();
        let error = Secret::load_or_create(&path).unwrap_err().to_string();
        assert!(error.contains("token.key") && error.contains("too short:"));
        assert_eq!(fs::read(&path).unwrap(), b"too short\n");
    }
}
