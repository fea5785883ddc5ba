//! Which passwords are right, against hashes that were made elsewhere, too.

#![allow(clippy::unwrap_used)]

use chat_auth::{Cost, Hasher};
use chat_core::{ErrorKind, PasswordCheck, PasswordHasher};

/// Made by passlib 1.7.4 over bcrypt 4.0.1:
/// `passlib.hash.bcrypt_sha256.using(version=…, rounds=…, ident=…).hash(password)`.
const PASSLIB: [(&str, &str); 15] = [
    (
        "correct horse battery staple",
        "$bcrypt-sha256$2b,4$SEslHfGI4YpTzkUd9G49lu$gMm07SCEtS21yfP3c6yYodq4TzI.s0i",
    ),
    (
        "pässwörd-Ω-密码-🔑",
        "$bcrypt-sha256$2b,5$YmNxy1HVAo7CwxhYGJE8b.$7Uh8oPNZM0i3LYFPIArgllepv6/JrrW",
    ),
    (
        HUNDRED,
        "$bcrypt-sha256$2b,4$fulvYdptgXTB2pBmpngnYe$3JeCsDSTPv5M59EACaqLoUyn6JdlCHq",
    ),
    (
        "kurz",
        "$bcrypt-sha256$2b,4$PEvSYVd3N5gagSD2sRZlru$QxxL0NT.m7gxgvOMpZQwGsqXGWgsPMe",
    ),
    (
        "nul\0inside",
        "$bcrypt-sha256$2b,4$saGrfwIHYp4QMTnpTfY69u$voj20/EW9DHvHQHwlOcKlpmq2pOcBgy",
    ),
    (
        "",
        "$bcrypt-sha256$2b,4$lxATln9gZHVUFBYew/Pqwu$TylyN2PbPhb6CI0QpouAIg/M4jnymtu",
    ),
    (
        "older ident",
        "$bcrypt-sha256$2a,4$xNqtS2LZVJc/sf5Dwpj6Vu$bqF9BtW2Qz5JGI6Sz6y6Tsh.5kivfTq",
    ),
    (
        "correct horse battery staple",
        "$bcrypt-sha256$v=2,t=2b,r=4$/HZPs8jbqTweeooOeX.ri.$AtFVavJ3kGlMiphcyk1gBvwF.cRJbhi",
    ),
    (
        "pässwörd-Ω-密码-🔑",
        "$bcrypt-sha256$v=2,t=2b,r=5$HkZPHEkzK3lZ/PJMTqfDDe$/Y4N4Axt20625EkH9mK4pwl8Sp9thEe",
    ),
    (
        HUNDRED,
        "$bcrypt-sha256$v=2,t=2b,r=4$Hbd1o7sRyt88MRTSz.hWeO$3CcxOqhvQNRIBxuGjXAgq703EQJ/Qe6",
    ),
    (
        "kurz",
        "$bcrypt-sha256$v=2,t=2b,r=4$umr9ykEFcKNKr4tum4..su$Ic3KAfQocN4Tgo3QF0rqYLsLAAxr7ia",
    ),
    (
        "nul\0inside",
        "$bcrypt-sha256$v=2,t=2b,r=4$/k/vxDALDXz0f9YPQ5oCzu$ofQqazSpm9saPkbItpPt6ufhXMX4DHy",
    ),
    (
        "",
        "$bcrypt-sha256$v=2,t=2b,r=4$vTLUnFsLaMt/nl.PQ9wNmu$Pe0bdD6XRCosC/uVTDZGngouLzkZtpG",
    ),
    (
        "ten rounds",
        "$bcrypt-sha256$v=2,t=2b,r=10$kvUnOO6hfqTOVdNd3HK6iO$HL0OQrZniyn6e6OGuFZHPV4bG7Wx3pG",
    ),
    (
        "default settings",
        "$bcrypt-sha256$v=2,t=2b,r=12$0ifzd1kDKY.LL5xR8nLz1u$tpOabHBk3DYAGFWbtOqPMjgKHYHwcyS",
    ),
];
const HUNDRED: &str = "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx";

/// Made by argon2-cffi 25.1.0 of the password `argon from elsewhere`, and whether it is as good as [`CHEAP`].
const ARGON2: [(&str, bool); 5] = [
    (
        "$argon2id$v=19$m=64,t=1,p=1$5wjVEnKwGP01eLg3Fo+izg$P39MyW/uveNGWMZB7n9/wDLJK8A/mP5uRWLrio7IitQ",
        false,
    ),
    (
        "$argon2i$v=19$m=64,t=3,p=2$HJbq+CTEWmcu2oHTWjaW+A$PlhQ0/3GHpvh8IAg5dkUKxfmpmD9oNxE6fy0uOvmXEg",
        false,
    ),
    (
        "$argon2d$v=19$m=64,t=1,p=1$2yjB99hk/uCj+M1lw41t0g$44fwvBd6QRsWeos1DCJ2xQc6/8NKAfiqjv0q462f3og",
        false,
    ),
    (
        "$argon2id$v=19$m=19456,t=2,p=1$K3n93eh8pxGm79LKLrCe/A$jxWINSDr6aCWTF+iUA1ByErRWc6YQONUZzULJWwygbY",
        true,
    ),
    (
        "$argon2id$v=19$m=65536,t=3,p=4$f8+9D0JhY1IOVMTxpOrgag$fazdy8OYpKHNNXz858daFGob6QrAFUU8Ai1urDX9Zh4",
        true,
    ),
];

const CHEAP: Cost = Cost {
    memory: 128,
    passes: 2,
    lanes: 1,
};

fn cheap() -> Hasher {
    Hasher::new(CHEAP).unwrap()
}

#[test]
fn new_hashes_are_argon2id_at_the_cost_asked_for() {
    let hasher = Hasher::default();
    let hash = hasher.hash("a new password").unwrap();
    assert!(
        hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"),
        "{hash}"
    );
    assert_ne!(hash, hasher.hash("a new password").unwrap(), "salted");
    let check = |password| hasher.verify(password, Some(&hash)).unwrap();
    assert_eq!(check("a new password"), PasswordCheck::Right);
    assert_eq!(check("a new passwore"), PasswordCheck::Wrong);
    assert_eq!(check(""), PasswordCheck::Wrong);
}

#[test]
fn knows_what_passlib_made() {
    let hasher = cheap();
    for (password, hash) in PASSLIB {
        let check = |password: &str| hasher.verify(password, Some(hash)).unwrap();
        assert_eq!(check(password), PasswordCheck::RightButOld, "{hash}");
        if !hash.contains("r=12") {
            assert_eq!(check(&format!("{password}x")), PasswordCheck::Wrong);
        }
    }
}

#[test]
fn nothing_is_cut_off() {
    let hasher = cheap();
    let mut longest = "é".repeat(511) + "\0!";
    let hash = hasher.hash(&longest).unwrap();
    assert_eq!(
        hasher.verify(&longest, Some(&hash)).unwrap(),
        PasswordCheck::Right
    );
    longest.pop();
    longest.push('?');
    assert_eq!(
        hasher.verify(&longest, Some(&hash)).unwrap(),
        PasswordCheck::Wrong
    );
    // bcrypt alone would stop at byte 72, or at the NUL.
    for (password, hash) in PASSLIB {
        if password == HUNDRED || password.contains('\0') {
            let mut other = password.to_owned();
            other.pop();
            assert_eq!(
                hasher.verify(&other, Some(hash)).unwrap(),
                PasswordCheck::Wrong
            );
        }
    }
}

#[test]
fn weaker_argon2_is_old_and_stronger_is_not() {
    let hasher = cheap();
    for (hash, good) in ARGON2 {
        let right = if good {
            PasswordCheck::Right
        } else {
            PasswordCheck::RightButOld
        };
        assert_eq!(
            hasher.verify("argon from elsewhere", Some(hash)).unwrap(),
            right,
            "{hash}"
        );
        assert_eq!(
            hasher.verify("argon from nowhere", Some(hash)).unwrap(),
            PasswordCheck::Wrong
        );
    }
}

#[test]
fn less_memory_or_fewer_passes_are_old() {
    for (memory, passes, right) in [
        (CHEAP.memory, CHEAP.passes, PasswordCheck::Right),
        (CHEAP.memory * 2, CHEAP.passes + 1, PasswordCheck::Right),
        (CHEAP.memory - 1, CHEAP.passes, PasswordCheck::RightButOld),
        (CHEAP.memory, CHEAP.passes - 1, PasswordCheck::RightButOld),
    ] {
        let lanes = CHEAP.lanes;
        let other = Hasher::new(Cost {
            memory,
            passes,
            lanes,
        })
        .unwrap();
        let hash = other.hash("some password").unwrap();
        assert_eq!(
            cheap().verify("some password", Some(&hash)).unwrap(),
            right,
            "{hash}"
        );
    }
}

#[test]
fn passwords_have_bounds_and_any_characters() {
    let hasher = cheap();
    for bad in [
        "",
        "1234567",
        "é€",
        &"x".repeat(1025),
        &"x".repeat(10 << 20),
    ] {
        assert_eq!(hasher.hash(bad).unwrap_err().kind(), ErrorKind::Invalid);
    }
    for good in [
        "12345678",
        "        ",
        "\0\0\0\0\0\0\0\0",
        "🔑🔑",
        "\u{202e}drowssap",
    ] {
        let hash = hasher.hash(good).unwrap();
        assert_eq!(
            hasher.verify(good, Some(&hash)).unwrap(),
            PasswordCheck::Right
        );
    }
}

#[test]
fn an_overlong_password_is_not_even_looked_at() {
    // Else this one would be right: made by passlib of 1,025 times `x`.
    let hash = "$bcrypt-sha256$v=2,t=2b,r=4$SodF.hDThkNBnLKvPt5Zme$Xu6wYK93z5hRbNpueI.dyvYn7Z.F3Yq";
    let check = |password: &str| cheap().verify(password, Some(hash)).unwrap();
    assert_eq!(check(&"x".repeat(1025)), PasswordCheck::Wrong);
    assert_eq!(check(&"x".repeat(10 << 20)), PasswordCheck::Wrong);
}

#[test]
fn other_and_excessive_hashes_are_a_defect_and_not_shown() {
    let salted = "5wjVEnKwGP01eLg3Fo+izg$P39MyW/uveNGWMZB7n9/wDLJK8A/mP5uRWLrio7IitQ";
    let bcrypted = "SEslHfGI4YpTzkUd9G49lu$gMm07SCEtS21yfP3c6yYodq4TzI.s0i";
    for hash in [
        "",
        "plain text",
        "$2b$12$L6Bc/AlTQHyd9liGgGEZyOFLPHNgyxeEPfgYfBCVxJ7JIlwxyVU3u",
        &format!("$scrypt$ln=16,r=8,p=1${salted}"),
        &format!("$argon2id$v=20$m=64,t=1,p=1${salted}"),
        &format!("$argon2id$v=19$m=64,t=0,p=1${salted}"),
        &format!("$argon2id$v=19$m=4294967295,t=1,p=1${salted}"),
        &format!("$argon2id$v=19$m=64,t=4294967295,p=1${salted}"),
        &format!("$argon2id$v=19$m=65536,t=1,p=17${salted}"),
        &format!("$bcrypt-sha256$2b,31${bcrypted}"),
        &format!("$bcrypt-sha256$2b,17${bcrypted}"),
        &format!("$bcrypt-sha256$2b,3${bcrypted}"),
        &format!("$bcrypt-sha256$2y,4${bcrypted}"),
        &format!("$bcrypt-sha256$v=3,t=2b,r=4${bcrypted}"),
        &format!("$bcrypt-sha256$v=2,t=2b,r=99999999999${bcrypted}"),
        &format!("$bcrypt-sha256$v=2,t=2b,r=4${bcrypted}$"),
        "$bcrypt-sha256$v=2,t=2b,r=4$$",
        "$bcrypt-sha256$v=2,t=2b,r=4$ümläut$ÄÖÜ",
        "$bcrypt-sha256$",
    ] {
        let error = cheap().verify("some password", Some(hash)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Internal, "{hash}");
        assert!(hash.is_empty() || !format!("{error:?}").contains(hash));
    }
}

#[test]
fn a_cost_has_bounds() {
    let ok = |memory, passes, lanes| {
        Hasher::new(Cost {
            memory,
            passes,
            lanes,
        })
        .is_ok()
    };
    assert!(ok(256 << 10, 16, 16) && ok(8, 1, 1));
    assert!(!ok((256 << 10) + 1, 1, 1) && !ok(64, 17, 1) && !ok(1024, 1, 17));
    assert!(!ok(7, 1, 1) && !ok(64, 0, 1) && !ok(64, 1, 0));
}
