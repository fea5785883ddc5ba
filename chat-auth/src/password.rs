//! Password hashes.

use argon2::password_hash::{self, PasswordVerifier, phc::PasswordHash};
use argon2::{Algorithm, Argon2, Params, PasswordHasher as _, Version};
use base64::{Engine, engine::general_purpose::STANDARD};
use chat_core::{Error, PasswordCheck, PasswordHasher};
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

/// Bytes of the shortest new password. Old ones may be shorter.
pub const MIN_PASSWORD: usize = 8;
/// Bytes of the longest password.
pub const MAX_PASSWORD: usize = 1024;

/// What a stored hash may ask for at most, so that no row of the store can take a server down: KiB, passes, lanes …
const MOST: Cost = Cost {
    memory: 256 << 10,
    passes: 16,
    lanes: 16,
};
/// … and bcrypt's cost, twice the work each.
const BCRYPT_COST: std::ops::RangeInclusive<u32> = 4..=16;

/// What hashing a password takes with Argon2id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cost {
    /// KiB of memory.
    pub memory: u32,
    /// Passes over it.
    pub passes: u32,
    /// Lanes, one after the other: more of them only serve hashes made elsewhere.
    pub lanes: u32,
}

impl Cost {
    fn covers(self, other: Self) -> bool {
        other.memory <= self.memory && other.passes <= self.passes && other.lanes <= self.lanes
    }
}

impl Default for Cost {
    /// 19 MiB, 2 passes, 1 lane: what OWASP's Password Storage Cheat Sheet asks for at least. Some 20 to 40 ms of a
    /// core.
    fn default() -> Self {
        Self {
            memory: Params::DEFAULT_M_COST,
            passes: Params::DEFAULT_T_COST,
            lanes: Params::DEFAULT_P_COST,
        }
    }
}

impl Default for Hasher {
    fn default() -> Self {
        Self::with(Cost::default(), Params::DEFAULT)
    }
}

/// Hashes new passwords with Argon2id, as PHC strings, and checks these and older hashes.
///
/// - **Passwords** are 8 to 1,024 bytes of any characters, taken whole and as they are: not trimmed, not normalised, NUL
///   included. A longer one is never right.
/// - **Older hashes**: Argon2 with less memory, fewer passes, another variant or version; and passlib's `bcrypt_sha256`,
///   versions 1 and 2 (<https://passlib.readthedocs.io/en/stable/lib/passlib.hash.bcrypt_sha256.html>), which hashes the
///   password to 44 characters before bcrypt sees it, so that nothing is cut off there. Right ones are
///   [`PasswordCheck::RightButOld`], whatever the length of the password.
/// - **Bounds**: a stored hash that asks for more than 256 MiB, 16 passes, 16 lanes or a bcrypt cost of 16 is refused.
///
/// Checking takes [`Cost::memory`] (19 MiB) at a time, or what an older hash was made with.
#[derive(Clone, Debug)]
pub struct Hasher {
    cost: Cost,
    argon2: Argon2<'static>,
    /// In the place of an unknown user's hash: of the same cost, and right for no password.
    dummy: String,
}

impl Hasher {
    /// Hashes new passwords at this cost: [`Cost::default`], or more; less is for tests only.
    ///
    /// # Errors
    /// `Invalid` above 256 MiB, 16 passes or 16 lanes, or below one pass, one lane or 8 KiB a lane.
    pub fn new(cost: Cost) -> Result<Self, Error> {
        let wrong = || Error::invalid("Argon2 cannot hash passwords at this cost");
        if !MOST.covers(cost) {
            return Err(wrong());
        }
        let Cost {
            memory,
            passes,
            lanes,
        } = cost;
        Params::new(memory, passes, lanes, None)
            .map(|params| Self::with(cost, params))
            .map_err(|_| wrong())
    }

    fn with(cost: Cost, params: Params) -> Self {
        let Cost {
            memory,
            passes,
            lanes,
        } = cost;
        let (salt, output) = ("A".repeat(22), "A".repeat(43));
        Self {
            cost,
            argon2: Argon2::new(Algorithm::Argon2id, Version::V0x13, params),
            dummy: format!("$argon2id$v=19$m={memory},t={passes},p={lanes}${salt}${output}"),
        }
    }

    fn check(&self, password: &str, hash: &str) -> Result<PasswordCheck, Error> {
        if let Some(hash) = hash.strip_prefix("$bcrypt-sha256$") {
            return Ok(if check_bcrypt_sha256(password, hash)? {
                PasswordCheck::RightButOld
            } else {
                PasswordCheck::Wrong
            });
        }
        let mut hash = PasswordHash::new(hash).map_err(|_| unknown())?;
        // The format is older than its version field.
        let version = *hash.version.get_or_insert(Version::V0x10.into());
        let params = Params::try_from(&hash).map_err(|_| unknown())?;
        let cost = Cost {
            memory: params.m_cost(),
            passes: params.t_cost(),
            lanes: params.p_cost(),
        };
        if !MOST.covers(cost) {
            return Err(excessive());
        }
        match self.argon2.verify_password(password.as_bytes(), &hash) {
            Err(password_hash::Error::PasswordInvalid) => Ok(PasswordCheck::Wrong),
            Err(_) => Err(unknown()),
            Ok(()) => {
                let current = hash.algorithm.as_str() == Algorithm::Argon2id.as_str()
                    && version == u32::from(Version::V0x13)
                    && cost.memory >= self.cost.memory
                    && cost.passes >= self.cost.passes;
                Ok(if current {
                    PasswordCheck::Right
                } else {
                    PasswordCheck::RightButOld
                })
            }
        }
    }
}

impl PasswordHasher for Hasher {
    fn hash(&self, password: &str) -> Result<String, Error> {
        if password.len() < MIN_PASSWORD {
            return Err(Error::invalid("the password needs at least 8 characters"));
        }
        if password.len() > MAX_PASSWORD {
            return Err(Error::invalid("the password may have at most 1,024 bytes"));
        }
        self.argon2
            .hash_password(password.as_bytes())
            .map(|hash| hash.to_string())
            .map_err(|e| Error::internal("a password cannot be hashed").with_source(e))
    }

    fn verify(&self, password: &str, hash: Option<&str>) -> Result<PasswordCheck, Error> {
        // Before anything is known of the user, so that it tells nothing of them.
        if password.len() > MAX_PASSWORD {
            return Ok(PasswordCheck::Wrong);
        }
        match hash {
            Some(hash) => self.check(password, hash),
            None => {
                self.check(password, &self.dummy)?;
                Ok(PasswordCheck::Wrong)
            }
        }
    }
}

/// Checks `2b,12$salt$digest` (version 1) or `v=2,t=2b,r=12$salt$digest` (version 2).
fn check_bcrypt_sha256(password: &str, hash: &str) -> Result<bool, Error> {
    let mut parts = hash.split('$');
    let (Some(settings), Some(salt), Some(digest), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(unknown());
    };
    let settings: Vec<&str> = settings.split(',').collect();
    let (variant, cost, key) = match settings[..] {
        [variant @ ("2a" | "2b"), cost] => {
            (variant, cost, STANDARD.encode(Sha256::digest(password)))
        }
        ["v=2", "t=2b", cost] => {
            let cost = cost.strip_prefix("r=").ok_or_else(unknown)?;
            let mut mac = Hmac::<Sha256>::new_from_slice(salt.as_bytes()).map_err(|_| unknown())?;
            mac.update(password.as_bytes());
            ("2b", cost, STANDARD.encode(mac.finalize().into_bytes()))
        }
        _ => return Err(unknown()),
    };
    let cost: u32 = cost.parse().map_err(|_| unknown())?;
    if !BCRYPT_COST.contains(&cost) {
        return Err(excessive());
    }
    let key = Zeroizing::new(key);
    bcrypt::verify(
        key.as_bytes(),
        &format!("${variant}${cost:02}${salt}{digest}"),
    )
    .map_err(|_| unknown())
}

fn unknown() -> Error {
    Error::internal("a stored password hash is of no known scheme")
}

fn excessive() -> Error {
    Error::internal("a stored password hash asks for more work than is allowed")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_dummy_is_hashed_at_the_same_cost_and_never_right() {
        let hasher = Hasher::new(Cost {
            memory: 128,
            passes: 3,
            lanes: 2,
        })
        .unwrap();
        let dummy = PasswordHash::new(&hasher.dummy).unwrap();
        let real = PasswordHash::new(&hasher.hash("some password").unwrap()).unwrap();
        assert_eq!(
            (dummy.algorithm, dummy.version),
            (real.algorithm, real.version)
        );
        assert_eq!(dummy.params, real.params);
        assert_eq!(dummy.salt.unwrap().len(), real.salt.unwrap().len());
        assert_eq!(dummy.hash.unwrap().len(), real.hash.unwrap().len());
        assert_eq!(
            hasher.verify("some password", None).unwrap(),
            PasswordCheck::Wrong
        );
        assert_eq!(
            hasher.check("some password", &hasher.dummy).unwrap(),
            PasswordCheck::Wrong
        );
    }
}
