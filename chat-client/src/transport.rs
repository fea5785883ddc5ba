//! Streams to a server: plain, or by TLS.

use http::Uri;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use crate::Error;

/// A stream, whatever it is.
pub(crate) trait Io: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

/// Where a server is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Address {
    pub(crate) host: String,
    port: u16,
    tls: bool,
    /// As the `Host` header names it.
    pub(crate) authority: String,
    /// In front of all paths, without a slash at its end.
    prefix: String,
}

impl Address {
    pub(crate) fn parse(url: &str) -> Result<Self, Error> {
        let wrong = || {
            Error::Invalid("the server's address is written like http://127.0.0.1:8000".to_owned())
        };
        let uri: Uri = url.parse().map_err(|_| wrong())?;
        let tls = match uri.scheme_str() {
            Some("http") => false,
            Some("https") if cfg!(feature = "tls") => true,
            Some("https") => {
                let detail = "https:// needs the feature `tls` of chat-client";
                return Err(Error::Invalid(detail.to_owned()));
            }
            _ => return Err(wrong()),
        };
        let authority = uri.authority().ok_or_else(wrong)?;
        if authority.as_str().contains('@') || uri.query().is_some() {
            return Err(wrong());
        }
        Ok(Self {
            host: authority.host().trim_matches(['[', ']']).to_owned(),
            port: authority.port_u16().unwrap_or(if tls { 443 } else { 80 }),
            tls,
            authority: authority.as_str().to_owned(),
            prefix: uri.path().trim_end_matches('/').to_owned(),
        })
    }

    pub(crate) fn path(&self, path: &str) -> String {
        format!("{}{path}", self.prefix)
    }

    pub(crate) async fn connect(&self) -> Result<Box<dyn Io>, Error> {
        let unreachable = |error: std::io::Error| Error::Unreachable(error.to_string());
        let stream = TcpStream::connect((self.host.as_str(), self.port))
            .await
            .map_err(unreachable)?;
        // Frames are small and do not wait for each other.
        stream.set_nodelay(true).map_err(unreachable)?;
        if self.tls {
            return self.secure(stream).await;
        }
        Ok(Box::new(stream))
    }

    #[cfg(not(feature = "tls"))]
    #[expect(clippy::unused_async, reason = "the same as with TLS")]
    async fn secure(&self, _: TcpStream) -> Result<Box<dyn Io>, Error> {
        Err(Error::Invalid("no TLS here".to_owned()))
    }

    #[cfg(feature = "tls")]
    async fn secure(&self, stream: TcpStream) -> Result<Box<dyn Io>, Error> {
        use std::sync::{Arc, OnceLock};

        use rustls::pki_types::ServerName;
        use rustls::{ClientConfig, RootCertStore};

        static CONFIG: OnceLock<Arc<ClientConfig>> = OnceLock::new();
        let wrong = |error: rustls::Error| Error::Unreachable(error.to_string());
        let config = match CONFIG.get() {
            Some(config) => Arc::clone(config),
            None => {
                let mut roots = RootCertStore::empty();
                // Reads files: once, and not while others wait.
                let found = tokio::task::spawn_blocking(rustls_native_certs::load_native_certs)
                    .await
                    .map_err(|error| Error::Unreachable(error.to_string()))?;
                roots.add_parsable_certificates(found.certs);
                let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
                let config = ClientConfig::builder_with_provider(provider)
                    .with_safe_default_protocol_versions()
                    .map_err(wrong)?
                    .with_root_certificates(roots)
                    .with_no_client_auth();
                Arc::clone(CONFIG.get_or_init(|| Arc::new(config)))
            }
        };
        let name = ServerName::try_from(self.host.clone())
            .map_err(|error| Error::Invalid(error.to_string()))?;
        let stream = tokio_rustls::TlsConnector::from(config)
            .connect(name, stream)
            .await
            .map_err(|error| Error::Unreachable(error.to_string()))?;
        Ok(Box::new(stream))
    }
}

#[cfg(test)]
mod tests {
    use super::Address;

    #[test]
    fn addresses_are_read() {
        let address = Address::parse("http://[::1]:8000/chat/").unwrap();
        assert_eq!(address.host, "::1");
        assert_eq!(address.authority, "[::1]:8000");
        assert_eq!(address.path("/ws"), "/chat/ws");
        assert_eq!(
            Address::parse("http://a.example").unwrap().path("/ws"),
            "/ws"
        );
        for bad in [
            "",
            "127.0.0.1:8000",
            "ftp://a",
            "http://",
            "http://u:p@a",
            "http://a/?q",
        ] {
            assert!(Address::parse(bad).is_err(), "{bad}");
        }
    }
}
