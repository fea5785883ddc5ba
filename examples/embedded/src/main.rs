//! A complete chat in process.

fn main() {}
