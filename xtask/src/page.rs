//! Writing what was measured into a page.

use std::fs;

use crate::run;

const END: &str = "<!-- end -->\n";

/// Puts a text between the page's line `<!-- mark -->` and the next `<!-- end -->`.
///
/// # Errors
/// The page has no such lines, or cannot be read or written.
pub(crate) fn write(page: &str, mark: &str, text: &str) -> Result<(), String> {
    let path = run::root().join(page);
    let old = fs::read_to_string(&path).map_err(|error| format!("{page}: {error}"))?;
    let new =
        replaced(&old, mark, text).ok_or_else(|| format!("{page} has no place for {mark}"))?;
    fs::write(&path, new).map_err(|error| format!("{page}: {error}"))?;
    println!("Written into {page}.");
    Ok(())
}

fn replaced(page: &str, mark: &str, text: &str) -> Option<String> {
    let mark = format!("<!-- {mark} -->\n");
    let (before, rest) = page.split_once(&mark)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{mark}\n{}\n\n{END}{after}", text.trim()))
}

#[cfg(test)]
mod tests {
    use super::replaced;

    #[test]
    fn only_what_stands_between_the_marks_changes() {
        let page = "a\n<!-- one -->\nold\n<!-- end -->\nb\n<!-- two -->\nkept\n<!-- end -->\nc\n";
        let new = replaced(page, "one", " new ").unwrap();
        let wanted =
            "a\n<!-- one -->\n\nnew\n\n<!-- end -->\nb\n<!-- two -->\nkept\n<!-- end -->\nc\n";
        assert_eq!(new, wanted);
        assert_eq!(
            replaced(&new, "one", "new").as_deref(),
            Some(wanted),
            "twice is once"
        );
        assert_eq!(replaced(page, "three", "new"), None);
    }
}
