//! The README shows this example as it is.

#[test]
fn the_readme_shows_this_file() {
    let readme = include_str!("../../../README.md");
    let example = include_str!("../src/main.rs");
    assert!(
        readme.contains(&format!("```rust\n{example}```")),
        "README.md shows another examples/embedded/src/main.rs than there is"
    );
    assert!(example.lines().count() < 50, "the example is to stay short");
}
