//! An accent colour that can be read on both themes of the web client.

/// Red, green and blue, each of 255.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Colour([f64; 3]);

const BLACK: Colour = Colour([0.0; 3]);
const WHITE: Colour = Colour([255.0; 3]);
/// What WCAG 2.2 AA asks of text.
const READABLE: f64 = 4.5;

/// A theme of the client: what accents stand on there, as `frontend/src/styles/tokens.css` has it.
struct Theme {
    surface: Colour,
    grounds: [Colour; 4],
    mention: Colour,
    text: Colour,
    /// Towards this an accent gets more contrast.
    far: Colour,
    /// How much of the accent is in what is chosen, and in a bubble of one's own.
    tint: [f64; 2],
}

const fn hex(rgb: u32) -> Colour {
    let [_, red, green, blue] = rgb.to_be_bytes();
    Colour([red as f64, green as f64, blue as f64])
}

const LIGHT: Theme = Theme {
    surface: hex(0xffffff),
    grounds: [hex(0xf2f4f3), hex(0xffffff), hex(0xf1f4f3), hex(0xffffff)],
    mention: hex(0xfdf0c8),
    text: hex(0x1a1f1d),
    far: BLACK,
    tint: [0.11, 0.17],
};
const DARK: Theme = Theme {
    surface: hex(0x171b1c),
    grounds: [hex(0x0f1213), hex(0x171b1c), hex(0x1e2425), hex(0x202627)],
    mention: hex(0x4a3d16),
    text: hex(0xe9edeb),
    far: WHITE,
    tint: [0.15, 0.26],
};

/// How much of the accent lies under the name in a quote.
const QUOTE: f64 = 0.11;
/// How much of what is below shines through the text of a quote.
const FADED: f64 = 0.15;

impl Colour {
    /// `#rgb` or `#rrggbb`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix('#')?;
        if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return None;
        }
        let number = u32::from_str_radix(digits, 16).ok()?;
        match digits.len() {
            3 => {
                let [red, green, blue] = [number >> 8, number >> 4 & 15, number & 15];
                Some(hex((red << 16 | green << 8 | blue) * 17))
            }
            6 => Some(hex(number)),
            _ => None,
        }
    }

    fn css(self) -> String {
        let [red, green, blue] = self.0.map(|part| part.round() as u8);
        format!("#{red:02x}{green:02x}{blue:02x}")
    }

    /// This much of another one in it, as `color-mix(in srgb, …)` does.
    fn with(self, other: Self, part: f64) -> Self {
        let mut mixed = self.0;
        for (own, other) in mixed.iter_mut().zip(other.0) {
            *own = (*own + (other - *own) * part).round();
        }
        Self(mixed)
    }

    /// As WCAG has it.
    fn luminance(self) -> f64 {
        let [red, green, blue] = self.0.map(|part| match part / 255.0 {
            low if low <= 0.04045 => low / 12.92,
            high => ((high + 0.055) / 1.055).powf(2.4),
        });
        0.2126 * red + 0.7152 * green + 0.0722 * blue
    }

    fn contrast(self, other: Self) -> f64 {
        let (one, other) = (self.luminance(), other.luminance());
        (one.max(other) + 0.05) / (one.min(other) + 0.05)
    }

    /// The nearest one towards `far` that fits.
    fn until(self, far: Self, fits: impl Fn(Self) -> bool) -> Self {
        (0..100)
            .map(|step| self.with(far, f64::from(step) / 100.0))
            .find(|one| fits(*one))
            .unwrap_or(far)
    }
}

/// The colours of one theme that follow from the accent.
struct Shades {
    accent: Colour,
    hover: Colour,
    on_accent: Colour,
    strong: Colour,
    active: Colour,
    own: Colour,
    own_quiet: Colour,
}

impl Theme {
    fn active(&self, accent: Colour) -> Colour {
        self.surface.with(accent, self.tint[0])
    }

    /// As much of it as leaves what is quoted there readable.
    fn own(&self, accent: Colour) -> Colour {
        (0..10)
            .map(|step| self.tint[1] * (1.0 - f64::from(step) / 10.0))
            .map(|part| self.surface.with(accent, part))
            .find(|own| self.quotes(*own, accent))
            .unwrap_or(self.surface)
    }

    /// Whether a quote can be read on this.
    fn quotes(&self, ground: Colour, accent: Colour) -> bool {
        let quote = ground.with(accent, QUOTE);
        self.text.with(quote, FADED).contrast(quote) >= READABLE
    }

    /// All that the accent is written on.
    fn carries(&self, accent: Colour) -> bool {
        let quotes = self.grounds.map(|ground| ground.with(accent, QUOTE));
        let mut grounds = self.grounds.iter().chain(&quotes);
        let active = self.active(accent);
        grounds.all(|ground| accent.contrast(*ground) >= READABLE)
            && accent.contrast(active) >= READABLE
    }

    fn shades(&self, wanted: Colour) -> Shades {
        let accent = wanted.until(self.far, |one| self.carries(one));
        let own = self.own(accent);
        let strong =
            |one: Colour| one.contrast(own) >= READABLE && one.contrast(self.mention) >= READABLE;
        let own_quiet = self.text.with(own, 0.35);
        Shades {
            accent,
            hover: accent.with(self.far, 0.15),
            // An accent that can be read on the light theme is dark, and the other way round.
            on_accent: if self.far == BLACK {
                WHITE
            } else {
                hex(0x101414)
            },
            strong: accent.until(self.far, strong),
            active: self.active(accent),
            own,
            own_quiet: own_quiet.until(self.far, |one| one.contrast(own) >= READABLE),
        }
    }
}

/// The tokens of the client that follow from an accent: as it is where it can be read, else darker or lighter.
pub(crate) fn style(accent: Colour) -> String {
    let (light, dark) = (LIGHT.shades(accent), DARK.shades(accent));
    let both = |name: &str, of: fn(&Shades) -> Colour| {
        let (light, dark) = (of(&light).css(), of(&dark).css());
        format!("  --{name}: light-dark({light}, {dark});\n")
    };
    let tokens = [
        both("accent", |shades| shades.accent),
        both("accent-hover", |shades| shades.hover),
        both("accent-strong", |shades| shades.strong),
        both("text-on-accent", |shades| shades.on_accent),
        both("surface-active", |shades| shades.active),
        both("bubble-own", |shades| shades.own),
        both("bubble-own-quiet", |shades| shades.own_quiet),
    ];
    format!(":root {{\n{}}}\n", tokens.concat())
}

#[cfg(test)]
mod tests {
    use super::{Colour, DARK, FADED, LIGHT, QUOTE, READABLE, hex, style};

    #[test]
    fn colours_are_six_digits_or_three() {
        assert_eq!(Colour::parse("#0f766E"), Some(hex(0x0f766e)));
        assert_eq!(Colour::parse("#1af"), Some(hex(0x11aaff)));
        for wrong in ["0f766e", "#0f766", "#0f766e00", "teal", "#+12", "#", "#ééé"] {
            assert_eq!(Colour::parse(wrong), None, "{wrong}");
        }
        assert!((hex(0xffffff).contrast(hex(0x000000)) - 21.0).abs() < 1e-9);
        assert!((hex(0x777777).contrast(hex(0xffffff)) - 4.478).abs() < 1e-3);
    }

    #[test]
    fn every_accent_can_be_read_on_both_themes() {
        let steps = [0, 51, 102, 153, 204, 255];
        let all = (0..216).map(|one| {
            let [red, green, blue] = [one / 36, one / 6 % 6, one % 6].map(|at| steps[at]);
            hex(red << 16 | green << 8 | blue)
        });
        for wanted in all {
            for theme in [&LIGHT, &DARK] {
                let made = theme.shades(wanted);
                let mut pairs = vec![
                    (made.on_accent, made.accent),
                    (made.on_accent, made.hover),
                    (made.accent, made.active),
                    (theme.text, made.active),
                    (theme.text, made.own),
                    (made.own_quiet, made.own),
                    (made.strong, made.own),
                    (made.strong, theme.mention),
                ];
                for ground in theme.grounds {
                    pairs.push((made.accent, ground));
                    pairs.push((made.accent, ground.with(made.accent, QUOTE)));
                }
                let quote = made.own.with(made.accent, QUOTE);
                pairs.push((theme.text.with(quote, FADED), quote));
                for (ink, ground) in pairs {
                    let contrast = ink.contrast(ground);
                    assert!(
                        contrast >= READABLE,
                        "{wanted:?}: {ink:?} on {ground:?}: {contrast}"
                    );
                }
            }
        }
    }

    #[test]
    fn an_accent_that_can_be_read_stays_as_it_is() {
        let made = style(hex(0x4338ca));
        assert!(made.contains("--accent: light-dark(#4338ca, "), "{made}");
        assert!(
            !made.contains("--accent: light-dark(#4338ca, #4338ca)"),
            "{made}"
        );
    }

    #[test]
    fn the_grounds_are_those_of_the_client() {
        let tokens = include_str!("../../../../frontend/src/styles/tokens.css");
        for name in [
            "ground",
            "surface",
            "surface-hover",
            "bubble-other",
            "mention",
            "text",
        ] {
            let line = format!("--{name}: light-dark(");
            assert!(tokens.contains(&line), "{name}");
        }
        let said = |name: &str, light: Colour, dark: Colour| {
            let token = format!("--{name}: light-dark({}, {});", light.css(), dark.css());
            assert!(tokens.contains(&token), "tokens.css no longer has {token}");
        };
        for (place, name) in ["ground", "surface", "surface-hover", "bubble-other"]
            .iter()
            .enumerate()
        {
            said(name, LIGHT.grounds[place], DARK.grounds[place]);
        }
        said("mention", LIGHT.mention, DARK.mention);
        said("text", LIGHT.text, DARK.text);
    }
}
