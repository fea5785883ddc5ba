//! Developer commands: serve and test.

fn main() {}
