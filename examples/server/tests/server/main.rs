//! The server binary from outside: what it refuses, how it starts, stops and starts again.

#[cfg(test)]
mod client;
#[cfg(test)]
mod crowd;
#[cfg(test)]
mod killed;
#[cfg(test)]
mod lifecycle;
#[cfg(test)]
mod moving;
#[cfg(test)]
mod nodes;
#[cfg(test)]
mod original;
#[cfg(test)]
mod refusals;
#[cfg(test)]
mod support;
