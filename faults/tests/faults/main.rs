//! What a store acknowledged outlives power cuts, failing syncs and full disks; and with weaker syncs it does not, which
//! shows that these tests would find it.
//!
//! `CHAT_CUT_ROUNDS` sets the rounds of each test of power cuts, 20 without it; `CHAT_CUT_SEED` what chance makes of them.
//! A failure names both.

#![cfg(target_os = "linux")]

#[cfg(test)]
mod cut;
#[cfg(test)]
mod eio;
#[cfg(test)]
mod full;
#[cfg(test)]
mod judge;
#[cfg(test)]
mod killed;
#[cfg(test)]
mod shim;
#[cfg(test)]
mod survey;
#[cfg(test)]
mod victim;
