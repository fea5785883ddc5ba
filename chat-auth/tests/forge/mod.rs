//! A forger who has the secret: what is refused is refused for its content, unless the trick is about the signature.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use chat_core::Timestamp;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::{Sha256, Sha384, Sha512};

/// The one header there is.
pub(crate) const HEADER: &str = r#"{"typ":"JWT","alg":"HS256"}"#;

/// The secret of the tests.
pub(crate) fn secret() -> Vec<u8> {
    b"Qm3vX9tKc7RzLw2hJd8sPf5yBn4gTe6u".to_vec()
}

/// Writes tokens.
pub(crate) struct Forge {
    secret: Vec<u8>,
}

fn b64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// A token's payload that is right at `now`, for user 7 and login 99, for an hour.
fn body(now: Timestamp) -> Value {
    let now = now.millis() / 1000;
    json!({
        "iss": "chat", "aud": "chat", "sub": "7", "sid": "99", "use": "access",
        "iat": now, "nbf": now, "exp": now + 3600,
    })
}

impl Forge {
    pub(crate) fn new(secret: &[u8]) -> Self {
        let secret = secret.to_vec();
        Self { secret }
    }

    /// Any header, any payload, a right signature.
    pub(crate) fn sign(&self, header: &str, payload: impl AsRef<[u8]>) -> String {
        let message = format!("{}.{}", b64(header), b64(payload));
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.secret).unwrap();
        mac.update(message.as_bytes());
        format!("{message}.{}", b64(mac.finalize().into_bytes()))
    }

    pub(crate) fn good(&self, now: Timestamp) -> String {
        self.with(now, |_| {})
    }

    pub(crate) fn with(&self, now: Timestamp, change: impl FnOnce(&mut Value)) -> String {
        let mut body = body(now);
        change(&mut body);
        self.sign(HEADER, body.to_string())
    }

    /// Every trick, with what it is about.
    pub(crate) fn tricks(&self, now: Timestamp) -> Vec<(String, String)> {
        let mut all = self.shapes(now);
        all.extend(self.signatures(now));
        all.extend(self.headers(now));
        all.extend(self.payloads(now));
        all
    }

    fn shapes(&self, now: Timestamp) -> Vec<(String, String)> {
        let good = self.good(now);
        let parts: Vec<&str> = good.split('.').collect();
        let huge = |body: &mut Value| body["pad"] = json!("x".repeat(5000));
        [
            ("empty", String::new()),
            ("not a token", "hunter2".into()),
            ("dots", "..".into()),
            ("two parts", format!("{}.{}", parts[0], parts[1])),
            ("four parts", format!("{good}.{}", parts[2])),
            ("five parts, as an encrypted token has", format!("{good}..")),
            ("space before", format!(" {good}")),
            ("line end behind", format!("{good}\n")),
            ("padding", format!("{good}=")),
            ("scheme before", format!("Bearer {good}")),
            (
                "not base64",
                format!("{}.{}!.{}", parts[0], parts[1], parts[2]),
            ),
            (
                "JSON instead of compact form",
                json!({"protected": parts[0], "payload": parts[1], "signature": parts[2]})
                    .to_string(),
            ),
            ("longer than 4 KiB, though right", self.with(now, huge)),
            ("ten megabytes", "a".repeat(10 << 20)),
            ("ten megabytes of dots", ".".repeat(10 << 20)),
            ("deep JSON", self.sign(HEADER, "[".repeat(2000))),
            ("NUL", format!("{good}\0")),
        ]
        .map(|(trick, token)| (trick.to_owned(), token))
        .into()
    }

    fn signatures(&self, now: Timestamp) -> Vec<(String, String)> {
        let good = self.good(now);
        let message = good.rsplit_once('.').unwrap().0;
        let payload = body(now).to_string();
        let other = Self::new(b"another secret, of the same length").sign(HEADER, &payload);
        let signed = |bytes: &[u8]| format!("{message}.{}", b64(bytes));
        let mut sha384 = Hmac::<Sha384>::new_from_slice(&self.secret).unwrap();
        sha384.update(message.as_bytes());
        let mut sha512 = Hmac::<Sha512>::new_from_slice(&self.secret).unwrap();
        sha512.update(message.as_bytes());
        [
            ("no signature", format!("{message}.")),
            ("zeros", signed(&[0; 32])),
            (
                "half a signature",
                signed(
                    &URL_SAFE_NO_PAD
                        .decode(good.rsplit_once('.').unwrap().1)
                        .unwrap()[..16],
                ),
            ),
            ("another secret", other),
            ("an empty secret", Self::new(b"").sign(HEADER, &payload)),
            (
                "the signature of another algorithm",
                signed(&sha384.finalize().into_bytes()),
            ),
            (
                "the signature of another algorithm",
                signed(&sha512.finalize().into_bytes()),
            ),
            ("the signature of another token", {
                let foreign = self.with(now, |body| body["sub"] = json!("8"));
                format!("{message}.{}", foreign.rsplit_once('.').unwrap().1)
            }),
            ("the payload of another token", {
                let foreign = self.with(now, |body| body["sub"] = json!("8"));
                let payload = foreign.split('.').nth(1).unwrap();
                format!(
                    "{}.{payload}.{}",
                    b64(HEADER),
                    good.rsplit_once('.').unwrap().1
                )
            }),
        ]
        .map(|(trick, token)| (trick.to_owned(), token))
        .into()
    }

    fn headers(&self, now: Timestamp) -> Vec<(String, String)> {
        let payload = body(now).to_string();
        let mut all = Vec::new();
        for alg in [
            "none", "None", "NONE", "nOnE", "", "HS384", "HS512", "hs256", "HS256 ", "RS256",
            "RS384", "RS512", "PS256", "ES256", "ES384", "ES256K", "EdDSA", "dir", "A128KW",
        ] {
            let header = json!({"typ": "JWT", "alg": alg}).to_string();
            let signed = self.sign(&header, &payload);
            all.push((
                format!("alg {alg:?}, unsigned"),
                format!("{}.{}.", b64(&header), b64(&payload)),
            ));
            all.push((format!("alg {alg:?}"), signed));
        }
        let secret = b64(&self.secret);
        let jwk = json!({"kty": "oct", "k": secret, "alg": "HS256", "use": "sig"});
        for (name, value) in [
            ("kid", json!("1")),
            ("kid", json!("../../../../dev/null")),
            ("kid", json!("' UNION SELECT 'key' --")),
            ("kid", json!("key; sleep 10")),
            ("jku", json!("http://127.0.0.1:1/jwks.json")),
            ("x5u", json!("http://127.0.0.1:1/cert.pem")),
            ("x5c", json!(["MIIB"])),
            ("x5t", json!("AAAA")),
            ("x5t#S256", json!("AAAA")),
            ("jwk", jwk),
            ("crit", json!(["exp"])),
            ("crit", json!([])),
            ("b64", json!(false)),
            ("cty", json!("JWT")),
            ("enc", json!("A256GCM")),
            ("zip", json!("DEF")),
            ("url", json!("http://127.0.0.1:1/")),
            ("nonce", json!("x")),
            ("p2c", json!(2_000_000_000)),
            ("typ", json!("at+jwt")),
            ("typ", json!("refresh")),
            ("typ", json!(1)),
            ("typ", json!(null)),
            ("anything", json!({"at": "all"})),
        ] {
            let mut header = json!({"typ": "JWT", "alg": "HS256"});
            header[name] = value;
            all.push((
                format!("header {header}"),
                self.sign(&header.to_string(), &payload),
            ));
        }
        for header in [
            "",
            "{}",
            "[]",
            "null",
            "\"HS256\"",
            r#"{"typ":"JWT"}"#,
            r#"{"alg":"HS256"}"#,
            r#"{"typ":"JWT","alg":null}"#,
            r#"{"typ":"JWT","alg":["HS256"]}"#,
            r#"{"typ":"JWT","ALG":"HS256"}"#,
            r#"{"typ":"JWT","alg":"none","alg":"HS256"}"#,
            r#"{"typ":"JWT","alg":"HS256","alg":"none"}"#,
            r#"{"typ":"JWT","alg":"HS256"}x"#,
            "{\"typ\":\"JWT\",\"alg\":\"HS256\"",
        ] {
            all.push((format!("header {header}"), self.sign(header, &payload)));
        }
        // A second, other header in front, for whoever splits from the other side.
        all.push((
            "header in front".into(),
            format!("{}.{}", b64(HEADER), self.sign(HEADER, &payload)),
        ));
        all
    }

    fn payloads(&self, now: Timestamp) -> Vec<(String, String)> {
        let mut all = Vec::new();
        let good = body(now);
        let names: Vec<String> = good.as_object().unwrap().keys().cloned().collect();
        for name in &names {
            let missing = self.with(now, |body| {
                body.as_object_mut().unwrap().remove(name);
            });
            all.push((format!("no {name}"), missing));
            let value = &good[name];
            for other in [
                json!(null),
                json!(true),
                json!([]),
                json!({}),
                json!([value]),
                json!({"value": value}),
                value
                    .as_str()
                    .map_or_else(|| json!(value.to_string()), |text| json!(text.as_bytes())),
                value
                    .as_i64()
                    .map_or(json!(1), |number| json!(number as f64 + 0.5)),
                value.as_i64().map_or(json!(0), |number| json!(-number)),
                value
                    .as_str()
                    .map_or_else(|| json!(""), |text| json!(format!("{text} "))),
                value
                    .as_str()
                    .map_or_else(|| json!("0x7"), |text| json!(format!("{text}\0"))),
            ] {
                let token = self.with(now, |body| body[name] = other.clone());
                all.push((format!("{name} = {other}"), token));
            }
            let doubled = good
                .to_string()
                .replacen('{', &format!("{{{:?}:{value},", name), 1);
            all.push((format!("{name} twice"), self.sign(HEADER, &doubled)));
            let upper = self.with(now, |body| {
                let value = body.as_object_mut().unwrap().remove(name);
                body[name.to_uppercase()] = value.unwrap();
            });
            all.push((format!("{name} in upper case"), upper));
        }
        let t = now.millis() / 1000;
        for (name, value) in [
            ("iss", json!("chat2")),
            ("iss", json!("CHAT")),
            ("iss", json!(["chat", "evil"])),
            ("aud", json!("other")),
            ("aud", json!(["chat"])),
            ("aud", json!(["other", "chat"])),
            ("use", json!("refresh")),
            ("use", json!("id")),
            ("use", json!("Access")),
            ("sub", json!("0")),
            ("sub", json!("-7")),
            ("sub", json!("+7")),
            ("sub", json!("07")),
            ("sub", json!(" 7")),
            ("sub", json!("７")),
            ("sub", json!("7e0")),
            ("sub", json!("9007199254740992")),
            ("sub", json!("18446744073709551623")),
            ("sub", json!("admin")),
            ("sub", json!(7)),
            ("sid", json!("0")),
            ("sid", json!("099")),
            ("sid", json!("9007199254740992")),
            ("sid", json!(99)),
            ("exp", json!(t)),
            ("exp", json!(t - 1)),
            ("exp", json!(0)),
            ("exp", json!(-1)),
            ("exp", json!(t + 32 * 24 * 3600)),
            ("exp", json!(9_999_999_999_u64)),
            ("exp", json!(i64::MAX)),
            ("exp", json!(u64::MAX)),
            ("exp", json!((t + 3600) * 1000)),
            ("exp", json!(1e300)),
            ("exp", json!((t + 3600).to_string())),
            ("nbf", json!(t + 3600)),
            ("nbf", json!(u64::MAX)),
            ("nbf", json!(t.to_string())),
            ("iat", json!(t + 3600)),
            ("iat", json!(i64::MAX)),
            ("iat", json!(i64::MIN)),
            ("iat", json!(0)),
            ("iat", json!(t.to_string())),
        ] {
            let token = self.with(now, |body| body[name] = value.clone());
            all.push((format!("{name} = {value}"), token));
        }
        for payload in [
            "",
            "null",
            "[]",
            "7",
            "\"7\"",
            "{}",
            &format!("{good}x"),
            &format!("\u{feff}{good}"),
        ] {
            all.push((format!("payload {payload}"), self.sign(HEADER, payload)));
        }
        let exponent = good
            .to_string()
            .replace(&format!("\"exp\":{}", t + 3600), "\"exp\":1e999");
        all.push(("exp = 1e999".into(), self.sign(HEADER, &exponent)));
        let mut broken = good.to_string().into_bytes();
        broken.insert(1, 0xff);
        all.push((
            "payload that is not UTF-8".into(),
            self.sign(HEADER, &broken),
        ));
        all
    }
}
