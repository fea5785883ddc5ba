//! Bars beside a floor, as an SVG that can be read on light and dark pages.

use std::fmt::Write;

/// A workload.
pub(crate) struct Group {
    pub(crate) name: String,
    pub(crate) bars: Vec<Bar>,
}

/// How much of the floor a server reaches.
pub(crate) struct Bar {
    pub(crate) name: String,
    pub(crate) ratio: f64,
    pub(crate) is_ours: bool,
}

const WIDTH: f64 = 760.0;
/// Where bars begin, and where the longest one may end.
const LEFT: f64 = 130.0;
const RIGHT: f64 = 690.0;
const LINE: f64 = 20.0;
const STYLE: &str = "\
text{font:13px system-ui,sans-serif;fill:#1f2328}.name{font-weight:600}.small{font-size:11px}\
.page{fill:#fff}.ours{fill:#0969da}.other{fill:#8c959f}.floor{stroke:#cf222e;stroke-dasharray:4 3}\
@media(prefers-color-scheme:dark){text{fill:#e6edf3}.page{fill:#0d1117}.ours{fill:#4493f8}.other{fill:#6e7681}\
.floor{stroke:#ff7b72}}";

/// The chart.
pub(crate) fn chart(groups: &[Group]) -> String {
    let lines: usize = groups.iter().map(|group| group.bars.len() + 2).sum();
    let height = 40.0 + LINE * lines as f64;
    let ratios = groups
        .iter()
        .flat_map(|group| &group.bars)
        .map(|bar| bar.ratio);
    let most = ratios.fold(1.0, f64::max);
    let x = |ratio: f64| LEFT + (RIGHT - LEFT) * ratio.max(0.0) / most;
    let mut body = String::new();
    let mut y = 36.0;
    for group in groups {
        line(
            &mut body,
            &format!(
                r#"<text class="name" x="12" y="{y:.0}">{}</text>"#,
                escaped(&group.name)
            ),
        );
        for bar in &group.bars {
            y += LINE;
            let class = if bar.is_ours { "ours" } else { "other" };
            let end = x(bar.ratio);
            let (width, top, behind) = (end - LEFT, y - 12.0, end + 6.0);
            let name = escaped(&bar.name);
            line(
                &mut body,
                &format!(r#"<text x="12" y="{y:.0}">{name}</text>"#),
            );
            line(
                &mut body,
                &format!(
                    r#"<rect class="{class}" x="{LEFT}" y="{top:.0}" width="{width:.1}" height="15" rx="2"/>"#
                ),
            );
            line(
                &mut body,
                &format!(
                    r#"<text x="{behind:.0}" y="{y:.0}">{:.2}</text>"#,
                    bar.ratio
                ),
            );
        }
        y += 2.0 * LINE;
    }
    let (floor, bottom) = (x(1.0), height - 8.0);
    line(
        &mut body,
        &format!(
            r#"<line class="floor" x1="{floor:.1}" x2="{floor:.1}" y1="22" y2="{bottom:.0}"/>"#
        ),
    );
    line(
        &mut body,
        &format!(
            r#"<text class="small" text-anchor="middle" x="{floor:.0}" y="15">bare sockets = 1</text>"#
        ),
    );
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height:.0}\" role=\"img\">\n\
         <title>Rates beside bare sockets of the same run</title>\n<style>{STYLE}</style>\n\
         <rect class=\"page\" width=\"100%\" height=\"100%\"/>\n{body}</svg>\n"
    )
}

fn line(to: &mut String, text: &str) {
    // Writing to a string does not fail.
    let _ = writeln!(to, "{text}");
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_are_as_long_as_their_ratios() {
        let bar = |name: &str, ratio| Bar {
            name: name.to_owned(),
            ratio,
            is_ours: ratio > 1.0,
        };
        let bars = vec![bar("a<b", 0.5), bar("c", 2.0)];
        let name = "W1".to_owned();
        let svg = chart(&[Group { name, bars }]);
        let whole = RIGHT - LEFT;
        assert!(
            svg.contains(&format!("width=\"{whole:.1}\"")),
            "the longest: {svg}"
        );
        assert!(
            svg.contains(&format!("width=\"{:.1}\"", whole / 4.0)),
            "a quarter of it"
        );
        assert!(svg.contains("a&lt;b") && svg.contains("prefers-color-scheme:dark"));
        assert_eq!(svg.matches("class=\"ours\"").count(), 1);
    }
}
