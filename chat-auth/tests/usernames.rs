//! Which usernames there are, and which are the same.

#![allow(clippy::panic)]

use chat_auth::{MAX_USERNAME, Username, canonical};
use proptest::prelude::*;
use unicode_normalization::{UnicodeNormalization, char::is_combining_mark};
use unicode_security::skeleton;

/// Some of the names that only the host gives out.
const RESERVED: [&str; 8] = [
    "admin",
    "administrator",
    "host",
    "moderator",
    "null",
    "root",
    "support",
    "system",
];

fn refused(name: &str) -> String {
    match Username::parse(name) {
        Ok(name) => panic!("{name:?} is allowed"),
        Err(error) => {
            assert_eq!(error.kind(), chat_core::ErrorKind::Invalid);
            error.to_string()
        }
    }
}

fn allowed(name: &str) -> Username {
    Username::parse(name).unwrap_or_else(|error| panic!("{name:?}: {error}"))
}

#[test]
fn takes_names_of_many_languages() {
    for name in [
        "a",
        "alice",
        "Alice_99",
        "o'brien",
        "jean-luc",
        "j.r.r. tolkien",
        "alice@example.com",
        "bob+chat",
        "007",
        "Zoë",
        "Łukasz",
        "Nguyễn Thị Hồng",
        "Straße",
        "Şule",
        "Åsa",
        "Анна",
        "Вера",
        "Юлія",
        "Ђорђе",
        "Ελένη",
        "Σίσυφος",
        "Նարե",
        "ნინო",
        "דוד",
        "أحمد",
        "فاطمة",
        "प्रिया",
        "สำราญ",
        "ทดสอบ",
        "தமிழ்",
        "বাংলা",
        "မြန်မာ",
        "ພາສາລາວ",
        "ភាសាខ្មែរ",
        "山田太郎",
        "さくら",
        "カタカナ",
        "김철수",
        "小明abc",
        "ㄅㄆㄇ",
        "አማርኛ",
        "ᏣᎳᎩ",
        "ⵜⴰⵎⴰⵣⵉⵖⵜ",
        "Priya प्रिया",
        "admins",
        "rooted",
        "systematic",
    ] {
        assert_eq!(allowed(name).as_str(), name.nfkc().collect::<String>());
    }
    assert_eq!(allowed(&"x".repeat(32)).as_str().len(), 32);
    assert_eq!(
        allowed("  alice\u{a0}").as_str(),
        "alice",
        "spaces around are cut off"
    );
    assert_eq!(allowed("ａｌｉｃｅ").as_str(), "alice", "full width");
    assert_eq!(allowed("e\u{301}lan").as_str(), "élan", "composed");
}

#[test]
fn refuses_what_cannot_be_seen_or_typed() {
    for name in [
        "a\0b",
        "a\tb",
        "a\nb",
        "a\r\nb",
        "\nalice",
        "a\u{7f}b",
        "a\u{85}b",
        "a\u{1b}[31mb",
        "a\u{2028}b",
        "a\u{200b}b",
        "a\u{200c}b",
        "a\u{200d}b",
        "a\u{2060}b",
        "\u{feff}alice",
        "a\u{ad}b",
        "a\u{34f}b",
        "a\u{180e}b",
        "a\u{202e}b",
        "a\u{202d}b",
        "a\u{2066}b",
        "a\u{2069}b",
        "a\u{200e}b",
        "a\u{61c}b",
        "a\u{3164}b",
        "a\u{115f}b",
        "a\u{ffa0}b",
        "a\u{2800}b",
        "a\u{fe0f}b",
        "a\u{e0041}b",
        "a\u{e0100}b",
        "a\u{e000}b",
        "a\u{f8ff}b",
        "a\u{10fffd}b",
        "a\u{378}b",
        "a\u{ffff}b",
        "a\u{fffd}b",
        "a\u{fffc}b",
        "a😀b",
        "a/b",
        "a\\b",
        "a<b",
        "a>b",
        "a\"b",
        "a&b",
        "a%b",
        "a#b",
        "a:b",
        "a*b",
        "a,b",
        "a;b",
        "a|b",
        "a`b",
        "a$b",
        "a\u{1680}b",
        "a_\u{20dd}b",
        "a\u{2044}b",
        "1⁄2",
    ] {
        assert!(refused(name).contains("U+"), "{name:?}");
    }
    for (name, why) in [
        ("", "at least one"),
        ("   ", "at least one"),
        ("\u{a0}\u{3000}", "at least one"),
        ("...", "at least one"),
        ("_-_", "at least one"),
        ("a  b", "single spaces"),
        ("a \u{a0} b", "single spaces"),
        ("\u{301}alice", "accents"),
        ("alice \u{301}b", "accents"),
        ("a-\u{300}", "accents"),
        ("z\u{300}\u{301}\u{302}\u{303}\u{304}", "accents"),
    ] {
        assert!(refused(name).contains(why), "{name:?}: {}", refused(name));
    }
    for long in [
        "x".repeat(33),
        "é".repeat(33),
        "\u{fdfa}".repeat(3),
        "x".repeat(10 << 20),
        " ".repeat(2000),
    ] {
        assert!(refused(&long).contains("at most 32"));
    }
}

#[test]
fn refuses_mixed_alphabets() {
    for name in [
        "pаypal",
        "аlice",
        "alicе",
        "gооgle",
        "Αlice",
        "Анna",
        "ρаul",
        "x山я",
        "Мiсhаеl",
    ] {
        assert!(
            refused(name).contains("mixes"),
            "{name:?}: {}",
            refused(name)
        );
    }
}

#[test]
fn refuses_reserved_names_and_what_looks_like_them() {
    for name in RESERVED {
        for form in [
            name.to_owned(),
            name.to_uppercase(),
            format!(" {name}. "),
            format!("_{name}_"),
            name.chars()
                .map(|c| char::from_u32(u32::from(c) + 0xfee0).unwrap())
                .collect(),
            name.chars().flat_map(|c| [c, '.']).collect(),
            name.chars()
                .enumerate()
                .map(|(i, c)| {
                    if i % 2 == 0 {
                        c.to_ascii_uppercase()
                    } else {
                        c
                    }
                })
                .collect(),
        ] {
            // A name of full stops between letters may grow too long to be one.
            assert!(refused(&form).contains("reserved") || form.chars().count() > MAX_USERNAME);
        }
    }
    for name in [
        "adrnin",
        "adm1n",
        "admın",
        "admIn",
        "AdmlN",
        "ádmin",
        "admíń",
        "ａdmin",
        "𝐚𝐝𝐦𝐢𝐧",
        "ⓐⓓⓜⓘⓝ",
        "ɑdmin",
        "ad min",
        "r00t",
        "R0OT",
        "rօօt",
        "heIp",
        "ho\u{17f}t",
        "sʏstem",
        "syﬆem",
        "ѕуѕтеm",
        "ΝULL",
        "ΜΕ",
        "ВОТ",
    ] {
        let why = refused(name);
        assert!(
            why.contains("reserved") || why.contains("mixes") || why.contains("U+"),
            "{name:?}: {why}"
        );
    }
}

#[test]
fn one_person_has_one_name_however_written() {
    for same in [
        &[
            "alice",
            "ALICE",
            "Alice",
            " alice ",
            "ａｌｉｃｅ",
            "ALIC\u{ff25}",
            "𝓪𝓵𝓲𝓬𝓮",
        ][..],
        &["Straße", "STRASSE", "strasse", "STRAẞE", "straſſe"],
        &["Σίσυφος", "ΣΊΣΥΦΟΣ", "σίσυφοσ"],
        &["Zoë", "ZOE\u{308}", "zoe\u{308}"],
        &["ﬁona", "Fiona", "FIONA"],
        &["kelvin", "\u{212a}elvin"],
        &["ᏣᎳᎩ", "ꮳꮃꭹ"],
        &["ılya", "ILYA", "ilya"],
    ] {
        for name in same {
            assert_eq!(canonical(name), canonical(same[0]), "{name}");
        }
    }
    assert_ne!(canonical("mike"), canonical("rnike"));
    assert_ne!(canonical("Вера"), canonical("Bepa"));
}

#[test]
fn knows_whom_another_script_imitates() {
    for (name, twin) in [("сора", "copa"), ("Вера", "bepa"), ("раураӏ", "paypal")] {
        assert_eq!(allowed(name).twin().as_deref(), Some(twin), "{name}");
    }
    for name in [
        "alice",
        "mike",
        "b0b",
        "Zoë",
        "Анна",
        "Σίσυφος",
        "山田",
        "Straße",
    ] {
        assert_eq!(allowed(name).twin(), None, "{name}");
    }
}

/// Every character there is, alone and between others; of the planes where there is none, and of private ones, the first.
#[test]
fn no_character_slips_through() {
    let mut taken = 0;
    let planes = ('\0'..='\u{3ffff}').chain('\u{e0000}'..='\u{e0fff}');
    let empty = (4..=16).filter_map(|plane| char::from_u32(plane << 16));
    for c in planes.chain(empty) {
        let code = u32::from(c);
        if let Ok(name) = Username::parse(&format!("a{c}b")) {
            taken += 1;
            assert!(sound(&name), "U+{code:04X} {name:?}");
            if let Ok(name) = Username::parse(&format!("{c}{c}")) {
                assert!(sound(&name), "U+{code:04X} {name:?}");
            }
        }
        if c.is_alphanumeric() || is_combining_mark(c) {
            let once = canonical(c.encode_utf8(&mut [0; 4]));
            assert_eq!(canonical(&once), once, "U+{code:04X}");
        }
    }
    assert!(taken > 30_000, "{taken}");
}

/// What every name must be, said in other words than above.
fn sound(name: &Username) -> bool {
    let shown = name.as_str();
    let invisible = |c: char| {
        skeleton(&c.to_string()).next().is_none()
            || c.is_control()
            || (c.is_whitespace() && c != ' ')
            || matches!(u32::from(c), 0xe000..=0xf8ff | 0xf_0000.. | 0x200b..=0x200f | 0x2028..=0x202e | 0x2060..=0x206f)
    };
    let plain = |c: char| {
        c.is_alphanumeric() || is_combining_mark(c) || (c.is_ascii() && " _-.'@+".contains(c))
    };
    (1..=32).contains(&shown.chars().count())
        && shown.nfkc().eq(shown.chars())
        && shown.trim() == shown
        && !shown.chars().any(invisible)
        && shown.chars().all(plain)
        && canonical(shown) == name.canonical()
        && canonical(name.canonical()) == name.canonical()
        && (1..=256).contains(&name.canonical().len())
        && !RESERVED.contains(&name.canonical())
}

fn letters() -> impl Strategy<Value = String> {
    let few = "aAäÄßẞſςσΣıiİIµĸΐᾳŉﬁЯжѴ山のकि-._ '@ "
        .chars()
        .collect::<Vec<_>>();
    let some = prop::sample::select(few);
    prop::collection::vec(prop_oneof![3 => some, 1 => any::<char>(), 1 => "\\PC".prop_map(|s| s.chars().next().unwrap_or('x'))], 0..36)
        .prop_map(|chars| chars.into_iter().collect())
}

proptest! {
    #[test]
    fn every_name_is_sound_and_stays_so(text in letters()) {
        let form = canonical(&text);
        prop_assert_eq!(canonical(&form), form.clone());
        prop_assert_eq!(canonical(&text.nfd().collect::<String>()), canonical(&text.nfc().collect::<String>()));
        if let Ok(name) = Username::parse(&text) {
            prop_assert!(sound(&name), "{:?}", name);
            prop_assert_eq!(name.canonical(), form);
            prop_assert_eq!(&Username::parse(name.as_str()).unwrap(), &name);
        }
    }

    #[test]
    fn names_that_differ_in_case_or_form_are_the_same(text in "[a-zß-öø-ÿα-ωа-я]{1,12}") {
        for other in [text.to_uppercase(), text.nfd().collect(), format!(" {text} ")] {
            prop_assert_eq!(canonical(&other), canonical(&text));
        }
    }
}
