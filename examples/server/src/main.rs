//! The example server: one binary, one folder of data.

fn main() {}
