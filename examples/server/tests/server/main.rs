//! The server binary from outside: what it refuses, how it starts, stops and starts again.

#[cfg(test)]
mod client;
#[cfg(test)]
mod lifecycle;
#[cfg(test)]
mod refusals;
#[cfg(test)]
mod support;
