//! The operator's own name, accent colour and logo in the web client, read once at the start.

mod colour;

use std::fs;
use std::path::Path;

use serde::Deserialize;

use colour::Colour;

/// Says what is allowed.
const EXAMPLE: &str = "name = \"Acme\" and, if wished, accent = \"#5b3fd6\"";
/// Letters of a name: it stands in the title of a tab.
const LONGEST_NAME: usize = 40;
/// Bytes of a logo: it is loaded with the first screen.
const LARGEST_LOGO: u64 = 64 * 1024;

/// What stands in `brand.toml`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    name: String,
    accent: Option<String>,
}

/// A name, and perhaps a colour and a logo.
#[derive(Debug)]
pub(crate) struct Brand {
    name: String,
    accent: Option<Colour>,
    logo: Option<Vec<u8>>,
}

impl Brand {
    /// Reads `brand.toml` and, if it is there, `logo.svg`.
    ///
    /// # Errors
    /// One sentence that names the file and says what to mend.
    pub(crate) fn load(folder: &Path) -> Result<Self, String> {
        let path = folder.join("brand.toml");
        let wrong = |why: &dyn std::fmt::Display| format!("--brand: {}: {why}", path.display());
        let text = fs::read_to_string(&path).map_err(|error| wrong(&error))?;
        let file: File = toml::from_str(&text).map_err(|error| {
            let before = error.span().and_then(|span| text.get(..span.start));
            let line = before.unwrap_or_default().matches('\n').count() + 1;
            let said = error.message().replace('\n', "; ");
            wrong(&format!("line {line}: {said}; say {EXAMPLE}"))
        })?;
        let name = file.name.trim().to_owned();
        if name.is_empty() || name.chars().count() > LONGEST_NAME {
            return Err(wrong(&format!(
                "`name` must have 1 to {LONGEST_NAME} letters"
            )));
        }
        if name.chars().any(char::is_control) {
            return Err(wrong(&"`name` must be one line of plain text"));
        }
        let accent = match file.accent.as_deref() {
            None => None,
            Some(said) => Some(Colour::parse(said).ok_or_else(|| {
                wrong(&format!(
                    "`accent` must be a colour such as \"#5b3fd6\", not {said:?}"
                ))
            })?),
        };
        Ok(Self {
            name,
            accent,
            logo: logo(&folder.join("logo.svg"))?,
        })
    }

    /// The file that takes the place of one of the client's, if one does.
    pub(crate) fn instead_of(&self, path: &str, bytes: &[u8]) -> Option<Vec<u8>> {
        let text = || String::from_utf8_lossy(bytes);
        match path {
            "/index.html" => Some(self.page(&text()).into_bytes()),
            "/sw.js" => Some(self.worker(&text()).into_bytes()),
            "/favicon.svg" => self.logo.clone(),
            _ => None,
        }
    }

    /// The colours; the client's own ones stand in a layer, so that these are stronger.
    pub(crate) fn style(&self) -> String {
        self.accent.map_or(String::new(), colour::style)
    }

    /// The page with the name in it, where the client's script finds it too.
    fn page(&self, page: &str) -> String {
        let name = escaped(&self.name);
        let head = format!(
            "<meta name=\"application-name\" content=\"{name}\" />\
             <link rel=\"stylesheet\" href=\"/brand.css\" /></head>"
        );
        page.replacen("<title>Chat</title>", &format!("<title>{name}</title>"), 1)
            .replacen("</head>", &head, 1)
    }

    /// The worker with a mark of this brand in it: browsers that know another one fetch the page anew.
    fn worker(&self, worker: &str) -> String {
        let logo = self.logo.as_deref().unwrap_or_default();
        let sum = [self.name.as_bytes(), self.style().as_bytes(), logo]
            .concat()
            .iter()
            .fold(0xcbf2_9ce4_8422_2325_u64, |sum, byte| {
                (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
            });
        format!("// brand {sum:016x}\n{worker}")
    }
}

/// Shown as an image only, and served so that nothing in it may run or load; here it only has to be one.
fn logo(path: &Path) -> Result<Option<Vec<u8>>, String> {
    let wrong = |why: &dyn std::fmt::Display| format!("--brand: {}: {why}", path.display());
    let size = match path.metadata() {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(wrong(&error)),
        Ok(data) => data.len(),
    };
    if size > LARGEST_LOGO {
        return Err(wrong(&format!(
            "it has {size} bytes, at most {LARGEST_LOGO} are allowed"
        )));
    }
    let text = fs::read_to_string(path).map_err(|error| wrong(&error))?;
    if !(text.contains("<svg") && text.contains("http://www.w3.org/2000/svg")) {
        return Err(wrong(
            &"this is no SVG image: <svg xmlns=\"http://www.w3.org/2000/svg\" …> is missing",
        ));
    }
    Ok(Some(text.into_bytes()))
}

/// As text or in quotes, in HTML.
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for one in text.chars() {
        match one {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            _ => safe.push(one),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::Brand;

    const SVG: &str = r#"<svg xmlns="http://www.w3.org/2000/svg"></svg>"#;

    fn load(toml: &str, logo: Option<&str>) -> Result<Brand, String> {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("brand.toml"), toml).unwrap();
        if let Some(logo) = logo {
            fs::write(folder.path().join("logo.svg"), logo).unwrap();
        }
        Brand::load(folder.path())
    }

    #[test]
    fn what_is_wrong_is_said() {
        let long = format!("name = \"{}\"", "x".repeat(41));
        let large = format!("{SVG}{}", " ".repeat(64 * 1024));
        for (toml, logo, says) in [
            ("", None, "name"),
            ("name = 3", None, "line 1"),
            (
                "name = \"A\"\ncolor = \"#fff\"",
                None,
                "line 2: unknown field `color`",
            ),
            ("name = \"A", None, "line 1"),
            ("name = \"  \"", None, "1 to 40 letters"),
            (&long, None, "1 to 40 letters"),
            ("name = \"A\\u0007\"", None, "plain text"),
            ("name = \"A\"\naccent = \"red\"", None, "\"red\""),
            ("name = \"A\"\naccent = \"#12345\"", None, "#12345"),
            ("name = \"A\"\naccent = \"#fff;}\"", None, "accent"),
            ("name = \"A\"", Some("<html>"), "logo.svg: this is no SVG"),
            ("name = \"A\"", Some(&large), "at most 65536"),
        ] {
            let error = load(toml, logo).expect_err(toml);
            assert!(error.contains(says), "{error}");
            assert!(error.starts_with("--brand: "), "{error}");
        }
        let nowhere = Brand::load("/nowhere/at/all".as_ref()).unwrap_err();
        assert!(nowhere.contains("/nowhere/at/all/brand.toml"), "{nowhere}");
    }

    #[test]
    fn a_name_stays_text() {
        let brand = load("name = '\"><script>alert(1)</script> & Co'", Some(SVG)).unwrap();
        let page = brand.page("<head><title>Chat</title></head><body></body>");
        let name = "&quot;&gt;&lt;script&gt;alert(1)&lt;/script&gt; &amp; Co";
        assert_eq!(
            page,
            format!(
                "<head><title>{name}</title><meta name=\"application-name\" content=\"{name}\" />\
                 <link rel=\"stylesheet\" href=\"/brand.css\" /></head><body></body>"
            )
        );
        assert_eq!(
            brand.instead_of("/favicon.svg", b""),
            Some(SVG.as_bytes().to_vec())
        );
    }

    #[test]
    fn another_brand_is_another_worker() {
        let one = load("name = 'One'", None).unwrap();
        let other = load("name = 'One'\naccent = '#123456'", None).unwrap();
        assert_ne!(one.worker("w"), other.worker("w"));
        assert_eq!(one.style(), "");
        assert!(other.style().contains("--accent: light-dark(#123456,"));
    }
}
