//! `SqliteStore` on real files: opening, what stays, processes that are killed and disks that fail.

#[cfg(test)]
mod backup;
#[cfg(test)]
mod crash;
#[cfg(test)]
mod files;
#[cfg(test)]
mod host;
#[cfg(test)]
mod opening;
#[cfg(test)]
mod search;
