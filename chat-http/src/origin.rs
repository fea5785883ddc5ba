//! Where a request comes from: the pages that may send it, and the address behind trusted proxies.

use std::net::{IpAddr, SocketAddr};

use http::header::{HeaderMap, HeaderName, ORIGIN};
use http::request::Parts;
use http::{StatusCode, Uri};

use crate::BuildError;
use crate::problem::Problem;

/// The address a request came from. [`crate::Server`] sets it; a host that mounts the service elsewhere puts it in the
/// request's extensions, else the limits by address do not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer(pub SocketAddr);

const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The exact origins whose pages may act for a user.
#[derive(Clone, Debug, Default)]
pub(crate) struct Origins(Vec<String>);

impl Origins {
    pub(crate) fn add(&mut self, origin: String) {
        if !self.0.contains(&origin) {
            self.0.push(origin);
        }
    }

    pub(crate) fn contains(&self, origin: &str) -> bool {
        self.0.iter().any(|known| known == origin)
    }

    /// The origin of a request, when it is one of these.
    pub(crate) fn allowed<'a>(&self, headers: &'a HeaderMap) -> Option<&'a str> {
        let origin = headers.get(ORIGIN)?.to_str().ok()?;
        self.contains(origin).then_some(origin)
    }

    /// Refuses what a foreign page sent. Programs that are no browser send neither header.
    pub(crate) fn check(&self, headers: &HeaderMap) -> Result<(), Problem> {
        let refuse = |detail| Err(Problem::new(StatusCode::FORBIDDEN, detail));
        let origins = headers.get_all(ORIGIN).iter().count();
        if origins > 1 || (origins == 1 && self.allowed(headers).is_none()) {
            return refuse("the `Origin` of this request is not one this server allows");
        }
        let cross =
            |value: &http::HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"cross-site");
        if headers.get_all(FETCH_SITE).iter().any(cross) {
            return refuse("requests of other sites are not allowed to do this");
        }
        Ok(())
    }
}

/// The origin (RFC 6454, section 6.2) of an absolute http or https URL.
pub(crate) fn origin_of(url: &str) -> Result<String, BuildError> {
    let bad = || BuildError::Url(url.to_owned());
    let uri: Uri = url.parse().map_err(|_| bad())?;
    let (scheme, authority) = match (uri.scheme_str(), uri.authority()) {
        (Some(scheme @ ("http" | "https")), Some(authority)) => (scheme, authority),
        _ => return Err(bad()),
    };
    if authority.as_str().contains('@') || uri.query().is_some() {
        return Err(bad());
    }
    let host = authority.host().to_ascii_lowercase();
    Ok(match (scheme, authority.port_u16()) {
        ("http", Some(80)) | ("https", Some(443)) | (_, None) => format!("{scheme}://{host}"),
        (_, Some(port)) => format!("{scheme}://{host}:{port}"),
    })
}

/// The origins under which a browser on this machine, or one that uses the address itself, reaches a listener.
pub(crate) fn origins_of(listener: SocketAddr) -> Vec<String> {
    let mut hosts = Vec::new();
    if listener.ip().is_unspecified() || listener.ip().is_loopback() {
        hosts.extend(["localhost", "127.0.0.1", "[::1]"].map(str::to_owned));
    }
    if !listener.ip().is_unspecified() {
        hosts.push(match listener.ip() {
            IpAddr::V4(ip) => ip.to_string(),
            IpAddr::V6(ip) => format!("[{ip}]"),
        });
    }
    hosts
        .iter()
        .filter_map(|host| origin_of(&format!("http://{host}:{}", listener.port())).ok())
        .collect()
}

/// An address or a network in CIDR notation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Net {
    base: IpAddr,
    prefix: u32,
}

impl Net {
    pub(crate) fn parse(text: &str) -> Result<Self, BuildError> {
        let bad = || BuildError::Network(text.to_owned());
        let (base, prefix) = match text.split_once('/') {
            Some((base, prefix)) => (base, Some(prefix.parse().map_err(|_| bad())?)),
            None => (text, None),
        };
        let base: IpAddr = base.parse().map_err(|_| bad())?;
        let bits = if base.is_ipv4() { 32 } else { 128 };
        let prefix = prefix.unwrap_or(bits);
        if prefix > bits {
            return Err(bad());
        }
        Ok(Self { base, prefix })
    }

    fn contains(&self, ip: IpAddr) -> bool {
        match (self.base, ip.to_canonical()) {
            (IpAddr::V4(base), IpAddr::V4(ip)) => {
                let differ = base.to_bits() ^ ip.to_bits();
                differ.checked_shr(32 - self.prefix).unwrap_or(0) == 0
            }
            (IpAddr::V6(base), IpAddr::V6(ip)) => {
                let differ = base.to_bits() ^ ip.to_bits();
                differ.checked_shr(128 - self.prefix).unwrap_or(0) == 0
            }
            _ => false,
        }
    }
}

/// The proxies whose `X-Forwarded-For` is believed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Proxies(pub(crate) Vec<Net>);

impl Proxies {
    pub(crate) fn contains(&self, ip: IpAddr) -> bool {
        self.0.iter().any(|net| net.contains(ip))
    }

    /// Whose request it is: the peer, or what trusted proxies say of it. Each proxy appends the address it saw, so the
    /// list is read from its end, up to the first that is no trusted proxy itself.
    pub(crate) fn client(&self, parts: &Parts) -> Option<IpAddr> {
        let peer = parts.extensions.get::<Peer>()?.0.ip().to_canonical();
        if !self.contains(peer) {
            return Some(peer);
        }
        let values = parts.headers.get_all(FORWARDED_FOR);
        let mut hops: Vec<&str> = values
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .collect();
        let mut client = peer;
        while let Some(hop) = hops.pop() {
            let Ok(ip) = hop.trim().parse::<IpAddr>() else {
                break;
            };
            client = ip.to_canonical();
            if !self.contains(client) {
                break;
            }
        }
        Some(client)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_scheme_host_and_port() {
        for (url, origin) in [
            ("https://Chat.example", "https://chat.example"),
            ("https://chat.example:443/app/", "https://chat.example"),
            ("http://chat.example:80", "http://chat.example"),
            ("http://chat.example:443", "http://chat.example:443"),
            ("http://[::1]:8000", "http://[::1]:8000"),
        ] {
            assert_eq!(origin_of(url).unwrap(), origin, "{url}");
        }
        for url in [
            "",
            "null",
            "chat.example",
            "ftp://x",
            "https://",
            "https://a@b",
            "/x",
        ] {
            assert!(origin_of(url).is_err(), "{url}");
        }
    }

    #[test]
    fn only_exact_origins_pass() {
        let mut origins = Origins::default();
        origins.add("https://chat.example".to_owned());
        let check = |origin: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(ORIGIN, origin.parse().unwrap());
            origins.check(&headers).is_ok()
        };
        assert!(check("https://chat.example"));
        for foreign in [
            "null",
            "",
            "http://chat.example",
            "https://chat.example.evil.com",
            "https://evilchat.example",
            "https://chat.example:444",
            "https://chat.example/",
            "https://chat.example@evil.com",
            "https://CHAT.example",
            "https://chat.example https://evil.com",
        ] {
            assert!(!check(foreign), "{foreign}");
        }
    }

    #[test]
    fn no_browser_no_origin() {
        let origins = Origins::default();
        let mut headers = HeaderMap::new();
        assert!(origins.check(&headers).is_ok());
        headers.insert(FETCH_SITE, "cross-site".parse().unwrap());
        assert!(origins.check(&headers).is_err());
    }

    #[test]
    fn networks() {
        let net = |text: &str| Net::parse(text).unwrap();
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        assert!(net("10.0.0.0/8").contains(ip("10.255.0.1")));
        assert!(net("10.0.0.0/8").contains(ip("::ffff:10.1.1.1")));
        assert!(!net("10.0.0.0/8").contains(ip("11.0.0.1")));
        assert!(net("0.0.0.0/0").contains(ip("1.2.3.4")));
        assert!(!net("0.0.0.0/0").contains(ip("::2")));
        assert!(net("127.0.0.1").contains(ip("127.0.0.1")));
        assert!(!net("127.0.0.1").contains(ip("127.0.0.2")));
        assert!(net("fd00::/8").contains(ip("fd12::1")));
        assert!(net("::/0").contains(ip("fe80::1")));
        for bad in ["", "10.0.0.0/33", "10.0.0/8", "x", "::/129", "10.0.0.0/-1"] {
            assert!(Net::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn forwarded_addresses_are_believed_of_named_proxies_only() {
        let proxies = Proxies(vec![Net::parse("10.0.0.0/8").unwrap()]);
        let client = |peer: &str, forwarded: &[&str]| {
            let mut request = http::Request::new(());
            request
                .extensions_mut()
                .insert(Peer(SocketAddr::new(peer.parse().unwrap(), 1)));
            for value in forwarded {
                let value = value.parse().unwrap();
                request.headers_mut().append(FORWARDED_FOR, value);
            }
            proxies.client(&request.into_parts().0).unwrap().to_string()
        };
        assert_eq!(client("9.9.9.9", &["1.1.1.1"]), "9.9.9.9");
        assert_eq!(client("10.0.0.1", &["1.1.1.1"]), "1.1.1.1");
        assert_eq!(client("10.0.0.1", &["6.6.6.6, 1.1.1.1"]), "1.1.1.1");
        assert_eq!(
            client("10.0.0.1", &["6.6.6.6", "1.1.1.1, 10.0.0.2"]),
            "1.1.1.1"
        );
        assert_eq!(client("10.0.0.1", &["nonsense"]), "10.0.0.1");
        assert_eq!(client("10.0.0.1", &[]), "10.0.0.1");
    }
}
